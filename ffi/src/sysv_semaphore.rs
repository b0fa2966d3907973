//! `shmkit_sysv_semaphore_*`: one semaphore of a System V set.

use std::ffi::CString;
use std::mem::size_of;

use core_crate::{ErrorKind, Result, SysvSemaphore, SysvSemaphoreOptions, Wait};

use crate::boundary::{Call, answer, attempt, borrow};
use crate::error::{Details, Status};
use crate::options::{self, Options};
use crate::sysv_segment::SYSV_PRIVATE;
use crate::wait::wait;

/// What a process took does not come back when it ends, and what it gave is not taken back (no SEM_UNDO): for signals, where
/// one process only gives and another only takes.
pub const SYSV_NO_UNDO: u32 = 1 << 0;

/// One semaphore of a System V set.
pub struct SysvSemaphoreHandle {
    semaphore: SysvSemaphore,
    label: CString,
}

impl SysvSemaphoreHandle {
    fn call(&self, operation: &'static str) -> Call<'_> {
        Call { operation, object: &self.label }
    }
}

/// How a semaphore is made and used. NULL in its place, SHMKIT_SYSV_SEMAPHORE_OPTIONS_INIT, and all zeros but the size mean
/// the same: the only semaphore of a set, mode 0600, permits of the dead come back.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SysvSemaphoreChoices {
    /// sizeof(shmkit_sysv_semaphore_options_t).
    pub size: usize,
    /// SHMKIT_SYSV_NO_UNDO.
    pub flags: u32,
    /// Permission bits of a new set. 0: 0600.
    pub mode: u32,
    /// How many semaphores a new set has; the first value is given to each. 0: 1.
    pub count: u32,
    /// Which semaphore of the set is meant, from 0.
    pub index: u32,
}

const _: () = assert!(size_of::<SysvSemaphoreChoices>() == 24);

// SAFETY: a size and four 32-bit integers, without padding.
unsafe impl Options for SysvSemaphoreChoices {
    const DEFAULT: SysvSemaphoreChoices = SysvSemaphoreChoices {
        size: size_of::<SysvSemaphoreChoices>(),
        flags: 0,
        mode: 0,
        count: 0,
        index: 0,
    };
}

/// What the kernel knows of a semaphore. Yours: set `size` before the call.
#[repr(C)]
pub struct SysvSemaphoreReport {
    /// sizeof(shmkit_sysv_semaphore_status_t).
    pub size: usize,
    /// Permits that are available.
    pub value: u32,
    /// How many wait for permits.
    pub waiting: u32,
    /// How many wait for it to be 0.
    pub waiting_for_zero: u32,
    /// Permission bits of its set.
    pub mode: u32,
    /// Process of the last operation; 0 for none yet.
    pub last_pid: i32,
    /// 0.
    pub reserved: u32,
}

/// The common part of what makes a handle.
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
unsafe fn make(
    operation: &'static str,
    given: *const SysvSemaphoreChoices,
    out: *mut *mut SysvSemaphoreHandle,
    open: impl FnOnce(SysvSemaphoreOptions) -> Result<SysvSemaphore>,
) -> Result<()> {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        let call = Call { operation, object: c"" };
        call.clear(out)?;
        let choices = options::load(given, &call)?;
        call.check_flags(choices.flags, SYSV_NO_UNDO)?;
        // What does not fit names a semaphore that no set has, and is refused as such.
        let number = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
        let mut options = SysvSemaphoreOptions::new()
            .count(number(choices.count.max(1)))
            .index(number(choices.index))
            .undo(choices.flags & SYSV_NO_UNDO == 0);
        if choices.mode != 0 {
            options = options.mode(choices.mode);
        }
        let semaphore = open(options)?;
        let label = CString::new(semaphore.label()).unwrap_or_default();
        out.write(Box::into_raw(Box::new(SysvSemaphoreHandle { semaphore, label })));
    }
    Ok(())
}

const ACQUIRE: &str = "acquire System V semaphore";
const RELEASE: &str = "release System V semaphore";

/// Creates a set whose semaphores have `initial` permits (semget(2)); SHMKIT_SYSV_PRIVATE as the key gives it none.
///
/// `options` may be NULL. On success `*out` is a handle for shmkit_sysv_semaphore_free, else NULL.
/// Fails with ALREADY_EXISTS, INVALID_ARGUMENT (more than 32767 permits, an index beyond the count, the mode), NO_SPACE (a
/// limit of the system).
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_semaphore_create(
    key: i32,
    initial: u32,
    options: *const SysvSemaphoreChoices,
    out: *mut *mut SysvSemaphoreHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            make("create System V semaphore", options, out, |options| options.create(key, initial))
        })
    }
}

/// Opens the semaphore of this key, whoever made it. Of the options, flags and index matter.
///
/// `options` may be NULL. On success `*out` is a handle for shmkit_sysv_semaphore_free, else NULL.
/// Fails with NOT_FOUND, PERMISSION_DENIED, OUT_OF_RANGE (the set has no semaphore of this index), INVALID_ARGUMENT
/// (SHMKIT_SYSV_PRIVATE).
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_semaphore_open(
    key: i32,
    options: *const SysvSemaphoreChoices,
    out: *mut *mut SysvSemaphoreHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || make("open System V semaphore", options, out, |options| options.open(key))) }
}

/// Opens the semaphore of this key, or creates it with `initial` permits. One that another process is just creating is
/// opened when it has its permits.
///
/// Fails with TIMEOUT when it never had permits although some are expected: its creator died, or gave it its value in another
/// way and nobody used it yet (shmkit_sysv_semaphore_open takes it as it is). Otherwise as shmkit_sysv_semaphore_open and
/// shmkit_sysv_semaphore_create.
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_semaphore_open_or_create(
    key: i32,
    initial: u32,
    options: *const SysvSemaphoreChoices,
    out: *mut *mut SysvSemaphoreHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            make("open or create System V semaphore", options, out, |options| {
                options.open_or_create(key, initial)
            })
        })
    }
}

/// Opens a semaphore by the id that another process has of its set. Fails as shmkit_sysv_semaphore_open does.
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_semaphore_from_id(
    id: i32,
    options: *const SysvSemaphoreChoices,
    out: *mut *mut SysvSemaphoreHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || make("open System V semaphore", options, out, |options| options.from_id(id))) }
}

/// Releases the handle; the semaphore stays. NULL is allowed.
///
/// # Safety
/// `semaphore` is null or a handle that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_semaphore_free(semaphore: *mut SysvSemaphoreHandle) {
    answer((), || {
        // SAFETY: the caller's promise.
        unsafe { crate::object::free(semaphore) };
        Some(())
    });
}

/// The kernel's number for the set, which another process can open; -1 for NULL.
///
/// # Safety
/// `semaphore` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_semaphore_id(semaphore: *const SysvSemaphoreHandle) -> i32 {
    // SAFETY: the caller's promise.
    answer(-1, || unsafe { semaphore.as_ref() }.map(|handle| handle.semaphore.id()))
}

/// The key of the set; SHMKIT_SYSV_PRIVATE for none, and for NULL.
///
/// # Safety
/// `semaphore` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_semaphore_key(semaphore: *const SysvSemaphoreHandle) -> i32 {
    // SAFETY: the caller's promise.
    answer(SYSV_PRIVATE, || unsafe { semaphore.as_ref() }.map(|handle| handle.semaphore.key()))
}

/// Takes so many permits at once (P), waiting as long as it takes.
///
/// Fails with NOT_FOUND (the set was removed, also meanwhile), INVALID_ARGUMENT (0, or more than 32767), LIMIT_EXCEEDED (more
/// than the kernel can undo).
///
/// # Safety
/// `semaphore` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_semaphore_acquire(
    semaphore: *const SysvSemaphoreHandle,
    permits: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(semaphore, ACQUIRE)?.semaphore.acquire(permits, &Wait::FOREVER)) }
}

/// Takes so many permits if they are there, else answers WOULD_BLOCK. Otherwise as shmkit_sysv_semaphore_acquire.
///
/// # Safety
/// `semaphore` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_semaphore_try_acquire(
    semaphore: *const SysvSemaphoreHandle,
    permits: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(semaphore, ACQUIRE)?;
            let taken = handle.semaphore.try_acquire(permits)?;
            if taken { Ok(()) } else { Err(handle.call(ACQUIRE).error(ErrorKind::WouldBlock)) }
        })
    }
}

/// Takes so many permits within `timeout_ns` nanoseconds, else answers TIMEOUT; SHMKIT_FOREVER is no limit. With
/// SHMKIT_WAIT_INTERRUPTIBLE it can answer INTERRUPTED. Otherwise as shmkit_sysv_semaphore_acquire.
///
/// # Safety
/// `semaphore` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_semaphore_acquire_wait(
    semaphore: *const SysvSemaphoreHandle,
    permits: u32,
    timeout_ns: u64,
    flags: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(semaphore, ACQUIRE)?;
            handle.semaphore.acquire(permits, &wait(timeout_ns, flags, &handle.call(ACQUIRE))?)
        })
    }
}

/// Gives so many permits (V); anybody may.
///
/// Fails with LIMIT_EXCEEDED (there would be more than 32767), NOT_FOUND, INVALID_ARGUMENT (0, or more than 32767).
///
/// # Safety
/// `semaphore` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_semaphore_release(
    semaphore: *const SysvSemaphoreHandle,
    permits: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(semaphore, RELEASE)?.semaphore.release(permits)) }
}

/// Waits until no permit is there, at most `timeout_ns` nanoseconds. Fails as shmkit_sysv_semaphore_acquire_wait does.
///
/// # Safety
/// `semaphore` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_semaphore_zero_wait(
    semaphore: *const SysvSemaphoreHandle,
    timeout_ns: u64,
    flags: u32,
    error: *mut Details,
) -> Status {
    const OPERATION: &str = "wait for System V semaphore";
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(semaphore, OPERATION)?;
            handle.semaphore.wait_for_zero(&wait(timeout_ns, flags, &handle.call(OPERATION))?)
        })
    }
}

/// Sets the number of permits, whatever it was; what others would undo at their end is forgotten.
///
/// Fails with INVALID_ARGUMENT (more than 32767), NOT_FOUND, PERMISSION_DENIED.
///
/// # Safety
/// `semaphore` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_semaphore_set_value(
    semaphore: *const SysvSemaphoreHandle,
    value: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(semaphore, "set System V semaphore")?.semaphore.set_value(value)) }
}

/// Fills `*status`, whose `size` is set. Fails with NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT (the size).
///
/// # Safety
/// `semaphore` is null or a handle; `status` is null or begins with its size; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_semaphore_status(
    semaphore: *const SysvSemaphoreHandle,
    status: *mut SysvSemaphoreReport,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(semaphore, "inspect System V semaphore")?;
            let place = handle.call("inspect System V semaphore").report(status)?;
            let found = handle.semaphore.status()?;
            place.write(SysvSemaphoreReport {
                size: size_of::<SysvSemaphoreReport>(),
                value: found.value,
                waiting: found.waiting,
                waiting_for_zero: found.waiting_for_zero,
                mode: found.mode,
                last_pid: found.last_pid,
                reserved: 0,
            });
            Ok(())
        })
    }
}

/// Removes the whole set; who waits in it hears NOT_FOUND.
///
/// Fails with NOT_FOUND (it is gone), PERMISSION_DENIED (neither owner nor creator).
///
/// # Safety
/// `semaphore` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_sysv_semaphore_remove(
    semaphore: *const SysvSemaphoreHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(semaphore, "remove System V semaphore")?.semaphore.remove()) }
}
