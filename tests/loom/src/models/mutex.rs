//! The mutex.

use std::time::Duration;

use loom::sync::Arc;
use loom::thread;

use super::{Guarded, Interrupted, Kernel, me, model, processes};
use crate::atomic::Ordering::Relaxed;
use crate::layout::OwnerWord;
use crate::protocol::party::Acquired;
use crate::protocol::wait::Wait;
use crate::protocol::word;

#[test]
fn a_mutex_lets_one_in_and_loses_no_wake_up() {
    model(|| {
        let (lock, data, kernel) = (Arc::new(OwnerWord::default()), Guarded::new(), Kernel::new(&[], false));
        let seen = Arc::clone(&data);
        processes(2, move |index| {
            for _ in 0..2 {
                assert_eq!(word::lock(&lock, me(index), &*kernel, &Wait::FOREVER), Ok(Acquired::Clean));
                data.increment();
                assert!(word::unlock(&lock, me(index), 1, &*kernel));
            }
        });
        assert_eq!(seen.get(), 4);
    });
}

#[test]
fn three_processes_take_turns_at_a_mutex() {
    model(|| {
        let (lock, data, kernel) = (Arc::new(OwnerWord::default()), Guarded::new(), Kernel::new(&[], false));
        processes(3, move |index| {
            assert_eq!(word::lock(&lock, me(index), &*kernel, &Wait::FOREVER), Ok(Acquired::Clean));
            data.increment();
            assert!(word::unlock(&lock, me(index), 1, &*kernel));
        });
    });
}

#[test]
fn one_who_gives_up_leaves_the_mutex_to_the_others() {
    model(|| {
        let lock = Arc::new(OwnerWord::default());
        let kernel = Kernel::new(&[], false);
        let (other_lock, other_kernel) = (Arc::clone(&lock), Arc::clone(&kernel));
        assert!(word::try_lock(&lock, me(0), &*kernel).is_some());
        let patient = thread::spawn(move || {
            assert!(word::lock(&other_lock, me(1), &*other_kernel, &Wait::FOREVER).is_ok());
            assert!(word::unlock(&other_lock, me(1), 1, &*other_kernel));
        });
        let (other_lock, other_kernel) = (Arc::clone(&lock), Arc::clone(&kernel));
        let hasty = thread::spawn(move || {
            // Past its deadline: it may announce itself and leave at any point.
            if word::lock(&other_lock, me(2), &*other_kernel, &Wait::timeout(Duration::ZERO)).is_ok() {
                assert!(word::unlock(&other_lock, me(2), 1, &*other_kernel));
            }
        });
        assert!(word::unlock(&lock, me(0), 1, &*kernel));
        patient.join().unwrap();
        hasty.join().unwrap();
    });
}

#[test]
fn one_of_two_heirs_takes_a_dead_owners_mutex_and_both_are_told() {
    model(|| {
        let (lock, data) = (Arc::new(OwnerWord::default()), Guarded::new());
        let kernel = Kernel::new(&[me(7)], false);
        lock.word.store(me(7), Relaxed);
        let seen = Arc::clone(&lock);
        processes(2, move |index| {
            let acquired = word::lock(&lock, me(index), &*kernel, &Wait::FOREVER);
            assert_eq!(acquired, Ok(Acquired::OwnerDied), "nobody has made it consistent");
            data.increment();
            assert!(word::unlock(&lock, me(index), 1, &*kernel));
        });
        assert_eq!(seen.deaths.load(Relaxed), 1, "the word of the dead was taken once");
    });
}

#[test]
fn a_wake_up_that_an_interrupted_waiter_used_up_goes_to_the_next() {
    model(|| {
        let lock = Arc::new(OwnerWord::default());
        let kernel = Kernel::new(&[], false);
        assert!(word::try_lock(&lock, me(0), &*kernel).is_some());
        let (other_lock, other_kernel) = (Arc::clone(&lock), Arc::clone(&kernel));
        let patient = thread::spawn(move || {
            assert!(word::lock(&other_lock, me(1), &*other_kernel, &Wait::FOREVER).is_ok());
            assert!(word::unlock(&other_lock, me(1), 1, &*other_kernel));
        });
        let (other_lock, interrupted) = (Arc::clone(&lock), Interrupted(Arc::clone(&kernel)));
        let hasty = thread::spawn(move || {
            if word::lock(&other_lock, me(2), &interrupted, &Wait::forever().interruptible()).is_ok() {
                assert!(word::unlock(&other_lock, me(2), 1, &interrupted));
            }
        });
        assert!(word::unlock(&lock, me(0), 1, &*kernel));
        // Whoever takes it at once does not know that somebody sleeps.
        if word::try_lock(&lock, me(0), &*kernel).is_some() {
            assert!(word::unlock(&lock, me(0), 1, &*kernel));
        }
        patient.join().unwrap();
        hasty.join().unwrap();
    });
}

#[test]
fn an_heir_sees_what_was_done_before_the_dead_took_the_mutex() {
    model(|| {
        let (lock, data, kernel) =
            (Arc::new(OwnerWord::default()), Guarded::new(), Kernel::new(&[me(7)], false));
        processes(2, move |index| {
            let acquired = word::lock(&lock, me(index), &*kernel, &Wait::FOREVER);
            assert!(acquired.is_ok());
            data.increment();
            assert!(word::unlock(&lock, me(index), 1, &*kernel));
            if index == 1 {
                // One that dies with the lock, having touched nothing.
                assert!(word::lock(&lock, me(7), &*kernel, &Wait::FOREVER).is_ok());
            }
        });
    });
}
