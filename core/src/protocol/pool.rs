//! The pool: blocks of one size, taken and given back by compare-and-swap alone.
//!
//! One word per block says what it is, and is the truth:
//!
//! ```text
//!  63          32 31        3 2     0
//! ┌──────────────┬───────────┬───────┐
//! │ generation   │ owner id  │ state │   state 0: free, 1: owned, 2: published (owned by nobody)
//! └──────────────┴───────────┴───────┘
//! ```
//!
//! | from | to | by |
//! |---|---|---|
//! | g, free | g + 1, me, owned | [`PoolWords::try_take`]: the block is mine |
//! | g, me, owned | g, free | [`PoolWords::free`] |
//! | g, me, owned | g, published | [`PoolWords::publish`]: whoever has the handle may adopt it |
//! | g, published | g + 1, me, owned | [`PoolWords::adopt`]: of several, one |
//! | g, dead owner, owned | g, free | a scan: the block came back |
//!
//! Each line is one compare-and-swap, so a death comes before it or after it. A *handle* is a generation and an index + 1: it
//! names one tenure of a block, from the store that took it to the one that freed it or gave it to who adopted it.
//!
//! Where a free block may be is told by a tree of bits: one bit per block, and above that one bit per word of 64 until there
//! is one word. The bits are hints. A set bit may be wrong: whoever finds it so takes it away. A missing bit is wrong for
//! moments only, unless somebody died in them: who changes a word and who changes the bit that tells of it both write
//! first and then look at what the other wrote. Who looks at the words of all blocks sets what bits are missing: a search that
//! finds nothing, unless it is known that this would be in vain (`alloc::fruitless`), a waiter before it sleeps and when a slice
//! of its sleep runs out, and whoever asks for it.

use super::owner::{owner_of, slot_index};
use super::party::Party;
use super::signal;
use super::wait::{Sleeper, Stop, Wait};
use crate::atomic::Ordering::{Relaxed, SeqCst};
use crate::atomic::{AtomicU64, model_fence};
use crate::layout::{
    MAX_SLOT_COUNT, POOL_FREE as FREE, POOL_GENERATION_SHIFT as SHIFT, POOL_LEVELS as LEVELS,
    POOL_OWNED as OWNED, POOL_PUBLISHED as PUBLISHED, POOL_STATE_MASK as STATE_MASK, PoolRecord,
};

/// Words of a cache line: each part of the table begins on a line of its own.
const LINE: usize = 8;
/// Bits of a word.
const BITS: usize = 64;
/// Wrong bits that a search takes away before it looks at the blocks themselves.
const MOST_TRIES: usize = 128;
/// Steps up and down the tree before a search gives up: somebody overwrites it all the time.
const MOST_STEPS: usize = 4096;

/// Where the parts of a pool are in its table of words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolShape {
    /// Number of blocks.
    pub count: u32,
    /// Levels of the tree.
    pub depth: usize,
    /// Where each level begins in the table.
    pub starts: [usize; LEVELS],
    /// Words of each level.
    pub lens: [usize; LEVELS],
    /// Words of the whole table.
    pub words: usize,
}

impl PoolShape {
    /// The shape for at least one block.
    pub fn new(count: u32) -> PoolShape {
        let mut shape = PoolShape { count, depth: 0, starts: [0; LEVELS], lens: [0; LEVELS], words: 0 };
        let mut at = (count as usize).next_multiple_of(LINE);
        let mut bits = count as usize;
        while shape.depth < LEVELS {
            let len = bits.div_ceil(BITS);
            shape.starts[shape.depth] = at;
            shape.lens[shape.depth] = len;
            at += len.next_multiple_of(LINE);
            shape.depth += 1;
            if len == 1 {
                break;
            }
            bits = len;
        }
        shape.words = at;
        shape
    }

    /// Fills the tree of a new pool, all of whose blocks are free: `set` stores a word of the table.
    pub fn fill<E>(&self, mut set: impl FnMut(usize, u64) -> Result<(), E>) -> Result<(), E> {
        let mut bits = self.count as usize;
        for level in 0..self.depth {
            for word in 0..self.lens[level] {
                let here = (bits - word * BITS).min(BITS);
                set(self.starts[level] + word, u64::MAX >> (BITS - here))?;
            }
            bits = self.lens[level];
        }
        Ok(())
    }
}

/// Why a block was not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The handle names a tenure that is over.
    Stale,
    /// No such block, or not one that this process may do this with.
    Invalid,
}

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tenure {
    Free,
    /// Owner id and handle.
    Owned(u32, u64),
    /// Handle.
    Published(u64),
    /// A word that no pool writes.
    Garbage,
}

/// The words of a pool in shared memory.
#[derive(Clone, Copy)]
pub(crate) struct PoolWords<'a> {
    pub record: &'a PoolRecord,
    /// The table; it has [`PoolShape::words`] words at least.
    pub table: &'a [AtomicU64],
    pub shape: &'a PoolShape,
}

fn handle_of(index: u32, word: u64) -> u64 {
    word >> SHIFT << SHIFT | u64::from(index + 1)
}

fn is_free(word: u64) -> bool {
    word as u32 == FREE
}

impl PoolWords<'_> {
    /// Takes a free block, if the bits know of one: first the one of this index.
    #[inline]
    pub fn try_take(&self, me: u32, first: u32) -> Option<u64> {
        self.take_at(first, me).or_else(|| self.search(me, first))
    }

    /// Takes a free block, if there is one, if need be by looking at all.
    pub fn take_now(&self, me: u32, first: u32, party: &impl Party) -> Option<u64> {
        self.try_take(me, first).or_else(|| self.scan(me, true, party).0)
    }

    /// Takes a free block, waiting for one.
    #[cold]
    pub fn take(&self, me: u32, first: u32, party: &impl Party, wait: &Wait) -> Result<u64, Stop> {
        let mut sleeper = Sleeper::new(wait);
        loop {
            if let Some(handle) = self.try_take(me, first) {
                return Ok(handle);
            }
            let watched = signal::watch(&self.record.signal);
            // Whoever frees a block from here on sees that somebody waits; who freed one before is seen here.
            if let Some(handle) = self.take_now(me, first, party) {
                return Ok(handle);
            }
            signal::sleep(&self.record.signal, watched, &mut sleeper, party)?;
        }
    }

    /// Gives a block of mine back.
    #[inline]
    pub fn free(&self, handle: u64, me: u32, party: &impl Party) -> Result<u32, Refused> {
        let index = self.leave(handle, me, FREE)?;
        self.settle(index, party);
        Ok(index)
    }

    /// Tells others of a block that was just freed: the second half of [`PoolWords::free`].
    #[inline]
    pub fn settle(&self, index: u32, party: &impl Party) {
        model_fence();
        self.show(0, index as usize);
        signal::notify(&self.record.signal, false, party);
    }

    /// Makes a block of mine everybody's: the first to adopt it has it. The handle stays what it was.
    pub fn publish(&self, handle: u64, me: u32) -> Result<(), Refused> {
        self.leave(handle, me, PUBLISHED).map(|_| ())
    }

    /// Takes a published block: its new handle.
    pub fn adopt(&self, handle: u64, me: u32) -> Result<u64, Refused> {
        let (index, generation) = self.split(handle)?;
        let state = self.state(index);
        let published = generation << SHIFT | u64::from(PUBLISHED);
        let owned = self.owned(published, me);
        match state.compare_exchange(published, owned, SeqCst, SeqCst) {
            Ok(_) => Ok(handle_of(index, owned)),
            Err(now) => Err(refusal(now, generation)),
        }
    }

    /// Whether the handle names a block that `me` has.
    #[inline]
    pub fn is_mine(&self, handle: u64, me: u32) -> Result<u32, Refused> {
        let (index, generation) = self.split(handle)?;
        let seen = self.state(index).load(SeqCst);
        if seen == generation << SHIFT | u64::from(me | OWNED) {
            Ok(index)
        } else {
            Err(refusal(seen, generation))
        }
    }

    /// Whether `me` has any block.
    pub fn is_used_by(&self, me: u32) -> bool {
        self.tenures().any(|tenure| matches!(tenure, Tenure::Owned(owner, _) if owner == me))
    }

    /// What each block is, one after the other.
    pub fn tenures(&self) -> impl Iterator<Item = Tenure> + '_ {
        (0..self.shape.count).filter_map(|index| self.tenure_at(index))
    }

    /// What the block of this index is.
    pub fn tenure_at(&self, index: u32) -> Option<Tenure> {
        (index < self.shape.count).then(|| tenure(index, self.state(index).load(SeqCst)))
    }

    /// Takes back what the dead have, and mends the tree. How many blocks came back.
    pub fn recover(&self, me: u32, party: &impl Party) -> u32 {
        self.scan(me, false, party).1
    }

    /// Looks at all blocks: takes back those of the dead, shows all that are free, and with `take` takes the first of them.
    #[cold]
    fn scan(&self, me: u32, take: bool, party: &impl Party) -> (Option<u64>, u32) {
        let (mut taken, mut recovered) = (None, 0);
        let mut judge = Judge::new();
        for index in 0..self.shape.count {
            let mut seen = self.state(index).load(SeqCst);
            if let Tenure::Owned(owner, _) = tenure(index, seen)
                && owner != me
                && judge.is_dead(owner, party)
            {
                let freed = seen >> SHIFT << SHIFT;
                match self.state(index).compare_exchange(seen, freed, SeqCst, SeqCst) {
                    Ok(_) => {
                        recovered += 1;
                        seen = freed;
                    }
                    Err(now) => seen = now,
                }
            }
            if is_free(seen) {
                if take && taken.is_none() {
                    taken = self.take_at(index, me);
                }
                model_fence();
                if is_free(self.state(index).load(SeqCst)) {
                    self.show(0, index as usize);
                }
            }
        }
        self.show_summaries();
        if recovered > 0 {
            self.record.recovered.fetch_add(recovered, Relaxed);
        }
        if recovered > u32::from(taken.is_some()) {
            signal::notify(&self.record.signal, true, party);
        }
        (taken, recovered)
    }

    /// Sets the bits above every word that has some.
    fn show_summaries(&self) {
        for level in 1..self.shape.depth {
            for below in 0..self.shape.lens[level - 1] {
                if self.word(level - 1, below).load(SeqCst) != 0 {
                    self.show(level, below);
                }
            }
        }
    }

    /// Takes the block of this index if it is free.
    #[inline]
    fn take_at(&self, index: u32, me: u32) -> Option<u64> {
        let state = self.table[..self.shape.count as usize].get(index as usize)?;
        let mut seen = state.load(Relaxed);
        while is_free(seen) {
            let owned = self.owned(seen, me);
            match state.compare_exchange(seen, owned, SeqCst, Relaxed) {
                Ok(_) => return Some(handle_of(index, owned)),
                Err(now) => seen = now,
            }
        }
        None
    }

    /// The word of a block's next tenure, which is mine.
    #[inline]
    fn owned(&self, before: u64, me: u32) -> u64 {
        (before >> SHIFT).wrapping_add(1) << SHIFT | u64::from(me | OWNED)
    }

    /// Ends my tenure of a block.
    #[inline]
    fn leave(&self, handle: u64, me: u32, to: u32) -> Result<u32, Refused> {
        let (index, generation) = self.split(handle)?;
        let mine = generation << SHIFT | u64::from(me | OWNED);
        let left = generation << SHIFT | u64::from(to);
        match self.state(index).compare_exchange(mine, left, SeqCst, Relaxed) {
            Ok(_) => Ok(index),
            Err(now) => Err(refusal(now, generation)),
        }
    }

    /// Index and generation of a handle.
    #[inline]
    fn split(&self, handle: u64) -> Result<(u32, u64), Refused> {
        let index = (handle as u32).wrapping_sub(1);
        if index < self.shape.count { Ok((index, handle >> SHIFT)) } else { Err(Refused::Invalid) }
    }

    /// Follows the bits to a block that is free.
    fn search(&self, me: u32, first: u32) -> Option<u64> {
        let mut from = first as usize;
        for _ in 0..MOST_TRIES {
            let index = self.find(from).or_else(|| self.find(0))?;
            let taken = if index < self.shape.count as usize { self.take_at(index as u32, me) } else { None };
            self.hide(0, index);
            if taken.is_some() {
                return taken;
            }
            from = index;
        }
        None
    }

    /// The first block at or behind `from` whose bit says that it may be free: up to a word that has bits, and down again.
    fn find(&self, from: usize) -> Option<usize> {
        let mut at = from;
        let mut level = 0;
        for _ in 0..MOST_STEPS {
            if level == self.shape.depth || at / BITS >= self.shape.lens[level] {
                return None;
            }
            let bits = self.word(level, at / BITS).load(SeqCst) & u64::MAX << (at % BITS);
            if bits == 0 {
                at = at / BITS + 1;
                level += 1;
                continue;
            }
            at = at / BITS * BITS + bits.trailing_zeros() as usize;
            if level == 0 {
                return Some(at);
            }
            if at >= self.shape.lens[level - 1] || self.word(level - 1, at).load(SeqCst) == 0 {
                // It promised what is not there. Taking it away leaves one bit less to look at.
                self.hide(level, at);
            } else {
                level -= 1;
                at *= BITS;
            }
        }
        None
    }

    /// Sets a bit, and the bits above it as far as they are missing.
    #[inline]
    fn show(&self, mut level: usize, mut at: usize) {
        while level < self.shape.depth {
            let (word, bit) = (self.word(level, at / BITS), 1 << (at % BITS));
            if word.load(SeqCst) & bit != 0 {
                return;
            }
            word.fetch_or(bit, SeqCst);
            model_fence();
            at /= BITS;
            level += 1;
        }
    }

    /// Takes a bit away, and the bits above it if it was the last; then looks whether it should have stayed.
    fn hide(&self, mut level: usize, mut at: usize) {
        while level < self.shape.depth {
            let bit = 1 << (at % BITS);
            let left = self.word(level, at / BITS).fetch_and(!bit, SeqCst) & !bit;
            model_fence();
            if self.should_show(level, at) {
                return self.show(level, at);
            }
            if left != 0 {
                return;
            }
            at /= BITS;
            level += 1;
        }
    }

    fn should_show(&self, level: usize, at: usize) -> bool {
        match level {
            0 => at < self.shape.count as usize && is_free(self.state(at as u32).load(SeqCst)),
            _ => at < self.shape.lens[level - 1] && self.word(level - 1, at).load(SeqCst) != 0,
        }
    }

    #[inline]
    fn state(&self, index: u32) -> &AtomicU64 {
        &self.table[index as usize]
    }

    #[inline]
    fn word(&self, level: usize, index: usize) -> &AtomicU64 {
        &self.table[self.shape.starts[level] + index]
    }
}

fn tenure(index: u32, word: u64) -> Tenure {
    let (low, owner) = (word as u32, owner_of(word as u32));
    match low & STATE_MASK {
        FREE if owner == 0 => Tenure::Free,
        OWNED if owner != 0 => Tenure::Owned(owner, handle_of(index, word)),
        PUBLISHED if owner == 0 => Tenure::Published(handle_of(index, word)),
        _ => Tenure::Garbage,
    }
}

/// What is wrong with a handle of this generation, seeing the block's word.
#[cold]
fn refusal(now: u64, generation: u64) -> Refused {
    if now >> SHIFT == generation { Refused::Invalid } else { Refused::Stale }
}

/// Who is dead, asked once for each slot.
struct Judge {
    asked: [u64; SLOT_WORDS],
    dead: [u64; SLOT_WORDS],
}

const SLOT_WORDS: usize = (MAX_SLOT_COUNT as usize).div_ceil(BITS);

impl Judge {
    fn new() -> Judge {
        Judge { asked: [0; SLOT_WORDS], dead: [0; SLOT_WORDS] }
    }

    fn is_dead(&mut self, owner: u32, party: &impl Party) -> bool {
        if party.is_replaced(owner) {
            return true;
        }
        let slot = slot_index(owner) as usize;
        let (word, bit) = (slot / BITS, 1 << (slot % BITS));
        let Some(asked) = self.asked.get_mut(word) else {
            return false; // no slot has this number: nobody can say that its owner is dead
        };
        if *asked & bit == 0 {
            *asked |= bit;
            if party.is_dead(owner) {
                self.dead[word] |= bit;
            }
        }
        self.dead[word] & bit != 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
