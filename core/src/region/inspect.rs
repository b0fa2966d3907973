//! Seeing what goes on in a region: who is attached, who holds what since when, who waits, how many owners died.
//!
//! Looking changes nothing: it needs no attachment and no lock, only leave to read. What it says was true at some instant
//! while it looked, each number for itself.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Region;
use super::chain::{Chain, Entry};
use super::memory::Memory;
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::Relaxed;
use crate::error::{Error, Result};
use crate::layout::{
    self, AtomicRecord, BarrierRecord, HeapRecord, Mark, ObjectKind, OwnerWord, PoolRecord, RwLockRecord,
    Slot, TrackedRecord, ValueRecord, WordRecord,
};
use crate::protocol::owner::{generation_of, owner_of, short_generation, slot_index};
use crate::protocol::{event, marks, semaphore};
use crate::sys::{clock, file};

/// What goes on in a region.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RegionStatus {
    /// Name or path.
    pub name: String,
    /// Number of user bytes.
    pub len: usize,
    /// The most user bytes that it can have.
    pub capacity: usize,
    /// Bytes of the arena, and how many of them are used or were.
    pub arena_len: usize,
    /// Bytes of the arena that belong to objects, or did.
    pub arena_used: usize,
    /// When this was seen, nanoseconds of CLOCK_MONOTONIC: all other times of that clock count back from here.
    pub now_ns: u64,
    /// Time of creation, nanoseconds since 1970.
    pub created_ns: u64,
    /// The creator's process id, in its own namespace.
    pub creator_pid: u32,
    /// How many processes can be attached at once.
    pub attachment_limit: usize,
    /// Every slot that somebody uses, or died in.
    pub attachments: Vec<AttachmentStatus>,
    /// The guard, under an empty name, and then the named objects.
    pub objects: Vec<ObjectStatus>,
}

/// One process's membership.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct AttachmentStatus {
    /// Index of its slot.
    pub slot: u32,
    /// Whether the process lives, as the kernel says.
    pub alive: bool,
    /// Process id, in the process's own namespace.
    pub pid: u32,
    /// Inode number of that namespace.
    pub pid_namespace: u64,
    /// Command name.
    pub label: String,
    /// When it attached, nanoseconds of CLOCK_MONOTONIC.
    pub attached_ns: u64,
    /// What one of its threads sleeps on: the object's name, empty for the guard.
    pub waits_for: Option<String>,
    /// When that wait began, nanoseconds of CLOCK_MONOTONIC.
    pub waits_ns: Option<u64>,
}

/// Who holds a lock.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Holder {
    /// Index of its slot.
    pub slot: u32,
    /// Process id, 0 when the slot has a new owner.
    pub pid: u32,
    /// Whether the holder lives.
    pub alive: bool,
    /// Since when at least, nanoseconds of CLOCK_MONOTONIC: when somebody first had to wait for it. Taking a free lock
    /// reads no clock.
    pub since_ns: Option<u64>,
}

/// The holds of one process that reads, or permits, or arrivals at a barrier.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Share {
    /// Index of its slot.
    pub slot: u32,
    /// Process id, 0 when the slot has a new owner.
    pub pid: u32,
    /// Whether it lives.
    pub alive: bool,
    /// How many.
    pub count: u32,
}

/// One lock or other object.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ObjectStatus {
    /// Name; empty for the guard.
    pub name: String,
    /// What it is, for example `mutex`.
    pub kind: String,
    /// The owner: who locked it, or writes.
    pub holder: Option<Holder>,
    /// Holds, permits or arrivals by process.
    pub shares: Vec<Share>,
    /// Whether somebody may wait.
    pub has_waiters: bool,
    /// Whether an owner died and nobody made it consistent since.
    pub owner_died: bool,
    /// How many owners have died.
    pub deaths: u32,
    /// Permits available, the value of an atomic, 1 for an event that is set, the number that must arrive, bytes used of a
    /// heap.
    pub value: Option<i128>,
    /// Living processes that have it open.
    pub users: usize,
}

impl Region {
    /// The names of all regions that are POSIX shared memory objects, in order. Others' too; opening them may be refused.
    pub fn list() -> Result<Vec<String>> {
        file::names_with_prefix(layout::SHM_DIRECTORY.as_ref(), layout::SHM_PREFIX)
            .map_err(|errno| Error::from_errno(errno as i32, "list regions", layout::SHM_DIRECTORY))
    }

    /// What goes on in the region. Works on a read-only handle, and waits for nobody.
    ///
    /// Errors: `Closed`, `Corrupted`.
    pub fn status(&self) -> Result<RegionStatus> {
        let memory = self.memory("inspect region")?;
        let (header, arena) = (memory.fixed_header()?, Chain::of(memory)?);
        let entries = arena.as_ref().map_or(Ok(Vec::new()), Chain::entries)?;
        let mut objects = vec![ObjectStatus::new("", "guard").owned(memory, memory.guard())];
        for entry in &entries {
            let status = object_status(memory, entry)?;
            let members = arena.as_ref().map(|arena| arena.members(&entry.place)).transpose()?;
            let living = members.into_iter().flatten().filter(|owner| memory.process(*owner).2);
            objects.push(ObjectStatus { users: living.count(), ..status });
        }
        let attachments = attachments(memory, &entries);
        memory.expect_undamaged("inspect region")?;
        Ok(RegionStatus {
            name: self.location().display().into_owned(),
            len: self.len(),
            capacity: self.capacity(),
            arena_len: memory.geometry.arena_len,
            arena_used: arena.as_ref().map_or(Ok(0), Chain::used)?,
            // After everything else, so that nothing seen lies in its future.
            now_ns: clock::monotonic_ns(),
            created_ns: header.created_ns,
            creator_pid: header.creator_pid,
            attachment_limit: self.attachment_limit(),
            attachments,
            objects,
        })
    }
}

impl RegionStatus {
    /// Whether no living process is attached.
    pub fn is_abandoned(&self) -> bool {
        !self.attachments.iter().any(|attachment| attachment.alive)
    }

    /// The same as one line of JSON, for other languages and programs.
    pub fn to_json(&self) -> String {
        // Strings and numbers only: nothing in here can fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn attachments(memory: &Memory, entries: &[Entry]) -> Vec<AttachmentStatus> {
    let slots = memory.slots();
    let used = (0..slots.high()).filter_map(|index| Some((index, slots.get(index)?)));
    used.filter(|(_, slot)| slot.state.load(Relaxed) != layout::SLOT_FREE)
        .map(|(index, slot)| {
            let waits_for = slot.waits_for.load(Relaxed) as usize;
            let alive = memory.is_slot_live(index);
            AttachmentStatus {
                slot: index,
                alive,
                pid: slot.pid.load(Relaxed),
                pid_namespace: slot.pid_namespace.load(Relaxed),
                label: label(slot),
                attached_ns: slot.attached_ns.load(Relaxed),
                waits_for: (alive && waits_for != 0).then(|| name_at(entries, waits_for)),
                waits_ns: (alive && waits_for != 0).then(|| slot.waits_ns.load(Relaxed)),
            }
        })
        .collect()
}

/// The name of the object that a word belongs to; empty for the guard.
fn name_at(entries: &[Entry], offset: usize) -> String {
    let found = entries.iter().find(|entry| entry.place.block.contains(&offset));
    found.map(|entry| entry.name.clone()).unwrap_or_default()
}

fn label(slot: &Slot) -> String {
    let bytes: Vec<u8> = slot.label.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

fn object_status(memory: &Memory, entry: &Entry) -> Result<ObjectStatus> {
    let at = entry.place.payload.start;
    let Some(kind) = ObjectKind::from_number(entry.kind) else {
        return Ok(ObjectStatus::new(&entry.name, "unknown"));
    };
    let status = ObjectStatus::new(&entry.name, kind.name());
    let word = |at| Ok::<u32, Error>(memory.record_at::<WordRecord>(at)?.word.load(Relaxed));
    Ok(match kind {
        ObjectKind::Mutex => status.owned(memory, memory.record_at(at)?),
        ObjectKind::RwLock => {
            let record: &RwLockRecord = memory.record_at(at)?;
            let table =
                memory.records_at::<Mark>(at + size_of::<RwLockRecord>(), memory.slots().high() as usize)?;
            let marks = table.iter().map(|mark| &mark.value);
            status.owned(memory, &record.writer).shared(memory, marks)
        }
        ObjectKind::Semaphore => {
            let word = word(at)?;
            status.signalled(word).counted(semaphore::permits(word))
        }
        ObjectKind::TrackedSemaphore => {
            let record: &TrackedRecord = memory.record_at(at)?;
            let status = status.shared(memory, table(memory, at + size_of::<TrackedRecord>())?.iter());
            status.signalled(record.signal.load(Relaxed)).counted(record.available.load(Relaxed))
        }
        ObjectKind::Condvar => status.signalled(word(at)?),
        ObjectKind::Event => {
            let record: &WordRecord = memory.record_at(at)?;
            status.signalled(word(at)?).counted(event::is_set(&record.word))
        }
        ObjectKind::Barrier => {
            let record: &BarrierRecord = memory.record_at(at)?;
            let status = status.shared(memory, table(memory, at + size_of::<BarrierRecord>())?.iter());
            let owner_died = record.breaks.load(Relaxed) & 1 != 0;
            let has_waiters = !status.shares.is_empty();
            ObjectStatus { has_waiters, owner_died, ..status }.counted(record.parties.load(Relaxed))
        }
        ObjectKind::Pool => {
            let record: &PoolRecord = memory.record_at(at)?;
            let status = status.signalled(record.signal.load(Relaxed));
            let count = entry.parameters[1] as u32;
            if entry.place.payload.len() / size_of::<AtomicU64>() <= count as usize {
                return Ok(status); // only corruption has fewer words than blocks
            }
            status.blocks(memory, memory.records_at(at + size_of::<PoolRecord>(), count as usize)?)
        }
        ObjectKind::Value => {
            let record: &ValueRecord = memory.record_at(at)?;
            // A value of one word counts nothing.
            let writes = (entry.parameters[0] > 8).then(|| record.version.load(Relaxed).into());
            ObjectStatus { value: writes, ..status.owned(memory, &record.lock) }
        }
        ObjectKind::AtomicU32 | ObjectKind::AtomicU64 | ObjectKind::AtomicI64 => {
            let record: &AtomicRecord = memory.record_at(at)?;
            let bits = record.value.load(Relaxed);
            let value = if kind == ObjectKind::AtomicI64 { i128::from(bits as i64) } else { bits.into() };
            status.signalled(record.signal.load(Relaxed)).counted(value)
        }
        ObjectKind::Heap => {
            let record: &HeapRecord = memory.record_at(at)?;
            status.owned(memory, &record.lock).counted(record.used_len.load(Relaxed))
        }
    })
}

fn table(memory: &Memory, at: usize) -> Result<&[AtomicU64]> {
    memory.records_at(at, memory.slots().high() as usize)
}

impl ObjectStatus {
    fn new(name: &str, kind: &str) -> ObjectStatus {
        ObjectStatus {
            name: name.to_owned(),
            kind: kind.to_owned(),
            holder: None,
            shares: Vec::new(),
            has_waiters: false,
            owner_died: false,
            deaths: 0,
            value: None,
            users: 0,
        }
    }

    /// With what the lowest bit of a word says: somebody may wait.
    fn signalled(self, word: u32) -> ObjectStatus {
        ObjectStatus { has_waiters: word & 1 != 0, ..self }
    }

    fn counted(self, value: impl Into<i128>) -> ObjectStatus {
        ObjectStatus { value: Some(value.into()), ..self }
    }

    /// With what an owner word says.
    fn owned(self, memory: &Memory, owner: &OwnerWord) -> ObjectStatus {
        let word = owner.word.load(Relaxed);
        let noticed = owner.noticed_owner.load(Relaxed) == owner_of(word);
        let holder = (owner_of(word) != 0).then(|| {
            let (slot, pid, alive) = memory.process(owner_of(word));
            let since_ns = noticed.then(|| owner.noticed_ns.load(Relaxed));
            Holder { slot, pid, alive, since_ns }
        });
        ObjectStatus {
            has_waiters: word & layout::WORD_WAITERS != 0,
            owner_died: word & layout::WORD_DIRTY != 0,
            deaths: owner.deaths.load(Relaxed),
            holder,
            ..self
        }
    }

    /// With what the words of a pool's blocks say: who has how many, and how many are free.
    fn blocks(self, memory: &Memory, words: &[AtomicU64]) -> ObjectStatus {
        let mut owners: BTreeMap<u32, u32> = BTreeMap::new();
        let mut free = 0;
        for word in words.iter().map(|word| word.load(Relaxed) as u32) {
            match word & layout::POOL_STATE_MASK {
                layout::POOL_FREE => free += 1,
                layout::POOL_OWNED => *owners.entry(owner_of(word)).or_default() += 1,
                _ => {}
            }
        }
        let shares = owners.into_iter().map(|(owner, count)| {
            let (slot, pid, alive) = memory.process(owner);
            Share { slot, pid, alive, count }
        });
        ObjectStatus { shares: shares.collect(), value: Some(free), ..self }
    }

    /// With what marks say, one for each slot.
    fn shared<'a>(self, memory: &Memory, marks: impl Iterator<Item = &'a AtomicU64>) -> ObjectStatus {
        let counted = marks.enumerate().map(|(index, mark)| (index, mark.load(Relaxed)));
        let shares = counted.filter(|(_, mark)| marks::count_of(*mark) != 0).map(|(index, mark)| {
            let (slot, pid, alive) = memory.process(marks::owner_of_mark(index, mark));
            Share { slot, pid, alive, count: marks::count_of(mark) }
        });
        ObjectStatus { shares: shares.collect(), ..self }
    }
}

impl Memory {
    /// Slot, process id and life of an owner.
    pub(crate) fn process(&self, owner: u32) -> (u32, u32, bool) {
        let index = slot_index(owner);
        let slots = self.slots();
        let Some(slot) = slots.get(index) else { return (index, 0, false) };
        let current = short_generation(slot.generation.load(Relaxed)) == generation_of(owner);
        let pid = if current { slot.pid.load(Relaxed) } else { 0 };
        (index, pid, current && self.is_slot_live(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventReset, SemaphoreKind, SemaphoreOptions};

    #[test]
    fn a_reader_sees_who_holds_what() {
        let name = format!("unit-inspect-{}", std::process::id());
        let region = Region::create(&name, 100).unwrap();
        let (mutex, lock) = (region.mutex("m").unwrap(), region.rwlock("l").unwrap());
        let tracked = SemaphoreOptions::new(3).kind(SemaphoreKind::Tracked);
        let permits = region.semaphore("p", tracked).unwrap();
        region.event("e", EventReset::Manual).unwrap().set().unwrap();
        region.atomic_i64("a", -7).unwrap();
        let (_guard, _read, _permit) =
            (mutex.lock().unwrap(), lock.read().unwrap(), permits.acquire_permit().unwrap());
        assert!(mutex.lock_timeout(std::time::Duration::from_millis(2)).is_err(), "somebody waited");

        let status = Region::open_read_only(&name).unwrap().status().unwrap();
        assert_eq!((status.len, status.attachments.len()), (100, 1));
        assert!(status.attachments[0].alive && status.attachments[0].pid == std::process::id());
        assert!(!status.attachments[0].label.is_empty() && !status.is_abandoned());
        let by_name = |name: &str| status.objects.iter().find(|object| object.name == name).unwrap();
        let holder = by_name("m").holder.as_ref().unwrap();
        assert!(holder.alive && holder.pid == std::process::id() && holder.since_ns.is_some());
        assert!(by_name("m").has_waiters && by_name("m").users == 1);
        let times = [status.attachments[0].attached_ns, holder.since_ns.unwrap(), status.now_ns];
        assert!(times.is_sorted() && times[0] > 0, "{times:?}");
        assert!(by_name("").holder.is_none());
        assert_eq!((by_name("l").shares[0].count, by_name("p").shares[0].count), (1, 1));
        assert_eq!((by_name("p").value, by_name("e").value), (Some(2), Some(1)));
        assert_eq!((by_name("a").value, by_name("a").users), (Some(-7), 0));
        assert!(status.to_json().starts_with(&format!(r#"{{"name":"{name}","len":100"#)));
        assert!(Region::list().unwrap().contains(&name));
        Region::unlink(&name).unwrap();
    }

    #[test]
    fn a_wait_has_one_beginning_however_many_sleeps_it_takes() {
        let name = format!("unit-inspect-wait-{}", std::process::id());
        let region = Region::create(&name, 100).unwrap();
        let mutex = region.mutex("m").unwrap();
        let guard = mutex.lock().unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| drop(mutex.lock()));
            // Longer than the longest sleep. Between two sleeps a waiter is none: look until it is one.
            let long = |status: &RegionStatus| {
                let [attachment] = &status.attachments[..] else { panic!("{status:?}") };
                attachment.waits_for.is_some() && status.now_ns - attachment.waits_ns.unwrap() > 40_000_000
            };
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
            while !long(&region.status().unwrap()) {
                assert!(std::time::Instant::now() < deadline, "{:?}", region.status());
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            drop(guard);
            waiter.join().unwrap();
        });
        assert_eq!(region.status().unwrap().attachments[0].waits_for, None);
        Region::unlink(&name).unwrap();
    }
}
