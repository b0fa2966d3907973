//! Where a heap's tables and blocks are: computed from its options and its place, the same in every process.
//!
//! ```text
//! HeapRecord · tables · padding · space
//! ```
//!
//! The tables of a heap with first or best fit: one bit a granule that says whether a block begins there; with first fit
//! another that says whether a free one does, and the levels of the search tree. Those of a heap of buddies: one word for
//! each smallest block.

use super::{HeapOptions, HeapStrategy};
use crate::layout::{HEAP_FANOUT, HEAP_GRANULE};

/// Bytes of a region's page, on which every mapping begins: no block can be aligned to more.
const PAGE: usize = 4096;
/// The space is a whole number of these: one word of a bitmap.
const CHUNK: u64 = 64 * HEAP_GRANULE as u64;
/// Sizes are 32 bits of granules or smallest blocks.
const MOST_UNITS: u64 = (1 << 32) - 64;

/// The parts of a heap's table, in words of 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub strategy: HeapStrategy,
    /// Bytes of the space.
    pub len: u64,
    /// Granules or smallest blocks of the space.
    pub units: u32,
    /// Bytes of the smallest block.
    pub unit_len: u64,
    /// Words of the table that says where blocks begin, or of the buddies' words.
    pub starts_words: usize,
    /// Words of the table that says where free blocks begin.
    pub free_words: usize,
    /// Words of the search tree, whose nodes follow each other level by level: below node `n` are the nodes from
    /// `n * HEAP_FANOUT + 1`, and the root is not stored.
    pub tree_words: usize,
    /// Levels of the tree below its root, and the first node of the lowest.
    pub tree_depth: usize,
    pub first_leaf: usize,
    space_align: usize,
}

impl Plan {
    /// `None` for a length that no heap can have.
    pub fn of(options: &HeapOptions) -> Option<Plan> {
        let unit_len = match options.strategy {
            HeapStrategy::Buddy => u64::from(options.min_block),
            _ => HEAP_GRANULE as u64,
        };
        let len = match options.strategy {
            HeapStrategy::Buddy => options.len.checked_next_multiple_of(unit_len)?,
            _ => options.len.checked_next_multiple_of(CHUNK)?,
        };
        let units = len / unit_len;
        if len == 0 || units > MOST_UNITS {
            return None;
        }
        let mut plan = Plan {
            strategy: options.strategy,
            len,
            units: units as u32,
            unit_len,
            starts_words: units as usize,
            free_words: 0,
            tree_words: 0,
            tree_depth: 0,
            first_leaf: 0,
            space_align: PAGE,
        };
        if options.strategy != HeapStrategy::Buddy {
            plan.starts_words = units as usize / 64;
            plan.space_align = 64;
        }
        if options.strategy == HeapStrategy::FirstFit {
            plan.free_words = units as usize / 64;
            plan.plan_tree();
        }
        Some(plan)
    }

    fn plan_tree(&mut self) {
        let leaves = self.free_words;
        let mut level = 1;
        while self.tree_depth == 0 || level < leaves {
            self.first_leaf += level;
            level *= HEAP_FANOUT;
            self.tree_depth += 1;
        }
        // Two nodes a word, whole families of them.
        self.tree_words = (self.first_leaf - 1 + leaves).next_multiple_of(HEAP_FANOUT) / 2;
    }

    /// Words of the tables before the space.
    pub fn tables_len(&self) -> usize {
        self.starts_words + self.free_words + self.tree_words
    }

    /// Words of the whole table that follows the record: enough wherever the object is placed.
    pub fn table_len(&self) -> usize {
        self.tables_len() + self.space_align / 8 + self.len as usize / 8
    }

    /// Where the space begins, in words from the start of a table at this offset of the region.
    pub fn space_start(&self, table_offset: usize) -> usize {
        let tables_end = table_offset + self.tables_len() * 8;
        (tables_end.next_multiple_of(self.space_align) - table_offset) / 8
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_space_lies_in_the_table_wherever_it_is() {
        for strategy in HeapStrategy::ALL {
            for len in [1, 1000, 1024, 100_000, 3 << 20, 1 << 35] {
                let plan = Plan::of(&HeapOptions::new(len).strategy(strategy)).unwrap();
                assert!(plan.len >= len && plan.len == u64::from(plan.units) * plan.unit_len);
                for table_offset in [0x3000, 0x3040, 0x3280, 0x3fc0] {
                    let start = plan.space_start(table_offset);
                    assert!(start >= plan.tables_len());
                    assert!(start + plan.len as usize / 8 <= plan.table_len());
                    assert_eq!((table_offset + start * 8) % plan.space_align, 0);
                }
            }
            for len in [0, 1 << 48, u64::MAX] {
                assert_eq!(Plan::of(&HeapOptions::new(len).strategy(strategy)), None, "{len}");
            }
        }
    }

    #[test]
    fn the_tree_has_a_leaf_for_each_chunk() {
        for (chunks, depth, first_leaf) in
            [(1, 1, 1), (4, 1, 1), (5, 2, 5), (16, 2, 5), (17, 3, 21), (1 << 20, 10, 349_525)]
        {
            let plan = Plan::of(&HeapOptions::new(chunks * 1024).strategy(HeapStrategy::FirstFit)).unwrap();
            assert_eq!((plan.tree_depth, plan.first_leaf), (depth, first_leaf), "{chunks}");
            let last = first_leaf + chunks as usize - 1;
            assert!(plan.tree_words * 2 >= last && plan.tree_words * 2 < last + HEAP_FANOUT);
        }
    }
}
