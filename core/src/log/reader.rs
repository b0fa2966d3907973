//! Reading a log.
//!
//! Invariants:
//! - A reader writes nothing but padding over claims of the dead, so it never stops a writer.
//! - It moves from word to word: each record is seen once, in the order of the claims. At a claim whose owner lives it
//!   waits, because the record may still come.
//! - What a word or a header says is checked against the segment before it is used, and the payload against its checksum.
//! - A record keeps its segment mapped: its bytes stay, also when the file is removed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::record::{self, Seen};
use super::segment::{self, SegmentMap};
use super::{Inner, recovery};
use crate::atomic::Ordering::{Acquire, SeqCst};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::LOG_RECORD_HEADER_SIZE;
use crate::protocol::signal;
use crate::protocol::wait::{Sleeper, Wait};
use crate::view::SharedBytes;

const OPERATION: &str = "read log";

/// Bytes that the processor is asked to fetch ahead of a reader: its own guesses end with each page.
const AHEAD: usize = 1024;

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadFrom {
    /// At the oldest record that is kept.
    Start,
    /// Behind the last record that was claimed: it sees what is appended from now on.
    End,
    /// At this position: of a record, or behind one.
    Position(u64),
}

/// A record of a log. Its bytes stay as long as it lives, also when retention removes the segment's file.
#[derive(Clone)]
pub struct LogRecord {
    segment: Arc<SegmentMap>,
    /// Of the header.
    offset: usize,
    len: usize,
    kind: u32,
    time_ns: u64,
}

impl LogRecord {
    /// Number of payload bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where it is in the log.
    pub fn position(&self) -> u64 {
        self.segment.base + self.offset as u64
    }

    /// Where what follows it is.
    pub fn next_position(&self) -> u64 {
        self.position() + record::span(self.len) as u64
    }

    /// What its writer called a kind.
    pub fn kind(&self) -> u32 {
        self.kind
    }

    /// When it was appended, nanoseconds since 1970.
    pub fn time_ns(&self) -> u64 {
        self.time_ns
    }

    /// The payload, where it is. Nobody of this library changes it any more.
    pub fn bytes(&self) -> SharedBytes<'_> {
        #[allow(unsafe_code)]
        // SAFETY: the reader checked that the record lies within its segment, whose map lives as long as `self`.
        unsafe {
            let payload = self.segment.records().as_ptr().add(self.offset + LOG_RECORD_HEADER_SIZE);
            SharedBytes::new(std::ptr::NonNull::new_unchecked(payload), self.len, false)
        }
    }

    /// A word that is not 0 once the file was cut and what is missing was touched; `None` without the fault guard.
    pub fn damage_word(&self) -> Option<&'static crate::AtomicU32> {
        self.segment.damage_word()
    }

    /// A copy of the payload.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut copy = vec![0; self.len];
        // In range: it has this length.
        let _ = self.bytes().read_at(0, &mut copy);
        copy
    }
}

impl fmt::Debug for LogRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogRecord")
            .field("position", &self.position())
            .field("len", &self.len)
            .field("kind", &self.kind)
            .field("time_ns", &self.time_ns)
            .finish_non_exhaustive()
    }
}

/// Reads a log from a position on: see [`super::Log::reader`].
pub struct LogReader {
    inner: Arc<Inner>,
    segment: Option<Arc<SegmentMap>>,
    position: u64,
    missed: u64,
    corrupted: u64,
    skipped: u64,
}

/// What stands at the reader's position.
enum Step {
    Record(LogRecord),
    /// Nothing yet, or something that is being written.
    Wait,
}

impl Inner {
    pub(super) fn reader(self: &Arc<Inner>, from: ReadFrom) -> Result<LogReader> {
        let mut reader = LogReader {
            inner: Arc::clone(self),
            segment: None,
            position: 0,
            missed: 0,
            corrupted: 0,
            skipped: 0,
        };
        reader.seek(from)?;
        Ok(reader)
    }
}

impl LogReader {
    /// The next record, if it is there.
    ///
    /// Errors: `Missed` once for each gap that retention made, `Corrupted` (or what is wrong with a segment's file, as
    /// `Truncated`) once for each place that holds no records: either way reading goes on behind it. `Closed`, `NotFound`, and what mapping a segment reports.
    pub fn read(&mut self) -> Result<Option<LogRecord>> {
        match self.step(true)? {
            Step::Record(record) => Ok(Some(record)),
            Step::Wait => Ok(None),
        }
    }

    /// The next record, waiting for it.
    ///
    /// Errors: `Timeout`, `Interrupted`; those of [`LogReader::read`].
    pub fn read_wait(&mut self, wait: &Wait) -> Result<LogRecord> {
        let mut ask = false;
        if let Step::Record(record) = self.step(ask)? {
            return Ok(record);
        }
        let inner = Arc::clone(&self.inner);
        let (words, memory) = (inner.control.words(), &*inner.control.memory);
        let mut sleeper = Sleeper::new(wait);
        loop {
            // A read-only handle cannot say that it sleeps: it looks again when a slice runs out.
            let watched = match inner.control.is_writable() {
                true => signal::watch(&words.signal),
                false => words.signal.load(SeqCst),
            };
            if let Step::Record(record) = self.step(ask)? {
                return Ok(record);
            }
            let notified = signal::sleep(&words.signal, watched, &mut sleeper, memory)
                .map_err(|stop| inner.control.error(stop.into(), OPERATION))?;
            ask = !notified;
        }
    }

    /// The next record, if it comes in this time; else `Timeout`.
    pub fn read_timeout(&mut self, timeout: Duration) -> Result<LogRecord> {
        self.read_wait(&Wait::timeout(timeout))
    }

    /// Where the next record will be looked for. A reader that is made with it goes on from here.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Bytes of the log that were removed before this reader came to them.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Bytes that held no records where some should have been.
    pub fn corrupted(&self) -> u64 {
        self.corrupted
    }

    /// Records that were skipped because their writers gave them up or died.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Goes to another place.
    ///
    /// Errors: `InvalidArgument` for a position at which no record begins, or beyond the end; `Missed` for one that was
    /// removed.
    pub fn seek(&mut self, from: ReadFrom) -> Result<()> {
        let words = self.inner.control.words();
        let start = words.start.load(Acquire);
        self.segment = None;
        match from {
            ReadFrom::Start => self.position = start,
            ReadFrom::End => self.position = self.inner.end().max(start),
            ReadFrom::Position(position) if position < start => {
                return Err(self
                    .error(ErrorKind::Missed)
                    .with_detail(format!("position {position}, the oldest is {start}")));
            }
            ReadFrom::Position(position) => {
                self.position = position;
                let base = self.inner.control.base_of(position);
                let begins = position == base && position <= words.tail.load(Acquire)
                    || match self.inner.segment_at(position, OPERATION)? {
                        Some(segment) => recovery::leads_to(&segment, (position - base) as usize)?,
                        None => false,
                    };
                if !begins {
                    return Err(self
                        .error(ErrorKind::InvalidArgument)
                        .with_detail(format!("no record begins at position {position}")));
                }
            }
        }
        Ok(())
    }

    /// The segment that the position is in, and where; `None` when there is none yet.
    fn locate(&mut self) -> Result<Option<(Arc<SegmentMap>, usize)>> {
        if let Some(segment) = &self.segment
            && let Some(offset) = segment.offset_of(self.position)
        {
            return Ok(Some((Arc::clone(segment), offset)));
        }
        self.enter_segment()
    }

    #[cold]
    fn enter_segment(&mut self) -> Result<Option<(Arc<SegmentMap>, usize)>> {
        let inner = &self.inner;
        let words = inner.control.words();
        // Looked at before opening: one that the tail has not reached may be created at any time, also between a look for
        // its file and one at the tail, and would be taken for one that was removed.
        let tail = words.tail.load(SeqCst);
        self.segment = match inner.segment_at(self.position, OPERATION) {
            Ok(segment) => segment,
            Err(error) if is_no_segment(error.kind()) => {
                // Told once, and passed, as any place that holds no records.
                let next = inner.control.base_of(self.position).saturating_add(inner.control.capacity());
                self.corrupted += next - self.position;
                self.position = next;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        // Looked at after opening: a slow writer may have created a segment again that was removed meanwhile, and that
        // one is empty.
        if let Some(segment) = self.segment.take_if(|segment| segment.base >= words.start.load(SeqCst)) {
            let offset = segment.offset_of(self.position);
            self.segment = Some(Arc::clone(&segment));
            return Ok(offset.map(|offset| (segment, offset)));
        }
        self.segment = None;
        if words.start.load(SeqCst) <= self.position && tail <= self.position {
            return Ok(None);
        }
        // Removed by retention, or by hand: go on at what is left.
        let next = loop {
            let start = words.start.load(SeqCst);
            let bases = segment::list(&inner.control, OPERATION)?;
            if let Some(next) = bases.into_iter().find(|base| *base >= start && *base > self.position) {
                break next;
            }
            if words.start.load(SeqCst) == start {
                return Err(self
                    .error(ErrorKind::NotFound)
                    .with_detail(format!("the segment of position {}", self.position)));
            }
        };
        let bytes = next - self.position;
        let from = self.position;
        self.missed += bytes;
        self.position = next;
        Err(self.error(ErrorKind::Missed).with_detail(format!("{bytes} bytes from position {from}")))
    }

    /// Looks at the position; `ask` whether a claim's owner lives, even if that takes a system call.
    fn step(&mut self, ask: bool) -> Result<Step> {
        loop {
            let Some((segment, offset)) = self.locate()? else { return Ok(Step::Wait) };
            let seen = match segment.word(offset) {
                Some(word) => word.load(Acquire),
                None => return self.pass_corrupted(&segment, offset),
            };
            if let Err(error) = segment.expect_undamaged(&self.inner.control, OPERATION) {
                self.corrupted += segment.end() - self.position;
                self.position = segment.end();
                return Err(error);
            }
            match record::parse(seen, segment.capacity - offset) {
                Some((Seen::Free, _)) if self.is_hole(&segment, offset) => {
                    return self.pass_corrupted(&segment, offset);
                }
                Some((Seen::Free, _)) => return Ok(Step::Wait),
                Some((Seen::Padding, span)) => {
                    let is_record = matches!(
                        record::state_of(seen),
                        crate::layout::LOG_ABANDONED | crate::layout::LOG_DEAD
                    );
                    self.skipped += u64::from(is_record);
                    self.position += span as u64;
                }
                Some((Seen::Claimed { owner }, span)) => {
                    let memory = &self.inner.control.memory;
                    use crate::protocol::party::Party;
                    if !(ask || memory.is_replaced(owner)) || !self.inner.bury(&segment, offset, seen, owner)
                    {
                        return Ok(Step::Wait);
                    }
                    if !self.inner.control.is_writable() {
                        self.skipped += 1;
                        self.position += span as u64;
                    }
                }
                Some((Seen::Record { len }, span)) => {
                    segment.records().prefetch(offset + AHEAD, span);
                    let Some(header) = recovery::intact_header(&segment, offset, len)? else {
                        return self.pass_corrupted(&segment, offset);
                    };
                    self.position += span as u64;
                    let (kind, time_ns) = (header.kind, header.time_ns);
                    return Ok(Step::Record(LogRecord { segment, offset, len, kind, time_ns }));
                }
                None => return self.pass_corrupted(&segment, offset),
            }
        }
    }

    /// Whether nothing is where something was: this place lies before a record, and its word is 0 all the same.
    fn is_hole(&self, segment: &SegmentMap, offset: usize) -> bool {
        let tail = self.inner.control.words().tail.load(SeqCst);
        // The tail may be behind us. Then a record that is committed is near.
        let until = if tail > self.position { segment.capacity } else { segment.near_end(offset) };
        let is_passed =
            tail >= segment.end() || matches!(recovery::next_good(segment, offset, until), Ok(Some(_)));
        // Looked at in the end: what stands behind it was claimed after it.
        is_passed && segment.word(offset).is_some_and(|word| word.load(SeqCst) == 0)
    }

    /// Goes on behind a place that holds no records, and says so.
    #[cold]
    fn pass_corrupted(&mut self, segment: &SegmentMap, offset: usize) -> Result<Step> {
        let from = self.position;
        // Loaded first: what is claimed from now on is behind it.
        let tail = self.inner.control.words().tail.load(SeqCst);
        self.position = recovery::behind(segment, offset, tail)?;
        let bytes = self.position - from;
        self.corrupted += bytes;
        Err(self.error(ErrorKind::Corrupted).with_detail(format!(
            "{bytes} bytes from position {from} hold no records, reading goes on behind them"
        )))
    }

    fn error(&self, kind: ErrorKind) -> Error {
        self.inner.control.error(kind, OPERATION)
    }
}

/// Whether an error says that a file is no segment of this log.
fn is_no_segment(kind: ErrorKind) -> bool {
    kind == ErrorKind::Replaced || segment::is_damage(kind)
}

/// All records that are there; ends where the next one has not come yet.
impl Iterator for LogReader {
    type Item = Result<LogRecord>;

    fn next(&mut self) -> Option<Result<LogRecord>> {
        self.read().transpose()
    }
}
