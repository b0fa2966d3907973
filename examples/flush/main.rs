//! Carrying changes to the disk: what each way of flushing a mapped file promises, and what it costs.
//!
//! ```text
//! main data.bin     makes a file of 16 MiB, changes it through a mapping, and flushes it in each way
//! ```
//!
//! - `async` hands the pages to the kernel's write-back and returns: quick, and a power cut may still lose them.
//! - `sync` returns when they are on the disk, or tells what the device reported.
//! - `invalidate` also drops cached copies that differ from the file.
//!
//! Without any of them the kernel writes changes back in its own time: other processes see them at once, the disk later.

use std::process::ExitCode;
use std::time::Instant;

use shmkit::{Flush, MapOptions, Mapping, PageFlags, Protection};

const LEN: usize = 16 << 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, path] = &arguments[..] else {
        eprintln!("usage: flush PATH");
        return ExitCode::from(2);
    };
    match run(path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flush: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(path: &str) -> shmkit::Result<()> {
    let mapping = MapOptions::new().create(true).len(LEN).protection(Protection::ReadWrite).map_path(path)?;
    println!("a flush reaches a device: {}", if mapping.is_persistent() { "yes" } else { "no" });

    change(&mapping, 1)?;
    timed("async", || mapping.flush(.., Flush::Async))?;
    timed("sync", || mapping.flush(.., Flush::Sync))?;
    timed("sync again", || mapping.flush(.., Flush::Sync))?;
    change(&mapping, 2)?;
    timed("sync, one page", || mapping.flush(..mapping.page_size(), Flush::Sync))?;
    timed("invalidate", || mapping.flush_and_invalidate(.., Flush::Sync))?;

    let pages = mapping.residency(..)?;
    match pages.known().contains(PageFlags::DIRTY) {
        true => println!("pages not on the disk: {}", pages.counts().dirty),
        false => println!("pages not on the disk: unknown"),
    }
    Ok(())
}

/// Writes every page.
fn change(mapping: &Mapping, value: u8) -> shmkit::Result<()> {
    mapping.write_at(0, &vec![value; LEN])
}

fn timed(name: &str, flush: impl FnOnce() -> shmkit::Result<()>) -> shmkit::Result<()> {
    let start = Instant::now();
    flush()?;
    println!("{name:<14} {:9.3} ms", start.elapsed().as_secs_f64() * 1e3);
    Ok(())
}
