//! How long to wait, as C says it.

use std::time::Duration;

use core_crate::{AtomicU32, Result, Wait, changes_soon};

use crate::boundary::{Call, answer};
use crate::{FOREVER, WAIT_INTERRUPTIBLE};

/// The core's form of a time limit in nanoseconds and `SHMKIT_WAIT_` flags.
#[inline]
pub(crate) fn wait(timeout_ns: u64, flags: u32, call: &Call<'_>) -> Result<Wait> {
    call.check_flags(flags, WAIT_INTERRUPTIBLE)?;
    let wait = match timeout_ns {
        FOREVER => Wait::forever(),
        limit => Wait::timeout(Duration::from_nanos(limit)),
    };
    Ok(if flags & WAIT_INTERRUPTIBLE != 0 { wait.interruptible() } else { wait })
}

/// For languages that wait on the words of an object themselves: looks at a word until it is another than `value`, for as
/// long as that has paid off before, at most 50 µs; then it is time to sleep. True when the word changed. NULL does not.
///
/// # Safety
/// `word` is null or one of the addresses that this library gives, of a handle that is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_word_changes_soon(word: *const u32, value: u32) -> bool {
    // SAFETY: the caller's promise; everybody changes the word by atomic operations only.
    answer(false, || unsafe { word.cast::<AtomicU32>().as_ref() }.map(|word| changes_soon(word, value)))
}
