//! First fit: of all free blocks that are large enough, the one with the lowest address.
//!
//! The space is cut into chunks of 64 granules. A bit for each granule says whether a free block begins there; the leaves of
//! a tree say how large the largest free block is that begins in each chunk, and each node above the largest of its four
//! children. So the search goes down along the leftmost path with room, and then through the bits of one chunk.
//!
//! ```text
//! root, not stored          4000                          node 0
//!                [ 12 | 40 | … | 4000 ]                   nodes 1 to 4: a family
//! leaves   [ 0 | 12 | 3 … ] [ 40 | … ] …                  nodes 5 to 20, one a chunk
//! bits      0001000100000…
//! ```
//!
//! Nodes follow each other level by level: the children of node `n` are `4n + 1` to `4n + 4`, and stand together as family `n`.
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

/// Words of a family, two nodes each.
const FAMILY: usize = FANOUT / 2;

/// The bits and the tree.
pub(super) struct FirstFit<'a> {
    pub free: Bits<'a>,
    families: &'a [[AtomicU64; FAMILY]],
    depth: usize,
    first_leaf: usize,
}

impl Index for FirstFit<'_> {
    const SMALLEST: bool = false;

    #[inline(always)]
    fn insert(&self, _: &Space<'_>, granule: u32, size: u32) -> Result<()> {
        self.free.set(granule);
        self.raise(chunk_of(granule), size);
        Ok(())
    }

    #[inline(always)]
    fn remove(&self, space: &Space<'_>, granule: u32, size: u32) -> Result<()> {
        if !self.free.get(granule) {
            return Err(Flaw::Index(Why::Bits));
        }
        self.free.clear(granule);
        self.sink(space, chunk_of(granule), size)
    }

    #[inline(always)]
    fn replace(&self, space: &Space<'_>, old: (u32, u32), new: (u32, u32)) -> Result<()> {
        if !self.free.get(old.0) {
            return Err(Flaw::Index(Why::Bits));
        }
        self.free.clear(old.0);
        // First the new one: so of the nodes that both have above them, none is made smaller only to grow again.
        self.insert(space, new.0, new.1)?;
        self.sink(space, chunk_of(old.0), old.1)
    }

    #[inline(always)]
    fn find(&self, space: &Space<'_>, size: u32) -> Result<Option<(u32, u32)>> {
        let Some(chunk) = self.leftmost(size) else { return Ok(None) };
        for granule in granules(self.free.word(chunk), chunk) {
            let found = space.free_size(granule)?;
            if found >= size {
                return Ok(Some((granule, found)));
            }
        }
        Err(Flaw::Index(Why::Tree))
    }

    fn largest(&self, _: &Space<'_>) -> Result<u32> {
        Ok(self.largest_child(0))
    }

    fn clear(&self) {
        self.free.clear_all();
        self.families.as_flattened().iter().for_each(|word| word.store(0, Relaxed));
    }

    fn verify(&self, space: &Space<'_>) -> Result<usize> {
        for chunk in 0..self.free.0.len() {
            if self.node(self.leaf(chunk)) != self.largest_in(space, chunk)? {
                return Err(Flaw::Index(Why::Tree));
            }
        }
        for node in 1..self.first_leaf {
            if self.node(node) != self.largest_child(node) {
                return Err(Flaw::Index(Why::Tree));
            }
        }
        Ok(self.free.count())
    }
}

impl<'a> FirstFit<'a> {
    #[inline(always)]
    pub fn new(free: &'a [AtomicU64], tree: &'a [AtomicU64], plan: &Plan) -> FirstFit<'a> {
        let (families, _) = tree.as_chunks();
        FirstFit { free: Bits(free), families, depth: plan.tree_depth, first_leaf: plan.first_leaf }
    }

    #[inline(always)]
    fn leaf(&self, chunk: usize) -> usize {
        self.first_leaf + chunk
    }

    /// The four children of a node, and the two words that they are in; all 0 where there are none.
    #[inline(always)]
    fn family(&self, parent: usize) -> [u32; FANOUT] {
        let Some([first, second]) = self.families.get(parent) else { return [0; FANOUT] };
        let (first, second) = (first.load(Relaxed), second.load(Relaxed));
        [first as u32, (first >> 32) as u32, second as u32, (second >> 32) as u32]
    }

    #[inline(always)]
    fn largest_child(&self, node: usize) -> u32 {
        let [a, b, c, d] = self.family(node);
        a.max(b).max(c.max(d))
    }

    /// The word of a node, and the bit where it begins.
    #[inline(always)]
    fn place(&self, node: usize) -> (Option<&AtomicU64>, u32) {
        let at = node.wrapping_sub(1);
        let family = self.families.get(at / FANOUT);
        (family.map(|family| &family[at / 2 % FAMILY]), (at as u32 % 2) * 32)
    }

    #[inline(always)]
    fn node(&self, node: usize) -> u32 {
        let (word, shift) = self.place(node);
        word.map_or(0, |word| (word.load(Relaxed) >> shift) as u32)
    }

    #[inline(always)]
    fn set_node(&self, node: usize, size: u32) {
        let (word, shift) = self.place(node);
        if let Some(word) = word {
            let others = word.load(Relaxed) & !(u64::from(u32::MAX) << shift);
            word.store(others | u64::from(size) << shift, Relaxed);
        }
    }

    /// A chunk got a block of this size.
    #[inline(always)]
    fn raise(&self, chunk: usize, size: u32) {
        let mut node = self.leaf(chunk);
        while node != 0 && self.node(node) < size {
            self.set_node(node, size);
            node = (node - 1) / FANOUT;
        }
    }

    /// A chunk lost a block of this size.
    #[inline(always)]
    fn sink(&self, space: &Space<'_>, chunk: usize, size: u32) -> Result<()> {
        if self.node(self.leaf(chunk)) == size {
            self.lower(chunk, size, self.largest_in(space, chunk)?);
        }
        Ok(())
    }

    /// The largest block of a chunk is no longer of the size `before`. Each node waits only for the one below it: what its other
    /// children have is known meanwhile.
    #[inline(always)]
    fn lower(&self, chunk: usize, before: u32, mut now: u32) {
        let mut node = self.leaf(chunk);
        while now != before && node != 0 {
            let at = node - 1;
            let Some(family) = self.families.get(at / FANOUT) else { return };
            let (place, shift) = (&family[at / 2 % FAMILY], (at as u32 % 2) * 32);
            let (word, beside) = (place.load(Relaxed), family[(at / 2 + 1) % FAMILY].load(Relaxed));
            if (word >> shift) as u32 != before {
                return;
            }
            let others = word & !(u64::from(u32::MAX) << shift);
            place.store(others | u64::from(now) << shift, Relaxed);
            let largest = (others as u32).max((others >> 32) as u32);
            now = now.max(largest.max(beside as u32).max((beside >> 32) as u32));
            node = at / FANOUT;
        }
    }

    #[inline]
    fn largest_in(&self, space: &Space<'_>, chunk: usize) -> Result<u32> {
        let mut largest = 0;
        for granule in granules(self.free.word(chunk), chunk) {
            largest = largest.max(space.free_size(granule)?);
        }
        Ok(largest)
    }

    /// The first chunk in which a block of this size begins; some chunk when the tree is wrong.
    #[inline(always)]
    fn leftmost(&self, size: u32) -> Option<usize> {
        if self.largest_child(0) < size {
            return None;
        }
        let mut node = 0;
        for _ in 0..self.depth {
            let [a, b, c, _] = self.family(node);
            // Mostly the first, from above as far down as there are blocks: that the processor can foresee, and so the next
            // family is read at once. The others without a branch, since which it is, nobody can foresee.
            let before = if a >= size { 0 } else { 1 + usize::from(b < size) + usize::from(b.max(c) < size) };
            node = node * FANOUT + 1 + before;
        }
        Some(node - self.first_leaf)
    }
}

#[inline(always)]
fn chunk_of(granule: u32) -> usize {
    (granule / CHUNK) as usize
}

/// The granules whose bits are set in a chunk's word, from the lowest.
#[inline]
fn granules(mut word: u64, chunk: usize) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = word.trailing_zeros();
        (word != 0).then(|| {
            word &= word - 1;
            chunk as u32 * CHUNK + bit
        })
    })
}
