//! Semaphores, plain and tracked.

use loom::sync::Arc;

use super::{Guarded, Interrupted, Kernel, me, model, processes};
use crate::atomic::Ordering::{Relaxed, SeqCst};
use crate::atomic::{AtomicU32, AtomicU64};
use crate::layout::{SEMAPHORE_MAX, TrackedRecord};
use crate::protocol::semaphore;
use crate::protocol::tracked::TrackedWords;
use crate::protocol::wait::Wait;

#[test]
fn a_permit_reaches_the_one_who_waits() {
    model(|| {
        let (word, data, kernel) = (Arc::new(AtomicU32::new(0)), Guarded::new(), Kernel::new(&[], false));
        processes(2, move |index| {
            if index == 0 {
                data.increment();
                assert!(semaphore::release(&word, 1, SEMAPHORE_MAX, &*kernel));
            } else {
                assert_eq!(semaphore::acquire(&word, &*kernel, &Wait::FOREVER), Ok(()));
                assert_eq!(data.get(), 1);
            }
        });
    });
}

#[test]
fn two_permits_reach_two_who_wait() {
    model(|| {
        let (word, kernel) = (Arc::new(AtomicU32::new(0)), Kernel::new(&[], false));
        processes(3, move |index| {
            if index == 0 {
                assert!(semaphore::release(&word, 1, SEMAPHORE_MAX, &*kernel));
                assert!(semaphore::release(&word, 1, SEMAPHORE_MAX, &*kernel));
            } else {
                assert_eq!(semaphore::acquire(&word, &*kernel, &Wait::FOREVER), Ok(()));
            }
        });
    });
}

#[test]
fn an_interrupted_waiter_leaves_the_permit_to_the_next() {
    model(|| {
        let (word, kernel) = (Arc::new(AtomicU32::new(0)), Kernel::new(&[], true));
        let permits = Arc::clone(&word);
        let taken = Arc::new(AtomicU32::new(0));
        let total = Arc::clone(&taken);
        processes(2, move |index| {
            if index == 0 {
                assert!(semaphore::release(&word, 1, SEMAPHORE_MAX, &*kernel));
            } else if semaphore::acquire(&word, &*kernel, &Wait::forever().interruptible()) == Ok(()) {
                taken.store(1, SeqCst);
            }
        });
        assert_eq!(semaphore::permits(permits.load(SeqCst)) + total.load(SeqCst), 1);
    });
}

#[test]
fn a_permit_whose_wake_up_an_interrupted_waiter_used_up_goes_to_the_next() {
    model(|| {
        let (word, kernel) = (Arc::new(AtomicU32::new(0)), Kernel::new(&[], false));
        processes(3, move |index| match index {
            0 => assert!(semaphore::release(&word, 1, SEMAPHORE_MAX, &*kernel)),
            1 => {
                assert_eq!(semaphore::acquire(&word, &*kernel, &Wait::FOREVER), Ok(()));
                assert!(semaphore::release(&word, 1, SEMAPHORE_MAX, &*kernel));
            }
            _ => {
                let interrupted = Interrupted(Arc::clone(&kernel));
                if semaphore::acquire(&word, &interrupted, &Wait::forever().interruptible()).is_ok() {
                    assert!(semaphore::release(&word, 1, SEMAPHORE_MAX, &*kernel));
                }
            }
        });
    });
}

#[test]
fn a_tracked_permit_goes_from_hand_to_hand() {
    model(|| {
        let record = Arc::new(TrackedRecord::default());
        record.capacity.store(1, Relaxed);
        record.available.store(1, Relaxed);
        let marks: Arc<Vec<AtomicU64>> = Arc::new(vec![AtomicU64::new(0), AtomicU64::new(0)]);
        let (data, kernel) = (Guarded::new(), Kernel::new(&[], false));
        processes(2, move |index| {
            let words = TrackedWords { record: &record, marks: &marks };
            assert_eq!(words.acquire(me(index), &*kernel, &Wait::FOREVER), Ok(()));
            data.increment();
            assert_eq!(words.release(1, me(index), &*kernel, &Wait::FOREVER), Ok(true));
        });
    });
}
