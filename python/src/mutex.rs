//! `shmkit.Mutex`.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};
use shmkit::ErrorKind;

use crate::error::Result;
use crate::guard::Guard;
use crate::lock::Lock;
use crate::object::{Named, Origin, address};

/// A lock with an owner, from `Region.mutex`. It has the methods of `threading.Lock`; `lock()` has more options.
///
/// Its owner is a process: any thread of it may release what another took, and a second `acquire` waits, also in the
/// same thread. A forked child holds nothing of its parent's. When an owner died inside, `acquire` and `with` raise
/// `OwnerDiedError` and do *not* hold the lock: repair with `lock(recover=True)`. Other processes open it by name, also
/// when it is sent to them by pickle.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct Mutex {
    object: Arc<Named<shmkit::Mutex>>,
    lock: Lock,
    guard: PyOnceLock<Py<Guard>>,
}

impl Mutex {
    pub fn new(core: shmkit::Mutex, origin: &Arc<Origin>) -> Mutex {
        let object = Arc::new(Named::new(core, origin));
        Mutex { lock: Lock::Mutex(Arc::clone(&object)), object, guard: PyOnceLock::new() }
    }

    pub fn core(&self) -> &shmkit::Mutex {
        &self.object.core
    }

    pub fn as_lock(&self) -> &Lock {
        &self.lock
    }

    /// The guard without options, once somebody asked for it.
    #[inline]
    pub fn made_guard(&self, py: Python<'_>) -> Option<&Py<Guard>> {
        self.guard.get(py)
    }
}

#[pymethods]
impl Mutex {
    /// Takes the lock. Without `blocking`, or when `timeout` seconds pass (-1: none do), returns False.
    ///
    /// Raises OwnerDiedError, ClosedError.
    #[pyo3(signature = (blocking=true, timeout=-1.0), text_signature = "($self, blocking=True, timeout=-1)")]
    pub fn acquire(&self, py: Python<'_>, blocking: bool, timeout: f64) -> Result<bool> {
        let timeout = self.lock.patience(blocking, timeout)?;
        self.lock.take_clean(py, blocking, timeout)
    }

    /// Gives the lock back. Raises NotOwnerError when this process does not hold it.
    pub fn release(&self) -> Result<()> {
        Ok(self.object.core.release()?)
    }

    /// Whether anybody holds the lock at this moment.
    fn locked(&self) -> bool {
        self.object.core.is_locked()
    }

    /// The mutex for a `with` statement: `with mutex.lock(timeout=1.5): ...`
    ///
    /// Waits at most `timeout` seconds, then raises TimeoutError. When an owner died inside, raises OwnerDiedError and
    /// does not hold the lock; with `recover`, holds it and says so in the guard's `owner_died`: repair what the mutex
    /// guards, then call `make_consistent()`.
    #[pyo3(signature = (timeout=None, *, recover=false))]
    fn lock(&self, py: Python<'_>, timeout: Option<f64>, recover: bool) -> Result<Py<Guard>> {
        if timeout.is_none() && !recover {
            let guard = self.guard.get_or_try_init(py, || Py::new(py, Guard::new(self.lock.clone())))?;
            return Ok(guard.clone_ref(py));
        }
        Ok(Py::new(py, Guard::with_options(self.lock.clone(), timeout, recover)?)?)
    }

    /// As `lock`, for `async with`: it waits without blocking the event loop. A coroutine that is cancelled does not hold
    /// the lock.
    #[pyo3(signature = (timeout=None, *, recover=false))]
    fn aio<'py>(&self, py: Python<'py>, timeout: Option<f64>, recover: bool) -> Result<Bound<'py, PyAny>> {
        Guard::aio(self.lock(py, timeout, recover)?.bind(py))
    }

    /// Says that what the mutex guards is in order again: a death is no longer reported. Raises NotOwnerError.
    fn make_consistent(&self) -> Result<()> {
        Ok(self.object.core.make_consistent()?)
    }

    pub fn __enter__<'py>(slf: Bound<'py, Self>) -> Result<Bound<'py, Self>> {
        let lock = &slf.get().lock;
        // Without a limit it is never too late.
        if lock.take_clean(slf.py(), true, None)? { Ok(slf) } else { Err(lock.error(ErrorKind::Timeout)) }
    }

    /// Gives the lock back. An exception of the body wins over one of the release.
    fn __exit__(
        &self,
        exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> Result<()> {
        let _ = (exc_value, traceback);
        self.lock.leave(exc_type)
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
        self.object.reduce(py, "mutex", PyDict::new(py))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        let object = &slf.get().object;
        let state = match () {
            () if object.core.is_closed() => "closed",
            () if object.core.is_locked() => "locked",
            () => "unlocked",
        };
        format!("<{state} shmkit.Mutex object {} at {}>", object.place(), address(slf))
    }
}
