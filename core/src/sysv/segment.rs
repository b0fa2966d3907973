//! [`SysvSegment`]: shared memory by key (shmget(2)).

use nix::errno::Errno;

use super::{SYSV_PRIVATE, check_key, check_mode, error_of, label, open_or_create};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::sysv;

/// How a new segment is made.
#[derive(Clone, Debug)]
pub struct SysvSegmentOptions {
    mode: u32,
}

impl Default for SysvSegmentOptions {
    fn default() -> SysvSegmentOptions {
        SysvSegmentOptions { mode: 0o600 }
    }
}

const CREATE: &str = "create System V segment";
const OPEN: &str = "open System V segment";

impl SysvSegmentOptions {
    /// Mode 0600.
    pub fn new() -> SysvSegmentOptions {
        SysvSegmentOptions::default()
    }

    /// Permission bits of the new segment.
    pub fn mode(mut self, mode: u32) -> SysvSegmentOptions {
        self.mode = mode;
        self
    }

    /// Creates a segment of `len` zeros; [`SYSV_PRIVATE`] as the key gives it none.
    ///
    /// Errors: `AlreadyExists`, `InvalidLength`, `InvalidArgument` (the mode), `NoSpace` (a limit of the system),
    /// `OutOfMemory`.
    pub fn create(&self, key: i32, len: usize) -> Result<SysvSegment> {
        let object = label(key, None);
        check_mode(self.mode, CREATE, &object)?;
        let refuse = || Error::new(ErrorKind::InvalidLength, CREATE, object.as_str());
        if len == 0 {
            return Err(refuse().with_detail("0 bytes"));
        }
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | self.mode as i32;
        let id = sysv::segment_get(key, len, flags).map_err(|errno| match errno {
            Errno::EINVAL => refuse().with_detail(format!("{len} bytes, beyond the system's limit (shmmax)")),
            errno => Error::from_errno(errno as i32, CREATE, object.as_str()),
        })?;
        Ok(SysvSegment { id, key, len })
    }

    /// Opens the segment of this key, or creates it.
    ///
    /// Errors: `SizeMismatch` when it exists with another length; those of [`SysvSegment::open`] and
    /// [`SysvSegmentOptions::create`].
    pub fn open_or_create(&self, key: i32, len: usize) -> Result<SysvSegment> {
        let operation = "open or create System V segment";
        check_key(key, operation)?;
        let segment = open_or_create(operation, key, || SysvSegment::open(key), || self.create(key, len))?;
        if segment.len() != len {
            return Err(Error::new(ErrorKind::SizeMismatch, operation, label(key, None))
                .with_detail(format!("{} bytes, {len} asked", segment.len())));
        }
        Ok(segment)
    }
}

/// A System V shared memory segment: an id, nothing that must be closed. [`crate::MapOptions::map_sysv`] attaches it.
///
/// ```
/// use shmkit::{MapOptions, Protection, SYSV_PRIVATE, SysvSegment};
///
/// let segment = SysvSegment::create(SYSV_PRIVATE, 4096)?;
/// let mapping = MapOptions::new().protection(Protection::ReadWrite).map_sysv(&segment)?;
/// mapping.write_at(0, b"Hi")?;
/// assert_eq!(segment.status()?.attached, 1);
/// segment.remove()?; // the memory goes when the last who has it attached is gone
/// # Ok::<(), shmkit::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SysvSegment {
    id: i32,
    key: i32,
    len: usize,
}

/// What the kernel knows of a segment (shmctl(2)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SysvSegmentStatus {
    /// Key; [`SYSV_PRIVATE`] for none, also once it was removed.
    pub key: i32,
    /// Number of bytes.
    pub len: u64,
    /// How many mappings there are, in all processes.
    pub attached: u64,
    /// Permission bits.
    pub mode: u32,
    /// User id of the owner.
    pub owner: u32,
    /// Group id of the owner.
    pub group: u32,
    /// Process that created it.
    pub creator_pid: i32,
    /// Process that attached or detached last; 0 for none yet.
    pub last_pid: i32,
    /// Whether it was removed, and goes with its last mapping.
    pub removed: bool,
}

impl SysvSegment {
    /// Creates a segment with mode 0600: [`SysvSegmentOptions::create`].
    pub fn create(key: i32, len: usize) -> Result<SysvSegment> {
        SysvSegmentOptions::new().create(key, len)
    }

    /// Opens the segment of this key, whoever made it.
    ///
    /// Errors: `NotFound`, `PermissionDenied`, `InvalidArgument` ([`SYSV_PRIVATE`]).
    pub fn open(key: i32) -> Result<SysvSegment> {
        check_key(key, OPEN)?;
        let object = label(key, None);
        let id = sysv::segment_get(key, 0, 0)
            .map_err(|errno| Error::from_errno(errno as i32, OPEN, object.as_str()))?;
        Self::of_id(id, key, &object)
    }

    /// Opens the segment of this key, or creates it with mode 0600: [`SysvSegmentOptions::open_or_create`].
    pub fn open_or_create(key: i32, len: usize) -> Result<SysvSegment> {
        SysvSegmentOptions::new().open_or_create(key, len)
    }

    /// Opens a segment by the id that another process has of it.
    ///
    /// Errors: `NotFound`, `PermissionDenied`.
    pub fn from_id(id: i32) -> Result<SysvSegment> {
        Self::of_id(id, SYSV_PRIVATE, &label(SYSV_PRIVATE, Some(id)))
    }

    fn of_id(id: i32, key: i32, object: &str) -> Result<SysvSegment> {
        let stat = sysv::segment_stat(id).map_err(|errno| error_of(errno, OPEN, object))?;
        let key = if key == SYSV_PRIVATE { stat.shm_perm.__key } else { key };
        Ok(SysvSegment { id, key, len: stat.shm_segsz })
    }

    /// The kernel's number for it, which another process can open.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// The key it was made or opened with; [`SYSV_PRIVATE`] for none.
    pub fn key(&self) -> i32 {
        self.key
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never true: a segment has at least one byte.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// What messages call it.
    pub fn label(&self) -> String {
        label(self.key, Some(self.id))
    }

    /// What the kernel knows of it. Errors: `NotFound` (it is gone), `PermissionDenied`.
    pub fn status(&self) -> Result<SysvSegmentStatus> {
        let stat = sysv::segment_stat(self.id)
            .map_err(|errno| error_of(errno, "inspect System V segment", &self.label()))?;
        const SHM_DEST: u32 = 0o1000;
        let mode = u32::from(stat.shm_perm.mode);
        Ok(SysvSegmentStatus {
            key: stat.shm_perm.__key,
            len: stat.shm_segsz as u64,
            attached: stat.shm_nattch,
            mode: mode & 0o777,
            owner: stat.shm_perm.uid,
            group: stat.shm_perm.gid,
            creator_pid: stat.shm_cpid,
            last_pid: stat.shm_lpid,
            removed: mode & SHM_DEST != 0,
        })
    }

    /// Removes it: its key is free at once, its memory goes with the last mapping.
    ///
    /// Errors: `NotFound` (it is gone), `PermissionDenied` (neither owner nor creator).
    pub fn remove(&self) -> Result<()> {
        sysv::segment_remove(self.id)
            .map_err(|errno| error_of(errno, "remove System V segment", &self.label()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::fresh_key;
    use super::*;
    use crate::{MapOptions, Protection, Sharing};

    #[test]
    fn a_segment_lives_from_create_to_remove() {
        let key = fresh_key();
        assert_eq!(SysvSegment::open(key).unwrap_err().kind(), ErrorKind::NotFound);
        let segment = SysvSegmentOptions::new().mode(0o640).create(key, 5000).unwrap();
        assert_eq!(SysvSegment::create(key, 5000).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(SysvSegment::open_or_create(key, 5000).unwrap(), segment);
        assert_eq!(SysvSegment::open_or_create(key, 4999).unwrap_err().kind(), ErrorKind::SizeMismatch);
        assert_eq!(SysvSegment::from_id(segment.id()).unwrap(), segment);
        let status = segment.status().unwrap();
        assert_eq!((status.key, status.len, status.mode, status.attached), (key, 5000, 0o640, 0));
        assert_eq!(status.creator_pid, std::process::id() as i32);

        let writable = MapOptions::new().protection(Protection::ReadWrite);
        let mapping = writable.map_sysv(&segment).unwrap();
        mapping.write_at(4998, b"Hi").unwrap();
        let reader = MapOptions::new().map_sysv(&SysvSegment::open(key).unwrap()).unwrap();
        assert_eq!(reader.len(), 5000);
        assert_eq!(segment.status().unwrap().attached, 2);
        let mut bytes = [0; 2];
        reader.read_at(4998, &mut bytes).unwrap();
        assert_eq!(&bytes, b"Hi");
        assert_eq!(reader.write_at(0, b"x").unwrap_err().kind(), ErrorKind::ReadOnly);
        assert_eq!(reader.protect(.., Protection::ReadWrite).unwrap_err().kind(), ErrorKind::ReadOnly);

        segment.remove().unwrap();
        assert_eq!(SysvSegment::open(key).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(segment.status().unwrap().removed);
        mapping.close().unwrap();
        assert_eq!(segment.status().unwrap().attached, 1, "a closed mapping is detached");
        reader.read_at(4998, &mut bytes).unwrap();
        drop(reader);
        assert_eq!(segment.status().unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(segment.remove().unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(writable.map_sysv(&segment).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn what_cannot_be_mapped_is_told() {
        let segment = SysvSegment::create(SYSV_PRIVATE, 100).unwrap();
        let kind = |options: MapOptions| options.map_sysv(&segment).unwrap_err().kind();
        assert_eq!(kind(MapOptions::new().offset(1)), ErrorKind::InvalidArgument);
        assert_eq!(kind(MapOptions::new().len(99)), ErrorKind::InvalidArgument);
        assert_eq!(kind(MapOptions::new().len(101)), ErrorKind::OutOfRange);
        assert_eq!(kind(MapOptions::new().sharing(Sharing::Private)), ErrorKind::InvalidArgument);
        assert_eq!(kind(MapOptions::new().len(100).create(true)), ErrorKind::InvalidArgument);
        let none = MapOptions::new().len(100).protection(Protection::None).populate(true);
        let mapping = none.map_sysv(&segment).unwrap();
        assert_eq!(mapping.read_at(0, &mut [0]).unwrap_err().kind(), ErrorKind::PermissionDenied);
        mapping.protect(.., Protection::Read).unwrap();
        mapping.read_at(0, &mut [0]).unwrap();
        segment.remove().unwrap();
        for (outcome, expected) in [
            (SysvSegment::create(SYSV_PRIVATE, 0), ErrorKind::InvalidLength),
            (SysvSegment::create(SYSV_PRIVATE, usize::MAX), ErrorKind::InvalidLength),
            (SysvSegment::open(SYSV_PRIVATE), ErrorKind::InvalidArgument),
            (SysvSegment::from_id(-1), ErrorKind::NotFound),
            (SysvSegmentOptions::new().mode(0o1000).create(SYSV_PRIVATE, 1), ErrorKind::InvalidArgument),
        ] {
            assert_eq!(outcome.unwrap_err().kind(), expected);
        }
    }
}
