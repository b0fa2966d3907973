//! The handles that this process has on a region: who finds the memory, who is counted in and out, and what the last one does.
//!
//! Invariants:
//! - One [`Memory`] per region, access mode and process: a table keyed by device and inode finds it. So there is one
//!   attachment per process and region, and a lock taken through one handle can be given back through another.
//! - The last handle to close detaches the process and puts zero pages in place of the region ([`Map::retire`]); the
//!   addresses stay until the last reference goes. Closing is refused while this process holds a lock.
//! - Lock order: [`fork::exclude`], then the table.
//!
//! [`Map::retire`]: crate::sys::map::Map::retire

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, Weak};

use parking_lot::Mutex;

use super::Memory;
use crate::error::{ErrorKind, Result};
use crate::layout;
use crate::protocol::party::ALL;
use crate::protocol::word;
use crate::region::attachment::Slots;
use crate::region::directory::{self, Place};
use crate::segment::Segment;
use crate::sys::file::FileId;
use crate::sys::fork;
use crate::view::SharedBytes;

/// All open regions of this process. Locked only inside [`fork::exclude`], so that a forked child finds it in order.
static OPEN: Mutex<Vec<(FileId, bool, Weak<Memory>)>> = Mutex::new(Vec::new());

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
            memory.count_region_in();
            return Ok(memory);
        }
        let memory = Arc::new(Memory::map(segment, operation)?);
        if memory.writable {
            memory.attachment.attach(&memory.slots())?;
        }
        memory.expect_undamaged(operation).inspect_err(|_| memory.attachment.abandon())?;
        open.push((key.0, key.1, Arc::downgrade(&memory)));
        Ok(memory)
    }

    fn count_region_in(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
        self.regions.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one more region handle on memory that has one.
    pub fn another_region(self: &Arc<Memory>, operation: &'static str) -> Result<Arc<Memory>> {
        let _no_fork = fork::exclude();
        if self.retired.load(Ordering::SeqCst) {
            return Err(self.error(ErrorKind::Closed, operation));
        }
        self.count_region_in();
        Ok(Arc::clone(self))
    }

    #[cold]
    pub(super) fn attach_again(&self, operation: &'static str) -> Result<u32> {
        if !self.writable {
            return Err(self.error(ErrorKind::ReadOnly, operation));
        }
        let _no_fork = fork::exclude();
        if self.retired.load(Ordering::SeqCst) {
            return Err(self.error(ErrorKind::Closed, operation));
        }
        self.expect_undamaged(operation)?;
        let me = self.attachment.attach(&self.slots())?;
        self.expect_undamaged(operation).inspect_err(|_| self.attachment.abandon())?;
        let join = |(place, _): &(Place, usize)| directory::join(self, place, me, operation);
        let joined = self.objects.lock().iter().try_for_each(join);
        joined.map(|()| me).inspect_err(|_| self.attachment.detach(&self.slots()))
    }

    /// Notes that this process has a named object open once more. The caller holds the directory's lock, so that nobody
    /// removes the object before it has a member.
    pub fn open_object(&self, place: &Place, me: u32, operation: &'static str) -> Result<()> {
        let _no_fork = fork::exclude();
        let mut objects = self.objects.lock();
        match objects.iter_mut().find(|(open, _)| open.block == place.block) {
            Some((_, count)) => *count += 1,
            None => {
                directory::join(self, place, me, operation)?;
                objects.push((place.clone(), 1));
            }
        }
        self.handles.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Notes that a handle on a named object was closed. `Busy`, and nothing has changed, when it is this process's last
    /// and `in_use` says that the process still holds something of it. `owner`: as for [`Memory::close_handle`].
    pub fn close_object(
        &self,
        place: &Place,
        operation: &'static str,
        owner: Option<usize>,
        in_use: impl Fn(u32) -> bool,
    ) -> Result<()> {
        let no_fork = fork::exclude();
        let mut objects = self.objects.lock();
        let me = self.me_if_attached();
        if let Some(index) = objects.iter().position(|(open, _)| open.block == place.block) {
            let last = objects[index].1 == 1;
            if last && me != 0 && in_use(me) {
                return Err(self.error(ErrorKind::Busy, operation).with_detail("this process holds it"));
            }
            objects[index].1 -= 1;
            if last {
                objects.remove(index);
            }
            if last && me != 0 {
                // Only our own: corruption may have put somebody else there.
                let word = directory::member_word(self, place, me)?;
                let _ = word.compare_exchange(me, 0, Ordering::Release, Ordering::Relaxed);
            }
        }
        drop(objects);
        self.close_handle(operation, owner, &no_fork)
    }

    /// Counts one region handle out. `Busy`, and nothing has changed, when it is the last and this process holds the
    /// guard.
    pub fn close_region(&self, operation: &'static str) -> Result<()> {
        let no_fork = fork::exclude();
        let me = self.me_if_attached();
        if self.regions.load(Ordering::Relaxed) == 1 && me != 0 && word::is_held_by(self.guard(), me) {
            return Err(self.error(ErrorKind::Busy, operation).with_detail("this process holds its guard"));
        }
        self.regions.fetch_sub(1, Ordering::Relaxed);
        self.close_handle(operation, None, &no_fork)
    }

    /// Counts one handle out; the last one ends this process's use of the region. `owner` is where the owner word of what
    /// the handle led to is, if it has one.
    fn close_handle(
        &self,
        operation: &'static str,
        owner: Option<usize>,
        _no_fork: &MutexGuard<'static, ()>,
    ) -> Result<()> {
        if self.handles.fetch_sub(1, Ordering::Relaxed) > 1 {
            return Ok(());
        }
        OPEN.lock().retain(|(id, writable, _)| *id != self.file_id || *writable != self.writable);
        if self.writable {
            return self.leave(operation, owner);
        }
        self.map.retire().map_err(|errno| self.system_error(errno, operation))
    }

    /// A thread that began to lock before the handle closed may take the word as long as the map is there. It will find
    /// the handle closed and want to give it back, but perhaps when the map has gone: so we keep a way to the words beyond
    /// that, and give them back here. Otherwise the next owner would be told of a death that never was.
    fn leave(&self, operation: &'static str, owner: Option<usize>) -> Result<()> {
        let fail = |errno| self.system_error(errno, operation);
        if self.map.damage().is_some() {
            self.map.retire().map_err(fail)?;
            self.retired.store(true, Ordering::SeqCst);
            self.attachment.abandon();
            return Ok(());
        }
        let kept = self.map.alias(self.geometry.data_offset).map_err(fail)?;
        self.map.retire().map_err(fail)?;
        self.retired.store(true, Ordering::SeqCst);
        #[allow(unsafe_code)]
        // SAFETY: the alias lives to the end of this function.
        let bytes = unsafe { SharedBytes::new(kept.base(), kept.len(), true) };
        let me = self.attachment.me();
        for word in [Some(layout::GUARD_OFFSET), owner].into_iter().flatten() {
            if me != 0 {
                word::unlock(bytes.shared(word)?, me, ALL, self);
            }
        }
        let live = bytes.shared(layout::LIVE_HEADER_OFFSET)?;
        self.attachment.detach(&Slots { live, geometry: &self.geometry, bytes: bytes.slice(0..kept.len())? });
        Ok(())
    }
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
        let me = memory.attachment.me();
        assert_eq!(word::try_lock(memory.guard(), me, &*memory), Some(Acquired::Clean));
        memory.leave("test", None).unwrap();
        OPEN.lock().retain(|(id, _, _)| *id != memory.file_id);

        let next = Region::open(&name).unwrap();
        assert_eq!(next.try_acquire().unwrap(), Some(Acquired::Clean));
        next.release().unwrap();
        Region::unlink(&name).unwrap();
    }
}
