//! `shmkit.Segment`.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::{Arc, PoisonError, RwLock};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyFrozenSet, PyTuple};
use shmkit::{Error, ErrorKind, Location, Seals, SegmentOptions};

use crate::arguments::{self, Place};
use crate::error::Result;
use crate::mapping::{self, Mapping};
use crate::waiting;

/// The names of the seals, in the order of their bits.
const SEALS: [(&str, Seals); 6] = [
    ("seal", Seals::SEAL),
    ("shrink", Seals::SHRINK),
    ("grow", Seals::GROW),
    ("write", Seals::WRITE),
    ("future_write", Seals::FUTURE_WRITE),
    ("exec", Seals::EXEC),
];

/// The thing that is mapped: a shared memory object (its name is a `str`), a file (an `os.PathLike`), or memory that only
/// its descriptor names.
///
/// Make one with `Segment.create`, `Segment.open`, `Segment.memfd`, `Segment.from_fd` or `Segment.receive`, and map it with
/// `map`. `close()` and `with` close its descriptor; mappings of it stay. Pickling for another process sends the name, or
/// the descriptor of what has none, to a child that is being started.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct Segment {
    core: RwLock<Option<Arc<shmkit::Segment>>>,
    location: Location,
    writable: bool,
}

impl Segment {
    fn new(core: shmkit::Segment) -> Segment {
        // Whoever unpickles may be in another directory.
        let location = match core.location() {
            Location::Path(path) => Location::Path(std::path::absolute(path).unwrap_or(path.clone())),
            other => other.clone(),
        };
        Segment { location, writable: core.is_writable(), core: RwLock::new(Some(Arc::new(core))) }
    }

    fn open_core(&self, operation: &'static str) -> Result<Arc<shmkit::Segment>> {
        let core = self.core.read().unwrap_or_else(PoisonError::into_inner);
        core.clone().ok_or_else(|| Error::new(ErrorKind::Closed, operation, self.name()).into())
    }
}

#[pymethods]
impl Segment {
    /// Creates an object of `len` zeros, all of them backed by storage. `mode` are its permission bits exactly.
    ///
    /// Raises AlreadyExistsError, InvalidNameError, InvalidLengthError, NoSpaceError, PermissionDeniedError.
    #[staticmethod]
    #[pyo3(signature = (name, len, *, mode=0o600, group=None))]
    fn create(
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        len: &Bound<'_, PyAny>,
        mode: u32,
        group: Option<u32>,
    ) -> Result<Segment> {
        let location = arguments::location(name)?;
        let object = location.display().into_owned();
        let place = Place { operation: "create segment", object: &object };
        let len = arguments::natural(len, ErrorKind::InvalidLength, place)?;
        let options = SegmentOptions::new().mode(mode);
        let options = group.map_or(options.clone(), |group| options.group(group));
        Ok(Segment::new(py.detach(|| options.create(location, len as u64))?))
    }

    /// Opens an object that exists.
    ///
    /// Raises NotFoundError, PermissionDeniedError, InvalidNameError, WrongKindError (no regular file).
    #[staticmethod]
    #[pyo3(signature = (name, *, read_only=false))]
    fn open(py: Python<'_>, name: &Bound<'_, PyAny>, read_only: bool) -> Result<Segment> {
        let location = arguments::location(name)?;
        let open = || {
            if read_only {
                shmkit::Segment::open_read_only(location)
            } else {
                shmkit::Segment::open(location)
            }
        };
        Ok(Segment::new(py.detach(open)?))
    }

    /// Memory of `len` zeros that only its descriptor names, and that can be sealed; `label` shows in `/proc/PID/maps`.
    ///
    /// Raises InvalidLengthError, InvalidNameError (more than 249 bytes), NoSpaceError.
    #[staticmethod]
    fn memfd(py: Python<'_>, label: &str, len: &Bound<'_, PyAny>) -> Result<Segment> {
        let place = Place { operation: "create memfd", object: label };
        let len = arguments::natural(len, ErrorKind::InvalidLength, place)?;
        Ok(Segment::new(py.detach(|| shmkit::Segment::memfd(label, len as u64))?))
    }

    /// The object behind a descriptor, or an object with `fileno()`, which may be closed afterwards.
    ///
    /// Raises WrongKindError (neither file nor memory), IoError (no such descriptor).
    #[staticmethod]
    fn from_fd(fd: &Bound<'_, PyAny>) -> Result<Segment> {
        let fd = arguments::descriptor(fd, Place { operation: "open descriptor", object: "" })?;
        Ok(Segment::new(shmkit::Segment::from_fd(borrow(fd))?))
    }

    /// Receives a segment over a Unix socket: one byte, and the descriptor with it, as `socket.send_fds(s, [b"S"], [fd])`
    /// sends them. Waits at most `timeout` seconds, then raises TimeoutError.
    ///
    /// Who sent it may still write to it and, unless its `seals` have "shrink", cut it short. Raises WrongKindError (no
    /// descriptor, or none of a file or memory), IoError (the other side is gone).
    #[staticmethod]
    #[pyo3(signature = (socket, timeout=None))]
    fn receive(py: Python<'_>, socket: &Bound<'_, PyAny>, timeout: Option<f64>) -> Result<Segment> {
        let place = Place { operation: "receive segment", object: "" };
        let fd = borrow(arguments::descriptor(socket, place)?);
        let limit = arguments::limit(timeout, place)?;
        let received = waiting::wait(py, limit, &|| false, |wait| shmkit::Segment::receive(fd, wait), drop)?;
        Ok(Segment::new(received.ok_or_else(|| Error::new(ErrorKind::Timeout, place.operation, ""))?))
    }

    /// Removes a name. Processes that have the object open keep it; its memory goes with the last of them.
    ///
    /// Raises NotFoundError, InvalidNameError, PermissionDeniedError.
    #[staticmethod]
    fn unlink(py: Python<'_>, name: &Bound<'_, PyAny>) -> Result<()> {
        let location = arguments::location(name)?;
        Ok(py.detach(|| shmkit::Segment::unlink(location))?)
    }

    /// Maps it: `len` bytes from `offset`; without `len`, all to the end.
    ///
    /// Raises ReadOnlyError (writing is asked, and it is open for reading or sealed), InvalidLengthError, OutOfRangeError,
    /// NoSpaceError, InvalidArgumentError, ClosedError.
    #[pyo3(
        signature = (
            *, len=None, offset=None, protection="read", sharing="shared", grow=false, populate=false
        ),
        text_signature = "($self, *, len=None, offset=0, protection='read', sharing='shared', \
                          grow=False, populate=False)"
    )]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn map(
        &self,
        py: Python<'_>,
        len: Option<&Bound<'_, PyAny>>,
        offset: Option<&Bound<'_, PyAny>>,
        protection: &str,
        sharing: &str,
        grow: bool,
        populate: bool,
    ) -> Result<Mapping> {
        let name = self.name();
        let place = Place { operation: "map segment", object: &name };
        let core = self.open_core(place.operation)?;
        let options =
            mapping::file_options(len, offset, protection, sharing, place)?.grow(grow).populate(populate);
        Ok(Mapping::new(py.detach(|| options.map_segment(&core))?))
    }

    /// Sends it over a Unix socket: one byte, and the descriptor with it, as `socket.recv_fds(s, 1, 1)` takes them. Waits
    /// at most `timeout` seconds while the socket is full, then raises TimeoutError.
    ///
    /// Raises IoError (the other side is gone), ClosedError.
    #[pyo3(signature = (socket, timeout=None))]
    fn send(&self, py: Python<'_>, socket: &Bound<'_, PyAny>, timeout: Option<f64>) -> Result<()> {
        let name = self.name();
        let place = Place { operation: "send segment", object: &name };
        let core = self.open_core(place.operation)?;
        let fd = borrow(arguments::descriptor(socket, place)?);
        let limit = arguments::limit(timeout, place)?;
        waiting::wait(py, limit, &|| false, |wait| core.send(fd, wait), drop)?
            .ok_or_else(|| Error::new(ErrorKind::Timeout, place.operation, name.as_str()).into())
    }

    /// Adds seals, which nobody can break: "shrink", "grow", "write", "future_write", "seal", "exec".
    ///
    /// Raises BusyError ("write" while somebody has it mapped for writing), PermissionDeniedError (sealed against further
    /// seals), UnsupportedError (no memfd), InvalidArgumentError, ClosedError.
    #[pyo3(signature = (*seals))]
    fn seal(&self, seals: Vec<String>) -> Result<()> {
        let name = self.name();
        let place = Place { operation: "seal segment", object: &name };
        let mut wanted = Seals::NONE;
        for seal in &seals {
            wanted |= arguments::choose("seal", seal, &SEALS, place)?;
        }
        Ok(self.open_core(place.operation)?.seal(wanted)?)
    }

    /// The seals that are set, as a frozenset of `Seal`. Raises UnsupportedError (no memfd), ClosedError.
    #[getter]
    fn seals<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyFrozenSet>> {
        let set = self.open_core("read seals")?.seals()?;
        let class = py.import(intern!(py, "shmkit._enums"))?.getattr(intern!(py, "Seal"))?;
        let members = SEALS.iter().filter(|(_, seal)| set.contains(*seal));
        let members: PyResult<Vec<_>> = members.map(|(name, _)| class.call1((*name,))).collect();
        Ok(PyFrozenSet::new(py, members?)?)
    }

    /// The descriptor, which stays this object's; it is close-on-exec. Raises ClosedError.
    fn fileno(&self) -> Result<i32> {
        Ok(self.open_core("take descriptor")?.as_fd().as_raw_fd())
    }

    /// Length in bytes, now. Raises ClosedError.
    #[getter]
    fn nbytes(&self) -> Result<u64> {
        Ok(self.open_core("measure segment")?.len()?)
    }

    /// The name, or the path as text; empty for what has none.
    #[getter]
    fn name(&self) -> String {
        self.location.display().into_owned()
    }

    /// Whether it is open for reading only.
    #[getter]
    fn read_only(&self) -> bool {
        !self.writable
    }

    /// Closes the descriptor; repeating it does nothing. Mappings stay, and so does the name.
    fn close(&self) {
        *self.core.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.core.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(
        &self,
        exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) {
        let _ = (exc_type, exc_value, traceback);
        self.close();
    }

    /// What opens it in another process: the name, or for what has none its descriptor.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> Result<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let (py, this) = (slf.py(), slf.get());
        this.open_core("pickle segment")?;
        let module = py.import(intern!(py, "shmkit._pickle"))?;
        let location = match &this.location {
            Location::Unnamed => {
                let from_fd = slf.get_type().getattr(intern!(py, "from_fd"))?;
                let arguments = (from_fd, this.fileno()?);
                return Ok(module.getattr(intern!(py, "reduce_descriptor"))?.call1(arguments)?.extract()?);
            }
            Location::Path(path) => path.into_pyobject(py)?.into_any(),
            Location::Name(name) => name.into_pyobject(py).map_err(PyErr::from)?.into_any(),
        };
        let arguments = (location, this.read_only()).into_pyobject(py)?;
        Ok((module.getattr(intern!(py, "reopen_segment"))?, arguments))
    }

    fn __repr__(&self) -> String {
        let name = if self.location == Location::Unnamed {
            "of memory".into()
        } else {
            format!("'{}'", self.name())
        };
        let read_only = if self.writable { "" } else { ", read-only" };
        let closed = if self.closed() { ", closed" } else { "" };
        format!("<shmkit.Segment {name}{read_only}{closed}>")
    }
}

/// A descriptor that the caller keeps open during a call.
pub fn borrow<'a>(fd: i32) -> BorrowedFd<'a> {
    // SAFETY: `arguments::descriptor` refused negative ones. A number that is not open, or opened anew by another thread
    // meanwhile, makes the core use another file or report EBADF: no memory is at stake.
    unsafe { BorrowedFd::borrow_raw(fd) }
}
