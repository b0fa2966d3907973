//! What pages allow: the least that does the job, changed when the job changes. A write where none is allowed is an error
//! and no crash.
//!
//! ```text
//! main config.bin
//! ```

use std::process::ExitCode;

use shmkit::{ErrorKind, MapOptions, Mapping, Protection, Result};

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: protection PATH");
        return ExitCode::from(2);
    };
    if let Err(error) = run(&path) {
        eprintln!("protection: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run(path: &str) -> Result<()> {
    let mapping =
        MapOptions::new().create(true).len(2 * 4096).protection(Protection::ReadWrite).map_path(path)?;
    mapping.write_at(0, b"config")?;
    mapping.protect(0..4096, Protection::Read)?;
    println!("a write to a read-only page: {}", outcome(mapping.write_at(0, b"x"))?);
    println!("a write to the page after it: {}", outcome(mapping.write_at(4096, b"x"))?);

    // A writable view would lose what it was given.
    let view = mapping.view_range(4096.., true)?;
    println!("protecting pages with a writable view: {}", outcome(mapping.protect(.., Protection::Read))?);
    drop(view);
    mapping.protect(.., Protection::None)?;
    println!("a read of a page without access: {}", outcome(mapping.read_at(0, &mut [0]))?);
    mapping.protect(.., Protection::ReadWrite)?;
    println!("a write after all was allowed: {}", outcome(mapping.write_at(0, b"C"))?);

    // Opened for reading, a file can never be written through its mapping.
    let reader = Mapping::open(path)?;
    println!(
        "allowing writes to a file open for reading: {}",
        outcome(reader.protect(.., Protection::ReadWrite))?
    );
    Ok(())
}

fn outcome(result: Result<()>) -> Result<&'static str> {
    match result.map_err(|error| (error.kind(), error)) {
        Ok(()) => Ok("done"),
        Err((ErrorKind::ReadOnly, _)) => Ok("refused, read-only"),
        Err((ErrorKind::Busy, _)) => Ok("refused, busy"),
        Err((ErrorKind::PermissionDenied, _)) => Ok("refused, no access"),
        Err((_, error)) => Err(error),
    }
}
