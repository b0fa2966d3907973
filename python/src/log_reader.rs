//! `shmkit.LogReader`: reading a log, record by record.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use pyo3::intern;
use pyo3::prelude::*;
use shmkit::{Error, ErrorKind};

use crate::arguments::{self, Place};
use crate::detached::Detached;
use crate::error::{Failure, Result};
use crate::log::read_from;
use crate::log_record::LogRecord;
use crate::waiting;

const READ: &str = "read log";

/// Reads a log from a position on: an iterator, and an asynchronous one, from `Log.reader`. One thread at a time may read with
/// it. It keeps what it needs of the log.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct LogReader {
    state: Mutex<State>,
    log: String,
    follow: bool,
    timeout: Option<Duration>,
    skip_gaps: bool,
    closed: AtomicBool,
    position: AtomicU64,
    missed: AtomicU64,
    corrupted: AtomicU64,
    skipped: AtomicU64,
}

struct State {
    /// None when it was closed.
    reader: Option<Detached<shmkit::LogReader>>,
    /// What was read and not given to anybody yet.
    pending: Option<shmkit::LogRecord>,
}

impl LogReader {
    pub fn new(
        reader: shmkit::LogReader,
        log: String,
        follow: bool,
        timeout: Option<Duration>,
        skip_gaps: bool,
    ) -> LogReader {
        LogReader {
            position: AtomicU64::new(reader.position()),
            state: Mutex::new(State { reader: Some(Detached::new(reader)), pending: None }),
            log,
            follow,
            timeout,
            skip_gaps,
            closed: AtomicBool::new(false),
            missed: AtomicU64::new(0),
            corrupted: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
        }
    }

    fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, READ, self.log.as_str())
    }

    /// Not waited for: whoever is inside may need the interpreter to come out.
    fn enter(&self) -> Result<MutexGuard<'_, State>> {
        match self.state.try_lock() {
            Ok(state) => Ok(state),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                Err(self.error(ErrorKind::Busy).with_detail("another thread reads with it").into())
            }
        }
    }

    fn note(&self, state: &State) {
        if let Some(reader) = &state.reader {
            let pending = state.pending.as_ref().map(shmkit::LogRecord::position);
            self.position.store(pending.unwrap_or(reader.position()), Relaxed);
            self.missed.store(reader.missed(), Relaxed);
            self.corrupted.store(reader.corrupted(), Relaxed);
            self.skipped.store(reader.skipped(), Relaxed);
        }
    }

    /// Whether reading goes on behind an error as if nothing had been there.
    fn passes_over(&self, error: &Error) -> bool {
        self.skip_gaps && matches!(error.kind(), ErrorKind::Missed | ErrorKind::Corrupted)
    }

    /// The next record; `None` when it does not come in time. A limit of zero never sleeps.
    fn next_within(&self, py: Python<'_>, limit: Option<Duration>) -> Result<Option<shmkit::LogRecord>> {
        let mut state = self.enter()?;
        let found = self.look(py, &mut state, limit);
        self.note(&state);
        found
    }

    fn look(
        &self,
        py: Python<'_>,
        state: &mut State,
        limit: Option<Duration>,
    ) -> Result<Option<shmkit::LogRecord>> {
        let State { reader, pending } = state;
        if let Some(pending) = pending.take() {
            return Ok(Some(pending));
        }
        let Some(reader) = reader else { return Err(self.error(ErrorKind::Closed).into()) };
        loop {
            match reader.read() {
                Ok(Some(record)) => return Ok(Some(record)),
                Ok(None) if limit == Some(Duration::ZERO) => return Ok(None),
                Ok(None) => {}
                Err(error) if self.passes_over(&error) => continue,
                Err(error) => return Err(error.into()),
            }
            let closed = || self.closed.load(Relaxed);
            let waited = waiting::wait(
                py,
                limit,
                &closed,
                |wait| reader.read_wait(wait),
                |record| *pending = Some(record),
            );
            match waited {
                Err(Failure::Shmkit(error)) if self.passes_over(&error) => {}
                other => return other,
            }
        }
    }
}

#[pymethods]
impl LogReader {
    /// The next record; None when it does not come within `timeout` seconds. Without a timeout it does not wait; with None
    /// it waits as long as it takes.
    ///
    /// Raises MissedError once for each gap that retention made, CorruptedError once for each place that holds no records
    /// (unless gaps are skipped): either way reading goes on behind it. BusyError while another thread reads with it.
    #[pyo3(signature = (timeout=Some(0.0)), text_signature = "($self, timeout=0)")]
    fn read(&self, py: Python<'_>, timeout: Option<f64>) -> Result<Option<LogRecord>> {
        let limit = arguments::limit(timeout, Place { operation: READ, object: &self.log })?;
        Ok(self.next_within(py, limit)?.map(LogRecord))
    }

    /// Waits until there is something to read, at most `timeout` seconds: whether there is.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> Result<bool> {
        let limit = arguments::limit(timeout, Place { operation: READ, object: &self.log })?;
        let mut state = self.enter()?;
        state.pending = self.look(py, &mut state, limit)?;
        self.note(&state);
        Ok(state.pending.is_some())
    }

    /// Goes to another place: "start", "end" or a position.
    ///
    /// Raises InvalidArgumentError for a position at which no record begins, MissedError for one that was removed.
    fn seek(&self, place: &Bound<'_, PyAny>) -> Result<()> {
        let from = read_from(place, Place { operation: READ, object: &self.log })?;
        let mut state = self.enter()?;
        let Some(reader) = &mut state.reader else { return Err(self.error(ErrorKind::Closed).into()) };
        reader.seek(from)?;
        state.pending = None;
        self.note(&state);
        Ok(())
    }

    /// Where the next record will be looked for. A reader that begins there goes on where this one is.
    #[getter]
    fn position(&self) -> u64 {
        self.position.load(Relaxed)
    }

    /// Bytes of the log that were removed before this reader came to them.
    #[getter]
    fn missed(&self) -> u64 {
        self.missed.load(Relaxed)
    }

    /// Bytes that held no records where some should have been.
    #[getter]
    fn corrupted(&self) -> u64 {
        self.corrupted.load(Relaxed)
    }

    /// Records that were skipped because their writers gave them up or died.
    #[getter]
    fn skipped(&self) -> u64 {
        self.skipped.load(Relaxed)
    }

    /// Whether it waits for records that are not there yet.
    #[getter]
    fn follow(&self) -> bool {
        self.follow
    }

    /// Ends the reader; repeating it does nothing. A thread that waits in it gets ClosedError.
    fn close(&self) {
        self.closed.store(true, Relaxed);
        if let Ok(mut state) = self.enter() {
            state.reader = None;
            state.pending = None;
        }
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __exit__(
        &self,
        exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) {
        let _ = (exc_type, exc_value, traceback);
        self.close();
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> Result<Option<LogRecord>> {
        let limit = if self.follow { self.timeout } else { Some(Duration::ZERO) };
        Ok(self.next_within(py, limit)?.map(LogRecord))
    }

    /// Records as they come, without blocking the event loop: `async for record in log.reader(follow=True)`.
    fn __aiter__<'py>(slf: &Bound<'py, Self>) -> Result<Bound<'py, PyAny>> {
        let py = slf.py();
        let this = slf.get();
        let records = py.import(intern!(py, "shmkit._log"))?.getattr(intern!(py, "records"))?;
        Ok(records.call1((slf, this.follow, this.timeout.map(|timeout| timeout.as_secs_f64())))?)
    }

    fn __repr__(&self) -> String {
        let state = if self.closed() { "closed".to_owned() } else { format!("position {}", self.position()) };
        format!("<shmkit.LogReader of '{}': {state}>", self.log)
    }
}
