//! [`RegionOptions`]: what a new region is like, and how it comes into being.
//!
//! A region gets its name when it is complete: first the segment with all its storage, then header and user bytes, then the
//! name. Who dies before that leaves nothing.

use super::header::Geometry;
use super::{Region, memory};
use crate::error::{Error, ErrorKind, Result};
use crate::layout;
use crate::segment::{Location, SegmentOptions};
use crate::view::SharedBytes;

/// Options for a new [`Region`].
#[derive(Clone, Debug)]
pub struct RegionOptions {
    segment: SegmentOptions,
    arena_len: u64,
    attachments: u32,
    capacity: Option<u64>,
}

impl Default for RegionOptions {
    fn default() -> RegionOptions {
        RegionOptions {
            segment: SegmentOptions::new(),
            arena_len: layout::DEFAULT_ARENA_LEN,
            attachments: layout::DEFAULT_SLOT_COUNT,
            capacity: None,
        }
    }
}

impl RegionOptions {
    /// Mode 0600, an arena of 256 KiB, 128 attachments.
    pub fn new() -> RegionOptions {
        RegionOptions::default()
    }

    /// Permission bits, exactly: the umask does not apply.
    pub fn mode(mut self, mode: u32) -> RegionOptions {
        self.segment = self.segment.mode(mode);
        self
    }

    /// Group id.
    pub fn group(mut self, group: u32) -> RegionOptions {
        self.segment = self.segment.group(group);
        self
    }

    /// Bytes for named objects, rounded up to whole pages.
    pub fn arena_len(mut self, len: u64) -> RegionOptions {
        self.arena_len = len;
        self
    }

    /// How many processes can be attached at once, 1 to 1023.
    pub fn attachments(mut self, count: u32) -> RegionOptions {
        self.attachments = count;
        self
    }

    /// The most user bytes that [`Region::resize`] can give the region later; without it, as many as it has at first. It
    /// costs address space in each process, and storage only for what the region has.
    pub fn capacity(mut self, len: u64) -> RegionOptions {
        self.capacity = Some(len);
        self
    }

    /// Creates a region of `len` zeroed user bytes.
    ///
    /// Errors: `AlreadyExists`, `InvalidName`, `InvalidLength`, `InvalidArgument`, `NoSpace`, `PermissionDenied`.
    pub fn create(&self, location: impl Into<Location>, len: u64) -> Result<Region> {
        self.create_filled(location.into(), len, |_| Ok(()))
    }

    /// Creates a region without a name, on a memfd: only its descriptor leads to it. It goes with the last who has one, or
    /// has it open. A forked child keeps it; others get it through [`Region::try_clone_fd`] and [`Region::from_fd`].
    pub fn create_unnamed(&self, len: u64) -> Result<Region> {
        self.create_filled(Location::Unnamed, len, |_| Ok(()))
    }

    /// Opens the region of this name, or creates it. Of several at once, one creates and all get its region.
    ///
    /// With a [capacity](RegionOptions::capacity), any length will do if the capacity is the same.
    ///
    /// Errors: `SizeMismatch` when it exists with another length (or capacity, when one was asked); those of [`Region::open`] and
    /// [`RegionOptions::create`].
    pub fn open_or_create(&self, location: impl Into<Location>, len: u64) -> Result<Region> {
        let operation = "open or create region";
        let location = location.into();
        // Each turn that fails means that somebody unlinked or created it in between; nobody does that for ever.
        for _ in 0..1000 {
            match Region::open_at(location.clone(), true) {
                Ok(region) => {
                    let (has, asked) = match self.capacity {
                        Some(capacity) => (region.capacity() as u64, capacity),
                        None => (region.len() as u64, len),
                    };
                    if has == asked {
                        return Ok(region);
                    }
                    return Err(Error::new(ErrorKind::SizeMismatch, operation, location.display())
                        .with_detail(format!("{has} bytes, {asked} asked")));
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            match self.create_filled(location.clone(), len, |_| Ok(())) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                result => return result,
            }
        }
        Err(Error::new(ErrorKind::Busy, operation, location.display())
            .with_detail("others keep unlinking it"))
    }

    /// As [`RegionOptions::create`], with user bytes that are there before anybody sees the region.
    pub(crate) fn create_filled(
        &self,
        location: Location,
        len: u64,
        fill: impl FnOnce(&SharedBytes<'_>) -> Result<()>,
    ) -> Result<Region> {
        let operation = "create region";
        let error = |kind, text| Err(Error::new(kind, operation, location.display()).with_detail(text));
        if !(1..=layout::MAX_SLOT_COUNT).contains(&self.attachments) {
            return error(ErrorKind::InvalidArgument, format!("{} attachments, 1 to 1023", self.attachments));
        }
        let capacity = self.capacity.unwrap_or(len);
        let planned = Geometry::plan(capacity, self.arena_len, self.attachments);
        let Some(geometry) = planned.filter(|_| len > 0 && len <= capacity) else {
            // The name first: whoever gets both wrong wants to hear of the name.
            if location != Location::Unnamed {
                location.path(operation)?;
            }
            return error(
                ErrorKind::InvalidLength,
                format!("{len} bytes of at most {capacity}, and an arena of {}", self.arena_len),
            );
        };
        let segment = self.segment.build(operation, location, geometry.file_len(len))?;
        // No longer than the capacity, which is a length in this address space.
        memory::format(&segment, &geometry, len as usize, fill)?;
        segment.publish(operation)?;
        Region::from_segment(segment, operation)
    }
}
