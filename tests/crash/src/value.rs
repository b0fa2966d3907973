//! Values.

use shmkit::{ErrorKind, ObjectMode, Region, Value};

use crate::harness::crash;
use crate::scene::Scene;

/// Words that are all the same, or the value is torn.
type Wide = [u64; 12];

fn find(region: &Region) -> Value<Wide> {
    region.value("v", [1; 12]).expect("a value")
}

/// The value, which is whole; after that, others write it as ever.
fn wide(scene: &Scene) -> &'static str {
    let value = find(&scene.open());
    let (now, version) = value.load_versioned().unwrap();
    assert!(now.iter().all(|word| *word == now[0]), "torn: {now:?}");
    scene.other(|region| {
        let value = find(region);
        assert!(value.store_if(version, [7; 12]).unwrap());
        assert!(!value.store_if(version, [8; 12]).unwrap());
    });
    assert_eq!(value.update(|seven| seven.map(|word| word + 1)).unwrap(), [8; 12]);
    ["", "old", "new"][now[0] as usize]
}

fn crash_of(name: &str, operation: impl Fn(&Value<Wide>), outcomes: &[&str]) {
    crash(&format!("value {name}"), |scene| find(&scene.open()), operation, outcomes, wide);
}

#[test]
fn writing() {
    crash_of("store", |value| value.store([2; 12]).unwrap(), &["old", "new"]);
    crash_of("update", |value| assert_eq!(value.update(|_| [2; 12]).unwrap(), [2; 12]), &["old", "new"]);
    crash_of("store in vain", |value| assert!(!value.store_if(77, [2; 12]).unwrap()), &["old"]);
    crash_of("load", |value| assert_eq!(value.load().unwrap(), [1; 12]), &["old"]);
}

#[test]
fn writing_after_a_death() {
    // The last writer died with the lock: how far it came shows in the other copy only.
    let torn = |scene: &Scene| {
        let set_up = |region: &Region| find(region);
        let write = |value: &Value<Wide>| value.store([9; 12]).unwrap();
        assert!(scene.killed_after(8, set_up, write), "it has more changes than that");
        find(&scene.open())
    };
    crash("value store after a death", torn, |value| value.store([2; 12]).unwrap(), &["old", "new"], wide);
}

#[test]
fn a_word() {
    let find = |region: &Region| region.value("w", 1u32).expect("a value");
    crash(
        "value of a word",
        |scene| find(&scene.open()),
        |value| assert_eq!(value.update(|one| one + 1).unwrap(), 2),
        &["one", "two"],
        |copy| ["", "one", "two"][find(&copy.open()).load().unwrap() as usize],
    );
}

#[test]
fn creation_on_demand() {
    let look = |copy: &Scene| {
        let region = copy.open();
        match region.with_mode(ObjectMode::Find).unwrap().value("v", [0u64; 12]) {
            Ok(_) => {
                let again = region.with_mode(ObjectMode::Create).unwrap().value("v", [1; 12]);
                assert_eq!(again.err().unwrap().kind(), ErrorKind::AlreadyExists);
                wide(copy)
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NotFound);
                assert!(region.objects().unwrap().is_empty());
                "absent"
            }
        }
    };
    let create = |region: &Region| {
        let new = region.with_mode(ObjectMode::Create).unwrap();
        std::mem::forget(new.value("v", [1u64; 12]).unwrap());
    };
    crash("value create", |scene| scene.open(), create, &["absent", "old"], look);
    let miss = |region: &Region| {
        let existing = region.with_mode(ObjectMode::Find).unwrap();
        assert_eq!(existing.value("v", [1u64; 12]).err().unwrap().kind(), ErrorKind::NotFound);
    };
    crash("value find in vain", |scene| scene.open(), miss, &["absent"], look);
}
