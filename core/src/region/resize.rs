//! Regions that grow and shrink while processes are attached.
//!
//! Address space for the whole capacity is there from the start, in every process, so nothing ever moves. `data_len` is the
//! one word that everybody follows; it changes under a lock of its own, and storage is there before it grows and goes after
//! it shrank:
//!
//! | step | store that commits it | before it |
//! |---|---|---|
//! | grow | `data_len` | storage that nobody sees yet, which the next resize makes use of or gives back |
//! | shrink | `data_len` | nothing has changed; after it, storage that the next resize gives back |
//!
//! So there is nothing to repair when a process dies in here. The file never becomes shorter: what a region no longer has
//! becomes a hole, where views that others have still find zeros.

use super::Region;
use crate::atomic::Ordering::Release;
use crate::error::{ErrorKind, Result};
use crate::layout::OwnerWord;
use crate::protocol::party::Acquired;
use crate::protocol::wait::{Stop, Wait};
use crate::protocol::word;
use crate::region::Memory;
use crate::sys::map::page_size;

/// How long a resize waits for another one, which may be reserving storage.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
const OPERATION: &str = "resize region";

/// The lock over `data_len` is held.
struct Resizing<'a> {
    memory: &'a Memory,
    owner: &'a OwnerWord,
    me: u32,
}

impl Drop for Resizing<'_> {
    fn drop(&mut self) {
        word::unlock(self.owner, self.me, 1, self.memory);
    }
}

impl Region {
    /// The most user bytes that the region can have: [`RegionOptions::capacity`](crate::RegionOptions::capacity).
    pub fn capacity(&self) -> usize {
        self.memory.geometry.data_capacity
    }

    /// Gives the region another number of user bytes, for all processes: they see it at their next use of [`Region::len`] or
    /// of the bytes. New bytes are zeros, backed by storage. Views stay where they are and keep their length; it is up to
    /// the program to tell others before it takes bytes away that they are using. The guard is not taken.
    ///
    /// Errors: `InvalidLength` (0), `LimitExceeded` (more than the capacity), `NoSpace`, `Busy` (shrinking, while a view of
    /// this handle lives), `Timeout` (another process resizes for a minute), `ReadOnly`, `Closed`.
    ///
    /// ```
    /// use shmkit::RegionOptions;
    ///
    /// let name = format!("doc-resize-{}", std::process::id());
    /// let region = RegionOptions::new().capacity(1 << 20).create(name.as_str(), 4096)?;
    /// let other = shmkit::Region::open(name.as_str())?; // usually in another process
    /// region.resize(100_000)?;
    /// assert_eq!(other.len(), 100_000);
    /// other.write_at(99_000, b"more")?;
    /// # shmkit::Region::unlink(name.as_str())?;
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn resize(&self, len: usize) -> Result<()> {
        self.expect_open(OPERATION)?;
        if self.is_read_only() {
            return Err(self.memory.error(ErrorKind::ReadOnly, OPERATION));
        }
        if len == 0 {
            return Err(self.memory.error(ErrorKind::InvalidLength, OPERATION).with_detail("0 bytes"));
        }
        if len > self.capacity() {
            return Err(self.memory.error(ErrorKind::LimitExceeded, OPERATION).with_detail(format!(
                "{len} bytes, its capacity is {}: create it with more",
                self.capacity()
            )));
        }
        let resizing = Resizing::lock(&self.memory)?;
        let before = self.len();
        if len > before {
            resizing.grow(before, len)?;
        } else if len < before {
            let views = self.exports.count();
            if views > 0 {
                let text = format!("{views} live views");
                return Err(self.memory.error(ErrorKind::Busy, OPERATION).with_detail(text));
            }
            resizing.shrink(len);
        }
        self.memory.expect_undamaged(OPERATION)
    }

    /// Whether the bytes still are the region's.
    ///
    /// Somebody who may write the region's file can also cut it. Touching what is missing would kill the process (SIGBUS);
    /// under the fault guard it reads as zeros, and from then on everything but closing fails, for the region and for the
    /// objects in it. Other processes notice for themselves.
    ///
    /// Errors: `MappingTruncated` (also when nobody has touched the missing pages yet), `Closed`.
    pub fn check(&self) -> Result<()> {
        let operation = "check region";
        crate::rearm_fault_guard();
        self.expect_open(operation)?;
        let needed = self.memory.geometry.file_len(self.len() as u64);
        let size = self.memory.object_len(operation)?;
        if size < needed {
            return Err(self
                .memory
                .error(ErrorKind::MappingTruncated, operation)
                .with_detail(format!("{size} bytes of {needed}")));
        }
        Ok(())
    }

    /// A word that is 0 while all is well and becomes another number as soon as the file has lost pages, for languages that
    /// copy bytes themselves: look at it after the copy. `None` without the guard. It stays readable for ever, and means
    /// this region until the last handle of the process is dropped.
    pub fn damage_word(&self) -> Option<&'static crate::AtomicU32> {
        self.memory.damage_word()
    }

    /// The word with the number of user bytes, for languages that keep that number themselves: while the word has not
    /// changed, neither has [`Region::len`]. The word itself is not to be trusted.
    pub fn len_word(&self) -> &std::sync::atomic::AtomicU64 {
        self.memory.data_len_word()
    }
}

impl<'a> Resizing<'a> {
    fn lock(memory: &'a Memory) -> Result<Resizing<'a>> {
        let me = memory.me(OPERATION)?;
        let owner = &memory.live().resize;
        match word::lock(owner, me, memory, &Wait::timeout(PATIENCE)) {
            Ok(Acquired::Clean) => {}
            // One store commits each resize.
            Ok(Acquired::OwnerDied) => drop(word::make_consistent(owner, me)),
            Err(Stop::Damaged) => return Err(memory.error(ErrorKind::MappingTruncated, OPERATION)),
            Err(_) => {
                return Err(memory
                    .error(ErrorKind::Timeout, OPERATION)
                    .with_detail("another process is resizing it"));
            }
        }
        let resizing = Resizing { memory, owner, me };
        memory.expect_undamaged(OPERATION)?;
        Ok(resizing)
    }

    /// Makes the new bytes zeros with storage behind them, whatever an earlier resize or a stale view left there, and then
    /// has everybody see them.
    fn grow(&self, before: usize, len: usize) -> Result<()> {
        let memory = self.memory;
        let object = memory.object(OPERATION)?;
        let fail = |errno| memory.system_error(errno, OPERATION).with_detail(format!("{len} bytes"));
        let (from, to) = (memory.geometry.file_len(before as u64), memory.geometry.file_len(len as u64));
        let start = memory.geometry.data_offset + before;
        memory.bytes().zero_at(start, start.next_multiple_of(page_size()) - start)?;
        let have = memory.object_len(OPERATION)?.min(to);
        if have < from {
            // Somebody cut it. Making it longer again would hide that.
            return Err(memory.error(ErrorKind::MappingTruncated, OPERATION));
        }
        if have > from && object.punch(from, have - from).is_err() {
            memory.bytes().zero_at(from as usize, (have - from) as usize)?;
        }
        if to > from {
            object.reserve_range(from, to).map_err(fail)?;
        }
        memory.expect_undamaged(OPERATION)?;
        memory.live().data_len.store(len as u64, Release);
        Ok(())
    }

    /// Has everybody see less, and then gives the storage back. A file system that cannot make holes keeps it.
    fn shrink(&self, len: usize) {
        let memory = self.memory;
        memory.live().data_len.store(len as u64, Release);
        let from = memory.geometry.file_len(len as u64);
        let size = memory.object_len(OPERATION).unwrap_or(0);
        if size > from
            && let Ok(object) = memory.object(OPERATION)
        {
            let _ = object.punch(from, size - from);
        }
    }
}
