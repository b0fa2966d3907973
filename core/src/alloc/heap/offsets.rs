//! Blocks by their offsets: what [`Block`](super::Block) and the other languages' blocks are made of.

use std::ptr::NonNull;

use super::Heap;
use super::operate::Release;
use crate::atomic::AtomicU32;
use crate::error::{ErrorKind, Result};
use crate::layout::HEAP_GRANULE;
use crate::mapping::{Pinned, View};
use crate::protocol::party::Party;
use crate::view::{SharedBytes, check_range};

/// Blocks by their offsets, for languages without guards; [`Heap::allocate`] and [`Heap::adopt`] give a
/// [`Block`](super::Block).
impl Heap {
    /// Allocates a block that offers at least `len` bytes, at a multiple of `align`, and returns its offset. The bytes may
    /// be anything.
    ///
    /// Errors: `NoSpace`, `InvalidLength` (0), `InvalidArgument` (an alignment that is no power of two up to
    /// [`MAX_HEAP_ALIGN`](crate::MAX_HEAP_ALIGN)), `Timeout` (a stopped process has the heap's lock), `Corrupted`, `Closed`.
    #[inline]
    pub fn reserve(&self, len: usize, align: usize) -> Result<u64> {
        self.take(len, align)
    }

    /// As [`Heap::reserve`], and where the block is in this process, as [`Heap::address`] says.
    #[inline]
    pub fn reserve_here(&self, len: usize, align: usize) -> Result<(u64, NonNull<u8>)> {
        let offset = self.take(len, align)?;
        Ok((offset, self.locate_bytes(offset, len)?))
    }

    /// As [`Heap::reserve`], with bytes that are all zero.
    pub fn reserve_zeroed(&self, len: usize, align: usize) -> Result<u64> {
        let offset = self.take(len, align)?;
        self.object.memory().bytes().zero_at(offset as usize, len)?;
        Ok(offset)
    }

    /// Frees a block. Errors: `InvalidBlock`, `NotOwner` (it is another process's), `Corrupted`, `Timeout`, `Closed`.
    #[inline]
    pub fn free(&self, offset: u64) -> Result<()> {
        let operation = "free block";
        self.perform(operation, &Release { heap: self, operation, offset })
    }

    /// For guards that are dropped: frees a block if it is this process's, and tells nothing. In a forked child, which owns
    /// nothing of its parent's, it does nothing.
    pub fn free_quietly(&self, offset: u64) {
        if self.object.memory().me_if_attached() != 0 {
            let _ = self.free(offset);
        }
    }

    /// How many bytes a live block offers: what was asked for, or somewhat more. Errors: `InvalidBlock`, `Corrupted`,
    /// `Timeout`, `Closed`.
    pub fn usable_size(&self, offset: u64) -> Result<usize> {
        let block = self.operate("look at block", |engine, _| engine.locate(offset).map(Ok))?;
        Ok(block.len as usize)
    }

    /// Makes a block longer or shorter, where it is if there is room, else at another place with the same bytes. Returns its
    /// offset, which is a multiple of `align` if it had to move.
    ///
    /// Errors: as [`Heap::reserve`] and [`Heap::free`]; then the block is as it was.
    pub fn resize(&self, offset: u64, len: usize, align: usize) -> Result<u64> {
        let operation = "resize block";
        self.check_request(operation, len, align)?;
        let (old_len, resized) = self.change(operation, offset, |engine, block, _| {
            Ok((block.len as usize, self.resized(engine, block, len)?))
        })?;
        if resized {
            return Ok(offset);
        }
        let new = self.take(len, align).map_err(|error| error.about(operation, self.full_name()))?;
        self.copy(offset, new, old_len.min(len));
        self.free(offset).map(|()| new)
    }

    /// Makes a block longer or shorter where it is. What lay behind its new end is lost, even when the process is killed
    /// half-way.
    ///
    /// Errors: `NoSpace` (it cannot grow so far here), and as [`Heap::free`]; then the block is as it was.
    pub fn resize_in_place(&self, offset: u64, len: usize) -> Result<()> {
        let operation = "resize block";
        self.check_request(operation, len, HEAP_GRANULE)?;
        if self.change(operation, offset, |engine, block, _| self.resized(engine, block, len))? {
            return Ok(());
        }
        Err(self.error(ErrorKind::NoSpace, operation).with_detail(format!("{len} bytes at {offset}")))
    }

    /// Gives a block away: it belongs to nobody, and outlives this process, until somebody adopts it.
    ///
    /// Errors: `NotOwner` (another process's, or nobody's already), and as [`Heap::free`].
    pub fn publish(&self, offset: u64) -> Result<()> {
        let operation = "publish block";
        let refused = self.change(operation, offset, |engine, block, _| match block.owner {
            0 => Ok(true),
            _ => engine.set_owner(block, 0).map(|()| false),
        })?;
        if refused {
            return Err(self.error(ErrorKind::NotOwner, operation).with_detail("it is published already"));
        }
        Ok(())
    }

    /// Makes a block this process's own that is published, or whose owner died. Of several who try, one gets it.
    ///
    /// Errors: `NotOwner` (a living process has it), and as [`Heap::free`].
    pub fn adopt_offset(&self, offset: u64) -> Result<()> {
        let operation = "adopt block";
        self.operate(operation, |engine, me| {
            let block = engine.locate(offset)?;
            if block.owner != 0 && (block.owner == me || !self.object.memory().is_dead(block.owner)) {
                return Ok(Err(self
                    .error(ErrorKind::NotOwner, operation)
                    .with_detail(format!("the owner of the block at {offset} lives"))));
            }
            engine.set_owner(block, me).map(Ok)
        })
    }

    /// The address of a range of this heap's blocks, for languages whose pointers have no lifetime. It is valid while the
    /// block lives and this handle is not closed; after a close it leads to zeros as long as the handle exists.
    ///
    /// Errors: `OutOfRange`, `Closed`.
    #[inline]
    pub fn address(&self, offset: u64, len: usize) -> Result<NonNull<u8>> {
        self.object.expect_open("view block")?;
        self.locate_bytes(offset, len)
    }

    #[inline]
    fn locate_bytes(&self, offset: u64, len: usize) -> Result<NonNull<u8>> {
        let inside = offset.wrapping_sub(self.base) as usize;
        check_range(inside, len, self.plan.len as usize)
            .map_err(|error| error.about("view block", self.full_name()))?;
        let space = NonNull::from(&self.object.table()[self.space_start]).cast::<u8>();
        #[allow(unsafe_code)]
        // SAFETY: `inside` lies in the space, which lies in the table.
        Ok(unsafe { space.add(inside) })
    }

    /// As [`Heap::address`] of a whole live block, whosever it is, and its length; counts a view in, which
    /// [`Heap::unpin`] counts out. While there are any, the handle cannot be closed.
    ///
    /// Errors: `InvalidBlock`, `Corrupted`, `Timeout`, `Closed`.
    pub fn pin(&self, offset: u64, writable: bool) -> Result<(NonNull<u8>, usize)> {
        let operation = "view block";
        self.object.exports().acquire(writable).map_err(|kind| self.error(kind, operation))?;
        let found = self.usable_size(offset).and_then(|len| Ok((self.address(offset, len)?, len)));
        found.inspect_err(|_| {
            self.object.exports().release(writable);
        })
    }

    /// Counts out a view that [`Heap::pin`] counted in, with the same `writable`; `false` when there is none.
    pub fn unpin(&self, writable: bool) -> bool {
        self.object.exports().release(writable)
    }

    /// A view of a live block, whosever it is. It does not keep the owner from freeing the block.
    ///
    /// Errors: as [`Heap::pin`].
    pub fn view(&self, offset: u64, writable: bool) -> Result<View<'_>> {
        let (start, len) = self.pin(offset, writable)?;
        #[allow(unsafe_code)]
        // SAFETY: `pin` found the range within the heap; the count in `pinned` keeps it mapped.
        let bytes = unsafe { SharedBytes::new(start, len, writable) };
        Ok(View { bytes, pinned: Pinned { exports: self.object.exports(), writable } })
    }

    /// A word that is 0 while all is well and becomes another number as soon as the heap's file has lost pages, for languages
    /// that copy bytes themselves: look at it after the copy. `None` without the fault guard.
    pub fn damage_word(&self) -> Option<&'static AtomicU32> {
        self.object.memory().damage_word()
    }

    fn copy(&self, from: u64, to: u64, len: usize) {
        // Both blocks are live and at least so long: nothing is out of range.
        let _ = self.object.memory().bytes().copy_within(from as usize, to as usize, len);
    }
}
