//! `shmkit.LogRecord`, `shmkit.Reservation`: a record that is read, and one that is filled, in place.

use std::borrow::Cow;
use std::ffi::c_int;
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView};
use shmkit::{Error, ErrorKind};

use crate::arguments::{Place, natural};
use crate::bytes::{self, Bytes};
use crate::detached::Detached;
use crate::error::Result;
use crate::log::{Log, Ticket};

/// A record of a log: a read-only buffer on its bytes, where they are, without a copy. They stay as long as it or a
/// memoryview of it lives, also when retention removes the file.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct LogRecord(pub shmkit::LogRecord);

impl Bytes for shmkit::LogRecord {
    const READ: &'static str = "read log record";
    const WRITE: &'static str = "write log record";
    const VIEW: &'static str = "view log record";

    fn len(&self) -> usize {
        self.len()
    }
    fn object(&self) -> Cow<'_, str> {
        Cow::Owned(format!("position {}", self.position()))
    }
    fn is_writable(&self) -> bool {
        false
    }
    fn read_at(&self, offset: usize, into: &mut [u8]) -> shmkit::Result<()> {
        self.bytes().read_at(offset, into)
    }
    fn write_at(&self, _: usize, _: &[u8]) -> shmkit::Result<()> {
        Err(Error::new(ErrorKind::ReadOnly, Self::WRITE, self.object()))
    }
    fn pin(&self, offset: usize, len: usize, writable: bool) -> shmkit::Result<NonNull<u8>> {
        if writable {
            return Err(Error::new(ErrorKind::ReadOnly, Self::VIEW, self.object()));
        }
        let bytes = self.bytes();
        let part = bytes.slice(offset..offset.saturating_add(len))?;
        Ok(NonNull::new(part.as_ptr()).unwrap_or(NonNull::dangling()))
    }
    // The record keeps its bytes, and a view keeps the record.
    fn unpin(&self, _: bool) {}
    fn damage_word(&self) -> Option<&'static shmkit::AtomicU32> {
        self.damage_word()
    }
}

#[pymethods]
impl LogRecord {
    /// Where it is in the log.
    #[getter]
    fn position(&self) -> u64 {
        self.0.position()
    }

    /// Where what follows it is: a reader that begins there goes on behind it.
    #[getter]
    fn next_position(&self) -> u64 {
        self.0.next_position()
    }

    /// What its writer called a kind.
    #[getter]
    fn kind(&self) -> u32 {
        self.0.kind()
    }

    /// When it was appended, nanoseconds since 1970.
    #[getter]
    fn time_ns(&self) -> u64 {
        self.0.time_ns()
    }

    /// Its bytes, where they are: a read-only memoryview.
    #[getter]
    fn data<'py>(slf: &Bound<'py, Self>) -> Result<Bound<'py, PyMemoryView>> {
        Ok(PyMemoryView::from(slf.as_any())?)
    }

    /// A copy of its bytes.
    fn tobytes<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyBytes>> {
        Ok(PyBytes::new_with(py, self.0.len(), |into| {
            self.0.bytes().read_at(0, into).map_err(|error| crate::error::Failure::from(error).into())
        })?)
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __bool__(&self) -> bool {
        true
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>> {
        bytes::get_item(&self.0, key)
    }

    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> Result<()> {
        let (this, owner) = (slf.get(), slf.clone().into_any());
        // SAFETY: Python's request for this object, which keeps the bytes.
        unsafe { bytes::fill_buffer(&this.0, (0, this.0.len()), false, owner, view, flags) }
    }

    unsafe fn __releasebuffer__(&self, view: *mut ffi::Py_buffer) {
        // SAFETY: Python hands back what `__getbuffer__` filled, once.
        unsafe { bytes::release_buffer(&self.0, view) };
    }

    fn __repr__(&self) -> String {
        let record = &self.0;
        format!(
            "<shmkit.LogRecord at position {}: {} bytes, kind {}>",
            record.position(),
            record.len(),
            record.kind()
        )
    }
}

/// A record that was claimed, from `Log.reserve`: a writable buffer on its bytes, zero at first. `with` commits it at the end of
/// its body, or gives it up when that raises.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct Reservation {
    claim: Claim,
    log: Py<Log>,
}

struct Claim {
    core: Mutex<Option<Detached<shmkit::Reservation>>>,
    /// Live views, or `SETTLED`.
    views: AtomicUsize,
    start: NonNull<u8>,
    /// It was given up while views of it lived.
    given_up: AtomicBool,
    len: usize,
    position: u64,
}

/// It was committed or given up.
const SETTLED: usize = usize::MAX;

// SAFETY: `start` leads to bytes that `core` keeps mapped.
unsafe impl Send for Claim {}
// SAFETY: as above; the bytes are copied from address to address.
unsafe impl Sync for Claim {}

const COMMIT: &str = "commit log record";

impl Claim {
    fn error(&self, kind: ErrorKind, operation: &'static str) -> Error {
        Error::new(kind, operation, self.object())
    }

    /// Takes it out, unless somebody has a view of it.
    fn settle(&self) -> shmkit::Result<Detached<shmkit::Reservation>> {
        if self.given_up.load(Ordering::Acquire) {
            return Err(self.error(ErrorKind::Closed, COMMIT));
        }
        match self.views.compare_exchange(0, SETTLED, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => {}
            Err(SETTLED) => return Err(self.error(ErrorKind::Closed, COMMIT)),
            Err(views) => {
                let text = format!("{views} views of it live");
                return Err(self.error(ErrorKind::Busy, COMMIT).with_detail(text));
            }
        }
        let taken = self.core.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        taken.ok_or_else(|| self.error(ErrorKind::Closed, COMMIT))
    }
}

impl Bytes for Claim {
    const READ: &'static str = "read log record";
    const WRITE: &'static str = "write log record";
    const VIEW: &'static str = "view log record";

    fn len(&self) -> usize {
        self.len
    }
    fn object(&self) -> Cow<'_, str> {
        Cow::Owned(format!("position {}", self.position))
    }
    fn is_writable(&self) -> bool {
        true
    }
    fn read_at(&self, offset: usize, into: &mut [u8]) -> shmkit::Result<()> {
        let start = self.pin(offset, into.len(), true)?;
        // SAFETY: pinned, and others may write them: copied from address to address.
        unsafe { start.as_ptr().copy_to_nonoverlapping(into.as_mut_ptr(), into.len()) };
        self.unpin(true);
        Ok(())
    }
    fn write_at(&self, offset: usize, from: &[u8]) -> shmkit::Result<()> {
        let start = self.pin(offset, from.len(), true)?;
        // SAFETY: as for `read_at`.
        unsafe { start.as_ptr().copy_from_nonoverlapping(from.as_ptr(), from.len()) };
        self.unpin(true);
        Ok(())
    }
    fn pin(&self, offset: usize, len: usize, _: bool) -> shmkit::Result<NonNull<u8>> {
        if offset > self.len || len > self.len - offset {
            let text = format!("{len} bytes at {offset} of {}", self.len);
            return Err(self.error(ErrorKind::OutOfRange, Self::VIEW).with_detail(text));
        }
        let more = |views| if views == SETTLED { None } else { Some(views + 1) };
        self.views
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, more)
            .map_err(|_| self.error(ErrorKind::Closed, Self::VIEW))?;
        // SAFETY: within the record, which stays while a view is counted.
        Ok(unsafe { self.start.add(offset) })
    }
    fn unpin(&self, _: bool) {
        self.views.fetch_sub(1, Ordering::Release);
    }
    fn damage_word(&self) -> Option<&'static shmkit::AtomicU32> {
        None
    }
}

impl Reservation {
    pub fn new(core: shmkit::Reservation, log: Py<Log>) -> Reservation {
        let start = NonNull::new(core.bytes().as_ptr()).unwrap_or(NonNull::dangling());
        let (len, position) = (core.len(), core.position());
        let core = Mutex::new(Some(Detached::new(core)));
        let (views, given_up) = (AtomicUsize::new(0), AtomicBool::new(false));
        Reservation { claim: Claim { core, views, start, given_up, len, position }, log }
    }

    fn is_settled(&self) -> bool {
        self.claim.given_up.load(Ordering::Acquire) || self.claim.views.load(Ordering::Acquire) == SETTLED
    }

    fn settle_as(&self, len: Option<&Bound<'_, PyAny>>) -> Result<shmkit::Ticket> {
        let object = self.claim.object();
        let place = Place { operation: COMMIT, object: &object };
        let len = len.map_or(Ok(self.claim.len), |len| natural(len, ErrorKind::OutOfRange, place))?;
        if len > self.claim.len {
            return Err(place.error(ErrorKind::OutOfRange, format!("{len} bytes of {}", self.claim.len)));
        }
        Ok(self.claim.settle()?.into_inner().commit_deferred(len)?)
    }
}

#[pymethods]
impl Reservation {
    /// Makes a record of it, or of its first `len` bytes, waits for the disk if the log's durability says so, and returns its
    /// position.
    ///
    /// Raises BusyError, also a BufferError, while a memoryview or array of it lives; ClosedError when it was committed or
    /// given up.
    #[pyo3(signature = (len=None))]
    fn commit(&self, py: Python<'_>, len: Option<&Bound<'_, PyAny>>) -> Result<u64> {
        let ticket = self.settle_as(len)?;
        self.log.get().settle(py, ticket)?;
        Ok(ticket.position)
    }

    /// As `commit`, without waiting for the disk: see `Log.append_deferred`.
    #[pyo3(signature = (len=None))]
    fn commit_deferred(&self, len: Option<&Bound<'_, PyAny>>) -> Result<Ticket> {
        Ok(Ticket::of(self.settle_as(len)?))
    }

    /// Gives it up: readers skip it. Views of it that live mean nothing any more. Repeating it does nothing.
    fn abandon(&self) {
        if let Ok(core) = self.claim.settle() {
            drop(core);
        } else if let Some(core) =
            &mut *self.claim.core.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
        {
            self.claim.given_up.store(true, Ordering::Release);
            core.abandon_in_place();
        }
    }

    /// Where the record will be.
    #[getter]
    fn position(&self) -> u64 {
        self.claim.position
    }

    fn __len__(&self) -> usize {
        self.claim.len
    }

    fn __bool__(&self) -> bool {
        true
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>> {
        bytes::get_item(&self.claim, key)
    }

    fn __setitem__(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> Result<()> {
        bytes::set_item(&self.claim, key, value)
    }

    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> Result<()> {
        let (this, owner) = (slf.get(), slf.clone().into_any());
        // SAFETY: Python's request for this object, which keeps the bytes.
        unsafe { bytes::fill_buffer(&this.claim, (0, this.claim.len), true, owner, view, flags) }
    }

    unsafe fn __releasebuffer__(&self, view: *mut ffi::Py_buffer) {
        // SAFETY: Python hands back what `__getbuffer__` filled, once.
        unsafe { bytes::release_buffer(&self.claim, view) };
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// Commits, unless that or `abandon` was done in the body; gives it up when the body raised.
    fn __exit__(
        &self,
        exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> Result<()> {
        let _ = (exc_value, traceback);
        if !exc_type.is_none() {
            self.abandon();
        } else if !self.is_settled() {
            self.commit(exc_type.py(), None)?;
        }
        Ok(())
    }

    fn __repr__(&self) -> String {
        format!("<shmkit.Reservation at position {}: {} bytes>", self.claim.position, self.claim.len)
    }
}
