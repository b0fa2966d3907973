//! `shmkit_log_reader_*`: reading a log, record by record.

use std::ffi::c_void;
use std::mem::size_of;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, TryLockError};

use core_crate::{ErrorKind, LogReader, LogRecord, ReadFrom, Result};

use crate::boundary::{Call, answer, attempt, borrow};
use crate::error::{Details, Status};
use crate::log::LogHandle;
use crate::object;
use crate::wait::wait;

/// Where a reader begins.
#[repr(u32)]
#[derive(Clone, Copy)]
pub enum ReadPlace {
    /// At the oldest record that is kept.
    Start = 0,
    /// Behind the last record that was claimed: it sees what is appended from now on.
    End = 1,
    /// At a position: of a record, or behind one.
    Position = 2,
}

/// A reader of a log. It outlives the log's handle.
pub struct LogReaderHandle {
    state: Mutex<State>,
    directory: std::ffi::CString,
    position: AtomicU64,
    missed: AtomicU64,
    corrupted: AtomicU64,
    skipped: AtomicU64,
}

struct State {
    reader: LogReader,
    /// What was read last: its bytes stay until the next one is read.
    last: Option<LogRecord>,
}

/// A record that stays.
pub struct LogPin {
    _record: LogRecord,
}

/// A record, as a reader found it. Yours: set `size` before the call.
#[repr(C)]
pub struct LogRecordView {
    /// sizeof(shmkit_log_record_t).
    pub size: usize,
    /// Its bytes, where they are.
    pub data: *const c_void,
    /// How many.
    pub len: usize,
    /// Where it is in the log.
    pub position: u64,
    /// Where what follows it is: a reader that begins there goes on behind it.
    pub next_position: u64,
    /// When it was appended, nanoseconds since 1970.
    pub time_ns: u64,
    /// What its writer called a kind.
    pub kind: u32,
    /// 0.
    pub reserved: u32,
}

const _: () = assert!(size_of::<LogRecordView>() == 56);

const READ: &str = "read log";

fn place(from: u32, position: u64, call: &Call<'_>) -> Result<ReadFrom> {
    const START: u32 = ReadPlace::Start as u32;
    const END: u32 = ReadPlace::End as u32;
    const POSITION: u32 = ReadPlace::Position as u32;
    match from {
        START => Ok(ReadFrom::Start),
        END => Ok(ReadFrom::End),
        POSITION => Ok(ReadFrom::Position(position)),
        _ => Err(call.refuse(format!("there is no place {from}"))),
    }
}

impl LogReaderHandle {
    fn call(&self, operation: &'static str) -> Call<'_> {
        Call { operation, object: &self.directory }
    }

    /// The reader, unless another thread is inside.
    fn enter(&self) -> Result<MutexGuard<'_, State>> {
        match self.state.try_lock() {
            Ok(state) => Ok(state),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                Err(self.call(READ).error(ErrorKind::Busy).with_detail("another thread reads with it"))
            }
        }
    }

    fn note(&self, reader: &LogReader) {
        self.position.store(reader.position(), Relaxed);
        self.missed.store(reader.missed(), Relaxed);
        self.corrupted.store(reader.corrupted(), Relaxed);
        self.skipped.store(reader.skipped(), Relaxed);
    }

    /// Reads one record into the caller's struct.
    ///
    /// # Safety
    /// `record` is null, or leads to a struct whose size is set.
    unsafe fn read(
        &self,
        record: *mut LogRecordView,
        next: impl FnOnce(&mut LogReader) -> Result<Option<LogRecord>>,
    ) -> Result<()> {
        // SAFETY: the caller's promise.
        let place = unsafe { self.call(READ).report(record) }?;
        let mut state = self.enter()?;
        let found = next(&mut state.reader);
        self.note(&state.reader);
        let Some(found) = found? else { return Err(self.call(READ).error(ErrorKind::WouldBlock)) };
        let view = LogRecordView {
            size: size_of::<LogRecordView>(),
            data: found.bytes().as_ptr().cast_const().cast(),
            len: found.len(),
            position: found.position(),
            next_position: found.next_position(),
            time_ns: found.time_ns(),
            kind: found.kind(),
            reserved: 0,
        };
        state.last = Some(found);
        // SAFETY: `report` checked it, and the caller's promise.
        unsafe { place.write(view) };
        Ok(())
    }
}

/// Opens a reader that begins at `from`, a shmkit_read_from_t; `position` is for SHMKIT_READ_FROM_POSITION.
///
/// On success `*out` is a handle for shmkit_log_reader_free, else NULL. It may outlive the log's handle.
/// Fails with INVALID_ARGUMENT (no record begins at the position), MISSED (it was removed), CLOSED, NOT_FOUND.
///
/// # Safety
/// `log` is null or a handle; `out` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_reader_open(
    log: *const LogHandle,
    from: u32,
    position: u64,
    out: *mut *mut LogReaderHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(log, READ)?;
            let call = handle.call(READ);
            call.clear(out)?;
            let reader = handle.log.reader(place(from, position, &call)?)?;
            let made = LogReaderHandle {
                position: AtomicU64::new(reader.position()),
                missed: AtomicU64::new(0),
                corrupted: AtomicU64::new(0),
                skipped: AtomicU64::new(0),
                state: Mutex::new(State { reader, last: None }),
                directory: call.object.to_owned(),
            };
            out.write(Box::into_raw(Box::new(made)));
            Ok(())
        })
    }
}

/// Reads the next record if it is there, else answers WOULD_BLOCK. The bytes are where they are in the log, not copied, and
/// stay until this reader reads again or is freed, or for longer with shmkit_log_reader_keep.
///
/// Fails with MISSED once for each gap that retention made, CORRUPTED once for each place that holds no records: either way
/// reading goes on behind it; BUSY while another thread reads with this reader; NOT_FOUND and what mapping a segment
/// reports.
///
/// # Safety
/// `reader` is null or a handle; `record` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_reader_next(
    reader: *const LogReaderHandle,
    record: *mut LogRecordView,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(reader, READ)?.read(record, |reader| reader.read())) }
}

/// Reads the next record, waiting at most `timeout_ns` nanoseconds for it, else answers TIMEOUT; SHMKIT_FOREVER is no limit.
/// With SHMKIT_WAIT_INTERRUPTIBLE it can answer INTERRUPTED. Otherwise as shmkit_log_reader_next.
///
/// # Safety
/// `reader` is null or a handle; `record` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_reader_next_wait(
    reader: *const LogReaderHandle,
    timeout_ns: u64,
    flags: u32,
    record: *mut LogRecordView,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(reader, READ)?;
            let wait = wait(timeout_ns, flags, &handle.call(READ))?;
            handle.read(record, |reader| reader.read_wait(&wait).map(Some))
        })
    }
}

/// Keeps the record that was read last: its bytes stay in place until shmkit_log_pin_free, also when the reader goes on, is
/// freed, or retention removes the file. Fails with INVALID_ARGUMENT when nothing was read yet, BUSY.
///
/// # Safety
/// `reader` is null or a handle; `out` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_reader_keep(
    reader: *const LogReaderHandle,
    out: *mut *mut LogPin,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(reader, READ)?;
            let call = handle.call(READ);
            call.clear(out)?;
            let last = handle.enter()?.last.clone();
            let record = last.ok_or_else(|| call.refuse("nothing was read yet"))?;
            out.write(Box::into_raw(Box::new(LogPin { _record: record })));
            Ok(())
        })
    }
}

/// Gives a record back that shmkit_log_reader_keep kept. NULL is allowed.
///
/// # Safety
/// `pin` is null or one that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_pin_free(pin: *mut LogPin) {
    answer((), || {
        // SAFETY: the caller's promise.
        unsafe { object::free(pin) };
        Some(())
    });
}

/// Goes to another place: `from` and `position` as for shmkit_log_reader_open, with its errors, and BUSY.
///
/// # Safety
/// `reader` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_reader_seek(
    reader: *const LogReaderHandle,
    from: u32,
    position: u64,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(reader, READ)?;
            let from = place(from, position, &handle.call(READ))?;
            let mut state = handle.enter()?;
            let outcome = state.reader.seek(from);
            handle.note(&state.reader);
            outcome
        })
    }
}

/// Where the next record will be looked for; 0 for NULL. A reader that begins there goes on where this one is.
///
/// # Safety
/// `reader` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_reader_position(reader: *const LogReaderHandle) -> u64 {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { reader.as_ref() }.map(|handle| handle.position.load(Relaxed)))
}

/// Bytes of the log that were removed before this reader came to them; 0 for NULL.
///
/// # Safety
/// `reader` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_reader_missed(reader: *const LogReaderHandle) -> u64 {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { reader.as_ref() }.map(|handle| handle.missed.load(Relaxed)))
}

/// Bytes that held no records where some should have been; 0 for NULL.
///
/// # Safety
/// `reader` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_reader_corrupted(reader: *const LogReaderHandle) -> u64 {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { reader.as_ref() }.map(|handle| handle.corrupted.load(Relaxed)))
}

/// Records that were skipped because their writers gave them up or died; 0 for NULL.
///
/// # Safety
/// `reader` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_reader_skipped(reader: *const LogReaderHandle) -> u64 {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { reader.as_ref() }.map(|handle| handle.skipped.load(Relaxed)))
}

/// Releases a reader, and with it the bytes of the record that it read last. NULL is allowed.
///
/// # Safety
/// `reader` is null or a handle that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_reader_free(reader: *mut LogReaderHandle) {
    answer((), || {
        // SAFETY: the caller's promise.
        unsafe { object::free(reader) };
        Some(())
    });
}
