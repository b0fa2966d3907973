//! `shmkit_pool_*`: what its blocks are, and where its words are.

use std::ffi::c_void;
use std::mem::size_of;

use core_crate::layout::POOL_LEVELS;
use core_crate::{ErrorKind, PoolOwner};

use crate::boundary::{answer, attempt, borrow};
use crate::error::{Details, Status};
use crate::heap_status::{BLOCK_OWNER_ALIVE, list};
use crate::options::{self, Options};
use crate::pool::PoolHandle;

/// How the blocks of a pool are distributed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PoolAnswer {
    /// sizeof(shmkit_pool_status_t).
    pub size: usize,
    /// Bytes of a block.
    pub block_size: u64,
    /// Bytes from block to block.
    pub stride: u64,
    /// All blocks.
    pub total: u32,
    /// Free ones.
    pub free: u32,
    /// Those that processes have, dead or alive.
    pub owned: u32,
    /// Published ones.
    pub published: u32,
    /// Those whose words are none that a pool writes: somebody overwrote them.
    pub damaged: u32,
    /// How many blocks came back from the dead so far.
    pub recovered: u32,
}

/// What one block is.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PoolBlockAnswer {
    /// sizeof(shmkit_pool_block_status_t).
    pub size: usize,
    /// The handle; 0 for a free block.
    pub handle: u64,
    /// A shmkit_block_state_t.
    pub state: u32,
    /// Slot of the owner, if it is owned.
    pub slot: u32,
    /// Process id of the owner; 0 when there is none, or its slot has a new owner.
    pub pid: u32,
    /// 1 if this process has it.
    pub mine: u32,
}

/// A process that has blocks of a pool.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PoolOwnerReport {
    /// Its slot.
    pub slot: u32,
    /// Its process id; 0 when the slot has a new owner.
    pub pid: u32,
    /// Number of its blocks.
    pub count: u32,
    /// SHMKIT_BLOCK_OWNER_ALIVE, or 0.
    pub flags: u32,
}

/// The words of a pool and of this process, for languages that use them without a call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PoolWordsAnswer {
    /// sizeof(shmkit_pool_words_t).
    pub size: usize,
    /// This process's owner id, or 0 when it is not attached.
    pub me: *const u32,
    /// What waiters sleep on.
    pub signal: *mut u32,
    /// A word for each block.
    pub states: *mut u64,
    /// The levels of bits; NULL beyond the last.
    pub levels: [*mut u64; POOL_LEVELS],
    /// Words of each level.
    pub level_lens: [u64; POOL_LEVELS],
    /// The first block.
    pub blocks: *mut c_void,
    /// Bytes from block to block.
    pub stride: u64,
    /// Bytes of a block.
    pub block_size: u64,
    /// Number of blocks.
    pub count: u32,
    /// The block to look at first.
    pub first: u32,
}

// SAFETY: a size, two 64-bit and six 32-bit integers, without padding.
unsafe impl Options for PoolAnswer {
    const DEFAULT: PoolAnswer = PoolAnswer {
        size: size_of::<PoolAnswer>(),
        block_size: 0,
        stride: 0,
        total: 0,
        free: 0,
        owned: 0,
        published: 0,
        damaged: 0,
        recovered: 0,
    };
}

// SAFETY: a size, a 64-bit and four 32-bit integers, without padding.
unsafe impl Options for PoolBlockAnswer {
    const DEFAULT: PoolBlockAnswer =
        PoolBlockAnswer { size: size_of::<PoolBlockAnswer>(), handle: 0, state: 0, slot: 0, pid: 0, mine: 0 };
}

// SAFETY: a size, addresses, which may be any integers, and integers of 64 and 32 bits, without padding.
unsafe impl Options for PoolWordsAnswer {
    const DEFAULT: PoolWordsAnswer = PoolWordsAnswer {
        size: size_of::<PoolWordsAnswer>(),
        me: std::ptr::null(),
        signal: std::ptr::null_mut(),
        states: std::ptr::null_mut(),
        levels: [std::ptr::null_mut(); POOL_LEVELS],
        level_lens: [0; POOL_LEVELS],
        blocks: std::ptr::null_mut(),
        stride: 0,
        block_size: 0,
        count: 0,
        first: 0,
    };
}

const STATUS: &str = "inspect pool";

/// How many blocks there are of each kind. Set `out->size` to sizeof(shmkit_pool_status_t) before. Fails with
/// INVALID_ARGUMENT, CLOSED.
///
/// # Safety
/// `pool` is null or a handle; `out` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_pool_status(
    pool: *const PoolHandle,
    out: *mut PoolAnswer,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(pool, STATUS)?;
            let call = handle.label.call(STATUS);
            if handle.pool.is_closed() {
                return Err(call.error(ErrorKind::Closed));
            }
            let status = handle.pool.status();
            let answer = PoolAnswer {
                size: size_of::<PoolAnswer>(),
                block_size: status.block_size as u64,
                stride: status.stride as u64,
                total: status.total,
                free: status.free,
                owned: status.owned,
                published: status.published,
                damaged: status.damaged,
                recovered: status.recovered,
            };
            options::store(out, answer, &call)
        })
    }
}

/// Writes what there is of the first `capacity` processes that have blocks, the dead included. `*count`, unless NULL, becomes the
/// number of all; it changes when others allocate. `owners` of NULL with a `capacity` of 0 only asks for that. Fails with
/// INVALID_ARGUMENT, CLOSED.
///
/// # Safety
/// `pool` is null or a handle; `owners` is null or has room for `capacity`; `count` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_pool_owners(
    pool: *const PoolHandle,
    owners: *mut PoolOwnerReport,
    capacity: usize,
    count: *mut usize,
    error: *mut Details,
) -> Status {
    let report = |owner: &PoolOwner| PoolOwnerReport {
        slot: owner.slot,
        pid: owner.pid,
        count: owner.count,
        flags: if owner.alive { BLOCK_OWNER_ALIVE } else { 0 },
    };
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(pool, STATUS)?;
            let call = handle.label.call(STATUS);
            if handle.pool.is_closed() {
                return Err(call.error(ErrorKind::Closed));
            }
            list(&call, &handle.pool.status().owners, report, (owners, capacity), count)
        })
    }
}

/// What the block of this index is, from 0 to one below the number of blocks. Set `out->size` to
/// sizeof(shmkit_pool_block_status_t) before. Fails with OUT_OF_RANGE, INVALID_ARGUMENT, CLOSED.
///
/// # Safety
/// `pool` is null or a handle; `out` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_pool_block_at(
    pool: *const PoolHandle,
    index: u32,
    out: *mut PoolBlockAnswer,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(pool, STATUS)?;
            let call = handle.label.call(STATUS);
            if handle.pool.is_closed() {
                return Err(call.error(ErrorKind::Closed));
            }
            let block = handle.pool.block_at(index).ok_or_else(|| call.error(ErrorKind::OutOfRange))?;
            let answer = PoolBlockAnswer {
                size: size_of::<PoolBlockAnswer>(),
                handle: block.handle.unwrap_or(0),
                state: block.state as u32,
                slot: block.slot.unwrap_or(0),
                pid: block.pid,
                mine: u32::from(block.mine),
            };
            options::store(out, answer, &call)
        })
    }
}

/// The words of a pool. Set `out->size` to sizeof(shmkit_pool_words_t) before. They live as long as the handle; docs/format.md
/// says what they hold. To allocate: a compare-and-swap of a block's word from free to owned by `*me`, its generation + 1; then
/// take away the bit of the first level, which is only a hint, if it is in the way. To free: the reverse; then, unless the
/// bit of the first level is set and SHMKIT_WORD_WAITERS in `*signal` is not, call shmkit_pool_settle. All sequentially
/// consistent. Fails with INVALID_ARGUMENT, CLOSED.
///
/// # Safety
/// `pool` is null or a handle; `out` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_pool_words(
    pool: *const PoolHandle,
    out: *mut PoolWordsAnswer,
    error: *mut Details,
) -> Status {
    const VIEW: &str = "view pool";
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(pool, VIEW)?;
            let call = handle.label.call(VIEW);
            if handle.pool.is_closed() {
                return Err(call.error(ErrorKind::Closed));
            }
            let layout = handle.pool.layout();
            let me = layout.me.ok_or_else(|| call.error(ErrorKind::ReadOnly))?;
            let (mut levels, mut level_lens) = ([std::ptr::null_mut(); POOL_LEVELS], [0; POOL_LEVELS]);
            for (level, (start, len)) in layout.levels.iter().enumerate() {
                levels[level] = layout.words[*start].as_ptr();
                level_lens[level] = *len as u64;
            }
            let answer = PoolWordsAnswer {
                size: size_of::<PoolWordsAnswer>(),
                me: me.as_ptr(),
                signal: layout.signal.as_ptr(),
                states: layout.words[0].as_ptr(),
                levels,
                level_lens,
                blocks: layout.blocks.as_ptr().cast(),
                stride: layout.stride as u64,
                block_size: handle.pool.block_size() as u64,
                count: handle.pool.count(),
                first: layout.first,
            };
            options::store(out, answer, &call)
        })
    }
}

/// Tells others of the block of this index, which was just freed without a call; see shmkit_pool_words. NULL is allowed.
///
/// # Safety
/// `pool` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_pool_settle(pool: *const PoolHandle, index: u32) {
    // SAFETY: the caller's promise.
    answer((), || unsafe { pool.as_ref() }.map(|handle| handle.pool.settle(index)));
}
