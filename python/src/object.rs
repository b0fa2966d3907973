//! What the named objects of a region have in common; each kind has a file of its own.

use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};
use shmkit::{Error, ErrorKind, Location};

use crate::error::{Failure, Result};

/// The region that an object lives in, as messages and other processes need it; the region's handle may be closed.
pub struct Origin {
    /// The name, or the path as it was given.
    pub region: String,
    /// Where another process finds it: an absolute path, whatever directory it is in.
    pub location: Location,
    pub id: [u8; 16],
}

impl Origin {
    pub fn new(region: &shmkit::Region) -> Origin {
        Origin::of(region.location(), region.id())
    }

    /// Of a region that only an object in it is a handle on.
    pub fn of(location: &Location, id: [u8; 16]) -> Origin {
        let region = location.display().into_owned();
        let location = match location {
            // Only fails for an empty path, which was not opened, or when the current directory is gone.
            Location::Path(path) => Location::Path(std::path::absolute(path).unwrap_or(path.clone())),
            other => other.clone(),
        };
        Origin { region, location, id }
    }

    /// What opens the region again in any process: a str or a pathlib.Path.
    pub fn location<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(match &self.location {
            Location::Path(path) => path.into_pyobject(py)?.into_any(),
            other => other.display().into_pyobject(py)?.into_any(),
        })
    }
}

/// An object of the core, and where it lives.
pub struct Named<T> {
    pub core: T,
    pub origin: Arc<Origin>,
}

/// What all objects of the core can say.
pub trait Object {
    fn name(&self) -> &str;
    fn is_closed(&self) -> bool;
}

macro_rules! objects {
    ($($type:ty),*) => {
        $(impl Object for $type {
            fn name(&self) -> &str {
                self.name()
            }
            fn is_closed(&self) -> bool {
                self.is_closed()
            }
        })*
    };
}

objects!(
    shmkit::Mutex,
    shmkit::RwLock,
    shmkit::Semaphore,
    shmkit::Condvar,
    shmkit::Event,
    shmkit::Barrier,
    shmkit::Heap,
    shmkit::Pool,
    shmkit::ValueBytes,
    shmkit::Atomic<u32>,
    shmkit::Atomic<u64>,
    shmkit::Atomic<i64>
);

impl<T: Object> Named<T> {
    pub fn new(core: T, origin: &Arc<Origin>) -> Named<T> {
        Named { core, origin: Arc::clone(origin) }
    }

    /// Region and name, as the core's errors put them.
    pub fn label(&self) -> String {
        format!("{}:{}", self.origin.region, self.core.name())
    }

    #[cold]
    pub fn error(&self, kind: ErrorKind, operation: &'static str) -> Failure {
        Error::new(kind, operation, self.label()).into()
    }

    pub fn expect_open(&self, operation: &'static str) -> Result<()> {
        if self.core.is_closed() { Err(self.error(ErrorKind::Closed, operation)) } else { Ok(()) }
    }

    /// What tells this object from all others, whatever handle leads to it.
    pub fn key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        (PyBytes::new(py, &self.origin.id), self.core.name()).into_pyobject(py)
    }

    /// `'name' of region 'name'`, for people.
    pub fn place(&self) -> String {
        format!("'{}' of region '{}'", self.core.name(), self.origin.region)
    }

    /// What pickle needs to open the same object in another process: the region, and the `Region` method that opens it.
    pub fn reduce<'py>(
        &self,
        py: Python<'py>,
        method: &str,
        options: Bound<'py, PyDict>,
    ) -> Result<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        self.expect_open("pickle object")?;
        if self.origin.location == Location::Unnamed {
            let error = Error::new(ErrorKind::Unsupported, "pickle object", self.label());
            return Err(error.with_detail("its region has no name: pickle the region").into());
        }
        let reopen = py.import(intern!(py, "shmkit._pickle"))?.getattr(intern!(py, "reopen"))?;
        let id = PyBytes::new(py, &self.origin.id);
        let arguments = (self.origin.location(py)?, id, method, self.core.name(), options);
        Ok((reopen, arguments.into_pyobject(py)?))
    }
}

/// The address of an object as `object.__repr__` shows it.
pub fn address<T>(object: &Bound<'_, T>) -> String {
    format!("0x{:x}", object.as_ptr().addr())
}

/// A name as text. What is no Unicode text is no valid name either, and the core says so.
pub fn name_of(name: &Bound<'_, PyString>) -> String {
    name.to_string_lossy().into_owned()
}
