//! The tracked semaphore.

use shmkit::{ErrorKind, Region, Semaphore, SemaphoreKind, SemaphoreOptions};

use crate::harness::crash;
use crate::scene::{Scene, bounded, brief};

const CAPACITY: u32 = 3;
/// Whatever the dead did, all permits come back.
const ALL: &[&str] = &["all permits"];

fn find(region: &Region) -> Semaphore {
    let options = SemaphoreOptions::new(CAPACITY).kind(SemaphoreKind::Tracked);
    region.semaphore("p", options).expect("a semaphore")
}

fn acquire(semaphore: &Semaphore, count: u32) {
    for _ in 0..count {
        semaphore.acquire(&bounded()).unwrap();
    }
}

/// Takes all permits, and then finds no more.
fn all_permits(scene: &Scene) -> &'static str {
    let semaphore = find(&scene.open());
    acquire(&semaphore, CAPACITY);
    assert!(!semaphore.try_acquire().unwrap());
    scene.other(|region| assert!(find(region).acquire(&brief()).is_err(), "there are {CAPACITY}"));
    semaphore.release(2).unwrap();
    scene.other(|region| {
        let semaphore = find(region);
        acquire(&semaphore, 2);
        assert_eq!(semaphore.release(3).unwrap_err().kind(), ErrorKind::NotOwner);
        semaphore.release(2).unwrap();
    });
    semaphore.release(1).unwrap();
    assert_eq!(semaphore.available(), CAPACITY);
    ALL[0]
}

fn crash_of<R>(name: &str, set_up: impl Fn(&Scene, &Semaphore) -> R, operation: impl Fn(&Semaphore)) {
    let set_up = |scene: &Scene| {
        let semaphore = find(&scene.open());
        let _ = set_up(scene, &semaphore);
        semaphore
    };
    crash(&format!("tracked {name}"), set_up, operation, ALL, all_permits);
}

fn dead_holder(scene: &Scene, count: u32) {
    scene.killed(|region| acquire(&find(region), count));
}

#[test]
fn acquire_and_release() {
    crash_of("acquire", |_, _| {}, |semaphore| acquire(semaphore, 1));
    crash_of("try acquire", |_, _| {}, |semaphore| assert!(semaphore.try_acquire().unwrap()));
    crash_of("release", |_, semaphore| acquire(semaphore, 2), |semaphore| semaphore.release(1).unwrap());
    crash_of(
        "release of all",
        |_, semaphore| acquire(semaphore, 3),
        |semaphore| semaphore.release(3).unwrap(),
    );
}

#[test]
fn release_after_a_waiter() {
    let release = |semaphore: &Semaphore| semaphore.release(2).unwrap();
    let waited = |scene: &Scene, semaphore: &Semaphore| {
        acquire(semaphore, 3);
        scene.killed_waiting(|region| acquire(&find(region), 1))
    };
    crash_of("release after a waiter", |scene, semaphore| waited(scene, semaphore), release);
    crash_of("release for a sleeper", |scene, semaphore| scene.sleeper(waited(scene, semaphore)), release);
}

#[test]
fn recount() {
    crash_of("acquire from the dead", |scene, _| dead_holder(scene, 3), |semaphore| acquire(semaphore, 2));
    crash_of(
        "try acquire from the dead",
        |scene, _| dead_holder(scene, 3),
        |semaphore| {
            assert!(semaphore.try_acquire().unwrap());
        },
    );
    crash_of("acquire beside the dead", |scene, _| dead_holder(scene, 1), |semaphore| acquire(semaphore, 1));
}

/// How often an acquire changes the region: the lock, the mark, the count, the lock.
const ACQUIRE_CHANGES: usize = 4;

/// Who recovers from a death dies too: at each instruction of it, after a death at each change of an acquire.
#[test]
fn a_death_in_the_recovery_from_a_death() {
    for changes in 1..=ACQUIRE_CHANGES + 1 {
        let dead_inside = |scene: &Scene, _: &Semaphore| {
            let inside = scene.killed_after(changes, find, |semaphore| acquire(semaphore, 1));
            assert_eq!(inside, changes <= ACQUIRE_CHANGES, "an acquire has {ACQUIRE_CHANGES} changes");
        };
        crash_of(&format!("acquire after a death at change {changes}"), dead_inside, |semaphore| {
            acquire(semaphore, 1);
        });
    }
}

/// One permit is held by somebody who lives, in the copies too: it must not be given away.
#[test]
fn the_living_keep_their_permits() {
    let set_up = |scene: &Scene| {
        scene.living(|region| acquire(&find(region), 1));
        dead_holder(scene, 2);
        find(&scene.open())
    };
    crash(
        "tracked acquire beside the living",
        set_up,
        |semaphore| acquire(semaphore, 2),
        ALL,
        |copy| {
            let semaphore = find(&copy.open());
            acquire(&semaphore, 2);
            assert!(!semaphore.try_acquire().unwrap(), "somebody living has the third");
            copy.kill_living();
            acquire(&semaphore, 1);
            semaphore.release(3).unwrap();
            all_permits(copy)
        },
    );
}
