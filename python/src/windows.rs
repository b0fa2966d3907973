//! `shmkit.WindowCache`.

use std::ffi::c_int;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView};
use pyo3::{ffi, intern};
use shmkit::{ErrorKind, Flush, WindowOptions};

use crate::arguments::{self, Place};
use crate::bytes;
use crate::error::{Result, on_exit};

const OPEN: &str = "open window cache";

/// A file seen through a bounded set of mapped windows: for files larger than one wants mapped.
///
/// Make one with `WindowCache.open` or `WindowCache.from_fd`. A window that is needed takes the place of the one least
/// recently used; one that is viewed keeps its place. Any thread may use it. The length is that of the file when it was
/// opened. It cannot be pickled.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct WindowCache {
    core: Arc<shmkit::WindowCache>,
}

#[pymethods]
impl WindowCache {
    /// Opens a file, of which `windows` windows of `window_len` bytes (a power of two) are mapped at once at most.
    ///
    /// `pattern` says what reads will be like: "random" (no read-ahead), "sequential" (always), or "normal", which finds
    /// out by itself.
    ///
    /// Raises NotFoundError, PermissionDeniedError, InvalidLengthError (an empty file), WrongKindError,
    /// InvalidArgumentError, OutOfMemoryError.
    #[staticmethod]
    #[pyo3(
        signature = (path, *, window_len=None, windows=None, writable=false, pattern="normal"),
        text_signature = "(path, *, window_len=4194304, windows=64, writable=False, pattern='normal')"
    )]
    fn open(
        py: Python<'_>,
        path: PathBuf,
        window_len: Option<&Bound<'_, PyAny>>,
        windows: Option<&Bound<'_, PyAny>>,
        writable: bool,
        pattern: &str,
    ) -> Result<WindowCache> {
        let object = path.to_string_lossy();
        let place = Place { operation: OPEN, object: &object };
        let options = options(window_len, windows, writable, pattern, place)?;
        Ok(WindowCache { core: Arc::new(py.detach(|| options.open(&path))?) })
    }

    /// As `open`, for a file that is open: a descriptor, or an object with `fileno()`, which may be closed afterwards.
    #[staticmethod]
    #[pyo3(
        signature = (fd, *, window_len=None, windows=None, writable=false, pattern="normal"),
        text_signature = "(fd, *, window_len=4194304, windows=64, writable=False, pattern='normal')"
    )]
    fn from_fd(
        py: Python<'_>,
        fd: &Bound<'_, PyAny>,
        window_len: Option<&Bound<'_, PyAny>>,
        windows: Option<&Bound<'_, PyAny>>,
        writable: bool,
        pattern: &str,
    ) -> Result<WindowCache> {
        let place = Place { operation: OPEN, object: "" };
        let options = options(window_len, windows, writable, pattern, place)?;
        let fd = arguments::descriptor(fd, place)?;
        // SAFETY: not negative. A number that is not open, or opened anew by another thread meanwhile, makes the core
        // open another file or report EBADF: no memory is at stake.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        Ok(WindowCache { core: Arc::new(py.detach(|| options.open_file(fd))?) })
    }

    /// Lets the file go; repeating it does nothing. Raises BusyError, also a BufferError, while a view lives or another
    /// thread copies.
    fn close(&self, py: Python<'_>) -> Result<()> {
        Ok(py.detach(|| self.core.close())?)
    }

    /// A copy of `len` bytes at `offset`, across as many windows as they lie in. Raises OutOfRangeError, ClosedError,
    /// TruncatedError (the file is shorter by now), IoError.
    fn read_at<'py>(
        &self,
        py: Python<'py>,
        offset: &Bound<'py, PyAny>,
        len: &Bound<'py, PyAny>,
    ) -> Result<Bound<'py, PyBytes>> {
        let place = self.place("read through windows");
        let offset = arguments::natural(offset, ErrorKind::OutOfRange, place)? as u64;
        let len = arguments::natural(len, ErrorKind::OutOfRange, place)?;
        // Before memory is taken for it.
        if self.core.len().checked_sub(offset).is_none_or(|left| len as u64 > left) {
            let detail = format!("{len} bytes at offset {offset} of {}", self.core.len());
            return Err(place.error(ErrorKind::OutOfRange, detail));
        }
        let mut failure = None;
        let copy = PyBytes::new_with(py, len, |into| {
            failure = py.detach(|| self.core.read_at(offset, into)).err();
            Ok(())
        })?;
        match failure {
            Some(error) => Err(error.into()),
            None => Ok(copy),
        }
    }

    /// Copies any contiguous bytes to `offset`, across as many windows as they lie in. Raises OutOfRangeError,
    /// ReadOnlyError, ClosedError, TruncatedError, IoError.
    fn write_at(&self, py: Python<'_>, offset: &Bound<'_, PyAny>, data: &Bound<'_, PyAny>) -> Result<()> {
        let place = self.place("write through windows");
        let offset = arguments::natural(offset, ErrorKind::OutOfRange, place)? as u64;
        // A copy: others may change the source while the interpreter is released.
        let data = bytes::with_contiguous(data, |source, len| {
            let mut copy = vec![0; len];
            // SAFETY: `source` has `len` bytes, which the buffer that Python holds for us keeps.
            unsafe { source.copy_to_nonoverlapping(copy.as_mut_ptr(), len) };
            copy
        })?;
        Ok(py.detach(|| self.core.write_at(offset, &data))?)
    }

    /// A memoryview of `len` bytes that lie in one window, without a copy. Until it is released, the window keeps its place
    /// and the cache cannot be closed.
    ///
    /// Raises OutOfRangeError, InvalidArgumentError (the range crosses a border of windows), BusyError (every window is in
    /// use), ReadOnlyError, ClosedError, TruncatedError.
    #[pyo3(signature = (offset, len, *, writable=None))]
    fn view<'py>(
        &self,
        py: Python<'py>,
        offset: &Bound<'py, PyAny>,
        len: &Bound<'py, PyAny>,
        writable: Option<bool>,
    ) -> Result<Bound<'py, PyMemoryView>> {
        let place = self.place("view window");
        let offset = arguments::natural(offset, ErrorKind::OutOfRange, place)? as u64;
        let len = arguments::natural(len, ErrorKind::OutOfRange, place)?;
        let writable = writable.unwrap_or_else(|| self.core.is_writable());
        let view = WindowView { core: Arc::clone(&self.core), offset, len, writable };
        Ok(PyMemoryView::from(Bound::new(py, view)?.as_any())?)
    }

    /// Carries what was written, through windows mapped now or before, to the disk; without `sync`, only starts to.
    ///
    /// Raises ClosedError, IoError.
    #[pyo3(signature = (*, sync=true))]
    fn flush(&self, py: Python<'_>, sync: bool) -> Result<()> {
        Ok(py.detach(|| self.core.flush(if sync { Flush::Sync } else { Flush::Async }))?)
    }

    /// What the cache did so far, a `WindowStats`.
    fn stats<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>> {
        let stats = self.core.stats();
        let fields = [
            stats.hits,
            stats.misses,
            stats.evictions,
            stats.bypasses,
            stats.maps,
            stats.advices,
            stats.kernel_ns,
            stats.mapped,
            stats.views,
        ];
        let class = py.import(intern!(py, "shmkit._pages"))?.getattr(intern!(py, "WindowStats"))?;
        Ok(class.call_method1(intern!(py, "_make"), (fields,))?)
    }

    /// The path that was opened, as text.
    #[getter]
    fn name(&self) -> &str {
        self.core.object()
    }

    /// Number of bytes of the file, when it was opened.
    #[getter]
    fn nbytes(&self) -> u64 {
        self.core.len()
    }

    /// Bytes of a window. A view lies in one.
    #[getter]
    fn window_len(&self) -> u64 {
        self.core.window_len()
    }

    /// How many windows are mapped at once at most.
    #[getter]
    fn window_count(&self) -> usize {
        self.core.window_count()
    }

    /// Whether it was opened for reading only.
    #[getter]
    fn read_only(&self) -> bool {
        !self.core.is_writable()
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.core.is_closed()
    }

    fn __len__(&self) -> usize {
        self.core.len() as usize
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Closes. An exception of the body wins over one of the close.
    fn __exit__(
        &self,
        py: Python<'_>,
        exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> Result<()> {
        let _ = (exc_value, traceback);
        on_exit(exc_type, self.close(py))
    }

    fn __repr__(&self) -> String {
        let read_only = if self.core.is_writable() { "" } else { ", read-only" };
        let closed = if self.core.is_closed() { ", closed" } else { "" };
        format!("<shmkit.WindowCache {}, {} bytes{read_only}{closed}>", self.name(), self.core.len())
    }
}

impl WindowCache {
    fn place(&self, operation: &'static str) -> Place<'_> {
        Place { operation, object: self.core.object() }
    }
}

fn options(
    window_len: Option<&Bound<'_, PyAny>>,
    windows: Option<&Bound<'_, PyAny>>,
    writable: bool,
    pattern: &str,
    place: Place<'_>,
) -> Result<WindowOptions> {
    let mut options = WindowOptions::new().writable(writable).pattern(arguments::advice(pattern, place)?);
    if let Some(len) = window_len {
        options = options.window_len(arguments::natural(len, ErrorKind::InvalidArgument, place)? as u64);
    }
    if let Some(windows) = windows {
        options = options.windows(arguments::count(windows, place)?);
    }
    Ok(options)
}

/// What stands behind a memoryview of a part of a window; the core checks the range when the buffer is taken.
#[pyclass(frozen, module = "shmkit._native")]
struct WindowView {
    core: Arc<shmkit::WindowCache>,
    offset: u64,
    len: usize,
    writable: bool,
}

#[pymethods]
impl WindowView {
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> Result<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("no buffer to fill").into());
        }
        // SAFETY: not null. A failed request must leave the object empty.
        unsafe { (*view).obj = std::ptr::null_mut() };
        let this = slf.get();
        let start = this.core.pin(this.offset, this.len, this.writable)?;
        // SAFETY: `start` is the first of `len` mapped bytes that the pin keeps in place; `len` fits, being a part of a
        // window.
        let status = unsafe {
            ffi::PyBuffer_FillInfo(
                view,
                slf.as_ptr(),
                start.as_ptr().cast(),
                this.len as ffi::Py_ssize_t,
                c_int::from(!this.writable),
                flags,
            )
        };
        if status != 0 {
            this.core.unpin(start.as_ptr(), this.writable);
            return Err(PyErr::fetch(slf.py()).into());
        }
        Ok(())
    }

    unsafe fn __releasebuffer__(&self, view: *mut ffi::Py_buffer) {
        // SAFETY: Python hands back what `__getbuffer__` filled, once.
        let start = unsafe { (*view).buf };
        let counted = self.core.unpin(start.cast(), self.writable);
        debug_assert!(counted, "a view counted out that was never counted in");
    }
}
