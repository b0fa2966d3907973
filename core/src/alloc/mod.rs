//! Memory inside a region, handed out in blocks that outlive their owners.

mod block;
mod fruitless;
mod heap;
mod pool;
mod status;

pub use block::PoolBlock;
pub use heap::{Block, Heap, HeapBlock, HeapOptions, HeapOwner, HeapStatus, HeapStrategy, MAX_HEAP_ALIGN};
pub use pool::{Pool, PoolLayout, PoolOptions};
pub use status::{BlockState, BlockStatus, PoolOwner, PoolStatus};
