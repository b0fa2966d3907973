//! [`Semaphore`]: a number of permits, of one of two kinds.

use std::time::Duration;

use crate::atomic::Ordering::Relaxed;
use crate::atomic::{AtomicU32, AtomicU64};
use crate::error::{ErrorKind, Result};
use crate::layout::{ObjectKind, SEMAPHORE_MAX, TrackedRecord, WordRecord};
use crate::protocol::semaphore;
use crate::protocol::tracked::TrackedWords;
use crate::protocol::wait::Wait;
use crate::region::Region;
use crate::region::object::{Object, Shape};

/// What happens to the permits of a process that dies.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SemaphoreKind {
    /// Nothing: permits have no owner, and anybody may release. For signals. The default.
    #[default]
    Signalling = 0,
    /// They come back. Only who acquired may release. For resources.
    Tracked = 1,
}

impl SemaphoreKind {
    /// The one of this number, as it crosses the C ABI.
    pub fn from_number(number: u32) -> Option<SemaphoreKind> {
        [SemaphoreKind::Signalling, SemaphoreKind::Tracked].into_iter().find(|known| *known as u32 == number)
    }
}

/// How a semaphore is created.
#[derive(Clone, Copy, Debug)]
pub struct SemaphoreOptions {
    initial: u32,
    max: Option<u32>,
    kind: SemaphoreKind,
}

impl SemaphoreOptions {
    /// `initial` permits, of the signalling kind.
    pub fn new(initial: u32) -> SemaphoreOptions {
        SemaphoreOptions { initial, max: None, kind: SemaphoreKind::Signalling }
    }

    /// The most permits there may ever be; default 2³¹ − 1 for the signalling kind, `initial` for the tracked one.
    pub fn max(mut self, max: u32) -> SemaphoreOptions {
        self.max = Some(max);
        self
    }

    /// What happens to the permits of a process that dies.
    pub fn kind(mut self, kind: SemaphoreKind) -> SemaphoreOptions {
        self.kind = kind;
        self
    }
}

/// A counting semaphore in a region.
pub struct Semaphore(Words);

enum Words {
    Signalling { object: Object<WordRecord>, max: u32 },
    Tracked(Object<TrackedRecord, AtomicU64>),
}

impl Region {
    /// The semaphore of this name, created when it is missing. A tracked one has all its permits available at first.
    ///
    /// Errors: `WrongKind`, `ParameterMismatch`, `InvalidArgument` (more than the maximum; a tracked one without any),
    /// `InvalidName`, `NoSpace` (the arena is full), `ReadOnly`, `Closed`.
    pub fn semaphore(&self, name: &str, options: SemaphoreOptions) -> Result<Semaphore> {
        let operation = "open semaphore";
        let SemaphoreOptions { initial, max, kind } = options;
        let limit = match kind {
            SemaphoreKind::Signalling => max.unwrap_or(SEMAPHORE_MAX),
            SemaphoreKind::Tracked => max.unwrap_or(initial),
        };
        let valid = match kind {
            SemaphoreKind::Signalling => initial <= limit && (1..=SEMAPHORE_MAX).contains(&limit),
            SemaphoreKind::Tracked => initial == limit && initial > 0,
        };
        if !valid {
            let object = self.memory(operation)?.object_name(name);
            return Err(crate::Error::new(ErrorKind::InvalidArgument, operation, object)
                .with_detail(format!("{initial} permits at first, {limit} at most")));
        }
        let parameters = [u64::from(initial), u64::from(limit)];
        match kind {
            SemaphoreKind::Signalling => {
                let shape = Shape { parameters, ..Shape::plain(ObjectKind::Semaphore) };
                let object = Object::open(self, operation, name, &shape, |payload| {
                    payload.shared::<WordRecord>(0)?.word.store(semaphore::with_permits(initial), Relaxed);
                    Ok(())
                })?;
                Ok(Semaphore(Words::Signalling { object, max: limit }))
            }
            SemaphoreKind::Tracked => {
                let table_len = self.attachment_limit();
                let shape = Shape { kind: ObjectKind::TrackedSemaphore, parameters, table_len };
                let object = Object::open(self, operation, name, &shape, |payload| {
                    let record: &TrackedRecord = payload.shared(0)?;
                    record.capacity.store(limit, Relaxed);
                    record.available.store(initial, Relaxed);
                    Ok(())
                })?;
                Ok(Semaphore(Words::Tracked(object)))
            }
        }
    }
}

const ACQUIRE: &str = "acquire semaphore";

impl Semaphore {
    /// Takes a permit, waiting as long as it takes; dropping the result gives it back.
    #[inline]
    pub fn acquire_permit(&self) -> Result<Permit<'_>> {
        self.acquire(&Wait::FOREVER).map(|()| Permit(self))
    }

    /// Takes a permit if there is one in this time; else `Timeout`.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Permit<'_>> {
        self.acquire(&Wait::timeout(timeout)).map(|()| Permit(self))
    }

    /// Takes a permit to be given back by [`Semaphore::release`]. Errors: `Timeout`, `Interrupted`, `Closed`.
    #[inline]
    pub fn acquire(&self, wait: &Wait) -> Result<()> {
        match &self.0 {
            Words::Signalling { object, .. } => {
                object.expect_open(ACQUIRE)?;
                semaphore::acquire(&object.word, object.memory(), wait)
                    .map_err(|stop| object.error(stop.into(), ACQUIRE))
            }
            Words::Tracked(object) => {
                let me = object.me(ACQUIRE)?;
                tracked(object)
                    .acquire(me, object.memory(), wait)
                    .map_err(|stop| object.error(stop.into(), ACQUIRE))
            }
        }
    }

    /// Takes a permit if there is one.
    #[inline]
    pub fn try_acquire(&self) -> Result<bool> {
        match &self.0 {
            Words::Signalling { object, .. } => {
                object.expect_open(ACQUIRE)?;
                Ok(semaphore::try_acquire(&object.word))
            }
            Words::Tracked(object) => {
                let me = object.me(ACQUIRE)?;
                tracked(object)
                    .try_acquire(me, object.memory(), &Wait::FOREVER)
                    .map_err(|stop| object.error(stop.into(), ACQUIRE))
            }
        }
    }

    /// Gives permits. Errors: `LimitExceeded` (signalling: more than the maximum), `NotOwner` (tracked: more than this
    /// process holds), `Closed`; nothing has changed then.
    #[inline]
    pub fn release(&self, count: u32) -> Result<()> {
        let operation = "release semaphore";
        match &self.0 {
            Words::Signalling { object, max } => {
                object.expect_open(operation)?;
                if semaphore::release(&object.word, count, *max, object.memory()) {
                    return Ok(());
                }
                Err(object.error(ErrorKind::LimitExceeded, operation))
            }
            Words::Tracked(object) => {
                let me = object.me(operation)?;
                let released = tracked(object)
                    .release(count, me, object.memory(), &Wait::FOREVER)
                    .map_err(|stop| object.error(stop.into(), operation))?;
                if released { Ok(()) } else { Err(object.error(ErrorKind::NotOwner, operation)) }
            }
        }
    }

    /// Permits available at this moment. Those of the dead count when the next one waits for them.
    pub fn available(&self) -> u32 {
        match &self.0 {
            Words::Signalling { object, .. } => semaphore::permits(object.word.load(Relaxed)),
            Words::Tracked(object) => tracked(object).available(),
        }
    }

    /// What happens to the permits of a process that dies.
    pub fn kind(&self) -> SemaphoreKind {
        match self.0 {
            Words::Signalling { .. } => SemaphoreKind::Signalling,
            Words::Tracked(_) => SemaphoreKind::Tracked,
        }
    }

    /// The word of a signalling semaphore, for languages that take the fast path themselves: acquire is a
    /// compare-and-swap from n ≥ 2 to n − 2, release one from n to n + 2 while bit 0 is not set and the maximum allows it;
    /// everything else goes through the library. `None` for a tracked one.
    pub fn word(&self) -> Option<&AtomicU32> {
        match &self.0 {
            Words::Signalling { object, .. } => Some(&object.word),
            Words::Tracked(_) => None,
        }
    }

    /// The name in its region.
    pub fn name(&self) -> &str {
        match &self.0 {
            Words::Signalling { object, .. } => object.name(),
            Words::Tracked(object) => object.name(),
        }
    }

    /// Whether this handle was closed.
    pub fn is_closed(&self) -> bool {
        match &self.0 {
            Words::Signalling { object, .. } => object.is_closed(),
            Words::Tracked(object) => object.is_closed(),
        }
    }

    /// Ends the use of this handle; repeating it does nothing. `Busy` when it is the process's last and the process holds
    /// permits of a tracked semaphore.
    pub fn close(&self) -> Result<()> {
        let operation = "close semaphore";
        match &self.0 {
            Words::Signalling { object, .. } => object.close(operation, None, |_| false),
            Words::Tracked(object) => object.close(operation, None, |me| tracked(object).held(me) > 0),
        }
    }
}

fn tracked(object: &Object<TrackedRecord, AtomicU64>) -> TrackedWords<'_> {
    TrackedWords { record: object, marks: object.table() }
}

/// A permit is held; dropping this gives it back.
#[must_use = "the permit is given back when this is dropped"]
pub struct Permit<'a>(&'a Semaphore);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let _ = self.0.release(1);
    }
}
