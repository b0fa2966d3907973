//! `shmkit.Heap`.

use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMemoryView, PyTuple};
use shmkit::{ErrorKind, HeapOptions, HeapStrategy, Location};

use crate::arguments::{self, Place, choose, natural};
use crate::block::{Block, Holding};
use crate::error::{Result, on_exit};
use crate::object::{Named, Origin, address};
use crate::view::{self, Source};

/// Blocks of any size in a region, known by their offsets; from `Region.heap`, or in a region of its own from `Heap.create`,
/// `Heap.open` and `Heap.open_or_create`.
///
/// A block belongs to the process that allocated or adopted it until it is freed or published; only it can free, resize or
/// publish it. Those of a process that died can be adopted one by one, or reclaimed all. Offsets count from the region's
/// start and are checked at every use. `with` closes the handle at its end.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct Heap {
    object: Arc<Named<shmkit::Heap>>,
}

/// The strategies as Python says them.
const STRATEGIES: [(&str, HeapStrategy); 3] = [
    ("best_fit", HeapStrategy::BestFit),
    ("first_fit", HeapStrategy::FirstFit),
    ("buddy", HeapStrategy::Buddy),
];

/// The options of the core.
pub fn options(
    len: &Bound<'_, PyAny>,
    strategy: &str,
    min_block: Option<&Bound<'_, PyAny>>,
    reclaim: bool,
    place: Place<'_>,
) -> Result<HeapOptions> {
    let len = natural(len, ErrorKind::InvalidLength, place)?;
    let mut options =
        HeapOptions::new(len as u64).strategy(choose("strategy", strategy, &STRATEGIES, place)?);
    if let Some(len) = min_block {
        let len = natural(len, ErrorKind::InvalidArgument, place)?;
        options = options.min_block(u32::try_from(len).unwrap_or(u32::MAX));
    }
    Ok(if reclaim { options.reclaim() } else { options })
}

impl Heap {
    pub fn new(core: shmkit::Heap, origin: &Arc<Origin>) -> Heap {
        Heap { object: Arc::new(Named::new(core, origin)) }
    }

    /// A heap in a region of its own, which nobody else has a handle on here.
    fn own(
        py: Python<'_>,
        location: Location,
        open: impl FnOnce(Location) -> shmkit::Result<shmkit::Heap> + Send,
    ) -> Result<Heap> {
        let core = py.detach(|| open(location))?;
        let origin = Arc::new(Origin::of(core.location(), core.region_id()));
        Ok(Heap::new(core, &origin))
    }

    fn number(&self, value: &Bound<'_, PyAny>, kind: ErrorKind, operation: &'static str) -> Result<usize> {
        // Mostly a number of the right kind, for which no words are needed.
        if let Ok(number) = value.extract() {
            return Ok(number);
        }
        let label = self.object.label();
        natural(value, kind, Place { operation, object: &label })
    }

    fn offset(&self, value: &Bound<'_, PyAny>, operation: &'static str) -> Result<u64> {
        Ok(self.number(value, ErrorKind::InvalidBlock, operation)? as u64)
    }
}

#[pymethods]
impl Heap {
    /// Creates a region that holds one heap of `len` bytes, and opens the heap. `Region.unlink` removes the region's name.
    ///
    /// Raises what `Region.create` and `Region.heap` raise.
    #[staticmethod]
    #[pyo3(signature = (name, len, *, strategy="best_fit", min_block=None, reclaim=false))]
    fn create(
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        len: &Bound<'_, PyAny>,
        strategy: &str,
        min_block: Option<&Bound<'_, PyAny>>,
        reclaim: bool,
    ) -> Result<Heap> {
        let location = arguments::location(name)?;
        let place = Place { operation: "create heap", object: &location.display() };
        let options = options(len, strategy, min_block, reclaim, place)?;
        Heap::own(py, location.clone(), |location| shmkit::Heap::create(location, options))
    }

    /// Opens the heap of such a region, with whatever it was created.
    ///
    /// Raises what `Region.open` and `Region.heap` raise.
    #[staticmethod]
    fn open(py: Python<'_>, name: &Bound<'_, PyAny>) -> Result<Heap> {
        Heap::own(py, arguments::location(name)?, shmkit::Heap::open)
    }

    /// Opens the heap of such a region, or creates both.
    ///
    /// Raises what `Region.open_or_create` and `Region.heap` raise.
    #[staticmethod]
    #[pyo3(signature = (name, len, *, strategy="best_fit", min_block=None, reclaim=false))]
    fn open_or_create(
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        len: &Bound<'_, PyAny>,
        strategy: &str,
        min_block: Option<&Bound<'_, PyAny>>,
        reclaim: bool,
    ) -> Result<Heap> {
        let location = arguments::location(name)?;
        let place = Place { operation: "open or create heap", object: &location.display() };
        let options = options(len, strategy, min_block, reclaim, place)?;
        Heap::own(py, location.clone(), |location| shmkit::Heap::open_or_create(location, options))
    }

    /// Bytes of an arena in which a heap of these options finds room: what `arena_len` of `Region.create` needs for it.
    ///
    /// Raises InvalidLengthError, InvalidArgumentError.
    #[staticmethod]
    #[pyo3(signature = (len, *, strategy="best_fit", min_block=None))]
    fn arena_len(
        len: &Bound<'_, PyAny>,
        strategy: &str,
        min_block: Option<&Bound<'_, PyAny>>,
    ) -> Result<u64> {
        let place = Place { operation: "plan heap", object: "" };
        let planned = options(len, strategy, min_block, false, place)?.arena_len();
        planned.ok_or_else(|| place.error(ErrorKind::InvalidLength, "no heap can have these options"))
    }

    /// Allocates a block of `len` bytes at a multiple of `align`, a power of two up to 4096. The bytes may be anything, or
    /// with `zeroed` are zero.
    ///
    /// Raises NoSpaceError, InvalidLengthError (0), InvalidArgumentError, CorruptedError, ClosedError, TimeoutError (a
    /// stopped process has had the heap's lock for ten seconds).
    #[pyo3(signature = (len, *, align=None, zeroed=false), text_signature = "($self, len, *, align=16, zeroed=False)")]
    fn allocate(
        &self,
        len: &Bound<'_, PyAny>,
        align: Option<&Bound<'_, PyAny>>,
        zeroed: bool,
    ) -> Result<Block> {
        let len = self.number(len, ErrorKind::InvalidLength, "allocate block")?;
        let align = match align {
            Some(align) => self.number(align, ErrorKind::InvalidArgument, "allocate block")?,
            None => 16,
        };
        let core = &self.object.core;
        let offset = if zeroed { core.reserve_zeroed(len, align)? } else { core.reserve(len, align)? };
        Ok(Block::new(Holding::new(&self.object, offset, len, align)))
    }

    /// Makes a block this process's own that is published, or whose owner died: all that it offers, which may be somewhat
    /// more than was asked for. Of several who try, one gets it.
    ///
    /// Raises NotOwnerError (a living process has it), InvalidBlockError, CorruptedError, ClosedError.
    fn adopt(&self, offset: &Bound<'_, PyAny>) -> Result<Block> {
        let offset = self.offset(offset, "adopt block")?;
        let core = &self.object.core;
        core.adopt_offset(offset)?;
        Ok(Block::new(Holding::new(&self.object, offset, core.usable_size(offset)?, 16)))
    }

    /// A handle on a block that this process owns, as `Block.into_offset` left it. Raises NotOwnerError, InvalidBlockError,
    /// CorruptedError, ClosedError.
    fn block(&self, offset: &Bound<'_, PyAny>) -> Result<Block> {
        let offset = self.offset(offset, "look at block")?;
        let len = self.object.core.block(offset)?;
        let (len, _) = (len.len(), len.into_offset());
        Ok(Block::new(Holding::new(&self.object, offset, len, 16)))
    }

    /// A memoryview of a live block, whosever it is: all that it offers. It does not keep the owner from freeing the block.
    ///
    /// Raises InvalidBlockError, CorruptedError, ClosedError.
    #[pyo3(signature = (offset, *, writable=false))]
    fn view<'py>(
        &self,
        py: Python<'py>,
        offset: &Bound<'py, PyAny>,
        writable: bool,
    ) -> Result<Bound<'py, PyMemoryView>> {
        let offset = self.offset(offset, "view block")?;
        let len = self.object.core.usable_size(offset)?;
        let source = Source::Block(Arc::new(Holding::foreign(&self.object, offset, len)));
        view::memoryview(py, source, None, None, Some(writable))
    }

    /// Frees the block at an offset: one of this process's, or a published one. What has a `Block` is freed through that.
    ///
    /// Raises InvalidBlockError (no live block begins there: it was freed, or lies elsewhere), NotOwnerError,
    /// CorruptedError, ClosedError.
    fn free(&self, offset: &Bound<'_, PyAny>) -> Result<()> {
        Ok(self.object.core.free(self.offset(offset, "free block")?)?)
    }

    /// How many bytes a live block offers: what was asked for, or somewhat more. Raises InvalidBlockError, CorruptedError,
    /// ClosedError.
    fn usable_size(&self, offset: &Bound<'_, PyAny>) -> Result<usize> {
        Ok(self.object.core.usable_size(self.offset(offset, "look at block")?)?)
    }

    /// The heap in numbers. Looks at every block, with the heap's lock held. Raises CorruptedError, ClosedError.
    fn status<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>> {
        let found = py.detach(|| self.object.core.status())?;
        let class = py.import(intern!(py, "shmkit._heap"))?.getattr(intern!(py, "HeapStatus"))?;
        let numbers = (
            found.len,
            found.used,
            found.free,
            found.largest_free,
            found.used_blocks,
            found.published_blocks,
            found.free_blocks,
            found.repairs,
            found.reclaimed,
        );
        Ok(class.call1(numbers)?)
    }

    /// Every block, in the order of their addresses. Raises CorruptedError, ClosedError.
    fn blocks<'py>(&self, py: Python<'py>) -> Result<Vec<Bound<'py, PyAny>>> {
        let found = py.detach(|| self.object.core.blocks())?;
        let class = py.import(intern!(py, "shmkit._heap"))?.getattr(intern!(py, "HeapBlock"))?;
        let make = |block: shmkit::HeapBlock| {
            let state = match (block.is_free, block.is_published) {
                (true, _) => "free",
                (_, true) => "published",
                _ => "owned",
            };
            class.call1((block.offset, block.len, state, block.slot, block.pid, block.alive))
        };
        Ok(found.into_iter().map(make).collect::<PyResult<_>>()?)
    }

    /// Who has how much, the dead included. Raises CorruptedError, ClosedError.
    fn owners<'py>(&self, py: Python<'py>) -> Result<Vec<Bound<'py, PyAny>>> {
        let found = py.detach(|| self.object.core.owners())?;
        let class = py.import(intern!(py, "shmkit._heap"))?.getattr(intern!(py, "HeapOwner"))?;
        let make = |owner: shmkit::HeapOwner| {
            class.call1((owner.slot, owner.pid, owner.alive, owner.blocks, owner.bytes))
        };
        Ok(found.into_iter().map(make).collect::<PyResult<_>>()?)
    }

    /// Frees all blocks of processes that died, except published ones, and returns how many there were. Raises
    /// CorruptedError, ClosedError.
    fn reclaim(&self, py: Python<'_>) -> Result<u64> {
        Ok(py.detach(|| self.object.core.reclaim())?)
    }

    /// Checks that the heap is whole: every block, and all that is derived from them. Raises CorruptedError, which says what is
    /// wrong; ClosedError.
    fn check(&self, py: Python<'_>) -> Result<()> {
        Ok(py.detach(|| self.object.core.check())?)
    }

    /// Which free block an allocation takes: "best_fit", "first_fit" or "buddy".
    #[getter]
    fn strategy(&self) -> &'static str {
        let strategy = self.object.core.strategy();
        STRATEGIES.iter().find(|(_, known)| *known == strategy).map_or("", |(name, _)| name)
    }

    /// Ends the use of this handle; repeating it does nothing. Raises BusyError while views of its blocks live.
    ///
    /// Blocks that are not published stay this process's while it has anything of the region open, and are a dead one's
    /// after that.
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

    /// Closes the handle. What the body raised goes on, also when the handle cannot be closed.
    fn __exit__(
        &self,
        exc_type: &Bound<'_, PyAny>,
        _exc_value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> Result<()> {
        on_exit(exc_type, self.close())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> Result<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        self.object.reduce(py, "heap", PyDict::new(py))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        let this = slf.get();
        let state = if this.closed() { "closed" } else { this.strategy() };
        format!("<shmkit.Heap at {} {}: {state}>", address(slf), this.object.place())
    }
}
