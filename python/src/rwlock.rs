//! `shmkit.RwLock`.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};

use crate::error::Result;
use crate::guard::Guard;
use crate::lock::Lock;
use crate::object::{Named, Origin, address};

/// Many readers or one writer, from `Region.rwlock`: `with rwlock.read(): ...`, `with rwlock.write(): ...`
///
/// Its owners are processes, as those of a `Mutex` are. Readers in different processes do not slow each other; a killed
/// reader is forgotten, a killed writer is reported by OwnerDiedError. New readers wait while a writer waits, so a process
/// that reads twice can wait for ever if a writer comes in between.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct RwLock {
    object: Arc<Named<shmkit::RwLock>>,
    read: Lock,
    write: Lock,
    read_guard: PyOnceLock<Py<Guard>>,
    write_guard: PyOnceLock<Py<Guard>>,
}

impl RwLock {
    pub fn new(core: shmkit::RwLock, origin: &Arc<Origin>) -> RwLock {
        let object = Arc::new(Named::new(core, origin));
        RwLock {
            read: Lock::Read(Arc::clone(&object)),
            write: Lock::Write(Arc::clone(&object)),
            object,
            read_guard: PyOnceLock::new(),
            write_guard: PyOnceLock::new(),
        }
    }
}

impl RwLock {
    /// The guard without options, once somebody asked for it.
    #[inline]
    pub fn made_guard(&self, py: Python<'_>, write: bool) -> Option<&Py<Guard>> {
        if write { self.write_guard.get(py) } else { self.read_guard.get(py) }
    }
}

/// The plain guard, made once, or one with options.
fn guard(
    py: Python<'_>,
    lock: &Lock,
    plain: &PyOnceLock<Py<Guard>>,
    timeout: Option<f64>,
    recover: bool,
) -> Result<Py<Guard>> {
    if timeout.is_none() && !recover {
        let guard = plain.get_or_try_init(py, || Py::new(py, Guard::new(lock.clone())))?;
        return Ok(guard.clone_ref(py));
    }
    Ok(Py::new(py, Guard::with_options(lock.clone(), timeout, recover)?)?)
}

#[pymethods]
impl RwLock {
    /// The lock for reading, for a `with` statement. Waits at most `timeout` seconds, then raises TimeoutError.
    ///
    /// When a writer died inside, raises OwnerDiedError and does not hold the lock; with `recover`, holds it and says so in
    /// the guard's `owner_died`. Only a writer can repair.
    #[pyo3(signature = (timeout=None, *, recover=false))]
    fn read(&self, py: Python<'_>, timeout: Option<f64>, recover: bool) -> Result<Py<Guard>> {
        guard(py, &self.read, &self.read_guard, timeout, recover)
    }

    /// The lock for writing, for a `with` statement. Waits at most `timeout` seconds, then raises TimeoutError.
    ///
    /// When a writer died inside, raises OwnerDiedError and does not hold the lock; with `recover`, holds it and says so in
    /// the guard's `owner_died`: repair what the lock guards, then call `make_consistent()`.
    #[pyo3(signature = (timeout=None, *, recover=false))]
    fn write(&self, py: Python<'_>, timeout: Option<f64>, recover: bool) -> Result<Py<Guard>> {
        guard(py, &self.write, &self.write_guard, timeout, recover)
    }

    /// Takes the lock for reading. Without `blocking`, or when `timeout` seconds pass (-1: none do), returns False.
    ///
    /// Raises OwnerDiedError, ClosedError.
    #[pyo3(signature = (blocking=true, timeout=-1.0), text_signature = "($self, blocking=True, timeout=-1)")]
    fn acquire_read(&self, py: Python<'_>, blocking: bool, timeout: f64) -> Result<bool> {
        self.read.take_clean(py, blocking, self.read.patience(blocking, timeout)?)
    }

    /// Gives one reading hold of this process back. Raises NotOwnerError when it has none.
    fn release_read(&self) -> Result<()> {
        Ok(self.object.core.release_read()?)
    }

    /// Takes the lock for writing. Without `blocking`, or when `timeout` seconds pass (-1: none do), returns False.
    ///
    /// Raises OwnerDiedError, ClosedError.
    #[pyo3(signature = (blocking=true, timeout=-1.0), text_signature = "($self, blocking=True, timeout=-1)")]
    fn acquire_write(&self, py: Python<'_>, blocking: bool, timeout: f64) -> Result<bool> {
        self.write.take_clean(py, blocking, self.write.patience(blocking, timeout)?)
    }

    /// Gives the writing hold back. Raises NotOwnerError when this process does not have it.
    fn release_write(&self) -> Result<()> {
        Ok(self.object.core.release_write()?)
    }

    /// Says that what the lock guards is in order again: a death is no longer reported. This process must hold the lock
    /// for writing, else NotOwnerError.
    fn make_consistent(&self) -> Result<()> {
        Ok(self.object.core.make_consistent()?)
    }

    /// Whether a writer has the lock at this moment.
    fn locked(&self) -> bool {
        self.object.core.is_write_locked()
    }

    /// Number of reading holds at this moment, of all processes.
    #[getter]
    fn readers(&self) -> u32 {
        self.object.core.readers()
    }

    /// Ends the use of this handle; repeating it does nothing. A thread that waits gets ClosedError.
    ///
    /// Raises BusyError when this is the process's last handle and the process holds the lock.
    fn close(&self) -> Result<()> {
        Ok(self.object.core.close()?)
    }

    /// The name in its region.
    #[getter]
    fn name(&self) -> &str {
        self.object.core.name()
    }

    /// Whether this handle was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.object.core.is_closed()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> Result<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        self.object.reduce(py, "rwlock", PyDict::new(py))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        let object = &slf.get().object;
        let state = match object.core.readers() {
            _ if object.core.is_closed() => "closed".to_owned(),
            _ if object.core.is_write_locked() => "locked".to_owned(),
            0 => "unlocked".to_owned(),
            readers => format!("readers={readers}"),
        };
        format!("<shmkit.RwLock at {} {}: {state}>", address(slf), object.place())
    }
}
