//! How long to wait, and on whom: what every lock shares.

use std::sync::atomic::{AtomicU32 as ProcessWord, Ordering::Relaxed};
use std::time::Duration;

use crate::atomic::AtomicU32;
use crate::layout;

/// How a blocking call waits.
///
/// ```
/// use shmkit::Wait;
/// use std::time::Duration;
///
/// let patient = Wait::forever();
/// let bounded = Wait::timeout(Duration::from_millis(50)).interruptible();
/// # let _ = (patient, bounded);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// CLOCK_MONOTONIC, nanoseconds; `u64::MAX` is never.
    deadline_ns: u64,
    interruptible: bool,
}

impl Wait {
    /// Waits as long as it takes.
    pub const FOREVER: Wait = Wait { deadline_ns: u64::MAX, interruptible: false };

    /// [`Wait::FOREVER`], to be changed.
    pub const fn forever() -> Wait {
        Wait::FOREVER
    }

    /// Waits at most this long, measured from now.
    pub fn timeout(timeout: Duration) -> Wait {
        let timeout_ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        Wait { deadline_ns: now_ns().saturating_add(timeout_ns), interruptible: false }
    }

    /// Also ends, with `Interrupted`, when a signal handler ran while this thread slept. A signal that came just before
    /// it slept does not wake it: bound the wait too.
    #[must_use]
    pub const fn interruptible(mut self) -> Wait {
        self.interruptible = true;
        self
    }

    /// How much longer to sleep, at most `slice`; `None` when the deadline has passed.
    pub(crate) fn remaining(&self, slice: Duration) -> Option<Duration> {
        if self.deadline_ns == u64::MAX {
            return Some(slice);
        }
        let left = self.deadline_ns.saturating_sub(now_ns());
        (left > 0).then(|| slice.min(Duration::from_nanos(left)))
    }

    pub(crate) fn is_interruptible(&self) -> bool {
        self.interruptible
    }
}

/// Why a wait ended without what it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The deadline passed.
    Timeout,
    /// A signal handler ran.
    Interrupted,
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

/// What a lock must know about the process it runs in. The state machines are written against this, so that a model
/// checker can play all the parts.
pub(crate) trait Party {
    /// Whether the owner with this id (the owner bits of a lock word) is certainly dead. Costs a system call unless its
    /// slot has a new owner already.
    fn is_dead(&self, owner: u32) -> bool;
    /// Whether the owner's slot went to somebody else, which proves it dead without a system call.
    fn is_replaced(&self, owner: u32) -> bool;
    /// Sleeps while the word holds `expected`, at most this long.
    fn sleep(&self, word: &AtomicU32, expected: u32, at_most: Duration) -> Slept;
    /// Wakes sleepers on the word, and says how many there were.
    fn wake(&self, word: &AtomicU32, count: i32) -> usize;
}

/// What ended a sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slept {
    /// A wake-up, or the word had changed: look again.
    Woken,
    /// The time passed.
    TimedOut,
    /// A signal handler ran.
    Interrupted,
}

/// The length of the next sleep: 1 ms, doubling to 16. Each slice that runs out asks the kernel whether the owner lives,
/// so its length bounds how long a death goes unnoticed; doubling keeps the cost of waiting for a living owner small.
pub(crate) struct Slices(Duration);

impl Slices {
    const FIRST: Duration = Duration::from_millis(1);
    const LAST: Duration = Duration::from_millis(16);

    pub fn new() -> Slices {
        Slices(Self::FIRST)
    }

    pub fn current(&self) -> Duration {
        self.0
    }

    pub fn lengthen(&mut self) {
        self.0 = (self.0 * 2).min(Self::LAST);
    }
}

/// How long to spin before sleeping, learnt by this process: spinning wins where the owner runs on another core and
/// leaves soon, and only burns time where it does not.
pub(crate) struct Spin;

static SPIN_BUDGET: ProcessWord = ProcessWord::new(Spin::FIRST);

impl Spin {
    const FIRST: u32 = 100;
    const MOST: u32 = 200;
    const LEAST: u32 = 4;

    /// Looks at the word until `ready`, for as long as has paid off before. `true` when it became ready.
    pub fn until(word: &AtomicU32, ready: impl Fn(u32) -> bool, hopeless: impl Fn(u32) -> bool) -> bool {
        if cfg!(loom) {
            return false;
        }
        let budget = SPIN_BUDGET.load(Relaxed);
        for spun in 0..budget {
            let seen = word.load(crate::atomic::Ordering::Relaxed);
            if ready(seen) {
                // Moves an eighth of the way towards twice of what was needed: a few lucky or unlucky turns change little.
                SPIN_BUDGET.store((budget * 7 + (spun * 2 + 16)).div_ceil(8).min(Self::MOST), Relaxed);
                return true;
            }
            if hopeless(seen) {
                return false;
            }
            std::hint::spin_loop();
        }
        SPIN_BUDGET.store((budget * 7 / 8).max(Self::LEAST), Relaxed);
        false
    }
}

/// The owner bits of a lock word.
#[inline]
pub(crate) fn owner_of(word: u32) -> u32 {
    word & layout::WORD_OWNER_MASK
}

fn now_ns() -> u64 {
    crate::sys::clock::monotonic_ns()
}
