//! `shmkit_event_*`: a flag to wait for.

use std::ffi::c_char;

use core_crate::{Event, EventReset};

use crate::boundary::{answer, attempt, borrow};
use crate::error::{Details, Status};
use crate::object::{self, Label};
use crate::region::RegionHandle;
use crate::wait::wait;

/// An event in a region.
pub struct EventHandle {
    event: Event,
    label: Label,
}

const WAIT: &str = "wait for event";

/// Opens the event of this name, creating it (not set) when it is missing. `reset` is a shmkit_event_reset_t: what takes the
/// flag away.
///
/// On success `*out` is a handle for shmkit_event_free, else NULL. It may outlive the region's handle.
/// Fails with PARAMETER_MISMATCH (it exists with the other `reset`), INVALID_ARGUMENT (an unknown one), WRONG_KIND (the name
/// is another object's), INVALID_NAME, NO_SPACE (no room for named objects left), READ_ONLY, CLOSED (the region).
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_event_open(
    region: *const RegionHandle,
    name: *const c_char,
    reset: u32,
    out: *mut *mut EventHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            object::open("open event", region, name, out, |region, name, label| {
                let reset = EventReset::from_number(reset)
                    .ok_or_else(|| label.call("open event").refuse(format!("reset {reset} is unknown")))?;
                Ok(EventHandle { event: region.event(name, reset)?, label })
            })
        })
    }
}

/// Sets the event: wakes all waiters of a manual one, one waiter of an automatic one. Fails with CLOSED.
///
/// # Safety
/// `event` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_event_set(event: *const EventHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(event, "set event")?.event.set()) }
}

/// Takes the flag away. Fails with CLOSED.
///
/// # Safety
/// `event` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_event_reset(event: *const EventHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(event, "reset event")?.event.reset()) }
}

/// Whether the event is set at this moment; false for NULL.
///
/// # Safety
/// `event` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_event_is_set(event: *const EventHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(false, || unsafe { event.as_ref() }.map(|handle| handle.event.is_set()))
}

/// Waits until the event is set, and takes the flag of an automatic one. TIMEOUT: not within `timeout_ns` nanoseconds;
/// SHMKIT_FOREVER is no limit. INTERRUPTED: a signal handler ran, with SHMKIT_WAIT_INTERRUPTIBLE. Fails with CLOSED.
///
/// # Safety
/// `event` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_event_wait(
    event: *const EventHandle,
    timeout_ns: u64,
    flags: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(event, WAIT)?;
            handle.event.wait(&wait(timeout_ns, flags, &handle.label.call(WAIT))?)
        })
    }
}

/// Passes if the event is set, taking the flag of an automatic one; else answers WOULD_BLOCK. Never sleeps. Fails with CLOSED.
///
/// # Safety
/// `event` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_event_try_wait(event: *const EventHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(event, WAIT)?;
            handle.label.passed(WAIT, handle.event.try_wait()?)
        })
    }
}

/// The address of the word, for languages that use it without a call: the event is set while SHMKIT_EVENT_SET is in it. To
/// set: if it is not set and SHMKIT_WORD_WAITERS is not there, a compare-and-swap to the word plus SHMKIT_EVENT_STEP with
/// SHMKIT_EVENT_SET. To reset, and to take the flag of an automatic one: without SHMKIT_EVENT_SET. All else by a call. It
/// lives as long as the handle. Fails with CLOSED.
///
/// # Safety
/// `event` is null or a handle; `word` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_event_word(
    event: *const EventHandle,
    word: *mut *mut u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(event, "view event")?;
            let call = handle.label.call("view event");
            object::give(&call, handle.event.is_closed(), word, Some(handle.event.word().as_ptr()))
        })
    }
}

/// The name in its region; it lives as long as the handle. "" for NULL.
///
/// # Safety
/// `event` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_event_name(event: *const EventHandle) -> *const c_char {
    // SAFETY: the caller's promise.
    answer(c"".as_ptr(), || unsafe { event.as_ref() }.map(|handle| handle.label.name()))
}

/// Whether this handle was closed; true for NULL.
///
/// # Safety
/// `event` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_event_is_closed(event: *const EventHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(true, || unsafe { event.as_ref() }.map(|handle| handle.event.is_closed()))
}

/// Ends the use of the event through this handle; repeating it does nothing. The handle stays: its calls answer CLOSED until
/// shmkit_event_free takes it.
///
/// # Safety
/// `event` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_event_close(event: *const EventHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(event, "close event")?.event.close()) }
}

/// Closes the event if that was not done, and releases the handle. NULL is allowed. No other thread may use it any more.
///
/// # Safety
/// `event` is null or a handle that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_event_free(event: *mut EventHandle) {
    answer((), || {
        // SAFETY: the caller's promise.
        unsafe { object::free(event) };
        Some(())
    });
}
