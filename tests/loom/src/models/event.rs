//! Events.

use loom::sync::Arc;
use loom::thread;

use super::{Guarded, Interrupted, Kernel, model, processes};
use crate::atomic::AtomicU32;
use crate::atomic::Ordering::SeqCst;
use crate::protocol::event;
use crate::protocol::wait::Wait;

#[test]
fn an_event_reaches_its_waiter_with_what_was_done_before() {
    for automatic in [false, true] {
        model(move || {
            let (word, data) = (Arc::new(AtomicU32::new(0)), Guarded::new());
            let kernel = Kernel::new(&[], false);
            processes(2, move |index| {
                if index == 0 {
                    data.increment();
                    event::set(&word, automatic, &*kernel);
                } else {
                    assert_eq!(event::wait(&word, automatic, &*kernel, &Wait::FOREVER), Ok(()));
                    assert_eq!(data.get(), 1);
                }
            });
        });
    }
}

#[test]
fn a_manual_event_that_is_reset_at_once_still_lets_its_waiter_go() {
    model(|| {
        let (word, kernel) = (Arc::new(AtomicU32::new(0)), Kernel::new(&[], false));
        let (other, other_kernel) = (Arc::clone(&word), Arc::clone(&kernel));
        let since = word.load(SeqCst);
        let setter = thread::spawn(move || {
            event::set(&other, false, &*other_kernel);
            event::reset(&other);
        });
        // A waiter that began before the set, whenever it looks.
        assert_eq!(event::wait_since(&word, since, false, &*kernel, &Wait::FOREVER), Ok(()));
        setter.join().unwrap();
    });
}

#[test]
fn an_automatic_event_set_twice_lets_two_go() {
    model(|| {
        let (word, kernel) = (Arc::new(AtomicU32::new(0)), Kernel::new(&[], false));
        let (first, first_kernel) = (Arc::clone(&word), Arc::clone(&kernel));
        let waiter = thread::spawn(move || {
            assert_eq!(event::wait(&first, true, &*first_kernel, &Wait::FOREVER), Ok(()));
            event::set(&first, true, &*first_kernel);
        });
        event::set(&word, true, &*kernel);
        waiter.join().unwrap();
        assert!(event::try_wait(&word, true));
    });
}

#[test]
fn an_automatic_event_whose_wake_up_an_interrupted_waiter_used_up_goes_to_the_next() {
    model(|| {
        let (word, kernel) = (Arc::new(AtomicU32::new(0)), Kernel::new(&[], false));
        processes(3, move |index| match index {
            0 => event::set(&word, true, &*kernel),
            1 => {
                assert_eq!(event::wait(&word, true, &*kernel, &Wait::FOREVER), Ok(()));
                event::set(&word, true, &*kernel);
            }
            _ => {
                let interrupted = Interrupted(Arc::clone(&kernel));
                if event::wait(&word, true, &interrupted, &Wait::forever().interruptible()).is_ok() {
                    event::set(&word, true, &*kernel);
                }
            }
        });
    });
}

#[test]
fn an_automatic_event_that_is_passed_on_reaches_both_who_wait() {
    model(|| {
        let (word, data, kernel) = (Arc::new(AtomicU32::new(0)), Guarded::new(), Kernel::new(&[], false));
        processes(3, move |index| {
            if index != 0 {
                assert_eq!(event::wait(&word, true, &*kernel, &Wait::FOREVER), Ok(()));
            }
            // Who has the flag is alone.
            data.increment();
            event::set(&word, true, &*kernel);
        });
    });
}
