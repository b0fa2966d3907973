//! Owner ids: which generation of which slot owns something, in the 29 bits that a lock word has for it.

use crate::layout::{OWNER_GENERATION_SHIFT, OWNER_SLOT_SHIFT, WORD_OWNER_MASK};

const GENERATION_MASK: u32 = u32::MAX >> OWNER_GENERATION_SHIFT;
const SLOT_MASK: u32 = (1 << (OWNER_GENERATION_SHIFT - OWNER_SLOT_SHIFT)) - 1;

/// The owner id of a slot's generation.
pub(crate) fn owner_id(index: u32, generation: u32) -> u32 {
    (generation & GENERATION_MASK) << OWNER_GENERATION_SHIFT | (index + 1) << OWNER_SLOT_SHIFT
}

/// The owner bits of a lock word.
#[inline]
pub(crate) fn owner_of(word: u32) -> u32 {
    word & WORD_OWNER_MASK
}

/// The slot that an owner id names; `u32::MAX` for an id that names nobody.
#[inline]
pub(crate) fn slot_index(owner: u32) -> u32 {
    (owner >> OWNER_SLOT_SHIFT & SLOT_MASK).wrapping_sub(1)
}

/// The part of a slot's generation that owner ids carry.
#[inline]
pub(crate) fn short_generation(generation: u32) -> u32 {
    generation & GENERATION_MASK
}

/// The generation in an owner id.
#[inline]
pub(crate) fn generation_of(owner: u32) -> u32 {
    owner >> OWNER_GENERATION_SHIFT
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::layout;

    #[test]
    fn owner_ids_fit_the_word_and_lead_back() {
        for index in [0, 1, 127, layout::MAX_SLOT_COUNT - 1] {
            for generation in [0, 1, GENERATION_MASK, GENERATION_MASK + 1, u32::MAX] {
                let id = owner_id(index, generation);
                assert_eq!(owner_of(id), id, "the flag bits stay free");
                assert_ne!(id, 0);
                assert_eq!(slot_index(id), index);
                assert_eq!(generation_of(id), short_generation(generation));
            }
        }
        assert_eq!(slot_index(0), u32::MAX);
    }
}
