//! `shmkit_region_*`: the named objects of a region, and what opening one may do.

use std::ffi::c_char;
use std::mem::size_of;

use core_crate::{ErrorKind, ObjectInfo, ObjectMode};

use crate::boundary::{Call, attempt, borrow, text};
use crate::error::{Details, Status};
use crate::options::{self, Options};
use crate::region::RegionHandle;

/// A named object.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ObjectAnswer {
    /// sizeof(shmkit_object_info_t).
    pub size: usize,
    /// A shmkit_object_kind_t, or a number that this version does not know.
    pub kind: u32,
    /// How many living processes have it open.
    pub users: u32,
    /// The numbers it was created with; docs/format.md says what they mean.
    pub parameters: [u64; 2],
    /// Bytes that it takes in the region.
    pub bytes: u64,
    /// Its name, which ends with a zero byte.
    pub name: [c_char; 208],
}

// SAFETY: a size, integers and characters, without padding.
unsafe impl Options for ObjectAnswer {
    const DEFAULT: ObjectAnswer = ObjectAnswer {
        size: size_of::<ObjectAnswer>(),
        kind: 0,
        users: 0,
        parameters: [0; 2],
        bytes: 0,
        name: [0; 208],
    };
}

impl From<ObjectInfo> for ObjectAnswer {
    fn from(info: ObjectInfo) -> ObjectAnswer {
        let mut name = [0; 208];
        // Names have at most 200 bytes; the last of the place stays 0.
        for (to, from) in name.iter_mut().zip(info.name.bytes().take(207)) {
            *to = from as c_char;
        }
        ObjectAnswer {
            size: size_of::<ObjectAnswer>(),
            kind: info.kind_number,
            users: u32::try_from(info.users).unwrap_or(u32::MAX),
            parameters: info.parameters,
            bytes: info.size as u64,
            name,
        }
    }
}

/// Another handle on a region, through which the `_open` functions of named objects do what `mode`, a
/// shmkit_object_mode_t, says: only find (NOT_FOUND when it is missing), only create (ALREADY_EXISTS when it is there), or
/// either. All else is the same region. On success `*out` is a handle for shmkit_region_free, else NULL.
///
/// Fails with INVALID_ARGUMENT (another mode), CLOSED.
///
/// # Safety
/// `region` is null or a handle; the other pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_with_mode(
    region: *const RegionHandle,
    mode: u32,
    out: *mut *mut RegionHandle,
    error: *mut Details,
) -> Status {
    const CLONE: &str = "clone region";
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(region, CLONE)?;
            let call = handle.call(CLONE);
            call.clear(out)?;
            let mode = ObjectMode::from_number(mode)
                .ok_or_else(|| call.refuse(format!("object mode {mode} is unknown")))?;
            out.write(RegionHandle::into_raw(handle.region.with_mode(mode)?));
            Ok(())
        })
    }
}

/// Tells of the named object of this name, of whatever kind. Set `out->size` to sizeof(shmkit_object_info_t) before. Works on a
/// read-only handle, changes nothing, and waits for nobody.
///
/// Fails with NOT_FOUND, INVALID_ARGUMENT, CORRUPTED, CLOSED.
///
/// # Safety
/// `region` is null or a handle; `name` is null or a string; `out` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_find_object(
    region: *const RegionHandle,
    name: *const c_char,
    out: *mut ObjectAnswer,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "find object", object: text(name) };
            let handle = borrow(region, call.operation)?;
            if name.is_null() {
                return Err(call.refuse("the name is NULL"));
            }
            let found = handle.region.find_object(&call.object.to_string_lossy())?;
            options::store(out, found.into(), &call)
        })
    }
}

/// Tells of the named object whose name follows `after` in the order of bytes; NULL and "" ask for the first. NOT_FOUND: that
/// was the last. `after` may be the name in `*out`. Otherwise as shmkit_region_find_object.
///
/// # Safety
/// `region` is null or a handle; `after` is null or a string; `out` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_next_object(
    region: *const RegionHandle,
    after: *const c_char,
    out: *mut ObjectAnswer,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "list objects", object: text(after) };
            let objects = borrow(region, call.operation)?.region.objects()?;
            let after = call.object.to_string_lossy();
            let next = objects.into_iter().find(|object| *object.name > *after);
            let next = next.ok_or_else(|| call.error(ErrorKind::NotFound))?;
            options::store(out, next.into(), &call)
        })
    }
}
