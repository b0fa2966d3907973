//! Pages of regions and mappings, and what work with them cost. The classes of the results are Python's own.

use std::ops::Range;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use shmkit::{Advice, MemoryLock, MemoryUse, PageCounts, PageFlags, Residency, Usage};

use crate::arguments::{self, Place};
use crate::bytes::Bytes;
use crate::error::Result;
use crate::mapping::Mapping;
use crate::region::Region;

/// What regions and mappings have in common as pages.
pub trait Pages: Bytes {
    /// What messages call looking at pages, an advice, a lock in memory and its end.
    const INSPECT: &'static str;
    const ADVISE: &'static str;
    const LOCK: &'static str;
    const UNLOCK: &'static str;

    fn residency(&self, range: Range<usize>) -> shmkit::Result<Residency>;
    fn page_counts(&self, range: Range<usize>, cells: usize) -> shmkit::Result<(Vec<PageCounts>, PageFlags)>;
    fn memory_use(&self) -> shmkit::Result<MemoryUse>;
    fn advise(&self, range: Range<usize>, advice: Advice) -> shmkit::Result<()>;
    fn lock_memory(&self, range: Range<usize>, lock: MemoryLock) -> shmkit::Result<()>;
    fn unlock_memory(&self, range: Range<usize>) -> shmkit::Result<()>;
}

macro_rules! pages {
    ($type:ty, $word:literal) => {
        impl Pages for $type {
            const INSPECT: &'static str = concat!("inspect pages of ", $word);
            const ADVISE: &'static str = concat!("advise ", $word);
            const LOCK: &'static str = concat!("lock ", $word, " in memory");
            const UNLOCK: &'static str = concat!("unlock ", $word, " in memory");

            fn residency(&self, range: Range<usize>) -> shmkit::Result<Residency> {
                self.residency(range)
            }
            fn page_counts(
                &self,
                range: Range<usize>,
                cells: usize,
            ) -> shmkit::Result<(Vec<PageCounts>, PageFlags)> {
                self.page_counts(range, cells)
            }
            fn memory_use(&self) -> shmkit::Result<MemoryUse> {
                self.memory_use()
            }
            fn advise(&self, range: Range<usize>, advice: Advice) -> shmkit::Result<()> {
                self.advise(range, advice)
            }
            fn lock_memory(&self, range: Range<usize>, lock: MemoryLock) -> shmkit::Result<()> {
                self.lock_memory(range, lock)
            }
            fn unlock_memory(&self, range: Range<usize>) -> shmkit::Result<()> {
                self.unlock_memory(range)
            }
        }
    };
}

pages!(shmkit::Region, "region");
pages!(shmkit::Mapping, "mapping");

/// An offset and a length as Python gives them; without a length, to the end.
pub type Part<'a, 'py> = (Option<&'a Bound<'py, PyAny>>, Option<&'a Bound<'py, PyAny>>);

fn range<P: Pages>(pages: &P, part: Part<'_, '_>, operation: &'static str) -> Result<Range<usize>> {
    arguments::range(part.0, part.1, pages.len(), Place { operation, object: &pages.object() })
}

fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import(intern!(py, "shmkit._pages"))?.getattr(name)
}

/// `object.residency(offset, len)`.
pub fn residency<'py, P: Pages>(py: Python<'py>, pages: &P, part: Part<'_, '_>) -> Result<Bound<'py, PyAny>> {
    let range = range(pages, part, P::INSPECT)?;
    let found = py.detach(|| pages.residency(range))?;
    let states = PyBytes::new(py, found.as_bytes());
    let object = pages.object();
    Ok(class(py, "Residency")?.call1((states, found.known().bits(), found.page_size(), &*object))?)
}

/// `object.page_counts(cells, offset, len)`.
pub fn page_counts<'py, P: Pages>(
    py: Python<'py>,
    pages: &P,
    cells: &Bound<'py, PyAny>,
    part: Part<'_, '_>,
) -> Result<Vec<Bound<'py, PyAny>>> {
    let object = pages.object();
    let place = Place { operation: P::INSPECT, object: &object };
    let cells = arguments::count(cells, place)? as usize;
    if cells == 0 {
        return Err(place.error(shmkit::ErrorKind::InvalidArgument, "0 cells"));
    }
    let range = range(pages, part, P::INSPECT)?;
    let (counts, _) = py.detach(|| pages.page_counts(range, cells))?;
    let class = class(py, "PageCounts")?;
    let of = |c: &PageCounts| {
        class.call1((c.pages, c.resident, c.present, c.dirty, c.soft_dirty, c.swapped, c.huge, c.zero))
    };
    Ok(counts.iter().map(of).collect::<PyResult<_>>()?)
}

/// `object.memory_use()`.
pub fn memory_use<'py, P: Pages>(py: Python<'py>, pages: &P) -> Result<Bound<'py, PyAny>> {
    let used = py.detach(|| pages.memory_use())?;
    let fields = [
        used.resident,
        used.proportional,
        used.shared_clean,
        used.shared_dirty,
        used.private_clean,
        used.private_dirty,
        used.huge,
        used.swapped,
        used.locked,
    ];
    Ok(class(py, "MemoryUse")?.call_method1(intern!(py, "_make"), (fields,))?)
}

/// `object.advise(advice, offset, len)`.
pub fn advise<P: Pages>(py: Python<'_>, pages: &P, advice: &str, part: Part<'_, '_>) -> Result<()> {
    let advice = arguments::advice(advice, Place { operation: P::ADVISE, object: &pages.object() })?;
    let range = range(pages, part, P::ADVISE)?;
    Ok(py.detach(|| pages.advise(range, advice))?)
}

/// `object.lock_memory(offset, len, on_fault=...)`.
pub fn lock_memory<P: Pages>(py: Python<'_>, pages: &P, part: Part<'_, '_>, on_fault: bool) -> Result<()> {
    let range = range(pages, part, P::LOCK)?;
    let lock = if on_fault { MemoryLock::OnFault } else { MemoryLock::Now };
    Ok(py.detach(|| pages.lock_memory(range, lock))?)
}

/// `object.unlock_memory(offset, len)`.
pub fn unlock_memory<P: Pages>(py: Python<'_>, pages: &P, part: Part<'_, '_>) -> Result<()> {
    let range = range(pages, part, P::UNLOCK)?;
    Ok(py.detach(|| pages.unlock_memory(range))?)
}

/// The methods of a class that look at its pages and say what shall become of them.
macro_rules! page_methods {
    ($class:ty) => {
        #[pymethods]
        impl $class {
            /// Tells the kernel what a range will be used for. Raises OutOfRangeError, InvalidArgumentError, ReadOnlyError, ClosedError,
            /// UnsupportedError (this kernel, or this kind of memory, knows no such advice).
            #[pyo3(signature = (advice, offset=None, len=None), text_signature = "($self, advice, offset=0, len=None)")]
            fn advise(
                &self,
                py: Python<'_>,
                advice: &str,
                offset: Option<&Bound<'_, PyAny>>,
                len: Option<&Bound<'_, PyAny>>,
            ) -> Result<()> {
                advise(py, &*self.core, advice, (offset, len))
            }

            /// The state of each page of a range, a `Residency`. Raises OutOfRangeError, ClosedError.
            #[pyo3(signature = (offset=None, len=None), text_signature = "($self, offset=0, len=None)")]
            fn residency<'py>(
                &self,
                py: Python<'py>,
                offset: Option<&Bound<'py, PyAny>>,
                len: Option<&Bound<'py, PyAny>>,
            ) -> Result<Bound<'py, PyAny>> {
                residency(py, &*self.core, (offset, len))
            }

            /// How many pages have which flag, in each of `cells` equal parts of a range (fewer when it has fewer pages): a list of
            /// `PageCounts`. Raises OutOfRangeError, InvalidArgumentError, ClosedError.
            #[pyo3(signature = (cells, offset=None, len=None), text_signature = "($self, cells, offset=0, len=None)")]
            fn page_counts<'py>(
                &self,
                py: Python<'py>,
                cells: &Bound<'py, PyAny>,
                offset: Option<&Bound<'py, PyAny>>,
                len: Option<&Bound<'py, PyAny>>,
            ) -> Result<Vec<Bound<'py, PyAny>>> {
                page_counts(py, &*self.core, cells, (offset, len))
            }

            /// How much memory it takes, a `MemoryUse`. Raises ClosedError.
            fn memory_use<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>> {
                memory_use(py, &*self.core)
            }

            /// Keeps the pages of a range in memory; with `on_fault`, each from when it is first touched. Children do not inherit
            /// that, and one unlock frees what several locks kept.
            ///
            /// Raises OutOfMemoryError (more than the process may lock: the message says how much), OutOfRangeError, ClosedError.
            #[pyo3(signature = (offset=None, len=None, *, on_fault=false), text_signature = "($self, offset=0, len=None, *, on_fault=False)")]
            fn lock_memory(
                &self,
                py: Python<'_>,
                offset: Option<&Bound<'_, PyAny>>,
                len: Option<&Bound<'_, PyAny>>,
                on_fault: bool,
            ) -> Result<()> {
                lock_memory(py, &*self.core, (offset, len), on_fault)
            }

            /// Lets the pages of a range go again. Raises OutOfRangeError, ClosedError.
            #[pyo3(signature = (offset=None, len=None), text_signature = "($self, offset=0, len=None)")]
            fn unlock_memory(
                &self,
                py: Python<'_>,
                offset: Option<&Bound<'_, PyAny>>,
                len: Option<&Bound<'_, PyAny>>,
            ) -> Result<()> {
                unlock_memory(py, &*self.core, (offset, len))
            }

            /// Whether a flush has somewhere to go: a file on a device, and shared. Elsewhere a flush succeeds and does nothing.
            #[getter]
            fn persistent(&self) -> bool {
                self.core.is_persistent()
            }
        }
    };
}

page_methods!(Region);
page_methods!(Mapping);

/// Clears the soft-dirty bits of all memory of this process: `PageFlag.SOFT_DIRTY` then tells what was written since.
///
/// Raises UnsupportedError where the kernel keeps no such bits (it was built without CONFIG_MEM_SOFT_DIRTY).
#[pyfunction]
pub fn clear_soft_dirty(py: Python<'_>) -> Result<()> {
    Ok(py.detach(shmkit::clear_soft_dirty)?)
}

/// Minor faults, major faults, processor time in the program and in the kernel, so far.
#[pyfunction]
pub fn _usage(process: bool) -> Result<(u64, u64, u64, u64)> {
    let usage = if process { Usage::of_process() } else { Usage::of_thread() }?;
    Ok((usage.minor_faults, usage.major_faults, usage.user_ns, usage.kernel_ns))
}
