//! `shmkit_log_*`: opening a log and appending to it. `log_flush.rs` has the disk, `log_reader.rs` the readers.

use std::ffi::{CString, c_char, c_void};

use core_crate::{Log, Reservation, Result};

use crate::boundary::{Call, answer, attempt, borrow, text};
use crate::error::{Details, Status};
use crate::log_flush::LogTicket;
use crate::log_options::LogChoices;
use crate::object;

/// An open log: records that any number of processes append at once.
pub struct LogHandle {
    pub(crate) log: Log,
    /// The directory, with a zero byte at its end.
    directory: CString,
}

impl LogHandle {
    pub(crate) fn call(&self, operation: &'static str) -> Call<'_> {
        Call { operation, object: &self.directory }
    }
}

/// A record that is filled in place.
pub struct ReservationHandle(Reservation);

/// One record of a batch.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LogPart {
    /// Its bytes; may be NULL when there are none.
    pub data: *const c_void,
    /// How many.
    pub len: usize,
    /// What its writer calls a kind.
    pub kind: u32,
    /// 0.
    pub reserved: u32,
}

const APPEND: &str = "append to log";
const RESERVE: &str = "reserve log record";
const COMMIT: &str = "commit log record";

/// The common part of what opens a log.
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
unsafe fn open_by(
    operation: &'static str,
    directory: *const c_char,
    options: *const LogChoices,
    out: *mut *mut LogHandle,
    open: impl FnOnce(&LogChoices, &Call<'_>, std::path::PathBuf) -> Result<Log>,
) -> Result<()> {
    // SAFETY: the caller's promises.
    unsafe {
        let call = Call { operation, object: text(directory) };
        call.clear(out)?;
        let choices = LogChoices::load(options, &call)?;
        let log = open(&choices, &call, call.path(directory)?)?;
        out.write(Box::into_raw(Box::new(LogHandle { log, directory: call.object.to_owned() })));
    }
    Ok(())
}

/// Creates a log in this directory, which is made if it is missing, and opens it.
///
/// `options` may be NULL. On success `*out` is a handle for shmkit_log_free, else NULL.
/// Fails with ALREADY_EXISTS, INVALID_ARGUMENT, INVALID_NAME, NOT_FOUND (the directory's parent), NO_SPACE,
/// PERMISSION_DENIED, UNSUPPORTED (a file system without what is needed).
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_create(
    directory: *const c_char,
    options: *const LogChoices,
    out: *mut *mut LogHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            open_by("create log", directory, options, out, |choices, call, path| {
                choices.for_creation(call)?.create(path)
            })
        })
    }
}

/// Opens the log in this directory for appending and reading, or with SHMKIT_LOG_READ_ONLY only for reading. Of the options
/// only the flags matter. The first to open it for appending after the machine was started repairs what a power cut left.
///
/// On success `*out` is a handle for shmkit_log_free, else NULL.
/// Fails with NOT_FOUND, PERMISSION_DENIED, WRONG_KIND and the others of shmkit_region_open, CORRUPTED,
/// TOO_MANY_ATTACHMENTS.
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_open(
    directory: *const c_char,
    options: *const LogChoices,
    out: *mut *mut LogHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            open_by("open log", directory, options, out, |choices, _, path| {
                if choices.is_read_only() { Log::open_read_only(path) } else { Log::open(path) }
            })
        })
    }
}

/// Opens the log in this directory, or creates it. Of several callers at once, one creates and all get its log.
///
/// Fails as shmkit_log_create and shmkit_log_open do, and with PARAMETER_MISMATCH when it exists with other parameters.
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_open_or_create(
    directory: *const c_char,
    options: *const LogChoices,
    out: *mut *mut LogHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            open_by("open or create log", directory, options, out, |choices, call, path| {
                choices.for_creation(call)?.open_or_create(path)
            })
        })
    }
}

/// Appends a record of `len` bytes; `kind` is yours. `*position`, unless `position` is NULL, becomes where it is. With
/// SHMKIT_DURABILITY_GROUP and SHMKIT_DURABILITY_EVERY the record is on the disk when this returns.
///
/// Fails with RECORD_TOO_LARGE, NO_SPACE (there is no room for another segment; nothing was appended), CLOSED, READ_ONLY,
/// TOO_MANY_ATTACHMENTS (a forked child that finds no place), and IO or NO_SPACE for what the disk reported: of the
/// policies INTERVAL and BYTES, once to each process, that earlier records may not have reached it (nothing was appended);
/// of GROUP and EVERY, that this record may not have (it was appended).
///
/// # Safety
/// `log` is null or a handle; `data` is null or has `len` bytes; `position` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_append(
    log: *const LogHandle,
    kind: u32,
    data: *const c_void,
    len: usize,
    position: *mut u64,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(log, APPEND)?;
            let appended = handle.log.append(kind, handle.call(APPEND).source(data, len)?)?;
            if let Some(position) = position.as_mut() {
                *position = appended;
            }
            Ok(())
        })
    }
}

/// Appends a record without waiting for the disk, whatever the policy. `*ticket`, unless `ticket` is NULL, is for
/// shmkit_log_wait_durable and shmkit_log_on_durable. Otherwise as shmkit_log_append.
///
/// # Safety
/// `log` is null or a handle; `data` is null or has `len` bytes; `ticket` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_append_deferred(
    log: *const LogHandle,
    kind: u32,
    data: *const c_void,
    len: usize,
    ticket: *mut LogTicket,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(log, APPEND)?;
            let given = handle.log.append_deferred(kind, handle.call(APPEND).source(data, len)?)?;
            if let Some(ticket) = ticket.as_mut() {
                *ticket = given.into();
            }
            Ok(())
        })
    }
}

/// Appends `count` records, one behind the other. Readers see all of them at once; if the process is killed, all or none.
/// `positions`, unless it is NULL, becomes where they are. Together they must not be longer than a record may be.
///
/// Fails as shmkit_log_append does.
///
/// # Safety
/// `log` is null or a handle; `records` is null or has `count` elements whose `data` has `len` bytes; `positions` is null
/// or has room for `count`; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_append_batch(
    log: *const LogHandle,
    records: *const LogPart,
    count: usize,
    positions: *mut u64,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(log, APPEND)?;
            let call = handle.call(APPEND);
            // No longer than an object can be.
            call.source(records.cast(), count.saturating_mul(size_of::<LogPart>()))?;
            let mut batch = Vec::with_capacity(count);
            for index in 0..count {
                let part = records.add(index).read();
                if part.reserved != 0 {
                    return Err(call.refuse("`reserved` is 0"));
                }
                batch.push((part.kind, call.source(part.data, part.len)?));
            }
            let appended = handle.log.append_batch(&batch)?;
            if !positions.is_null() {
                positions.copy_from_nonoverlapping(appended.as_ptr(), appended.len());
            }
            Ok(())
        })
    }
}

/// Claims a record of `len` bytes, to be filled in place: `*data` becomes the address of its bytes, zero at first.
///
/// It has its place in the order from now on, so readers that come to it wait: commit or abandon it soon. On success `*out`
/// is a reservation that shmkit_log_commit, shmkit_log_commit_deferred or shmkit_log_abandon takes, else NULL. The log
/// cannot be closed before. Fails as shmkit_log_append does.
///
/// # Safety
/// `log` is null or a handle; `out`, `data` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_reserve(
    log: *const LogHandle,
    kind: u32,
    len: usize,
    out: *mut *mut ReservationHandle,
    data: *mut *mut c_void,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(log, RESERVE)?;
            let call = handle.call(RESERVE);
            call.clear(out)?;
            call.clear(data)?;
            let reservation = handle.log.reserve(kind, len)?;
            data.write(reservation.bytes().as_ptr().cast());
            out.write(Box::into_raw(Box::new(ReservationHandle(reservation))));
            Ok(())
        })
    }
}

/// Takes a reservation out of the caller's hands.
///
/// # Safety
/// `reservation` is null or a handle that the caller gives up.
unsafe fn take(reservation: *mut ReservationHandle, operation: &'static str) -> Result<Reservation> {
    if reservation.is_null() {
        return Err(Call { operation, object: c"" }.refuse("the handle is NULL"));
    }
    // SAFETY: not null, made by `shmkit_log_reserve`, and the caller's promise.
    Ok(unsafe { Box::from_raw(reservation) }.0)
}

/// Makes a record of the first `len` bytes of a reservation, and waits for the disk if the policy says so. `*position`,
/// unless `position` is NULL, becomes where it is.
///
/// The reservation is gone afterwards, whatever the status. Fails with OUT_OF_RANGE (more than were reserved; it was
/// abandoned), NOT_OWNER (it was reserved before a fork), and what the disk reported, as shmkit_log_append.
///
/// # Safety
/// `reservation` is null or one that nobody uses; `position` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_commit(
    reservation: *mut ReservationHandle,
    len: usize,
    position: *mut u64,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let committed = take(reservation, COMMIT)?.commit_len(len)?;
            if let Some(position) = position.as_mut() {
                *position = committed;
            }
            Ok(())
        })
    }
}

/// As shmkit_log_commit, without waiting for the disk: see shmkit_log_append_deferred.
///
/// # Safety
/// `reservation` is null or one that nobody uses; `ticket` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_commit_deferred(
    reservation: *mut ReservationHandle,
    len: usize,
    ticket: *mut LogTicket,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let given = take(reservation, COMMIT)?.commit_deferred(len)?;
            if let Some(ticket) = ticket.as_mut() {
                *ticket = given.into();
            }
            Ok(())
        })
    }
}

/// Gives a reservation up: readers skip it. NULL is allowed.
///
/// # Safety
/// `reservation` is null or one that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_abandon(reservation: *mut ReservationHandle) {
    answer((), || {
        // SAFETY: the caller's promise.
        unsafe { object::free(reservation) };
        Some(())
    });
}

/// The log's directory, as it was opened; it lives as long as the handle. "" for NULL.
///
/// # Safety
/// `log` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_directory(log: *const LogHandle) -> *const c_char {
    // SAFETY: the caller's promise.
    answer(c"".as_ptr(), || unsafe { log.as_ref() }.map(|handle| handle.directory.as_ptr()))
}

/// Whether this handle was closed; true for NULL.
///
/// # Safety
/// `log` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_is_closed(log: *const LogHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(true, || unsafe { log.as_ref() }.map(|handle| handle.log.is_closed()))
}

/// Whether it was opened for reading only; false for NULL.
///
/// # Safety
/// `log` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_is_read_only(log: *const LogHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(false, || unsafe { log.as_ref() }.map(|handle| handle.log.is_read_only()))
}

/// Ends the use of the log through this handle; repeating it does nothing. With SHMKIT_DURABILITY_INTERVAL and
/// SHMKIT_DURABILITY_BYTES, what was appended is flushed first. Readers go on.
///
/// The handle stays: its calls answer CLOSED until shmkit_log_free takes it. Fails, and changes nothing, with BUSY while a
/// reservation lives; when the last flush failed, with what it reported, and the handle is closed.
///
/// # Safety
/// `log` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_close(log: *const LogHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(log, "close log")?.log.close()) }
}

/// Closes the log if that was not done, and releases the handle. NULL is allowed.
///
/// No other thread may use the handle any more. Readers and reservations of it stay usable.
///
/// # Safety
/// `log` is null or a handle that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_free(log: *mut LogHandle) {
    answer((), || {
        // SAFETY: the caller's promise.
        unsafe { object::free(log) };
        Some(())
    });
}
