//! [`Pool`]: blocks of one size. What happens to the words is in [`crate::protocol::pool`].
//!
//! ```text
//! record (64) · a word per block · levels of bits · padding · blocks
//! ```
//!
//! Invariants:
//! - Where a block is follows from its index, the parameters and where the object is; none of these is read again from
//!   shared memory after the pool was opened. So no byte of the region can lead to a place outside the blocks.
//! - Who finds the pool exhausted does not look at all of its blocks each time: see [`super::fruitless`].
//! - The block that a process freed last is where it looks first, and processes begin at different places: as long as
//!   there is room, they write to different cache lines.

use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed as Unordered};
use std::time::Duration;

use super::fruitless::Fruitless;
use super::{BlockState, BlockStatus, PoolBlock, PoolOwner, PoolStatus};
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::Relaxed;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{ObjectKind, POOL_ALIGNMENT, PoolRecord};
use crate::protocol::owner::slot_index;
use crate::protocol::pool::{PoolShape, PoolWords, Refused, Tenure};
use crate::protocol::wait::Wait;
use crate::region::object::{Object, Shape};
use crate::region::{ObjectMode, Region};

/// How a pool is created; who opens one that exists must ask for the same, or call [`Region::find_pool`].
#[derive(Clone, Copy, Debug)]
pub struct PoolOptions {
    block_size: usize,
    count: u32,
    alignment: usize,
}

impl PoolOptions {
    /// `count` blocks of `block_size` bytes, each on a cache line of its own (64 bytes).
    pub fn new(block_size: usize, count: u32) -> PoolOptions {
        PoolOptions { block_size, count, alignment: POOL_ALIGNMENT }
    }

    /// What the blocks are aligned to: a power of two from 8 to 4096.
    pub fn alignment(mut self, alignment: usize) -> PoolOptions {
        self.alignment = alignment;
        self
    }

    fn parameters(&self) -> [u64; 2] {
        [self.block_size as u64, u64::from(self.count) | (self.alignment as u64) << 32]
    }

    /// What an existing pool was created with.
    fn of_parameters(parameters: [u64; 2]) -> PoolOptions {
        PoolOptions {
            block_size: usize::try_from(parameters[0]).unwrap_or(usize::MAX),
            count: parameters[1] as u32,
            alignment: (parameters[1] >> 32) as usize,
        }
    }

    /// Bytes from block to block and those of the whole table, blocks included; or what is wrong.
    fn plan(&self, shape: &PoolShape) -> std::result::Result<(usize, usize), (ErrorKind, String)> {
        let &PoolOptions { block_size, count, alignment } = self;
        if !alignment.is_power_of_two() || !(8..=4096).contains(&alignment) {
            let text = format!("an alignment of {alignment}: a power of two from 8 to 4096");
            return Err((ErrorKind::InvalidArgument, text));
        }
        if block_size == 0 || count == 0 || count == u32::MAX {
            return Err((ErrorKind::InvalidLength, format!("{count} blocks of {block_size} bytes")));
        }
        let stride = block_size.checked_next_multiple_of(alignment);
        let blocks = stride.and_then(|stride| stride.checked_mul(count as usize));
        // The record is on a multiple of 64 bytes, so this much reaches any alignment from there.
        let table = blocks.and_then(|blocks| blocks.checked_add(shape.words * 8 + alignment));
        stride.zip(table.filter(|table| isize::try_from(*table).is_ok())).ok_or_else(|| {
            (ErrorKind::InvalidLength, format!("{count} blocks of {block_size} bytes do not fit anywhere"))
        })
    }
}

impl fmt::Display for PoolOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PoolOptions { block_size, count, alignment } = self;
        write!(f, "{count} blocks of {block_size} bytes at multiples of {alignment}")
    }
}

/// Blocks of one size in a region, allocated and freed without a lock.
///
/// A block belongs to the process that allocated it, comes back when that process dies, and is handed to another process
/// without a copy: [`PoolBlock::publish`] gives a handle, a number, and [`Pool::adopt`] takes the block there.
///
/// ```
/// use shmkit::{PoolOptions, Region};
///
/// # let name = format!("doc-pool-{}", std::process::id());
/// # let region = Region::create(name.as_str(), 4096)?;
/// # Region::unlink(name.as_str())?;
/// let frames = region.pool("frames", PoolOptions::new(4096, 8))?;
/// let frame = frames.allocate()?;
/// frame.write_at(0, b"a frame")?; // in place
/// let handle = frame.publish()?; // a number: send it to anybody who has the region
///
/// let frame = frames.adopt(handle)?; // usually in another process, in any language
/// let mut bytes = [0; 7];
/// frame.read_at(0, &mut bytes)?;
/// assert_eq!(&bytes, b"a frame");
/// drop(frame); // free again
/// assert!(frames.adopt(handle).is_err(), "a handle is good for one adoption");
/// # Ok::<(), shmkit::Error>(())
/// ```
pub struct Pool {
    object: Object<PoolRecord, AtomicU64>,
    shape: PoolShape,
    options: PoolOptions,
    stride: usize,
    blocks: NonNull<u8>,
    /// Where this process looks first. Its own, whatever others do.
    first: AtomicU32,
    /// When it looked at all blocks in vain.
    fruitless: Fruitless,
}

// SAFETY: the address leads to memory that the object keeps; all else is atomic or never changes.
#[allow(unsafe_code)]
unsafe impl Send for Pool {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for Pool {}

const OPEN: &str = "open pool";
const ALLOCATE: &str = "allocate block";

impl Region {
    /// The pool of this name, created when it is missing; all its blocks are free then, and zero.
    ///
    /// Errors: `WrongKind`, `ParameterMismatch`, `InvalidArgument` (the alignment), `InvalidLength`, `InvalidName`,
    /// `NoSpace` (the arena is full), `ReadOnly`, `Closed`.
    pub fn pool(&self, name: &str, options: PoolOptions) -> Result<Pool> {
        Pool::open(self, name, options, self.object_mode())
    }

    /// The pool of this name, with whatever it was created.
    ///
    /// Errors: `NotFound`, `WrongKind`, `Corrupted`, `ReadOnly`, `Closed`.
    pub fn find_pool(&self, name: &str) -> Result<Pool> {
        let error = |kind| Error::new(kind, OPEN, format!("{}:{name}", self.location().display()));
        let (kind, parameters) =
            self.find_parameters(name, OPEN)?.ok_or_else(|| error(ErrorKind::NotFound))?;
        if kind != ObjectKind::Pool as u32 {
            return Err(error(ErrorKind::WrongKind));
        }
        let options = PoolOptions::of_parameters(parameters);
        Pool::open(self, name, options, ObjectMode::Find).map_err(|failure| match failure.kind() {
            ErrorKind::InvalidArgument | ErrorKind::InvalidLength | ErrorKind::ParameterMismatch => {
                error(ErrorKind::Corrupted).with_detail(format!("its parameters are {parameters:?}"))
            }
            _ => failure,
        })
    }
}

impl Pool {
    fn open(region: &Region, name: &str, options: PoolOptions, mode: ObjectMode) -> Result<Pool> {
        let shape = PoolShape::new(options.count.max(1));
        let memory = region.memory(OPEN)?;
        let (stride, table_len) = options
            .plan(&shape)
            .map_err(|(kind, text)| Error::new(kind, OPEN, memory.object_name(name)).with_detail(text))?;
        let words = Shape {
            kind: ObjectKind::Pool,
            parameters: options.parameters(),
            table_len: table_len.div_ceil(8),
        };
        let object = Object::<PoolRecord, AtomicU64>::open_as(
            region,
            OPEN,
            name,
            (&words, words.table_len),
            mode,
            |payload| {
                shape.fill(|word, bits| {
                    let word: &AtomicU64 = payload.shared(size_of::<PoolRecord>() + word * 8)?;
                    word.store(bits, Relaxed);
                    Ok(())
                })
            },
        )
        .map_err(|error| {
            let tell = |parameters| PoolOptions::of_parameters(parameters).to_string();
            region.tell_parameters(error, name, OPEN, options.parameters(), tell)
        })?;
        let record = object.memory().offset_of::<PoolRecord>(&object);
        let blocks_at =
            (record + size_of::<PoolRecord>() + shape.words * 8).next_multiple_of(options.alignment);
        let region = object.memory().bytes();
        // Checked once, for all blocks and for ever.
        let blocks = region.slice(blocks_at..blocks_at + stride * options.count as usize)?;
        let blocks = NonNull::new(blocks.as_ptr()).ok_or_else(|| object.error(ErrorKind::Internal, OPEN))?;
        let first = first_of(slot_index(object.me(OPEN)?), options.count);
        Ok(Pool {
            shape,
            options,
            stride,
            blocks,
            first: AtomicU32::new(first),
            fruitless: Fruitless::default(),
            object,
        })
    }

    /// Takes a block, waiting as long as it takes; dropping the result frees it.
    ///
    /// A block may hold what its last owner left in it. Errors: `Closed`.
    #[inline]
    pub fn allocate(&self) -> Result<PoolBlock<'_>> {
        self.allocate_with(&Wait::FOREVER)
    }

    /// Takes a block if one is free within this time; else `Timeout`.
    pub fn allocate_timeout(&self, timeout: Duration) -> Result<PoolBlock<'_>> {
        self.allocate_with(&Wait::timeout(timeout))
    }

    /// Takes a block, waiting as `wait` says.
    #[inline]
    pub fn allocate_with(&self, wait: &Wait) -> Result<PoolBlock<'_>> {
        self.take(wait).map(|handle| PoolBlock::new(self, handle))
    }

    /// Takes a block if one is free or belongs to somebody who died; `None` if there is none.
    ///
    /// In a pool of more than 512 blocks for each attached process, one may be missed for up to 10 ms that somebody frees while
    /// another is looking at it; [`Pool::allocate`] misses none.
    #[inline]
    pub fn try_allocate(&self) -> Result<Option<PoolBlock<'_>>> {
        Ok(self.try_take()?.map(|handle| PoolBlock::new(self, handle)))
    }

    /// Takes the block that was published under this handle. Of several who try, one gets it.
    ///
    /// Errors: `StaleHandle` (somebody adopted it before), `InvalidBlock` (it is not published), `Closed`.
    pub fn adopt(&self, handle: u64) -> Result<PoolBlock<'_>> {
        self.take_published(handle).map(|handle| PoolBlock::new(self, handle))
    }

    /// Takes a block without a Rust guard, waiting as `wait` says: pair it with [`Pool::free`].
    #[inline]
    pub fn take(&self, wait: &Wait) -> Result<u64> {
        let me = self.object.me(ALLOCATE)?;
        match self.words().try_take(me, self.first.load(Unordered)) {
            Some(handle) => self.keep_if_open(handle, me),
            None => self.take_slow(me, wait),
        }
    }

    #[cold]
    fn take_slow(&self, me: u32, wait: &Wait) -> Result<u64> {
        let first = self.first.load(Unordered);
        let taken = self.words().take(me, first, self.object.memory(), wait);
        let handle = taken.map_err(|stop| self.object.error(stop.into(), ALLOCATE))?;
        self.keep_if_open(handle, me)
    }

    /// Takes a block without a Rust guard, if one is free or belongs to somebody who died.
    #[inline]
    pub fn try_take(&self) -> Result<Option<u64>> {
        let me = self.object.me(ALLOCATE)?;
        let taken = self.words().try_take(me, self.first.load(Unordered));
        taken.or_else(|| self.look_again(me)).map(|handle| self.keep_if_open(handle, me)).transpose()
    }

    /// Looks at all blocks, where that can find what the bits do not tell of.
    #[cold]
    fn look_again(&self, me: u32) -> Option<u64> {
        let memory = self.object.memory();
        if self.fruitless.is_worth_another_look(self.options.count, memory) {
            return self.words().take_now(me, self.first.load(Unordered), memory);
        }
        None
    }

    /// As [`Pool::adopt`], without a Rust guard: the block's new handle.
    pub fn take_published(&self, handle: u64) -> Result<u64> {
        let operation = "adopt block";
        let me = self.object.me(operation)?;
        self.words().adopt(handle, me).map_err(|why| match why {
            Refused::Stale => self.refuse(why, handle, operation),
            Refused::Invalid => self
                .refuse(why, handle, operation)
                .with_detail(format!("handle {handle:#x}: nothing is published under it")),
        })
    }

    /// Frees a block of this process by its handle. What was written to it before is seen by who allocates it next.
    ///
    /// Errors: `StaleHandle` (it was freed, and is in use again), `InvalidBlock` (it is not this process's).
    #[inline]
    pub fn free(&self, handle: u64) -> Result<()> {
        let me = self.object.memory().holder();
        match self.words().free(handle, me, self.object.memory()) {
            Ok(index) => {
                self.first.store(index, Unordered);
                Ok(())
            }
            Err(why) => Err(self.refuse(why, handle, "free block")),
        }
    }

    /// Makes a block of this process everybody's: the first to adopt its handle has it. Errors: as [`Pool::free`].
    pub fn publish(&self, handle: u64) -> Result<()> {
        let me = self.object.memory().holder();
        self.words().publish(handle, me).map_err(|why| self.refuse(why, handle, "publish block"))
    }

    /// Whether a handle names a block that this process has. Errors: as [`Pool::free`].
    pub fn expect_mine(&self, handle: u64) -> Result<()> {
        let me = self.object.memory().holder();
        let mine = self.words().is_mine(handle, me);
        mine.map(|_| ()).map_err(|why| self.refuse(why, handle, "use block"))
    }

    /// Takes back now what the dead have, and says how many blocks came back. Whoever finds no free block does it too.
    ///
    /// Errors: `Closed`.
    pub fn recover(&self) -> Result<u32> {
        let me = self.object.me("recover blocks")?;
        Ok(self.words().recover(me, self.object.memory()))
    }

    /// What each block is, at some instant while it was looked at; in the order of their places.
    pub fn blocks(&self) -> Vec<BlockStatus> {
        (0..self.options.count).filter_map(|index| self.block_at(index)).collect()
    }

    /// What the block of this index is; `None` for an index beyond the last.
    pub fn block_at(&self, index: u32) -> Option<BlockStatus> {
        let memory = self.object.memory();
        let (state, owner, handle) = match self.words().tenure_at(index)? {
            Tenure::Free => (BlockState::Free, 0, None),
            Tenure::Owned(owner, handle) => (BlockState::Owned, owner, Some(handle)),
            Tenure::Published(handle) => (BlockState::Published, 0, Some(handle)),
            Tenure::Garbage => (BlockState::Damaged, 0, None),
        };
        let (slot, pid, _) = if owner == 0 { (0, 0, false) } else { memory.process(owner) };
        let mine = owner != 0 && owner == memory.me_if_attached();
        Some(BlockStatus { index, state, slot: (owner != 0).then_some(slot), pid, mine, handle })
    }

    /// How many blocks there are of each kind, and who has how many.
    pub fn status(&self) -> PoolStatus {
        let mut status = PoolStatus {
            block_size: self.options.block_size,
            stride: self.stride,
            total: self.options.count,
            recovered: self.object.recovered.load(Relaxed),
            ..PoolStatus::default()
        };
        let mut owners: Vec<(u32, u32)> = Vec::new();
        for tenure in self.words().tenures() {
            match tenure {
                Tenure::Free => status.free += 1,
                Tenure::Published(_) => status.published += 1,
                Tenure::Garbage => status.damaged += 1,
                Tenure::Owned(owner, _) => {
                    status.owned += 1;
                    match owners.iter_mut().find(|(known, _)| *known == owner) {
                        Some((_, count)) => *count += 1,
                        None => owners.push((owner, 1)),
                    }
                }
            }
        }
        let told = owners.into_iter().map(|(owner, count)| {
            let (slot, pid, alive) = self.object.memory().process(owner);
            PoolOwner { slot, pid, alive, count }
        });
        status.owners = told.collect();
        status
    }

    /// Bytes of a block.
    pub fn block_size(&self) -> usize {
        self.options.block_size
    }

    /// Number of blocks.
    pub fn count(&self) -> u32 {
        self.options.count
    }

    /// What the blocks are aligned to.
    pub fn block_alignment(&self) -> usize {
        self.options.alignment
    }

    /// The address of the block that a handle names; its index, whatever else is wrong with it, leads to a block of this pool.
    ///
    /// Errors: `InvalidBlock`.
    #[inline]
    pub fn address(&self, handle: u64) -> Result<NonNull<u8>> {
        let index = (handle as u32).wrapping_sub(1);
        if index >= self.options.count {
            return Err(self.refuse(Refused::Invalid, handle, "use block"));
        }
        Ok(self.place(index))
    }

    #[inline]
    pub(super) fn place(&self, index: u32) -> NonNull<u8> {
        debug_assert!(index < self.options.count);
        #[allow(unsafe_code)]
        // SAFETY: `open` checked that all blocks lie in the region, and the index is below their number.
        unsafe {
            self.blocks.add(index as usize * self.stride)
        }
    }

    /// The words of the pool and of this process, for languages that take the fast path themselves.
    pub fn layout(&self) -> PoolLayout<'_> {
        PoolLayout {
            signal: &self.object.signal,
            me: self.object.memory().me_word(),
            words: self.object.table(),
            levels: (0..self.shape.depth)
                .map(|level| (self.shape.starts[level], self.shape.lens[level]))
                .collect(),
            blocks: self.blocks,
            stride: self.stride,
            first: self.first.load(Unordered),
        }
    }

    /// Tells others of the block of this index, which was just freed without a call: the second half of [`Pool::free`].
    pub fn settle(&self, index: u32) {
        if index < self.options.count {
            self.words().settle(index, self.object.memory());
        }
    }

    /// As [`Region::damage_word`], for the region that the pool is in.
    pub fn damage_word(&self) -> Option<&'static crate::AtomicU32> {
        self.object.memory().damage_word()
    }

    /// The name in its region.
    pub fn name(&self) -> &str {
        self.object.name()
    }

    /// Whether this handle was closed.
    pub fn is_closed(&self) -> bool {
        self.object.is_closed()
    }

    /// Ends the use of this handle; repeating it does nothing. `Busy` when it is the process's last and it has blocks.
    pub fn close(&self) -> Result<()> {
        self.object.close("close pool", None, |me| self.words().is_used_by(me))
    }

    /// A block taken while another thread closed the handle is given back: the close may have looked before we took it.
    /// Nor is one that was taken in a page that the file has lost: there every word is zero, and says that it is free.
    #[inline]
    fn keep_if_open(&self, handle: u64, me: u32) -> Result<u64> {
        match self.object.expect_open(ALLOCATE) {
            Ok(()) => Ok(handle),
            Err(error) => Err(self.give_back(handle, me, error)),
        }
    }

    #[cold]
    fn give_back(&self, handle: u64, me: u32, error: Error) -> Error {
        let _ = self.words().free(handle, me, self.object.memory());
        error
    }

    #[cold]
    fn refuse(&self, why: Refused, handle: u64, operation: &'static str) -> Error {
        let kind = match why {
            Refused::Stale => ErrorKind::StaleHandle,
            Refused::Invalid => ErrorKind::InvalidBlock,
        };
        self.object.error(kind, operation).with_detail(format!("handle {handle:#x}"))
    }

    #[inline]
    fn words(&self) -> PoolWords<'_> {
        PoolWords { record: &self.object, table: self.object.table(), shape: &self.shape }
    }
}

/// Where the process of this slot begins to look: the multiples of the golden ratio lie far from each other, however many
/// there are. On the first word of a cache line.
fn first_of(slot: u32, count: u32) -> u32 {
    const GOLDEN: u32 = 0x9E37_79B9;
    let place = (u64::from(slot.wrapping_mul(GOLDEN)) * u64::from(count)) >> 32;
    place as u32 & !7
}

/// Where a pool's words are, for languages that take the fast path themselves. See `docs/format.md`.
#[derive(Debug)]
pub struct PoolLayout<'a> {
    /// What waiters sleep on.
    pub signal: &'a crate::AtomicU32,
    /// This process's owner id, or 0 when it is not attached.
    pub me: Option<&'a crate::AtomicU32>,
    /// One word per block, and then the levels of bits.
    pub words: &'a [AtomicU64],
    /// Where each level begins in the words, and how many it has.
    pub levels: Vec<(usize, usize)>,
    /// The first block.
    pub blocks: NonNull<u8>,
    /// Bytes from block to block.
    pub stride: usize,
    /// The block to look at first.
    pub first: u32,
}
