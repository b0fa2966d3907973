//! A file that somebody cuts while it is mapped: zeros and an error, and no signal.
//!
//! ```text
//! main data.bin     maps the file, has it cut, notices, and maps what is left
//! ```

use std::path::Path;
use std::process::ExitCode;

use shmkit::{ErrorKind, Mapping, Result};

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: shrinking PATH");
        return ExitCode::from(2);
    };
    match run(Path::new(&path)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("shrinking: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(path: &Path) -> std::result::Result<(), Box<dyn std::error::Error>> {
    std::fs::write(path, vec![b'x'; 20_000])?;
    let mapping = Mapping::open(path)?;
    let view = mapping.view()?;
    let mut byte = [0];
    view.read_at(15_000, &mut byte)?;
    println!("mapped {} bytes, one of them is {}", mapping.len(), byte[0]);

    // In practice somebody else does this, at any moment.
    std::fs::OpenOptions::new().write(true).open(path)?.set_len(5000)?;

    // A view is plain memory and asks nobody: what is missing reads as zeros.
    view.read_at(15_000, &mut byte)?;
    println!("cut: now it is {}", byte[0]);

    // So ask after using it. From here on every checked call says the same.
    expect_truncated(mapping.check());
    expect_truncated(mapping.read_at(0, &mut byte));
    drop(view);
    mapping.close()?;
    println!("noticed");

    println!("mapped again: {} bytes", Mapping::open(path)?.len());
    Ok(())
}

/// Ends the program unless the operation was refused for this reason.
fn expect_truncated(result: Result<()>) {
    match result {
        Err(error) if error.kind() == ErrorKind::MappingTruncated => {}
        other => panic!("expected MappingTruncated, got {other:?}"),
    }
}
