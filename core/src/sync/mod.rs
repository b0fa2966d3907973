//! Locks that survive their owners. `mutex` and its siblings are pure state machines over words; [`wait`] holds what they
//! share; the region gives them memory and tells them who lives.

pub(crate) mod mutex;
pub(crate) mod wait;

pub use wait::{Acquired, Wait};
