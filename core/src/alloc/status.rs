//! What a pool tells of its blocks.

/// What a block is.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockState {
    /// Free.
    Free = 0,
    /// A process has it.
    Owned = 1,
    /// Nobody has it until somebody adopts it.
    Published = 2,
    /// Its word is none that a pool writes: somebody overwrote it.
    Damaged = 3,
}

/// One block, as listed.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct BlockStatus {
    /// Its place in the pool, from 0.
    pub index: u32,
    /// What it is.
    pub state: BlockState,
    /// Slot of the owner.
    pub slot: Option<u32>,
    /// Process id of the owner; 0 when there is none, or when its slot has a new owner.
    pub pid: u32,
    /// Whether this process has it.
    pub mine: bool,
    /// The handle, unless it is free.
    pub handle: Option<u64>,
}

/// How the blocks of a pool are distributed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PoolStatus {
    /// Bytes of a block.
    pub block_size: usize,
    /// Bytes from block to block.
    pub stride: usize,
    /// All blocks.
    pub total: u32,
    /// Free ones.
    pub free: u32,
    /// Those that processes have, dead or alive.
    pub owned: u32,
    /// Published ones.
    pub published: u32,
    /// Those whose words are none that a pool writes.
    pub damaged: u32,
    /// How many blocks came back from the dead so far.
    pub recovered: u32,
    /// Who has how many.
    pub owners: Vec<PoolOwner>,
}

/// A process that has blocks.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PoolOwner {
    /// Index of its slot.
    pub slot: u32,
    /// Process id, 0 when the slot has a new owner.
    pub pid: u32,
    /// Whether it lives.
    pub alive: bool,
    /// How many blocks it has.
    pub count: u32,
}
