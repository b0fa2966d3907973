//! How a heap is created, and in which parameters of its object that is kept.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::layout::HeapRecord;
use crate::region::RegionOptions;

use super::plan::Plan;

/// Which free block an allocation takes.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HeapStrategy {
    /// A smallest that is large enough. The default.
    #[default]
    BestFit = 0,
    /// The one with the lowest address that is large enough.
    FirstFit = 1,
    /// Blocks are powers of two: one is halved until it fits, and free halves become one again.
    Buddy = 2,
}

impl HeapStrategy {
    /// Every strategy.
    pub const ALL: [HeapStrategy; 3] = [HeapStrategy::BestFit, HeapStrategy::FirstFit, HeapStrategy::Buddy];

    /// The one of this number, as it crosses the C ABI.
    pub fn from_number(number: u32) -> Option<HeapStrategy> {
        Self::ALL.into_iter().find(|known| *known as u32 == number)
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            HeapStrategy::FirstFit => "first fit",
            HeapStrategy::BestFit => "best fit",
            HeapStrategy::Buddy => "buddy",
        }
    }
}

/// How a heap is created; who opens one that exists must ask for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapOptions {
    pub(super) len: u64,
    pub(super) strategy: HeapStrategy,
    pub(super) min_block: u32,
    pub(super) reclaim: bool,
}

/// Bytes of the smallest buddy unless another number is asked for.
const DEFAULT_MIN_BLOCK: u32 = 64;
const RECLAIM: u64 = 1 << 8;

impl HeapOptions {
    /// A heap of `len` bytes for blocks and the eight bytes before each, best fit, which takes nothing back by itself.
    pub fn new(len: u64) -> HeapOptions {
        HeapOptions { len, strategy: HeapStrategy::BestFit, min_block: DEFAULT_MIN_BLOCK, reclaim: false }
    }

    /// Which free block an allocation takes.
    pub fn strategy(mut self, strategy: HeapStrategy) -> HeapOptions {
        self.strategy = strategy;
        self
    }

    /// Bytes of the smallest block of a heap of buddies: a power of two from 32 to 4096; default 64. Each costs a word of 8
    /// bytes besides, whether it is used or not.
    pub fn min_block(mut self, len: u32) -> HeapOptions {
        self.min_block = len;
        self
    }

    /// Take back the blocks of the dead as soon as a death is noticed or there is no room otherwise. Blocks that were
    /// published stay.
    pub fn reclaim(mut self) -> HeapOptions {
        self.reclaim = true;
        self
    }

    /// Bytes of an arena in which such a heap finds room: what [`RegionOptions::arena_len`] needs for it. `None` for options
    /// that no heap can have.
    pub fn arena_len(&self) -> Option<u64> {
        // The arena's header, the object's, the longest name, the members of the most attachments.
        const AROUND: u64 = 64 + 64 + 256 + 4096;
        let plan = self.plan()?;
        Some(AROUND + (size_of::<HeapRecord>() + plan.table_len() * 8) as u64)
    }

    pub(super) fn plan(&self) -> Option<Plan> {
        let buddy = self.strategy == HeapStrategy::Buddy;
        let valid = if buddy {
            self.min_block.is_power_of_two() && (32..=4096).contains(&self.min_block)
        } else {
            self.min_block == DEFAULT_MIN_BLOCK
        };
        if valid { Plan::of(self) } else { None }
    }

    /// The plan, or why there is none.
    pub(super) fn check(&self, operation: &'static str, object: impl FnOnce() -> String) -> Result<Plan> {
        self.plan().ok_or_else(|| {
            let kind =
                if Plan::of(self).is_some() { ErrorKind::InvalidArgument } else { ErrorKind::InvalidLength };
            Error::new(kind, operation, object()).with_detail(format!(
                "{} bytes, smallest block {} (a power of two from 32 to 4096, for buddies only)",
                self.len, self.min_block
            ))
        })
    }

    /// The options of a region that holds such a heap and nothing else.
    pub(super) fn region_options(&self) -> RegionOptions {
        RegionOptions::new().arena_len(self.arena_len().unwrap_or(0))
    }

    pub(super) fn parameters(&self) -> [u64; 2] {
        let flags = if self.reclaim { RECLAIM } else { 0 };
        [self.len, u64::from(self.min_block) << 32 | flags | self.strategy as u64]
    }

    /// `None` for what no creator writes.
    pub(super) fn from_parameters([len, rest]: [u64; 2]) -> Option<HeapOptions> {
        let strategy = HeapStrategy::from_number(rest as u32 & 0xFF)?;
        let options =
            HeapOptions { len, strategy, min_block: (rest >> 32) as u32, reclaim: rest & RECLAIM != 0 };
        (options.parameters() == [len, rest] && options.plan().is_some()).then_some(options)
    }
}

impl fmt::Display for HeapOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes by {:?}", self.len, self.strategy)?;
        if self.strategy == HeapStrategy::Buddy {
            write!(f, " of {} and more", self.min_block)?;
        }
        f.write_str(if self.reclaim { ", reclaiming" } else { "" })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn parameters_lead_back() {
        for strategy in HeapStrategy::ALL {
            let plain = HeapOptions::new(5000).strategy(strategy);
            for options in [plain, plain.reclaim()] {
                assert_eq!(HeapOptions::from_parameters(options.parameters()), Some(options));
            }
        }
        let small = HeapOptions::new(5000).strategy(HeapStrategy::Buddy).min_block(32);
        assert_eq!(HeapOptions::from_parameters(small.parameters()), Some(small));
        for bad in
            [[0, 64 << 32], [5000, 64 << 32 | 3], [5000, 48 << 32 | 2], [5000, 1 << 20], [u64::MAX, 64 << 32]]
        {
            assert_eq!(HeapOptions::from_parameters(bad), None, "{bad:?}");
        }
    }
}
