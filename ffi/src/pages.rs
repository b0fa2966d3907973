//! Pages of mappings and regions: their state, what the kernel is told of them, and what work with them cost.

use std::mem::size_of;

use core_crate::{Advice, MemoryLock, PageCounts, PageFlags, Residency, Result};

use crate::boundary::{Call, answer, attempt, borrow, range};
use crate::error::{Details, Status};
use crate::mapping::MappingHandle;
use crate::options::{self, Options};
use crate::region::RegionHandle;

/// Of a page: in memory, whoever brought it there; an access needs no disk.
pub const PAGE_RESIDENT: u32 = 1 << 0;
/// Of a page: in this process's page table; an access is no page fault.
pub const PAGE_PRESENT: u32 = 1 << 1;
/// Of a page of a shared map of a file: changed, and not yet on the disk.
pub const PAGE_DIRTY: u32 = 1 << 2;
/// Of a page: written by this process since it was made or shmkit_clear_soft_dirty was called.
pub const PAGE_SOFT_DIRTY: u32 = 1 << 3;
/// Of a page: out in swap space.
pub const PAGE_SWAPPED: u32 = 1 << 4;
/// Of a page: part of a huge page.
pub const PAGE_HUGE: u32 = 1 << 5;
/// Of a page: the system's one page of zeros, read and never written.
pub const PAGE_ZERO: u32 = 1 << 6;
/// For shmkit_mapping_lock_memory: keep each page from when it is first touched, instead of all now.
pub const LOCK_ON_FAULT: u32 = 1 << 0;

const _: () = {
    assert!(PAGE_RESIDENT == PageFlags::RESIDENT.bits() as u32);
    assert!(PAGE_PRESENT == PageFlags::PRESENT.bits() as u32);
    assert!(PAGE_DIRTY == PageFlags::DIRTY.bits() as u32);
    assert!(PAGE_SOFT_DIRTY == PageFlags::SOFT_DIRTY.bits() as u32);
    assert!(PAGE_SWAPPED == PageFlags::SWAPPED.bits() as u32);
    assert!(PAGE_HUGE == PageFlags::HUGE.bits() as u32);
    assert!(PAGE_ZERO == PageFlags::ZERO.bits() as u32);
};

/// How much memory something takes, in bytes. Begin with SHMKIT_MEMORY_USE_INIT.
///
/// The kernel counts by area: private memory without a file may share one with other memory of the process, which is
/// counted then too.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MemoryAnswer {
    /// sizeof(shmkit_memory_use_t).
    pub size: usize,
    /// In this process's page table.
    pub resident: u64,
    /// The same, each page divided by the number of processes that map it.
    pub proportional: u64,
    /// Mapped by others too, and not changed.
    pub shared_clean: u64,
    /// Mapped by others too, and changed.
    pub shared_dirty: u64,
    /// Mapped by this process only, and not changed.
    pub private_clean: u64,
    /// Mapped by this process only, and changed.
    pub private_dirty: u64,
    /// In huge pages, transparent or reserved.
    pub huge: u64,
    /// Out in swap space.
    pub swapped: u64,
    /// Locked in memory.
    pub locked: u64,
}

// SAFETY: 64-bit integers only.
unsafe impl Options for MemoryAnswer {
    const DEFAULT: MemoryAnswer = MemoryAnswer {
        size: size_of::<MemoryAnswer>(),
        resident: 0,
        proportional: 0,
        shared_clean: 0,
        shared_dirty: 0,
        private_clean: 0,
        private_dirty: 0,
        huge: 0,
        swapped: 0,
        locked: 0,
    };
}

impl From<core_crate::MemoryUse> for MemoryAnswer {
    fn from(used: core_crate::MemoryUse) -> MemoryAnswer {
        MemoryAnswer {
            size: size_of::<MemoryAnswer>(),
            resident: used.resident,
            proportional: used.proportional,
            shared_clean: used.shared_clean,
            shared_dirty: used.shared_dirty,
            private_clean: used.private_clean,
            private_dirty: used.private_dirty,
            huge: used.huge,
            swapped: used.swapped,
            locked: used.locked,
        }
    }
}

/// Bytes of a page of this mapping: what protection and advice are rounded to. 0 for NULL.
///
/// # Safety
/// `mapping` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_page_size(mapping: *const MappingHandle) -> usize {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { mapping.as_ref() }.map(|handle| handle.mapping.page_size()))
}

/// Whether a flush has somewhere to go: a shared map of a file on a device. Elsewhere (shared memory objects, memory
/// without a file, private maps) a flush succeeds and does nothing. false for NULL.
///
/// # Safety
/// `mapping` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_is_persistent(mapping: *const MappingHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(false, || unsafe { mapping.as_ref() }.map(|handle| handle.mapping.is_persistent()))
}

/// As shmkit_mapping_is_persistent: whether the region is a file on a device.
///
/// # Safety
/// `region` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_is_persistent(region: *const RegionHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(false, || unsafe { region.as_ref() }.map(|handle| handle.region.is_persistent()))
}

/// Tells the kernel what a range of the user bytes will be used for (madvise(2)); `advice` is a shmkit_advice_t.
///
/// Fails with OUT_OF_RANGE, CLOSED, READ_ONLY, INVALID_ARGUMENT (a part of a page, where that would hurt its neighbours;
/// SHMKIT_ADVICE_REMOVE, which would give back the storage that creation reserved), UNSUPPORTED (this kernel, or this
/// kind of memory, knows no such advice).
///
/// # Safety
/// `region` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_advise(
    region: *const RegionHandle,
    offset: u64,
    len: usize,
    advice: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(region, "advise region")?;
            let wanted = Advice::from_number(advice)
                .ok_or_else(|| handle.call("advise region").refuse(format!("advice {advice} is unknown")))?;
            handle.region.advise(range(offset, len), wanted)
        })
    }
}

/// Keeps the pages of a range in memory (mlock2(2)), or with SHMKIT_LOCK_ON_FAULT in `flags` each from when it is first
/// touched. They are not inherited by children, and one unlock frees what several locks kept.
///
/// Fails with OUT_OF_MEMORY (more than the process may lock: the message says how much), OUT_OF_RANGE, CLOSED,
/// INVALID_ARGUMENT, UNSUPPORTED.
///
/// # Safety
/// `mapping` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_lock_memory(
    mapping: *const MappingHandle,
    offset: u64,
    len: usize,
    flags: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(mapping, "lock mapping in memory")?;
            let lock = memory_lock(flags, &handle.call("lock mapping in memory"))?;
            handle.mapping.lock_memory(range(offset, len), lock)
        })
    }
}

/// As shmkit_mapping_lock_memory, for user bytes. This is no lock of the region: that is shmkit_region_lock.
///
/// # Safety
/// `region` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_lock_memory(
    region: *const RegionHandle,
    offset: u64,
    len: usize,
    flags: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(region, "lock region in memory")?;
            let lock = memory_lock(flags, &handle.call("lock region in memory"))?;
            handle.region.lock_memory(range(offset, len), lock)
        })
    }
}

fn memory_lock(flags: u32, call: &Call<'_>) -> Result<MemoryLock> {
    call.check_flags(flags, LOCK_ON_FAULT)?;
    Ok(if flags & LOCK_ON_FAULT != 0 { MemoryLock::OnFault } else { MemoryLock::Now })
}

/// Lets the pages of a range go again. Fails with OUT_OF_RANGE, CLOSED.
///
/// # Safety
/// `mapping` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_unlock_memory(
    mapping: *const MappingHandle,
    offset: u64,
    len: usize,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            borrow(mapping, "unlock mapping in memory")?.mapping.unlock_memory(range(offset, len))
        })
    }
}

/// As shmkit_mapping_unlock_memory, for user bytes.
///
/// # Safety
/// `region` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_unlock_memory(
    region: *const RegionHandle,
    offset: u64,
    len: usize,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || borrow(region, "unlock region in memory")?.region.unlock_memory(range(offset, len)))
    }
}

/// Writes the state of each page of a range, widened to whole pages of the system's size, into `states`: a byte for each,
/// with SHMKIT_PAGE_RESIDENT and the others.
///
/// `*known`, unless NULL, becomes the set of flags that this kernel tells this process; the others are never set.
/// `*needed`, unless NULL, becomes the number of pages. Fails with OUT_OF_RANGE also when `count` is less than that, and
/// then nothing was written into `states`; `states` of NULL with a `count` of 0 only asks. Also fails with CLOSED.
///
/// # Safety
/// `mapping` is null or a handle; `states` is null or has `count` bytes; the other pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_residency(
    mapping: *const MappingHandle,
    offset: u64,
    len: usize,
    states: *mut u8,
    count: usize,
    needed: *mut usize,
    known: *mut u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(mapping, "inspect pages of mapping")?;
            let pages = handle.mapping.residency(range(offset, len))?;
            give_states(&handle.call("inspect pages of mapping"), &pages, (states, count), needed, known)
        })
    }
}

/// As shmkit_mapping_residency, for user bytes.
///
/// # Safety
/// `region` is null or a handle; `states` is null or has `count` bytes; the other pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_residency(
    region: *const RegionHandle,
    offset: u64,
    len: usize,
    states: *mut u8,
    count: usize,
    needed: *mut usize,
    known: *mut u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(region, "inspect pages of region")?;
            let pages = handle.region.residency(range(offset, len))?;
            give_states(&handle.call("inspect pages of region"), &pages, (states, count), needed, known)
        })
    }
}

/// # Safety
/// `states` is null or has `count` bytes; `needed` and `known` are null or valid.
unsafe fn give_states(
    call: &Call<'_>,
    pages: &Residency,
    (states, count): (*mut u8, usize),
    needed: *mut usize,
    known: *mut u32,
) -> Result<()> {
    // SAFETY: the caller's promises.
    let (needed, known, place) =
        unsafe { (needed.as_mut(), known.as_mut(), call.target(states.cast(), count)?) };
    if let Some(needed) = needed {
        *needed = pages.len();
    }
    if let Some(known) = known {
        *known = u32::from(pages.known().bits());
    }
    match place.get_mut(..pages.len()) {
        Some(place) => place.copy_from_slice(pages.as_bytes()),
        // It was only a question.
        None if count == 0 => {}
        None => {
            let detail = format!("{} pages, and room for {count}", pages.len());
            return Err(call.error(core_crate::ErrorKind::OutOfRange).with_detail(detail));
        }
    }
    Ok(())
}

/// Counts the pages of a range in `cells` equal parts of it: `counts` has room for so many. A mapping of fewer pages than
/// `cells` leaves the rest of the counts 0.
///
/// `*known`, unless NULL, becomes the set of flags that this kernel tells this process. Fails with OUT_OF_RANGE, CLOSED,
/// INVALID_ARGUMENT (no cells).
///
/// # Safety
/// `mapping` is null or a handle; `counts` is null or has room for `cells`; the other pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_page_counts(
    mapping: *const MappingHandle,
    offset: u64,
    len: usize,
    counts: *mut PageCounts,
    cells: usize,
    known: *mut u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(mapping, "inspect pages of mapping")?;
            let call = handle.call("inspect pages of mapping");
            let place = cells_of(&call, counts, cells)?;
            give_counts(handle.mapping.page_counts(range(offset, len), cells)?, place, known);
            Ok(())
        })
    }
}

/// As shmkit_mapping_page_counts, for user bytes.
///
/// # Safety
/// `region` is null or a handle; `counts` is null or has room for `cells`; the other pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_page_counts(
    region: *const RegionHandle,
    offset: u64,
    len: usize,
    counts: *mut PageCounts,
    cells: usize,
    known: *mut u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(region, "inspect pages of region")?;
            let call = handle.call("inspect pages of region");
            let place = cells_of(&call, counts, cells)?;
            give_counts(handle.region.page_counts(range(offset, len), cells)?, place, known);
            Ok(())
        })
    }
}

/// # Safety
/// `counts` is null or has room for `cells`, which nobody else uses during `'a`.
unsafe fn cells_of<'a>(
    call: &Call<'_>,
    counts: *mut PageCounts,
    cells: usize,
) -> Result<&'a mut [PageCounts]> {
    let fits = cells.checked_mul(size_of::<PageCounts>()).is_some_and(|len| isize::try_from(len).is_ok());
    if counts.is_null() || cells == 0 || !fits {
        return Err(call.refuse(format!("no place for {cells} counts")));
    }
    // SAFETY: not null, of a size that exists, and the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts_mut(counts, cells) })
}

/// # Safety
/// `known` is null or valid.
unsafe fn give_counts(
    (counted, flags): (Vec<PageCounts>, PageFlags),
    place: &mut [PageCounts],
    known: *mut u32,
) {
    let (filled, rest) = place.split_at_mut(counted.len());
    filled.copy_from_slice(&counted);
    rest.fill(PageCounts::default());
    // SAFETY: the caller's promise.
    if let Some(known) = unsafe { known.as_mut() } {
        *known = u32::from(flags.bits());
    }
}

/// Says how much memory the mapping takes. `out` begins with SHMKIT_MEMORY_USE_INIT. Fails with CLOSED.
///
/// # Safety
/// `mapping` is null or a handle; `out` is null or has as many bytes as its size says; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_mapping_memory_use(
    mapping: *const MappingHandle,
    out: *mut MemoryAnswer,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(mapping, "measure mapping")?;
            options::store(out, handle.mapping.memory_use()?.into(), &handle.call("measure mapping"))
        })
    }
}

/// Says how much memory the region takes, with its header, slots and arena. Otherwise as shmkit_mapping_memory_use.
///
/// # Safety
/// `region` is null or a handle; `out` is null or has as many bytes as its size says; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_memory_use(
    region: *const RegionHandle,
    out: *mut MemoryAnswer,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(region, "measure region")?;
            options::store(out, handle.region.memory_use()?.into(), &handle.call("measure region"))
        })
    }
}
