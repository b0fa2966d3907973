//! Storms over what keeps processes apart: mutex, reader–writer lock, tracked semaphore.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::{BEGUN, COMPLETED, FIRST, KILLS, Ledger, TURNS, WORKERS, storm};
use crate::common::PATIENCE;
use shmkit::{Acquired, ErrorKind, Mutex, Region, RwLock, Semaphore, SemaphoreKind, SemaphoreOptions, Wait};

/// The guarded data: two numbers that differ only within a section.
fn numbers(region: &Region) -> [u64; 2] {
    let mut bytes = [0; 16];
    region.read_at(0, &mut bytes).unwrap();
    let number = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
    [number(0), number(8)]
}

/// One critical section: both numbers go up, one after the other.
fn section(region: &Region, ledger: &Ledger<'_>, worker: usize, acquired: Acquired) {
    ledger.count(worker, BEGUN);
    let [mut first, second] = numbers(region);
    if acquired == Acquired::OwnerDied {
        ledger.expect(first == second || first == second + 1);
        first = second;
    }
    ledger.expect(first == second);
    region.write_at(0, &(first + 1).to_ne_bytes()).unwrap();
    if first.is_multiple_of(8) {
        // So that deaths inside a section are not rare.
        std::thread::yield_now();
    }
    region.write_at(8, &(first + 1).to_ne_bytes()).unwrap();
    ledger.count(worker, FIRST);
    ledger.count(worker, COMPLETED);
}

/// No section was lost: a death between the numbers and the ledger makes the only difference.
fn expect_all_sections(region: &Region, ledger: &Ledger<'_>) {
    let [first, second] = numbers(region);
    let (sections, kills) = (ledger.total(FIRST), ledger.word(KILLS).load(SeqCst));
    assert!(first == second || first == second + 1, "{first}, {second}");
    assert!((sections..=sections + kills).contains(&second), "{second} for {sections}, {kills} kills");
}

/// A form of waiting of its own for each worker; a wait that runs out is `None`.
fn taken(result: shmkit::Result<Acquired>) -> Option<Acquired> {
    match result {
        Ok(acquired) => Some(acquired),
        Err(error) if error.kind() == ErrorKind::Timeout => None,
        Err(error) => panic!("{error}"),
    }
}

fn brief() -> Wait {
    Wait::timeout(Duration::from_micros(300))
}

fn take_mutex(mutex: &Mutex, worker: usize) -> Option<Acquired> {
    match worker {
        0 => mutex.try_acquire().unwrap(),
        1 => taken(mutex.acquire(&brief())),
        _ => taken(mutex.acquire(&Wait::FOREVER)),
    }
}

#[test]
fn mutex() {
    let work = |region: &Region, ledger: &Ledger<'_>, worker: usize| {
        let mutex = region.mutex("m").unwrap();
        for _ in 0..TURNS {
            let Some(acquired) = take_mutex(&mutex, worker) else { continue };
            section(region, ledger, worker, acquired);
            if acquired == Acquired::OwnerDied {
                mutex.make_consistent().unwrap();
            }
            mutex.release().unwrap();
        }
    };
    storm(mutex, "storm-mutex", work, |region, ledger| {
        let mutex = region.mutex("m").unwrap();
        let _ = mutex.acquire(&Wait::timeout(PATIENCE)).expect("nobody hangs");
        expect_all_sections(region, ledger);
        mutex.release().unwrap();
    });
}

/// Readers see no half-done section.
fn read(region: &Region, lock: &RwLock, ledger: &Ledger<'_>, worker: usize) {
    let acquired =
        if worker == 0 { taken(lock.acquire_read(&brief())) } else { lock.try_acquire_read().unwrap() };
    let Some(acquired) = acquired else { return };
    ledger.count(worker, BEGUN);
    let [first, second] = numbers(region);
    std::thread::yield_now();
    ledger.expect(acquired == Acquired::OwnerDied || first == second);
    ledger.expect(numbers(region) == [first, second]);
    ledger.count(worker, COMPLETED);
    lock.release_read().unwrap();
}

fn write(region: &Region, lock: &RwLock, ledger: &Ledger<'_>, worker: usize) {
    let acquired = if worker == 2 {
        taken(lock.acquire_write(&brief()))
    } else {
        taken(lock.acquire_write(&Wait::FOREVER))
    };
    let Some(acquired) = acquired else { return };
    section(region, ledger, worker, acquired);
    if acquired == Acquired::OwnerDied {
        lock.make_consistent().unwrap();
    }
    lock.release_write().unwrap();
}

#[test]
fn rwlock() {
    let work = |region: &Region, ledger: &Ledger<'_>, worker: usize| {
        let lock = region.rwlock("l").unwrap();
        for _ in 0..TURNS {
            if worker < 2 {
                read(region, &lock, ledger, worker);
            } else {
                write(region, &lock, ledger, worker);
            }
        }
    };
    storm(rwlock, "storm-rwlock", work, |region, ledger| {
        let lock = region.rwlock("l").unwrap();
        let _ = lock.acquire_write(&Wait::timeout(PATIENCE)).expect("nobody hangs");
        assert_eq!(lock.readers(), 0, "the dead are forgotten");
        expect_all_sections(region, ledger);
        lock.release_write().unwrap();
    });
}

const PERMITS: u32 = 2;

fn permits(region: &Region) -> Semaphore {
    region.semaphore("p", SemaphoreOptions::new(PERMITS).kind(SemaphoreKind::Tracked)).unwrap()
}

/// How many are inside at one moment; `None` when somebody moved, or was killed, while we looked.
fn inside(ledger: &Ledger<'_>) -> Option<usize> {
    let look = || {
        let lines: Vec<_> = (0..WORKERS * super::LINE).map(|word| ledger.word(word).load(SeqCst)).collect();
        (lines, ledger.word(KILLS).load(SeqCst))
    };
    let seen = look();
    let count = (0..WORKERS).filter(|worker| ledger.is_inside(*worker)).count();
    (seen.1.is_multiple_of(2) && look() == seen).then_some(count)
}

#[test]
fn tracked_semaphore() {
    let work = |region: &Region, ledger: &Ledger<'_>, worker: usize| {
        let permits = permits(region);
        for turn in 0..TURNS {
            let acquired = match worker {
                0 => permits.try_acquire().unwrap(),
                1 => taken(permits.acquire(&brief()).map(|()| Acquired::Clean)).is_some(),
                _ => permits.acquire(&Wait::FOREVER).map(|()| true).unwrap(),
            };
            if !acquired {
                continue;
            }
            ledger.count(worker, BEGUN);
            if turn.is_multiple_of(8) {
                std::thread::yield_now();
            }
            ledger.expect(inside(ledger).is_none_or(|count| count <= PERMITS as usize));
            ledger.count(worker, COMPLETED);
            permits.release(1).unwrap();
        }
    };
    storm(tracked_semaphore, "storm-tracked", work, |region, _| {
        let permits = permits(region);
        for _ in 0..PERMITS {
            permits.acquire(&Wait::timeout(PATIENCE)).expect("all permits come back");
        }
        assert!(!permits.try_acquire().unwrap(), "and no more");
        permits.release(PERMITS).unwrap();
    });
}
