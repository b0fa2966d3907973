//! A named region: one process leaves a message under the guard, another one reads it, in any language.
//!
//! ```text
//! main write greeting     creates the region and leaves a message
//! main read greeting      opens it, reads the message and removes the region
//! ```
//!
//! The message: its length as a u32 in the machine's byte order at offset 0, its bytes at offset 4.

use std::process::ExitCode;

use shmkit::{Region, Result};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "write", name] => write(name),
        [_, "read", name] => read(name),
        _ => {
            eprintln!("usage: named_region write|read NAME");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = result {
        eprintln!("named_region: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn write(name: &str) -> Result<()> {
    let message = "hello from rust";
    let region = Region::create(name, 4096)?;
    {
        // `?` turns the death of an earlier owner into an error: what the guard protects might be half-written.
        let guard = region.lock()?;
        guard.write_at(0, &(message.len() as u32).to_ne_bytes())?;
        guard.write_at(4, message.as_bytes())?;
    } // the guard is given back here
    println!("wrote: {message}");
    // The region stays when its creator closes it and ends, until somebody unlinks it.
    region.close()
}

fn read(name: &str) -> Result<()> {
    let region = Region::open(name)?;
    let message = {
        let guard = region.lock()?;
        let mut len = [0; 4];
        guard.read_at(0, &mut len)?;
        // Another process wrote this number: it is checked before it becomes a size.
        let len = (u32::from_ne_bytes(len) as usize).min(region.len() - 4);
        let mut message = vec![0; len];
        guard.read_at(4, &mut message)?;
        message
    };
    println!("read: {}", String::from_utf8_lossy(&message));
    Region::unlink(name)?;
    println!("unlinked");
    Ok(())
}
