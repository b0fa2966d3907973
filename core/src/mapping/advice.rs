//! What a mapping tells the kernel about its pages: how they will be used, and that they must stay in memory.
//!
//! Invariant: no advice takes the memory away that a handle leads to. `MADV_DONTFORK`, `MADV_GUARD_INSTALL`,
//! `MADV_HWPOISON` and `MADV_SOFT_OFFLINE` would, so they are not here.

use std::ops::RangeBounds;

use nix::errno::Errno;

use super::{Mapping, Protection};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::map::Map;
use crate::sys::pages;

/// What the program intends to do with a range (madvise(2)). Most are hints; those that change bytes say so.
///
/// The numbers are the `MADV_` numbers of Linux. An older kernel, or memory of another kind, answers `Unsupported`.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Advice {
    /// No special pattern.
    Normal = 0,
    /// Reads will jump: no read-ahead.
    Random = 1,
    /// Reads will run forward: read far ahead.
    Sequential = 2,
    /// The range will be needed soon: start reading it.
    WillNeed = 3,
    /// The range will not be needed soon: pages may go, and private changes to them are lost. Whole pages only.
    DontNeed = 4,
    /// The content is worthless: pages may go when memory is short, and then read zeros. Private memory, whole pages only.
    Free = 8,
    /// Gives the storage behind the range back: it reads zeros, here and in the file. Writable shared maps, whole pages only.
    Remove = 9,
    /// Pages with the same content may become one (private memory).
    Mergeable = 12,
    /// Takes `Mergeable` back.
    Unmergeable = 13,
    /// Huge pages are welcome.
    HugePage = 14,
    /// No huge pages.
    NoHugePage = 15,
    /// Leave the range out of core dumps.
    DontDump = 16,
    /// Takes `DontDump` back.
    DoDump = 17,
    /// A forked child finds zeros (private memory, whole pages only).
    WipeOnFork = 18,
    /// Takes `WipeOnFork` back.
    KeepOnFork = 19,
    /// The first to go when memory is short.
    Cold = 20,
    /// Write the pages out and let them go, now.
    PageOut = 21,
    /// Fault all pages in for reading, now. Fails where one cannot be read.
    PopulateRead = 22,
    /// Fault all pages in for writing, now. Fails where one cannot be written.
    PopulateWrite = 23,
    /// As `DontNeed`, also for pages that are locked in memory.
    DontNeedLocked = 24,
    /// Make huge pages of the small ones, now.
    Collapse = 25,
}

impl Advice {
    /// Every advice, by number.
    pub const ALL: [Advice; 21] = [
        Advice::Normal,
        Advice::Random,
        Advice::Sequential,
        Advice::WillNeed,
        Advice::DontNeed,
        Advice::Free,
        Advice::Remove,
        Advice::Mergeable,
        Advice::Unmergeable,
        Advice::HugePage,
        Advice::NoHugePage,
        Advice::DontDump,
        Advice::DoDump,
        Advice::WipeOnFork,
        Advice::KeepOnFork,
        Advice::Cold,
        Advice::PageOut,
        Advice::PopulateRead,
        Advice::PopulateWrite,
        Advice::DontNeedLocked,
        Advice::Collapse,
    ];

    /// The advice with this number, as it crosses the C ABI: the `MADV_` numbers of Linux.
    pub fn from_number(number: u32) -> Option<Advice> {
        Self::ALL.into_iter().find(|advice| *advice as u32 == number)
    }

    /// Whether taking it for a page that was only touched by the range would hurt a neighbour.
    pub(crate) fn needs_whole_pages(self) -> bool {
        use Advice::{DontNeed, DontNeedLocked, Free, Remove, WipeOnFork};
        matches!(self, DontNeed | DontNeedLocked | Free | Remove | WipeOnFork)
    }

    /// Whether only who may write the range may give it.
    pub(crate) fn needs_write(self) -> bool {
        matches!(self, Advice::Remove | Advice::PopulateWrite)
    }
}

/// How pages are kept in memory (mlock2(2)).
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemoryLock {
    /// All of them, read in now.
    Now = 0,
    /// Each from when it is first touched.
    OnFault = 1,
}

impl Mapping {
    /// Tells the kernel what a range will be used for (madvise(2)).
    ///
    /// Errors: `OutOfRange`, `Closed`, `InvalidArgument` (a part of a page, where that would hurt its neighbours),
    /// `ReadOnly` (`Remove` or `PopulateWrite` of what may not be written), `Unsupported` (this kernel, or this kind of memory, knows no such advice).
    pub fn advise(&self, range: impl RangeBounds<usize>, advice: Advice) -> Result<()> {
        let operation = "advise mapping";
        let (offset, len) = self.resolve(operation, range)?;
        if advice.needs_whole_pages() {
            self.expect_whole_pages(operation, offset, len)?;
        }
        let open = self.held_open(operation)?;
        if advice.needs_write() && !open.all(offset..offset + len, Protection::allows_write) {
            return Err(self.error(ErrorKind::ReadOnly, operation));
        }
        // Reading pages in takes as long as the disk does, and a child forked meanwhile would find the lock held for ever.
        // A close that comes in between leaves zero pages here, to which no advice does harm.
        drop(open);
        self.madvise(operation, offset, len, advice as i32)
    }

    pub(super) fn madvise(
        &self,
        operation: &'static str,
        offset: usize,
        len: usize,
        advice: i32,
    ) -> Result<()> {
        advise_map(&self.map, offset, len, advice).map_err(|error| self.of_this(error, operation))
    }

    /// Keeps the pages of a range in memory (mlock2(2)), or with [`MemoryLock::OnFault`] each from when it is first touched.
    /// They are not inherited by children, and one unlock frees what several locks kept.
    ///
    /// Errors: `OutOfMemory` (more than the process may lock: the message says how much), `OutOfRange`, `Closed`,
    /// `Unsupported`.
    pub fn lock_memory(&self, range: impl RangeBounds<usize>, lock: MemoryLock) -> Result<()> {
        let operation = "lock mapping in memory";
        let (offset, len) = self.resolve(operation, range)?;
        drop(self.held_open(operation)?);
        lock_map(&self.map, offset, len, lock).map_err(|error| self.of_this(error, operation))
    }

    /// Lets the pages of a range go again. Errors: `OutOfRange`, `Closed`.
    pub fn unlock_memory(&self, range: impl RangeBounds<usize>) -> Result<()> {
        let operation = "unlock mapping in memory";
        let (offset, len) = self.resolve(operation, range)?;
        drop(self.held_open(operation)?);
        self.map.unlock(offset, len).map_err(|errno| self.system_error(errno, operation))
    }
}

/// Gives an advice for a range that was checked.
pub(crate) fn advise_map(map: &Map, offset: usize, len: usize, advice: i32) -> Result<()> {
    map.advise(offset, len, advice).map_err(|errno| match errno {
        // `Remove` of what is no writable shared map is refused as if it were a matter of permissions.
        Errno::EINVAL | Errno::EACCES => Error::new(ErrorKind::Unsupported, "", "")
            .with_detail(format!("advice {advice}, with this kernel and this kind of memory")),
        Errno::EFAULT => Error::from_errno(errno as i32, "", "")
            .with_detail("a page cannot be had: the file ends before it, or its file system is full"),
        errno => Error::from_errno(errno as i32, "", ""),
    })
}

/// Locks a range that was checked.
pub(crate) fn lock_map(map: &Map, offset: usize, len: usize, lock: MemoryLock) -> Result<()> {
    map.lock(offset, len, lock == MemoryLock::OnFault).map_err(|errno| {
        let error = match errno {
            // Three answers to one question: over the limit, a limit of nothing, pages that could not all be had.
            Errno::ENOMEM | Errno::EPERM | Errno::EAGAIN => Error::from_errno(Errno::ENOMEM as i32, "", ""),
            Errno::ENOSYS => Error::from_errno(errno as i32, "", ""),
            errno => return Error::from_errno(errno as i32, "", ""),
        };
        error.with_detail(match pages::lock_limit() {
            Some(limit) => {
                format!("{len} bytes; this process may lock {limit} (RLIMIT_MEMLOCK, `ulimit -l`)")
            }
            None => format!("{len} bytes; nothing limits what this process may lock"),
        })
    })
}
