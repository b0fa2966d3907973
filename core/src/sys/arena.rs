//! A reserved range of addresses in which parts of a file are mapped, and mapped over, in fixed places.

use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{self, MapFlags, ProtFlags};

use super::SysResult;
use super::map::page_size;

/// Reserved addresses: given back when dropped.
pub struct Arena {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a range of addresses; what is done with the bytes there is decided by whoever maps them.
unsafe impl Send for Arena {}
// SAFETY: as above; the kernel serialises changes of the address space.
unsafe impl Sync for Arena {}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the range is this arena's own, and whoever used it borrowed it.
        let _ = unsafe { mman::munmap(self.base.cast(), self.len) };
    }
}

impl Arena {
    /// Reserves `len` bytes of addresses, without memory behind them, that begin at a multiple of `align`. Both are whole
    /// pages.
    pub fn reserve(len: usize, align: usize) -> SysResult<Arena> {
        let more = len.checked_add(align - page_size()).and_then(NonZeroUsize::new).ok_or(Errno::ENOMEM)?;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        let start = unsafe { mman::mmap_anonymous(None, more, ProtFlags::PROT_NONE, flags) }?.cast::<u8>();
        let before = start.as_ptr().align_offset(align);
        let after = more.get() - before - len;
        // SAFETY: `before` and `len` lie within what was just mapped, and it is nobody else's.
        unsafe {
            let base = start.add(before);
            for (address, len) in [(start, before), (base.add(len), after)] {
                if len > 0 {
                    mman::munmap(address.cast(), len)?;
                }
            }
            Ok(Arena { base, len })
        }
    }

    /// The address of the first byte.
    #[inline]
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Number of bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Maps a part of a file, shared, over whatever was at this place. The caller knows that nobody uses the bytes there.
    pub fn map(
        &self,
        place: usize,
        file: BorrowedFd<'_>,
        offset: u64,
        len: usize,
        writable: bool,
    ) -> SysResult<()> {
        let protection = libc::PROT_READ | if writable { libc::PROT_WRITE } else { 0 };
        let (address, len) = self.place(place, len)?;
        let flags = libc::MAP_SHARED | libc::MAP_FIXED;
        // By number: a thread sanitizer takes the C library's function for a store into all the bytes, which would race with
        // whoever reads them later, because it does not see the atomics between the two.
        // SAFETY: the place is within this arena.
        let mapped = unsafe {
            libc::syscall(
                libc::SYS_mmap,
                address.get(),
                len.get(),
                protection,
                flags,
                file.as_raw_fd(),
                i64::try_from(offset).map_err(|_| Errno::EOVERFLOW)?,
            )
        };
        Errno::result(mapped).map(drop)
    }

    /// Puts private zero pages in place of everything, so that a stale pointer reads zeros.
    pub fn retire(&self) -> SysResult<()> {
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED | MapFlags::MAP_NORESERVE;
        let (address, len) = self.place(0, self.len)?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: the range is exactly this arena's own.
        unsafe { mman::mmap_anonymous(Some(address), len, protection, flags) }.map(drop)
    }

    /// madvise(2); `advice` is one that keeps the pages mapped and their content.
    pub fn advise(&self, place: usize, len: usize, advice: i32) -> SysResult<()> {
        let (address, len) = self.place(place, len)?;
        let address = std::ptr::with_exposed_provenance_mut::<libc::c_void>(address.get());
        // SAFETY: the place is within this arena.
        Errno::result(unsafe { libc::madvise(address, len.get(), advice) }).map(drop)
    }

    fn place(&self, place: usize, len: usize) -> SysResult<(NonZeroUsize, NonZeroUsize)> {
        if len > self.len || place > self.len - len {
            return Err(Errno::EINVAL);
        }
        let address = NonZeroUsize::new(self.base.as_ptr().expose_provenance() + place);
        Ok((address.ok_or(Errno::EINVAL)?, NonZeroUsize::new(len).ok_or(Errno::EINVAL)?))
    }
}

/// Starts reading a part of a file into the page cache (posix_fadvise(2)). A hint: it does not matter whether it is taken.
pub fn read_ahead(file: BorrowedFd<'_>, offset: u64, len: u64) {
    let range = (i64::try_from(offset), i64::try_from(len));
    if let (Ok(offset), Ok(len)) = range {
        let _ =
            nix::fcntl::posix_fadvise(file, offset, len, nix::fcntl::PosixFadviseAdvice::POSIX_FADV_WILLNEED);
    }
}
