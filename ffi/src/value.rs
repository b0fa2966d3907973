//! `shmkit_value_*`: a number or a small struct, read and written whole.

use std::ffi::{CString, c_char, c_void};
use std::mem::size_of;

use core_crate::{ErrorKind, ValueBytes};

use crate::boundary::{answer, attempt, borrow, text};
use crate::error::{Details, Status};
use crate::object::{self, Label};
use crate::options::{self, Options};
use crate::region::RegionHandle;

/// A value in a region.
pub struct ValueHandle {
    value: ValueBytes,
    format: CString,
    label: Label,
}

const OPEN: &str = "open value";
const LOAD: &str = "load value";
const STORE: &str = "store value";

/// Opens the value of this name, creating it when it is missing, with the `value_size` bytes at `initial`, or zeros if that is
/// NULL.
///
/// `format` says what it is made of, as Python's struct module writes it: "d" (or "f64") for a double, "3I" for three uint32_t, "x" for a
/// byte of padding; members are aligned as C does, or follow each other after a "=". Who opens it in any language must say the
/// same. NULL takes it as it is; with a `value_size` of 0 too, it must exist.
///
/// On success `*out` is a handle for shmkit_value_free, else NULL. It may outlive the region's handle.
/// Fails with PARAMETER_MISMATCH (it is made of something else), INVALID_ARGUMENT (the format makes no sense, or not of so many
/// bytes), NOT_FOUND, WRONG_KIND (the name is another object's), INVALID_NAME, NO_SPACE (no room for named objects left),
/// READ_ONLY, CLOSED (the region).
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_value_open(
    region: *const RegionHandle,
    name: *const c_char,
    value_size: usize,
    format: *const c_char,
    initial: *const c_void,
    out: *mut *mut ValueHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            object::open(OPEN, region, name, out, |region, name, label| {
                let given = if initial.is_null() { 0 } else { value_size };
                let bytes = label.call(OPEN).source(initial, given)?;
                let format = (!format.is_null()).then(|| text(format).to_string_lossy());
                let value = region.value_bytes(name, value_size, format.as_deref(), bytes)?;
                let format = CString::new(value.format()).unwrap_or_default();
                Ok(ValueHandle { value, format, label })
            })
        })
    }
}

/// The words of a value and of this process, for languages that use them without a call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ValueWordsAnswer {
    /// sizeof(shmkit_value_words_t).
    pub size: usize,
    /// This process's owner id, or 0 when it is not attached.
    pub me: *const u32,
    /// How often a value of more than one word was written.
    pub version: *mut u64,
    /// Two copies, one after the other.
    pub copies: *mut u64,
    /// Words of a copy.
    pub copy_len: u64,
}

// SAFETY: a size, addresses, which may be any integers, and a 64-bit integer, without padding.
unsafe impl Options for ValueWordsAnswer {
    const DEFAULT: ValueWordsAnswer = ValueWordsAnswer {
        size: size_of::<ValueWordsAnswer>(),
        me: std::ptr::null(),
        version: std::ptr::null_mut(),
        copies: std::ptr::null_mut(),
        copy_len: 0,
    };
}

/// The words of a value. Set `out->size` to sizeof(shmkit_value_words_t) before. They live as long as the handle.
///
/// A value of one word is the first of them: load and store it whole, with zeros behind the value's bytes. Of a longer one,
/// read the version, then the words of the copy `version % 2`, then the version again: if it is the same, that was the value.
/// All sequentially consistent. To write a longer one takes a call. Fails with INVALID_ARGUMENT, CLOSED.
///
/// # Safety
/// `value` is null or a handle; `out` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_value_words(
    value: *const ValueHandle,
    out: *mut ValueWordsAnswer,
    error: *mut Details,
) -> Status {
    const VIEW: &str = "view value";
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(value, VIEW)?;
            let call = handle.label.call(VIEW);
            if handle.value.is_closed() {
                return Err(call.error(ErrorKind::Closed));
            }
            let layout = handle.value.layout();
            let me = layout.me.ok_or_else(|| call.error(ErrorKind::ReadOnly))?;
            let answer = ValueWordsAnswer {
                size: size_of::<ValueWordsAnswer>(),
                me: me.as_ptr(),
                version: layout.version.as_ptr(),
                copies: layout.copies[0].as_ptr(),
                copy_len: (layout.copies.len() / 2) as u64,
            };
            options::store(out, answer, &call)
        })
    }
}

/// Copies the value out: all of it, as it was at one moment. `len` is its size. `*version`, unless NULL, is what
/// shmkit_value_store_if knows it by. Waits for nobody. Fails with INVALID_LENGTH, CLOSED; then `into` may hold anything.
///
/// # Safety
/// `value` is null or a handle; `into` is null or has `len` bytes; the other pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_value_load(
    value: *const ValueHandle,
    into: *mut c_void,
    len: usize,
    version: *mut u64,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(value, LOAD)?;
            let seen = handle.value.load(handle.label.call(LOAD).target(into, len)?)?;
            if let Some(version) = version.as_mut() {
                *version = seen;
            }
            Ok(())
        })
    }
}

/// Replaces the value. A process that is killed in here leaves the old value or the new one. Fails with INVALID_LENGTH, CLOSED,
/// TIMEOUT (another writer has been stopped in the middle for 10 s).
///
/// # Safety
/// `value` is null or a handle; `from` is null or has `len` bytes; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_value_store(
    value: *const ValueHandle,
    from: *const c_void,
    len: usize,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(value, STORE)?;
            handle.value.store(handle.label.call(STORE).source(from, len)?)
        })
    }
}

/// Replaces the value if it is still the one that shmkit_value_load gave `version` for, else answers WOULD_BLOCK: load it again
/// and try again. Otherwise as shmkit_value_store.
///
/// # Safety
/// `value` is null or a handle; `from` is null or has `len` bytes; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_value_store_if(
    value: *const ValueHandle,
    version: u64,
    from: *const c_void,
    len: usize,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(value, STORE)?;
            let stored = handle.value.store_if(version, handle.label.call(STORE).source(from, len)?)?;
            handle.label.passed(STORE, stored)
        })
    }
}

/// Bytes of the value; 0 for NULL.
///
/// # Safety
/// `value` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_value_size(value: *const ValueHandle) -> usize {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { value.as_ref() }.map(|handle| handle.value.size()))
}

/// What it is made of, in a canonical form: without a prefix, padding spelt out but for that at the end. It lives as long as the
/// handle. "" for NULL, and when nobody said.
///
/// # Safety
/// `value` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_value_format(value: *const ValueHandle) -> *const c_char {
    // SAFETY: the caller's promise.
    answer(c"".as_ptr(), || unsafe { value.as_ref() }.map(|handle| handle.format.as_ptr()))
}

/// The name in its region; it lives as long as the handle. "" for NULL.
///
/// # Safety
/// `value` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_value_name(value: *const ValueHandle) -> *const c_char {
    // SAFETY: the caller's promise.
    answer(c"".as_ptr(), || unsafe { value.as_ref() }.map(|handle| handle.label.name()))
}

/// Whether this handle was closed; true for NULL.
///
/// # Safety
/// `value` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_value_is_closed(value: *const ValueHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(true, || unsafe { value.as_ref() }.map(|handle| handle.value.is_closed()))
}

/// Ends the use of the value through this handle; repeating it does nothing. The handle stays: its calls answer CLOSED until
/// shmkit_value_free takes it.
///
/// # Safety
/// `value` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_value_close(value: *const ValueHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(value, "close value")?.value.close()) }
}

/// Closes the value if that was not done, and releases the handle. NULL is allowed. No other thread may use it any more.
///
/// # Safety
/// `value` is null or a handle that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_value_free(value: *mut ValueHandle) {
    answer((), || {
        // SAFETY: the caller's promise.
        unsafe { object::free(value) };
        Some(())
    });
}
