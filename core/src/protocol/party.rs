//! What a lock must know about the process it runs in.

use std::time::Duration;

use crate::atomic::AtomicU32;

/// A process, as the state machines see it.
pub(crate) trait Party {
    /// Whether the owner with this id is certainly dead. Costs a system call unless its slot has a new owner already.
    fn is_dead(&self, owner: u32) -> bool;
    /// Whether the owner's slot went to somebody else, which proves it dead without a system call.
    fn is_replaced(&self, owner: u32) -> bool;
    /// Number of slots ever used: nobody has a higher one. Sequentially consistent with the raising of it.
    fn slots_high(&self) -> usize;
    /// CLOCK_MONOTONIC, in nanoseconds.
    fn now_ns(&self) -> u64;
    /// Sleeps while the word holds `expected`, at most this long. `since_ns` is for people: when the wait began that this
    /// sleep is a part of.
    fn sleep(&self, word: &AtomicU32, expected: u32, at_most: Duration, since_ns: u64) -> Slept;
    /// Wakes sleepers on the word, and says how many there were.
    fn wake(&self, word: &AtomicU32, count: i32) -> usize;
}

/// Wakes everybody.
pub(crate) const ALL: i32 = i32::MAX;

/// What ended a sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slept {
    /// A wake-up, or the word had changed: look again.
    Woken,
    /// The time passed.
    TimedOut,
    /// A signal handler ran.
    Interrupted,
    /// The memory lost pages: nobody will ever wake this thread.
    Damaged,
}

/// Whether a lock's last owner left properly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an owner that died may have left half-written bytes"]
pub enum Acquired {
    /// Everything is in order.
    Clean,
    /// An owner died inside, and nobody has said since that all is well again.
    OwnerDied,
}
