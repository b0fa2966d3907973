//! `shmkit_region_*`: the region and its bytes; `guard.rs` has its lock.

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::null_mut;

use core_crate::{Flush, Region};

use crate::boundary::{Call, answer, attempt, borrow, range, text};
use crate::error::{Details, Status};
use crate::region_options::RegionChoices;
use crate::{FLUSH_ASYNC, FLUSH_INVALIDATE};

/// An open region: a named piece of memory that processes attach to, with a lock (its guard) that survives its owners.
pub struct RegionHandle {
    pub(crate) region: Region,
    /// The region's name with a zero byte at its end.
    name: CString,
}

impl RegionHandle {
    pub(crate) fn into_raw(region: Region) -> *mut RegionHandle {
        let name = CString::new(region.location().display().into_owned()).unwrap_or_default();
        Box::into_raw(Box::new(RegionHandle { region, name }))
    }

    pub(crate) fn call(&self, operation: &'static str) -> Call<'_> {
        Call { operation, object: &self.name }
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

/// Creates a region of `len` zeroed user bytes that has no name: only its descriptor leads to it (memfd_create(2)). A forked
/// child keeps it; for others, shmkit_region_fd gives a descriptor.
///
/// `options` may be NULL. On success `*out` is a handle for shmkit_region_free, else NULL.
/// Fails with INVALID_LENGTH, INVALID_ARGUMENT (SHMKIT_REGION_PATH), NO_SPACE, OUT_OF_MEMORY, UNSUPPORTED (/proc is not
/// mounted).
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_create_unnamed(
    len: u64,
    options: *const RegionChoices,
    out: *mut *mut RegionHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "create region", object: c"" };
            call.clear(out)?;
            let choices = RegionChoices::load(options, &call)?;
            if choices.is_path() {
                return Err(call.refuse("what has no name has no path"));
            }
            out.write(RegionHandle::into_raw(choices.for_creation(&call)?.create_unnamed(len)?));
            Ok(())
        })
    }
}

/// Opens the region behind a descriptor, for example an inherited or received one. It stays yours and may be closed
/// afterwards; one that was opened for reading gives a region for reading. Otherwise as shmkit_region_open.
///
/// # Safety
/// `fd` is not closed by another thread meanwhile; `out` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_from_fd(
    fd: c_int,
    out: *mut *mut RegionHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "open region", object: c"" };
            call.clear(out)?;
            out.write(RegionHandle::into_raw(Region::from_fd(call.descriptor(fd)?)?));
            Ok(())
        })
    }
}

/// Stores a new descriptor of the region to `*fd`, for another process to inherit or receive; it is yours to close, and
/// close-on-exec. Fails with CLOSED, OUT_OF_MEMORY (no descriptor is free); `*fd` is unchanged then.
///
/// # Safety
/// `region` is null or a handle; `fd` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_fd(
    region: *const RegionHandle,
    fd: *mut c_int,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(region, "duplicate descriptor")?;
            crate::segment::give_descriptor(&handle.call("duplicate descriptor"), fd, || {
                handle.region.try_clone_fd()
            })
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
