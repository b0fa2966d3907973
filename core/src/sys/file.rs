//! Files and shared memory objects: opened without following links, created without a name, given one when whole.

use std::fs::File;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::sys::stat::Mode;
use nix::sys::statfs::FsType;

use super::SysResult;
use super::map::from_io;

/// Device and inode: which object this is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
}

impl FileId {
    /// Device and inode.
    pub fn numbers(self) -> (u64, u64) {
        (self.device, self.inode)
    }
}

/// statfs(2), linux/magic.h: nix has no name for it.
const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);

/// Where the bytes of an object are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// A file system that outlives the machine's power.
    Device,
    /// Memory alone (tmpfs, ramfs): a flush has nowhere to go.
    Memory,
    /// Huge pages of this size (hugetlbfs), in memory alone.
    HugePages(usize),
}

/// An open object. Closing it spares a descriptor that somebody else closed and reused for another file, as programs
/// do that close "all" descriptors.
pub struct ObjectFile {
    file: ManuallyDrop<File>,
    id: FileId,
}

impl Drop for ObjectFile {
    fn drop(&mut self) {
        if self.is_intact() {
            // SAFETY: dropped once, here, and not used after.
            unsafe { ManuallyDrop::drop(&mut self.file) };
        }
    }
}

impl AsFd for ObjectFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl ObjectFile {
    fn new(fd: OwnedFd) -> SysResult<ObjectFile> {
        let file = File::from(fd);
        let meta = from_io(file.metadata())?;
        if !meta.is_file() {
            return Err(Errno::EISDIR);
        }
        let id = FileId { device: meta.dev(), inode: meta.ino() };
        Ok(ObjectFile { file: ManuallyDrop::new(file), id })
    }

    /// Opens an existing object. `O_NONBLOCK`: a FIFO in its place must not hang us before we see that it is one.
    pub fn open(path: &Path, writable: bool) -> SysResult<ObjectFile> {
        let access = if writable { OFlag::O_RDWR } else { OFlag::O_RDONLY };
        let flags = access | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        Self::new(nix::fcntl::open(path, flags, Mode::empty())?)
    }

    /// Opens a file for mapping, creating it with `mode` (less the umask) when `create` says so. Never truncates.
    pub fn open_file(path: &Path, writable: bool, create: Option<u32>) -> SysResult<ObjectFile> {
        let access = if writable { OFlag::O_RDWR } else { OFlag::O_RDONLY };
        let create_flag = if create.is_some() { OFlag::O_CREAT } else { OFlag::empty() };
        let flags = access | create_flag | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        Self::new(nix::fcntl::open(path, flags, Mode::from_bits_truncate(create.unwrap_or(0)))?)
    }

    /// A file that has no name yet, in the directory of `path`; [`ObjectFile::publish`] gives it one. A creator that
    /// dies before that leaves nothing behind, because the kernel frees a file without a name (open(2), `O_TMPFILE`).
    pub fn create_unnamed(path: &Path, mode: u32, group: Option<u32>) -> SysResult<ObjectFile> {
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(mode);
        let created = Self::new(nix::fcntl::open(&directory_of(path), flags, mode)?)?;
        if let Some(group) = group {
            nix::unistd::fchown(&created, None, Some(nix::unistd::Gid::from_raw(group)))?;
        }
        // The mode asked for is the mode given: a umask of 022 must not quietly lock a group out.
        nix::sys::stat::fchmod(&created, mode)?;
        Ok(created)
    }

    /// Memory with a descriptor and no name (memfd_create(2)), which can be sealed. Nothing in it can be executed unless
    /// `executable` says so; a kernel that does not know the difference yet (before 6.3) is not told of it.
    pub fn memfd(label: &std::ffi::CStr, executable: bool) -> SysResult<ObjectFile> {
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        let execution = if executable { libc::MFD_EXEC } else { libc::MFD_NOEXEC_SEAL };
        let fd = memfd_create(label, flags | execution).or_else(|errno| match errno {
            Errno::EINVAL => memfd_create(label, flags),
            errno => Err(errno),
        });
        Self::new(fd?)
    }

    /// Forbids for ever what the `F_SEAL_` bits say (fcntl(2), `F_ADD_SEALS`).
    pub fn add_seals(&self, seals: i32) -> SysResult<()> {
        let seals = nix::fcntl::SealFlag::from_bits_retain(seals);
        nix::fcntl::fcntl(self, nix::fcntl::FcntlArg::F_ADD_SEALS(seals)).map(drop)
    }

    /// The `F_SEAL_` bits that are set; EINVAL for what cannot have any.
    pub fn seals(&self) -> SysResult<i32> {
        nix::fcntl::fcntl(self, nix::fcntl::FcntlArg::F_GET_SEALS)
    }

    /// Whether the descriptor was opened for reading and writing, as a shared mapping that stores needs.
    pub fn is_open_for_writing(&self) -> SysResult<bool> {
        let flags = nix::fcntl::fcntl(self, nix::fcntl::FcntlArg::F_GETFL)?;
        Ok(flags & libc::O_ACCMODE == libc::O_RDWR)
    }

    /// Sets the permission bits.
    pub fn set_mode(&self, mode: u32) -> SysResult<()> {
        nix::sys::stat::fchmod(self, Mode::from_bits_truncate(mode))
    }

    /// A second descriptor of the same open file description, for somebody else to keep.
    pub fn to_owned_fd(&self) -> SysResult<OwnedFd> {
        from_io(self.file.as_fd().try_clone_to_owned())
    }

    /// As [`ObjectFile::memfd`], of huge pages of this size that were reserved for such use (`MFD_HUGETLB`).
    pub fn huge_memfd(label: &std::ffi::CStr, page: usize) -> SysResult<ObjectFile> {
        let flags = libc::MFD_CLOEXEC | libc::MFD_HUGETLB | page.ilog2() << libc::MAP_HUGE_SHIFT;
        Self::new(memfd_create(label, flags)?)
    }

    /// What keeps the bytes.
    pub fn storage(&self) -> SysResult<Storage> {
        let stat = nix::sys::statfs::fstatfs(self)?;
        let kind = stat.filesystem_type();
        let memory = [nix::sys::statfs::TMPFS_MAGIC, RAMFS_MAGIC];
        Ok(match kind {
            nix::sys::statfs::HUGETLBFS_MAGIC => {
                Storage::HugePages(usize::try_from(stat.block_size()).map_err(|_| Errno::EINVAL)?)
            }
            kind if memory.contains(&kind) => Storage::Memory,
            _ => Storage::Device,
        })
    }

    /// An object that somebody else opened: its descriptor is duplicated.
    pub fn duplicate(fd: BorrowedFd<'_>) -> SysResult<ObjectFile> {
        Self::new(from_io(fd.try_clone_to_owned())?)
    }

    /// An object whose descriptor came from elsewhere and is ours now.
    pub fn received(fd: OwnedFd) -> SysResult<ObjectFile> {
        Self::new(fd)
    }

    /// Gives an unnamed object its name; fails with EEXIST when the name is taken.
    pub fn publish(&self, path: &Path) -> SysResult<()> {
        nix::unistd::linkat(AT_FDCWD, &self.proc_path()[..], AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW)
    }

    /// A second open file description of the same object, through /proc or, without it, by `name`.
    pub fn reopen(&self, name: Option<&Path>) -> SysResult<ObjectFile> {
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let through_proc = nix::fcntl::open(&self.proc_path()[..], flags, Mode::empty()).and_then(Self::new);
        let by_name = |_| Self::open(name.ok_or(Errno::ENOENT)?, true);
        let is_same = |other: ObjectFile| if other.id == self.id { Ok(other) } else { Err(Errno::ESTALE) };
        through_proc.and_then(is_same).or_else(|errno| by_name(errno).and_then(is_same))
    }

    /// Makes the file `len` bytes long with every byte backed by storage, so that no later store finds the file system
    /// full (which would be a SIGBUS). Never shortens it.
    pub fn reserve(&self, len: u64) -> SysResult<()> {
        let total = i64::try_from(len).map_err(|_| Errno::EFBIG)?;
        let have = self.size()?;
        if have < len {
            self.expect_space(len - have)?;
        }
        self.allocate(0, total).inspect_err(|_| {
            // Give back what the earlier steps took; the file was ours alone if it had nothing.
            if have == 0 {
                let _ = nix::unistd::ftruncate(self, 0);
            }
        })
    }

    /// Makes the file `to` bytes long, with storage behind every byte from `from` on. Never shortens it; what a failure
    /// leaves allocated are holes again.
    pub fn reserve_range(&self, from: u64, to: u64) -> SysResult<()> {
        let (start, end) = (i64::try_from(from), i64::try_from(to));
        let (Ok(start), Ok(end)) = (start, end) else { return Err(Errno::EFBIG) };
        self.expect_space(to.saturating_sub(from))?;
        self.allocate(start, end).inspect_err(|_| {
            let _ = self.punch(from, to - from);
        })
    }

    /// posix_fallocate(3) in steps: the kernel starts a step again when a signal comes, and on a large one a steady timer
    /// would never let it finish.
    fn allocate(&self, from: i64, to: i64) -> SysResult<()> {
        const STEP: i64 = 64 << 20;
        let mut done = from;
        while done < to {
            let step = STEP.min(to - done);
            match nix::fcntl::posix_fallocate(self, done, step) {
                Ok(()) => done += step,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Makes a range of whole pages a hole, which reads as zeros; the length stays (fallocate(2), `FALLOC_FL_PUNCH_HOLE`).
    pub fn punch(&self, from: u64, len: u64) -> SysResult<()> {
        use nix::fcntl::FallocateFlags as Flags;
        let (Ok(from), Ok(len)) = (i64::try_from(from), i64::try_from(len)) else { return Err(Errno::EFBIG) };
        let flags = Flags::FALLOC_FL_PUNCH_HOLE | Flags::FALLOC_FL_KEEP_SIZE;
        loop {
            match nix::fcntl::fallocate(self, flags, from, len) {
                Err(Errno::EINTR) => {}
                result => return result,
            }
        }
    }

    /// Asks before taking: filling a memory file system to the brim just to find out would bring the machine down.
    fn expect_space(&self, len: u64) -> SysResult<()> {
        let stat = nix::sys::statvfs::fstatvfs(self)?;
        let available = stat.blocks_available().saturating_mul(stat.fragment_size());
        if stat.blocks() > 0 && len > available { Err(Errno::ENOSPC) } else { Ok(()) }
    }

    /// The descriptor's number, for whoever may use it while `self` lives only.
    pub fn number(&self) -> i32 {
        self.file.as_raw_fd()
    }

    /// Device and inode.
    pub fn id(&self) -> FileId {
        self.id
    }

    /// Length in bytes, now.
    pub fn size(&self) -> SysResult<u64> {
        from_io(self.file.metadata()).map(|meta| meta.len())
    }

    /// Whether the descriptor still is the object that was opened.
    pub fn is_intact(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| FileId { device: meta.dev(), inode: meta.ino() } == self.id)
    }

    /// Reads without mapping, so that a file that is cut meanwhile gives a short count and not a signal.
    pub fn read_at(&self, offset: u64, into: &mut [u8]) -> SysResult<usize> {
        from_io(self.file.read_at(into, offset))
    }

    /// As [`ObjectFile::read_at`], all of it.
    pub fn read_exact_at(&self, offset: u64, into: &mut [u8]) -> SysResult<()> {
        from_io(self.file.read_exact_at(into, offset))
    }

    /// Writes without mapping.
    pub fn write_all_at(&self, offset: u64, from: &[u8]) -> SysResult<()> {
        from_io(self.file.write_all_at(from, offset))
    }

    /// Sets the length without reserving storage: for memory whose pages come when they are touched.
    pub fn set_len(&self, len: u64) -> SysResult<()> {
        from_io(self.file.set_len(len))
    }

    /// Carries the file's bytes to the disk.
    pub fn sync(&self) -> SysResult<()> {
        from_io(self.file.sync_all())
    }

    /// Carries the file's bytes to the disk, and of its metadata what is needed to read them.
    pub fn sync_data(&self) -> SysResult<()> {
        from_io(self.file.sync_data())
    }

    /// Starts carrying the file's bytes to the disk (sync_file_range(2)), where there is one.
    pub fn start_writing(&self) -> SysResult<()> {
        // SAFETY: the call takes a descriptor and numbers.
        let status =
            unsafe { libc::sync_file_range(self.file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
        match Errno::result(status) {
            // A file system without write-back has nothing to start.
            Err(Errno::EINVAL | Errno::ESPIPE | Errno::ENOSYS) => Ok(()),
            started => started.map(drop),
        }
    }

    fn proc_path(&self) -> Vec<u8> {
        format!("/proc/self/fd/{}", self.file.as_raw_fd()).into_bytes()
    }
}

/// Called by number: the C library's function is newer than the oldest one our binaries run on.
fn memfd_create(label: &std::ffi::CStr, flags: u32) -> SysResult<OwnedFd> {
    // SAFETY: the label is a C string that outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_memfd_create, label.as_ptr(), flags) };
    let fd = Errno::result(fd)? as i32;
    // SAFETY: the kernel just gave us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The directory that holds `path`.
fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Carries the names in the directory of `path` to the disk.
pub fn sync_directory_of(path: &Path) -> SysResult<()> {
    from_io(File::open(directory_of(path)).and_then(|directory| directory.sync_all()))
}

/// Makes a directory with this mode, exactly.
pub fn make_directory(path: &Path, mode: u32) -> SysResult<()> {
    let mode = Mode::from_bits_truncate(mode);
    nix::unistd::mkdir(path, mode)?;
    // The umask may have taken bits away.
    from_io(std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode.bits())))
}

/// Permission bits and group id of a file.
pub fn mode_and_group(path: &Path) -> SysResult<(u32, u32)> {
    let meta = from_io(path.symlink_metadata())?;
    Ok((meta.mode() & 0o777, meta.gid()))
}

/// Removes a name; the object goes with its last user.
pub fn unlink(path: &Path) -> SysResult<()> {
    nix::unistd::unlink(path)
}

/// What follows `prefix` in the names of a directory, in order.
pub fn names_with_prefix(directory: &Path, prefix: &str) -> SysResult<Vec<String>> {
    let entries = from_io(std::fs::read_dir(directory))?;
    let strip = |name: std::ffi::OsString| Some(name.to_str()?.strip_prefix(prefix)?.to_owned());
    let mut names: Vec<String> = entries.filter_map(|entry| strip(entry.ok()?.file_name())).collect();
    names.sort();
    Ok(names)
}
