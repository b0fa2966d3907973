//! The `shmkit` command, as a library: the program and `python -m shmkit` are both one call of [`main`].
//!
//! One file per command. Nothing here knows how a region works; everything is asked of the core.

mod arguments;
mod console;
mod human;
mod list;
mod log;
mod map;
mod objects;
mod people;
mod remove;
mod show;
mod table;

use std::ffi::OsString;
use std::io;

use clap::Parser;

use arguments::{Arguments, Command};
pub use console::Console;

/// Everything was done.
const DONE: i32 = 0;
/// Something failed or was refused.
const FAILED: i32 = 1;
/// Whoever read the output went away: 128 and SIGPIPE, as the shell reports other commands.
const READER_GONE: i32 = 141;

/// Runs a command with the standard streams. `args` begin with the program's name; the result is the exit status.
pub fn main(args: impl IntoIterator<Item = OsString>) -> i32 {
    Console::with_standard_streams(|console| run(args, console))
}

/// Runs a command. `args` begin with the program's name; the result is the exit status.
pub fn run(args: impl IntoIterator<Item = OsString>, console: &mut Console<'_>) -> i32 {
    let outcome = try_run(args, console).and_then(|status| {
        console.out.flush()?;
        Ok(status)
    });
    match outcome {
        Ok(status) => status,
        Err(Failure::Core(error)) => fail(&error, console),
        Err(Failure::Stream(error)) if error.kind() == io::ErrorKind::BrokenPipe => READER_GONE,
        Err(Failure::Stream(error)) => fail(&format!("cannot read or write: {error}"), console),
    }
}

/// Why a command ended early.
enum Failure {
    /// The library refused.
    Core(shmkit::Error),
    /// The streams did.
    Stream(io::Error),
}

impl From<shmkit::Error> for Failure {
    fn from(error: shmkit::Error) -> Failure {
        Failure::Core(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Stream(error)
    }
}

type Result<T, E = Failure> = std::result::Result<T, E>;

fn fail(what: &dyn std::fmt::Display, console: &mut Console<'_>) -> i32 {
    // If nobody can be told, the exit status is all that is left to say.
    let _ = console.complain(what);
    FAILED
}

fn try_run(args: impl IntoIterator<Item = OsString>, console: &mut Console<'_>) -> Result<i32> {
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        Err(answer) => return explain(&answer, console),
    };
    match arguments.command {
        Command::Log(arguments) => log::run(&arguments.command, console),
        Command::Ls(arguments) => list::run(&arguments, console),
        Command::Stat(arguments) => show::run(&arguments, console),
        Command::Objects(arguments) => objects::run(&arguments, console),
        Command::Map(arguments) => map::run(&arguments, console),
        Command::Gc(arguments) => remove::collect(&arguments, console),
        Command::Rm(arguments) => remove::remove(&arguments, console),
    }
}

/// The help that was asked for, or what is wrong with the command line.
fn explain(answer: &clap::Error, console: &mut Console<'_>) -> Result<i32> {
    let text = answer.render();
    let text = if console.colour { text.ansi().to_string() } else { text.to_string() };
    let to = if answer.use_stderr() { &mut *console.err } else { &mut *console.out };
    writeln!(to, "{}", text.trim_end())?;
    Ok(answer.exit_code())
}
