//! A file as memory: one process writes through a mapping, another one reads, in any language.
//!
//! ```text
//! main write data.bin     creates the file, maps it and writes `Hi` at offset 0
//! main read data.bin      maps the existing file for reading only
//! ```

use std::process::ExitCode;

use shmkit::{Flush, MapOptions, Mapping, Protection};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "write", path] => write(path),
        [_, "read", path] => read(path),
        _ => {
            eprintln!("usage: file_mapping write|read PATH");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = result {
        eprintln!("file_mapping: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn write(path: &str) -> shmkit::Result<()> {
    // Made when it is missing, with mode 0644, and at least 4096 bytes long; never cut short.
    let mapping =
        MapOptions::new().create(true).len(4096).protection(Protection::ReadWrite).map_path(path)?;
    mapping.write_at(0, b"Hi")?;
    // Others who map the file see the bytes already. This carries them to the disk.
    mapping.flush(.., Flush::Sync)?;
    println!("wrote 2 bytes to {path}");
    Ok(())
}

fn read(path: &str) -> shmkit::Result<()> {
    let mapping = Mapping::open(path)?;
    let mut bytes = [0; 2];
    mapping.read_at(0, &mut bytes)?;
    println!("read: {}", String::from_utf8_lossy(&bytes));
    Ok(())
}
