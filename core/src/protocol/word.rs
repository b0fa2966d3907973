//! The owner word: one word that says who owns a lock, and survives its owner's death. A mutex is nothing but one; the
//! region's guard is one; a reader–writer lock keeps its writer in one.
//!
//! ```text
//!  31            13 12        3    2       1       0
//! ┌────────────────┬───────────┬───────┬───────┬─────────┐
//! │ generation     │ slot + 1  │ DRAIN │ DIRTY │ WAITERS │   owner bits all 0: free
//! └────────────────┴───────────┴───────┴───────┴─────────┘
//! ```
//!
//! | from | to | by | note |
//! |---|---|---|---|
//! | 0 | me | lock | the fast path: one compare-and-swap |
//! | me | 0 | unlock | the fast path |
//! | free | me, keeping DIRTY, with WAITERS if we slept | slow lock | others may sleep still |
//! | owner | owner, WAITERS | a waiter before it sleeps | |
//! | dead owner | me, DIRTY, WAITERS | a waiter | *owner died*; the exact word is replaced, so nobody who lives loses it |
//! | dead owner, DRAIN | me, WAITERS | a waiter | it had not entered yet: nothing is torn |
//! | me, … | DIRTY or 0 | slow unlock | wakes if WAITERS was set |
//! | me, DIRTY | me | make_consistent | |
//!
//! A writer of a reader–writer lock comes in with DRAIN and takes it away when the readers have left. Each line is one
//! compare-and-swap, so a death comes before it or after it and there is nothing to repair but the bytes that the lock
//! guards; those are what DIRTY reports. A wake-up that dies with a killed waiter costs the others at most one slice.

use super::owner::owner_of;
use super::party::{Acquired, Party};
use super::spin;
use super::wait::{Sleeper, Stop, Wait};
use crate::atomic::Ordering::{Relaxed, Release, SeqCst};
use crate::layout::{OwnerWord, WORD_DIRTY as DIRTY, WORD_DRAIN as DRAIN, WORD_WAITERS as WAITERS};

/// Takes the lock for `me`, the owner bits of the caller's attachment.
#[inline]
pub(crate) fn lock(lock: &OwnerWord, me: u32, party: &impl Party, wait: &Wait) -> Result<Acquired, Stop> {
    if lock_fast(lock, me) { Ok(Acquired::Clean) } else { lock_slow(lock, me, 1, party, wait) }
}

/// Takes a lock that is free, was left properly, and that nobody waits for: the first step of [`lock`].
#[inline]
pub(crate) fn lock_fast(lock: &OwnerWord, me: u32) -> bool {
    lock.word.compare_exchange(0, me, SeqCst, Relaxed).is_ok()
}

/// Takes the lock if nobody who lives holds it.
#[inline]
pub(crate) fn try_lock(lock: &OwnerWord, me: u32, party: &impl Party) -> Option<Acquired> {
    if lock_fast(lock, me) { Some(Acquired::Clean) } else { try_lock_slow(lock, me, party) }
}

/// Gives the lock back and wakes at most `wake` sleepers. `false`: `me` does not hold it, and nothing was changed.
#[inline]
pub(crate) fn unlock(lock: &OwnerWord, me: u32, wake: i32, party: &impl Party) -> bool {
    lock.word.compare_exchange(me, 0, Release, Relaxed).is_ok() || unlock_slow(lock, me, wake, party)
}

/// Says that what the lock guards is in order again. `false`: `me` does not hold it.
pub(crate) fn make_consistent(lock: &OwnerWord, me: u32) -> bool {
    if !is_held_by(lock, me) {
        return false;
    }
    lock.word.fetch_and(!DIRTY, Relaxed);
    true
}

/// Whether `me` holds the lock. Sequentially consistent, as the stores that take it are: a close marks its handle and then
/// asks here, a lock takes the word and then looks at the mark, and one of the two must see the other.
pub(crate) fn is_held_by(lock: &OwnerWord, me: u32) -> bool {
    owner_of(lock.word.load(SeqCst)) == me
}

/// What a word says about the owners before.
#[inline]
pub(crate) fn acquired(word: u32) -> Acquired {
    if word & DIRTY == 0 { Acquired::Clean } else { Acquired::OwnerDied }
}

/// As [`lock`] when the fast path failed. `me` may carry DRAIN; `wake` is how many sleepers a release wakes.
#[cold]
pub(crate) fn lock_slow(
    lock: &OwnerWord,
    me: u32,
    wake: i32,
    party: &impl Party,
    wait: &Wait,
) -> Result<Acquired, Stop> {
    let word = &lock.word;
    // While others sleep, spinning would only take the lock from under one that is about to wake.
    spin::until(word, || party.now_ns(), |seen| owner_of(seen) == 0, |seen| seen & WAITERS != 0);
    let mut sleeper = Sleeper::new(wait);
    // Others may sleep beside us: once we slept, the word we take must say so.
    let mut slept = 0;
    let mut seen = word.load(Relaxed);
    loop {
        let owner = owner_of(seen);
        if owner == 0 || is_replaced(owner, me, party) {
            let taken = if owner == 0 { take_free(lock, seen, me, slept) } else { steal(lock, seen, me) };
            match taken {
                Ok(acquired) => return Ok(acquired),
                Err(now) => seen = now,
            }
            continue;
        }
        seen = match announce(lock, seen, party) {
            Ok(seen) => seen,
            Err(now) => {
                seen = now;
                continue;
            }
        };
        slept = WAITERS;
        let ran_out = sleeper.sleep(party, word, seen).inspect_err(|_| give_up(lock, wake, party))?;
        if ran_out
            && owner != owner_of(me)
            && party.is_dead(owner)
            && let Ok(acquired) = steal(lock, seen, me)
        {
            return Ok(acquired);
        }
        seen = word.load(Relaxed);
    }
}

/// As [`try_lock`] when the fast path failed. `me` may carry DRAIN.
#[cold]
pub(crate) fn try_lock_slow(lock: &OwnerWord, me: u32, party: &impl Party) -> Option<Acquired> {
    let mut seen = lock.word.load(Relaxed);
    loop {
        let taken = match owner_of(seen) {
            0 => take_free(lock, seen, me, 0),
            owner if owner != owner_of(me) && party.is_dead(owner) => steal(lock, seen, me),
            _ => return None,
        };
        match taken {
            Ok(acquired) => return Some(acquired),
            Err(now) => seen = now,
        }
    }
}

/// Sets WAITERS before a sleep, and notes for people since when somebody waits for this owner. Returns the word to sleep
/// on, or the word as it is when it changed.
pub(crate) fn announce(lock: &OwnerWord, seen: u32, party: &impl Party) -> Result<u32, u32> {
    if seen & WAITERS == 0 {
        lock.word.compare_exchange_weak(seen, seen | WAITERS, Relaxed, Relaxed)?;
    }
    if lock.noticed_owner.load(Relaxed) != owner_of(seen) {
        lock.noticed_owner.store(owner_of(seen), Relaxed);
        lock.noticed_ns.store(party.now_ns(), Relaxed);
    }
    Ok(seen | WAITERS)
}

/// Whether the owner is another than `me` and its slot has a new owner.
fn is_replaced(owner: u32, me: u32, party: &impl Party) -> bool {
    owner != owner_of(me) && party.is_replaced(owner)
}

/// Takes a free word; it may be dirty from an owner who died earlier. Sequentially consistent: a writer looks at the
/// readers' marks after this, and they at this word after marking.
fn take_free(lock: &OwnerWord, seen: u32, me: u32, slept: u32) -> Result<Acquired, u32> {
    lock.word.compare_exchange(seen, me | (seen & (DIRTY | WAITERS)) | slept, SeqCst, Relaxed)?;
    Ok(acquired(seen))
}

/// Takes the word of a dead owner. One that was still draining readers had not entered: it tore nothing.
fn steal(lock: &OwnerWord, seen: u32, me: u32) -> Result<Acquired, u32> {
    let dirty = if seen & DRAIN == 0 { DIRTY } else { seen & DIRTY };
    lock.word.compare_exchange(seen, me | dirty | WAITERS, SeqCst, Relaxed)?;
    lock.deaths.fetch_add(1, Relaxed);
    Ok(acquired(dirty))
}

/// Frees the word of a dead owner for everybody, for a reader that found it.
pub(crate) fn bury(lock: &OwnerWord, seen: u32, party: &impl Party) {
    let dirty = if seen & DRAIN == 0 { DIRTY } else { seen & DIRTY };
    if lock.word.compare_exchange(seen, dirty, SeqCst, Relaxed).is_ok() {
        lock.deaths.fetch_add(1, Relaxed);
        party.wake(&lock.word, super::party::ALL);
    }
}

/// Leaves without the lock. The wake-up that ended our sleep may have been the only one: it is passed on.
fn give_up(lock: &OwnerWord, wake: i32, party: &impl Party) {
    let mut seen = lock.word.load(Relaxed);
    loop {
        if owner_of(seen) == 0 {
            party.wake(&lock.word, wake);
            return;
        }
        // Held: the owner's unlock wakes the next sleeper if the word says that there is one.
        match lock.word.compare_exchange_weak(seen, seen | WAITERS, Relaxed, Relaxed) {
            Ok(_) => return,
            Err(now) => seen = now,
        }
    }
}

#[cold]
fn unlock_slow(lock: &OwnerWord, me: u32, wake: i32, party: &impl Party) -> bool {
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
        party.wake(&lock.word, wake);
    }
    true
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::party::Slept;
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
        fn sleep(&self, word: &AtomicU32, expected: u32, _: Duration, _: u64) -> Slept {
            assert_eq!(word.load(Relaxed), expected, "the word must not have changed between look and sleep");
            assert!(expected & WAITERS != 0, "a sleeper nobody knows of");
            let step = self.steps.borrow_mut().pop().expect("slept once more than the script says");
            step()
        }
        fn slots_high(&self) -> usize {
            2
        }
        fn now_ns(&self) -> u64 {
            crate::sys::clock::monotonic_ns()
        }
        fn wake(&self, _: &AtomicU32, _: i32) -> usize {
            self.woken.set(self.woken.get() + 1);
            1
        }
    }

    fn record(word: u32) -> OwnerWord {
        OwnerWord { word: AtomicU32::new(word), ..Default::default() }
    }

    fn word(lock: &OwnerWord) -> u32 {
        lock.word.load(Relaxed)
    }

    #[test]
    fn a_free_lock_is_taken_and_given_back() {
        let (mutex, party) = (record(0), Scripted::default());
        assert_eq!(lock(&mutex, ME, &party, &Wait::forever()), Ok(Acquired::Clean));
        assert_eq!(word(&mutex), ME);
        assert_eq!(try_lock(&mutex, OTHER, &party), None);
        assert!(!unlock(&mutex, OTHER, 1, &party), "only the owner may unlock");
        assert!(unlock(&mutex, ME, 1, &party));
        assert_eq!((word(&mutex), party.woken.get()), (0, 0));
        assert!(!unlock(&mutex, ME, 1, &party));
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
        assert!(unlock(&mutex, ME, 1, &party));
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
        for _ in 0..2 {
            assert!(unlock(&mutex, ME, 1, &party));
            assert_eq!(lock(&mutex, ME, &party, &Wait::forever()), Ok(Acquired::OwnerDied), "still dirty");
        }
        assert!(!make_consistent(&mutex, OTHER));
        assert!(make_consistent(&mutex, ME));
        assert!(unlock(&mutex, ME, 1, &party));
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
        // Ownership is per process: a second thread of the owner waits like anybody else, whatever is said of the owner.
        let mutex = record(ME);
        let party = Scripted::default();
        party.dead.set(ME);
        party.replaced.set(ME);
        assert_eq!(try_lock(&mutex, ME, &party), None);
        party.steps.borrow_mut().push(Box::new(|| {
            mutex.word.store(0, Relaxed);
            Slept::TimedOut
        }));
        party.steps.borrow_mut().push(Box::new(|| Slept::TimedOut));
        assert_eq!(lock(&mutex, ME, &party, &Wait::forever()), Ok(Acquired::Clean));
        assert_eq!(party.steps.borrow().len(), 0, "it slept until the word was free");
    }

    #[test]
    fn the_dead_are_buried_with_what_they_tore_and_all_wake() {
        let party = Scripted::default();
        for (before, after) in
            [(OTHER | WAITERS, DIRTY), (OTHER | DRAIN | WAITERS, 0), (OTHER | DRAIN | DIRTY, DIRTY)]
        {
            let (mutex, woken) = (record(before), party.woken.get());
            bury(&mutex, before, &party);
            assert_eq!((word(&mutex), party.woken.get() - woken), (after, 1));
            assert_eq!(mutex.deaths.load(Relaxed), 1);
        }
        let mutex = record(ME);
        bury(&mutex, OTHER, &party);
        assert_eq!((word(&mutex), mutex.deaths.load(Relaxed)), (ME, 0), "somebody who lives has it by now");
    }

    #[test]
    fn a_writer_that_died_while_it_drained_readers_tore_nothing() {
        let party = Scripted::default();
        party.dead.set(OTHER);
        let mutex = record(OTHER | DRAIN);
        assert_eq!(try_lock(&mutex, ME, &party), Some(Acquired::Clean));
        assert_eq!(word(&mutex), ME | WAITERS);
        let mutex = record(OTHER | DRAIN | DIRTY);
        assert_eq!(
            try_lock(&mutex, ME, &party),
            Some(Acquired::OwnerDied),
            "an earlier death stays reported"
        );
    }
}
