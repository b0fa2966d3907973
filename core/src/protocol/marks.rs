//! Marks: one word per slot that says how many of something the slot's owner has, and which owner that is.
//!
//! ```text
//!  63        32 31         0
//! ┌────────────┬────────────┐
//! │ generation │ count      │   count 0: nothing, whoever it was
//! └────────────┴────────────┘
//! ```
//!
//! Only the owner changes its mark, but for one thing: anybody may clear the mark of the dead. The marks are the truth;
//! every other count is a cache of their sum.

use super::owner::{generation_of, owner_id};
use super::party::Party;
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::{Relaxed, SeqCst};
use crate::layout::MARK_GENERATION_SHIFT as SHIFT;

/// The count in a mark.
#[inline]
pub(crate) fn count_of(mark: u64) -> u32 {
    mark as u32
}

/// The owner who made the mark of slot `index`.
pub(crate) fn owner_of_mark(index: usize, mark: u64) -> u32 {
    owner_id(index as u32, (mark >> SHIFT) as u32)
}

fn mark_of(me: u32, count: u32) -> u64 {
    u64::from(generation_of(me)) << SHIFT | u64::from(count)
}

/// Counts one more for `me`, who owns the mark's slot. Sequentially consistent.
#[inline]
pub(crate) fn add(mark: &AtomicU64, me: u32) {
    let mut seen = mark.load(Relaxed);
    loop {
        let count = if seen >> SHIFT == u64::from(generation_of(me)) { count_of(seen) } else { 0 };
        // Wrapping: only corruption counts to 2^32, and then no number is right.
        match mark.compare_exchange_weak(seen, mark_of(me, count.wrapping_add(1)), SeqCst, Relaxed) {
            Ok(_) => return,
            Err(now) => seen = now,
        }
    }
}

/// Counts one less for `me`, sequentially consistent, and says how many are left. `None`: there were none.
#[inline]
pub(crate) fn subtract(mark: &AtomicU64, me: u32) -> Option<u32> {
    let mut seen = mark.load(Relaxed);
    loop {
        let left = mine(seen, me).checked_sub(1)?;
        match mark.compare_exchange_weak(seen, mark_of(me, left), SeqCst, Relaxed) {
            Ok(_) => return Some(left),
            Err(now) => seen = now,
        }
    }
}

/// The count that a mark has for `me`, who owns its slot.
#[inline]
pub(crate) fn mine(mark: u64, me: u32) -> u32 {
    if mark >> SHIFT == u64::from(generation_of(me)) { count_of(mark) } else { 0 }
}

/// Whether the mark of slot `index` counts: clears it when its owner's slot has a new owner, or, if `ask`, when the
/// kernel says that its owner is dead.
pub(crate) fn is_live(mark: &AtomicU64, index: usize, ask: bool, party: &impl Party) -> bool {
    let seen = mark.load(SeqCst);
    if count_of(seen) == 0 {
        return false;
    }
    let owner = owner_of_mark(index, seen);
    if !(party.is_replaced(owner) || ask && party.is_dead(owner)) {
        return true;
    }
    // Only this exact mark: if it changed, somebody who lives made a new one.
    mark.compare_exchange(seen, 0, SeqCst, SeqCst).is_err_and(|now| count_of(now) != 0)
}
