//! Reading a large file at random: a mapping for each read, beside windows that are mapped once and used again.
//!
//! ```text
//! main data.bin 256     makes a sparse file of 256 MiB (or takes the one that is there) and reads it both ways
//! ```
//!
//! Each mmap and munmap is a system call that changes the page table; each first touch of a page is a fault; and other
//! processors must be told to forget what was unmapped. A window cache pays that once for each window.

use std::fs::File;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use shmkit::{Error, MapOptions, Usage, WindowCache};

const BLOCK: usize = 4096;
const READS: u64 = 20_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let (path, mib) = match &arguments[..] {
        [_, path, mib] => (path, mib.parse::<u64>().unwrap_or(0)),
        _ => (&arguments[0], 0),
    };
    if !(1..=1 << 20).contains(&mib) {
        eprintln!("usage: windows PATH MIB");
        return ExitCode::from(2);
    }
    match run(path, mib << 20) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("windows: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(path: &str, len: u64) -> shmkit::Result<()> {
    let file = make_file(path, len)?;
    println!("{} MiB, {READS} reads of {BLOCK} bytes at random", len >> 20);
    println!("{:18} {:>7} {:>7} {:>7} {:>9} {:>10}", "", "mmap", "munmap", "faults", "ms", "in kernel");

    let mut block = [0; BLOCK];
    // The first round brings the file into memory, so that both ways find it there.
    for turn in 0..2 {
        let (used, time) = work(len, |offset| {
            let mapping = MapOptions::new().offset(offset).len(BLOCK).map_file(&file)?;
            mapping.read_at(0, &mut block)
        })?;
        if turn == 1 {
            row("a map for each", READS, READS, &used, time);
        }
    }

    let cache = WindowCache::open(path)?;
    let (used, time) = work(len, |offset| cache.read_at(offset, &mut block))?;
    let stats = cache.stats();
    row("windows, reused", stats.maps, 0, &used, time);
    println!(
        "{} of {READS} reads found their window mapped; {} gave their place",
        stats.hits, stats.evictions
    );
    Ok(())
}

/// A file of holes is as good as any: the page cache holds zeros for them.
fn make_file(path: &str, len: u64) -> shmkit::Result<File> {
    let told =
        |error: std::io::Error| Error::from_errno(error.raw_os_error().unwrap_or(0), "make file", path);
    let file =
        File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(told)?;
    if file.metadata().map_err(told)?.len() < len {
        file.set_len(len).map_err(told)?;
    }
    Ok(file)
}

/// Reads blocks at random, the same in every language, and says what that cost.
fn work(len: u64, mut read: impl FnMut(u64) -> shmkit::Result<()>) -> shmkit::Result<(Usage, Duration)> {
    let mut random = 1u64;
    let start = Instant::now();
    let (done, used) = Usage::count(|| {
        (0..READS).try_for_each(|_| {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            read((random >> 33) % (len / BLOCK as u64) * BLOCK as u64)
        })
    })?;
    done.map(|()| (used, start.elapsed()))
}

fn row(name: &str, maps: u64, unmaps: u64, used: &Usage, time: Duration) {
    let faults = used.minor_faults + used.major_faults;
    let share = used.kernel_ns as f64 * 100.0 / (used.user_ns + used.kernel_ns).max(1) as f64;
    let ms = time.as_secs_f64() * 1e3;
    println!("{name:18} {maps:7} {unmaps:7} {faults:7} {ms:9.1} {share:8.0} %");
}
