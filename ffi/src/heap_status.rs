//! `shmkit_heap_*`, continued: what is in a heap, and whether it is whole.

use std::ffi::c_char;
use std::mem::size_of;

use core_crate::{HeapBlock, HeapOwner, Result};

use crate::boundary::{Call, answer, attempt, borrow};
use crate::error::{Details, Status};
use crate::heap::{HeapHandle, give};

/// A heap in numbers. Bytes are those that blocks offer; the words before them count nowhere.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct HeapReport {
    /// sizeof(shmkit_heap_status_t).
    pub size: usize,
    /// Bytes of the heap, all in all.
    pub len: u64,
    /// Bytes of live blocks.
    pub used: u64,
    /// Bytes of free blocks.
    pub free: u64,
    /// Bytes of the largest free block.
    pub largest_free: u64,
    /// Number of live blocks.
    pub used_blocks: u64,
    /// How many of them are published.
    pub published_blocks: u64,
    /// Number of free blocks.
    pub free_blocks: u64,
    /// How often what is derived from the blocks was made anew, after the death of somebody who held the heap's lock.
    pub repairs: u64,
    /// Blocks that were taken back from the dead.
    pub reclaimed: u64,
    /// 1 − largest free block ÷ free bytes.
    pub fragmentation: f64,
}

const _: () = assert!(size_of::<HeapReport>() == 88);

/// The block is free space.
pub const BLOCK_FREE: u32 = 1 << 0;
/// The block is live and belongs to nobody.
pub const BLOCK_PUBLISHED: u32 = 1 << 1;
/// The owner lives.
pub const BLOCK_OWNER_ALIVE: u32 = 1 << 2;

/// One block of a heap.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct BlockReport {
    /// Where its bytes begin, from the region's start.
    pub offset: u64,
    /// How many bytes it offers.
    pub len: u64,
    /// SHMKIT_BLOCK_FREE and the others.
    pub flags: u32,
    /// The owner's slot; 0 for a block without.
    pub slot: u32,
    /// The owner's process id; 0 when there is none, or its slot has a new owner.
    pub pid: u32,
    /// 0.
    pub reserved: u32,
}

/// What one process has of a heap.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct HeapOwnerReport {
    /// Number of its blocks.
    pub blocks: u64,
    /// Bytes that they offer.
    pub bytes: u64,
    /// Its slot.
    pub slot: u32,
    /// Its process id; 0 when the slot has a new owner.
    pub pid: u32,
    /// SHMKIT_BLOCK_OWNER_ALIVE, or 0.
    pub flags: u32,
    /// 0.
    pub reserved: u32,
}

/// Fills `status`, whose `size` is set. Looks at every block, with the heap's lock held.
///
/// Fails with CORRUPTED, TIMEOUT, CLOSED.
///
/// # Safety
/// `heap` is null or a handle; `status` is null or leads to as many bytes as its `size` says; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_status(
    heap: *const HeapHandle,
    status: *mut HeapReport,
    error: *mut Details,
) -> Status {
    const OPERATION: &str = "inspect heap";
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(heap, OPERATION)?;
            let size = give(status.cast::<usize>(), &handle.label, OPERATION)?;
            let known = (*size).min(size_of::<HeapReport>());
            if known < size_of::<usize>() {
                return Err(handle.label.call(OPERATION).refuse("set `size` to the struct's sizeof"));
            }
            let found = handle.heap.status()?;
            let report = HeapReport {
                size: *size,
                len: found.len,
                used: found.used,
                free: found.free,
                largest_free: found.largest_free,
                used_blocks: found.used_blocks,
                published_blocks: found.published_blocks,
                free_blocks: found.free_blocks,
                repairs: found.repairs,
                reclaimed: found.reclaimed,
                fragmentation: found.fragmentation(),
            };
            (&raw const report).cast::<u8>().copy_to_nonoverlapping(status.cast(), known);
            Ok(())
        })
    }
}

/// Writes what there is of the first `capacity` blocks, in the order of their addresses. `*count`, unless NULL, becomes the
/// number of all; it changes when others allocate. `blocks` of NULL with a `capacity` of 0 only asks for that.
///
/// Fails with CORRUPTED, TIMEOUT, CLOSED.
///
/// # Safety
/// `heap` is null or a handle; `blocks` is null or has room for `capacity`; `count` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_blocks(
    heap: *const HeapHandle,
    blocks: *mut BlockReport,
    capacity: usize,
    count: *mut usize,
    error: *mut Details,
) -> Status {
    const OPERATION: &str = "inspect heap";
    let report = |block: &HeapBlock| BlockReport {
        offset: block.offset,
        len: block.len,
        flags: flag(block.is_free, BLOCK_FREE)
            | flag(block.is_published, BLOCK_PUBLISHED)
            | flag(block.alive, BLOCK_OWNER_ALIVE),
        slot: block.slot,
        pid: block.pid,
        reserved: 0,
    };
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(heap, OPERATION)?;
            let found = handle.heap.blocks()?;
            list(&handle.label.call(OPERATION), &found, report, (blocks, capacity), count)
        })
    }
}

/// As shmkit_heap_blocks, for the processes that have blocks, the dead included.
///
/// # Safety
/// `heap` is null or a handle; `owners` is null or has room for `capacity`; `count` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_owners(
    heap: *const HeapHandle,
    owners: *mut HeapOwnerReport,
    capacity: usize,
    count: *mut usize,
    error: *mut Details,
) -> Status {
    const OPERATION: &str = "inspect heap";
    let report = |owner: &HeapOwner| HeapOwnerReport {
        blocks: owner.blocks,
        bytes: owner.bytes,
        slot: owner.slot,
        pid: owner.pid,
        flags: flag(owner.alive, BLOCK_OWNER_ALIVE),
        reserved: 0,
    };
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(heap, OPERATION)?;
            let found = handle.heap.owners()?;
            list(&handle.label.call(OPERATION), &found, report, (owners, capacity), count)
        })
    }
}

fn flag(set: bool, bit: u32) -> u32 {
    if set { bit } else { 0 }
}

/// Hands over as much of a list as there is room for.
///
/// # Safety
/// `places` is null or has room for as many as it says; `count` is null or valid.
pub(crate) unsafe fn list<F, T>(
    call: &Call<'_>,
    found: &[F],
    report: impl Fn(&F) -> T,
    (places, capacity): (*mut T, usize),
    count: *mut usize,
) -> Result<()> {
    if places.is_null() && capacity > 0 {
        return Err(call.refuse("the place for the result is NULL"));
    }
    for (index, entry) in found.iter().take(capacity).enumerate() {
        // SAFETY: `index` is below `capacity`, and the caller's promise.
        unsafe { places.add(index).write(report(entry)) };
    }
    // SAFETY: the caller's promise.
    if let Some(count) = unsafe { count.as_mut() } {
        *count = found.len();
    }
    Ok(())
}

/// Frees all blocks of processes that died, except published ones; `*count`, unless NULL, becomes how many there were.
///
/// Fails with CORRUPTED, TIMEOUT, CLOSED.
///
/// # Safety
/// `heap` is null or a handle; `count` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_reclaim(
    heap: *const HeapHandle,
    count: *mut u64,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let reclaimed = borrow(heap, "reclaim blocks")?.heap.reclaim()?;
            if let Some(count) = count.as_mut() {
                *count = reclaimed;
            }
            Ok(())
        })
    }
}

/// Checks that the heap is whole: every block, and all that is derived from them. Fails with CORRUPTED, whose text says what
/// is wrong; TIMEOUT, CLOSED.
///
/// # Safety
/// `heap` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_check(heap: *const HeapHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(heap, "check heap")?.heap.check()) }
}

/// How the heap was created: a shmkit_heap_strategy_t; SHMKIT_HEAP_STRATEGY_BEST_FIT for NULL.
///
/// # Safety
/// `heap` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_strategy(heap: *const HeapHandle) -> u32 {
    let otherwise = core_crate::HeapStrategy::BestFit as u32;
    // SAFETY: the caller's promise.
    answer(otherwise, || unsafe { heap.as_ref() }.map(|handle| handle.heap.strategy() as u32))
}

/// The name in its region; it lives as long as the handle. "" for NULL.
///
/// # Safety
/// `heap` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_name(heap: *const HeapHandle) -> *const c_char {
    // SAFETY: the caller's promise.
    answer(c"".as_ptr(), || unsafe { heap.as_ref() }.map(|handle| handle.label.name()))
}

/// Whether this handle was closed; true for NULL.
///
/// # Safety
/// `heap` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_is_closed(heap: *const HeapHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(true, || unsafe { heap.as_ref() }.map(|handle| handle.heap.is_closed()))
}
