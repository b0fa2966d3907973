//! Mappings that grow and shrink in place.
//!
//! A mapping never moves: its address space is reserved when it is made, and views keep their addresses. So growing hurts
//! nobody, and shrinking is refused while a view lives.

use std::sync::Arc;

use nix::sys::mman::ProtFlags;
use parking_lot::Mutex;

use super::Mapping;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::file::ObjectFile;
use crate::sys::map::Request;

/// What a mapping was made of.
pub(crate) struct Origin {
    /// The file, for as long as more of it may have to be mapped.
    file: Mutex<Option<Arc<ObjectFile>>>,
    request: Request,
    /// How the file may become longer.
    growth: Growth,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Growth {
    /// Not by us.
    Never,
    /// With storage behind every byte.
    Reserved,
    /// With pages that come when they are touched: memory without a name.
    Lazy,
}

impl Origin {
    /// Something that keeps its length.
    pub(super) fn fixed() -> Origin {
        let request = Request::shared(0, ProtFlags::empty());
        Origin { file: Mutex::new(None), request, growth: Growth::Never }
    }

    pub(super) fn file(file: Option<Arc<ObjectFile>>, request: Request, may_grow: bool) -> Origin {
        let growth = if may_grow { Growth::Reserved } else { Growth::Never };
        Origin { file: Mutex::new(file), request, growth }
    }

    pub(super) fn memory(file: Option<Arc<ObjectFile>>, request: Request) -> Origin {
        Origin { file: Mutex::new(file), request, growth: Growth::Lazy }
    }

    /// Where in the file the mapping begins.
    pub(super) fn offset(&self) -> u64 {
        self.request.offset
    }

    /// Lets the file go.
    pub(super) fn forget(&self) {
        drop(self.file.lock().take());
    }
}

impl Mapping {
    /// The most bytes that it can be resized to: what was reserved, or its pages.
    pub fn capacity(&self) -> usize {
        self.map.capacity()
    }

    /// Makes the mapping longer or shorter, in place: [`MapOptions::reserve`](crate::MapOptions::reserve) says how long it can
    /// become. Views stay valid, and keep their length. A file becomes longer if the mapping was made with `create` or
    /// `grow`, and never shorter.
    ///
    /// Errors: `InvalidLength` (0), `LimitExceeded` (more than was reserved), `OutOfRange` (the file ends before it), `NoSpace`,
    /// `Busy` (shrinking, while a view lives), `Closed`, and those of [`Mapping::check`].
    ///
    /// ```
    /// let mapping = shmkit::MapOptions::new().len(4096).reserve(1 << 20).map_anonymous()?;
    /// mapping.resize(8192)?;
    /// mapping.write_at(8000, b"more")?;
    /// assert!(mapping.resize(2 << 20).is_err());
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn resize(&self, len: usize) -> Result<()> {
        let operation = "resize mapping";
        if len == 0 {
            return Err(self.error(ErrorKind::InvalidLength, operation).with_detail("0 bytes"));
        }
        if len > self.capacity() {
            return Err(self.error(ErrorKind::LimitExceeded, operation).with_detail(format!(
                "{len} bytes, there is address space for {}: reserve more when mapping",
                self.capacity()
            )));
        }
        let file = self.origin.file.lock().clone();
        if len > self.len() {
            // Before any lock is held: storage takes its time.
            self.expect_file(operation, file.as_deref(), len)?;
        }
        let mut runs = self.runs.write();
        if self.exports.is_closed() {
            return Err(self.error(ErrorKind::Closed, operation));
        }
        self.expect_undamaged(operation)?;
        let shrinks = len < self.len();
        if shrinks && self.exports.count() > 0 {
            let views = format!("{} live views", self.exports.count());
            return Err(self.error(ErrorKind::Busy, operation).with_detail(views));
        }
        let changed = if shrinks {
            self.map.shrink(len)
        } else {
            use std::os::fd::AsFd;
            let request = Request { len, protection: runs.last().flags(), ..self.origin.request };
            self.map.grow(file.as_ref().map(|file| file.as_fd()), &request)
        };
        changed.map_err(|errno| self.system_error(errno, operation))?;
        runs.resize(len);
        Ok(())
    }

    /// Makes sure that the file reaches as far as `len` bytes of mapping.
    fn expect_file(&self, operation: &'static str, file: Option<&ObjectFile>, len: usize) -> Result<()> {
        let Some(file) = file else { return Ok(()) };
        let fail = |errno| self.system_error(errno, operation);
        let (size, end) = (file.size().map_err(fail)?, self.origin.request.offset + len as u64);
        if size >= end {
            return Ok(());
        }
        match self.origin.growth {
            Growth::Reserved => file.reserve(end).map_err(fail),
            Growth::Lazy => file.set_len(end).map_err(fail),
            Growth::Never => Err(Error::new(ErrorKind::OutOfRange, operation, self.object.as_str())
                .with_detail(format!("{end} bytes of a file of {size}; or map it with leave to grow"))),
        }
    }
}
