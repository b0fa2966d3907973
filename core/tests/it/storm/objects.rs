//! A storm over the directory: objects come and go while processes die.

use super::{BEGUN, COMPLETED, Ledger, TURNS, options, storm};
use crate::common::Name;
use crate::kills::Random;
use shmkit::{ErrorKind, Mutex, Region, SemaphoreOptions, Wait};

/// Uses the object of this number: its name, kind and parameters follow from the number.
fn use_object(region: &Region, number: u64) {
    let name = format!("o{number}");
    let wait = Wait::timeout(crate::common::PATIENCE);
    match number % 3 {
        0 => {
            let mutex = region.mutex(&name).unwrap();
            let _ = mutex.acquire(&wait).unwrap();
            let _ = mutex.make_consistent();
            mutex.release().unwrap();
        }
        1 => {
            let lock = region.rwlock(&name).unwrap();
            let _ = lock.acquire_read(&wait).unwrap();
            lock.release_read().unwrap();
        }
        _ => {
            let permits = number as u32;
            let semaphore = region.semaphore(&name, SemaphoreOptions::new(permits).max(permits)).unwrap();
            assert_eq!(semaphore.available(), permits);
        }
    }
}

fn remove(region: &Region, name: &str) {
    if let Err(error) = region.remove_object(name) {
        assert!(matches!(error.kind(), ErrorKind::Busy | ErrorKind::NotFound), "{error}");
    }
}

/// How many mutexes fit.
fn room(region: &Region) -> usize {
    let mut mutexes: Vec<Mutex> = Vec::new();
    loop {
        match region.mutex(&format!("m{}", mutexes.len())) {
            Ok(mutex) => mutexes.push(mutex),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
                return mutexes.len();
            }
        }
    }
}

const OBJECTS: u64 = 12;

#[test]
fn directory() {
    let work = |region: &Region, ledger: &Ledger<'_>, worker: usize| {
        let mut random = Random::new();
        for _ in 0..TURNS {
            ledger.count(worker, BEGUN);
            let number = random.below(OBJECTS);
            use_object(region, number);
            remove(region, &format!("o{}", random.below(OBJECTS)));
            ledger.count(worker, COMPLETED);
        }
    };
    storm(directory, "storm-directory", work, |region, _| {
        for number in 0..OBJECTS {
            use_object(region, number);
            region.remove_object(&format!("o{number}")).expect("nobody who lives has it open");
        }
        let name = Name::new("storm-fresh");
        let fresh = options().create(&*name, 64).unwrap();
        assert_eq!(room(region), room(&fresh), "nothing of the arena was lost");
    });
}
