//! The Rust worker of the word count: see README.md in this folder for what the workers share.
//!
//!     wordcount CORPUS REGION [--doomed]     take part
//!     wordcount mapped CORPUS                count alone, through a mapping
//!     wordcount stdin                        count alone, what comes through a pipe

use std::io::Read;
use std::time::Duration;

use shmkit::{LockError, Mapping, Region, RegionGuard, Result};

const ME: u64 = 1;
const WORKERS: u64 = 4;

const CHUNK_COUNT: usize = 0;
const CHUNK_SIZE: usize = 8;
const ACTIVE: usize = 16;
const CURSOR: usize = 24;
const INSIDE: usize = 32;
const READY: usize = 40;
const WAITING: usize = 48;
const GIVEN_BACK: usize = 56;
const GIVEN_BACK_BY: usize = 64;
const TAKEN: usize = 4096;
const RESULTS: usize = 32768;
const RESULT_LEN: usize = 32768;
const BY_WORKER: usize = 24;
const BY_LENGTH: usize = 64;
const DONE: usize = 4096;

/// What one chunk holds.
#[derive(Default)]
struct Counts {
    words: u64,
    lines: u64,
    by_length: [u64; 32],
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Counts the words that begin between `start` and `end`, and the lines that end there.
fn count(text: &[u8], start: usize, end: usize) -> Counts {
    let mut counts = Counts::default();
    let mut at = start;
    if start > 0 && is_word(text[start - 1]) {
        while at < end && is_word(text[at]) {
            at += 1;
        }
    }
    while at < end {
        if is_word(text[at]) {
            let len = text[at..].iter().take_while(|byte| is_word(**byte)).count();
            counts.words += 1;
            counts.by_length[len.min(32) - 1] += 1;
            at += len;
        } else {
            at += 1;
        }
    }
    counts.lines = text[start..end].iter().filter(|byte| **byte == b'\n').count() as u64;
    counts
}

fn get(region: &Region, offset: usize) -> Result<u64> {
    let mut bytes = [0; 8];
    region.read_at(offset, &mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

fn put(region: &Region, offset: usize, value: u64) -> Result<()> {
    region.write_at(offset, &value.to_ne_bytes())
}

fn add(region: &Region, offset: usize, more: u64) -> Result<()> {
    put(region, offset, get(region, offset)? + more)
}

fn byte(region: &Region, offset: usize) -> Result<u8> {
    let mut byte = [0];
    region.read_at(offset, &mut byte)?;
    Ok(byte[0])
}

/// Takes the guard. If its last owner died, frees the chunk that it was merging first.
fn lock(region: &Region) -> Result<RegionGuard<'_>> {
    let mut guard = match region.lock() {
        Ok(guard) => return Ok(guard),
        Err(LockError::OwnerDied(guard)) => guard,
        Err(LockError::Failed(error)) => return Err(error),
    };
    let dead = get(&guard, INSIDE)?;
    let done = RESULTS + get(&guard, ACTIVE)? as usize * RESULT_LEN + DONE;
    for chunk in 0..get(&guard, CHUNK_COUNT)? as usize {
        if dead != 0 && u64::from(byte(&guard, TAKEN + chunk)?) == dead && byte(&guard, done + chunk)? == 0 {
            guard.write_at(TAKEN + chunk, &[0])?;
            put(&guard, CURSOR, get(&guard, CURSOR)?.min(chunk as u64))?;
            add(&guard, GIVEN_BACK, 1)?;
            put(&guard, GIVEN_BACK_BY, ME)?;
        }
    }
    put(&guard, INSIDE, 0)?;
    guard.make_consistent()?;
    Ok(guard)
}

/// The next free chunk; `None` when there is none at the moment, and whether all are done.
fn take_chunk(region: &Region) -> Result<(Option<usize>, bool)> {
    let guard = lock(region)?;
    let chunk_count = get(&guard, CHUNK_COUNT)? as usize;
    let mut chunk = get(&guard, CURSOR)? as usize;
    while chunk < chunk_count && byte(&guard, TAKEN + chunk)? != 0 {
        chunk += 1;
    }
    put(&guard, CURSOR, chunk as u64)?;
    if chunk < chunk_count {
        guard.write_at(TAKEN + chunk, &[ME as u8])?;
        return Ok((Some(chunk), false));
    }
    let block = RESULTS + get(&guard, ACTIVE)? as usize * RESULT_LEN;
    Ok((None, get(&guard, block + 16)? == chunk_count as u64))
}

/// Adds a chunk's counts to the results; the store to `active` is what makes them count.
fn merge(region: &Region, chunk: usize, counts: &Counts, doomed: bool) -> Result<()> {
    let guard = lock(region)?;
    put(&guard, INSIDE, ME)?;
    let active = get(&guard, ACTIVE)? as usize;
    let (old, new) = (RESULTS + active * RESULT_LEN, RESULTS + (1 - active) * RESULT_LEN);
    let mut block = vec![0; RESULT_LEN];
    guard.read_at(old, &mut block)?;
    guard.write_at(new, &block)?;
    add(&guard, new, counts.words)?;
    if doomed {
        put(&guard, WAITING, 1)?;
        std::thread::sleep(Duration::from_secs(60));
    }
    add(&guard, new + 8, counts.lines)?;
    add(&guard, new + 16, 1)?;
    add(&guard, new + BY_WORKER + (ME as usize - 1) * 8, 1)?;
    for (index, words) in counts.by_length.iter().enumerate() {
        add(&guard, new + BY_LENGTH + index * 8, *words)?;
    }
    guard.write_at(new + DONE + chunk, &[1])?;
    put(&guard, ACTIVE, 1 - active as u64)?;
    put(&guard, INSIDE, 0)
}

fn work(text: &[u8], region: &Region, doomed: bool) -> Result<()> {
    let chunk_size = {
        let guard = lock(region)?;
        add(&guard, READY, 1)?;
        get(&guard, CHUNK_SIZE)? as usize
    };
    while get(region, READY)? < WORKERS {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut taken = 0;
    loop {
        match take_chunk(region)? {
            (Some(chunk), _) => {
                taken += 1;
                let start = chunk * chunk_size;
                let counts = count(text, start, text.len().min(start + chunk_size));
                merge(region, chunk, &counts, doomed && taken == 3)?;
            }
            (None, true) => return Ok(()),
            (None, false) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn count_stdin() -> std::io::Result<Counts> {
    let (mut total, mut buffer, mut kept) = (Counts::default(), vec![0; 1 << 16], 0);
    loop {
        // The last byte of the previous piece stays in front, so that a word cut in two counts once.
        let got = std::io::stdin().read(&mut buffer[kept..])?;
        if got == 0 {
            return Ok(total);
        }
        let counts = count(&buffer[..kept + got], kept, kept + got);
        total.words += counts.words;
        total.lines += counts.lines;
        buffer[0] = buffer[kept + got - 1];
        kept = 1;
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["stdin"] = arguments[..] {
        let counts = count_stdin()?;
        println!("{} {}", counts.words, counts.lines);
        return Ok(());
    }
    let [first, second, ref flags @ ..] = arguments[..] else {
        return Err("usage: wordcount CORPUS REGION [--doomed] | mapped CORPUS | stdin".into());
    };
    let corpus = Mapping::open(if first == "mapped" { second } else { first })?;
    let view = corpus.view()?;
    // SAFETY: nobody writes the corpus while it is counted.
    let text = unsafe { view.as_slice() };
    if first == "mapped" {
        let counts = count(text, 0, text.len());
        println!("{} {}", counts.words, counts.lines);
    } else {
        work(text, &Region::open(second)?, flags.contains(&"--doomed"))?;
    }
    Ok(())
}
