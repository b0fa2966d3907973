//! The barrier.

use shmkit::{Barrier, ErrorKind, Region, Wait};

use crate::harness::crash;
use crate::process::{Child, limit};
use crate::scene::{LIMIT, Scene, bounded, short};

/// A participant died.
const BROKEN: &str = "broken";
/// All had arrived: the death comes too late for this round, and breaks the next.
const PASSED: &str = "passed";

fn find(region: &Region, parties: u32) -> Barrier {
    region.barrier("b", parties).expect("a barrier")
}

/// `None`: broken.
fn leads(barrier: &Barrier, wait: &Wait) -> Option<bool> {
    match barrier.wait(wait) {
        Ok(passed) => Some(passed.leader),
        Err(error) if error.kind() == ErrorKind::Broken => None,
        Err(error) => panic!("{error}"),
    }
}

/// How one more wait ends. After a reset, the barrier works for the living, round after round.
fn one_more(scene: &Scene, parties: u32) -> &'static str {
    let barrier = find(&scene.open(), parties);
    let found = leads(&barrier, &bounded());
    assert_eq!(leads(&barrier, &bounded()), None, "a participant is dead");
    assert!(barrier.is_broken());
    barrier.reset().unwrap();
    assert!(!barrier.is_broken());
    assert_eq!(barrier.waiting(), 0);
    let others: Vec<_> = (1..parties)
        .map(|_| {
            Child::run(&scene.page, || {
                limit(LIMIT);
                let barrier = find(&scene.open(), parties);
                let rounds = (0..3).filter_map(|_| leads(&barrier, &bounded())).count();
                assert_eq!(rounds, 3, "nobody of these died");
                barrier.close().unwrap();
            })
        })
        .collect();
    for _ in 0..3 {
        leads(&barrier, &bounded()).expect("nobody of these died");
    }
    for other in others {
        other.expect_success(&scene.page, "a participant");
    }
    if found.is_some() { PASSED } else { BROKEN }
}

/// `outcomes`: for those who find the dead as they are. Who gets the slot of a dead participant finds the barrier broken.
fn crash_of<R>(
    name: &str,
    parties: u32,
    set_up: impl Fn(&Scene, &Barrier) -> R,
    operation: impl Fn(&Barrier),
    outcomes: &[&str],
) {
    let set_up = |scene: &Scene| {
        let barrier = find(&scene.open(), parties);
        let _ = set_up(scene, &barrier);
        barrier
    };
    crash(&format!("barrier {name}, in a slot of the dead"), set_up, &operation, &[BROKEN], |copy| {
        one_more(copy, parties)
    });
    crash(&format!("barrier {name}"), set_up, operation, outcomes, |copy| {
        // The slots of the dead go to processes that have nothing to do with the barrier.
        copy.living(|_| {});
        copy.living(|_| {});
        one_more(copy, parties)
    });
}

/// Somebody arrived, waits for the others, and is killed.
fn killed_waiting(scene: &Scene, parties: u32) -> usize {
    scene.killed_waiting(|region| drop(find(region, parties).wait(&bounded())))
}

#[test]
fn arrive() {
    let arrive = |barrier: &Barrier| assert!(barrier.wait(&short()).is_err(), "nobody else comes");
    crash_of("wait in vain", 3, |_, _| {}, arrive, &[BROKEN]);
}

/// The other's arrival counts although it is dead by now: a round that is complete is complete.
#[test]
fn arrive_last() {
    for asleep in [false, true] {
        let set_up = |scene: &Scene, _: &Barrier| {
            let word = killed_waiting(scene, 2);
            if asleep {
                scene.sleeper(word);
            }
        };
        let arrive = |barrier: &Barrier| assert_eq!(leads(barrier, &bounded()), Some(true));
        crash_of("last", 2, set_up, arrive, &[PASSED, BROKEN]);
    }
}

#[test]
fn break_and_reset() {
    // Four are to come, so that with the victim and the next one not all have arrived.
    let dead = |scene: &Scene, _: &Barrier| killed_waiting(scene, 4);
    let told = |barrier: &Barrier| assert_eq!(leads(barrier, &bounded()), None);
    let broken = |scene: &Scene, barrier: &Barrier| {
        dead(scene, barrier);
        told(barrier);
    };
    crash_of("abort", 4, |_, _| {}, |barrier| barrier.abort().unwrap(), &[BROKEN]);
    crash_of("wait with the dead", 4, dead, told, &[BROKEN]);
    crash_of("wait when broken", 4, broken, told, &[BROKEN]);
    crash_of("reset", 4, broken, |barrier| barrier.reset().unwrap(), &[BROKEN]);
    crash_of("reset of a whole one", 4, |_, _| {}, |barrier| barrier.reset().unwrap(), &[BROKEN]);
}
