//! How long to wait, and how a wait is cut into slices.

use std::time::Duration;

use super::party::{Party, Slept};
use crate::atomic::AtomicU32;

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
        let deadline_ns = crate::sys::clock::monotonic_ns().saturating_add(timeout_ns);
        Wait { deadline_ns, interruptible: false }
    }

    /// Also ends, with `Interrupted`, when a signal handler ran while this thread slept. A signal that came just before
    /// it slept does not wake it: bound the wait too.
    #[must_use]
    pub const fn interruptible(mut self) -> Wait {
        self.interruptible = true;
        self
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

/// A wait in progress: sleeps of 1 ms, doubling to 16, each cut to the deadline.
///
/// A sleep that runs out is the moment to ask whether whoever we wait for still lives, so its length bounds how long a
/// death (or a wake-up that died with a killed waiter) goes unnoticed; doubling keeps a long wait cheap.
pub(crate) struct Sleeper<'a> {
    wait: &'a Wait,
    slice: Duration,
}

impl<'a> Sleeper<'a> {
    const FIRST: Duration = Duration::from_millis(1);
    const LAST: Duration = Duration::from_millis(16);

    pub fn new(wait: &'a Wait) -> Sleeper<'a> {
        Sleeper { wait, slice: Self::FIRST }
    }

    /// Sleeps one slice while the word holds `expected`. `Ok(true)`: the slice ran out; `Ok(false)`: look again.
    ///
    /// The deadline is looked at here, before the sleep and after the caller made itself known as a sleeper, so that a
    /// caller that gives up always has something to pass on or to take back.
    pub fn sleep(&mut self, party: &impl Party, word: &AtomicU32, expected: u32) -> Result<bool, Stop> {
        let at_most = match self.wait.deadline_ns {
            u64::MAX => self.slice,
            deadline => match deadline.saturating_sub(party.now_ns()) {
                0 => return Err(Stop::Timeout),
                left => self.slice.min(Duration::from_nanos(left)),
            },
        };
        match party.sleep(word, expected, at_most) {
            Slept::Interrupted if self.wait.interruptible => Err(Stop::Interrupted),
            Slept::TimedOut => {
                self.slice = (self.slice * 2).min(Self::LAST);
                Ok(true)
            }
            Slept::Woken | Slept::Interrupted => Ok(false),
        }
    }
}
