//! `shmkit_region_status` and `shmkit_region_list`: seeing what there is and what goes on in it.

use std::ffi::{c_char, c_void};

use core_crate::{ErrorKind, Region, Result};

use crate::boundary::{Call, attempt, borrow};
use crate::error::{Details, Status};
use crate::region::RegionHandle;

/// Writes what goes on in a region into `json`: who is attached, who holds and waits for what since when, how many owners
/// died. One line of JSON in UTF-8 with a zero byte at its end; docs/cli.md describes its fields.
///
/// `*needed`, unless NULL, becomes the number of bytes that it takes with its zero byte. `json` of NULL with a `size` of 0
/// only asks for that number. It changes when others attach or create objects: leave some room, and ask again when
/// OUT_OF_RANGE says that `size` was too small; then nothing but an empty text was written.
///
/// Looking changes nothing, works on a read-only handle, and waits for nobody. Any thread may call it.
/// Fails with OUT_OF_RANGE, CLOSED, CORRUPTED.
///
/// # Safety
/// `region` is null or a handle; `json` is null or has `size` bytes; `needed` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_status(
    region: *const RegionHandle,
    json: *mut c_char,
    size: usize,
    needed: *mut usize,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(region, "inspect region")?;
            let mut text = handle.region.status()?.to_json().into_bytes();
            text.push(0);
            give(&handle.call("inspect region"), &text, json, size, needed)
        })
    }
}

/// Writes the names of all regions that are shared memory objects into `names`, in order, each with a zero byte at its
/// end; an empty name ends the list. Those of other users too: opening them may be refused.
///
/// `*needed`, `size` and OUT_OF_RANGE are as for shmkit_region_status. Fails with OUT_OF_RANGE, PERMISSION_DENIED, IO.
///
/// # Safety
/// `names` is null or has `size` bytes; `needed` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_list(
    names: *mut c_char,
    size: usize,
    needed: *mut usize,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "list regions", object: c"" };
            // A file that bears the prefix alone would end the list.
            let found = Region::list()?.into_iter().filter(|name| !name.is_empty());
            let mut text: Vec<u8> = found.flat_map(|name| [name.as_bytes(), &[0]].concat()).collect();
            text.push(0);
            give(&call, &text, names, size, needed)
        })
    }
}

/// Hands a text over if there is room for it.
///
/// # Safety
/// `place` is null or has `size` bytes; `needed` is null or valid.
unsafe fn give(
    call: &Call<'_>,
    text: &[u8],
    place: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> Result<()> {
    // SAFETY: the caller's promises.
    let (needed, place) = unsafe { (needed.as_mut(), call.target(place.cast::<c_void>(), size)?) };
    if let Some(needed) = needed {
        *needed = text.len();
    }
    if let Some(room) = place.get_mut(..text.len()) {
        room.copy_from_slice(text);
    } else if let Some(first) = place.first_mut() {
        *first = 0;
        let detail = format!("{} bytes are needed, there are {size}", text.len());
        return Err(call.error(ErrorKind::OutOfRange).with_detail(detail));
    }
    Ok(())
}
