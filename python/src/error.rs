//! Errors of the core as Python exceptions: the class that bears the kind's name, with errno, strerror and filename.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use shmkit::{Error, ErrorKind};

/// What a method can fail with: an error of the core, or one that Python raised.
pub enum Failure {
    Shmkit(Error),
    Python(PyErr),
}

/// The result of methods that call the core.
pub type Result<T> = std::result::Result<T, Failure>;

/// What `__exit__` answers after `ended`: what the body raised goes on, also when the end failed.
pub fn on_exit<T, E: Into<Failure>>(
    exc_type: &Bound<'_, PyAny>,
    ended: std::result::Result<T, E>,
) -> Result<()> {
    match ended {
        Err(error) if exc_type.is_none() => Err(error.into()),
        _ => Ok(()),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Shmkit(error)
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Failure {
        Failure::Python(error)
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> PyErr {
        match failure {
            Failure::Python(error) => error,
            Failure::Shmkit(error) => {
                Python::attach(|py| exception(py, &error).unwrap_or_else(|other| other))
            }
        }
    }
}

/// The exception classes, in the order of [`ErrorKind::ALL`].
static CLASSES: PyOnceLock<Vec<Py<PyType>>> = PyOnceLock::new();

/// Finds a class for every kind; a missing one makes the import fail.
pub fn load_classes(py: Python<'_>) -> PyResult<()> {
    classes(py).map(|_| ())
}

fn classes(py: Python<'_>) -> PyResult<&Vec<Py<PyType>>> {
    CLASSES.get_or_try_init(py, || {
        let module = py.import("shmkit._errors")?;
        let class = |kind: &ErrorKind| {
            let class = module.getattr(format!("{}Error", kind.name()).as_str())?;
            Ok(class.cast_into::<PyType>()?.unbind())
        };
        ErrorKind::ALL.iter().map(class).collect()
    })
}

fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let index = ErrorKind::ALL.iter().position(|kind| *kind == error.kind());
    let class = index.and_then(|index| classes(py).map(|classes| classes.get(index)).transpose());
    let class = class.ok_or_else(|| PyRuntimeError::new_err(error.to_string()))??.bind(py);
    let filename = Some(error.object()).filter(|object| !object.is_empty());
    let raised = class.call1((error.errno(), error.reason(), filename))?;
    raised.setattr("operation", error.operation())?;
    Ok(PyErr::from_value(raised))
}
