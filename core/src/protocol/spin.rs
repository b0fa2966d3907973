//! Spinning before sleeping, bounded and learnt: it wins where the owner runs on another core and leaves soon, and only
//! burns time where it does not.

use std::sync::atomic::{AtomicU32 as ProcessWord, Ordering::Relaxed};

use crate::atomic::AtomicU32;

/// Turns worth spinning, learnt by this process over all its locks.
static BUDGET: ProcessWord = ProcessWord::new(FIRST);

const FIRST: u32 = 100;
const MOST: u32 = 200;
const LEAST: u32 = 4;

/// Looks at the word until it is `ready`, it is `hopeless`, or spinning this long has not paid off before.
pub(crate) fn until(word: &AtomicU32, ready: impl Fn(u32) -> bool, hopeless: impl Fn(u32) -> bool) {
    if cfg!(loom) {
        return;
    }
    let budget = BUDGET.load(Relaxed);
    for spun in 0..budget {
        let seen = word.load(crate::atomic::Ordering::Relaxed);
        if ready(seen) {
            // An eighth of the way towards twice of what was needed: a few lucky or unlucky turns change little.
            BUDGET.store((budget * 7 + spun * 2 + 16).div_ceil(8).min(MOST), Relaxed);
            return;
        }
        if hopeless(seen) {
            return;
        }
        std::hint::spin_loop();
    }
    BUDGET.store((budget * 7 / 8).max(LEAST), Relaxed);
}
