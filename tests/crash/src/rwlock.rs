//! The reader–writer lock.

use shmkit::{Acquired, Region, RwLock};

use crate::harness::crash;
use crate::mutex::{CLEAN, OWNER_DIED, told};
use crate::scene::{Scene, bounded, brief, short};

fn find(region: &Region) -> RwLock {
    region.rwlock("l").expect("a rwlock")
}

fn lock(scene: &Scene) -> RwLock {
    find(&scene.open())
}

fn read(lock: &RwLock) -> Acquired {
    lock.acquire_read(&bounded()).unwrap()
}

fn write(lock: &RwLock) -> Acquired {
    lock.acquire_write(&bounded()).unwrap()
}

/// What the next writer is told. After that, all must be as if nobody had ever died.
fn next_writer(scene: &Scene) -> &'static str {
    let lock = lock(scene);
    let acquired = write(&lock);
    assert_eq!(lock.readers(), 0, "the marks of the dead are gone");
    scene.other(|region| {
        assert_eq!(find(region).try_acquire_read().unwrap(), None, "a writer is inside");
        assert_eq!(find(region).try_acquire_write().unwrap(), None, "a writer is inside");
    });
    if acquired == Acquired::OwnerDied {
        lock.make_consistent().unwrap();
    }
    lock.release_write().unwrap();
    assert_eq!(read(&lock), Acquired::Clean);
    scene.other(|region| {
        let lock = find(region);
        assert_eq!(read(&lock), Acquired::Clean, "readers share");
        assert_eq!(lock.try_acquire_write().unwrap(), None, "two readers are inside");
        lock.release_read().unwrap();
    });
    lock.release_read().unwrap();
    scene.other(|region| assert_eq!(write(&find(region)), Acquired::Clean));
    told(acquired)
}

/// As [`next_writer`], after a reader came by first: it must be told the same.
fn next_reader_and_writer(scene: &Scene) -> &'static str {
    let lock = lock(scene);
    let reader_told = told(read(&lock));
    lock.release_read().unwrap();
    let writer_told = next_writer(scene);
    assert_eq!(reader_told, writer_told);
    writer_told
}

/// An operation that others judge in both ways.
fn crash_for_all<R>(
    name: &str,
    set_up: impl Fn(&Scene) -> R,
    operation: impl Fn(&RwLock),
    outcomes: &[&str],
) {
    for (first, check) in
        [("writer", next_writer as fn(&Scene) -> &'static str), ("reader", next_reader_and_writer)]
    {
        let set_up = |scene: &Scene| {
            let _ = set_up(scene);
            lock(scene)
        };
        crash(&format!("rwlock {name}, then a {first}"), set_up, &operation, outcomes, check);
    }
}

/// As [`crash_for_all`], where the victim holds the lock before.
fn crash_holding<R>(
    name: &str,
    hold: fn(&RwLock),
    after: impl Fn(&Scene) -> R,
    operation: impl Fn(&RwLock),
    outcomes: &[&str],
) {
    let set_up = |scene: &Scene| {
        let lock = lock(scene);
        hold(&lock);
        let _ = after(scene);
        lock
    };
    crash(&format!("rwlock {name}"), set_up, &operation, outcomes, next_writer);
}

fn nothing(_: &Scene) {}

fn reading(lock: &RwLock) {
    assert_eq!(read(lock), Acquired::Clean);
}

fn writing(lock: &RwLock) {
    assert_eq!(write(lock), Acquired::Clean);
}

/// A writer took the word and was killed before the last reader left. Somebody living still reads, or it would get in.
fn killed_draining(scene: &Scene) {
    scene.killed_waiting(|region| write(&find(region)));
}

/// A writer that was killed while it drained; nobody reads any more.
fn drained_and_dead(scene: &Scene) {
    let lock = lock(scene);
    reading(&lock);
    killed_draining(scene);
    lock.release_read().unwrap();
}

fn dead_writer(scene: &Scene) {
    scene.killed(|region| writing(&find(region)));
}

fn dead_reader(scene: &Scene) {
    scene.killed(|region| reading(&find(region)));
}

#[test]
fn read_lock() {
    crash_for_all("read", nothing, reading, &[CLEAN]);
    crash_for_all("try read", nothing, |lock| assert!(lock.try_acquire_read().unwrap().is_some()), &[CLEAN]);
    crash_for_all("read beside a dead reader", dead_reader, reading, &[CLEAN]);
    let twice = |lock: &RwLock| {
        reading(lock);
        reading(lock);
        lock.release_read().unwrap();
    };
    crash_for_all("read twice", nothing, twice, &[CLEAN]);
}

#[test]
fn read_after_a_dead_writer() {
    let told_of_death = |lock: &RwLock| assert_eq!(read(lock), Acquired::OwnerDied);
    crash_for_all("read after a dead writer", dead_writer, told_of_death, &[OWNER_DIED]);
    crash_for_all(
        "try read after a dead writer",
        dead_writer,
        |lock| {
            assert_eq!(lock.try_acquire_read().unwrap(), Some(Acquired::OwnerDied));
        },
        &[OWNER_DIED],
    );
    crash_for_all("read after a writer that died outside", drained_and_dead, reading, &[CLEAN]);
    crash_for_all(
        "try read after a writer that died outside",
        drained_and_dead,
        |lock| {
            assert_eq!(lock.try_acquire_read().unwrap(), Some(Acquired::Clean));
        },
        &[CLEAN],
    );
}

#[test]
fn read_unlock() {
    let unlock = |lock: &RwLock| lock.release_read().unwrap();
    crash_holding("read unlock", reading, nothing, unlock, &[CLEAN]);
    crash_holding("read unlock for a dead writer", reading, killed_draining, unlock, &[CLEAN]);
    crash_holding(
        "read unlock for a writer",
        reading,
        |scene| {
            let word = scene.killed_waiting(|region| write(&find(region)));
            scene.sleeper(word);
        },
        unlock,
        &[CLEAN],
    );
}

#[test]
fn write_lock() {
    crash_for_all("write", nothing, writing, &[CLEAN, OWNER_DIED]);
    crash_for_all(
        "try write",
        nothing,
        |lock| {
            assert_eq!(lock.try_acquire_write().unwrap(), Some(Acquired::Clean));
        },
        &[CLEAN, OWNER_DIED],
    );
    crash_for_all("write after a dead reader", dead_reader, writing, &[CLEAN, OWNER_DIED]);
    crash_for_all(
        "try write after a dead reader",
        dead_reader,
        |lock| {
            assert_eq!(lock.try_acquire_write().unwrap(), Some(Acquired::Clean));
        },
        &[CLEAN, OWNER_DIED],
    );
}

#[test]
fn write_after_a_dead_writer() {
    let told_of_death = |lock: &RwLock| assert_eq!(write(lock), Acquired::OwnerDied);
    crash_for_all("write after a dead writer", dead_writer, told_of_death, &[OWNER_DIED]);
    crash_for_all("write after a writer that died outside", drained_and_dead, writing, &[CLEAN, OWNER_DIED]);
    let dirty = |scene: &Scene| {
        dead_writer(scene);
        let lock = lock(scene);
        told_of_death(&lock);
        lock.release_write().unwrap();
    };
    crash_for_all("write without repair", dirty, told_of_death, &[OWNER_DIED]);
    crash_for_all(
        "repair",
        dirty,
        |lock| {
            told_of_death(lock);
            lock.make_consistent().unwrap();
            lock.release_write().unwrap();
        },
        &[OWNER_DIED, CLEAN],
    );
}

#[test]
fn write_unlock() {
    let unlock = |lock: &RwLock| lock.release_write().unwrap();
    crash_holding("write unlock", writing, nothing, unlock, &[OWNER_DIED, CLEAN]);
    crash_holding(
        "write unlock after a waiting reader",
        writing,
        |scene| {
            scene.killed_waiting(|region| read(&find(region)));
        },
        unlock,
        &[OWNER_DIED, CLEAN],
    );
    crash_holding(
        "write unlock for a sleeper",
        writing,
        |scene| {
            let word = scene.killed_waiting(|region| write(&find(region)));
            scene.sleeper(word);
        },
        unlock,
        &[OWNER_DIED, CLEAN],
    );
}

/// The copies' writer lives until it is killed there, and keeps readers out.
#[test]
fn a_reader_does_not_bury_the_living() {
    let set_up = |scene: &Scene| {
        scene.living(|region| writing(&find(region)));
        lock(scene)
    };
    let read = |lock: &RwLock| drop(lock.acquire_read(&short()).expect_err("a writer lives"));
    crash("rwlock read beside a writer", set_up, read, &[OWNER_DIED], |copy| {
        let lock = lock(copy);
        assert!(lock.acquire_read(&brief()).is_err(), "a writer lives");
        assert_eq!(lock.try_acquire_write().unwrap(), None, "a writer lives");
        copy.kill_living();
        next_reader_and_writer(copy)
    });
}

/// The copies' reader lives until it is killed there, and keeps writers out.
fn writer_beside_the_living(name: &str, operation: impl Fn(&RwLock)) {
    let set_up = |scene: &Scene| {
        scene.living(|region| reading(&find(region)));
        lock(scene)
    };
    crash(&format!("rwlock {name}"), set_up, operation, &[CLEAN], |copy| {
        let lock = lock(copy);
        assert_eq!(lock.try_acquire_write().unwrap(), None, "a reader lives");
        assert!(lock.acquire_write(&brief()).is_err(), "a reader lives");
        assert_eq!(read(&lock), Acquired::Clean, "readers share");
        lock.release_read().unwrap();
        copy.kill_living();
        next_writer(copy)
    });
}

#[test]
fn a_writer_that_does_not_get_in_tears_nothing() {
    writer_beside_the_living("write beside a reader", |lock| {
        drop(lock.acquire_write(&short()).expect_err("a reader lives"));
    });
    writer_beside_the_living("try write beside a reader", |lock| {
        assert_eq!(lock.try_acquire_write().unwrap(), None);
    });
}
