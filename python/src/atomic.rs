//! `shmkit.Atomic`.

use std::sync::Arc;

use pyo3::exceptions::PyOverflowError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use shmkit::{Error, ErrorKind, Region};

use crate::arguments::{Place, choose, limit};
use crate::error::{Failure, Result};
use crate::object::{Named, Origin, address};
use crate::waiting;

const WAIT: &str = "wait for atomic";

/// An integer that processes change together and can wait for, from `Region.atomic`. All operations are sequentially
/// consistent.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct Atomic {
    number: Number,
}

enum Number {
    U32(Named<shmkit::Atomic<u32>>),
    U64(Named<shmkit::Atomic<u64>>),
    I64(Named<shmkit::Atomic<i64>>),
}

/// An expression on the number, with `$type` for its type.
macro_rules! on {
    ($number:expr, |$object:ident, $type:ident| $body:expr) => {
        match $number {
            Number::U32($object) => {
                type $type = u32;
                $body
            }
            Number::U64($object) => {
                type $type = u64;
                $body
            }
            Number::I64($object) => {
                type $type = i64;
                $body
            }
        }
    };
}

/// An argument as a number of type `$type`.
macro_rules! number {
    ($value:expr, $type:ty, $operation:expr, $object:expr) => {
        $value
            .extract::<$type>()
            .map_err(|error| unfit($value, error, stringify!($type), $operation, &$object.label()))
    };
}

impl Atomic {
    /// The atomic of this name; `kind` is the integer type.
    pub fn open(
        region: &Region,
        origin: &Arc<Origin>,
        name: &str,
        kind: &str,
        initial: &Bound<'_, PyAny>,
    ) -> Result<Atomic> {
        let py = initial.py();
        let label = format!("{}:{name}", origin.region);
        let place = Place { operation: "open atomic", object: &label };
        let unfit = |error| unfit(initial, error, kind, place.operation, &label);
        let number = match choose("type", kind, &[("u32", 0), ("u64", 1), ("i64", 2)], place)? {
            0 => {
                let initial = initial.extract().map_err(unfit)?;
                Number::U32(Named::new(py.detach(|| region.atomic_u32(name, initial))?, origin))
            }
            1 => {
                let initial = initial.extract().map_err(unfit)?;
                Number::U64(Named::new(py.detach(|| region.atomic_u64(name, initial))?, origin))
            }
            _ => {
                let initial = initial.extract().map_err(unfit)?;
                Number::I64(Named::new(py.detach(|| region.atomic_i64(name, initial))?, origin))
            }
        };
        Ok(Atomic { number })
    }
}

/// The error for an argument that is no integer of the type.
#[cold]
fn unfit(
    value: &Bound<'_, PyAny>,
    error: PyErr,
    kind: &str,
    operation: &'static str,
    label: &str,
) -> Failure {
    if !error.is_instance_of::<PyOverflowError>(value.py()) {
        return error.into();
    }
    let text = format!("{value} does not fit into {kind}");
    Error::new(ErrorKind::InvalidArgument, operation, label).with_detail(text).into()
}

#[pymethods]
impl Atomic {
    /// The value now. Raises ClosedError.
    fn load<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>> {
        on!(&self.number, |object, T| {
            object.expect_open("load atomic")?;
            let value: T = object.core.load();
            Ok(value.into_pyobject(py).map(Bound::into_any).map_err(PyErr::from)?)
        })
    }

    /// Replaces the value. Raises InvalidArgumentError, also a ValueError, for what does not fit; ClosedError.
    fn store(&self, value: &Bound<'_, PyAny>) -> Result<()> {
        let operation = "store atomic";
        on!(&self.number, |object, T| {
            object.expect_open(operation)?;
            object.core.store(number!(value, T, operation, object)?);
            Ok(())
        })
    }

    /// Replaces the value and returns the old one.
    fn swap<'py>(&self, value: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>> {
        let operation = "swap atomic";
        on!(&self.number, |object, T| {
            object.expect_open(operation)?;
            let old = object.core.swap(number!(value, T, operation, object)?);
            Ok(old.into_pyobject(value.py()).map(Bound::into_any).map_err(PyErr::from)?)
        })
    }

    /// Adds, wrapping around at the type's limit, and returns the old value. A negative number subtracts, also from an
    /// unsigned one.
    #[pyo3(signature = (more=None), text_signature = "($self, more=1)")]
    fn add<'py>(&self, py: Python<'py>, more: Option<&Bound<'py, PyAny>>) -> Result<Bound<'py, PyAny>> {
        let operation = "add to atomic";
        on!(&self.number, |object, T| {
            object.expect_open(operation)?;
            let more = match more {
                None => 1,
                Some(more) => match more.extract::<i64>() {
                    // Modulo the type's range, as the sum is.
                    Ok(negative) if negative < 0 => negative as T,
                    _ => number!(more, T, operation, object)?,
                },
            };
            let old = object.core.add(more);
            Ok(old.into_pyobject(py).map(Bound::into_any).map_err(PyErr::from)?)
        })
    }

    /// Replaces the value by `new` if it is `current`. Returns whether it did, and the value before.
    fn compare_exchange<'py>(
        &self,
        py: Python<'py>,
        current: &Bound<'py, PyAny>,
        new: &Bound<'py, PyAny>,
    ) -> Result<(bool, Bound<'py, PyAny>)> {
        let operation = "exchange atomic";
        on!(&self.number, |object, T| {
            object.expect_open(operation)?;
            let current = number!(current, T, operation, object)?;
            let swapped = object.core.compare_exchange(current, number!(new, T, operation, object)?);
            let (Ok(old) | Err(old)) = swapped;
            let old = old.into_pyobject(py).map(Bound::into_any).map_err(PyErr::from)?;
            Ok((swapped.is_ok(), old))
        })
    }

    /// Sleeps while the value is `value`. Returns False when `timeout` seconds pass (None: none do).
    ///
    /// Who changes it calls `notify_one` or `notify_all` after; a change without is noticed within 16 ms. Raises
    /// ClosedError.
    #[pyo3(signature = (value, timeout=None))]
    fn wait(&self, value: &Bound<'_, PyAny>, timeout: Option<f64>) -> Result<bool> {
        on!(&self.number, |object, T| {
            object.expect_open(WAIT)?;
            let (core, value, py) = (&object.core, number!(value, T, WAIT, object)?, value.py());
            if core.load() != value {
                return Ok(true);
            }
            let limit = match timeout {
                None => None,
                given => limit(given, Place { operation: WAIT, object: &object.label() })?,
            };
            let is_closed = || core.is_closed();
            Ok(waiting::wait(py, limit, &is_closed, |wait| core.wait(value, wait), drop)?.is_some())
        })
    }

    /// Wakes one waiter, after a change. Raises ClosedError.
    fn notify_one(&self) -> Result<()> {
        on!(&self.number, |object, T| {
            object.expect_open("notify atomic")?;
            shmkit::Atomic::<T>::notify_one(&object.core);
            Ok(())
        })
    }

    /// Wakes all waiters, after a change. Raises ClosedError.
    fn notify_all(&self) -> Result<()> {
        on!(&self.number, |object, T| {
            object.expect_open("notify atomic")?;
            shmkit::Atomic::<T>::notify_all(&object.core);
            Ok(())
        })
    }

    /// The integer type: "u32", "u64" or "i64".
    #[getter]
    fn r#type(&self) -> &'static str {
        match self.number {
            Number::U32(_) => "u32",
            Number::U64(_) => "u64",
            Number::I64(_) => "i64",
        }
    }

    /// Ends the use of this handle; repeating it does nothing. A thread that waits gets ClosedError.
    fn close(&self) -> Result<()> {
        on!(&self.number, |object, T| Ok(shmkit::Atomic::<T>::close(&object.core)?))
    }

    /// The name in its region.
    #[getter]
    fn name(&self) -> &str {
        on!(&self.number, |object, T| shmkit::Atomic::<T>::name(&object.core))
    }

    /// Whether this handle was closed.
    #[getter]
    fn closed(&self) -> bool {
        on!(&self.number, |object, T| shmkit::Atomic::<T>::is_closed(&object.core))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> Result<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let options = PyDict::new(py);
        options.set_item(intern!(py, "type"), self.r#type())?;
        on!(&self.number, |object, _T| object.reduce(py, "atomic", options))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        let this = slf.get();
        on!(&this.number, |object, T| {
            let state = if this.closed() {
                "closed".to_owned()
            } else {
                let value: T = object.core.load();
                format!("{}={value}", this.r#type())
            };
            format!("<shmkit.Atomic at {} {}: {state}>", address(slf), object.place())
        })
    }
}
