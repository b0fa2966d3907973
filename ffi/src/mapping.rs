//! `shmkit_mapping_*`.

use std::ffi::{CString, c_char, c_int, c_void};
use std::os::fd::BorrowedFd;
use std::ptr::null_mut;

use core_crate::{Advice, Flush, Mapping};

use crate::boundary::{Call, answer, attempt, borrow, range, text};
use crate::error::{Details, Status};
use crate::map_options::{MapChoices, protection};
use crate::{FLUSH_ASYNC, FLUSH_INVALIDATE};

/// A mapped range of a file, or of memory that no file backs.
pub struct MappingHandle {
    pub(crate) mapping: Mapping,
    /// The file with a zero byte at its end, for messages.
    object: CString,
}

impl MappingHandle {
    pub(crate) fn into_raw(mapping: Mapping) -> *mut MappingHandle {
        let object = CString::new(mapping.object()).unwrap_or_default();
        Box::into_raw(Box::new(MappingHandle { mapping, object }))
    }

    pub(crate) fn call(&self, operation: &'static str) -> Call<'_> {
        Call { operation, object: &self.object }
    }
}

/// Maps a file.
///
/// `options` may be NULL. On success `*out` is a handle for shmkit_mapping_free, else NULL.
/// Fails with NOT_FOUND, PERMISSION_DENIED, INVALID_LENGTH (length 0, or an empty file), OUT_OF_RANGE (beyond the end of
/// the file without SHMKIT_MAP_GROW), NO_SPACE, WRONG_KIND (a directory or device), INVALID_ARGUMENT.
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_open(
    path: *const c_char,
    options: *const MapChoices,
    out: *mut *mut MappingHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "map file", object: text(path) };
            call.clear(out)?;
            let options = MapChoices::load(options, &call)?;
            out.write(MappingHandle::into_raw(options.map_path(call.path(path)?)?));
            Ok(())
        })
    }
}

/// Maps a file that is open as descriptor `fd`, which stays yours and may be closed afterwards. Otherwise as
/// shmkit_mapping_open.
///
/// # Safety
/// `fd` is not closed by another thread meanwhile; all pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_from_fd(
    fd: c_int,
    options: *const MapChoices,
    out: *mut *mut MappingHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "map file", object: c"(descriptor)" };
            call.clear(out)?;
            let options = MapChoices::load(options, &call)?;
            if fd < 0 {
                return Err(call.refuse(format!("descriptor {fd}")));
            }
            out.write(MappingHandle::into_raw(options.map_file(BorrowedFd::borrow_raw(fd))?));
            Ok(())
        })
    }
}

/// Maps SHMKIT_MAP_LEN zeroed bytes that no file backs, shared with children that are forked later, or with
/// SHMKIT_MAP_PRIVATE the process's own. They are for reading and writing unless SHMKIT_PROTECTION_NONE is asked.
///
/// On success `*out` is a handle for shmkit_mapping_free, else NULL.
/// Fails with INVALID_LENGTH, INVALID_ARGUMENT (an offset, SHMKIT_MAP_CREATE or SHMKIT_MAP_GROW), OUT_OF_MEMORY (also: too few
/// huge pages are reserved, or more is to be locked than the process may), UNSUPPORTED (huge pages of a size the system
/// lacks).
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_anonymous(
    options: *const MapChoices,
    out: *mut *mut MappingHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "map memory", object: c"" };
            call.clear(out)?;
            out.write(MappingHandle::into_raw(MapChoices::load(options, &call)?.map_anonymous()?));
            Ok(())
        })
    }
}

/// Lets the file go. Repeating it does nothing. The handle stays: its calls answer CLOSED until shmkit_mapping_free takes
/// it, and pointers into the mapping lead to zeros. Fails, and changes nothing, with BUSY while a view lives.
///
/// # Safety
/// `mapping` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_close(mapping: *const MappingHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(mapping, "close mapping")?.mapping.close()) }
}

/// Releases the handle and unmaps the bytes. NULL is allowed. No other thread may use the handle any more, and no pointer
/// into the mapping leads anywhere after it: end all views first.
///
/// # Safety
/// `mapping` is null or a handle that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_free(mapping: *mut MappingHandle) {
    answer((), || {
        if !mapping.is_null() {
            // SAFETY: not null, made by `into_raw`, and the caller gives it up.
            drop(unsafe { Box::from_raw(mapping) });
        }
        Some(())
    });
}

/// Number of bytes; 0 for NULL.
///
/// # Safety
/// `mapping` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_len(mapping: *const MappingHandle) -> usize {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { mapping.as_ref() }.map(|handle| handle.mapping.len()))
}

/// Whether every byte may be written; false for NULL.
///
/// # Safety
/// `mapping` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_is_writable(mapping: *const MappingHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(false, || unsafe { mapping.as_ref() }.map(|handle| handle.mapping.is_writable()))
}

/// Whether the handle was closed; true for NULL.
///
/// # Safety
/// `mapping` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_is_closed(mapping: *const MappingHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(true, || unsafe { mapping.as_ref() }.map(|handle| handle.mapping.is_closed()))
}

/// Copies `len` bytes at `offset` into `into`, which must not lie in the mapping. A concurrent writer may tear the copy.
///
/// Fails with OUT_OF_RANGE, CLOSED, PERMISSION_DENIED (pages without access); nothing was copied then.
///
/// # Safety
/// `mapping` is null or a handle; `into` is null or has `len` bytes; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_read_at(
    mapping: *const MappingHandle,
    offset: u64,
    into: *mut c_void,
    len: usize,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(mapping, "read mapping")?;
            let into = handle.call("read mapping").target(into, len)?;
            handle.mapping.read_at(offset as usize, into)
        })
    }
}

/// Copies `len` bytes from `from`, which must not lie in the mapping, to `offset`. A concurrent reader may see a part of
/// them.
///
/// Fails with OUT_OF_RANGE, CLOSED, READ_ONLY; nothing was copied then.
///
/// # Safety
/// `mapping` is null or a handle; `from` is null or has `len` bytes; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_write_at(
    mapping: *const MappingHandle,
    offset: u64,
    from: *const c_void,
    len: usize,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(mapping, "write mapping")?;
            let from = handle.call("write mapping").source(from, len)?;
            handle.mapping.write_at(offset as usize, from)
        })
    }
}

/// Takes a view: `*data` becomes the address of the `len` bytes at `offset`; until shmkit_mapping_unpin the mapping cannot
/// be closed and the bytes keep their access.
///
/// Fails with OUT_OF_RANGE, CLOSED, READ_ONLY, PERMISSION_DENIED; `*data` is NULL then.
///
/// # Safety
/// `mapping` is null or a handle; `data` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_pin(
    mapping: *const MappingHandle,
    offset: u64,
    len: usize,
    writable: bool,
    data: *mut *mut c_void,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(mapping, "view mapping")?;
            handle.call("view mapping").clear(data)?;
            data.write(handle.mapping.pin(offset as usize, len, writable)?.as_ptr().cast());
            Ok(())
        })
    }
}

/// Ends a view that shmkit_mapping_pin began, with the same `writable`. Fails with INVALID_ARGUMENT when there is none.
///
/// # Safety
/// `mapping` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_unpin(
    mapping: *const MappingHandle,
    writable: bool,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(mapping, "release view")?;
            let released = handle.mapping.unpin(writable);
            if released { Ok(()) } else { Err(handle.call("release view").refuse("there is no such view")) }
        })
    }
}

/// The address of the first byte; NULL for NULL. It is not counted as a view: after a close it leads to zeros, after
/// shmkit_mapping_free nowhere. An access that the protection forbids is a fault.
///
/// # Safety
/// `mapping` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_data(mapping: *const MappingHandle) -> *mut c_void {
    // SAFETY: the caller's promise.
    answer(null_mut(), || unsafe { mapping.as_ref() }.map(|handle| handle.mapping.as_ptr().cast()))
}

/// Carries changes of a shared file mapping to the file (msync(2)), and waits for the disk unless SHMKIT_FLUSH_ASYNC is
/// given. The range is widened to whole pages. Where shmkit_mapping_is_persistent says that there is no disk behind it, it
/// succeeds and does nothing.
///
/// Fails with OUT_OF_RANGE, CLOSED, IO (what the device reported), BUSY (SHMKIT_FLUSH_INVALIDATE of locked pages).
///
/// # Safety
/// `mapping` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_flush(
    mapping: *const MappingHandle,
    offset: u64,
    len: usize,
    flags: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(mapping, "flush mapping")?;
            handle.call("flush mapping").check_flags(flags, FLUSH_ASYNC | FLUSH_INVALIDATE)?;
            let flush = if flags & FLUSH_ASYNC != 0 { Flush::Async } else { Flush::Sync };
            if flags & FLUSH_INVALIDATE != 0 {
                handle.mapping.flush_and_invalidate(range(offset, len), flush)
            } else {
                handle.mapping.flush(range(offset, len), flush)
            }
        })
    }
}

/// Changes what a range allows (mprotect(2)); `new_protection` is a shmkit_protection_t. The range covers whole pages, or
/// ends with the mapping.
///
/// Fails with BUSY while a view lives that would lose access, READ_ONLY when the file was not opened for writing,
/// INVALID_ARGUMENT (a part of a page), OUT_OF_RANGE, CLOSED.
///
/// # Safety
/// `mapping` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_protect(
    mapping: *const MappingHandle,
    offset: u64,
    len: usize,
    new_protection: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(mapping, "protect mapping")?;
            let wanted = protection(new_protection, &handle.call("protect mapping"))?;
            handle.mapping.protect(range(offset, len), wanted)
        })
    }
}

/// Tells the kernel what a range will be used for (madvise(2)); `advice` is a shmkit_advice_t.
///
/// Fails with OUT_OF_RANGE, CLOSED, INVALID_ARGUMENT (a part of a page, where that would hurt its neighbours), READ_ONLY
/// (SHMKIT_ADVICE_REMOVE or SHMKIT_ADVICE_POPULATE_WRITE of what may not be written), UNSUPPORTED (this kernel, or this
/// kind of memory, knows no such advice).
///
/// # Safety
/// `mapping` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_advise(
    mapping: *const MappingHandle,
    offset: u64,
    len: usize,
    advice: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(mapping, "advise mapping")?;
            let wanted = Advice::from_number(advice)
                .ok_or_else(|| handle.call("advise mapping").refuse(format!("advice {advice} is unknown")))?;
            handle.mapping.advise(range(offset, len), wanted)
        })
    }
}
