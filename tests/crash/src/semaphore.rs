//! The signalling semaphore.

use shmkit::{Region, Semaphore, SemaphoreOptions};

use crate::harness::crash;
use crate::scene::{Scene, bounded, short};

fn find(region: &Region, initial: u32) -> Semaphore {
    region.semaphore("s", SemaphoreOptions::new(initial).max(5)).expect("a semaphore")
}

/// How many permits there are; after that, permits go from process to process as ever.
fn permits(scene: &Scene, initial: u32) -> &'static str {
    let semaphore = find(&scene.open(), initial);
    let mut count = 0;
    while semaphore.try_acquire().unwrap() {
        count += 1;
    }
    assert!(semaphore.release(6).is_err(), "the maximum is five");
    semaphore.release(5).unwrap();
    scene.other(|region| {
        for _ in 0..5 {
            find(region, initial).acquire(&bounded()).unwrap();
        }
        assert!(!find(region, initial).try_acquire().unwrap());
    });
    let word = scene.killed_waiting(|region| find(region, initial).acquire(&bounded()).unwrap());
    scene.sleeper(word);
    semaphore.release(1).unwrap();
    assert_eq!(semaphore.available(), 1, "who was killed waiting took none");
    ["none", "one", "two", "three"][count]
}

fn crash_of<R>(
    name: &str,
    initial: u32,
    set_up: impl Fn(&Scene) -> R,
    operation: impl Fn(&Semaphore),
    outcomes: &[&str],
) {
    let set_up = |scene: &Scene| {
        let semaphore = find(&scene.open(), initial);
        let _ = set_up(scene);
        semaphore
    };
    crash(&format!("semaphore {name}"), set_up, operation, outcomes, |copy| permits(copy, initial));
}

#[test]
fn acquire() {
    let acquire = |semaphore: &Semaphore| semaphore.acquire(&bounded()).unwrap();
    crash_of("acquire", 2, |_| {}, acquire, &["two", "one"]);
    crash_of(
        "try acquire",
        1,
        |_| {},
        |semaphore| assert!(semaphore.try_acquire().unwrap()),
        &["one", "none"],
    );
    crash_of(
        "acquire in vain",
        0,
        |_| {},
        |semaphore| assert!(semaphore.acquire(&short()).is_err()),
        &["none"],
    );
}

#[test]
fn release() {
    let release = |semaphore: &Semaphore| semaphore.release(1).unwrap();
    crash_of("release", 0, |_| {}, release, &["none", "one"]);
    crash_of("release of three", 0, |_| {}, |semaphore| semaphore.release(3).unwrap(), &["none", "three"]);
    let waited = |scene: &Scene| scene.killed_waiting(|region| find(region, 0).acquire(&bounded()).unwrap());
    crash_of("release after a waiter", 0, |scene| waited(scene), release, &["none", "one"]);
    crash_of("release for a sleeper", 0, |scene| scene.sleeper(waited(scene)), release, &["none", "one"]);
}
