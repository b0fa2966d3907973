//! What stands behind a memoryview of a part of a region, mapping or block, or of one that may not write.

use std::ffi::c_int;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyMemoryView;
use pyo3::{ffi, intern};

use crate::arguments::{Place, span};
use crate::block::Holding;
use crate::bytes::{self, Bytes};
use crate::error::Result;
use crate::pool_block::PoolBlock;

/// A part of a region, mapping or block, as a buffer; the core checks the range when the buffer is taken. Keeps the memory,
/// and so the handle's addresses, until it dies.
#[pyclass(frozen, module = "shmkit._native")]
struct View {
    source: Source,
    offset: usize,
    len: usize,
    writable: bool,
}

/// Whose bytes they are.
pub enum Source {
    Region(Arc<shmkit::Region>),
    Mapping(Arc<shmkit::Mapping>),
    Block(Arc<Holding>),
    PoolBlock(Py<PoolBlock>),
}

#[pymethods]
impl View {
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> Result<()> {
        let this = slf.get();
        let (range, owner) = ((this.offset, this.len), slf.clone().into_any());
        // SAFETY: Python's request for this object, which keeps the memory.
        unsafe {
            match &this.source {
                Source::Region(region) => {
                    bytes::fill_buffer(&**region, range, this.writable, owner, view, flags)
                }
                Source::Mapping(mapping) => {
                    bytes::fill_buffer(&**mapping, range, this.writable, owner, view, flags)
                }
                Source::Block(block) => {
                    bytes::fill_buffer(&**block, range, this.writable, owner, view, flags)
                }
                Source::PoolBlock(block) => {
                    bytes::fill_buffer(&block.get().tenure, range, this.writable, owner, view, flags)
                }
            }
        }
    }

    unsafe fn __releasebuffer__(&self, view: *mut ffi::Py_buffer) {
        // SAFETY: Python hands back what `__getbuffer__` filled, once.
        unsafe {
            match &self.source {
                Source::Region(region) => bytes::release_buffer(&**region, view),
                Source::Mapping(mapping) => bytes::release_buffer(&**mapping, view),
                Source::Block(block) => bytes::release_buffer(&**block, view),
                Source::PoolBlock(block) => bytes::release_buffer(&block.get().tenure, view),
            }
        }
    }
}

/// A memoryview of a range; `writable` of `None` means as the object allows.
pub fn memoryview<'py>(
    py: Python<'py>,
    source: Source,
    offset: Option<&Bound<'py, PyAny>>,
    len: Option<&Bound<'py, PyAny>>,
    writable: Option<bool>,
) -> Result<Bound<'py, PyMemoryView>> {
    let (offset, len, writable) = match &source {
        Source::Region(region) => part(&**region, offset, len, writable)?,
        Source::Mapping(mapping) => part(&**mapping, offset, len, writable)?,
        Source::Block(block) => part(&**block, offset, len, writable)?,
        Source::PoolBlock(block) => part(&block.get().tenure, offset, len, writable)?,
    };
    let view = View { source, offset, len, writable };
    Ok(PyMemoryView::from(Bound::new(py, view)?.as_any())?)
}

/// A numpy array on the bytes from `offset`: `numpy.frombuffer` of a memoryview, which the array keeps.
pub fn ndarray<'py>(
    py: Python<'py>,
    source: Source,
    dtype: &Bound<'py, PyAny>,
    shape: Option<&Bound<'py, PyAny>>,
    offset: Option<&Bound<'py, PyAny>>,
) -> Result<Bound<'py, PyAny>> {
    let bytes = memoryview(py, source, offset, None, None)?;
    let array = py.import(intern!(py, "shmkit._numpy"))?.getattr(intern!(py, "ndarray"))?;
    Ok(array.call1((bytes, dtype, shape))?)
}

fn part<B: Bytes>(
    bytes: &B,
    offset: Option<&Bound<'_, PyAny>>,
    len: Option<&Bound<'_, PyAny>>,
    writable: Option<bool>,
) -> Result<(usize, usize, bool)> {
    let object = bytes.object();
    let (offset, len) = span(offset, len, bytes.len(), Place { operation: B::VIEW, object: &object })?;
    Ok((offset, len, writable.unwrap_or_else(|| bytes.is_writable())))
}
