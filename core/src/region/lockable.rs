//! What the region's guard and a named mutex have in common: an owner word in a region, taken through a handle that may
//! be closed.

use super::memory::Memory;
use crate::atomic::Ordering::Relaxed;
use crate::error::{Error, ErrorKind, Result};
use crate::exports::Exports;
use crate::layout::OwnerWord;
use crate::protocol::owner::owner_of;
use crate::protocol::party::Acquired;
use crate::protocol::wait::{Stop, Wait};
use crate::protocol::word;

/// The names under which errors report what was tried.
pub(crate) struct Operations {
    pub lock: &'static str,
    pub unlock: &'static str,
    pub make_consistent: &'static str,
}

/// An owner word, and the handle it is used through.
pub(crate) struct Lockable<'a> {
    pub memory: &'a Memory,
    pub owner: &'a OwnerWord,
    pub exports: &'a Exports,
    pub operations: &'static Operations,
    /// The object's name in the region; empty for the region itself.
    pub name: &'a str,
}

impl Lockable<'_> {
    #[inline]
    pub fn acquire(&self, wait: &Wait) -> Result<Acquired> {
        let me = self.memory.me(self.operations.lock)?;
        if word::lock_fast(self.owner, me) {
            return self.keep_if_open(Acquired::Clean, me);
        }
        self.acquire_slow(me, wait)
    }

    /// A closed handle must not wait: nobody might give back what is held through another one.
    #[cold]
    fn acquire_slow(&self, me: u32, wait: &Wait) -> Result<Acquired> {
        if self.exports.is_closed() {
            return Err(self.error(ErrorKind::Closed, self.operations.lock));
        }
        match word::lock_slow(self.owner, me, 1, self.memory, wait) {
            Ok(acquired) => self.keep_if_open(acquired, me),
            Err(stop) => Err(self.stopped(stop)),
        }
    }

    #[inline]
    pub fn try_acquire(&self) -> Result<Option<Acquired>> {
        let me = self.memory.me(self.operations.lock)?;
        match word::try_lock(self.owner, me, self.memory) {
            Some(acquired) => self.keep_if_open(acquired, me).map(Some),
            None if self.exports.is_closed() => Err(self.error(ErrorKind::Closed, self.operations.lock)),
            None => Ok(None),
        }
    }

    #[inline]
    pub fn release(&self) -> Result<()> {
        let me = self.memory.me_if_attached();
        if me != 0 && word::unlock(self.owner, me, 1, self.memory) {
            return Ok(());
        }
        Err(self.refused(self.operations.unlock))
    }

    /// For guards that are dropped: in a forked child, which holds nothing, it does nothing.
    #[inline]
    pub fn release_quietly(&self) {
        let me = self.memory.holder();
        if me != 0 {
            word::unlock(self.owner, me, 1, self.memory);
        }
    }

    pub fn make_consistent(&self) -> Result<()> {
        let me = self.memory.me_if_attached();
        if !self.exports.is_closed() && me != 0 && word::make_consistent(self.owner, me) {
            return Ok(());
        }
        Err(self.refused(self.operations.make_consistent))
    }

    pub fn is_locked(&self) -> bool {
        owner_of(self.owner.word.load(Relaxed)) != 0
    }

    /// A lock taken while another thread closed the handle is no lock: the close may have looked at the word before we
    /// took it. One of the two sees the other, because both write first and read then. Given back by the id that took
    /// it: the process may be detached by now, and other threads may wait for what only looks like the lock.
    ///
    /// Nor is one that was taken in a page that the file has lost: with it, our id went (see [`Memory`]).
    #[inline]
    fn keep_if_open(&self, acquired: Acquired, me: u32) -> Result<Acquired> {
        if self.exports.is_closed() || self.memory.me_if_attached() != me {
            Err(self.take_back(me))
        } else {
            Ok(acquired)
        }
    }

    #[cold]
    fn take_back(&self, me: u32) -> Error {
        word::unlock(self.owner, me, 1, self.memory);
        let operation = self.operations.lock;
        match self.memory.expect_undamaged(operation) {
            Err(error) if !self.exports.is_closed() => error,
            _ => self.error(ErrorKind::Closed, operation),
        }
    }

    #[cold]
    fn stopped(&self, stop: Stop) -> Error {
        self.error(stop.into(), self.operations.lock)
    }

    #[cold]
    fn refused(&self, operation: &'static str) -> Error {
        if !self.exports.is_closed()
            && let Err(error) = self.memory.expect_undamaged(operation)
        {
            // If the word is still there, others wait for it.
            self.release_quietly();
            return error;
        }
        let kind = if self.exports.is_closed() {
            ErrorKind::Closed
        } else if !self.memory.is_writable() {
            ErrorKind::ReadOnly
        } else {
            ErrorKind::NotOwner
        };
        self.error(kind, operation)
    }

    #[cold]
    fn error(&self, kind: ErrorKind, operation: &'static str) -> Error {
        if self.name.is_empty() {
            self.memory.error(kind, operation)
        } else {
            self.memory.error_of(kind, operation, self.memory.object_name(self.name))
        }
    }
}

impl From<Stop> for ErrorKind {
    fn from(stop: Stop) -> ErrorKind {
        match stop {
            Stop::Timeout => ErrorKind::Timeout,
            Stop::Interrupted => ErrorKind::Interrupted,
            Stop::Damaged => ErrorKind::MappingTruncated,
        }
    }
}
