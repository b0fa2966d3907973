//! The directory of named objects.

use shmkit::{ErrorKind, Mutex, Region, RwLock, Semaphore, SemaphoreOptions};

use crate::harness::crash;
use crate::scene::{Scene, bounded};

/// Objects that are there before, with parameters that nobody else has.
const EARLIER: [(&str, u32); 3] = [("first", 11), ("second", 22), ("third", 33)];

fn semaphore(region: &Region, (name, permits): (&str, u32)) -> shmkit::Result<Semaphore> {
    region.semaphore(name, SemaphoreOptions::new(permits).max(permits))
}

fn create_earlier(scene: &Scene) {
    scene.other(|region| EARLIER.into_iter().for_each(|object| drop(semaphore(region, object).unwrap())));
}

fn remove(scene: &Scene, names: &[&str]) {
    scene.other(|region| names.iter().for_each(|name| region.remove_object(name).unwrap()));
}

/// How many mutexes fit into what is free; all are gone afterwards.
fn room(region: &Region) -> usize {
    let mut mutexes: Vec<Mutex> = Vec::new();
    let full = loop {
        match region.mutex(&format!("filler{}", mutexes.len())) {
            Ok(mutex) => mutexes.push(mutex),
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), ErrorKind::NoSpace, "{full}");
    for (index, mutex) in mutexes.iter().enumerate() {
        mutex.close().unwrap();
        region.remove_object(&format!("filler{index}")).unwrap();
    }
    mutexes.len()
}

/// Mutexes that fit into an arena with nothing in it: a header of 64 bytes, then for each its header, name, members and
/// record. The other objects of these tests together take the room of a whole number of mutexes, so that none is cut off.
const ROOM: usize = (8192 - 64) / 256;

/// A name that takes 192 bytes of its block instead of 64.
const LONG: &str = concat!(
    "0123456789012345678901234567890123456789012345678901234567890123456789",
    "0123456789012345678901234567890123456789012345678901234567890123456789",
);
const BEHIND_LONG: &str = concat!(
    "9876543210",
    "0123456789012345678901234567890123456789012345678901234567890123456789",
    "0123456789012345678901234567890123456789012345678901234567890123456789",
);

const ABSENT: &str = "absent";
const PRESENT: &str = "present";

/// Whether the object of this name is there. Everything else must be as it was, and nothing of the arena lost.
fn look(scene: &Scene, name: &str, kept: &[(&str, u32)]) -> &'static str {
    let region = scene.open();
    for object in kept {
        let found = semaphore(&region, *object).expect("it has its kind and parameters");
        assert_eq!(found.available(), object.1);
    }
    // Of a kind that it is not: tells without creating it, but for a mutex that is removed again.
    let outcome = match region.mutex(name) {
        Ok(mutex) => {
            mutex.close().unwrap();
            region.remove_object(name).unwrap();
            ABSENT
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WrongKind, "{error}");
            PRESENT
        }
    };
    for (name, _) in kept {
        region.remove_object(name).unwrap();
    }
    if outcome == PRESENT {
        let lock = region.rwlock(name).expect("it is whole");
        drop(lock.write_with(&bounded()).expect("it is new"));
        assert_eq!(lock.readers(), 0);
        lock.close().unwrap();
        region.remove_object(name).expect("nobody who lives has it open");
    }
    assert_eq!(room(&region), ROOM, "nothing of the arena was lost");
    outcome
}

/// Creating a rwlock called "new".
fn crash_creating(name: &str, set_up: impl Fn(&Scene), kept: &[(&str, u32)]) {
    let set_up = |scene: &Scene| {
        create_earlier(scene);
        set_up(scene);
        scene.open()
    };
    let create = |region: &Region| std::mem::forget(region.rwlock("new").unwrap());
    crash(&format!("object {name}"), set_up, create, &[ABSENT, PRESENT], |copy| look(copy, "new", kept));
}

#[test]
fn create_at_the_end() {
    crash_creating("at the end", |_| {}, &EARLIER);
}

#[test]
fn create_in_a_free_block() {
    // Where a rwlock was that has been used: what it left must not show in the new one.
    let exact = |scene: &Scene| {
        scene.other(|region| {
            let old: RwLock = region.rwlock("old").unwrap();
            for _ in 0..3 {
                let _ = old.acquire_read(&bounded()).unwrap();
            }
        });
        scene.other(|region| drop(semaphore(region, ("behind", 44)).unwrap()));
        remove(scene, &["old"]);
    };
    crash_creating("in a free block", exact, &[EARLIER[0], EARLIER[1], EARLIER[2], ("behind", 44)]);
}

#[test]
fn create_in_a_part_of_a_free_block() {
    let behind = (BEHIND_LONG, 44);
    let large = |scene: &Scene| {
        scene.other(|region| drop(region.rwlock(LONG).unwrap()));
        scene.other(|region| drop(semaphore(region, behind).unwrap()));
        remove(scene, &[LONG]);
    };
    crash_creating("in a part of a free block", large, &[EARLIER[0], EARLIER[1], EARLIER[2], behind]);
}

#[test]
fn create_in_joined_blocks() {
    crash_creating(
        "in joined blocks",
        |scene| {
            scene.other(|region| drop(semaphore(region, ("behind", 44)).unwrap()));
            remove(scene, &["first", "second", "third"]);
        },
        &[("behind", 44)],
    );
}

#[test]
fn find() {
    let set_up = |scene: &Scene| {
        create_earlier(scene);
        scene.open()
    };
    let find = |region: &Region| std::mem::forget(semaphore(region, EARLIER[1]).unwrap());
    crash("object find", set_up, find, &[ABSENT], |copy| look(copy, "new", &EARLIER));
}

#[test]
fn remove_one() {
    for (name, permits) in EARLIER {
        let set_up = |scene: &Scene| {
            create_earlier(scene);
            scene.open()
        };
        let kept: Vec<_> = EARLIER.into_iter().filter(|object| object.0 != name).collect();
        let outcomes = &[PRESENT, ABSENT];
        crash(
            "object remove",
            set_up,
            |region| region.remove_object(name).unwrap(),
            outcomes,
            |copy| {
                let region = copy.open();
                let is_there = region.mutex(name).map(|mutex| mutex.close().unwrap()).is_err();
                if is_there {
                    assert_eq!(semaphore(&region, (name, permits)).unwrap().available(), permits);
                }
                region.remove_object(name).unwrap();
                look(copy, "new", &kept);
                if is_there { PRESENT } else { ABSENT }
            },
        );
    }
}
