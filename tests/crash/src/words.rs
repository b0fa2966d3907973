//! The atomics.

use shmkit::{Atomic, Region};

use crate::harness::crash;
use crate::process::{Child, limit};
use crate::scene::{LIMIT, Scene, bounded, short};

fn find(region: &Region) -> Atomic<u32> {
    region.atomic_u32("a", u32::MAX).expect("an atomic")
}

/// The value; after that, a change wakes who waits.
fn value(scene: &Scene) -> &'static str {
    let atomic = find(&scene.open());
    let found = atomic.load();
    assert_eq!(atomic.word().load(std::sync::atomic::Ordering::SeqCst), u64::from(found));
    let waiter = Child::run(&scene.page, || {
        limit(LIMIT);
        find(&scene.open()).wait(found, &bounded()).unwrap();
    });
    atomic.store(7);
    atomic.notify_all();
    waiter.expect_success(&scene.page, "a waiter");
    match found {
        u32::MAX => "first",
        0 => "next",
        5 => "five",
        _ => panic!("{found}"),
    }
}

fn crash_of<R>(
    name: &str,
    set_up: impl Fn(&Scene) -> R,
    operation: impl Fn(&Atomic<u32>),
    outcomes: &[&str],
) {
    let set_up = |scene: &Scene| {
        let atomic = find(&scene.open());
        let _ = set_up(scene);
        atomic
    };
    crash(&format!("atomic {name}"), set_up, operation, outcomes, value);
}

#[test]
fn change() {
    crash_of("add", |_| {}, |atomic| assert_eq!(atomic.add(1), u32::MAX), &["first", "next"]);
    crash_of("store", |_| {}, |atomic| atomic.store(5), &["first", "five"]);
    crash_of("swap", |_| {}, |atomic| assert_eq!(atomic.swap(5), u32::MAX), &["first", "five"]);
    crash_of(
        "exchange",
        |_| {},
        |atomic| assert!(atomic.compare_exchange(u32::MAX, 5).is_ok()),
        &["first", "five"],
    );
}

#[test]
fn wait_and_notify() {
    crash_of("wait in vain", |_| {}, |atomic| assert!(atomic.wait(u32::MAX, &short()).is_err()), &["first"]);
    let waited =
        |scene: &Scene| scene.killed_waiting(|region| find(region).wait(u32::MAX, &bounded()).unwrap());
    crash_of("notify after a waiter", |scene| waited(scene), Atomic::notify_one, &["first"]);
    crash_of("notify for a sleeper", |scene| scene.sleeper(waited(scene)), Atomic::notify_one, &["first"]);
    crash_of("notify all", |scene| scene.sleeper(waited(scene)), Atomic::notify_all, &["first"]);
}
