//! Readings: a small struct that one process writes and any number read, in any language: nobody sees a half of one.
//!
//! ```text
//! main station write 1000   writes so many readings, one after the other; kill it, and the last whole one stays
//! main station watch 1000   reads until somebody wrote that many, and checks that each is whole
//! main station limit 40     sets a number beside them
//! main station show         says which reading is the last, and the number
//! main station remove       removes the region
//! ```
//!
//! Readers wait for nobody, and a writer that is killed in the middle of a reading leaves the one before.

use std::process::ExitCode;
use std::time::Duration;

use bytemuck::{Pod, Zeroable};
use shmkit::{ObjectMode, Region, Result, Value, ValueType};

/// What seven sensors said: here each of them says the reading's number.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Reading {
    number: u64,
    sensors: [f64; 7],
}

impl ValueType for Reading {
    fn format() -> String {
        "Q7d".into() // so that other languages know it
    }
}

impl Reading {
    fn is_whole(&self) -> bool {
        self.sensors.iter().all(|said| *said == self.number as f64)
    }

    fn following(self) -> Reading {
        let number = self.number + 1;
        Reading { number, sensors: [number as f64; 7] }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, name, "show"] => show(name),
        [_, name, "remove"] => remove(name),
        [_, name, what @ ("write" | "watch" | "limit"), number] => match (what, number.parse()) {
            ("write", Ok(count)) => write(name, count),
            ("watch", Ok(count)) => watch(name, count),
            (_, Ok(number)) => limit(name, number as u32),
            (_, Err(_)) => return usage(),
        },
        _ => return usage(),
    };
    if let Err(error) = result {
        eprintln!("value: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: value NAME write COUNT|watch COUNT|limit NUMBER|show|remove");
    ExitCode::from(2)
}

fn values_of(region: &Region) -> Result<(Value<Reading>, Value<u32>)> {
    Ok((region.value("reading", Reading::zeroed())?, region.value("limit", 30)?))
}

fn open(name: &str) -> Result<(Value<Reading>, Value<u32>)> {
    // Both stay open when the region's own handle goes.
    values_of(&Region::open_or_create(name, 4096)?)
}

fn write(name: &str, count: u64) -> Result<()> {
    let (reading, _) = open(name)?;
    for _ in 0..count {
        reading.update(Reading::following)?;
    }
    println!("wrote {count} readings");
    Ok(())
}

fn watch(name: &str, count: u64) -> Result<()> {
    let (reading, _) = open(name)?;
    let mut torn = 0;
    loop {
        let now = reading.load()?;
        torn += u32::from(!now.is_whole());
        if now.number >= count {
            break;
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    println!("watched up to {count}, {torn} torn");
    Ok(())
}

fn limit(name: &str, number: u32) -> Result<()> {
    let (_, limit) = open(name)?;
    limit.store(number)?;
    println!("limit {number}");
    Ok(())
}

fn show(name: &str) -> Result<()> {
    // They must be there: nothing is created.
    let (reading, limit) = values_of(&Region::open(name)?.with_mode(ObjectMode::Find)?)?;
    let now = reading.load()?;
    let state = if now.is_whole() { "whole" } else { "torn" };
    println!("reading {}, {state}, limit {}", now.number, limit.load()?);
    Ok(())
}

fn remove(name: &str) -> Result<()> {
    Region::unlink(name)?;
    println!("unlinked");
    Ok(())
}
