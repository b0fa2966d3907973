//! [`PoolBlock`]: a block of a pool, as Rust holds it.

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ops::Deref;
use std::ptr::NonNull;

use super::Pool;
use crate::error::Result;
use crate::view::SharedBytes;

/// A block of a pool that this process has; dropping it frees the block.
///
/// It dereferences to its bytes. The block may move to another thread. In a child forked meanwhile the parent still has the
/// block, and dropping the child's copy does nothing.
#[must_use = "the block is freed when this is dropped"]
pub struct PoolBlock<'a> {
    pool: &'a Pool,
    handle: u64,
    bytes: SharedBytes<'a>,
    /// Who has the block has its bytes, as if they were its own.
    own: PhantomData<&'a mut [u8]>,
}

impl<'a> PoolBlock<'a> {
    /// The block that a handle of this process names.
    #[inline]
    pub(super) fn new(pool: &'a Pool, handle: u64) -> PoolBlock<'a> {
        let start: NonNull<u8> = pool.place((handle as u32).wrapping_sub(1));
        #[allow(unsafe_code)]
        // SAFETY: a handle that this process was just given names a block, whose bytes lie in the region, which the pool
        // keeps mapped for reading and writing.
        let bytes = unsafe { SharedBytes::new(start, pool.block_size(), true) };
        PoolBlock { pool, handle, bytes, own: PhantomData }
    }

    /// The number that names this block while this process has it, and still when it is published.
    pub fn handle(&self) -> u64 {
        self.handle
    }

    /// Gives the block up without freeing it: the first to call [`Pool::adopt`] with the handle has it. Until then it belongs
    /// to nobody, whoever dies.
    pub fn publish(self) -> Result<u64> {
        let handle = self.handle;
        self.pool.publish(handle)?;
        mem::forget(self);
        Ok(handle)
    }

    /// Frees the block, as dropping it does, and says what went wrong: somebody overwrote the pool's words, or freed this
    /// block by its handle.
    pub fn free(self) -> Result<()> {
        let freed = self.pool.free(self.handle);
        mem::forget(self);
        freed
    }

    /// Keeps the block for this process beyond this guard, to be freed by [`Pool::free`].
    #[must_use = "the handle is the only way to the block"]
    pub fn into_handle(self) -> u64 {
        let handle = self.handle;
        mem::forget(self);
        handle
    }

    /// The bytes, shared with whoever else looks at them.
    pub fn bytes(&self) -> &SharedBytes<'a> {
        &self.bytes
    }
}

impl<'a> Deref for PoolBlock<'a> {
    type Target = SharedBytes<'a>;

    fn deref(&self) -> &SharedBytes<'a> {
        &self.bytes
    }
}

impl Drop for PoolBlock<'_> {
    #[inline]
    fn drop(&mut self) {
        // Fails in a forked child, which does not have the block, and when the block was freed by its handle.
        let _ = self.pool.free(self.handle);
    }
}

impl fmt::Debug for PoolBlock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBlock")
            .field("pool", &self.pool.name())
            .field("handle", &format_args!("{:#x}", self.handle))
            .field("len", &self.bytes.len())
            .finish()
    }
}

impl Pool {
    /// The block of this process that a handle names, as a guard again: after [`PoolBlock::into_handle`].
    ///
    /// Errors: `StaleHandle`, `InvalidBlock`.
    ///
    /// There must be no other guard for it: the first of two to be dropped frees the block for both.
    pub fn block(&self, handle: u64) -> Result<PoolBlock<'_>> {
        self.expect_mine(handle)?;
        Ok(PoolBlock::new(self, handle))
    }
}
