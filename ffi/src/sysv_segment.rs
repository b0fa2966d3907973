//! `shmkit_sysv_segment_*`: System V shared memory.

use std::ffi::CString;
use std::mem::size_of;

use core_crate::{Result, SysvSegment, SysvSegmentOptions};

use crate::boundary::{Call, answer, attempt, borrow};
use crate::error::{Details, Status};
use crate::map_options::MapChoices;
use crate::mapping::MappingHandle;

/// The key of what has none (IPC_PRIVATE): only its id leads to it.
pub const SYSV_PRIVATE: i32 = 0;

const _: () = assert!(SYSV_PRIVATE == core_crate::SYSV_PRIVATE);

/// A System V shared memory segment: an id.
pub struct SysvSegmentHandle {
    segment: SysvSegment,
    label: CString,
}

impl SysvSegmentHandle {
    fn call(&self, operation: &'static str) -> Call<'_> {
        Call { operation, object: &self.label }
    }
}

/// What the kernel knows of a segment. Yours: set `size` before the call.
#[repr(C)]
pub struct SysvSegmentReport {
    /// sizeof(shmkit_sysv_segment_status_t).
    pub size: usize,
    /// Number of bytes.
    pub len: u64,
    /// How many mappings there are, in all processes.
    pub attached: u64,
    /// Key; SHMKIT_SYSV_PRIVATE for none, also once it was removed.
    pub key: i32,
    /// Permission bits.
    pub mode: u32,
    /// User id of the owner.
    pub owner: u32,
    /// Group id of the owner.
    pub group: u32,
    /// Process that created it.
    pub creator_pid: i32,
    /// Process that attached or detached last; 0 for none yet.
    pub last_pid: i32,
    /// 1 when it was removed, and goes with its last mapping.
    pub removed: u32,
    /// 0.
    pub reserved: u32,
}

/// The common part of what makes a handle.
///
/// # Safety
/// `out` is null or valid.
unsafe fn make(
    operation: &'static str,
    out: *mut *mut SysvSegmentHandle,
    open: impl FnOnce() -> Result<SysvSegment>,
) -> Result<()> {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        Call { operation, object: c"" }.clear(out)?;
        let segment = open()?;
        let label = CString::new(segment.label()).unwrap_or_default();
        out.write(Box::into_raw(Box::new(SysvSegmentHandle { segment, label })));
    }
    Ok(())
}

fn options(mode: u32) -> SysvSegmentOptions {
    let options = SysvSegmentOptions::new();
    if mode == 0 { options } else { options.mode(mode) }
}

/// Creates a segment of `len` zeros (shmget(2)); SHMKIT_SYSV_PRIVATE as the key gives it none. `mode` 0 is 0600.
///
/// On success `*out` is a handle for shmkit_sysv_segment_free, else NULL.
/// Fails with ALREADY_EXISTS, INVALID_LENGTH, INVALID_ARGUMENT (the mode), NO_SPACE (a limit of the system), OUT_OF_MEMORY.
///
/// # Safety
/// `out` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_segment_create(
    key: i32,
    len: usize,
    mode: u32,
    out: *mut *mut SysvSegmentHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || make("create System V segment", out, || options(mode).create(key, len))) }
}

/// Opens the segment of this key, whoever made it.
///
/// On success `*out` is a handle for shmkit_sysv_segment_free, else NULL.
/// Fails with NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT (SHMKIT_SYSV_PRIVATE).
///
/// # Safety
/// `out` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_segment_open(
    key: i32,
    out: *mut *mut SysvSegmentHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || make("open System V segment", out, || SysvSegment::open(key))) }
}

/// Opens the segment of this key, or creates it. Fails as shmkit_sysv_segment_open and shmkit_sysv_segment_create do, and with
/// SIZE_MISMATCH when it exists with another length.
///
/// # Safety
/// `out` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_segment_open_or_create(
    key: i32,
    len: usize,
    mode: u32,
    out: *mut *mut SysvSegmentHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            make("open or create System V segment", out, || options(mode).open_or_create(key, len))
        })
    }
}

/// Opens a segment by the id that another process has of it. Fails with NOT_FOUND, PERMISSION_DENIED.
///
/// # Safety
/// `out` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_segment_from_id(
    id: i32,
    out: *mut *mut SysvSegmentHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || make("open System V segment", out, || SysvSegment::from_id(id))) }
}

/// Releases the handle; segment and mappings stay. NULL is allowed.
///
/// # Safety
/// `segment` is null or a handle that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_segment_free(segment: *mut SysvSegmentHandle) {
    answer((), || {
        // SAFETY: the caller's promise.
        unsafe { crate::object::free(segment) };
        Some(())
    });
}

/// The kernel's number for it, which another process can open; -1 for NULL.
///
/// # Safety
/// `segment` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_segment_id(segment: *const SysvSegmentHandle) -> i32 {
    // SAFETY: the caller's promise.
    answer(-1, || unsafe { segment.as_ref() }.map(|handle| handle.segment.id()))
}

/// Its key; SHMKIT_SYSV_PRIVATE for none, and for NULL.
///
/// # Safety
/// `segment` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_segment_key(segment: *const SysvSegmentHandle) -> i32 {
    // SAFETY: the caller's promise.
    answer(SYSV_PRIVATE, || unsafe { segment.as_ref() }.map(|handle| handle.segment.key()))
}

/// Number of bytes; 0 for NULL.
///
/// # Safety
/// `segment` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_segment_len(segment: *const SysvSegmentHandle) -> usize {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { segment.as_ref() }.map(|handle| handle.segment.len()))
}

/// Attaches the segment (shmat(2)), whole and shared; shmkit_mapping_close detaches it. `options` may be NULL: for reading.
///
/// On success `*out` is a handle for shmkit_mapping_free, else NULL.
/// Fails with NOT_FOUND (it was removed), PERMISSION_DENIED, OUT_OF_RANGE, INVALID_ARGUMENT (an offset, another length, and
/// whatever else such a segment cannot have).
///
/// # Safety
/// `segment` is null or a handle; the other pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_segment_map(
    segment: *const SysvSegmentHandle,
    options: *const MapChoices,
    out: *mut *mut MappingHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(segment, "map System V segment")?;
            let call = handle.call("map System V segment");
            call.clear(out)?;
            out.write(MappingHandle::into_raw(MapChoices::load(options, &call)?.map_sysv(&handle.segment)?));
            Ok(())
        })
    }
}

/// Fills `*status`, whose `size` is set. Fails with NOT_FOUND (it is gone), PERMISSION_DENIED, INVALID_ARGUMENT (the size).
///
/// # Safety
/// `segment` is null or a handle; `status` is null or begins with its size; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_segment_status(
    segment: *const SysvSegmentHandle,
    status: *mut SysvSegmentReport,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(segment, "inspect System V segment")?;
            let place = handle.call("inspect System V segment").report(status)?;
            let found = handle.segment.status()?;
            place.write(SysvSegmentReport {
                size: size_of::<SysvSegmentReport>(),
                len: found.len,
                attached: found.attached,
                key: found.key,
                mode: found.mode,
                owner: found.owner,
                group: found.group,
                creator_pid: found.creator_pid,
                last_pid: found.last_pid,
                removed: u32::from(found.removed),
                reserved: 0,
            });
            Ok(())
        })
    }
}

/// Removes it (IPC_RMID): its key is free at once, its memory goes with the last mapping.
///
/// Fails with NOT_FOUND (it is gone), PERMISSION_DENIED (neither owner nor creator).
///
/// # Safety
/// `segment` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_segment_remove(
    segment: *const SysvSegmentHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(segment, "remove System V segment")?.segment.remove()) }
}
