//! [`RwLock`]: many readers or one writer.

use std::time::Duration;

use crate::atomic::AtomicU32;
use crate::error::{ErrorKind, Result};
use crate::layout::{Mark, ObjectKind, RwLockRecord};
use crate::protocol::party::Acquired;
use crate::protocol::rwlock::RwLockWords;
use crate::protocol::wait::Wait;
use crate::protocol::word;
use crate::region::object::{Object, Shape};
use crate::region::{LockError, LockGuard, LockResult, Region, Unlock, try_locked};

/// A reader–writer lock in a region.
///
/// Readers in different processes do not slow each other; a killed reader is forgotten, a killed writer is reported. New
/// readers wait while a writer waits, so a process that reads twice can block for ever if a writer comes in between.
pub struct RwLock {
    object: Object<RwLockRecord, Mark>,
}

impl Region {
    /// The reader–writer lock of this name, created when it is missing. It takes 64 bytes of the arena for each
    /// attachment that the region allows.
    ///
    /// Errors: `WrongKind`, `InvalidName`, `NoSpace` (the arena is full), `ReadOnly`, `Closed`.
    pub fn rwlock(&self, name: &str) -> Result<RwLock> {
        let shape = Shape { table_len: self.attachment_limit(), ..Shape::plain(ObjectKind::RwLock) };
        let object = Object::open(self, "open rwlock", name, &shape, |_| Ok(()))?;
        Ok(RwLock { object })
    }
}

const READ: &str = "read-lock rwlock";
const WRITE: &str = "write-lock rwlock";

impl RwLock {
    /// Takes the lock for reading, waiting as long as it takes.
    ///
    /// Errors: `OwnerDied` (with the guard inside: a *writer* died), `Closed`.
    #[inline]
    pub fn read(&self) -> LockResult<ReadGuard<'_>> {
        self.read_with(&Wait::FOREVER)
    }

    /// Takes the lock for reading, waiting as `wait` says.
    #[inline]
    pub fn read_with(&self, wait: &Wait) -> LockResult<ReadGuard<'_>> {
        ReadGuard::new(self, self.acquire_read(wait).map_err(LockError::Failed)?)
    }

    /// Takes the lock for reading if it becomes free in this time; else `Timeout`.
    pub fn read_timeout(&self, timeout: Duration) -> LockResult<ReadGuard<'_>> {
        self.read_with(&Wait::timeout(timeout))
    }

    /// Takes the lock for reading if no writer has it; `None` if one has.
    #[inline]
    pub fn try_read(&self) -> LockResult<Option<ReadGuard<'_>>> {
        try_locked(self.try_acquire_read(), |acquired| ReadGuard::new(self, acquired))
    }

    /// Takes the lock for writing, waiting as long as it takes.
    ///
    /// Errors: `OwnerDied` (with the guard inside), `Closed`.
    #[inline]
    pub fn write(&self) -> LockResult<WriteGuard<'_>> {
        self.write_with(&Wait::FOREVER)
    }

    /// Takes the lock for writing, waiting as `wait` says.
    #[inline]
    pub fn write_with(&self, wait: &Wait) -> LockResult<WriteGuard<'_>> {
        LockGuard::new(self, self.acquire_write(wait).map_err(LockError::Failed)?)
    }

    /// Takes the lock for writing if it becomes free in this time; else `Timeout`.
    pub fn write_timeout(&self, timeout: Duration) -> LockResult<WriteGuard<'_>> {
        self.write_with(&Wait::timeout(timeout))
    }

    /// Takes the lock for writing if nobody holds it; `None` if somebody does.
    #[inline]
    pub fn try_write(&self) -> LockResult<Option<WriteGuard<'_>>> {
        try_locked(self.try_acquire_write(), |acquired| LockGuard::new(self, acquired))
    }

    /// Takes the lock for reading without a Rust guard: pair it with [`RwLock::release_read`].
    #[inline]
    pub fn acquire_read(&self, wait: &Wait) -> Result<Acquired> {
        let me = self.object.me(READ)?;
        let acquired = self
            .words()
            .read(me, self.object.memory(), wait)
            .map_err(|stop| self.object.error(stop.into(), READ))?;
        self.keep_read_if_open(me, acquired)
    }

    /// Takes the lock for reading if no writer has it, without a Rust guard.
    #[inline]
    pub fn try_acquire_read(&self) -> Result<Option<Acquired>> {
        let me = self.object.me(READ)?;
        let acquired = self.words().try_read(me, self.object.memory());
        acquired.map(|acquired| self.keep_read_if_open(me, acquired)).transpose()
    }

    /// Gives one reading hold of this process back. Errors: `NotOwner`, `Closed`.
    #[inline]
    pub fn release_read(&self) -> Result<()> {
        let operation = "read-unlock rwlock";
        self.give_back(operation, |words, me| words.read_unlock(me, self.object.memory()))
    }

    /// Takes the lock for writing without a Rust guard: pair it with [`RwLock::release_write`].
    #[inline]
    pub fn acquire_write(&self, wait: &Wait) -> Result<Acquired> {
        let me = self.object.me(WRITE)?;
        let acquired = self
            .words()
            .write(me, self.object.memory(), wait)
            .map_err(|stop| self.object.error(stop.into(), WRITE))?;
        self.keep_write_if_open(me, acquired)
    }

    /// Takes the lock for writing if nobody holds it, without a Rust guard.
    #[inline]
    pub fn try_acquire_write(&self) -> Result<Option<Acquired>> {
        let me = self.object.me(WRITE)?;
        let acquired = self.words().try_write(me, self.object.memory());
        acquired.map(|acquired| self.keep_write_if_open(me, acquired)).transpose()
    }

    /// Gives the writing hold back. Errors: `NotOwner`, `Closed`.
    #[inline]
    pub fn release_write(&self) -> Result<()> {
        let operation = "write-unlock rwlock";
        self.give_back(operation, |words, me| words.write_unlock(me, self.object.memory()))
    }

    /// Says that what the lock guards is in order again after a writer died. The caller holds it for writing.
    ///
    /// Errors: `NotOwner`, `Closed`.
    pub fn make_consistent(&self) -> Result<()> {
        let operation = "make rwlock consistent";
        self.give_back(operation, |words, me| word::make_consistent(&words.record.writer, me))
    }

    /// Whether a writer has the lock at this moment, dead or alive.
    pub fn is_write_locked(&self) -> bool {
        crate::protocol::owner::owner_of(self.object.writer.word.load(crate::atomic::Ordering::Relaxed)) != 0
    }

    /// Number of reading holds at this moment, of all processes.
    pub fn readers(&self) -> u32 {
        self.words().readers()
    }

    /// The writer's lock word and the word with this process's owner id: see [`Region::guard_words`]. Taking the lock for
    /// writing is left to the library, because the readers have to leave first; giving it back is not.
    pub fn writer_words(&self) -> Option<(&AtomicU32, &AtomicU32)> {
        Some((&self.object.writer.word, self.object.memory().me_word()?))
    }

    /// The marks, one a slot, for languages that read-lock themselves: count one more in the mark of this process's slot,
    /// then look at the writer's word; if it has an owner, [`RwLock::release_read`] takes the mark back. To unlock, count
    /// one less, then look at the writer's word; if none is left and `WORD_DRAIN` is set, call [`RwLock::wake_writer`].
    /// All of it sequentially consistent; a mark with another generation counts nothing.
    pub fn marks(&self) -> &[Mark] {
        self.object.table()
    }

    /// Tells a writer that waits for the readers to look again.
    pub fn wake_writer(&self) {
        self.words().wake_writer(self.object.memory());
    }

    /// The name in its region.
    pub fn name(&self) -> &str {
        self.object.name()
    }

    /// Whether this handle was closed.
    pub fn is_closed(&self) -> bool {
        self.object.is_closed()
    }

    /// Ends the use of this handle; repeating it does nothing. `Busy` when it is the process's last and it holds the lock.
    pub fn close(&self) -> Result<()> {
        let words = self.words();
        let in_use = |me| word::is_held_by(&words.record.writer, me) || words.my_reads(me) > 0;
        self.object.close("close rwlock", Some(&words.record.writer), in_use)
    }

    #[inline]
    fn words(&self) -> RwLockWords<'_> {
        RwLockWords { record: &self.object, marks: self.object.table() }
    }

    /// As for the mutex: taken while another thread closed the handle, it is not taken.
    #[inline]
    fn keep_read_if_open(&self, me: u32, acquired: Acquired) -> Result<Acquired> {
        self.object.expect_open(READ).map(|()| acquired).inspect_err(|_| {
            self.words().read_unlock(me, self.object.memory());
        })
    }

    #[inline]
    fn keep_write_if_open(&self, me: u32, acquired: Acquired) -> Result<Acquired> {
        self.object.expect_open(WRITE).map(|()| acquired).inspect_err(|_| {
            self.words().write_unlock(me, self.object.memory());
        })
    }

    #[inline]
    fn give_back(
        &self,
        operation: &'static str,
        step: impl FnOnce(RwLockWords<'_>, u32) -> bool,
    ) -> Result<()> {
        let me = self.object.memory().me_if_attached();
        if me != 0 && step(self.words(), me) {
            return Ok(());
        }
        self.object.expect_open(operation)?;
        Err(self.object.error(ErrorKind::NotOwner, operation))
    }
}

/// The lock is held for writing.
pub type WriteGuard<'a> = LockGuard<'a, RwLock>;

impl Unlock for RwLock {
    #[inline]
    fn unlock_quietly(&self) {
        let _ = self.release_write();
    }

    fn make_consistent(&self) -> Result<()> {
        RwLock::make_consistent(self)
    }
}

/// The lock is held for reading; dropping this gives it back.
#[must_use = "the lock is given back when the guard is dropped"]
pub struct ReadGuard<'a> {
    lock: &'a RwLock,
    owner_died: bool,
}

impl<'a> ReadGuard<'a> {
    fn new(lock: &'a RwLock, acquired: Acquired) -> LockResult<ReadGuard<'a>> {
        match acquired {
            Acquired::Clean => Ok(ReadGuard { lock, owner_died: false }),
            Acquired::OwnerDied => Err(LockError::OwnerDied(ReadGuard { lock, owner_died: true })),
        }
    }

    /// Whether a writer died inside, and no writer has called `make_consistent` since.
    pub fn owner_died(&self) -> bool {
        self.owner_died
    }
}

impl Drop for ReadGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        let _ = self.lock.release_read();
    }
}

impl std::fmt::Debug for ReadGuard<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadGuard").field("owner_died", &self.owner_died).finish_non_exhaustive()
    }
}
