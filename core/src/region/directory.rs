//! Named objects: the arena's chain of blocks is their directory.
//!
//! The chain begins after the [`ArenaHeader`] and ends at `used`; each block says how long it is. It changes only under
//! the directory's lock, and is a valid chain after every single store:
//!
//! | step | store that commits it | before it |
//! |---|---|---|
//! | create at the end | `used` grows over the block | the block is beyond the end: nobody sees it |
//! | split a free block | `size` of the first part | the second part's header lies inside free space |
//! | create in a free block | `state` = live | the block is free, whatever its fields say |
//! | remove | `state` = free | the object is there |
//! | join free neighbours | `size` of the first | two free blocks |
//!
//! So there is nothing to repair when a process dies in here, and the lock's *owner died* is answered by going on.
//!
//! A process that has an object open writes its owner id into the object's `members`; who died or was replaced no longer
//! counts. Removal is refused while a living member is left.

use std::ops::Range;
use std::sync::Arc;

use super::memory::Memory;
use crate::atomic::AtomicU32;
use crate::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{self, ArenaHeader, OBJECT_FREE, OBJECT_LIVE, ObjectHeader, ObjectKind};
use crate::protocol::owner::slot_index;
use crate::protocol::party::{Acquired, Party};
use crate::protocol::wait::Wait;
use crate::protocol::word;
use crate::view::SharedBytes;

/// Blocks and their parts begin on multiples of this.
const UNIT: usize = 64;
/// How long a search waits for the directory's lock: it is held for microseconds, except by a stopped process.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// What an object is to be like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    pub kind: ObjectKind,
    pub payload_len: usize,
    pub parameters: [u64; 2],
}

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

/// The directory of a region that is open for writing; its lock is held.
pub(crate) struct Directory<'a> {
    memory: &'a Arc<Memory>,
    bytes: SharedBytes<'a>,
    header: &'a ArenaHeader,
    me: u32,
}

impl Drop for Directory<'_> {
    fn drop(&mut self) {
        word::unlock(&self.header.lock, self.me, 1, &**self.memory);
    }
}

impl<'a> Directory<'a> {
    /// Takes the directory's lock.
    pub fn lock(memory: &'a Arc<Memory>, operation: &'static str) -> Result<Directory<'a>> {
        let me = memory.me(operation)?;
        if memory.geometry.arena_len < UNIT {
            return Err(memory
                .error(ErrorKind::NoSpace, operation)
                .with_detail("it was created without an arena"));
        }
        let header: &ArenaHeader = memory.arena_header()?;
        let acquired = word::lock(&header.lock, me, &**memory, &Wait::timeout(PATIENCE));
        match acquired {
            Ok(Acquired::Clean) => {}
            // Every store leaves a valid chain.
            Ok(Acquired::OwnerDied) => drop(word::make_consistent(&header.lock, me)),
            Err(_) => {
                return Err(memory
                    .error(ErrorKind::Timeout, operation)
                    .with_detail("its directory is locked"));
            }
        }
        Ok(Directory { memory, bytes: memory.bytes(), header, me })
    }

    /// Finds an object, or creates it; `init` fills a new one's payload, which is all zero.
    pub fn find_or_create(
        &self,
        operation: &'static str,
        name: &str,
        spec: &Spec,
        init: impl FnOnce(&SharedBytes<'_>) -> Result<()>,
    ) -> Result<Place> {
        crate::segment::check_name(name, operation)?;
        match self.find(name)? {
            Some(entry) => self.expect(operation, &entry, spec),
            None => self.create(operation, name, spec, init),
        }
    }

    /// Removes an object. Errors: `NotFound`, `WrongKind`, `Busy` while a living process has it open.
    pub fn remove(&self, operation: &'static str, name: &str, kind: Option<ObjectKind>) -> Result<()> {
        let entry = self.find(name)?.ok_or_else(|| self.error(ErrorKind::NotFound, operation, name))?;
        if kind.is_some_and(|kind| kind as u32 != entry.kind) {
            return Err(self.error(ErrorKind::WrongKind, operation, name));
        }
        let users = self.members(&entry.place)?.filter(|owner| !self.memory.is_dead(*owner)).count();
        if users > 0 {
            return Err(self
                .error(ErrorKind::Busy, operation, name)
                .with_detail(format!("{users} processes use it")));
        }
        self.header_at(entry.place.block.start)?.state.store(OBJECT_FREE, Release);
        Ok(())
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

    fn find(&self, name: &str) -> Result<Option<Entry>> {
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

    fn expect(&self, operation: &'static str, entry: &Entry, spec: &Spec) -> Result<Place> {
        if entry.kind != spec.kind as u32 {
            let is = ObjectKind::from_number(entry.kind).map_or("something else", ObjectKind::name);
            return Err(self
                .error(ErrorKind::WrongKind, operation, &entry.name)
                .with_detail(format!("it is a {is}")));
        }
        if entry.parameters != spec.parameters || entry.place.payload.len() < spec.payload_len {
            return Err(self.error(ErrorKind::ParameterMismatch, operation, &entry.name).with_detail(
                format!(
                    "it has {:?} and {} bytes, {:?} and {} asked",
                    entry.parameters,
                    entry.place.payload.len(),
                    spec.parameters,
                    spec.payload_len
                ),
            ));
        }
        Ok(entry.place.clone())
    }

    fn create(
        &self,
        operation: &'static str,
        name: &str,
        spec: &Spec,
        init: impl FnOnce(&SharedBytes<'_>) -> Result<()>,
    ) -> Result<Place> {
        let members_len = self.memory.geometry.slot_count as usize * size_of::<AtomicU32>();
        let members_at = UNIT + name.len().next_multiple_of(UNIT);
        let payload_at = members_at + members_len.next_multiple_of(UNIT);
        let size = payload_at + spec.payload_len.next_multiple_of(UNIT);
        let (start, at_end) = self.room_for(operation, name, size)?;
        let header = self.header_at(start)?;
        self.bytes.zero_at(start + UNIT, size - UNIT)?;
        self.bytes.write_at(start + UNIT, name.as_bytes())?;
        header.kind.store(spec.kind as u32, Relaxed);
        header.name_len.store(name.len() as u32, Relaxed);
        header.payload_offset.store(payload_at as u64, Relaxed);
        header.payload_len.store(spec.payload_len as u64, Relaxed);
        for (word, value) in header.parameters.iter().zip(spec.parameters) {
            word.store(value, Relaxed);
        }
        let payload = start + payload_at..start + payload_at + spec.payload_len;
        init(&self.bytes.slice(payload.clone())?)?;
        if at_end {
            header.size.store(size as u64, Relaxed);
            header.state.store(OBJECT_LIVE, Relaxed);
            self.header.used.store((start + size - self.memory.geometry.arena_offset) as u64, Release);
        } else {
            header.state.store(OBJECT_LIVE, Release);
        }
        Ok(Place { block: start..start + size, members: start + members_at, payload })
    }

    /// A free block of exactly `size` bytes, or the place behind the last block; and whether it is the latter.
    fn room_for(&self, operation: &'static str, name: &str, size: usize) -> Result<(usize, bool)> {
        let mut found = None;
        self.each_block(|block, header| {
            if header.state.load(Acquire) == OBJECT_LIVE {
                return Ok(false);
            }
            let len = self.join_free(&block, header)?;
            if len >= size {
                self.split(block.start, header, len, size)?;
                found = Some(block.start);
            }
            Ok(found.is_some())
        })?;
        if let Some(start) = found {
            return Ok((start, false));
        }
        let arena = self.memory.geometry.arena();
        let start = arena.start + self.used()?;
        if size > arena.end - start {
            return Err(self
                .error(ErrorKind::NoSpace, operation, name)
                .with_detail(format!("{size} bytes of {} left in the arena", arena.end - start)));
        }
        Ok((start, true))
    }

    /// Joins the free blocks behind this one to it, and returns its new length.
    fn join_free(&self, block: &Range<usize>, header: &ObjectHeader) -> Result<usize> {
        let end = self.memory.geometry.arena_offset + self.used()?;
        let mut len = block.len();
        while block.start + len < end {
            let (next, next_header) = self.block_at(block.start + len, end)?;
            if next_header.state.load(Acquire) == OBJECT_LIVE {
                break;
            }
            len += next.len();
            header.size.store(len as u64, Release);
        }
        Ok(len)
    }

    fn split(&self, start: usize, header: &ObjectHeader, len: usize, size: usize) -> Result<()> {
        if len > size {
            let rest = self.header_at(start + size)?;
            rest.state.store(OBJECT_FREE, Relaxed);
            rest.size.store((len - size) as u64, Release);
            header.size.store(size as u64, Release);
        }
        Ok(())
    }

    /// Calls `visit` with each block until it says that it is done. What the chain says is checked before it is used.
    fn each_block(&self, mut visit: impl FnMut(Range<usize>, &ObjectHeader) -> Result<bool>) -> Result<()> {
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

    fn block_at(&self, at: usize, end: usize) -> Result<(Range<usize>, &ObjectHeader)> {
        let header = self.header_at(at)?;
        let size = usize::try_from(header.size.load(Acquire)).unwrap_or(usize::MAX);
        if size < UNIT || !size.is_multiple_of(UNIT) || size > end - at {
            return Err(self.corrupted(format!("a block of {size} bytes at {at}")));
        }
        Ok((at..at + size, header))
    }

    /// Bytes of the chain, its header included.
    fn used(&self) -> Result<usize> {
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
        self.bytes.read_at(block.start + UNIT, &mut name)?;
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
            .map(|index| Ok(self.bytes.shared::<AtomicU32>(place.members + index * 4)?.load(Relaxed)))
            .collect();
        Ok(owners?.into_iter().filter(|owner| *owner != 0))
    }

    fn header_at(&self, at: usize) -> Result<&ObjectHeader> {
        self.bytes.shared(at)
    }

    fn corrupted(&self, text: String) -> Error {
        self.memory.error(ErrorKind::Corrupted, "read directory").with_detail(text)
    }

    fn error(&self, kind: ErrorKind, operation: &'static str, name: &str) -> Error {
        Error::new(kind, operation, self.memory.object_name(name))
    }
}

/// The word in which slot `me` says that it has the object open.
pub(crate) fn member_word<'a>(memory: &'a Memory, place: &Place, me: u32) -> Result<&'a AtomicU32> {
    memory.record_at(place.members + slot_index(me) as usize * size_of::<AtomicU32>())
}
