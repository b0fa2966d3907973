//! The event: a flag to wait for.
//!
//! ```text
//!  31                   2     1       0
//! ┌──────────────────────┬─────┬─────────┐
//! │ sequence             │ SET │ WAITERS │
//! └──────────────────────┴─────┴─────────┘
//! ```
//!
//! | from | to | by |
//! |---|---|---|
//! | not set | sequence + 1, SET | set, manual reset: WAITERS cleared, all wake |
//! | not set | sequence + 1, SET, WAITERS kept | set, automatic reset: one wakes |
//! | SET | not set | reset, or one waiter of an automatic event: it has it |
//! | not set | not set, WAITERS | a waiter before it sleeps |
//!
//! The sequence lets a waiter of a manual event leave although the event was reset again before it looked.

use super::party::{ALL, Party};
use super::wait::{Sleeper, Stop, Wait};
use crate::atomic::AtomicU32;
use crate::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::layout::{EVENT_SET as SET, EVENT_STEP as STEP, WORD_WAITERS as WAITERS};

/// Whether the event is set.
pub(crate) fn is_set(word: &AtomicU32) -> bool {
    word.load(Acquire) & SET != 0
}

/// Takes the flag away.
pub(crate) fn reset(word: &AtomicU32) {
    word.fetch_and(!SET, Relaxed);
}

/// Sets the event. An event that is set already stays as it is.
#[inline]
pub(crate) fn set(word: &AtomicU32, automatic: bool, party: &impl Party) {
    let mut seen = word.load(Relaxed);
    loop {
        if seen & SET != 0 {
            // Still a release: what we did before is visible to whoever waits successfully.
            match word.compare_exchange_weak(seen, seen, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => {
                    seen = now;
                    continue;
                }
            }
        }
        let kept = if automatic { seen } else { seen & !WAITERS };
        match word.compare_exchange_weak(seen, kept.wrapping_add(STEP) | SET, Release, Relaxed) {
            Ok(_) => break,
            Err(now) => seen = now,
        }
    }
    if seen & WAITERS == 0 {
        return;
    }
    let woken = party.wake(word, if automatic { 1 } else { ALL });
    if automatic && woken == 0 {
        // Nobody slept: the next set need not call the kernel. Whoever came since is woken to say again that it waits.
        let now = seen.wrapping_add(STEP) | SET;
        if word.compare_exchange(now, now & !WAITERS, Relaxed, Relaxed).is_ok() {
            party.wake(word, ALL);
        }
    }
}

/// Whether the event lets a waiter that began at `since` go; takes the flag of an automatic event.
fn passes(word: &AtomicU32, since: u32, automatic: bool) -> bool {
    let mut seen = word.load(Acquire);
    if !automatic {
        return seen & SET != 0 || (seen ^ since) / STEP != 0;
    }
    while seen & SET != 0 {
        match word.compare_exchange_weak(seen, seen & !SET, Acquire, Acquire) {
            Ok(_) => return true,
            Err(now) => seen = now,
        }
    }
    false
}

/// Waits until the event is set, and takes the flag of an automatic event.
#[inline]
pub(crate) fn wait(word: &AtomicU32, automatic: bool, party: &impl Party, wait: &Wait) -> Result<(), Stop> {
    wait_since(word, word.load(Relaxed), automatic, party, wait)
}

/// As [`wait`], for a waiter that began when the word was `since`.
#[inline]
pub(crate) fn wait_since(
    word: &AtomicU32,
    since: u32,
    automatic: bool,
    party: &impl Party,
    wait: &Wait,
) -> Result<(), Stop> {
    if passes(word, since, automatic) { Ok(()) } else { wait_slow(word, since, automatic, party, wait) }
}

/// Whether the event is set at this moment; takes the flag of an automatic event.
pub(crate) fn try_wait(word: &AtomicU32, automatic: bool) -> bool {
    passes(word, word.load(Relaxed), automatic)
}

#[cold]
fn wait_slow(
    word: &AtomicU32,
    since: u32,
    automatic: bool,
    party: &impl Party,
    wait: &Wait,
) -> Result<(), Stop> {
    super::spin::until(word, || party.now_ns(), |seen| seen & SET != 0, |_| false);
    let mut sleeper = Sleeper::new(wait);
    loop {
        if passes(word, since, automatic) {
            return Ok(());
        }
        let seen = word.load(Relaxed);
        let announced = seen | WAITERS;
        if seen & SET != 0 || word.compare_exchange(seen, announced, Relaxed, Relaxed).is_err() {
            continue;
        }
        if let Err(stop) = sleeper.sleep(party, word, announced) {
            // Set in the meantime: the wake-up that we may have used up belongs to another waiter.
            if automatic && is_set(word) {
                party.wake(word, 1);
            }
            return Err(stop);
        }
    }
}
