//! `shmkit.Value`.

use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::error::{Result, on_exit};
use crate::object::{Named, Origin, address};
use crate::scalar::{self, Scalar};

/// A number or a small struct that processes read and write whole, from `Region.value`: no reader sees a half of one write and
/// a half of another, and a writer that is killed leaves the value as it was. `with` closes the handle at its end.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct Value {
    object: Named<shmkit::ValueBytes>,
    /// What makes objects of bytes and bytes of objects.
    codec: Py<PyAny>,
    /// In place of the codec, where it is one number.
    scalar: Option<Scalar>,
    /// What it was opened with.
    format: Py<PyAny>,
}

impl Value {
    /// The value of this name; `format` is what users give, `codec` what it stands for.
    pub fn open(
        py: Python<'_>,
        region: &shmkit::Region,
        origin: &Arc<Origin>,
        name: &str,
        format: Bound<'_, PyAny>,
        initial: Option<Bound<'_, PyAny>>,
    ) -> Result<Value> {
        let module = py.import(intern!(py, "shmkit._value"))?;
        let (format, text, size): (Bound<'_, PyAny>, Option<String>, usize) =
            module.getattr(intern!(py, "describe"))?.call1((format,))?.extract()?;
        let codec_of = |text: &str, size: usize| {
            module.getattr(intern!(py, "codec"))?.call1((&format, text, size)).map(Bound::unbind)
        };
        let size = match &text {
            Some(text) => region.value_size(name, size, text)?,
            None => size,
        };
        let encoded = match initial {
            None => Vec::new(),
            Some(initial) => {
                let codec = codec_of("", size)?;
                let bytes = codec.bind(py).call_method1(intern!(py, "encode"), (initial,))?;
                bytes.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes().to_vec()
            }
        };
        let core = py.detach(|| region.value_bytes(name, size, text.as_deref(), &encoded))?;
        let codec = codec_of(core.format(), core.size())?;
        let scalar = Scalar::of(codec.bind(py).getattr(intern!(py, "scalar"))?.extract()?);
        Ok(Value { object: Named::new(core, origin), codec, scalar, format: format.unbind() })
    }

    fn load_value<'py>(&self, py: Python<'py>) -> Result<(Bound<'py, PyAny>, u64)> {
        if let Some(scalar) = self.scalar {
            let mut bytes = scalar::Bytes::default();
            let core = &self.object.core;
            let version = core.load(bytes.get_mut(..core.size()).unwrap_or_default())?;
            return Ok((scalar.decode(py, &bytes)?, version));
        }
        let (bytes, version) = self.load_bytes(py)?;
        Ok((self.decode(bytes)?, version))
    }

    /// Hands the bytes of `value` to `store`.
    fn with_bytes<R>(
        &self,
        value: &Bound<'_, PyAny>,
        store: impl FnOnce(&[u8]) -> shmkit::Result<R>,
    ) -> Result<R> {
        if let Some(bytes) = self.scalar.and_then(|scalar| scalar.encode(value)) {
            return Ok(store(bytes.get(..self.object.core.size()).unwrap_or_default())?);
        }
        Ok(store(&self.encode(value)?)?)
    }

    fn load_bytes<'py>(&self, py: Python<'py>) -> Result<(Bound<'py, PyBytes>, u64)> {
        let core = &self.object.core;
        let mut bytes = vec![0; core.size()];
        let version = core.load(&mut bytes)?;
        Ok((PyBytes::new(py, &bytes), version))
    }

    fn decode<'py>(&self, bytes: Bound<'py, PyBytes>) -> Result<Bound<'py, PyAny>> {
        let py = bytes.py();
        Ok(self.codec.bind(py).call_method1(intern!(py, "decode"), (bytes,))?)
    }

    fn encode(&self, value: &Bound<'_, PyAny>) -> Result<Vec<u8>> {
        let py = value.py();
        let bytes = self.codec.bind(py).call_method1(intern!(py, "encode"), (value,))?;
        Ok(bytes.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes().to_vec())
    }
}

#[pymethods]
impl Value {
    /// The value, as it was at one moment: a number, a tuple, or what the numpy dtype or ctypes type makes of it. Waits for
    /// nobody. Raises ClosedError.
    fn load<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>> {
        Ok(self.load_value(py)?.0)
    }

    /// Replaces the value. Raises ClosedError; struct.error, TypeError or ValueError for what the format cannot hold;
    /// TimeoutError when, of a value of more than 8 bytes, another writer has been stopped in the middle for 10 s.
    fn store(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> Result<()> {
        let core = &self.object.core;
        // Python's lock is given up only for a wait.
        self.with_bytes(value, |bytes| match core.try_store(bytes)? {
            true => Ok(()),
            false => py.detach(|| core.store(bytes)),
        })
    }

    /// Replaces the value by what `change` returns for it, and returns that. `change` is called again when another writer was
    /// faster. Raises as `store` does, and what `change` raises.
    fn update<'py>(&self, change: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>> {
        let py = change.py();
        loop {
            let (before, version) = self.load_value(py)?;
            let after = change.call1((before,))?;
            let core = &self.object.core;
            let stored = self.with_bytes(&after, |bytes| match core.is_one_word() {
                true => core.store_if(version, bytes),
                false => py.detach(|| core.store_if(version, bytes)),
            })?;
            if stored {
                return Ok(after);
            }
        }
    }

    /// What it is made of, as the struct module writes it, in the form that all languages share; empty when nobody said.
    #[getter]
    fn format(&self) -> &str {
        self.object.core.format()
    }

    /// Number of bytes.
    #[getter]
    fn nbytes(&self) -> usize {
        self.object.core.size()
    }

    /// Ends the use of this handle; repeating it does nothing.
    fn close(&self) -> Result<()> {
        Ok(self.object.core.close()?)
    }

    /// The name in its region.
    #[getter]
    fn name(&self) -> &str {
        self.object.core.name()
    }

    /// Whether this handle was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.object.core.is_closed()
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Closes the handle. What the body raised goes on.
    fn __exit__(
        &self,
        exc_type: &Bound<'_, PyAny>,
        _exc_value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> Result<()> {
        on_exit(exc_type, self.close())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> Result<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let options = PyDict::new(py);
        options.set_item(intern!(py, "format"), &self.format)?;
        self.object.reduce(py, "value", options)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        let this = slf.get();
        let value = this.load(slf.py()).ok().and_then(|value| value.repr().ok());
        let state = value.map_or_else(|| "closed".to_owned(), |value| value.to_string());
        format!("<shmkit.Value at {} {}: {state}>", address(slf), this.object.place())
    }
}
