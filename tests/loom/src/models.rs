//! Every interleaving (up to a bound) of a few processes on the state machines.
//!
//! Sleeps here have no time-out while nobody dies: what passes does not rest on the slices that
//! heal a killed waiter. Where somebody is dead, a sleep on its word ends at once, as if its slice had run out.

mod pool;

use std::time::Duration;

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use crate::atomic::Ordering::{Relaxed, SeqCst};
use crate::atomic::{AtomicU32, AtomicU64};
use crate::layout::{BarrierRecord, Mark, OwnerWord, RwLockRecord, SEMAPHORE_MAX, TrackedRecord, WordRecord};
use crate::protocol::barrier::{BarrierWords, Passed};
use crate::protocol::owner::{owner_id, owner_of};
use crate::protocol::party::{Acquired, Party, Slept};
use crate::protocol::rwlock::RwLockWords;
use crate::protocol::tracked::TrackedWords;
use crate::protocol::wait::{Sleeper, Wait};
use crate::protocol::{condvar, event, semaphore, signal, word};

/// The kernel that all processes of a model share: who sleeps on which word.
struct Kernel {
    /// Address of the word and number of sleepers, for the two words that a model may sleep on.
    sleepers: Mutex<[(usize, usize); 2]>,
    woken: [Condvar; 2],
    /// Owner ids of the dead; fixed before the processes start.
    dead: Vec<u32>,
    /// Whether sleeps end at once with an interruption.
    interrupts: bool,
}

impl Kernel {
    fn new(dead: &[u32], interrupts: bool) -> Arc<Kernel> {
        Arc::new(Kernel {
            sleepers: Mutex::new([(0, 0); 2]),
            woken: [Condvar::new(), Condvar::new()],
            dead: dead.to_vec(),
            interrupts,
        })
    }

    fn place(sleepers: &mut [(usize, usize); 2], word: &AtomicU32) -> usize {
        let address = std::ptr::from_ref(word).addr();
        let place = sleepers.iter().position(|(known, _)| *known == address || *known == 0);
        let place = place.expect("a model sleeps on at most two words");
        sleepers[place].0 = address;
        place
    }
}

impl Party for Kernel {
    fn is_dead(&self, owner: u32) -> bool {
        self.dead.contains(&owner)
    }
    fn is_replaced(&self, _: u32) -> bool {
        false
    }
    fn slots_high(&self) -> usize {
        2
    }
    /// Past every deadline.
    fn now_ns(&self) -> u64 {
        u64::MAX
    }
    fn sleep(&self, word: &AtomicU32, expected: u32, _: Duration, _: u64) -> Slept {
        let mut sleepers = self.sleepers.lock().unwrap();
        let place = Kernel::place(&mut sleepers, word);
        if word.load(SeqCst) != expected {
            return Slept::Woken;
        }
        if self.interrupts {
            return Slept::Interrupted;
        }
        if self.dead.contains(&owner_of(expected)) {
            return Slept::TimedOut;
        }
        sleepers[place].1 += 1;
        drop(self.woken[place].wait(sleepers).unwrap());
        Slept::Woken
    }
    fn wake(&self, word: &AtomicU32, count: i32) -> usize {
        let mut sleepers = self.sleepers.lock().unwrap();
        let place = Kernel::place(&mut sleepers, word);
        let woken = sleepers[place].1.min(count as usize);
        sleepers[place].1 -= woken;
        for _ in 0..woken {
            self.woken[place].notify_one();
        }
        woken
    }
}

/// A process whose sleeps end with an interruption, whatever ended them: a wake-up may be used up by it.
struct Interrupted(Arc<Kernel>);

impl Party for Interrupted {
    fn is_dead(&self, owner: u32) -> bool {
        self.0.is_dead(owner)
    }
    fn is_replaced(&self, owner: u32) -> bool {
        self.0.is_replaced(owner)
    }
    fn slots_high(&self) -> usize {
        self.0.slots_high()
    }
    fn now_ns(&self) -> u64 {
        self.0.now_ns()
    }
    fn sleep(&self, word: &AtomicU32, expected: u32, at_most: Duration, since_ns: u64) -> Slept {
        self.0.sleep(word, expected, at_most, since_ns);
        Slept::Interrupted
    }
    fn wake(&self, word: &AtomicU32, count: i32) -> usize {
        self.0.wake(word, count)
    }
}

/// Process `index` of a model.
fn me(index: u32) -> u32 {
    owner_id(index, 1)
}

/// What a lock guards: loom fails when two sides touch it at once without an order between them.
struct Guarded(UnsafeCell<u32>);
// SAFETY: loom checks the accesses; that is what the cell is for.
unsafe impl Sync for Guarded {}
// SAFETY: as above.
unsafe impl Send for Guarded {}

impl Guarded {
    fn new() -> Arc<Guarded> {
        Arc::new(Guarded(UnsafeCell::new(0)))
    }
    fn increment(&self) {
        // SAFETY: loom fails the model when this is not exclusive.
        self.0.with_mut(|value| unsafe { *value += 1 });
    }
    fn get(&self) -> u32 {
        // SAFETY: loom fails the model when this meets a writer.
        self.0.with(|value| unsafe { *value })
    }
}

fn model(test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(test);
}

/// Runs `body` once in each of `count` processes, the last of them here, and waits for all.
fn processes(count: u32, body: impl Fn(u32) + Clone + Send + 'static) {
    let others: Vec<_> = (1..count)
        .map(|index| {
            let body = body.clone();
            thread::spawn(move || body(index))
        })
        .collect();
    body(0);
    for other in others {
        other.join().unwrap();
    }
}

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
