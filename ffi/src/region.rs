//! `shmkit_region_*`.

use std::ffi::{CString, c_char, c_void};
use std::ptr::null_mut;
use std::time::Duration;

use core_crate::{Acquired, ErrorKind, Flush, Region, Result, Wait};

use crate::boundary::{Call, answer, attempt, borrow, range, text};
use crate::error::{Details, Status};
use crate::region_options::RegionChoices;
use crate::{FLUSH_ASYNC, FLUSH_INVALIDATE, FOREVER, WAIT_INTERRUPTIBLE};

/// An open region: a named piece of memory that processes attach to, with a lock (its guard) that survives its owners.
pub struct RegionHandle {
    region: Region,
    /// The region's name with a zero byte at its end.
    name: CString,
}

impl RegionHandle {
    fn into_raw(region: Region) -> *mut RegionHandle {
        let name = CString::new(region.location().display().into_owned()).unwrap_or_default();
        Box::into_raw(Box::new(RegionHandle { region, name }))
    }

    fn call(&self, operation: &'static str) -> Call<'_> {
        Call { operation, object: &self.name }
    }

    /// Runs the body that has a lock in its result: an owner that died is a status, and the lock is held.
    #[inline]
    fn report(&self, acquired: Acquired) -> Result<()> {
        match acquired {
            Acquired::Clean => Ok(()),
            Acquired::OwnerDied => Err(self.call("lock region").error(ErrorKind::OwnerDied)),
        }
    }
}

/// Creates a region of `len` zeroed user bytes and opens it.
///
/// `options` may be NULL. On success `*out` is a handle for shmkit_region_free, else NULL. It never waits for anybody.
/// Fails with ALREADY_EXISTS, INVALID_NAME, INVALID_LENGTH, INVALID_ARGUMENT, NO_SPACE, PERMISSION_DENIED, NOT_FOUND (the
/// directory of a path), UNSUPPORTED (a file system without what is needed).
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_create(
    name: *const c_char,
    len: u64,
    options: *const RegionChoices,
    out: *mut *mut RegionHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "create region", object: text(name) };
            call.clear(out)?;
            let choices = RegionChoices::load(options, &call)?;
            let location = call.location(name, choices.is_path())?;
            out.write(RegionHandle::into_raw(choices.for_creation(&call)?.create(location, len)?));
            Ok(())
        })
    }
}

/// Opens a region that exists and attaches this process to it, or with SHMKIT_REGION_READ_ONLY only looks at it.
///
/// `options` may be NULL. On success `*out` is a handle for shmkit_region_free, else NULL.
/// Fails with NOT_FOUND, PERMISSION_DENIED, INVALID_NAME, BAD_MAGIC, VERSION_MISMATCH, WRONG_KIND, TRUNCATED, CORRUPTED,
/// TOO_MANY_ATTACHMENTS, UNSUPPORTED.
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_open(
    name: *const c_char,
    options: *const RegionChoices,
    out: *mut *mut RegionHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "open region", object: text(name) };
            call.clear(out)?;
            let choices = RegionChoices::load(options, &call)?;
            let location = call.location(name, choices.is_path())?;
            let open = if choices.is_read_only() { Region::open_read_only } else { Region::open };
            out.write(RegionHandle::into_raw(open(location)?));
            Ok(())
        })
    }
}

/// Opens the region of this name, or creates it. Of several callers at once, one creates and all get its region.
///
/// Fails as shmkit_region_create and shmkit_region_open do, and with SIZE_MISMATCH when it exists with another length.
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_open_or_create(
    name: *const c_char,
    len: u64,
    options: *const RegionChoices,
    out: *mut *mut RegionHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "open or create region", object: text(name) };
            call.clear(out)?;
            let choices = RegionChoices::load(options, &call)?;
            let location = call.location(name, choices.is_path())?;
            out.write(RegionHandle::into_raw(choices.for_creation(&call)?.open_or_create(location, len)?));
            Ok(())
        })
    }
}

/// Removes a region's name. Processes that have it open keep it; its memory goes with the last of them.
///
/// Of the options only SHMKIT_REGION_PATH matters. Fails with NOT_FOUND, INVALID_NAME, PERMISSION_DENIED.
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_unlink(
    name: *const c_char,
    options: *const RegionChoices,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "unlink region", object: text(name) };
            let choices = RegionChoices::load(options, &call)?;
            Region::unlink(call.location(name, choices.is_path())?)
        })
    }
}

/// Ends the use of a region through this handle; the last handle of the process detaches it. Repeating it does nothing.
///
/// The handle stays: its calls answer CLOSED until shmkit_region_free takes it. Pointers into the region lead to zeros
/// from now on. Fails, and changes nothing, with BUSY while views of this handle live, or while this process holds the
/// guard and the handle is its last.
///
/// # Safety
/// `region` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_close(region: *const RegionHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(region, "close region")?.region.close()) }
}

/// Closes the region if that was not done, and releases the handle. NULL is allowed.
///
/// No other thread may use the handle any more. When a view lives or the guard is held, only the handle goes: the memory
/// stays mapped and the guard held until the process ends.
///
/// # Safety
/// `region` is null or a handle that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_free(region: *mut RegionHandle) {
    answer((), || {
        if !region.is_null() {
            // SAFETY: not null, made by `into_raw`, and the caller gives it up.
            drop(unsafe { Box::from_raw(region) });
        }
        Some(())
    });
}

/// Number of user bytes; 0 for NULL.
///
/// # Safety
/// `region` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_len(region: *const RegionHandle) -> usize {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { region.as_ref() }.map(|handle| handle.region.len()))
}

/// The name or path the region was opened by; it lives as long as the handle. "" for NULL.
///
/// # Safety
/// `region` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_name(region: *const RegionHandle) -> *const c_char {
    // SAFETY: the caller's promise.
    answer(c"".as_ptr(), || unsafe { region.as_ref() }.map(|handle| handle.name.as_ptr()))
}

/// Writes the 16 bytes that were drawn at random when the region was created into `id`: another region that later bears
/// the same name has others.
///
/// # Safety
/// `region` is null or a handle; `id` is null or has 16 bytes; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_id(
    region: *const RegionHandle,
    id: *mut u8,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(region, "identify region")?;
            let place = handle.call("identify region").target(id.cast(), 16)?;
            place.copy_from_slice(&handle.region.id());
            Ok(())
        })
    }
}

/// Whether it was opened for reading only; false for NULL.
///
/// # Safety
/// `region` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_is_read_only(region: *const RegionHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(false, || unsafe { region.as_ref() }.map(|handle| handle.region.is_read_only()))
}

/// Whether this handle was closed; true for NULL.
///
/// # Safety
/// `region` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_is_closed(region: *const RegionHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(true, || unsafe { region.as_ref() }.map(|handle| handle.region.is_closed()))
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

/// Copies `len` user bytes at `offset` into `into`, which must not lie in the region. Without the guard, a concurrent
/// writer may tear the copy.
///
/// Fails with OUT_OF_RANGE, CLOSED; nothing was copied then.
///
/// # Safety
/// `region` is null or a handle; `into` is null or has `len` bytes; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_read_at(
    region: *const RegionHandle,
    offset: u64,
    into: *mut c_void,
    len: usize,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(region, "read region")?;
            let into = handle.call("read region").target(into, len)?;
            handle.region.read_at(offset as usize, into)
        })
    }
}

/// Copies `len` bytes from `from`, which must not lie in the region, to the user bytes at `offset`. Without the guard, a
/// concurrent reader may see a part of them.
///
/// Fails with OUT_OF_RANGE, CLOSED, READ_ONLY; nothing was copied then.
///
/// # Safety
/// `region` is null or a handle; `from` is null or has `len` bytes; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_write_at(
    region: *const RegionHandle,
    offset: u64,
    from: *const c_void,
    len: usize,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(region, "write region")?;
            let from = handle.call("write region").source(from, len)?;
            handle.region.write_at(offset as usize, from)
        })
    }
}

/// Takes a view: `*data` becomes the address of the `len` user bytes at `offset`, and the handle cannot be closed until
/// shmkit_region_unpin. No bytes are copied; other processes may change them at any time.
///
/// Fails with OUT_OF_RANGE, CLOSED, READ_ONLY (`writable` of a read-only region); `*data` is NULL then.
///
/// # Safety
/// `region` is null or a handle; `data` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_pin(
    region: *const RegionHandle,
    offset: u64,
    len: usize,
    writable: bool,
    data: *mut *mut c_void,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(region, "view region")?;
            handle.call("view region").clear(data)?;
            data.write(handle.region.pin(offset as usize, len, writable)?.as_ptr().cast());
            Ok(())
        })
    }
}

/// Ends a view that shmkit_region_pin began, with the same `writable`. Fails with INVALID_ARGUMENT when there is none.
///
/// # Safety
/// `region` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_unpin(
    region: *const RegionHandle,
    writable: bool,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(region, "release view")?;
            let released = handle.region.unpin(writable);
            if released { Ok(()) } else { Err(handle.call("release view").refuse("there is no such view")) }
        })
    }
}

/// The address of the first user byte; NULL for NULL. It is not counted as a view: after a close it leads to zeros, after
/// shmkit_region_free nowhere. Storing through it into a read-only region is a fault.
///
/// # Safety
/// `region` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_data(region: *const RegionHandle) -> *mut c_void {
    // SAFETY: the caller's promise.
    answer(null_mut(), || unsafe { region.as_ref() }.map(|handle| handle.region.data_ptr().as_ptr().cast()))
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
            handle.report(handle.region.acquire(&Wait::forever())?)
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
                Some(acquired) => handle.report(acquired),
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
            handle.call("lock region").check_flags(flags, WAIT_INTERRUPTIBLE)?;
            let wait = match timeout_ns {
                FOREVER => Wait::forever(),
                limit => Wait::timeout(Duration::from_nanos(limit)),
            };
            let wait = if flags & WAIT_INTERRUPTIBLE != 0 { wait.interruptible() } else { wait };
            handle.report(handle.region.acquire(&wait)?)
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
            let call = handle.call("view guard");
            call.clear(word)?;
            call.clear(me.cast::<*mut u32>())?;
            if handle.region.is_closed() {
                return Err(call.error(ErrorKind::Closed));
            }
            let words = handle.region.guard_words();
            let (guard, owner) = words.ok_or_else(|| call.error(ErrorKind::ReadOnly))?;
            word.write(guard.as_ptr());
            me.write(owner.as_ptr());
            Ok(())
        })
    }
}

/// Carries user bytes of a region that is a file to the disk (msync(2)), and waits for it unless SHMKIT_FLUSH_ASYNC is
/// given. The range is widened to whole pages. For a shared memory object it does nothing.
///
/// Fails with OUT_OF_RANGE, CLOSED, IO (what the device reported), BUSY (SHMKIT_FLUSH_INVALIDATE of locked pages).
///
/// # Safety
/// `region` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_flush(
    region: *const RegionHandle,
    offset: u64,
    len: usize,
    flags: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(region, "flush region")?;
            handle.call("flush region").check_flags(flags, FLUSH_ASYNC | FLUSH_INVALIDATE)?;
            let flush = if flags & FLUSH_ASYNC != 0 { Flush::Async } else { Flush::Sync };
            if flags & FLUSH_INVALIDATE != 0 {
                handle.region.flush_and_invalidate(range(offset, len), flush)
            } else {
                handle.region.flush(range(offset, len), flush)
            }
        })
    }
}
