//! `shmkit.Mapping`. The methods for its bytes are in `byte_methods`, those for its pages in `pages`.

use std::ffi::c_int;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyMemoryView;
use shmkit::{ErrorKind, Flush, MapOptions};

use crate::arguments::{self, Place};
use crate::bytes;
use crate::error::{Result, on_exit};
use crate::view::{self, Source};

/// One mapped range of a file, or of memory that no file backs.
///
/// Make one with `Mapping.open`, `Mapping.from_fd` or `Mapping.anonymous`. It is a buffer (memoryview, numpy, ctypes
/// see the same bytes, without a copy) and a sequence of bytes. Any thread may use it; a copy of bytes that others
/// write meanwhile may be torn. Shared memory without a file reaches children that are forked later. It cannot be
/// pickled: a `Segment` can, and each process maps that.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct Mapping {
    pub(crate) core: Arc<shmkit::Mapping>,
}

impl Mapping {
    pub fn new(core: shmkit::Mapping) -> Mapping {
        Mapping { core: Arc::new(core) }
    }

    fn source(&self) -> Source {
        Source::Mapping(Arc::clone(&self.core))
    }

    fn place(&self, operation: &'static str) -> Place<'_> {
        Place { operation, object: self.core.object() }
    }
}

#[pymethods]
impl Mapping {
    /// Maps a file: `len` bytes from `offset`, which need not be aligned; without `len`, all to the file's end.
    ///
    /// `create` makes a missing file (with `mode` less the umask) and makes it long enough, `grow` only the latter;
    /// both need `len` and never truncate. `populate` reads all pages in at once. `reserve` keeps as many bytes of address
    /// space for `resize`. Without `fault_guard`, a file that is cut while it is mapped kills the process: see `check`.
    /// `lock_memory` keeps the pages in memory (`MemoryLock`), `huge_pages` says of which pages it is made (`HugePages`).
    ///
    /// Raises NotFoundError, PermissionDeniedError, InvalidLengthError (0 bytes), OutOfRangeError (beyond the end),
    /// NoSpaceError, WrongKindError (no regular file), InvalidArgumentError.
    #[staticmethod]
    #[pyo3(
        signature = (
            path, *, len=None, offset=None, protection="read", sharing="shared",
            create=false, grow=false, populate=false, mode=0o644, reserve=None, fault_guard=true,
            huge_pages="as_system", lock_memory=None
        ),
        text_signature = "(path, *, len=None, offset=0, protection='read', sharing='shared', \
                          create=False, grow=False, populate=False, mode=0o644, reserve=0, fault_guard=True, \
                          huge_pages='as_system', lock_memory=None)"
    )]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn open(
        py: Python<'_>,
        path: PathBuf,
        len: Option<&Bound<'_, PyAny>>,
        offset: Option<&Bound<'_, PyAny>>,
        protection: &str,
        sharing: &str,
        create: bool,
        grow: bool,
        populate: bool,
        mode: u32,
        reserve: Option<&Bound<'_, PyAny>>,
        fault_guard: bool,
        huge_pages: &str,
        lock_memory: Option<&str>,
    ) -> Result<Mapping> {
        let object = path.to_string_lossy();
        let place = Place { operation: "map file", object: &object };
        let options = file_options(len, offset, protection, sharing, place)?
            .reserve(reserved(reserve, place)?)
            .fault_guard(fault_guard)
            .create(create)
            .grow(grow)
            .populate(populate)
            .mode(mode);
        let options = page_options(options, huge_pages, lock_memory, place)?;
        let core = py.detach(|| options.map_path(&path))?;
        Ok(Mapping::new(core))
    }

    /// Maps a file that is open: a descriptor, or an object with `fileno()`, which may be closed afterwards.
    ///
    /// Raises what `open` raises.
    #[staticmethod]
    #[pyo3(
        signature = (
            fd, *, len=None, offset=None, protection="read", sharing="shared", grow=false, populate=false,
            reserve=None, fault_guard=true, huge_pages="as_system", lock_memory=None
        ),
        text_signature = "(fd, *, len=None, offset=0, protection='read', sharing='shared', \
                          grow=False, populate=False, reserve=0, fault_guard=True, \
                          huge_pages='as_system', lock_memory=None)"
    )]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn from_fd(
        py: Python<'_>,
        fd: &Bound<'_, PyAny>,
        len: Option<&Bound<'_, PyAny>>,
        offset: Option<&Bound<'_, PyAny>>,
        protection: &str,
        sharing: &str,
        grow: bool,
        populate: bool,
        reserve: Option<&Bound<'_, PyAny>>,
        fault_guard: bool,
        huge_pages: &str,
        lock_memory: Option<&str>,
    ) -> Result<Mapping> {
        let place = Place { operation: "map file", object: "" };
        let options = file_options(len, offset, protection, sharing, place)?
            .reserve(reserved(reserve, place)?)
            .fault_guard(fault_guard)
            .grow(grow)
            .populate(populate);
        let options = page_options(options, huge_pages, lock_memory, place)?;
        let fd = arguments::descriptor(fd, place)?;
        // SAFETY: not negative. A number that is not open, or opened anew by another thread meanwhile, makes the core
        // map another file or report EBADF: no memory is at stake.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let core = py.detach(|| options.map_file(fd))?;
        Ok(Mapping::new(core))
    }

    /// Maps `len` zeroed bytes that no file backs, for reading and writing: shared with children that are forked later,
    /// or private.
    ///
    /// Raises InvalidLengthError (0, or no whole huge pages), OutOfMemoryError (also: too few huge pages are reserved, or
    /// more is to be locked than the process may), UnsupportedError (huge pages of a size the system lacks).
    #[staticmethod]
    #[pyo3(
        signature = (
            len, *, sharing="shared", populate=false, reserve=None, huge_pages="as_system", lock_memory=None
        ),
        text_signature = "(len, *, sharing='shared', populate=False, reserve=0, \
                          huge_pages='as_system', lock_memory=None)"
    )]
    fn anonymous(
        py: Python<'_>,
        len: &Bound<'_, PyAny>,
        sharing: &str,
        populate: bool,
        reserve: Option<&Bound<'_, PyAny>>,
        huge_pages: &str,
        lock_memory: Option<&str>,
    ) -> Result<Mapping> {
        let place = Place { operation: "map memory", object: "" };
        let options = MapOptions::new()
            .len(arguments::natural(len, ErrorKind::InvalidLength, place)?)
            .sharing(arguments::sharing(sharing, place)?)
            .reserve(reserved(reserve, place)?)
            .populate(populate);
        let options = page_options(options, huge_pages, lock_memory, place)?;
        let core = py.detach(|| options.map_anonymous())?;
        Ok(Mapping::new(core))
    }

    /// Lets the file go; repeating it does nothing. Raises BusyError, also a BufferError, while a memoryview or array
    /// of it lives.
    fn close(&self) -> Result<()> {
        Ok(self.core.close()?)
    }

    /// Raises when the bytes no longer are the file's.
    ///
    /// A file can be cut while it is mapped, and a file system can be full when a hole in a file is first touched. Touching
    /// such a page would kill the process (SIGBUS); under the fault guard it reads as zeros, what is stored there is lost,
    /// and from then on this and every other call of the mapping raises: close it, and map the file again. A view is plain
    /// memory and asks nobody: call this after using one. System calls that are given such bytes fail with EFAULT.
    ///
    /// Raises MappingTruncatedError (also when nobody has touched the missing pages yet), NoSpaceError, IoError,
    /// ClosedError.
    fn check(&self) -> Result<()> {
        Ok(self.core.check()?)
    }

    /// Makes the mapping `len` bytes long, in place: views keep their addresses and lengths. `reserve` says how long it can
    /// become. A file becomes longer if `create` or `grow` was asked, and never shorter.
    ///
    /// Raises InvalidLengthError (0), LimitExceededError (more than was reserved), OutOfRangeError (the file ends before
    /// it), NoSpaceError, BusyError, also a BufferError (shrinking, while a view lives), ClosedError.
    fn resize(&self, py: Python<'_>, len: &Bound<'_, PyAny>) -> Result<()> {
        let len = arguments::natural(len, ErrorKind::LimitExceeded, self.place("resize mapping"))?;
        Ok(py.detach(|| self.core.resize(len))?)
    }

    /// The most bytes that `resize` can make of it.
    #[getter]
    fn capacity(&self) -> usize {
        self.core.capacity()
    }

    /// Whether the fault guard watches it.
    #[getter]
    fn guarded(&self) -> bool {
        self.core.is_guarded()
    }

    /// A memoryview of all bytes that cannot write.
    fn readonly<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyMemoryView>> {
        view::memoryview(py, self.source(), None, None, Some(false))
    }

    /// Carries changes of a shared file mapping to the file; without `sync`, only starts to. `invalidate` drops cached
    /// copies that differ from the file.
    ///
    /// Raises OutOfRangeError, ClosedError, IoError, BusyError (invalidate, and pages are locked in memory).
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
        let range = arguments::range(offset, len, self.core.len(), self.place("flush mapping"))?;
        let flush = if sync { Flush::Sync } else { Flush::Async };
        Ok(py.detach(|| {
            if invalidate {
                self.core.flush_and_invalidate(range, flush)
            } else {
                self.core.flush(range, flush)
            }
        })?)
    }

    /// Changes what a range of whole pages allows.
    ///
    /// Raises BusyError, also a BufferError, while a view lives that would lose access; ReadOnlyError when the file was
    /// not opened for writing; InvalidArgumentError (a part of a page), OutOfRangeError, ClosedError.
    #[pyo3(
        signature = (protection, offset=None, len=None),
        text_signature = "($self, protection, offset=0, len=None)"
    )]
    fn protect(
        &self,
        protection: &str,
        offset: Option<&Bound<'_, PyAny>>,
        len: Option<&Bound<'_, PyAny>>,
    ) -> Result<()> {
        let place = self.place("protect mapping");
        let protection = arguments::protection(protection, place)?;
        let range = arguments::range(offset, len, self.core.len(), place)?;
        Ok(self.core.protect(range, protection)?)
    }

    /// Bytes of a page: what protection and advice are rounded to.
    #[getter]
    fn page_size(&self) -> usize {
        self.core.page_size()
    }

    /// The path that was mapped, as text; empty for memory without a file.
    #[getter]
    fn name(&self) -> &str {
        self.core.object()
    }

    /// Who sees what is written, a `Sharing`.
    #[getter]
    fn sharing<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let value = match self.core.sharing() {
            shmkit::Sharing::Shared => "shared",
            shmkit::Sharing::Private => "private",
        };
        py.import(intern!(py, "shmkit._enums"))?.getattr(intern!(py, "Sharing"))?.call1((value,))
    }

    /// Number of bytes.
    #[getter]
    fn nbytes(&self) -> usize {
        self.core.len()
    }

    /// Whether some byte may not be written.
    #[getter]
    fn read_only(&self) -> bool {
        !self.core.is_writable()
    }

    /// Whether this mapping was closed.
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
        on_exit(exc_type, self.core.close())
    }

    /// The kernel gives no other process a way to these pages, so the error says what has one.
    fn __reduce__(&self) -> PyResult<()> {
        let instead = match self.name() {
            "" => {
                "only children forked later share it; make a shmkit.Segment.memfd, which can be pickled, and map that"
            }
            _ => "open the file there, or pickle a shmkit.Segment of it and map that",
        };
        Err(PyTypeError::new_err(format!("cannot pickle {}: {instead}", self.__repr__())))
    }

    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> Result<()> {
        let core = &*slf.get().core;
        // SAFETY: Python's request for this object, which keeps the mapping.
        unsafe {
            bytes::fill_buffer(core, (0, core.len()), core.is_writable(), slf.as_any().clone(), view, flags)
        }
    }

    unsafe fn __releasebuffer__(&self, view: *mut ffi::Py_buffer) {
        // SAFETY: Python hands back what `__getbuffer__` filled, once.
        unsafe { bytes::release_buffer(&*self.core, view) }
    }

    fn __repr__(&self) -> String {
        let name = if self.name().is_empty() { "of memory" } else { self.name() };
        let read_only = if self.core.is_writable() { "" } else { ", read-only" };
        let closed = if self.core.is_closed() { ", closed" } else { "" };
        format!("<shmkit.Mapping {name}, {} bytes{read_only}{closed}>", self.core.len())
    }
}

fn page_options(
    options: MapOptions,
    huge_pages: &str,
    lock_memory: Option<&str>,
    place: Place<'_>,
) -> Result<MapOptions> {
    let options = options.huge_pages(arguments::huge_pages(huge_pages, place)?);
    Ok(match arguments::memory_lock(lock_memory, place)? {
        Some(lock) => options.lock_memory(lock),
        None => options,
    })
}

/// Bytes of address space to keep.
fn reserved(reserve: Option<&Bound<'_, PyAny>>, place: Place<'_>) -> Result<usize> {
    reserve.map_or(Ok(0), |reserve| arguments::natural(reserve, ErrorKind::InvalidLength, place))
}

/// The options that every mapping of a file has.
pub fn file_options(
    len: Option<&Bound<'_, PyAny>>,
    offset: Option<&Bound<'_, PyAny>>,
    protection: &str,
    sharing: &str,
    place: Place<'_>,
) -> Result<MapOptions> {
    let mut options = MapOptions::new()
        .protection(arguments::protection(protection, place)?)
        .sharing(arguments::sharing(sharing, place)?);
    if let Some(offset) = offset {
        options = options.offset(arguments::natural(offset, ErrorKind::OutOfRange, place)? as u64);
    }
    if let Some(len) = len {
        options = options.len(arguments::natural(len, ErrorKind::InvalidLength, place)?);
    }
    Ok(options)
}
