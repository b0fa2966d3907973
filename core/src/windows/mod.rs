//! [`WindowCache`]: a file that is larger than one wants mapped, through a bounded set of windows that are mapped once and
//! used again.
//!
//! Mapping costs: a system call, page faults, and telling other processors to forget what was there. So windows are large,
//! stay mapped until their place is needed, and lie in one reserved range of addresses, where a new one is mapped over the
//! one that was least recently used.
//!
//! Invariants:
//! - Who uses the bytes of a window holds a pin on its slot, taken before and checked to be the right window's; a pinned
//!   slot is never mapped over. `slots.rs` has the word and its transitions.
//! - `table` says where a window is, and may be stale: the slot's own word decides.
//! - Slots get and lose windows under the lock, which is taken inside [`fork::exclude`], so that a forked child finds it
//!   free. Reading files happens outside.
//! - Windows are under the fault guard, slot by slot: once one has lost pages, all that is checked fails.
//! - When every slot is pinned, copies go through pread(2) and pwrite(2), which see the same bytes: nobody waits for a
//!   window. So they do when windows keep giving their place before they were used a few times: mapping them would cost
//!   more than it saves.

mod options;
mod place;
mod slots;

use std::fmt;
use std::ops::Deref;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use nix::errno::Errno;
use nix::sys::mman::ProtFlags;
use parking_lot::Mutex;

pub use options::WindowOptions;
use slots::Slot;

use crate::error::{Error, ErrorKind, Result};
use crate::exports::Exports;
use crate::mapping::fault::is_enabled;
use crate::mapping::{Advice, Flush};
use crate::sys::arena::Arena;
use crate::sys::fault::Guarded;
use crate::sys::file::{ObjectFile, Storage};
use crate::sys::fork;
use crate::sys::map::page_size;
use crate::view::SharedBytes;

/// Huge pages fit where file and address are both aligned to their size.
const HUGE: usize = 2 << 20;
/// 64 MiB of table: 64 TiB in the default windows.
const MAX_TABLE: u64 = 1 << 24;

/// A file seen through a bounded set of mapped windows.
///
/// ```
/// use shmkit::WindowCache;
///
/// # let file = tempfile::NamedTempFile::new().unwrap();
/// # std::fs::write(file.path(), vec![7; 100_000]).unwrap();
/// # let path = file.path();
/// let cache = WindowCache::open(path)?;
/// let mut bytes = [0; 4096];
/// cache.read_at(50_000, &mut bytes)?; // maps a window
/// cache.read_at(60_000, &mut bytes)?; // finds it mapped
/// assert_eq!((cache.stats().misses, cache.stats().hits), (1, 1));
/// # Ok::<(), shmkit::Error>(())
/// ```
///
/// All methods may be called from any thread. The length is that of the file when it was opened.
pub struct WindowCache {
    /// The fault guard of each slot; none without it. Dropped before what they guard and what they tell.
    guards: Vec<Guarded>,
    /// Becomes 0 when a slot has lost pages.
    intact: Box<AtomicU32>,
    arena: Arena,
    file: Arc<ObjectFile>,
    len: u64,
    /// log2 of the bytes of a window.
    shift: u32,
    writable: bool,
    pattern: Advice,
    object: String,
    slots: Box<[Slot]>,
    /// For each window of the file the slot that it was mapped in, plus 1.
    table: Box<[AtomicU32]>,
    /// Grows with each use of another slot than the one before; 0 is before all of them.
    clock: AtomicU64,
    exports: Exports,
    bypasses: AtomicU64,
    /// Whether mapping does not pay: see `judge` in `place.rs`.
    thrashes: AtomicBool,
    /// Misses since then.
    passed: AtomicU32,
    kernel_ns: AtomicU64,
    /// Counters that change with the slots.
    changes: Mutex<Changes>,
}

#[derive(Default)]
struct Changes {
    misses: u64,
    evictions: u64,
    maps: u64,
    advices: u64,
    last_missed: Option<u32>,
    /// Of the last evictions, how many had hardly been used: a moving average, in parts of 1024.
    wasted: u32,
}

/// What a cache did so far.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowStats {
    /// Uses that found their window mapped.
    pub hits: u64,
    /// Uses that had to map it.
    pub misses: u64,
    /// Windows that gave their place to another.
    pub evictions: u64,
    /// Copies that went past the windows (pread, pwrite): every window was in use, or mapping did not pay.
    pub bypasses: u64,
    /// mmap(2) calls. Mapping over a window unmaps it: there is no munmap(2) until the cache is dropped.
    pub maps: u64,
    /// Calls that advised the kernel of reads to come.
    pub advices: u64,
    /// Time in these calls; page faults come on top ([`crate::Usage`]).
    pub kernel_ns: u64,
    /// Windows that are mapped now.
    pub mapped: u64,
    /// Views that live now.
    pub views: u64,
}

/// Guards each slot of an arena, to be told in `intact`.
fn guard_slots(
    arena: &Arena,
    count: usize,
    file: &Arc<ObjectFile>,
    writable: bool,
    intact: &AtomicU32,
) -> Vec<Guarded> {
    let len = arena.len() / count;
    let protection =
        if writable { ProtFlags::PROT_READ | ProtFlags::PROT_WRITE } else { ProtFlags::PROT_READ };
    let guard_slot = |slot| {
        let range = (arena.base().addr().get() + slot * len, len);
        let guard = Guarded::new(range, Some(Arc::clone(file)), 0, protection, true);
        #[allow(unsafe_code)]
        // SAFETY: the word lives in a box of the cache, which drops its guards before it.
        unsafe {
            guard.tell(intact);
        }
        guard
    };
    (0..count).map(guard_slot).collect()
}

impl WindowCache {
    /// Opens a file for reading, through 64 windows of 4 MiB: [`WindowOptions::open`].
    pub fn open(path: impl AsRef<std::path::Path>) -> Result<WindowCache> {
        WindowOptions::new().open(path)
    }

    fn new(file: ObjectFile, options: &WindowOptions, object: String) -> Result<WindowCache> {
        let operation = "open window cache";
        let fail = |errno: Errno| Error::from_errno(errno as i32, operation, object.as_str());
        let refuse =
            |kind, detail: String| Err(Error::new(kind, operation, object.as_str()).with_detail(detail));
        let len = file.size().map_err(fail)?;
        if len == 0 || len > i64::MAX as u64 {
            return refuse(ErrorKind::InvalidLength, format!("the file has {len} bytes"));
        }
        let in_file = len.div_ceil(options.window_len);
        if in_file > MAX_TABLE {
            return refuse(ErrorKind::InvalidArgument, format!("{in_file} windows: make them larger"));
        }
        // More places than there are windows would never be used.
        let count = options.windows.min(in_file as u32) as usize;
        let window_len = options.window_len as usize;
        let arena = Arena::reserve(count * window_len, HUGE.max(page_size())).map_err(fail)?;
        // A file that is not open for what will be asked shows now, and not at the first use.
        arena.map(0, file.as_fd(), 0, window_len, options.writable).map_err(fail)?;
        let (file, intact) = (Arc::new(file), Box::new(AtomicU32::new(1)));
        let guards = if is_enabled() && !matches!(file.storage(), Ok(Storage::HugePages(_))) {
            guard_slots(&arena, count, &file, options.writable, &intact)
        } else {
            Vec::new()
        };
        Ok(WindowCache {
            guards,
            intact,
            arena,
            file,
            len,
            shift: options.window_len.ilog2(),
            writable: options.writable,
            pattern: options.pattern,
            object,
            slots: (0..count).map(|_| Slot::default()).collect(),
            table: (0..in_file).map(|_| AtomicU32::new(0)).collect(),
            clock: AtomicU64::new(1),
            exports: Exports::new(!options.writable),
            bypasses: AtomicU64::new(0),
            thrashes: AtomicBool::new(false),
            passed: AtomicU32::new(0),
            kernel_ns: AtomicU64::new(0),
            changes: Mutex::new(Changes::default()),
        })
    }

    /// Number of bytes of the file, when it was opened.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Never true: the file has at least one byte.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Bytes of a window. A view lies in one.
    pub fn window_len(&self) -> u64 {
        1 << self.shift
    }

    /// How many windows are mapped at once at most.
    pub fn window_count(&self) -> usize {
        self.slots.len()
    }

    /// The file, as messages call it.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// Whether it may be written.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.exports.is_closed()
    }

    /// Copies bytes out, across as many windows as they lie in. A concurrent writer may tear the copy.
    ///
    /// Errors: `OutOfRange`, `Closed`, `Truncated` (the file is shorter by now), `MappingTruncated` (and bytes that it has lost
    /// were read, then or before), `NoSpace`, `Io`.
    pub fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        let operation = "read through windows";
        self.check_range(operation, offset, into.len())?;
        let mut rest = into;
        let mut at = offset;
        while !rest.is_empty() {
            let (piece, more) = rest.split_at_mut(self.in_window(at, rest.len()));
            match self.use_window(operation, at, false)? {
                Some(used) => {
                    self.bytes(at, piece.len(), used).read_at(0, piece)?;
                    self.expect_undamaged(operation)?;
                }
                None => self.bypass(operation, at, |file| file.read_exact_at(at, piece))?,
            }
            at += piece.len() as u64;
            rest = more;
        }
        Ok(())
    }

    /// Copies bytes in, across as many windows as they lie in. A concurrent reader may see a part of them.
    ///
    /// Errors: `OutOfRange`, `ReadOnly`, `Closed`, `Truncated` (the file is shorter by now), `Io`.
    pub fn write_at(&self, offset: u64, from: &[u8]) -> Result<()> {
        let operation = "write through windows";
        if !self.writable {
            return Err(self.error(ErrorKind::ReadOnly, operation));
        }
        self.check_range(operation, offset, from.len())?;
        let mut rest = from;
        let mut at = offset;
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(self.in_window(at, rest.len()));
            match self.use_window(operation, at, false)? {
                Some(used) => {
                    self.bytes(at, piece.len(), used).write_at(0, piece)?;
                    self.expect_undamaged(operation)?;
                }
                None => self.bypass(operation, at, |file| file.write_all_at(at, piece))?,
            }
            at += piece.len() as u64;
            rest = more;
        }
        Ok(())
    }

    /// A view of `len` bytes that lie in one window. While it lives, the window keeps its place, and the cache cannot be
    /// closed.
    ///
    /// Errors: `OutOfRange`, `InvalidArgument` (the range crosses a border of windows), `Busy` (every window is in use),
    /// `ReadOnly`, `Closed`, `Truncated`.
    pub fn view(&self, offset: u64, len: usize, writable: bool) -> Result<WindowView<'_>> {
        let start = self.pin(offset, len, writable)?;
        #[allow(unsafe_code)]
        // SAFETY: `pin` checked the range and keeps it mapped until the view is dropped.
        let bytes = unsafe { SharedBytes::new(start, len, writable) };
        Ok(WindowView { bytes, cache: self, writable })
    }

    /// Counts a view in and returns the address of its first byte; [`WindowCache::unpin`] counts it out. For languages whose
    /// views cannot carry a lifetime.
    pub fn pin(&self, offset: u64, len: usize, writable: bool) -> Result<NonNull<u8>> {
        let operation = "view window";
        self.check_range(operation, offset, len)?;
        if self.in_window(offset, len) < len {
            let detail =
                format!("{len} bytes at offset {offset} cross a border of windows of {}", self.window_len());
            return Err(self.error(ErrorKind::InvalidArgument, operation).with_detail(detail));
        }
        self.expect_undamaged(operation)?;
        self.exports.acquire(writable).map_err(|kind| self.error(kind, operation))?;
        match self.use_window(operation, offset.min(self.len - 1), true) {
            Ok(Some(used)) => {
                let slot = &self.slots[used.slot];
                slot.add_view();
                let start = self.address(used.slot, offset);
                // The view keeps the pin.
                std::mem::forget(used);
                Ok(start)
            }
            other => {
                self.exports.release(writable);
                let busy = || self.error(ErrorKind::Busy, operation).with_detail("every window is in use");
                Err(other.err().unwrap_or_else(busy))
            }
        }
    }

    /// Counts out a view that [`WindowCache::pin`] counted in, by its address and with the same `writable`; `false` when there
    /// is none.
    pub fn unpin(&self, start: *const u8, writable: bool) -> bool {
        let slot = start.addr().wrapping_sub(self.arena.base().addr().get()) >> self.shift;
        let Some(slot) = self.slots.get(slot) else { return false };
        slot.remove_view() && self.exports.release(writable)
    }

    /// Number of live views.
    pub fn views(&self) -> usize {
        self.exports.count()
    }

    /// Carries what was written, through windows mapped now or before, to the disk. A shared memory object has none: there
    /// the call does nothing.
    ///
    /// Errors: `Closed`, `Io` (what the device reported).
    pub fn flush(&self, flush: Flush) -> Result<()> {
        let operation = "flush windows";
        self.check_file(operation)?;
        let done = match flush {
            Flush::Sync => self.file.sync_data(),
            Flush::Async => self.file.start_writing(),
        };
        done.map_err(|errno| self.system_error(errno, operation))
    }

    /// What the cache did so far.
    pub fn stats(&self) -> WindowStats {
        let _no_fork = fork::exclude();
        let changes = self.changes.lock();
        WindowStats {
            hits: self.slots.iter().map(Slot::hits).sum(),
            misses: changes.misses,
            evictions: changes.evictions,
            bypasses: self.bypasses.load(Ordering::Relaxed),
            maps: changes.maps,
            advices: changes.advices,
            kernel_ns: self.kernel_ns.load(Ordering::Relaxed),
            mapped: self.slots.iter().filter(|slot| slot.window().is_some()).count() as u64,
            views: self.views() as u64,
        }
    }

    /// Lets the file go. Repeating it does nothing.
    ///
    /// Errors: `Busy`, and the cache goes on, while a view lives or another thread copies.
    pub fn close(&self) -> Result<()> {
        let operation = "close window cache";
        let _no_fork = fork::exclude();
        let _changes = self.changes.lock();
        let first = self.exports.close().map_err(|kind| {
            self.error(kind, operation).with_detail(format!("{} live views", self.exports.count()))
        })?;
        if !first {
            return Ok(());
        }
        for slot in &self.slots {
            if !slot.evict() {
                self.exports.reopen();
                return Err(self.error(ErrorKind::Busy, operation).with_detail("another thread is copying"));
            }
        }
        self.arena.retire().map_err(|errno| self.system_error(errno, operation))
    }
}

impl fmt::Debug for WindowCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowCache")
            .field("object", &self.object)
            .field("len", &self.len)
            .field("window_len", &self.window_len())
            .field("windows", &self.window_count())
            .field("closed", &self.is_closed())
            .finish()
    }
}

/// A live view of bytes in one window.
pub struct WindowView<'a> {
    bytes: SharedBytes<'a>,
    cache: &'a WindowCache,
    writable: bool,
}

impl<'a> Deref for WindowView<'a> {
    type Target = SharedBytes<'a>;

    fn deref(&self) -> &SharedBytes<'a> {
        &self.bytes
    }
}

impl Drop for WindowView<'_> {
    fn drop(&mut self) {
        let counted = self.cache.unpin(self.bytes.as_ptr(), self.writable);
        debug_assert!(counted, "a view counted out that was never counted in");
    }
}

#[cfg(test)]
mod tests;
