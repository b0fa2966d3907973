//! The peer of the pool in Rust: the robust set of indices of iceoryx2, which knows the owner of each index.

use std::fmt::Arguments;

use iceoryx2_bb_lock_free::mpmc::robust_unique_index_set::{OwnerId, StaticRobustUniqueIndexSet};
use iceoryx2_bb_lock_free::mpmc::unique_index_set_enums::ReleaseMode;
use iceoryx2_log_types::{Log, LogLevel};

/// As many indices as the pool beside it has blocks.
pub struct IndexSet {
    set: Box<StaticRobustUniqueIndexSet<1024>>,
    owner: OwnerId,
}

impl IndexSet {
    pub fn new() -> Self {
        let owner = OwnerId::new(u64::from(std::process::id())).expect("owner");
        IndexSet { set: Box::new(StaticRobustUniqueIndexSet::new()), owner }
    }

    pub fn acquire(&self) -> usize {
        self.set.acquire(self.owner).expect("acquire")
    }

    pub fn release(&self, index: usize) {
        self.set.release(index, self.owner, ReleaseMode::Default).expect("release");
    }
}

struct Silent;

impl Log for Silent {
    fn log(&self, _: LogLevel, _: Arguments<'_>, _: Arguments<'_>) {}
}

/// What iceoryx2 asks the program for. Its own loggers come with a crate that needs libclang to be built.
// SAFETY: nothing else in this program defines the symbol, and iceoryx2 declares it with this signature.
#[unsafe(no_mangle)]
extern "Rust" fn __internal_default_logger() -> &'static dyn Log {
    &Silent
}
