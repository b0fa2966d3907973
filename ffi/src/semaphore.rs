//! `shmkit_semaphore_*`: a number of permits.

use std::ffi::c_char;
use std::mem::size_of;

use core_crate::{AtomicU32, Result, Semaphore, SemaphoreKind, SemaphoreOptions, Wait};

use crate::boundary::{Call, answer, attempt, borrow};
use crate::error::{Details, Status};
use crate::object::{self, Label};
use crate::options::{self, Options};
use crate::region::RegionHandle;
use crate::wait::wait;

/// A counting semaphore in a region.
pub struct SemaphoreHandle {
    semaphore: Semaphore,
    label: Label,
}

/// How a semaphore is created; who opens one that exists must ask for the same. NULL in its place means all zeros.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SemaphoreChoices {
    /// sizeof(shmkit_semaphore_options_t).
    pub size: usize,
    /// Permits at first.
    pub initial: u32,
    /// The most permits there may ever be. 0: SHMKIT_SEMAPHORE_MAX, or `initial` for the tracked kind.
    pub max: u32,
    /// A shmkit_semaphore_kind_t: what happens to the permits of a process that dies.
    pub kind: u32,
    /// 0.
    pub reserved: u32,
}

const _: () = assert!(size_of::<SemaphoreChoices>() == 24);

// SAFETY: a size and four 32-bit integers, without padding.
unsafe impl Options for SemaphoreChoices {
    const DEFAULT: SemaphoreChoices = SemaphoreChoices {
        size: size_of::<SemaphoreChoices>(),
        initial: 0,
        max: 0,
        kind: SemaphoreKind::Signalling as u32,
        reserved: 0,
    };
}

/// The core's options.
///
/// # Safety
/// As [`options::load`].
unsafe fn load(given: *const SemaphoreChoices, call: &Call<'_>) -> Result<SemaphoreOptions> {
    // SAFETY: the caller's promise.
    let choices = unsafe { options::load(given, call) }?;
    let kind = SemaphoreKind::from_number(choices.kind)
        .ok_or_else(|| call.refuse(format!("kind {} is unknown", choices.kind)))?;
    if choices.reserved != 0 {
        return Err(call.refuse("`reserved` is 0"));
    }
    let options = SemaphoreOptions::new(choices.initial).kind(kind);
    Ok(if choices.max == 0 { options } else { options.max(choices.max) })
}

const ACQUIRE: &str = "acquire semaphore";

/// Opens the semaphore of this name, creating it when it is missing. `options` may be NULL.
///
/// On success `*out` is a handle for shmkit_semaphore_free, else NULL. It may outlive the region's handle.
/// Fails with PARAMETER_MISMATCH (it exists with other numbers), INVALID_ARGUMENT (more than the maximum; a tracked one
/// without permits, or with fewer than its maximum), WRONG_KIND (the name is another object's, or a semaphore of the other
/// kind), INVALID_NAME, NO_SPACE (no room for named objects left), READ_ONLY, CLOSED (the region).
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_semaphore_open(
    region: *const RegionHandle,
    name: *const c_char,
    options: *const SemaphoreChoices,
    out: *mut *mut SemaphoreHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            object::open("open semaphore", region, name, out, |region, name, label| {
                let options = load(options, &label.call("open semaphore"))?;
                Ok(SemaphoreHandle { semaphore: region.semaphore(name, options)?, label })
            })
        })
    }
}

/// Takes a permit, waiting as long as it takes. One of a tracked semaphore is the process's until it gives it back or dies.
///
/// Fails with CLOSED, TOO_MANY_ATTACHMENTS (tracked: a forked child that finds no place).
///
/// # Safety
/// `semaphore` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_semaphore_acquire(
    semaphore: *const SemaphoreHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(semaphore, ACQUIRE)?.semaphore.acquire(&Wait::FOREVER)) }
}

/// Takes a permit if there is one, else answers WOULD_BLOCK. Never sleeps for one. Otherwise as shmkit_semaphore_acquire.
///
/// # Safety
/// `semaphore` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_semaphore_try_acquire(
    semaphore: *const SemaphoreHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(semaphore, ACQUIRE)?;
            handle.label.passed(ACQUIRE, handle.semaphore.try_acquire()?)
        })
    }
}

/// Takes a permit if there is one within `timeout_ns` nanoseconds, else answers TIMEOUT; SHMKIT_FOREVER is no limit. With
/// SHMKIT_WAIT_INTERRUPTIBLE it can answer INTERRUPTED. Otherwise as shmkit_semaphore_acquire.
///
/// # Safety
/// `semaphore` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_semaphore_acquire_wait(
    semaphore: *const SemaphoreHandle,
    timeout_ns: u64,
    flags: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(semaphore, ACQUIRE)?;
            handle.semaphore.acquire(&wait(timeout_ns, flags, &handle.label.call(ACQUIRE))?)
        })
    }
}

/// Gives `count` permits. Fails with LIMIT_EXCEEDED (signalling: there would be more than the maximum), NOT_OWNER (tracked:
/// this process holds fewer), CLOSED.
///
/// # Safety
/// `semaphore` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_semaphore_release(
    semaphore: *const SemaphoreHandle,
    count: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(semaphore, "release semaphore")?.semaphore.release(count)) }
}

/// Permits available at this moment; 0 for NULL. Those of the dead count when the next one waits for them.
///
/// # Safety
/// `semaphore` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_semaphore_available(semaphore: *const SemaphoreHandle) -> u32 {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { semaphore.as_ref() }.map(|handle| handle.semaphore.available()))
}

/// The address of the word of a signalling semaphore, for languages that use it without a call. A permit is
/// SHMKIT_SEMAPHORE_PERMIT: to acquire, a compare-and-swap that takes one away if there is one; to release, one that adds
/// one if SHMKIT_WORD_WAITERS is not set and the maximum allows it. All else by a call. It lives as long as the handle.
///
/// Fails with UNSUPPORTED (a tracked semaphore), CLOSED.
///
/// # Safety
/// `semaphore` is null or a handle; `word` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_semaphore_word(
    semaphore: *const SemaphoreHandle,
    word: *mut *mut u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(semaphore, "view semaphore")?;
            let call = handle.label.call("view semaphore");
            object::give(
                &call,
                handle.semaphore.is_closed(),
                word,
                handle.semaphore.word().map(AtomicU32::as_ptr),
            )
        })
    }
}

/// The name in its region; it lives as long as the handle. "" for NULL.
///
/// # Safety
/// `semaphore` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_semaphore_name(semaphore: *const SemaphoreHandle) -> *const c_char {
    // SAFETY: the caller's promise.
    answer(c"".as_ptr(), || unsafe { semaphore.as_ref() }.map(|handle| handle.label.name()))
}

/// Whether this handle was closed; true for NULL.
///
/// # Safety
/// `semaphore` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_semaphore_is_closed(semaphore: *const SemaphoreHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(true, || unsafe { semaphore.as_ref() }.map(|handle| handle.semaphore.is_closed()))
}

/// Ends the use of the semaphore through this handle; repeating it does nothing. The handle stays: its calls answer CLOSED
/// until shmkit_semaphore_free takes it. Fails, and changes nothing, with BUSY when it is the process's last and the process
/// holds permits of a tracked semaphore.
///
/// # Safety
/// `semaphore` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_semaphore_close(
    semaphore: *const SemaphoreHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(semaphore, "close semaphore")?.semaphore.close()) }
}

/// Closes the semaphore if that was not done, and releases the handle. NULL is allowed.
///
/// No other thread may use the handle any more. Permits of a tracked semaphore that this process holds stay its own while it
/// has anything of the region open, and come back then.
///
/// # Safety
/// `semaphore` is null or a handle that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_semaphore_free(semaphore: *mut SemaphoreHandle) {
    answer((), || {
        // SAFETY: the caller's promise.
        unsafe { object::free(semaphore) };
        Some(())
    });
}
