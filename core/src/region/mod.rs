//! [`Region`]: a named piece of memory that processes attach to, with a lock that survives its owners.
//!
//! Invariants:
//! - A region gets its name when it is complete: header, sizes, storage. Nobody sees a half-made one.
//! - What was read from the header was checked once and is kept privately; shared words that change are atomics, and
//!   each value is checked before it is used.
//! - Closing a handle is refused while it has views, and the last handle's while this process holds a lock.

mod attachment;
mod chain;
pub(crate) mod directory;
mod guard;
mod header;
mod inspect;
mod lockable;
mod memory;
mod named;
pub(crate) mod object;
mod options;
mod pages;
mod resize;
mod waiting;

use std::fmt;
use std::ops::RangeBounds;
use std::ptr::NonNull;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::mman::MsFlags;

pub use guard::{LockError, LockGuard, LockResult, RegionGuard};
pub(crate) use guard::{Unlock, try_locked};
pub use inspect::{AttachmentStatus, Holder, ObjectStatus, RegionStatus, Share};
pub(crate) use lockable::{Lockable, Operations};
pub(crate) use memory::Memory;
pub use named::{ObjectInfo, ObjectMode};
pub use options::RegionOptions;

use crate::atomic::AtomicU32;
use crate::error::{Error, ErrorKind, Result};
use crate::exports::Exports;
use crate::mapping::{Flush, Pinned, View, resolve_range};
use crate::protocol::party::Acquired;
use crate::protocol::wait::Wait;
use crate::segment::{Location, Segment};
use crate::view::{SharedBytes, check_range};

/// A named piece of memory that processes attach to.
///
/// It has `len` user bytes, a **guard** (one lock over them, see [`Region::lock`]) and an arena for named objects. It
/// lives until it is unlinked (and the last user is gone) or, as a POSIX shared memory object, until the machine stops.
///
/// ```
/// use shmkit::Region;
///
/// let name = format!("doc-region-{}", std::process::id());
/// let region = Region::create(name.as_str(), 4096)?;
/// {
///     let guard = region.lock()?;
///     guard.write_at(0, b"Hi")?;
/// } // unlocked here
///
/// let same = Region::open(name.as_str())?; // usually in another process, in any language
/// let mut bytes = [0; 2];
/// same.read_at(0, &mut bytes)?;
/// assert_eq!(&bytes, b"Hi");
/// Region::unlink(name.as_str())?;
/// # Ok::<(), shmkit::Error>(())
/// ```
///
/// # Threads and forks
/// All methods may be called from any thread. A forked child may go on using its copy: it is attached anew at its first
/// lock, and never holds or releases what its parent holds.
pub struct Region {
    memory: Arc<Memory>,
    exports: Exports,
    mode: ObjectMode,
}

impl Region {
    /// Creates a region of `len` zeroed bytes with the default options: [`RegionOptions::create`].
    pub fn create(location: impl Into<Location>, len: u64) -> Result<Region> {
        RegionOptions::new().create(location, len)
    }

    /// Opens a region for reading, writing and locking, and attaches this process to it.
    ///
    /// Errors: `NotFound`, `PermissionDenied`, `InvalidName`, `BadMagic`, `VersionMismatch`, `WrongKind`, `Truncated`,
    /// `Corrupted`, `TooManyAttachments`, `Unsupported`.
    pub fn open(location: impl Into<Location>) -> Result<Region> {
        Self::open_at(location.into(), true)
    }

    /// Opens a region for reading only: nothing in it changes, not even the list of who is attached.
    pub fn open_read_only(location: impl Into<Location>) -> Result<Region> {
        Self::open_at(location.into(), false)
    }

    /// Opens the region of this name, or creates it: [`RegionOptions::open_or_create`].
    pub fn open_or_create(location: impl Into<Location>, len: u64) -> Result<Region> {
        RegionOptions::new().open_or_create(location, len)
    }

    /// Creates a region without a name: [`RegionOptions::create_unnamed`].
    pub fn create_unnamed(len: u64) -> Result<Region> {
        RegionOptions::new().create_unnamed(len)
    }

    /// Opens the region behind a descriptor, for example one that was inherited or received over a socket
    /// ([`crate::Segment::receive`]). The descriptor stays the caller's; one that was opened for reading gives a region for
    /// reading.
    ///
    /// Errors: as [`Region::open`]; `Unsupported` when `/proc` is not mounted, through which the object is opened anew.
    ///
    /// ```
    /// use shmkit::Region;
    ///
    /// let region = Region::create_unnamed(4096)?;
    /// let fd = region.try_clone_fd()?; // for a child to inherit, or for another process to receive
    /// let same = Region::from_fd(&fd)?;
    /// assert_eq!(same.id(), region.id());
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn from_fd(fd: impl std::os::fd::AsFd) -> Result<Region> {
        Self::from_segment(Segment::from_fd(fd)?, "open region")
    }

    /// A descriptor of the region for somebody else, close-on-exec.
    ///
    /// Errors: `Closed`, `OutOfMemory` (no descriptor is free).
    pub fn try_clone_fd(&self) -> Result<std::os::fd::OwnedFd> {
        let operation = "duplicate descriptor";
        self.expect_open(operation)?;
        self.memory.clone_fd(operation)
    }

    /// Removes a region's name. Processes that have it open keep it; its memory goes with the last of them.
    ///
    /// Errors: `NotFound`, `InvalidName`, `PermissionDenied`.
    pub fn unlink(location: impl Into<Location>) -> Result<()> {
        Segment::unlink_for("unlink region", location.into())
    }

    fn open_at(location: Location, writable: bool) -> Result<Region> {
        let operation = "open region";
        Self::from_segment(Segment::open_for(operation, location, writable)?, operation)
    }

    fn from_segment(segment: Segment, operation: &'static str) -> Result<Region> {
        let read_only = !segment.is_writable();
        let memory = Memory::open(segment, operation)?;
        Ok(Region { memory, exports: Exports::new(read_only), mode: ObjectMode::FindOrCreate })
    }

    /// Another handle on the same region.
    pub fn try_clone(&self) -> Result<Region> {
        self.another(self.mode, "clone region")
    }

    fn another(&self, mode: ObjectMode, operation: &'static str) -> Result<Region> {
        self.expect_open(operation)?;
        let memory = self.memory.another_region(operation)?;
        Ok(Region { memory, exports: Exports::new(self.is_read_only()), mode })
    }

    /// Number of user bytes, now: any process may [resize](Region::resize) the region.
    pub fn len(&self) -> usize {
        self.memory.data_len()
    }

    /// Never true: a region has at least one byte.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Where it lives.
    pub fn location(&self) -> &Location {
        &self.memory.location
    }

    /// How many processes can be attached at once.
    pub fn attachment_limit(&self) -> usize {
        self.memory.geometry.slot_count as usize
    }

    /// Drawn at random at creation: another region that later bears the same name has another one.
    pub fn id(&self) -> [u8; 16] {
        self.memory.geometry.id
    }

    /// Fails with `Replaced` unless this region has the given [`Region::id`].
    pub fn expect_id(&self, id: [u8; 16]) -> Result<()> {
        if self.id() == id { Ok(()) } else { Err(self.memory.error(ErrorKind::Replaced, "open region")) }
    }

    /// Whether it was opened for reading only.
    pub fn is_read_only(&self) -> bool {
        self.exports.is_read_only()
    }

    /// Whether this handle was closed.
    pub fn is_closed(&self) -> bool {
        self.exports.is_closed()
    }

    /// Copies user bytes out. Without the guard, a concurrent writer may tear the copy.
    ///
    /// Errors: `OutOfRange`, `Closed`.
    #[inline]
    pub fn read_at(&self, offset: usize, into: &mut [u8]) -> Result<()> {
        let operation = "read region";
        self.check_access(operation, offset, into.len(), false)?;
        self.memory.data().read_at(offset, into)?;
        self.memory.expect_undamaged(operation)
    }

    /// Copies user bytes in. Without the guard, a concurrent reader may see a part of them.
    ///
    /// Errors: `OutOfRange`, `Closed`, `ReadOnly`.
    #[inline]
    pub fn write_at(&self, offset: usize, from: &[u8]) -> Result<()> {
        let operation = "write region";
        self.check_access(operation, offset, from.len(), true)?;
        self.memory.data().write_at(offset, from)?;
        self.memory.expect_undamaged(operation)
    }

    #[inline]
    fn check_access(&self, operation: &'static str, offset: usize, len: usize, writable: bool) -> Result<()> {
        self.expect_open(operation)?;
        if writable && self.is_read_only() {
            return Err(self.memory.error(ErrorKind::ReadOnly, operation));
        }
        check_range(offset, len, self.len())
            .map_err(|error| error.about(operation, self.memory.location.display()))
    }

    /// A view of all user bytes for reading.
    pub fn view(&self) -> Result<View<'_>> {
        self.view_range(.., false)
    }

    /// A view of all user bytes for reading and writing.
    pub fn view_mut(&self) -> Result<View<'_>> {
        self.view_range(.., true)
    }

    /// A view of a range of the user bytes. While it lives, this handle cannot be closed.
    ///
    /// Errors: `OutOfRange`, `Closed`, `ReadOnly`.
    pub fn view_range(&self, range: impl RangeBounds<usize>, writable: bool) -> Result<View<'_>> {
        let (offset, len) = resolve_range(range, self.len())
            .map_err(|error| error.about("view region", self.memory.location.display()))?;
        let start = self.pin(offset, len, writable)?;
        #[allow(unsafe_code)]
        // SAFETY: `pin` checked that the range lies within the user bytes; the count in `pinned` keeps them, and the
        // bytes cannot be taken out of the view.
        let bytes = unsafe { SharedBytes::new(start, len, writable) };
        Ok(View { bytes, pinned: Pinned { exports: &self.exports, writable } })
    }

    /// Counts a view in and returns the address of its first byte; [`Region::unpin`] counts it out. For languages whose
    /// views cannot carry a lifetime.
    pub fn pin(&self, offset: usize, len: usize, writable: bool) -> Result<NonNull<u8>> {
        let operation = "view region";
        self.exports.acquire(writable).map_err(|kind| self.memory.error(kind, operation))?;
        if let Err(error) = self.check_access(operation, offset, len, writable) {
            self.exports.release(writable);
            return Err(error);
        }
        #[allow(unsafe_code)]
        // SAFETY: `check_access` proved that `offset` lies within the user bytes.
        Ok(unsafe { self.data_ptr().add(offset) })
    }

    /// Counts out a view that [`Region::pin`] counted in, with the same `writable`; `false` when there is none.
    pub fn unpin(&self, writable: bool) -> bool {
        self.exports.release(writable)
    }

    /// Number of live views of this handle.
    pub fn views(&self) -> usize {
        self.exports.count()
    }

    /// The address of the first user byte. It stays taken until the handle is dropped; after a close it leads to zeros.
    pub fn data_ptr(&self) -> NonNull<u8> {
        let (map, offset) = self.memory.map_of_data();
        #[allow(unsafe_code)]
        // SAFETY: the geometry was checked to lie within the map.
        unsafe {
            map.base().add(offset)
        }
    }

    /// Carries user bytes of a file-backed region to the disk (msync(2)). For a shared memory object it does nothing.
    ///
    /// Errors: `OutOfRange`, `Closed`, `Io`.
    pub fn flush(&self, range: impl RangeBounds<usize>, flush: Flush) -> Result<()> {
        self.sync(range, flush.flags())
    }

    /// As [`Region::flush`], and drops cached copies of the range that differ from the file (`MS_INVALIDATE`).
    pub fn flush_and_invalidate(&self, range: impl RangeBounds<usize>, flush: Flush) -> Result<()> {
        self.sync(range, flush.flags() | MsFlags::MS_INVALIDATE)
    }

    fn sync(&self, range: impl RangeBounds<usize>, flags: MsFlags) -> Result<()> {
        let operation = "flush region";
        let fail = |error: Error| error.about(operation, self.memory.location.display());
        let (offset, len) = resolve_range(range, self.len()).map_err(fail)?;
        self.expect_open(operation)?;
        let (map, data) = self.memory.map_of_data();
        map.sync(data + offset, len, flags).map_err(|errno| match errno {
            Errno::EBUSY => self.memory.error(ErrorKind::Busy, operation),
            errno => Error::from_errno(errno as i32, operation, self.memory.location.display()),
        })?;
        self.memory.expect_undamaged(operation)
    }

    /// Takes the guard without a Rust guard object: pair it with [`Region::release`]. [`Region::lock`] is the safe form.
    ///
    /// Both outcomes hold the lock. Errors: `Timeout`, `Interrupted`, `Closed`, `ReadOnly`, `TooManyAttachments`.
    #[inline]
    pub fn acquire(&self, wait: &Wait) -> Result<Acquired> {
        self.lockable().acquire(wait)
    }

    /// Takes the guard if nobody holds it, without a Rust guard object; `None` if somebody does.
    #[inline]
    pub fn try_acquire(&self) -> Result<Option<Acquired>> {
        self.lockable().try_acquire()
    }

    /// Gives the guard back. Errors: `NotOwner`, `Closed`, `ReadOnly`.
    #[inline]
    pub fn release(&self) -> Result<()> {
        self.lockable().release()
    }

    /// Says that the user bytes are in order again after an owner died. Errors: `NotOwner`, `Closed`, `ReadOnly`.
    pub fn make_consistent(&self) -> Result<()> {
        self.lockable().make_consistent()
    }

    /// Whether anybody holds the guard at this moment, dead or alive.
    pub fn is_locked(&self) -> bool {
        self.lockable().is_locked()
    }

    /// The guard's lock word and the word with this process's owner id, for languages that take the fast path
    /// themselves: lock is a compare-and-swap of the first from 0 to the second's value, unlock the reverse, both
    /// sequentially consistent; everything else goes through [`Region::acquire`] and [`Region::release`]. A value of 0 in
    /// the second means *not attached*. `None` for a read-only region.
    pub fn guard_words(&self) -> Option<(&AtomicU32, &AtomicU32)> {
        Some((&self.memory.guard().word, self.memory.me_word()?))
    }

    #[inline]
    fn lockable(&self) -> Lockable<'_> {
        Lockable {
            memory: &self.memory,
            owner: self.memory.guard(),
            exports: &self.exports,
            operations: &Operations {
                lock: "lock region",
                unlock: "unlock region",
                make_consistent: "make region consistent",
            },
            name: "",
        }
    }

    /// Ends the use of this handle; repeating it does nothing. The last handle of the process detaches it.
    ///
    /// Errors: `Busy` while views of this handle live, or this process holds the guard and the handle is its last.
    pub fn close(&self) -> Result<()> {
        let operation = "close region";
        let first = self.exports.close().map_err(|kind| {
            self.memory.error(kind, operation).with_detail(format!("{} live views", self.exports.count()))
        })?;
        if first {
            self.memory.close_region(operation).inspect_err(|_| self.exports.reopen())?;
        }
        Ok(())
    }

    /// The memory, for the objects in it.
    pub(crate) fn memory(&self, operation: &'static str) -> Result<&Arc<Memory>> {
        self.expect_open(operation).map(|()| &self.memory)
    }

    #[inline]
    fn expect_open(&self, operation: &'static str) -> Result<()> {
        if self.exports.is_closed() {
            return Err(self.memory.error(ErrorKind::Closed, operation));
        }
        self.memory.expect_undamaged(operation)
    }
}

impl Unlock for Region {
    fn unlock_quietly(&self) {
        self.lockable().release_quietly();
    }

    fn make_consistent(&self) -> Result<()> {
        self.lockable().make_consistent()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // Views and locks that were leaked still lead here: better to keep the memory than to let them dangle.
        if self.close().is_err() {
            std::mem::forget(Arc::clone(&self.memory));
        }
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region")
            .field("location", self.location())
            .field("len", &self.len())
            .field("read_only", &self.is_read_only())
            .field("closed", &self.is_closed())
            .finish()
    }
}
