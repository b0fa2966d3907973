//! The guard of a region, as Rust shows it: a lock whose errors carry what was locked, so that nobody overlooks a death.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use super::Region;
use crate::error::{Error, ErrorKind, Result};
use crate::sync::{Acquired, Wait};

/// The region's lock is held; dropping this gives it back.
///
/// Ownership is the process's: the guard may move to another thread. In a child forked meanwhile the parent still holds
/// the lock, and dropping the child's copy does nothing.
#[must_use = "the lock is given back when the guard is dropped"]
pub struct RegionGuard<'a> {
    region: &'a Region,
    owner_died: bool,
}

impl RegionGuard<'_> {
    /// Whether an owner died inside before us, and nobody has called [`RegionGuard::make_consistent`] since.
    pub fn owner_died(&self) -> bool {
        self.owner_died
    }

    /// Says that the region's bytes are in order again: the death is no longer reported.
    pub fn make_consistent(&mut self) -> Result<()> {
        self.region.make_consistent()?;
        self.owner_died = false;
        Ok(())
    }
}

impl Deref for RegionGuard<'_> {
    type Target = Region;

    fn deref(&self) -> &Region {
        self.region
    }
}

impl Drop for RegionGuard<'_> {
    fn drop(&mut self) {
        self.region.release_quietly();
    }
}

impl fmt::Debug for RegionGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegionGuard")
            .field("region", self.region)
            .field("owner_died", &self.owner_died)
            .finish()
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
        self.acquire(wait).map_err(LockError::Failed).and_then(|acquired| self.guard(acquired))
    }

    /// Takes the guard if nobody holds it; `None` if somebody does.
    #[inline]
    pub fn try_lock(&self) -> LockResult<Option<RegionGuard<'_>>> {
        match self.try_acquire().map_err(LockError::Failed)? {
            None => Ok(None),
            Some(acquired) => match self.guard(acquired) {
                Ok(guard) => Ok(Some(guard)),
                Err(LockError::OwnerDied(guard)) => Err(LockError::OwnerDied(Some(guard))),
                Err(LockError::Failed(error)) => Err(LockError::Failed(error)),
            },
        }
    }

    fn guard(&self, acquired: Acquired) -> LockResult<RegionGuard<'_>> {
        match acquired {
            Acquired::Clean => Ok(RegionGuard { region: self, owner_died: false }),
            Acquired::OwnerDied => Err(LockError::OwnerDied(RegionGuard { region: self, owner_died: true })),
        }
    }
}
