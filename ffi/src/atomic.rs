//! `shmkit_atomic_*`: an integer that processes change together and can wait for.

use std::ffi::c_char;

use core_crate::layout::ObjectKind;
use core_crate::{Atomic, AtomicValue, Wait};

use crate::boundary::{answer, attempt, borrow};
use crate::error::{Details, Status};
use crate::object::{self, Label};
use crate::region::RegionHandle;
use crate::wait::wait;

/// An atomic integer in a region.
pub struct AtomicHandle {
    number: Number,
    label: Label,
}

enum Number {
    U32(Atomic<u32>),
    U64(Atomic<u64>),
    I64(Atomic<i64>),
}

/// The same for each type.
macro_rules! each {
    ($handle:expr, $atomic:ident => $result:expr) => {
        match &$handle.number {
            Number::U32($atomic) => $result,
            Number::U64($atomic) => $result,
            Number::I64($atomic) => $result,
        }
    };
}

const WAIT: &str = "wait for atomic";
const VIEW: &str = "view atomic";

fn store<T: AtomicValue>(atomic: &Atomic<T>, value: u64) {
    atomic.store(T::from_bits(value));
}

fn swap<T: AtomicValue>(atomic: &Atomic<T>, value: u64) -> u64 {
    atomic.swap(T::from_bits(value)).to_bits()
}

fn add<T: AtomicValue>(atomic: &Atomic<T>, more: u64) -> u64 {
    atomic.add(T::from_bits(more)).to_bits()
}

fn compare_exchange<T: AtomicValue>(atomic: &Atomic<T>, current: u64, new: u64) -> Result<u64, u64> {
    atomic.compare_exchange(T::from_bits(current), T::from_bits(new)).map(T::to_bits).map_err(T::to_bits)
}

fn wait_while<T: AtomicValue>(atomic: &Atomic<T>, value: u64, wait: &Wait) -> core_crate::Result<()> {
    atomic.wait(T::from_bits(value), wait)
}

/// Opens the atomic integer of this name, creating it with the value `initial` when it is missing. `kind` is
/// SHMKIT_OBJECT_KIND_ATOMIC_U32, _U64 or _I64.
///
/// Values of all kinds are passed as uint64_t: convert to and from int64_t, or take the low 32 bits, as the kind says.
/// All operations are sequentially consistent.
///
/// On success `*out` is a handle for shmkit_atomic_free, else NULL. It may outlive the region's handle.
/// Fails with INVALID_ARGUMENT (another `kind`), WRONG_KIND (the name is another object's, or another kind of integer's),
/// INVALID_NAME, NO_SPACE (no room for named objects left), READ_ONLY, CLOSED (the region).
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_atomic_open(
    region: *const RegionHandle,
    name: *const c_char,
    kind: u32,
    initial: u64,
    out: *mut *mut AtomicHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            object::open("open atomic", region, name, out, |region, name, label| {
                let number = match ObjectKind::from_number(kind) {
                    Some(ObjectKind::AtomicU32) => Number::U32(region.atomic_u32(name, initial as u32)?),
                    Some(ObjectKind::AtomicU64) => Number::U64(region.atomic_u64(name, initial)?),
                    Some(ObjectKind::AtomicI64) => Number::I64(region.atomic_i64(name, initial as i64)?),
                    _ => {
                        let why = format!("kind {kind} is no kind of atomic integer");
                        return Err(label.call("open atomic").refuse(why));
                    }
                };
                Ok(AtomicHandle { number, label })
            })
        })
    }
}

/// The value now; 0 for NULL.
///
/// # Safety
/// `atomic` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_atomic_load(atomic: *const AtomicHandle) -> u64 {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { atomic.as_ref() }.map(|handle| each!(handle, atomic => atomic.load().to_bits())))
}

/// Replaces the value. NULL is allowed.
///
/// # Safety
/// `atomic` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_atomic_store(atomic: *const AtomicHandle, value: u64) {
    answer((), || {
        // SAFETY: the caller's promise.
        let handle = unsafe { atomic.as_ref() }?;
        each!(handle, atomic => store(atomic, value));
        Some(())
    });
}

/// Replaces the value and returns the old one; 0 for NULL.
///
/// # Safety
/// `atomic` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_atomic_swap(atomic: *const AtomicHandle, value: u64) -> u64 {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { atomic.as_ref() }.map(|handle| each!(handle, atomic => swap(atomic, value))))
}

/// Adds, wrapping around at the kind's limit, and returns the old value; 0 for NULL.
///
/// # Safety
/// `atomic` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_atomic_add(atomic: *const AtomicHandle, more: u64) -> u64 {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { atomic.as_ref() }.map(|handle| each!(handle, atomic => add(atomic, more))))
}

/// Replaces the value if it is `*expected`; else puts what it is into `*expected`. Returns whether it was replaced; false, and
/// nothing happens, if either pointer is NULL.
///
/// # Safety
/// `atomic` is null or a handle; `expected` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_atomic_compare_exchange(
    atomic: *const AtomicHandle,
    expected: *mut u64,
    desired: u64,
) -> bool {
    answer(false, || {
        // SAFETY: the caller's promises.
        let (handle, expected) = unsafe { (atomic.as_ref()?, expected.as_mut()?) };
        let outcome = each!(handle, atomic => compare_exchange(atomic, *expected, desired));
        Some(outcome.map_err(|now| *expected = now).is_ok())
    })
}

/// Sleeps while the value is `value`. Who changes it calls shmkit_atomic_notify_one or shmkit_atomic_notify_all after; a
/// change without is noticed within 16 ms. TIMEOUT: not within `timeout_ns` nanoseconds; SHMKIT_FOREVER is no limit.
/// INTERRUPTED: a signal handler ran, with SHMKIT_WAIT_INTERRUPTIBLE. Fails with CLOSED.
///
/// # Safety
/// `atomic` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_atomic_wait(
    atomic: *const AtomicHandle,
    value: u64,
    timeout_ns: u64,
    flags: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(atomic, WAIT)?;
            let wait = wait(timeout_ns, flags, &handle.label.call(WAIT))?;
            each!(handle, atomic => wait_while(atomic, value, &wait))
        })
    }
}

/// Wakes one waiter, after a change; it costs one load when nobody waits. NULL is allowed.
///
/// # Safety
/// `atomic` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_atomic_notify_one(atomic: *const AtomicHandle) {
    // SAFETY: the caller's promise.
    answer((), || unsafe { atomic.as_ref() }.map(|handle| each!(handle, atomic => atomic.notify_one())));
}

/// Wakes all waiters, after a change. NULL is allowed.
///
/// # Safety
/// `atomic` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_atomic_notify_all(atomic: *const AtomicHandle) {
    // SAFETY: the caller's promise.
    answer((), || unsafe { atomic.as_ref() }.map(|handle| each!(handle, atomic => atomic.notify_all())));
}

/// The addresses of the value and of the word that waiters sleep on, for languages that use them without a call. The value
/// is the whole of its 64 bits, and the upper half of a 32-bit kind stays 0; after a change, notify by a call if
/// SHMKIT_WORD_WAITERS is set in `*signal`. All sequentially consistent. Both live as long as the handle. Fails with CLOSED.
///
/// # Safety
/// `atomic` is null or a handle; the other pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_atomic_words(
    atomic: *const AtomicHandle,
    value: *mut *mut u64,
    signal: *mut *mut u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(atomic, VIEW)?;
            let call = handle.label.call(VIEW);
            let closed = each!(handle, atomic => atomic.is_closed());
            let words = each!(handle, atomic => (atomic.word().as_ptr(), atomic.signal().as_ptr()));
            call.clear(value)?;
            object::give(&call, closed, signal, Some(words.1))?;
            object::give(&call, closed, value, Some(words.0))
        })
    }
}

/// The kind of integer it is, a shmkit_object_kind_t; 0 for NULL.
///
/// # Safety
/// `atomic` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_atomic_kind(atomic: *const AtomicHandle) -> u32 {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { atomic.as_ref() }.map(|handle| kind_of(&handle.number) as u32))
}

fn kind_of(number: &Number) -> ObjectKind {
    match number {
        Number::U32(_) => ObjectKind::AtomicU32,
        Number::U64(_) => ObjectKind::AtomicU64,
        Number::I64(_) => ObjectKind::AtomicI64,
    }
}

/// The name in its region; it lives as long as the handle. "" for NULL.
///
/// # Safety
/// `atomic` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_atomic_name(atomic: *const AtomicHandle) -> *const c_char {
    // SAFETY: the caller's promise.
    answer(c"".as_ptr(), || unsafe { atomic.as_ref() }.map(|handle| handle.label.name()))
}

/// Whether this handle was closed; true for NULL.
///
/// # Safety
/// `atomic` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_atomic_is_closed(atomic: *const AtomicHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(true, || unsafe { atomic.as_ref() }.map(|handle| each!(handle, atomic => atomic.is_closed())))
}

/// Ends the use of the integer through this handle; repeating it does nothing. The handle stays until shmkit_atomic_free
/// takes it: waits answer CLOSED, and once the process has closed everything of the region the value is 0 and nobody sees
/// its changes.
///
/// # Safety
/// `atomic` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_atomic_close(atomic: *const AtomicHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(atomic, "close atomic")?;
            each!(handle, atomic => atomic.close())
        })
    }
}

/// Closes the integer if that was not done, and releases the handle. NULL is allowed. No other thread may use it any more.
///
/// # Safety
/// `atomic` is null or a handle that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_atomic_free(atomic: *mut AtomicHandle) {
    answer((), || {
        // SAFETY: the caller's promise.
        unsafe { object::free(atomic) };
        Some(())
    });
}
