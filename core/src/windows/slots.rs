//! The places where windows are mapped: which window each holds, how many use it, and when it was last used.
//!
//! The word of a slot:
//!
//! ```text
//! bits 0..32   pins      users of the bytes, for an instant or as a view; the slot keeps its window while there are any
//! bits 32..64  window+1  what is mapped here; 0: nothing that may be used
//! ```
//!
//! | from | to | by |
//! |---|---|---|
//! | window, pins | window, pins + 1 | [`Slot::pin`]; whoever finds another window takes the pin back and touches nothing |
//! | window, 0 | nothing, 0 | [`Slot::evict`], which commits an eviction: from here on nobody gets at the old bytes |
//! | nothing, pins | window, pins + 1 | [`Slot::install`], which commits a window: the bytes are mapped by then |
//!
//! Only [`Slot::pin`] and [`Slot::unpin`] run without the cache's lock.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const WINDOW: u32 = 32;
const PINS: u64 = (1 << WINDOW) - 1;

/// One place, on cache lines of its own: other slots' users do not slow each other.
#[repr(align(64))]
#[derive(Default)]
pub(super) struct Slot {
    word: AtomicU64,
    /// The clock when it was last used.
    used: AtomicU64,
    hits: AtomicU64,
    /// What `hits` was when the window came.
    hits_before: AtomicU64,
    /// How many of the pins are views.
    views: AtomicU32,
}

impl Slot {
    /// Keeps the window here, if it is this one; `false` if it is another.
    #[inline]
    pub fn pin(&self, window: u32) -> bool {
        // Acquire: what `install` mapped is there. A pin on another window keeps that from going for an instant at most.
        let seen = self.word.fetch_add(1, Ordering::Acquire);
        let is_it = seen >> WINDOW == u64::from(window) + 1;
        if !is_it {
            self.unpin();
        }
        is_it
    }

    /// Ends a use. Release: whoever evicts the window does so after all that was done with its bytes.
    #[inline]
    pub fn unpin(&self) {
        self.word.fetch_sub(1, Ordering::Release);
    }

    /// Notes a use that found its window here.
    #[inline]
    pub fn note_hit(&self, clock: &AtomicU64) {
        self.hits.fetch_add(1, Ordering::Relaxed);
        self.note_use(clock);
    }

    /// Notes that this is the slot used last. Two threads may get the same time, and so be equally old.
    #[inline]
    pub fn note_use(&self, clock: &AtomicU64) {
        let now = clock.load(Ordering::Relaxed);
        if self.used.load(Ordering::Relaxed) != now {
            clock.store(now + 1, Ordering::Relaxed);
            self.used.store(now + 1, Ordering::Relaxed);
        }
    }

    pub fn last_used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// How often the window was found here since it came.
    pub fn served(&self) -> u64 {
        self.hits().wrapping_sub(self.hits_before.load(Ordering::Relaxed))
    }

    /// The window that is here, if any.
    pub fn window(&self) -> Option<u32> {
        (self.word.load(Ordering::Relaxed) >> WINDOW).checked_sub(1).map(|window| window as u32)
    }

    pub fn is_pinned(&self) -> bool {
        self.word.load(Ordering::Relaxed) & PINS != 0
    }

    /// Takes the window away, if nobody uses it.
    pub fn evict(&self) -> bool {
        let seen = self.word.load(Ordering::Relaxed) & !PINS;
        self.word.compare_exchange(seen, 0, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Says that this window is mapped here now, and pins it.
    pub fn install(&self, window: u32) {
        self.hits_before.store(self.hits(), Ordering::Relaxed);
        // Added, not stored: somebody may be about to take back a pin on what was here before.
        self.word.fetch_add((u64::from(window) + 1) << WINDOW | 1, Ordering::Release);
    }

    /// Counts a view in; its pin is there already.
    pub fn add_view(&self) {
        self.views.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a view out, with its pin; `false` when there is none.
    pub fn remove_view(&self) -> bool {
        let less = |views: u32| views.checked_sub(1);
        let counted = self.views.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok();
        if counted {
            self.unpin();
        }
        counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_stays_while_it_is_used() {
        let slot = Slot::default();
        assert_eq!((slot.window(), slot.pin(0), slot.is_pinned()), (None, false, false));
        slot.install(7);
        assert_eq!((slot.window(), slot.is_pinned(), slot.evict()), (Some(7), true, false));
        assert!(slot.pin(7) && !slot.pin(6));
        slot.unpin();
        slot.unpin();
        assert!(slot.evict() && slot.window().is_none() && !slot.pin(7));
        let clock = AtomicU64::new(1);
        slot.note_hit(&clock);
        assert_eq!((slot.hits(), slot.served()), (1, 1));
        slot.install(3);
        slot.note_hit(&clock);
        assert_eq!((slot.hits(), slot.served()), (2, 1));
    }

    #[test]
    fn a_view_is_counted_out_once() {
        let slot = Slot::default();
        slot.install(0);
        slot.add_view();
        assert!(slot.remove_view() && !slot.remove_view());
        assert!(slot.evict());
    }
}
