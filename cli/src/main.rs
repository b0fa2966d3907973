//! The `shmkit` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    let status = shmkit_cli::main(std::env::args_os());
    // Exit statuses are of one byte.
    ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX))
}
