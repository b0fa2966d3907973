//! [`Mapping`]: a range of a file, or of memory that no file backs, as bytes.
//!
//! Invariants:
//! - A view keeps the pages and their protection: closing, and taking away access that a live view has, is refused with
//!   `Busy`.
//! - Closing puts private zero pages in place of the object; the addresses are given back when the mapping is dropped.
//!   A pointer that outlived every rule reads zeros, never another owner's memory.
//! - `runs` says what each page allows; it changes together with the pages, under its lock, and every checked access
//!   holds that lock for reading.

mod advice;
mod code;
pub(crate) mod fault;
mod huge;
mod options;
mod pages;
mod protection;
mod residency;
mod resize;
mod usage;

use std::fmt;
use std::ops::{Bound, Deref, RangeBounds};
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::MsFlags;
use parking_lot::{RwLock, RwLockReadGuard};

pub use advice::{Advice, MemoryLock};
pub(crate) use advice::{advise_map, lock_map};
pub use code::{CodeFunction, CodeMemory, CodeOptions};
pub use huge::HugePages;
pub use options::{Flush, MapOptions, Sharing};
pub(crate) use pages::PageRange;
pub use pages::{MemoryUse, clear_soft_dirty};
pub use protection::Protection;
use protection::ProtectionRuns;
pub use residency::{PageCounts, PageFlags, Residency};
use resize::Origin;
pub use usage::Usage;

use crate::error::{Error, ErrorKind, Result};
use crate::exports::Exports;
use crate::sys::map::Map;
use crate::view::{SharedBytes, check_range};

/// One mapped range.
///
/// All methods may be called from any thread. What other processes do to shared bytes meanwhile is theirs to do: a copy
/// may be torn, unless a lock keeps them away.
pub struct Mapping {
    map: Map,
    exports: Exports,
    runs: RwLock<ProtectionRuns>,
    sharing: Sharing,
    /// Whether the kernel would ever allow stores: a shared map of a file that is open for reading never does.
    stores_allowed: bool,
    /// Whether a flush can carry stores to something that outlives the machine's power.
    persistent: bool,
    object: String,
    origin: Origin,
}

impl Mapping {
    /// Maps an existing file, whole, shared and for reading: [`MapOptions::map_path`].
    pub fn open(path: impl AsRef<std::path::Path>) -> Result<Mapping> {
        MapOptions::new().map_path(path)
    }

    /// Maps `len` bytes of zeroed memory, shared with children that are forked later.
    pub fn anonymous(len: usize) -> Result<Mapping> {
        MapOptions::new().len(len).map_anonymous()
    }

    fn new(
        map: Map,
        protection: Protection,
        sharing: Sharing,
        stores_allowed: bool,
        object: String,
    ) -> Mapping {
        let runs = RwLock::new(ProtectionRuns::new(map.len(), protection));
        Mapping {
            exports: Exports::new(false),
            runs,
            map,
            sharing,
            stores_allowed,
            persistent: false,
            object,
            origin: Origin::fixed(),
        }
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Never true: a mapping has at least one byte.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The file it maps, as messages call it; empty for memory without a file.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// Who sees what is written.
    pub fn sharing(&self) -> Sharing {
        self.sharing
    }

    /// Whether a flush has somewhere to go: a shared map of a file on a device. Elsewhere (shared memory objects, memory
    /// without a file, private maps) a flush succeeds and does nothing.
    pub fn is_persistent(&self) -> bool {
        self.persistent
    }

    /// Bytes of a page: what protection, advice and residency are rounded to.
    pub fn page_size(&self) -> usize {
        self.map.page()
    }

    /// Whether the handle was closed.
    pub fn is_closed(&self) -> bool {
        self.exports.is_closed()
    }

    /// Whether every byte may be written.
    pub fn is_writable(&self) -> bool {
        self.runs.read().all(0..self.len(), Protection::allows_write)
    }

    /// The address of the first byte. It stays taken until the mapping is dropped; after a close it leads to zeros.
    pub fn as_ptr(&self) -> *mut u8 {
        self.map.base().as_ptr()
    }

    /// Copies bytes out. A concurrent writer may tear the copy.
    ///
    /// Errors: `OutOfRange`, `Closed`, `PermissionDenied` (a page without read access), and those of [`Mapping::check`].
    pub fn read_at(&self, offset: usize, into: &mut [u8]) -> Result<()> {
        let operation = "read mapping";
        let _held = self.checked(operation, offset, into.len(), false)?;
        self.bytes(false).read_at(offset, into)?;
        self.expect_undamaged(operation)
    }

    /// Copies bytes in. A concurrent reader may see a part of them.
    ///
    /// Errors: `OutOfRange`, `Closed`, `ReadOnly`, and those of [`Mapping::check`]; after the latter, bytes may be lost.
    pub fn write_at(&self, offset: usize, from: &[u8]) -> Result<()> {
        let operation = "write mapping";
        let _held = self.checked(operation, offset, from.len(), true)?;
        self.bytes(true).write_at(offset, from)?;
        self.expect_undamaged(operation)
    }

    /// A view of all bytes for reading.
    pub fn view(&self) -> Result<View<'_>> {
        self.view_range(.., false)
    }

    /// A view of all bytes for reading and writing.
    pub fn view_mut(&self) -> Result<View<'_>> {
        self.view_range(.., true)
    }

    /// A view of a range. While it lives, the mapping cannot be closed and the range keeps its access.
    ///
    /// Errors: `OutOfRange`, `Closed`, `ReadOnly`, `PermissionDenied`.
    pub fn view_range(&self, range: impl RangeBounds<usize>, writable: bool) -> Result<View<'_>> {
        let (offset, len) = self.resolve("view mapping", range)?;
        let start = self.pin(offset, len, writable)?;
        #[allow(unsafe_code)]
        // SAFETY: `pin` checked that the range lies in the map and allows the access; the count in `pinned` keeps both,
        // and the bytes cannot be taken out of the view.
        let bytes = unsafe { SharedBytes::new(start, len, writable) };
        Ok(View { bytes, pinned: Pinned { exports: &self.exports, writable } })
    }

    /// Counts a view in and returns the address of its first byte; [`Mapping::unpin`] counts it out. For languages
    /// whose views cannot carry a lifetime.
    pub fn pin(&self, offset: usize, len: usize, writable: bool) -> Result<NonNull<u8>> {
        let operation = "view mapping";
        self.exports.acquire(writable).map_err(|kind| self.error(kind, operation))?;
        // Counted before checked: a protection change that comes between sees the count and is refused.
        match self.checked(operation, offset, len, writable) {
            #[allow(unsafe_code)]
            // SAFETY: `checked` proved that `offset` lies within the map.
            Ok(_held) => Ok(unsafe { self.map.base().add(offset) }),
            Err(error) => {
                self.exports.release(writable);
                Err(error)
            }
        }
    }

    /// Counts out a view that [`Mapping::pin`] counted in, with the same `writable`; `false` when there is none.
    pub fn unpin(&self, writable: bool) -> bool {
        self.exports.release(writable)
    }

    /// Number of live views.
    pub fn views(&self) -> usize {
        self.exports.count()
    }

    /// Carries changes of a shared file mapping to the file (msync(2)). The range is widened to whole pages.
    ///
    /// Where [`Mapping::is_persistent`] says that there is nothing to carry them to, the call succeeds and does nothing.
    ///
    /// Errors: `OutOfRange`, `Closed`, `Io` (what the device reported).
    pub fn flush(&self, range: impl RangeBounds<usize>, flush: Flush) -> Result<()> {
        self.sync(range, flush, MsFlags::empty())
    }

    /// As [`Mapping::flush`], and drops cached copies of the range that differ from the file (`MS_INVALIDATE`). `Busy`
    /// when pages of the range are locked in memory.
    pub fn flush_and_invalidate(&self, range: impl RangeBounds<usize>, flush: Flush) -> Result<()> {
        self.sync(range, flush, MsFlags::MS_INVALIDATE)
    }

    fn sync(&self, range: impl RangeBounds<usize>, flush: Flush, extra: MsFlags) -> Result<()> {
        let operation = "flush mapping";
        let (offset, len) = self.resolve(operation, range)?;
        // Not kept open while the disk works, which may take seconds: a child forked meanwhile would find the lock held for
        // ever. A close that comes in between leaves the addresses taken, and there is nothing to flush then.
        drop(self.held_open(operation)?);
        self.map.sync(offset, len, flush.flags() | extra).map_err(|errno| match errno {
            Errno::EBUSY => self.error(ErrorKind::Busy, operation),
            errno => self.system_error(errno, operation),
        })?;
        self.expect_undamaged(operation)
    }

    /// Changes what a range allows (mprotect(2)). The range covers whole pages, or ends with the mapping.
    ///
    /// Errors: `Busy` while a view lives that would lose access, `ReadOnly` when the file was not opened for writing,
    /// `InvalidArgument` (a part of a page), `OutOfRange`, `Closed`.
    pub fn protect(&self, range: impl RangeBounds<usize>, protection: Protection) -> Result<()> {
        let operation = "protect mapping";
        let (offset, len) = self.resolve(operation, range)?;
        self.expect_whole_pages(operation, offset, len)?;
        if protection.allows_write() && !self.stores_allowed {
            return Err(self.error(ErrorKind::ReadOnly, operation));
        }
        let mut runs = self.runs.write();
        let hurt = match protection {
            Protection::None => self.exports.count(),
            Protection::Read => self.exports.writers(),
            Protection::ReadWrite => 0,
        };
        if self.exports.is_closed() {
            return Err(self.error(ErrorKind::Closed, operation));
        }
        self.expect_undamaged(operation)?;
        if hurt > 0 {
            return Err(self.error(ErrorKind::Busy, operation).with_detail(format!("{hurt} live views")));
        }
        self.map
            .protect(offset, len, protection.flags())
            .map_err(|errno| self.system_error(errno, operation))?;
        runs.set(offset..offset + len, protection);
        Ok(())
    }

    /// Lets the object go. Repeating it does nothing. Errors: `Busy` while a view lives.
    pub fn close(&self) -> Result<()> {
        let operation = "close mapping";
        let _nobody_inside = self.runs.write();
        let first = self.exports.close().map_err(|kind| {
            self.error(kind, operation).with_detail(format!("{} live views", self.exports.count()))
        })?;
        if first {
            self.map.retire().map_err(|errno| self.system_error(errno, operation))?;
            self.origin.forget();
        }
        Ok(())
    }

    /// The open mapping, kept open while the result lives.
    fn held_open(&self, operation: &'static str) -> Result<RwLockReadGuard<'_, ProtectionRuns>> {
        let runs = self.runs.read();
        if self.exports.is_closed() {
            return Err(self.error(ErrorKind::Closed, operation));
        }
        self.expect_undamaged(operation)?;
        Ok(runs)
    }

    /// The permission to touch a range, kept while the result lives.
    fn checked(
        &self,
        operation: &'static str,
        offset: usize,
        len: usize,
        writable: bool,
    ) -> Result<RwLockReadGuard<'_, ProtectionRuns>> {
        let runs = self.held_open(operation)?;
        check_range(offset, len, self.len()).map_err(|error| self.of_this(error, operation))?;
        let range = offset..offset + len;
        if writable && !runs.all(range.clone(), Protection::allows_write) {
            return Err(self.error(ErrorKind::ReadOnly, operation));
        }
        if !runs.all(range, Protection::allows_read) {
            return Err(self
                .error(ErrorKind::PermissionDenied, operation)
                .with_detail("the pages allow no access"));
        }
        Ok(runs)
    }

    fn bytes(&self, writable: bool) -> SharedBytes<'_> {
        #[allow(unsafe_code)]
        // SAFETY: the map stays in place as long as `self`; callers checked the protection and keep it.
        unsafe {
            SharedBytes::new(self.map.base(), self.len(), writable)
        }
    }

    fn resolve(&self, operation: &'static str, range: impl RangeBounds<usize>) -> Result<(usize, usize)> {
        resolve_range(range, self.len()).map_err(|error| self.of_this(error, operation))
    }

    fn expect_whole_pages(&self, operation: &'static str, offset: usize, len: usize) -> Result<()> {
        let page = self.map.page();
        let aligned = |at: usize| (self.as_ptr().addr() + at).is_multiple_of(page);
        let starts = offset == 0 || aligned(offset);
        let ends = offset + len == self.len() || aligned(offset + len);
        if !starts || !ends {
            return Err(self.error(ErrorKind::InvalidArgument, operation).with_detail(format!(
                "bytes {offset}..{} are not whole pages of {page} bytes",
                offset + len
            )));
        }
        Ok(())
    }

    fn of_this(&self, error: Error, operation: &'static str) -> Error {
        error.about(operation, self.object.as_str())
    }

    fn error(&self, kind: ErrorKind, operation: &'static str) -> Error {
        Error::new(kind, operation, self.object.as_str())
    }

    fn system_error(&self, errno: Errno, operation: &'static str) -> Error {
        Error::from_errno(errno as i32, operation, self.object.as_str())
    }
}

/// Start and length of a range of `limit` bytes.
pub(crate) fn resolve_range(range: impl RangeBounds<usize>, limit: usize) -> Result<(usize, usize)> {
    let start = match range.start_bound() {
        Bound::Included(&start) => start,
        Bound::Excluded(&before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&last) => last.saturating_add(1),
        Bound::Excluded(&end) => end,
        Bound::Unbounded => limit,
    };
    let len = end.checked_sub(start).unwrap_or(usize::MAX);
    check_range(start, len, limit)?;
    Ok((start, len))
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping")
            .field("object", &self.object)
            .field("len", &self.len())
            .field("sharing", &self.sharing)
            .field("closed", &self.is_closed())
            .finish()
    }
}

/// A live view: bytes of a mapping or region that stay where they are while it exists.
pub struct View<'a> {
    pub(crate) bytes: SharedBytes<'a>,
    pub(crate) pinned: Pinned<'a>,
}

/// One count in an [`Exports`] word, given back on drop.
pub(crate) struct Pinned<'a> {
    pub(crate) exports: &'a Exports,
    pub(crate) writable: bool,
}

impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        self.exports.release(self.writable);
    }
}

impl<'a> View<'a> {
    /// Whether this view may write.
    pub fn is_writable(&self) -> bool {
        self.pinned.writable
    }
}

impl<'a> Deref for View<'a> {
    type Target = SharedBytes<'a>;

    fn deref(&self) -> &SharedBytes<'a> {
        &self.bytes
    }
}
