//! Group `heap`: a block allocated and freed among many others, beside malloc. Traces of real programs, beside
//! Boost.Interprocess: `tests/bench/cpp`.

use std::hint::black_box;

use shmkit::{Heap, HeapOptions, HeapStrategy, Region};

use crate::compare;

const COUNT: u64 = 60_000;
/// Blocks that live meanwhile, of many sizes, with gaps between them.
const LIVING: usize = 10_000;

fn heap(strategy: HeapStrategy) -> Heap {
    let name = format!("bench-heap-{}", std::process::id());
    let heap = Heap::create(name.as_str(), HeapOptions::new(32 << 20).strategy(strategy)).expect("heap");
    Region::unlink(name.as_str()).expect("unlink");
    let living: Vec<u64> =
        (0..LIVING).map(|at| heap.reserve(16 + at * 37 % 1000, 16).expect("block")).collect();
    living.iter().step_by(3).for_each(|offset| heap.free(*offset).expect("free"));
    heap
}

pub fn run() {
    let sizes = |index: u64| 16 + (index as usize * 61) % 700;
    for strategy in HeapStrategy::ALL {
        let heap = heap(strategy);
        compare(
            &format!("heap.pair_{}.rust.vs_malloc", strategy.name().replace(' ', "_")),
            COUNT,
            |count| {
                for index in 0..count {
                    let offset = heap.reserve(sizes(index), 16).expect("block");
                    heap.free(black_box(offset)).expect("free");
                }
            },
            |count| {
                for index in 0..count {
                    // SAFETY: allocated here, and freed once.
                    unsafe { libc::free(black_box(libc::malloc(sizes(index)))) };
                }
            },
        );
    }
}
