//! The door to `shmkit._aio`, which waits without blocking an event loop.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::error::{Failure, Result};

/// `async with` of something with `acquire` and `release`, the one that `key` names. `too_late` is raised when `timeout`
/// seconds pass.
pub fn hold<'py>(
    thing: &Bound<'py, PyAny>,
    key: Bound<'py, PyTuple>,
    timeout: Option<f64>,
    too_late: impl FnOnce() -> Failure,
) -> Result<Bound<'py, PyAny>> {
    let py = thing.py();
    let too_late = timeout.map(|_| PyErr::from(too_late()).into_value(py));
    let hold = py.import(intern!(py, "shmkit._aio"))?.getattr(intern!(py, "Hold"))?;
    Ok(hold.call1((thing, key, timeout, too_late))?)
}

/// A coroutine that waits for something with `acquire` and `release`; its result is False when the time passed.
pub fn wait<'py>(
    thing: &Bound<'py, PyAny>,
    key: Bound<'py, PyTuple>,
    timeout: Option<f64>,
) -> Result<Bound<'py, PyAny>> {
    let py = thing.py();
    let wait = py.import(intern!(py, "shmkit._aio"))?.getattr(intern!(py, "wait"))?;
    Ok(wait.call1((thing, key, timeout))?)
}
