//! Named objects: the arena's chain of blocks is their directory.
//!
//! The chain begins after the [`ArenaHeader`](crate::layout::ArenaHeader) and ends at `used`; each block says how long it is. It changes only under
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

use std::ops::{Deref, Range};

use super::ObjectMode;
pub(crate) use super::chain::Place;
use super::chain::{Chain, Entry, UNIT};
use super::memory::Memory;
use crate::atomic::AtomicU32;
use crate::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{OBJECT_FREE, OBJECT_LIVE, ObjectHeader, ObjectKind};
use crate::protocol::barrier::BarrierWords;
use crate::protocol::owner::slot_index;
use crate::protocol::party::{Acquired, Party};
use crate::protocol::wait::{Stop, Wait};
use crate::protocol::word;
use crate::view::SharedBytes;

/// How long a search waits for the directory's lock, or a new member for a barrier's: they are held for microseconds, except
/// by a stopped process.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// What an object is to be like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    pub kind: ObjectKind,
    pub payload_len: usize,
    /// How much of a new payload must be zero: all, unless the object knows what was written.
    pub zeroed_len: usize,
    pub parameters: [u64; 2],
}

/// The directory of a region that is open for writing; its lock is held.
pub(crate) struct Directory<'a> {
    chain: Chain<'a>,
    bytes: SharedBytes<'a>,
    me: u32,
}

impl<'a> Deref for Directory<'a> {
    type Target = Chain<'a>;

    fn deref(&self) -> &Chain<'a> {
        &self.chain
    }
}

impl Drop for Directory<'_> {
    fn drop(&mut self) {
        word::unlock(&self.header.lock, self.me, 1, self.memory);
    }
}

impl<'a> Directory<'a> {
    /// Takes the directory's lock.
    pub fn lock(memory: &'a Memory, operation: &'static str) -> Result<Directory<'a>> {
        let me = memory.me(operation)?;
        let chain = Chain::of(memory)?.ok_or_else(|| {
            memory.error(ErrorKind::NoSpace, operation).with_detail("it was created without an arena")
        })?;
        match word::lock(&chain.header.lock, me, memory, &Wait::timeout(PATIENCE)) {
            Ok(Acquired::Clean) => {}
            // Every store leaves a valid chain.
            Ok(Acquired::OwnerDied) => drop(word::make_consistent(&chain.header.lock, me)),
            Err(Stop::Damaged) => {
                return Err(memory.error(ErrorKind::MappingTruncated, operation));
            }
            Err(_) => {
                return Err(memory
                    .error(ErrorKind::Timeout, operation)
                    .with_detail("its directory is locked"));
            }
        }
        Ok(Directory { chain, bytes: memory.bytes(), me })
    }

    /// Finds an object or creates it, as `mode` says; `init` fills a new one's payload, which is zero as far as the spec says.
    pub fn open(
        &self,
        operation: &'static str,
        name: &str,
        spec: &Spec,
        mode: ObjectMode,
        init: impl FnOnce(&SharedBytes<'_>) -> Result<()>,
    ) -> Result<Place> {
        crate::segment::check_name(name, operation)?;
        match self.find(name)? {
            Some(_) if mode == ObjectMode::Create => {
                Err(self.error(ErrorKind::AlreadyExists, operation, name))
            }
            Some(entry) => self.expect(operation, &entry, spec),
            None if mode == ObjectMode::Find => Err(self.error(ErrorKind::NotFound, operation, name)),
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
        self.bytes.zero_at(start + UNIT, payload_at + spec.zeroed_len - UNIT)?;
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
            return Err(self.error(ErrorKind::NoSpace, operation, name).with_detail(format!(
                "{size} bytes of {} left in the arena, which has the length that its region was created with",
                arena.end - start
            )));
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

    fn error(&self, kind: ErrorKind, operation: &'static str, name: &str) -> Error {
        self.memory.error_of(kind, operation, self.memory.object_name(name))
    }
}

/// Makes `me` a member. A member that had our slot before died with the object open, which a barrier has to tell.
pub(crate) fn join(memory: &Memory, place: &Place, me: u32, operation: &'static str) -> Result<()> {
    let word = member_word(memory, place, me)?;
    let before = word.load(Relaxed);
    let header: &ObjectHeader = memory.record_at(place.block.start)?;
    let is_barrier = header.kind.load(Relaxed) == ObjectKind::Barrier as u32;
    if before == 0 || before == me || !is_barrier {
        word.store(me, Release);
        return Ok(());
    }
    let words = BarrierWords {
        record: memory.record_at(place.payload.start)?,
        arrivals: &[],
        members: memory.records_at(place.members, memory.geometry.slot_count as usize)?,
    };
    words
        .replace_member(me, memory, &Wait::timeout(PATIENCE))
        .map_err(|_| memory.error(ErrorKind::Timeout, operation).with_detail("a barrier is locked"))
}

/// The word in which slot `me` says that it has the object open.
pub(crate) fn member_word<'a>(memory: &'a Memory, place: &Place, me: u32) -> Result<&'a AtomicU32> {
    memory.record_at(place.members + slot_index(me) as usize * size_of::<AtomicU32>())
}
