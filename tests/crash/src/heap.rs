//! The heap, with each strategy.
//!
//! Whatever the victim was doing: the heap is whole, the blocks of others are where they were with what they held, what the
//! victim had is reclaimed, and then all that was not others' is free again in as few pieces as before.

use shmkit::{Heap, HeapOptions, HeapStrategy, Region};

use crate::harness::crash_in;
use crate::scene::Scene;

/// Bytes of the heap, and of an arena with room for it wherever it must begin.
const LEN: u64 = 4096;
const ARENA_LEN: u64 = 20 << 10;

fn open(region: &Region, strategy: HeapStrategy) -> Heap {
    region.heap("h", HeapOptions::new(LEN).strategy(strategy)).expect("a heap")
}

/// A block and what it must hold.
type Kept = (u64, u8);

fn filled(heap: &Heap, len: usize, with: u8) -> u64 {
    let block = heap.allocate(len).unwrap();
    block.write_at(0, &vec![with; len]).unwrap();
    block.into_offset()
}

/// What is there before: three published blocks with free space between them, and a block of the victim's before the last of
/// them. Where they are does not depend on who looks.
struct Before {
    kept: [Kept; 3],
    mine: u64,
}

const KEPT_LEN: usize = 100;

fn set_up(heap: &Heap) -> Before {
    let kept =
        [(filled(heap, KEPT_LEN, 1), 1), (heap.reserve(300, 16).unwrap(), 0), (filled(heap, KEPT_LEN, 2), 2)];
    let mine = filled(heap, 200, 9);
    let gap = heap.reserve(200, 16).unwrap();
    let last = (filled(heap, KEPT_LEN, 3), 3);
    heap.free(kept[1].0).unwrap();
    heap.free(gap).unwrap();
    let kept = [kept[0], kept[2], last];
    kept.iter().for_each(|(offset, _)| heap.publish(*offset).unwrap());
    Before { kept, mine }
}

/// The heap as others find it; `told` says what they see of the operation, before the blocks of the dead are gone.
fn look(
    scene: &Scene,
    strategy: HeapStrategy,
    kept: &[Kept],
    told: impl Fn(&Heap) -> &'static str,
) -> &'static str {
    let region = scene.open();
    let heap = open(&region, strategy);
    heap.check().expect("it is whole");
    let outcome = told(&heap);
    // It goes on as ever.
    let block = heap.allocate(50).expect("there is room");
    block.write_at(0, &[7; 50]).unwrap();
    drop(block);
    heap.reclaim().unwrap();
    heap.check().expect("it is whole without the dead");
    for (offset, with) in kept {
        let block = heap.adopt(*offset).expect("what is published stays");
        let mut bytes = [0; KEPT_LEN];
        block.read_at(0, &mut bytes).unwrap();
        assert_eq!(bytes, [*with; KEPT_LEN], "what others wrote stays");
    }
    let end = heap.status().unwrap();
    let pieces = if strategy == HeapStrategy::Buddy { LEN } else { LEN - 24 };
    assert_eq!((end.used_blocks, end.free_blocks, end.free), (0, 1, pieces), "nothing is lost");
    outcome
}

/// How many blocks belong to the dead.
fn of_the_dead(heap: &Heap) -> &'static str {
    let blocks = heap.blocks().unwrap();
    let count = blocks.iter().filter(|block| !block.is_free && !block.is_published && !block.alive).count();
    ["none", "one", "two", "three", "four"][count]
}

/// One operation of the victim on the heap as [`set_up`] leaves it.
fn crash_of<T>(
    name: &str,
    ready: impl Fn(&Heap, &Before) -> T,
    operation: impl Fn(&Heap, &T),
    outcomes: &[&str],
    told: impl Fn(&Heap, &Before) -> &'static str,
) {
    for strategy in HeapStrategy::ALL {
        // Where everything is: the same in every region, so that who looks need not be told.
        let plan = Scene::new(
            &format!("crash-heap-plan-{}-{}", std::process::id(), name.replace(' ', "-")),
            &crate::process::Page::new(),
        );
        let options =
            shmkit::RegionOptions::new().arena_len(ARENA_LEN).attachments(crate::scene::ATTACHMENTS);
        let region = options.create(plan.name.as_str(), 64).unwrap();
        let before = set_up(&open(&region, strategy));
        Region::unlink(plan.name.as_str()).unwrap();
        let set_up = |scene: &Scene| {
            let heap = open(&scene.open(), strategy);
            let found = set_up(&heap);
            assert_eq!((found.kept, found.mine), (before.kept, before.mine));
            let ready = ready(&heap, &found);
            (heap, ready)
        };
        crash_in(
            ARENA_LEN,
            &format!("heap {} {name}", strategy.name()),
            set_up,
            |(heap, ready)| operation(heap, ready),
            outcomes,
            |copy| look(copy, strategy, &before.kept, |heap| told(heap, &before)),
        );
    }
}

#[test]
fn allocate() {
    for (name, len, align) in [
        ("all of a gap", 296, 16),
        ("part of a gap", 100, 16),
        ("at the end", 700, 16),
        ("aligned", 100, 512),
    ] {
        crash_of(
            &format!("allocate {name}"),
            |_, _| (),
            |heap, ()| {
                heap.reserve(len, align).unwrap();
            },
            &["one", "two"],
            |heap, _| of_the_dead(heap),
        );
    }
    let fails = |heap: &Heap, (): &()| assert!(heap.reserve(LEN as usize, 16).is_err());
    crash_of("allocate in vain", |_, _| (), fails, &["one"], |heap, _| of_the_dead(heap));
}

#[test]
fn free() {
    let free = |heap: &Heap, offset: &u64| heap.free(*offset).unwrap();
    crash_of(
        "free before a gap",
        |_, before| before.mine,
        free,
        &["one", "none"],
        |heap, _| of_the_dead(heap),
    );
    let alone = |heap: &Heap, _: &Before| heap.reserve(296, 16).unwrap();
    crash_of("free between blocks", alone, free, &["two", "one"], |heap, _| of_the_dead(heap));
    // Two in one gap, of which the first, or the second, is free again.
    let two = |heap: &Heap| (heap.reserve(100, 16).unwrap(), heap.reserve(100, 16).unwrap());
    let behind = |heap: &Heap, _: &Before| {
        let (first, second) = two(heap);
        heap.free(first).unwrap();
        second
    };
    crash_of("free between gaps", behind, free, &["two", "one"], |heap, _| of_the_dead(heap));
    let first = |heap: &Heap, _: &Before| two(heap).0;
    crash_of("free behind a block", first, free, &["three", "two"], |heap, _| of_the_dead(heap));
}

#[test]
fn resize_in_place() {
    let resize = |len: usize| move |heap: &Heap, offset: &u64| heap.resize_in_place(*offset, len).unwrap();
    let mine = |_: &Heap, before: &Before| before.mine;
    crash_of("resize shorter before a gap", mine, resize(60), &["as before", "shorter"], |heap, before| {
        if heap.usable_size(before.mine).unwrap() < 200 { "shorter" } else { "as before" }
    });
    // The largest of the victim's tells: there is another, which stays.
    let largest = |heap: &Heap| {
        let blocks = heap.blocks().unwrap();
        let mine = blocks.iter().filter(|block| !block.is_free && !block.is_published);
        mine.map(|block| block.len).max().unwrap()
    };
    let second = |len: usize| move |heap: &Heap, _: &Before| heap.reserve(len, 16).unwrap();
    let told = |heap: &Heap, _: &Before| if largest(heap) >= 296 { "as before" } else { "shorter" };
    let outcomes = &["as before", "shorter"];
    crash_of("resize shorter between blocks", second(296), resize(60), outcomes, told);
    // The first that buddies give has a block behind it.
    let before_room = |heap: &Heap, _: &Before| {
        let first = heap.reserve(240, 16).unwrap();
        if heap.strategy() == HeapStrategy::Buddy { heap.reserve(240, 16).unwrap() } else { first }
    };
    let told = |heap: &Heap, _: &Before| if largest(heap) >= 290 { "longer" } else { "as before" };
    crash_of("resize into all of a gap", before_room, resize(290), &["as before", "longer"], told);
    let told = |heap: &Heap, before: &Before| {
        let blocks = heap.blocks().unwrap();
        let mut mine = blocks.iter().filter(|block| !block.is_free && !block.is_published);
        let other = mine.find(|block| block.offset != before.mine).unwrap();
        if other.len >= 100 { "longer" } else { "as before" }
    };
    crash_of("resize into a part of a gap", second(20), resize(100), &["as before", "longer"], told);
}

#[test]
fn resize_elsewhere() {
    crash_of(
        "resize elsewhere",
        |_, before| before.mine,
        |heap, offset| assert_ne!(heap.resize(*offset, 700, 16).unwrap(), *offset),
        &["old", "both", "new"],
        |heap, before| {
            let mut bytes = [0; 200];
            let blocks = heap.blocks().unwrap();
            let old = blocks.iter().any(|block| block.offset == before.mine && !block.is_free);
            let new = blocks.iter().find(|block| block.len >= 700 && !block.is_free);
            if let Some(new) = new.filter(|_| !old) {
                heap.view(new.offset, false).unwrap().read_at(0, &mut bytes).unwrap();
                assert_eq!(bytes, [9; 200], "it has moved with its bytes");
            }
            match (old, new) {
                (true, None) => "old",
                (true, Some(_)) => "both",
                _ => "new",
            }
        },
    );
}

#[test]
fn publish_and_adopt() {
    let is_published = |heap: &Heap, offset: u64| {
        let blocks = heap.blocks().unwrap();
        let block = blocks.iter().find(|block| block.offset == offset).unwrap();
        if block.is_published { "published" } else { "owned" }
    };
    crash_of(
        "publish",
        |_, before| before.mine,
        |heap, offset| heap.publish(*offset).unwrap(),
        &["owned", "published"],
        |heap, before| {
            let outcome = is_published(heap, before.mine);
            if outcome == "published" {
                heap.adopt(before.mine).unwrap().free().unwrap();
            }
            outcome
        },
    );
    crash_of(
        "adopt",
        |_, before| before.kept[1].0,
        |heap, offset| heap.adopt_offset(*offset).unwrap(),
        &["published", "owned"],
        |heap, before| {
            let offset = before.kept[1].0;
            let outcome = is_published(heap, offset);
            if outcome == "owned" {
                heap.adopt_offset(offset).expect("its owner died");
                heap.publish(offset).unwrap();
            }
            outcome
        },
    );
}

#[test]
fn reclaim() {
    for strategy in HeapStrategy::ALL {
        // The victim reclaims what somebody left who died earlier; who comes after finds three blocks less and less.
        let set_up = |scene: &Scene| {
            scene.killed(|region| {
                let heap = open(region, strategy);
                let _: Vec<u64> = (0..3).map(|_| heap.reserve(200, 16).unwrap()).collect();
                heap
            });
            open(&scene.open(), strategy)
        };
        crash_in(
            ARENA_LEN,
            &format!("heap {} reclaim", strategy.name()),
            set_up,
            |heap| assert_eq!(heap.reclaim().unwrap(), 3),
            &["three", "two", "one", "none"],
            |copy| look(copy, strategy, &[], of_the_dead),
        );
    }
}

/// The death of a repairer leaves a heap that is still to be repaired.
#[test]
fn repair() {
    for strategy in HeapStrategy::ALL {
        let set_up = |scene: &Scene| {
            scene.killed_after(
                3,
                |region| {
                    let heap = open(region, strategy);
                    let blocks: Vec<u64> = (0..4).map(|_| heap.reserve(100, 16).unwrap()).collect();
                    heap.free(blocks[0]).unwrap();
                    heap.free(blocks[2]).unwrap();
                    (heap, blocks[1])
                },
                |(heap, offset)| heap.free(*offset).unwrap(),
            );
            open(&scene.open(), strategy)
        };
        crash_in(
            ARENA_LEN,
            &format!("heap {} repair", strategy.name()),
            set_up,
            |heap| {
                // Whatever it is: it puts everything in order first.
                let _ = heap.usable_size(0);
            },
            &["some"],
            |copy| {
                look(copy, strategy, &[], |heap| {
                    if heap.status().unwrap().used_blocks > 0 { "some" } else { "none" }
                })
            },
        );
    }
}
