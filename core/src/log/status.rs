//! Seeing what is in a log.

use serde::Serialize;

use super::record::{self, Seen};
use super::{Inner, Log, ReadFrom, segment};
use crate::atomic::Ordering::{Acquire, Relaxed};
use crate::error::{ErrorKind, Result};
use crate::layout;
use crate::sys::clock;

/// A log's parameters and counters. What it says was true at some instant while it looked, each number for itself.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LogStatus {
    /// The directory.
    pub directory: String,
    /// The oldest position that is kept.
    pub start: u64,
    /// Where the next record will be.
    pub end: u64,
    /// Everything before it is on the disk.
    pub flushed_to: u64,
    /// Record bytes of a segment.
    pub segment_len: u64,
    /// The longest record, in bytes.
    pub max_record_len: u64,
    /// A segment is left when its first record is this old; 0: never for that reason.
    pub max_age_ns: u64,
    /// Segments that are kept; 0: all.
    pub retain_count: u64,
    /// Record bytes that are kept; 0: all.
    pub retain_bytes: u64,
    /// The policy, for example `Interval(1s)`.
    pub durability: String,
    /// Base positions of the segment files.
    pub segments: Vec<u64>,
    /// Segments that retention has removed.
    pub removed_segments: u64,
    /// Records whose writers died before they were complete.
    pub dead: u64,
    /// Records that were reserved and given up.
    pub abandoned: u64,
    /// Places that power cuts left incomplete.
    pub cuts: u64,
    /// Bytes of these places.
    pub cut_bytes: u64,
    /// How often the log was made ready after a start of the machine.
    pub recoveries: u64,
    /// Flushes that ended.
    pub flushes: u64,
    /// Flushes that failed.
    pub flush_failures: u32,
    /// The errno of the last one that failed; 0: none did.
    pub flush_errno: u32,
    /// Living processes that are attached.
    pub attached: usize,
    /// When this was seen, nanoseconds since 1970.
    pub now_ns: u64,
}

impl LogStatus {
    /// As one line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What a look at every byte of a log found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verified {
    /// Good records.
    pub records: u64,
    /// Their payload bytes.
    pub payload_bytes: u64,
    /// Records whose writers died before they were complete.
    pub dead: u64,
    /// Records that were given up.
    pub abandoned: u64,
    /// Records that are being written.
    pub claimed: u64,
    /// Bytes that fill the ends of segments and of records that were made shorter.
    pub fill_bytes: u64,
    /// Places that power cuts left incomplete.
    pub cuts: u64,
    /// Their bytes.
    pub cut_bytes: u64,
    /// Places that hold no records where some should be.
    pub corruptions: u64,
    /// Their bytes.
    pub corrupted_bytes: u64,
    /// Bytes of segments that are missing. Those that retention removes meanwhile are not.
    pub missed_bytes: u64,
    /// Where it ended.
    pub end: u64,
}

impl Log {
    /// Parameters and counters.
    pub fn status(&self) -> Result<LogStatus> {
        let control = &self.inner.control;
        let (parameters, words) = (&control.parameters, control.words());
        let attached =
            (0..control.memory.slots().high()).filter(|slot| control.memory.is_slot_live(*slot)).count();
        Ok(LogStatus {
            directory: control.name(),
            start: words.start.load(Acquire),
            end: self.end(),
            flushed_to: words.flushed_to.load(Acquire),
            segment_len: parameters.capacity,
            max_record_len: parameters.max_record_len,
            max_age_ns: parameters.max_age_ns,
            retain_count: parameters.retain_count,
            retain_bytes: parameters.retain_bytes,
            durability: format!("{:?}", self.inner.durability),
            segments: segment::list(control, "look at log")?,
            removed_segments: words.removed_segments.load(Relaxed),
            dead: words.dead.load(Relaxed),
            abandoned: words.abandoned.load(Relaxed),
            cuts: words.cuts.load(Relaxed),
            cut_bytes: words.cut_bytes.load(Relaxed),
            recoveries: words.recoveries.load(Relaxed),
            flushes: words.done.load(Relaxed),
            flush_failures: words.failures.load(Relaxed),
            flush_errno: words.failed_errno.load(Relaxed),
            attached,
            now_ns: clock::realtime_ns(),
        })
    }

    /// Looks at every byte that is kept. It changes nothing, except that claims of the dead become padding. `progress` is told
    /// how far it is, in positions.
    pub fn verify(&self, mut progress: impl FnMut(u64)) -> Result<Verified> {
        let mut verified = Verified::default();
        let mut reader = self.reader(ReadFrom::Start)?;
        let mut missed = 0;
        loop {
            progress(reader.position());
            let at = reader.position();
            match reader.read() {
                Ok(Some(record)) => {
                    self.inner.count_padding(at, record.position(), &mut verified)?;
                    verified.records += 1;
                    verified.payload_bytes += record.len() as u64;
                }
                Ok(None) => {
                    verified.end = self.inner.count_padding(at, u64::MAX, &mut verified)?;
                    return Ok(verified);
                }
                Err(error) if error.kind() != ErrorKind::Missed && reader.position() != at => {
                    verified.corruptions += 1;
                    verified.corrupted_bytes = reader.corrupted();
                    // What cannot be mapped has no padding to count.
                    let _ = self.inner.count_padding(at, reader.position(), &mut verified);
                }
                Err(_) if reader.position() != at => {
                    // Retention goes on while we look.
                    let (from, to) = (reader.position() - (reader.missed() - missed), reader.position());
                    verified.missed_bytes += to.saturating_sub(from.max(self.start()));
                    missed = reader.missed();
                    // What ends the segment before it.
                    let _ = self.inner.count_padding(at, from, &mut verified);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Inner {
    /// Counts what is no record from one position up to another, or up to where nothing is; returns where it ended.
    fn count_padding(&self, from: u64, to: u64, verified: &mut Verified) -> Result<u64> {
        let mut at = from;
        while at < to {
            let Some(segment) = self.segment_at(at, "verify log")? else { break };
            let Some(offset) = segment.offset_of(at) else { break };
            let Some(word) = segment.word(offset).map(|word| word.load(Acquire)) else { break };
            let Some((seen, span)) = record::parse(word, segment.capacity - offset) else { break };
            match (seen, record::state_of(word)) {
                (Seen::Free | Seen::Record { .. }, _) => break,
                (Seen::Claimed { .. }, _) => verified.claimed += 1,
                (_, layout::LOG_DEAD) => verified.dead += 1,
                (_, layout::LOG_ABANDONED) => verified.abandoned += 1,
                (_, layout::LOG_CUT) => {
                    verified.cuts += 1;
                    verified.cut_bytes += span as u64;
                }
                _ => verified.fill_bytes += span as u64,
            }
            at += span as u64;
        }
        Ok(at)
    }
}
