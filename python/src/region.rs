//! `shmkit.Region`: making and closing one, and its guard. The methods for its named objects are in `region_objects`, those for
//! its bytes in `byte_methods`, those for its pages in `pages`.

use std::ffi::c_int;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyMemoryView, PyTuple};
use pyo3::{ffi, intern};
use shmkit::{Error, ErrorKind, Flush, Location, RegionOptions, layout};

use crate::arguments::{self, Place};
use crate::bytes;
use crate::error::{Result, on_exit};
use crate::guard::Guard;
use crate::lock::Lock;
use crate::object::Origin;
use crate::segment;
use crate::status;
use crate::view::{self, Source};

/// A named piece of memory that processes in any language attach to: `len` bytes, and a guard over them.
///
/// Make one with `Region.create`, `Region.open` or `Region.open_or_create`. A `str` names a shared memory object, an
/// `os.PathLike` a file. It is a buffer (memoryview, numpy, ctypes see the same bytes, without a copy) and a sequence
/// of bytes. `close()` and `with` end the use of this handle; the region lives on until `Region.unlink`.
///
/// Any thread may use it. Without the guard, a copy of bytes that another process writes may be torn. A forked child
/// may go on using it; pickling sends the name, and the other process opens it anew.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct Region {
    pub(crate) core: Arc<shmkit::Region>,
    pub(crate) origin: Arc<Origin>,
    guard: PyOnceLock<Py<Guard>>,
    /// What `fileno` answered: open until the handle closes, because a child that is started gets it later.
    fd: Mutex<Option<OwnedFd>>,
}

impl Region {
    /// Opens or creates without the interpreter: reserving storage takes its time.
    pub fn make(
        py: Python<'_>,
        location: Location,
        open: impl FnOnce(Location) -> shmkit::Result<shmkit::Region> + Send,
    ) -> Result<Region> {
        let core = py.detach(|| open(location))?;
        let origin = Arc::new(Origin::new(&core));
        Ok(Region { core: Arc::new(core), origin, guard: PyOnceLock::new(), fd: Mutex::new(None) })
    }

    /// The guard without options, once somebody asked for it.
    #[inline]
    pub fn made_guard(&self, py: Python<'_>) -> Option<&Py<Guard>> {
        self.guard.get(py)
    }

    fn source(&self) -> Source {
        Source::Region(Arc::clone(&self.core))
    }
}

#[pymethods]
impl Region {
    /// Creates a region of `len` zeroed bytes.
    ///
    /// `mode` are its permission bits exactly, `group` a group id, `attachments` how many processes can be attached at
    /// once (1 to 1023), `arena_len` the bytes for named objects. All bytes are backed by storage from the start.
    /// `capacity` is the most bytes that `resize` can give it later.
    ///
    /// Raises AlreadyExistsError, InvalidNameError, InvalidLengthError, InvalidArgumentError, NoSpaceError,
    /// PermissionDeniedError.
    #[staticmethod]
    #[pyo3(signature = (
        name, len, *, mode=0o600, group=None,
        attachments=layout::DEFAULT_SLOT_COUNT, arena_len=layout::DEFAULT_ARENA_LEN, capacity=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn create(
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        len: &Bound<'_, PyAny>,
        mode: u32,
        group: Option<u32>,
        attachments: u32,
        arena_len: u64,
        capacity: Option<u64>,
    ) -> Result<Region> {
        let (location, len) = location_and_len(name, len, "create region")?;
        let options = options(mode, group, attachments, arena_len, capacity);
        Region::make(py, location, |location| options.create(location, len))
    }

    /// Opens a region, and attaches this process to it. With `read_only` nothing in it changes, and it has no lock.
    ///
    /// Raises NotFoundError, PermissionDeniedError, InvalidNameError, BadMagicError, VersionMismatchError,
    /// WrongKindError, TruncatedError, CorruptedError, TooManyAttachmentsError.
    #[staticmethod]
    #[pyo3(signature = (name, *, read_only=false))]
    fn open(py: Python<'_>, name: &Bound<'_, PyAny>, read_only: bool) -> Result<Region> {
        Region::make(py, arguments::location(name)?, |location| {
            if read_only { shmkit::Region::open_read_only(location) } else { shmkit::Region::open(location) }
        })
    }

    /// Opens the region of this name, or creates it as `create` does. Of several at once, one creates and all get it.
    ///
    /// Raises SizeMismatchError when it exists with another length (or capacity, when one was asked), and what `open` and `create` raise.
    #[staticmethod]
    #[pyo3(signature = (
        name, len, *, mode=0o600, group=None,
        attachments=layout::DEFAULT_SLOT_COUNT, arena_len=layout::DEFAULT_ARENA_LEN, capacity=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn open_or_create(
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        len: &Bound<'_, PyAny>,
        mode: u32,
        group: Option<u32>,
        attachments: u32,
        arena_len: u64,
        capacity: Option<u64>,
    ) -> Result<Region> {
        let (location, len) = location_and_len(name, len, "open or create region")?;
        let options = options(mode, group, attachments, arena_len, capacity);
        Region::make(py, location, |location| options.open_or_create(location, len))
    }

    /// Creates a region without a name: only its descriptor leads to it. It goes with the last who has it open.
    ///
    /// A forked child keeps it; others get it by pickling (to a child that is being started), or by `fileno()`
    /// and `from_fd`. Raises InvalidLengthError, InvalidArgumentError, NoSpaceError.
    #[staticmethod]
    #[pyo3(signature = (
        len, *, attachments=layout::DEFAULT_SLOT_COUNT, arena_len=layout::DEFAULT_ARENA_LEN, capacity=None
    ))]
    fn create_unnamed(
        py: Python<'_>,
        len: &Bound<'_, PyAny>,
        attachments: u32,
        arena_len: u64,
        capacity: Option<u64>,
    ) -> Result<Region> {
        let place = Place { operation: "create region", object: "" };
        let len = arguments::natural(len, ErrorKind::InvalidLength, place)? as u64;
        let options = options(0o600, None, attachments, arena_len, capacity);
        Region::make(py, Location::Unnamed, |_| options.create_unnamed(len))
    }

    /// Opens the region behind a descriptor, or an object with `fileno()`, which may be closed afterwards: an inherited or
    /// received one. Raises WrongKindError, and what `open` raises.
    #[staticmethod]
    fn from_fd(py: Python<'_>, fd: &Bound<'_, PyAny>) -> Result<Region> {
        let fd = arguments::descriptor(fd, Place { operation: "open region", object: "" })?;
        Region::make(py, Location::Unnamed, |_| shmkit::Region::from_fd(segment::borrow(fd)))
    }

    /// A descriptor of the region, which stays this handle's and is close-on-exec; other processes open what they inherit or
    /// receive of it with `from_fd`. Raises ClosedError.
    fn fileno(&self) -> Result<i32> {
        let mut kept = self.fd.lock().unwrap_or_else(PoisonError::into_inner);
        let fd = match kept.take() {
            Some(fd) if !self.core.is_closed() => fd,
            _ => self.core.try_clone_fd()?,
        };
        Ok(kept.insert(fd).as_raw_fd())
    }

    /// Removes a region's name. Processes that have it open keep it; its memory goes with the last of them.
    ///
    /// Raises NotFoundError, InvalidNameError, PermissionDeniedError.
    #[staticmethod]
    fn unlink(py: Python<'_>, name: &Bound<'_, PyAny>) -> Result<()> {
        let location = arguments::location(name)?;
        Ok(py.detach(|| shmkit::Region::unlink(location))?)
    }

    /// Ends the use of this handle; repeating it does nothing. The region stays, for others and for later.
    ///
    /// Raises BusyError, also a BufferError, while a memoryview or array of it lives, a thread waits for its guard, or
    /// this process holds the guard and this handle is its last.
    fn close(&self) -> Result<()> {
        self.core.close()?;
        self.fd.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(())
    }

    /// Raises when the file has lost pages that belong to the region.
    ///
    /// Somebody who may write the file can also cut it. Touching what is missing would kill the process (SIGBUS); under the
    /// fault guard it reads as zeros, and from then on everything but closing raises, for the region and for the objects in
    /// it. Other processes find out for themselves.
    ///
    /// Raises MappingTruncatedError (also when nobody has touched the missing pages yet), ClosedError.
    fn check(&self) -> Result<()> {
        Ok(self.core.check()?)
    }

    /// Gives the region `len` bytes, for all processes: they see it at their next use. New bytes are zeros. Views keep their
    /// addresses and lengths, and see zeros where bytes were taken away. The guard is not taken.
    ///
    /// Raises InvalidLengthError (0), LimitExceededError (more than the capacity), NoSpaceError, BusyError, also a
    /// BufferError (shrinking, while a view of this handle lives), TimeoutError, ReadOnlyError, ClosedError.
    fn resize(&self, py: Python<'_>, len: &Bound<'_, PyAny>) -> Result<()> {
        let object = self.core.location().display();
        let place = Place { operation: "resize region", object: &object };
        let len = arguments::natural(len, ErrorKind::LimitExceeded, place)?;
        Ok(py.detach(|| self.core.resize(len))?)
    }

    /// The most bytes that `resize` can give it.
    #[getter]
    fn capacity(&self) -> usize {
        self.core.capacity()
    }

    /// The lock over the bytes, with the methods of `threading.Lock`.
    #[getter]
    fn guard(&self, py: Python<'_>) -> Result<Py<Guard>> {
        let guard = self
            .guard
            .get_or_try_init(py, || Py::new(py, Guard::new(Lock::Region(Arc::clone(&self.core)))))?;
        Ok(guard.clone_ref(py))
    }

    /// The guard for a `with` statement: `with region.lock(timeout=1.5): ...`
    ///
    /// Waits at most `timeout` seconds, then raises TimeoutError. When an owner died inside, raises OwnerDiedError and
    /// does not hold the lock; with `recover`, holds it and says so in the guard's `owner_died`: repair the bytes, then
    /// call its `make_consistent()`.
    #[pyo3(signature = (timeout=None, *, recover=false))]
    fn lock(&self, py: Python<'_>, timeout: Option<f64>, recover: bool) -> Result<Py<Guard>> {
        if timeout.is_none() && !recover {
            return self.guard(py);
        }
        Ok(Py::new(py, Guard::with_options(Lock::Region(Arc::clone(&self.core)), timeout, recover)?)?)
    }

    /// A memoryview of all bytes that cannot write.
    fn readonly<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyMemoryView>> {
        view::memoryview(py, self.source(), None, None, Some(false))
    }

    /// Carries bytes of a region in a file to the disk; without `sync`, only starts to. `invalidate` drops cached
    /// copies that differ from the file. A shared memory object has no disk behind it: the call does nothing.
    ///
    /// Raises OutOfRangeError, ClosedError, IoError.
    #[pyo3(
        signature = (offset=None, len=None, *, sync=true, invalidate=false),
        text_signature = "($self, offset=0, len=None, *, sync=True, invalidate=False)"
    )]
    fn flush(
        &self,
        py: Python<'_>,
        offset: Option<&Bound<'_, PyAny>>,
        len: Option<&Bound<'_, PyAny>>,
        sync: bool,
        invalidate: bool,
    ) -> Result<()> {
        let object = self.core.location().display();
        let place = Place { operation: "flush region", object: &object };
        let range = arguments::range(offset, len, self.core.len(), place)?;
        let flush = if sync { Flush::Sync } else { Flush::Async };
        Ok(py.detach(|| {
            if invalidate {
                self.core.flush_and_invalidate(range, flush)
            } else {
                self.core.flush(range, flush)
            }
        })?)
    }

    /// What goes on in it, as a dictionary: who is attached, who holds and waits for what since when, how many owners
    /// died. `shmkit.RegionStatus` says what is in it.
    ///
    /// Looking changes nothing, works on a read-only region, and waits for nobody. Raises ClosedError, CorruptedError.
    fn status<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>> {
        status::of(py, &self.core)
    }

    /// The name, or the path as text.
    #[getter]
    fn name(&self) -> String {
        self.core.location().display().into_owned()
    }

    /// What opens it again in any process: the name as a str, or the absolute path as a pathlib.Path.
    #[getter]
    fn location<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.origin.location(py)
    }

    /// Drawn at random at creation, 16 bytes: another region that later bears the name has another one.
    #[getter]
    fn id<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.core.id())
    }

    /// Number of bytes.
    #[getter]
    fn nbytes(&self) -> usize {
        self.core.len()
    }

    /// Whether it was opened for reading only.
    #[getter]
    fn read_only(&self) -> bool {
        self.core.is_read_only()
    }

    /// Whether this handle was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.core.is_closed()
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Closes. An exception of the body wins over one of the close.
    fn __exit__(
        &self,
        exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> Result<()> {
        let _ = (exc_value, traceback);
        on_exit(exc_type, self.close())
    }

    /// Pickles by name and id: who unpickles opens the same region, or gets ReplacedError.
    fn __reduce__<'py>(&self, py: Python<'py>) -> Result<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        if self.core.is_closed() {
            return Err(Error::new(ErrorKind::Closed, "pickle region", self.name()).into());
        }
        if self.origin.location == Location::Unnamed {
            let module = py.import(intern!(py, "shmkit._pickle"))?;
            let reduced = module.getattr(intern!(py, "reduce_descriptor"))?;
            let from_fd = py.get_type::<Region>().getattr(intern!(py, "from_fd"))?;
            return Ok(reduced.call1((from_fd, self.fileno()?))?.extract()?);
        }
        let reopen = py.import(intern!(py, "shmkit._native"))?.getattr(intern!(py, "_reopen"))?;
        let arguments = (self.location(py)?, self.id(py), self.read_only()).into_pyobject(py)?;
        Ok((reopen, arguments))
    }

    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> Result<()> {
        let core = &*slf.get().core;
        // SAFETY: Python's request for this object, which keeps the region.
        unsafe {
            bytes::fill_buffer(core, (0, core.len()), !core.is_read_only(), slf.as_any().clone(), view, flags)
        }
    }

    unsafe fn __releasebuffer__(&self, view: *mut ffi::Py_buffer) {
        // SAFETY: Python hands back what `__getbuffer__` filled, once.
        unsafe { bytes::release_buffer(&*self.core, view) }
    }

    fn __repr__(&self) -> String {
        let read_only = if self.core.is_read_only() { ", read-only" } else { "" };
        let closed = if self.core.is_closed() { ", closed" } else { "" };
        format!("<shmkit.Region '{}', {} bytes{read_only}{closed}>", self.name(), self.core.len())
    }
}

/// Opens a region that was pickled.
#[pyfunction]
pub fn _reopen(py: Python<'_>, location: &Bound<'_, PyAny>, id: [u8; 16], read_only: bool) -> Result<Region> {
    let region = Region::open(py, location, read_only)?;
    region.core.expect_id(id)?;
    Ok(region)
}

fn location_and_len(
    name: &Bound<'_, PyAny>,
    len: &Bound<'_, PyAny>,
    operation: &'static str,
) -> Result<(Location, u64)> {
    let location = arguments::location(name)?;
    let object = location.display();
    let len = arguments::natural(len, ErrorKind::InvalidLength, Place { operation, object: &object })?;
    drop(object);
    Ok((location, len as u64))
}

fn options(
    mode: u32,
    group: Option<u32>,
    attachments: u32,
    arena_len: u64,
    capacity: Option<u64>,
) -> RegionOptions {
    let mut options = RegionOptions::new().mode(mode).attachments(attachments).arena_len(arena_len);
    if let Some(capacity) = capacity {
        options = options.capacity(capacity);
    }
    match group {
        Some(group) => options.group(group),
        None => options,
    }
}
