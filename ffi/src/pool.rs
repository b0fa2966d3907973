//! `shmkit_pool_*`: blocks of one size, allocated and freed without a lock.

use std::ffi::{c_char, c_void};
use std::mem::size_of;

use core_crate::layout::POOL_ALIGNMENT;
use core_crate::{Pool, PoolOptions, Result, Wait};

use crate::boundary::{Call, answer, attempt, borrow};
use crate::error::{Details, Status};
use crate::object::{self, Label};
use crate::options::{self, Options};
use crate::region::RegionHandle;
use crate::wait::wait;

/// A pool of blocks in a region.
pub struct PoolHandle {
    pub(crate) pool: Pool,
    pub(crate) label: Label,
}

/// How a pool is created; who opens one that exists must ask for the same. NULL in its place means: as it exists.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PoolChoices {
    /// sizeof(shmkit_pool_options_t).
    pub size: usize,
    /// Bytes of a block.
    pub block_size: u64,
    /// Number of blocks.
    pub count: u32,
    /// What the blocks are aligned to: a power of two from 8 to 4096. 0: SHMKIT_POOL_ALIGNMENT.
    pub alignment: u32,
}

const _: () = assert!(size_of::<PoolChoices>() == 24);

// SAFETY: a size, a 64-bit and two 32-bit integers, without padding.
unsafe impl Options for PoolChoices {
    const DEFAULT: PoolChoices =
        PoolChoices { size: size_of::<PoolChoices>(), block_size: 0, count: 0, alignment: 0 };
}

/// A block that this process has.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PoolBlockParts {
    /// Names the block while this process has it, and still when it is published. Never 0.
    pub handle: u64,
    /// Its bytes, in the region itself. They stay in place as long as the process has the pool open.
    pub data: *mut c_void,
    /// How many there are.
    pub len: usize,
}

/// The core's options.
///
/// # Safety
/// As [`options::load`].
unsafe fn load(given: *const PoolChoices, call: &Call<'_>) -> Result<PoolOptions> {
    // SAFETY: the caller's promise.
    let choices = unsafe { options::load(given, call) }?;
    let alignment = if choices.alignment == 0 { POOL_ALIGNMENT } else { choices.alignment as usize };
    let block_size = usize::try_from(choices.block_size).unwrap_or(usize::MAX);
    Ok(PoolOptions::new(block_size, choices.count).alignment(alignment))
}

const ALLOCATE: &str = "allocate block";

/// Makes sure that there is a place for a block, and empties it.
///
/// # Safety
/// `out` is null or a place for a block.
unsafe fn clear(out: *mut PoolBlockParts, call: &Call<'_>) -> Result<()> {
    if out.is_null() {
        return Err(call.refuse("the place for the block is NULL"));
    }
    // SAFETY: not null, and the caller's promise.
    unsafe { out.write(PoolBlockParts { handle: 0, data: std::ptr::null_mut(), len: 0 }) };
    Ok(())
}

/// Hands a block over.
///
/// # Safety
/// `out` is a place for a block.
unsafe fn give(out: *mut PoolBlockParts, pool: &Pool, handle: u64) -> Result<()> {
    let data = pool.address(handle)?.as_ptr().cast();
    // SAFETY: the caller's promise.
    unsafe { out.write(PoolBlockParts { handle, data, len: pool.block_size() }) };
    Ok(())
}

/// Opens the pool of this name, creating it when it is missing: all its blocks are free then, and zero. With `options` of
/// NULL it must exist, and is opened with whatever it was created.
///
/// On success `*out` is a handle for shmkit_pool_free, else NULL. It may outlive the region's handle.
/// Fails with PARAMETER_MISMATCH (it exists with other numbers), INVALID_ARGUMENT (the alignment), INVALID_LENGTH (no
/// blocks, none of a byte, or more than there can be), NOT_FOUND, WRONG_KIND (the name is another object's), INVALID_NAME,
/// NO_SPACE (no room for named objects left), CORRUPTED, READ_ONLY, CLOSED (the region).
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_pool_open(
    region: *const RegionHandle,
    name: *const c_char,
    options: *const PoolChoices,
    out: *mut *mut PoolHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            object::open("open pool", region, name, out, |region, name, label| {
                let pool = if options.is_null() {
                    region.find_pool(name)?
                } else {
                    region.pool(name, load(options, &label.call("open pool"))?)?
                };
                Ok(PoolHandle { pool, label })
            })
        })
    }
}

/// Takes a block, waiting as long as it takes. It is the process's until it is freed or published, or the process dies. Its
/// bytes may be what the last owner left in them.
///
/// Fails with CLOSED, TOO_MANY_ATTACHMENTS (a forked child that finds no place).
///
/// # Safety
/// `pool` is null or a handle; the other pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_pool_allocate(
    pool: *const PoolHandle,
    block: *mut PoolBlockParts,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(pool, ALLOCATE)?;
            clear(block, &handle.label.call(ALLOCATE))?;
            give(block, &handle.pool, handle.pool.take(&Wait::FOREVER)?)
        })
    }
}

/// Takes a block if one is free or belongs to somebody who died, else answers WOULD_BLOCK. Never waits for one. In a
/// pool of more than 512 blocks for each attached process, one may be missed for up to 10 ms that somebody frees while another
/// is looking at it. Otherwise as shmkit_pool_allocate.
///
/// # Safety
/// `pool` is null or a handle; the other pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_pool_try_allocate(
    pool: *const PoolHandle,
    block: *mut PoolBlockParts,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(pool, ALLOCATE)?;
            clear(block, &handle.label.call(ALLOCATE))?;
            match handle.pool.try_take()? {
                Some(taken) => give(block, &handle.pool, taken),
                None => handle.label.passed(ALLOCATE, false),
            }
        })
    }
}

/// Takes a block if there is one within `timeout_ns` nanoseconds, else answers TIMEOUT; SHMKIT_FOREVER is no limit. With
/// SHMKIT_WAIT_INTERRUPTIBLE it can answer INTERRUPTED. Otherwise as shmkit_pool_allocate.
///
/// # Safety
/// `pool` is null or a handle; the other pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_pool_allocate_wait(
    pool: *const PoolHandle,
    timeout_ns: u64,
    flags: u32,
    block: *mut PoolBlockParts,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(pool, ALLOCATE)?;
            let call = handle.label.call(ALLOCATE);
            clear(block, &call)?;
            give(block, &handle.pool, handle.pool.take(&wait(timeout_ns, flags, &call)?)?)
        })
    }
}

/// Frees a block of this process. What was written to it before is seen by who allocates it next.
///
/// Fails with STALE_HANDLE (the block was freed or passed on, and is in use again), INVALID_BLOCK (it is not this process's).
///
/// # Safety
/// `pool` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_pool_free_block(
    pool: *const PoolHandle,
    handle: u64,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(pool, "free block")?.pool.free(handle)) }
}

/// Gives a block of this process up without freeing it: the first to adopt its handle, in whatever process, has it. Until then it
/// belongs to nobody, whoever dies. Fails as shmkit_pool_free_block.
///
/// # Safety
/// `pool` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_pool_publish(
    pool: *const PoolHandle,
    handle: u64,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(pool, "publish block")?.pool.publish(handle)) }
}

/// Takes the block that was published under this handle; it has a new handle then. Of several who try, one gets it.
///
/// Fails with STALE_HANDLE (somebody adopted it before), INVALID_BLOCK (it is not published), CLOSED,
/// TOO_MANY_ATTACHMENTS.
///
/// # Safety
/// `pool` is null or a handle; the other pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_pool_adopt(
    pool: *const PoolHandle,
    handle: u64,
    block: *mut PoolBlockParts,
    error: *mut Details,
) -> Status {
    const ADOPT: &str = "adopt block";
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let opened = borrow(pool, ADOPT)?;
            clear(block, &opened.label.call(ADOPT))?;
            give(block, &opened.pool, opened.pool.take_published(handle)?)
        })
    }
}

/// Takes back now what the dead have; `*count`, unless NULL, is how many blocks came back. Whoever finds no free block does the
/// same. Fails with CLOSED.
///
/// # Safety
/// `pool` is null or a handle; `count` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_pool_recover(
    pool: *const PoolHandle,
    count: *mut u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let recovered = borrow(pool, "recover blocks")?.pool.recover()?;
            if let Some(count) = count.as_mut() {
                *count = recovered;
            }
            Ok(())
        })
    }
}

/// The name in its region; it lives as long as the handle. "" for NULL.
///
/// # Safety
/// `pool` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_pool_name(pool: *const PoolHandle) -> *const c_char {
    // SAFETY: the caller's promise.
    answer(c"".as_ptr(), || unsafe { pool.as_ref() }.map(|handle| handle.label.name()))
}

/// Whether this handle was closed; true for NULL.
///
/// # Safety
/// `pool` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_pool_is_closed(pool: *const PoolHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(true, || unsafe { pool.as_ref() }.map(|handle| handle.pool.is_closed()))
}

/// Ends the use of the pool through this handle; repeating it does nothing. The handle stays: its calls answer CLOSED until
/// shmkit_pool_free takes it. Fails, and changes nothing, with BUSY when it is the process's last and the process has blocks.
///
/// # Safety
/// `pool` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_pool_close(pool: *const PoolHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(pool, "close pool")?.pool.close()) }
}

/// Closes the pool if that was not done, and releases the handle. NULL is allowed.
///
/// No other thread may use the handle any more. Blocks that this process has stay its own while it has anything of the region
/// open, and come back then.
///
/// # Safety
/// `pool` is null or a handle that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_pool_free(pool: *mut PoolHandle) {
    answer((), || {
        // SAFETY: the caller's promise.
        unsafe { object::free(pool) };
        Some(())
    });
}
