//! `shmkit_barrier_*`: a place where a number of participants wait for each other.

use std::ffi::c_char;

use core_crate::Barrier;

use crate::boundary::{answer, attempt, borrow};
use crate::error::{Details, Status};
use crate::object::{self, Label};
use crate::region::RegionHandle;
use crate::wait::wait;

/// A barrier in a region.
pub struct BarrierHandle {
    barrier: Barrier,
    label: Label,
}

const WAIT: &str = "wait at barrier";

/// Opens the barrier of this name, creating it when it is missing. Whoever has it open takes part: a process that dies
/// without closing it breaks the barrier.
///
/// On success `*out` is a handle for shmkit_barrier_free, else NULL. It may outlive the region's handle.
/// Fails with PARAMETER_MISMATCH (it exists for another number), INVALID_ARGUMENT (0 `parties`), WRONG_KIND (the name is
/// another object's), INVALID_NAME, NO_SPACE (no room for named objects left), READ_ONLY, CLOSED (the region).
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_barrier_open(
    region: *const RegionHandle,
    name: *const c_char,
    parties: u32,
    out: *mut *mut BarrierHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            object::open("open barrier", region, name, out, |region, name, label| {
                Ok(BarrierHandle { barrier: region.barrier(name, parties)?, label })
            })
        })
    }
}

/// Arrives, and waits until all have. `*leader`, if `leader` is not NULL, becomes true for exactly one of them.
///
/// BROKEN: a participant died, or somebody broke the barrier, before all had arrived. TIMEOUT: not within `timeout_ns`
/// nanoseconds; SHMKIT_FOREVER is no limit. INTERRUPTED: a signal handler ran, with SHMKIT_WAIT_INTERRUPTIBLE. After these
/// two the arrival is taken back. Fails with CLOSED.
///
/// # Safety
/// `barrier` is null or a handle; the other pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_barrier_wait(
    barrier: *const BarrierHandle,
    timeout_ns: u64,
    flags: u32,
    leader: *mut bool,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(barrier, WAIT)?;
            let passed = handle.barrier.wait(&wait(timeout_ns, flags, &handle.label.call(WAIT))?)?;
            if let Some(leader) = leader.as_mut() {
                *leader = passed.leader;
            }
            Ok(())
        })
    }
}

/// Breaks the barrier on purpose: who waits, and who comes until a reset, gets BROKEN. Fails with CLOSED.
///
/// # Safety
/// `barrier` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_barrier_abort(barrier: *const BarrierHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(barrier, "abort barrier")?.barrier.abort()) }
}

/// Makes a broken barrier whole again, without the dead; who still waits gets BROKEN. Fails with CLOSED.
///
/// # Safety
/// `barrier` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_barrier_reset(barrier: *const BarrierHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(barrier, "reset barrier")?.barrier.reset()) }
}

/// Whether the barrier is broken; false for NULL.
///
/// # Safety
/// `barrier` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_barrier_is_broken(barrier: *const BarrierHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(false, || unsafe { barrier.as_ref() }.map(|handle| handle.barrier.is_broken()))
}

/// How many must arrive; 0 for NULL.
///
/// # Safety
/// `barrier` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_barrier_parties(barrier: *const BarrierHandle) -> u32 {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { barrier.as_ref() }.map(|handle| handle.barrier.parties()))
}

/// How many wait at this moment; 0 for NULL.
///
/// # Safety
/// `barrier` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_barrier_waiting(barrier: *const BarrierHandle) -> u32 {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { barrier.as_ref() }.map(|handle| handle.barrier.waiting()))
}

/// The name in its region; it lives as long as the handle. "" for NULL.
///
/// # Safety
/// `barrier` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_barrier_name(barrier: *const BarrierHandle) -> *const c_char {
    // SAFETY: the caller's promise.
    answer(c"".as_ptr(), || unsafe { barrier.as_ref() }.map(|handle| handle.label.name()))
}

/// Whether this handle was closed; true for NULL.
///
/// # Safety
/// `barrier` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_barrier_is_closed(barrier: *const BarrierHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(true, || unsafe { barrier.as_ref() }.map(|handle| handle.barrier.is_closed()))
}

/// Ends the part of this handle; repeating it does nothing. The handle stays: its calls answer CLOSED until
/// shmkit_barrier_free takes it.
///
/// # Safety
/// `barrier` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_barrier_close(barrier: *const BarrierHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(barrier, "close barrier")?.barrier.close()) }
}

/// Closes the barrier if that was not done, and releases the handle. NULL is allowed. No other thread may use it any more.
///
/// # Safety
/// `barrier` is null or a handle that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_barrier_free(barrier: *mut BarrierHandle) {
    answer((), || {
        // SAFETY: the caller's promise.
        unsafe { object::free(barrier) };
        Some(())
    });
}
