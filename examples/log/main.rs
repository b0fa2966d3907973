//! The log: several programs append to it at once, one of them is killed while it writes a record, and one follows.
//!
//! The same in all languages, and all may use the same log:
//!
//! - `log write DIRECTORY WRITER COUNT` appends so many records of the kind WRITER;
//! - `log claim DIRECTORY` begins a record, and waits to be killed;
//! - `log follow DIRECTORY WRITERS COUNT` reads as long as there are records to come: so many of each writer, from 1 on;
//! - `log time DIRECTORY` says what an append costs under each flush policy, in logs of its own.

use std::time::{Duration, Instant};

use shmkit::{Durability, Log, LogOptions, ReadFrom};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn write(directory: &str, writer: u32, count: u32) -> Outcome {
    let log = Log::open_or_create(directory)?;
    for number in 0..count {
        log.append(writer, format!("writer {writer}, record {number}").as_bytes())?;
    }
    println!("writer {writer} appended {count} records");
    Ok(())
}

fn claim(directory: &str) -> Outcome {
    let log = Log::open_or_create(directory)?;
    let record = log.reserve(0, 100)?;
    record.bytes().write_at(0, b"half a rec")?;
    println!("claimed");
    loop {
        std::thread::park();
    }
}

fn follow(directory: &str, writers: u32, count: u32) -> Outcome {
    let log = Log::open_or_create(directory)?;
    let mut reader = log.reader(ReadFrom::Start)?;
    let mut next = vec![0; writers as usize + 1];
    for _ in 0..writers * count {
        // Waits behind a record that somebody writes; if that one is killed, it goes on.
        let record = reader.read_timeout(Duration::from_secs(30))?;
        let writer = record.kind();
        let expected = format!("writer {writer}, record {}", next[writer as usize]);
        if record.to_vec() != expected.as_bytes() {
            return Err(format!("not {expected}: {record:?}").into());
        }
        next[writer as usize] += 1;
    }
    println!("read {} records, each once and in order; skipped {}", writers * count, reader.skipped());
    Ok(())
}

fn time(directory: &str) -> Outcome {
    let policies = [
        ("none", Durability::None, 100_000),
        ("interval", Durability::Interval(Duration::from_millis(50)), 100_000),
        ("bytes", Durability::Bytes(1 << 20), 100_000),
        ("group", Durability::Group, 200),
        ("every", Durability::Every, 200),
    ];
    for (name, durability, count) in policies {
        let log = LogOptions::new().durability(durability).create(format!("{directory}.{name}"))?;
        let begun = Instant::now();
        for _ in 0..count {
            log.append(0, &[b'x'; 100])?;
        }
        let each_ns = begun.elapsed().as_nanos() / count;
        log.close()?;
        println!("{name}: {each_ns} ns a record, {} flushes", log.status()?.flushes);
    }
    Ok(())
}

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", directory, writer, count] => write(directory, writer.parse()?, count.parse()?),
        ["claim", directory] => claim(directory),
        ["follow", directory, writers, count] => follow(directory, writers.parse()?, count.parse()?),
        ["time", directory] => time(directory),
        _ => Err("write DIRECTORY WRITER COUNT | claim DIRECTORY | follow DIRECTORY WRITERS COUNT | time DIRECTORY".into()),
    }
}
