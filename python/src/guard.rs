//! `shmkit.Guard`: a lock as a `with` statement holds it, with options of its own.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use pyo3::prelude::*;
use shmkit::{Acquired, ErrorKind};

use crate::aio;
use crate::arguments::{Place, seconds};
use crate::error::Result;
use crate::lock::Lock;

/// A lock to be held by `with` or `async with`, from `Region.lock()`, `Mutex.lock()`, `RwLock.read()` or
/// `RwLock.write()`. It has the methods of `threading.Lock` too.
///
/// Its owner is a process: any thread of it may release what another took, and a second `acquire` waits, also in the
/// same thread. A forked child holds nothing of its parent's. When an owner died inside, `acquire` and `with` raise
/// `OwnerDiedError` and do *not* hold the lock, unless the guard was made with `recover=True`.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct Guard {
    lock: Lock,
    /// How long `with` waits, in seconds as they were given; `None` is as long as it takes.
    timeout: Option<(f64, Option<Duration>)>,
    recover: bool,
    owner_died: AtomicBool,
}

impl Guard {
    pub fn new(lock: Lock) -> Guard {
        Guard { lock, timeout: None, recover: false, owner_died: AtomicBool::new(false) }
    }

    /// With the options of the method that makes it.
    pub fn with_options(lock: Lock, timeout: Option<f64>, recover: bool) -> Result<Guard> {
        let timeout = match timeout {
            None => None,
            Some(given) => {
                let object = lock.object();
                Some((given, seconds(given, Place { operation: lock.operation(), object: &object })?))
            }
        };
        Ok(Guard { timeout, recover, ..Guard::new(lock) })
    }

    /// Takes the lock; `false` when the time passed.
    #[inline]
    fn take(&self, py: Python<'_>, blocking: bool, timeout: Option<Duration>) -> Result<bool> {
        match self.lock.take(py, blocking, timeout)? {
            Some(Acquired::OwnerDied) if !self.recover => Err(self.lock.refuse()),
            Some(acquired) => {
                self.was_taken(acquired);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    pub fn as_lock(&self) -> &Lock {
        &self.lock
    }

    /// Notes what whoever holds the lock now was told.
    #[inline]
    pub fn was_taken(&self, acquired: Acquired) {
        self.owner_died.store(acquired == Acquired::OwnerDied, Relaxed);
    }
}

#[pymethods]
impl Guard {
    /// Takes the lock. Without `blocking`, or when `timeout` seconds pass (-1: none do), returns False.
    ///
    /// Raises OwnerDiedError, ClosedError, ReadOnlyError, TooManyAttachmentsError.
    #[pyo3(signature = (blocking=true, timeout=-1.0), text_signature = "($self, blocking=True, timeout=-1)")]
    fn acquire(&self, py: Python<'_>, blocking: bool, timeout: f64) -> Result<bool> {
        let timeout = self.lock.patience(blocking, timeout)?;
        self.take(py, blocking, timeout)
    }

    /// Gives the lock back. Raises NotOwnerError when this process does not hold it.
    fn release(&self) -> Result<()> {
        Ok(self.lock.release()?)
    }

    /// Whether anybody holds the lock at this moment, in the way of this guard.
    fn locked(&self) -> bool {
        self.lock.is_locked()
    }

    fn __enter__<'py>(slf: Bound<'py, Self>) -> Result<Bound<'py, Self>> {
        let this = slf.get();
        let limit = this.timeout.and_then(|(_, limit)| limit);
        if this.take(slf.py(), true, limit)? { Ok(slf) } else { Err(this.lock.error(ErrorKind::Timeout)) }
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

    /// The same lock for `async with`: it waits without blocking the event loop, as long as this guard's `with` would.
    /// A coroutine that is cancelled does not hold it.
    pub fn aio<'py>(slf: &Bound<'py, Self>) -> Result<Bound<'py, PyAny>> {
        let (py, lock) = (slf.py(), &slf.get().lock);
        let timeout = slf.get().timeout.map(|(given, _)| given);
        aio::hold(slf.as_any(), lock.key(py)?, timeout, || lock.error(ErrorKind::Timeout))
    }

    /// Whether an owner died inside before us, and nobody has called `make_consistent()` since. Only ever true with
    /// `recover=True`.
    #[getter]
    fn owner_died(&self) -> bool {
        self.owner_died.load(Relaxed)
    }

    /// Says that what the lock guards is in order again: the death is no longer reported. The lock must be held, a
    /// reader–writer lock for writing.
    fn make_consistent(&self) -> Result<()> {
        self.lock.make_consistent()?;
        self.owner_died.store(false, Relaxed);
        Ok(())
    }

    fn __repr__(&self) -> String {
        let state = if self.lock.is_locked() { "locked" } else { "unlocked" };
        format!("<shmkit.Guard of {}, {state}>", self.lock.describe())
    }
}
