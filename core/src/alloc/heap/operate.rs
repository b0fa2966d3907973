//! How every operation on a heap runs: under its lock, on blocks that were checked, with what is derived from them mended
//! where it proves wrong.

use std::cell::Cell;
use std::time::Duration;

use super::engine::{self, Engine, Flaw, Live, Task};
use super::{Heap, MAX_HEAP_ALIGN, Parts};
use crate::atomic::Ordering::Relaxed;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::party::{Acquired, Party};
use crate::protocol::wait::Wait;
use crate::protocol::word;
use crate::region::Operations;

/// How long an operation waits for the heap's lock: it is held for microseconds, except by a stopped process.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) const OPERATIONS: Operations =
    Operations { lock: "lock heap", unlock: "unlock heap", make_consistent: "repair heap" };

/// What all operations are made of.
impl Heap {
    #[inline]
    pub(super) fn take(&self, len: usize, align: usize) -> Result<u64> {
        let operation = "allocate block";
        self.check_request(operation, len, align)?;
        let found = self.perform(operation, &Take { heap: self, len: len as u64, align: align as u64 })?;
        found.ok_or_else(|| self.no_space(operation, len))
    }

    #[cold]
    fn no_space(&self, operation: &'static str, len: usize) -> Error {
        self.error(ErrorKind::NoSpace, operation).with_detail(format!("{len} bytes"))
    }

    #[inline]
    pub(super) fn check_request(&self, operation: &'static str, len: usize, align: usize) -> Result<()> {
        if len != 0 && align.is_power_of_two() && align <= MAX_HEAP_ALIGN {
            return Ok(());
        }
        Err(self.bad_request(operation, len, align))
    }

    #[cold]
    fn bad_request(&self, operation: &'static str, len: usize, align: usize) -> Error {
        if len == 0 {
            return self.error(ErrorKind::InvalidLength, operation);
        }
        let text = format!("alignment {align}, a power of two up to {MAX_HEAP_ALIGN}");
        self.error(ErrorKind::InvalidArgument, operation).with_detail(text)
    }

    pub(super) fn resized(&self, engine: &dyn Engine, block: Live, len: usize) -> engine::Result<bool> {
        let Some(new) = engine.resize(block, len as u64)? else { return Ok(false) };
        self.count(new.len as i64 - block.len as i64, 0);
        Ok(true)
    }

    /// Runs `change` on a live block that is this process's, or nobody's.
    #[inline]
    pub(super) fn change<R>(
        &self,
        operation: &'static str,
        offset: u64,
        change: impl Fn(&dyn Engine, Live, u32) -> engine::Result<R>,
    ) -> Result<R> {
        self.operate(operation, |engine, me| {
            let block = engine.locate(offset)?;
            if block.owner != me && block.owner != 0 {
                return Ok(Err(self.not_mine(operation, offset)));
            }
            change(engine, block, me).map(Ok)
        })
    }

    /// As [`Heap::perform`], for a closure.
    pub(super) fn operate<R>(
        &self,
        operation: &'static str,
        body: impl Fn(&dyn Engine, u32) -> engine::Result<Result<R>>,
    ) -> Result<R> {
        self.perform(operation, &body)
    }

    /// Runs a task under the heap's lock. When what is derived from the blocks proves wrong, it is made anew and the task runs
    /// once more. What it did in a page that the file has lost is not done.
    #[inline(always)]
    pub(super) fn perform<R>(
        &self,
        operation: &'static str,
        task: &impl Task<engine::Result<Result<R>>>,
    ) -> Result<R> {
        let locked = self.lock(operation)?;
        let suspect = Cell::new(false);
        let mending = Mending { heap: self, operation, suspect: &suspect, task };
        let result = self.parts().with_engine(&suspect, locked.me, &mending)?;
        self.object.memory().expect_undamaged(operation).map(|()| result)
    }

    pub(super) fn with<R>(&self, use_it: impl Fn(&dyn Engine) -> R) -> R {
        self.parts().with_engine(&Cell::new(false), 0, &|engine: &dyn Engine, _| use_it(engine))
    }

    #[inline]
    fn parts(&self) -> Parts<'_> {
        let (table, space_start) = (self.object.table(), self.space_start);
        Parts { plan: &self.plan, record: &self.object, table, space_start, base: self.base }
    }

    /// Takes the heap's lock for this process, whose id the result has. After the death of an owner everything is put in order
    /// first. Whether the file has lost pages is for the end of the operation: see [`Heap::perform`].
    #[inline(always)]
    pub(super) fn lock(&self, operation: &'static str) -> Result<Locked<'_>> {
        let me = self.object.memory().me(operation)?;
        if !word::lock_fast(&self.object.lock, me) {
            return self.lock_slow(operation, me);
        }
        let locked = Locked { heap: self, me };
        // Only after it is taken, as every lock of the region: a close must see it held, or we the handle closed.
        if self.object.is_closed() {
            return Err(self.error(ErrorKind::Closed, operation));
        }
        Ok(locked)
    }

    #[cold]
    #[inline(never)]
    fn lock_slow(&self, operation: &'static str, me: u32) -> Result<Locked<'_>> {
        let lockable = self.object.lockable(&self.object.lock, &OPERATIONS);
        let acquired = lockable
            .acquire(&Wait::timeout(PATIENCE))
            .map_err(|error| error.about(operation, self.full_name()))?;
        let locked = Locked { heap: self, me };
        if acquired == Acquired::OwnerDied {
            self.recover(operation)?;
        }
        Ok(locked)
    }

    #[cold]
    fn recover(&self, operation: &'static str) -> Result<()> {
        self.with(|engine| {
            self.repair(engine)?;
            if self.options.reclaim {
                self.reclaim_all(engine)?;
            }
            Ok(())
        })
        .map_err(|flaw| self.flawed(operation, flaw))?;
        self.object.lockable(&self.object.lock, &OPERATIONS).make_consistent()
    }

    /// Makes everything that is derived anew.
    #[cold]
    #[inline(never)]
    fn repair(&self, engine: &dyn Engine) -> engine::Result<()> {
        engine.rebuild()?;
        let (mut len, mut count) = (0, 0);
        engine.each(&mut |entry| {
            if !entry.is_free {
                len += entry.live.len;
                count += 1;
            }
        })?;
        self.object.used_len.store(len, Relaxed);
        self.object.used_count.store(count, Relaxed);
        self.object.repairs.store(self.object.repairs.load(Relaxed) + 1, Relaxed);
        Ok(())
    }

    /// Frees what belongs to the dead; how many blocks that were.
    pub(super) fn reclaim_all(&self, engine: &dyn Engine) -> engine::Result<u64> {
        let mut found: Vec<Live> = Vec::new();
        let mut known: Vec<(u32, bool)> = Vec::new();
        engine.each(&mut |entry| {
            let owner = entry.live.owner;
            if entry.is_free || owner == 0 {
                return;
            }
            // Asking about a living owner costs a system call: once each.
            let asked = known.iter().find(|(asked, _)| *asked == owner).copied();
            let (_, dead) = asked.unwrap_or_else(|| {
                known.push((owner, self.object.memory().is_dead(owner)));
                known[known.len() - 1]
            });
            if dead {
                found.push(entry.live);
            }
        })?;
        for block in &found {
            engine.free(engine.locate(block.offset)?)?;
            self.count_out(*block);
        }
        let count = found.len() as u64;
        self.object.reclaimed.store(self.object.reclaimed.load(Relaxed).wrapping_add(count), Relaxed);
        Ok(count)
    }

    #[inline]
    pub(super) fn count_out(&self, block: Live) {
        self.count(-(block.len as i64), -1);
    }

    #[inline]
    pub(super) fn count(&self, len: i64, count: i64) {
        let (used_len, used_count) = (&self.object.used_len, &self.object.used_count);
        used_len.store(used_len.load(Relaxed).wrapping_add_signed(len), Relaxed);
        used_count.store(used_count.load(Relaxed).wrapping_add_signed(count), Relaxed);
    }

    #[cold]
    pub(super) fn flawed(&self, operation: &'static str, flaw: Flaw) -> Error {
        match flaw {
            Flaw::NotLive => self.error(ErrorKind::InvalidBlock, operation),
            Flaw::Index(why) => self.error(ErrorKind::Corrupted, operation).with_detail(why.text()),
            Flaw::Chain(why, at) => {
                let text =
                    format!("{}, {} bytes behind its beginning", why.text(), at as u64 * self.plan.unit_len);
                self.error(ErrorKind::Corrupted, operation).with_detail(text)
            }
        }
    }

    #[cold]
    pub(super) fn not_mine(&self, operation: &'static str, offset: u64) -> Error {
        self.error(ErrorKind::NotOwner, operation)
            .with_detail(format!("the block at {offset} belongs to another process"))
    }

    #[cold]
    pub(super) fn error(&self, kind: ErrorKind, operation: &'static str) -> Error {
        self.object.error(kind, operation)
    }

    pub(super) fn full_name(&self) -> String {
        self.object.memory().object_name(self.object.name())
    }
}

/// The heap's lock is held.
pub(super) struct Locked<'a> {
    heap: &'a Heap,
    pub me: u32,
}

impl Drop for Locked<'_> {
    #[inline]
    fn drop(&mut self) {
        word::unlock(&self.heap.object.lock, self.me, 1, self.heap.object.memory());
    }
}

/// A task, and what else it takes when what is derived from the blocks proves wrong.
struct Mending<'a, T> {
    heap: &'a Heap,
    operation: &'static str,
    suspect: &'a Cell<bool>,
    task: &'a T,
}

impl<R, T: Task<engine::Result<Result<R>>>> Task<Result<R>> for Mending<'_, T> {
    #[inline(always)]
    fn run(&self, engine: &impl Engine, me: u32) -> Result<R> {
        let heap = self.heap;
        match self.task.run(engine, me) {
            Ok(result) => {
                if self.suspect.get() {
                    // What was asked for is done; a chain that is flawed elsewhere is told by what meets it.
                    let _ = heap.repair(engine);
                }
                result
            }
            Err(Flaw::Index(_)) => self.again(engine, me),
            Err(flaw) => Err(heap.flawed(self.operation, flaw)),
        }
    }
}

impl<T> Mending<'_, T> {
    #[cold]
    #[inline(never)]
    fn again<R>(&self, engine: &impl Engine, me: u32) -> Result<R>
    where
        T: Task<engine::Result<Result<R>>>,
    {
        self.heap
            .repair(engine)
            .and_then(|()| self.task.run(engine, me))
            .unwrap_or_else(|flaw| Err(self.heap.flawed(self.operation, flaw)))
    }
}

/// A new block for the caller.
struct Take<'a> {
    heap: &'a Heap,
    len: u64,
    align: u64,
}

impl Task<engine::Result<Result<Option<u64>>>> for Take<'_> {
    #[inline(always)]
    fn run(&self, engine: &impl Engine, me: u32) -> engine::Result<Result<Option<u64>>> {
        let mut found = engine.allocate(self.len, self.align, me)?;
        if found.is_none() && self.heap.options.reclaim {
            found = self.after_reclaim(engine, me)?;
        }
        let Some((offset, len)) = found else { return Ok(Ok(None)) };
        self.heap.count(len as i64, 1);
        Ok(Ok(Some(offset)))
    }
}

impl Take<'_> {
    #[cold]
    #[inline(never)]
    fn after_reclaim(&self, engine: &dyn Engine, me: u32) -> engine::Result<Option<(u64, u64)>> {
        if self.heap.reclaim_all(engine)? == 0 {
            return Ok(None);
        }
        engine.allocate(self.len, self.align, me)
    }
}

/// The end of a block that is the caller's, or nobody's.
pub(super) struct Release<'a> {
    pub heap: &'a Heap,
    pub operation: &'static str,
    pub offset: u64,
}

impl Task<engine::Result<Result<()>>> for Release<'_> {
    #[inline(always)]
    fn run(&self, engine: &impl Engine, me: u32) -> engine::Result<Result<()>> {
        let block = engine.locate(self.offset)?;
        if block.owner != me && block.owner != 0 {
            return Ok(Err(self.heap.not_mine(self.operation, self.offset)));
        }
        engine.free(block)?;
        self.heap.count_out(block);
        Ok(Ok(()))
    }
}
