//! What is said of pages: the flags of one, of each of a range, and how many have which. `pages` finds it out.

use crate::sys::map::page_size;

/// What is known of one page: a set of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PageFlags(u8);

impl PageFlags {
    /// In memory, whoever brought it there: an access needs no disk.
    pub const RESIDENT: PageFlags = PageFlags(1 << 0);
    /// In this process's page table: an access is no page fault.
    pub const PRESENT: PageFlags = PageFlags(1 << 1);
    /// Of a shared map of a file: changed, and not yet on the disk. The file system may keep one mark for several
    /// neighbours.
    pub const DIRTY: PageFlags = PageFlags(1 << 2);
    /// Written by this process since it was made or [`clear_soft_dirty`](super::clear_soft_dirty) was called.
    pub const SOFT_DIRTY: PageFlags = PageFlags(1 << 3);
    /// Out in swap space.
    pub const SWAPPED: PageFlags = PageFlags(1 << 4);
    /// Part of a huge page.
    pub const HUGE: PageFlags = PageFlags(1 << 5);
    /// The system's one page of zeros: read, and never written.
    pub const ZERO: PageFlags = PageFlags(1 << 6);

    /// Whether all of these flags are set.
    pub fn contains(self, flags: PageFlags) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// The set as a number: bit 0 is `RESIDENT`, and so on in order.
    pub const fn bits(self) -> u8 {
        self.0
    }
}

impl std::ops::BitOr for PageFlags {
    type Output = PageFlags;

    fn bitor(self, other: PageFlags) -> PageFlags {
        PageFlags(self.0 | other.0)
    }
}

/// The state of each page of a range.
#[derive(Clone, Debug)]
pub struct Residency {
    states: Vec<u8>,
    known: PageFlags,
}

impl Residency {
    /// `states` are the [`PageFlags::bits`] of the pages.
    pub(super) fn new(states: Vec<u8>, known: PageFlags) -> Residency {
        Residency { states, known }
    }

    /// Number of pages.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether the range was empty.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Bytes of a page.
    pub fn page_size(&self) -> usize {
        page_size()
    }

    /// The flags that this kernel tells this process; the others are never set.
    pub fn known(&self) -> PageFlags {
        self.known
    }

    /// The flags of one page. Panics beyond the end.
    pub fn get(&self, index: usize) -> PageFlags {
        PageFlags(self.states[index])
    }

    /// The flags of all pages as numbers ([`PageFlags::bits`]).
    pub fn as_bytes(&self) -> &[u8] {
        &self.states
    }

    /// How many pages have which flag.
    pub fn counts(&self) -> PageCounts {
        let mut counts = PageCounts::default();
        for &state in &self.states {
            counts.add(PageFlags(state), 1);
        }
        counts.pages = self.states.len() as u64;
        counts
    }
}

/// Numbers of pages that have a flag.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageCounts {
    /// All pages.
    pub pages: u64,
    /// In memory.
    pub resident: u64,
    /// In this process's page table.
    pub present: u64,
    /// Changed, and not yet on the disk.
    pub dirty: u64,
    /// Written by this process since the bits were cleared.
    pub soft_dirty: u64,
    /// Out in swap space.
    pub swapped: u64,
    /// Part of a huge page.
    pub huge: u64,
    /// The page of zeros.
    pub zero: u64,
}

impl PageCounts {
    pub(super) fn add(&mut self, flags: PageFlags, pages: u64) {
        for (flag, count) in [
            (PageFlags::RESIDENT, &mut self.resident),
            (PageFlags::PRESENT, &mut self.present),
            (PageFlags::DIRTY, &mut self.dirty),
            (PageFlags::SOFT_DIRTY, &mut self.soft_dirty),
            (PageFlags::SWAPPED, &mut self.swapped),
            (PageFlags::HUGE, &mut self.huge),
            (PageFlags::ZERO, &mut self.zero),
        ] {
            *count += if flags.contains(flag) { pages } else { 0 };
        }
    }
}
