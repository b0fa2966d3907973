//! The one pointer gate: a bounds-checked window on bytes that other processes can write at any time.
//!
//! Invariants:
//! - The bytes stay mapped for the lifetime `'a`. What another process does to the *file* (cutting it short) is the
//!   fault guard's concern, not this type's.
//! - Nothing behind a window becomes a plain `&T`, `&[u8]` or `&mut`: bytes are copied, or seen through atomics. A copy
//!   that races with a writer may be torn, and says so; it is never out of bounds. Rust's memory model calls such a
//!   race undefined even between processes; like every shared-memory library we rely on the compiler treating a raw
//!   copy from memory it knows nothing about as the machine does.

#![allow(unsafe_code, reason = "this is the gate")]

use std::marker::PhantomData;
use std::mem::{align_of, size_of};
use std::ops::Range;
use std::ptr::NonNull;

use crate::error::{Error, ErrorKind, Result};
use crate::layout;

/// What the processor is told of bytes that it fetches.
mod hint {
    #[cfg(target_arch = "x86_64")]
    pub use std::arch::x86_64::{_MM_HINT_ET0 as WRITE, _MM_HINT_T0 as READ};
    #[cfg(not(target_arch = "x86_64"))]
    pub const READ: i32 = 3;
    #[cfg(not(target_arch = "x86_64"))]
    pub const WRITE: i32 = 7;
}

/// A bounds-checked window on `len` bytes of shared memory.
///
/// ```
/// let mapping = shmkit::Mapping::anonymous(64)?;
/// let view = mapping.view_mut()?;
/// view.write_at(8, b"hello")?;
/// let mut bytes = [0; 5];
/// view.read_at(8, &mut bytes)?;
/// assert_eq!(&bytes, b"hello");
/// assert!(view.read_at(60, &mut bytes).is_err());
/// # Ok::<(), shmkit::Error>(())
/// ```
///
/// Not `Copy`: what is taken from a view must not outlive it.
pub struct SharedBytes<'a> {
    base: NonNull<u8>,
    len: usize,
    writable: bool,
    memory: PhantomData<&'a [u8]>,
}

// SAFETY: a window is an address and a length; all access through it is by raw copies and atomics, which any thread
// may do.
unsafe impl Send for SharedBytes<'_> {}
// SAFETY: as above.
unsafe impl Sync for SharedBytes<'_> {}

/// A struct that may be seen in place in shared memory: atomics only, so that any bytes are a valid value and any
/// process may change them at any time.
///
/// # Safety
/// The type consists of atomic integers (or arrays of them) and has no other fields.
pub unsafe trait Shared {}

/// Says that types of the layout are [`Shared`].
macro_rules! shared {
    ($($type:ty),* $(,)?) => {$(
        // SAFETY: atomic integers only.
        unsafe impl Shared for $type {}
    )*};
}

shared! {
    crate::atomic::AtomicU32,
    crate::atomic::AtomicU64,
    layout::LiveHeader,
    layout::Slot,
    layout::OwnerWord,
    layout::MutexRecord,
    layout::RwLockRecord,
    layout::Mark,
    layout::WordRecord,
    layout::TrackedRecord,
    layout::BarrierRecord,
    layout::AtomicRecord,
    layout::HeapRecord,
    layout::PoolRecord,
    layout::ValueRecord,
    layout::ArenaHeader,
    layout::ObjectHeader,
    layout::LogControl,
    layout::LogSegmentLive,
}

impl<'a> SharedBytes<'a> {
    /// A bounds-checked window on `len` bytes at `base`.
    ///
    /// # Safety
    /// `len` bytes at `base` are mapped readable, and writable when `writable`, for all of `'a`.
    pub unsafe fn new(base: NonNull<u8>, len: usize, writable: bool) -> SharedBytes<'a> {
        SharedBytes { base, len, writable, memory: PhantomData }
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the bytes may be written through this window.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// The address of the first byte, for code that brings its own rules. Other processes may write the bytes at any
    /// time: do not make a reference of it.
    pub fn as_ptr(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// The bytes as a slice.
    ///
    /// # Safety
    /// Nobody writes them, in any process, as long as the slice lives: because a lock keeps writers away, or because the
    /// bytes are never written at all.
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: mapped and readable for the borrow of `self`; the caller vouches for the rest.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }

    /// The part of this window at `range`.
    pub fn slice(&self, range: Range<usize>) -> Result<SharedBytes<'_>> {
        let len = range.end.saturating_sub(range.start);
        if range.start > range.end {
            return Err(out_of_range(range.start, len, self.len));
        }
        check_range(range.start, len, self.len)?;
        // SAFETY: `check_range` proved that `start` is within the window.
        let base = unsafe { self.base.add(range.start) };
        Ok(SharedBytes { base, len, writable: self.writable, memory: PhantomData })
    }

    /// Copies bytes out, starting at `offset`. A concurrent writer may tear the copy.
    #[inline]
    pub fn read_at(&self, offset: usize, into: &mut [u8]) -> Result<()> {
        check_range(offset, into.len(), self.len)?;
        // SAFETY: the range lies within the window, whose bytes are mapped and readable; `into` is ours alone.
        unsafe { self.base.add(offset).as_ptr().copy_to_nonoverlapping(into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    /// Asks the processor to fetch bytes that will be read soon. Any range will do: this is a hint.
    #[inline]
    pub(crate) fn prefetch(&self, offset: usize, len: usize) {
        self.hint::<{ hint::READ }>(offset, len);
    }

    /// The same for bytes that will be written soon.
    #[inline]
    pub(crate) fn prefetch_for_write(&self, offset: usize, len: usize) {
        self.hint::<{ hint::WRITE }>(offset, len);
    }

    #[inline]
    fn hint<const HINT: i32>(&self, offset: usize, len: usize) {
        const LINE: usize = 64;
        for line in (0..len.min(4 * LINE)).step_by(LINE) {
            let place = self.base.as_ptr().wrapping_add(offset).wrapping_add(line);
            #[cfg(target_arch = "x86_64")]
            // SAFETY: processors that lack one of the instructions do nothing, and so do all for addresses that are none.
            unsafe {
                std::arch::x86_64::_mm_prefetch::<HINT>(place.cast());
            }
            #[cfg(not(target_arch = "x86_64"))]
            let _ = place;
        }
    }

    /// Copies bytes in, starting at `offset`. A concurrent reader may see a part of them.
    #[inline]
    pub fn write_at(&self, offset: usize, from: &[u8]) -> Result<()> {
        if !self.writable {
            return Err(Error::new(ErrorKind::ReadOnly, "write to view", ""));
        }
        check_range(offset, from.len(), self.len)?;
        // SAFETY: the range lies within the window, whose bytes are mapped and writable; `from` cannot overlap it,
        // since shared bytes never become a slice.
        unsafe { self.base.add(offset).as_ptr().copy_from_nonoverlapping(from.as_ptr(), from.len()) };
        Ok(())
    }

    /// Copies bytes from one place in this window to another. A concurrent writer may tear the copy.
    pub(crate) fn copy_within(&self, from: usize, to: usize, len: usize) -> Result<()> {
        if !self.writable {
            return Err(Error::new(ErrorKind::ReadOnly, "write to view", ""));
        }
        check_range(from, len, self.len)?;
        check_range(to, len, self.len)?;
        // SAFETY: both ranges lie within the window, whose bytes are mapped and writable; they may overlap.
        unsafe { self.base.add(to).as_ptr().copy_from(self.base.add(from).as_ptr(), len) };
        Ok(())
    }

    /// Writes `len` zeros, starting at `offset`.
    pub fn zero_at(&self, offset: usize, len: usize) -> Result<()> {
        if !self.writable {
            return Err(Error::new(ErrorKind::ReadOnly, "write to view", ""));
        }
        check_range(offset, len, self.len)?;
        // SAFETY: the range lies within the window, whose bytes are mapped and writable.
        unsafe { self.base.add(offset).as_ptr().write_bytes(0, len) };
        Ok(())
    }

    /// The shared struct or atomic at `offset`, which must be aligned for it.
    ///
    /// Errors: `OutOfRange`, `InvalidArgument` (alignment), `ReadOnly`.
    #[inline]
    pub fn shared<T: Shared>(&self, offset: usize) -> Result<&T> {
        if !self.writable {
            return Err(Error::new(ErrorKind::ReadOnly, "view shared value", ""));
        }
        let place = self.place::<T>(offset)?;
        // SAFETY: in bounds, aligned, mapped for the borrow of `self`; `Shared` types hold any bytes and allow any writer.
        Ok(unsafe { place.as_ref() })
    }

    /// As [`SharedBytes::shared`], also from a read-only window: there the caller only loads.
    pub(crate) fn record<T: Shared>(&self, offset: usize) -> Result<&T> {
        let place = self.place::<T>(offset)?;
        // SAFETY: as above. A load of at most 8 bytes never writes.
        Ok(unsafe { place.as_ref() })
    }

    /// Shared structs or atomics one after the other, checked.
    pub(crate) fn records<T: Shared>(&self, offset: usize, count: usize) -> Result<&[T]> {
        check_range(offset, size_of::<T>().saturating_mul(count), self.len)?;
        let first = self.place::<T>(offset)?;
        // SAFETY: the first is in bounds and aligned, the last ends in bounds; otherwise as `record`.
        Ok(unsafe { std::slice::from_raw_parts(first.as_ptr(), count) })
    }

    #[inline]
    fn place<T: Shared>(&self, offset: usize) -> Result<NonNull<T>> {
        check_range(offset, size_of::<T>(), self.len)?;
        // SAFETY: `check_range` proved that `offset` is within the window.
        let at = unsafe { self.base.add(offset) };
        if !at.as_ptr().addr().is_multiple_of(align_of::<T>()) {
            return Err(Error::new(ErrorKind::InvalidArgument, "view shared value", "")
                .with_detail(format!("offset {offset}, alignment {}", align_of::<T>())));
        }
        Ok(at.cast())
    }
}

/// The one range check: `offset + len` must not leave `limit`.
#[inline]
pub(crate) fn check_range(offset: usize, len: usize, limit: usize) -> Result<()> {
    if len > limit || offset > limit - len {
        return Err(out_of_range(offset, len, limit));
    }
    Ok(())
}

#[cold]
fn out_of_range(offset: usize, len: usize, limit: usize) -> Error {
    Error::new(ErrorKind::OutOfRange, "access bytes", "")
        .with_detail(format!("{len} bytes at offset {offset} of {limit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked_without_overflow() {
        for (offset, len, limit, good) in [
            (0, 0, 0, true),
            (0, 8, 8, true),
            (8, 0, 8, true),
            (1, 8, 8, false),
            (9, 0, 8, false),
            (usize::MAX, 1, 8, false),
            (1, usize::MAX, 8, false),
            (usize::MAX, usize::MAX, usize::MAX, false),
        ] {
            assert_eq!(check_range(offset, len, limit).is_ok(), good, "{offset} {len} {limit}");
        }
    }

    #[test]
    fn a_slice_keeps_inside_and_a_reversed_range_is_refused() {
        let mut bytes = [7u8; 16];
        // SAFETY: `bytes` outlives the window and nothing else touches it meanwhile.
        let window = unsafe { SharedBytes::new(NonNull::new(bytes.as_mut_ptr()).unwrap(), 16, false) };
        let part = window.slice(4..12).unwrap();
        assert_eq!(part.len(), 8);
        assert!(part.slice(0..9).is_err());
        #[allow(clippy::reversed_empty_ranges)]
        let reversed = window.slice(9..3);
        assert!(reversed.is_err());
        assert_eq!(window.write_at(0, b"x").unwrap_err().kind(), ErrorKind::ReadOnly);
    }
}
