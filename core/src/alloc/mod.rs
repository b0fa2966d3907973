//! Memory inside a region, handed out in blocks.

mod heap;

pub use heap::{
    Block, Heap, HeapBlock, HeapOptions, HeapOwner, HeapStatistics, HeapStrategy, MAX_HEAP_ALIGN,
};
