//! `shmkit_rwlock_*`: many readers or one writer, by name.

use std::ffi::c_char;

use core_crate::{RwLock, Wait};

use crate::boundary::{answer, attempt, borrow};
use crate::error::{Details, Status};
use crate::object::{self, Label};
use crate::region::RegionHandle;
use crate::wait::wait;

/// A reader–writer lock in a region.
pub struct RwLockHandle {
    lock: RwLock,
    label: Label,
}

const READ: &str = "read-lock rwlock";
const WRITE: &str = "write-lock rwlock";
const VIEW: &str = "view rwlock";

/// Opens the reader–writer lock of this name, creating it when it is missing. It takes 64 bytes of the room for named
/// objects for each process that the region allows.
///
/// On success `*out` is a handle for shmkit_rwlock_free, else NULL. It may outlive the region's handle.
/// Fails with WRONG_KIND (the name is another object's), INVALID_NAME, NO_SPACE (no room for named objects left),
/// READ_ONLY, CLOSED (the region).
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_rwlock_open(
    region: *const RegionHandle,
    name: *const c_char,
    out: *mut *mut RwLockHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            object::open("open rwlock", region, name, out, |region, name, label| {
                Ok(RwLockHandle { lock: region.rwlock(name)?, label })
            })
        })
    }
}

/// Takes the lock for reading, waiting as long as it takes. The process owns it: any of its threads may give it back.
///
/// Readers in different processes do not slow each other; a reader that was killed is forgotten. New readers wait while a
/// writer waits, so a process that reads twice can block for ever if a writer comes in between.
/// OWNER_DIED means that the lock IS HELD, and that a *writer* died inside before: what it guards may be half-written. It is
/// told until a writer calls shmkit_rwlock_make_consistent.
/// Fails, without the lock, with CLOSED, TOO_MANY_ATTACHMENTS (a forked child that finds no place).
///
/// # Safety
/// `rwlock` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_rwlock_read_lock(rwlock: *const RwLockHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(rwlock, READ)?;
            handle.label.taken(READ, handle.lock.acquire_read(&Wait::FOREVER)?)
        })
    }
}

/// Takes the lock for reading if no writer who lives holds it, else answers WOULD_BLOCK. Never sleeps. Otherwise as
/// shmkit_rwlock_read_lock.
///
/// # Safety
/// `rwlock` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_rwlock_try_read_lock(
    rwlock: *const RwLockHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(rwlock, READ)?;
            handle.label.tried(READ, handle.lock.try_acquire_read()?)
        })
    }
}

/// Takes the lock for reading if that is possible within `timeout_ns` nanoseconds, else answers TIMEOUT; SHMKIT_FOREVER is no
/// limit. With SHMKIT_WAIT_INTERRUPTIBLE it can answer INTERRUPTED. Otherwise as shmkit_rwlock_read_lock.
///
/// # Safety
/// `rwlock` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_rwlock_read_lock_wait(
    rwlock: *const RwLockHandle,
    timeout_ns: u64,
    flags: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(rwlock, READ)?;
            let wait = wait(timeout_ns, flags, &handle.label.call(READ))?;
            handle.label.taken(READ, handle.lock.acquire_read(&wait)?)
        })
    }
}

/// Gives one reading hold of this process back. Fails with NOT_OWNER when it has none, CLOSED.
///
/// # Safety
/// `rwlock` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_rwlock_read_unlock(
    rwlock: *const RwLockHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(rwlock, "read-unlock rwlock")?.lock.release_read()) }
}

/// Takes the lock for writing, waiting as long as it takes. The process owns it: any of its threads may give it back.
///
/// OWNER_DIED means that the lock IS HELD, and that a writer died inside before: what it guards may be half-written. Repair
/// it and call shmkit_rwlock_make_consistent, or give the lock back and the next one is told the same.
/// Fails, without the lock, with CLOSED, TOO_MANY_ATTACHMENTS (a forked child that finds no place).
///
/// # Safety
/// `rwlock` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_rwlock_write_lock(
    rwlock: *const RwLockHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(rwlock, WRITE)?;
            handle.label.taken(WRITE, handle.lock.acquire_write(&Wait::FOREVER)?)
        })
    }
}

/// Takes the lock for writing if nobody who lives holds it, else answers WOULD_BLOCK. Never sleeps. Otherwise as
/// shmkit_rwlock_write_lock.
///
/// # Safety
/// `rwlock` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_rwlock_try_write_lock(
    rwlock: *const RwLockHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(rwlock, WRITE)?;
            handle.label.tried(WRITE, handle.lock.try_acquire_write()?)
        })
    }
}

/// Takes the lock for writing if that is possible within `timeout_ns` nanoseconds, else answers TIMEOUT; SHMKIT_FOREVER is no
/// limit. With SHMKIT_WAIT_INTERRUPTIBLE it can answer INTERRUPTED. Otherwise as shmkit_rwlock_write_lock.
///
/// # Safety
/// `rwlock` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_rwlock_write_lock_wait(
    rwlock: *const RwLockHandle,
    timeout_ns: u64,
    flags: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(rwlock, WRITE)?;
            let wait = wait(timeout_ns, flags, &handle.label.call(WRITE))?;
            handle.label.taken(WRITE, handle.lock.acquire_write(&wait)?)
        })
    }
}

/// Gives the writing hold back. Fails with NOT_OWNER when this process does not have it, CLOSED.
///
/// # Safety
/// `rwlock` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_rwlock_write_unlock(
    rwlock: *const RwLockHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(rwlock, "write-unlock rwlock")?.lock.release_write()) }
}

/// Says that what the lock guards is in order again after a writer died: OWNER_DIED is no longer reported. Needs the lock for
/// writing.
///
/// Fails with NOT_OWNER, CLOSED.
///
/// # Safety
/// `rwlock` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_rwlock_make_consistent(
    rwlock: *const RwLockHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(rwlock, "make rwlock consistent")?.lock.make_consistent()) }
}

/// Whether a writer has the lock at this moment, dead or alive; false for NULL.
///
/// # Safety
/// `rwlock` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_rwlock_is_write_locked(rwlock: *const RwLockHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(false, || unsafe { rwlock.as_ref() }.map(|handle| handle.lock.is_write_locked()))
}

/// Number of reading holds at this moment, of all processes; 0 for NULL.
///
/// # Safety
/// `rwlock` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_rwlock_readers(rwlock: *const RwLockHandle) -> u32 {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { rwlock.as_ref() }.map(|handle| handle.lock.readers()))
}

/// The addresses of the writer's word, of the first mark and of the word with this process's owner id, for languages that
/// lock without a call. All live as long as the handle. Everything here is sequentially consistent.
///
/// A process's mark is SHMKIT_MARK_STRIDE bytes times its slot number after the first; the slot number is in its owner id,
/// plus one, from bit SHMKIT_OWNER_SLOT_SHIFT on. A mark whose upper half is not the owner id's generation counts as 0.
///
/// - Read lock: count one more in the own mark, by a compare-and-swap; then look at the writer's word. Without owner bits in
///   it, the lock is held, after an owner's death if SHMKIT_WORD_DIRTY is set; else shmkit_rwlock_read_unlock takes the mark
///   back, and shmkit_rwlock_read_lock_wait does the work.
/// - Read unlock: count one less; then look at the writer's word. If none is left in the mark and SHMKIT_WORD_DRAIN is set in
///   the word, call shmkit_rwlock_wake_writer.
/// - Write lock: by a call. Write unlock: a compare-and-swap of the writer's word from the owner id to 0, or by a call.
///
/// An owner id of 0 is *not attached*: by a call. After a lock, ask whether the handle was closed meanwhile, and unlock and
/// fail if so. Fails with CLOSED.
///
/// # Safety
/// `rwlock` is null or a handle; the other pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_rwlock_words(
    rwlock: *const RwLockHandle,
    writer: *mut *mut u32,
    marks: *mut *mut u64,
    me: *mut *const u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(rwlock, VIEW)?;
            let call = handle.label.call(VIEW);
            let closed = handle.lock.is_closed();
            call.clear(marks)?;
            object::give_lock_words(&call, closed, writer, me, handle.lock.writer_words())?;
            object::give(&call, closed, marks, handle.lock.marks().first().map(|mark| mark.value.as_ptr()))
        })
    }
}

/// Makes a writer that waits for the readers look again: see shmkit_rwlock_words. NULL is allowed.
///
/// # Safety
/// `rwlock` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_rwlock_wake_writer(rwlock: *const RwLockHandle) {
    // SAFETY: the caller's promise.
    answer((), || unsafe { rwlock.as_ref() }.map(|handle| handle.lock.wake_writer()));
}

/// The name in its region; it lives as long as the handle. "" for NULL.
///
/// # Safety
/// `rwlock` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_rwlock_name(rwlock: *const RwLockHandle) -> *const c_char {
    // SAFETY: the caller's promise.
    answer(c"".as_ptr(), || unsafe { rwlock.as_ref() }.map(|handle| handle.label.name()))
}

/// Whether this handle was closed; true for NULL.
///
/// # Safety
/// `rwlock` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_rwlock_is_closed(rwlock: *const RwLockHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(true, || unsafe { rwlock.as_ref() }.map(|handle| handle.lock.is_closed()))
}

/// Ends the use of the lock through this handle; repeating it does nothing. The handle stays: its calls answer CLOSED until
/// shmkit_rwlock_free takes it. Fails, and changes nothing, with BUSY when it is the process's last and it holds the lock.
///
/// # Safety
/// `rwlock` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_rwlock_close(rwlock: *const RwLockHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(rwlock, "close rwlock")?.lock.close()) }
}

/// Closes the lock if that was not done, and releases the handle. NULL is allowed.
///
/// No other thread may use the handle any more. A hold that this process has stays while the process has anything of the
/// region open, and is then as if its owner had died.
///
/// # Safety
/// `rwlock` is null or a handle that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_rwlock_free(rwlock: *mut RwLockHandle) {
    answer((), || {
        // SAFETY: the caller's promise.
        unsafe { object::free(rwlock) };
        Some(())
    });
}
