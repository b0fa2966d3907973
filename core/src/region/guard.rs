//! Guards, as Rust shows them: a lock whose errors carry what was locked, so that nobody overlooks a death.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use super::Region;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::party::Acquired;
use crate::protocol::wait::Wait;

/// A lock that a [`LockGuard`] gives back.
pub(crate) trait Unlock {
    /// Gives it back if this process holds it.
    fn unlock_quietly(&self);
    /// Says that what it guards is in order again.
    fn make_consistent(&self) -> Result<()>;
}

/// A lock is held; dropping this gives it back.
///
/// Ownership is the process's: the guard may move to another thread. In a child forked meanwhile the parent still holds
/// the lock, and dropping the child's copy does nothing.
#[must_use = "the lock is given back when the guard is dropped"]
#[allow(private_bounds, reason = "only this crate's locks have guards")]
pub struct LockGuard<'a, L: Unlock> {
    lock: &'a L,
    owner_died: bool,
}

/// The guard of a region is held.
pub type RegionGuard<'a> = LockGuard<'a, Region>;

#[allow(private_bounds, reason = "only this crate's locks have guards")]
impl<'a, L: Unlock> LockGuard<'a, L> {
    /// The lock was just taken: the guard, inside an error when the last owner died.
    pub(crate) fn new(lock: &'a L, acquired: Acquired) -> LockResult<LockGuard<'a, L>> {
        match acquired {
            Acquired::Clean => Ok(LockGuard { lock, owner_died: false }),
            Acquired::OwnerDied => Err(LockError::OwnerDied(LockGuard { lock, owner_died: true })),
        }
    }

    /// Whether an owner died inside before us, and nobody has called [`LockGuard::make_consistent`] since.
    pub fn owner_died(&self) -> bool {
        self.owner_died
    }

    /// Says that what the lock guards is in order again: the death is no longer reported.
    pub fn make_consistent(&mut self) -> Result<()> {
        self.lock.make_consistent()?;
        self.owner_died = false;
        Ok(())
    }

    /// The lock behind the guard.
    pub(crate) fn lock(&self) -> &'a L {
        self.lock
    }
}

impl<L: Unlock> Deref for LockGuard<'_, L> {
    type Target = L;

    fn deref(&self) -> &L {
        self.lock
    }
}

impl<L: Unlock> Drop for LockGuard<'_, L> {
    #[inline]
    fn drop(&mut self) {
        self.lock.unlock_quietly();
    }
}

impl<L: Unlock> fmt::Debug for LockGuard<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard").field("owner_died", &self.owner_died).finish_non_exhaustive()
    }
}

/// The result of trying: nothing, a guard, or a guard inside an error.
pub(crate) fn try_locked<G>(
    tried: Result<Option<Acquired>>,
    guard: impl FnOnce(Acquired) -> LockResult<G>,
) -> LockResult<Option<G>> {
    match tried.map_err(LockError::Failed)?.map(guard) {
        None => Ok(None),
        Some(Ok(guard)) => Ok(Some(guard)),
        Some(Err(LockError::OwnerDied(guard))) => Err(LockError::OwnerDied(Some(guard))),
        Some(Err(LockError::Failed(error))) => Err(LockError::Failed(error)),
    }
}

/// Why a lock was not taken in good order.
#[derive(Debug)]
pub enum LockError<G> {
    /// The lock **is held**, by the guard in here, but its last owner died inside: look at what it guards, repair it,
    /// and call `make_consistent`; or drop the guard, and the next one is told the same.
    OwnerDied(G),
    /// The lock is not held.
    Failed(Error),
}

/// The result of taking a lock.
pub type LockResult<G> = std::result::Result<G, LockError<G>>;

impl<G> LockError<G> {
    /// The guard, if the lock is held.
    pub fn into_guard(self) -> Result<G> {
        match self {
            LockError::OwnerDied(guard) => Ok(guard),
            LockError::Failed(error) => Err(error),
        }
    }
}

impl<G> fmt::Display for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::OwnerDied(_) => {
                write!(f, "{}; {}", ErrorKind::OwnerDied, ErrorKind::OwnerDied.advice())
            }
            LockError::Failed(error) => error.fmt(f),
        }
    }
}

impl<G: fmt::Debug> std::error::Error for LockError<G> {}

impl<G> From<LockError<G>> for Error {
    /// Gives the lock back when it was held.
    fn from(error: LockError<G>) -> Error {
        match error {
            LockError::OwnerDied(_) => Error::new(ErrorKind::OwnerDied, "lock", ""),
            LockError::Failed(error) => error,
        }
    }
}

impl Region {
    /// Takes the guard, waiting as long as it takes.
    ///
    /// Errors: `OwnerDied` (with the guard inside), `Closed`, `ReadOnly`, `TooManyAttachments`.
    #[inline]
    pub fn lock(&self) -> LockResult<RegionGuard<'_>> {
        self.lock_with(&Wait::FOREVER)
    }

    /// Takes the guard if it becomes free in this time; else `Timeout`.
    pub fn lock_timeout(&self, timeout: Duration) -> LockResult<RegionGuard<'_>> {
        self.lock_with(&Wait::timeout(timeout))
    }

    /// Takes the guard, waiting as `wait` says.
    #[inline]
    pub fn lock_with(&self, wait: &Wait) -> LockResult<RegionGuard<'_>> {
        LockGuard::new(self, self.acquire(wait).map_err(LockError::Failed)?)
    }

    /// Takes the guard if nobody holds it; `None` if somebody does.
    #[inline]
    pub fn try_lock(&self) -> LockResult<Option<RegionGuard<'_>>> {
        try_locked(self.try_acquire(), |acquired| LockGuard::new(self, acquired))
    }
}
