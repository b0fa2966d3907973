//! The one door to atomics, so that a model checker can stand in for the machine (`--cfg loom`).

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};

#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Orders everything before against everything after, for the model checker only: it takes a sequentially consistent
/// access for an acquire-release one, where the machine and the language order all such accesses among themselves.
#[inline]
pub fn model_fence() {
    #[cfg(loom)]
    loom::sync::atomic::fence(Ordering::SeqCst);
}
