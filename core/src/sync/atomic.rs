//! [`Atomic`]: an integer that processes change together and can wait for.

use std::marker::PhantomData;
use std::time::Duration;

use crate::atomic::Ordering::SeqCst;
use crate::atomic::{AtomicU32, AtomicU64};
use crate::error::Result;
use crate::layout::{AtomicRecord, ObjectKind};
use crate::protocol::signal;
use crate::protocol::wait::{Sleeper, Wait};
use crate::region::Region;
use crate::region::object::{Object, Shape};

mod sealed {
    pub trait Sealed {}
}

/// An integer type that an [`Atomic`] can hold.
pub trait AtomicValue: Copy + PartialEq + sealed::Sealed {
    #[doc(hidden)]
    const KIND: ObjectKind;
    #[doc(hidden)]
    fn to_bits(self) -> u64;
    #[doc(hidden)]
    fn from_bits(bits: u64) -> Self;
    #[doc(hidden)]
    fn wrapping_sum(self, more: Self) -> Self;
}

macro_rules! atomic_value {
    ($type:ty, $kind:ident) => {
        impl sealed::Sealed for $type {}
        impl AtomicValue for $type {
            const KIND: ObjectKind = ObjectKind::$kind;
            fn to_bits(self) -> u64 {
                self as u64
            }
            fn from_bits(bits: u64) -> $type {
                bits as $type
            }
            fn wrapping_sum(self, more: $type) -> $type {
                self.wrapping_add(more)
            }
        }
    };
}

atomic_value!(u32, AtomicU32);
atomic_value!(u64, AtomicU64);
atomic_value!(i64, AtomicI64);

/// An atomic integer in a region. All operations are sequentially consistent.
pub struct Atomic<T: AtomicValue> {
    object: Object<AtomicRecord>,
    value: PhantomData<fn() -> T>,
}

impl Region {
    /// The atomic `u32` of this name, created with `initial` when it is missing.
    ///
    /// Errors: `WrongKind` (also for another integer type), `InvalidName`, `NoSpace`, `ReadOnly`, `Closed`.
    pub fn atomic_u32(&self, name: &str, initial: u32) -> Result<Atomic<u32>> {
        Atomic::open(self, name, initial)
    }

    /// The atomic `u64` of this name, created with `initial` when it is missing. Errors: as [`Region::atomic_u32`].
    pub fn atomic_u64(&self, name: &str, initial: u64) -> Result<Atomic<u64>> {
        Atomic::open(self, name, initial)
    }

    /// The atomic `i64` of this name, created with `initial` when it is missing. Errors: as [`Region::atomic_u32`].
    pub fn atomic_i64(&self, name: &str, initial: i64) -> Result<Atomic<i64>> {
        Atomic::open(self, name, initial)
    }
}

const WAIT: &str = "wait for atomic";

impl<T: AtomicValue> Atomic<T> {
    fn open(region: &Region, name: &str, initial: T) -> Result<Atomic<T>> {
        let object = Object::open(region, "open atomic", name, &Shape::plain(T::KIND), |payload| {
            payload.shared::<AtomicRecord>(0)?.value.store(initial.to_bits(), SeqCst);
            Ok(())
        })?;
        Ok(Atomic { object, value: PhantomData })
    }

    /// The value now.
    #[inline]
    pub fn load(&self) -> T {
        T::from_bits(self.word().load(SeqCst))
    }

    /// Replaces the value.
    #[inline]
    pub fn store(&self, value: T) {
        self.word().store(value.to_bits(), SeqCst);
    }

    /// Replaces the value and returns the old one.
    #[inline]
    pub fn swap(&self, value: T) -> T {
        T::from_bits(self.word().swap(value.to_bits(), SeqCst))
    }

    /// Adds, wrapping around at the type's limit, and returns the old value.
    #[inline]
    pub fn add(&self, more: T) -> T {
        if T::KIND != ObjectKind::AtomicU32 {
            return T::from_bits(self.word().fetch_add(more.to_bits(), SeqCst));
        }
        // The upper half stays 0, so that every language may read the value as it likes.
        let mut old = self.load();
        loop {
            match self.compare_exchange(old, old.wrapping_sum(more)) {
                Ok(old) => return old,
                Err(now) => old = now,
            }
        }
    }

    /// Replaces the value if it is `current`. The old value, as `Ok` if it was replaced and as `Err` if not.
    #[inline]
    pub fn compare_exchange(&self, current: T, new: T) -> std::result::Result<T, T> {
        self.word()
            .compare_exchange(current.to_bits(), new.to_bits(), SeqCst, SeqCst)
            .map(T::from_bits)
            .map_err(T::from_bits)
    }

    /// Sleeps while the value is `value`, as `wait` says. Who changes it calls [`Atomic::notify_one`] or
    /// [`Atomic::notify_all`] after; a change without is noticed within 16 ms.
    ///
    /// Errors: `Timeout`, `Interrupted`, `Closed`.
    pub fn wait(&self, value: T, wait: &Wait) -> Result<()> {
        self.object.expect_open(WAIT)?;
        let mut sleeper = Sleeper::new(wait);
        while self.load() == value {
            let watched = signal::watch(self.signal());
            if self.load() != value {
                break;
            }
            signal::sleep(self.signal(), watched, &mut sleeper, self.object.memory())
                .map_err(|stop| self.object.error(stop.into(), WAIT))?;
        }
        Ok(())
    }

    /// As [`Atomic::wait`], for at most this long.
    pub fn wait_timeout(&self, value: T, timeout: Duration) -> Result<()> {
        self.wait(value, &Wait::timeout(timeout))
    }

    /// Wakes one waiter, after a change.
    #[inline]
    pub fn notify_one(&self) {
        signal::notify(self.signal(), false, self.object.memory());
    }

    /// Wakes all waiters, after a change.
    #[inline]
    pub fn notify_all(&self) {
        signal::notify(self.signal(), true, self.object.memory());
    }

    /// The word that holds the value: the whole of it for a 64-bit type, its low half for a 32-bit one.
    #[inline]
    pub fn word(&self) -> &AtomicU64 {
        &self.object.value
    }

    /// The word that waiters sleep on: while `WORD_WAITERS` is not set, a notification does nothing.
    #[inline]
    pub fn signal(&self) -> &AtomicU32 {
        &self.object.signal
    }

    /// The name in its region.
    pub fn name(&self) -> &str {
        self.object.name()
    }

    /// Whether this handle was closed.
    pub fn is_closed(&self) -> bool {
        self.object.is_closed()
    }

    /// Ends the use of this handle; repeating it does nothing. After it, the value reads as 0 once the process has closed
    /// everything of the region.
    pub fn close(&self) -> Result<()> {
        self.object.close("close atomic", None, |_| false)
    }
}
