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
    unless: Option<Question>,
}

/// A function, and the number that it is called with.
type Question = (fn(usize) -> bool, usize);

impl Wait {
    /// Waits as long as it takes.
    pub const FOREVER: Wait = Wait { deadline_ns: u64::MAX, interruptible: false, unless: None };

    /// [`Wait::FOREVER`], to be changed.
    pub const fn forever() -> Wait {
        Wait::FOREVER
    }

    /// Waits at most this long, measured from now.
    pub fn timeout(timeout: Duration) -> Wait {
        let timeout_ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let deadline_ns = crate::sys::clock::monotonic_ns().saturating_add(timeout_ns);
        Wait { deadline_ns, ..Wait::FOREVER }
    }

    /// Also ends, with `Interrupted`, when a signal handler ran while this thread slept. A signal that came just before
    /// it slept does not wake it: bound the wait too.
    #[must_use]
    pub const fn interruptible(mut self) -> Wait {
        self.interruptible = true;
        self
    }

    /// Also ends, with `Interrupted`, when `stop` says so. It is called with `context` when a sleep ends without what was
    /// waited for: when a signal handler ran in this thread, and at least every 16 ms.
    ///
    /// For languages that look after signals or cancellation while they wait: a wait cut into slices would do it too, but
    /// between two slices a waiter is none, and what happens then passes it by.
    #[must_use]
    pub const fn unless(mut self, stop: fn(usize) -> bool, context: usize) -> Wait {
        self.unless = Some((stop, context));
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
    /// The memory lost pages.
    Damaged,
}

/// A wait in progress: sleeps of 4 ms, and in the long run of 16, each cut to the deadline.
///
/// A sleep that runs out is the moment to ask whether whoever we wait for still lives, so its length bounds how long a
/// death (or a wake-up that died with a killed waiter) goes unnoticed. What the asking costs is the sleep's end, tens of
/// microseconds on a virtual machine, so who has waited long asks less often: after a 64th of the wait so far.
///
/// Shorter than 4 ms it never is: a timer that ends before the next tick of a busy processor, which comes each 4 ms on
/// most systems, has the clock set for it and set back after it, and doubles the cost of a round trip.
pub(crate) struct Sleeper<'a> {
    wait: &'a Wait,
    /// When the first sleep began.
    since_ns: Option<u64>,
}

impl<'a> Sleeper<'a> {
    const SHORTEST_NS: u64 = 4_000_000;
    const LONGEST_NS: u64 = Self::LONGEST.as_nanos() as u64;
    const LONGEST: Duration = Duration::from_millis(16);
    const PART_OF_WAIT: u64 = 64;

    pub fn new(wait: &'a Wait) -> Sleeper<'a> {
        Sleeper { wait, since_ns: None }
    }

    /// Whether nothing was slept yet.
    pub fn is_fresh(&self) -> bool {
        self.since_ns.is_none()
    }

    /// Sleeps one slice while the word holds `expected`. `Ok(true)`: the slice ran out; `Ok(false)`: look again.
    ///
    /// The deadline is looked at here, before the sleep and after the caller made itself known as a sleeper, so that a
    /// caller that gives up always has something to pass on or to take back.
    pub fn sleep(&mut self, party: &impl Party, word: &AtomicU32, expected: u32) -> Result<bool, Stop> {
        let now_ns = party.now_ns();
        let since_ns = *self.since_ns.get_or_insert(now_ns);
        let waited_ns = now_ns.saturating_sub(since_ns);
        let slice_ns = (waited_ns / Self::PART_OF_WAIT).clamp(Self::SHORTEST_NS, Self::LONGEST_NS);
        let at_most_ns = match self.wait.deadline_ns {
            u64::MAX => slice_ns,
            deadline_ns => match deadline_ns.saturating_sub(now_ns) {
                0 => return Err(Stop::Timeout),
                left_ns => slice_ns.min(left_ns),
            },
        };
        let slept = party.sleep(word, expected, Duration::from_nanos(at_most_ns), since_ns);
        if !matches!(slept, Slept::Woken | Slept::Damaged)
            && self.wait.unless.is_some_and(|(stop, context)| stop(context))
        {
            return Err(Stop::Interrupted);
        }
        match slept {
            Slept::Damaged => Err(Stop::Damaged),
            Slept::Interrupted if self.wait.interruptible => Err(Stop::Interrupted),
            Slept::TimedOut => Ok(true),
            Slept::Woken | Slept::Interrupted => Ok(false),
        }
    }
}

/// Why a wait in the kernel ended without what it waited for.
#[cfg(not(loom))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The wait's own end.
    Stopped(Stop),
    /// The system call failed.
    Failed(nix::errno::Errno),
}

/// Waits in system calls that take a time limit themselves and need no slices to find out what happened. `attempt` gets the
/// longest it may sleep (`None`: for ever) and says what it got; `Ok(None)`: the time passed.
#[cfg(not(loom))]
pub(crate) fn in_kernel<T>(
    wait: &Wait,
    mut attempt: impl FnMut(Option<Duration>) -> crate::sys::SysResult<Option<T>>,
) -> Result<T, Ended> {
    use nix::errno::Errno;
    loop {
        let left = match wait.deadline_ns {
            u64::MAX => None,
            deadline => {
                Some(Duration::from_nanos(deadline.saturating_sub(crate::sys::clock::monotonic_ns())))
            }
        };
        // Who wants to be asked is asked as often as by the other waits.
        let at_most = match wait.unless {
            Some(_) => Some(left.map_or(Sleeper::LONGEST, |left| left.min(Sleeper::LONGEST))),
            None => left,
        };
        let interrupted = match attempt(at_most) {
            Ok(Some(got)) => return Ok(got),
            Ok(None) => false,
            Err(Errno::EINTR) => true,
            Err(errno) => return Err(Ended::Failed(errno)),
        };
        let told = wait.unless.is_some_and(|(stop, context)| stop(context));
        if told || interrupted && wait.interruptible {
            return Err(Ended::Stopped(Stop::Interrupted));
        }
        if left == Some(Duration::ZERO) {
            return Err(Ended::Stopped(Stop::Timeout));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::atomic::Ordering::Relaxed;

    /// Its sleeps end as the word that they sleep on says, after all of their time; the clock stands still otherwise.
    #[derive(Default)]
    struct Scripted {
        now_ns: Cell<u64>,
    }

    impl Party for Scripted {
        fn sleep(&self, word: &AtomicU32, _: u32, at_most: Duration, _: u64) -> Slept {
            self.now_ns.set(self.now_ns.get() + at_most.as_nanos() as u64);
            [Slept::Woken, Slept::TimedOut, Slept::Interrupted, Slept::Damaged][word.load(Relaxed) as usize]
        }
        fn is_dead(&self, _: u32) -> bool {
            false
        }
        fn is_replaced(&self, _: u32) -> bool {
            false
        }
        fn slots_high(&self) -> usize {
            0
        }
        fn now_ns(&self) -> u64 {
            self.now_ns.get()
        }
        fn wake(&self, _: &AtomicU32, _: i32) -> usize {
            0
        }
    }

    #[test]
    fn slices_grow_with_the_wait_and_end_with_it() {
        let (party, word) = (Scripted::default(), AtomicU32::new(1));
        let (forever, limited) = (Wait::forever(), Wait { deadline_ns: 10_000_000, ..Wait::FOREVER });
        let slice = |sleeper: &mut Sleeper<'_>| {
            let before = party.now_ns();
            sleeper.sleep(&party, &word, 1).map(|_| party.now_ns() - before)
        };
        let mut sleeper = Sleeper::new(&limited);
        let slices: Vec<_> = (0..4).map(|_| slice(&mut sleeper)).collect();
        assert_eq!(slices, [Ok(4_000_000), Ok(4_000_000), Ok(2_000_000), Err(Stop::Timeout)]);

        let mut sleeper = Sleeper::new(&forever);
        let mut slice_ns = 4_000_000;
        while party.now_ns() < 2_000_000_000 {
            let next_ns = slice(&mut sleeper).unwrap();
            assert!((slice_ns..=16_000_000).contains(&next_ns), "{next_ns} after {slice_ns}");
            assert!(next_ns == 4_000_000 || next_ns <= party.now_ns() / 60);
            slice_ns = next_ns;
        }
        assert_eq!(slice_ns, 16_000_000);
    }

    #[test]
    fn a_wait_in_the_kernel_ends_by_its_time_its_question_or_an_error() {
        use nix::errno::Errno;
        let ended = |wait: &Wait, outcome| in_kernel::<()>(wait, |_| outcome);
        let over = Wait::timeout(Duration::ZERO);
        assert_eq!(ended(&over, Ok(None)), Err(Ended::Stopped(Stop::Timeout)));
        assert_eq!(ended(&over, Ok(Some(()))), Ok(()), "the last look counts");
        assert_eq!(ended(&over, Err(Errno::EINTR)), Err(Ended::Stopped(Stop::Timeout)));
        assert_eq!(ended(&Wait::forever(), Err(Errno::EIDRM)), Err(Ended::Failed(Errno::EIDRM)));
        let told = Wait::forever().unless(|context| context == 7, 7);
        assert_eq!(ended(&told, Ok(None)), Err(Ended::Stopped(Stop::Interrupted)));
        let patient = Wait::forever().interruptible();
        assert_eq!(ended(&patient, Err(Errno::EINTR)), Err(Ended::Stopped(Stop::Interrupted)));
        let mut limits = Vec::new();
        let mut turns = 0;
        let asked = Wait::forever().unless(|_| false, 0);
        in_kernel(&asked, |limit| {
            limits.push(limit);
            turns += 1;
            Ok((turns == 2).then_some(()))
        })
        .unwrap();
        assert_eq!(limits, [Some(Sleeper::LONGEST); 2]);
    }

    #[test]
    fn a_waiter_that_is_told_to_stop_stops_unless_it_was_woken() {
        let sleep = |slept, wait: &Wait| {
            Sleeper::new(wait).sleep(&Scripted::default(), &AtomicU32::new(slept), slept)
        };
        let told = |answer| Wait::forever().unless(|context| context == 7, answer);
        assert_eq!(sleep(0, &told(7)), Ok(false), "what it waited for may be there");
        assert_eq!(sleep(1, &told(7)), Err(Stop::Interrupted));
        assert_eq!(sleep(2, &told(7)), Err(Stop::Interrupted));
        assert_eq!(sleep(3, &told(7)), Err(Stop::Damaged), "whatever was asked");
        assert_eq!(sleep(1, &told(8)), Ok(true));
        assert_eq!(sleep(2, &told(8)), Ok(false), "a signal alone does not stop it");
        assert_eq!(sleep(2, &told(8).interruptible()), Err(Stop::Interrupted));
    }
}
