//! The pool.

use shmkit::{BlockState, Pool, PoolOptions, Region};

use crate::harness::crash;
use crate::scene::{Scene, bounded, short};

/// Blocks of the large pool: one more than a word has bits, so that its tree has two levels.
const MANY: u32 = 65;

fn find(region: &Region, count: u32) -> Pool {
    region.pool("p", PoolOptions::new(16, count).alignment(8)).expect("a pool")
}

/// Takes so many blocks, to keep.
fn take(pool: &Pool, count: u32) -> Vec<u64> {
    (0..count).map(|_| pool.take(&bounded()).expect("a block")).collect()
}

const NUMBERS: [&str; 5] = ["none", "one", "two", "three", "four"];

/// How many blocks somebody had when the victim died, and a letter for each that is published. After that, the blocks of the dead
/// come back, every block is found exactly once, and they go from process to process as ever.
fn blocks(scene: &Scene, count: u32) -> &'static str {
    let region = scene.open();
    let pool = find(&region, count);
    let before = pool.status();
    assert_eq!(before.damaged, 0);
    assert_eq!(before.free + before.owned + before.published, count, "{before:?}");
    scene.kill_living();
    assert_eq!(pool.recover().unwrap(), before.owned, "all that the dead had");
    let published = pool.blocks().into_iter().filter(|block| block.state == BlockState::Published);
    let mut handles: Vec<u64> =
        published.map(|block| pool.take_published(block.handle.unwrap()).unwrap()).collect();
    assert_eq!(handles.len() as u32, before.published);
    handles.extend(std::iter::from_fn(|| pool.try_take().unwrap()));
    let mut places: Vec<u32> = handles.iter().map(|handle| *handle as u32).collect();
    places.sort_unstable();
    assert!(places.into_iter().eq(1..=count), "each block once");
    let word = scene.killed_waiting(|region| find(region, count).take(&bounded()).unwrap());
    scene.sleeper(word);
    for handle in handles {
        pool.free(handle).unwrap();
    }
    scene.other(|region| {
        let pool = find(region, count);
        let taken = take(&pool, count);
        assert!(pool.try_take().unwrap().is_none());
        taken.into_iter().for_each(|handle| pool.free(handle).unwrap());
    });
    let used = before.owned + before.published;
    match (used, before.published) {
        (_, 1) => "published",
        (used, 0) if used == count => "all",
        (used, 0) if used + 1 == count => "all but one",
        (used, _) => NUMBERS[used as usize],
    }
}

fn crash_of<T>(
    name: &str,
    count: u32,
    set_up: impl Fn(&Scene, &Pool) -> T,
    operation: impl Fn(&Pool, &T),
    outcomes: &[&str],
) {
    let set_up = |scene: &Scene| {
        let pool = find(&scene.open(), count);
        let ready = set_up(scene, &pool);
        (pool, ready)
    };
    let operation = |(pool, ready): &(Pool, T)| operation(pool, ready);
    crash(&format!("pool {name}"), set_up, operation, outcomes, |copy| blocks(copy, count));
}

fn allocate<T>(pool: &Pool, _: &T) {
    pool.take(&bounded()).unwrap();
}

#[test]
fn allocation() {
    crash_of("allocate", 4, |_, _| (), allocate, &["none", "one"]);
    crash_of("allocate by the bits", 4, |_, pool| take(pool, 1), allocate, &["one", "two"]);
    crash_of("allocate the last", MANY, |_, pool| take(pool, MANY - 1), allocate, &["all but one", "all"]);
    let full = |scene: &Scene, _: &Pool| scene.living(|region| take(&find(region, 4), 4));
    let in_vain = |pool: &Pool, (): &()| assert!(pool.take(&short()).is_err());
    crash_of("allocate in vain", 4, full, in_vain, &["all"]);
    let try_in_vain = |pool: &Pool, (): &()| assert!(pool.try_take().unwrap().is_none());
    crash_of("try to allocate in vain", 4, full, try_in_vain, &["all"]);
}

#[test]
fn what_the_dead_had() {
    let killed = |scene: &Scene, _: &Pool| scene.killed(|region| take(&find(region, 2), 2));
    let recover = |pool: &Pool, (): &()| assert_eq!(pool.recover().unwrap(), 2);
    crash_of("recover", 2, killed, recover, &["all", "all but one", "none"]);
    crash_of("allocate from the dead", 2, killed, allocate, &["all", "all but one", "all", "all but one"]);
}

#[test]
fn freeing() {
    let one = |_: &Scene, pool: &Pool| take(pool, 1)[0];
    let free = |pool: &Pool, handle: &u64| pool.free(*handle).unwrap();
    crash_of("free", 4, one, free, &["one", "none"]);
    let last = |_: &Scene, pool: &Pool| take(pool, MANY)[0];
    crash_of("free the first of many", MANY, last, free, &["all", "all but one"]);
    let waited = |scene: &Scene, pool: &Pool| {
        let handle = take(pool, 4)[0];
        (handle, scene.killed_waiting(|region| find(region, 4).take(&bounded()).unwrap()))
    };
    let free_first = |pool: &Pool, (handle, _): &(u64, usize)| pool.free(*handle).unwrap();
    crash_of("free after a waiter", 4, waited, free_first, &["all", "all but one"]);
    let sleeper = |scene: &Scene, pool: &Pool| {
        let (handle, word) = waited(scene, pool);
        scene.sleeper(word);
        (handle, word)
    };
    crash_of("free for a sleeper", 4, sleeper, free_first, &["all", "all but one"]);
}

#[test]
fn passing_on() {
    let one = |_: &Scene, pool: &Pool| take(pool, 1)[0];
    let publish = |pool: &Pool, handle: &u64| pool.publish(*handle).unwrap();
    crash_of("publish", 4, one, publish, &["one", "published"]);
    let published = |_: &Scene, pool: &Pool| {
        let handle = take(pool, 1)[0];
        pool.publish(handle).unwrap();
        handle
    };
    let adopt = |pool: &Pool, handle: &u64| assert_ne!(pool.take_published(*handle).unwrap(), *handle);
    crash_of("adopt", 4, published, adopt, &["published", "one"]);
    let adopted = |_: &Scene, pool: &Pool| {
        let handle = published(&Scene::new("", &crate::process::Page::new()), pool);
        pool.take_published(handle).unwrap();
        handle
    };
    let late = |pool: &Pool, handle: &u64| assert!(pool.take_published(*handle).is_err());
    crash_of("adopt too late", 4, adopted, late, &["one"]);
}

#[test]
fn opening() {
    let create = |scene: &Scene| scene.open();
    let open = |region: &Region| std::mem::forget(find(region, 4));
    crash("pool create", create, open, &["absent", "none"], |copy| {
        if copy.open().find_pool("p").is_err() { "absent" } else { blocks(copy, 4) }
    });
    let closing = |scene: &Scene| find(&scene.open(), 4);
    crash("pool close", closing, |pool| pool.close().unwrap(), &["none"], |copy| blocks(copy, 4));
}
