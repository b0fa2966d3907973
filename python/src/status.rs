//! Seeing what regions there are and what goes on in them, and the command that shows it.

use std::ffi::OsString;

use pyo3::intern;
use pyo3::prelude::*;

use crate::error::Result;

/// What goes on in a region, as `json` makes it of the text that all languages get.
pub fn of<'py>(py: Python<'py>, region: &shmkit::Region) -> Result<Bound<'py, PyAny>> {
    let status = py.detach(|| region.status())?;
    Ok(py.import(intern!(py, "json"))?.call_method1(intern!(py, "loads"), (status.to_json(),))?)
}

/// The names of all regions that are shared memory objects, in order.
///
/// Those of other users too: opening them may be refused. Raises PermissionDeniedError, IoError.
#[pyfunction]
pub fn list_regions(py: Python<'_>) -> Result<Vec<String>> {
    Ok(py.detach(shmkit::Region::list)?)
}

/// Runs the command `shmkit` with these words, of which the first is its name; its exit status.
#[pyfunction]
pub fn _main(py: Python<'_>, words: Vec<OsString>) -> i32 {
    py.detach(|| shmkit_cli::main(words))
}
