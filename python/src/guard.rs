//! The guard of a region as Python uses locks: `with`, and `acquire`/`release` as `threading.Lock` has them.
//!
//! Waiting: the first look takes no time and keeps the interpreter. Who must wait releases it, sleeps in slices, and
//! between them lets Python run its signal handlers, so that Ctrl-C works. Meanwhile the region is pinned: closing it
//! in another thread is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use shmkit::{Acquired, Error, ErrorKind, Wait};

use crate::arguments::{Place, seconds};
use crate::bytes::Pin;
use crate::error::{Failure, Result};

const LOCK: &str = "lock region";
/// The longest that a signal can go unnoticed: one that lands just before a sleep does not end it.
const SLICE: Duration = Duration::from_millis(40);

/// The lock over a region's bytes, from `Region.lock()` or `Region.guard`.
///
/// Its owner is a process: any thread of it may release what another took, and a second `acquire` waits, also in the
/// same thread. A forked child holds nothing of its parent's. When an owner died inside, `acquire` and `with` raise
/// `OwnerDiedError` and do *not* hold the lock, unless the guard was made by `lock(recover=True)`.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct Guard {
    region: Arc<shmkit::Region>,
    /// How long `with` waits; `None` is as long as it takes.
    timeout: Option<Duration>,
    recover: bool,
    owner_died: AtomicBool,
}

impl Guard {
    pub fn new(region: Arc<shmkit::Region>) -> Guard {
        Guard { region, timeout: None, recover: false, owner_died: AtomicBool::new(false) }
    }

    /// With the options of `Region.lock`.
    pub fn with_options(region: Arc<shmkit::Region>, timeout: Option<f64>, recover: bool) -> Result<Guard> {
        let object = region.location().display().into_owned();
        let place = Place { operation: LOCK, object: &object };
        let timeout = timeout.map_or(Ok(None), |timeout| seconds(timeout, place))?;
        Ok(Guard { timeout, recover, ..Guard::new(region) })
    }

    /// Takes the lock; `false` when the time passed.
    #[inline]
    fn take(&self, py: Python<'_>, blocking: bool, timeout: Option<Duration>) -> Result<bool> {
        match self.region.try_acquire()? {
            Some(acquired) => self.taken(acquired),
            None if !blocking => Ok(false),
            None => self.wait(py, timeout),
        }
    }

    #[cold]
    fn wait(&self, py: Python<'_>, timeout: Option<Duration>) -> Result<bool> {
        // A time that no clock reaches is no limit.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let _kept_open = Pin::new(&*self.region, 0, 0, false, LOCK)?;
        loop {
            let slice =
                deadline.map_or(SLICE, |end| end.saturating_duration_since(Instant::now()).min(SLICE));
            let outcome = py.detach(|| self.region.acquire(&Wait::timeout(slice).interruptible()));
            match outcome {
                Ok(acquired) => return self.taken(acquired),
                Err(error) if error.kind() == ErrorKind::Timeout && slice < SLICE => return Ok(false),
                Err(error) if matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error.into()),
            }
            py.check_signals()?;
        }
    }

    /// What a lock that was just taken means to the caller.
    #[inline]
    fn taken(&self, acquired: Acquired) -> Result<bool> {
        match acquired {
            Acquired::Clean => {
                self.owner_died.store(false, Relaxed);
                Ok(true)
            }
            Acquired::OwnerDied => self.taken_after_a_death(),
        }
    }

    #[cold]
    fn taken_after_a_death(&self) -> Result<bool> {
        if !self.recover {
            self.region.release()?;
            return Err(self.error(ErrorKind::OwnerDied));
        }
        self.owner_died.store(true, Relaxed);
        Ok(true)
    }

    fn error(&self, kind: ErrorKind) -> Failure {
        Error::new(kind, LOCK, self.region.location().display()).into()
    }
}

#[pymethods]
impl Guard {
    /// Takes the lock. Without `blocking`, or when `timeout` seconds pass (-1: none do), returns False.
    ///
    /// Raises OwnerDiedError, ClosedError, ReadOnlyError, TooManyAttachmentsError.
    #[pyo3(signature = (blocking=true, timeout=-1.0), text_signature = "($self, blocking=True, timeout=-1)")]
    fn acquire(&self, py: Python<'_>, blocking: bool, timeout: f64) -> Result<bool> {
        if timeout == -1.0 {
            return self.take(py, blocking, None);
        }
        let object = self.region.location().display();
        let place = Place { operation: LOCK, object: &object };
        if !blocking {
            return Err(place.error(ErrorKind::InvalidArgument, "a timeout belongs to a call that blocks"));
        }
        match seconds(timeout, place)? {
            Some(timeout) => self.take(py, true, Some(timeout)),
            None => Err(PyOverflowError::new_err("timeout is too large").into()),
        }
    }

    /// Gives the lock back. Raises NotOwnerError when this process does not hold it.
    fn release(&self) -> Result<()> {
        Ok(self.region.release()?)
    }

    /// Whether anybody holds the lock at this moment.
    fn locked(&self) -> bool {
        self.region.is_locked()
    }

    fn __enter__<'py>(slf: Bound<'py, Self>) -> Result<Bound<'py, Self>> {
        let this = slf.get();
        if this.take(slf.py(), true, this.timeout)? { Ok(slf) } else { Err(this.error(ErrorKind::Timeout)) }
    }

    /// Gives the lock back. An exception of the body wins over one of the release.
    fn __exit__(
        &self,
        exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> Result<()> {
        let _ = (exc_value, traceback);
        match self.region.release() {
            Err(error) if exc_type.is_none() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Whether an owner died inside before us, and nobody has called `make_consistent()` since. Only ever true with
    /// `lock(recover=True)`.
    #[getter]
    fn owner_died(&self) -> bool {
        self.owner_died.load(Relaxed)
    }

    /// Says that the region's bytes are in order again: the death is no longer reported. The lock must be held.
    fn make_consistent(&self) -> Result<()> {
        self.region.make_consistent()?;
        self.owner_died.store(false, Relaxed);
        Ok(())
    }

    fn __repr__(&self) -> String {
        let state = if self.region.is_locked() { "locked" } else { "unlocked" };
        format!("<shmkit.Guard of region '{}', {state}>", self.region.location().display())
    }
}
