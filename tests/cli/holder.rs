//! A process that holds what the tests of the command want to see: `cli-holder NAME STEP…`.
//!
//! It opens the region (or creates it, if the first step is `create=BYTES`) and does each step, which is `what=object` or
//! `what`. One that begins with `later-` runs in a thread of its own, because it blocks. Then it says `ready`, and holds
//! everything until its input ends or it is killed.

use std::error::Error;
use std::io::Read;

use shmkit::{EventReset, PoolOptions, Region, SemaphoreKind, SemaphoreOptions, Wait};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1).peekable();
    let name = arguments.next().ok_or("no name")?;
    let region = match arguments.next_if(|step| step.starts_with("create=")) {
        Some(step) => Region::create(name, step["create=".len()..].parse()?)?,
        None => Region::open(name)?,
    };
    let region: &'static Region = Box::leak(Box::new(region));
    for step in arguments {
        let (what, name) = step.split_once('=').unwrap_or((&step, ""));
        if let Some(what) = what.strip_prefix("later-") {
            let (what, name) = (what.to_owned(), name.to_owned());
            std::thread::spawn(move || hold(region, &what, &name));
        } else {
            hold(region, what, name)?;
        }
    }
    println!("ready");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    // Detaches whoever holds nothing. The others go as a process goes that forgets to.
    let _ = region.close();
    std::process::exit(0)
}

/// Takes something and keeps it: what has a guard is acquired without one.
fn hold(region: &Region, what: &str, name: &str) -> Outcome {
    let forever = Wait::forever();
    match what {
        "guard" => drop(region.acquire(&forever)?),
        "mutex" => keep(region.mutex(name)?, |mutex| mutex.acquire(&forever).map(drop))?,
        "read" => keep(region.rwlock(name)?, |lock| lock.acquire_read(&forever).map(drop))?,
        "write" => keep(region.rwlock(name)?, |lock| lock.acquire_write(&forever).map(drop))?,
        "permit" => {
            let options = SemaphoreOptions::new(3).kind(SemaphoreKind::Tracked);
            keep(region.semaphore(name, options)?, |semaphore| semaphore.acquire(&forever))?;
        }
        "signals" => keep(region.semaphore(name, SemaphoreOptions::new(2))?, |_| Ok(()))?,
        "event" => keep(region.event(name, EventReset::Manual)?, |event| event.set())?,
        "condvar" => keep(region.condvar(name)?, |_| Ok(()))?,
        "barrier" => keep(region.barrier(name, 3)?, |barrier| barrier.wait(&forever).map(drop))?,
        "pool" => keep(region.pool(name, PoolOptions::new(64, 4))?, |pool| pool.take(&forever).map(drop))?,
        "value" => keep(region.value(name, 1.5f64)?, |_| Ok(()))?,
        "atomic" => keep(region.atomic_i64(name, -7)?, |_| Ok(()))?,
        _ => return Err(format!("no step {what}").into()),
    }
    Ok(())
}

/// Uses an object and leaves it open.
fn keep<T>(object: T, using: impl FnOnce(&T) -> shmkit::Result<()>) -> Outcome {
    let object = Box::leak(Box::new(object));
    Ok(using(object)?)
}
