//! Spinning before sleeping, bounded in time and learnt for each word.
//!
//! A sleeper on another core takes some 20 µs to come back, so spinning wins wherever what it waits for comes sooner; on a
//! machine with more work than cores, or behind a long critical section, it only burns time. So each word has a budget:
//! twice what was last needed, halved by each spin in vain. A budget that has shrunk to nothing would never learn that
//! times have changed: the longest spin is tried again at the 32nd spin in vain, the 64th, and so on twice as far, at last
//! at each 512th. That finds out soon, and costs 0.1 µs on average where it is in vain for ever.
//!
//! The budgets are this process's own, in a small table by address: words that share an entry only learn from each other.

use std::sync::atomic::{AtomicU32 as ProcessWord, Ordering::Relaxed};

use crate::atomic::AtomicU32;

/// What this process learnt about the words of one table entry.
struct Learnt {
    /// Nanoseconds.
    budget: ProcessWord,
    /// Spins in vain since the last one that was not.
    misses: ProcessWord,
}

static TABLE: [Learnt; 64] =
    [const { Learnt { budget: ProcessWord::new(FIRST_NS), misses: ProcessWord::new(0) } }; 64];

const FIRST_NS: u32 = 5_000;
const MOST_NS: u32 = 50_000;
const LEAST_NS: u32 = 100;
/// The spins in vain after which the longest is tried again: first, and at last each time.
const EXPLORE_FIRST: u32 = 32;
const EXPLORE_LAST: u32 = 512;
/// Looks between two looks at the clock, which costs about as much as they do.
const LOOKS: u32 = 8;

/// Whether the word changes from `value` while it pays to look: for languages that wait on the words of an object
/// themselves, before they sleep.
#[cfg(not(loom))]
pub fn changes_soon(word: &AtomicU32, value: u32) -> bool {
    until(word, crate::sys::clock::monotonic_ns, |seen| seen != value, |_| false)
}

/// Looks at the word until it is `ready`, for as long as has paid off before. `true` when it is ready. `hopeless` ends it
/// early.
pub(crate) fn until(
    word: &AtomicU32,
    now_ns: impl Fn() -> u64,
    ready: impl Fn(u32) -> bool,
    hopeless: impl Fn(u32) -> bool,
) -> bool {
    if cfg!(loom) {
        return false;
    }
    // Words lie 64 bytes apart, those of one object closer.
    let learnt = &TABLE[std::ptr::from_ref(word).addr() / 64 % TABLE.len()];
    let misses = learnt.misses.load(Relaxed);
    let turn = misses.wrapping_add(1);
    let explores = turn >= EXPLORE_FIRST && (turn.is_power_of_two() || turn.is_multiple_of(EXPLORE_LAST));
    let budget = if explores { MOST_NS } else { learnt.budget.load(Relaxed) };
    let start = now_ns();
    loop {
        for _ in 0..LOOKS {
            let seen = word.load(crate::atomic::Ordering::Relaxed);
            if ready(seen) {
                let needed = u32::try_from(now_ns() - start).unwrap_or(MOST_NS);
                learnt.budget.store((needed * 2).clamp(LEAST_NS * 2, MOST_NS), Relaxed);
                learnt.misses.store(0, Relaxed);
                return true;
            }
            if hopeless(seen) {
                return false;
            }
            std::hint::spin_loop();
        }
        if now_ns() - start >= u64::from(budget) {
            learnt.budget.store((learnt.budget.load(Relaxed) / 2).max(LEAST_NS), Relaxed);
            learnt.misses.store(turn, Relaxed);
            return false;
        }
    }
}
