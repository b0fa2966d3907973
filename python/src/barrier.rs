//! `shmkit.Barrier`.

use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use shmkit::ErrorKind;

use crate::arguments::{Place, limit};
use crate::error::Result;
use crate::object::{Named, Origin, address};
use crate::waiting;

const WAIT: &str = "wait at barrier";

/// A place where a number of participants wait for each other, from `Region.barrier`. It has the methods of
/// `threading.Barrier`.
///
/// Whoever has it open takes part: a process that dies without closing it breaks the barrier, and all who wait, or come
/// until `reset`, get BrokenError, which is also a `threading.BrokenBarrierError`. A wait that ends early takes its arrival
/// back and breaks nothing.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct Barrier {
    object: Named<shmkit::Barrier>,
}

impl Barrier {
    pub fn new(core: shmkit::Barrier, origin: &Arc<Origin>) -> Barrier {
        Barrier { object: Named::new(core, origin) }
    }
}

#[pymethods]
impl Barrier {
    /// Arrives, and waits until all have. Returns 0 to the one that arrived last, and 1 to the others.
    ///
    /// Raises TimeoutError when `timeout` seconds pass (None: none do), BrokenError, ClosedError.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> Result<u32> {
        let core = &self.object.core;
        let limit = match timeout {
            None => None,
            given => limit(given, Place { operation: WAIT, object: &self.object.label() })?,
        };
        let passed = waiting::wait(py, limit, &|| core.is_closed(), |wait| core.wait(wait), drop)?;
        match passed {
            Some(passed) => Ok(u32::from(!passed.leader)),
            None => Err(self.object.error(ErrorKind::Timeout, WAIT)),
        }
    }

    /// Breaks the barrier on purpose. Raises ClosedError.
    fn abort(&self) -> Result<()> {
        Ok(self.object.core.abort()?)
    }

    /// Makes a broken barrier whole again, without the dead; who still waits gets BrokenError. Raises ClosedError.
    fn reset(&self) -> Result<()> {
        Ok(self.object.core.reset()?)
    }

    /// Whether the barrier is broken.
    #[getter]
    fn broken(&self) -> bool {
        self.object.core.is_broken()
    }

    /// How many must arrive.
    #[getter]
    fn parties(&self) -> u32 {
        self.object.core.parties()
    }

    /// How many wait at this moment.
    #[getter]
    fn n_waiting(&self) -> u32 {
        self.object.core.waiting()
    }

    /// Ends this handle's part; repeating it does nothing. A thread that waits gets ClosedError.
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
        options.set_item(intern!(py, "parties"), self.parties())?;
        self.object.reduce(py, "barrier", options)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        let this = slf.get();
        let state = match () {
            () if this.closed() => "closed".to_owned(),
            () if this.broken() => "broken".to_owned(),
            () => format!("waiters={}/{}", this.n_waiting(), this.parties()),
        };
        format!("<shmkit.Barrier at {} {}: {state}>", address(slf), this.object.place())
    }
}
