//! The barrier.

use std::time::Duration;

use loom::sync::Arc;

use super::{Guarded, Kernel, me, model, processes};
use crate::atomic::Ordering::{Relaxed, SeqCst};
use crate::atomic::{AtomicU32, AtomicU64};
use crate::layout::BarrierRecord;
use crate::protocol::barrier::{BarrierWords, Passed};
use crate::protocol::wait::Wait;

#[test]
fn all_leave_a_barrier_and_one_of_them_leads() {
    model(|| {
        let record = Arc::new(BarrierRecord::default());
        record.parties.store(2, Relaxed);
        let arrivals: Arc<Vec<AtomicU64>> = Arc::new(vec![AtomicU64::new(0), AtomicU64::new(0)]);
        let (leaders, kernel) = (Arc::new(AtomicU32::new(0)), Kernel::new(&[], false));
        let (before, total) = ([Guarded::new(), Guarded::new()], Arc::clone(&leaders));
        processes(2, move |index| {
            before[index as usize].increment();
            let words = BarrierWords { record: &record, arrivals: &arrivals, members: &[] };
            let passed = words.wait(me(index), &*kernel, &Wait::FOREVER);
            assert_eq!(before.each_ref().map(|data| data.get()), [1, 1], "what was done before is seen");
            match passed {
                Ok(Passed::Leader) => drop(leaders.fetch_add(1, SeqCst)),
                other => assert_eq!(other, Ok(Passed::Follower)),
            }
        });
        assert_eq!(total.load(SeqCst), 1);
    });
}

#[test]
fn who_stops_waiting_at_a_barrier_has_not_been_counted() {
    model(|| {
        let record = Arc::new(BarrierRecord::default());
        record.parties.store(2, Relaxed);
        let arrivals: Arc<Vec<AtomicU64>> = Arc::new(vec![AtomicU64::new(0), AtomicU64::new(0)]);
        let (passed, kernel) = (Arc::new(AtomicU32::new(0)), Kernel::new(&[], false));
        let (total, seen) = (Arc::clone(&passed), Arc::clone(&arrivals));
        processes(2, move |index| {
            let words = BarrierWords { record: &record, arrivals: &arrivals, members: &[] };
            // Past its deadline: it arrives, and leaves at once unless the other has come.
            if words.wait(me(index), &*kernel, &Wait::timeout(Duration::ZERO)).is_ok() {
                passed.fetch_add(1, SeqCst);
            }
        });
        assert_ne!(total.load(SeqCst), 1, "both or none");
        assert!(seen.iter().all(|mark| mark.load(SeqCst) as u32 == 0), "nobody is left behind");
    });
}

#[test]
fn all_of_a_round_leave_a_barrier_with_the_same_answer_although_it_breaks() {
    model(|| {
        let record = Arc::new(BarrierRecord::default());
        record.parties.store(2, Relaxed);
        let arrivals: Arc<Vec<AtomicU64>> = Arc::new((0..3).map(|_| AtomicU64::new(0)).collect());
        let (broken, kernel) = (Arc::new(AtomicU32::new(0)), Kernel::new(&[], false));
        let total = Arc::clone(&broken);
        processes(3, move |index| {
            let words = BarrierWords { record: &record, arrivals: &arrivals, members: &[] };
            if index == 2 {
                words.break_it(me(2), &*kernel);
            } else if words.wait(me(index), &*kernel, &Wait::FOREVER) == Ok(Passed::Broken) {
                broken.fetch_add(1, SeqCst);
            }
        });
        assert_ne!(total.load(SeqCst), 1, "both or none");
    });
}
