//! `shmkit_code_*`: memory for machine code.

use std::ffi::c_void;

use core_crate::{CodeMemory, CodeOptions};

use crate::boundary::{Call, answer, attempt, borrow};
use crate::error::{Details, Status};

/// Map the memory twice, once for writing and once for executing, so that code can be changed while it is in use.
pub const CODE_PATCHABLE: u32 = 1 << 0;
/// Allow pages that can be written and executed at one address. Many systems refuse it, and with reason.
pub const CODE_ALLOW_WX: u32 = 1 << 1;
/// The most arguments that shmkit_code_call takes.
pub const CODE_MAX_ARGUMENTS: usize = 6;

const _: () = assert!(CODE_MAX_ARGUMENTS == CodeMemory::MAX_ARGUMENTS);

/// Memory that machine code is written to and run from.
pub struct CodeHandle {
    code: CodeMemory,
}

fn call(operation: &'static str) -> Call<'static> {
    Call { operation, object: c"" }
}

/// Makes `len` zeroed bytes for code: to be written, then sealed, then called. `flags`: SHMKIT_CODE_PATCHABLE,
/// SHMKIT_CODE_ALLOW_WX.
///
/// On success `*out` is a handle for shmkit_code_free, else NULL.
/// Fails with INVALID_LENGTH, INVALID_ARGUMENT (both flags, or unknown ones), PERMISSION_DENIED (the system forbids such
/// pages), OUT_OF_MEMORY.
///
/// # Safety
/// `out` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_code_create(
    len: usize,
    flags: u32,
    out: *mut *mut CodeHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = call("map code");
            call.clear(out)?;
            call.check_flags(flags, CODE_PATCHABLE | CODE_ALLOW_WX)?;
            let code = CodeOptions::new()
                .patchable(flags & CODE_PATCHABLE != 0)
                .allow_wx(flags & CODE_ALLOW_WX != 0)
                .create(len)?;
            out.write(Box::into_raw(Box::new(CodeHandle { code })));
            Ok(())
        })
    }
}

/// Copies code in. Fails with OUT_OF_RANGE, READ_ONLY (sealed), CLOSED.
///
/// # Safety
/// `code` is null or a handle; `from` is null or has `len` bytes; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_code_write_at(
    code: *const CodeHandle,
    offset: u64,
    from: *const c_void,
    len: usize,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(code, "write code")?;
            handle.code.write_at(offset as usize, call("write code").source(from, len)?)
        })
    }
}

/// Copies code out. Fails with OUT_OF_RANGE, CLOSED.
///
/// # Safety
/// `code` is null or a handle; `into` is null or has `len` bytes; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_code_read_at(
    code: *const CodeHandle,
    offset: u64,
    into: *mut c_void,
    len: usize,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(code, "read code")?;
            handle.code.read_at(offset as usize, call("read code").target(into, len)?)
        })
    }
}

/// Ends writing for ever: from here on the code can be run. Repeating it does nothing. Fails with CLOSED, PERMISSION_DENIED
/// (the system forbids to execute what was written).
///
/// # Safety
/// `code` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_code_seal(code: *const CodeHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(code, "seal code")?.code.seal()) }
}

/// Takes the code at `offset` as a function: until shmkit_code_unpin the memory cannot be closed. Convert `*function` to the
/// type that the code has.
///
/// Fails with OUT_OF_RANGE, CLOSED, PERMISSION_DENIED (not sealed yet); `*function` is NULL then.
///
/// # Safety
/// `code` is null or a handle; `function` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_code_pin(
    code: *const CodeHandle,
    offset: u64,
    function: *mut Option<unsafe extern "C" fn()>,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(code, "take code")?;
            call("take code").clear(function.cast::<*mut c_void>())?;
            let entry = handle.code.pin(offset as usize)?;
            // SAFETY: an address is what a function pointer is; whether code is there is the caller's to know when calling.
            function.write(Some(std::mem::transmute::<*mut u8, unsafe extern "C" fn()>(entry.as_ptr())));
            Ok(())
        })
    }
}

/// Ends the use of a function that shmkit_code_pin gave. Fails with INVALID_ARGUMENT when there is none.
///
/// # Safety
/// `code` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_code_unpin(code: *const CodeHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let released = borrow(code, "release code")?.code.unpin();
            if released { Ok(()) } else { Err(call("release code").refuse("there is no such function")) }
        })
    }
}

/// Calls the code at `offset` with `count` integers, at most SHMKIT_CODE_MAX_ARGUMENTS, as a function of that many uint64_t
/// that returns one, and stores what it returns to `*result`, which may be NULL.
///
/// Fails with INVALID_ARGUMENT (too many arguments), OUT_OF_RANGE, CLOSED, PERMISSION_DENIED (not sealed yet).
///
/// # Safety
/// `code` is null or a handle, with code for this processor at `offset` that does no harm as such a function; `arguments` has
/// `count` integers; `result` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_code_call(
    code: *const CodeHandle,
    offset: u64,
    arguments: *const u64,
    count: usize,
    result: *mut u64,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(code, "call code")?;
            if count > CODE_MAX_ARGUMENTS || count > 0 && arguments.is_null() {
                return Err(call("call code").refuse(format!("{count} arguments")));
            }
            let given = if count == 0 { &[][..] } else { std::slice::from_raw_parts(arguments, count) };
            let returned = handle.code.call(offset as usize, given)?;
            if !result.is_null() {
                result.write(returned);
            }
            Ok(())
        })
    }
}

/// Number of bytes; 0 for NULL.
///
/// # Safety
/// `code` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_code_len(code: *const CodeHandle) -> usize {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { code.as_ref() }.map(|handle| handle.code.len()))
}

/// Whether the handle was closed; true for NULL.
///
/// # Safety
/// `code` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_code_is_closed(code: *const CodeHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(true, || unsafe { code.as_ref() }.map(|handle| handle.code.is_closed()))
}

/// Whether it was sealed; false for NULL.
///
/// # Safety
/// `code` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_code_is_sealed(code: *const CodeHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(false, || unsafe { code.as_ref() }.map(|handle| handle.code.is_sealed()))
}

/// Whether it can be called now; false for NULL.
///
/// # Safety
/// `code` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_code_is_executable(code: *const CodeHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(false, || unsafe { code.as_ref() }.map(|handle| handle.code.is_executable()))
}

/// Gives the memory back; repeating it does nothing. Fails, and changes nothing, with BUSY while a function is in use.
///
/// # Safety
/// `code` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_code_close(code: *const CodeHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(code, "close code")?.code.close()) }
}

/// Releases the handle and unmaps the code. NULL is allowed. No function in it may be called any more.
///
/// # Safety
/// `code` is null or a handle that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_code_free(code: *mut CodeHandle) {
    answer((), || {
        // SAFETY: the caller's promise.
        unsafe { crate::object::free(code) };
        Some(())
    });
}
