//! The signalling semaphore: a count that anybody may raise. Nobody owns a permit, so a death loses none and returns none.
//!
//! ```text
//!  31                          1       0
//! ┌─────────────────────────────┬─────────┐
//! │ permits                     │ WAITERS │
//! └─────────────────────────────┴─────────┘
//! ```
//!
//! | from | to | by |
//! |---|---|---|
//! | n ≥ 1 | n − 1, WAITERS kept | acquire: the permit is taken |
//! | 0 | 0, WAITERS | a waiter before it sleeps |
//! | n | n + k | release; wakes k if WAITERS was set |
//! | n, WAITERS | n | release found nobody to wake |

use super::party::{ALL, Party};
use super::spin;
use super::wait::{Sleeper, Stop, Wait};
use crate::atomic::AtomicU32;
use crate::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::layout::{SEMAPHORE_PERMIT as PERMIT, WORD_WAITERS as WAITERS};

/// Permits now.
pub(crate) fn permits(word: u32) -> u32 {
    word / PERMIT
}

/// The word of `permits` permits without sleepers.
pub(crate) fn with_permits(permits: u32) -> u32 {
    permits * PERMIT
}

/// Takes a permit.
#[inline]
pub(crate) fn acquire(word: &AtomicU32, party: &impl Party, wait: &Wait) -> Result<(), Stop> {
    if try_acquire(word) { Ok(()) } else { acquire_slow(word, party, wait) }
}

/// Takes a permit if there is one.
#[inline]
pub(crate) fn try_acquire(word: &AtomicU32) -> bool {
    let mut seen = word.load(Relaxed);
    while seen >= PERMIT {
        match word.compare_exchange_weak(seen, seen - PERMIT, Acquire, Relaxed) {
            Ok(_) => return true,
            Err(now) => seen = now,
        }
    }
    false
}

#[cold]
fn acquire_slow(word: &AtomicU32, party: &impl Party, wait: &Wait) -> Result<(), Stop> {
    spin::until(word, || party.now_ns(), |seen| seen >= PERMIT, |_| false);
    let mut sleeper = Sleeper::new(wait);
    loop {
        if try_acquire(word) {
            return Ok(());
        }
        // Sleeps only on exactly "none, and somebody waits".
        if word.load(Relaxed) == 0 && word.compare_exchange(0, WAITERS, Relaxed, Relaxed).is_err() {
            continue;
        }
        let slept = sleeper.sleep(party, word, WAITERS);
        if let Err(stop) = slept {
            // The wake-up that we may have used up belongs to somebody who still waits.
            if word.load(Relaxed) >= PERMIT {
                party.wake(word, 1);
            }
            return Err(stop);
        }
    }
}

/// Gives `count` permits. `false`, and nothing has changed, when there would be more than `max`.
#[inline]
pub(crate) fn release(word: &AtomicU32, count: u32, max: u32, party: &impl Party) -> bool {
    let mut seen = word.load(Relaxed);
    loop {
        if count > max || permits(seen) > max - count {
            return false;
        }
        match word.compare_exchange_weak(seen, seen + count * PERMIT, Release, Relaxed) {
            Ok(_) => break,
            Err(now) => seen = now,
        }
    }
    if seen & WAITERS != 0 {
        release_slow(word, count, party);
    }
    true
}

#[cold]
fn release_slow(word: &AtomicU32, count: u32, party: &impl Party) {
    if party.wake(word, i32::try_from(count).unwrap_or(i32::MAX)) == 0 {
        // Nobody slept: the next release need not call the kernel. Whoever came since finds a permit, or sleeps and is
        // woken here to say again that it waits.
        let seen = word.load(Relaxed);
        if seen >= PERMIT && word.compare_exchange(seen, seen & !WAITERS, Relaxed, Relaxed).is_ok() {
            party.wake(word, ALL);
        }
    }
}
