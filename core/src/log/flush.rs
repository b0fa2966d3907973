//! Flushes: many who wait share one, across processes.
//!
//! Flushes are numbered. A record that was committed when flush `n` had not begun is on the disk when flush `n + 1` or a later
//! one has ended well: its ticket says `n + 1`. So nobody waits for a slow writer whose claim stands before his record. That
//! claim's *word* is flushed with it, and a word is all that recovery needs to step over a claim.
//!
//! | step | store that commits it | the leader dies before it | after it |
//! |---|---|---|---|
//! | begin | `started` | another leads | the number never ends; a later one covers its tickets |
//! | note how it ended | `results` | the same | `done` does not count it yet: a later flush repeats the work |
//! | end | `done` | | who waited is told, or finds out when its slice of sleep runs out |
//!
//! `flushed_to` is where recovery begins to look: before it everything is settled, and was settled before a flush that ended
//! well began.
//!
//! A flush that failed is told to everybody whose ticket it was: to who waits, by the result of that number; to who does not
//! wait (policies `Interval` and `Bytes`), at the next append of each process, by the count of failures. The kernel may
//! forget what it could not write, so a later flush that ends well does not take the failure back.

use nix::errno::Errno;

use super::append;
use super::options::Durability;
use super::record::{self, Seen};
use super::segment::{self, SegmentMap};
use super::{Inner, Ticket, recovery};
use crate::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::error::{ErrorKind, Result};
use crate::layout::{LOG_FLUSH_RESULTS, LOG_RESULT_SHIFT};
use crate::protocol::party::Acquired;
use crate::protocol::wait::{Sleeper, Wait};
use crate::protocol::{signal, word};
use crate::sys::{clock, file};

const OPERATION: &str = "flush log";

/// How a range got to the disk.
#[derive(Default)]
struct Synced {
    /// What the disk reported first.
    failure: Option<Errno>,
    /// Whether a segment's file was damaged, so that what was in it may not be there.
    is_damaged: bool,
}

impl Inner {
    /// The number of the flush that will carry what is committed now.
    #[inline]
    pub(super) fn next_flush(&self) -> u64 {
        self.control.words().started.load(SeqCst).saturating_add(1)
    }

    /// How a flush ended: for all tickets with its number. `None`: it has not, nor a later one.
    pub(super) fn flush_outcome(&self, flush: u64) -> Option<Result<()>> {
        let words = self.control.words();
        if words.done.load(SeqCst) < flush {
            return None;
        }
        let result = words.results[flush as usize % LOG_FLUSH_RESULTS].load(Acquire);
        let errno = if result >> LOG_RESULT_SHIFT == flush {
            (result & ((1 << LOG_RESULT_SHIFT) - 1)) as i32
        } else if words.failed.load(Acquire) >= flush {
            // Too long ago, or its leader died: some flush since then failed, and it may have been this one.
            words.failed_errno.load(Relaxed) as i32
        } else {
            0
        };
        Some(if errno == 0 { Ok(()) } else { Err(self.flush_error(errno)) })
    }

    /// Waits until a flush has ended, leading one if nobody does.
    pub(super) fn wait_flush(&self, flush: u64, wait: &Wait) -> Result<()> {
        let (words, memory) = (self.control.words(), &*self.control.memory);
        let me = memory.me(OPERATION)?;
        let mut sleeper = Sleeper::new(wait);
        words.joined.fetch_add(1, Relaxed);
        loop {
            if let Some(outcome) = self.flush_outcome(flush) {
                return outcome;
            }
            let watched = signal::watch(&words.flush_signal);
            if self.flush_outcome(flush).is_some() {
                continue;
            }
            if let Some(acquired) = word::try_lock(&words.flush_lock, me, memory) {
                // Somebody may have ended it between our look and the lock.
                if self.flush_outcome(flush).is_none() {
                    self.gathering.gather(words);
                    self.lead(me, acquired)?;
                } else {
                    self.stop_leading(me, acquired);
                }
                continue;
            }
            // Without spinning first: a disk takes longer than that pays off, and the leader needs the processor.
            sleeper
                .sleep(memory, &words.flush_signal, watched)
                .map_err(|stop| self.control.error(stop.into(), OPERATION))?;
        }
    }

    /// A flush that nobody shares.
    pub(super) fn flush_alone(&self, wait: &Wait) -> Result<()> {
        let (words, memory) = (self.control.words(), &*self.control.memory);
        let me = memory.me(OPERATION)?;
        let acquired = word::lock(&words.flush_lock, me, memory, wait)
            .map_err(|stop| self.control.error(stop.into(), OPERATION))?;
        let flush = self.lead(me, acquired)?;
        self.flush_outcome(flush).unwrap_or(Ok(()))
    }

    /// Makes one flush under the lock, gives the lock back and tells everybody. Returns its number.
    fn lead(&self, me: u32, acquired: Acquired) -> Result<u64> {
        let words = self.control.words();
        let joined = words.joined.load(Relaxed);
        let served = joined.wrapping_sub(words.joined_before.swap(joined, Relaxed));
        let begun_ns = clock::monotonic_ns();
        let number = words.started.fetch_add(1, SeqCst).saturating_add(1);
        let (end, limit) = (self.end(), self.limit());
        let from = words.flushed_to.load(Acquire).max(words.start.load(Acquire));
        let settled = self.settled_from(from, limit);
        let synced = settled.and_then(|settled| Ok((settled, self.sync_range(from, limit)?)));
        let errno = match &synced {
            Ok((settled, Synced { failure: None, is_damaged })) => {
                // What was cut away comes no nearer to the disk: it is told now, and does not hold up what comes later.
                words.flushed_to.fetch_max(*settled, Release);
                words.synced_to.store(end, Release);
                if *is_damaged { Errno::EIO as i32 } else { 0 }
            }
            Ok((_, Synced { failure: Some(errno), .. })) => *errno as i32,
            Err(error) => error.errno(),
        };
        if errno != 0 {
            words.failed_errno.store(errno as u32, Relaxed);
            words.failed.store(number, Release);
            words.failures.fetch_add(1, SeqCst);
        }
        let result = number << LOG_RESULT_SHIFT | u64::from(errno as u32 & 0xFFFF);
        words.results[number as usize % LOG_FLUSH_RESULTS].store(result, Release);
        words.flush_ns.store(clock::monotonic_ns() - begun_ns, Relaxed);
        words.company.store(served.wrapping_add(words.joined.load(Relaxed).wrapping_sub(joined)), Relaxed);
        words.done.fetch_max(number, SeqCst);
        self.stop_leading(me, acquired);
        Ok(number)
    }

    fn stop_leading(&self, me: u32, acquired: Acquired) {
        let (words, memory) = (self.control.words(), &*self.control.memory);
        if acquired == Acquired::OwnerDied {
            // What it had not ended counts for nothing.
            word::make_consistent(&words.flush_lock, me);
        }
        word::unlock(&words.flush_lock, me, 1, memory);
        signal::notify(&words.flush_signal, true, memory);
    }

    /// How far everything is settled. Claims of the dead become padding on the way, and what is damaged is passed.
    fn settled_from(&self, from: u64, limit: u64) -> Result<u64> {
        let tail = self.control.words().tail.load(SeqCst);
        let mut at = from;
        while at < limit {
            let segment = match self.segment_at(at, OPERATION) {
                Ok(segment) => segment,
                Err(error) if segment::is_damage(error.kind()) => None,
                Err(error) => return Err(error),
            };
            let Some(segment) = segment else {
                // Removed meanwhile, or not to be read: to the next file that is there, however far the tail is said to be.
                let bases = segment::list(&self.control, OPERATION)?;
                match bases.into_iter().find(|base| *base > at) {
                    Some(next) => at = next,
                    None => break,
                }
                continue;
            };
            while let Some(offset) = segment.offset_of(at).filter(|_| at < limit) {
                let Some(word) = segment.word(offset) else { return Ok(at) };
                let seen = word.load(Acquire);
                match record::parse(seen, segment.capacity - offset) {
                    Some((Seen::Record { .. } | Seen::Padding, span)) => at += span as u64,
                    Some((Seen::Claimed { owner }, span)) if self.bury(&segment, offset, seen, owner) => {
                        at += span as u64;
                    }
                    Some((Seen::Claimed { .. }, _)) => return Ok(at),
                    Some((Seen::Free, _)) if at >= tail => return Ok(at),
                    // The tail has passed this place, so something was here.
                    Some((Seen::Free, _)) | None => at = recovery::behind(&segment, offset, tail)?,
                }
            }
        }
        Ok(at.min(limit.max(from)))
    }

    /// Carries a range of positions to the disk.
    fn sync_range(&self, from: u64, to: u64) -> Result<Synced> {
        let mut synced = Synced::default();
        #[cfg(test)]
        if let Some(errno) = self.fail_next_flush.lock().take() {
            synced.failure = Some(errno);
            return Ok(synced);
        }
        if from >= to {
            return Ok(synced);
        }
        let (first, last) = (self.control.base_of(from), self.control.base_of(to));
        let bases = match first == last {
            true => vec![first],
            // What is there, and not what two numbers of shared memory span.
            false => segment::list(&self.control, OPERATION)?,
        };
        for base in bases.into_iter().filter(|base| (first..=last).contains(base)) {
            let segment = match self.segment_at(base, OPERATION) {
                Ok(Some(segment)) => segment,
                Ok(None) => continue,
                Err(error) if segment::is_damage(error.kind()) => {
                    synced.is_damaged = true;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let start = from.saturating_sub(base) as usize;
            let end = (to - base).min(segment.capacity as u64) as usize;
            synced.failure = synced.failure.or(segment.sync(start, end).err());
            synced.is_damaged |= segment.is_damaged();
            if start == 0 {
                // Its name too: without one, the bytes would be lost all the same.
                let name = segment::path(&self.control, base);
                synced.failure = synced.failure.or(file::sync_directory_of(&name).err());
            }
        }
        Ok(synced)
    }

    /// What a policy does after the append of so many bytes.
    #[inline]
    pub(super) fn appended(&self, position: u64, len: usize) {
        self.appended_up_to(position + record::span(len) as u64);
    }

    /// What a policy does after an append that ended here.
    #[inline]
    pub(super) fn appended_up_to(&self, end: u64) {
        match self.durability {
            Durability::None | Durability::Group | Durability::Every => {}
            Durability::Interval(_) => self.keep(false),
            Durability::Bytes(bytes) => {
                let synced_to = self.control.words().synced_to.load(Relaxed);
                if end.saturating_sub(synced_to) >= bytes {
                    self.keep(true);
                }
            }
        }
    }

    /// Waits as the policy says for a record that this thread has just committed.
    #[inline]
    pub(super) fn settle(&self, wait: &Wait) -> Result<()> {
        match self.durability {
            Durability::Group => self.wait_flush(self.next_flush(), wait),
            Durability::Every => self.flush_alone(wait),
            _ => Ok(()),
        }
    }

    /// The same for a record that was committed when its ticket was drawn.
    pub(super) fn settle_with(&self, ticket: Ticket, wait: &Wait) -> Result<()> {
        match self.durability {
            Durability::Group => self.wait_flush(ticket.flush, wait),
            _ => self.settle(wait),
        }
    }

    /// Under a policy whose appends wait for nothing: a flush that failed since this was asked last.
    #[inline]
    pub(super) fn report_failures(&self) -> Result<()> {
        let failures = self.control.words().failures.load(Relaxed);
        if failures == self.known_failures.load(Relaxed) {
            return Ok(());
        }
        self.report_new_failures(failures)
    }

    #[cold]
    fn report_new_failures(&self, failures: u32) -> Result<()> {
        self.known_failures.store(failures, Relaxed);
        if !matches!(self.durability, Durability::Interval(_) | Durability::Bytes(_)) {
            return Ok(());
        }
        let errno = self.control.words().failed_errno.load(Relaxed) as i32;
        Err(self.flush_error(errno).with_detail("earlier records may not be on the disk"))
    }

    fn flush_error(&self, errno: i32) -> crate::Error {
        self.control.system_error(Errno::from_raw(errno), OPERATION)
    }

    /// Makes padding of a claim whose owner is dead. `true`: it is none any more.
    pub(super) fn bury(&self, segment: &SegmentMap, offset: usize, claim: u64, owner: u32) -> bool {
        append::bury(&self.control, segment, offset, claim, owner)
    }

    #[cold]
    pub(super) fn closed(&self, operation: &'static str) -> crate::Error {
        self.control.error(ErrorKind::Closed, operation)
    }
}
