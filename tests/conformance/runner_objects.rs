//! The runner's operations on named objects.

use std::fmt::Display;
use std::time::Duration;

use shmkit::{
    Acquired, Atomic, AtomicValue, Barrier, Condvar, Event, EventReset, Heap, Mutex, Notified, Pool, Region,
    RwLock, Semaphore, SemaphoreKind, SemaphoreOptions, Wait,
};

use crate::runner_value::AnyValue;
use crate::{Command, Outcome, done, refuse, runner_heap, runner_pool};

/// A named object that a handle's name stands for.
pub enum Named {
    Mutex(Mutex),
    RwLock(RwLock),
    Semaphore(Semaphore),
    Condvar(Condvar),
    Event(Event),
    Barrier(Barrier),
    AtomicU32(Atomic<u32>),
    AtomicU64(Atomic<u64>),
    AtomicI64(Atomic<i64>),
    Heap(Box<Heap>),
    Pool(Box<Pool>),
    Value(Box<AnyValue>),
}

impl Named {
    /// Opens the object that the command names, or creates it.
    pub fn open(region: &Region, command: &Command) -> Outcome<Named> {
        let name = command.text("name")?;
        let named = match command.op.as_str() {
            "mutex_open" => Named::Mutex(region.mutex(name)?),
            "rwlock_open" => Named::RwLock(region.rwlock(name)?),
            "semaphore_open" => Named::Semaphore(region.semaphore(name, semaphore_options(command)?)?),
            "condvar_open" => Named::Condvar(region.condvar(name)?),
            "event_open" => {
                let automatic = command.flag("automatic");
                let reset = if automatic { EventReset::Automatic } else { EventReset::Manual };
                Named::Event(region.event(name, reset)?)
            }
            "barrier_open" => Named::Barrier(region.barrier(name, small(command, "parties")?)?),
            "heap_open" => Named::Heap(Box::new(runner_heap::open(region, name, command)?)),
            "pool_open" => Named::Pool(Box::new(runner_pool::open(region, name, command)?)),
            "value_open" => Named::Value(Box::new(AnyValue::open(region, name, command)?)),
            _ => open_atomic(region, name, command)?,
        };
        Ok(named)
    }

    /// Does what the command says with this object and, if it takes two, with the other.
    pub fn run(&self, command: &Command, other: Option<&Named>) -> Outcome<String> {
        if command.op == "close" {
            return done(self.close());
        }
        match self {
            Named::Mutex(mutex) => run_lock(mutex, command),
            Named::RwLock(lock) => run_rwlock(lock, command),
            Named::Semaphore(semaphore) => run_semaphore(semaphore, command),
            Named::Condvar(condvar) => run_condvar(condvar, command, other),
            Named::Event(event) => run_event(event, command),
            Named::Barrier(barrier) => run_barrier(barrier, command),
            Named::AtomicU32(atomic) => run_atomic(atomic, command, |number| number as u32),
            Named::AtomicU64(atomic) => run_atomic(atomic, command, |number| number as u64),
            Named::AtomicI64(atomic) => run_atomic(atomic, command, |number| number as i64),
            Named::Heap(heap) => runner_heap::run(heap, command),
            Named::Pool(pool) => {
                let post = match other {
                    Some(Named::AtomicU64(post)) => Some(post),
                    _ => None,
                };
                runner_pool::run(pool, command, post)
            }
            Named::Value(value) => value.run(command),
        }
    }

    fn close(&self) -> shmkit::Result<()> {
        match self {
            Named::Mutex(mutex) => mutex.close(),
            Named::RwLock(lock) => lock.close(),
            Named::Semaphore(semaphore) => semaphore.close(),
            Named::Condvar(condvar) => condvar.close(),
            Named::Event(event) => event.close(),
            Named::Barrier(barrier) => barrier.close(),
            Named::AtomicU32(atomic) => atomic.close(),
            Named::AtomicU64(atomic) => atomic.close(),
            Named::AtomicI64(atomic) => atomic.close(),
            Named::Heap(heap) => heap.close(),
            Named::Pool(pool) => pool.close(),
            Named::Value(value) => value.close(),
        }
    }
}

fn semaphore_options(command: &Command) -> Outcome<SemaphoreOptions> {
    let tracked = command.flag("tracked");
    let kind = if tracked { SemaphoreKind::Tracked } else { SemaphoreKind::Signalling };
    let options = SemaphoreOptions::new(small(command, "initial")?).kind(kind);
    Ok(if command.optional("max").is_some() { options.max(small(command, "max")?) } else { options })
}

fn open_atomic(region: &Region, name: &str, command: &Command) -> Outcome<Named> {
    let initial = if command.optional("initial").is_some() { signed(command, "initial")? } else { 0 };
    match command.text("type")? {
        "u32" => Ok(Named::AtomicU32(region.atomic_u32(name, initial as u32)?)),
        "u64" => Ok(Named::AtomicU64(region.atomic_u64(name, initial as u64)?)),
        "i64" => Ok(Named::AtomicI64(region.atomic_i64(name, initial as i64)?)),
        other => refuse(format!("type={other}")),
    }
}

fn small(command: &Command, key: &str) -> Outcome<u32> {
    Ok(u32::try_from(command.number(key)?).unwrap_or(u32::MAX))
}

/// A number of any atomic's type.
fn signed(command: &Command, key: &str) -> Outcome<i128> {
    let text = command.text(key)?;
    text.parse().or_else(|_| refuse(format!("{key}={text} is no number")))
}

fn limit(command: &Command) -> Outcome<Wait> {
    let timeout = command.optional_number("timeout_ms")?.map(Duration::from_millis);
    Ok(timeout.map_or(Wait::FOREVER, Wait::timeout))
}

/// A lock that one at a time holds. The forms without a guard object: here a lock outlives the command that took it.
pub trait Lock {
    fn take(&self, wait: &Wait) -> shmkit::Result<Acquired>;
    fn try_take(&self) -> shmkit::Result<Option<Acquired>>;
    fn give_back(&self) -> shmkit::Result<()>;
    fn repair(&self) -> shmkit::Result<()>;
}

macro_rules! lock {
    ($type:ty, $take:ident, $try_take:ident, $give_back:ident) => {
        impl Lock for $type {
            fn take(&self, wait: &Wait) -> shmkit::Result<Acquired> {
                self.$take(wait)
            }
            fn try_take(&self) -> shmkit::Result<Option<Acquired>> {
                self.$try_take()
            }
            fn give_back(&self) -> shmkit::Result<()> {
                self.$give_back()
            }
            fn repair(&self) -> shmkit::Result<()> {
                self.make_consistent()
            }
        }
    };
}

lock!(Region, acquire, try_acquire, release);
lock!(Mutex, acquire, try_acquire, release);
lock!(RwLock, acquire_write, try_acquire_write, release_write);

fn taken(acquired: Acquired) -> String {
    format!(" owner_died={}", u8::from(acquired == Acquired::OwnerDied))
}

fn tried(acquired: Option<Acquired>) -> String {
    let died = acquired == Some(Acquired::OwnerDied);
    format!(" locked={} owner_died={}", u8::from(acquired.is_some()), u8::from(died))
}

pub fn run_lock(lock: &impl Lock, command: &Command) -> Outcome<String> {
    match command.op.as_str() {
        "lock" | "write_lock" => Ok(taken(lock.take(&limit(command)?)?)),
        "try_lock" | "try_write_lock" => Ok(tried(lock.try_take()?)),
        "unlock" | "write_unlock" => done(lock.give_back()),
        "make_consistent" => done(lock.repair()),
        _ => unknown(command),
    }
}

fn run_rwlock(lock: &RwLock, command: &Command) -> Outcome<String> {
    match command.op.as_str() {
        "read_lock" => Ok(taken(lock.acquire_read(&limit(command)?)?)),
        "try_read_lock" => Ok(tried(lock.try_acquire_read()?)),
        "read_unlock" => done(lock.release_read()),
        _ => run_lock(lock, command),
    }
}

/// Adds one to the number at the offset while the guard lives; the guards' types differ, their methods do not.
macro_rules! add_under {
    ($locked:expr, $region:expr, $offset:expr) => {{
        let mut guard = $locked.or_else(|error| error.into_guard())?;
        if guard.owner_died() {
            guard.make_consistent()?;
        }
        let mut bytes = [0; 8];
        $region.read_at($offset, &mut bytes)?;
        let sum = u64::from_ne_bytes(bytes).wrapping_add(1);
        $region.write_at($offset, &sum.to_ne_bytes())?;
    }};
}

/// Adds to a number in the region, so many times, under its guard or the lock that the command names.
pub fn add(region: &Region, command: &Command, lock: Option<&Named>) -> Outcome<String> {
    let offset = command.number("offset")? as usize;
    for _ in 0..command.number("count")? {
        match (command.op.as_str(), lock) {
            ("add", None) => add_under!(region.lock(), region, offset),
            ("add", Some(Named::Mutex(mutex))) => add_under!(mutex.lock(), region, offset),
            ("rw_add", Some(Named::RwLock(lock))) => add_under!(lock.write(), region, offset),
            (op, _) => return refuse(format!("{op} needs another lock")),
        }
    }
    Ok(String::new())
}

fn run_semaphore(semaphore: &Semaphore, command: &Command) -> Outcome<String> {
    match command.op.as_str() {
        "acquire" => done(semaphore.acquire(&limit(command)?)),
        "try_acquire" => Ok(format!(" acquired={}", u8::from(semaphore.try_acquire()?))),
        "release" => {
            let count = if command.optional("count").is_some() { small(command, "count")? } else { 1 };
            done(semaphore.release(count))
        }
        "available" => Ok(format!(" count={}", semaphore.available())),
        _ => unknown(command),
    }
}

fn run_condvar(condvar: &Condvar, command: &Command, mutex: Option<&Named>) -> Outcome<String> {
    match command.op.as_str() {
        "cond_wait" => {
            let Some(Named::Mutex(mutex)) = mutex else { return refuse("cond_wait needs a mutex") };
            let (acquired, notified) = condvar.wait_raw(mutex, &limit(command)?)?;
            Ok(format!(" notified={}{}", u8::from(notified == Notified::Yes), taken(acquired)))
        }
        "notify_one" => done(condvar.notify_one()),
        "notify_all" => done(condvar.notify_all()),
        _ => unknown(command),
    }
}

fn run_event(event: &Event, command: &Command) -> Outcome<String> {
    match command.op.as_str() {
        "event_set" => done(event.set()),
        "event_reset" => done(event.reset()),
        "event_wait" => done(event.wait(&limit(command)?)),
        "event_is_set" => Ok(format!(" set={}", u8::from(event.is_set()))),
        _ => unknown(command),
    }
}

fn run_barrier(barrier: &Barrier, command: &Command) -> Outcome<String> {
    match command.op.as_str() {
        "barrier_wait" => {
            let passed = barrier.wait(&limit(command)?)?;
            Ok(format!(" leader={}", u8::from(passed.leader)))
        }
        "barrier_reset" => done(barrier.reset()),
        "barrier_abort" => done(barrier.abort()),
        "barrier_info" => Ok(format!(
            " broken={} waiting={} parties={}",
            u8::from(barrier.is_broken()),
            barrier.waiting(),
            barrier.parties()
        )),
        _ => unknown(command),
    }
}

fn run_atomic<T: AtomicValue + Display>(
    atomic: &Atomic<T>,
    command: &Command,
    typed: impl Fn(i128) -> T,
) -> Outcome<String> {
    let value = |key| signed(command, key).map(&typed);
    match command.op.as_str() {
        "atomic_load" => Ok(format!(" value={}", atomic.load())),
        "atomic_store" => {
            atomic.store(value("value")?);
            Ok(String::new())
        }
        "atomic_add" => Ok(format!(" old={}", atomic.add(value("value")?))),
        "atomic_cas" => {
            let swapped = atomic.compare_exchange(value("current")?, value("new")?);
            let (Ok(old) | Err(old)) = swapped;
            Ok(format!(" old={old} swapped={}", u8::from(swapped.is_ok())))
        }
        "atomic_wait" => done(atomic.wait(value("value")?, &limit(command)?)),
        "atomic_notify" => {
            atomic.notify_all();
            Ok(String::new())
        }
        "atomic_add_many" => {
            for _ in 0..command.number("count")? {
                atomic.add(typed(1));
            }
            Ok(String::new())
        }
        _ => unknown(command),
    }
}

fn unknown(command: &Command) -> Outcome<String> {
    refuse(format!("unknown operation {}", command.op))
}
