//! The reader–writer lock.

use loom::sync::Arc;

use super::{Guarded, Kernel, me, model, processes};
use crate::atomic::Ordering::Relaxed;
use crate::layout::{Mark, RwLockRecord};
use crate::protocol::owner::owner_id;
use crate::protocol::party::Acquired;
use crate::protocol::rwlock::RwLockWords;
use crate::protocol::wait::Wait;

struct RwLock {
    record: RwLockRecord,
    marks: Vec<Mark>,
}

impl RwLock {
    fn new() -> Arc<RwLock> {
        Arc::new(RwLock { record: RwLockRecord::default(), marks: vec![Mark::default(), Mark::default()] })
    }
    fn words(&self) -> RwLockWords<'_> {
        RwLockWords { record: &self.record, marks: &self.marks }
    }
}

#[test]
fn a_writer_and_a_reader_exclude_each_other() {
    model(|| {
        let (lock, data, kernel) = (RwLock::new(), Guarded::new(), Kernel::new(&[], false));
        processes(2, move |index| {
            if index == 0 {
                assert_eq!(lock.words().write(me(0), &*kernel, &Wait::FOREVER), Ok(Acquired::Clean));
                data.increment();
                assert!(lock.words().write_unlock(me(0), &*kernel));
            } else {
                assert_eq!(lock.words().read(me(1), &*kernel, &Wait::FOREVER), Ok(Acquired::Clean));
                data.get();
                assert!(lock.words().read_unlock(me(1), &*kernel));
            }
        });
    });
}

#[test]
fn a_writer_that_leaves_wakes_all_readers() {
    model(|| {
        let (lock, kernel) = (RwLock::new(), Kernel::new(&[], false));
        assert_eq!(lock.words().write(me(2), &*kernel, &Wait::FOREVER), Ok(Acquired::Clean));
        processes(3, move |index| {
            if index == 0 {
                assert!(lock.words().write_unlock(me(2), &*kernel));
            } else {
                assert!(lock.words().read(me(index - 1), &*kernel, &Wait::FOREVER).is_ok());
            }
        });
    });
}

#[test]
fn a_writer_that_replaces_a_dead_one_and_a_reader_exclude_each_other() {
    model(|| {
        let (lock, data, kernel) = (RwLock::new(), Guarded::new(), Kernel::new(&[me(7)], false));
        lock.record.writer.word.store(me(7), Relaxed);
        processes(2, move |index| {
            if index == 0 {
                assert_eq!(lock.words().write(me(0), &*kernel, &Wait::FOREVER), Ok(Acquired::OwnerDied));
                data.increment();
                assert!(lock.words().write_unlock(me(0), &*kernel));
            } else {
                assert_eq!(lock.words().read(me(1), &*kernel, &Wait::FOREVER), Ok(Acquired::OwnerDied));
                data.get();
                assert!(lock.words().read_unlock(me(1), &*kernel));
            }
        });
    });
}

#[test]
fn two_writers_exclude_each_other() {
    model(|| {
        let (lock, data, kernel) = (RwLock::new(), Guarded::new(), Kernel::new(&[], false));
        processes(2, move |index| {
            assert_eq!(lock.words().write(me(index), &*kernel, &Wait::FOREVER), Ok(Acquired::Clean));
            data.increment();
            assert!(lock.words().write_unlock(me(index), &*kernel));
        });
    });
}

#[test]
fn a_writer_that_only_tries_lets_readers_go_on() {
    model(|| {
        let (lock, data, kernel) = (RwLock::new(), Guarded::new(), Kernel::new(&[], false));
        processes(2, move |index| {
            if index == 0 {
                if lock.words().try_write(me(0), &*kernel).is_some() {
                    data.increment();
                    assert!(lock.words().write_unlock(me(0), &*kernel));
                }
            } else {
                assert!(lock.words().read(me(1), &*kernel, &Wait::FOREVER).is_ok());
                data.get();
                assert!(lock.words().read_unlock(me(1), &*kernel));
            }
        });
    });
}

#[test]
fn a_dead_reader_does_not_stop_a_writer_and_a_dead_writer_no_reader() {
    model(|| {
        let (lock, kernel) = (RwLock::new(), Kernel::new(&[me(7), owner_id(0, 5)], false));
        // Slot 0 has a mark of a dead generation; the word has a dead writer that was inside.
        lock.marks[0].value.store(5 << 32 | 1, Relaxed);
        lock.record.writer.word.store(me(7), Relaxed);
        // The marks of the dead are asked about when a slice runs out, which the model ends at once.
        lock.record.drain.store(me(7), Relaxed);
        let acquired = lock.words().write(me(1), &*kernel, &Wait::FOREVER);
        assert_eq!(acquired, Ok(Acquired::OwnerDied));
        assert!(lock.words().write_unlock(me(1), &*kernel));
        assert_eq!(lock.words().read(me(1), &*kernel, &Wait::FOREVER), Ok(Acquired::OwnerDied));
    });
}
