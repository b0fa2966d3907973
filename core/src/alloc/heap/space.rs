//! The blocks of a heap with first or best fit, as words in memory.
//!
//! ```text
//!           8 bytes      bytes of the block
//!         ┌────────┬──────────────────────────────┬────────┐
//!  used   │ word   │ the user's                   │ word … │
//!  free   │ word   │ links (index)  …       size  │ word … │   the size again, before the next block's word
//!         └────────┴──────────────────────────────┴────────┘
//!                  ↑ a multiple of 16: what names the block
//! ```
//!
//! A block is named by the granule at which its bytes begin; its word stands before that, so granule 0 is nobody's and
//! serves as *none* in links. A bit for each granule says whether a block begins there: it tells a block's start from
//! anything that the user's bytes may look like.
//!
//! Everything here is checked against the table's length when it is accessed, so whatever the words say, nothing outside
//! the heap is touched.

use super::engine::{Flaw, Result, Why};
use super::word::Word;
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::{Relaxed, Release};

/// The smallest block: a word, two links and the size.
pub(super) const MIN_SIZE: u32 = 2;

/// The words of the blocks, and the bits that say where they begin.
#[derive(Clone, Copy)]
pub(super) struct Space<'a> {
    pub words: &'a [AtomicU64],
    pub starts: Bits<'a>,
    /// The granule behind the last block.
    pub end: u32,
}

impl Space<'_> {
    #[inline(always)]
    fn at(&self, index: usize) -> Result<&AtomicU64> {
        self.words.get(index).ok_or(Flaw::Chain(Why::Outside, index as u32 / 2))
    }

    /// The word before a granule, whatever it says.
    #[inline(always)]
    pub fn word(&self, granule: u32) -> Result<Word> {
        Ok(Word(self.at((granule as usize * 2).wrapping_sub(1))?.load(Relaxed)))
    }

    /// Replaces the word before a granule: the store that commits a step. What was written before is seen with it.
    #[inline(always)]
    pub fn set_word(&self, granule: u32, word: Word) -> Result<()> {
        self.at((granule as usize * 2).wrapping_sub(1))?.store(word.0, Release);
        Ok(())
    }

    /// One of the words within a block.
    #[inline(always)]
    pub fn inner(&self, granule: u32, index: usize) -> Result<u64> {
        Ok(self.at(granule as usize * 2 + index)?.load(Relaxed))
    }

    #[inline(always)]
    pub fn set_inner(&self, granule: u32, index: usize, value: u64) -> Result<()> {
        self.at(granule as usize * 2 + index)?.store(value, Relaxed);
        Ok(())
    }

    /// The word of the block that begins here: whole, within the heap, and followed by another or the end.
    #[inline(always)]
    pub fn block(&self, granule: u32) -> Result<Word> {
        let word = self.word(granule)?;
        let next = u64::from(granule) + u64::from(word.size());
        let fits = word.size() >= MIN_SIZE && next <= u64::from(self.end);
        if !fits || !(word.is_free() || word.is_used()) {
            return Err(Flaw::Chain(Why::NoBlock, granule));
        }
        if next < u64::from(self.end) && !self.starts.get(next as u32) {
            return Err(Flaw::Chain(Why::NoBlock, granule));
        }
        Ok(word)
    }

    /// The size of the free block that an index leads to.
    #[inline(always)]
    pub fn free_size(&self, granule: u32) -> Result<u32> {
        let is_block = granule != 0 && granule < self.end && self.starts.get(granule);
        let word = if is_block { self.word(granule)? } else { Word(0) };
        let fits = u64::from(granule) + u64::from(word.size()) <= u64::from(self.end);
        if !word.is_free() || word.size() < MIN_SIZE || !fits {
            return Err(Flaw::Index(Why::Link));
        }
        Ok(word.size())
    }

    /// Writes the size of a free block before the next block's word.
    #[inline(always)]
    pub fn set_footer(&self, granule: u32, size: u32) -> Result<()> {
        self.at((granule as usize + size as usize) * 2 - 2)?.store(u64::from(size), Relaxed);
        Ok(())
    }

    /// The free block that ends before this one, whose word says that there is one.
    #[inline(always)]
    pub fn previous(&self, granule: u32) -> Result<(u32, u32)> {
        let size = self.at((granule as usize * 2).wrapping_sub(2))?.load(Relaxed);
        let start = u64::from(granule).saturating_sub(size) as u32;
        if self.free_size(start)? as u64 != size {
            return Err(Flaw::Index(Why::Size));
        }
        Ok((start, size as u32))
    }

    /// Says in the next block's word whether this one is free. The word's other fields stay.
    #[inline(always)]
    pub fn tell_next(&self, next: u32, free: bool) -> Result<()> {
        let word = self.word(next)?;
        self.set_word(next, word.with_previous_free(free))
    }
}

/// A bit for each granule.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a>(pub &'a [AtomicU64]);

impl Bits<'_> {
    #[inline(always)]
    pub fn word(&self, index: usize) -> u64 {
        self.0.get(index).map_or(0, |word| word.load(Relaxed))
    }

    #[inline(always)]
    pub fn get(&self, granule: u32) -> bool {
        self.word(granule as usize / 64) >> (granule % 64) & 1 != 0
    }

    #[inline(always)]
    pub fn set(&self, granule: u32) {
        if let Some(word) = self.0.get(granule as usize / 64) {
            word.store(word.load(Relaxed) | 1 << (granule % 64), Relaxed);
        }
    }

    #[inline(always)]
    pub fn clear(&self, granule: u32) {
        if let Some(word) = self.0.get(granule as usize / 64) {
            word.store(word.load(Relaxed) & !(1 << (granule % 64)), Relaxed);
        }
    }

    pub fn clear_all(&self) {
        self.0.iter().for_each(|word| word.store(0, Relaxed));
    }

    /// How many are set.
    pub fn count(&self) -> usize {
        self.0.iter().map(|word| word.load(Relaxed).count_ones() as usize).sum()
    }
}
