//! `shmkit.Semaphore`.

use std::sync::Arc;
use std::time::Duration;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use shmkit::{ErrorKind, SemaphoreKind, SemaphoreOptions};

use crate::aio;
use crate::arguments::{Place, count, limit};
use crate::error::{Result, on_exit};
use crate::object::{Named, Origin, address};
use crate::waiting;

const ACQUIRE: &str = "acquire semaphore";

/// A number of permits, from `Region.semaphore`. It has the methods of `threading.Semaphore`.
///
/// Without `tracked`, permits have no owner: any process may release, and those of a killed process are gone. With it,
/// they belong to the process that acquired: only it may release, and they come back when it dies.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct Semaphore {
    object: Named<shmkit::Semaphore>,
    initial: u32,
    max: Option<u32>,
}

impl Semaphore {
    /// The semaphore of this name.
    pub fn open(
        region: &shmkit::Region,
        origin: &Arc<Origin>,
        name: &str,
        (initial, max): (u32, Option<u32>),
        tracked: bool,
    ) -> shmkit::Result<Semaphore> {
        let kind = if tracked { SemaphoreKind::Tracked } else { SemaphoreKind::Signalling };
        let options = SemaphoreOptions::new(initial).kind(kind);
        let options = max.map_or(options, |max| options.max(max));
        Ok(Semaphore { object: Named::new(region.semaphore(name, options)?, origin), initial, max })
    }

    pub fn core(&self) -> &shmkit::Semaphore {
        &self.object.core
    }

    #[inline]
    fn take(&self, py: Python<'_>, blocking: bool, timeout: Option<Duration>) -> Result<bool> {
        let core = &self.object.core;
        Ok(core.try_acquire()? || blocking && self.wait(py, timeout)?)
    }

    #[cold]
    fn wait(&self, py: Python<'_>, timeout: Option<Duration>) -> Result<bool> {
        let core = &self.object.core;
        let give_back = |()| {
            let _ = core.release(1);
        };
        let taken = waiting::wait(py, timeout, &|| core.is_closed(), |wait| core.acquire(wait), give_back)?;
        Ok(taken.is_some())
    }
}

#[pymethods]
impl Semaphore {
    /// Takes a permit. Without `blocking`, or when `timeout` seconds pass (None: none do), returns False.
    ///
    /// Raises ClosedError.
    #[pyo3(signature = (blocking=true, timeout=None))]
    fn acquire(&self, py: Python<'_>, blocking: bool, timeout: Option<f64>) -> Result<bool> {
        let timeout = match timeout {
            None => None,
            given => {
                let label = self.object.label();
                let place = Place { operation: ACQUIRE, object: &label };
                if !blocking {
                    let text = "a timeout belongs to a call that blocks";
                    return Err(place.error(ErrorKind::InvalidArgument, text));
                }
                limit(given, place)?
            }
        };
        self.take(py, blocking, timeout)
    }

    /// Gives `n` permits.
    ///
    /// Raises LimitExceededError, also a ValueError, when there would be more than the maximum; of a tracked semaphore,
    /// NotOwnerError when this process holds fewer. Nothing has changed then.
    #[pyo3(signature = (n=None), text_signature = "($self, n=1)")]
    fn release(&self, n: Option<&Bound<'_, PyAny>>) -> Result<()> {
        let released = match n {
            None => 1,
            Some(n) => {
                let label = self.object.label();
                let place = Place { operation: "release semaphore", object: &label };
                match count(n, place)? {
                    0 => return Err(place.error(ErrorKind::InvalidArgument, "at least 1 permit")),
                    n => n,
                }
            }
        };
        Ok(self.object.core.release(released)?)
    }

    fn __enter__<'py>(slf: Bound<'py, Self>) -> Result<Bound<'py, Self>> {
        slf.get().take(slf.py(), true, None)?;
        Ok(slf)
    }

    /// Gives the permit back. An exception of the body wins over one of the release.
    fn __exit__(
        &self,
        exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> Result<()> {
        let _ = (exc_value, traceback);
        on_exit(exc_type, self.object.core.release(1))
    }

    /// A permit for `async with`: it waits without blocking the event loop, at most `timeout` seconds, then raises
    /// TimeoutError. A coroutine that is cancelled does not hold one.
    #[pyo3(signature = (timeout=None))]
    fn aio<'py>(slf: &Bound<'py, Self>, timeout: Option<f64>) -> Result<Bound<'py, PyAny>> {
        let object = &slf.get().object;
        aio::hold(slf.as_any(), object.key(slf.py())?, timeout, || object.error(ErrorKind::Timeout, ACQUIRE))
    }

    /// Permits available at this moment. Those of the dead count when the next one waits for them.
    #[getter]
    fn available(&self) -> u32 {
        self.object.core.available()
    }

    /// Whether permits belong to the process that acquired them.
    #[getter]
    fn tracked(&self) -> bool {
        self.object.core.kind() == SemaphoreKind::Tracked
    }

    /// Ends the use of this handle; repeating it does nothing. A thread that waits gets ClosedError.
    ///
    /// Raises BusyError when this is the process's last handle and the process holds permits of a tracked semaphore.
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
        let options = PyDict::new(py);
        options.set_item(intern!(py, "initial"), self.initial)?;
        options.set_item(intern!(py, "max"), self.max)?;
        options.set_item(intern!(py, "tracked"), self.tracked())?;
        self.object.reduce(py, "semaphore", options)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        let this = slf.get();
        let state = match this.max {
            _ if this.closed() => "closed".to_owned(),
            Some(max) => format!("value={}/{max}", this.available()),
            None => format!("value={}", this.available()),
        };
        format!("<shmkit.Semaphore at {} {}: {state}>", address(slf), this.object.place())
    }
}
