//! A region that grows and shrinks while others use it; a mapping that grows with its file.
//!
//! ```text
//! main scratch data.bin     resizes the region `scratch` and a mapping of the file, and removes the region
//! ```

use std::process::ExitCode;

use shmkit::{MapOptions, Protection, Region, RegionOptions, Result};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [name, path] = &arguments[..] else {
        eprintln!("usage: resize NAME PATH");
        return ExitCode::from(2);
    };
    match run(name, path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("resize: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str, path: &str) -> Result<()> {
    // Address space for a mebibyte, storage for a page.
    let region = RegionOptions::new().capacity(1 << 20).create(name, 4096)?;
    let other = Region::open(name)?; // usually in another process, in any language
    region.write_at(0, b"kept")?;

    region.resize(1_000_000)?;
    other.write_at(999_999, b"!")?;
    println!("grown: {} bytes, the other sees {}", region.len(), other.len());

    region.resize(4096)?;
    let mut bytes = [0; 4];
    other.read_at(0, &mut bytes)?;
    println!("shrunk: {} bytes, {}", other.len(), String::from_utf8_lossy(&bytes));
    Region::unlink(name)?;

    let options = MapOptions::new().protection(Protection::ReadWrite).create(true).len(4096).reserve(1 << 20);
    let mapping = options.map_path(path)?;
    let view = mapping.view()?; // stays where it is
    mapping.resize(100_000)?;
    mapping.write_at(99_999, b"!")?;
    println!("the file has {} bytes, the view {}", mapping.len(), view.len());
    Ok(())
}
