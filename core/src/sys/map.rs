//! mmap(2) and its family, over memmap2's raw form. memmap2 has no mprotect, no MAP_FIXED and no MS_INVALIDATE for it:
//! those come from nix and libc.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::OnceLock;

use memmap2::{MmapOptions, MmapRaw};
use nix::errno::Errno;
use nix::sys::mman::{self, MapFlags, MsFlags, ProtFlags};

use super::SysResult;

/// mlock2(2).
const MLOCK_ONFAULT: libc::c_uint = 1;

/// The system's page size in bytes.
pub fn page_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096);
        usize::try_from(size).unwrap_or(4096)
    })
}

/// `len` rounded up to whole pages; `None` when that leaves the number range.
pub fn round_to_pages(len: u64) -> Option<u64> {
    len.checked_next_multiple_of(page_size() as u64)
}

/// How to make a map.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Offset in the file; need not be aligned.
    pub offset: u64,
    /// Number of bytes, at least 1.
    pub len: usize,
    /// Copy-on-write instead of shared.
    pub private: bool,
    /// Protection of the pages.
    pub protection: ProtFlags,
    /// Fault all pages in now.
    pub populate: bool,
    /// Reserve no swap space.
    pub no_reserve: bool,
    /// Size of the pages, where it is not the system's: a huge page that was reserved for such use (hugetlbfs).
    pub huge_page: Option<usize>,
}

/// A second address of pages that a [`Map`] has: unmapped when dropped.
pub struct Alias {
    pub base: NonNull<u8>,
    pub len: usize,
}

impl Drop for Alias {
    fn drop(&mut self) {
        // SAFETY: the pages are this alias's own, and whoever used them borrowed it.
        let _ = unsafe { mman::munmap(self.base.cast(), self.len) };
    }
}

/// A map: unmapped when dropped.
pub struct Map {
    raw: MmapRaw,
    /// What protection, flushes and advice are rounded to.
    page: usize,
}

impl Map {
    /// Maps a part of a file.
    pub fn of_file(file: BorrowedFd<'_>, request: &Request) -> SysResult<Map> {
        use std::os::fd::AsRawFd;
        let mut options = MmapOptions::new();
        options.offset(request.offset).len(request.len);
        if request.populate {
            options.populate();
        }
        if request.no_reserve {
            options.no_reserve_swap();
        }
        let fd = file.as_raw_fd();
        let writable = request.protection.contains(ProtFlags::PROT_WRITE);
        let (raw, made) = if request.private {
            // SAFETY: the mapping is used through raw pointers only, so that a change of the file by others is no
            // change under a reference.
            (unsafe { options.map_copy(fd) }.map(MmapRaw::from), ProtFlags::PROT_READ | ProtFlags::PROT_WRITE)
        } else if writable {
            (options.map_raw(fd), ProtFlags::PROT_READ | ProtFlags::PROT_WRITE)
        } else {
            (options.map_raw_read_only(fd), ProtFlags::PROT_READ)
        };
        let map = Map { raw: from_io(raw)?, page: request.huge_page.unwrap_or_else(page_size) };
        if request.protection != made {
            map.protect(0, request.len, request.protection)?;
        }
        Ok(map)
    }

    /// Attaches a System V segment of `request.len` bytes over pages of our own (shmat(2), `SHM_REMAP`): so it is unmapped
    /// like any other map, which detaches it. EINVAL when the segment has another length.
    pub fn of_sysv(id: i32, request: &Request) -> SysResult<Map> {
        let mut options = MmapOptions::new();
        options.len(request.len).no_reserve_swap();
        let map = Map { raw: from_io(options.map_anon())?.into(), page: page_size() };
        let writable = request.protection.contains(ProtFlags::PROT_WRITE);
        let flags = if writable { 0 } else { libc::SHM_RDONLY };
        let attach = |address: *mut u8, flags| {
            // SAFETY: the address is null, or that of this map's own pages, as many as the segment has.
            let attached = unsafe { libc::shmat(id, address.cast(), flags) };
            if attached.addr() == usize::MAX { Err(Errno::last()) } else { Ok(attached) }
        };
        // Ids are used again. What is attached keeps its id and its length, so only now it is known what this one is, and
        // that it covers nothing beyond our pages.
        let first = attach(std::ptr::null_mut(), flags)?;
        let attached = match super::sysv::segment_stat(id) {
            Ok(stat) if stat.shm_segsz == request.len => {
                attach(map.raw.as_mut_ptr(), flags | libc::SHM_REMAP).map(drop)
            }
            Ok(_) => Err(Errno::EINVAL),
            Err(errno) => Err(errno),
        };
        // SAFETY: attached above, and nobody else knows of it.
        unsafe { libc::shmdt(first) };
        attached?;
        if request.populate {
            for offset in (0..request.len).step_by(page_size()) {
                // SAFETY: a byte of the segment, which is mapped readable; nobody can take a System V segment's memory away.
                unsafe { map.raw.as_ptr().add(offset).read_volatile() };
            }
        }
        let made = if writable { ProtFlags::PROT_READ | ProtFlags::PROT_WRITE } else { ProtFlags::PROT_READ };
        if request.protection != made {
            map.protect(0, request.len, request.protection)?;
        }
        Ok(map)
    }

    /// Maps private memory that no file backs.
    pub fn anonymous(request: &Request) -> SysResult<Map> {
        let mut options = MmapOptions::new();
        options.len(request.len);
        if request.populate {
            options.populate();
        }
        if request.no_reserve {
            options.no_reserve_swap();
        }
        if let Some(huge) = request.huge_page {
            options.huge(Some(huge.ilog2() as u8));
        }
        let raw = from_io(options.map_anon())?.into();
        let map = Map { raw, page: request.huge_page.unwrap_or_else(page_size) };
        if request.protection != ProtFlags::PROT_READ | ProtFlags::PROT_WRITE {
            map.protect(0, request.len, request.protection)?;
        }
        Ok(map)
    }

    /// The address of the first byte asked for.
    #[inline]
    pub fn base(&self) -> NonNull<u8> {
        // SAFETY: mmap never returns null here.
        unsafe { NonNull::new_unchecked(self.raw.as_mut_ptr()) }
    }

    /// Number of bytes asked for.
    #[inline]
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Bytes of a page of this map.
    #[inline]
    pub fn page(&self) -> usize {
        self.page
    }

    /// mprotect(2) on the pages that hold the range.
    pub fn protect(&self, offset: usize, len: usize, protection: ProtFlags) -> SysResult<()> {
        let (start, len) = self.pages(offset, len);
        // SAFETY: the pages belong to this map; whoever holds views on them was asked by the caller.
        unsafe { mman::mprotect(start.cast(), len, protection) }
    }

    /// msync(2) on the pages that hold the range.
    pub fn sync(&self, offset: usize, len: usize, flags: MsFlags) -> SysResult<()> {
        let (start, len) = self.pages(offset, len);
        // SAFETY: the pages belong to this map; MS_INVALIDATE drops only what the file says otherwise.
        unsafe { mman::msync(start.cast(), len, flags) }
    }

    /// madvise(2) on the pages that hold the range; `advice` is one of the `MADV_` numbers.
    pub fn advise(&self, offset: usize, len: usize, advice: i32) -> SysResult<()> {
        let (start, len) = self.pages(offset, len);
        // SAFETY: the pages belong to this map, and the caller lets only advice through that keeps them mapped.
        let status = unsafe { libc::madvise(start.as_ptr().cast(), len, advice) };
        Errno::result(status).map(drop)
    }

    /// mlock(2) on the pages that hold the range, or with `on_fault` each when it is first touched (`MLOCK_ONFAULT`). By
    /// number: the C library's function is newer than the oldest one our binaries run on.
    pub fn lock(&self, offset: usize, len: usize, on_fault: bool) -> SysResult<()> {
        let (start, len) = self.pages(offset, len);
        let status = if on_fault {
            // SAFETY: locking changes neither content nor protection of this map's own pages.
            unsafe { libc::syscall(libc::SYS_mlock2, start.as_ptr(), len, MLOCK_ONFAULT) }
        } else {
            // SAFETY: as above.
            unsafe { libc::mlock(start.as_ptr().cast(), len) }.into()
        };
        Errno::result(status).map(drop)
    }

    /// munlock(2) on the pages that hold the range.
    pub fn unlock(&self, offset: usize, len: usize) -> SysResult<()> {
        let (start, len) = self.pages(offset, len);
        // SAFETY: the pages belong to this map, and keep content and protection.
        Errno::result(unsafe { libc::munlock(start.as_ptr().cast(), len) }).map(drop)
    }

    /// Puts private zero pages in place of the object. The address range stays taken until the map is dropped, so that a
    /// stale pointer reads zeros instead of somebody else's memory.
    pub fn retire(&self) -> SysResult<()> {
        let (start, len) = self.pages(0, self.len());
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED | MapFlags::MAP_NORESERVE;
        // SAFETY: the range is exactly this map's own pages.
        unsafe {
            mman::mmap_anonymous(
                Some(NonZeroUsize::new_unchecked(start.as_ptr().addr())),
                NonZeroUsize::new_unchecked(len),
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                flags,
            )
        }
        .map(drop)
    }

    /// The first `len` bytes of a shared map at a second address, where they stay when the map is retired (mremap(2) with
    /// an old size of 0).
    pub fn alias(&self, len: usize) -> SysResult<Alias> {
        let (start, len) = self.pages(0, len);
        // SAFETY: the pages belong to this map, and the kernel picks a free address.
        let again = unsafe { libc::mremap(start.as_ptr().cast(), 0, len, libc::MREMAP_MAYMOVE) };
        if again == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        NonNull::new(again.cast()).map(|base| Alias { base, len }).ok_or(Errno::EFAULT)
    }

    /// Start and length of the whole pages around a range:
    ///
    /// ```text
    ///   page            page            page            page
    ///   |----base--------|--start···········end---------|
    ///                    ^ returned start               ^ returned end
    /// ```
    pub fn pages(&self, offset: usize, len: usize) -> (NonNull<u8>, usize) {
        debug_assert!(offset + len <= self.len());
        let page = self.page;
        let start = self.raw.as_mut_ptr().wrapping_add(offset);
        let slack = start.addr() % page;
        let aligned = start.wrapping_sub(slack);
        // SAFETY: the page that holds a mapped byte is not the null page.
        (unsafe { NonNull::new_unchecked(aligned) }, (len + slack).max(1).next_multiple_of(page))
    }
}

/// The token of an attachment: a page without access that keeps an open file description alive exactly as long as this
/// address space. Not unmapped on drop: after fork the range may belong to somebody else, and only the owner knows.
pub struct Token(NonNull<u8>);

// SAFETY: an address without access; it is only ever unmapped.
unsafe impl Send for Token {}

impl Token {
    /// Maps the token and hides it from forked children (madvise(2), `MADV_DONTFORK`).
    pub fn of_file(file: BorrowedFd<'_>) -> SysResult<Token> {
        let len = NonZeroUsize::new(page_size()).ok_or(Errno::EINVAL)?;
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        let page = unsafe { mman::mmap(None, len, ProtFlags::PROT_NONE, MapFlags::MAP_SHARED, file, 0) }?;
        let token = Token(page.cast());
        // SAFETY: the page is ours.
        let advised = unsafe { mman::madvise(page, len.get(), mman::MmapAdvise::MADV_DONTFORK) };
        if let Err(errno) = advised {
            token.unmap();
            return Err(errno);
        }
        Ok(token)
    }

    /// Unmaps the token, and so lets the kernel drop its lock. Only in the process that mapped it.
    pub fn unmap(self) {
        // SAFETY: the page was mapped by `of_file` in this process, as the caller vouches. Failure would leave a page.
        let _ = unsafe { mman::munmap(self.0.cast(), page_size()) };
    }
}

/// The errno inside an error that came from a system call.
pub fn from_io<T>(result: io::Result<T>) -> SysResult<T> {
    result.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EINVAL)))
}
