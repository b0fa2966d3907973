//! Notifications: of a condition variable, and of an atomic that changed.

use loom::sync::Arc;
use loom::thread;

use super::{Guarded, Kernel, me, model, processes};
use crate::atomic::Ordering::SeqCst;
use crate::atomic::{AtomicU32, AtomicU64};
use crate::layout::{OwnerWord, WordRecord};
use crate::protocol::wait::{Sleeper, Wait};
use crate::protocol::{condvar, signal, word};

#[test]
fn each_of_two_notifications_reaches_one_of_two() {
    model(|| {
        let (word, kernel) = (Arc::new(AtomicU32::new(0)), Kernel::new(&[], false));
        let watching = Arc::new(AtomicU32::new(0));
        let (other_word, other_kernel, other_watching) =
            (Arc::clone(&word), Arc::clone(&kernel), Arc::clone(&watching));
        let sleep = move || {
            let watched = signal::watch(&other_word);
            other_watching.fetch_add(1, SeqCst);
            let mut sleeper = Sleeper::new(&Wait::FOREVER);
            while signal::sleep(&other_word, watched, &mut sleeper, &*other_kernel) != Ok(true) {}
        };
        let sleepers = [thread::spawn(sleep.clone()), thread::spawn(sleep)];
        while watching.load(SeqCst) < 2 {
            thread::yield_now();
        }
        signal::notify(&word, false, &*kernel);
        signal::notify(&word, false, &*kernel);
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
    });
}

#[test]
fn a_notification_under_the_mutex_is_not_lost() {
    model(|| {
        let (mutex, condition) = (Arc::new(OwnerWord::default()), Arc::new(WordRecord::default()));
        let (data, kernel) = (Guarded::new(), Kernel::new(&[], false));
        processes(2, move |index| {
            assert!(word::lock(&mutex, me(index), &*kernel, &Wait::FOREVER).is_ok());
            if index == 0 {
                data.increment();
                signal::notify(&condition.word, false, &*kernel);
            } else {
                while data.get() == 0 {
                    assert!(
                        condvar::wait(&condition.word, &mutex, me(1), &*kernel, &Wait::FOREVER).is_some()
                    );
                }
            }
            assert!(word::unlock(&mutex, me(index), 1, &*kernel));
        });
    });
}

#[test]
fn a_notification_after_the_mutex_is_not_lost() {
    model(|| {
        let (mutex, condition) = (Arc::new(OwnerWord::default()), Arc::new(WordRecord::default()));
        let (data, kernel) = (Guarded::new(), Kernel::new(&[], false));
        processes(2, move |index| {
            assert!(word::lock(&mutex, me(index), &*kernel, &Wait::FOREVER).is_ok());
            if index == 0 {
                data.increment();
                assert!(word::unlock(&mutex, me(0), 1, &*kernel));
                signal::notify(&condition.word, true, &*kernel);
                return;
            }
            while data.get() == 0 {
                assert!(condvar::wait(&condition.word, &mutex, me(1), &*kernel, &Wait::FOREVER).is_some());
            }
            assert!(word::unlock(&mutex, me(1), 1, &*kernel));
        });
    });
}

#[test]
fn turns_taken_over_a_condvar_lose_no_notification() {
    model(|| {
        let (mutex, condition) = (Arc::new(OwnerWord::default()), Arc::new(WordRecord::default()));
        let (data, kernel) = (Guarded::new(), Kernel::new(&[], false));
        // Both wait, both notify: 0 → 1 → 2 → 3.
        processes(2, move |index| {
            for turn in [index, index + 2] {
                assert!(word::lock(&mutex, me(index), &*kernel, &Wait::FOREVER).is_ok());
                while data.get() != turn {
                    let woken = condvar::wait(&condition.word, &mutex, me(index), &*kernel, &Wait::FOREVER);
                    assert!(woken.is_some());
                }
                data.increment();
                assert!(word::unlock(&mutex, me(index), 1, &*kernel));
                signal::notify(&condition.word, false, &*kernel);
            }
        });
    });
}

#[test]
fn a_change_of_an_atomic_is_not_overslept() {
    model(|| {
        let (value, signal_word) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU32::new(0)));
        let kernel = Kernel::new(&[], false);
        processes(2, move |index| {
            if index == 0 {
                value.store(1, SeqCst);
                signal::notify(&signal_word, true, &*kernel);
                return;
            }
            let mut sleeper = Sleeper::new(&Wait::FOREVER);
            while value.load(SeqCst) == 0 {
                let watched = signal::watch(&signal_word);
                if value.load(SeqCst) != 0 {
                    break;
                }
                signal::sleep(&signal_word, watched, &mut sleeper, &*kernel).unwrap();
            }
        });
    });
}
