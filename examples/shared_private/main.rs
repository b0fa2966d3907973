//! One file, mapped three times: shared, private, and for reading. Who sees what is written?
//!
//! ```text
//! main data.bin
//! ```

use std::process::ExitCode;

use shmkit::{MapOptions, Mapping, Protection, Result, Sharing};

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: shared_private PATH");
        return ExitCode::from(2);
    };
    if let Err(error) = run(&path) {
        eprintln!("shared_private: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run(path: &str) -> Result<()> {
    let writable = MapOptions::new().protection(Protection::ReadWrite);
    let shared = writable.clone().create(true).len(4096).map_path(path)?;
    shared.write_at(0, b"first ")?;

    // Copy-on-write: a page becomes this mapping's own at its first write.
    let private = writable.sharing(Sharing::Private).map_path(path)?;
    let reader = Mapping::open(path)?;
    private.write_at(0, b"secret")?;
    println!("after a private write: {}", show(&shared, &private, &reader)?);
    shared.write_at(0, b"public")?;
    println!("after a shared write: {}", show(&shared, &private, &reader)?);

    let file = std::fs::read(path).unwrap_or_default();
    println!("the file holds: {}", String::from_utf8_lossy(&file[..6]));
    Ok(())
}

fn show(shared: &Mapping, private: &Mapping, reader: &Mapping) -> Result<String> {
    let text = |mapping: &Mapping| -> Result<String> {
        let mut bytes = [0; 6];
        mapping.read_at(0, &mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    };
    Ok(format!("shared {}, private {}, reader {}", text(shared)?, text(private)?, text(reader)?))
}
