//! [`Condvar`]: waiting for a condition that a [`Mutex`] guards.

use std::time::Duration;

use super::mutex::{Mutex, MutexGuard};
use crate::atomic::AtomicU32;
use crate::error::{ErrorKind, Result};
use crate::layout::{ObjectKind, WordRecord};
use crate::protocol::condvar::{self, Woken};
use crate::protocol::party::Acquired;
use crate::protocol::signal;
use crate::protocol::wait::{Stop, Wait};
use crate::protocol::word;
use crate::region::object::{Object, Shape};
use crate::region::{LockError, LockGuard, LockResult, Region};

/// A condition variable in a region.
///
/// A wait may end without a notification: wait in a loop that tests the condition. A waiter that is killed takes no
/// notification with it. When a process is killed with the mutex held, who waits here is woken and told *owner died*; so
/// notify before the mutex is given back, and no change goes unnoticed.
///
/// ```
/// # use shmkit::Region;
/// # let name = format!("doc-condvar-{}", std::process::id());
/// # let region = Region::create(name.as_str(), 4096)?;
/// # Region::unlink(name.as_str())?;
/// let (mutex, filled) = (region.mutex("queue")?, region.condvar("filled")?);
/// # region.write_at(0, &[1])?;
/// let mut guard = mutex.lock()?;
/// let mut first = [0];
/// while { region.read_at(0, &mut first)?; first[0] == 0 } {
///     guard = filled.wait(guard)?;
/// }
/// # Ok::<(), shmkit::Error>(())
/// ```
pub struct Condvar(Object<WordRecord>);

/// Whether a bounded wait was notified. The mutex is held again in both cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notified {
    /// Somebody notified, or nobody did: test the condition.
    Yes,
    /// The time passed, or a signal handler ran.
    No(ErrorKind),
}

/// What a condition variable looked like when a wait began, and where the mutex is.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    word: u32,
    mutex_offset: usize,
}

const WAIT: &str = "wait on condvar";

impl Region {
    /// The condition variable of this name, created when it is missing.
    ///
    /// Errors: `WrongKind`, `InvalidName`, `NoSpace` (the arena is full), `ReadOnly`, `Closed`.
    pub fn condvar(&self, name: &str) -> Result<Condvar> {
        Object::open(self, "open condvar", name, &Shape::plain(ObjectKind::Condvar), |_| Ok(())).map(Condvar)
    }
}

impl Condvar {
    /// Gives the mutex back, sleeps until notified, and takes the mutex again.
    ///
    /// Errors: those of [`Mutex::lock`]; an owner may have died while this waited.
    pub fn wait<'a>(&self, guard: MutexGuard<'a>) -> LockResult<MutexGuard<'a>> {
        self.wait_with(guard, &Wait::FOREVER).map(|(guard, _)| guard).map_err(|error| match error {
            LockError::OwnerDied((guard, _)) => LockError::OwnerDied(guard),
            LockError::Failed(error) => LockError::Failed(error),
        })
    }

    /// As [`Condvar::wait`], for at most this long.
    pub fn wait_timeout<'a>(
        &self,
        guard: MutexGuard<'a>,
        timeout: Duration,
    ) -> LockResult<(MutexGuard<'a>, Notified)> {
        self.wait_with(guard, &Wait::timeout(timeout))
    }

    /// As [`Condvar::wait`], waiting as `wait` says.
    pub fn wait_with<'a>(
        &self,
        guard: MutexGuard<'a>,
        wait: &Wait,
    ) -> LockResult<(MutexGuard<'a>, Notified)> {
        let mutex = guard.lock();
        // The hold passes through the wait, and out again into a new guard.
        std::mem::forget(guard);
        let (acquired, notified) = match self.wait_raw(mutex, wait) {
            Ok(woken) => woken,
            Err(error) => {
                let _ = mutex.release();
                return Err(LockError::Failed(error));
            }
        };
        match LockGuard::new(mutex, acquired) {
            Ok(guard) => Ok((guard, notified)),
            Err(LockError::OwnerDied(guard)) => Err(LockError::OwnerDied((guard, notified))),
            Err(LockError::Failed(error)) => Err(LockError::Failed(error)),
        }
    }

    /// As [`Condvar::wait_with`], for a mutex that was taken without a Rust guard. The mutex is held again whenever this
    /// returns `Ok`, and as before when it does not.
    ///
    /// Errors: `NotOwner` (this process does not hold the mutex), `InvalidArgument` (the mutex is of another region),
    /// `Closed`.
    pub fn wait_raw(&self, mutex: &Mutex, wait: &Wait) -> Result<(Acquired, Notified)> {
        let me = self.me_beside(mutex)?;
        let other = mutex.object();
        let Woken { acquired, stop } = condvar::wait(&self.0.word, &other.lock, me, self.0.memory(), wait)
            .ok_or_else(|| other.error(ErrorKind::NotOwner, WAIT))?;
        Ok((acquired, stop.map_or(Notified::Yes, |stop: Stop| Notified::No(stop.into()))))
    }

    /// The first step of a wait, for languages that take the mutex again in their own way: call this while the mutex is
    /// held, give the mutex back, [`Condvar::sleep`], take the mutex. Changes nothing if nothing follows.
    ///
    /// Errors: as [`Condvar::wait_raw`].
    pub fn watch(&self, mutex: &Mutex) -> Result<Watched> {
        let me = self.me_beside(mutex)?;
        let other = mutex.object();
        if !word::is_held_by(&other.lock, me) {
            return Err(other.error(ErrorKind::NotOwner, WAIT));
        }
        let mutex_offset = self.0.memory().offset_of(&other.lock);
        Ok(Watched { word: signal::watch(&self.0.word), mutex_offset })
    }

    /// Sleeps until there was a notification since the call of [`Condvar::watch`], or the mutex's owner died.
    ///
    /// Errors: `Timeout`, `Interrupted`, `Closed`.
    pub fn sleep(&self, watched: Watched, wait: &Wait) -> Result<()> {
        let me = self.0.me(WAIT)?;
        let memory = self.0.memory();
        let mutex = memory.record_at(watched.mutex_offset)?;
        condvar::sleep(&self.0.word, watched.word, mutex, me, memory, wait)
            .map_err(|stop| self.0.error(stop.into(), WAIT))
    }

    /// This process's owner id, for a wait with a mutex that must be of the same region.
    fn me_beside(&self, mutex: &Mutex) -> Result<u32> {
        let me = self.0.me(WAIT)?;
        if !std::ptr::eq(self.0.memory(), mutex.object().memory()) {
            return Err(self
                .0
                .error(ErrorKind::InvalidArgument, WAIT)
                .with_detail("the mutex belongs to another region"));
        }
        Ok(me)
    }

    /// Wakes one waiter. Call it with the mutex held, or after it was held for the change.
    #[inline]
    pub fn notify_one(&self) -> Result<()> {
        self.0.expect_open("notify condvar")?;
        signal::notify(&self.0.word, false, self.0.memory());
        Ok(())
    }

    /// Wakes all waiters.
    #[inline]
    pub fn notify_all(&self) -> Result<()> {
        self.0.expect_open("notify condvar")?;
        signal::notify(&self.0.word, true, self.0.memory());
        Ok(())
    }

    /// The condition variable's word, for languages that look themselves whether somebody waits: while `WORD_WAITERS` is
    /// not set, a notification does nothing.
    pub fn word(&self) -> &AtomicU32 {
        &self.0.word
    }

    /// The name in its region.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Whether this handle was closed.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Ends the use of this handle; repeating it does nothing.
    pub fn close(&self) -> Result<()> {
        self.0.close("close condvar", None, |_| false)
    }
}
