//! `shmkit_mapping_check`, `shmkit_region_check` and their like: files that lose pages while they are mapped.

use std::ptr::null;

use crate::boundary::{answer, attempt, borrow};
use crate::error::{Details, Status};
use crate::mapping::MappingHandle;
use crate::region::RegionHandle;

/// Turns the fault guard off (`false`) or on again for everything that this process maps from now on. Without it, a file that
/// is cut while it is mapped kills who touches what is missing (SIGBUS). For programs that must be the only ones to handle
/// that signal. Any thread may call it.
#[unsafe(no_mangle)]
pub extern "C" fn shmkit_set_fault_guard(enabled: bool) {
    answer((), || {
        core_crate::set_fault_guard(enabled);
        Some(())
    });
}

/// Whether the bytes still are the file's.
///
/// A file can be cut while it is mapped, and a file system can be full when a hole in a file is first touched. Touching such a
/// page would kill the process (SIGBUS); under the fault guard it reads as zeros, what is stored there is lost, and from then
/// on this and every other call of the mapping that can fail does: close it, and map the file again. System calls that are
/// given such bytes fail with EFAULT.
///
/// A handler for SIGBUS that the program installs itself, before or after, gets every signal that is not about a guarded
/// mapping. One that is installed after the mapping was made must pass on what it does not know, until this function or
/// another mapping has put the guard in front of it again.
///
/// Fails with MAPPING_TRUNCATED (also when nobody has touched the missing pages yet), NO_SPACE, IO, CLOSED.
///
/// # Safety
/// `mapping` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_check(mapping: *const MappingHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(mapping, "check mapping")?.mapping.check()) }
}

/// Whether the fault guard watches this mapping; false for NULL, for memory without a file, and with
/// SHMKIT_MAP_NO_FAULT_GUARD.
///
/// # Safety
/// `mapping` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_is_guarded(mapping: *const MappingHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(false, || unsafe { mapping.as_ref() }.map(|handle| handle.mapping.is_guarded()))
}

/// A word that is 0 while all is well, and another number as soon as a page of the mapping was replaced: for programs that
/// copy bytes themselves, to look at after the copy (an atomic load). NULL without the guard. The word stays readable for ever,
/// and means this mapping until shmkit_mapping_free.
///
/// # Safety
/// `mapping` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_damage_word(mapping: *const MappingHandle) -> *const u32 {
    // SAFETY: the caller's promise.
    let word = || unsafe { mapping.as_ref() }.and_then(|handle| handle.mapping.damage_word());
    answer(null(), || word().map(|word| std::ptr::from_ref(word).cast()))
}

/// As shmkit_mapping_check, for a region: once its file has lost pages, everything but closing fails, for the region and for
/// the objects in it, and no lock is taken. Other processes find out for themselves.
///
/// Fails with MAPPING_TRUNCATED, CLOSED.
///
/// # Safety
/// `region` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_check(region: *const RegionHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(region, "check region")?.region.check()) }
}

/// As shmkit_mapping_damage_word, for a region. It means this region until the process has freed its last handle on it.
///
/// # Safety
/// `region` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_damage_word(region: *const RegionHandle) -> *const u32 {
    // SAFETY: the caller's promise.
    let word = || unsafe { region.as_ref() }.and_then(|handle| handle.region.damage_word());
    answer(null(), || word().map(|word| std::ptr::from_ref(word).cast()))
}
