//! [`Mutex`]: a lock with an owner.

use std::time::Duration;

use crate::atomic::AtomicU32;
use crate::error::Result;
use crate::layout::{MutexRecord, ObjectKind};
use crate::protocol::party::Acquired;
use crate::protocol::wait::Wait;
use crate::protocol::word;
use crate::region::object::{Object, Shape};
use crate::region::{LockError, LockGuard, LockResult, Lockable, Operations, Region, Unlock, try_locked};

/// A mutual exclusion lock in a region.
///
/// ```
/// use shmkit::{LockError, Region};
///
/// # let name = format!("doc-mutex-{}", std::process::id());
/// # let region = Region::create(name.as_str(), 4096)?;
/// # Region::unlink(name.as_str())?;
/// let totals = region.mutex("totals")?;
/// match totals.lock() {
///     Ok(_guard) => { /* everything is in order */ }
///     Err(LockError::OwnerDied(mut guard)) => {
///         // Somebody was killed in here: repair what `totals` guards, then:
///         guard.make_consistent()?;
///     }
///     Err(LockError::Failed(error)) => return Err(error),
/// }
/// # Ok::<(), shmkit::Error>(())
/// ```
pub struct Mutex(Object<MutexRecord>);

/// The mutex is held.
pub type MutexGuard<'a> = LockGuard<'a, Mutex>;

impl Region {
    /// The mutex of this name, created when it is missing.
    ///
    /// Errors: `WrongKind`, `InvalidName`, `NoSpace` (the arena is full), `ReadOnly`, `Closed`.
    pub fn mutex(&self, name: &str) -> Result<Mutex> {
        Object::open(self, "open mutex", name, &Shape::plain(ObjectKind::Mutex), |_| Ok(())).map(Mutex)
    }
}

impl Mutex {
    /// Takes the lock, waiting as long as it takes.
    ///
    /// Errors: `OwnerDied` (with the guard inside), `Closed`.
    #[inline]
    pub fn lock(&self) -> LockResult<MutexGuard<'_>> {
        self.lock_with(&Wait::FOREVER)
    }

    /// Takes the lock if it becomes free in this time; else `Timeout`.
    pub fn lock_timeout(&self, timeout: Duration) -> LockResult<MutexGuard<'_>> {
        self.lock_with(&Wait::timeout(timeout))
    }

    /// Takes the lock, waiting as `wait` says.
    #[inline]
    pub fn lock_with(&self, wait: &Wait) -> LockResult<MutexGuard<'_>> {
        LockGuard::new(self, self.acquire(wait).map_err(LockError::Failed)?)
    }

    /// Takes the lock if nobody holds it; `None` if somebody does.
    #[inline]
    pub fn try_lock(&self) -> LockResult<Option<MutexGuard<'_>>> {
        try_locked(self.try_acquire(), |acquired| LockGuard::new(self, acquired))
    }

    /// Takes the lock without a Rust guard: pair it with [`Mutex::release`]. Both outcomes hold the lock.
    #[inline]
    pub fn acquire(&self, wait: &Wait) -> Result<Acquired> {
        self.lockable().acquire(wait)
    }

    /// Takes the lock if nobody holds it, without a Rust guard.
    #[inline]
    pub fn try_acquire(&self) -> Result<Option<Acquired>> {
        self.lockable().try_acquire()
    }

    /// Gives the lock back. Errors: `NotOwner`, `Closed`.
    #[inline]
    pub fn release(&self) -> Result<()> {
        self.lockable().release()
    }

    /// Says that what the mutex guards is in order again after an owner died. Errors: `NotOwner`, `Closed`.
    pub fn make_consistent(&self) -> Result<()> {
        self.lockable().make_consistent()
    }

    /// Whether anybody holds the lock at this moment, dead or alive.
    pub fn is_locked(&self) -> bool {
        self.lockable().is_locked()
    }

    /// The lock word and the word with this process's owner id: see [`Region::guard_words`].
    pub fn words(&self) -> Option<(&AtomicU32, &AtomicU32)> {
        Some((&self.0.lock.word, self.0.memory().me_word()?))
    }

    /// The name in its region.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Whether this handle was closed.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Ends the use of this handle; repeating it does nothing. `Busy` when it is the process's last and it holds the lock.
    pub fn close(&self) -> Result<()> {
        self.0.close("close mutex", Some(&self.0.lock), |me| word::is_held_by(&self.0.lock, me))
    }

    #[inline]
    fn lockable(&self) -> Lockable<'_> {
        self.0.lockable(
            &self.0.lock,
            &Operations {
                lock: "lock mutex",
                unlock: "unlock mutex",
                make_consistent: "make mutex consistent",
            },
        )
    }

    pub(super) fn object(&self) -> &Object<MutexRecord> {
        &self.0
    }
}

impl Unlock for Mutex {
    #[inline]
    fn unlock_quietly(&self) {
        self.lockable().release_quietly();
    }

    fn make_consistent(&self) -> Result<()> {
        self.lockable().make_consistent()
    }
}
