//! How long to wait, as C says it.

use std::time::Duration;

use core_crate::{Result, Wait};

use crate::boundary::Call;
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
