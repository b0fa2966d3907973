//! `shmkit.Block`: a block of a heap as a buffer. Most methods for its bytes are in `byte_methods`.

use std::borrow::Cow;
use std::ffi::c_int;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::ffi;
use pyo3::prelude::*;
use shmkit::{Error, ErrorKind};

use crate::arguments::{Place, natural};
use crate::bytes::{self, Bytes};
use crate::error::{Result, on_exit};
use crate::object::Named;

/// A block that this process owns or looks at, and its views: what [`Block`] and memoryviews of it share.
///
/// While views live the block is neither freed nor given away nor resized through its handle. Each view is counted in the
/// core too, so that the heap's handle cannot be closed.
pub struct Holding {
    heap: Arc<Named<shmkit::Heap>>,
    state: Mutex<State>,
}

struct State {
    offset: u64,
    len: usize,
    align: usize,
    /// Freed, published or left: nothing to hold any more.
    is_gone: bool,
    /// Another's block, to be looked at only.
    is_foreign: bool,
    views: usize,
}

impl Holding {
    pub fn new(heap: &Arc<Named<shmkit::Heap>>, offset: u64, len: usize, align: usize) -> Holding {
        let state = State { offset, len, align, is_gone: false, is_foreign: false, views: 0 };
        Holding { heap: Arc::clone(heap), state: Mutex::new(state) }
    }

    /// To look at a block that may be another process's.
    pub fn foreign(heap: &Arc<Named<shmkit::Heap>>, offset: u64, len: usize) -> Holding {
        let state = State { offset, len, align: 16, is_gone: false, is_foreign: true, views: 0 };
        Holding { heap: Arc::clone(heap), state: Mutex::new(state) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, kind: ErrorKind, operation: &'static str) -> Error {
        Error::new(kind, operation, self.heap.label())
    }

    /// Changes the block, which must be there and without views.
    fn change<R>(
        &self,
        operation: &'static str,
        change: impl FnOnce(&shmkit::Heap, &mut State) -> shmkit::Result<R>,
    ) -> shmkit::Result<R> {
        let mut state = self.state();
        if state.is_gone {
            return Err(self.error(ErrorKind::InvalidBlock, operation).with_detail("this handle let it go"));
        }
        if state.views > 0 {
            return Err(self
                .error(ErrorKind::Busy, operation)
                .with_detail(format!("{} live views", state.views)));
        }
        change(&self.heap.core, &mut state)
    }

    /// As [`Holding::change`], after which the handle has nothing any more.
    fn let_go(
        &self,
        operation: &'static str,
        change: impl FnOnce(&shmkit::Heap, u64) -> shmkit::Result<()>,
    ) -> shmkit::Result<u64> {
        self.change(operation, |heap, state| {
            change(heap, state.offset)?;
            state.is_gone = true;
            Ok(state.offset)
        })
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !state.is_gone && !state.is_foreign {
            self.heap.core.free_quietly(state.offset);
        }
    }
}

impl Bytes for Holding {
    const READ: &'static str = "read block";
    const WRITE: &'static str = "write block";
    const VIEW: &'static str = "view block";

    fn len(&self) -> usize {
        self.state().len
    }
    fn object(&self) -> Cow<'_, str> {
        Cow::Owned(self.heap.label())
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
    fn pin(&self, offset: usize, len: usize, writable: bool) -> shmkit::Result<NonNull<u8>> {
        let mut state = self.state();
        if state.is_gone {
            return Err(self.error(ErrorKind::InvalidBlock, Self::VIEW).with_detail("this handle let it go"));
        }
        if len > state.len || offset > state.len - len {
            let text = format!("{len} bytes at offset {offset} of {}", state.len);
            return Err(self.error(ErrorKind::OutOfRange, Self::VIEW).with_detail(text));
        }
        let (start, _) = self.heap.core.pin(state.offset, writable)?;
        state.views += 1;
        // SAFETY: the block has `len` bytes at least, and `offset` lies within them.
        Ok(unsafe { start.add(offset) })
    }
    fn unpin(&self, writable: bool) {
        self.state().views -= 1;
        self.heap.core.unpin(writable);
    }
    fn damage_word(&self) -> Option<&'static shmkit::AtomicU32> {
        self.heap.core.damage_word()
    }
}

/// A block of a heap that this process owns, from `Heap.allocate`, `Heap.adopt` or `Heap.block`.
///
/// It is a buffer (memoryview, numpy, ctypes see the same bytes, without a copy) and a sequence of bytes. It is freed by
/// `free()`, at the end of `with`, or when nothing refers to it or its views any more; not after `publish()` or
/// `into_offset()`. While views live it can be neither freed, published nor resized: BufferError.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct Block {
    pub(crate) holding: Arc<Holding>,
}

impl Block {
    pub fn new(holding: Holding) -> Block {
        Block { holding: Arc::new(holding) }
    }
}

#[pymethods]
impl Block {
    /// Where it is, from the region's start: what other processes call it.
    #[getter]
    fn offset(&self) -> u64 {
        self.holding.state().offset
    }

    /// Whether it was freed, published or left to its offset: this handle has nothing any more.
    #[getter]
    fn released(&self) -> bool {
        self.holding.state().is_gone
    }

    /// Makes it longer or shorter, at another place (with another offset) if there is no room here.
    ///
    /// Raises NoSpaceError, InvalidLengthError, BusyError, InvalidBlockError; the block is as it was then.
    fn resize(&self, len: &Bound<'_, PyAny>) -> Result<()> {
        let len = self.len_of(len)?;
        self.holding.change("resize block", |heap, state| {
            state.offset = heap.resize(state.offset, len, state.align)?;
            state.len = len;
            Ok(())
        })?;
        Ok(())
    }

    /// Makes it longer or shorter where it is. Raises NoSpaceError when it cannot grow so far here, and as `resize` does.
    fn resize_in_place(&self, len: &Bound<'_, PyAny>) -> Result<()> {
        let len = self.len_of(len)?;
        self.holding.change("resize block", |heap, state| {
            heap.resize_in_place(state.offset, len)?;
            state.len = len;
            Ok(())
        })?;
        Ok(())
    }

    /// Gives it away and returns its offset: it belongs to nobody until somebody adopts it. Raises BusyError,
    /// InvalidBlockError.
    fn publish(&self) -> Result<u64> {
        Ok(self.holding.let_go("publish block", shmkit::Heap::publish)?)
    }

    /// Goes on owning the block by its offset alone, which it returns: see `Heap.block` and `Heap.free`. Raises BusyError,
    /// InvalidBlockError.
    #[expect(clippy::wrong_self_convention, reason = "the same name in every language")]
    fn into_offset(&self) -> Result<u64> {
        Ok(self.holding.let_go("leave block", |_, _| Ok(()))?)
    }

    /// Frees it; repeating it does nothing. Raises BusyError, InvalidBlockError (somebody freed it by its offset).
    fn free(&self) -> Result<()> {
        if !self.released() {
            self.holding.let_go("free block", shmkit::Heap::free)?;
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
        _exc_value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> Result<()> {
        on_exit(exc_type, self.free())
    }

    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> Result<()> {
        let holding = &slf.get().holding;
        let range = (0, holding.len());
        // SAFETY: Python's request for this object, which keeps the block.
        unsafe { bytes::fill_buffer(&**holding, range, true, slf.as_any().clone(), view, flags) }
    }

    unsafe fn __releasebuffer__(&self, view: *mut ffi::Py_buffer) {
        // SAFETY: Python hands back what `__getbuffer__` filled, once.
        unsafe { bytes::release_buffer(&*self.holding, view) }
    }

    fn __repr__(&self) -> String {
        let state = self.holding.state();
        let (offset, len) = (state.offset, state.len);
        let what = if state.is_gone { "released".to_owned() } else { format!("{len} bytes at {offset}") };
        format!("<shmkit.Block of heap {}: {what}>", self.holding.heap.place())
    }
}

impl Block {
    fn len_of(&self, len: &Bound<'_, PyAny>) -> Result<usize> {
        if let Ok(len) = len.extract() {
            return Ok(len);
        }
        let label = self.holding.heap.label();
        natural(len, ErrorKind::InvalidLength, Place { operation: "resize block", object: &label })
    }
}
