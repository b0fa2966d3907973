//! Seeing what regions there are and what goes on in them, and the command that shows it.

use std::ffi::OsString;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::Result;

/// What goes on in a region, as `json` makes it of the text that all languages get.
pub fn of<'py>(py: Python<'py>, region: &shmkit::Region) -> Result<Bound<'py, PyAny>> {
    let status = py.detach(|| region.status())?;
    Ok(py.import(intern!(py, "json"))?.call_method1(intern!(py, "loads"), (status.to_json(),))?)
}

/// A named object, as a dictionary.
pub fn object_info<'py>(py: Python<'py>, object: shmkit::ObjectInfo) -> Result<Bound<'py, PyAny>> {
    let told = PyDict::new(py);
    told.set_item(intern!(py, "name"), object.name)?;
    told.set_item(intern!(py, "kind"), object.kind.map_or("unknown", |kind| kind.name()))?;
    told.set_item(intern!(py, "parameters"), (object.parameters[0], object.parameters[1]))?;
    told.set_item(intern!(py, "nbytes"), object.size)?;
    told.set_item(intern!(py, "users"), object.users)?;
    Ok(told.into_any())
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
