//! The memory of an open region, shared by all handles that this process has on it ([`handles`]): what is where in it, how
//! long it is, and what its errors say.
//!
//! Invariants:
//! - Once the region's file has lost pages, everything but closing fails. The fault guard takes this process's owner id
//!   away before anybody can see a zero of such a page: so no fast path, in any language, ends with a lock that is none.
//! - The user bytes that are handed out lie within the file: `data_len` is checked whenever it changes. Address space is
//!   there for `data_capacity` bytes from the start, so that growing moves nothing.

mod handles;
mod party;

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytemuck::Zeroable;
use nix::errno::Errno;
use nix::sys::mman::ProtFlags;
use parking_lot::Mutex;

use super::attachment::{Attachment, Slots};
use super::directory::Place;
use super::header::{Geometry, flaw_error};
use super::waiting::LastWait;
use crate::atomic::{AtomicU32, AtomicU64};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{self, FixedHeader, LiveHeader, MutexRecord, OwnerWord};
use crate::mapping::fault::{damage_error, is_enabled};
use crate::segment::{Location, Segment};
use crate::sys::file::{FileId, ObjectFile, Storage};
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
    /// Changed only inside `fork::exclude`.
    handles: AtomicUsize,
    regions: AtomicUsize,
    retired: AtomicBool,
    /// The named objects that this process has open, and how often. Locked only inside `fork::exclude`.
    objects: Mutex<Vec<(Place, usize)>>,
}

impl Memory {
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

    /// A number that changes when a process attaches, detaches or dies.
    pub fn membership(&self) -> u64 {
        self.attachment.membership(&self.slots())
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
