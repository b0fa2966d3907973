//! How a window comes to its place, and what is done with the bytes there.

use std::ops::Deref;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{Ordering, fence};
use std::time::Instant;

use nix::errno::Errno;

use super::{Changes, WindowCache};
use crate::error::{Error, ErrorKind, Result};
use crate::mapping::Advice;
use crate::mapping::fault::damage_error;
use crate::sys::SysResult;
use crate::sys::arena;
use crate::sys::fault::{Damage, Guarded};
use crate::sys::file::ObjectFile;
use crate::sys::fork;
use crate::view::SharedBytes;

/// How many evictions the judgement remembers, and what it counts in.
const MEMORY: u32 = 32;
const ONE: u32 = 1024;
/// How often a window must have been found to be worth its mapping.
const WORTH: u64 = 8;
/// Of so many misses that go past the windows, one is mapped.
const PROBE: u32 = 32;

impl WindowCache {
    /// How many of `len` bytes at `offset` lie in the same window.
    #[inline]
    pub(super) fn in_window(&self, offset: u64, len: usize) -> usize {
        let left = self.window_len() - (offset & (self.window_len() - 1));
        len.min(left as usize)
    }

    /// Pins the window that holds `offset`; `None` when it is not mapped and every slot is in use or, unless `must`, mapping
    /// it would not pay.
    #[inline]
    pub(super) fn use_window(
        &self,
        operation: &'static str,
        offset: u64,
        must: bool,
    ) -> Result<Option<Used<'_>>> {
        let window = (offset >> self.shift) as u32;
        match self.find(window) {
            Some(used) => Ok(Some(used)),
            None if !must && self.passes() => Ok(None),
            None => self.map_window(operation, window),
        }
    }

    /// Whether a miss goes past the windows. One in [`PROBE`] does not, to learn whether that has changed.
    #[cold]
    fn passes(&self) -> bool {
        self.thrashes.load(Ordering::Relaxed)
            && !self.exports.is_closed()
            && !self.passed.fetch_add(1, Ordering::Relaxed).is_multiple_of(PROBE)
            && self.file.is_intact()
    }

    /// Learns from a window that gave its place: mapping it cost several times what reading past it would have, so it pays
    /// for itself only when it is found often enough.
    fn judge(&self, changes: &mut Changes, served: u64) {
        let wasted = if served < WORTH { ONE / MEMORY } else { 0 };
        changes.wasted = changes.wasted - changes.wasted / MEMORY + wasted;
        // Two borders, so that it does not change its mind with each window.
        let border = if self.thrashes.load(Ordering::Relaxed) { ONE / 4 * 3 } else { ONE / 8 * 7 };
        self.thrashes.store(changes.wasted >= border, Ordering::Relaxed);
    }

    /// Pins a window where it is mapped. Without a lock.
    #[inline]
    fn find(&self, window: u32) -> Option<Used<'_>> {
        let slot = self.table[window as usize].load(Ordering::Relaxed).checked_sub(1)? as usize;
        if !self.slots[slot].pin(window) {
            return None;
        }
        self.slots[slot].note_hit(&self.clock);
        Some(Used { cache: self, slot })
    }

    /// Maps a window in the place of the one that was least recently used, and pins it.
    #[cold]
    fn map_window(&self, operation: &'static str, window: u32) -> Result<Option<Used<'_>>> {
        self.check_file(operation)?;
        let (used, reads_forward) = {
            let _no_fork = fork::exclude();
            let mut changes = self.changes.lock();
            if self.exports.is_closed() {
                return Err(self.error(ErrorKind::Closed, operation));
            }
            // Somebody may have been faster.
            if let Some(used) = self.find(window) {
                return Ok(Some(used));
            }
            let Some(slot) = self.make_room(&mut changes) else { return Ok(None) };
            let (place, offset) = (slot << self.shift, u64::from(window) << self.shift);
            let map = || self.arena.map(place, self.file.as_fd(), offset, 1 << self.shift, self.writable);
            let mapped = self.timed(|| match self.guards.get(slot) {
                Some(guard) => guard.rebind(offset, map),
                None => map(),
            });
            mapped.map_err(|errno| self.system_error(errno, operation))?;
            self.slots[slot].note_use(&self.clock);
            self.slots[slot].install(window);
            self.table[window as usize].store(slot as u32 + 1, Ordering::Relaxed);
            let follows = window > 0 && changes.last_missed == Some(window - 1);
            changes.last_missed = Some(window);
            changes.misses += 1;
            changes.maps += 1;
            let reads_forward =
                self.pattern == Advice::Sequential || self.pattern == Advice::Normal && follows;
            changes.advices += u64::from(self.pattern != Advice::Normal) + 2 * u64::from(reads_forward);
            (Used { cache: self, slot }, reads_forward)
        };
        self.advise(used.slot, window, reads_forward);
        Ok(Some(used))
    }

    /// Tells the kernel of reads to come: this window's pages and, where reads run forward, the next one's. Hints, so their
    /// failure is none.
    fn advise(&self, slot: usize, window: u32, reads_forward: bool) {
        let (place, len) = (slot << self.shift, 1 << self.shift);
        self.timed(|| {
            if self.pattern != Advice::Normal {
                let _ = self.arena.advise(place, len, self.pattern as i32);
            }
            if reads_forward {
                let _ = self.arena.advise(place, len, Advice::WillNeed as i32);
                let next = (u64::from(window) + 1) << self.shift;
                arena::read_ahead(self.file.as_fd(), next, self.window_len());
            }
        });
    }

    /// An empty slot: one that never held a window, or else that of the window least recently used of those that nobody
    /// uses.
    fn make_room(&self, changes: &mut Changes) -> Option<usize> {
        loop {
            let free = self.slots.iter().enumerate().filter(|(_, slot)| !slot.is_pinned());
            let (index, slot) = free.min_by_key(|(_, slot)| (slot.window().is_some(), slot.last_used()))?;
            let held = slot.window();
            // Somebody may have pinned it since.
            if slot.evict() {
                if let Some(held) = held {
                    self.table[held as usize].store(0, Ordering::Relaxed);
                    changes.evictions += 1;
                    self.judge(changes, slot.served());
                }
                return Some(index);
            }
        }
    }

    /// A copy that goes past the windows.
    pub(super) fn bypass(
        &self,
        operation: &'static str,
        offset: u64,
        copy: impl FnOnce(&ObjectFile) -> SysResult<()>,
    ) -> Result<()> {
        self.bypasses.fetch_add(1, Ordering::Relaxed);
        copy(&self.file).or_else(|errno| {
            // The file may have been cut since.
            self.check_file(operation)?;
            Err(self.system_error(errno, operation).with_detail(format!("at offset {offset}")))
        })
    }

    fn timed<T>(&self, call: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = call();
        self.kernel_ns.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        result
    }

    /// The window's bytes from `offset` on, of a slot that is pinned.
    #[inline]
    pub(super) fn bytes<'a>(&'a self, offset: u64, len: usize, used: Used<'a>) -> PinnedBytes<'a> {
        let start = self.address(used.slot, offset);
        #[allow(unsafe_code)]
        // SAFETY: the pin keeps the window mapped, and the caller took the range from `in_window`, behind `check_range`.
        let bytes = unsafe { SharedBytes::new(start, len, self.writable) };
        PinnedBytes { bytes, _used: used }
    }

    #[inline]
    pub(super) fn address(&self, slot: usize, offset: u64) -> NonNull<u8> {
        let place = (slot << self.shift) + (offset & (self.window_len() - 1)) as usize;
        debug_assert!(place < self.arena.len());
        #[allow(unsafe_code)]
        // SAFETY: a slot's place and an offset in a window lie within the arena.
        unsafe {
            self.arena.base().add(place)
        }
    }

    #[inline]
    pub(super) fn check_range(&self, operation: &'static str, offset: u64, len: usize) -> Result<()> {
        if offset > self.len || len as u64 > self.len - offset {
            return Err(self
                .error(ErrorKind::OutOfRange, operation)
                .with_detail(format!("{len} bytes at offset {offset} of {}", self.len)));
        }
        Ok(())
    }

    /// Before the descriptor is used: it must still lead to the file, and the file must have what was promised.
    pub(super) fn check_file(&self, operation: &'static str) -> Result<()> {
        if self.exports.is_closed() {
            return Err(self.error(ErrorKind::Closed, operation));
        }
        if !self.file.is_intact() {
            return Err(self
                .error(ErrorKind::Closed, operation)
                .with_detail("somebody closed its descriptor"));
        }
        let size = self.file.size().map_err(|errno| self.system_error(errno, operation))?;
        if size < self.len {
            return Err(self
                .error(ErrorKind::Truncated, operation)
                .with_detail(format!("{size} bytes are left of {}", self.len)));
        }
        Ok(())
    }

    /// Fails when the file has lost pages that were touched.
    #[inline]
    pub(super) fn expect_undamaged(&self, operation: &'static str) -> Result<()> {
        fence(Ordering::Acquire);
        if self.intact.load(Ordering::Relaxed) == 0 { Err(self.damaged(operation)) } else { Ok(()) }
    }

    #[cold]
    fn damaged(&self, operation: &'static str) -> Error {
        let damage = self.guards.iter().find_map(Guarded::damage).unwrap_or(Damage::Cut);
        damage_error(damage, operation, &self.object)
    }

    #[cold]
    pub(super) fn error(&self, kind: ErrorKind, operation: &'static str) -> Error {
        Error::new(kind, operation, self.object.as_str())
    }

    pub(super) fn system_error(&self, errno: Errno, operation: &'static str) -> Error {
        Error::from_errno(errno as i32, operation, self.object.as_str())
    }
}

/// A pin on a slot, taken back on drop.
pub(super) struct Used<'a> {
    cache: &'a WindowCache,
    pub slot: usize,
}

impl Drop for Used<'_> {
    #[inline]
    fn drop(&mut self) {
        self.cache.slots[self.slot].unpin();
    }
}

/// Bytes of a window that is pinned for as long as they are used.
pub(super) struct PinnedBytes<'a> {
    bytes: SharedBytes<'a>,
    _used: Used<'a>,
}

impl<'a> Deref for PinnedBytes<'a> {
    type Target = SharedBytes<'a>;

    fn deref(&self) -> &SharedBytes<'a> {
        &self.bytes
    }
}
