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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::time::{Duration, Instant};

    use super::*;

    const END: u32 = u32::MAX;

    fn wait_for(word: &AtomicU32, value: u32) -> u32 {
        for looks in 1.. {
            let seen = word.load(SeqCst);
            if seen == value || seen == END {
                return seen;
            }
            if looks % 1000 == 0 {
                std::thread::yield_now();
            }
        }
        END
    }

    #[test]
    fn of_two_that_store_and_look_one_sees_the_other() {
        prepare();
        let [turn, done, frequent, rare, seen] = [const { AtomicU32::new(0) }; 5];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1.. {
                    if wait_for(&turn, round) == END {
                        return;
                    }
                    frequent.store(round, Relaxed);
                    light();
                    seen.store(u32::from(rare.load(Relaxed) == round), Relaxed);
                    done.store(round, SeqCst);
                }
            });
            let begun = Instant::now();
            for round in 1.. {
                if begun.elapsed() > Duration::from_millis(300) {
                    turn.store(END, SeqCst);
                    return;
                }
                turn.store(round, SeqCst);
                // The other one hears of it a moment later: sooner or later both store at the same time.
                (0..round % 64).for_each(|_| std::hint::spin_loop());
                rare.store(round, Relaxed);
                assert!(heavy(), "registered, and so allowed");
                let saw = frequent.load(Relaxed) == round;
                wait_for(&done, round);
                if !saw && seen.load(Relaxed) == 0 {
                    turn.store(END, SeqCst);
                    panic!("neither saw the other in round {round}");
                }
            }
        });
    }
}
