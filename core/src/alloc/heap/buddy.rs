//! Buddies: blocks are powers of two, in units of the smallest block, and lie at multiples of their own size. A block is
//! split into halves until it fits; two free halves of one block, buddies, become one again.
//!
//! Each unit has a word, apart from the blocks: that of a block's first unit says what the block is, all others are zero. So
//! nothing written into the blocks can hit them. The words of first units are the truth, a chain as the sizes lead from
//! one to the next; free blocks are listed by size in the heap's record, with links in their first bytes.
//!
//! | step | store that commits it | before it |
//! |---|---|---|
//! | allocate, splitting | the block's word: used, smaller | the words of the halves split off lie inside free space |
//! | free, joining buddies | the word of the first of them: free, larger | the block is live |
//! | grow in place | the block's word: larger | its right buddies are free |
//! | shrink | the block's word: smaller | the words of the halves split off lie inside the block |
//!
//! The space need not be a power of two: it begins as the largest blocks that fit one behind the other.

use std::cell::Cell;

use super::engine::{Engine, Entry, Flaw, Live, Result, Why};
use super::word::Word;
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::{Relaxed, Release};
use crate::layout::HeapRecord;

/// The words of a heap of buddies.
pub(super) struct Buddy<'a> {
    pub record: &'a HeapRecord,
    /// One word a unit.
    pub table: &'a [AtomicU64],
    /// The blocks' bytes, for the links of free ones.
    pub words: &'a [AtomicU64],
    /// Bytes of a unit, a power of two.
    pub unit_len: u64,
    /// Where unit 0 is, from the region's start: a multiple of every alignment that is allowed.
    pub base: u64,
    /// Set when a free block could not be listed.
    pub suspect: &'a Cell<bool>,
}

impl Engine for Buddy<'_> {
    fn format(&self) {
        let mut at = 0;
        while at < self.units() {
            let order = (self.units() - at).ilog2();
            // Written in place: nobody knows the heap yet, and no place is outside it.
            let _ = self.set_word(at, Word::free(1 << order));
            self.enter(at, order);
            at += 1 << order;
        }
    }

    fn allocate(&self, len: u64, align: u64, owner: u32) -> Result<Option<(u64, u64)>> {
        let Some(order) = self.order_for(len.max(align)) else { return Ok(None) };
        let orders = self.record.bins_used[0].load(Relaxed) >> order << order;
        if orders == 0 {
            return Ok(None);
        }
        let found = orders.trailing_zeros();
        let unit = self.head(found).wrapping_sub(1);
        self.expect_free(unit, found)?;
        self.remove(unit, found)?;
        self.split(unit, found, order, owner)?;
        Ok(Some((self.offset(unit), self.unit_len << order)))
    }

    fn locate(&self, offset: u64) -> Result<Live> {
        let inside = offset.checked_sub(self.base).ok_or(Flaw::NotLive)?;
        if !inside.is_multiple_of(self.unit_len) || inside / self.unit_len >= u64::from(self.units()) {
            return Err(Flaw::NotLive);
        }
        let unit = (inside / self.unit_len) as u32;
        let word = self.word(unit)?;
        if word == Word(0) || word.is_free() {
            return Err(Flaw::NotLive);
        }
        self.chained(unit).map(|word| self.live(unit, word))
    }

    fn free(&self, block: Live) -> Result<()> {
        let unit = self.unit(block);
        let (mut start, mut order) = (unit, block.size.ilog2());
        let mut absorbed = [0; 32];
        let mut count = 0;
        while let Some(buddy) = self.free_buddy(start, order)? {
            self.remove(buddy, order)?;
            absorbed[count] = start.max(buddy);
            count += 1;
            start = start.min(buddy);
            order += 1;
        }
        self.set_word(start, Word::free(1 << order))?;
        for second in &absorbed[..count] {
            self.set_word(*second, Word(0))?;
        }
        self.enter(start, order);
        Ok(())
    }

    fn resize(&self, block: Live, len: u64) -> Result<Option<Live>> {
        let unit = self.unit(block);
        let order = block.size.ilog2();
        let Some(wanted) = self.order_for(len) else { return Ok(None) };
        if wanted < order {
            self.split(unit, order, wanted, block.owner)?;
        }
        if wanted > order {
            for larger in order..wanted {
                let right = unit + (1 << larger);
                if self.free_buddy(unit, larger)? != Some(right) {
                    return Ok(None);
                }
            }
            for larger in order..wanted {
                self.remove(unit + (1 << larger), larger)?;
            }
            self.set_word(unit, Word::used(1 << wanted, block.owner))?;
            for larger in order..wanted {
                self.set_word(unit + (1 << larger), Word(0))?;
            }
        }
        Ok(Some(self.live(unit, Word::used(1 << wanted, block.owner))))
    }

    fn set_owner(&self, block: Live, owner: u32) -> Result<()> {
        self.set_word(self.unit(block), Word::used(block.size, owner))
    }

    fn each(&self, visit: &mut dyn FnMut(Entry)) -> Result<()> {
        let mut at = 0;
        while at < self.units() {
            let word = self.chained(at)?;
            visit(Entry { live: self.live(at, word), is_free: word.is_free() });
            at += word.size();
        }
        Ok(())
    }

    fn largest_free(&self) -> Result<u64> {
        let orders = self.record.bins_used[0].load(Relaxed);
        Ok(orders.checked_ilog2().map_or(0, |order| self.unit_len << order.min(31)))
    }

    fn rebuild(&self) -> Result<()> {
        // First without a change: a flawed chain is left as it is.
        self.each(&mut |_| {})?;
        self.suspect.set(false);
        self.record.bins_used.iter().for_each(|word| word.store(0, Relaxed));
        self.record.bins.iter().for_each(|head| head.store(0, Relaxed));
        let mut at = 0;
        while at < self.units() {
            let word = self.chained(at)?;
            for inside in at + 1..at + word.size() {
                self.set_word(inside, Word(0))?;
            }
            if word.is_free() {
                self.enter(at, word.size().ilog2());
            }
            at += word.size();
        }
        Ok(())
    }

    fn verify(&self) -> Result<()> {
        let (mut at, mut free) = (0, 0);
        while at < self.units() {
            let word = self.chained(at)?;
            for inside in at + 1..at + word.size() {
                if self.word(inside)? != Word(0) {
                    return Err(Flaw::Chain(Why::Inside, inside));
                }
            }
            if word.is_free() {
                free += 1;
                if self.free_buddy(at, word.size().ilog2())?.is_some() {
                    return Err(Flaw::Chain(Why::Apart, at));
                }
            }
            at += word.size();
        }
        if self.count_listed()? == free { Ok(()) } else { Err(Flaw::Index(Why::Missing)) }
    }
}

impl Buddy<'_> {
    fn units(&self) -> u32 {
        self.table.len() as u32
    }

    fn unit(&self, block: Live) -> u32 {
        ((block.offset - self.base) / self.unit_len) as u32
    }

    fn offset(&self, unit: u32) -> u64 {
        self.base + u64::from(unit) * self.unit_len
    }

    fn live(&self, unit: u32, word: Word) -> Live {
        let (offset, len) = (self.offset(unit), u64::from(word.size()) * self.unit_len);
        Live { offset, len, size: word.size(), owner: word.owner(), previous_free: false }
    }

    #[inline]
    fn word(&self, unit: u32) -> Result<Word> {
        let word = self.table.get(unit as usize);
        Ok(Word(word.ok_or(Flaw::Chain(Why::Outside, unit))?.load(Relaxed)))
    }

    #[inline]
    fn set_word(&self, unit: u32, word: Word) -> Result<()> {
        let place = self.table.get(unit as usize);
        place.ok_or(Flaw::Chain(Why::Outside, unit))?.store(word.0, Release);
        Ok(())
    }

    /// The word of a block, which lies where its size says and inside the heap.
    #[inline]
    fn chained(&self, unit: u32) -> Result<Word> {
        let word = self.word(unit)?;
        let size = word.size();
        let lies_right = size.is_power_of_two() && unit.is_multiple_of(size) && size <= self.units() - unit;
        if lies_right && (word.is_free() || word.is_used()) {
            return Ok(word);
        }
        Err(Flaw::Chain(Why::NoBlock, unit))
    }

    /// The order of a block of so many bytes: it has 2^order units.
    fn order_for(&self, len: u64) -> Option<u32> {
        let units = len.div_ceil(self.unit_len).checked_next_power_of_two()?;
        (units <= u64::from(self.units())).then(|| units.ilog2())
    }

    /// Makes the first 2^order units of a block of 2^found a live block, and the rest free ones.
    fn split(&self, unit: u32, found: u32, order: u32, owner: u32) -> Result<()> {
        for half in order..found {
            self.set_word(unit + (1 << half), Word::free(1 << half))?;
        }
        self.set_word(unit, Word::used(1 << order, owner))?;
        for half in order..found {
            self.enter(unit + (1 << half), half);
        }
        Ok(())
    }

    /// The other half of the block that this one is a half of, if it is whole and free.
    fn free_buddy(&self, unit: u32, order: u32) -> Result<Option<u32>> {
        let buddy = unit ^ (1 << order);
        if u64::from(buddy) + (1 << order) > u64::from(self.units()) {
            return Ok(None);
        }
        let word = self.word(buddy)?;
        Ok((word.is_free() && word.size() == 1 << order).then_some(buddy))
    }

    fn expect_free(&self, unit: u32, order: u32) -> Result<()> {
        match self.table.get(unit as usize).map(|word| Word(word.load(Relaxed))) {
            Some(word) if word.is_free() && word.size() == 1 << order && unit.is_multiple_of(1 << order) => {
                Ok(())
            }
            _ => Err(Flaw::Index(Why::Link)),
        }
    }

    /// The first block of a list, by its unit plus one.
    fn head(&self, order: u32) -> u32 {
        self.record.bins[order as usize % 128].load(Relaxed)
    }

    fn set_head(&self, order: u32, link: u32) {
        self.record.bins[order as usize % 128].store(link, Relaxed);
        let (word, bit) = (&self.record.bins_used[0], 1 << (order % 64));
        let others = word.load(Relaxed) & !bit;
        word.store(if link == 0 { others } else { others | bit }, Relaxed);
    }

    /// The links of a free block: next << 32 | previous, each a unit plus one, or 0.
    fn links(&self, link: u32) -> Result<(u32, u32)> {
        let word = self.place(link)?.load(Relaxed);
        Ok((word as u32, (word >> 32) as u32))
    }

    fn set_links(&self, link: u32, previous: u32, next: u32) -> Result<()> {
        self.place(link)?.store(u64::from(next) << 32 | u64::from(previous), Relaxed);
        Ok(())
    }

    fn place(&self, link: u32) -> Result<&AtomicU64> {
        let index = (link as usize).wrapping_sub(1).wrapping_mul(self.unit_len as usize / 8);
        self.words.get(index).ok_or(Flaw::Index(Why::Link))
    }

    /// Lists a free block. What made it free is committed, so a flaw here must not make it fail.
    fn enter(&self, unit: u32, order: u32) {
        if self.insert(unit, order).is_err() {
            self.suspect.set(true);
        }
    }

    fn insert(&self, unit: u32, order: u32) -> Result<()> {
        let next = self.head(order);
        self.set_links(unit + 1, 0, next)?;
        if next != 0 {
            self.expect_free(next - 1, order)?;
            self.set_links(next, unit + 1, self.links(next)?.1)?;
        }
        self.set_head(order, unit + 1);
        Ok(())
    }

    fn remove(&self, unit: u32, order: u32) -> Result<()> {
        let link = unit + 1;
        let (previous, next) = self.links(link)?;
        let known = if previous == 0 { self.head(order) } else { self.links(previous)?.1 };
        if known != link || next != 0 && self.links(next)?.0 != link {
            return Err(Flaw::Index(Why::Link));
        }
        if next != 0 {
            self.set_links(next, previous, self.links(next)?.1)?;
        }
        if previous == 0 {
            self.set_head(order, next);
            return Ok(());
        }
        self.set_links(previous, self.links(previous)?.0, next)
    }

    fn count_listed(&self) -> Result<usize> {
        let mut count = 0;
        for order in 0..self.record.bins.len() as u32 {
            let used = order < 64 && self.record.bins_used[0].load(Relaxed) >> order & 1 != 0;
            let (mut link, mut previous) = (self.head(order), 0);
            if used != (link != 0) {
                return Err(Flaw::Index(Why::Heads));
            }
            while link != 0 {
                let (before, next) = self.links(link)?;
                if order > 31 || before != previous || count > self.table.len() {
                    return Err(Flaw::Index(Why::List));
                }
                self.expect_free(link - 1, order)?;
                count += 1;
                previous = link;
                link = next;
            }
        }
        Ok(count)
    }
}
