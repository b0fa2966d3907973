//! How the locks of a region sleep, wake and learn who lives.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Memory;
use crate::atomic::AtomicU32;
use crate::protocol::owner::slot_index;
use crate::protocol::party::{Party, Slept};
use crate::sys::clock;
use crate::sys::futex::{self, Wake};

impl Party for Memory {
    fn is_dead(&self, owner: u32) -> bool {
        self.attachment.is_dead(&self.slots(), owner)
    }

    fn is_replaced(&self, owner: u32) -> bool {
        self.slots().is_replaced(owner)
    }

    fn slots_high(&self) -> usize {
        self.slots().high() as usize
    }

    fn now_ns(&self) -> u64 {
        clock::monotonic_ns()
    }

    fn sleep(&self, word: &AtomicU32, expected: u32, at_most: Duration, since_ns: u64) -> Slept {
        if self.map.damage().is_some() {
            return Slept::Damaged;
        }
        let slots = self.slots();
        let slot = slots.get(slot_index(self.me_if_attached()));
        let offset = self.offset_of(word);
        let since_ns = self.last_wait.since(offset, since_ns);
        if let Some(slot) = slot {
            slot.waits_ns.store(since_ns, Ordering::Relaxed);
            slot.waits_for.store(offset as u64, Ordering::Relaxed);
        }
        let woken = futex::wait(word, expected, at_most);
        self.last_wait.ended(offset, since_ns, woken == Wake::TimedOut);
        if let Some(slot) = slot {
            slot.waits_for.store(0, Ordering::Relaxed);
        }
        match woken {
            Wake::Woken | Wake::Changed => Slept::Woken,
            Wake::TimedOut => Slept::TimedOut,
            Wake::Interrupted => Slept::Interrupted,
        }
    }

    fn wake(&self, word: &AtomicU32, count: i32) -> usize {
        futex::wake(word, count)
    }
}
