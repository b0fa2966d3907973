//! The methods that every class of bytes has: copies, views, arrays and items. What they do is in `bytes` and `view`.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView};

use crate::block::{Block, Holding};
use crate::bytes::{self, Bytes};
use crate::error::Result;
use crate::mapping::Mapping;
use crate::pool_block::{PoolBlock, Tenure};
use crate::region::Region;
use crate::view::{self, Source};

/// A class that shows bytes.
trait Shown: Sized {
    type Bytes: Bytes;
    fn shown(&self) -> &Self::Bytes;
    /// Where a view gets them from.
    fn source(slf: &Bound<'_, Self>) -> Source;
}

/// Of a class that shares what holds the bytes with its views.
macro_rules! shared {
    ($class:ident, $field:ident, $bytes:ty) => {
        impl Shown for $class {
            type Bytes = $bytes;
            fn shown(&self) -> &$bytes {
                &self.$field
            }
            fn source(slf: &Bound<'_, Self>) -> Source {
                Source::$class(Arc::clone(&slf.get().$field))
            }
        }
    };
}

shared!(Region, core, shmkit::Region);
shared!(Mapping, core, shmkit::Mapping);
shared!(Block, holding, Holding);

/// A view keeps the object itself.
impl Shown for PoolBlock {
    type Bytes = Tenure;
    fn shown(&self) -> &Tenure {
        &self.tenure
    }
    fn source(slf: &Bound<'_, Self>) -> Source {
        Source::PoolBlock(slf.clone().unbind())
    }
}

/// `errors` is what every method raises besides OutOfRangeError, and `keeps` what a view means for its owner.
macro_rules! byte_methods {
    ($class:ty, $errors:literal, $keeps:literal) => {
        #[pymethods]
        impl $class {
            #[doc = concat!("A copy of `len` bytes at `offset`. Raises OutOfRangeError, ", $errors, ".")]
            fn read_at<'py>(
                &self,
                offset: &Bound<'py, PyAny>,
                len: &Bound<'py, PyAny>,
            ) -> Result<Bound<'py, PyBytes>> {
                bytes::read_at(Shown::shown(self), offset, len)
            }

            #[doc = concat!(
                "Copies any contiguous bytes to `offset`: all or nothing. Raises OutOfRangeError, ReadOnlyError, ",
                $errors,
                "."
            )]
            fn write_at(&self, offset: &Bound<'_, PyAny>, data: &Bound<'_, PyAny>) -> Result<()> {
                bytes::write_at(Shown::shown(self), offset, data)
            }

            #[doc = concat!(
                "A memoryview of a range, without a copy. `writable` of None: as the bytes allow. ",
                $keeps,
                " Raises OutOfRangeError, ReadOnlyError, ",
                $errors,
                "."
            )]
            #[pyo3(signature = (offset=None, len=None, *, writable=None), text_signature = "($self, offset=0, len=None, *, writable=None)")]
            fn view<'py>(
                slf: &Bound<'py, Self>,
                offset: Option<&Bound<'py, PyAny>>,
                len: Option<&Bound<'py, PyAny>>,
                writable: Option<bool>,
            ) -> Result<Bound<'py, PyMemoryView>> {
                view::memoryview(slf.py(), Shown::source(slf), offset, len, writable)
            }

            #[doc = concat!(
                "A numpy array on the bytes from `offset`, without a copy; without `shape`, of one dimension and as long as fits. ",
                $keeps,
                " Raises OutOfRangeError, ValueError (they do not fit), ",
                $errors,
                "."
            )]
            #[pyo3(signature = (dtype, shape=None, offset=None), text_signature = "($self, dtype, shape=None, offset=0)")]
            fn ndarray<'py>(
                slf: &Bound<'py, Self>,
                dtype: &Bound<'py, PyAny>,
                shape: Option<&Bound<'py, PyAny>>,
                offset: Option<&Bound<'py, PyAny>>,
            ) -> Result<Bound<'py, PyAny>> {
                view::ndarray(slf.py(), Shown::source(slf), dtype, shape, offset)
            }

            fn __len__(&self) -> usize {
                Bytes::len(Shown::shown(self))
            }

            fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>> {
                bytes::get_item(Shown::shown(self), key)
            }

            fn __setitem__(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> Result<()> {
                bytes::set_item(Shown::shown(self), key, value)
            }
        }
    };
}

byte_methods!(Region, "ClosedError", "Until it is gone, this handle cannot be closed.");
byte_methods!(
    Mapping,
    "PermissionDeniedError (pages that cannot be read), ClosedError",
    "Until it is gone, this mapping cannot be closed."
);
byte_methods!(Block, "InvalidBlockError", "It keeps the block.");
byte_methods!(PoolBlock, "InvalidBlockError", "It keeps the block.");
