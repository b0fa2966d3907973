//! Locks and signals that survive their owners: named objects of a region, found or created by name and kind.
//!
//! Each is a handle on words in the region; what happens to the words is in [`crate::protocol`]. Ownership is the
//! process's: any thread of it may give back what another took.

mod atomic;
mod barrier;
mod condvar;
mod event;
mod mutex;
mod rwlock;
mod semaphore;

pub use atomic::{Atomic, AtomicValue};
pub use barrier::{Barrier, BarrierPassed};
pub use condvar::{Condvar, Notified, Watched};
pub use event::{Event, EventReset, EventSeen};
pub use mutex::{Mutex, MutexGuard};
pub use rwlock::{ReadGuard, RwLock, WriteGuard};
pub use semaphore::{Permit, Semaphore, SemaphoreKind, SemaphoreOptions};
