//! How to make a mapping.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::mman::MsFlags;

use super::huge::{self, HugePages};
use super::resize::Origin;
use super::{Advice, Mapping, MemoryLock, Protection, fault};
use crate::error::{Error, ErrorKind, Result};
use crate::segment::Segment;
use crate::sys::SysResult;
use crate::sys::file::{ObjectFile, Storage};
use crate::sys::map::{Map, Request};
use crate::sysv::SysvSegment;

/// Who sees what is written.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// Everybody who maps the object, and the file itself (mmap(2), `MAP_SHARED`). The default.
    #[default]
    Shared = 0,
    /// Only this mapping: a page is copied at its first write (`MAP_PRIVATE`).
    Private = 1,
}

/// How far a flush goes before it returns (msync(2)).
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flush {
    /// Hands the pages to the kernel's write-back and returns (`MS_ASYNC`). On Linux the kernel knows already.
    Async = 0,
    /// Returns when the pages are on the disk (`MS_SYNC`), and reports the device's errors.
    Sync = 1,
}

impl Flush {
    pub(crate) fn flags(self) -> MsFlags {
        match self {
            Flush::Async => MsFlags::MS_ASYNC,
            Flush::Sync => MsFlags::MS_SYNC,
        }
    }
}

/// Options for a [`Mapping`].
///
/// # Map a file, creating it
/// ```
/// use shmkit::{MapOptions, Protection};
///
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("data.bin");
/// let mapping = MapOptions::new().protection(Protection::ReadWrite).create(true).len(4096).map_path(&path)?;
/// mapping.write_at(0, b"Hi")?;
/// assert_eq!(&std::fs::read(&path).unwrap()[..2], b"Hi");
/// # Ok::<(), shmkit::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MapOptions {
    len: Option<usize>,
    offset: u64,
    protection: Protection,
    sharing: Sharing,
    populate: bool,
    no_reserve: bool,
    huge_pages: HugePages,
    lock_memory: Option<MemoryLock>,
    create: bool,
    grow: bool,
    mode: u32,
    reserve: usize,
    fault_guard: bool,
}

impl Default for MapOptions {
    fn default() -> MapOptions {
        MapOptions {
            len: None,
            offset: 0,
            protection: Protection::Read,
            sharing: Sharing::Shared,
            populate: false,
            no_reserve: false,
            huge_pages: HugePages::AsSystem,
            lock_memory: None,
            create: false,
            grow: false,
            mode: 0o644,
            reserve: 0,
            fault_guard: true,
        }
    }
}

impl MapOptions {
    /// The whole of an existing object, shared, for reading.
    pub fn new() -> MapOptions {
        MapOptions::default()
    }

    /// Number of bytes to map; without it, everything from the offset to the end.
    pub fn len(mut self, len: usize) -> MapOptions {
        self.len = Some(len);
        self
    }

    /// Where in the object the mapping begins, in bytes. Need not be aligned to a page.
    pub fn offset(mut self, offset: u64) -> MapOptions {
        self.offset = offset;
        self
    }

    /// What the pages allow.
    pub fn protection(mut self, protection: Protection) -> MapOptions {
        self.protection = protection;
        self
    }

    /// Who sees what is written.
    pub fn sharing(mut self, sharing: Sharing) -> MapOptions {
        self.sharing = sharing;
        self
    }

    /// Reads all pages in now instead of at first touch (`MAP_POPULATE`).
    pub fn populate(mut self, populate: bool) -> MapOptions {
        self.populate = populate;
        self
    }

    /// Takes no swap reservation for private pages (`MAP_NORESERVE`): a store may then find no memory.
    pub fn no_reserve(mut self, no_reserve: bool) -> MapOptions {
        self.no_reserve = no_reserve;
        self
    }

    /// Which pages it is made of.
    pub fn huge_pages(mut self, huge_pages: HugePages) -> MapOptions {
        self.huge_pages = huge_pages;
        self
    }

    /// Keeps all pages in memory from the start ([`Mapping::lock_memory`]).
    pub fn lock_memory(mut self, lock: MemoryLock) -> MapOptions {
        self.lock_memory = Some(lock);
        self
    }

    /// Creates the file when it is missing, and makes it long enough. Never truncates one that exists.
    pub fn create(mut self, create: bool) -> MapOptions {
        self.create = create;
        self
    }

    /// Makes the file longer when it ends before the range, with storage behind every byte (posix_fallocate(3)).
    pub fn grow(mut self, grow: bool) -> MapOptions {
        self.grow = grow;
        self
    }

    /// Permission bits for a file that `create` makes; the umask applies. Default 0644.
    pub fn mode(mut self, mode: u32) -> MapOptions {
        self.mode = mode;
        self
    }

    /// Keeps this many bytes of address space, so that [`Mapping::resize`] can make the mapping as long as that without
    /// moving it. Without it, a mapping can only shrink, and grow back.
    pub fn reserve(mut self, len: usize) -> MapOptions {
        self.reserve = len;
        self
    }

    /// Whether a file that is cut, or whose file system is full, may not kill this process (see [`Mapping::check`]). On by
    /// default, for what a file backs; off, such an access is a SIGBUS. [`crate::set_fault_guard`] turns it off for all.
    pub fn fault_guard(mut self, guard: bool) -> MapOptions {
        self.fault_guard = guard;
        self
    }

    /// Maps a file.
    ///
    /// Errors: `NotFound`, `PermissionDenied`, `InvalidLength` (length 0, or an empty file), `OutOfRange` (beyond the
    /// file's end without `grow`), `NoSpace`, `WrongKind` (a directory or device), `InvalidArgument`.
    pub fn map_path(&self, path: impl AsRef<Path>) -> Result<Mapping> {
        let path = path.as_ref();
        let object = path.to_string_lossy().into_owned();
        let fail = |errno: Errno| Error::from_errno(errno as i32, "map file", object.as_str());
        self.check(&object)?;
        let writable = self.needs_writable_file();
        let file = ObjectFile::open_file(path, writable, self.create.then_some(self.mode)).map_err(fail)?;
        self.map_object(&file, object)
    }

    /// Maps an open segment.
    pub fn map_segment(&self, segment: &Segment) -> Result<Mapping> {
        let object = segment.location().display().into_owned();
        self.check(&object)?;
        if self.needs_writable_file() && !segment.is_writable() {
            return Err(Error::new(ErrorKind::ReadOnly, "map segment", object));
        }
        if self.needs_writable_file() && segment.is_sealed_against_writing() {
            return Err(Error::new(ErrorKind::ReadOnly, "map segment", object)
                .with_detail("it is sealed against writing"));
        }
        self.map_object(segment.object(), object)
    }

    /// Maps a file that the caller opened; the descriptor may be closed afterwards.
    pub fn map_file(&self, file: impl AsFd) -> Result<Mapping> {
        let object = String::from("(descriptor)");
        self.check(&object)?;
        let file = ObjectFile::duplicate(file.as_fd())
            .map_err(|errno| Error::from_errno(errno as i32, "map file", object.as_str()))?;
        self.map_object(&file, object)
    }

    /// Attaches a System V segment (shmat(2)), whole: it takes no offset and no other length than its own, and is shared.
    ///
    /// Errors: `NotFound` (it was removed), `PermissionDenied`, `OutOfRange` (it is shorter), `InvalidArgument` (what it cannot
    /// have), `OutOfMemory`.
    pub fn map_sysv(&self, segment: &SysvSegment) -> Result<Mapping> {
        let operation = "map System V segment";
        let object = segment.label();
        let error = |kind| Error::new(kind, operation, object.as_str());
        let len = self.len.unwrap_or(segment.len());
        if len > segment.len() {
            return Err(error(ErrorKind::OutOfRange).with_detail(format!("{len} bytes of {}", segment.len())));
        }
        if len != segment.len()
            || self.offset != 0
            || self.create
            || self.grow
            || self.reserve != 0
            || self.sharing == Sharing::Private
            || self.huge_pages.reserved_size(operation)?.is_some()
        {
            return Err(error(ErrorKind::InvalidArgument).with_detail(
                "a System V segment is mapped whole, shared and as it was made: no offset, create, grow, reserve or huge pages",
            ));
        }
        let map =
            Map::of_sysv(segment.id(), &self.request(len, self.protection)).map_err(|errno| match errno {
                Errno::EINVAL | Errno::EIDRM => error(ErrorKind::NotFound).with_detail("it was removed"),
                errno => Error::from_errno(errno as i32, operation, object.as_str()),
            })?;
        let stores_allowed = self.protection.allows_write();
        self.settle(Mapping::new(map, self.protection, Sharing::Shared, stores_allowed, object), operation)
    }

    /// Maps memory that no file backs. Shared memory reaches children that are forked later; private memory is the
    /// process's own. It is for reading and writing unless another protection than [`Protection::Read`] was asked.
    ///
    /// Errors: `InvalidLength` (0, or no whole huge pages), `InvalidArgument`, `OutOfMemory` (too few huge pages are
    /// reserved; more is to be locked than the process may), `Unsupported` (huge pages of a size the system lacks).
    pub fn map_anonymous(&self) -> Result<Mapping> {
        let operation = "map memory";
        let fail = |errno: Errno| Error::from_errno(errno as i32, operation, "");
        let len = self.len.unwrap_or(0);
        if len == 0 || self.offset != 0 || self.create || self.grow {
            let kind = if len == 0 { ErrorKind::InvalidLength } else { ErrorKind::InvalidArgument };
            return Err(Error::new(kind, operation, "")
                .with_detail("memory without a file takes a length, and no offset, create or grow"));
        }
        let protection =
            if self.protection == Protection::None { self.protection } else { Protection::ReadWrite };
        let huge_page = self.huge_pages.reserved_size(operation)?;
        if let Some(page) = huge_page {
            huge::expect_whole(operation, "", len, page)?;
        }
        let request = Request { huge_page, ..self.request(len, protection) };
        request.check_reserve(operation, "")?;
        let made = match self.sharing {
            Sharing::Private => Map::anonymous(&request).map(|map| (map, None)),
            Sharing::Shared => shared_memory(&request).map(|(map, file)| (map, Some(file))),
        };
        let (map, file) = made.map_err(|errno| match huge_page {
            Some(page) => huge::refused(errno, operation, "", len, page),
            None => fail(errno),
        })?;
        let mut mapping = Mapping::new(map, protection, self.sharing, true, String::new());
        mapping.origin = Origin::memory(file.filter(|_| self.reserve > len).map(Arc::new), request);
        self.settle(mapping, operation)
    }

    /// Does to a new mapping what mmap(2) does not do.
    fn settle(&self, mapping: Mapping, operation: &'static str) -> Result<Mapping> {
        let about = |error: Error| error.about(operation, mapping.object());
        if let Some(advice) = self.huge_pages.advice() {
            mapping.madvise(operation, 0, mapping.len(), advice)?;
            if self.populate {
                // mmap(2) would have filled it with small pages before it heard the advice.
                let stores = self.sharing == Sharing::Private || mapping.object().is_empty();
                let writes = stores && mapping.is_writable();
                let how = if writes { Advice::PopulateWrite } else { Advice::PopulateRead };
                mapping.advise(.., how).map_err(about)?;
            }
        }
        if let Some(lock) = self.lock_memory {
            mapping.lock_memory(.., lock).map_err(about)?;
        }
        Ok(mapping)
    }

    /// Refuses what no file could satisfy, before one is opened or created.
    fn check(&self, object: &str) -> Result<()> {
        let end = self.offset.checked_add(self.len.unwrap_or(0) as u64);
        if self.len == Some(0) || end.is_none_or(|end| end > i64::MAX as u64) {
            return Err(Error::new(ErrorKind::InvalidLength, "map file", object).with_detail(format!(
                "{} bytes at offset {}",
                self.len.unwrap_or(0),
                self.offset
            )));
        }
        if (self.create || self.grow) && self.len.is_none() {
            return Err(Error::new(ErrorKind::InvalidArgument, "map file", object)
                .with_detail("create and grow need a length"));
        }
        Ok(())
    }

    fn needs_writable_file(&self) -> bool {
        let stores_reach_it = self.sharing == Sharing::Shared && self.protection.allows_write();
        stores_reach_it || self.create || self.grow
    }

    fn map_object(&self, file: &ObjectFile, object: String) -> Result<Mapping> {
        let fail = |errno: Errno| Error::from_errno(errno as i32, "map file", object.as_str());
        let size = file.size().map_err(fail)?;
        let len = self.len.unwrap_or(usize::try_from(size.saturating_sub(self.offset)).unwrap_or(0));
        if len == 0 {
            return Err(Error::new(ErrorKind::InvalidLength, "map file", object).with_detail(format!(
                "the file has {size} bytes, nothing is left at offset {}",
                self.offset
            )));
        }
        let end = self.offset + len as u64;
        if end > size {
            if !(self.create || self.grow) {
                return Err(Error::new(ErrorKind::OutOfRange, "map file", object).with_detail(format!(
                    "{len} bytes at offset {} of a file of {size}; or let it grow",
                    self.offset
                )));
            }
            file.reserve(end).map_err(|errno| fail(errno).with_detail(format!("{end} bytes")))?;
        }
        let storage = file.storage().map_err(fail)?;
        let huge_page = self.huge_page_of_file(storage, len, &object)?;
        let request = Request { huge_page, ..self.request(len, self.protection) };
        request.check_reserve("map file", &object)?;
        let mut map = Map::of_file(file.as_fd(), &request).map_err(|errno| match huge_page {
            Some(page) => huge::refused(errno, "map file", &object, len, page),
            None => fail(errno),
        })?;
        // Huge pages could only be replaced by such.
        let guarded = self.fault_guard && fault::is_enabled() && huge_page.is_none();
        // Without a descriptor to spare, the guard does what it can without one; who wants to resize cannot.
        let kept = match (guarded || self.reserve > len).then(|| ObjectFile::duplicate(file.as_fd())) {
            Some(Err(errno)) if self.reserve > len => return Err(fail(errno)),
            kept => kept.and_then(std::result::Result::ok).map(Arc::new),
        };
        if guarded {
            map.guard(kept.clone(), &request);
        }
        let stores_allowed = self.sharing == Sharing::Private || self.needs_writable_file();
        let mut mapping = Mapping::new(map, self.protection, self.sharing, stores_allowed, object);
        mapping.persistent = storage == Storage::Device && self.sharing == Sharing::Shared;
        mapping.origin = Origin::file(kept, request, self.create || self.grow);
        self.settle(mapping, "map file")
    }

    /// A file has huge pages because its file system does, and never because a mapping asks for them.
    fn huge_page_of_file(&self, storage: Storage, len: usize, object: &str) -> Result<Option<usize>> {
        let asked =
            self.huge_pages.reserved_size("map file").map_err(|error| error.about("map file", object))?;
        match storage {
            Storage::HugePages(page) if asked.is_none_or(|asked| asked == page) => {
                huge::expect_whole("map file", object, len, page).map(|()| Some(page))
            }
            _ if asked.is_none() => Ok(None),
            _ => Err(Error::new(ErrorKind::InvalidArgument, "map file", object)
                .with_detail("a file has the pages of its file system: mount a hugetlbfs of that size")),
        }
    }

    fn request(&self, len: usize, protection: Protection) -> Request {
        Request {
            offset: self.offset,
            len,
            private: self.sharing == Sharing::Private,
            protection: protection.flags(),
            populate: self.populate && self.huge_pages.advice().is_none(),
            no_reserve: self.no_reserve,
            huge_page: None,
            reserve: self.reserve,
        }
    }
}

/// Memory that children inherit, as a file without a name.
fn shared_memory(request: &Request) -> SysResult<(Map, ObjectFile)> {
    let memory = match request.huge_page {
        Some(page) => ObjectFile::huge_memfd(c"shmkit-anonymous", page)?,
        None => ObjectFile::memfd(c"shmkit-anonymous", false)?,
    };
    memory.set_len(request.len as u64)?;
    Map::of_file(memory.as_fd(), request).map(|map| (map, memory))
}

impl Request {
    /// Refuses address space that cannot be kept.
    fn check_reserve(&self, operation: &'static str, object: &str) -> Result<()> {
        let error = |kind, text| Err(Error::new(kind, operation, object).with_detail(text));
        match self.reserve {
            0 => Ok(()),
            _ if self.huge_page.is_some() => {
                error(ErrorKind::InvalidArgument, "huge pages cannot be resized".to_owned())
            }
            reserve if reserve > 1 << 47 => {
                error(ErrorKind::InvalidLength, format!("address space of {reserve} bytes"))
            }
            _ => Ok(()),
        }
    }
}
