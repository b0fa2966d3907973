//! The memory of an open region, shared by all handles that this process has on it.
//!
//! Invariants:
//! - One [`Memory`] per region, access mode and process: a table keyed by device and inode finds it. So there is one
//!   attachment per process and region, and a lock taken through one handle can be given back through another.
//! - The last handle to close detaches the process and puts zero pages in place of the region ([`Map::retire`]); the
//!   addresses stay until the last reference goes. Closing is refused while this process holds a lock.
//! - Lock order: [`fork::exclude`], then the table.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::mman::ProtFlags;
use parking_lot::Mutex;

use super::attachment::{Attachment, Slots};
use super::header::{Geometry, flaw_error};
use crate::atomic::AtomicU32;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{self, LiveHeader, MutexRecord};
use crate::segment::{Location, Segment};
use crate::sync::mutex;
use crate::sync::wait::{Party, Slept};
use crate::sys::file::FileId;
use crate::sys::fork;
use crate::sys::futex::{self, Wake};
use crate::sys::map::{Map, Request};
use crate::view::{Shared, SharedBytes};

pub(crate) struct Memory {
    map: Map,
    pub geometry: Geometry,
    pub location: Location,
    file_id: FileId,
    data_len: usize,
    /// None: opened for reading, so no lock can be taken.
    attachment: Option<Attachment>,
    handles: AtomicUsize,
    retired: AtomicBool,
}

/// All open regions of this process. Locked only inside [`fork::exclude`], so that a forked child finds it in order.
static OPEN: Mutex<Vec<(FileId, bool, Weak<Memory>)>> = Mutex::new(Vec::new());

/// Writes the header of a new region into its segment, which nobody else knows yet; `READY` comes last.
pub(crate) fn format(segment: &Segment, geometry: &Geometry) -> Result<()> {
    let operation = "create region";
    let map = map_all(segment, geometry, true, operation)?;
    #[allow(unsafe_code)]
    // SAFETY: the map lives to the end of this function.
    let bytes = unsafe { SharedBytes::new(map.base(), map.len(), true) };
    bytes.write_at(0, bytemuck::bytes_of(&geometry.to_header()))?;
    let live: &LiveHeader = bytes.shared(layout::LIVE_HEADER_OFFSET)?;
    live.data_len.store(geometry.data_capacity as u64, Ordering::Relaxed);
    live.state.store(layout::STATE_READY, Ordering::Release);
    Ok(())
}

impl Memory {
    /// The memory behind an open segment: checked, mapped, attached, or the one that this process has already. Counts
    /// one handle.
    pub fn open(segment: Segment, operation: &'static str) -> Result<Arc<Memory>> {
        let _no_fork = fork::exclude();
        let mut open = OPEN.lock();
        open.retain(|(_, _, memory)| memory.strong_count() > 0);
        let key = (segment.object().id(), segment.is_writable());
        let found = open.iter().find(|(id, writable, _)| (*id, *writable) == key);
        if let Some(memory) = found.and_then(|(_, _, memory)| memory.upgrade()) {
            memory.handles.fetch_add(1, Ordering::Relaxed);
            return Ok(memory);
        }
        let memory = Arc::new(Memory::map(segment, operation)?);
        if let Some(attachment) = &memory.attachment {
            attachment.attach(&memory.slots())?;
        }
        open.push((key.0, key.1, Arc::downgrade(&memory)));
        Ok(memory)
    }

    /// Counts one more handle on memory that has one.
    pub fn another_handle(self: &Arc<Memory>, operation: &'static str) -> Result<Arc<Memory>> {
        let _no_fork = fork::exclude();
        if self.retired.load(Ordering::SeqCst) {
            return Err(self.error(ErrorKind::Closed, operation));
        }
        self.handles.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::clone(self))
    }

    fn map(segment: Segment, operation: &'static str) -> Result<Memory> {
        let object = segment.location().display().into_owned();
        let file_len = segment.len()?;
        let mut start = [0; layout::HEADER_SIZE];
        let got = segment.object().read_at(0, &mut start).map_err(|errno| segment.fail(operation, errno))?;
        let geometry =
            Geometry::check(&start[..got], file_len).map_err(|flaw| flaw_error(flaw, operation, &object))?;
        let writable = segment.is_writable();
        let map = map_all(&segment, &geometry, writable, operation)?;
        let (file, location) = segment.into_parts();
        let file_id = file.id();
        let attachment = if writable { Some(Attachment::new(file, location.clone())?) } else { None };
        let mut memory = Memory {
            map,
            geometry,
            location,
            file_id,
            data_len: 0,
            attachment,
            handles: AtomicUsize::new(1),
            retired: AtomicBool::new(false),
        };
        let live = memory.live();
        let (state, data_len) = (live.state.load(Ordering::Acquire), live.data_len.load(Ordering::Acquire));
        if state != layout::STATE_READY || data_len == 0 || data_len > geometry.data_capacity as u64 {
            let text = format!("state {state:#x}, {data_len} user bytes of {}", geometry.data_capacity);
            return Err(flaw_error((ErrorKind::Corrupted, text), operation, &object));
        }
        memory.data_len = data_len as usize;
        Ok(memory)
    }

    /// Number of user bytes.
    #[inline]
    pub fn data_len(&self) -> usize {
        self.data_len
    }

    /// The user bytes.
    #[inline]
    pub fn data(&self) -> SharedBytes<'_> {
        #[allow(unsafe_code)]
        // SAFETY: the geometry was checked to lie within the map, which lives as long as `self`.
        unsafe {
            SharedBytes::new(
                self.map.base().add(self.geometry.data_offset),
                self.data_len,
                self.attachment.is_some(),
            )
        }
    }

    /// The map and where the user bytes begin in it.
    pub fn map_of_data(&self) -> (&Map, usize) {
        (&self.map, self.geometry.data_offset)
    }

    /// The region's guard.
    #[inline]
    pub fn guard(&self) -> &MutexRecord {
        self.record(layout::GUARD_OFFSET)
    }

    fn live(&self) -> &LiveHeader {
        self.record(layout::LIVE_HEADER_OFFSET)
    }

    /// A struct of the header. The offset is a constant of the layout, whose asserts keep it in the header and aligned.
    #[inline]
    fn record<T: Shared>(&self, offset: usize) -> &T {
        debug_assert!(offset + size_of::<T>() <= layout::HEADER_SIZE);
        #[allow(unsafe_code)]
        // SAFETY: the header is mapped as long as `self`, the offset is aligned and inside, and `T` is atomics only.
        unsafe {
            self.map.base().add(offset).cast::<T>().as_ref()
        }
    }

    pub fn slots(&self) -> Slots<'_> {
        #[allow(unsafe_code)]
        // SAFETY: the map lives as long as `self`.
        let bytes = unsafe { SharedBytes::new(self.map.base(), self.map.len(), self.attachment.is_some()) };
        Slots { live: self.live(), geometry: &self.geometry, bytes }
    }

    /// This process's owner id, attaching it when it is not: after a fork.
    #[inline]
    pub fn me(&self, operation: &'static str) -> Result<u32> {
        match &self.attachment {
            Some(attachment) if attachment.me() != 0 => Ok(attachment.me()),
            other => self.attach_again(other.as_ref(), operation),
        }
    }

    #[cold]
    fn attach_again(&self, attachment: Option<&Attachment>, operation: &'static str) -> Result<u32> {
        let attachment = attachment.ok_or_else(|| self.error(ErrorKind::ReadOnly, operation))?;
        let _no_fork = fork::exclude();
        if self.retired.load(Ordering::SeqCst) {
            return Err(self.error(ErrorKind::Closed, operation));
        }
        attachment.attach(&self.slots())
    }

    /// As [`Memory::me`], but 0 for a process that is not attached, and so can hold nothing.
    #[inline]
    pub fn me_if_attached(&self) -> u32 {
        self.attachment.as_ref().map_or(0, Attachment::me)
    }

    pub fn attachment(&self) -> Option<&Attachment> {
        self.attachment.as_ref()
    }

    /// Counts one handle out; the last one ends this process's use of the region. `Busy`, and nothing has changed, while
    /// it holds a lock.
    pub fn close_handle(&self, operation: &'static str) -> Result<()> {
        let _no_fork = fork::exclude();
        if self.handles.load(Ordering::Relaxed) > 1 {
            self.handles.fetch_sub(1, Ordering::Relaxed);
            return Ok(());
        }
        self.retire(operation)?;
        OPEN.lock().retain(|(id, writable, _)| *id != self.file_id || *writable != self.attachment.is_some());
        self.handles.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Detaches this process and takes the region from under its addresses.
    fn retire(&self, operation: &'static str) -> Result<()> {
        let Some(attachment) = &self.attachment else {
            return self.map.retire().map_err(|errno| self.system_error(errno, operation));
        };
        let me = attachment.me();
        if me != 0 && mutex::is_held_by(self.guard(), me) {
            return Err(self.error(ErrorKind::Busy, operation).with_detail("this process holds its guard"));
        }
        self.leave(attachment, operation)
    }

    /// A thread that began to lock before the handle closed may take the guard as long as the map is there. It will find
    /// the handle closed and want to give the guard back, but perhaps when the map has gone: so we keep a way to the word
    /// beyond that, and give it back here. Otherwise the next owner would be told of a death that never was.
    fn leave(&self, attachment: &Attachment, operation: &'static str) -> Result<()> {
        let fail = |errno| self.system_error(errno, operation);
        let kept = self.map.alias(self.geometry.arena_offset).map_err(fail)?;
        self.map.retire().map_err(fail)?;
        self.retired.store(true, Ordering::SeqCst);
        #[allow(unsafe_code)]
        // SAFETY: the alias lives to the end of this function.
        let bytes = unsafe { SharedBytes::new(kept.base, kept.len, true) };
        let me = attachment.me();
        if me != 0 {
            mutex::unlock(bytes.shared(layout::GUARD_OFFSET)?, me, self);
        }
        let live = bytes.shared(layout::LIVE_HEADER_OFFSET)?;
        attachment.detach(&Slots { live, geometry: &self.geometry, bytes: bytes.slice(0..kept.len)? });
        Ok(())
    }

    fn system_error(&self, errno: Errno, operation: &'static str) -> Error {
        Error::from_errno(errno as i32, operation, self.location.display())
    }

    #[cold]
    pub fn error(&self, kind: ErrorKind, operation: &'static str) -> Error {
        Error::new(kind, operation, self.location.display())
    }
}

/// How the locks of the region sleep, wake and learn who lives.
impl Party for Memory {
    fn is_dead(&self, owner: u32) -> bool {
        self.attachment.as_ref().is_some_and(|attachment| attachment.is_dead(&self.slots(), owner))
    }

    fn is_replaced(&self, owner: u32) -> bool {
        self.slots().is_replaced(owner)
    }

    fn sleep(&self, word: &AtomicU32, expected: u32, at_most: Duration) -> Slept {
        match futex::wait(word, expected, at_most) {
            Wake::Woken | Wake::Changed => Slept::Woken,
            Wake::TimedOut => Slept::TimedOut,
            Wake::Interrupted => Slept::Interrupted,
        }
    }

    fn wake(&self, word: &AtomicU32, count: i32) -> usize {
        futex::wake(word, count)
    }
}

/// Maps a whole region.
fn map_all(segment: &Segment, geometry: &Geometry, writable: bool, operation: &'static str) -> Result<Map> {
    let protection =
        if writable { ProtFlags::PROT_READ | ProtFlags::PROT_WRITE } else { ProtFlags::PROT_READ };
    let len = geometry.total_len().and_then(|len| usize::try_from(len).ok()).unwrap_or(usize::MAX);
    let request = Request { offset: 0, len, private: false, protection, populate: false, no_reserve: false };
    Map::of_file(segment.as_fd(), &request).map_err(|errno| segment.fail(operation, errno))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Acquired, Region, Wait};

    /// A thread that is about to lock when the last handle closes must not leave the guard to a process that is not
    /// attached any more: the next one would be told of a death that never was.
    #[test]
    fn a_close_among_locks_leaves_the_guard_free() {
        let name = format!("unit-memory-close-{}", std::process::id());
        Region::create(&name, 64).unwrap().close().unwrap();
        for _ in 0..500 {
            let region = Region::open(&name).unwrap();
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        while let Ok(acquired) = region.acquire(&Wait::forever()) {
                            assert_eq!(acquired, Acquired::Clean);
                            // Whoever closed meanwhile has seen the guard held, and tries again.
                            region.release().unwrap();
                        }
                    });
                }
                while region.close().is_err_and(|error| error.kind() == ErrorKind::Busy) {}
            });
            let next = Region::open(&name).unwrap();
            assert_eq!(next.try_acquire().unwrap(), Some(Acquired::Clean));
            next.release().unwrap();
        }
        Region::unlink(&name).unwrap();
    }

    /// The same, with the thread stopped in the worst place: after the close has looked, before the map goes.
    #[test]
    fn a_guard_taken_while_the_map_goes_is_given_back() {
        let name = format!("unit-memory-leave-{}", std::process::id());
        let region = Region::create(&name, 64).unwrap();
        let memory = Arc::clone(&region.memory);
        let attachment = memory.attachment().unwrap();
        assert_eq!(mutex::try_lock(memory.guard(), attachment.me(), &*memory), Some(Acquired::Clean));
        memory.leave(attachment, "test").unwrap();
        OPEN.lock().retain(|(id, _, _)| *id != memory.file_id);

        let next = Region::open(&name).unwrap();
        assert_eq!(next.try_acquire().unwrap(), Some(Acquired::Clean));
        next.release().unwrap();
        Region::unlink(&name).unwrap();
    }
}
