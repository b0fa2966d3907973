//! A record that is filled in place.

use std::sync::Arc;

use super::append::{Claim, RecordFields};
use super::segment::SegmentMap;
use super::{Inner, Ticket, record};
use crate::atomic::Ordering::{Relaxed, Release, SeqCst};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{LOG_ABANDONED, LOG_FILL, LOG_RECORD_HEADER_SIZE};
use crate::protocol::signal;
use crate::protocol::wait::Wait;
use crate::view::SharedBytes;

const OPERATION: &str = "commit log record";

/// A record that was claimed and is filled in place. Dropping it gives it up: readers skip it.
///
/// It has its place in the order from the claim on, so readers that come to it wait. Commit or drop it soon.
///
/// ```
/// # let directory = tempfile::tempdir().unwrap();
/// let log = shmkit::Log::create(directory.path().join("events"))?;
/// let record = log.reserve(7, 100)?;
/// record.bytes().write_at(0, b"in place")?;
/// record.commit_len(8)?;
/// # Ok::<(), shmkit::Error>(())
/// ```
pub struct Reservation {
    inner: Arc<Inner>,
    segment: Arc<SegmentMap>,
    claim: Claim,
    kind: u32,
    open: bool,
}

impl Inner {
    pub(super) fn reserve(self: &Arc<Inner>, kind: u32, len: usize) -> Result<Reservation> {
        let operation = "reserve log record";
        // Counted before claimed, so that a close sees one or the other.
        self.exports.acquire(true).map_err(|kind| self.control.error(kind, operation))?;
        let claimed = self.claim(len, |segment, claim| Ok((segment.keep(), claim)));
        match claimed {
            Ok((segment, claim)) => {
                Ok(Reservation { inner: Arc::clone(self), segment, claim, kind, open: true })
            }
            Err(error) => {
                self.exports.release(true);
                Err(error)
            }
        }
    }
}

impl Reservation {
    /// Bytes that can be written.
    pub fn len(&self) -> usize {
        self.claim.len
    }

    /// Whether none can.
    pub fn is_empty(&self) -> bool {
        self.claim.len == 0
    }

    /// Where the record will be.
    pub fn position(&self) -> u64 {
        self.claim.position
    }

    /// The payload's bytes, zero at first.
    pub fn bytes(&self) -> SharedBytes<'_> {
        #[allow(unsafe_code)]
        // SAFETY: the claim lies within the segment, whose map lives as long as `self`.
        unsafe {
            let records = self.segment.records();
            let payload = records.as_ptr().add(self.claim.offset + LOG_RECORD_HEADER_SIZE);
            SharedBytes::new(std::ptr::NonNull::new_unchecked(payload), self.claim.len, true)
        }
    }

    /// Makes it a record, and waits for the disk if the log's policy says so. Returns its position.
    pub fn commit(self) -> Result<u64> {
        let len = self.claim.len;
        self.commit_len(len)
    }

    /// As [`Reservation::commit`], with only the first `len` bytes.
    pub fn commit_len(self, len: usize) -> Result<u64> {
        let inner = Arc::clone(&self.inner);
        let ticket = self.commit_deferred(len)?;
        inner.settle(&Wait::FOREVER).map(|()| ticket.position)
    }

    /// As [`Reservation::commit_len`], without waiting for the disk: see [`super::Log::append_deferred`].
    pub fn commit_deferred(mut self, len: usize) -> Result<Ticket> {
        self.make_record(len)?;
        self.open = false;
        // Drawn before the policy may cause a flush: that one is to carry it.
        let ticket = Ticket { position: self.claim.position, flush: self.inner.next_flush() };
        self.inner.appended(self.claim.position, self.claim.len);
        Ok(ticket)
    }

    fn make_record(&self, len: usize) -> Result<()> {
        let Claim { offset, position, len: claimed, time_ns, .. } = self.claim;
        if len > claimed {
            return Err(self.error(ErrorKind::OutOfRange).with_detail(format!("{len} bytes of {claimed}")));
        }
        self.expect_ours()?;
        let start = record::checksum_start(len, self.kind, time_ns, position);
        let checksum = self.segment.checksum(start, offset + LOG_RECORD_HEADER_SIZE, len)?;
        let fields = RecordFields { checksum, kind: self.kind, time_ns };
        self.segment.records().write_at(offset + size_of::<u64>(), bytemuck::bytes_of(&fields))?;
        let (used, all) = (record::span(len), record::span(claimed));
        if used < all {
            let rest = self.segment.word(offset + used).ok_or_else(|| self.error(ErrorKind::Internal))?;
            rest.store(record::fill(LOG_FILL, all - used), Release);
        }
        self.inner.commit(&self.segment, &self.claim, len)
    }

    /// In a forked child the claim is the parent's, which may have made a record of it already.
    fn expect_ours(&self) -> Result<()> {
        let me = self.inner.control.memory.me_if_attached();
        if record::claimed(me, self.claim.len) != self.claim.word {
            return Err(self.error(ErrorKind::NotOwner).with_detail("it was reserved before a fork"));
        }
        Ok(())
    }

    /// Gives it up: readers skip it.
    pub fn abandon(self) {}

    /// As [`Reservation::abandon`], for who still has views of its bytes: they stay mapped until it is dropped, and mean
    /// nothing any more.
    pub fn abandon_in_place(&mut self) {
        if std::mem::replace(&mut self.open, false)
            && self.expect_ours().is_ok()
            && let Some(word) = self.segment.word(self.claim.offset)
        {
            let abandoned = record::settled(self.claim.word, LOG_ABANDONED);
            let control = &self.inner.control;
            if word.compare_exchange(self.claim.word, abandoned, SeqCst, Relaxed).is_ok() {
                control.words().abandoned.fetch_add(1, Relaxed);
                signal::notify(&control.words().signal, true, &*control.memory);
            }
        }
    }

    fn error(&self, kind: ErrorKind) -> Error {
        self.inner.control.error(kind, OPERATION)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.abandon_in_place();
        self.inner.exports.release(true);
    }
}
