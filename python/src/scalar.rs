//! A value that is one number, without the way through Python's struct module.
//!
//! What is not simply such a number is left to that module, which converts it or raises what it raises.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt};

/// A number as the struct module calls it.
#[derive(Clone, Copy)]
pub struct Scalar(u8);

/// The bytes of a number, of which the first so many count.
pub type Bytes = [u8; 8];

impl Scalar {
    /// `None` for what is no number, or one of a form that Rust does not know.
    pub fn of(code: &str) -> Option<Scalar> {
        match code.as_bytes() {
            &[code] if b"bBhHiIqQfd?".contains(&code) => Some(Scalar(code)),
            _ => None,
        }
    }

    pub fn decode<'py>(self, py: Python<'py>, bytes: &Bytes) -> PyResult<Bound<'py, PyAny>> {
        let [a, b, c, d, ..] = *bytes;
        Ok(match self.0 {
            b'b' => i8::from_ne_bytes([a]).into_pyobject(py)?.into_any(),
            b'B' => a.into_pyobject(py)?.into_any(),
            b'h' => i16::from_ne_bytes([a, b]).into_pyobject(py)?.into_any(),
            b'H' => u16::from_ne_bytes([a, b]).into_pyobject(py)?.into_any(),
            b'i' => i32::from_ne_bytes([a, b, c, d]).into_pyobject(py)?.into_any(),
            b'I' => u32::from_ne_bytes([a, b, c, d]).into_pyobject(py)?.into_any(),
            b'q' => i64::from_ne_bytes(*bytes).into_pyobject(py)?.into_any(),
            b'Q' => u64::from_ne_bytes(*bytes).into_pyobject(py)?.into_any(),
            b'f' => PyFloat::new(py, f32::from_ne_bytes([a, b, c, d]).into()).into_any(),
            b'd' => PyFloat::new(py, f64::from_ne_bytes(*bytes)).into_any(),
            _ => PyBool::new(py, a != 0).to_owned().into_any(),
        })
    }

    /// `None` for what is left to the struct module.
    pub fn encode(self, value: &Bound<'_, PyAny>) -> Option<Bytes> {
        let mut bytes = [0; 8];
        let mut put = |from: &[u8]| bytes[..from.len()].copy_from_slice(from);
        match self.0 {
            b'd' => put(&float(value)?.to_ne_bytes()),
            b'f' => {
                let (wide, narrow) = (float(value)?, float(value)? as f32);
                if wide.is_finite() && narrow.is_infinite() {
                    return None;
                }
                put(&narrow.to_ne_bytes());
            }
            b'?' => put(&[u8::from(value.cast_exact::<PyBool>().ok()?.is_true())]),
            b'b' => put(&int::<i8>(value)?.to_ne_bytes()),
            b'B' => put(&int::<u8>(value)?.to_ne_bytes()),
            b'h' => put(&int::<i16>(value)?.to_ne_bytes()),
            b'H' => put(&int::<u16>(value)?.to_ne_bytes()),
            b'i' => put(&int::<i32>(value)?.to_ne_bytes()),
            b'I' => put(&int::<u32>(value)?.to_ne_bytes()),
            b'q' => put(&int::<i64>(value)?.to_ne_bytes()),
            _ => put(&int::<u64>(value)?.to_ne_bytes()),
        }
        Some(bytes)
    }
}

fn float(value: &Bound<'_, PyAny>) -> Option<f64> {
    value.cast_exact::<PyFloat>().ok().map(|value| value.value())
}

fn int<'py, T>(value: &Bound<'py, PyAny>) -> Option<T>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    value.cast_exact::<PyInt>().ok()?.extract().ok()
}
