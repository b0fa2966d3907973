//! The state of pages: in memory or not, in this process's page table or not, changed or not; and how much memory they
//! take.
//!
//! What is read here changes at any time: each figure was true at some instant during the call. Ranges are widened to
//! whole pages of the system's size, also where the mapping's pages are huge.
//!
//! Where the answers come from: [`PageFlags::RESIDENT`] from mincore(2) or, for a shared map of a file, the page cache
//! (cachestat(2)); `DIRTY` from the page cache; the others from the page table.

use std::fs::File;
use std::ops::{Range, RangeBounds};
use std::os::fd::AsFd;

use nix::errno::Errno;

use super::Mapping;
use super::residency::{PageCounts, PageFlags, Residency};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::SysResult;
use crate::sys::map::{Map, page_size};
use crate::sys::pages::{self, category};

/// How much memory a mapping takes, in bytes (proc(5), `smaps`).
///
/// The kernel counts by area. Private memory without a file may share an area with other memory of the process, which is
/// counted then too.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// In this process's page table.
    pub resident: u64,
    /// The same, each page divided by the number of processes that map it.
    pub proportional: u64,
    /// Mapped by others too, and not changed.
    pub shared_clean: u64,
    /// Mapped by others too, and changed.
    pub shared_dirty: u64,
    /// Mapped by this process only, and not changed.
    pub private_clean: u64,
    /// Mapped by this process only, and changed.
    pub private_dirty: u64,
    /// In huge pages, transparent or reserved.
    pub huge: u64,
    /// Out in swap space.
    pub swapped: u64,
    /// Locked in memory.
    pub locked: u64,
}

impl MemoryUse {
    fn read(addresses: Range<usize>) -> SysResult<MemoryUse> {
        let mut sum = MemoryUse::default();
        pages::memory_use(addresses, |field, bytes| match field {
            "Rss" => sum.resident += bytes,
            "Pss" => sum.proportional += bytes,
            "Shared_Clean" => sum.shared_clean += bytes,
            "Shared_Dirty" => sum.shared_dirty += bytes,
            "Private_Clean" => sum.private_clean += bytes,
            "Private_Dirty" => sum.private_dirty += bytes,
            "Swap" => sum.swapped += bytes,
            "Locked" => sum.locked += bytes,
            // Reserved pages are counted apart from Rss.
            "Private_Hugetlb" | "Shared_Hugetlb" => {
                sum.huge += bytes;
                sum.resident += bytes;
            }
            "AnonHugePages" | "ShmemPmdMapped" | "FilePmdMapped" => sum.huge += bytes,
            _ => {}
        })?;
        Ok(sum)
    }
}

/// Clears the soft-dirty bits of this process, of all its memory: [`PageFlags::SOFT_DIRTY`] then tells what was written
/// since.
///
/// Errors: `Unsupported` where the kernel keeps no such bits (it was built without CONFIG_MEM_SOFT_DIRTY).
pub fn clear_soft_dirty() -> Result<()> {
    let operation = "clear soft-dirty bits";
    let fail = |errno: Errno| Error::from_errno(errno as i32, operation, "");
    if !pages::has_soft_dirty().map_err(fail)? {
        return Err(Error::new(ErrorKind::Unsupported, operation, "")
            .with_detail("this kernel keeps none (CONFIG_MEM_SOFT_DIRTY)"));
    }
    pages::clear_soft_dirty().map_err(fail)
}

impl Mapping {
    /// The state of each page of a range.
    ///
    /// Errors: `OutOfRange`, `Closed`.
    ///
    /// ```
    /// use shmkit::{Advice, Mapping, PageFlags};
    ///
    /// let mapping = Mapping::anonymous(1 << 20)?;
    /// assert_eq!(mapping.residency(..)?.counts().resident, 0);
    /// mapping.advise(.., Advice::PopulateWrite)?;
    /// let pages = mapping.residency(..)?;
    /// assert!((0..pages.len()).all(|page| pages.get(page).contains(PageFlags::RESIDENT | PageFlags::PRESENT)));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn residency(&self, range: impl RangeBounds<usize>) -> Result<Residency> {
        let operation = "inspect pages of mapping";
        let (offset, len) = self.resolve(operation, range)?;
        drop(self.held_open(operation)?);
        PageRange::of(&self.map, offset, len).states().map_err(|errno| self.system_error(errno, operation))
    }

    /// How many pages have which flag, in each of `cells` parts of a range: a picture of any size of a mapping of any
    /// size. Also returns the flags that are known.
    ///
    /// Errors: `OutOfRange`, `Closed`.
    pub fn page_counts(
        &self,
        range: impl RangeBounds<usize>,
        cells: usize,
    ) -> Result<(Vec<PageCounts>, PageFlags)> {
        let operation = "inspect pages of mapping";
        let (offset, len) = self.resolve(operation, range)?;
        drop(self.held_open(operation)?);
        PageRange::of(&self.map, offset, len)
            .counts(cells)
            .map_err(|errno| self.system_error(errno, operation))
    }

    /// How much memory the mapping takes. Errors: `Closed`.
    pub fn memory_use(&self) -> Result<MemoryUse> {
        let operation = "measure mapping";
        drop(self.held_open(operation)?);
        let range = PageRange::of(&self.map, 0, self.len());
        MemoryUse::read(range.addresses).map_err(|errno| self.system_error(errno, operation))
    }
}

/// A range of pages that a map keeps in place.
pub(crate) struct PageRange {
    addresses: Range<usize>,
}

impl PageRange {
    pub fn of(map: &Map, offset: usize, len: usize) -> PageRange {
        let page = page_size();
        let start = map.base().addr().get() + offset;
        let end = if len == 0 { start } else { (start + len).next_multiple_of(page) };
        PageRange { addresses: start - start % page..end.max(start - start % page) }
    }

    pub fn memory_use(self) -> SysResult<MemoryUse> {
        MemoryUse::read(self.addresses)
    }

    fn len(&self) -> usize {
        self.addresses.len() / page_size()
    }

    /// The state of each page.
    pub fn states(self) -> SysResult<Residency> {
        let mut states = vec![0; self.len()];
        let mut known = PageFlags::RESIDENT | PageFlags::PRESENT | PageFlags::SWAPPED | PageFlags::ZERO;
        if states.is_empty() {
            return Ok(Residency::new(states, known));
        }
        pages::in_core(self.addresses.clone(), &mut states)?;
        for state in &mut states {
            *state &= PageFlags::RESIDENT.bits();
        }
        known = known
            | self.page_table(|run, flags| {
                states[run].iter_mut().for_each(|state| *state |= flags.bits());
            })?;
        if let Some((file, offset)) = pages::backing_file(self.addresses.start) {
            let pages = states.len() as u64;
            let done = dirty_runs(&file, offset, 0..pages, &mut |run| {
                let run = run.start as usize..run.end as usize;
                states[run].iter_mut().for_each(|state| *state |= PageFlags::DIRTY.bits());
            });
            known = if done.is_ok() { known | PageFlags::DIRTY } else { known };
        }
        Ok(Residency::new(states, known))
    }

    /// What the page table says, in runs of pages of this range; also which of its flags are known.
    fn page_table(&self, mut found: impl FnMut(Range<usize>, PageFlags)) -> SysResult<PageFlags> {
        let soft_dirty = pages::has_soft_dirty()?;
        let place = |address: usize| (address - self.addresses.start) / page_size();
        let has_huge = pages::page_table(self.addresses.clone(), |run, bits| {
            let mut flags = PageFlags::default();
            for (bit, flag) in [
                (category::PRESENT, PageFlags::PRESENT),
                (category::SWAPPED, PageFlags::SWAPPED),
                (category::SOFT_DIRTY, PageFlags::SOFT_DIRTY),
                (category::HUGE, PageFlags::HUGE),
                (category::ZERO, PageFlags::ZERO),
            ] {
                flags = if bits & bit != 0 { flags | flag } else { flags };
            }
            found(place(run.start)..place(run.end), flags);
        })?;
        let mut known = PageFlags::default();
        for (is_known, flag) in [(soft_dirty, PageFlags::SOFT_DIRTY), (has_huge, PageFlags::HUGE)] {
            known = if is_known { known | flag } else { known };
        }
        Ok(known)
    }

    /// Counts in equal parts, without a byte for each page: for mappings of any size.
    pub fn counts(self, cells: usize) -> SysResult<(Vec<PageCounts>, PageFlags)> {
        let pages = self.len();
        let cells = cells.clamp(1, pages.max(1));
        let mut counts = vec![PageCounts::default(); cells];
        for (index, cell) in counts.iter_mut().enumerate() {
            cell.pages = part(index, cells, pages).len() as u64;
        }
        let mut known = PageFlags::RESIDENT | PageFlags::PRESENT | PageFlags::SWAPPED | PageFlags::ZERO;
        if pages == 0 {
            return Ok((counts, known));
        }
        known = known
            | self.page_table(|run, flags| {
                for_each_cell(run, cells, pages, |cell, pages| counts[cell].add(flags, pages));
            })?;
        let file = pages::backing_file(self.addresses.start);
        match file.map(|(file, offset)| cached(&file, offset, pages, &mut counts)) {
            Some(Ok(())) => known = known | PageFlags::DIRTY,
            _ => self.count_resident(&mut counts)?,
        }
        Ok((counts, known))
    }

    fn count_resident(&self, counts: &mut [PageCounts]) -> SysResult<()> {
        const CHUNK: usize = 1 << 16;
        let (page, pages, cells) = (page_size(), self.len(), counts.len());
        let mut states = vec![0; CHUNK.min(pages)];
        let resident = |state: u8| state & PageFlags::RESIDENT.bits() != 0;
        for first in (0..pages).step_by(CHUNK) {
            let last = pages.min(first + CHUNK);
            let start = self.addresses.start + first * page;
            pages::in_core(start..start + (last - first) * page, &mut states)?;
            let mut at = first;
            for run in states[..last - first].chunk_by(|a, b| resident(*a) == resident(*b)) {
                if resident(run[0]) {
                    for_each_cell(at..at + run.len(), cells, pages, |cell, pages| {
                        counts[cell].resident += pages;
                    });
                }
                at += run.len();
            }
        }
        Ok(())
    }
}

/// What the page cache has of each part of a file.
fn cached(file: &File, offset: u64, pages: usize, counts: &mut [PageCounts]) -> SysResult<()> {
    let page = page_size() as u64;
    let cells = counts.len();
    let of_part = |cell: usize| {
        let part = part(cell, cells, pages);
        pages::cache_stat(file.as_fd(), offset + part.start as u64 * page, part.len() as u64 * page)
    };
    let stats = (0..cells).map(of_part).collect::<SysResult<Vec<_>>>()?;
    for (cell, stat) in counts.iter_mut().zip(stats) {
        cell.resident = stat.cached.min(cell.pages);
        cell.dirty = (stat.dirty + stat.writeback).min(cell.pages);
    }
    Ok(())
}

/// Finds the runs of pages of a file that are dirty or on their way to the disk, by halves: few calls where they lie
/// together.
fn dirty_runs(
    file: &File,
    offset: u64,
    part: Range<u64>,
    found: &mut dyn FnMut(Range<u64>),
) -> SysResult<()> {
    let (page, pages) = (page_size() as u64, part.end - part.start);
    let stat = pages::cache_stat(file.as_fd(), offset + part.start * page, pages * page)?;
    match stat.dirty + stat.writeback {
        0 => {}
        dirty if dirty >= pages => found(part),
        _ => {
            let middle = part.start + pages / 2;
            dirty_runs(file, offset, part.start..middle, found)?;
            dirty_runs(file, offset, middle..part.end, found)?;
        }
    }
    Ok(())
}

/// The pages of one of several equal parts.
fn part(index: usize, parts: usize, pages: usize) -> Range<usize> {
    let border = |index: usize| (index as u128 * pages as u128 / parts as u128) as usize;
    border(index)..border(index + 1)
}

/// The parts that a run of pages touches, and how many of its pages each has.
fn for_each_cell(run: Range<usize>, cells: usize, pages: usize, mut touch: impl FnMut(usize, u64)) {
    let mut at = run.start;
    // No cell that begins behind a page holds it; the one found this way may be one too early.
    let mut cell = (at as u128 * cells as u128 / pages as u128) as usize;
    while at < run.end && cell < cells {
        let end = part(cell, cells, pages).end.min(run.end);
        if end > at {
            touch(cell, (end - at) as u64);
            at = end;
        }
        cell += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Advice, MapOptions, Protection, Sharing};

    #[test]
    fn parts_cover_all_pages_once() {
        for (cells, pages) in [(1, 1), (3, 10), (7, 7), (80, 1000), (64, 1 << 20)] {
            let mut seen = vec![0u64; cells];
            for run in [0..pages / 3, pages / 3..pages / 2, pages / 2..pages] {
                for_each_cell(run, cells, pages, |cell, count| seen[cell] += count);
            }
            let expected: Vec<u64> = (0..cells).map(|cell| part(cell, cells, pages).len() as u64).collect();
            assert_eq!(seen, expected, "{cells} of {pages}");
        }
    }

    #[test]
    fn private_memory_is_there_when_it_was_touched() {
        let page = page_size();
        let mapping = MapOptions::new().len(64 * page).sharing(Sharing::Private).map_anonymous().unwrap();
        mapping.advise(.., Advice::NoHugePage).unwrap();
        assert_eq!(
            mapping.residency(..).unwrap().counts(),
            PageCounts { pages: 64, ..PageCounts::default() }
        );
        mapping.write_at(3 * page, &[1]).unwrap();
        mapping.write_at(10 * page - 1, &[1, 1]).unwrap();
        let pages = mapping.residency(..).unwrap();
        let there: Vec<usize> = (0..64).filter(|&i| pages.get(i).contains(PageFlags::RESIDENT)).collect();
        assert_eq!(there, [3, 9, 10]);
        assert!(there.iter().all(|&i| pages.get(i).contains(PageFlags::PRESENT)));
        assert!(!pages.known().contains(PageFlags::DIRTY));
        let (cells, _) = mapping.page_counts(.., 8).unwrap();
        assert_eq!(cells.iter().map(|cell| cell.resident).collect::<Vec<_>>(), [1, 2, 0, 0, 0, 0, 0, 0]);
        assert_eq!(cells.iter().map(|cell| cell.pages).sum::<u64>(), 64);
        mapping.advise(.., Advice::DontNeed).unwrap();
        assert_eq!(mapping.residency(..).unwrap().counts().resident, 0);
        let (empty, _) = mapping.page_counts(5..5, 3).unwrap();
        assert_eq!(empty, [PageCounts::default()]);
        assert!(mapping.residency(5..5).unwrap().is_empty());
        assert_eq!(mapping.residency(page - 1..page + 1).unwrap().len(), 2);
    }

    #[test]
    fn stores_into_a_file_are_dirty_until_they_are_flushed() {
        let file = tempfile::NamedTempFile::new_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let (page, options) = (page_size(), MapOptions::new().protection(Protection::ReadWrite));
        let mapping = options.grow(true).len(32 * page).map_path(file.path()).unwrap();
        assert!(mapping.is_persistent());
        mapping.flush(.., crate::Flush::Sync).unwrap();
        mapping.write_at(5 * page, &vec![1; 2 * page]).unwrap();
        let pages = mapping.residency(..).unwrap();
        if !pages.known().contains(PageFlags::DIRTY) {
            // An older kernel does not tell; then it must not seem to.
            assert_eq!(pages.counts().dirty, 0);
            return;
        }
        // Write-back may come at any time, of its own accord, and neighbours may share one mark.
        let dirty: Vec<usize> = (0..32).filter(|&i| pages.get(i).contains(PageFlags::DIRTY)).collect();
        assert!(dirty.is_empty() || dirty.contains(&5) || dirty.contains(&6), "{dirty:?}");
        mapping.flush(.., crate::Flush::Sync).unwrap();
        assert_eq!(mapping.residency(..).unwrap().counts().dirty, 0);
        let (cells, _) = mapping.page_counts(.., 4).unwrap();
        assert_eq!(cells.iter().map(|cell| cell.dirty).sum::<u64>(), 0);
        let used = mapping.memory_use().unwrap();
        assert!(used.resident >= 2 * page as u64 && used.proportional <= used.resident, "{used:?}");
    }

    #[test]
    fn soft_dirty_bits_are_kept_or_said_not_to_be() {
        let page = page_size();
        let mapping = MapOptions::new().len(8 * page).sharing(Sharing::Private).map_anonymous().unwrap();
        mapping.write_at(0, &vec![1; 8 * page]).unwrap();
        match clear_soft_dirty() {
            Ok(()) => {
                mapping.write_at(2 * page, &[1]).unwrap();
                let pages = mapping.residency(..).unwrap();
                assert!(pages.known().contains(PageFlags::SOFT_DIRTY));
                assert!(pages.get(2).contains(PageFlags::SOFT_DIRTY));
                assert!(!pages.get(3).contains(PageFlags::SOFT_DIRTY));
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
                let pages = mapping.residency(..).unwrap();
                assert!(!pages.known().contains(PageFlags::SOFT_DIRTY));
                assert_eq!(pages.counts().soft_dirty, 0);
            }
        }
    }
}
