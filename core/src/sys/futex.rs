//! futex(2) on words that several processes share: never with FUTEX_PRIVATE_FLAG, which would look the waiters up by
//! address and find nobody of another process.

use std::time::Duration;

use crate::atomic::AtomicU32;

/// Why [`wait`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Somebody woke this thread, or nobody did: look at the word.
    Woken,
    /// The word no longer held the expected value when the kernel looked.
    Changed,
    /// The time passed.
    TimedOut,
    /// A signal handler ran.
    Interrupted,
}

/// Sleeps while `word` holds `expected`, for at most `timeout`.
#[cfg(not(loom))]
pub fn wait(word: &AtomicU32, expected: u32, timeout: Duration) -> Wake {
    let timeout = libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(timeout.subsec_nanos() as i32),
    };
    // SAFETY: the word and the timeout are alive for the call; FUTEX_WAIT reads both and writes neither.
    let status = unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, expected, &raw const timeout, 0, 0)
    };
    if status == 0 {
        return Wake::Woken;
    }
    match nix::errno::Errno::last_raw() {
        libc::EAGAIN => Wake::Changed,
        libc::ETIMEDOUT => Wake::TimedOut,
        libc::EINTR => Wake::Interrupted,
        // EFAULT: the page vanished under a cut file. Sleeping is impossible; the caller's slices must not spin.
        _ => {
            std::thread::sleep(Duration::from_millis(1));
            Wake::TimedOut
        }
    }
}

/// Wakes at most `count` sleepers on `word` and says how many there were.
#[cfg(not(loom))]
pub fn wake(word: &AtomicU32, count: i32) -> usize {
    // SAFETY: FUTEX_WAKE uses the word only as an address.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count, 0, 0, 0) };
    usize::try_from(woken).unwrap_or(0)
}
