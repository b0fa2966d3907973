//! [`Fruitless`]: when a look at all blocks of an exhausted pool would find nothing.
//!
//! The bits of a pool tell in a few steps that no block is free. They are wrong in two cases: blocks of the dead are not
//! among them until somebody looks at the blocks themselves, and a bit may be missing. Somebody who died in the middle left
//! it so for good; somebody alive takes a bit away and puts it back for an instant, or for longer if the scheduler stops him
//! there. So a pool of many blocks is looked at again when anybody came, went or died since the last look, and else only
//! from time to time. Asking who lives costs about as much as looking at some hundred blocks for each process, so in a
//! smaller pool it is simpler to look at the blocks.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::protocol::party::Party;
use crate::region::Memory;

/// As many blocks are looked at in the time in which the kernel tells whether one process lives.
const BLOCKS_A_QUESTION: usize = 512;
/// How long a bit may be missing that nobody's death explains.
const LOOK_AGAIN_NS: u64 = 10_000_000;

/// What was known at the last look. Threads may overwrite each other's: then one looks once too often, or [`LOOK_AGAIN_NS`]
/// later.
#[derive(Debug, Default)]
pub(super) struct Fruitless {
    /// When it was, or 0.
    at_ns: AtomicU64,
    /// What [`Memory::membership`] said before it.
    membership: AtomicU64,
}

impl Fruitless {
    /// Whether looking at all `count` blocks can find one; notes that somebody is about to.
    pub fn is_worth_another_look(&self, count: u32, memory: &Memory) -> bool {
        if count as usize <= memory.slots_high() * BLOCKS_A_QUESTION {
            return true;
        }
        let (now, membership) = (memory.now_ns(), memory.membership());
        let is_recent = now.wrapping_sub(self.at_ns.load(Relaxed)) < LOOK_AGAIN_NS;
        if is_recent && membership == self.membership.load(Relaxed) {
            return false;
        }
        self.membership.store(membership, Relaxed);
        self.at_ns.store(now, Relaxed);
        true
    }
}
