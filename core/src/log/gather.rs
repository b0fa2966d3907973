//! Before a flush: waiting a moment for those who will want one too.
//!
//! Writers who wait for the disk come back together, when a flush ends. Without this the first of them would begin the next
//! flush alone, all others would wait for the one after it, and so each flush would carry half of them. So who leads waits
//! until as many have come as waited for the last flush or came during it, for three quarters of the time that a flush takes at most.
//! (PostgreSQL has a fixed `commit_delay` for the same.)
//!
//! The numbers are hints: whatever they say, a flush is only late by that much. Whose wait was in vain waits more seldom.

use std::sync::atomic::AtomicU32;

use crate::atomic::Ordering::Relaxed;
use crate::layout::LogControl;
use crate::sys::clock;

/// The longest wait, whatever the last flush took.
const MOST_NS: u64 = 2_000_000;
/// Between two waits in vain lie at most 2 to this power flushes without one.
const MOST_MISSES: u32 = 6;

/// What this process learnt about waiting for others.
#[derive(Default)]
pub(super) struct Gathering {
    /// Waits in vain since the last one that was not.
    misses: AtomicU32,
    /// Flushes to begin at once.
    skip: AtomicU32,
}

impl Gathering {
    /// Waits for company, by who holds the flush lock.
    pub fn gather(&self, words: &LogControl) {
        let company = words.company.load(Relaxed);
        let before = words.joined_before.load(Relaxed);
        let is_complete = || words.joined.load(Relaxed).wrapping_sub(before) >= company;
        if company < 2 || is_complete() {
            return;
        }
        let skip = self.skip.load(Relaxed);
        if skip > 0 {
            self.skip.store(skip - 1, Relaxed);
            return;
        }
        let patience_ns = (words.flush_ns.load(Relaxed) / 4).saturating_mul(3).min(MOST_NS);
        let until = clock::monotonic_ns() + patience_ns;
        while !is_complete() {
            if clock::monotonic_ns() >= until {
                let misses = (self.misses.load(Relaxed) + 1).min(MOST_MISSES);
                self.misses.store(misses, Relaxed);
                self.skip.store((1 << misses) - 1, Relaxed);
                return;
            }
            std::thread::yield_now();
        }
        self.misses.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mapping;

    #[test]
    fn a_leader_waits_for_as_many_as_there_were() {
        let memory = Mapping::anonymous(4096).unwrap();
        let view = memory.view_mut().unwrap();
        let words = view.shared::<LogControl>(0).unwrap();
        words.flush_ns.store(u64::MAX / 8, Relaxed); // as long as there is
        words.company.store(3, Relaxed);
        words.joined_before.store(u64::MAX - 1, Relaxed);
        words.joined.store(u64::MAX, Relaxed);
        let gathering = Gathering::default();
        let begun = std::time::Instant::now();
        gathering.gather(words);
        assert!(begun.elapsed().as_nanos() >= u128::from(MOST_NS), "nobody came");
        assert_eq!((gathering.misses.load(Relaxed), gathering.skip.load(Relaxed)), (1, 1));
        gathering.gather(words);
        assert_eq!(gathering.skip.load(Relaxed), 0, "it did not wait again at once");
        for misses in 2..=2 * MOST_MISSES {
            gathering.gather(words);
            assert_eq!(gathering.misses.load(Relaxed), misses.min(MOST_MISSES));
            gathering.skip.store(0, Relaxed);
        }
        words.joined.store(1, Relaxed); // past the largest number: three have come
        gathering.gather(words);
        assert_eq!(gathering.misses.load(Relaxed), MOST_MISSES, "it did not wait");
    }

    #[test]
    fn who_is_alone_waits_for_nobody() {
        let memory = Mapping::anonymous(4096).unwrap();
        let view = memory.view_mut().unwrap();
        let words = view.shared::<LogControl>(0).unwrap();
        words.flush_ns.store(u64::MAX, Relaxed);
        let gathering = Gathering::default();
        for company in [0, 1] {
            words.company.store(company, Relaxed);
            gathering.gather(words);
        }
        assert_eq!(gathering.misses.load(Relaxed), 0);
    }
}
