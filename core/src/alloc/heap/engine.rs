//! What every strategy can do with its blocks. All of it happens under the heap's lock.

/// Why an operation could not be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// No live block begins at this offset.
    NotLive,
    /// What was derived from the blocks does not fit them: to be made anew.
    Index(&'static str),
    /// The blocks themselves contradict each other: what is wrong, and where.
    Chain(&'static str, u64),
}

pub(super) type Result<T, F = Flaw> = std::result::Result<T, F>;

/// A live block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Live {
    /// Where its bytes begin, from the region's start.
    pub offset: u64,
    /// How many bytes it offers.
    pub len: u64,
    /// Its size, in the strategy's own unit.
    pub size: u32,
    /// Its owner; 0 for a published one.
    pub owner: u32,
}

/// A block as the chain has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub live: Live,
    pub is_free: bool,
}

/// The blocks of a heap. Every method checks what it reads before it uses it, and leaves a valid chain after every store.
pub(super) trait Engine {
    /// Makes a new heap: one free block, or as few as there can be.
    fn format(&self);
    /// A new live block; `None` when there is no room.
    fn allocate(&self, len: u64, align: u64, owner: u32) -> Result<Option<Live>>;
    /// The live block that begins at this offset.
    fn locate(&self, offset: u64) -> Result<Live>;
    /// Makes a live block free, and joins it to its free neighbours. One store commits all of it.
    fn free(&self, block: Live) -> Result<()>;
    /// Makes a live block longer or shorter where it is; `None`, and nothing has changed, when it cannot grow so far.
    fn resize(&self, block: Live, len: u64) -> Result<Option<Live>>;
    /// Gives a live block another owner. One store.
    fn set_owner(&self, block: Live, owner: u32) -> Result<()>;
    /// Calls `visit` with each block in the order of their addresses.
    fn each(&self, visit: &mut dyn FnMut(Entry)) -> Result<()>;
    /// Bytes of the largest block that could be allocated.
    fn largest_free(&self) -> Result<u64>;
    /// Makes everything that is derived anew from the chain. Changes nothing when the chain is flawed.
    fn rebuild(&self) -> Result<()>;
    /// Whether an operation that was committed could not keep the index in order: it is to be made anew.
    fn is_suspect(&self) -> bool;
    /// Checks that chain and index are whole and agree.
    fn verify(&self) -> Result<()>;
}
