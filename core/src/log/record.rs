//! The record's header word, and what it says about the bytes that follow. Pure arithmetic: nothing here touches memory.
//!
//! ```text
//!  63            45 44       35 34    32 31                   0
//! ┌────────────────┬───────────┬────────┬──────────────────────┐
//! │ generation     │ slot + 1  │ state  │ length               │   0: nothing is here yet
//! └────────────────┴───────────┴────────┴──────────────────────┘
//! ```
//!
//! | from | to | by |
//! |---|---|---|
//! | 0 | owner, CLAIMED, length | a writer: the record is its own from here |
//! | owner, CLAIMED, length | COMMITTED, length | the owner, when payload and header are complete; the length may be less, with words for the rest written before |
//! | owner, CLAIMED, length | ABANDONED, length | the owner |
//! | dead owner, CLAIMED, length | DEAD, length | anybody who has proof of the death |
//! | 0 | FILL, length | who finds that its record does not fit in the rest of a segment |
//!
//! Each line is one compare-and-swap on the exact word. So whoever sees a word that is not 0 can step over what it
//! describes, a commit finds its claim or nothing, and a word that is settled (all states but CLAIMED) never changes.

use crate::layout::{
    LOG_ABANDONED, LOG_CLAIMED, LOG_COMMITTED, LOG_CUT, LOG_DEAD, LOG_FILL, LOG_RECORD_ALIGN,
    LOG_RECORD_HEADER_SIZE, LOG_STATE_SHIFT,
};
use crate::protocol::owner::owner_of;

/// What a header word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing is here yet.
    Free,
    /// Somebody writes here.
    Claimed { owner: u32 },
    /// A record with this many payload bytes.
    Record { len: usize },
    /// To be skipped.
    Padding,
}

/// Bytes of a record, with its header and up to the next one.
#[inline]
pub(super) fn span(payload_len: usize) -> usize {
    (LOG_RECORD_HEADER_SIZE + payload_len).next_multiple_of(LOG_RECORD_ALIGN)
}

/// The word of a claim.
#[inline]
pub(super) fn claimed(owner: u32, len: usize) -> u64 {
    u64::from(owner | LOG_CLAIMED) << LOG_STATE_SHIFT | len as u64
}

/// The word of a complete record.
#[inline]
pub(super) fn committed(len: usize) -> u64 {
    u64::from(LOG_COMMITTED) << LOG_STATE_SHIFT | len as u64
}

/// What a claim becomes when it will never be a record.
pub(super) fn settled(claim: u64, state: u32) -> u64 {
    u64::from(state) << LOG_STATE_SHIFT | u64::from(claim as u32)
}

/// The word of `len` bytes without a record.
pub(super) fn fill(state: u32, len: usize) -> u64 {
    u64::from(state) << LOG_STATE_SHIFT | len as u64
}

/// The state in a word.
pub(super) fn state_of(word: u64) -> u32 {
    (word >> LOG_STATE_SHIFT) as u32 & 7
}

/// What a word says and how many bytes it covers, if there are so many left. `None`: no process wrote this word here.
#[inline]
pub(super) fn parse(word: u64, room: usize) -> Option<(Seen, usize)> {
    if word == 0 {
        return Some((Seen::Free, 0));
    }
    let (len, high) = (word as u32 as usize, (word >> LOG_STATE_SHIFT) as u32);
    let (state, owner) = (high & 7, owner_of(high));
    let (seen, bytes) = match state {
        LOG_CLAIMED => (Seen::Claimed { owner }, span(len)),
        LOG_COMMITTED => (Seen::Record { len }, span(len)),
        LOG_ABANDONED | LOG_DEAD => (Seen::Padding, span(len)),
        LOG_FILL | LOG_CUT if len > 0 && len.is_multiple_of(LOG_RECORD_ALIGN) => (Seen::Padding, len),
        _ => return None,
    };
    let owner_fits = (owner == 0) != (state == LOG_CLAIMED);
    (bytes <= room && owner_fits).then_some((seen, bytes))
}

/// The checksum of what identifies a record; the payload's follows it.
#[inline]
pub(super) fn checksum_start(len: usize, kind: u32, time_ns: u64, position: u64) -> u32 {
    let mut bytes = [0; 24];
    bytes[..4].copy_from_slice(&(len as u32).to_ne_bytes());
    bytes[4..8].copy_from_slice(&kind.to_ne_bytes());
    bytes[8..16].copy_from_slice(&time_ns.to_ne_bytes());
    bytes[16..].copy_from_slice(&position.to_ne_bytes());
    crc32c::crc32c(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lead_back_to_what_they_say() {
        let owner = 0xFFFF_FFF8;
        for len in [0, 1, 7, 8, 100, 1 << 29] {
            let room = 1 << 30;
            let claim = claimed(owner, len);
            assert_eq!(parse(claim, room), Some((Seen::Claimed { owner }, span(len))));
            assert_eq!(parse(committed(len), room), Some((Seen::Record { len }, span(len))));
            for state in [LOG_ABANDONED, LOG_DEAD] {
                assert_eq!(parse(settled(claim, state), room), Some((Seen::Padding, span(len))));
            }
        }
        assert_eq!(parse(fill(LOG_FILL, 8), 8), Some((Seen::Padding, 8)));
        assert_eq!(parse(0, 0), Some((Seen::Free, 0)));
        assert_eq!((span(0), span(1), span(100)), (24, 32, 128));
    }

    #[test]
    fn a_checksum_belongs_to_one_record_in_one_place() {
        let one = checksum_start(10, 2, 3, 4000);
        let others = [
            checksum_start(11, 2, 3, 4000),
            checksum_start(10, 3, 3, 4000),
            checksum_start(10, 2, 4, 4000),
            checksum_start(10, 2, 3, 4008),
            checksum_start(10, 2, 3, 4000 + (1 << 40)),
        ];
        assert!(!others.contains(&one));
    }

    #[test]
    fn words_that_nobody_wrote_are_refused() {
        for word in [
            committed(1),           // longer than the room
            fill(LOG_FILL, 0),      // would never end
            fill(LOG_CUT, 12),      // leads off the grid
            claimed(0, 0),          // by nobody
            committed(0) | 1 << 40, // complete, and still owned
            7 << LOG_STATE_SHIFT,   // no such state
            5,                      // a length without a state
            u64::MAX,
        ] {
            assert_eq!(parse(word, 24), None, "{word:#x}");
        }
    }
}
