//! The signal word: something to sleep on that a killed sleeper cannot break.
//!
//! ```text
//!  31                          1       0
//! ┌─────────────────────────────┬─────────┐
//! │ sequence                    │ WAITERS │
//! └─────────────────────────────┴─────────┘
//! ```
//!
//! | from | to | by |
//! |---|---|---|
//! | any | any, WAITERS | [`watch`], before the condition is looked at for the last time |
//! | sequence, WAITERS | sequence + 1, WAITERS | [`notify`] of one: others may sleep still |
//! | sequence, WAITERS | sequence + 1 | [`notify`] of all, or of one when nobody slept |
//!
//! A sleeper that finds another sequence was notified, whether or not a wake-up reached it: a wake-up that died with a
//! killed process costs the others one slice of sleep.

use super::party::{ALL, Party};
use super::spin;
use super::wait::{Sleeper, Stop};
use crate::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use crate::atomic::{AtomicU32, model_fence};
use crate::layout::WORD_WAITERS as WAITERS;

const STEP: u32 = 2;

/// Becomes a sleeper: the word to hand to [`sleep`]. Look at the condition after this.
#[inline]
pub(crate) fn watch(word: &AtomicU32) -> u32 {
    let watched = word.fetch_or(WAITERS, SeqCst) | WAITERS;
    model_fence();
    watched
}

/// Sleeps one slice unless there was a notification since `watched`. `Ok(true)`: notified; `Ok(false)`: look again.
///
/// A stop that comes together with a notification yields to it, so that nobody leaves with a wake-up unused.
pub(crate) fn sleep(
    word: &AtomicU32,
    watched: u32,
    sleeper: &mut Sleeper<'_>,
    party: &impl Party,
) -> Result<bool, Stop> {
    let notified = |seen: u32| (seen ^ watched) & !WAITERS != 0;
    if sleeper.is_fresh() && spin::until(word, || party.now_ns(), notified, |_| false) {
        // What the notifier did before is ours to see.
        word.load(Acquire);
        return Ok(true);
    }
    let slept = sleeper.sleep(party, word, watched);
    if notified(word.load(Acquire)) { Ok(true) } else { slept.map(|_| false) }
}

/// Notifies one sleeper or all. Costs one load when nobody sleeps.
///
/// The change that it announces comes before: under the lock that the sleeper held when it called [`watch`], or by a
/// sequentially consistent store. So either we see the sleeper's WAITERS, or the sleeper sees the change.
#[inline]
pub(crate) fn notify(word: &AtomicU32, all: bool, party: &impl Party) {
    model_fence();
    if word.load(SeqCst) & WAITERS != 0 {
        notify_slow(word, all, party);
    }
}

#[cold]
fn notify_slow(word: &AtomicU32, all: bool, party: &impl Party) {
    let mut seen = word.load(Relaxed);
    let keep = if all { !WAITERS } else { !0 };
    loop {
        let next = seen.wrapping_add(STEP) & keep;
        match word.compare_exchange_weak(seen, next, SeqCst, Relaxed) {
            Ok(_) => break,
            Err(now) => seen = now,
        }
    }
    let woken = party.wake(word, if all { ALL } else { 1 });
    if !all && woken == 0 {
        // Nobody slept: the next notification need not call the kernel. But somebody may have come since and sleep on
        // the very value that we clear, so the clearing is a notification too, for all.
        let now = seen.wrapping_add(STEP);
        if word.compare_exchange(now, now.wrapping_add(STEP) & !WAITERS, SeqCst, Relaxed).is_ok() {
            party.wake(word, ALL);
        }
    }
}
