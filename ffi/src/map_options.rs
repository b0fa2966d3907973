//! How to make a mapping, as C says it.

use std::mem::size_of;

use core_crate::{HugePages, MapOptions, MemoryLock, Protection, Sharing};

use crate::boundary::Call;
use crate::options::{self, Options};

/// Create the file when it is missing, and make it long enough. Never truncates one that exists.
pub const MAP_CREATE: u32 = 1 << 0;
/// Make the file longer when it ends before the range, with storage behind every byte.
pub const MAP_GROW: u32 = 1 << 1;
/// Read all pages in now instead of at first touch (MAP_POPULATE).
pub const MAP_POPULATE: u32 = 1 << 2;
/// Take no swap reservation for private pages (MAP_NORESERVE): a store may then find no memory.
pub const MAP_NO_RESERVE: u32 = 1 << 3;
/// Only this mapping sees what is written: a page is copied at its first write (MAP_PRIVATE).
pub const MAP_PRIVATE: u32 = 1 << 4;
/// `len` is set; without it, the mapping reaches from `offset` to the end of the file.
pub const MAP_LEN: u32 = 1 << 5;
/// Keep all pages in memory from the start (shmkit_mapping_lock_memory).
pub const MAP_LOCK: u32 = 1 << 8;
/// Keep each page in memory from when it is first touched.
pub const MAP_LOCK_ON_FAULT: u32 = 1 << 9;
/// A file that is cut while it is mapped kills who touches what is missing: see shmkit_mapping_check.
pub const MAP_NO_FAULT_GUARD: u32 = 1 << 10;

const KNOWN: u32 = MAP_CREATE
    | MAP_GROW
    | MAP_POPULATE
    | MAP_NO_RESERVE
    | MAP_PRIVATE
    | MAP_LEN
    | MAP_LOCK
    | MAP_LOCK_ON_FAULT
    | MAP_NO_FAULT_GUARD;

/// How to make a mapping. Begin with SHMKIT_MAP_OPTIONS_INIT: the whole file, shared, for reading. NULL means the same.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MapChoices {
    /// sizeof(shmkit_map_options_t).
    pub size: usize,
    /// SHMKIT_MAP_CREATE and the others.
    pub flags: u32,
    /// A shmkit_protection_t: what the pages allow.
    pub protection: u32,
    /// Permission bits for a file that SHMKIT_MAP_CREATE makes; the umask applies. 0: 0644.
    pub mode: u32,
    /// A shmkit_huge_pages_t: which pages it is made of.
    pub huge_pages: u32,
    /// Where in the file the mapping begins, in bytes. Need not be aligned to a page.
    pub offset: u64,
    /// Number of bytes to map, with SHMKIT_MAP_LEN.
    pub len: u64,
    /// Bytes of address space to keep for it, so that shmkit_mapping_resize can make it as long as that. 0: `len`.
    pub reserve: u64,
}

const _: () = assert!(size_of::<MapChoices>() == 48);

// SAFETY: a size, four 32-bit and three 64-bit integers, without padding.
unsafe impl Options for MapChoices {
    const DEFAULT: MapChoices = MapChoices {
        size: size_of::<MapChoices>(),
        flags: 0,
        protection: Protection::Read as u32,
        mode: 0,
        huge_pages: HugePages::AsSystem as u32,
        offset: 0,
        len: 0,
        reserve: 0,
    };
}

impl MapChoices {
    /// The core's options.
    ///
    /// # Safety
    /// As [`options::load`].
    pub(crate) unsafe fn load(given: *const MapChoices, call: &Call<'_>) -> core_crate::Result<MapOptions> {
        // SAFETY: the caller's promise.
        let choices = unsafe { options::load(given, call) }?;
        call.check_flags(choices.flags, KNOWN)?;
        let has = |flag| choices.flags & flag != 0;
        if choices.len != 0 && !has(MAP_LEN) {
            return Err(call.refuse("a length goes with SHMKIT_MAP_LEN"));
        }
        let huge_pages = HugePages::from_number(choices.huge_pages)
            .ok_or_else(|| call.refuse(format!("huge pages {} are unknown", choices.huge_pages)))?;
        let mut options = MapOptions::new()
            .protection(protection(choices.protection, call)?)
            .sharing(if has(MAP_PRIVATE) { Sharing::Private } else { Sharing::Shared })
            .offset(choices.offset)
            .create(has(MAP_CREATE))
            .grow(has(MAP_GROW))
            .populate(has(MAP_POPULATE))
            .no_reserve(has(MAP_NO_RESERVE))
            .huge_pages(huge_pages)
            .reserve(choices.reserve as usize)
            .fault_guard(!has(MAP_NO_FAULT_GUARD));
        if has(MAP_LEN) {
            options = options.len(choices.len as usize);
        }
        match (has(MAP_LOCK), has(MAP_LOCK_ON_FAULT)) {
            (false, false) => {}
            (true, false) => options = options.lock_memory(MemoryLock::Now),
            (false, true) => options = options.lock_memory(MemoryLock::OnFault),
            (true, true) => return Err(call.refuse("pages are locked now, or when they are touched")),
        }
        if choices.mode != 0 {
            options = options.mode(choices.mode);
        }
        Ok(options)
    }
}

/// The protection with this number.
pub(crate) fn protection(number: u32, call: &Call<'_>) -> core_crate::Result<Protection> {
    Protection::from_number(number).ok_or_else(|| call.refuse(format!("protection {number} is unknown")))
}
