//! `shmkit_mapping_resize` and `shmkit_region_resize`: growing and shrinking in place.

use std::ptr::null;

use crate::boundary::{answer, attempt, borrow};
use crate::error::{Details, Status};
use crate::mapping::MappingHandle;
use crate::region::RegionHandle;

/// Makes the mapping `len` bytes long, in place: it never moves, and views keep their addresses and lengths. The `reserve` of
/// the options says how long it can become. A file becomes longer if the mapping was made with SHMKIT_MAP_CREATE or
/// SHMKIT_MAP_GROW, and never shorter.
///
/// Fails with INVALID_LENGTH (0), LIMIT_EXCEEDED (more than was reserved), OUT_OF_RANGE (the file ends before it), NO_SPACE, BUSY
/// (shrinking, while a view lives), CLOSED, and as shmkit_mapping_check does.
///
/// # Safety
/// `mapping` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_resize(
    mapping: *const MappingHandle,
    len: u64,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(mapping, "resize mapping")?.mapping.resize(len as usize)) }
}

/// The most bytes that shmkit_mapping_resize can make of it; 0 for NULL.
///
/// # Safety
/// `mapping` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_capacity(mapping: *const MappingHandle) -> usize {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { mapping.as_ref() }.map(|handle| handle.mapping.capacity()))
}

/// Gives the region `len` user bytes, for all processes: they see it at their next use of shmkit_region_len or of the bytes.
/// New bytes are zeros, backed by storage. Nothing moves: views keep their addresses and lengths, and bytes that were taken
/// away read as zeros. The guard is not taken.
///
/// Fails with INVALID_LENGTH (0), LIMIT_EXCEEDED (more than the capacity), NO_SPACE, BUSY (shrinking, while a view of this
/// handle lives), TIMEOUT (another process resizes for a minute), READ_ONLY, CLOSED.
///
/// # Safety
/// `region` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_resize(
    region: *const RegionHandle,
    len: u64,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(region, "resize region")?.region.resize(len as usize)) }
}

/// The most user bytes that the region can have: `capacity` of the options that it was created with. 0 for NULL.
///
/// # Safety
/// `region` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_capacity(region: *const RegionHandle) -> usize {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { region.as_ref() }.map(|handle| handle.region.capacity()))
}

/// The word with the number of user bytes, for programs that keep that number themselves: while it has not changed (an atomic
/// load), neither has shmkit_region_len. The number in it is not to be trusted. NULL for NULL. After a close it is 0, and after
/// shmkit_region_free it is no more.
///
/// # Safety
/// `region` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_len_word(region: *const RegionHandle) -> *const u64 {
    let word = || {
        // SAFETY: the caller's promise.
        let handle = unsafe { region.as_ref() }?;
        Some(std::ptr::from_ref(handle.region.len_word()).cast())
    };
    answer(null(), word)
}
