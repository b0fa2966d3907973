//! Groups `pool` and `value`: without contention, and two processes on one pool.

use std::hint::black_box;
use std::time::Instant;

use shmkit::{Pool, PoolOptions, Region};

use crate::iceoryx2::IndexSet;
use crate::processes::two_processes;
use crate::{ROUNDS, compare, median, report};

const COUNT: u64 = 300_000;
/// Of each of two processes: enough for what they do at once to outweigh beginning and end.
const COUNT_OF_TWO: u64 = 1_000_000;
const BATCH: u64 = 256;

fn scratch_region(tag: &str) -> Region {
    let name = format!("bench-{tag}-{}", std::process::id());
    let region = Region::create(name.as_str(), 4096).expect("create region");
    Region::unlink(name.as_str()).expect("unlink region");
    region
}

fn allocate_and_free(pool: &Pool, count: u64) {
    (0..count).for_each(|_| drop(black_box(pool.allocate().expect("allocate"))));
}

/// As many blocks at once as fit the case, then all of them back.
fn batches<T>(held: &mut Vec<T>, count: u64, mut one: impl FnMut() -> T, mut back: impl FnMut(T)) {
    for _ in 0..count / BATCH {
        held.extend((0..BATCH).map(|_| one()));
        held.drain(..).for_each(&mut back);
    }
}

/// An allocation and a free beside a lock and an unlock of our own mutex, and beside the index set that iceoryx2 gives its
/// samples out with; blocks in batches; malloc, as the limit.
pub fn pool() {
    let region = scratch_region("pool");
    let pool = region.pool("p", PoolOptions::new(64, 1024)).expect("pool");
    let mutex = region.mutex("m").expect("mutex");
    let lock_and_unlock = |count| (0..count).for_each(|_| drop(black_box(mutex.lock().expect("lock"))));
    compare(
        "pool.allocate_free.rust.vs_mutex",
        COUNT,
        |count| allocate_and_free(&pool, count),
        lock_and_unlock,
    );
    let mut held = Vec::with_capacity(BATCH as usize);
    let mut batches_of_pool = |count| batches(&mut held, count, || pool.allocate().expect("allocate"), drop);
    compare("pool.batch_of_256.rust.vs_mutex", COUNT, &mut batches_of_pool, lock_and_unlock);
    // It looks for a free index from the first one on: at its best when none is taken, slow when many are.
    let set = IndexSet::new();
    compare(
        "pool.allocate_free.rust.vs_iceoryx2_robust_index_set",
        COUNT,
        |count| allocate_and_free(&pool, count),
        |count| (0..count).for_each(|_| set.release(black_box(set.acquire()))),
    );
    let mut indices = Vec::with_capacity(BATCH as usize);
    compare("pool.batch_of_256.rust.vs_iceoryx2_robust_index_set", 100 * BATCH, batches_of_pool, |count| {
        batches(&mut indices, count, || set.acquire(), |index| set.release(index))
    });
    compare(
        "pool.allocate_free.rust.vs_malloc",
        COUNT,
        |count| allocate_and_free(&pool, count),
        |count| (0..count).for_each(|_| drop(black_box(Box::new([0u8; 64])))),
    );
    let alone = || {
        let start = Instant::now();
        allocate_and_free(&pool, COUNT_OF_TWO);
        start.elapsed().as_nanos() as f64 / COUNT_OF_TWO as f64
    };
    // Each opens the pool for itself: where a process begins to look is its own affair.
    let both = |count| {
        let pool = region.find_pool("p").expect("pool");
        allocate_and_free(&pool, count);
    };
    let rounds: Vec<_> = (0..ROUNDS).map(|_| (two_processes(COUNT_OF_TWO, both), alone())).collect();
    let times = (median(rounds.iter().map(|round| round.0)), median(rounds.iter().map(|round| round.1)));
    report("pool.two_processes.rust.vs_one_process", times.0, times.1);
}

/// Values of one word and of several, beside a mutex and a copy.
pub fn value() {
    type Wide = [u64; 8];
    let region = scratch_region("value");
    let (word, wide) =
        (region.value("w", 0u64).expect("value"), region.value("v", [0u64; 8]).expect("value"));
    let mutex = region.mutex("m").expect("mutex");
    let copy_under_mutex = |count| {
        for _ in 0..count {
            let _held = mutex.lock().expect("lock");
            let mut bytes = [0; 64];
            region.read_at(0, &mut bytes).expect("read");
            black_box(bytes);
        }
    };
    let write_under_mutex = |count| {
        for _ in 0..count {
            let _held = mutex.lock().expect("lock");
            region.write_at(0, &black_box([0; 64])).expect("write");
        }
    };
    let load = |count| (0..count).for_each(|_| _ = black_box(wide.load().expect("load")));
    compare("value.load_64_bytes.rust.vs_mutex_and_copy", COUNT, load, copy_under_mutex);
    let store = |count| (0..count).for_each(|_| wide.store(black_box::<Wide>([1; 8])).expect("store"));
    compare("value.store_64_bytes.rust.vs_mutex_and_copy", COUNT, store, write_under_mutex);
    let load = |count| (0..count).for_each(|_| _ = black_box(word.load().expect("load")));
    compare("value.load_8_bytes.rust.vs_mutex_and_copy", COUNT, load, copy_under_mutex);
}
