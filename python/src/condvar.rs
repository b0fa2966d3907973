//! `shmkit.Condvar`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use shmkit::{Acquired, ErrorKind};

use crate::arguments::{Place, count, limit};
use crate::error::Result;
use crate::mutex::Mutex;
use crate::object::{Named, Origin, address};
use crate::waiting;

const WAIT: &str = "wait on condvar";

/// Waiting for a condition that a mutex guards, from `Region.condvar`. It has the methods of `threading.Condition`.
///
/// A wait may end without a notification: wait in a loop that tests the condition, or with `wait_for`. A waiter that is
/// killed takes no notification with it, and when a process is killed with the mutex held, who waits is woken and gets
/// OwnerDiedError. Anybody may notify; who does it before giving the mutex back lets no change go unnoticed.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct Condvar {
    object: Arc<Named<shmkit::Condvar>>,
    mutex: Option<Py<Mutex>>,
    owner_died: AtomicBool,
}

impl Condvar {
    pub fn new(core: shmkit::Condvar, origin: &Arc<Origin>, mutex: Option<Py<Mutex>>) -> Condvar {
        let object = Arc::new(Named::new(core, origin));
        Condvar { object, mutex, owner_died: AtomicBool::new(false) }
    }

    fn place<'a>(&self, label: &'a str) -> Place<'a> {
        Place { operation: WAIT, object: label }
    }

    fn its_mutex(&self) -> Result<&Mutex> {
        self.mutex.as_ref().map(Py::get).ok_or_else(|| {
            let text = "it was opened without a mutex, only to notify";
            self.place(&self.object.label()).error(ErrorKind::InvalidArgument, text)
        })
    }

    fn limit(&self, timeout: Option<f64>) -> Result<Option<Duration>> {
        match timeout {
            None => Ok(None),
            given => limit(given, self.place(&self.object.label())),
        }
    }

    /// Gives the mutex back, sleeps until notified, and takes the mutex again. Ends with the mutex held, unless taking it
    /// again failed.
    fn sleep(&self, py: Python<'_>, timeout: Option<Duration>, recover: bool) -> Result<bool> {
        let (core, mutex) = (&self.object.core, self.its_mutex()?);
        let watched = core.watch(mutex.core())?;
        mutex.core().release()?;
        let is_closed = || core.is_closed();
        let slept = waiting::wait(py, timeout, &is_closed, |wait| core.sleep(watched, wait), drop);
        // Without a limit, as `threading` does: whoever called has a `with` around it. A second signal ends this too.
        let again = mutex.as_lock().take(py, true, None)?;
        let died = again == Some(Acquired::OwnerDied);
        self.owner_died.store(died, Relaxed);
        // An exception of the sleep wins; a death stays reported to whoever takes the mutex next.
        let notified = slept?.is_some();
        if died && !recover {
            return Err(mutex.as_lock().refuse());
        }
        Ok(notified)
    }
}

#[pymethods]
impl Condvar {
    /// Gives the mutex back, sleeps until notified or for `timeout` seconds, and takes the mutex again. Returns False when
    /// the time passed. The mutex must be held, else NotOwnerError.
    ///
    /// Raises OwnerDiedError, and does not hold the mutex, when another owner of it died meanwhile; with `recover`, holds
    /// it and says so in `owner_died`. Raises ClosedError, and InvalidArgumentError when it was opened without a mutex.
    #[pyo3(signature = (timeout=None, *, recover=false))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>, recover: bool) -> Result<bool> {
        self.sleep(py, self.limit(timeout)?, recover)
    }

    /// Waits until `predicate()` is true, and returns its value; the last one when `timeout` seconds pass.
    #[pyo3(signature = (predicate, timeout=None))]
    fn wait_for<'py>(
        &self,
        predicate: &Bound<'py, PyAny>,
        timeout: Option<f64>,
    ) -> Result<Bound<'py, PyAny>> {
        let py = predicate.py();
        // A time that no clock reaches is no limit.
        let deadline = self.limit(timeout)?.and_then(|limit| Instant::now().checked_add(limit));
        loop {
            let value = predicate.call0()?;
            if value.is_truthy()? {
                return Ok(value);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(value);
            }
            self.sleep(py, left, false)?;
        }
    }

    /// Wakes at least `n` waiters, if there are as many.
    #[pyo3(signature = (n=None), text_signature = "($self, n=1)")]
    fn notify(&self, n: Option<&Bound<'_, PyAny>>) -> Result<()> {
        let times = match n {
            None => 1,
            Some(n) => {
                let label = self.object.label();
                count(n, Place { operation: "notify condvar", object: &label })?
            }
        };
        for _ in 0..times {
            self.object.core.notify_one()?;
        }
        Ok(())
    }

    /// Wakes all waiters.
    fn notify_all(&self) -> Result<()> {
        Ok(self.object.core.notify_all()?)
    }

    /// Takes the mutex: see `Mutex.acquire`.
    #[pyo3(signature = (blocking=true, timeout=-1.0), text_signature = "($self, blocking=True, timeout=-1)")]
    fn acquire(&self, py: Python<'_>, blocking: bool, timeout: f64) -> Result<bool> {
        self.its_mutex()?.acquire(py, blocking, timeout)
    }

    /// Gives the mutex back: see `Mutex.release`.
    fn release(&self) -> Result<()> {
        self.its_mutex()?.release()
    }

    fn __enter__<'py>(slf: Bound<'py, Self>) -> Result<Bound<'py, Self>> {
        slf.get().its_mutex()?.as_lock().take_clean(slf.py(), true, None)?;
        Ok(slf)
    }

    /// Gives the mutex back. An exception of the body wins over one of the release.
    fn __exit__(
        &self,
        exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> Result<()> {
        let _ = (exc_value, traceback);
        self.its_mutex()?.as_lock().leave(exc_type)
    }

    /// The mutex that `wait` gives back meanwhile, or None.
    #[getter]
    fn mutex(&self, py: Python<'_>) -> Option<Py<Mutex>> {
        self.mutex.as_ref().map(|mutex| mutex.clone_ref(py))
    }

    /// Another face of this handle, whose `wait` uses another mutex of the region.
    fn with_mutex(&self, mutex: Py<Mutex>) -> Condvar {
        Condvar { object: Arc::clone(&self.object), mutex: Some(mutex), owner_died: AtomicBool::new(false) }
    }

    /// Whether the last `wait(recover=True)` found that an owner of the mutex had died, and nobody had called
    /// `make_consistent()` since.
    #[getter]
    fn owner_died(&self) -> bool {
        self.owner_died.load(Relaxed)
    }

    /// Ends the use of this handle; repeating it does nothing. The mutex stays open. A thread that waits gets ClosedError.
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
        options.set_item(intern!(py, "mutex"), self.mutex(py))?;
        self.object.reduce(py, "condvar", options)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        let this = slf.get();
        let state = match &this.mutex {
            _ if this.closed() => "closed".to_owned(),
            Some(mutex) => format!("mutex '{}'", mutex.get().core().name()),
            None => "no mutex".to_owned(),
        };
        format!("<shmkit.Condvar at {} {}: {state}>", address(slf), this.object.place())
    }
}
