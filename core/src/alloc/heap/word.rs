//! The word of a block: what it is, how long, and whose. One store changes all of it.
//!
//! ```text
//!  63                32 31          3 2               1      0
//! ┌────────────────────┬─────────────┬───────────────┬────────┐
//! │ size               │ owner id    │ PREVIOUS_FREE │ state  │   state: 1 free, 2 used, 3 the end
//! └────────────────────┴─────────────┴───────────────┴────────┘
//! ```
//!
//! Zero is no block at all. A used block without an owner is published: it belongs to nobody until somebody adopts it.

use crate::layout::{HEAP_END, HEAP_FREE, HEAP_PREVIOUS_FREE, HEAP_SIZE_SHIFT, HEAP_USED, WORD_OWNER_MASK};

/// A block's word, read once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub u64);

impl Word {
    /// The word behind the last block.
    pub const END: Word = Word(HEAP_END);

    /// Free space of this size, after a block in use.
    #[inline]
    pub fn free(size: u32) -> Word {
        Word(u64::from(size) << HEAP_SIZE_SHIFT | HEAP_FREE)
    }

    /// A live block of this size; owner 0 is nobody.
    #[inline]
    pub fn used(size: u32, owner: u32) -> Word {
        Word(u64::from(size) << HEAP_SIZE_SHIFT | u64::from(owner & WORD_OWNER_MASK) | HEAP_USED)
    }

    #[inline(always)]
    pub fn size(self) -> u32 {
        (self.0 >> HEAP_SIZE_SHIFT) as u32
    }

    #[inline(always)]
    pub fn owner(self) -> u32 {
        self.0 as u32 & WORD_OWNER_MASK
    }

    #[inline(always)]
    fn state(self) -> u64 {
        self.0 & 3
    }

    #[inline(always)]
    pub fn is_free(self) -> bool {
        self.state() == HEAP_FREE
    }

    #[inline(always)]
    pub fn is_used(self) -> bool {
        self.state() == HEAP_USED
    }

    #[inline(always)]
    pub fn is_end(self) -> bool {
        self.state() == HEAP_END
    }

    #[inline(always)]
    pub fn is_previous_free(self) -> bool {
        self.0 & HEAP_PREVIOUS_FREE != 0
    }

    #[inline(always)]
    pub fn with_previous_free(self, free: bool) -> Word {
        Word(if free { self.0 | HEAP_PREVIOUS_FREE } else { self.0 & !HEAP_PREVIOUS_FREE })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_fields_do_not_touch_each_other() {
        for size in [1, 2, u32::MAX] {
            for owner in [0, 8, WORD_OWNER_MASK] {
                for previous in [false, true] {
                    let used = Word::used(size, owner).with_previous_free(previous);
                    assert_eq!((used.size(), used.owner()), (size, owner));
                    assert!(used.is_used() && !used.is_free() && !used.is_end());
                    assert_eq!(used.is_previous_free(), previous);
                }
            }
            let free = Word::free(size);
            assert_eq!((free.size(), free.owner(), free.is_free(), free.is_used()), (size, 0, true, false));
        }
        assert!(Word::END.is_end() && !Word(0).is_free() && !Word(0).is_used() && !Word(0).is_end());
        assert_eq!(
            Word::used(1, WORD_OWNER_MASK | 7).owner(),
            WORD_OWNER_MASK,
            "flag bits are not an owner's"
        );
    }
}
