//! `shmkit_condvar_*`: waiting for a condition that a mutex guards.

use std::ffi::c_char;

use core_crate::{Condvar, Notified};

use crate::boundary::{answer, attempt, borrow};
use crate::error::{Details, Status};
use crate::mutex::MutexHandle;
use crate::object::{self, Label};
use crate::region::RegionHandle;
use crate::wait::wait;

/// A condition variable in a region.
pub struct CondvarHandle {
    condvar: Condvar,
    label: Label,
}

const WAIT: &str = "wait on condvar";

/// Opens the condition variable of this name, creating it when it is missing.
///
/// On success `*out` is a handle for shmkit_condvar_free, else NULL. It may outlive the region's handle.
/// Fails with WRONG_KIND (the name is another object's), INVALID_NAME, NO_SPACE (no room for named objects left),
/// READ_ONLY, CLOSED (the region).
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_condvar_open(
    region: *const RegionHandle,
    name: *const c_char,
    out: *mut *mut CondvarHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            object::open("open condvar", region, name, out, |region, name, label| {
                Ok(CondvarHandle { condvar: region.condvar(name)?, label })
            })
        })
    }
}

/// Gives the mutex back, sleeps until notified, and takes the mutex again. `mutex` is one of the same region that this
/// process holds. A wait may end without a notification: wait in a loop that tests the condition.
///
/// Whatever this returns, the mutex is held after it if it was held before. OK: notified. TIMEOUT: not within `timeout_ns`
/// nanoseconds; SHMKIT_FOREVER is no limit. INTERRUPTED: a signal handler ran, with SHMKIT_WAIT_INTERRUPTIBLE. OWNER_DIED:
/// an owner of the mutex died inside, as shmkit_mutex_lock tells it; a death ends the wait too, because the notification
/// may have died with it. `*notified`, if `notified` is not NULL, becomes whether the wait ended before its limit and
/// without a signal: with OWNER_DIED, the status does not say it.
/// Fails with NOT_OWNER (this process does not hold the mutex), INVALID_ARGUMENT (the mutex is of another region), CLOSED.
///
/// # Safety
/// `condvar` and `mutex` are null or handles; the other pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_condvar_wait(
    condvar: *const CondvarHandle,
    mutex: *const MutexHandle,
    timeout_ns: u64,
    flags: u32,
    notified: *mut bool,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(condvar, WAIT)?;
            let other = borrow(mutex, WAIT)?;
            let call = handle.label.call(WAIT);
            let wait = wait(timeout_ns, flags, &call)?;
            let (acquired, outcome) = handle.condvar.wait_raw(&other.mutex, &wait)?;
            if let Some(notified) = notified.as_mut() {
                *notified = outcome == Notified::Yes;
            }
            other.label.taken(WAIT, acquired)?;
            match outcome {
                Notified::Yes => Ok(()),
                Notified::No(why) => Err(call.error(why)),
            }
        })
    }
}

/// Wakes one waiter. Call it with the mutex held, or after it was held for the change; it costs one load when nobody waits.
///
/// Fails with CLOSED.
///
/// # Safety
/// `condvar` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_condvar_notify_one(
    condvar: *const CondvarHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(condvar, "notify condvar")?.condvar.notify_one()) }
}

/// Wakes all waiters. Otherwise as shmkit_condvar_notify_one.
///
/// # Safety
/// `condvar` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_condvar_notify_all(
    condvar: *const CondvarHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(condvar, "notify condvar")?.condvar.notify_all()) }
}

/// The address of the word, for languages that look themselves whether anybody waits: while SHMKIT_WORD_WAITERS is not set in
/// it, a notification does nothing. It lives as long as the handle. Fails with CLOSED.
///
/// # Safety
/// `condvar` is null or a handle; `word` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_condvar_word(
    condvar: *const CondvarHandle,
    word: *mut *mut u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(condvar, "view condvar")?;
            let call = handle.label.call("view condvar");
            object::give(&call, handle.condvar.is_closed(), word, Some(handle.condvar.word().as_ptr()))
        })
    }
}

/// The name in its region; it lives as long as the handle. "" for NULL.
///
/// # Safety
/// `condvar` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_condvar_name(condvar: *const CondvarHandle) -> *const c_char {
    // SAFETY: the caller's promise.
    answer(c"".as_ptr(), || unsafe { condvar.as_ref() }.map(|handle| handle.label.name()))
}

/// Whether this handle was closed; true for NULL.
///
/// # Safety
/// `condvar` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_condvar_is_closed(condvar: *const CondvarHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(true, || unsafe { condvar.as_ref() }.map(|handle| handle.condvar.is_closed()))
}

/// Ends the use of the condvar through this handle; repeating it does nothing. The handle stays: its calls answer CLOSED until
/// shmkit_condvar_free takes it.
///
/// # Safety
/// `condvar` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_condvar_close(condvar: *const CondvarHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(condvar, "close condvar")?.condvar.close()) }
}

/// Closes the condvar if that was not done, and releases the handle. NULL is allowed. No other thread may use it any more.
///
/// # Safety
/// `condvar` is null or a handle that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_condvar_free(condvar: *mut CondvarHandle) {
    answer((), || {
        // SAFETY: the caller's promise.
        unsafe { object::free(condvar) };
        Some(())
    });
}
