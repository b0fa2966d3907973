//! A segment file, mapped whole.
//!
//! Invariants:
//! - A segment gets its name when it is complete: header written, every byte backed by storage and zero. Of several
//!   creators one wins, and the others open its file.
//! - The header was checked once against the log and the file's length; `base` and `capacity` are private copies.
//! - Segment files are never reused: bytes behind the last record are zero until they are claimed.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use bytemuck::Zeroable;
use nix::errno::Errno;
use nix::sys::mman::{MsFlags, ProtFlags};

use super::control::Control;
use crate::atomic::{AtomicU32, AtomicU64};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{
    self, KIND_LOG_SEGMENT, LOG_RECORD_HEADER_SIZE, LOG_SEGMENT_HEADER_SIZE, LogSegmentHeader, LogSegmentLive,
};
use crate::mapping::fault::{damage_error, is_enabled};
use crate::sys::clock;
use crate::sys::file::{self, ObjectFile};
use crate::sys::map::{Map, Request, page_size};
use crate::view::{Shared, SharedBytes};

/// Pages are faulted in ahead of the writer in steps of so many bytes: one call of the kernel instead of one fault a page.
const TOUCH_AHEAD: usize = 256 * 1024;

/// Payloads up to this length are short.
const SHORT: usize = 128;

pub(super) struct SegmentMap {
    map: Map,
    pub base: u64,
    pub capacity: usize,
    writable: bool,
    /// Record bytes before this offset are mapped for writing in this process.
    touched: AtomicUsize,
    /// Where the last claim of this process ended, or an earlier one.
    claimed: AtomicUsize,
}

/// The file of the segment that begins at this position.
pub(super) fn path(control: &Control, base: u64) -> PathBuf {
    control.directory.join(format!("{}{base:020}{}", layout::LOG_SEGMENT_PREFIX, layout::LOG_SEGMENT_SUFFIX))
}

/// Base positions of the segment files that are there, in order.
pub(super) fn list(control: &Control, operation: &'static str) -> Result<Vec<u64>> {
    let names = file::names_with_prefix(&control.directory, layout::LOG_SEGMENT_PREFIX)
        .map_err(|errno| control.system_error(errno, operation))?;
    let base = |name: String| {
        let digits = name.strip_suffix(layout::LOG_SEGMENT_SUFFIX)?;
        digits.parse::<u64>().ok().filter(|base| digits.len() == 20 && base % control.capacity() == 0)
    };
    Ok(names.into_iter().filter_map(base).collect())
}

fn checksum(header: &LogSegmentHeader) -> u32 {
    let bytes = bytemuck::bytes_of(header);
    crc32c::crc32c(&bytes[..std::mem::offset_of!(LogSegmentHeader, checksum)])
}

/// Whether an error says that a segment's file is damaged.
pub(super) fn is_damage(kind: ErrorKind) -> bool {
    use ErrorKind::{BadMagic, Corrupted, MappingTruncated, Truncated, VersionMismatch, WrongKind};
    matches!(kind, BadMagic | Corrupted | MappingTruncated | Truncated | VersionMismatch | WrongKind)
}

impl SegmentMap {
    /// Opens the segment that begins at `base`; `None` when there is no such file.
    pub fn open(control: &Control, base: u64, operation: &'static str) -> Result<Option<SegmentMap>> {
        let path = path(control, base);
        let fail = |errno: Errno| Error::from_errno(errno as i32, operation, path.to_string_lossy());
        let writable = control.is_writable();
        let object = match ObjectFile::open(&path, writable) {
            Ok(object) => object,
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(fail(errno)),
        };
        let mut header = LogSegmentHeader::zeroed();
        let got = object.read_at(0, bytemuck::bytes_of_mut(&mut header)).map_err(fail)?;
        let flaw = |kind, text: String| Error::new(kind, operation, path.to_string_lossy()).with_detail(text);
        let len = LOG_SEGMENT_HEADER_SIZE as u64 + control.capacity();
        let file_len = object.size().map_err(fail)?;
        if got < size_of::<LogSegmentHeader>() || header.magic != layout::MAGIC {
            return Err(flaw(ErrorKind::BadMagic, format!("{got} bytes of a header")));
        }
        if header.layout_version != layout::LAYOUT_VERSION {
            return Err(flaw(ErrorKind::VersionMismatch, format!("it has {}", header.layout_version)));
        }
        if header.kind != KIND_LOG_SEGMENT {
            return Err(flaw(ErrorKind::WrongKind, format!("kind {}", header.kind)));
        }
        let is_as_said = header.checksum == checksum(&header)
            && header.header_size as usize == LOG_SEGMENT_HEADER_SIZE
            && header.record_header_size as usize == LOG_RECORD_HEADER_SIZE
            && header.capacity == control.capacity()
            && header.base == base;
        if !is_as_said {
            return Err(flaw(ErrorKind::Corrupted, "the segment's header contradicts its log".into()));
        }
        if header.log_id != control.id() {
            return Err(flaw(ErrorKind::Replaced, "it belongs to another log".into()));
        }
        if file_len < len {
            return Err(flaw(ErrorKind::Truncated, format!("{file_len} bytes of {len}")));
        }
        Self::map(&object, base, control).map(Some).map_err(fail)
    }

    /// Opens the segment that begins at `base` after a power cut. A header that never reached the disk is written again: all
    /// that it says follows from the name and the log. A record says by its checksum that it belongs here.
    pub fn open_or_repair(control: &Control, base: u64, operation: &'static str) -> Result<SegmentMap> {
        match Self::open(control, base, operation) {
            Ok(Some(segment)) => return Ok(segment),
            Ok(None) => return Err(control.error(ErrorKind::NotFound, operation)),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::BadMagic | ErrorKind::Corrupted | ErrorKind::Truncated
                ) => {}
            Err(error) => return Err(error),
        }
        let path = path(control, base);
        let fail = |errno: Errno| Error::from_errno(errno as i32, operation, path.to_string_lossy());
        let object = ObjectFile::open(&path, true).map_err(fail)?;
        object.reserve(LOG_SEGMENT_HEADER_SIZE as u64 + control.capacity()).map_err(fail)?;
        let segment = Self::map(&object, base, control).map_err(fail)?;
        segment.write_header(control)?;
        Ok(segment)
    }

    fn write_header(&self, control: &Control) -> Result<()> {
        let mut header = LogSegmentHeader {
            magic: layout::MAGIC,
            layout_version: layout::LAYOUT_VERSION,
            kind: KIND_LOG_SEGMENT,
            header_size: LOG_SEGMENT_HEADER_SIZE as u32,
            record_header_size: LOG_RECORD_HEADER_SIZE as u32,
            base: self.base,
            capacity: control.capacity(),
            created_ns: clock::realtime_ns(),
            log_id: control.id(),
            reserved: 0,
            checksum: 0,
        };
        header.checksum = checksum(&header);
        self.whole().write_at(0, bytemuck::bytes_of(&header))
    }

    /// Creates the segment that begins at `base`, or opens the one that another process created first. `None`: that one was
    /// removed again meanwhile.
    pub fn create(
        control: &Control,
        base: u64,
        durable: bool,
        operation: &'static str,
    ) -> Result<Option<SegmentMap>> {
        let path = path(control, base);
        let fail = |errno: Errno| Error::from_errno(errno as i32, operation, path.to_string_lossy());
        let (mode, group) = control.file_access().map_err(fail)?;
        let object = match ObjectFile::create_unnamed(&path, mode, Some(group)) {
            // Not a member of that group: those who can open the log anyway can open the file.
            Err(Errno::EPERM) => ObjectFile::create_unnamed(&path, mode, None),
            made => made,
        };
        let object = object.map_err(fail)?;
        let len = LOG_SEGMENT_HEADER_SIZE as u64 + control.capacity();
        object.reserve(len).map_err(|errno| fail(errno).with_detail(format!("{len} bytes")))?;
        let segment = Self::map(&object, base, control).map_err(fail)?;
        segment.write_header(control)?;
        if durable {
            object.sync().map_err(fail)?;
        }
        match object.publish(&path) {
            Ok(()) if durable => file::sync_directory_of(&path).map_err(fail).map(|()| Some(segment)),
            Ok(()) => Ok(Some(segment)),
            Err(Errno::EEXIST) => Self::open(control, base, operation),
            Err(errno) => Err(fail(errno)),
        }
    }

    fn map(object: &ObjectFile, base: u64, control: &Control) -> std::result::Result<SegmentMap, Errno> {
        let writable = control.is_writable();
        let protection =
            if writable { ProtFlags::PROT_READ | ProtFlags::PROT_WRITE } else { ProtFlags::PROT_READ };
        let capacity = control.capacity() as usize;
        let len = LOG_SEGMENT_HEADER_SIZE + capacity;
        let request = Request::shared(len, protection);
        let mut map = Map::of_file(object.as_fd(), &request)?;
        if is_enabled() {
            map.guard(ObjectFile::duplicate(object.as_fd()).ok().map(Arc::new), &request);
        }
        if control.wants_huge_pages() {
            // Where the file system has them: one fault for 2 MiB. The kernel's answer does not matter.
            let _ = map.advise(0, len, libc::MADV_HUGEPAGE);
        }
        Ok(SegmentMap {
            map,
            base,
            capacity,
            writable,
            touched: AtomicUsize::new(0),
            claimed: AtomicUsize::new(0),
        })
    }

    fn whole(&self) -> SharedBytes<'_> {
        #[allow(unsafe_code)]
        // SAFETY: the map lives as long as `self`.
        unsafe {
            SharedBytes::new(self.map.base(), self.map.len(), self.writable)
        }
    }

    /// The record bytes.
    #[inline]
    pub fn records(&self) -> SharedBytes<'_> {
        #[allow(unsafe_code)]
        // SAFETY: header and capacity make up the map, which lives as long as `self`.
        unsafe {
            SharedBytes::new(self.map.base().add(LOG_SEGMENT_HEADER_SIZE), self.capacity, self.writable)
        }
    }

    /// The record word at this offset; `None` when the offset is off the grid or beyond the end.
    #[inline]
    pub fn word(&self, offset: usize) -> Option<&AtomicU64> {
        self.in_place(LOG_SEGMENT_HEADER_SIZE.checked_add(offset)?)
    }

    /// The changing part of the header.
    #[inline]
    pub fn live(&self) -> Option<&LogSegmentLive> {
        self.in_place(layout::LOG_SEGMENT_LIVE_OFFSET)
    }

    #[inline]
    fn in_place<T: Shared>(&self, offset: usize) -> Option<&T> {
        let found: NonNull<T> = NonNull::from(self.whole().record::<T>(offset).ok()?);
        #[allow(unsafe_code)]
        // SAFETY: checked by `record`, and the map lives as long as `self`.
        Some(unsafe { found.as_ref() })
    }

    /// Fails when the file was cut and what is missing was touched.
    #[inline]
    pub fn expect_undamaged(&self, control: &Control, operation: &'static str) -> Result<()> {
        match self.map.damage() {
            None => Ok(()),
            Some(damage) => Err(damage_error(damage, operation, &path(control, self.base).to_string_lossy())),
        }
    }

    /// Not 0 once the file was cut and what is missing was touched; `None` without the guard.
    pub fn damage_word(&self) -> Option<&'static AtomicU32> {
        self.map.guarded().map(|guard| guard.word())
    }

    /// Position behind the last record byte.
    #[inline]
    pub fn end(&self) -> u64 {
        self.base + self.capacity as u64
    }

    /// Where a position is in here; `None` when it is in another segment.
    #[inline]
    pub fn offset_of(&self, position: u64) -> Option<usize> {
        let offset = position.wrapping_sub(self.base);
        (offset < self.capacity as u64).then_some(offset as usize)
    }

    /// Where to look for the end of the log, if its tail is here: a record begins there, or will.
    #[inline]
    pub fn likely_end(&self, tail: u64) -> u64 {
        let claimed = self.claimed.load(Acquire);
        if claimed < self.capacity { tail.max(self.base + claimed as u64) } else { tail }
    }

    /// The offset that the log ends before, if its tail is at this one or before it.
    pub fn near_end(&self, offset: usize) -> usize {
        (offset + layout::LOG_TAIL_LAG as usize).min(self.capacity)
    }

    /// Notes that a claim of this process ends at this offset.
    #[inline]
    pub fn ends_at(&self, offset: usize) {
        // The claim itself is seen first.
        self.claimed.store(offset, Release);
    }

    /// Faults the pages up to `end` in, and some more, unless that was done. The kernel's answer does not matter: a page
    /// that is not there yet comes when it is written.
    #[inline]
    pub fn touch(&self, offset: usize, end: usize) {
        if end > self.touched.load(Relaxed) {
            self.touch_ahead(offset, end);
        }
    }

    /// Up to where pages were faulted in.
    pub fn touched(&self) -> usize {
        self.touched.load(Relaxed)
    }

    #[cold]
    fn touch_ahead(&self, offset: usize, end: usize) {
        // Pages behind us were others' to write; nobody here writes them any more.
        let from = self.touched.load(Relaxed).max(offset);
        let to = (end.next_multiple_of(page_size()) + TOUCH_AHEAD).min(self.capacity);
        self.touched.fetch_max(to, Relaxed);
        if from < to {
            // linux/mman.h; the C library's header is older on some systems that we build on.
            const MADV_POPULATE_WRITE: i32 = 23;
            let _ = self.map.advise(LOG_SEGMENT_HEADER_SIZE + from, to - from, MADV_POPULATE_WRITE);
        }
    }

    /// Carries record bytes to the disk, and the header with them.
    pub fn sync(&self, from: usize, to: usize) -> std::result::Result<(), Errno> {
        let start = if from == 0 { 0 } else { LOG_SEGMENT_HEADER_SIZE + from };
        let end = LOG_SEGMENT_HEADER_SIZE + to.min(self.capacity);
        if start < end { self.map.sync(start, end - start, MsFlags::MS_SYNC) } else { Ok(()) }
    }

    /// Whether the file was cut and what is missing was touched: then nothing can be said to be on the disk.
    pub fn is_damaged(&self) -> bool {
        self.map.damage().is_some()
    }

    /// The checksum of record bytes, begun with another one.
    #[inline]
    pub fn checksum(&self, start: u32, offset: usize, len: usize) -> Result<u32> {
        // To fill a piece with zeros first costs as much as the checksum of a short record.
        if len <= SHORT {
            self.checksum_by::<SHORT>(start, offset, len)
        } else {
            self.checksum_by::<1024>(start, offset, len)
        }
    }

    /// Copied out piece by piece: others may write them.
    fn checksum_by<const PIECE: usize>(&self, mut start: u32, offset: usize, len: usize) -> Result<u32> {
        let records = self.records();
        let mut piece = [0; PIECE];
        let mut done = 0;
        while done < len {
            let part = &mut piece[..(len - done).min(PIECE)];
            records.read_at(offset + done, part)?;
            start = crc32c::crc32c_append(start, part);
            done += part.len();
        }
        Ok(start)
    }
}
