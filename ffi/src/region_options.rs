//! How to make or open a region, as C says it.

use std::mem::size_of;

use core_crate::RegionOptions;
use core_crate::layout;

use crate::boundary::Call;
use crate::options::{self, Options};

/// The name is a file path: the region is a file, as durable as its file system.
pub const REGION_PATH: u32 = 1 << 0;
/// Open for reading only: nothing in the region changes, not even the list of who is attached.
pub const REGION_READ_ONLY: u32 = 1 << 1;
/// `group` is set.
pub const REGION_GROUP: u32 = 1 << 2;
/// A new region has no room for named objects; `arena_len` is 0.
pub const REGION_NO_ARENA: u32 = 1 << 3;

const KNOWN: u32 = REGION_PATH | REGION_READ_ONLY | REGION_GROUP | REGION_NO_ARENA;

/// How to make or open a region. NULL in its place, SHMKIT_REGION_OPTIONS_INIT, and all zeros but the size mean the same:
/// the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RegionChoices {
    /// sizeof(shmkit_region_options_t).
    pub size: usize,
    /// SHMKIT_REGION_PATH and the others.
    pub flags: u32,
    /// Permission bits of a new region, exactly: the umask does not apply. 0: 0600.
    pub mode: u32,
    /// Group id of a new region, with SHMKIT_REGION_GROUP.
    pub group: u32,
    /// How many processes can be attached to a new region at once, 1 to 1023. 0: SHMKIT_DEFAULT_SLOT_COUNT.
    pub attachments: u32,
    /// Bytes for named objects in a new region, rounded up to whole pages. 0: SHMKIT_DEFAULT_ARENA_LEN.
    pub arena_len: u64,
    /// The most user bytes that shmkit_region_resize can give a new region later. 0: as many as it has at first.
    pub capacity: u64,
}

const _: () = assert!(size_of::<RegionChoices>() == 40);

// SAFETY: a size, four 32-bit and two 64-bit integers, without padding.
unsafe impl Options for RegionChoices {
    const DEFAULT: RegionChoices = RegionChoices {
        size: size_of::<RegionChoices>(),
        flags: 0,
        mode: 0,
        group: 0,
        attachments: 0,
        arena_len: 0,
        capacity: 0,
    };
}

impl RegionChoices {
    /// # Safety
    /// As [`options::load`].
    pub(crate) unsafe fn load(
        given: *const RegionChoices,
        call: &Call<'_>,
    ) -> core_crate::Result<RegionChoices> {
        // SAFETY: the caller's promise.
        let choices = unsafe { options::load(given, call) }?;
        call.check_flags(choices.flags, KNOWN)?;
        Ok(choices)
    }

    pub(crate) fn is_path(&self) -> bool {
        self.flags & REGION_PATH != 0
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.flags & REGION_READ_ONLY != 0
    }

    /// The core's options for a new region.
    pub(crate) fn for_creation(&self, call: &Call<'_>) -> core_crate::Result<RegionOptions> {
        if self.is_read_only() {
            return Err(call.refuse("a region that may be created cannot be opened for reading only"));
        }
        let arena_len = match self.flags & REGION_NO_ARENA {
            0 => or_default(self.arena_len, layout::DEFAULT_ARENA_LEN),
            _ if self.arena_len == 0 => 0,
            _ => return Err(call.refuse(format!("an arena of {} bytes, and none", self.arena_len))),
        };
        let mut options = RegionOptions::new()
            .attachments(or_default(self.attachments, layout::DEFAULT_SLOT_COUNT))
            .arena_len(arena_len);
        if self.capacity != 0 {
            options = options.capacity(self.capacity);
        }
        if self.mode != 0 {
            options = options.mode(self.mode);
        }
        if self.flags & REGION_GROUP != 0 {
            options = options.group(self.group);
        }
        Ok(options)
    }
}

fn or_default<T: Default + PartialEq>(value: T, default: T) -> T {
    if value == T::default() { default } else { value }
}
