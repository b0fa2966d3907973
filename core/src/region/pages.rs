//! The user bytes as pages: what the kernel knows of them and is told of them. [`crate::Mapping`] has the same methods.

use std::ops::RangeBounds;

use nix::errno::Errno;

use super::Region;
use crate::error::{Error, ErrorKind, Result};
use crate::mapping::{
    Advice, MemoryLock, MemoryUse, PageCounts, PageFlags, PageRange, Residency, advise_map, lock_map,
    resolve_range,
};
use crate::sys::map::{Map, page_size};

impl Region {
    /// Whether a flush has somewhere to go: the region is a file on a device. For a shared memory object a flush succeeds
    /// and does nothing.
    pub fn is_persistent(&self) -> bool {
        self.memory.persistent
    }

    /// Tells the kernel what a range of the user bytes will be used for (madvise(2)).
    ///
    /// Errors: `OutOfRange`, `Closed`, `ReadOnly`, `InvalidArgument` (a part of a page, where that would hurt its neighbours;
    /// `Remove`, which would give back the storage that creation reserved), `Unsupported` (this kernel, or this kind of
    /// memory, knows no such advice).
    pub fn advise(&self, range: impl RangeBounds<usize>, advice: Advice) -> Result<()> {
        let operation = "advise region";
        let (map, offset, len) = self.pages_of(range, operation)?;
        let fail = |kind, detail: &str| Err(self.memory.error(kind, operation).with_detail(detail));
        if advice == Advice::Remove {
            return fail(ErrorKind::InvalidArgument, "a region keeps the storage behind its bytes");
        }
        if advice.needs_write() && self.is_read_only() {
            return Err(self.memory.error(ErrorKind::ReadOnly, operation));
        }
        let (start, end) = (offset % page_size(), (offset + len) % page_size());
        let ends_whole = end == 0 || offset + len == self.memory.map_of_data().1 + self.len();
        if advice.needs_whole_pages() && (start != 0 || !ends_whole) {
            return fail(ErrorKind::InvalidArgument, "the range is not whole pages");
        }
        advise_map(map, offset, len, advice as i32).map_err(|error| self.about(error, operation))
    }

    /// Keeps the pages of a range of the user bytes in memory (mlock2(2)), or with [`MemoryLock::OnFault`] each from when it
    /// is first touched. This is no lock of the region: see [`Region::lock`] for that.
    ///
    /// Errors: `OutOfMemory` (more than the process may lock: the message says how much), `OutOfRange`, `Closed`,
    /// `Unsupported`.
    pub fn lock_memory(&self, range: impl RangeBounds<usize>, lock: MemoryLock) -> Result<()> {
        let operation = "lock region in memory";
        let (map, offset, len) = self.pages_of(range, operation)?;
        lock_map(map, offset, len, lock).map_err(|error| self.about(error, operation))
    }

    /// Lets the pages of a range go again. Errors: `OutOfRange`, `Closed`.
    pub fn unlock_memory(&self, range: impl RangeBounds<usize>) -> Result<()> {
        let operation = "unlock region in memory";
        let (map, offset, len) = self.pages_of(range, operation)?;
        map.unlock(offset, len).map_err(|errno| self.system_failure(errno, operation))
    }

    /// The state of each page of a range of the user bytes. Errors: `OutOfRange`, `Closed`.
    pub fn residency(&self, range: impl RangeBounds<usize>) -> Result<Residency> {
        let operation = "inspect pages of region";
        let (map, offset, len) = self.pages_of(range, operation)?;
        PageRange::of(map, offset, len).states().map_err(|errno| self.system_failure(errno, operation))
    }

    /// How many pages have which flag, in each of `cells` parts of a range of the user bytes; also the flags that are
    /// known. Errors: `OutOfRange`, `Closed`.
    pub fn page_counts(
        &self,
        range: impl RangeBounds<usize>,
        cells: usize,
    ) -> Result<(Vec<PageCounts>, PageFlags)> {
        let operation = "inspect pages of region";
        let (map, offset, len) = self.pages_of(range, operation)?;
        PageRange::of(map, offset, len).counts(cells).map_err(|errno| self.system_failure(errno, operation))
    }

    /// How much memory the region takes, with its header, slots and arena. Errors: `Closed`.
    pub fn memory_use(&self) -> Result<MemoryUse> {
        let operation = "measure region";
        self.expect_open(operation)?;
        let (map, _) = self.memory.map_of_data();
        PageRange::of(map, 0, map.len()).memory_use().map_err(|errno| self.system_failure(errno, operation))
    }

    /// The map, and a range of the user bytes as a range of it.
    fn pages_of(
        &self,
        range: impl RangeBounds<usize>,
        operation: &'static str,
    ) -> Result<(&Map, usize, usize)> {
        let (offset, len) = resolve_range(range, self.len()).map_err(|error| self.about(error, operation))?;
        self.expect_open(operation)?;
        let (map, data) = self.memory.map_of_data();
        Ok((map, data + offset, len))
    }

    fn about(&self, error: Error, operation: &'static str) -> Error {
        error.about(operation, self.memory.location.display())
    }

    fn system_failure(&self, errno: Errno, operation: &'static str) -> Error {
        Error::from_errno(errno as i32, operation, self.memory.location.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_has_all_its_pages_and_tells_of_them() {
        let name = format!("unit-region-pages-{}", std::process::id());
        let page = page_size();
        let region = Region::create(&name, 10 * page as u64 + 100).unwrap();
        Region::unlink(&name).unwrap();
        assert!(!region.is_persistent());
        region.write_at(0, &vec![1; 3 * page]).unwrap();
        let pages = region.residency(..).unwrap();
        assert_eq!(pages.len(), 11);
        assert!((0..3).all(|i| pages.get(i).contains(PageFlags::RESIDENT | PageFlags::PRESENT)));
        let (cells, _) = region.page_counts(.., 11).unwrap();
        assert_eq!(cells.len(), 11);
        assert!(cells[..3].iter().all(|cell| (cell.resident, cell.present) == (1, 1)));
        assert!(region.memory_use().unwrap().resident >= 3 * page as u64);

        region.advise(.., Advice::PopulateWrite).unwrap();
        assert_eq!(region.residency(..).unwrap().counts().present, 11);
        region.advise(.., Advice::DontNeed).unwrap();
        let mut byte = [0];
        region.read_at(2 * page, &mut byte).unwrap();
        assert_eq!(byte, [1], "shared bytes stay when this process lets its pages go");
        for bad in [Advice::Remove, Advice::DontNeed] {
            let error = region.advise(1..page, bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        }
        assert_eq!(region.advise(.., Advice::WipeOnFork).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(region.advise(..11 * page, Advice::Cold).unwrap_err().kind(), ErrorKind::OutOfRange);
        region.lock_memory(..page, MemoryLock::Now).unwrap();
        assert!(region.memory_use().unwrap().locked >= page as u64);
        region.unlock_memory(..).unwrap();
        assert_eq!(region.memory_use().unwrap().locked, 0);
        region.close().unwrap();
        assert_eq!(region.residency(..).unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(region.memory_use().unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(region.lock_memory(.., MemoryLock::Now).unwrap_err().kind(), ErrorKind::Closed);
    }
}
