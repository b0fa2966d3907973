//! Counters: any number of processes, in any language, count together in one region, and lose nothing when one is killed.
//!
//! ```text
//! main counters 100000     adds to three counters, so many times; start it as often as you like at the same time
//! main counters show       says what they are
//! main counters remove     removes the region
//! ```
//!
//! The first is an atomic number, the second a plain one under a mutex, the third a plain one under a reader-writer lock.

use std::process::ExitCode;

use shmkit::{LockError, Region, Result};

/// Where the plain numbers are in the region, each a `u64` in the machine's byte order.
const UNDER_MUTEX: usize = 0;
const UNDER_RWLOCK: usize = 8;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, name, "show"] => show(name),
        [_, name, "remove"] => remove(name),
        [_, name, count] => match count.parse() {
            Ok(count) => add(name, count),
            Err(_) => return usage(),
        },
        _ => return usage(),
    };
    if let Err(error) = result {
        eprintln!("counter: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: counter NAME COUNT|show|remove");
    ExitCode::from(2)
}

fn add(name: &str, count: u64) -> Result<()> {
    let region = Region::open_or_create(name, 4096)?;
    // Each object is found by its name, or created by the process that comes first.
    let (total, totals, table) =
        (region.atomic_u64("total", 0)?, region.mutex("totals")?, region.rwlock("table")?);
    for _ in 0..count {
        total.add(1);
        {
            let mut guard = totals.lock().or_else(LockError::into_guard)?;
            if guard.owner_died() {
                // The lock is held even so. A number that is written at once is whole: there is nothing to repair.
                guard.make_consistent()?;
            }
            add_one(&region, UNDER_MUTEX)?;
        } // the mutex is given back here
        let mut guard = table.write().or_else(LockError::into_guard)?;
        if guard.owner_died() {
            guard.make_consistent()?;
        }
        add_one(&region, UNDER_RWLOCK)?;
    }
    println!("added {count} three times");
    Ok(())
}

fn add_one(region: &Region, offset: usize) -> Result<()> {
    region.write_at(offset, &(number(region, offset)? + 1).to_ne_bytes())
}

fn number(region: &Region, offset: usize) -> Result<u64> {
    let mut bytes = [0; 8];
    region.read_at(offset, &mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

/// Reads without the locks: each number is read at once, and nobody has to wait for us.
fn show(name: &str) -> Result<()> {
    let region = Region::open(name)?;
    let total = region.atomic_u64("total", 0)?.load();
    let (mutex, rwlock) = (number(&region, UNDER_MUTEX)?, number(&region, UNDER_RWLOCK)?);
    println!("atomic {total}, mutex {mutex}, rwlock {rwlock}");
    Ok(())
}

fn remove(name: &str) -> Result<()> {
    Region::unlink(name)?;
    println!("unlinked");
    Ok(())
}
