//! The condition variable and the event.

use shmkit::{Condvar, ErrorKind, Event, EventReset, Mutex, Notified, Region};

use crate::harness::crash;
use crate::mutex::{CLEAN, OWNER_DIED, told};
use crate::process::{Child, limit};
use crate::scene::{LIMIT, Scene, bounded, brief, short};

fn find(region: &Region) -> (Mutex, Condvar) {
    (region.mutex("m").expect("a mutex"), region.condvar("c").expect("a condvar"))
}

/// What the mutex's next owner is told; after that, notifications reach who waits.
fn next_owner(scene: &Scene) -> &'static str {
    let region = scene.open();
    let (mutex, condvar) = find(&region);
    let acquired = mutex.acquire(&bounded()).expect("nobody hangs");
    mutex.make_consistent().unwrap();
    region.write_at(0, &[0]).unwrap();
    mutex.release().unwrap();
    for turn in 1..=2 {
        let waiter = Child::run(&scene.page, || {
            limit(LIMIT);
            let region = scene.open();
            let (mutex, condvar) = find(&region);
            let _ = mutex.acquire(&bounded()).unwrap();
            let mut seen = [0];
            while seen[0] != turn {
                region.read_at(0, &mut seen).unwrap();
                if seen[0] != turn {
                    let (_, notified) = condvar.wait_raw(&mutex, &bounded()).unwrap();
                    assert_eq!(notified, Notified::Yes);
                }
            }
            mutex.release().unwrap();
        });
        let _ = mutex.acquire(&bounded()).unwrap();
        region.write_at(0, &[turn]).unwrap();
        mutex.release().unwrap();
        if turn == 1 {
            condvar.notify_one().unwrap()
        } else {
            condvar.notify_all().unwrap()
        }
        waiter.expect_success(&scene.page, "a waiter");
    }
    told(acquired)
}

fn crash_condvar<R>(
    name: &str,
    set_up: impl Fn(&Scene) -> R,
    operation: impl Fn(&(Mutex, Condvar)),
    outcomes: &[&str],
) {
    let set_up = |scene: &Scene| {
        let objects = find(&scene.open());
        let _ = set_up(scene);
        objects
    };
    crash(&format!("condvar {name}"), set_up, operation, outcomes, next_owner);
}

/// Somebody waits for a notification and is killed.
fn killed_waiting(scene: &Scene) -> usize {
    scene.killed_waiting(|region| {
        let (mutex, condvar) = find(region);
        let _ = mutex.acquire(&bounded()).unwrap();
        drop(condvar.wait_raw(&mutex, &bounded()));
    })
}

#[test]
fn condvar_wait() {
    let wait = |(mutex, condvar): &(Mutex, Condvar)| {
        assert_eq!(condvar.wait_raw(mutex, &short()).unwrap().1, Notified::No(ErrorKind::Timeout));
    };
    let held = |scene: &Scene| {
        let objects = find(&scene.open());
        let _ = objects.0.acquire(&bounded()).unwrap();
        objects
    };
    let outcomes = &[OWNER_DIED, CLEAN, OWNER_DIED];
    crash("condvar wait", held, wait, outcomes, next_owner);
    let held_after_a_waiter = |scene: &Scene| {
        killed_waiting(scene);
        held(scene)
    };
    crash("condvar wait beside a dead waiter", held_after_a_waiter, wait, outcomes, next_owner);
    let notified = |scene: &Scene| {
        killed_waiting(scene);
        let objects = held(scene);
        objects.1.notify_all().unwrap();
        objects
    };
    crash("condvar wait after a notification", notified, wait, outcomes, next_owner);
}

#[test]
fn condvar_notify() {
    let one = |(_, condvar): &(Mutex, Condvar)| condvar.notify_one().unwrap();
    let all = |(_, condvar): &(Mutex, Condvar)| condvar.notify_all().unwrap();
    crash_condvar("notify", |_| {}, one, &[CLEAN]);
    crash_condvar("notify one after a waiter", killed_waiting, one, &[CLEAN]);
    crash_condvar("notify all after a waiter", killed_waiting, all, &[CLEAN]);
    crash_condvar("notify one for a sleeper", |scene| scene.sleeper(killed_waiting(scene)), one, &[CLEAN]);
    crash_condvar("notify all for a sleeper", |scene| scene.sleeper(killed_waiting(scene)), all, &[CLEAN]);
}

const NOT_SET: &str = "not set";
const SET: &str = "set";

/// Whether the event is set; after that, it wakes who waits, as its kind promises.
fn is_set(scene: &Scene, reset: EventReset) -> &'static str {
    let event = scene.open().event("e", reset).expect("an event");
    let found = event.is_set();
    assert_eq!(event.try_wait().unwrap(), found);
    assert_eq!(event.is_set(), found && reset == EventReset::Manual);
    event.reset().unwrap();
    assert!(event.wait(&brief()).is_err(), "it was reset");
    let waiter = Child::run(&scene.page, || {
        limit(LIMIT);
        scene.open().event("e", reset).unwrap().wait(&bounded()).unwrap();
    });
    event.set().unwrap();
    waiter.expect_success(&scene.page, "a waiter");
    assert_eq!(event.is_set(), reset == EventReset::Manual);
    if found { SET } else { NOT_SET }
}

fn crash_event<R>(
    name: &str,
    set_up: impl Fn(&Scene, &Event) -> R,
    operation: impl Fn(&Event),
    outcomes: &[&str],
) {
    for reset in [EventReset::Manual, EventReset::Automatic] {
        let set_up = |scene: &Scene| {
            let event = scene.open().event("e", reset).expect("an event");
            let _ = set_up(scene, &event);
            event
        };
        let name = format!("{reset:?} event {name}");
        crash(&name, set_up, &operation, outcomes, |copy| is_set(copy, reset));
    }
}

#[test]
fn event_set() {
    let set = |event: &Event| event.set().unwrap();
    let waited = |scene: &Scene, event: &Event| {
        let reset = event.reset_kind();
        scene.killed_waiting(|region| region.event("e", reset).unwrap().wait(&bounded()).unwrap())
    };
    crash_event("set", |_, _| {}, set, &[NOT_SET, SET]);
    crash_event("set after a waiter", |scene, event| waited(scene, event), set, &[NOT_SET, SET]);
    crash_event(
        "set for a sleeper",
        |scene, event| scene.sleeper(waited(scene, event)),
        set,
        &[NOT_SET, SET],
    );
    crash_event("set again", |_, event| set(event), set, &[SET]);
}

#[test]
fn event_reset_and_wait() {
    let set = |_: &Scene, event: &Event| event.set().unwrap();
    crash_event("reset", set, |event| event.reset().unwrap(), &[SET, NOT_SET]);
    crash_event("wait in vain", |_, _| {}, |event| assert!(event.wait(&short()).is_err()), &[NOT_SET]);
    for (reset, outcomes) in [(EventReset::Manual, &[SET][..]), (EventReset::Automatic, &[SET, NOT_SET])] {
        let set_up = |scene: &Scene| {
            let event = scene.open().event("e", reset).unwrap();
            event.set().unwrap();
            event
        };
        let wait = |event: &Event| event.wait(&bounded()).unwrap();
        crash(&format!("{reset:?} event wait"), set_up, wait, outcomes, |copy| is_set(copy, reset));
    }
}
