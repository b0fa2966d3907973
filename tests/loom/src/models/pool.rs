//! The pool and the value.

use loom::sync::Arc;
use loom::thread;

use super::{Guarded, Kernel, me};
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::Relaxed;
use crate::layout::{PoolRecord, ValueRecord};
use crate::protocol::pool::{PoolShape, PoolWords, Refused};
use crate::protocol::value::ValueWords;
use crate::protocol::wait::Wait;

struct Blocks {
    record: PoolRecord,
    table: Vec<AtomicU64>,
    shape: PoolShape,
}

impl Blocks {
    fn new(count: u32) -> Arc<Blocks> {
        let shape = PoolShape::new(count);
        let table: Vec<AtomicU64> = (0..shape.words).map(|_| AtomicU64::new(0)).collect();
        let set = |word: usize, bits| {
            table[word].store(bits, Relaxed);
            Ok::<(), ()>(())
        };
        shape.fill(set).unwrap();
        Arc::new(Blocks { record: PoolRecord::default(), table, shape })
    }

    fn words(&self) -> PoolWords<'_> {
        PoolWords { record: &self.record, table: &self.table, shape: &self.shape }
    }
}

/// Beyond every block: leaves the search to the bits.
const NOWHERE: u32 = u32::MAX;

#[test]
fn a_block_has_one_owner_and_what_it_wrote_is_seen_by_the_next() {
    loom::model(|| {
        let (pool, kernel, guarded) = (Blocks::new(1), Kernel::new(&[], false), Guarded::new());
        let work = |index, pool: Arc<Blocks>, kernel: Arc<Kernel>, guarded: Arc<Guarded>| {
            let handle = pool.words().take(me(index), 0, &*kernel, &Wait::FOREVER).unwrap();
            guarded.increment();
            pool.words().free(handle, me(index), &*kernel).unwrap();
        };
        let other = {
            let (pool, kernel, guarded) = (Arc::clone(&pool), Arc::clone(&kernel), Arc::clone(&guarded));
            thread::spawn(move || work(1, pool, kernel, guarded))
        };
        work(0, Arc::clone(&pool), kernel, Arc::clone(&guarded));
        other.join().unwrap();
        assert_eq!(guarded.get(), 2);
        assert!(pool.words().try_take(me(0), NOWHERE).is_some(), "its bit is there");
    });
}

#[test]
fn a_bit_that_is_taken_away_while_its_block_is_freed_comes_back() {
    loom::model(|| {
        let (pool, kernel) = (Blocks::new(1), Kernel::new(&[], false));
        let handle = pool.words().try_take(me(0), 0).unwrap();
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.words().try_take(me(1), NOWHERE))
        };
        pool.words().free(handle, me(0), &*kernel).unwrap();
        let taken = other.join().unwrap();
        assert_eq!(pool.words().try_take(me(0), NOWHERE).is_some(), taken.is_none());
    });
}

#[test]
fn of_two_who_adopt_one_does_and_sees_what_the_publisher_wrote() {
    loom::model(|| {
        let (pool, guarded) = (Blocks::new(1), Guarded::new());
        let handle = pool.words().try_take(me(0), 0).unwrap();
        let adopt = move |index, pool: Arc<Blocks>, guarded: Arc<Guarded>| {
            let adopted = pool.words().adopt(handle, me(index));
            if adopted.is_ok() {
                guarded.increment();
            }
            adopted
        };
        let other = {
            let (pool, guarded) = (Arc::clone(&pool), Arc::clone(&guarded));
            thread::spawn(move || adopt(1, pool, guarded))
        };
        guarded.increment();
        pool.words().publish(handle, me(0)).unwrap();
        let mine = adopt(0, Arc::clone(&pool), Arc::clone(&guarded));
        let theirs = other.join().unwrap();
        assert!(mine.is_ok() != theirs.is_ok() && [mine, theirs].iter().any(|one| one.is_err()));
        assert!(mine.is_ok() || mine == Err(Refused::Stale));
    });
}

#[test]
fn a_block_of_the_dead_comes_back_once() {
    loom::model(|| {
        let dead = me(1);
        let (pool, kernel) = (Blocks::new(2), Kernel::new(&[dead], false));
        pool.words().try_take(dead, 0).unwrap();
        let other = {
            let (pool, kernel) = (Arc::clone(&pool), Arc::clone(&kernel));
            thread::spawn(move || pool.words().recover(crate::protocol::owner::owner_id(2, 1), &*kernel))
        };
        let mine = pool.words().recover(me(0), &*kernel);
        assert_eq!(mine + other.join().unwrap(), 1);
        assert!((0..2).all(|_| pool.words().try_take(me(0), NOWHERE).is_some()));
    });
}

#[test]
fn a_value_is_whole_while_others_write() {
    loom::model(|| {
        let record = Arc::new((ValueRecord::default(), [0; 4].map(AtomicU64::new)));
        let kernel = Kernel::new(&[], false);
        let writer = {
            let (record, kernel) = (Arc::clone(&record), Arc::clone(&kernel));
            thread::spawn(move || {
                let words = ValueWords { record: &record.0, copies: &record.1 };
                words.store(&[1; 16], me(1), &*kernel).unwrap();
                words.store(&[2; 16], me(1), &*kernel).unwrap();
            })
        };
        let words = ValueWords { record: &record.0, copies: &record.1 };
        let mut seen = [0; 16];
        words.load(&mut seen, me(0), &*kernel).unwrap();
        assert!(seen.iter().all(|byte| *byte == seen[0]), "torn");
        writer.join().unwrap();
        words.load(&mut seen, me(0), &*kernel).unwrap();
        assert_eq!(seen, [2; 16]);
    });
}
