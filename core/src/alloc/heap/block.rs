//! [`Block`]: a block of a heap as Rust has it, a guard over its bytes.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;

use super::Heap;
use crate::error::Result;
use crate::layout::HEAP_GRANULE;
use crate::mapping::Pinned;
use crate::view::SharedBytes;

/// A block of a [`Heap`] that this process owns; dropping it frees it.
///
/// It derefs to its bytes. While it lives, its heap's handle cannot be closed. In a child forked meanwhile, dropping the
/// child's copy does nothing.
#[must_use = "the block is freed when this is dropped"]
pub struct Block<'a> {
    heap: &'a Heap,
    offset: u64,
    align: usize,
    bytes: SharedBytes<'a>,
    _pinned: Pinned<'a>,
}

impl Heap {
    /// Allocates a block of `len` bytes, which may be anything. It lies at a multiple of 16.
    ///
    /// Errors: `NoSpace`, `InvalidLength` (0), `Timeout` (a stopped process has the heap's lock), `Corrupted`, `Closed`.
    pub fn allocate(&self, len: usize) -> Result<Block<'_>> {
        self.allocate_aligned(len, HEAP_GRANULE)
    }

    /// As [`Heap::allocate`], at a multiple of `align`. Errors: also `InvalidArgument` (no power of two, or above
    /// [`MAX_HEAP_ALIGN`](super::MAX_HEAP_ALIGN)).
    pub fn allocate_aligned(&self, len: usize, align: usize) -> Result<Block<'_>> {
        let pinned = self.pinned("allocate block")?;
        self.guard(self.reserve(len, align)?, Some(len), align, pinned)
    }

    /// As [`Heap::allocate`], with bytes that are all zero.
    pub fn allocate_zeroed(&self, len: usize) -> Result<Block<'_>> {
        let pinned = self.pinned("allocate block")?;
        self.guard(self.reserve_zeroed(len, HEAP_GRANULE)?, Some(len), HEAP_GRANULE, pinned)
    }

    /// Makes a block this process's own that is published, or whose owner died: all that it offers. Of several who try, one
    /// gets it.
    ///
    /// Errors: `InvalidBlock`, `NotOwner` (a living process has it), `Corrupted`, `Timeout`, `Closed`.
    pub fn adopt(&self, offset: u64) -> Result<Block<'_>> {
        let pinned = self.pinned("adopt block")?;
        self.adopt_offset(offset)?;
        self.guard(offset, None, HEAP_GRANULE, pinned)
    }

    /// Makes a guard of a block that this process owns by its offset, as [`Block::into_offset`] left it.
    ///
    /// Errors: `InvalidBlock`, `NotOwner`, `Corrupted`, `Timeout`, `Closed`.
    pub fn block(&self, offset: u64) -> Result<Block<'_>> {
        let pinned = self.pinned("look at block")?;
        let is_mine = self.change("look at block", offset, |_, block, me| Ok(block.owner == me))?;
        if !is_mine {
            return Err(self.not_mine("look at block", offset));
        }
        self.guard(offset, None, HEAP_GRANULE, pinned)
    }

    fn pinned(&self, operation: &'static str) -> Result<Pinned<'_>> {
        self.object.exports().acquire(true).map_err(|kind| self.error(kind, operation))?;
        Ok(Pinned { exports: self.object.exports(), writable: true })
    }

    fn guard<'a>(
        &'a self,
        offset: u64,
        len: Option<usize>,
        align: usize,
        pinned: Pinned<'a>,
    ) -> Result<Block<'a>> {
        let len = len.map_or_else(|| self.usable_size(offset), Ok)?;
        let bytes = self.bytes_of(offset, len)?;
        Ok(Block { heap: self, offset, align, bytes, _pinned: pinned })
    }

    fn bytes_of(&self, offset: u64, len: usize) -> Result<SharedBytes<'_>> {
        let start = self.address(offset, len)?;
        #[allow(unsafe_code)]
        // SAFETY: `address` found the range within the heap, which is mapped as long as this handle.
        Ok(unsafe { SharedBytes::new(start, len, true) })
    }
}

impl<'a> Block<'a> {
    /// Where it is, from the region's start: what other processes call it.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Makes it longer or shorter, at another place if there is no room here; its offset changes then. Errors: as
    /// [`Heap::resize`]; the block is as it was.
    pub fn resize(&mut self, len: usize) -> Result<()> {
        self.offset = self.heap.resize(self.offset, len, self.align)?;
        self.bytes = self.heap.bytes_of(self.offset, len)?;
        Ok(())
    }

    /// Makes it longer or shorter where it is. Errors: as [`Heap::resize_in_place`]; the block is as it was.
    pub fn resize_in_place(&mut self, len: usize) -> Result<()> {
        self.heap.resize_in_place(self.offset, len)?;
        self.bytes = self.heap.bytes_of(self.offset, len)?;
        Ok(())
    }

    /// Gives it away: it belongs to nobody until somebody [adopts](Heap::adopt) it by the offset returned. When that fails,
    /// it is freed.
    pub fn publish(self) -> Result<u64> {
        self.heap.publish(self.offset)?;
        Ok(self.into_offset())
    }

    /// Goes on owning the block by its offset alone.
    pub fn into_offset(self) -> u64 {
        let mut kept = ManuallyDrop::new(self);
        let offset = kept.offset;
        #[allow(unsafe_code)]
        // SAFETY: the count is given back once, here, since the block is not dropped.
        unsafe {
            std::ptr::drop_in_place(&raw mut kept._pinned);
        }
        offset
    }

    /// Frees it, and says how that went.
    pub fn free(self) -> Result<()> {
        let heap = self.heap;
        heap.free(self.into_offset())
    }
}

impl<'a> Deref for Block<'a> {
    type Target = SharedBytes<'a>;

    fn deref(&self) -> &SharedBytes<'a> {
        &self.bytes
    }
}

impl Drop for Block<'_> {
    fn drop(&mut self) {
        self.heap.free_quietly(self.offset);
    }
}

impl fmt::Debug for Block<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("offset", &self.offset)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
