//! What every strategy can do with its blocks. All of it happens under the heap's lock.

/// Why an operation could not be done. As small as a number, because every step may end with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// No live block begins at this offset.
    NotLive,
    /// What was derived from the blocks does not fit them: to be made anew.
    Index(Why),
    /// The blocks themselves contradict each other, at this granule or smallest block.
    Chain(Why, u32),
}

/// What does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    NoBlock,
    Outside,
    Inside,
    Apart,
    End,
    Mark,
    Size,
    Bits,
    Link,
    List,
    Tree,
    Heads,
    Missing,
    Counts,
    Largest,
}

impl Why {
    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Why::NoBlock => "there is no block where one must be",
            Why::Outside => "something leads out of the heap",
            Why::Inside => "there is a word inside a block",
            Why::Apart => "free buddies were not joined",
            Why::End => "the chain has no end",
            Why::Mark => "a mark of the block before is wrong",
            Why::Size => "a size behind a free block is wrong",
            Why::Bits => "the bits do not say where blocks begin",
            Why::Link => "a link leads to no free block, or not back",
            Why::List => "a list is wrong",
            Why::Tree => "a tree is wrong",
            Why::Heads => "the bits do not say which lists and trees there are",
            Why::Missing => "a free block cannot be found",
            Why::Counts => "the counts are wrong",
            Why::Largest => "the largest free block is not found",
        }
    }
}

pub(super) type Result<T, F = Flaw> = std::result::Result<T, F>;

/// A live block, as its word was when it was checked. That is not read again: whatever others write meanwhile, what is done
/// with the block stays within the bounds that were checked.
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
    /// Whether the block before it is free, where its word says so.
    pub previous_free: bool,
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
    /// A new live block: where its bytes begin, from the region's start, and how many it offers. `None` when there is no room.
    fn allocate(&self, len: u64, align: u64, owner: u32) -> Result<Option<(u64, u64)>>;
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
    /// Checks that chain and index are whole and agree.
    fn verify(&self) -> Result<()>;
}

/// What is done with an engine, by a process with this owner id. A closure takes one of any strategy; what happens most has a
/// type of its own, which is compiled for each strategy as one straight piece.
pub(super) trait Task<R> {
    fn run(&self, engine: &impl Engine, me: u32) -> R;
}

impl<R, F: Fn(&dyn Engine, u32) -> R> Task<R> for F {
    fn run(&self, engine: &impl Engine, me: u32) -> R {
        self(engine, me)
    }
}
