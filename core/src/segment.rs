//! A [`Segment`] is the thing that is mapped: a POSIX shared memory object, a file, or memory that only its descriptor
//! names.
//!
//! Invariants:
//! - Creating is exclusive and whole: the object gets its name by one `linkat` when its size is set and every byte is
//!   backed by storage. There is no moment in which an opener sees a shorter one, and a creator that dies leaves none.
//! - Opening never creates, truncates or removes. Only [`Segment::unlink`] removes a name, and nothing but that.

mod passing;
mod seals;

use std::borrow::Cow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::layout;
use crate::sys::file::{self, ObjectFile};

pub use seals::Seals;

/// Where an object lives: a name makes it a POSIX shared memory object, a path makes it a file.
///
/// A `&str` or `String` is a name, a `&Path` or `PathBuf` a path:
///
/// ```
/// use shmkit::Location;
/// use std::path::Path;
///
/// assert_eq!(Location::from("frames"), Location::Name("frames".into()));
/// assert_eq!(Location::from(Path::new("frames")), Location::Path("frames".into()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// A POSIX shared memory object: `[A-Za-z0-9._-]`, 1 to 200 bytes. It lives until it is unlinked or the machine stops.
    Name(String),
    /// A file: as durable as its file system.
    Path(PathBuf),
    /// No name: only a descriptor leads to it.
    Unnamed,
}

impl From<&str> for Location {
    fn from(name: &str) -> Location {
        Location::Name(name.to_owned())
    }
}

impl From<String> for Location {
    fn from(name: String) -> Location {
        Location::Name(name)
    }
}

impl From<&String> for Location {
    fn from(name: &String) -> Location {
        Location::Name(name.clone())
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Location {
        Location::Path(path.to_owned())
    }
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Location {
        Location::Path(path)
    }
}

impl From<&Location> for Location {
    fn from(location: &Location) -> Location {
        location.clone()
    }
}

impl Location {
    /// The path behind the location, or why there can be none.
    pub(crate) fn path(&self, operation: &'static str) -> Result<PathBuf> {
        match self {
            Location::Name(name) => {
                check_name(name, operation)?;
                Ok(Path::new(layout::SHM_DIRECTORY).join(format!("{}{name}", layout::SHM_PREFIX)))
            }
            Location::Path(path) if path.as_os_str().is_empty() => {
                Err(Error::new(ErrorKind::InvalidName, operation, "").with_detail("the path is empty"))
            }
            Location::Path(path) => Ok(path.clone()),
            Location::Unnamed => {
                Err(Error::new(ErrorKind::InvalidName, operation, "").with_detail("no name was given"))
            }
        }
    }

    /// What messages call it.
    pub fn display(&self) -> Cow<'_, str> {
        match self {
            Location::Name(name) => Cow::Borrowed(name),
            Location::Path(path) => path.to_string_lossy(),
            Location::Unnamed => Cow::Borrowed(""),
        }
    }
}

pub(crate) fn check_name(name: &str, operation: &'static str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() || name.len() > layout::MAX_NAME_LEN || !name.bytes().all(allowed) {
        let shown = name.escape_default().take(64).collect::<String>();
        return Err(
            Error::new(ErrorKind::InvalidName, operation, shown).with_detail(format!("{} bytes", name.len()))
        );
    }
    Ok(())
}

/// What a new object looks like to the file system.
#[derive(Clone, Debug)]
pub struct SegmentOptions {
    mode: u32,
    group: Option<u32>,
}

impl Default for SegmentOptions {
    fn default() -> SegmentOptions {
        SegmentOptions { mode: 0o600, group: None }
    }
}

impl SegmentOptions {
    /// Mode 0600, the creator's group.
    pub fn new() -> SegmentOptions {
        SegmentOptions::default()
    }

    /// Permission bits of the new object, exactly: the umask does not apply.
    pub fn mode(mut self, mode: u32) -> SegmentOptions {
        self.mode = mode;
        self
    }

    /// Group id of the new object.
    pub fn group(mut self, group: u32) -> SegmentOptions {
        self.group = Some(group);
        self
    }

    /// Creates the object with `len` bytes of zeros, all of them backed by storage.
    ///
    /// Errors: `AlreadyExists`, `InvalidName`, `InvalidLength` (0, or beyond 2^63), `NoSpace`, `PermissionDenied`.
    pub fn create(&self, location: impl Into<Location>, len: u64) -> Result<Segment> {
        let segment = self.build("create segment", location.into(), len)?;
        segment.publish("create segment")?;
        Ok(segment)
    }

    /// The object, complete but for its name. One that is never to have a name is a memfd.
    pub(crate) fn build(&self, operation: &'static str, location: Location, len: u64) -> Result<Segment> {
        if location == Location::Unnamed {
            return self.build_unnamed(operation, len);
        }
        let path = location.path(operation)?;
        check_len(operation, &location, len)?;
        let fail = |errno: nix::errno::Errno| Error::from_errno(errno as i32, operation, location.display());
        if self.mode & !0o777 != 0 {
            return Err(Error::new(ErrorKind::InvalidArgument, operation, location.display())
                .with_detail(format!("mode {:o} has bits beyond 777", self.mode)));
        }
        // Not the proof (linkat is), but it spares the work and a full file system's error when the name is taken.
        if path.symlink_metadata().is_ok() {
            return Err(fail(nix::errno::Errno::EEXIST));
        }
        let object = ObjectFile::create_unnamed(&path, self.mode, self.group).map_err(fail)?;
        object.reserve(len).map_err(|errno| fail(errno).with_detail(format!("{len} bytes")))?;
        Ok(Segment { object, location, path: Some(path), writable: true })
    }

    fn build_unnamed(&self, operation: &'static str, len: u64) -> Result<Segment> {
        let segment = Segment::new_memfd(operation, "shmkit-region", len)?;
        segment.object.set_mode(self.mode & 0o777).map_err(|errno| segment.fail(operation, errno))?;
        // Nobody who gets the descriptor may cut the file under those who have it mapped.
        segment.seal(Seals::SHRINK)?;
        Ok(segment)
    }
}

fn check_len(operation: &'static str, location: &Location, len: u64) -> Result<()> {
    // Half of a 48-bit address space: no process could map more, and sums below stay far from overflow.
    if len == 0 || len > 1 << 47 {
        return Err(Error::new(ErrorKind::InvalidLength, operation, location.display())
            .with_detail(format!("{len} bytes")));
    }
    Ok(())
}

/// An open object that can be mapped.
///
/// Closing (dropping) it leaves the object and its name where they are. Descriptors are close-on-exec.
///
/// ```
/// use shmkit::{MapOptions, Protection, Segment};
///
/// let name = format!("doc-segment-{}", std::process::id());
/// let segment = Segment::create(name.as_str(), 4096)?;
/// let mapping = MapOptions::new().protection(Protection::ReadWrite).map_segment(&segment)?;
/// mapping.write_at(0, b"Hi")?;
/// Segment::unlink(name.as_str())?;
/// # Ok::<(), shmkit::Error>(())
/// ```
pub struct Segment {
    object: ObjectFile,
    location: Location,
    path: Option<PathBuf>,
    writable: bool,
}

impl Segment {
    /// Creates an object of `len` zeros with mode 0600: [`SegmentOptions::create`].
    pub fn create(location: impl Into<Location>, len: u64) -> Result<Segment> {
        SegmentOptions::new().create(location, len)
    }

    /// Opens an existing object for reading and writing.
    pub fn open(location: impl Into<Location>) -> Result<Segment> {
        Self::open_for("open segment", location.into(), true)
    }

    /// Opens an existing object for reading.
    pub fn open_read_only(location: impl Into<Location>) -> Result<Segment> {
        Self::open_for("open segment", location.into(), false)
    }

    /// Memory of `len` zeros that only its descriptor names (memfd_create(2)); `label` shows in `/proc/PID/maps`.
    ///
    /// It lives as long as somebody has a descriptor of it or has it mapped. Others get it by fork, by inheriting the
    /// descriptor, or over a socket: [`Segment::send`]. [`Segment::seal`] forbids what must not happen to it.
    ///
    /// Errors: `InvalidLength`, `InvalidName` (a zero byte in the label, or more than 249 bytes), `NoSpace`.
    pub fn memfd(label: &str, len: u64) -> Result<Segment> {
        Self::new_memfd("create memfd", label, len)
    }

    fn new_memfd(operation: &'static str, label: &str, len: u64) -> Result<Segment> {
        check_len(operation, &Location::Unnamed, len)?;
        let fail = |errno: nix::errno::Errno| Error::from_errno(errno as i32, operation, label);
        let c_label = std::ffi::CString::new(label).ok().filter(|text| text.count_bytes() < 250);
        let Some(c_label) = c_label else {
            return Err(Error::new(ErrorKind::InvalidName, operation, label.replace('\0', "\\0"))
                .with_detail("a label has at most 249 bytes, none of them zero"));
        };
        let object = ObjectFile::memfd(&c_label, false).map_err(fail)?;
        object.reserve(len).map_err(|errno| fail(errno).with_detail(format!("{len} bytes")))?;
        Ok(Segment { object, location: Location::Unnamed, path: None, writable: true })
    }

    /// The object behind a descriptor that somebody else opened, for example one that was inherited. The descriptor is
    /// duplicated and stays the caller's. Whether it is writable is what the descriptor says.
    ///
    /// Errors: `WrongKind` (no regular file and no memory), `Io` (no such descriptor).
    pub fn from_fd(fd: impl AsFd) -> Result<Segment> {
        let operation = "open descriptor";
        let fail = |errno: nix::errno::Errno| Error::from_errno(errno as i32, operation, "");
        let object = ObjectFile::duplicate(fd.as_fd()).map_err(fail)?;
        Self::from_object(object).map_err(fail)
    }

    fn from_object(object: ObjectFile) -> Result<Segment, nix::errno::Errno> {
        let writable = object.is_open_for_writing()?;
        Ok(Segment { object, location: Location::Unnamed, path: None, writable })
    }

    /// A descriptor of the object for somebody else to keep, close-on-exec.
    ///
    /// Errors: `OutOfMemory` (no descriptor is free).
    pub fn try_clone_fd(&self) -> Result<OwnedFd> {
        self.object.to_owned_fd().map_err(|errno| self.fail("duplicate descriptor", errno))
    }

    /// Removes the name. Processes that have the object open keep it; its memory goes with the last of them.
    pub fn unlink(location: impl Into<Location>) -> Result<()> {
        Self::unlink_for("unlink segment", location.into())
    }

    pub(crate) fn unlink_for(operation: &'static str, location: Location) -> Result<()> {
        let path = location.path(operation)?;
        file::unlink(&path).map_err(|errno| Error::from_errno(errno as i32, operation, location.display()))
    }

    pub(crate) fn open_for(operation: &'static str, location: Location, writable: bool) -> Result<Segment> {
        let path = location.path(operation)?;
        let object = ObjectFile::open(&path, writable)
            .map_err(|errno| Error::from_errno(errno as i32, operation, location.display()))?;
        Ok(Segment { object, location, path: Some(path), writable })
    }

    /// Gives a built object its name.
    pub(crate) fn publish(&self, operation: &'static str) -> Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let durable = matches!(self.location, Location::Path(_));
        // The bytes first: a name that survives a power cut must not lead to a file that did not.
        let sync_bytes = || if durable { self.object.sync() } else { Ok(()) };
        let sync_name = || if durable { file::sync_directory_of(path) } else { Ok(()) };
        sync_bytes()
            .and_then(|()| self.object.publish(path))
            .and_then(|()| sync_name())
            .map_err(|errno| self.fail(operation, errno))
    }

    /// Length in bytes, now.
    pub fn len(&self) -> Result<u64> {
        self.object.size().map_err(|errno| self.fail("measure segment", errno))
    }

    /// Whether the object has no bytes.
    pub fn is_empty(&self) -> Result<bool> {
        self.len().map(|len| len == 0)
    }

    /// Where it lives.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Whether it was opened for writing.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// The open object and where it lives.
    pub(crate) fn into_parts(self) -> (ObjectFile, Location) {
        (self.object, self.location)
    }

    pub(crate) fn object(&self) -> &ObjectFile {
        &self.object
    }

    pub(crate) fn fail(&self, operation: &'static str, errno: nix::errno::Errno) -> Error {
        Error::from_errno(errno as i32, operation, self.location.display())
    }
}

impl AsFd for Segment {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.object.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temporary_name(tag: &str) -> String {
        format!("unit-segment-{tag}-{}", std::process::id())
    }

    #[test]
    fn creation_is_exclusive_and_unlink_is_separate() {
        let name = temporary_name("exclusive");
        let first = Segment::create(&name, 5000).unwrap();
        assert_eq!(first.len().unwrap(), 5000);
        assert_eq!(Segment::create(&name, 5000).err().unwrap().kind(), ErrorKind::AlreadyExists);
        drop(first);
        assert_eq!(Segment::open(&name).unwrap().len().unwrap(), 5000);
        Segment::unlink(&name).unwrap();
        assert_eq!(Segment::open(&name).err().unwrap().kind(), ErrorKind::NotFound);
        assert_eq!(Segment::unlink(&name).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn names_follow_the_rules() {
        let long = "x".repeat(201);
        for bad in ["", "a/b", "../x", "a b", "ä", "a\0b", &long] {
            assert_eq!(Segment::open(bad).err().unwrap().kind(), ErrorKind::InvalidName, "{bad:?}");
        }
    }

    #[test]
    fn more_than_the_disk_is_no_space_and_leaves_nothing() {
        let name = temporary_name("full");
        let error = Segment::create(&name, 1 << 46).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
        assert_eq!(Segment::open(&name).err().unwrap().kind(), ErrorKind::NotFound);
        for len in [0, u64::MAX, (1 << 47) + 1] {
            assert_eq!(Segment::create(&name, len).err().unwrap().kind(), ErrorKind::InvalidLength);
        }
    }

    #[test]
    fn the_mode_asked_for_is_the_mode_given_and_links_are_not_followed() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plain");
        SegmentOptions::new().mode(0o666).create(path.as_path(), 100).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o666);
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(Segment::open(link.as_path()).err().unwrap().kind(), ErrorKind::WrongKind);
        assert_eq!(Segment::open(directory.path()).err().unwrap().kind(), ErrorKind::WrongKind);
    }

    #[test]
    fn a_memfd_has_no_name_but_can_be_mapped() {
        let segment = Segment::memfd("unit", 4096).unwrap();
        assert_eq!(segment.location(), &Location::Unnamed);
        let mapping =
            crate::MapOptions::new().protection(crate::Protection::ReadWrite).map_segment(&segment).unwrap();
        mapping.write_at(4090, b"ending").unwrap();
    }
}
