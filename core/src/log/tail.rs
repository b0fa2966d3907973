//! Where a log ends: at the first word that is 0. The tail, a word that all share, says about where that is.
//!
//! Invariant: the tail lies less than [`LOG_TAIL_LAG`] before the end of whatever is committed, and in the same segment, or
//! where the next one begins. Who claims sees to that before it commits ([`Inner::pull_tail`]).
//!
//! The tail is not moved by each claim. A cache line that goes from one processor to another costs as much as several
//! appends, and a writer that is alone finds the end by itself ([`SegmentMap::likely_end`]).

use super::Inner;
use super::record;
use super::segment::SegmentMap;
use crate::atomic::Ordering::{Acquire, SeqCst};
use crate::layout::LOG_TAIL_LAG;

impl Inner {
    /// Moves the tail to the end of a claim, unless it is near: `seen` is where it was before.
    #[inline]
    pub(super) fn pull_tail(&self, segment: &SegmentMap, mut seen: u64, end: u64) {
        let tail = &self.control.words().tail;
        while seen < end && (end - seen >= LOG_TAIL_LAG || end >= segment.end()) {
            match tail.compare_exchange_weak(seen, end, SeqCst, Acquire) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// A position that no committed record goes beyond.
    pub(super) fn limit(&self) -> u64 {
        self.limit_behind(self.control.words().tail.load(SeqCst))
    }

    fn limit_behind(&self, tail: u64) -> u64 {
        let segment_end = self.control.base_of(tail).saturating_add(self.control.capacity());
        tail.saturating_add(LOG_TAIL_LAG).min(segment_end)
    }

    /// The end, or where it was a moment ago if others append meanwhile: whatever is committed lies before it.
    pub(super) fn end(&self) -> u64 {
        let mut at = self.control.words().tail.load(SeqCst);
        // Not further: who appends is faster than we are.
        let limit = self.limit_behind(at);
        let Ok(Some(segment)) = self.segment_at(at, "find end of log") else { return at };
        while let Some(offset) = segment.offset_of(at).filter(|_| at < limit) {
            let word = segment.word(offset).map_or(0, |word| word.load(Acquire));
            match record::parse(word, segment.capacity - offset) {
                Some((_, span)) if span > 0 => at += span as u64,
                _ => break,
            }
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use super::super::{Log, LogOptions, ReadFrom, record};
    use super::*;

    #[test]
    fn the_end_is_exact_and_the_tail_near_it() {
        let directory = tempfile::tempdir().unwrap();
        let log = LogOptions::new().segment_len(8192).create(directory.path().join("log")).unwrap();
        let mut moves = 0;
        let mut before = 0;
        for number in 0..2000_usize {
            let payload = vec![0; number * 37 % 900];
            let position = log.append(0, &payload).unwrap();
            let end = position + record::span(payload.len()) as u64;
            assert_eq!(log.end(), end);
            let tail = log.inner.control.words().tail.load(Relaxed);
            assert!(tail <= end && end <= log.inner.limit() && end - tail < LOG_TAIL_LAG, "{tail} {end}");
            moves += usize::from(tail != before);
            before = tail;
        }
        assert!(moves < 1500, "moved {moves} times");
    }

    #[test]
    fn no_committed_record_is_beyond_the_limit_and_another_handle_finds_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let log = LogOptions::new().segment_len(16384).create(&path).unwrap();
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3_usize)
                .map(|writer| {
                    let own = Log::open(&path).unwrap();
                    scope.spawn(move || {
                        for number in 0..3000 {
                            own.append(0, &vec![0; (number * 31 + writer * 7) % 700]).unwrap();
                        }
                    })
                })
                .collect();
            scope.spawn(|| {
                let mut reader = log.reader(ReadFrom::Start).unwrap();
                let mut records = 0;
                while records < 9000 {
                    let Some(record) = reader.read().unwrap() else {
                        assert!(!is_done.load(Relaxed) || reader.read().unwrap().is_some(), "{records}");
                        continue;
                    };
                    records += 1;
                    let next = record.next_position();
                    assert!(log.end() >= next && log.inner.limit() >= next, "{next} {}", log.inner.limit());
                }
                assert_eq!(reader.position(), log.end());
            });
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            is_done.store(true, Relaxed);
        });
        assert_eq!(log.verify(|_| ()).unwrap().corruptions, 0);
    }
}
