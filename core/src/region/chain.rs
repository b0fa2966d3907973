//! The chain of blocks in a region's arena, as readers see it: which objects there are.
//!
//! Everything in it is checked before it is used: a block lies in the arena, its parts lie in the block. Readers need no
//! lock, because the chain is valid after every store; without the directory's lock they may see an object come or go.

use std::ops::Range;

use super::memory::Memory;
use crate::atomic::AtomicU32;
use crate::atomic::Ordering::{Acquire, Relaxed};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{self, ArenaHeader, OBJECT_LIVE, ObjectHeader};

/// Blocks and their parts begin on multiples of this.
pub(super) const UNIT: usize = 64;

/// Where an object is, checked: the block's range lies in the arena, the parts lie in the block.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The whole block, from the region's start.
    pub block: Range<usize>,
    /// The members' owner ids, one `u32` a slot.
    pub members: usize,
    /// The payload.
    pub payload: Range<usize>,
}

/// An object as listed.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub name: String,
    pub kind: u32,
    pub parameters: [u64; 2],
    pub place: Place,
}

/// The chain of a region's arena.
pub(crate) struct Chain<'a> {
    pub(super) memory: &'a Memory,
    pub(super) header: &'a ArenaHeader,
}

impl<'a> Chain<'a> {
    /// The chain of a region; `None` when the region was created without an arena.
    pub fn of(memory: &'a Memory) -> Result<Option<Chain<'a>>> {
        if memory.geometry.arena_len < UNIT {
            return Ok(None);
        }
        Ok(Some(Chain { memory, header: memory.record_at(memory.geometry.arena_offset)? }))
    }

    /// All objects.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        self.each_block(|block, header| {
            if header.state.load(Acquire) == OBJECT_LIVE {
                entries.push(self.entry(block, header)?);
            }
            Ok(false)
        })?;
        Ok(entries)
    }

    /// The object of this name.
    pub fn find(&self, name: &str) -> Result<Option<Entry>> {
        let mut found = None;
        self.each_block(|block, header| {
            if header.state.load(Acquire) == OBJECT_LIVE
                && header.name_len.load(Relaxed) as usize == name.len()
            {
                found = Some(self.entry(block, header)?).filter(|entry| entry.name == name);
            }
            Ok(found.is_some())
        })?;
        Ok(found)
    }

    /// Calls `visit` with each block until it says that it is done. What the chain says is checked before it is used.
    pub(super) fn each_block(
        &self,
        mut visit: impl FnMut(Range<usize>, &ObjectHeader) -> Result<bool>,
    ) -> Result<()> {
        let mut at = self.memory.geometry.arena_offset + UNIT;
        loop {
            // Asked each time: a visit may join blocks, but never moves the end.
            let end = self.memory.geometry.arena_offset + self.used()?;
            if at >= end {
                return Ok(());
            }
            let (block, header) = self.block_at(at, end)?;
            if visit(block.clone(), header)? {
                return Ok(());
            }
            at = self.block_at(at, end)?.0.end;
        }
    }

    pub(super) fn block_at(&self, at: usize, end: usize) -> Result<(Range<usize>, &'a ObjectHeader)> {
        let header = self.header_at(at)?;
        let size = usize::try_from(header.size.load(Acquire)).unwrap_or(usize::MAX);
        if size < UNIT || !size.is_multiple_of(UNIT) || size > end - at {
            return Err(self.corrupted(format!("a block of {size} bytes at {at}")));
        }
        Ok((at..at + size, header))
    }

    /// Bytes of the chain, its header included.
    pub fn used(&self) -> Result<usize> {
        let used = usize::try_from(self.header.used.load(Acquire)).unwrap_or(usize::MAX).max(UNIT);
        if used > self.memory.geometry.arena_len || !used.is_multiple_of(UNIT) {
            return Err(self.corrupted(format!("{used} bytes used of {}", self.memory.geometry.arena_len)));
        }
        Ok(used)
    }

    fn entry(&self, block: Range<usize>, header: &ObjectHeader) -> Result<Entry> {
        let name_len = header.name_len.load(Relaxed) as usize;
        let members_at = UNIT + name_len.next_multiple_of(UNIT);
        let members_len = self.memory.geometry.slot_count as usize * size_of::<AtomicU32>();
        let payload_at = members_at + members_len.next_multiple_of(UNIT);
        let payload_len = usize::try_from(header.payload_len.load(Relaxed)).unwrap_or(usize::MAX);
        let fits = name_len <= layout::MAX_NAME_LEN
            && header.payload_offset.load(Relaxed) == payload_at as u64
            && payload_at <= block.len()
            && payload_len <= block.len() - payload_at;
        if !fits {
            return Err(self.corrupted(format!("the object at {}", block.start)));
        }
        let mut name = vec![0; name_len];
        self.memory.bytes().read_at(block.start + UNIT, &mut name)?;
        let payload = block.start + payload_at..block.start + payload_at + payload_len;
        Ok(Entry {
            name: String::from_utf8_lossy(&name).into_owned(),
            kind: header.kind.load(Relaxed),
            parameters: [header.parameters[0].load(Relaxed), header.parameters[1].load(Relaxed)],
            place: Place { members: block.start + members_at, block, payload },
        })
    }

    /// Owner ids of the processes that have the object open, or had when they died.
    pub fn members(&self, place: &Place) -> Result<impl Iterator<Item = u32>> {
        let count = self.memory.geometry.slot_count as usize;
        let owners: Result<Vec<u32>> = (0..count)
            .map(|index| Ok(self.memory.record_at::<AtomicU32>(place.members + index * 4)?.load(Relaxed)))
            .collect();
        Ok(owners?.into_iter().filter(|owner| *owner != 0))
    }

    pub(super) fn header_at(&self, at: usize) -> Result<&'a ObjectHeader> {
        self.memory.record_at(at)
    }

    fn corrupted(&self, text: String) -> Error {
        self.memory.error(ErrorKind::Corrupted, "read directory").with_detail(text)
    }
}
