//! System V shared memory under a System V semaphore: one process writes, another one reads, in any language, with or
//! without this library.
//!
//! ```text
//! main write KEY TEXT     P, write, V
//! main read KEY           P, read, V
//! main remove KEY
//! ```

use std::process::ExitCode;

use shmkit::{MapOptions, Protection, Result, SysvSegment, SysvSemaphore, Wait};

const LEN: usize = 4096;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let key = arguments.get(1).and_then(|key| key.parse().ok());
    let result = match (arguments.iter().map(String::as_str).collect::<Vec<_>>()[..].split_first(), key) {
        (Some((&"write", [_, text])), Some(key)) => write(key, text),
        (Some((&"read", [_])), Some(key)) => read(key),
        (Some((&"remove", [_])), Some(key)) => remove(key),
        _ => {
            eprintln!("usage: sysv write KEY TEXT | read KEY | remove KEY");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = result {
        eprintln!("sysv: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn write(key: i32, text: &str) -> Result<()> {
    // The semaphore first: who finds the segment finds what guards it.
    let semaphore = SysvSemaphore::open_or_create(key, 1)?;
    let segment = SysvSegment::open_or_create(key, LEN)?;
    let mapping = MapOptions::new().protection(Protection::ReadWrite).map_sysv(&segment)?;
    semaphore.acquire(1, &Wait::forever())?;
    let written = mapping.write_at(0, &[text.as_bytes(), b"\0"].concat());
    semaphore.release(1)?;
    written?;
    println!("wrote: {text}");
    Ok(())
}

fn read(key: i32) -> Result<()> {
    let mapping = MapOptions::new().map_sysv(&SysvSegment::open(key)?)?;
    let semaphore = SysvSemaphore::open(key)?;
    let mut bytes = [0; LEN];
    semaphore.acquire(1, &Wait::forever())?;
    let read = mapping.read_at(0, &mut bytes);
    semaphore.release(1)?;
    read?;
    let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(LEN);
    println!("read: {}", String::from_utf8_lossy(&bytes[..len]));
    Ok(())
}

fn remove(key: i32) -> Result<()> {
    SysvSegment::open(key)?.remove()?;
    SysvSemaphore::open(key)?.remove()?;
    println!("removed");
    Ok(())
}
