//! How to open a [`WindowCache`].

use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;

use super::WindowCache;
use crate::error::{Error, ErrorKind, Result};
use crate::mapping::Advice;
use crate::segment::Segment;
use crate::sys::file::ObjectFile;
use crate::sys::map::page_size;

const OPERATION: &str = "open window cache";
const MAX_WINDOWS: u32 = 4096;
const MAX_WINDOW_LEN: u64 = 1 << 30;

/// Options for a [`WindowCache`].
#[derive(Clone, Debug)]
pub struct WindowOptions {
    pub(super) window_len: u64,
    pub(super) windows: u32,
    pub(super) writable: bool,
    pub(super) pattern: Advice,
}

impl Default for WindowOptions {
    fn default() -> WindowOptions {
        WindowOptions {
            window_len: WindowOptions::DEFAULT_WINDOW_LEN,
            windows: WindowOptions::DEFAULT_WINDOWS,
            writable: false,
            pattern: Advice::Normal,
        }
    }
}

impl WindowOptions {
    /// Bytes of a window where nothing else is asked: 4 MiB.
    pub const DEFAULT_WINDOW_LEN: u64 = 4 << 20;
    /// Windows that are mapped at once at most, where nothing else is asked.
    pub const DEFAULT_WINDOWS: u32 = 64;

    /// 64 windows of 4 MiB, for reading.
    pub fn new() -> WindowOptions {
        WindowOptions::default()
    }

    /// Bytes of a window: a power of two, from a page to 1 GiB.
    pub fn window_len(mut self, len: u64) -> WindowOptions {
        self.window_len = len;
        self
    }

    /// How many windows are mapped at once at most, 1 to 4096.
    pub fn windows(mut self, count: u32) -> WindowOptions {
        self.windows = count;
        self
    }

    /// For writing, too.
    pub fn writable(mut self, writable: bool) -> WindowOptions {
        self.writable = writable;
        self
    }

    /// What reads will be like: `Random` (no read-ahead), `Sequential` (always), or `Normal`, which finds out by itself.
    pub fn pattern(mut self, pattern: Advice) -> WindowOptions {
        self.pattern = pattern;
        self
    }

    /// Opens a file.
    ///
    /// Errors: `NotFound`, `PermissionDenied`, `InvalidLength` (an empty file), `WrongKind`, `InvalidArgument` (options
    /// outside their limits; a file of more than 2^24 windows), `OutOfMemory`.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<WindowCache> {
        let path = path.as_ref();
        let object = path.to_string_lossy().into_owned();
        self.check(&object)?;
        let file = ObjectFile::open_file(path, self.writable, None)
            .map_err(|errno| Error::from_errno(errno as i32, OPERATION, object.as_str()))?;
        WindowCache::new(file, self, object)
    }

    /// Opens a file that the caller opened; the descriptor may be closed afterwards.
    pub fn open_file(&self, file: impl AsFd) -> Result<WindowCache> {
        let object = String::from("(descriptor)");
        self.check(&object)?;
        let file = ObjectFile::duplicate(file.as_fd())
            .map_err(|errno| Error::from_errno(errno as i32, OPERATION, object.as_str()))?;
        WindowCache::new(file, self, object)
    }

    /// Opens a segment, which may be closed afterwards.
    pub fn open_segment(&self, segment: &Segment) -> Result<WindowCache> {
        let object = segment.location().display().into_owned();
        self.check(&object)?;
        if self.writable && !segment.is_writable() {
            return Err(Error::new(ErrorKind::ReadOnly, OPERATION, object));
        }
        let file = ObjectFile::duplicate(segment.as_fd())
            .map_err(|errno: Errno| Error::from_errno(errno as i32, OPERATION, object.as_str()))?;
        WindowCache::new(file, self, object)
    }

    fn check(&self, object: &str) -> Result<()> {
        let page = page_size() as u64;
        let whole = self.window_len.is_power_of_two() && (page..=MAX_WINDOW_LEN).contains(&self.window_len);
        let known = matches!(self.pattern, Advice::Normal | Advice::Random | Advice::Sequential);
        let wrong = if !whole {
            format!("windows of {} bytes: a power of two, {page} to {MAX_WINDOW_LEN}", self.window_len)
        } else if !(1..=MAX_WINDOWS).contains(&self.windows) {
            format!("{} windows: 1 to {MAX_WINDOWS}", self.windows)
        } else if !known {
            format!("{:?} is no pattern of reads", self.pattern)
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::InvalidArgument, OPERATION, object).with_detail(wrong))
    }
}
