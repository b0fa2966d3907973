//! What a writer does that has met another one.
//!
//! Two writers that append without a pause take the end of the log from each other with each record, and a cache line takes
//! longer from one processor to another than an append does. So the one that came second stays away for as long as some dozen
//! appends take; then it is the other that comes second. Meanwhile it has the kernel make the pages ready that both of them
//! will write soon.

use super::segment::SegmentMap;
use crate::layout::LOG_TAIL_LAG;
use crate::sys::stamp;

/// The first wait of an append; each further one is twice as long.
const FIRST_NS: u64 = 1_500;
const LONGEST_NS: u64 = 12_000;
/// Bytes behind the end whose pages are made ready.
const AHEAD: usize = 1 << 20;

pub(super) struct Backoff {
    /// Claims before this position may be old; behind it they were made since we began.
    since: u64,
    wait_ns: u64,
}

impl Backoff {
    /// For an append that found the tail here.
    #[inline]
    pub fn new(tail: u64) -> Backoff {
        Backoff { since: tail.saturating_add(LOG_TAIL_LAG), wait_ns: FIRST_NS }
    }

    /// Somebody has claimed what lies before `end`.
    pub fn met(&mut self, segment: &SegmentMap, end: u64) {
        if end <= self.since {
            return;
        }
        self.lose(segment, end);
    }

    /// Somebody was faster.
    #[cold]
    pub fn lose(&mut self, segment: &SegmentMap, end: u64) {
        let until = stamp::now_ns().saturating_add(self.wait_ns);
        if let Some(offset) = segment.offset_of(end) {
            segment.touch(offset, (offset + AHEAD).min(segment.capacity));
        }
        while stamp::now_ns() < until {
            std::hint::spin_loop();
        }
        self.wait_ns = (self.wait_ns * 2).min(LONGEST_NS);
        self.since = end.saturating_add(LOG_TAIL_LAG);
    }
}
