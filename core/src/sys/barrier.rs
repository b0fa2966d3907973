//! A memory barrier of which one side is free: what it costs, the rare side pays, in a system call (membarrier(2)).
//!
//! A thread that has stored, and called [`light`], and then loads, either sees what another thread stored before it called
//! [`heavy`], or its own store is seen by that thread behind [`heavy`]. On kernels without the call [`light`] is a fence.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU8, compiler_fence, fence};

// linux/membarrier.h; the libc crate does not have them.
const PRIVATE_EXPEDITED: i32 = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: i32 = 1 << 4;

const UNKNOWN: u8 = 0;
const BY_KERNEL: u8 = 1;
const BY_FENCES: u8 = 2;

/// How [`light`] is made up for. Set once, before the first [`light`] that somebody relies on.
static MEANS: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Finds out what the kernel can do. Without it, fences are used.
pub fn prepare() {
    if MEANS.load(Relaxed) == UNKNOWN {
        let means = if call(REGISTER_PRIVATE_EXPEDITED) { BY_KERNEL } else { BY_FENCES };
        let _ = MEANS.compare_exchange(UNKNOWN, means, SeqCst, Relaxed);
    }
}

/// The frequent side.
#[inline]
pub fn light() {
    if MEANS.load(Relaxed) == BY_KERNEL { compiler_fence(SeqCst) } else { fence(SeqCst) }
}

/// The rare side. `false`: the kernel refused, and nothing is known of other threads.
pub fn heavy() -> bool {
    fence(SeqCst);
    // Registered again if need be: a process image may have lost it.
    MEANS.load(Relaxed) != BY_KERNEL
        || call(PRIVATE_EXPEDITED)
        || call(REGISTER_PRIVATE_EXPEDITED) && call(PRIVATE_EXPEDITED)
}

fn call(command: i32) -> bool {
    // SAFETY: takes numbers.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}
