//! The region's guard and the mutex.

use shmkit::layout::WORD_DIRTY;
use shmkit::{Acquired, AtomicU32, Mutex, Region, Result, Wait};

use crate::harness::crash;
use crate::scene::{Scene, bounded, brief, short};

pub const CLEAN: &str = "clean";
pub const OWNER_DIED: &str = "owner died";

/// What a lock reported when it was taken.
pub fn told(acquired: Acquired) -> &'static str {
    match acquired {
        Acquired::Clean => CLEAN,
        Acquired::OwnerDied => OWNER_DIED,
    }
}

/// The guard of a region, or a mutex in it.
trait Lock {
    fn acquire(&self, wait: &Wait) -> Result<Acquired>;
    fn try_acquire(&self) -> Result<Option<Acquired>>;
    fn make_consistent(&self) -> Result<()>;
    fn release(&self) -> Result<()>;
    fn word(&self) -> &AtomicU32;
}

macro_rules! lock {
    ($type:ty, $words:ident) => {
        impl Lock for $type {
            fn acquire(&self, wait: &Wait) -> Result<Acquired> {
                self.acquire(wait)
            }
            fn try_acquire(&self) -> Result<Option<Acquired>> {
                self.try_acquire()
            }
            fn make_consistent(&self) -> Result<()> {
                self.make_consistent()
            }
            fn release(&self) -> Result<()> {
                self.release()
            }
            fn word(&self) -> &AtomicU32 {
                self.$words().expect("open for writing").0
            }
        }
    };
}

lock!(Region, guard_words);
lock!(Mutex, words);

/// How to come by a lock in a region.
type Find = fn(&Region) -> Box<dyn Lock>;

const KINDS: [(&str, Find); 2] = [
    ("guard", |region| Box::new(region.try_clone().expect("open"))),
    ("mutex", |region| Box::new(region.mutex("m").expect("a mutex"))),
];

/// What the next owner is told. After that, all must be as if nobody had ever died.
fn next_owner(scene: &Scene, find: Find) -> &'static str {
    let lock = find(&scene.open());
    let acquired = lock.acquire(&bounded()).expect("nobody hangs");
    scene.other(|region| assert_eq!(find(region).try_acquire().unwrap(), None, "it is held"));
    if acquired == Acquired::OwnerDied {
        lock.make_consistent().unwrap();
    }
    lock.release().unwrap();
    scene.other(|region| {
        let lock = find(region);
        assert_eq!(lock.acquire(&bounded()).unwrap(), Acquired::Clean);
        lock.release().unwrap();
    });
    told(acquired)
}

/// An operation on either kind of lock.
fn both<R>(
    name: &str,
    set_up: impl Fn(&Scene, &dyn Lock, Find) -> R,
    operation: impl Fn(&dyn Lock),
    outcomes: &[&str],
) {
    for (kind, find) in KINDS {
        crash(
            &format!("{kind} {name}"),
            |scene| {
                let lock = find(&scene.open());
                let _ = set_up(scene, &*lock, find);
                lock
            },
            |lock| operation(&**lock),
            outcomes,
            |copy| next_owner(copy, find),
        );
    }
}

/// Takes the lock, whatever it says.
fn take(lock: &dyn Lock) -> Acquired {
    lock.acquire(&bounded()).unwrap()
}

/// Somebody waited for the lock and was killed: the word says WAITERS, and nobody sleeps. `asleep`: somebody else does.
fn waited(scene: &Scene, find: Find, asleep: bool) {
    let word = scene.killed_waiting(|region| find(region).acquire(&bounded()));
    if asleep {
        scene.sleeper(word);
    }
}

#[test]
fn lock() {
    both("lock", |_, _, _| {}, |lock| assert_eq!(take(lock), Acquired::Clean), &[CLEAN, OWNER_DIED]);
    let try_lock = |lock: &dyn Lock| assert!(lock.try_acquire().unwrap().is_some());
    both("try lock", |_, _, _| {}, try_lock, &[CLEAN, OWNER_DIED]);
}

#[test]
fn unlock() {
    let unlock = |lock: &dyn Lock| lock.release().unwrap();
    let held = |_: &Scene, lock: &dyn Lock, _: Find| take(lock);
    both("unlock", held, unlock, &[OWNER_DIED, CLEAN]);
    for asleep in [false, true] {
        let waited_for = |scene: &Scene, lock: &dyn Lock, find: Find| {
            let _ = take(lock);
            waited(scene, find, asleep);
        };
        both("unlock after a waiter", waited_for, unlock, &[OWNER_DIED, CLEAN]);
    }
}

#[test]
fn lock_of_the_dead() {
    let dead = |scene: &Scene, _: &dyn Lock, find: Find| scene.killed(|region| take(&*find(region)));
    both("lock of the dead", dead, |lock| assert_eq!(take(lock), Acquired::OwnerDied), &[OWNER_DIED]);
    let try_lock = |lock: &dyn Lock| assert_eq!(lock.try_acquire().unwrap(), Some(Acquired::OwnerDied));
    both("try lock of the dead", dead, try_lock, &[OWNER_DIED]);
    // Its slot has a new owner, which is told without asking the kernel.
    let replaced = |scene: &Scene, lock: &dyn Lock, find: Find| {
        dead(scene, lock, find);
        scene.killed(|_| {});
    };
    both("lock of the replaced", replaced, |lock| assert_eq!(take(lock), Acquired::OwnerDied), &[OWNER_DIED]);
}

#[test]
fn repair() {
    let torn = |scene: &Scene, lock: &dyn Lock, find: Find| {
        scene.killed(|region| take(&*find(region)));
        assert_eq!(take(lock), Acquired::OwnerDied);
    };
    both("make consistent", torn, |lock| lock.make_consistent().unwrap(), &[OWNER_DIED]);
    let repaired = |lock: &dyn Lock| {
        lock.make_consistent().unwrap();
        lock.release().unwrap();
    };
    both("make consistent, unlock", torn, repaired, &[OWNER_DIED, CLEAN]);
    both("unlock without repair", torn, |lock| lock.release().unwrap(), &[OWNER_DIED]);
    let dirty = |scene: &Scene, lock: &dyn Lock, find: Find| {
        torn(scene, lock, find);
        lock.release().unwrap();
        assert_ne!(lock.word().load(std::sync::atomic::Ordering::SeqCst) & WORD_DIRTY, 0);
    };
    both("lock without repair", dirty, |lock| assert_eq!(take(lock), Acquired::OwnerDied), &[OWNER_DIED]);
}

/// The wait runs out because the owner lives; in the copies too, until they kill it.
#[test]
fn lock_of_the_living() {
    for (kind, find) in KINDS {
        crash(
            &format!("{kind} lock of the living"),
            |scene| {
                scene.living(|region| take(&*find(region)));
                find(&scene.open())
            },
            |lock| drop(lock.acquire(&short()).expect_err("its owner lives")),
            &[OWNER_DIED],
            |copy| {
                let lock = find(&copy.open());
                assert_eq!(lock.try_acquire().unwrap(), None, "its owner lives");
                assert!(lock.acquire(&brief()).is_err(), "its owner lives");
                copy.kill_living();
                next_owner(copy, find)
            },
        );
    }
}
