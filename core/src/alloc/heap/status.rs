//! What is in a heap: numbers, blocks and owners; and whether it is whole.

use serde::Serialize;

use super::Heap;
use super::engine::{Engine, Flaw, Why};
use crate::atomic::Ordering::Relaxed;
use crate::error::Result;

/// A heap in numbers. Bytes are those that blocks offer; the words before them count nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HeapStatus {
    /// Bytes of the heap, all in all.
    pub len: u64,
    /// Bytes of live blocks.
    pub used: u64,
    /// Bytes of free blocks.
    pub free: u64,
    /// Bytes of the largest free block.
    pub largest_free: u64,
    /// Number of live blocks.
    pub used_blocks: u64,
    /// How many of them are published.
    pub published_blocks: u64,
    /// Number of free blocks.
    pub free_blocks: u64,
    /// How often what is derived from the blocks was made anew, after the death of somebody who held the heap's lock.
    pub repairs: u64,
    /// Blocks that were taken back from the dead.
    pub reclaimed: u64,
}

impl HeapStatus {
    /// 1 − largest free block ÷ free bytes: 0 when all that is free is in one piece, near 1 when it is in many.
    pub fn fragmentation(&self) -> f64 {
        if self.free == 0 { 0.0 } else { 1.0 - self.largest_free as f64 / self.free as f64 }
    }
}

/// One block of a heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HeapBlock {
    /// Where its bytes begin, from the region's start.
    pub offset: u64,
    /// How many bytes it offers.
    pub len: u64,
    /// Whether it is free space.
    pub is_free: bool,
    /// Whether it is live and belongs to nobody.
    pub is_published: bool,
    /// The slot of its owner; 0 for one without.
    pub slot: u32,
    /// The owner's process id; 0 when there is none, or its slot has a new owner.
    pub pid: u32,
    /// Whether the owner lives.
    pub alive: bool,
}

/// What one process has of a heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HeapOwner {
    /// Index of its slot.
    pub slot: u32,
    /// Process id, 0 when the slot has a new owner.
    pub pid: u32,
    /// Whether it lives.
    pub alive: bool,
    /// Number of its blocks.
    pub blocks: u64,
    /// Bytes that they offer.
    pub bytes: u64,
}

impl Heap {
    /// The heap in numbers. Looks at every block, with the heap's lock held.
    ///
    /// Errors: `Corrupted`, `Timeout`, `Closed`.
    pub fn status(&self) -> Result<HeapStatus> {
        self.operate("inspect heap", |engine, _| {
            let mut status = HeapStatus {
                len: self.plan.len,
                repairs: self.object.repairs.load(Relaxed),
                reclaimed: self.object.reclaimed.load(Relaxed),
                ..HeapStatus::default()
            };
            engine.each(&mut |entry| {
                let live = entry.live;
                if entry.is_free {
                    status.free += live.len;
                    status.free_blocks += 1;
                    status.largest_free = status.largest_free.max(live.len);
                } else {
                    status.used += live.len;
                    status.used_blocks += 1;
                    status.published_blocks += u64::from(live.owner == 0);
                }
            })?;
            Ok(Ok(status))
        })
    }

    /// Every block, in the order of their addresses. Errors: as [`Heap::status`].
    pub fn blocks(&self) -> Result<Vec<HeapBlock>> {
        let entries = self.operate("inspect heap", |engine, _| {
            let mut entries = Vec::new();
            engine.each(&mut |entry| entries.push(entry))?;
            Ok(Ok(entries))
        })?;
        let mut known = Processes::default();
        Ok(entries
            .into_iter()
            .map(|entry| {
                let owner = if entry.is_free { 0 } else { entry.live.owner };
                let (slot, pid, alive) = known.ask(self, owner);
                HeapBlock {
                    offset: entry.live.offset,
                    len: entry.live.len,
                    is_free: entry.is_free,
                    is_published: !entry.is_free && owner == 0,
                    slot,
                    pid,
                    alive,
                }
            })
            .collect())
    }

    /// Who has how much, the dead included. Errors: as [`Heap::status`].
    pub fn owners(&self) -> Result<Vec<HeapOwner>> {
        let counted = self.operate("inspect heap", |engine, _| {
            let mut counted: Vec<(u32, u64, u64)> = Vec::new();
            engine.each(&mut |entry| {
                let (owner, len) = (entry.live.owner, entry.live.len);
                if entry.is_free || owner == 0 {
                    return;
                }
                match counted.iter_mut().find(|(known, ..)| *known == owner) {
                    Some((_, blocks, bytes)) => (*blocks, *bytes) = (*blocks + 1, *bytes + len),
                    None => counted.push((owner, 1, len)),
                }
            })?;
            Ok(Ok(counted))
        })?;
        let mut known = Processes::default();
        Ok(counted
            .into_iter()
            .map(|(owner, blocks, bytes)| {
                let (slot, pid, alive) = known.ask(self, owner);
                HeapOwner { slot, pid, alive, blocks, bytes }
            })
            .collect())
    }

    /// Frees all blocks of the dead, except published ones, and says how many there were. One by one, so a death meanwhile
    /// leaves the rest for the next.
    ///
    /// Errors: `Corrupted`, `Timeout`, `Closed`.
    pub fn reclaim(&self) -> Result<u64> {
        self.operate("reclaim blocks", |engine, _| self.reclaim_all(engine).map(Ok))
    }

    /// Checks everything: that the blocks are a chain from the first to the last, and that all that is derived from them
    /// agrees. Changes nothing, unless an owner of the heap's lock died.
    ///
    /// Errors: `Corrupted`, which says what is wrong; `Timeout`, `Closed`.
    pub fn check(&self) -> Result<()> {
        let operation = "check heap";
        let _locked = self.lock(operation)?;
        self.with(|engine| engine.verify().and_then(|()| self.verify_counts(engine)))
            .map_err(|flaw| self.flawed(operation, flaw))?;
        self.object.memory().expect_undamaged(operation)
    }

    fn verify_counts(&self, engine: &dyn Engine) -> super::engine::Result<()> {
        let (mut used, mut count, mut largest) = (0, 0, 0);
        engine.each(&mut |entry| {
            if entry.is_free {
                largest = largest.max(entry.live.len);
            } else {
                used += entry.live.len;
                count += 1;
            }
        })?;
        if (used, count) != (self.object.used_len.load(Relaxed), self.object.used_count.load(Relaxed)) {
            return Err(Flaw::Index(Why::Counts));
        }
        if largest != engine.largest_free()? {
            return Err(Flaw::Index(Why::Largest));
        }
        Ok(())
    }
}

/// What was asked of the kernel about owners already.
#[derive(Default)]
struct Processes(Vec<(u32, (u32, u32, bool))>);

impl Processes {
    fn ask(&mut self, heap: &Heap, owner: u32) -> (u32, u32, bool) {
        if owner == 0 {
            return (0, 0, false);
        }
        if let Some((_, known)) = self.0.iter().find(|(asked, _)| *asked == owner) {
            return *known;
        }
        let answer = heap.object.memory().process(owner);
        self.0.push((owner, answer));
        answer
    }
}
