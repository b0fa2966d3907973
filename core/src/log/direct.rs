//! The words and bytes behind a log, for languages that append without a call into this library.
//!
//! They follow the same steps as [`super::append`], on the same words: claim, fill, commit. Whatever is not the usual case
//! (no segment, no room, a record that is too long, a failure to report) they leave to a call.

use std::sync::Arc;

use super::segment::SegmentMap;
use super::{Log, Ticket};
use crate::atomic::{AtomicU32, AtomicU64};
use crate::error::Result;
use crate::layout::LogControl;
use crate::protocol::signal;
use crate::protocol::wait::Wait;

/// The shared words of a log, and the word with this process's owner id. They live as long as the log's handle.
#[derive(Clone, Copy)]
pub struct LogWords<'a> {
    /// The words of the control object.
    pub control: &'a LogControl,
    /// The owner id; 0 in a process that is not attached yet.
    pub me: &'a AtomicU32,
}

/// A segment that a handle appends to, kept mapped while this lives.
pub struct LogSegment(Arc<SegmentMap>);

impl Log {
    /// The words that an append uses; `None` when the log was opened for reading only.
    pub fn words(&self) -> Option<LogWords<'_>> {
        let control = &self.inner.control;
        let me = control.memory.me_word()?;
        control.is_writable().then(|| LogWords { control: control.words(), me })
    }

    /// The segment that this handle appends to; `None` before its first append.
    pub fn current_segment(&self) -> Option<LogSegment> {
        self.inner.current.get().get().map(LogSegment)
    }

    /// What follows a commit that was made on the words: readers that sleep are woken, and the policy sees to the disk.
    pub fn after_commit(&self) {
        let control = &self.inner.control;
        signal::notify(&control.words().signal, true, &*control.memory);
        self.inner.appended_up_to(self.inner.end());
    }

    /// Waits as the policy says for a record whose append did not: under `Group` and `Every` until it is on the disk.
    pub fn settle(&self, ticket: Ticket, wait: &Wait) -> Result<()> {
        self.inner.settle_with(ticket, wait)
    }
}

impl LogSegment {
    /// Position of its first record byte.
    pub fn base(&self) -> u64 {
        self.0.base
    }

    /// Number of its record bytes.
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }

    /// Its first record byte.
    pub fn records(&self) -> *mut u8 {
        self.0.records().as_ptr()
    }

    /// The time stamp of its first record, 0 for none yet.
    pub fn first_ns(&self) -> Option<&AtomicU64> {
        self.0.live().map(|live| &live.first_ns)
    }

    /// A word that is not 0 once the file was cut and what is missing was touched; `None` without the fault guard.
    pub fn damage_word(&self) -> Option<&'static AtomicU32> {
        self.0.damage_word()
    }

    /// Faults pages in, those of these record bytes and some behind them. Returns up to where that is done.
    pub fn touch(&self, offset: usize, end: usize) -> usize {
        self.0.touch(offset, end.min(self.0.capacity));
        self.0.touched()
    }
}
