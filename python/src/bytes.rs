//! What regions and mappings are to Python: a buffer whose exports are counted, and a sequence of bytes.
//!
//! Invariants:
//! - An address leaves this file only together with a count in the core ([`Bytes::pin`]), so that closing is refused.
//! - Shared bytes are copied from address to address. They never become a slice: others write them at any time, and a
//!   source may overlap its target, since both may be views of one region.

use std::borrow::Cow;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::atomic::{Ordering, fence};

use pyo3::exceptions::{PyBufferError, PyOverflowError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PySlice};
use shmkit::ErrorKind;

use crate::arguments::{Place, natural};
use crate::error::Result;

/// A range of shared bytes: a region or a mapping of the core.
pub trait Bytes: Send + Sync + 'static {
    /// What messages call a read, a write and a view of it.
    const READ: &'static str;
    const WRITE: &'static str;
    const VIEW: &'static str;

    fn len(&self) -> usize;
    fn object(&self) -> Cow<'_, str>;
    fn is_writable(&self) -> bool;
    fn read_at(&self, offset: usize, into: &mut [u8]) -> shmkit::Result<()>;
    fn write_at(&self, offset: usize, from: &[u8]) -> shmkit::Result<()>;
    fn pin(&self, offset: usize, len: usize, writable: bool) -> shmkit::Result<NonNull<u8>>;
    fn unpin(&self, writable: bool);
    fn damage_word(&self) -> Option<&'static shmkit::AtomicU32>;
}

impl Bytes for shmkit::Region {
    const READ: &'static str = "read region";
    const WRITE: &'static str = "write region";
    const VIEW: &'static str = "view region";

    fn len(&self) -> usize {
        self.len()
    }
    fn object(&self) -> Cow<'_, str> {
        self.location().display()
    }
    fn is_writable(&self) -> bool {
        !self.is_read_only()
    }
    fn read_at(&self, offset: usize, into: &mut [u8]) -> shmkit::Result<()> {
        self.read_at(offset, into)
    }
    fn write_at(&self, offset: usize, from: &[u8]) -> shmkit::Result<()> {
        self.write_at(offset, from)
    }
    fn pin(&self, offset: usize, len: usize, writable: bool) -> shmkit::Result<NonNull<u8>> {
        self.pin(offset, len, writable)
    }
    fn unpin(&self, writable: bool) {
        let counted = self.unpin(writable);
        debug_assert!(counted, "a view counted out that was never counted in");
    }
    fn damage_word(&self) -> Option<&'static shmkit::AtomicU32> {
        self.damage_word()
    }
}

impl Bytes for shmkit::Mapping {
    const READ: &'static str = "read mapping";
    const WRITE: &'static str = "write mapping";
    const VIEW: &'static str = "view mapping";

    fn len(&self) -> usize {
        self.len()
    }
    fn object(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.object())
    }
    fn is_writable(&self) -> bool {
        self.is_writable()
    }
    fn read_at(&self, offset: usize, into: &mut [u8]) -> shmkit::Result<()> {
        self.read_at(offset, into)
    }
    fn write_at(&self, offset: usize, from: &[u8]) -> shmkit::Result<()> {
        self.write_at(offset, from)
    }
    fn pin(&self, offset: usize, len: usize, writable: bool) -> shmkit::Result<NonNull<u8>> {
        self.pin(offset, len, writable)
    }
    fn unpin(&self, writable: bool) {
        let counted = self.unpin(writable);
        debug_assert!(counted, "a view counted out that was never counted in");
    }
    fn damage_word(&self) -> Option<&'static shmkit::AtomicU32> {
        self.damage_word()
    }
}

/// One count in the core's word of live views, given back on drop.
pub struct Pin<'a, B: Bytes> {
    bytes: &'a B,
    start: NonNull<u8>,
    writable: bool,
}

impl<'a, B: Bytes> Pin<'a, B> {
    /// Keeps a range in place, or fails as the operation would.
    #[inline]
    pub fn new(
        bytes: &'a B,
        offset: usize,
        len: usize,
        writable: bool,
        operation: &'static str,
    ) -> Result<Pin<'a, B>> {
        match bytes.pin(offset, len, writable) {
            Ok(start) => Ok(Pin { bytes, start, writable }),
            Err(error) => Err(error.about(operation, bytes.object()).into()),
        }
    }
}

impl<B: Bytes> Drop for Pin<'_, B> {
    #[inline]
    fn drop(&mut self) {
        self.bytes.unpin(self.writable);
    }
}

/// Fills a buffer request with a range, and counts it in. `BufferError` when it asks to write what is not writable.
///
/// # Safety
/// `view` is null or points to a `Py_buffer` that Python wants filled; `owner` keeps `bytes` alive.
pub unsafe fn fill_buffer<B: Bytes>(
    bytes: &B,
    (offset, len): (usize, usize),
    writable: bool,
    owner: Bound<'_, PyAny>,
    view: *mut ffi::Py_buffer,
    flags: c_int,
) -> Result<()> {
    if view.is_null() {
        return Err(PyBufferError::new_err("no buffer to fill").into());
    }
    // SAFETY: not null, so the caller's promise holds. A failed request must leave the object empty.
    unsafe { (*view).obj = std::ptr::null_mut() };
    // What the view shows is touched without a look at the guard: it must be in front by then.
    shmkit::rearm_fault_guard();
    let start = bytes.pin(offset, len, writable)?;
    // SAFETY: `start` is the first of `len` mapped bytes that the pin keeps in place; `len` fits, being an address
    // range.
    let status = unsafe {
        ffi::PyBuffer_FillInfo(
            view,
            owner.as_ptr(),
            start.as_ptr().cast(),
            len as ffi::Py_ssize_t,
            c_int::from(!writable),
            flags,
        )
    };
    if status != 0 {
        bytes.unpin(writable);
        return Err(PyErr::fetch(owner.py()).into());
    }
    Ok(())
}

/// Counts out what [`fill_buffer`] counted in.
///
/// # Safety
/// `view` was filled by [`fill_buffer`] for `bytes`, and is released once.
pub unsafe fn release_buffer<B: Bytes>(bytes: &B, view: *mut ffi::Py_buffer) {
    // SAFETY: the caller's promise; `readonly` is as we filled it.
    bytes.unpin(unsafe { (*view).readonly } == 0);
}

/// `object.read_at(offset, len)`: a copy.
pub fn read_at<'py, B: Bytes>(
    bytes: &B,
    offset: &Bound<'py, PyAny>,
    len: &Bound<'py, PyAny>,
) -> Result<Bound<'py, PyBytes>> {
    let object = bytes.object();
    let place = Place { operation: B::READ, object: &object };
    let start = natural(offset, ErrorKind::OutOfRange, place)?;
    let len = natural(len, ErrorKind::OutOfRange, place)?;
    copy_out(offset.py(), bytes, start, len)
}

/// `object.write_at(offset, data)`, where data is any object with contiguous bytes.
pub fn write_at<B: Bytes>(bytes: &B, offset: &Bound<'_, PyAny>, data: &Bound<'_, PyAny>) -> Result<()> {
    let object = bytes.object();
    let start = natural(offset, ErrorKind::OutOfRange, Place { operation: B::WRITE, object: &object })?;
    copy_in(bytes, start, None, data)
}

/// `object[key]`: an integer for an index, `bytes` for a slice.
pub fn get_item<'py, B: Bytes>(bytes: &B, key: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>> {
    let py = key.py();
    let Ok(slice) = key.cast::<PySlice>() else {
        let mut byte = [0];
        bytes.read_at(index(bytes, key, B::READ)?, &mut byte)?;
        return Ok(byte[0].into_pyobject(py).map(Bound::into_any).map_err(PyErr::from)?);
    };
    let part = slice.indices(bytes.len() as isize)?;
    if part.step == 1 {
        return Ok(copy_out(py, bytes, part.start as usize, part.slicelength)?.into_any());
    }
    let mut gathered = vec![0; part.slicelength];
    for (at, byte) in positions(part.start, part.step).zip(gathered.chunks_mut(1)) {
        bytes.read_at(at, byte)?;
    }
    Ok(PyBytes::new(py, &gathered).into_any())
}

/// `object[key] = value`: a byte for an index, contiguous bytes of the same length for a slice.
pub fn set_item<B: Bytes>(bytes: &B, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> Result<()> {
    let object = bytes.object();
    let place = Place { operation: B::WRITE, object: &object };
    let Ok(slice) = key.cast::<PySlice>() else {
        let at = index(bytes, key, B::WRITE)?;
        let value = natural(value, ErrorKind::InvalidArgument, place)?;
        let byte = u8::try_from(value)
            .map_err(|_| place.error(ErrorKind::InvalidArgument, format!("{value} is not a byte")))?;
        return Ok(bytes.write_at(at, &[byte])?);
    };
    let part = slice.indices(bytes.len() as isize)?;
    if part.step == 1 {
        return copy_in(bytes, part.start as usize, Some(part.slicelength), value);
    }
    // Copied first: the value may be a view of the bytes that are about to change.
    let data = copy_of(value)?;
    let data = data.as_bytes();
    expect_len(data.len(), part.slicelength, place)?;
    for (at, byte) in positions(part.start, part.step).zip(data.chunks(1)) {
        bytes.write_at(at, byte)?;
    }
    Ok(())
}

/// A copy of an object's contiguous bytes, which nobody changes.
pub fn copy_of<'py>(value: &Bound<'py, PyAny>) -> Result<Bound<'py, PyBytes>> {
    with_contiguous(value, |source, len| {
        // SAFETY: `source` has `len` bytes, which the buffer that Python holds for us keeps.
        unsafe { PyBytes::from_ptr(value.py(), source, len) }
    })
}

/// The bytes that a slice with a step names.
fn positions(start: isize, step: isize) -> impl Iterator<Item = usize> {
    (0..).map(move |count: isize| (start + count * step) as usize)
}

fn expect_len(len: usize, wanted: usize, place: Place<'_>) -> Result<()> {
    if len == wanted {
        return Ok(());
    }
    Err(place.error(ErrorKind::InvalidLength, format!("{len} bytes for a slice of {wanted}")))
}

/// The offset that an index names; negative ones count from the end.
#[inline]
fn index<B: Bytes>(bytes: &B, key: &Bound<'_, PyAny>, operation: &'static str) -> Result<usize> {
    let len = bytes.len();
    let outside = || {
        Place { operation, object: &bytes.object() }
            .error(ErrorKind::OutOfRange, format!("index {key} of {len} bytes"))
    };
    let index = if key.is_exact_instance_of::<PyInt>() {
        // SAFETY: an int. The call is several times faster than a conversion that allows for other types.
        let index = unsafe { ffi::PyLong_AsSsize_t(key.as_ptr()) };
        if index == -1 && PyErr::take(key.py()).is_some() {
            return Err(outside());
        }
        index
    } else {
        key.extract::<isize>().map_err(|error| match error {
            error if error.is_instance_of::<PyOverflowError>(key.py()) => outside(),
            error if error.is_instance_of::<PyTypeError>(key.py()) => {
                PyTypeError::new_err("an index is an integer or a slice").into()
            }
            error => error.into(),
        })?
    };
    let at = if index < 0 { index + len as isize } else { index };
    if (0..len as isize).contains(&at) { Ok(at as usize) } else { Err(outside()) }
}

fn copy_out<'py, B: Bytes>(
    py: Python<'py>,
    bytes: &B,
    offset: usize,
    len: usize,
) -> Result<Bound<'py, PyBytes>> {
    let pin = Pin::new(bytes, offset, len, false, B::READ)?;
    // SAFETY: the pin keeps `len` readable bytes at `start`; C copies them, so a writer can tear them and no more.
    let copy = unsafe { PyBytes::from_ptr(py, pin.start.as_ptr(), len) };
    expect_undamaged(bytes, B::READ)?;
    Ok(copy)
}

/// Fails when the bytes that were just copied may have been a page that the file has lost.
#[inline]
fn expect_undamaged<B: Bytes>(bytes: &B, operation: &'static str) -> Result<()> {
    fence(Ordering::Acquire);
    match bytes.damage_word() {
        // The core has the words for it.
        Some(word) if word.load(Ordering::Relaxed) != 0 => {
            Ok(bytes.read_at(0, &mut []).map_err(|error| error.about(operation, bytes.object()))?)
        }
        _ => Ok(()),
    }
}

/// Copies a whole object in; with `wanted`, only if it has that many bytes.
fn copy_in<B: Bytes>(bytes: &B, offset: usize, wanted: Option<usize>, data: &Bound<'_, PyAny>) -> Result<()> {
    with_contiguous(data, |source, len| {
        if let Some(wanted) = wanted {
            expect_len(len, wanted, Place { operation: B::WRITE, object: &bytes.object() })?;
        }
        let pin = Pin::new(bytes, offset, len, true, B::WRITE)?;
        // SAFETY: the pin keeps `len` writable bytes, the buffer `len` readable ones; they may overlap.
        unsafe { source.copy_to(pin.start.as_ptr(), len) };
        expect_undamaged(bytes, B::WRITE)
    })?
}

/// Runs `action` on address and length of an object's bytes, which stay in place meanwhile. `TypeError` for an object
/// that has none, `BufferError` when they are not contiguous.
pub fn with_contiguous<T>(
    object: &Bound<'_, PyAny>,
    action: impl FnOnce(*const u8, usize) -> T,
) -> Result<T> {
    struct Held(MaybeUninit<ffi::Py_buffer>);
    impl Drop for Held {
        fn drop(&mut self) {
            // SAFETY: made only of a buffer that was filled; the interpreter is attached where `object` is.
            unsafe { ffi::PyBuffer_Release(self.0.as_mut_ptr()) };
        }
    }
    let mut view = MaybeUninit::<ffi::Py_buffer>::uninit();
    // SAFETY: room for a `Py_buffer`; the call fills it or fails.
    if unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), view.as_mut_ptr(), ffi::PyBUF_SIMPLE) } != 0 {
        return Err(PyErr::fetch(object.py()).into());
    }
    let held = Held(view);
    // SAFETY: filled above.
    let filled = unsafe { held.0.assume_init_ref() };
    Ok(action(filled.buf.cast(), filled.len as usize))
}
