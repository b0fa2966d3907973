//! Storms over a heap with each strategy: blocks are allocated, written, resized, freed, and passed on from process to process
//! while some die.

use super::{BEGUN, COMPLETED, FIRST, Ledger, TURNS, storm};
use crate::kills::Random;
use shmkit::{Atomic, Block, ErrorKind, Heap, HeapOptions, HeapStrategy, Region};

const LEN: u64 = 4096;

fn heap(region: &Region, strategy: HeapStrategy) -> Heap {
    region.heap("heap", HeapOptions::new(LEN).strategy(strategy).reclaim()).unwrap()
}

/// Whoever has a block is alone with it: it stays as it was written.
fn use_block(block: &Block<'_>, ledger: &Ledger<'_>, mark: u8) {
    block.write_at(0, &vec![mark; block.len()]).unwrap();
    std::hint::spin_loop();
    let mut bytes = vec![0; block.len()];
    block.read_at(0, &mut bytes).unwrap();
    ledger.expect(bytes.iter().all(|byte| *byte == mark));
}

/// Frees what was published by somebody who died before it told others the offset.
fn sweep(heap: &Heap, letterbox: u64) {
    let blocks = heap.blocks().unwrap();
    for block in blocks.into_iter().filter(|block| block.is_published && block.offset != letterbox) {
        // Its publisher may live after all, or somebody was faster.
        drop(heap.adopt(block.offset));
    }
}

/// Leaves a block in the letterbox, and takes what was there.
fn pass_on(heap: &Heap, block: Block<'_>, letterbox: &Atomic<u64>, ledger: &Ledger<'_>, worker: usize) {
    let old = letterbox.swap(block.publish().unwrap());
    match heap.adopt(old) {
        Ok(block) => {
            use_block(&block, ledger, worker as u8);
            ledger.count(worker, FIRST);
        }
        // Swept away, and perhaps another's by now.
        Err(error) => ledger.expect(matches!(error.kind(), ErrorKind::InvalidBlock | ErrorKind::NotOwner)),
    }
}

fn work(strategy: HeapStrategy, region: &Region, ledger: &Ledger<'_>, worker: usize) {
    let heap = heap(region, strategy);
    let letterbox = region.atomic_u64("letterbox", 0).unwrap();
    let mut random = Random::new();
    sweep(&heap, letterbox.load());
    for _ in 0..TURNS {
        ledger.count(worker, BEGUN);
        let len = 1 + random.below(300) as usize;
        match heap.allocate(len) {
            Ok(mut block) => {
                use_block(&block, ledger, random.below(256) as u8);
                if random.below(3) == 0 && block.resize(1 + random.below(300) as usize).is_ok() {
                    use_block(&block, ledger, worker as u8);
                }
                if random.below(4) == 0 {
                    pass_on(&heap, block, &letterbox, ledger, worker);
                } else {
                    block.free().unwrap();
                }
            }
            Err(error) => ledger.expect(error.kind() == ErrorKind::NoSpace),
        }
        ledger.count(worker, COMPLETED);
    }
}

fn check(strategy: HeapStrategy, region: &Region) {
    let heap = heap(region, strategy);
    heap.check().unwrap();
    heap.reclaim().unwrap();
    sweep(&heap, 0);
    heap.check().unwrap();
    let left = heap.status().unwrap();
    assert_eq!((left.used_blocks, left.free_blocks), (0, 1), "nothing is lost: {left:?}");
    println!("{} repairs, {} blocks reclaimed", left.repairs, left.reclaimed);
}

#[test]
fn best_fit() {
    let work =
        |region: &Region, ledger: &Ledger<'_>, worker| work(HeapStrategy::BestFit, region, ledger, worker);
    storm(best_fit, "storm-heap-best-fit", work, |region, _| check(HeapStrategy::BestFit, region));
}

#[test]
fn first_fit() {
    let work =
        |region: &Region, ledger: &Ledger<'_>, worker| work(HeapStrategy::FirstFit, region, ledger, worker);
    storm(first_fit, "storm-heap-first-fit", work, |region, _| check(HeapStrategy::FirstFit, region));
}

#[test]
fn buddy() {
    let work =
        |region: &Region, ledger: &Ledger<'_>, worker| work(HeapStrategy::Buddy, region, ledger, worker);
    storm(buddy, "storm-heap-buddy", work, |region, _| check(HeapStrategy::Buddy, region));
}
