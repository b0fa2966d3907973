//! Storms over what tells processes that something happened: signalling semaphore, condvar, event, barrier, atomic.

use std::ops::RangeInclusive;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use super::{BEGUN, COMPLETED, FIRST, KILLS, Ledger, SECOND, TURNS, WORKERS, storm};
use shmkit::{Acquired, ErrorKind, Event, EventReset, Mutex, Region, SemaphoreOptions, Wait};

/// The first two workers give, the others take.
const GIVERS: usize = 2;

/// What may be left when each entry of the ledger is a bound: `FIRST` counts what was begun, `SECOND` what was done.
fn left(ledger: &Ledger<'_>) -> RangeInclusive<u64> {
    let sum = |workers: std::ops::Range<usize>, what| -> u64 {
        workers.map(|worker| ledger.of(worker, what).load(SeqCst)).sum()
    };
    let least = sum(0..GIVERS, SECOND).saturating_sub(sum(GIVERS..WORKERS, FIRST));
    least..=sum(0..GIVERS, FIRST) - sum(GIVERS..WORKERS, SECOND)
}

/// Enters into the ledger that a step begins, does it, and enters that it is done.
fn step(ledger: &Ledger<'_>, worker: usize, step: impl FnOnce() -> bool) {
    ledger.count(worker, FIRST);
    if step() {
        ledger.count(worker, SECOND);
        ledger.count(worker, COMPLETED);
    } else {
        ledger.of(worker, FIRST).fetch_sub(1, SeqCst);
    }
}

#[test]
fn signalling_semaphore() {
    let find = |region: &Region| region.semaphore("s", SemaphoreOptions::new(0).max(3)).unwrap();
    let work = |region: &Region, ledger: &Ledger<'_>, worker: usize| {
        let semaphore = region.semaphore("s", SemaphoreOptions::new(0).max(3)).unwrap();
        for _ in 0..TURNS {
            ledger.of(worker, BEGUN).store(ledger.of(worker, COMPLETED).load(SeqCst) + 1, SeqCst);
            step(ledger, worker, || {
                if worker >= GIVERS {
                    semaphore.acquire(&Wait::FOREVER).unwrap();
                    return true;
                }
                let full = semaphore.release(1).is_err_and(|error| error.kind() == ErrorKind::LimitExceeded);
                if full {
                    std::thread::yield_now();
                }
                !full
            });
        }
    };
    storm(signalling_semaphore, "storm-semaphore", work, |region, ledger| {
        let available = u64::from(find(region).available());
        assert!(left(ledger).contains(&available), "{available} of {:?}", left(ledger));
    });
}

/// The number of things in the buffer.
fn filled(region: &Region) -> u64 {
    let mut bytes = [0; 8];
    region.read_at(0, &mut bytes).unwrap();
    u64::from_ne_bytes(bytes)
}

const ROOM: u64 = 2;

#[test]
fn condvar() {
    let work = |region: &Region, ledger: &Ledger<'_>, worker: usize| {
        let mutex = region.mutex("m").unwrap();
        let (filled_up, emptied) = (region.condvar("filled").unwrap(), region.condvar("emptied").unwrap());
        let (hopeless, mine, theirs): (fn(u64) -> bool, _, _) = if worker < GIVERS {
            (|filled| filled == ROOM, &emptied, &filled_up)
        } else {
            (|filled| filled == 0, &filled_up, &emptied)
        };
        // The dead may have changed the number and not told anybody.
        let told = |mutex: &Mutex, acquired: Acquired| {
            if acquired == Acquired::OwnerDied {
                mine.notify_all().and_then(|()| theirs.notify_all()).unwrap();
                mutex.make_consistent().unwrap();
            }
        };
        for _ in 0..TURNS {
            told(&mutex, mutex.acquire(&Wait::FOREVER).unwrap());
            ledger.count(worker, BEGUN);
            while hopeless(filled(region)) {
                told(&mutex, mine.wait_raw(&mutex, &Wait::FOREVER).unwrap().0);
            }
            let now = filled(region);
            ledger.expect(now <= ROOM);
            step(ledger, worker, || {
                let next = if worker < GIVERS { now + 1 } else { now - 1 };
                region.write_at(0, &next.to_ne_bytes()).unwrap();
                true
            });
            theirs.notify_one().unwrap();
            mutex.release().unwrap();
        }
    };
    storm(condvar, "storm-condvar", work, |region, ledger| {
        let filled = filled(region);
        assert!(left(ledger).contains(&filled), "{filled} of {:?}", left(ledger));
    });
}

/// Sets the event and sees to it that somebody passes, unless a kill came in between.
fn set_and_see(event: &Event, ledger: &Ledger<'_>, worker: usize) {
    let (kills, passed) = (ledger.word(KILLS).load(SeqCst), ledger.total(FIRST));
    event.set().unwrap();
    let begun = Instant::now();
    while ledger.total(FIRST) == passed {
        if begun.elapsed() > Duration::from_millis(500) {
            let undisturbed = kills.is_multiple_of(2) && ledger.word(KILLS).load(SeqCst) == kills;
            ledger.expect(!undisturbed);
            return;
        }
        std::thread::yield_now();
    }
    event.reset().unwrap();
    ledger.count(worker, COMPLETED);
}

fn work_on_events(region: &Region, ledger: &Ledger<'_>, worker: usize, reset: EventReset) {
    let event = region.event("e", reset).unwrap();
    for _ in 0..TURNS {
        ledger.of(worker, BEGUN).store(ledger.of(worker, COMPLETED).load(SeqCst) + 1, SeqCst);
        if worker == 0 {
            set_and_see(&event, ledger, worker);
        } else {
            event.wait(&Wait::FOREVER).unwrap();
            ledger.count(worker, FIRST);
            ledger.count(worker, COMPLETED);
        }
    }
}

#[test]
fn manual_event() {
    let work = |region: &Region, ledger: &Ledger<'_>, worker: usize| {
        work_on_events(region, ledger, worker, EventReset::Manual);
    };
    storm(manual_event, "storm-manual-event", work, |region, _| {
        let event = region.event("e", EventReset::Manual).unwrap();
        event.set().unwrap();
        event.wait_timeout(crate::common::PATIENCE).unwrap();
    });
}

#[test]
fn automatic_event() {
    let work = |region: &Region, ledger: &Ledger<'_>, worker: usize| {
        work_on_events(region, ledger, worker, EventReset::Automatic);
    };
    storm(automatic_event, "storm-automatic-event", work, |region, _| {
        let event = region.event("e", EventReset::Automatic).unwrap();
        event.set().unwrap();
        event.wait_timeout(crate::common::PATIENCE).unwrap();
        assert!(!event.is_set());
    });
}

#[test]
fn barrier() {
    let work = |region: &Region, ledger: &Ledger<'_>, worker: usize| {
        let barrier = region.barrier("b", WORKERS as u32).unwrap();
        for _ in 0..TURNS {
            ledger.count(worker, BEGUN);
            match barrier.wait(&Wait::FOREVER) {
                Ok(passed) => {
                    ledger.of(worker, FIRST).fetch_add(u64::from(passed.leader), SeqCst);
                    ledger.count(worker, SECOND);
                }
                Err(error) if error.kind() == ErrorKind::Broken => {
                    if barrier.is_broken() {
                        barrier.reset().unwrap();
                    }
                }
                Err(error) => panic!("{error}"),
            }
            ledger.count(worker, COMPLETED);
        }
        barrier.close().unwrap();
    };
    storm(barrier, "storm-barrier", work, |_, ledger| {
        let (rounds, passed) = (ledger.total(FIRST), ledger.total(SECOND));
        let kills = ledger.word(KILLS).load(SeqCst);
        assert!(rounds > 0);
        // Who was killed between the round and the ledger is missing in one or the other.
        assert!(
            passed.abs_diff(rounds * WORKERS as u64) <= kills * WORKERS as u64,
            "{rounds} rounds, {passed} passed"
        );
    });
}

#[test]
fn atomic() {
    let work = |region: &Region, ledger: &Ledger<'_>, worker: usize| {
        let number = region.atomic_u64("n", 0).unwrap();
        for _ in 0..TURNS {
            ledger.of(worker, BEGUN).store(ledger.of(worker, COMPLETED).load(SeqCst) + 1, SeqCst);
            if worker == WORKERS - 1 {
                number.wait(number.load(), &Wait::FOREVER).unwrap();
                ledger.count(worker, COMPLETED);
            } else {
                step(ledger, worker, || {
                    number.add(1);
                    number.notify_one();
                    true
                });
            }
        }
    };
    storm(atomic, "storm-atomic", work, |region, ledger| {
        let value = region.atomic_u64("n", 0).unwrap().load();
        assert!((ledger.total(SECOND)..=ledger.total(FIRST)).contains(&value), "{value}");
    });
}
