//! `shmkit.Event`.

use std::sync::Arc;
use std::time::Duration;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use shmkit::{EventReset, EventSeen};

use crate::aio;
use crate::arguments::{Place, limit, seconds};
use crate::error::Result;
use crate::object::{Named, Origin, address};
use crate::waiting;

const WAIT: &str = "wait for event";

/// A flag to wait for, from `Region.event`. It has the methods of `threading.Event`.
///
/// An automatic one lets one waiter pass for each `set`, and that waiter takes the flag away; else all pass until `clear`.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct Event {
    object: Arc<Named<shmkit::Event>>,
}

impl Event {
    pub fn new(core: shmkit::Event, origin: &Arc<Origin>) -> Event {
        Event { object: Arc::new(Named::new(core, origin)) }
    }
}

/// Waits as one that came when the event looked like `seen`; `false` when the time passed.
fn pass(
    py: Python<'_>,
    object: &Named<shmkit::Event>,
    seen: EventSeen,
    timeout: Option<Duration>,
) -> Result<bool> {
    let core = &object.core;
    let give_back = |()| {
        if core.reset_kind() == EventReset::Automatic {
            let _ = core.set();
        }
    };
    let block = |wait: &shmkit::Wait| core.wait_since(seen, wait);
    Ok(waiting::wait(py, timeout, &|| core.is_closed(), block, give_back)?.is_some())
}

#[pymethods]
impl Event {
    /// Sets the event: wakes all waiters, or one of an automatic event. Raises ClosedError.
    fn set(&self) -> Result<()> {
        Ok(self.object.core.set()?)
    }

    /// Takes the flag away. Raises ClosedError.
    fn clear(&self) -> Result<()> {
        Ok(self.object.core.reset()?)
    }

    /// Whether the event is set at this moment.
    fn is_set(&self) -> bool {
        self.object.core.is_set()
    }

    /// Waits until the event is set; takes the flag of an automatic one. Returns False when `timeout` seconds pass (None:
    /// none do). Raises ClosedError.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> Result<bool> {
        let seen = self.object.core.look()?;
        if self.object.core.try_wait()? {
            return Ok(true);
        }
        let limit = match timeout {
            None => None,
            given => limit(given, Place { operation: WAIT, object: &self.object.label() })?,
        };
        pass(py, &self.object, seen, limit)
    }

    /// `wait` as a coroutine, which does not block the event loop. One that is cancelled has taken no flag.
    #[pyo3(signature = (timeout=None))]
    fn aio<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> Result<Bound<'py, PyAny>> {
        let passage = EventPassage { object: Arc::clone(&self.object), seen: self.object.core.look()? };
        aio::wait(Bound::new(py, passage)?.as_any(), self.object.key(py)?, timeout)
    }

    /// Whether the waiter that passes takes the flag away.
    #[getter]
    fn automatic(&self) -> bool {
        self.object.core.reset_kind() == EventReset::Automatic
    }

    /// Ends the use of this handle; repeating it does nothing. A thread that waits gets ClosedError.
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
        options.set_item(intern!(py, "automatic"), self.automatic())?;
        self.object.reduce(py, "event", options)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        let this = slf.get();
        let state = match () {
            () if this.closed() => "closed",
            () if this.is_set() => "set",
            () => "unset",
        };
        format!("<shmkit.Event at {} {}: {state}>", address(slf), this.object.place())
    }
}

/// One coroutine's wait, as something to acquire: a manual event that is set and cleared again since the coroutine came
/// lets it pass, whenever a thread comes to look.
#[pyclass(frozen, module = "shmkit._native")]
struct EventPassage {
    object: Arc<Named<shmkit::Event>>,
    seen: EventSeen,
}

#[pymethods]
impl EventPassage {
    #[pyo3(signature = (blocking=true, timeout=-1.0))]
    fn acquire(&self, py: Python<'_>, blocking: bool, timeout: f64) -> Result<bool> {
        if self.object.core.try_wait()? {
            return Ok(true);
        }
        let limit = match (blocking, timeout) {
            (false, _) => Some(Duration::ZERO),
            (true, -1.0) => None,
            (true, given) => seconds(given, Place { operation: WAIT, object: &self.object.label() })?,
        };
        pass(py, &self.object, self.seen, limit)
    }

    /// The wait was given up: the flag of an automatic event goes to the next waiter.
    fn release(&self) -> Result<()> {
        if self.object.core.reset_kind() == EventReset::Automatic {
            self.object.core.set()?;
        }
        Ok(())
    }
}
