//! Locks as Python takes them, for all that can be locked: a region's guard, a mutex, a reader–writer lock either way.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use shmkit::{Acquired, Error, ErrorKind, Wait};

use crate::arguments::{Place, seconds};
use crate::bytes::Pin;
use crate::error::{Failure, Result};
use crate::object::Named;
use crate::waiting;

/// Something to lock, in one way.
#[derive(Clone)]
pub enum Lock {
    Region(Arc<shmkit::Region>),
    Mutex(Arc<Named<shmkit::Mutex>>),
    Read(Arc<Named<shmkit::RwLock>>),
    Write(Arc<Named<shmkit::RwLock>>),
}

impl Lock {
    /// Takes the lock; `None` when somebody has it and `blocking` is false, or when the time passed.
    #[inline]
    pub fn take(
        &self,
        py: Python<'_>,
        blocking: bool,
        timeout: Option<Duration>,
    ) -> Result<Option<Acquired>> {
        match self.try_acquire()? {
            None if blocking => self.wait(py, timeout),
            tried => Ok(tried),
        }
    }

    #[cold]
    fn wait(&self, py: Python<'_>, timeout: Option<Duration>) -> Result<Option<Acquired>> {
        // While a thread waits for its guard, a region cannot be closed.
        let _kept_open = match self {
            Lock::Region(region) => Some(Pin::new(&**region, 0, 0, false, self.operation())?),
            _ => None,
        };
        let give_back = |acquired| {
            let _ = (acquired, self.release());
        };
        waiting::wait(py, timeout, &|| self.is_closed(), |wait| self.acquire(wait), give_back)
    }

    /// As [`Lock::take`], and refuses a lock whose owner died: it is not held then.
    #[inline]
    pub fn take_clean(&self, py: Python<'_>, blocking: bool, timeout: Option<Duration>) -> Result<bool> {
        match self.take(py, blocking, timeout)? {
            Some(Acquired::Clean) => Ok(true),
            None => Ok(false),
            Some(Acquired::OwnerDied) => Err(self.refuse()),
        }
    }

    /// Gives back a lock whose owner died, for the next one to be told the same.
    #[cold]
    pub fn refuse(&self) -> Failure {
        match self.release() {
            Ok(()) => self.error(ErrorKind::OwnerDied),
            Err(error) => error.into(),
        }
    }

    /// The time limit that the arguments of `threading.Lock.acquire` mean.
    #[inline]
    pub fn patience(&self, blocking: bool, timeout: f64) -> Result<Option<Duration>> {
        if timeout == -1.0 { Ok(None) } else { self.limited_patience(blocking, timeout) }
    }

    #[cold]
    fn limited_patience(&self, blocking: bool, timeout: f64) -> Result<Option<Duration>> {
        let object = self.object();
        let place = Place { operation: self.operation(), object: &object };
        if !blocking {
            return Err(place.error(ErrorKind::InvalidArgument, "a timeout belongs to a call that blocks"));
        }
        match seconds(timeout, place)? {
            Some(limit) if limit.as_nanos() <= i64::MAX as u128 => Ok(Some(limit)),
            _ => Err(PyOverflowError::new_err("timeout is too large").into()),
        }
    }

    /// The end of a `with` statement: an exception of the body wins over one of the release.
    #[inline]
    pub fn leave(&self, exc_type: &Bound<'_, PyAny>) -> Result<()> {
        match self.release() {
            Err(error) if exc_type.is_none() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Whether it is worth trying: nobody has it who would have to be asked whether they live.
    #[inline]
    pub fn seems_free(&self) -> bool {
        match self {
            Lock::Region(region) => !region.is_locked(),
            Lock::Mutex(mutex) => !mutex.core.is_locked(),
            Lock::Read(rwlock) | Lock::Write(rwlock) => !rwlock.core.is_write_locked(),
        }
    }

    #[inline]
    pub fn try_acquire(&self) -> shmkit::Result<Option<Acquired>> {
        match self {
            Lock::Region(region) => region.try_acquire(),
            Lock::Mutex(mutex) => mutex.core.try_acquire(),
            Lock::Read(rwlock) => rwlock.core.try_acquire_read(),
            Lock::Write(rwlock) => rwlock.core.try_acquire_write(),
        }
    }

    fn acquire(&self, wait: &Wait) -> shmkit::Result<Acquired> {
        match self {
            Lock::Region(region) => region.acquire(wait),
            Lock::Mutex(mutex) => mutex.core.acquire(wait),
            Lock::Read(rwlock) => rwlock.core.acquire_read(wait),
            Lock::Write(rwlock) => rwlock.core.acquire_write(wait),
        }
    }

    #[inline]
    pub fn release(&self) -> shmkit::Result<()> {
        match self {
            Lock::Region(region) => region.release(),
            Lock::Mutex(mutex) => mutex.core.release(),
            Lock::Read(rwlock) => rwlock.core.release_read(),
            Lock::Write(rwlock) => rwlock.core.release_write(),
        }
    }

    pub fn make_consistent(&self) -> shmkit::Result<()> {
        match self {
            Lock::Region(region) => region.make_consistent(),
            Lock::Mutex(mutex) => mutex.core.make_consistent(),
            Lock::Read(rwlock) | Lock::Write(rwlock) => rwlock.core.make_consistent(),
        }
    }

    /// Whether anybody holds it at this moment, in this way.
    pub fn is_locked(&self) -> bool {
        match self {
            Lock::Region(region) => region.is_locked(),
            Lock::Mutex(mutex) => mutex.core.is_locked(),
            Lock::Read(rwlock) => rwlock.core.readers() > 0,
            Lock::Write(rwlock) => rwlock.core.is_write_locked(),
        }
    }

    fn is_closed(&self) -> bool {
        match self {
            Lock::Region(region) => region.is_closed(),
            Lock::Mutex(mutex) => mutex.core.is_closed(),
            Lock::Read(rwlock) | Lock::Write(rwlock) => rwlock.core.is_closed(),
        }
    }

    /// What errors call the taking.
    pub fn operation(&self) -> &'static str {
        match self {
            Lock::Region(_) => "lock region",
            Lock::Mutex(_) => "lock mutex",
            Lock::Read(_) => "read-lock rwlock",
            Lock::Write(_) => "write-lock rwlock",
        }
    }

    /// What errors call it.
    pub fn object(&self) -> Cow<'_, str> {
        match self {
            Lock::Region(region) => region.location().display(),
            Lock::Mutex(mutex) => Cow::Owned(mutex.label()),
            Lock::Read(rwlock) | Lock::Write(rwlock) => Cow::Owned(rwlock.label()),
        }
    }

    #[cold]
    pub fn error(&self, kind: ErrorKind) -> Failure {
        Error::new(kind, self.operation(), self.object()).into()
    }

    /// What tells this lock from all others; the two ways of a reader–writer lock are one lock.
    pub fn key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        match self {
            Lock::Region(region) => (PyBytes::new(py, &region.id()), "").into_pyobject(py),
            Lock::Mutex(mutex) => mutex.key(py),
            Lock::Read(rwlock) | Lock::Write(rwlock) => rwlock.key(py),
        }
    }

    /// What it is, for people.
    pub fn describe(&self) -> String {
        match self {
            Lock::Region(region) => format!("region '{}'", region.location().display()),
            Lock::Mutex(mutex) => format!("mutex {}", mutex.place()),
            Lock::Read(rwlock) => format!("rwlock {} for reading", rwlock.place()),
            Lock::Write(rwlock) => format!("rwlock {} for writing", rwlock.place()),
        }
    }
}
