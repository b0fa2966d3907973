//! The lock protocol: pure state machines over words in shared memory.
//!
//! Each file opens with its words and a table of what may happen to them. Nothing here maps memory or makes a system
//! call: a [`party::Party`] stands for the process, so that a model checker can play all parts (`tests/loom`). The
//! objects that users hold are in [`crate::sync`]; the region gives the words memory and says who lives.

pub(crate) mod barrier;
pub(crate) mod condvar;
pub(crate) mod event;
pub(crate) mod marks;
pub(crate) mod owner;
pub(crate) mod party;
pub(crate) mod pool;
pub(crate) mod rwlock;
pub(crate) mod semaphore;
pub(crate) mod signal;
pub(crate) mod spin;
pub(crate) mod tracked;
pub(crate) mod value;
pub(crate) mod wait;
pub(crate) mod word;
