//! `shmkit_mutex_*`: a lock with an owner, by name.

use std::ffi::c_char;

use core_crate::{Mutex, Wait};

use crate::boundary::{answer, attempt, borrow};
use crate::error::{Details, Status};
use crate::object::{self, Label};
use crate::region::RegionHandle;
use crate::wait::wait;

/// A mutual exclusion lock in a region.
pub struct MutexHandle {
    pub(crate) mutex: Mutex,
    pub(crate) label: Label,
}

const LOCK: &str = "lock mutex";

/// Opens the mutex of this name, creating it when it is missing.
///
/// On success `*out` is a handle for shmkit_mutex_free, else NULL. It may outlive the region's handle.
/// Fails with WRONG_KIND (the name is another object's), INVALID_NAME, NO_SPACE (no room for named objects left),
/// READ_ONLY, CLOSED (the region).
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mutex_open(
    region: *const RegionHandle,
    name: *const c_char,
    out: *mut *mut MutexHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            object::open("open mutex", region, name, out, |region, name, label| {
                Ok(MutexHandle { mutex: region.mutex(name)?, label })
            })
        })
    }
}

/// Takes the lock, waiting as long as it takes. The process owns it: any of its threads may give it back.
///
/// OWNER_DIED means that the lock IS HELD, and that an owner died inside before: what it guards may be half-written.
/// Repair it and call shmkit_mutex_make_consistent, or give the lock back and the next one is told the same.
/// Fails, without the lock, with CLOSED, TOO_MANY_ATTACHMENTS (a forked child that finds no place).
///
/// # Safety
/// `mutex` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mutex_lock(mutex: *const MutexHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(mutex, LOCK)?;
            handle.label.taken(LOCK, handle.mutex.acquire(&Wait::FOREVER)?)
        })
    }
}

/// Takes the lock if nobody who lives holds it, else answers WOULD_BLOCK. Never sleeps. Otherwise as shmkit_mutex_lock.
///
/// # Safety
/// `mutex` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mutex_try_lock(mutex: *const MutexHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(mutex, LOCK)?;
            handle.label.tried(LOCK, handle.mutex.try_acquire()?)
        })
    }
}

/// Takes the lock if it becomes free within `timeout_ns` nanoseconds, else answers TIMEOUT; SHMKIT_FOREVER is no limit.
/// With SHMKIT_WAIT_INTERRUPTIBLE it can answer INTERRUPTED. Otherwise as shmkit_mutex_lock.
///
/// # Safety
/// `mutex` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mutex_lock_wait(
    mutex: *const MutexHandle,
    timeout_ns: u64,
    flags: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(mutex, LOCK)?;
            let wait = wait(timeout_ns, flags, &handle.label.call(LOCK))?;
            handle.label.taken(LOCK, handle.mutex.acquire(&wait)?)
        })
    }
}

/// Gives the lock back. Fails with NOT_OWNER when this process does not hold it, CLOSED.
///
/// # Safety
/// `mutex` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mutex_unlock(mutex: *const MutexHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(mutex, "unlock mutex")?.mutex.release()) }
}

/// Says that what the mutex guards is in order again after an owner died: OWNER_DIED is no longer reported. Needs the lock.
///
/// Fails with NOT_OWNER, CLOSED.
///
/// # Safety
/// `mutex` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mutex_make_consistent(
    mutex: *const MutexHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(mutex, "make mutex consistent")?.mutex.make_consistent()) }
}

/// Whether anybody holds the lock at this moment, dead or alive; false for NULL.
///
/// # Safety
/// `mutex` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mutex_is_locked(mutex: *const MutexHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(false, || unsafe { mutex.as_ref() }.map(|handle| handle.mutex.is_locked()))
}

/// The addresses of the lock word and of the word with this process's owner id, to be used as those of
/// shmkit_region_guard_words. Both live as long as the handle. Fails with CLOSED.
///
/// # Safety
/// `mutex` is null or a handle; the other pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mutex_words(
    mutex: *const MutexHandle,
    word: *mut *mut u32,
    me: *mut *const u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(mutex, "view mutex")?;
            let call = handle.label.call("view mutex");
            object::give_lock_words(&call, handle.mutex.is_closed(), word, me, handle.mutex.words())
        })
    }
}

/// The name in its region; it lives as long as the handle. "" for NULL.
///
/// # Safety
/// `mutex` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mutex_name(mutex: *const MutexHandle) -> *const c_char {
    // SAFETY: the caller's promise.
    answer(c"".as_ptr(), || unsafe { mutex.as_ref() }.map(|handle| handle.label.name()))
}

/// Whether this handle was closed; true for NULL.
///
/// # Safety
/// `mutex` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mutex_is_closed(mutex: *const MutexHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(true, || unsafe { mutex.as_ref() }.map(|handle| handle.mutex.is_closed()))
}

/// Ends the use of the mutex through this handle; repeating it does nothing. The handle stays: its calls answer CLOSED until
/// shmkit_mutex_free takes it. Fails, and changes nothing, with BUSY when it is the process's last and it holds the lock.
///
/// # Safety
/// `mutex` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mutex_close(mutex: *const MutexHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(mutex, "close mutex")?.mutex.close()) }
}

/// Closes the mutex if that was not done, and releases the handle. NULL is allowed.
///
/// No other thread may use the handle any more. A lock that this process holds stays held while the process has anything of
/// the region open, and is then as if its owner had died.
///
/// # Safety
/// `mutex` is null or a handle that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mutex_free(mutex: *mut MutexHandle) {
    answer((), || {
        // SAFETY: the caller's promise.
        unsafe { object::free(mutex) };
        Some(())
    });
}
