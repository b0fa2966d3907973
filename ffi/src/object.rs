//! What the handles on named objects have in common; each kind has a file of its own.

use std::ffi::{CStr, CString, c_char};

use core_crate::{Acquired, AtomicU32, ErrorKind, Region, Result};

use crate::boundary::{Call, attempt, borrow, text};
use crate::error::{Details, Status};
use crate::region::RegionHandle;

/// What callers and errors call an object.
pub(crate) struct Label {
    /// The name in its region.
    name: CString,
    /// Region and name, as the core's errors put them.
    full: CString,
}

impl Label {
    fn new(region: &Region, name: &CStr) -> Label {
        Label::of(&region.location().display(), &name.to_string_lossy())
    }

    /// The label of an object in the region of this name. Neither has a zero byte: both were opened.
    pub fn of(region: &str, name: &str) -> Label {
        let text = |text: &str| CString::new(text).unwrap_or_default();
        Label { name: text(name), full: text(&format!("{region}:{name}")) }
    }

    /// For as long as the handle lives.
    pub fn name(&self) -> *const c_char {
        self.name.as_ptr()
    }

    pub fn call(&self, operation: &'static str) -> Call<'_> {
        Call { operation, object: &self.full }
    }

    /// A lock was taken: an owner that died is a status of its own, and the lock is held.
    #[inline]
    pub fn taken(&self, operation: &'static str, acquired: Acquired) -> Result<()> {
        match acquired {
            Acquired::Clean => Ok(()),
            Acquired::OwnerDied => Err(self.call(operation).error(ErrorKind::OwnerDied)),
        }
    }

    /// As [`Label::taken`], for what was only tried.
    #[inline]
    pub fn tried(&self, operation: &'static str, acquired: Option<Acquired>) -> Result<()> {
        acquired.map_or_else(|| self.taken_by_others(operation), |acquired| self.taken(operation, acquired))
    }

    /// `WouldBlock` unless what was tried succeeded.
    #[inline]
    pub fn passed(&self, operation: &'static str, passed: bool) -> Result<()> {
        if passed { Ok(()) } else { self.taken_by_others(operation) }
    }

    #[cold]
    fn taken_by_others(&self, operation: &'static str) -> Result<()> {
        Err(self.call(operation).error(ErrorKind::WouldBlock))
    }
}

/// The common part of every `_open`: checks the arguments, and stores the handle that `find` makes.
///
/// # Safety
/// `region` is null or a handle; `name` is null or a string; `out` is null or a place for a handle.
pub(crate) unsafe fn open<H>(
    operation: &'static str,
    region: *const RegionHandle,
    name: *const c_char,
    out: *mut *mut H,
    find: impl FnOnce(&Region, &str, Label) -> Result<H>,
) -> Result<()> {
    // SAFETY: the caller's promises.
    unsafe {
        let call = Call { operation, object: text(name) };
        call.clear(out)?;
        let region = &borrow(region, operation)?.region;
        if name.is_null() {
            return Err(call.refuse("the name is NULL"));
        }
        // What is not UTF-8 becomes characters that no name may have, and the core's own check refuses them.
        let handle = find(region, &call.object.to_string_lossy(), Label::new(region, call.object))?;
        out.write(Box::into_raw(Box::new(handle)));
    }
    Ok(())
}

/// The common part of every `_free`.
///
/// # Safety
/// `handle` is null, or [`open`] made it and the caller gives it up.
pub(crate) unsafe fn free<H>(handle: *mut H) {
    if !handle.is_null() {
        // SAFETY: not null, and the caller's promise.
        drop(unsafe { Box::from_raw(handle) });
    }
}

/// Hands out the address of a word, or refuses when there is none or the handle was closed.
///
/// # Safety
/// `place` is null or a place for an address.
pub(crate) unsafe fn give<T>(
    call: &Call<'_>,
    closed: bool,
    place: *mut *mut T,
    word: Option<*mut T>,
) -> Result<()> {
    // SAFETY: the caller's promise; `clear` refuses null.
    unsafe { call.clear(place)? };
    if closed {
        return Err(call.error(ErrorKind::Closed));
    }
    let word = word.ok_or_else(|| call.error(ErrorKind::Unsupported))?;
    // SAFETY: `clear` refused null, and the caller's promise.
    unsafe { place.write(word) };
    Ok(())
}

/// Hands out the address of a lock word and of the word with this process's owner id; `None` for what is read-only.
///
/// # Safety
/// `word` and `me` are null or places for an address.
pub(crate) unsafe fn give_lock_words(
    call: &Call<'_>,
    closed: bool,
    word: *mut *mut u32,
    me: *mut *const u32,
    words: Option<(&AtomicU32, &AtomicU32)>,
) -> Result<()> {
    // SAFETY: the caller's promise; `clear` refuses null.
    unsafe {
        call.clear(word)?;
        call.clear(me.cast::<*mut u32>())?;
        if closed {
            return Err(call.error(ErrorKind::Closed));
        }
        let (lock, owner) = words.ok_or_else(|| call.error(ErrorKind::ReadOnly))?;
        word.write(lock.as_ptr());
        me.write(owner.as_ptr());
    }
    Ok(())
}

/// Removes a named object of any kind from a region: its name and its memory are free again.
///
/// Fails with NOT_FOUND, BUSY while a living process has it open, READ_ONLY, CLOSED.
///
/// # Safety
/// `region` is null or a handle; `name` is null or a string; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_remove_object(
    region: *const RegionHandle,
    name: *const c_char,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "remove object", object: text(name) };
            let handle = borrow(region, call.operation)?;
            if name.is_null() {
                return Err(call.refuse("the name is NULL"));
            }
            handle.region.remove_object(&call.object.to_string_lossy())
        })
    }
}
