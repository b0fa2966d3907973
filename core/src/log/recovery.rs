//! Making a log ready after the machine stopped: what is there is looked at, and what a power cut tore is cut out.
//!
//! A power cut leaves, of each page, the bytes of the last flush or any later ones. What that can do, and what is done:
//!
//! | found | because | becomes |
//! |---|---|---|
//! | a record with the right checksum | | stays, also behind a gap |
//! | a record with a wrong checksum | pages of it are missing | a CUT up to the next good record |
//! | a claim | its writer is gone with the machine | the same |
//! | zeros before a good record | the page of a header is missing | the same |
//! | padding | | stays |
//! | nothing good behind this place | it is the end | zeros, up to the end of the segment; later segments go |
//!
//! Everything that was flushed stays: a flush of a record carries the words of all records before it in its segment, so
//! that the chain leads to it. Nobody appends meanwhile (see [`super::control`]); dying in here leaves a log that is not
//! ready, and the next one begins again: each store leaves a log that this procedure reads the same way.

use super::control::Control;
use super::record::{self, Seen};
use super::segment::{self, SegmentMap};
use crate::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::error::Result;
use crate::layout::{LOG_COMMITTED, LOG_CUT, LOG_RECORD_ALIGN, LogControl, LogRecordHeader};
use crate::sys::file;

const OPERATION: &str = "open log";

/// What was repaired when a log was opened after the machine stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Good records that were looked at: those behind the last position known to be flushed.
    pub records: u64,
    /// Places that were cut out because they were incomplete.
    pub cuts: u64,
    /// Bytes of these places, and of the pages that were cleared behind the end.
    pub cut_bytes: u64,
    /// Where the log ends now.
    pub end: u64,
}

/// Repairs a log that nobody uses, and sets its shared words.
pub(super) fn run(control: &Control) -> Result<Recovery> {
    let mut recovery = Recovery::default();
    let bases = segment::list(control, OPERATION)?;
    let Some(&start) = bases.first() else {
        SegmentMap::create(control, 0, true, OPERATION)?;
        set_words(control.words(), 0, &recovery);
        return Ok(recovery);
    };
    let flushed_to = trusted(control, control.words().flushed_to.load(Relaxed), &bases);
    recovery.end = scan(control, &bases, flushed_to, &mut recovery)?;
    // What was created ahead, or never reached the disk: nothing good is in these.
    for base in bases.iter().filter(|base| **base > recovery.end) {
        let path = segment::path(control, *base);
        file::unlink(&path).map_err(|errno| control.system_error(errno, OPERATION))?;
    }
    file::sync_directory_of(&segment::path(control, 0))
        .map_err(|errno| control.system_error(errno, OPERATION))?;
    set_words(control.words(), start, &recovery);
    Ok(recovery)
}

/// The flushed position as the control object says, if it is one that a record can begin at; else the start of the log, so
/// that everything is looked at. Taken as it is, a wrong one would have records taken for zeros behind the end.
fn trusted(control: &Control, flushed_to: u64, bases: &[u64]) -> u64 {
    let base = control.base_of(flushed_to);
    let is_record_start = match bases.contains(&base) {
        true => SegmentMap::open(control, base, OPERATION)
            .is_ok_and(|segment| segment.is_some_and(|it| is_boundary(&it, (flushed_to - base) as usize))),
        false => bases.last().is_some_and(|last| last + control.capacity() == flushed_to),
    };
    if is_record_start { flushed_to } else { bases[0] }
}

/// Walks the segments from the flushed position on, cuts, and returns where the log ends. A segment may be missing, because
/// its name never reached the disk; readers are told that they missed it.
fn scan(control: &Control, bases: &[u64], flushed_to: u64, recovery: &mut Recovery) -> Result<u64> {
    let fail = |errno| control.system_error(errno, OPERATION);
    let mut end = flushed_to;
    // Segments with room at their end. If anything good follows, that room is a gap.
    let mut unfinished: Vec<(SegmentMap, usize)> = Vec::new();
    for &base in bases.iter().filter(|base| **base + control.capacity() >= flushed_to) {
        let segment = SegmentMap::open_or_repair(control, base, OPERATION)?;
        let walked = walk(&segment, flushed_to, recovery)?;
        if walked.found {
            end = end.max(base + walked.end as u64);
            for (before, gap) in unfinished.drain(..) {
                cut(&before, gap, before.capacity, recovery)?;
                before.sync(0, before.capacity).map_err(fail)?;
            }
        }
        segment.sync(0, segment.capacity).map_err(fail)?;
        if walked.end < segment.capacity {
            unfinished.push((segment, walked.end));
        }
    }
    clear_end(control, end, recovery)?;
    Ok(end)
}

struct Walked {
    /// Offset behind the last good record or padding.
    end: usize,
    /// Whether there was one, or what was flushed ends in here.
    found: bool,
}

/// Walks one segment, cutting out what lies between good records.
fn walk(segment: &SegmentMap, flushed_to: u64, recovery: &mut Recovery) -> Result<Walked> {
    let mut at = match segment.offset_of(flushed_to) {
        Some(offset) if is_boundary(segment, offset) => offset,
        _ => 0,
    };
    let mut walked = Walked { end: at, found: segment.base <= flushed_to };
    while at < segment.capacity {
        match look(segment, at)? {
            Look::Good(len) => {
                at += len;
                recovery.records += 1;
                walked = Walked { end: at, found: true };
            }
            Look::Padding(len) => {
                at += len;
                walked = Walked { end: at, found: true };
            }
            Look::Bad => match next_good(segment, at, segment.capacity)? {
                Some(next) => {
                    cut(segment, at, next, recovery)?;
                    at = next;
                }
                None => break,
            },
        }
    }
    Ok(walked)
}

enum Look {
    Good(usize),
    Padding(usize),
    Bad,
}

fn look(segment: &SegmentMap, at: usize) -> Result<Look> {
    let Some(word) = segment.word(at) else { return Ok(Look::Bad) };
    Ok(match record::parse(word.load(Acquire), segment.capacity - at) {
        Some((Seen::Record { len }, span)) if is_intact(segment, at, len)? => Look::Good(span),
        Some((Seen::Padding, span)) => Look::Padding(span),
        _ => Look::Bad,
    })
}

/// Whether the record at this offset has the checksum that it says.
pub(super) fn is_intact(segment: &SegmentMap, at: usize, len: usize) -> Result<bool> {
    Ok(intact_header(segment, at, len)?.is_some())
}

/// A copy of a record's header, if the record has the checksum that it says.
#[inline]
pub(super) fn intact_header(segment: &SegmentMap, at: usize, len: usize) -> Result<Option<LogRecordHeader>> {
    let mut header = <LogRecordHeader as bytemuck::Zeroable>::zeroed();
    segment.records().read_at(at, bytemuck::bytes_of_mut(&mut header))?;
    let position = segment.base + at as u64;
    let start = record::checksum_start(len, header.kind, header.time_ns, position);
    let checksum = segment.checksum(start, at + size_of::<LogRecordHeader>(), len)?;
    Ok((checksum == header.checksum).then_some(header))
}

/// The next offset behind `at`, and before `until`, where a good record stands.
pub(super) fn next_good(segment: &SegmentMap, at: usize, until: usize) -> Result<Option<usize>> {
    let good = |at: usize| Ok::<_, crate::Error>(matches!(look(segment, at)?, Look::Good(_)));
    // First where the word at this place leads: a payload may hold what looks like a record.
    if let Some(word) = segment.word(at)
        && let Some((_, span)) = record::parse(word.load(Acquire), segment.capacity - at)
        && span > 0
        && good(at + span)?
    {
        return Ok(Some(at + span));
    }
    let mut next = at + LOG_RECORD_ALIGN;
    while next < until {
        if next.is_multiple_of(PAGE) && is_zero(segment, next, PAGE)? {
            next += PAGE;
            continue;
        }
        let word = segment.word(next).map_or(0, |word| word.load(Relaxed));
        if record::state_of(word) == LOG_COMMITTED && good(next)? {
            return Ok(Some(next));
        }
        next += LOG_RECORD_ALIGN;
    }
    Ok(None)
}

/// Where records go on behind a place that holds none: what is claimed from now on is at `tail`, or behind it.
pub(super) fn behind(segment: &SegmentMap, offset: usize, tail: u64) -> Result<u64> {
    let word = |at: usize| segment.word(at).map_or(0, |word| word.load(Acquire));
    let parsed = |at: usize| record::parse(word(at), segment.capacity - at);
    // Where the word leads, if something stands there or will: it may be a record that is still being written.
    if let Some((_, span)) = parsed(offset)
        && span > 0
    {
        let at = offset + span;
        let next = segment.base + at as u64;
        let leads_on = at == segment.capacity
            || match parsed(at) {
                Some((Seen::Claimed { .. } | Seen::Padding, _)) => true,
                Some((Seen::Record { len }, _)) => is_intact(segment, at, len)?,
                Some((Seen::Free, _)) => next >= tail,
                None => false,
            };
        if leads_on {
            return Ok(next);
        }
    }
    Ok(match next_good(segment, offset, segment.capacity)? {
        Some(next) => segment.base + next as u64,
        // All that was there is lost, and what comes will be at the tail.
        None if tail > segment.base + offset as u64 && tail.is_multiple_of(LOG_RECORD_ALIGN as u64) => {
            tail.min(segment.end())
        }
        // The tail is not behind this place, so the end is near: it does not lie before bytes that are not zero.
        None => {
            let mut free = segment.near_end(offset);
            while free > offset + LOG_RECORD_ALIGN && word(free - LOG_RECORD_ALIGN) == 0 {
                free -= LOG_RECORD_ALIGN;
            }
            segment.base + free as u64
        }
    })
}

/// Bytes that are looked at in one go; a segment has a whole number of such pieces.
const PAGE: usize = 4096;

/// Whether bytes of one piece are all zero.
fn is_zero(segment: &SegmentMap, from: usize, len: usize) -> Result<bool> {
    let mut page = [0; PAGE];
    segment.records().read_at(from, &mut page[..len])?;
    Ok(page == [0; PAGE])
}

/// Whether walking from the start of the segment leads to this offset.
pub(super) fn is_boundary(segment: &SegmentMap, offset: usize) -> bool {
    let mut at = 0;
    while at < offset {
        let Some(word) = segment.word(at) else { return false };
        match record::parse(word.load(Acquire), segment.capacity - at) {
            Some((Seen::Free, _)) | None => return false,
            Some((_, span)) => at += span,
        }
    }
    at == offset
}

/// Whether a reader that begins at the start of the segment comes to this offset: as [`is_boundary`], but past places that hold
/// no records.
pub(super) fn leads_to(segment: &SegmentMap, offset: usize) -> Result<bool> {
    let mut at = 0;
    while at < offset {
        let word = segment.word(at).map_or(0, |word| word.load(Acquire));
        at = match record::parse(word, segment.capacity - at) {
            Some((_, span)) if span > 0 => at + span,
            _ => match next_good(segment, at, segment.capacity)? {
                Some(next) => next,
                None => return Ok(false),
            },
        };
    }
    Ok(at == offset)
}

fn cut(segment: &SegmentMap, from: usize, to: usize, recovery: &mut Recovery) -> Result<()> {
    if let Some(word) = segment.word(from)
        && from < to
    {
        word.store(record::fill(LOG_CUT, to - from), Release);
        recovery.cuts += 1;
        recovery.cut_bytes += (to - from) as u64;
    }
    Ok(())
}

/// Sets everything behind the end to zero: a claim must find its word 0, and a reader what was claimed since.
fn clear_end(control: &Control, end: u64, recovery: &mut Recovery) -> Result<()> {
    let base = control.base_of(end);
    let Some(segment) = SegmentMap::open(control, base, OPERATION)? else {
        // The log ends exactly where a segment does.
        return SegmentMap::create(control, base, true, OPERATION).map(drop);
    };
    let from = (end - base) as usize;
    let mut at = from;
    while at < segment.capacity {
        let len = PAGE - at % PAGE;
        if !is_zero(&segment, at, len)? {
            segment.records().zero_at(at, len)?;
            recovery.cut_bytes += len as u64;
        }
        at += len;
    }
    segment.sync(0, segment.capacity).map_err(|errno| control.system_error(errno, OPERATION))
}

/// Sets all shared words but the counters, which go on counting.
fn set_words(words: &LogControl, start: u64, recovery: &Recovery) {
    for word in [&words.signal, &words.failures, &words.flush_signal, &words.failed_errno] {
        word.store(0, Relaxed);
    }
    for lock in [&words.flush_lock, &words.upkeep_lock] {
        lock.word.store(0, Relaxed);
    }
    let numbers = [&words.started, &words.done, &words.failed];
    for word in numbers.into_iter().chain([&words.joined, &words.joined_before, &words.company]) {
        word.store(0, Relaxed);
    }
    for result in &words.results {
        result.store(0, Relaxed);
    }
    for word in [&words.tail, &words.synced_to, &words.flushed_to] {
        word.store(recovery.end, Relaxed);
    }
    words.start.store(start, Relaxed);
    words.cuts.fetch_add(recovery.cuts, Relaxed);
    words.cut_bytes.fetch_add(recovery.cut_bytes, Relaxed);
}
