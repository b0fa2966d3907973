//! `shmkit.SysvSegment` and `shmkit.SysvSemaphore`.

use std::time::Duration;

use pyo3::exceptions::PyOverflowError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use shmkit::{ErrorKind, SYSV_PRIVATE, SysvSegmentOptions, SysvSemaphoreOptions};

use crate::arguments::{self, Place};
use crate::error::{Result, on_exit};
use crate::mapping::{self, Mapping};
use crate::waiting;

/// A key: an integer of 32 bits, with or without a sign; None gives the object none.
fn key_of(key: Option<&Bound<'_, PyAny>>, operation: &'static str) -> Result<i32> {
    let Some(key) = key else { return Ok(SYSV_PRIVATE) };
    let place = Place { operation, object: "" };
    let wide = key.extract::<i64>().map_err(|error| match error {
        error if error.is_instance_of::<PyOverflowError>(key.py()) => {
            place.error(ErrorKind::InvalidArgument, format!("key {key} has more than 32 bits"))
        }
        error => error.into(),
    })?;
    match i32::try_from(wide).or(u32::try_from(wide).map(|key| key as i32)) {
        Ok(key) => Ok(key),
        Err(_) => {
            Err(place.error(ErrorKind::InvalidArgument, format!("key {wide:#x} has more than 32 bits")))
        }
    }
}

fn key_to_python(key: i32) -> Option<i32> {
    (key != SYSV_PRIVATE).then_some(key)
}

/// System V shared memory: a segment that the kernel keeps by an id and, unless its key is None, under a key.
///
/// Make one with `SysvSegment.create`, `open`, `open_or_create` or `from_id`, and attach it with `map`. Nothing must be
/// closed; it lives until `remove` and its last mapping. Programs that use the system calls themselves, in any language, are
/// on the same memory.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct SysvSegment {
    core: shmkit::SysvSegment,
}

#[pymethods]
impl SysvSegment {
    /// Creates a segment of `len` zeros. Raises AlreadyExistsError, InvalidLengthError, InvalidArgumentError, NoSpaceError.
    #[staticmethod]
    #[pyo3(signature = (key, len, *, mode=0o600))]
    fn create(key: Option<&Bound<'_, PyAny>>, len: &Bound<'_, PyAny>, mode: u32) -> Result<SysvSegment> {
        let operation = "create System V segment";
        let key = key_of(key, operation)?;
        let len = arguments::natural(len, ErrorKind::InvalidLength, Place { operation, object: "" })?;
        Ok(SysvSegment { core: SysvSegmentOptions::new().mode(mode).create(key, len)? })
    }

    /// Opens the segment of this key, whoever made it. Raises NotFoundError, PermissionDeniedError.
    #[staticmethod]
    fn open(key: &Bound<'_, PyAny>) -> Result<SysvSegment> {
        let key = key_of(Some(key), "open System V segment")?;
        Ok(SysvSegment { core: shmkit::SysvSegment::open(key)? })
    }

    /// Opens the segment of this key, or creates it.
    ///
    /// Raises SizeMismatchError when it exists with another length, and what `open` and `create` raise.
    #[staticmethod]
    #[pyo3(signature = (key, len, *, mode=0o600))]
    fn open_or_create(key: &Bound<'_, PyAny>, len: &Bound<'_, PyAny>, mode: u32) -> Result<SysvSegment> {
        let operation = "open or create System V segment";
        let key = key_of(Some(key), operation)?;
        let len = arguments::natural(len, ErrorKind::InvalidLength, Place { operation, object: "" })?;
        Ok(SysvSegment { core: SysvSegmentOptions::new().mode(mode).open_or_create(key, len)? })
    }

    /// Opens a segment by the id that another process has of it. Raises NotFoundError, PermissionDeniedError.
    #[staticmethod]
    fn from_id(id: i32) -> Result<SysvSegment> {
        Ok(SysvSegment { core: shmkit::SysvSegment::from_id(id)? })
    }

    /// Attaches it, whole and shared; closing the mapping detaches it.
    ///
    /// Raises NotFoundError (it was removed), PermissionDeniedError, InvalidArgumentError.
    #[pyo3(signature = (*, protection="read", populate=false))]
    fn map(&self, py: Python<'_>, protection: &str, populate: bool) -> Result<Mapping> {
        let label = self.core.label();
        let place = Place { operation: "map System V segment", object: &label };
        let options = mapping::file_options(None, None, protection, "shared", place)?.populate(populate);
        Ok(Mapping::new(py.detach(|| options.map_sysv(&self.core))?))
    }

    /// What the kernel knows of it, as a dictionary; `shmkit.SysvSegmentStatus` says what is in it.
    ///
    /// Raises NotFoundError (it is gone), PermissionDeniedError.
    fn status<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyDict>> {
        let found = self.core.status()?;
        let status = PyDict::new(py);
        status.set_item("key", key_to_python(found.key))?;
        status.set_item("len", found.len)?;
        status.set_item("attached", found.attached)?;
        status.set_item("mode", found.mode)?;
        status.set_item("owner", found.owner)?;
        status.set_item("group", found.group)?;
        status.set_item("creator_pid", found.creator_pid)?;
        status.set_item("last_pid", found.last_pid)?;
        status.set_item("removed", found.removed)?;
        Ok(status)
    }

    /// Removes it: its key is free at once, its memory goes with the last mapping.
    ///
    /// Raises NotFoundError (it is gone), PermissionDeniedError (neither owner nor creator).
    fn remove(&self) -> Result<()> {
        Ok(self.core.remove()?)
    }

    /// The kernel's number for it, which another process can open.
    #[getter]
    fn id(&self) -> i32 {
        self.core.id()
    }

    /// Its key; None when it has none.
    #[getter]
    fn key(&self) -> Option<i32> {
        key_to_python(self.core.key())
    }

    /// Number of bytes.
    #[getter]
    fn nbytes(&self) -> usize {
        self.core.len()
    }

    /// Pickles by id.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> Result<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let from_id = slf.get_type().getattr(intern!(slf.py(), "from_id"))?;
        Ok((from_id, (slf.get().id(),).into_pyobject(slf.py())?))
    }

    fn __repr__(&self) -> String {
        format!("<shmkit.SysvSegment {}, {} bytes>", self.core.label(), self.core.len())
    }
}

/// One semaphore of a System V set. With `undo`, what this process took comes back when it ends, and what it gave is taken
/// back: turn it off for signals, where one process only gives and another only takes.
///
/// Make one with `SysvSemaphore.create`, `open`, `open_or_create` or `from_id`. It has the methods of `threading.Semaphore`.
/// Nothing must be closed; the set lives until `remove`.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct SysvSemaphore {
    core: shmkit::SysvSemaphore,
    undo: bool,
}

const ACQUIRE: &str = "acquire System V semaphore";

impl SysvSemaphore {
    fn take(&self, py: Python<'_>, n: u32, blocking: bool, timeout: Option<Duration>) -> Result<bool> {
        Ok(self.core.try_acquire(n)? || blocking && self.wait(py, n, timeout)?)
    }

    #[cold]
    fn wait(&self, py: Python<'_>, n: u32, timeout: Option<Duration>) -> Result<bool> {
        let give_back = |()| {
            let _ = self.core.release(n);
        };
        let taken = waiting::wait(py, timeout, &|| false, |wait| self.core.acquire(n, wait), give_back)?;
        Ok(taken.is_some())
    }
}

fn options(mode: u32, count: u16, index: u16, undo: bool) -> SysvSemaphoreOptions {
    SysvSemaphoreOptions::new().mode(mode).count(count).index(index).undo(undo)
}

#[pymethods]
impl SysvSemaphore {
    /// Creates a set of `count` semaphores that have `initial` permits each; `index` says which is meant.
    ///
    /// Raises AlreadyExistsError, InvalidArgumentError (more than 32767 permits, an index beyond the count), NoSpaceError.
    #[staticmethod]
    #[pyo3(signature = (key, initial, *, mode=0o600, count=1, index=0, undo=true))]
    fn create(
        key: Option<&Bound<'_, PyAny>>,
        initial: &Bound<'_, PyAny>,
        mode: u32,
        count: u16,
        index: u16,
        undo: bool,
    ) -> Result<SysvSemaphore> {
        let operation = "create System V semaphore";
        let key = key_of(key, operation)?;
        let initial = arguments::count(initial, Place { operation, object: "" })?;
        Ok(SysvSemaphore { core: options(mode, count, index, undo).create(key, initial)?, undo })
    }

    /// Opens the semaphore of this key, whoever made it.
    ///
    /// Raises NotFoundError, PermissionDeniedError, OutOfRangeError (the set has no semaphore of this index).
    #[staticmethod]
    #[pyo3(signature = (key, *, index=0, undo=true))]
    fn open(key: &Bound<'_, PyAny>, index: u16, undo: bool) -> Result<SysvSemaphore> {
        let key = key_of(Some(key), "open System V semaphore")?;
        Ok(SysvSemaphore { core: options(0o600, 1, index, undo).open(key)?, undo })
    }

    /// Opens the semaphore of this key, or creates it. One that another process is just creating is opened when it has its
    /// permits.
    ///
    /// Raises TimeoutError when it never had permits although some are expected: its creator died, or nobody used it yet
    /// (`open` takes it as it is). Otherwise as `open` and `create`.
    #[staticmethod]
    #[pyo3(signature = (key, initial, *, mode=0o600, count=1, index=0, undo=true))]
    fn open_or_create(
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        initial: &Bound<'_, PyAny>,
        mode: u32,
        count: u16,
        index: u16,
        undo: bool,
    ) -> Result<SysvSemaphore> {
        let operation = "open or create System V semaphore";
        let key = key_of(Some(key), operation)?;
        let initial = arguments::count(initial, Place { operation, object: "" })?;
        let core = py.detach(|| options(mode, count, index, undo).open_or_create(key, initial))?;
        Ok(SysvSemaphore { core, undo })
    }

    /// Opens a semaphore by the id that another process has of its set. Raises what `open` raises.
    #[staticmethod]
    #[pyo3(signature = (id, *, index=0, undo=true))]
    fn from_id(id: i32, index: u16, undo: bool) -> Result<SysvSemaphore> {
        Ok(SysvSemaphore { core: options(0o600, 1, index, undo).from_id(id)?, undo })
    }

    /// Takes `n` permits at once (P). Without `blocking`, or when `timeout` seconds pass (None: none do), returns False.
    ///
    /// Raises NotFoundError (the set was removed, also meanwhile), InvalidArgumentError (0, or more than 32767).
    #[pyo3(signature = (blocking=true, timeout=None, *, n=1))]
    fn acquire(&self, py: Python<'_>, blocking: bool, timeout: Option<f64>, n: u32) -> Result<bool> {
        let label = self.core.label();
        let place = Place { operation: ACQUIRE, object: &label };
        if timeout.is_some() && !blocking {
            return Err(place.error(ErrorKind::InvalidArgument, "a timeout belongs to a call that blocks"));
        }
        self.take(py, n, blocking, arguments::limit(timeout, place)?)
    }

    /// Gives `n` permits (V).
    ///
    /// Raises LimitExceededError (there would be more than 32767), NotFoundError, InvalidArgumentError.
    #[pyo3(signature = (n=1))]
    fn release(&self, n: u32) -> Result<()> {
        Ok(self.core.release(n)?)
    }

    /// Waits until no permit is there; False when `timeout` seconds pass. Raises NotFoundError.
    #[pyo3(signature = (timeout=None))]
    fn wait_for_zero(&self, py: Python<'_>, timeout: Option<f64>) -> Result<bool> {
        let label = self.core.label();
        let limit =
            arguments::limit(timeout, Place { operation: "wait for System V semaphore", object: &label })?;
        let waited = waiting::wait(py, limit, &|| false, |wait| self.core.wait_for_zero(wait), drop)?;
        Ok(waited.is_some())
    }

    /// Sets the number of permits, whatever it was; what others would undo at their end is forgotten.
    ///
    /// Raises InvalidArgumentError (more than 32767), NotFoundError, PermissionDeniedError.
    fn set_value(&self, value: u32) -> Result<()> {
        Ok(self.core.set_value(value)?)
    }

    /// Number of permits at this moment. Raises NotFoundError, PermissionDeniedError.
    #[getter]
    fn value(&self) -> Result<u32> {
        Ok(self.core.value()?)
    }

    /// What the kernel knows of it, as a dictionary; `shmkit.SysvSemaphoreStatus` says what is in it.
    ///
    /// Raises NotFoundError (it is gone), PermissionDeniedError.
    fn status<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyDict>> {
        let found = self.core.status()?;
        let status = PyDict::new(py);
        status.set_item("value", found.value)?;
        status.set_item("waiting", found.waiting)?;
        status.set_item("waiting_for_zero", found.waiting_for_zero)?;
        status.set_item("last_pid", found.last_pid)?;
        status.set_item("mode", found.mode)?;
        Ok(status)
    }

    /// Removes the whole set; who waits in it gets NotFoundError.
    ///
    /// Raises NotFoundError (it is gone), PermissionDeniedError (neither owner nor creator).
    fn remove(&self) -> Result<()> {
        Ok(self.core.remove()?)
    }

    /// The kernel's number for the set, which another process can open.
    #[getter]
    fn id(&self) -> i32 {
        self.core.id()
    }

    /// The key of the set; None when it has none.
    #[getter]
    fn key(&self) -> Option<i32> {
        key_to_python(self.core.key())
    }

    /// Which semaphore of the set this is.
    #[getter]
    fn index(&self) -> u16 {
        self.core.index()
    }

    fn __enter__<'py>(slf: Bound<'py, Self>) -> Result<Bound<'py, Self>> {
        slf.get().take(slf.py(), 1, true, None)?;
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
        on_exit(exc_type, self.core.release(1))
    }

    /// Pickles by id.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> Result<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let (py, this) = (slf.py(), slf.get());
        let open = py.import(intern!(py, "shmkit._pickle"))?.getattr(intern!(py, "open_sysv_semaphore"))?;
        Ok((open, (this.id(), this.index(), this.undo).into_pyobject(py)?))
    }

    fn __repr__(&self) -> String {
        format!("<shmkit.SysvSemaphore {}, index {}>", self.core.label(), self.core.index())
    }
}
