//! Frames: passed from process to process, in any language, without a copy.
//!
//! ```text
//! main frames produce 1000   fills so many frames in place and passes each on, to whoever takes it
//! main frames consume 1000   takes so many, checks that each is whole, and frees it
//! main frames hoard          takes every block there is and keeps them: kill it, and they come back
//! main frames show           says how many blocks are free
//! main frames remove         removes the region
//! ```
//!
//! What is passed on is a number, the handle of a published block; the bytes stay where they are. Start producers and consumers
//! as often as you like: as many consumed as produced, in all.

use std::process::ExitCode;

use shmkit::{Atomic, Pool, PoolBlock, PoolOptions, Region, Result, Wait};

const FRAME_LEN: usize = 4096;
const FRAMES: u32 = 8;
/// A frame begins with its number and the sum of the bytes that follow, 8 bytes each.
const HEADER_LEN: usize = 16;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, name, "hoard"] => hoard(name),
        [_, name, "show"] => show(name),
        [_, name, "remove"] => remove(name),
        [_, name, what @ ("produce" | "consume"), count] => match count.parse() {
            Ok(count) if what == "produce" => produce(name, count),
            Ok(count) => consume(name, count),
            Err(_) => return usage(),
        },
        _ => return usage(),
    };
    if let Err(error) = result {
        eprintln!("pool: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: pool NAME produce COUNT|consume COUNT|hoard|show|remove");
    ExitCode::from(2)
}

/// The blocks, and the place where a handle is left for whoever comes for it; 0 while it is empty.
fn open(name: &str) -> Result<(Pool, Atomic<u64>)> {
    let region = Region::open_or_create(name, 4096)?;
    // Both stay open when the region's own handle goes.
    Ok((region.pool("frames", PoolOptions::new(FRAME_LEN, FRAMES))?, region.atomic_u64("mailbox", 0)?))
}

fn sum(frame: &PoolBlock<'_>) -> Result<u64> {
    let mut bytes = [0; FRAME_LEN - HEADER_LEN];
    frame.read_at(HEADER_LEN, &mut bytes)?;
    Ok(bytes.iter().map(|byte| u64::from(*byte)).sum())
}

fn produce(name: &str, count: u64) -> Result<()> {
    let (pool, mailbox) = open(name)?;
    for number in 0..count {
        let frame = pool.allocate()?; // waits while all blocks are in use
        for at in HEADER_LEN..FRAME_LEN {
            frame.write_at(at, &[(number as usize + at) as u8])?;
        }
        frame.write_at(0, &number.to_ne_bytes())?;
        frame.write_at(8, &sum(&frame)?.to_ne_bytes())?;
        let handle = frame.publish()?; // from here it belongs to nobody
        while let Err(other) = mailbox.compare_exchange(0, handle) {
            mailbox.wait(other, &Wait::forever())?;
        }
        mailbox.notify_all();
    }
    println!("passed on {count} frames");
    Ok(())
}

fn consume(name: &str, count: u64) -> Result<()> {
    let (pool, mailbox) = open(name)?;
    let mut whole = 0;
    for _ in 0..count {
        let handle = loop {
            match mailbox.load() {
                0 => mailbox.wait(0, &Wait::forever())?,
                handle if mailbox.compare_exchange(handle, 0).is_ok() => break handle,
                _ => {} // somebody else was faster
            }
        };
        mailbox.notify_all();
        let frame = pool.adopt(handle)?;
        let mut stored = [0; 8];
        frame.read_at(8, &mut stored)?;
        whole += u64::from(sum(&frame)? == u64::from_ne_bytes(stored));
    } // each frame is freed here
    println!("took {count} frames, {whole} of them whole");
    Ok(())
}

fn hoard(name: &str) -> Result<()> {
    let (pool, _) = open(name)?;
    let mut frames = Vec::new();
    while let Some(frame) = pool.try_allocate()? {
        frames.push(frame);
    }
    println!("took {} blocks", frames.len());
    let _ = std::io::stdin().read_line(&mut String::new());
    Ok(())
}

fn show(name: &str) -> Result<()> {
    let pool = Region::open(name)?.find_pool("frames")?;
    let recovered = pool.recover()?;
    let status = pool.status();
    println!("{} of {} blocks free, {recovered} came back from the dead", status.free, status.total);
    Ok(())
}

fn remove(name: &str) -> Result<()> {
    Region::unlink(name)?;
    println!("unlinked");
    Ok(())
}
