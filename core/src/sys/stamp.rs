//! Time stamps for things that happen every few dozen nanoseconds.
//!
//! Reading the clock costs several times as much as reading the processor's own counter, and most of a short log record. So
//! each thread asks the clock at most once a millisecond and counts on from there. Invariants:
//! - Only where the kernel itself keeps time by that counter: then it runs evenly, and the same on all processors.
//! - A counter that ran backward, or further than a millisecond, leads to the clock.
//! - A reading of both, clock and counter, counts only if nothing came between the two.

#[cfg(target_arch = "x86_64")]
pub use counter::now_ns;

#[cfg(not(target_arch = "x86_64"))]
pub use super::clock::realtime_ns as now_ns;

#[cfg(target_arch = "x86_64")]
mod counter {
    use std::cell::Cell;
    use std::ptr::null_mut;
    use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
    use std::sync::atomic::{AtomicPtr, AtomicU64};

    use crate::sys::clock::{monotonic_ns, realtime_ns};

    /// Nanoseconds of 2^32 counts; 0: not known yet.
    static RATE: AtomicU64 = AtomicU64::new(0);

    #[derive(Clone, Copy)]
    struct Anchor {
        counter: u64,
        ns: u64,
        /// For how many counts it serves.
        counts: u64,
        rate: u64,
    }

    thread_local! {
        static ANCHOR: Cell<Anchor> = const { Cell::new(Anchor { counter: 0, ns: 0, counts: 0, rate: 0 }) };
    }

    /// CLOCK_REALTIME, nanoseconds since 1970.
    #[inline]
    pub fn now_ns() -> u64 {
        ANCHOR.with(|cell| {
            let anchor = cell.get();
            let since = read_counter().wrapping_sub(anchor.counter);
            if since < anchor.counts { anchor.ns + scale(since, anchor.rate) } else { drop_anchor(cell) }
        })
    }

    fn read_counter() -> u64 {
        // SAFETY: every processor of this architecture has the instruction.
        unsafe { std::arch::x86_64::_rdtsc() }
    }

    fn scale(counts: u64, rate: u64) -> u64 {
        ((u128::from(counts) * u128::from(rate)) >> 32) as u64
    }

    #[cold]
    fn drop_anchor(cell: &Cell<Anchor>) -> u64 {
        let (counter, ns) = both(realtime_ns);
        let rate = rate();
        if let Some(counter) = counter.filter(|_| rate > 0) {
            // As many counts as make a millisecond.
            let counts = ((1_000_000 << 32) / u128::from(rate)) as u64;
            cell.set(Anchor { counter, ns, counts, rate });
        }
        ns
    }

    /// A clock, and the counter at that moment if nothing came between.
    fn both(clock: fn() -> u64) -> (Option<u64>, u64) {
        /// Counts: some microseconds at any speed that there is.
        const CLOSE: u64 = 1_000;
        let before = read_counter();
        let ns = clock();
        let after = read_counter();
        (Some(before).filter(|_| after.wrapping_sub(before) < CLOSE), ns)
    }

    /// The counter's rate, once it was watched for long enough; 0 before that, and where it is not what the kernel trusts.
    fn rate() -> u64 {
        /// The two readings are off by less than a microsecond each: a few parts in 10^5, so 30 ns in a millisecond.
        const LONG_NS: u64 = 5_000_000;
        let known = RATE.load(Relaxed);
        if known > 0 {
            return known;
        }
        let Some((counter, ns)) = begun() else { return 0 };
        let (Some(counter_now), ns_now) = both(monotonic_ns) else { return 0 };
        let (counts, elapsed_ns) = (counter_now.wrapping_sub(counter), ns_now.saturating_sub(ns));
        if elapsed_ns < LONG_NS || counts == 0 {
            return 0;
        }
        let rate = (u128::from(elapsed_ns) << 32) / u128::from(counts);
        // From 100 MHz to 40 GHz; anything else is no rate.
        let rate = u64::try_from(rate).ok().filter(|rate| (1 << 27..10 << 32).contains(rate)).unwrap_or(0);
        RATE.store(rate, Relaxed);
        rate
    }

    /// Where the watch began: the counter and the clock; `None` where the counter is not trusted.
    ///
    /// No `OnceLock`: a child that is forked while another thread fills one would wait for that thread, which it does not have.
    fn begun() -> Option<(u64, u64)> {
        static BEGUN: AtomicPtr<Option<(u64, u64)>> = AtomicPtr::new(null_mut());
        let mut found = BEGUN.load(Acquire);
        if found.is_null() {
            let (counter, ns) = both(monotonic_ns);
            let own = Box::into_raw(Box::new(counter.filter(|_| is_trusted()).map(|counter| (counter, ns))));
            found = match BEGUN.compare_exchange(null_mut(), own, AcqRel, Acquire) {
                Ok(_) => own,
                Err(others) => {
                    // SAFETY: ours, and nobody else has seen it.
                    drop(unsafe { Box::from_raw(own) });
                    others
                }
            };
        }
        // SAFETY: what is in there stays, and never changes.
        unsafe { *found }
    }

    fn is_trusted() -> bool {
        let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        std::fs::read_to_string(source).is_ok_and(|name| name.trim_ascii_end() == "tsc")
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn stamps_keep_to_the_clock() {
            let begun = realtime_ns();
            while realtime_ns() < begun + 200_000_000 {
                let (before, stamp, after) = (realtime_ns(), now_ns(), realtime_ns());
                // A stamp may be off by what the rate is off in a millisecond; a clock that is slewed adds to that.
                assert!(stamp + 20_000 > before && stamp < after + 20_000, "{before} {stamp} {after}");
            }
            assert!(!is_trusted() || RATE.load(Relaxed) > 0, "it learnt the rate");
        }
    }
}
