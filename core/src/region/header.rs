//! Where things are in a region: computed once by the creator, and checked by everybody who opens it.
//!
//! Invariant: a [`Geometry`] that came out of [`Geometry::check`] is consistent in itself and lies within the file as it
//! was; all later code uses this private copy and never reads the shared header again.

use std::mem::size_of;

use bytemuck::Zeroable;

use crate::error::{Error, ErrorKind};
use crate::layout::{self, FixedHeader};
use crate::sys::{clock, map, process};

/// The sections of a region, in bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub slot_count: u32,
    pub slots_offset: usize,
    pub arena_offset: usize,
    pub arena_len: usize,
    pub data_offset: usize,
    pub data_capacity: usize,
    pub id: [u8; 16],
}

/// What is wrong with a header: a kind, and the numbers that show it.
pub(crate) type Flaw = (ErrorKind, String);

impl Geometry {
    /// Lays out a new region. `None` when the sizes leave the number range.
    pub fn plan(data_len: u64, arena_len: u64, slot_count: u32) -> Option<Geometry> {
        let page = map::page_size();
        let slots_offset = layout::HEADER_SIZE.next_multiple_of(page);
        let arena_offset = (slots_offset + slot_count as usize * layout::SLOT_SIZE).next_multiple_of(page);
        let arena_len = usize::try_from(map::round_to_pages(arena_len)?).ok()?;
        let data_offset = arena_offset.checked_add(arena_len)?;
        let data_capacity = usize::try_from(data_len).ok()?;
        let id = process::random_bytes().ok()?;
        let plan =
            Geometry { slot_count, slots_offset, arena_offset, arena_len, data_offset, data_capacity, id };
        plan.total_len().map(|_| plan)
    }

    /// Bytes of the object while it has `data_len` user bytes, of which there are no more than its capacity: they fill up
    /// their last page.
    pub fn file_len(&self, data_len: u64) -> u64 {
        map::round_to_pages((self.data_offset as u64).saturating_add(data_len)).unwrap_or(u64::MAX)
    }

    /// Bytes of the whole object when it has as many user bytes as it can.
    pub fn total_len(&self) -> Option<u64> {
        let end = (self.data_offset as u64).checked_add(self.data_capacity as u64)?;
        map::round_to_pages(end).filter(|&total| total <= 1 << 47)
    }

    /// The arena, from the region's start.
    pub fn arena(&self) -> std::ops::Range<usize> {
        self.arena_offset..self.arena_offset + self.arena_len
    }

    /// Where slot `index` is.
    pub fn slot_offset(&self, index: u32) -> usize {
        self.slots_offset + index as usize * layout::SLOT_SIZE
    }

    /// The header that describes this layout.
    pub fn to_header(self) -> FixedHeader {
        let mut header = FixedHeader {
            magic: layout::MAGIC,
            layout_version: layout::LAYOUT_VERSION,
            kind: layout::KIND_REGION,
            header_size: layout::HEADER_SIZE as u32,
            slot_size: layout::SLOT_SIZE as u32,
            page_size: map::page_size() as u32,
            slot_count: self.slot_count,
            slots_offset: self.slots_offset as u64,
            arena_offset: self.arena_offset as u64,
            arena_len: self.arena_len as u64,
            data_offset: self.data_offset as u64,
            data_capacity: self.data_capacity as u64,
            created_ns: clock::realtime_ns(),
            id: self.id,
            creator_pid: process::pid(),
            checksum: 0,
        };
        header.checksum = checksum(&header);
        header
    }

    /// Checks the first bytes of an object of `file_len` bytes, and returns its layout and how many user bytes it has.
    ///
    /// From the most general doubt to the most special, so that each mismatch is called by its own name.
    pub fn check(start: &[u8], file_len: u64) -> Result<(Geometry, usize), Flaw> {
        let mut header = FixedHeader::zeroed();
        let size = size_of::<FixedHeader>();
        if start.len() < size {
            let begins_right = layout::MAGIC.starts_with(&start[..start.len().min(8)])
                || start.len() >= 8 && start[..8] == layout::MAGIC;
            let kind = if begins_right { ErrorKind::Truncated } else { ErrorKind::BadMagic };
            return Err((kind, format!("{} bytes, a header has {size}", start.len())));
        }
        bytemuck::bytes_of_mut(&mut header).copy_from_slice(&start[..size]);
        if header.magic != layout::MAGIC {
            return Err((ErrorKind::BadMagic, format!("it begins with {}", header.magic.escape_ascii())));
        }
        if header.layout_version != layout::LAYOUT_VERSION {
            let text =
                format!("it has {}, this library has {}", header.layout_version, layout::LAYOUT_VERSION);
            return Err((ErrorKind::VersionMismatch, text));
        }
        if header.kind != layout::KIND_REGION {
            return Err((
                ErrorKind::WrongKind,
                format!("kind {}, a region is {}", header.kind, layout::KIND_REGION),
            ));
        }
        if checksum(&header) != header.checksum {
            return Err((ErrorKind::Corrupted, "the header's checksum is wrong".into()));
        }
        let geometry = Self::check_sections(&header)?;
        const AT: usize = layout::LIVE_HEADER_OFFSET + std::mem::offset_of!(layout::LiveHeader, data_len);
        // A file that ends before this word is shorter than its sections anyway.
        let said =
            start.get(AT..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_ne_bytes(*bytes));
        let capacity = geometry.data_capacity as u64;
        let needed = geometry.file_len(if said <= capacity { said } else { 0 });
        if file_len < needed {
            return Err((ErrorKind::Truncated, format!("{file_len} bytes of {needed}")));
        }
        if !(1..=capacity).contains(&said) {
            let text = format!("it says that it has {said} user bytes, 1 to {capacity} are possible");
            return Err((ErrorKind::Corrupted, text));
        }
        Ok((geometry, said as usize))
    }

    /// The checksum proves that nobody hit the header by accident; this proves that it is safe even if it lies.
    fn check_sections(header: &FixedHeader) -> Result<Geometry, Flaw> {
        let corrupted = |text: String| (ErrorKind::Corrupted, text);
        let expected = (layout::HEADER_SIZE as u32, layout::SLOT_SIZE as u32, map::page_size() as u32);
        if (header.header_size, header.slot_size, header.page_size) != expected {
            let text = format!(
                "struct and page sizes {:?}, this library has {expected:?}",
                (header.header_size, header.slot_size, header.page_size)
            );
            return Err((ErrorKind::VersionMismatch, text));
        }
        if !(1..=layout::MAX_SLOT_COUNT).contains(&header.slot_count) || header.data_capacity == 0 {
            return Err(corrupted(format!("{} slots, {} bytes", header.slot_count, header.data_capacity)));
        }
        // The layout is a function of three numbers: whatever differs from the plan was not written by a creator.
        let plan = Geometry::plan(header.data_capacity, header.arena_len, header.slot_count)
            .ok_or_else(|| corrupted(format!("a length of {} bytes", header.data_capacity)))?;
        let planned =
            [plan.slots_offset, plan.arena_offset, plan.arena_len, plan.data_offset].map(|n| n as u64);
        if planned != [header.slots_offset, header.arena_offset, header.arena_len, header.data_offset] {
            return Err(corrupted("a section is not where it belongs".into()));
        }
        Ok(Geometry { id: header.id, ..plan })
    }
}

/// CRC-32C of everything before the checksum itself.
fn checksum(header: &FixedHeader) -> u32 {
    let bytes = bytemuck::bytes_of(header);
    crc32c::crc32c(&bytes[..bytes.len() - 4])
}

/// A flaw as an error of an operation.
pub(crate) fn flaw_error((kind, text): Flaw, operation: &'static str, object: &str) -> Error {
    Error::new(kind, operation, object).with_detail(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sealed(mut header: FixedHeader) -> FixedHeader {
        header.checksum = checksum(&header);
        header
    }

    /// The first page of a region with this header and number of user bytes.
    fn page(header: &FixedHeader, data_len: u64) -> Vec<u8> {
        let mut page = vec![0; layout::HEADER_SIZE];
        page[..size_of::<FixedHeader>()].copy_from_slice(bytemuck::bytes_of(header));
        let at = layout::LIVE_HEADER_OFFSET + std::mem::offset_of!(layout::LiveHeader, data_len);
        page[at..at + 8].copy_from_slice(&data_len.to_ne_bytes());
        page
    }

    #[test]
    fn a_region_needs_storage_for_what_it_has_and_not_for_what_it_may_have() {
        let plan = Geometry::plan(1 << 30, 1000, 128).unwrap();
        let (header, len) = (plan.to_header(), 5000);
        let needed = plan.file_len(len);
        assert!(needed < 1 << 20 && needed >= plan.data_offset as u64 + len);
        assert_eq!(Geometry::check(&page(&header, len), needed), Ok((plan, 5000)));
        for (data_len, file_len, kind) in [
            (len, needed - 1, ErrorKind::Truncated),
            (1 << 30, needed, ErrorKind::Truncated),
            ((1 << 30) + 1, u64::MAX, ErrorKind::Corrupted),
            (u64::MAX, u64::MAX, ErrorKind::Corrupted),
            (0, needed, ErrorKind::Corrupted),
        ] {
            assert_eq!(
                Geometry::check(&page(&header, data_len), file_len).unwrap_err().0,
                kind,
                "{data_len}"
            );
        }
    }

    #[test]
    fn what_a_creator_writes_is_accepted() {
        let plan = Geometry::plan(5000, 1000, 128).unwrap();
        let total = plan.total_len().unwrap();
        let header = plan.to_header();
        assert_eq!(Geometry::check(&page(&header, 5000), total), Ok((plan, 5000)));
        assert_eq!(plan.data_offset % map::page_size(), 0);
        assert!(total >= (plan.data_offset + 5000) as u64);
    }

    #[test]
    fn each_flaw_has_its_own_name() {
        let plan = Geometry::plan(5000, 1000, 128).unwrap();
        let total = plan.total_len().unwrap();
        let good = plan.to_header();
        let kind_of = |header: FixedHeader| Geometry::check(&page(&header, 5000), total).unwrap_err().0;
        assert_eq!(kind_of(FixedHeader { magic: *b"elsewise", ..good }), ErrorKind::BadMagic);
        assert_eq!(kind_of(FixedHeader { layout_version: 2, ..good }), ErrorKind::VersionMismatch);
        assert_eq!(kind_of(sealed(FixedHeader { kind: 2, ..good })), ErrorKind::WrongKind);
        assert_eq!(kind_of(FixedHeader { arena_len: 0, ..good }), ErrorKind::Corrupted, "checksum");
        assert_eq!(kind_of(sealed(FixedHeader { header_size: 640, ..good })), ErrorKind::VersionMismatch);
        assert_eq!(kind_of(sealed(FixedHeader { data_offset: 64, ..good })), ErrorKind::Corrupted);
        assert_eq!(kind_of(sealed(FixedHeader { slot_count: 0, ..good })), ErrorKind::Corrupted);
        assert_eq!(kind_of(sealed(FixedHeader { data_capacity: u64::MAX, ..good })), ErrorKind::Corrupted);
        assert_eq!(Geometry::check(&page(&good, 5000), total - 1).unwrap_err().0, ErrorKind::Truncated);
        assert_eq!(
            Geometry::check(&bytemuck::bytes_of(&good)[..50], 50).unwrap_err().0,
            ErrorKind::Truncated
        );
        assert_eq!(Geometry::check(b"", 0).unwrap_err().0, ErrorKind::Truncated);
        assert_eq!(Geometry::check(b"text", 4).unwrap_err().0, ErrorKind::BadMagic);
    }

    proptest! {
        /// Whatever the bytes, an accepted layout lies within the file.
        #[test]
        fn an_accepted_header_never_leaves_the_file(
            flips in prop::collection::vec((0usize..100, any::<u8>()), 0..6),
            data_len in prop_oneof![0u64..6000, any::<u64>()],
            file_len in prop_oneof![0u64..1 << 20, any::<u64>()],
        ) {
            let mut header = Geometry::plan(5000, 1000, 128).unwrap().to_header();
            for (at, value) in flips {
                bytemuck::bytes_of_mut(&mut header)[at] = value;
            }
            let header = sealed(header);
            if let Ok((found, len)) = Geometry::check(&page(&header, data_len), file_len) {
                let end = found.data_offset as u64 + len as u64;
                prop_assert!(end <= file_len && len <= found.data_capacity);
                prop_assert!(found.slot_offset(found.slot_count) <= found.arena_offset);
                prop_assert!(found.arena_offset + found.arena_len <= found.data_offset);
            }
        }
    }
}
