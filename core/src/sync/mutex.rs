//! The mutex: one word that says who owns it, and survives its owner's death. The region's guard is one.
//!
//! ```text
//!  31            13 12        3   2     1       0
//! ┌────────────────┬───────────┬─────┬───────┬─────────┐
//! │ generation     │ slot + 1  │  0  │ DIRTY │ WAITERS │   owner bits all 0: free
//! └────────────────┴───────────┴─────┴───────┴─────────┘
//! ```
//!
//! | from | to | by | note |
//! |---|---|---|---|
//! | 0 | me | lock | the fast path: one compare-and-swap |
//! | me | 0 | unlock | the fast path |
//! | free | me, keeping DIRTY, with WAITERS if we slept | slow lock | others may sleep still |
//! | owner | owner, WAITERS | a waiter before it sleeps | |
//! | dead owner | me, DIRTY, WAITERS | a waiter | *owner died*; the exact word is replaced, so nobody who lives loses it |
//! | me, … | DIRTY or 0 | slow unlock | wakes one if WAITERS was set |
//! | me, DIRTY | me | make_consistent | |
//!
//! Each line is one compare-and-swap, so a death comes before it or after it and there is nothing to repair but the bytes
//! that the lock guards; those are what DIRTY reports. A wake-up that dies with a killed waiter costs the others at
//! most one slice of sleep.

use super::wait::{Acquired, Party, Slept, Slices, Spin, Stop, Wait, owner_of};
use crate::atomic::Ordering::{Relaxed, Release, SeqCst};
use crate::layout::{MutexRecord, WORD_DIRTY as DIRTY, WORD_WAITERS as WAITERS};

/// Takes the lock for `me`, the owner bits of the caller's attachment.
#[inline]
pub(crate) fn lock(lock: &MutexRecord, me: u32, party: &impl Party, wait: &Wait) -> Result<Acquired, Stop> {
    if lock.word.compare_exchange(0, me, SeqCst, Relaxed).is_ok() {
        return Ok(Acquired::Clean);
    }
    lock_slow(lock, me, party, wait)
}

/// Takes the lock if nobody who lives holds it.
#[inline]
pub(crate) fn try_lock(lock: &MutexRecord, me: u32, party: &impl Party) -> Option<Acquired> {
    if lock.word.compare_exchange(0, me, SeqCst, Relaxed).is_ok() {
        return Some(Acquired::Clean);
    }
    try_lock_slow(lock, me, party)
}

/// Gives the lock back. `false`: `me` does not hold it, and nothing was changed.
#[inline]
pub(crate) fn unlock(lock: &MutexRecord, me: u32, party: &impl Party) -> bool {
    lock.word.compare_exchange(me, 0, Release, Relaxed).is_ok() || unlock_slow(lock, me, party)
}

/// Says that what the lock guards is in order again. `false`: `me` does not hold it.
pub(crate) fn make_consistent(lock: &MutexRecord, me: u32) -> bool {
    if !is_held_by(lock, me) {
        return false;
    }
    lock.word.fetch_and(!DIRTY, Relaxed);
    true
}

/// Whether `me` holds the lock. Sequentially consistent, as the stores that take it are: a close marks its handle and then
/// asks here, a lock takes the word and then looks at the mark, and one of the two must see the other.
pub(crate) fn is_held_by(lock: &MutexRecord, me: u32) -> bool {
    owner_of(lock.word.load(SeqCst)) == me
}

#[cold]
fn try_lock_slow(lock: &MutexRecord, me: u32, party: &impl Party) -> Option<Acquired> {
    let mut seen = lock.word.load(Relaxed);
    loop {
        let taken = match owner_of(seen) {
            0 => take_free(lock, seen, me, 0),
            owner if owner != me && party.is_dead(owner) => steal(lock, seen, me),
            _ => return None,
        };
        match taken {
            Ok(acquired) => return Some(acquired),
            Err(now) => seen = now,
        }
    }
}

#[cold]
fn lock_slow(lock: &MutexRecord, me: u32, party: &impl Party, wait: &Wait) -> Result<Acquired, Stop> {
    let word = &lock.word;
    // While others sleep, spinning would only take the lock from under one that is about to wake.
    Spin::until(word, |seen| owner_of(seen) == 0, |seen| seen & WAITERS != 0);
    let mut slices = Slices::new();
    // Others may sleep beside us: once we slept, the word we take must say so.
    let mut slept = 0;
    let mut seen = word.load(Relaxed);
    loop {
        let owner = owner_of(seen);
        if owner == 0 || (owner != me && party.is_replaced(owner)) {
            let taken = if owner == 0 { take_free(lock, seen, me, slept) } else { steal(lock, seen, me) };
            match taken {
                Ok(acquired) => return Ok(acquired),
                Err(now) => seen = now,
            }
            continue;
        }
        if seen & WAITERS == 0 {
            if let Err(now) = word.compare_exchange_weak(seen, seen | WAITERS, Relaxed, Relaxed) {
                seen = now;
                continue;
            }
            seen |= WAITERS;
        }
        // After WAITERS is set, so that giving up is always a matter of passing it on.
        let Some(at_most) = wait.remaining(slices.current()) else {
            return Err(give_up(lock, party, Stop::Timeout));
        };
        slept = WAITERS;
        match party.sleep(word, seen, at_most) {
            Slept::Interrupted if wait.is_interruptible() => {
                return Err(give_up(lock, party, Stop::Interrupted));
            }
            Slept::TimedOut => {
                slices.lengthen();
                if owner != me
                    && party.is_dead(owner)
                    && let Ok(acquired) = steal(lock, seen, me)
                {
                    return Ok(acquired);
                }
            }
            Slept::Woken | Slept::Interrupted => {}
        }
        seen = word.load(Relaxed);
    }
}

/// Takes a free word; it may be dirty from an owner who died earlier.
fn take_free(lock: &MutexRecord, seen: u32, me: u32, slept: u32) -> Result<Acquired, u32> {
    lock.word.compare_exchange(seen, me | (seen & (DIRTY | WAITERS)) | slept, SeqCst, Relaxed)?;
    Ok(if seen & DIRTY == 0 { Acquired::Clean } else { Acquired::OwnerDied })
}

/// Takes the word of a dead owner.
fn steal(lock: &MutexRecord, seen: u32, me: u32) -> Result<Acquired, u32> {
    lock.word.compare_exchange(seen, me | DIRTY | WAITERS, SeqCst, Relaxed)?;
    lock.deaths.fetch_add(1, Relaxed);
    Ok(Acquired::OwnerDied)
}

/// Leaves without the lock. The wake-up that ended our sleep may have been the only one: it is passed on.
fn give_up(lock: &MutexRecord, party: &impl Party, why: Stop) -> Stop {
    let mut seen = lock.word.load(Relaxed);
    loop {
        if owner_of(seen) == 0 {
            party.wake(&lock.word, 1);
            return why;
        }
        // Held: the owner's unlock wakes the next sleeper if the word says that there is one.
        match lock.word.compare_exchange_weak(seen, seen | WAITERS, Relaxed, Relaxed) {
            Ok(_) => return why,
            Err(now) => seen = now,
        }
    }
}

#[cold]
fn unlock_slow(lock: &MutexRecord, me: u32, party: &impl Party) -> bool {
    let mut seen = lock.word.load(Relaxed);
    loop {
        if owner_of(seen) != me {
            return false;
        }
        match lock.word.compare_exchange_weak(seen, seen & DIRTY, Release, Relaxed) {
            Ok(_) => break,
            Err(now) => seen = now,
        }
    }
    if seen & WAITERS != 0 {
        party.wake(&lock.word, 1);
    }
    true
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::atomic::AtomicU32;
    use std::cell::{Cell, RefCell};
    use std::time::Duration;

    const ME: u32 = 1 << 13 | 1 << 3;
    const OTHER: u32 = 1 << 13 | 2 << 3;

    /// A process whose sleeps are scripted: each runs the next step and ends as it says.
    #[derive(Default)]
    struct Scripted<'a> {
        dead: Cell<u32>,
        replaced: Cell<u32>,
        woken: Cell<usize>,
        steps: RefCell<Vec<Box<dyn FnOnce() -> Slept + 'a>>>,
    }

    impl Party for Scripted<'_> {
        fn is_dead(&self, owner: u32) -> bool {
            owner == self.dead.get()
        }
        fn is_replaced(&self, owner: u32) -> bool {
            owner == self.replaced.get()
        }
        fn sleep(&self, word: &AtomicU32, expected: u32, _: Duration) -> Slept {
            assert_eq!(word.load(Relaxed), expected, "the word must not have changed between look and sleep");
            assert!(expected & WAITERS != 0, "a sleeper nobody knows of");
            let step = self.steps.borrow_mut().pop().expect("slept once more than the script says");
            step()
        }
        fn wake(&self, _: &AtomicU32, _: i32) -> usize {
            self.woken.set(self.woken.get() + 1);
            1
        }
    }

    fn record(word: u32) -> MutexRecord {
        MutexRecord { word: AtomicU32::new(word), ..Default::default() }
    }

    fn word(lock: &MutexRecord) -> u32 {
        lock.word.load(Relaxed)
    }

    #[test]
    fn a_free_lock_is_taken_and_given_back() {
        let (mutex, party) = (record(0), Scripted::default());
        assert_eq!(lock(&mutex, ME, &party, &Wait::forever()), Ok(Acquired::Clean));
        assert_eq!(word(&mutex), ME);
        assert_eq!(try_lock(&mutex, OTHER, &party), None);
        assert!(!unlock(&mutex, OTHER, &party), "only the owner may unlock");
        assert!(unlock(&mutex, ME, &party));
        assert_eq!((word(&mutex), party.woken.get()), (0, 0));
        assert!(!unlock(&mutex, ME, &party));
    }

    #[test]
    fn a_waiter_sleeps_and_then_leaves_word_that_others_may_sleep() {
        let mutex = record(OTHER);
        let party = Scripted::default();
        party.steps.borrow_mut().push(Box::new(|| {
            mutex.word.store(0, Relaxed);
            Slept::Woken
        }));
        assert_eq!(lock(&mutex, ME, &party, &Wait::forever()), Ok(Acquired::Clean));
        assert_eq!(word(&mutex), ME | WAITERS);
        assert!(unlock(&mutex, ME, &party));
        assert_eq!((word(&mutex), party.woken.get()), (0, 1));
    }

    #[test]
    fn a_dead_owner_is_found_when_a_slice_runs_out_and_stays_reported_until_repaired() {
        let mutex = record(OTHER);
        let party = Scripted::default();
        party.dead.set(OTHER);
        party.steps.borrow_mut().push(Box::new(|| Slept::TimedOut));
        assert_eq!(lock(&mutex, ME, &party, &Wait::forever()), Ok(Acquired::OwnerDied));
        assert_eq!(word(&mutex), ME | DIRTY | WAITERS);
        assert!(unlock(&mutex, ME, &party));
        assert_eq!(lock(&mutex, ME, &party, &Wait::forever()), Ok(Acquired::OwnerDied), "still dirty");
        assert!(!make_consistent(&mutex, OTHER));
        assert!(make_consistent(&mutex, ME));
        assert!(unlock(&mutex, ME, &party));
        assert_eq!(lock(&mutex, ME, &party, &Wait::forever()), Ok(Acquired::Clean));
        assert_eq!(mutex.deaths.load(Relaxed), 1);
    }

    #[test]
    fn a_replaced_owner_needs_no_sleep_and_try_lock_asks_the_kernel() {
        let party = Scripted::default();
        party.replaced.set(OTHER);
        assert_eq!(lock(&record(OTHER), ME, &party, &Wait::forever()), Ok(Acquired::OwnerDied));
        party.dead.set(OTHER);
        assert_eq!(try_lock(&record(OTHER), ME, &party), Some(Acquired::OwnerDied));
    }

    #[test]
    fn who_gives_up_passes_the_wake_up_on() {
        // The owner left while we slept, and our deadline had passed: the word is free and somebody else may sleep.
        let mutex = record(OTHER | WAITERS);
        let party = Scripted::default();
        party.steps.borrow_mut().push(Box::new(|| {
            mutex.word.store(0, Relaxed);
            Slept::Interrupted
        }));
        let wait = Wait::forever().interruptible();
        assert_eq!(lock(&mutex, ME, &party, &wait), Err(Stop::Interrupted));
        assert_eq!((word(&mutex), party.woken.get()), (0, 1));

        let mutex = record(OTHER);
        let party = Scripted::default();
        assert_eq!(lock(&mutex, ME, &party, &Wait::timeout(Duration::ZERO)), Err(Stop::Timeout));
        assert_eq!((word(&mutex), party.woken.get()), (OTHER | WAITERS, 0));
    }

    #[test]
    fn threads_that_share_an_owner_id_exclude_each_other() {
        // Ownership is per process: a second thread of the owner waits like anybody else.
        let mutex = record(ME);
        let party = Scripted::default();
        party.dead.set(ME);
        party.steps.borrow_mut().push(Box::new(|| {
            mutex.word.store(0, Relaxed);
            Slept::TimedOut
        }));
        assert_eq!(lock(&mutex, ME, &party, &Wait::forever()), Ok(Acquired::Clean));
    }
}
