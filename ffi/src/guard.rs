//! `shmkit_region_*`: the guard.

use core_crate::{Acquired, ErrorKind, Result, Wait};

use crate::boundary::{answer, attempt, borrow};
use crate::error::{Details, Status};
use crate::object;
use crate::region::RegionHandle;
use crate::wait::wait;

/// An owner that died is a status of its own, and the guard is held.
#[inline]
fn report(handle: &RegionHandle, acquired: Acquired) -> Result<()> {
    match acquired {
        Acquired::Clean => Ok(()),
        Acquired::OwnerDied => Err(handle.call("lock region").error(ErrorKind::OwnerDied)),
    }
}

/// Takes the guard, waiting as long as it takes. The process owns it: any of its threads may give it back.
///
/// OWNER_DIED means that the guard IS HELD, and that an owner died inside before: what it guards may be half-written.
/// Repair it and call shmkit_region_make_consistent, or give the guard back and the next one is told the same.
/// Fails, without the guard, with CLOSED, READ_ONLY, TOO_MANY_ATTACHMENTS (a forked child that finds no place).
///
/// # Safety
/// `region` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_lock(region: *const RegionHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(region, "lock region")?;
            report(handle, handle.region.acquire(&Wait::forever())?)
        })
    }
}

/// Takes the guard if nobody who lives holds it, else answers WOULD_BLOCK. Never sleeps. Otherwise as shmkit_region_lock.
///
/// # Safety
/// `region` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_try_lock(region: *const RegionHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(region, "lock region")?;
            match handle.region.try_acquire()? {
                Some(acquired) => report(handle, acquired),
                None => Err(handle.call("lock region").error(ErrorKind::WouldBlock)),
            }
        })
    }
}

/// Takes the guard if it becomes free within `timeout_ns` nanoseconds, else answers TIMEOUT; SHMKIT_FOREVER is no limit.
/// With SHMKIT_WAIT_INTERRUPTIBLE it can answer INTERRUPTED. Otherwise as shmkit_region_lock.
///
/// # Safety
/// `region` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_lock_wait(
    region: *const RegionHandle,
    timeout_ns: u64,
    flags: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(region, "lock region")?;
            let wait = wait(timeout_ns, flags, &handle.call("lock region"))?;
            report(handle, handle.region.acquire(&wait)?)
        })
    }
}

/// Gives the guard back. Fails with NOT_OWNER when this process does not hold it, CLOSED, READ_ONLY.
///
/// # Safety
/// `region` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_unlock(region: *const RegionHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(region, "unlock region")?.region.release()) }
}

/// Says that the user bytes are in order again after an owner died: OWNER_DIED is no longer reported. Needs the guard.
///
/// Fails with NOT_OWNER, CLOSED, READ_ONLY.
///
/// # Safety
/// `region` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_make_consistent(
    region: *const RegionHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(region, "make region consistent")?.region.make_consistent()) }
}

/// The addresses of the guard's word and of the word with this process's owner id, for languages that lock without a call:
/// lock is a compare-and-swap of the first from 0 to the second's value, unlock the reverse, both sequentially consistent;
/// whenever one fails, or the second holds 0 (not attached), the functions above do the work. After a lock, ask whether
/// the handle was closed meanwhile, and unlock and fail if so. Both live as long as the handle.
///
/// Fails with READ_ONLY, CLOSED.
///
/// # Safety
/// `region` is null or a handle; the other pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_guard_words(
    region: *const RegionHandle,
    word: *mut *mut u32,
    me: *mut *const u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(region, "view guard")?;
            let region = &handle.region;
            let call = handle.call("view guard");
            object::give_lock_words(&call, region.is_closed(), word, me, region.guard_words())
        })
    }
}

/// Whether anybody holds the guard at this moment, dead or alive; false for NULL.
///
/// # Safety
/// `region` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_is_locked(region: *const RegionHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(false, || unsafe { region.as_ref() }.map(|handle| handle.region.is_locked()))
}
