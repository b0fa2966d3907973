//! `shmkit.CodeMemory`.

use std::sync::Arc;

use pyo3::exceptions::PyOverflowError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use shmkit::{CodeOptions, ErrorKind};

use crate::arguments::{self, Place};
use crate::bytes;
use crate::error::{Result, on_exit};

/// Memory that machine code is written to, sealed, and then called; nothing in it can be written and executed at once.
///
/// With `patchable` the memory is mapped twice, once for writing and once for executing, so that code can be changed while it
/// is in use. `allow_wx` asks by name for pages that allow both at one address. What the code does is not checked: wrong code
/// ends the process.
///
/// Raises InvalidLengthError, InvalidArgumentError, PermissionDeniedError (the system forbids such pages), OutOfMemoryError.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct CodeMemory {
    core: Arc<shmkit::CodeMemory>,
}

#[pymethods]
impl CodeMemory {
    #[new]
    #[pyo3(signature = (len, *, patchable=false, allow_wx=false))]
    fn new(len: &Bound<'_, PyAny>, patchable: bool, allow_wx: bool) -> Result<CodeMemory> {
        let place = Place { operation: "map code", object: "" };
        let len = arguments::natural(len, ErrorKind::InvalidLength, place)?;
        let core = CodeOptions::new().patchable(patchable).allow_wx(allow_wx).create(len)?;
        Ok(CodeMemory { core: Arc::new(core) })
    }

    /// Copies code in. Raises OutOfRangeError, ReadOnlyError (sealed), ClosedError.
    fn write_at(&self, offset: &Bound<'_, PyAny>, code: &Bound<'_, PyAny>) -> Result<()> {
        let place = Place { operation: "write code", object: "" };
        let offset = arguments::natural(offset, ErrorKind::OutOfRange, place)?;
        let code = bytes::copy_of(code)?;
        Ok(self.core.write_at(offset, code.as_bytes())?)
    }

    /// A copy of `len` bytes at `offset`. Raises OutOfRangeError, ClosedError.
    fn read_at<'py>(
        &self,
        py: Python<'py>,
        offset: &Bound<'py, PyAny>,
        len: &Bound<'py, PyAny>,
    ) -> Result<Bound<'py, PyBytes>> {
        let place = Place { operation: "read code", object: "" };
        let offset = arguments::natural(offset, ErrorKind::OutOfRange, place)?;
        let len = arguments::natural(len, ErrorKind::OutOfRange, place)?;
        // Before memory for a copy is asked for: the length may be absurd.
        if offset.saturating_add(len) > self.core.len() {
            let text = format!("{len} bytes at offset {offset} of {}", self.core.len());
            return Err(place.error(ErrorKind::OutOfRange, text));
        }
        let mut copy = vec![0; len];
        self.core.read_at(offset, &mut copy)?;
        Ok(PyBytes::new(py, &copy))
    }

    /// Ends writing for ever: from here on the code can be run. Repeating it does nothing.
    ///
    /// Raises ClosedError, PermissionDeniedError (the system forbids to execute what was written).
    fn seal(&self, py: Python<'_>) -> Result<()> {
        Ok(py.detach(|| self.core.seal())?)
    }

    /// Calls the code at `offset` with up to six integers of 64 bits, and returns one without a sign. The interpreter's lock
    /// is released meanwhile.
    ///
    /// Raises InvalidArgumentError (too many integers, or too large), OutOfRangeError, ClosedError, PermissionDeniedError (not
    /// sealed yet).
    #[pyo3(signature = (*arguments, offset=None), text_signature = "($self, *arguments, offset=0)")]
    fn call(
        &self,
        py: Python<'_>,
        arguments: &Bound<'_, PyTuple>,
        offset: Option<&Bound<'_, PyAny>>,
    ) -> Result<u64> {
        let place = Place { operation: "call code", object: "" };
        let offset =
            offset.map_or(Ok(0), |offset| arguments::natural(offset, ErrorKind::OutOfRange, place))?;
        let integers: Result<Vec<u64>> = arguments.iter().map(|value| integer(&value, place)).collect();
        let integers = integers?;
        // SAFETY: what the code does is the caller's responsibility, as the class says.
        Ok(py.detach(|| unsafe { self.core.call(offset, &integers) })?)
    }

    /// The code at `offset` as a function of ctypes with this result and these arguments. Until it is forgotten, the memory
    /// cannot be closed.
    ///
    /// Raises OutOfRangeError, ClosedError, PermissionDeniedError (not sealed yet).
    #[pyo3(
        signature = (restype, *argtypes, offset=None),
        text_signature = "($self, restype, *argtypes, offset=0)"
    )]
    fn function<'py>(
        &self,
        py: Python<'py>,
        restype: &Bound<'py, PyAny>,
        argtypes: &Bound<'py, PyTuple>,
        offset: Option<&Bound<'py, PyAny>>,
    ) -> Result<Bound<'py, PyAny>> {
        let place = Place { operation: "take code", object: "" };
        let offset =
            offset.map_or(Ok(0), |offset| arguments::natural(offset, ErrorKind::OutOfRange, place))?;
        let in_use = InUse::new(&self.core, offset)?;
        let make = py.import(intern!(py, "shmkit._code"))?.getattr(intern!(py, "function"))?;
        Ok(make.call1((in_use.address, Py::new(py, in_use)?, restype, argtypes))?)
    }

    /// The address of the code at `offset`. It is not counted as a use: after `close` it leads to no code.
    ///
    /// Raises OutOfRangeError, ClosedError, PermissionDeniedError (not sealed yet).
    #[pyo3(signature = (offset=None), text_signature = "($self, offset=0)")]
    fn address(&self, offset: Option<&Bound<'_, PyAny>>) -> Result<usize> {
        let place = Place { operation: "take code", object: "" };
        let offset =
            offset.map_or(Ok(0), |offset| arguments::natural(offset, ErrorKind::OutOfRange, place))?;
        Ok(InUse::new(&self.core, offset)?.address)
    }

    /// Gives the memory back; repeating it does nothing. Raises BusyError while a function lives or runs.
    fn close(&self) -> Result<()> {
        Ok(self.core.close()?)
    }

    /// Whether it was sealed: it cannot be written any more.
    #[getter]
    fn sealed(&self) -> bool {
        self.core.is_sealed()
    }

    /// Whether it can be called now.
    #[getter]
    fn executable(&self) -> bool {
        self.core.is_executable()
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.core.is_closed()
    }

    /// Number of bytes.
    #[getter]
    fn nbytes(&self) -> usize {
        self.core.len()
    }

    fn __len__(&self) -> usize {
        self.core.len()
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

    fn __repr__(&self) -> String {
        let state = match () {
            () if self.closed() => "closed",
            () if self.sealed() => "sealed",
            () => "not sealed",
        };
        format!("<shmkit.CodeMemory, {} bytes, {state}>", self.core.len())
    }
}

/// An integer of 64 bits; a negative one as its two's complement.
fn integer(value: &Bound<'_, PyAny>, place: Place<'_>) -> Result<u64> {
    value.extract::<u64>().or_else(|_| value.extract::<i64>().map(|value| value as u64)).map_err(|error| {
        if error.is_instance_of::<PyOverflowError>(value.py()) {
            place.error(ErrorKind::InvalidArgument, format!("{value} has more than 64 bits"))
        } else {
            error.into()
        }
    })
}

/// One counted use of code, for as long as this lives.
#[pyclass(frozen)]
struct InUse {
    core: Arc<shmkit::CodeMemory>,
    address: usize,
}

impl InUse {
    fn new(core: &Arc<shmkit::CodeMemory>, offset: usize) -> Result<InUse> {
        let address = core.pin(offset)?.as_ptr().expose_provenance();
        Ok(InUse { core: Arc::clone(core), address })
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.core.unpin();
    }
}
