//! The methods that every class of bytes has: copies, views, arrays and items. What they do is in `bytes` and `view`.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView};

use crate::block::Block;
use crate::bytes::{self, Bytes};
use crate::error::Result;
use crate::mapping::Mapping;
use crate::pool_block::PoolBlock;
use crate::region::Region;
use crate::view::{self, Source};

/// `field` holds the bytes, `Source::source` is where a view gets them from. `errors` is what every method raises besides
/// OutOfRangeError, and `keeps` what a view means for its owner.
macro_rules! byte_methods {
    ($class:ty, $field:ident, $source:ident, $errors:literal, $keeps:literal) => {
        #[pymethods]
        impl $class {
            #[doc = concat!("A copy of `len` bytes at `offset`. Raises OutOfRangeError, ", $errors, ".")]
            fn read_at<'py>(
                &self,
                offset: &Bound<'py, PyAny>,
                len: &Bound<'py, PyAny>,
            ) -> Result<Bound<'py, PyBytes>> {
                bytes::read_at(&*self.$field, offset, len)
            }

            #[doc = concat!(
                "Copies any contiguous bytes to `offset`: all or nothing. Raises OutOfRangeError, ReadOnlyError, ",
                $errors,
                "."
            )]
            fn write_at(&self, offset: &Bound<'_, PyAny>, data: &Bound<'_, PyAny>) -> Result<()> {
                bytes::write_at(&*self.$field, offset, data)
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
                &self,
                py: Python<'py>,
                offset: Option<&Bound<'py, PyAny>>,
                len: Option<&Bound<'py, PyAny>>,
                writable: Option<bool>,
            ) -> Result<Bound<'py, PyMemoryView>> {
                view::memoryview(py, Source::$source(Arc::clone(&self.$field)), offset, len, writable)
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
                &self,
                py: Python<'py>,
                dtype: &Bound<'py, PyAny>,
                shape: Option<&Bound<'py, PyAny>>,
                offset: Option<&Bound<'py, PyAny>>,
            ) -> Result<Bound<'py, PyAny>> {
                view::ndarray(py, Source::$source(Arc::clone(&self.$field)), dtype, shape, offset)
            }

            fn __len__(&self) -> usize {
                Bytes::len(&*self.$field)
            }

            fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>> {
                bytes::get_item(&*self.$field, key)
            }

            fn __setitem__(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> Result<()> {
                bytes::set_item(&*self.$field, key, value)
            }
        }
    };
}

byte_methods!(Region, core, Region, "ClosedError", "Until it is gone, this handle cannot be closed.");
byte_methods!(
    Mapping,
    core,
    Mapping,
    "PermissionDeniedError (pages that cannot be read), ClosedError",
    "Until it is gone, this mapping cannot be closed."
);
byte_methods!(Block, holding, Block, "InvalidBlockError", "It keeps the block.");
byte_methods!(PoolBlock, tenure, PoolBlock, "InvalidBlockError", "It keeps the block.");
