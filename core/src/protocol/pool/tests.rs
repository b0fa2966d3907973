//! Tests of the pool's words, by hand and against a plain model.

use std::cell::RefCell;
use std::time::Duration;

use super::super::owner::owner_id;
use super::super::party::Slept;
use super::*;
use crate::atomic::AtomicU32;
use proptest::prelude::*;

/// Whoever is named is dead.
#[derive(Default)]
struct Graves(RefCell<Vec<u32>>);

impl Party for Graves {
    fn is_dead(&self, owner: u32) -> bool {
        self.0.borrow().contains(&owner)
    }
    fn is_replaced(&self, _: u32) -> bool {
        false
    }
    fn slots_high(&self) -> usize {
        2
    }
    fn now_ns(&self) -> u64 {
        crate::sys::clock::monotonic_ns()
    }
    fn sleep(&self, _: &AtomicU32, _: u32, _: Duration, _: u64) -> Slept {
        Slept::TimedOut
    }
    fn wake(&self, _: &AtomicU32, _: i32) -> usize {
        0
    }
}

struct Bench {
    record: PoolRecord,
    table: Vec<AtomicU64>,
    shape: PoolShape,
    party: Graves,
}

impl Bench {
    fn new(count: u32) -> Bench {
        let shape = PoolShape::new(count);
        let table: Vec<AtomicU64> = (0..shape.words).map(|_| AtomicU64::new(0)).collect();
        let set = |word: usize, bits| {
            table[word].store(bits, Relaxed);
            Ok::<(), ()>(())
        };
        shape.fill(set).unwrap();
        Bench { record: PoolRecord::default(), table, shape, party: Graves::default() }
    }

    fn words(&self) -> PoolWords<'_> {
        PoolWords { record: &self.record, table: &self.table, shape: &self.shape }
    }

    fn states(&self) -> Vec<Tenure> {
        self.words().tenures().collect()
    }
}

fn me() -> u32 {
    owner_id(0, 1)
}

fn other() -> u32 {
    owner_id(1, 1)
}

#[test]
fn the_tree_is_as_deep_as_it_must_be() {
    for (count, depth, lens) in [
        (1, 1, vec![1]),
        (64, 1, vec![1]),
        (65, 2, vec![2, 1]),
        (4096, 2, vec![64, 1]),
        (4097, 3, vec![65, 2, 1]),
        (u32::MAX - 1, 6, vec![1 << 26, 1 << 20, 1 << 14, 256, 4, 1]),
    ] {
        let shape = PoolShape::new(count);
        assert_eq!((shape.depth, &shape.lens[..depth]), (depth, &lens[..]), "{count}");
        for level in 0..depth {
            assert!(shape.starts[level].is_multiple_of(LINE));
            let before =
                if level == 0 { count as usize } else { shape.starts[level - 1] + shape.lens[level - 1] };
            assert!(shape.starts[level] >= before, "the parts do not overlap");
        }
        assert!(shape.words >= shape.starts[depth - 1] + shape.lens[depth - 1]);
    }
}

#[test]
fn every_block_is_found_once_and_then_none() {
    for count in [1, 2, 63, 64, 65, 200, 4096, 4100] {
        let bench = Bench::new(count);
        let mut handles: Vec<u64> =
            (0..count).map(|_| bench.words().try_take(me(), 7).expect("one is left")).collect();
        assert_eq!(bench.words().take_now(me(), 7, &bench.party), None);
        handles.sort_unstable_by_key(|handle| *handle as u32);
        assert!(handles.iter().map(|handle| *handle as u32).eq(1..=count));
        for handle in &handles {
            bench.words().free(*handle, me(), &bench.party).unwrap();
            assert_eq!(bench.words().free(*handle, me(), &bench.party), Err(Refused::Invalid), "twice");
        }
        assert!(bench.states().iter().all(|state| *state == Tenure::Free));
        assert!((0..count).all(|_| bench.words().try_take(me(), count).is_some()), "the bits know of all");
    }
}

#[test]
fn a_handle_is_good_for_one_tenure_and_one_owner() {
    let bench = Bench::new(1);
    let (words, party) = (bench.words(), &bench.party);
    let first = words.try_take(me(), 0).unwrap();
    assert_eq!(words.free(first, other(), party), Err(Refused::Invalid));
    assert_eq!(words.publish(first, other()), Err(Refused::Invalid));
    assert_eq!(words.adopt(first, other()), Err(Refused::Invalid), "not published");
    words.publish(first, me()).unwrap();
    assert_eq!(words.free(first, me(), party), Err(Refused::Invalid), "nobody's");
    let second = words.adopt(first, other()).unwrap();
    assert_eq!(words.adopt(first, me()), Err(Refused::Stale), "adopted before");
    assert_eq!(words.is_mine(second, other()), Ok(0));
    assert_eq!(words.is_mine(second, me()), Err(Refused::Invalid));
    words.free(second, other(), party).unwrap();
    assert_eq!(words.adopt(second, me()), Err(Refused::Invalid), "free");
    let third = words.try_take(other(), 0).unwrap();
    assert_eq!(words.free(second, other(), party), Err(Refused::Stale));
    assert_eq!(words.is_mine(third, other()), Ok(0));
    for nonsense in [0, 2, 1 << 32, u64::MAX, 1 << 32 | 2] {
        assert_eq!(words.free(nonsense, me(), party), Err(Refused::Invalid), "{nonsense:#x}");
    }
}

#[test]
fn blocks_of_the_dead_come_back_and_published_ones_stay() {
    let bench = Bench::new(5);
    let words = bench.words();
    let theirs: Vec<u64> = (0..3).map(|_| words.try_take(other(), 0).unwrap()).collect();
    words.publish(theirs[0], other()).unwrap();
    let mine: Vec<u64> = (0..2).map(|_| words.try_take(me(), 0).unwrap()).collect();
    assert_eq!(words.take_now(me(), 0, &bench.party), None, "its owner lives");
    bench.party.0.borrow_mut().push(other());
    assert!(words.take_now(me(), 0, &bench.party).is_some());
    assert_eq!(bench.record.recovered.load(Relaxed), 2);
    assert_eq!(words.recover(me(), &bench.party), 0);
    assert!(words.adopt(theirs[0], me()).is_ok());
    assert_eq!(words.free(theirs[1], other(), &bench.party).unwrap_err(), Refused::Stale);
    assert!(mine.iter().all(|handle| words.is_mine(*handle, me()).is_ok()));
}

#[test]
fn each_owner_is_judged_by_itself() {
    let bench = Bench::new(2);
    let words = bench.words();
    let dead = owner_id(2, 1);
    let living = words.try_take(other(), 0).unwrap();
    words.try_take(dead, 0).unwrap();
    bench.party.0.borrow_mut().push(dead);
    assert_eq!(words.recover(me(), &bench.party), 1);
    assert!(words.is_mine(living, other()).is_ok());
}

#[test]
fn who_waits_gets_what_the_dead_had_and_else_gives_up() {
    let bench = Bench::new(1);
    let words = bench.words();
    let theirs = words.try_take(other(), 0).unwrap();
    let wait = Wait::timeout(Duration::ZERO);
    assert_eq!(words.take(me(), 0, &bench.party, &wait), Err(Stop::Timeout));
    bench.party.0.borrow_mut().push(other());
    let taken = words.take(me(), 0, &bench.party, &wait).unwrap();
    assert_ne!(taken, theirs);
}

#[test]
fn who_waits_is_told_of_what_is_freed_and_of_what_comes_back() {
    let bench = Bench::new(3);
    let words = bench.words();
    let signal = &bench.record.signal;
    let mine = words.try_take(me(), 0).unwrap();
    let watched = signal::watch(signal);
    words.free(mine, me(), &bench.party).unwrap();
    assert_ne!(signal.load(Relaxed) | 1, watched, "told of the freed one");
    assert!((0..3).all(|_| words.try_take(other(), 0).is_some()));
    bench.party.0.borrow_mut().push(other());
    let watched = signal::watch(signal);
    assert!(words.take_now(me(), 0, &bench.party).is_some());
    assert_ne!(signal.load(Relaxed) | 1, watched, "told of the others");
    let watched = signal::watch(signal);
    assert_eq!(words.recover(me(), &bench.party), 0);
    assert_eq!(signal.load(Relaxed) | 1, watched, "nothing came back");
}

#[test]
fn lost_and_invented_bits_are_mended() {
    let bench = Bench::new(300);
    for level in 0..bench.shape.depth {
        for (index, word) in bench.table[bench.shape.starts[0]..].iter().enumerate() {
            word.store(if index % 2 == level { u64::MAX } else { 0 }, Relaxed);
        }
        let taken: Vec<u64> =
            std::iter::from_fn(|| bench.words().take_now(me(), 299, &bench.party)).collect();
        assert_eq!(taken.len(), 300);
        for handle in taken {
            bench.words().free(handle, me(), &bench.party).unwrap();
        }
    }
}

#[test]
fn after_a_look_at_all_blocks_the_bits_tell_of_every_free_one() {
    let bench = Bench::new(5000);
    let words = bench.words();
    let theirs: Vec<u64> = (0..1000).map(|_| words.try_take(other(), 0).unwrap()).collect();
    let bits = &bench.table[bench.shape.starts[0]..];
    bits.iter().for_each(|word| word.store(0, Relaxed));
    assert_eq!(words.try_take(me(), u32::MAX), None, "no bit tells of any");
    bench.party.0.borrow_mut().push(other());
    assert_eq!(words.recover(me(), &bench.party), theirs.len() as u32);
    // What the bits say is now what they said when the pool was new; also where only some were missing.
    let new = Bench::new(5000);
    for level in 1..=bench.shape.depth {
        for (word, fresh) in bits.iter().zip(&new.table[new.shape.starts[0]..]) {
            assert_eq!(word.load(Relaxed), fresh.load(Relaxed));
        }
        if level < bench.shape.depth {
            bench.table[bench.shape.starts[level]..].iter().for_each(|word| word.store(0, Relaxed));
            words.recover(me(), &bench.party);
        }
    }
    assert_eq!(std::iter::from_fn(|| words.try_take(me(), 0)).count(), 5000);
    // And now that none is free, no bit says that one is: whoever looks finds out at the top.
    assert!(bits.iter().all(|word| word.load(Relaxed) == 0));
}

#[test]
fn promises_that_nobody_keeps_are_taken_away_on_the_way_to_one_that_is_kept() {
    let bench = Bench::new(5000);
    let words = bench.words();
    let taken: Vec<u64> = (0..5000).map(|_| words.try_take(me(), 0).unwrap()).collect();
    let last = taken.iter().max_by_key(|handle| **handle as u32).unwrap();
    words.free(*last, me(), &bench.party).unwrap();
    let level = &bench.table[bench.shape.starts[1]..][..bench.shape.lens[1]];
    level[0].store(u64::MAX, Relaxed);
    bench.table[bench.shape.starts[2]].fetch_or(1, Relaxed);
    assert_eq!(words.try_take(me(), 0).map(|handle| handle as u32), Some(5000));
    assert_eq!(level[0].load(Relaxed) & !1, 0, "behind where it began");
}

#[test]
fn garbage_is_nobodys_and_stays() {
    let bench = Bench::new(4);
    for (word, garbage) in bench.table.iter().zip([3, 1, 1 << 3, 2 | 1 << 3]) {
        word.store(garbage, Relaxed);
    }
    assert!(bench.states().iter().all(|state| *state == Tenure::Garbage));
    assert_eq!(bench.words().take_now(me(), 0, &bench.party), None);
    bench.party.0.borrow_mut().push(0);
    assert_eq!(bench.words().recover(me(), &bench.party), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Take(bool, u32),
    Free(bool, usize),
    Publish(bool, usize),
    Adopt(bool, usize),
    LoseBits(usize, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (any::<bool>(), 0..200u32).prop_map(|(who, first)| Step::Take(who, first)),
        3 => (any::<bool>(), any::<usize>()).prop_map(|(who, which)| Step::Free(who, which)),
        1 => (any::<bool>(), any::<usize>()).prop_map(|(who, which)| Step::Publish(who, which)),
        2 => (any::<bool>(), any::<usize>()).prop_map(|(who, which)| Step::Adopt(who, which)),
        1 => (any::<usize>(), any::<u64>()).prop_map(|(word, bits)| Step::LoseBits(word, bits)),
    ];
    prop::collection::vec(step, 0..400)
}

proptest! {
    /// What two processes do, step by step, against lists of handles; bits are only hints, whatever they say.
    #[test]
    fn a_pool_is_what_a_plain_model_is(count in 1u32..150, steps in steps()) {
        let bench = Bench::new(count);
        let (words, party) = (bench.words(), &bench.party);
        let id = |who| if who { me() } else { other() };
        let mut owned: Vec<(bool, u64)> = Vec::new();
        let mut published: Vec<u64> = Vec::new();
        let mut old: Vec<u64> = Vec::new();
        for step in steps {
            match step {
                Step::Take(who, first) => {
                    let taken = words.take_now(id(who), first, party);
                    prop_assert_eq!(taken.is_some(), owned.len() + published.len() < count as usize);
                    if let Some(handle) = taken {
                        let all = owned.iter().map(|(_, handle)| handle).chain(&published);
                        prop_assert!(all.chain(&old).all(|known| *known != handle), "a handle twice");
                        owned.push((who, handle));
                    }
                }
                Step::Free(who, which) if !owned.is_empty() => {
                    let which = which % owned.len();
                    let (owner, handle) = owned[which];
                    prop_assert_eq!(words.free(handle, id(who), party).is_ok(), who == owner);
                    if who == owner {
                        owned.swap_remove(which);
                        old.push(handle);
                    }
                }
                Step::Publish(who, which) if !owned.is_empty() => {
                    let which = which % owned.len();
                    let (owner, handle) = owned[which];
                    prop_assert_eq!(words.publish(handle, id(who)).is_ok(), who == owner);
                    if who == owner {
                        owned.swap_remove(which);
                        published.push(handle);
                    }
                }
                Step::Adopt(who, which) if !published.is_empty() => {
                    let handle = published.swap_remove(which % published.len());
                    owned.push((who, words.adopt(handle, id(who)).unwrap()));
                    prop_assert_eq!(words.adopt(handle, id(who)), Err(Refused::Stale));
                    old.push(handle);
                }
                Step::LoseBits(word, bits) => {
                    let tree = &bench.table[bench.shape.starts[0]..];
                    tree[word % tree.len()].store(bits, Relaxed);
                }
                _ => {}
            }
            prop_assert!(old.iter().all(|handle| words.is_mine(*handle, me()).is_err()
                && words.is_mine(*handle, other()).is_err()
                && words.adopt(*handle, me()).is_err()));
        }
        let free = bench.states().iter().filter(|state| **state == Tenure::Free).count();
        prop_assert_eq!(free, count as usize - owned.len() - published.len());
    }
}
