//! Where Rust ends: panics stop here, pointers are checked here, errors become numbers here.

use std::ffi::{CStr, OsStr, c_char, c_void};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use core_crate::{Error, ErrorKind, Location, Result};

use crate::error::{Details, OK, Status};

/// Runs the body of an export that can fail, and reports its outcome.
///
/// # Safety
/// `error` is null or leads to a `shmkit_error_t` whose `size` is set and that nobody else uses meanwhile.
#[inline]
pub(crate) unsafe fn attempt(error: *mut Details, body: impl FnOnce() -> Result<()>) -> Status {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => OK,
        // SAFETY: the caller's promise.
        Ok(Err(failure)) => unsafe { report(error, failure) },
        Err(_) => {
            let failure = Error::new(ErrorKind::Internal, "run a call", "").with_detail("it panicked");
            // SAFETY: the caller's promise.
            unsafe { report(error, failure) }
        }
    }
}

/// Apart from what succeeds, which must stay as short as a lock.
///
/// # Safety
/// As [`attempt`].
#[cold]
#[inline(never)]
unsafe fn report(error: *mut Details, failure: Error) -> Status {
    // SAFETY: the caller's promise.
    unsafe { Details::fill(error, &failure) };
    failure.kind() as Status
}

/// Runs the body of an export that only answers; `otherwise` is the answer for a null handle, or after a defect.
#[inline]
pub(crate) fn answer<T>(otherwise: T, body: impl FnOnce() -> Option<T>) -> T {
    catch_unwind(AssertUnwindSafe(body)).ok().flatten().unwrap_or(otherwise)
}

/// The object behind a handle, or the refusal of a null one.
///
/// # Safety
/// `handle` is null or came from this library and is not freed during `'a`.
#[inline]
pub(crate) unsafe fn borrow<'a, T>(handle: *const T, operation: &'static str) -> Result<&'a T> {
    // SAFETY: the caller's promise.
    unsafe { handle.as_ref() }.ok_or_else(|| no_handle(operation))
}

#[cold]
#[inline(never)]
fn no_handle(operation: &'static str) -> Error {
    Call { operation, object: c"" }.refuse("the handle is NULL")
}

/// A string of the caller; null reads as empty here, and [`Call::location`] refuses it.
///
/// # Safety
/// `text` is null or ends with a zero byte, and stays as it is during `'a`.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> &'a CStr {
    // SAFETY: not null, and the caller's promise.
    if text.is_null() { c"" } else { unsafe { CStr::from_ptr(text) } }
}

/// A range as the core takes it; one that leaves the number range also leaves every object, and is refused there.
pub(crate) fn range(offset: u64, len: usize) -> Range<usize> {
    offset as usize..(offset as usize).saturating_add(len)
}

/// What is being tried, and on what: the checks of one call's arguments, and the words for their errors.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub operation: &'static str,
    pub object: &'a CStr,
}

impl<'a> Call<'a> {
    #[cold]
    #[inline(never)]
    pub fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, self.operation, self.object.to_string_lossy())
    }

    /// An argument that can never be right.
    #[cold]
    pub fn refuse(&self, why: impl Into<String>) -> Error {
        self.error(ErrorKind::InvalidArgument).with_detail(why)
    }

    /// Refuses flags that this version does not know: to ignore one would be a silent difference.
    pub fn check_flags(&self, flags: u32, known: u32) -> Result<()> {
        match flags & !known {
            0 => Ok(()),
            unknown => Err(self.refuse(format!("unknown flags {unknown:#x}"))),
        }
    }

    /// The name or path of a region, as the caller gave it: `object` is its text.
    pub fn location(&self, name: *const c_char, is_path: bool) -> Result<Location> {
        if name.is_null() {
            return Err(self.refuse("the name is NULL"));
        }
        if is_path {
            return self.path(name).map(Location::Path);
        }
        // What is not UTF-8 becomes characters that no name may have, and the core's own check refuses them.
        Ok(Location::Name(self.object.to_string_lossy().into_owned()))
    }

    /// A path, in whatever bytes the file system uses.
    pub fn path(&self, path: *const c_char) -> Result<PathBuf> {
        if path.is_null() {
            return Err(self.refuse("the path is NULL"));
        }
        Ok(PathBuf::from(OsStr::from_bytes(self.object.to_bytes())))
    }

    /// Makes sure that there is a place for a result before anything happens, and empties it.
    ///
    /// # Safety
    /// `out` is null or a place for a `T`.
    #[inline]
    pub unsafe fn clear<T>(&self, out: *mut *mut T) -> Result<()> {
        if out.is_null() {
            return Err(self.refuse("the place for the result is NULL"));
        }
        // SAFETY: not null, and the caller's promise.
        unsafe { out.write(std::ptr::null_mut()) };
        Ok(())
    }

    /// Makes sure that there is a place for a result, and then stores it there.
    ///
    /// # Safety
    /// `place` is null or a place for a `T`.
    pub unsafe fn store<T>(&self, place: *mut T, make: impl FnOnce() -> Result<T>) -> Result<()> {
        if place.is_null() {
            return Err(self.refuse("the place for the result is NULL"));
        }
        let value = make()?;
        // SAFETY: not null, and the caller's promise.
        unsafe { place.write(value) };
        Ok(())
    }

    /// The caller's place for a struct that begins with its size, which must be the one of this version.
    ///
    /// # Safety
    /// `place` is null, or leads to a `T` whose size is set.
    pub unsafe fn report<T>(&self, place: *mut T) -> Result<*mut T> {
        if place.is_null() {
            return Err(self.refuse("the place for the result is NULL"));
        }
        // SAFETY: not null, and the size is the first field.
        let size = unsafe { place.cast::<usize>().read() };
        if size < size_of::<T>() {
            return Err(self.refuse(format!("the result has size {size}: set it to its sizeof")));
        }
        Ok(place)
    }

    /// The caller's bytes to read from.
    ///
    /// # Safety
    /// `from` is null or leads to `len` bytes that nobody writes during `'b`.
    #[inline]
    pub unsafe fn source<'b>(&self, from: *const c_void, len: usize) -> Result<&'b [u8]> {
        if len == 0 {
            return Ok(&[]);
        }
        self.check_buffer(from, len)?;
        // SAFETY: not null and no longer than an object can be, and the caller's promise.
        Ok(unsafe { std::slice::from_raw_parts(from.cast(), len) })
    }

    /// The caller's bytes to write to.
    ///
    /// # Safety
    /// `into` is null or leads to `len` bytes that nobody else uses during `'b`.
    #[inline]
    pub unsafe fn target<'b>(&self, into: *mut c_void, len: usize) -> Result<&'b mut [u8]> {
        if len == 0 {
            return Ok(&mut []);
        }
        self.check_buffer(into, len)?;
        // SAFETY: not null and no longer than an object can be, and the caller's promise.
        Ok(unsafe { std::slice::from_raw_parts_mut(into.cast(), len) })
    }

    #[inline]
    fn check_buffer(&self, buffer: *const c_void, len: usize) -> Result<()> {
        if buffer.is_null() {
            return Err(self.refuse("the buffer is NULL"));
        }
        if isize::try_from(len).is_err() {
            return Err(self.error(ErrorKind::OutOfRange).with_detail(format!("{len} bytes")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_stops_at_the_boundary_and_is_told() {
        let mut details = Details::empty();
        // SAFETY: `details` is ours and its size is set.
        let status = unsafe { attempt(&mut details, || panic!("on purpose")) };
        assert_eq!(status, ErrorKind::Internal as Status);
        assert!(details.message().contains("a defect of this library: it panicked"), "{}", details.message());
        assert_eq!(answer(7, || panic!("on purpose")), 7);
    }
}
