//! [`Heap`]: blocks of any size in a region, that outlive whoever allocates them.
//!
//! Invariants:
//! - The words of the blocks are the truth; each operation has one store that commits it ([`linear`], [`buddy`]), so a
//!   process that is killed at any instruction leaves a valid chain. What is derived from it, the search structures and
//!   counts, is made anew by the next one who is told that an owner of the lock died.
//! - A live block belongs to the attachment that allocated it from the committing store on, or to nobody once it is published.
//!   So a death loses no block: it is published, or the dead one's and can be reclaimed.
//! - Whatever is read from the region is checked before it is used ([`space`]): garbage in the search structure means that
//!   it is made anew, garbage in the chain is `Corrupted`, and neither leads outside the heap.
//!
//! Which free block is taken: [`first_fit`], [`best_fit`], [`buddy`].

mod best_fit;
mod block;
mod buddy;
mod engine;
mod first_fit;
mod linear;
mod offsets;
mod operate;
mod options;
mod plan;
mod space;
mod status;
#[cfg(all(test, not(loom)))]
mod tests;
mod word;

use std::cell::Cell;

pub use block::Block;
pub use options::{HeapOptions, HeapStrategy};
pub use status::{HeapBlock, HeapOwner, HeapStatus};

use best_fit::BestFit;
use buddy::Buddy;
use engine::{Engine, Task};
use first_fit::FirstFit;
use linear::Linear;
use plan::Plan;
use space::{Bits, Space};

use crate::atomic::AtomicU64;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{HeapRecord, ObjectKind};
use crate::region::object::{Object, Shape};
use crate::region::{ObjectMode, Region};
use crate::segment::Location;
use crate::view::SharedBytes;

/// The most that a block can be aligned to: a region's page.
pub const MAX_HEAP_ALIGN: usize = 4096;
/// The name of the heap in a region of its own.
const OWN_NAME: &str = "heap";

/// A heap in a region: blocks of any size, by offset, for all processes that open it by name.
///
/// ```
/// use shmkit::{Heap, HeapOptions, Region};
///
/// let name = format!("doc-heap-{}", std::process::id());
/// let heap = Heap::create(name.as_str(), HeapOptions::new(1 << 20))?;
/// let block = heap.allocate(100)?;
/// block.write_at(0, b"hello")?;
/// let offset = block.publish()?; // nobody's now: its offset can be told to anybody
///
/// let same = Heap::open(name.as_str())?; // usually in another process, in any language
/// let block = same.adopt(offset)?;
/// let mut bytes = [0; 5];
/// block.read_at(0, &mut bytes)?;
/// assert_eq!(&bytes, b"hello");
/// drop(block); // freed
/// Region::unlink(name.as_str())?;
/// # Ok::<(), shmkit::Error>(())
/// ```
///
/// A block belongs to the process that allocated or adopted it until it is freed or published; only it can free, resize or
/// publish it. Blocks of a process that died or detached are nobody's to free: adopt them one by one, or
/// [reclaim](Heap::reclaim) all. A forked child owns nothing of its parent's.
///
/// An offset counts from the region's start and is checked at each use: one that was freed, lies inside a block or belongs
/// elsewhere is `InvalidBlock`. An offset that was freed and allocated again is the new block's.
pub struct Heap {
    object: Object<HeapRecord, AtomicU64>,
    options: HeapOptions,
    plan: Plan,
    /// Where the space begins: in words of the table, and in bytes from the region's start.
    space_start: usize,
    base: u64,
}

impl Region {
    /// The heap of this name, created when it is missing. [`HeapOptions::arena_len`] says how large an arena it needs.
    ///
    /// Errors: `WrongKind`, `ParameterMismatch`, `InvalidLength` (none, or more than the strategy can count),
    /// `InvalidArgument` (the smallest block), `InvalidName`, `NoSpace` (the arena is full), `ReadOnly`, `Closed`.
    pub fn heap(&self, name: &str, options: HeapOptions) -> Result<Heap> {
        self.open_heap(name, options, self.object_mode())
    }

    fn open_heap(&self, name: &str, options: HeapOptions, mode: ObjectMode) -> Result<Heap> {
        let operation = "open heap";
        let memory = self.memory(operation)?;
        let plan = options.check(operation, || memory.object_name(name))?;
        let shape =
            Shape { kind: ObjectKind::Heap, parameters: options.parameters(), table_len: plan.table_len() };
        let object: Object<HeapRecord, AtomicU64> =
            Object::open_as(self, operation, name, (&shape, plan.tables_len()), mode, |payload| {
                format(&plan, payload)
            })
            .map_err(|error| self.tell_parameters(error, name, operation, shape.parameters, tell))?;
        let table_offset = object.table_offset();
        let space_start = plan.space_start(table_offset);
        let base = (table_offset + space_start * 8) as u64;
        Ok(Heap { object, options, plan, space_start, base })
    }

    /// The heap of this name, with whatever it was created.
    ///
    /// Errors: `NotFound`, `WrongKind`, `Corrupted`, `ReadOnly`, `Closed`.
    pub fn find_heap(&self, name: &str) -> Result<Heap> {
        let operation = "open heap";
        let memory = self.memory(operation)?;
        let error = |kind| Error::new(kind, operation, memory.object_name(name));
        let (kind, parameters) =
            self.find_parameters(name, operation)?.ok_or_else(|| error(ErrorKind::NotFound))?;
        if kind != ObjectKind::Heap as u32 {
            return Err(error(ErrorKind::WrongKind));
        }
        let options = HeapOptions::from_parameters(parameters).ok_or_else(|| error(ErrorKind::Corrupted))?;
        self.open_heap(name, options, ObjectMode::Find)
    }
}

/// What a heap was created with, for people.
fn tell(parameters: [u64; 2]) -> String {
    HeapOptions::from_parameters(parameters)
        .map_or_else(|| format!("{parameters:?}"), |options| options.to_string())
}

/// Fills a new heap's payload.
fn format(plan: &Plan, payload: &SharedBytes<'_>) -> Result<()> {
    // Only the place on its page decides where the space begins, and a region begins on a page.
    let table_offset = (payload.as_ptr().addr() + size_of::<HeapRecord>()) % MAX_HEAP_ALIGN;
    let table = payload.records(size_of::<HeapRecord>(), plan.table_len())?;
    let start = plan.space_start(table_offset);
    let parts = Parts { plan, record: payload.shared(0)?, table, space_start: start, base: 0 };
    parts.with_engine(&Cell::new(false), 0, &|engine: &dyn Engine, _| engine.format());
    Ok(())
}

/// Where everything of a heap is.
struct Parts<'a> {
    plan: &'a Plan,
    record: &'a HeapRecord,
    table: &'a [AtomicU64],
    space_start: usize,
    base: u64,
}

impl Parts<'_> {
    /// Does something with the heap's engine, for the process of this owner id. The engine sets `suspect` when it committed
    /// something and then could not keep its index in order.
    #[inline(always)]
    fn with_engine<R>(&self, suspect: &Cell<bool>, me: u32, task: &impl Task<R>) -> R {
        let (plan, record, base) = (self.plan, self.record, self.base);
        let (starts, rest) = self.table.split_at(plan.starts_words);
        let words = &self.table[self.space_start..][..plan.len as usize / 8];
        // The last granule's word is the end's.
        let space = Space { words, starts: Bits(starts), end: plan.units };
        match plan.strategy {
            HeapStrategy::FirstFit => {
                let (free, rest) = rest.split_at(plan.free_words);
                let index = FirstFit::new(free, &rest[..plan.tree_words], plan);
                task.run(&Linear { space, index, base, suspect }, me)
            }
            HeapStrategy::BestFit => {
                task.run(&Linear { space, index: BestFit { record }, base, suspect }, me)
            }
            HeapStrategy::Buddy => {
                let unit_len = plan.unit_len;
                task.run(&Buddy { record, table: starts, words, unit_len, base, suspect }, me)
            }
        }
    }
}

/// A heap in a region of its own.
impl Heap {
    /// Creates a region that holds one heap and no user bytes to speak of. [`Region::unlink`] removes its name.
    ///
    /// Errors: those of [`Region::create`] and [`Region::heap`].
    pub fn create(location: impl Into<Location>, options: HeapOptions) -> Result<Heap> {
        let location = location.into();
        options.check("create heap", || location.display().into_owned())?;
        options.region_options().create(location, 1)?.heap(OWN_NAME, options)
    }

    /// Opens the heap of such a region, with whatever it was created.
    ///
    /// Errors: those of [`Region::open`] and [`Region::find_heap`].
    pub fn open(location: impl Into<Location>) -> Result<Heap> {
        Region::open(location)?.find_heap(OWN_NAME)
    }

    /// Opens the heap of such a region, or creates both.
    ///
    /// Errors: those of [`Region::open_or_create`] and [`Region::heap`].
    pub fn open_or_create(location: impl Into<Location>, options: HeapOptions) -> Result<Heap> {
        let location = location.into();
        options.check("open heap", || location.display().into_owned())?;
        options.region_options().open_or_create(location, 1)?.heap(OWN_NAME, options)
    }
}

/// The handle itself.
impl Heap {
    /// How it was created.
    pub fn options(&self) -> HeapOptions {
        self.options
    }

    /// Which free block an allocation takes.
    pub fn strategy(&self) -> HeapStrategy {
        self.options.strategy
    }

    /// Where its region lives.
    pub fn location(&self) -> &Location {
        &self.object.memory().location
    }

    /// [`Region::id`] of its region.
    pub fn region_id(&self) -> [u8; 16] {
        self.object.memory().geometry.id
    }

    /// The name in its region.
    pub fn name(&self) -> &str {
        self.object.name()
    }

    /// Whether this handle was closed.
    pub fn is_closed(&self) -> bool {
        self.object.is_closed()
    }

    /// Ends the use of this handle; repeating it does nothing. `Busy` while a block or view of this handle lives. What the
    /// process owns stays its own while it has anything of the region open, and is a dead one's after that.
    pub fn close(&self) -> Result<()> {
        self.object.close("close heap", Some(&self.object.lock), |_| false)
    }
}
