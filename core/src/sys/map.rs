//! mmap(2) and its family, over memmap2's raw form. memmap2 has no mprotect, no MAP_FIXED and no MS_INVALIDATE for it:
//! those come from nix and libc.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use memmap2::{MmapOptions, MmapRaw};
use nix::errno::Errno;
use nix::sys::mman::{self, MapFlags, MsFlags, ProtFlags};

use super::SysResult;
use super::fault::{Damage, Guarded};
use super::file::ObjectFile;

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
    /// Keep this many bytes of address space for it, at least `len`; 0: no more than `len`.
    pub reserve: usize,
}

impl Request {
    /// A shared map of `len` bytes from the file's start, and nothing special about it.
    pub const fn shared(len: usize, protection: ProtFlags) -> Request {
        Request {
            offset: 0,
            len,
            private: false,
            protection,
            populate: false,
            no_reserve: false,
            huge_page: None,
            reserve: 0,
        }
    }
}

/// A second address of pages that a [`Map`] has: unmapped when dropped.
pub struct Alias {
    /// Dropped first, as in a [`Map`].
    _guard: Option<Guarded>,
    pages: AliasPages,
}

impl Alias {
    /// The first byte.
    pub fn base(&self) -> NonNull<u8> {
        self.pages.base
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.pages.len
    }
}

struct AliasPages {
    base: NonNull<u8>,
    len: usize,
}

impl Drop for AliasPages {
    fn drop(&mut self) {
        // SAFETY: the pages are this alias's own, and whoever used them borrowed it.
        let _ = unsafe { mman::munmap(self.base.cast(), self.len) };
    }
}

/// A map: unmapped when dropped.
pub struct Map {
    /// Dropped first: what is not mapped any more must not be mended.
    guard: Option<Guarded>,
    /// All the address space there is for it.
    raw: MmapRaw,
    /// What protection, flushes and advice are rounded to.
    page: usize,
    /// Where in `raw` the first byte asked for is.
    skip: usize,
    /// Whether `raw` has room to grow into. Otherwise all its pages stay as they are, whatever the length.
    reserved: bool,
    len: AtomicUsize,
}

impl Map {
    /// Maps a part of a file.
    pub fn of_file(file: BorrowedFd<'_>, request: &Request) -> SysResult<Map> {
        use std::os::fd::AsRawFd;
        if request.reserve > request.len {
            return Map::reserved(Some(file), request);
        }
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
        Map::whole(from_io(raw)?, request, made)
    }

    /// Attaches a System V segment of `request.len` bytes over pages of our own (shmat(2), `SHM_REMAP`): so it is unmapped
    /// like any other map, which detaches it. EINVAL when the segment has another length.
    pub fn of_sysv(id: i32, request: &Request) -> SysResult<Map> {
        let mut options = MmapOptions::new();
        options.len(request.len).no_reserve_swap();
        let raw = MmapRaw::from(from_io(options.map_anon())?);
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
                attach(raw.as_mut_ptr(), flags | libc::SHM_REMAP).map(drop)
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
                unsafe { raw.as_ptr().add(offset).read_volatile() };
            }
        }
        let made = if writable { ProtFlags::PROT_READ | ProtFlags::PROT_WRITE } else { ProtFlags::PROT_READ };
        Map::whole(raw, request, made)
    }

    /// Maps private memory that no file backs.
    pub fn anonymous(request: &Request) -> SysResult<Map> {
        if request.reserve > request.len {
            return Map::reserved(None, request);
        }
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
        Map::whole(from_io(options.map_anon())?.into(), request, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE)
    }

    fn whole(raw: MmapRaw, request: &Request, made: ProtFlags) -> SysResult<Map> {
        let page = request.huge_page.unwrap_or_else(page_size);
        let map =
            Map { guard: None, raw, page, skip: 0, reserved: false, len: AtomicUsize::new(request.len) };
        if request.protection != made {
            map.protect(0, request.len, request.protection)?;
        }
        Ok(map)
    }

    /// A map at the start of address space that is kept for it.
    fn reserved(file: Option<BorrowedFd<'_>>, request: &Request) -> SysResult<Map> {
        let skip = (request.offset % page_size() as u64) as usize;
        let total = skip.checked_add(request.reserve).ok_or(Errno::ENOMEM)?;
        let mut options = MmapOptions::new();
        options.len(total).no_reserve_swap();
        let raw = MmapRaw::from(from_io(options.map_anon())?);
        let map = Map { guard: None, raw, page: page_size(), skip, reserved: true, len: AtomicUsize::new(0) };
        map.replace_pages(
            0,
            total.next_multiple_of(page_size()),
            None,
            ProtFlags::PROT_NONE,
            MapFlags::MAP_NORESERVE,
        )?;
        map.grow(file, request)?;
        Ok(map)
    }

    /// Maps more of the object, up to `request.len` bytes, into the address space that was kept for it. The caller sees to it
    /// that nobody uses the pages behind the present end.
    pub fn grow(&self, file: Option<BorrowedFd<'_>>, request: &Request) -> SysResult<()> {
        let (from, to) = (self.mapped_len(), self.pages(0, request.len).1);
        debug_assert!(request.len <= self.capacity());
        if !self.reserved {
            self.len.store(request.len, Ordering::Release);
            return Ok(());
        }
        let offset = request.offset - self.skip as u64 + from as u64;
        let mut flags = if request.private { MapFlags::MAP_PRIVATE } else { MapFlags::MAP_SHARED };
        if request.populate {
            flags |= MapFlags::MAP_POPULATE;
        }
        if request.no_reserve {
            flags |= MapFlags::MAP_NORESERVE;
        }
        let change = || {
            if to > from {
                let file = file.map(|file| (file, offset));
                self.replace_pages(from, to - from, file, request.protection, flags)?;
            }
            self.len.store(request.len, Ordering::Release);
            Ok(())
        };
        match &self.guard {
            Some(guard) => guard.resize(to, change),
            None => change(),
        }
    }

    /// Lets the pages behind the first `len` bytes go. Their addresses stay taken: a stale pointer reads zeros. The caller sees to it that nobody uses
    /// them.
    pub fn shrink(&self, len: usize) -> SysResult<()> {
        if !self.reserved {
            self.len.store(len, Ordering::Release);
            return Ok(());
        }
        let (from, to) = (self.pages(0, len).1, self.mapped_len());
        let change = || {
            if to > from {
                let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
                self.replace_pages(from, to - from, None, protection, MapFlags::MAP_NORESERVE)?;
            }
            self.len.store(len, Ordering::Release);
            Ok(())
        };
        match &self.guard {
            Some(guard) => guard.resize(from, change),
            None => change(),
        }
    }

    /// Puts other pages in place of `len` bytes of whole pages, `from` bytes after the first page.
    fn replace_pages(
        &self,
        from: usize,
        len: usize,
        file: Option<(BorrowedFd<'_>, u64)>,
        protection: ProtFlags,
        flags: MapFlags,
    ) -> SysResult<()> {
        let start = self.pages(0, 0).0.as_ptr().wrapping_add(from);
        let (start, len) = (NonZeroUsize::new(start.addr()), NonZeroUsize::new(len).ok_or(Errno::EINVAL)?);
        let flags = flags | MapFlags::MAP_FIXED;
        // SAFETY: whole pages of this map's own address space.
        unsafe {
            match file {
                Some((file, offset)) => {
                    let offset = i64::try_from(offset).map_err(|_| Errno::EOVERFLOW)?;
                    mman::mmap(start, len, protection, flags, file, offset)
                }
                None => mman::mmap_anonymous(start, len, protection, flags | MapFlags::MAP_PRIVATE),
            }
        }
        .map(drop)
    }

    /// Mends pages that the file loses from now on (see [`super::fault`]): `request` is what the map was made by, and asks for
    /// no huge pages.
    pub fn guard(&mut self, file: Option<Arc<ObjectFile>>, request: &Request) {
        let (start, len) = self.pages(0, self.len());
        let slack = (self.base().addr().get() - start.addr().get()) as u64;
        let range = (start.addr().get(), len);
        let guard = Guarded::new(range, file, request.offset - slack, request.protection, !request.private);
        self.guard = Some(guard);
    }

    /// The guard, if the map has one.
    #[inline]
    pub fn guarded(&self) -> Option<&Guarded> {
        self.guard.as_ref()
    }

    /// What happened to guarded pages.
    #[inline]
    pub fn damage(&self) -> Option<Damage> {
        self.guard.as_ref()?.damage()
    }

    /// The address of the first byte asked for.
    #[inline]
    pub fn base(&self) -> NonNull<u8> {
        // SAFETY: mmap never returns null here, and `skip` lies within the map.
        unsafe { NonNull::new_unchecked(self.raw.as_mut_ptr().wrapping_add(self.skip)) }
    }

    /// Number of bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// The most bytes that there is address space for.
    pub fn capacity(&self) -> usize {
        self.raw.len() - self.skip
    }

    /// Bytes of the pages that are mapped.
    fn mapped_len(&self) -> usize {
        match self.len() {
            _ if !self.reserved => self.pages(0, self.capacity()).1,
            0 => 0,
            len => self.pages(0, len).1,
        }
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
        unsafe { mman::mprotect(start.cast(), len, protection) }?;
        if let Some(guard) = &self.guard {
            let whole = (start, len) == self.pages(0, self.len());
            guard.set_protection(if whole { protection } else { guard.protection() | protection });
        }
        Ok(())
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

    /// mlock2(2) on the pages that hold the range; with `on_fault` each is locked when it is first touched. By number: the C
    /// library's function is newer than the oldest one our binaries run on.
    pub fn lock(&self, offset: usize, len: usize, on_fault: bool) -> SysResult<()> {
        let (start, len) = self.pages(offset, len);
        // Without flags, the older call does as well.
        let status = if on_fault {
            // SAFETY: locking changes neither content nor protection of this map's own pages.
            unsafe { libc::syscall(libc::SYS_mlock2, start.as_ptr(), len, MLOCK_ONFAULT) }
        } else {
            // SAFETY: as above.
            unsafe { libc::syscall(libc::SYS_mlock, start.as_ptr(), len) }
        };
        Errno::result(status).map(drop)
    }

    /// munlock(2) on the pages that hold the range. By number, as `lock`: sanitizers make the C library's functions do
    /// nothing.
    pub fn unlock(&self, offset: usize, len: usize) -> SysResult<()> {
        let (start, len) = self.pages(offset, len);
        // SAFETY: the pages belong to this map, and keep content and protection.
        Errno::result(unsafe { libc::syscall(libc::SYS_munlock, start.as_ptr(), len) }).map(drop)
    }

    /// Puts private zero pages in place of the object. The address range stays taken until the map is dropped, so that a
    /// stale pointer reads zeros instead of somebody else's memory.
    pub fn retire(&self) -> SysResult<()> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let len = self.mapped_len();
        self.replace_pages(0, len, None, protection, MapFlags::MAP_NORESERVE)?;
        // Afterwards: until the pages are there, somebody may still need one mended.
        if let Some(guard) = &self.guard {
            guard.retire();
        }
        Ok(())
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
        let pages = NonNull::new(again.cast()).map(|base| AliasPages { base, len }).ok_or(Errno::EFAULT)?;
        let range = (pages.base.addr().get(), len);
        let guarded =
            |guard: &Guarded| Guarded::new(range, guard.file(), guard.offset(), guard.protection(), true);
        Ok(Alias { _guard: self.guard.as_ref().map(guarded), pages })
    }

    /// Start and length of the whole pages around a range:
    ///
    /// ```text
    ///   page            page            page            page
    ///   |----base--------|--start···········end---------|
    ///                    ^ returned start               ^ returned end
    /// ```
    pub fn pages(&self, offset: usize, len: usize) -> (NonNull<u8>, usize) {
        debug_assert!(offset + len <= self.capacity());
        let page = self.page;
        let start = self.base().as_ptr().wrapping_add(offset);
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
