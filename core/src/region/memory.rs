//! The memory of an open region, shared by all handles that this process has on it.
//!
//! Invariants:
//! - One [`Memory`] per region, access mode and process: a table keyed by device and inode finds it. So there is one
//!   attachment per process and region, and a lock taken through one handle can be given back through another.
//! - The last handle to close detaches the process and puts zero pages in place of the region ([`Map::retire`]); the
//!   addresses stay until the last reference goes. Closing is refused while this process holds a lock.
//! - Once the region's file has lost pages, everything but closing fails. The fault guard takes this process's owner id
//!   away before anybody can see a zero of such a page: so no fast path, in any language, ends with a lock that is none.
//! - The user bytes that are handed out lie within the file: `data_len` is checked whenever it changes. Address space is
//!   there for `data_capacity` bytes from the start, so that growing moves nothing.
//! - Lock order: [`fork::exclude`], then the table.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard, Weak};
use std::time::Duration;

use bytemuck::Zeroable;
use nix::errno::Errno;
use nix::sys::mman::ProtFlags;
use parking_lot::Mutex;

use super::attachment::{Attachment, Slots};
use super::directory::{self, Place};
use super::header::{Geometry, flaw_error};
use super::waiting::LastWait;
use crate::atomic::{AtomicU32, AtomicU64};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{self, FixedHeader, LiveHeader, MutexRecord, OwnerWord};
use crate::mapping::fault::{damage_error, is_enabled};
use crate::protocol::owner::slot_index;
use crate::protocol::party::{ALL, Party, Slept};
use crate::protocol::word;
use crate::segment::{Location, Segment};
use crate::sys::clock;
use crate::sys::file::{FileId, ObjectFile, Storage};
use crate::sys::fork;
use crate::sys::futex::{self, Wake};
use crate::sys::map::{Map, Request};
use crate::view::{Shared, SharedBytes, check_range};

pub(crate) struct Memory {
    map: Map,
    pub geometry: Geometry,
    pub location: Location,
    file_id: FileId,
    /// `data_len` as it was found to be right.
    known_len: AtomicUsize,
    /// Opened for reading only, this process is never attached: no lock can be taken.
    writable: bool,
    /// Whether it is a file on a device.
    pub persistent: bool,
    attachment: Attachment,
    last_wait: LastWait,
    /// Open handles of all kinds, and those of the region itself: with the last of these, nobody could unlock the guard.
    /// Changed only inside [`fork::exclude`].
    handles: AtomicUsize,
    regions: AtomicUsize,
    retired: AtomicBool,
    /// The named objects that this process has open, and how often. Locked only inside [`fork::exclude`].
    objects: Mutex<Vec<(Place, usize)>>,
}

/// All open regions of this process. Locked only inside [`fork::exclude`], so that a forked child finds it in order.
static OPEN: Mutex<Vec<(FileId, bool, Weak<Memory>)>> = Mutex::new(Vec::new());

/// Writes the header and user bytes of a new region into its segment, which nobody else knows yet; `READY` comes last.
pub(crate) fn format(
    segment: &Segment,
    geometry: &Geometry,
    data_len: usize,
    fill: impl FnOnce(&SharedBytes<'_>) -> Result<()>,
) -> Result<()> {
    let operation = "create region";
    let map = map_all(segment, geometry, true, operation)?;
    #[allow(unsafe_code)]
    // SAFETY: the map lives to the end of this function.
    let bytes = unsafe { SharedBytes::new(map.base(), map.len(), true) };
    bytes.write_at(0, bytemuck::bytes_of(&geometry.to_header()))?;
    let live: &LiveHeader = bytes.shared(layout::LIVE_HEADER_OFFSET)?;
    live.data_len.store(data_len as u64, Ordering::Relaxed);
    fill(&bytes.slice(geometry.data_offset..geometry.data_offset + data_len)?)?;
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

    fn map(segment: Segment, operation: &'static str) -> Result<Memory> {
        let object = segment.location().display().into_owned();
        let mut start = [0; layout::HEADER_SIZE];
        let got = segment.object().read_at(0, &mut start).map_err(|errno| segment.fail(operation, errno))?;
        // Measured after the header was read: the file never becomes shorter than what a header says.
        let (geometry, data_len) = Geometry::check(&start[..got], segment.len()?)
            .map_err(|flaw| flaw_error(flaw, operation, &object))?;
        let writable = segment.is_writable();
        let map = map_all(&segment, &geometry, writable, operation)?;
        let storage = segment.object().storage().map_err(|errno| segment.fail(operation, errno))?;
        let (file, location) = segment.into_parts();
        let file_id = file.id();
        let attachment = Attachment::new(file, location.clone())?;
        let memory = Memory {
            map,
            geometry,
            location,
            file_id,
            known_len: AtomicUsize::new(data_len),
            writable,
            persistent: storage == Storage::Device,
            attachment,
            last_wait: LastWait::default(),
            handles: AtomicUsize::new(1),
            regions: AtomicUsize::new(1),
            retired: AtomicBool::new(false),
            objects: Mutex::new(Vec::new()),
        };
        if let (Some(guard), true) = (memory.map.guarded(), writable) {
            #[allow(unsafe_code)]
            // SAFETY: the word is part of `memory`, which drops its map, and so the guard, before it.
            unsafe {
                guard.tell(memory.attachment.me_word());
            }
        }
        let state = memory.live().state.load(Ordering::Acquire);
        if state != layout::STATE_READY {
            memory.expect_undamaged(operation)?;
            return Err(flaw_error((ErrorKind::Corrupted, format!("state {state:#x}")), operation, &object));
        }
        Ok(memory)
    }

    /// Number of user bytes, now: somebody may have resized the region.
    #[inline]
    pub fn data_len(&self) -> usize {
        let (now, known) =
            (self.data_len_word().load(Ordering::Acquire), self.known_len.load(Ordering::Relaxed));
        if now == known as u64 { known } else { self.follow(now) }
    }

    /// Where the number of user bytes is, for languages that look at it themselves: while it has not changed, neither has
    /// what [`Memory::data_len`] says.
    pub fn data_len_word(&self) -> &AtomicU64 {
        &self.live().data_len
    }

    /// Believes a new length if it keeps within the capacity and the file.
    #[cold]
    fn follow(&self, now: u64) -> usize {
        let known = self.known_len.load(Ordering::Relaxed);
        let file_len = self.attachment.object_len().unwrap_or(0);
        if now == 0 || now > self.geometry.data_capacity as u64 || self.geometry.file_len(now) > file_len {
            return known;
        }
        self.known_len.store(now as usize, Ordering::Relaxed);
        now as usize
    }

    /// Fails when the region's file has lost pages.
    #[inline]
    pub fn expect_undamaged(&self, operation: &'static str) -> Result<()> {
        match self.map.damage() {
            None => Ok(()),
            Some(damage) => Err(damage_error(damage, operation, &self.location.display())),
        }
    }

    /// The word that says whether the file has lost pages; `None` without the guard.
    pub fn damage_word(&self) -> Option<&'static AtomicU32> {
        self.map.guarded().map(|guard| guard.word())
    }

    /// This process's owner id for giving back what it holds: also when the region has lost pages. 0: it holds nothing.
    #[inline]
    pub fn holder(&self) -> u32 {
        match self.attachment.me() {
            0 => self.attachment.holder(),
            me => me,
        }
    }

    /// The object, for work that takes its time.
    pub fn object(&self, operation: &'static str) -> Result<ObjectFile> {
        self.attachment.object().map_err(|errno| self.system_error(errno, operation))
    }

    /// Length of the object in bytes, now.
    pub fn object_len(&self, operation: &'static str) -> Result<u64> {
        self.attachment.object_len().map_err(|errno| self.system_error(errno, operation))
    }

    /// The user bytes.
    #[inline]
    pub fn data(&self) -> SharedBytes<'_> {
        #[allow(unsafe_code)]
        // SAFETY: the geometry was checked to lie within the map, which lives as long as `self`.
        unsafe {
            SharedBytes::new(self.map.base().add(self.geometry.data_offset), self.data_len(), self.writable)
        }
    }

    /// The map and where the user bytes begin in it.
    pub fn map_of_data(&self) -> (&Map, usize) {
        (&self.map, self.geometry.data_offset)
    }

    /// The whole region.
    #[inline]
    pub fn bytes(&self) -> SharedBytes<'_> {
        #[allow(unsafe_code)]
        // SAFETY: the map lives as long as `self`.
        unsafe {
            SharedBytes::new(self.map.base(), self.map.len(), self.writable)
        }
    }

    /// Device and inode of the object.
    pub fn file_id(&self) -> FileId {
        self.file_id
    }

    /// The owner of the region's guard.
    #[inline]
    pub fn guard(&self) -> &OwnerWord {
        &self.header_record::<MutexRecord>(layout::GUARD_OFFSET).lock
    }

    pub fn live(&self) -> &LiveHeader {
        self.header_record(layout::LIVE_HEADER_OFFSET)
    }

    /// A struct of the header. The offset is a constant of the layout, whose asserts keep it in the header and aligned.
    #[inline]
    fn header_record<T: Shared>(&self, offset: usize) -> &T {
        debug_assert!(offset + size_of::<T>() <= layout::HEADER_SIZE);
        #[allow(unsafe_code)]
        // SAFETY: the header is mapped as long as `self`, the offset is aligned and inside, and `T` is atomics only.
        unsafe {
            self.map.base().add(offset).cast::<T>().as_ref()
        }
    }

    /// A struct anywhere in the region, checked.
    pub fn record_at<T: Shared>(&self, offset: usize) -> Result<&T> {
        let found: *const T = self.bytes().record::<T>(offset)?;
        #[allow(unsafe_code)]
        // SAFETY: checked by `record`, and the map lives as long as `self`.
        Ok(unsafe { &*found })
    }

    /// Structs anywhere in the region, one after the other, checked.
    pub fn records_at<T: Shared>(&self, offset: usize, count: usize) -> Result<&[T]> {
        if count == 0 {
            return Ok(&[]);
        }
        check_range(offset, size_of::<T>().saturating_mul(count), self.map.len())?;
        let first: *const T = self.record_at::<T>(offset)?;
        #[allow(unsafe_code)]
        // SAFETY: the first is in bounds and aligned, the last ends in bounds, and the map lives as long as `self`.
        Ok(unsafe { std::slice::from_raw_parts(first, count) })
    }

    /// Where a struct of the region is, from the region's start.
    pub fn offset_of<T: Shared>(&self, record: &T) -> usize {
        std::ptr::from_ref(record).addr().wrapping_sub(self.map.base().addr().get())
    }

    /// The fixed header as it is now: for people, not to be trusted.
    pub fn fixed_header(&self) -> Result<FixedHeader> {
        let mut header = FixedHeader::zeroed();
        self.bytes().read_at(0, bytemuck::bytes_of_mut(&mut header))?;
        Ok(header)
    }

    /// A descriptor of the object for somebody else.
    pub fn clone_fd(&self, operation: &'static str) -> Result<std::os::fd::OwnedFd> {
        self.attachment.clone_fd().map_err(|errno| self.system_error(errno, operation))
    }

    /// Whether the kernel says that somebody is attached under this slot.
    pub fn is_slot_live(&self, index: u32) -> bool {
        self.attachment.is_locked(index)
    }

    pub fn slots(&self) -> Slots<'_> {
        Slots { live: self.live(), geometry: &self.geometry, bytes: self.bytes() }
    }

    /// This process's owner id, attaching it when it is not: after a fork.
    #[inline]
    pub fn me(&self, operation: &'static str) -> Result<u32> {
        match self.attachment.me() {
            0 => self.attach_again(operation),
            me => Ok(me),
        }
    }

    #[cold]
    fn attach_again(&self, operation: &'static str) -> Result<u32> {
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

    /// As [`Memory::me`], but 0 for a process that is not attached, and so can hold nothing.
    #[inline]
    pub fn me_if_attached(&self) -> u32 {
        self.attachment.me()
    }

    /// Whether it was opened for writing, and so can be attached to.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// Where this process's owner id is read from.
    pub fn me_word(&self) -> Option<&AtomicU32> {
        self.writable.then(|| self.attachment.me_word())
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

    pub fn system_error(&self, errno: Errno, operation: &'static str) -> Error {
        Error::from_errno(errno as i32, operation, self.location.display())
    }

    /// What messages call a named object.
    pub fn object_name(&self, name: &str) -> String {
        format!("{}:{name}", self.location.display())
    }

    #[cold]
    pub fn error(&self, kind: ErrorKind, operation: &'static str) -> Error {
        self.error_of(kind, operation, self.location.display().into_owned())
    }

    /// An error about the region or an object in it. Zeros in place of lost pages look like many things; they are called what
    /// they are.
    #[cold]
    pub fn error_of(&self, kind: ErrorKind, operation: &'static str, object: String) -> Error {
        match self.expect_undamaged(operation) {
            Err(damage) if !matches!(kind, ErrorKind::Closed | ErrorKind::Busy) => {
                damage.about(operation, object)
            }
            // The rest of a page that the end of the file went through became zeros without any fault.
            _ if kind == ErrorKind::Corrupted && self.is_cut() => {
                Error::new(ErrorKind::MappingTruncated, operation, object)
            }
            _ => Error::new(kind, operation, object),
        }
    }

    fn is_cut(&self) -> bool {
        let needed = self.geometry.file_len(self.known_len.load(Ordering::Relaxed) as u64);
        self.attachment.object_len().is_ok_and(|len| len < needed)
    }
}

/// How the locks of the region sleep, wake and learn who lives.
impl Party for Memory {
    fn is_dead(&self, owner: u32) -> bool {
        self.attachment.is_dead(&self.slots(), owner)
    }

    fn is_replaced(&self, owner: u32) -> bool {
        self.slots().is_replaced(owner)
    }

    fn slots_high(&self) -> usize {
        self.slots().high() as usize
    }

    fn now_ns(&self) -> u64 {
        clock::monotonic_ns()
    }

    fn sleep(&self, word: &AtomicU32, expected: u32, at_most: Duration, since_ns: u64) -> Slept {
        if self.map.damage().is_some() {
            return Slept::Damaged;
        }
        let slots = self.slots();
        let slot = slots.get(slot_index(self.me_if_attached()));
        let offset = self.offset_of(word);
        let since_ns = self.last_wait.since(offset, since_ns);
        if let Some(slot) = slot {
            slot.waits_ns.store(since_ns, Ordering::Relaxed);
            slot.waits_for.store(offset as u64, Ordering::Relaxed);
        }
        let woken = futex::wait(word, expected, at_most);
        self.last_wait.ended(offset, since_ns, woken == Wake::TimedOut);
        if let Some(slot) = slot {
            slot.waits_for.store(0, Ordering::Relaxed);
        }
        match woken {
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
    let request = Request::shared(len, protection);
    let mut map = Map::of_file(segment.as_fd(), &request).map_err(|errno| segment.fail(operation, errno))?;
    if is_enabled() {
        map.guard(ObjectFile::duplicate(segment.as_fd()).ok().map(Arc::new), &request);
    }
    Ok(map)
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
