//! Appending: claim, fill, commit.
//!
//! | step | store that commits it | a death before it | a death after it |
//! |---|---|---|---|
//! | claim | the word, from 0 to *claimed* | nothing | a claim of a dead owner: padding, when somebody sees it |
//! | move the tail over it, if it is far | the tail | the next writer steps over the word by itself | |
//! | commit | the word, from *claimed* to *committed* | as after the claim | the record is there |
//! | leave a segment | the word of the rest, from 0 to FILL | a segment that nobody has reached yet | |
//!
//! The next segment is there before the rest of the last one is filled, so a full disk stops a record and not the log.
//!
//! A segment whose file was cut, or where something stands that nobody of this library wrote, would stop every writer at the
//! same place. Who finds that out is told, and moves the tail to the next segment, so that all others go on there. Nobody
//! fills the rest of such a segment: readers pass it as they pass any place that holds no records.

use std::sync::Arc;

use bytemuck::{Pod, Zeroable};

use super::backoff::Backoff;
use super::control::Control;
use super::current::Pinned;
use super::options::Durability;
use super::record;
use super::segment::SegmentMap;
use super::{Inner, recovery, segment, upkeep};
use crate::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{LOG_DEAD, LOG_FILL, LOG_RECORD_HEADER_SIZE};
use crate::protocol::party::Party;
use crate::protocol::signal;

const OPERATION: &str = "append to log";

/// Bytes that the processor is asked to fetch ahead of a writer: the commit waits for them.
const AHEAD: usize = 1024;

/// A claim: bytes of a segment that are this process's to fill.
#[derive(Clone, Copy)]
pub(super) struct Claim {
    /// Where the record's header is, in the segment.
    pub offset: usize,
    pub position: u64,
    /// Bytes of the payload that was asked for.
    pub len: usize,
    pub time_ns: u64,
    /// The word.
    pub word: u64,
}

/// A record's header without the word.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub(super) struct RecordFields {
    pub checksum: u32,
    pub kind: u32,
    pub time_ns: u64,
}

/// What a look for room in a segment gives.
enum Room {
    Claimed(usize),
    /// The record does not fit behind this offset, or the segment has become too old.
    Full(usize),
    /// The tail is in another segment.
    Elsewhere,
}

impl Inner {
    /// Appends one record and returns where it is.
    #[inline]
    pub(super) fn append_one(&self, kind: u32, payload: &[u8]) -> Result<u64> {
        self.claim(payload.len(), |segment, claim| {
            let checksum = record::checksum_start(claim.len, kind, claim.time_ns, claim.position);
            let checksum = crc32c::crc32c_append(checksum, payload);
            let fields = RecordFields { checksum, kind, time_ns: claim.time_ns };
            write_record(segment, claim.offset, &fields, payload)?;
            self.commit(segment, &claim, claim.len)?;
            Ok(claim.position)
        })
    }

    /// Appends several records with one claim: all of them become visible at once, or none.
    pub(super) fn append_many(&self, records: &[(u32, &[u8])]) -> Result<Vec<u64>> {
        let Some(((_, first), rest)) = records.split_first() else { return Ok(Vec::new()) };
        let total = records.iter().map(|(_, payload)| record::span(payload.len())).sum::<usize>();
        self.claim(total - LOG_RECORD_HEADER_SIZE, |segment, claim| {
            let mut positions = Vec::with_capacity(records.len());
            let mut at = claim.offset;
            for (kind, payload) in records {
                let position = segment.base + at as u64;
                let checksum = record::checksum_start(payload.len(), *kind, claim.time_ns, position);
                let checksum = crc32c::crc32c_append(checksum, payload);
                let fields = RecordFields { checksum, kind: *kind, time_ns: claim.time_ns };
                write_record(segment, at, &fields, payload)?;
                positions.push(position);
                at += record::span(payload.len());
            }
            // The words of all but the first lie inside our claim: nobody comes to them before the first is committed.
            let mut at = claim.offset + record::span(first.len());
            for (_, payload) in rest {
                let word = segment.word(at).ok_or_else(|| self.bad_word(claim.position))?;
                word.store(record::committed(payload.len()), Relaxed);
                at += record::span(payload.len());
            }
            self.commit(segment, &claim, first.len())?;
            Ok(positions)
        })
    }

    /// Claims room for a payload and hands it to `fill`, which commits it.
    #[inline]
    pub(super) fn claim<T>(
        &self,
        len: usize,
        fill: impl FnOnce(&Pinned<'_>, Claim) -> Result<T>,
    ) -> Result<T> {
        let me = self.control.memory.me(OPERATION).map_err(|error| self.refused(error))?;
        self.check(len)?;
        let time_ns = self.now_ns();
        loop {
            let Some(segment) = self.current.get().pin() else {
                self.follow_tail()?;
                continue;
            };
            let room = self.claim_in(&segment, me, len, time_ns);
            match room.map_err(|error| self.leave_damaged(segment.base, error))? {
                Room::Claimed(offset) => {
                    let position = segment.base + offset as u64;
                    let claim = Claim { offset, position, len, time_ns, word: record::claimed(me, len) };
                    return fill(&segment, claim);
                }
                Room::Full(offset) => {
                    let kept = segment.keep();
                    drop(segment);
                    self.roll(&kept, offset)?;
                }
                Room::Elsewhere => {
                    drop(segment);
                    self.follow_tail()?;
                }
            }
        }
    }

    /// Why nobody appends through this handle, in the words of the log; else the error as it is.
    #[cold]
    fn refused(&self, error: Error) -> Error {
        self.expect_writable(OPERATION).err().unwrap_or(error)
    }

    #[inline]
    fn check(&self, len: usize) -> Result<()> {
        if self.exports.is_closed() {
            return Err(self.control.error(ErrorKind::Closed, OPERATION));
        }
        if len as u64 > self.control.parameters.max_record_len {
            return Err(self.control.error(ErrorKind::RecordTooLarge, OPERATION).with_detail(format!(
                "{len} bytes, this log takes {}",
                self.control.parameters.max_record_len
            )));
        }
        self.report_failures()
    }

    #[inline]
    fn claim_in(&self, segment: &SegmentMap, me: u32, len: usize, time_ns: u64) -> Result<Room> {
        let tail = &self.control.words().tail;
        let need = record::span(len);
        let claim = record::claimed(me, len);
        let mut seen_tail = tail.load(Acquire);
        let mut at = segment.likely_end(seen_tail);
        let mut backoff = Backoff::new(seen_tail);
        loop {
            let Some(offset) = segment.offset_of(at) else { return Ok(Room::Elsewhere) };
            let Some(word) = segment.word(offset) else { return Err(self.bad_word(at)) };
            let mut seen = word.load(Acquire);
            if seen == 0 {
                if need > segment.capacity - offset || self.is_too_old(segment, offset, time_ns) {
                    return Ok(Room::Full(offset));
                }
                segment.touch(offset, offset + need);
                match word.compare_exchange(0, claim, SeqCst, Acquire) {
                    Ok(_) => {
                        segment.ends_at(offset + need);
                        segment.records().prefetch_for_write(offset + AHEAD, need);
                        self.pull_tail(segment, seen_tail, at + need as u64);
                        if offset == 0
                            && let Some(live) = segment.live()
                        {
                            live.first_ns.store(time_ns, Relaxed);
                        }
                        return Ok(Room::Claimed(offset));
                    }
                    Err(now) => seen = now,
                }
                backoff.lose(segment, at);
            }
            let next = self.step_over(segment, offset, seen)?;
            backoff.met(segment, next);
            seen_tail = tail.load(Acquire);
            at = next.max(seen_tail);
        }
    }

    /// Where what a word describes ends, with the tail near it. A word that nobody wrote is passed if a good record follows.
    fn step_over(&self, segment: &SegmentMap, offset: usize, seen: u64) -> Result<u64> {
        let at = segment.base + offset as u64;
        match record::parse(seen, segment.capacity - offset) {
            Some((_, span)) if span > 0 => {
                let next = at + span as u64;
                self.pull_tail(segment, self.control.words().tail.load(Acquire), next);
                Ok(next)
            }
            _ => {
                let next = recovery::next_good(segment, offset, segment.near_end(offset))?;
                next.map(|next| segment.base + next as u64).ok_or_else(|| self.bad_word(at))
            }
        }
    }

    #[inline]
    fn is_too_old(&self, segment: &SegmentMap, offset: usize, now_ns: u64) -> bool {
        let max_age_ns = self.control.parameters.max_age_ns;
        if max_age_ns == 0 || offset == 0 {
            return false;
        }
        let Some(live) = segment.live() else { return false };
        match live.first_ns.load(Relaxed) {
            // Who claimed the first record died before it said when, or has not yet.
            0 => {
                let _ = live.first_ns.compare_exchange(0, now_ns, Relaxed, Relaxed);
                false
            }
            // The clock was set back: counted from now on, else the segment would be as good as new for as long as that.
            first_ns if first_ns > now_ns => {
                let _ = live.first_ns.compare_exchange(first_ns, now_ns, Relaxed, Relaxed);
                false
            }
            first_ns => now_ns - first_ns >= max_age_ns,
        }
    }

    /// The claim becomes a record of `len` bytes, at most what was claimed; what is left has words of its own already.
    #[inline]
    pub(super) fn commit(&self, segment: &SegmentMap, claim: &Claim, len: usize) -> Result<()> {
        if let Err(error) = segment.expect_undamaged(&self.control, OPERATION) {
            return Err(self.leave_damaged(segment.base, error));
        }
        let committed = record::committed(len);
        let word = segment.word(claim.offset).ok_or_else(|| self.bad_word(claim.position))?;
        // Not a plain store: a claim that was inherited over a fork, or outlived its attachment, was settled by others.
        if word.compare_exchange(claim.word, committed, SeqCst, Relaxed).is_err() {
            return Err(self
                .control
                .error(ErrorKind::NotOwner, OPERATION)
                .with_detail("the process was detached, or forked, while it wrote the record"));
        }
        signal::notify(&self.control.words().signal, true, &*self.control.memory);
        Ok(())
    }

    /// Leaves a segment for the next one.
    #[cold]
    fn roll(&self, segment: &Arc<SegmentMap>, offset: usize) -> Result<()> {
        let _one_thread = self.rolling.lock();
        let position = segment.base + offset as u64;
        let tail = &self.control.words().tail;
        if tail.load(Acquire) > position {
            return Ok(());
        }
        let next = match self.open_or_create(segment.end()) {
            Ok(Some(next)) => Some(next),
            // We are so late that it has come and gone.
            Ok(None) => return Ok(()),
            // Who comes to it next leaves it again.
            Err(error) if segment::is_damage(error.kind()) => None,
            Err(error) => return Err(error),
        };
        let word = segment.word(offset).ok_or_else(|| self.bad_word(position))?;
        let rest = record::fill(LOG_FILL, segment.capacity - offset);
        if word.compare_exchange(0, rest, SeqCst, Acquire).is_ok() {
            self.pull_tail(segment, tail.load(Acquire), segment.end());
            if let Some(next) = next {
                self.enter(next);
            }
        }
        Ok(())
    }

    /// Moves the tail out of a segment that is damaged; returns the error that says so.
    #[cold]
    fn leave_damaged(&self, base: u64, error: Error) -> Error {
        let Some(next) = base.checked_add(self.control.capacity()) else { return error };
        if !segment::is_damage(error.kind()) {
            return error;
        }
        match self.open_or_create(next) {
            Err(other) if !segment::is_damage(other.kind()) => return error,
            _ => self.control.words().tail.fetch_max(next, SeqCst),
        };
        error
    }

    /// Goes to the segment that the tail is in.
    #[cold]
    fn follow_tail(&self) -> Result<()> {
        let _one_thread = self.rolling.lock();
        let tail = &self.control.words().tail;
        loop {
            let at = tail.load(Acquire);
            let base = self.control.base_of(at);
            if self.current.get().pin().is_some_and(|segment| segment.base == base) {
                return Ok(());
            }
            let found = SegmentMap::open(&self.control, base, OPERATION)
                .map_err(|error| self.leave_damaged(base, error))?;
            let found = match found {
                Some(found) => Some(Arc::new(found)),
                // The last record filled its segment to the end, and nobody has needed the next one yet.
                None if at == base && self.has_segment_before(base)? => self.open_or_create(base)?,
                None => None,
            };
            match found {
                Some(found) => {
                    self.enter(found);
                    return Ok(());
                }
                // Unless it moved on meanwhile, there is no such segment.
                None if tail.load(Acquire) == at => {
                    return Err(self
                        .control
                        .error(ErrorKind::NotFound, OPERATION)
                        .with_detail(format!("its segment at position {base}")));
                }
                None => {}
            }
        }
    }

    fn has_segment_before(&self, base: u64) -> Result<bool> {
        let Some(before) = base.checked_sub(self.control.capacity()) else { return Ok(true) };
        let mapped = self.current.get().pin().is_some_and(|segment| segment.base == before);
        Ok(mapped || SegmentMap::open(&self.control, before, OPERATION)?.is_some())
    }

    fn open_or_create(&self, base: u64) -> Result<Option<Arc<SegmentMap>>> {
        if let Some(found) = SegmentMap::open(&self.control, base, OPERATION)? {
            return Ok(Some(Arc::new(found)));
        }
        // Somebody may have put another log into our directory's place.
        self.control.expect_in_place(OPERATION)?;
        let durable = self.durability != Durability::None;
        Ok(SegmentMap::create(&self.control, base, durable, OPERATION)?.map(Arc::new))
    }

    fn enter(&self, segment: Arc<SegmentMap>) {
        if self.current.get().enter(segment) {
            upkeep::retain(self);
        }
    }

    #[cold]
    fn bad_word(&self, position: u64) -> Error {
        self.control.error(ErrorKind::Corrupted, OPERATION).with_detail(format!(
            "at position {position} stands what no process of this library wrote, later appends go behind it"
        ))
    }
}

/// Writes everything of a record but its word.
#[inline]
fn write_record(segment: &SegmentMap, offset: usize, header: &RecordFields, payload: &[u8]) -> Result<()> {
    let records = segment.records();
    records.write_at(offset + size_of::<u64>(), bytemuck::bytes_of(header))?;
    records.write_at(offset + LOG_RECORD_HEADER_SIZE, payload)
}

/// Makes padding of a claim whose owner is certainly dead. `true`: the claim is gone, by us or by somebody else. Through a
/// read-only handle nothing can be changed, but the dead will not commit any more.
#[cold]
pub(super) fn bury(control: &Control, segment: &SegmentMap, offset: usize, claim: u64, owner: u32) -> bool {
    let memory = &*control.memory;
    if owner == memory.me_if_attached() || !memory.is_dead(owner) {
        return false;
    }
    let Some(word) = segment.word(offset) else { return false };
    if control.is_writable()
        && word.compare_exchange(claim, record::settled(claim, LOG_DEAD), SeqCst, Relaxed).is_ok()
    {
        control.words().dead.fetch_add(1, Relaxed);
        signal::notify(&control.words().signal, true, memory);
    }
    true
}
