//! `shmkit.PoolBlock`: a block of a pool as a buffer. Most methods for its bytes are in `byte_methods`.

use std::borrow::Cow;
use std::ffi::c_int;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use pyo3::ffi;
use pyo3::prelude::*;
use shmkit::{Error, ErrorKind};

use crate::bytes::{self, Bytes};
use crate::error::{Result, on_exit};
use crate::object::Named;
use crate::pool::Pool;

/// In place of the number of views: the block was freed or published through this handle.
const GONE: usize = usize::MAX;

/// A block that this process has, and its views: what a [`PoolBlock`] is. While views live the block is neither freed nor
/// published through its handle.
pub struct Tenure {
    pool: Py<Pool>,
    handle: u64,
    start: NonNull<u8>,
    views: AtomicUsize,
}

// SAFETY: an address in memory that the pool keeps, and atomics.
unsafe impl Send for Tenure {}
// SAFETY: as above.
unsafe impl Sync for Tenure {}

impl Tenure {
    #[inline]
    fn pool(&self) -> &Named<shmkit::Pool> {
        self.pool.get().named()
    }

    fn error(&self, kind: ErrorKind, operation: &'static str) -> Error {
        Error::new(kind, operation, self.pool().label())
    }

    fn gone(&self, operation: &'static str) -> Error {
        self.error(ErrorKind::InvalidBlock, operation).with_detail("this handle let it go")
    }

    fn is_gone(&self) -> bool {
        self.views.load(SeqCst) == GONE
    }

    /// Lets the block go, which must be there and without views.
    fn let_go(
        &self,
        operation: &'static str,
        end: impl FnOnce(&shmkit::Pool, u64) -> shmkit::Result<()>,
    ) -> shmkit::Result<u64> {
        match self.views.compare_exchange(0, GONE, SeqCst, SeqCst) {
            Ok(_) => end(&self.pool().core, self.handle).map(|()| self.handle),
            Err(GONE) => Err(self.gone(operation)),
            Err(views) => {
                Err(self.error(ErrorKind::Busy, operation).with_detail(format!("{views} live views")))
            }
        }
    }
}

impl Drop for Tenure {
    fn drop(&mut self) {
        if !self.is_gone() {
            // Fails in a forked child, which does not have the block.
            let _ = self.let_go("free block", shmkit::Pool::free);
        }
    }
}

impl Bytes for Tenure {
    const READ: &'static str = "read block";
    const WRITE: &'static str = "write block";
    const VIEW: &'static str = "view block";

    fn len(&self) -> usize {
        self.pool().core.block_size()
    }
    fn object(&self) -> Cow<'_, str> {
        Cow::Owned(self.pool().label())
    }
    fn is_writable(&self) -> bool {
        true
    }
    fn read_at(&self, offset: usize, into: &mut [u8]) -> shmkit::Result<()> {
        let start = self.pin(offset, into.len(), false)?;
        // SAFETY: the pin keeps that many readable bytes; `into` is ours alone.
        unsafe { start.as_ptr().copy_to_nonoverlapping(into.as_mut_ptr(), into.len()) };
        self.unpin(false);
        Ok(())
    }
    fn write_at(&self, offset: usize, from: &[u8]) -> shmkit::Result<()> {
        let start = self.pin(offset, from.len(), true)?;
        // SAFETY: the pin keeps that many writable bytes; shared bytes never become a slice, so `from` is elsewhere.
        unsafe { start.as_ptr().copy_from_nonoverlapping(from.as_ptr(), from.len()) };
        self.unpin(true);
        Ok(())
    }
    fn pin(&self, offset: usize, len: usize, _writable: bool) -> shmkit::Result<NonNull<u8>> {
        if len > self.len() || offset > self.len() - len {
            let text = format!("{len} bytes at offset {offset} of {}", self.len());
            return Err(self.error(ErrorKind::OutOfRange, Self::VIEW).with_detail(text));
        }
        let more = |views| (views < GONE - 1).then_some(views + 1);
        self.views.fetch_update(SeqCst, SeqCst, more).map_err(|_| self.gone(Self::VIEW))?;
        // SAFETY: `offset` lies within the block.
        Ok(unsafe { self.start.add(offset) })
    }
    fn unpin(&self, _writable: bool) {
        self.views.fetch_sub(1, SeqCst);
    }
    fn damage_word(&self) -> Option<&'static shmkit::AtomicU32> {
        self.pool().core.damage_word()
    }
}

/// A block of a pool that this process has, from `Pool.allocate` or `Pool.adopt`.
///
/// It is a buffer (memoryview, numpy, ctypes see the same bytes, without a copy) and a sequence of bytes. It is freed by
/// `free()`, at the end of `with`, or when nothing refers to it or its views any more; not after `publish()`. While views live
/// it can be neither freed nor published: BufferError.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct PoolBlock {
    pub(crate) tenure: Tenure,
}

impl PoolBlock {
    /// The block of this process that a handle names.
    pub fn new(pool: &Bound<'_, Pool>, handle: u64) -> shmkit::Result<PoolBlock> {
        let start = pool.get().named().core.address(handle)?;
        Ok(PoolBlock {
            tenure: Tenure { pool: pool.clone().unbind(), handle, start, views: AtomicUsize::new(0) },
        })
    }

    /// Frees it if that is all there is to do: it is there and nobody looks at it.
    #[inline]
    pub fn free_quickly(&self) -> bool {
        let Tenure { handle, views, .. } = &self.tenure;
        if views.compare_exchange(0, GONE, SeqCst, SeqCst).is_err() {
            return false;
        }
        let freed = self.tenure.pool().core.free(*handle).is_ok();
        if !freed {
            views.store(0, SeqCst); // the ordinary method tells why
        }
        freed
    }
}

#[pymethods]
impl PoolBlock {
    /// The number that names the block while this process has it, and still when it is published. Never 0.
    #[getter]
    fn handle(&self) -> u64 {
        self.tenure.handle
    }

    /// Whether it was freed or published: this handle has nothing any more.
    #[getter]
    fn released(&self) -> bool {
        self.tenure.is_gone()
    }

    /// Gives it away and returns its handle: the first to call `Pool.adopt` with it, in whatever process, has it. Until then it
    /// belongs to nobody, whoever dies. Raises BusyError while views live, InvalidBlockError.
    fn publish(&self) -> Result<u64> {
        Ok(self.tenure.let_go("publish block", shmkit::Pool::publish)?)
    }

    /// Frees it; repeating it does nothing. Raises BusyError while views live; InvalidBlockError, StaleHandleError when
    /// somebody overwrote the pool's words.
    fn free(&self) -> Result<()> {
        if !self.tenure.is_gone() {
            self.tenure.let_go("free block", shmkit::Pool::free)?;
        }
        Ok(())
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Frees it, if that was not done. What the body raised goes on, also when the block cannot be freed.
    fn __exit__(
        &self,
        exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> Result<()> {
        let _ = (exc_value, traceback);
        on_exit(exc_type, self.free())
    }

    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> Result<()> {
        let tenure = &slf.get().tenure;
        let range = (0, tenure.len());
        // SAFETY: Python's request for this object, which keeps the block.
        unsafe { bytes::fill_buffer(tenure, range, true, slf.as_any().clone(), view, flags) }
    }

    unsafe fn __releasebuffer__(&self, view: *mut ffi::Py_buffer) {
        // SAFETY: Python hands back what `__getbuffer__` filled, once.
        unsafe { bytes::release_buffer(&self.tenure, view) }
    }

    fn __repr__(&self) -> String {
        let what = if self.tenure.is_gone() {
            "released".to_owned()
        } else {
            format!("{} bytes, handle {:#x}", self.tenure.len(), self.tenure.handle)
        };
        format!("<shmkit.PoolBlock of pool {}: {what}>", self.tenure.pool().place())
    }
}
