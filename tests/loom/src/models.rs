//! Every interleaving (up to a bound) of a few processes on the state machines.
//!
//! Sleeps here have no time-out while nobody dies: what passes does not rest on the slices that
//! heal a killed waiter. Where somebody is dead, a sleep on its word ends at once, as if its slice had run out.

mod barrier;
mod condvar;
mod event;
mod log;
mod mutex;
mod pool;
mod rwlock;
mod semaphore;

use std::time::Duration;

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use crate::atomic::AtomicU32;
use crate::atomic::Ordering::SeqCst;
use crate::protocol::owner::{owner_id, owner_of};
use crate::protocol::party::{Party, Slept};

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
