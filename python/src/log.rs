//! `shmkit.Log`: opening a log and appending to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use shmkit::{Durability, Error, ErrorKind, LogOptions, ReadFrom};

use crate::arguments::{self, Place};
use crate::bytes::with_contiguous;
use crate::detached::Detached;
use crate::error::{Failure, Result, on_exit};
use crate::log_reader::LogReader;
use crate::log_record::Reservation;
use crate::object::address;
use crate::waiting;

const OPEN: &str = "open log";

/// An append whose record may not be on the disk yet: from `Log.append_deferred`, for `Log.wait_durable` and its like.
#[pyclass(frozen, eq, hash, module = "shmkit")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// Where the record is.
    #[pyo3(get)]
    pub position: u64,
    /// The number of the flush that carries it to the disk. Means something in this run of the machine.
    #[pyo3(get)]
    pub flush: u64,
}

#[pymethods]
impl Ticket {
    fn __repr__(&self) -> String {
        format!("<shmkit.Ticket position={} flush={}>", self.position, self.flush)
    }
}

impl Ticket {
    pub fn of(ticket: shmkit::Ticket) -> Ticket {
        Ticket { position: ticket.position, flush: ticket.flush }
    }

    fn core(&self) -> shmkit::Ticket {
        shmkit::Ticket { position: self.position, flush: self.flush }
    }
}

/// Records that any number of processes append at once, in a directory of files. Make one with `Log.create`, `Log.open` or
/// `Log.open_or_create`.
///
/// An append takes no lock and makes no system call, unless the log's durability says that it waits for the disk. A writer
/// that is killed leaves a record or none. Any thread may use it; a forked child may go on using it; pickling sends the
/// directory, and the other process opens it anew.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct Log {
    core: Arc<Detached<shmkit::Log>>,
    directory: PathBuf,
    /// Whether an append waits for the disk.
    waits: bool,
}

/// How to make a log, as Python says it.
struct Choices<'a, 'py> {
    segment_len: u64,
    max_record_len: Option<u64>,
    max_age: Option<f64>,
    retain_count: u64,
    retain_bytes: u64,
    durability: &'a str,
    interval: Option<f64>,
    flush_bytes: Option<u64>,
    mode: u32,
    directory: &'a Bound<'py, PyAny>,
}

impl Choices<'_, '_> {
    fn load(&self, operation: &'static str) -> Result<(PathBuf, LogOptions)> {
        let path = directory(self.directory)?;
        let shown = path.to_string_lossy();
        let place = Place { operation, object: &shown };
        let mut options = LogOptions::new()
            .segment_len(self.segment_len)
            .max_age(self.duration(self.max_age, place)?.unwrap_or_default())
            .retain_count(self.retain_count)
            .retain_bytes(self.retain_bytes)
            .durability(self.durability(place)?)
            .mode(self.mode);
        if let Some(bytes) = self.max_record_len {
            options = options.max_record_len(bytes);
        }
        drop(shown);
        Ok((path, options))
    }

    fn duration(&self, value: Option<f64>, place: Place<'_>) -> Result<Option<Duration>> {
        Ok(value.map(|value| arguments::seconds(value, place)).transpose()?.flatten())
    }

    fn durability(&self, place: Place<'_>) -> Result<Durability> {
        let choices = [("none", 0), ("interval", 1), ("bytes", 2), ("group", 3), ("every", 4)];
        let number = arguments::choose("durability", self.durability, &choices, place)?;
        let wrong = |text: &str| Err(place.error(ErrorKind::InvalidArgument, text));
        match (number, self.interval, self.flush_bytes) {
            (1, None, _) | (2, _, None) => {
                wrong("'interval' needs interval=seconds, and 'bytes' flush_bytes=number")
            }
            (0 | 2.., Some(_), _) | (0 | 1 | 3.., _, Some(_)) => {
                wrong("interval belongs to 'interval', and flush_bytes to 'bytes'")
            }
            (1, interval, _) => {
                let interval = self.duration(interval, place)?.unwrap_or(Duration::MAX);
                Ok(Durability::Interval(interval))
            }
            (2, _, Some(bytes)) => Ok(Durability::Bytes(bytes)),
            _ => Durability::from_numbers(number, 0).map_or_else(|| wrong("unknown"), Ok),
        }
    }
}

/// A `str` or an `os.PathLike`.
fn directory(value: &Bound<'_, PyAny>) -> Result<PathBuf> {
    Ok(value.extract::<PathBuf>()?)
}

/// Where a reader begins: `"start"`, `"end"` or a position.
pub fn read_from(value: &Bound<'_, PyAny>, place: Place<'_>) -> Result<ReadFrom> {
    if let Ok(name) = value.extract::<&str>() {
        let choices = [("start", ReadFrom::Start), ("end", ReadFrom::End)];
        return arguments::choose("place", name, &choices, place);
    }
    Ok(ReadFrom::Position(arguments::natural(value, ErrorKind::InvalidArgument, place)? as u64))
}

impl Log {
    /// Opens without the interpreter: reserving storage and repairing take their time.
    fn make(
        py: Python<'_>,
        path: PathBuf,
        open: impl FnOnce(&Path) -> shmkit::Result<shmkit::Log> + Send,
    ) -> Result<Log> {
        let core = py.detach(|| open(&path))?;
        let waits = matches!(core.durability(), Durability::Group | Durability::Every);
        let directory = std::path::absolute(&path).unwrap_or(path);
        Ok(Log { core: Arc::new(Detached::new(core)), directory, waits })
    }

    pub fn core(&self) -> &shmkit::Log {
        &self.core
    }

    fn name(&self) -> String {
        self.core.directory().to_string_lossy().into_owned()
    }

    /// Waits for the disk if the policy says so. What was appended stays, whatever ends the wait.
    #[inline]
    pub fn settle(&self, py: Python<'_>, ticket: shmkit::Ticket) -> Result<()> {
        if self.waits { self.settle_slow(py, ticket) } else { Ok(()) }
    }

    #[cold]
    fn settle_slow(&self, py: Python<'_>, ticket: shmkit::Ticket) -> Result<()> {
        let core = self.core();
        waiting::wait(py, None, &|| false, |wait| core.settle(ticket, wait), |()| ())?;
        Ok(())
    }

    /// Appends the bytes of any object that has some.
    #[inline]
    fn push(&self, data: &Bound<'_, PyAny>, kind: u32) -> Result<shmkit::Ticket> {
        if let Ok(bytes) = data.cast_exact::<PyBytes>() {
            return Ok(self.core.append_deferred(kind, bytes.as_bytes())?);
        }
        with_contiguous(data, |source, len| {
            let record = self.core.reserve(kind, len)?;
            // SAFETY: `source` has `len` bytes, which may be shared and change: they are copied from address to address,
            // into the record's own.
            unsafe { source.copy_to_nonoverlapping(record.bytes().as_ptr(), len) };
            record.commit_deferred(len)
        })?
        .map_err(|error| error.about("append to log", self.name()).into())
    }
}

#[pymethods]
impl Log {
    /// Creates a log in this directory, which is made if it is missing.
    ///
    /// `segment_len` are the record bytes of each file; `max_record_len` the longest record (a quarter of that by default).
    /// A file is left for the next when it is full, or its first record is `max_age` seconds old. `retain_count` files or
    /// `retain_bytes` bytes are kept, and older files removed; 0 keeps all. `durability` says when records reach the disk:
    /// "none", "interval" (with `interval` seconds), "bytes" (with `flush_bytes`), "group" or "every": docs/log.md has the
    /// table of what survives what. `mode` are the files' permission bits, exactly.
    ///
    /// Raises AlreadyExistsError, InvalidArgumentError, NotFoundError (the directory's parent), NoSpaceError,
    /// PermissionDeniedError.
    #[staticmethod]
    #[pyo3(signature = (
        directory, *, segment_len=67_108_864, max_record_len=None, max_age=None, retain_count=0, retain_bytes=0,
        durability="none", interval=None, flush_bytes=None, mode=0o600
    ))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn create(
        directory: &Bound<'_, PyAny>,
        segment_len: u64,
        max_record_len: Option<u64>,
        max_age: Option<f64>,
        retain_count: u64,
        retain_bytes: u64,
        durability: &str,
        interval: Option<f64>,
        flush_bytes: Option<u64>,
        mode: u32,
    ) -> Result<Log> {
        let choices = Choices {
            segment_len,
            max_record_len,
            max_age,
            retain_count,
            retain_bytes,
            durability,
            interval,
            flush_bytes,
            mode,
            directory,
        };
        let (path, options) = choices.load("create log")?;
        Log::make(directory.py(), path, |path| options.create(path))
    }

    /// Opens the log in this directory, and attaches this process to it. With `read_only` nothing in it changes. The first
    /// to open it for appending after the machine was started repairs what a power cut left: see `recovery`.
    ///
    /// Raises NotFoundError, PermissionDeniedError, WrongKindError, CorruptedError, TooManyAttachmentsError.
    #[staticmethod]
    #[pyo3(signature = (directory, *, read_only=false))]
    fn open(directory: &Bound<'_, PyAny>, read_only: bool) -> Result<Log> {
        let path = self::directory(directory)?;
        Log::make(directory.py(), path, |path| opened(path, read_only))
    }

    /// Opens the log in this directory, or creates it as `create` does. Of several at once, one creates and all get it.
    ///
    /// Raises ParameterMismatchError when it exists with other parameters, and what `open` and `create` raise.
    #[staticmethod]
    #[pyo3(signature = (
        directory, *, segment_len=67_108_864, max_record_len=None, max_age=None, retain_count=0, retain_bytes=0,
        durability="none", interval=None, flush_bytes=None, mode=0o600
    ))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn open_or_create(
        directory: &Bound<'_, PyAny>,
        segment_len: u64,
        max_record_len: Option<u64>,
        max_age: Option<f64>,
        retain_count: u64,
        retain_bytes: u64,
        durability: &str,
        interval: Option<f64>,
        flush_bytes: Option<u64>,
        mode: u32,
    ) -> Result<Log> {
        let choices = Choices {
            segment_len,
            max_record_len,
            max_age,
            retain_count,
            retain_bytes,
            durability,
            interval,
            flush_bytes,
            mode,
            directory,
        };
        let (path, options) = choices.load("open or create log")?;
        Log::make(directory.py(), path, |path| options.open_or_create(path))
    }

    /// Appends a record, any object with contiguous bytes, and returns its position. `kind` is yours. With the durability
    /// "group" or "every" it is on the disk then.
    ///
    /// Raises RecordTooLargeError, NoSpaceError (nothing was appended), ClosedError, ReadOnlyError, and what the disk
    /// reported: with "interval" and "bytes", once, that earlier records may not be on it (nothing was appended); with
    /// "group" and "every", that this one may not be (it was appended).
    #[pyo3(signature = (data, kind=0))]
    fn append(&self, data: &Bound<'_, PyAny>, kind: u32) -> Result<u64> {
        let ticket = self.push(data, kind)?;
        self.settle(data.py(), ticket)?;
        Ok(ticket.position)
    }

    /// Appends a record without waiting for the disk, whatever the durability. The ticket says when it is there.
    #[pyo3(signature = (data, kind=0))]
    fn append_deferred(&self, data: &Bound<'_, PyAny>, kind: u32) -> Result<Ticket> {
        Ok(Ticket::of(self.push(data, kind)?))
    }

    /// Appends several records, one behind the other, and returns their positions. Readers see all of them at once; if the
    /// process is killed, all or none. Together they must not be longer than a record may be.
    #[pyo3(signature = (records, kind=0))]
    fn append_batch(&self, records: &Bound<'_, PyAny>, kind: u32) -> Result<Vec<u64>> {
        let py = records.py();
        let mut copies = Vec::new();
        for record in records.try_iter()? {
            let record = record?;
            copies.push(match record.cast_into_exact::<PyBytes>() {
                Ok(bytes) => bytes,
                Err(other) => with_contiguous(&other.into_inner(), |source, len| {
                    // SAFETY: `source` has `len` bytes, which the buffer that Python holds for us keeps.
                    unsafe { PyBytes::from_ptr(py, source, len) }
                })?,
            });
        }
        let batch: Vec<_> = copies.iter().map(|bytes| (kind, bytes.as_bytes())).collect();
        if self.waits {
            let core = self.core();
            return Ok(py.detach(|| core.append_batch(&batch))?);
        }
        Ok(self.core.append_batch(&batch)?)
    }

    /// Claims a record of `len` bytes, to be filled in place::
    ///
    ///     with log.reserve(5) as record:
    ///         record[:] = b"hello"
    ///
    /// The body's end commits it; an exception gives it up, and readers skip it. It has its place in the order from now on,
    /// so readers that come to it wait: be quick.
    #[pyo3(signature = (len, kind=0))]
    fn reserve(slf: &Bound<'_, Self>, len: &Bound<'_, PyAny>, kind: u32) -> Result<Reservation> {
        let this = slf.get();
        let name = this.name();
        let place = Place { operation: "reserve log record", object: &name };
        let len = arguments::natural(len, ErrorKind::RecordTooLarge, place)?;
        Ok(Reservation::new(this.core.reserve(kind, len)?, slf.clone().unbind()))
    }

    /// Carries everything that was committed before this call to the disk. Raises TimeoutError when `timeout` seconds pass,
    /// and what the disk reported.
    #[pyo3(signature = (timeout=None))]
    fn flush(&self, py: Python<'_>, timeout: Option<f64>) -> Result<()> {
        self.wait_for(py, "flush log", timeout, |core, wait| core.flush_with(wait))
    }

    /// A ticket for everything that was committed before this call.
    fn ticket(&self) -> Ticket {
        Ticket::of(self.core.ticket())
    }

    /// Whether the record of a ticket is on the disk. Raises what its flush failed with.
    fn is_durable(&self, ticket: PyRef<'_, Ticket>) -> Result<bool> {
        Ok(self.core.is_durable(ticket.core())?)
    }

    /// Waits until the record of a ticket is on the disk; if nobody flushes, this thread does. Raises TimeoutError when
    /// `timeout` seconds pass, and what the disk reported.
    #[pyo3(signature = (ticket, timeout=None))]
    fn wait_durable(&self, py: Python<'_>, ticket: PyRef<'_, Ticket>, timeout: Option<f64>) -> Result<()> {
        let ticket = ticket.core();
        self.wait_for(py, "wait for log flush", timeout, |core, wait| core.wait_durable(ticket, wait))
    }

    /// Calls `callback(None)` when the record of a ticket is on the disk, or `callback(error)` with the disk's error: at
    /// once, or from a thread of this log. What it raises is reported as unraisable.
    fn on_durable(&self, ticket: PyRef<'_, Ticket>, callback: Bound<'_, PyAny>) -> Result<()> {
        if !callback.is_callable() {
            return Err(PyTypeError::new_err("the callback must be callable").into());
        }
        let callback = callback.unbind();
        Ok(self.core.on_durable(ticket.core(), move |outcome| {
            // At the end of the interpreter nobody is there to be told.
            let _ = Python::try_attach(|py| {
                let error = outcome.err().map(|error| PyErr::from(Failure::from(error)).into_value(py));
                if let Err(raised) = callback.bind(py).call1((error,)) {
                    raised.write_unraisable(py, Some(callback.bind(py)));
                }
            });
        })?)
    }

    /// Awaits the same: `await log.durable(ticket)`.
    fn durable<'py>(slf: &Bound<'py, Self>, ticket: &Bound<'py, Ticket>) -> Result<Bound<'py, PyAny>> {
        let py = slf.py();
        let durable = py.import(intern!(py, "shmkit._log"))?.getattr(intern!(py, "durable"))?;
        Ok(durable.call1((slf, ticket))?)
    }

    /// A reader that begins at "start" (the oldest record that is kept), at "end" (what is appended from now on) or at a
    /// position. It is an iterator of records, and outlives this handle.
    ///
    /// With `follow` it waits for records that are not there yet: at most `timeout` seconds for each, then it ends (None:
    /// it never ends). `skip_gaps` makes it go on where retention removed records, or bytes are corrupted, and count them;
    /// else it raises MissedError or CorruptedError, and goes on behind them when it is asked again.
    #[pyo3(signature = (place=None, *, follow=false, timeout=None, skip_gaps=false))]
    fn reader(
        &self,
        py: Python<'_>,
        place: Option<&Bound<'_, PyAny>>,
        follow: bool,
        timeout: Option<f64>,
        skip_gaps: bool,
    ) -> Result<LogReader> {
        let name = self.name();
        let at = Place { operation: "read log", object: &name };
        let from = place.map_or(Ok(ReadFrom::Start), |place| read_from(place, at))?;
        let timeout = arguments::limit(timeout, at)?;
        let reader = py.detach(|| self.core.reader(from))?;
        Ok(LogReader::new(reader, name, follow, timeout, skip_gaps))
    }

    fn __iter__(&self, py: Python<'_>) -> Result<LogReader> {
        self.reader(py, None, false, None, false)
    }

    /// Parameters and counters, as the command shows them: a dictionary, see LogStatus.
    fn status<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>> {
        let status = py.detach(|| self.core.status())?;
        Ok(py.import(intern!(py, "json"))?.call_method1(intern!(py, "loads"), (status.to_json(),))?)
    }

    /// Looks at every byte that is kept: a dictionary, see LogVerified. Takes as long as reading the log.
    fn verify<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyDict>> {
        let seen = py.detach(|| self.core.verify(|_| ()))?;
        let found = PyDict::new(py);
        for (name, value) in [
            ("records", seen.records),
            ("payload_bytes", seen.payload_bytes),
            ("dead", seen.dead),
            ("abandoned", seen.abandoned),
            ("claimed", seen.claimed),
            ("fill_bytes", seen.fill_bytes),
            ("cuts", seen.cuts),
            ("cut_bytes", seen.cut_bytes),
            ("corruptions", seen.corruptions),
            ("corrupted_bytes", seen.corrupted_bytes),
            ("missed_bytes", seen.missed_bytes),
            ("end", seen.end),
        ] {
            found.set_item(name, value)?;
        }
        Ok(found)
    }

    /// The oldest position that is kept.
    #[getter]
    fn start(&self) -> u64 {
        self.core.start()
    }

    /// About where the next record will be.
    #[getter]
    fn end(&self) -> u64 {
        self.core.end()
    }

    /// The longest record, in bytes.
    #[getter]
    fn max_record_len(&self) -> usize {
        self.core.max_record_len()
    }

    /// Record bytes of a file.
    #[getter]
    fn segment_len(&self) -> u64 {
        self.core.segment_len()
    }

    /// When records reach the disk: "none", "interval", "bytes", "group" or "every".
    #[getter]
    fn durability(&self) -> &'static str {
        match self.core.durability() {
            Durability::Interval(_) => "interval",
            Durability::Bytes(_) => "bytes",
            Durability::Group => "group",
            Durability::Every => "every",
            _ => "none",
        }
    }

    /// The directory, absolute.
    #[getter]
    fn directory(&self) -> PathBuf {
        self.directory.clone()
    }

    /// Drawn at random at creation.
    #[getter]
    fn id<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.core.id())
    }

    /// What this handle repaired when it was opened, after the machine had stopped: a dictionary, or None.
    #[getter]
    fn recovery<'py>(&self, py: Python<'py>) -> Result<Option<Bound<'py, PyDict>>> {
        let Some(recovery) = self.core.recovery() else { return Ok(None) };
        let found = PyDict::new(py);
        found.set_item("records", recovery.records)?;
        found.set_item("cuts", recovery.cuts)?;
        found.set_item("cut_bytes", recovery.cut_bytes)?;
        found.set_item("end", recovery.end)?;
        Ok(Some(found))
    }

    /// Whether it was opened for reading only.
    #[getter]
    fn read_only(&self) -> bool {
        self.core.is_read_only()
    }

    /// Whether this handle was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.core.is_closed()
    }

    /// Ends the use of this handle; repeating it does nothing. With the durability "interval" or "bytes", what was appended
    /// is flushed first. Readers go on.
    ///
    /// Raises BusyError, also a BufferError, while a reservation lives.
    fn close(&self, py: Python<'_>) -> Result<()> {
        Ok(py.detach(|| self.core.close())?)
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// Closes. An exception of the body wins over one of the closing.
    fn __exit__(
        &self,
        exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> Result<()> {
        let _ = (exc_value, traceback);
        on_exit(exc_type, self.close(exc_type.py()))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> Result<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        if self.core.is_closed() {
            return Err(Error::new(ErrorKind::Closed, "pickle log", self.name()).into());
        }
        let reopen = py.import(intern!(py, "shmkit._native"))?.getattr(intern!(py, "_reopen_log"))?;
        let id = PyBytes::new(py, &self.core.id());
        Ok((reopen, (&self.directory, id, self.read_only()).into_pyobject(py)?))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        let this = slf.get();
        let state = match this.core.is_closed() {
            true => "closed".to_owned(),
            false => format!("{} to {}", this.core.start(), this.core.end()),
        };
        format!("<shmkit.Log at {} '{}': {state}>", address(slf), this.directory.display())
    }
}

impl Log {
    fn wait_for(
        &self,
        py: Python<'_>,
        operation: &'static str,
        timeout: Option<f64>,
        block: impl FnOnce(&shmkit::Log, &shmkit::Wait) -> shmkit::Result<()> + Send,
    ) -> Result<()> {
        let name = self.name();
        let timeout = arguments::limit(timeout, Place { operation, object: &name })?;
        let core = self.core();
        waiting::wait(py, timeout, &|| core.is_closed(), |wait| block(core, wait), |()| ())?
            .ok_or_else(|| Error::new(ErrorKind::Timeout, operation, name).into())
    }
}

fn opened(path: &Path, read_only: bool) -> shmkit::Result<shmkit::Log> {
    if read_only { shmkit::Log::open_read_only(path) } else { shmkit::Log::open(path) }
}

/// Opens a log that was pickled: the same one, or none.
#[pyfunction]
pub fn _reopen_log(py: Python<'_>, directory: PathBuf, id: [u8; 16], read_only: bool) -> Result<Log> {
    let log = Log::make(py, directory, |path| opened(path, read_only))?;
    if log.core.id() != id {
        return Err(Error::new(ErrorKind::Replaced, OPEN, log.name()).into());
    }
    Ok(log)
}
