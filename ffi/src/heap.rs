//! `shmkit_heap_*`: blocks of any size in a region, and the handle on them; `heap_status.rs` looks at them.

use std::ffi::{CStr, c_char, c_void};
use std::mem::size_of;
use std::ptr::null_mut;

use core_crate::{Error, ErrorKind, Heap, HeapOptions, HeapStrategy, Result};

use crate::boundary::{Call, answer, attempt, borrow, text};
use crate::error::{Details, Status};
use crate::object::{self, Label};
use crate::options::{self, Options};
use crate::region::RegionHandle;

/// Take back the blocks of the dead as soon as a death is noticed or there is no room otherwise.
pub const HEAP_RECLAIM: u32 = 1 << 0;
/// The name of a heap in a region of its own is a file path.
pub const HEAP_PATH: u32 = 1 << 1;
/// All bytes of a new block are zero.
pub const HEAP_ZEROED: u32 = 1 << 0;

/// A heap in a region.
pub struct HeapHandle {
    pub(crate) heap: Heap,
    pub(crate) label: Label,
}

/// How a heap is created; who opens one that exists must ask for the same.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct HeapChoices {
    /// sizeof(shmkit_heap_options_t).
    pub size: usize,
    /// Bytes for blocks and the eight bytes before each.
    pub len: u64,
    /// A shmkit_heap_strategy_t: which free block an allocation takes.
    pub strategy: u32,
    /// Bytes of the smallest block of a heap of buddies, a power of two from 32 to 4096. 0: 64.
    pub min_block: u32,
    /// SHMKIT_HEAP_RECLAIM, SHMKIT_HEAP_PATH.
    pub flags: u32,
    /// 0.
    pub reserved: u32,
}

const _: () = assert!(size_of::<HeapChoices>() == 32);

// SAFETY: a size, one 64-bit and four 32-bit integers, without padding.
unsafe impl Options for HeapChoices {
    const DEFAULT: HeapChoices = HeapChoices {
        size: size_of::<HeapChoices>(),
        len: 0,
        strategy: HeapStrategy::BestFit as u32,
        min_block: 0,
        flags: 0,
        reserved: 0,
    };
}

/// A live block: what other processes call it, and where it is here.
#[repr(C)]
pub struct BlockPlace {
    /// From the region's start.
    pub offset: u64,
    /// How many bytes it offers: what was asked for, or somewhat more.
    pub len: usize,
    /// Its first byte. Valid while the block lives and the heap's handle is not closed; after a close it leads to zeros until
    /// shmkit_heap_free.
    pub data: *mut c_void,
}

/// The core's options, and whether the name is a path.
///
/// # Safety
/// As [`options::load`].
unsafe fn load(given: *const HeapChoices, call: &Call<'_>, known: u32) -> Result<(HeapOptions, bool)> {
    // SAFETY: the caller's promise.
    let choices = unsafe { options::load(given, call) }?;
    let strategy = HeapStrategy::from_number(choices.strategy)
        .ok_or_else(|| call.refuse(format!("strategy {} is unknown", choices.strategy)))?;
    call.check_flags(choices.flags, known)?;
    if choices.reserved != 0 {
        return Err(call.refuse("`reserved` is 0"));
    }
    let mut options = HeapOptions::new(choices.len).strategy(strategy);
    if choices.min_block != 0 {
        options = options.min_block(choices.min_block);
    }
    if choices.flags & HEAP_RECLAIM != 0 {
        options = options.reclaim();
    }
    Ok((options, choices.flags & HEAP_PATH != 0))
}

/// Bytes of an arena in which such a heap finds room: what `arena_len` of shmkit_region_options_t needs for it. 0 for options
/// that no heap can have.
///
/// # Safety
/// `options` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_arena_len(options: *const HeapChoices) -> u64 {
    answer(0, || {
        let call = Call { operation: "plan heap", object: c"" };
        // SAFETY: the caller's promise.
        let (options, _) = unsafe { load(options, &call, HEAP_RECLAIM | HEAP_PATH) }.ok()?;
        options.arena_len()
    })
}

/// Opens the heap of this name, creating it when it is missing; with NULL for `options`, the one that exists, with whatever it
/// was created.
///
/// On success `*out` is a handle for shmkit_heap_free, else NULL. It may outlive the region's handle.
/// Fails with PARAMETER_MISMATCH (it exists with other options), NOT_FOUND (NULL for `options`), INVALID_LENGTH,
/// INVALID_ARGUMENT, WRONG_KIND (the name is another object's), INVALID_NAME, NO_SPACE (no room in the arena: see
/// shmkit_heap_arena_len), READ_ONLY, CLOSED (the region).
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_open(
    region: *const RegionHandle,
    name: *const c_char,
    options: *const HeapChoices,
    out: *mut *mut HeapHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            object::open("open heap", region, name, out, |region, name, label| {
                if options.is_null() {
                    return Ok(HeapHandle { heap: region.find_heap(name)?, label });
                }
                let (options, _) = load(options, &label.call("open heap"), HEAP_RECLAIM)?;
                Ok(HeapHandle { heap: region.heap(name, options)?, label })
            })
        })
    }
}

/// Creates a region that holds one heap, and opens the heap. shmkit_region_unlink removes the region's name.
///
/// On success `*out` is a handle for shmkit_heap_free, else NULL. Fails as shmkit_region_create and shmkit_heap_open do.
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_create(
    name: *const c_char,
    options: *const HeapChoices,
    out: *mut *mut HeapHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || own("create heap", name, options, out, Heap::create)) }
}

/// Opens the heap of such a region, or creates both. Fails as shmkit_region_open_or_create and shmkit_heap_open do.
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_open_or_create(
    name: *const c_char,
    options: *const HeapChoices,
    out: *mut *mut HeapHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || own("open or create heap", name, options, out, Heap::open_or_create)) }
}

/// Opens the heap of such a region, with whatever it was created: of `flags`, SHMKIT_HEAP_PATH matters. Fails as
/// shmkit_region_open and shmkit_heap_open do.
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_open_own(
    name: *const c_char,
    flags: u32,
    out: *mut *mut HeapHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "open heap", object: text(name) };
            call.clear(out)?;
            call.check_flags(flags, HEAP_PATH)?;
            let heap = Heap::open(call.location(name, flags & HEAP_PATH != 0)?)?;
            out.write(HeapHandle::into_raw(heap, call.object));
            Ok(())
        })
    }
}

impl HeapHandle {
    fn into_raw(heap: Heap, region: &CStr) -> *mut HeapHandle {
        let label = Label::of(region.to_string_lossy().as_ref(), heap.name());
        Box::into_raw(Box::new(HeapHandle { heap, label }))
    }
}

/// The common part of what makes a region with a heap.
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
unsafe fn own(
    operation: &'static str,
    name: *const c_char,
    options: *const HeapChoices,
    out: *mut *mut HeapHandle,
    make: impl FnOnce(core_crate::Location, HeapOptions) -> Result<Heap>,
) -> Result<()> {
    // SAFETY: the caller's promises.
    unsafe {
        let call = Call { operation, object: text(name) };
        call.clear(out)?;
        let (options, is_path) = load(options, &call, HEAP_RECLAIM | HEAP_PATH)?;
        let heap = make(call.location(name, is_path)?, options)?;
        out.write(HeapHandle::into_raw(heap, call.object));
    }
    Ok(())
}

/// Allocates a block of at least `len` bytes at a multiple of `align`, a power of two up to 4096; 0 means 16. The bytes may be
/// anything, or with SHMKIT_HEAP_ZEROED in `flags` are zero. The block is this process's until it frees or publishes it.
///
/// Fails with NO_SPACE, INVALID_LENGTH (0), INVALID_ARGUMENT, TIMEOUT (a stopped process has had the heap's lock for ten
/// seconds), CORRUPTED, CLOSED; `*block` is all zero then.
///
/// # Safety
/// `heap` is null or a handle; `block` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_allocate(
    heap: *const HeapHandle,
    len: usize,
    align: usize,
    flags: u32,
    block: *mut BlockPlace,
    error: *mut Details,
) -> Status {
    const OPERATION: &str = "allocate block";
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(heap, OPERATION)?;
            clear(block, &handle.label, OPERATION)?;
            if flags != 0 {
                handle.label.call(OPERATION).check_flags(flags, HEAP_ZEROED)?;
                let offset = handle.heap.reserve_zeroed(len, aligned(align))?;
                return fill(block, &handle.heap, offset, len);
            }
            let (offset, data) = handle.heap.reserve_here(len, aligned(align))?;
            block.write(BlockPlace { offset, len, data: data.as_ptr().cast() });
            Ok(())
        })
    }
}

fn aligned(align: usize) -> usize {
    if align == 0 { 16 } else { align }
}

/// # Safety
/// `block` is null or a place for one.
unsafe fn clear(block: *mut BlockPlace, label: &Label, operation: &'static str) -> Result<()> {
    if block.is_null() {
        return Err(label.call(operation).refuse("the place for the block is NULL"));
    }
    // SAFETY: not null, and the caller's promise.
    unsafe { block.write(BlockPlace { offset: 0, len: 0, data: null_mut() }) };
    Ok(())
}

/// # Safety
/// `block` is a place for one.
unsafe fn fill(block: *mut BlockPlace, heap: &Heap, offset: u64, len: usize) -> Result<()> {
    let data = heap.address(offset, len)?.as_ptr().cast();
    // SAFETY: the caller's promise.
    unsafe { block.write(BlockPlace { offset, len, data }) };
    Ok(())
}

/// Frees the block that begins at `offset`: one of this process's, or a published one.
///
/// Fails with INVALID_BLOCK (no live block begins there: it was freed, or lies elsewhere), NOT_OWNER (another process's),
/// CORRUPTED, TIMEOUT, CLOSED.
///
/// # Safety
/// `heap` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_free_block(
    heap: *const HeapHandle,
    offset: u64,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(heap, "free block")?.heap.free(offset)) }
}

/// Makes the block at `block->offset` longer or shorter, where it is if there is room, else elsewhere with the same bytes, at a
/// multiple of `align` (0 means 16). `*block` says where it is then.
///
/// Fails as shmkit_heap_allocate and shmkit_heap_free_block do; then the block and `*block` are as they were.
///
/// # Safety
/// `heap` is null or a handle; `block` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_resize(
    heap: *const HeapHandle,
    block: *mut BlockPlace,
    len: usize,
    align: usize,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let (heap, old) = resized(heap, block)?;
            let offset = heap.resize(old, len, aligned(align))?;
            fill(block, heap, offset, len)
        })
    }
}

/// Makes the block at `block->offset` longer or shorter where it is. What lay behind its new end is lost.
///
/// Fails with NO_SPACE (it cannot grow so far here), and as shmkit_heap_free_block does; then the block and `*block` are as
/// they were.
///
/// # Safety
/// `heap` is null or a handle; `block` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_resize_in_place(
    heap: *const HeapHandle,
    block: *mut BlockPlace,
    len: usize,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let (heap, offset) = resized(heap, block)?;
            heap.resize_in_place(offset, len)?;
            fill(block, heap, offset, len)
        })
    }
}

/// # Safety
/// `heap` is null or a handle; `block` is null or valid.
unsafe fn resized<'a>(heap: *const HeapHandle, block: *const BlockPlace) -> Result<(&'a Heap, u64)> {
    let operation = "resize block";
    // SAFETY: the caller's promises.
    let (handle, block) = unsafe { (borrow(heap, operation)?, block.as_ref()) };
    let block = block.ok_or_else(|| handle.label.call(operation).refuse("the block is NULL"))?;
    Ok((&handle.heap, block.offset))
}

/// How many bytes the live block at `offset` offers, whosever it is. Fails with INVALID_BLOCK, CORRUPTED, TIMEOUT, CLOSED;
/// `*len` is 0 then.
///
/// # Safety
/// `heap` is null or a handle; `len` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_usable_size(
    heap: *const HeapHandle,
    offset: u64,
    len: *mut usize,
    error: *mut Details,
) -> Status {
    const OPERATION: &str = "look at block";
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(heap, OPERATION)?;
            let place = give(len, &handle.label, OPERATION)?;
            *place = 0;
            *place = handle.heap.usable_size(offset)?;
            Ok(())
        })
    }
}

/// A place of the caller's for a result.
///
/// # Safety
/// `place` is null or valid during `'a`.
pub(crate) unsafe fn give<'a, T>(place: *mut T, label: &Label, operation: &'static str) -> Result<&'a mut T> {
    // SAFETY: the caller's promise.
    let place = unsafe { place.as_mut() };
    place.ok_or_else(|| -> Error { label.call(operation).refuse("the place for the result is NULL") })
}

/// Gives a block away: it belongs to nobody, and outlives this process, until somebody adopts or frees it.
///
/// Fails with NOT_OWNER (another process's, or published already), and as shmkit_heap_free_block does.
///
/// # Safety
/// `heap` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_publish(
    heap: *const HeapHandle,
    offset: u64,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(heap, "publish block")?.heap.publish(offset)) }
}

/// Makes a block this process's own that is published, or whose owner died. Of several who try, one gets it.
///
/// Fails with NOT_OWNER (a living process has it), INVALID_BLOCK, CORRUPTED, TIMEOUT, CLOSED; `*block` is all zero then.
///
/// # Safety
/// `heap` is null or a handle; `block` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_adopt(
    heap: *const HeapHandle,
    offset: u64,
    block: *mut BlockPlace,
    error: *mut Details,
) -> Status {
    const OPERATION: &str = "adopt block";
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(heap, OPERATION)?;
            clear(block, &handle.label, OPERATION)?;
            handle.heap.adopt_offset(offset)?;
            fill(block, &handle.heap, offset, handle.heap.usable_size(offset)?)
        })
    }
}

/// Says where a block of this process's own is. Fails with NOT_OWNER, INVALID_BLOCK, CORRUPTED, TIMEOUT, CLOSED; `*block` is all
/// zero then.
///
/// # Safety
/// `heap` is null or a handle; `block` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_block(
    heap: *const HeapHandle,
    offset: u64,
    block: *mut BlockPlace,
    error: *mut Details,
) -> Status {
    const OPERATION: &str = "look at block";
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(heap, OPERATION)?;
            clear(block, &handle.label, OPERATION)?;
            let mine = handle.heap.block(offset)?;
            let len = mine.len();
            fill(block, &handle.heap, mine.into_offset(), len)
        })
    }
}

/// Takes a view of a live block, whosever it is: the handle cannot be closed until shmkit_heap_unpin. It does not keep the
/// owner from freeing the block.
///
/// Fails with INVALID_BLOCK, CORRUPTED, TIMEOUT, CLOSED; `*block` is all zero then.
///
/// # Safety
/// `heap` is null or a handle; `block` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_pin(
    heap: *const HeapHandle,
    offset: u64,
    writable: bool,
    block: *mut BlockPlace,
    error: *mut Details,
) -> Status {
    const OPERATION: &str = "view block";
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(heap, OPERATION)?;
            clear(block, &handle.label, OPERATION)?;
            let (start, len) = handle.heap.pin(offset, writable)?;
            block.write(BlockPlace { offset, len, data: start.as_ptr().cast() });
            Ok(())
        })
    }
}

/// Gives back a view that shmkit_heap_pin took with the same `writable`. Fails with INVALID_ARGUMENT when there is none.
///
/// # Safety
/// `heap` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_unpin(
    heap: *const HeapHandle,
    writable: bool,
    error: *mut Details,
) -> Status {
    const OPERATION: &str = "end view of block";
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(heap, OPERATION)?;
            if handle.heap.unpin(writable) {
                return Ok(());
            }
            Err(handle
                .label
                .call(OPERATION)
                .error(ErrorKind::InvalidArgument)
                .with_detail("there is no such view"))
        })
    }
}

/// Ends the use of the heap through this handle; repeating it does nothing. The handle stays: its calls answer CLOSED until
/// shmkit_heap_free takes it. Fails, and changes nothing, with BUSY while views of this handle live.
///
/// Blocks that are not published stay this process's while it has anything of the region open, and are a dead one's after.
///
/// # Safety
/// `heap` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_close(heap: *const HeapHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(heap, "close heap")?.heap.close()) }
}

/// Closes the heap if that was not done, and releases the handle. NULL is allowed. No other thread may use it any more. For a
/// block, see shmkit_heap_free_block.
///
/// # Safety
/// `heap` is null or a handle that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_heap_free(heap: *mut HeapHandle) {
    answer((), || {
        // SAFETY: the caller's promise.
        unsafe { object::free(heap) };
        Some(())
    });
}
