//! First fit: of all free blocks that are large enough, the one with the lowest address.
//!
//! The space is cut into chunks of 64 granules. A bit for each granule says whether a free block begins there; the leaves of
//! a tree say how large the largest free block is that begins in each chunk, and each node above the largest of its sixteen
//! children. So the search goes down along the leftmost path with room, and then through the bits of one chunk.
//!
//! ```text
//! level 2                 [ 4000 ]
//! level 1        [ 12 | 40 | … | 4000 ]
//! level 0   [ 0 | 12 | 3 … ] [ 40 | … ] …        one a chunk
//! bits       0001000100000…
//! ```
//!
//! Nothing of it lies in the free blocks, so nothing that is written there by mistake can mislead it.

use super::engine::{Flaw, Result, Why};
use super::linear::Index;
use super::plan::Plan;
use super::space::{Bits, Space};
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::Relaxed;
use crate::layout::HEAP_FANOUT as FANOUT;

/// Granules of a chunk: the bits of one word.
const CHUNK: u32 = 64;

/// The bits and the tree.
pub(super) struct FirstFit<'a> {
    pub free: Bits<'a>,
    pub tree: &'a [AtomicU64],
    pub plan: &'a Plan,
}

impl Index for FirstFit<'_> {
    #[inline]
    fn insert(&self, _: &Space<'_>, granule: u32, size: u32) -> Result<()> {
        self.free.set(granule);
        self.raise((granule / CHUNK) as usize, size);
        Ok(())
    }

    #[inline]
    fn remove(&self, space: &Space<'_>, granule: u32, size: u32) -> Result<()> {
        if !self.free.get(granule) {
            return Err(Flaw::Index(Why::Bits));
        }
        self.free.clear(granule);
        let chunk = (granule / CHUNK) as usize;
        if self.node(0, chunk) == size {
            self.lower(chunk, self.largest_in(space, chunk)?);
        }
        Ok(())
    }

    fn find(&self, space: &Space<'_>, size: u32) -> Result<Option<(u32, u32)>> {
        let Some(chunk) = self.leftmost(size)? else { return Ok(None) };
        for granule in granules(self.free.word(chunk), chunk) {
            let found = space.free_size(granule)?;
            if found >= size {
                return Ok(Some((granule, found)));
            }
        }
        Err(Flaw::Index(Why::Tree))
    }

    fn largest(&self, _: &Space<'_>) -> Result<u32> {
        let top = self.plan.level_count - 1;
        Ok((0..self.plan.levels[top].nodes).map(|index| self.node(top, index)).max().unwrap_or(0))
    }

    fn clear(&self) {
        self.free.clear_all();
        self.tree.iter().for_each(|word| word.store(0, Relaxed));
    }

    fn verify(&self, space: &Space<'_>) -> Result<usize> {
        for chunk in 0..self.free.0.len() {
            if self.node(0, chunk) != self.largest_in(space, chunk)? {
                return Err(Flaw::Index(Why::Tree));
            }
        }
        for level in 1..self.plan.level_count {
            for index in 0..self.plan.levels[level].nodes {
                if self.node(level, index) != self.largest_child(level, index) {
                    return Err(Flaw::Index(Why::Tree));
                }
            }
        }
        Ok(self.free.count())
    }
}

impl FirstFit<'_> {
    /// The word of a node and the bit where it begins.
    #[inline]
    fn place(&self, level: usize, index: usize) -> (Option<&AtomicU64>, u32) {
        (self.tree.get(self.plan.levels[level].start + index / 2), (index as u32 % 2) * 32)
    }

    #[inline]
    fn node(&self, level: usize, index: usize) -> u32 {
        let (word, shift) = self.place(level, index);
        word.map_or(0, |word| (word.load(Relaxed) >> shift) as u32)
    }

    #[inline]
    fn set_node(&self, level: usize, index: usize, size: u32) {
        let (word, shift) = self.place(level, index);
        if let Some(word) = word {
            let others = word.load(Relaxed) & !(u64::from(u32::MAX) << shift);
            word.store(others | u64::from(size) << shift, Relaxed);
        }
    }

    /// A chunk got a block of this size.
    #[inline]
    fn raise(&self, mut index: usize, size: u32) {
        for level in 0..self.plan.level_count {
            if self.node(level, index) >= size {
                return;
            }
            self.set_node(level, index, size);
            index /= FANOUT;
        }
    }

    /// A chunk lost its largest block, and the largest is now of this size.
    fn lower(&self, mut index: usize, mut size: u32) {
        for level in 0..self.plan.level_count {
            let before = self.node(level, index);
            self.set_node(level, index, size);
            index /= FANOUT;
            if level + 1 == self.plan.level_count || self.node(level + 1, index) != before {
                return;
            }
            size = self.largest_child(level + 1, index);
        }
    }

    fn largest_child(&self, level: usize, index: usize) -> u32 {
        let start = self.plan.levels[level - 1].start + index * FANOUT / 2;
        let family = self.tree.get(start..start + FANOUT / 2).unwrap_or_default();
        family.iter().fold(0, |largest, word| {
            let word = word.load(Relaxed);
            largest.max(word as u32).max((word >> 32) as u32)
        })
    }

    fn largest_in(&self, space: &Space<'_>, chunk: usize) -> Result<u32> {
        let mut largest = 0;
        for granule in granules(self.free.word(chunk), chunk) {
            largest = largest.max(space.free_size(granule)?);
        }
        Ok(largest)
    }

    /// The first chunk in which a block of this size begins.
    fn leftmost(&self, size: u32) -> Result<Option<usize>> {
        let top = self.plan.level_count - 1;
        let mut family = 0;
        for level in (0..=top).rev() {
            let fits = |index: &usize| self.node(level, *index) >= size;
            match (family * FANOUT..(family + 1) * FANOUT).find(fits) {
                Some(index) => family = index,
                None if level == top => return Ok(None),
                None => return Err(Flaw::Index(Why::Tree)),
            }
        }
        Ok(Some(family))
    }
}

/// The granules whose bits are set in a chunk's word, from the lowest.
fn granules(mut word: u64, chunk: usize) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = word.trailing_zeros();
        (word != 0).then(|| {
            word &= word - 1;
            chunk as u32 * CHUNK + bit
        })
    })
}
