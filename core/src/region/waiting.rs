//! Since when this process waits, for people who look at the region.
//!
//! A language that looks after signals, contexts or closed handles cuts a wait into many. What goes on where the one before
//! ran out is shown as one wait.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use crate::sys::clock;

/// A pause longer than this is the end of a wait.
const PAUSE_NS: u64 = 20_000_000;

/// The last sleep that ran out, in this process alone. Threads that wait at once may mix theirs up: nothing rests on it.
#[derive(Default)]
pub(super) struct LastWait {
    /// Offset of the word; 0 for none.
    word: AtomicUsize,
    since_ns: AtomicU64,
    ended_ns: AtomicU64,
}

impl LastWait {
    /// Since when a wait for this word goes on that was called at `called_ns`.
    pub fn since(&self, word: usize, called_ns: u64) -> u64 {
        let goes_on = self.word.load(Relaxed) == word
            && called_ns.saturating_sub(self.ended_ns.load(Relaxed)) <= PAUSE_NS;
        if goes_on { self.since_ns.load(Relaxed) } else { called_ns }
    }

    /// Notes how a sleep ended that is shown as begun at `since_ns`.
    pub fn ended(&self, word: usize, since_ns: u64, ran_out: bool) {
        if ran_out {
            self.since_ns.store(since_ns, Relaxed);
            self.ended_ns.store(clock::monotonic_ns(), Relaxed);
        }
        self.word.store(if ran_out { word } else { 0 }, Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_wait_goes_on_where_the_one_before_ran_out() {
        let last = LastWait::default();
        let now = clock::monotonic_ns();
        assert_eq!(last.since(64, now), now);
        last.ended(64, now - 1000, true);
        assert_eq!(last.since(64, clock::monotonic_ns()), now - 1000);
        assert_eq!(last.since(128, now), now, "another word");
        let later = clock::monotonic_ns() + PAUSE_NS + 1;
        assert_eq!(last.since(64, later), later, "after a pause");
        last.ended(64, now - 1000, false);
        assert_eq!(last.since(64, now), now, "what was waited for came");
    }
}
