//! What is refused, what is told, what is mended. Against a plain model: [`steps`], [`traces`].

mod model;
mod steps;
mod traces;

use super::*;
use crate::atomic::AtomicU32;
use crate::atomic::Ordering::Relaxed;

/// A heap in a region of its own, without a name by now.
fn heap(options: HeapOptions) -> Heap {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("unit-heap-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
    let heap = Heap::create(name.as_str(), options).unwrap();
    Region::unlink(name.as_str()).unwrap();
    heap
}

fn options(strategy: HeapStrategy, len: u64) -> HeapOptions {
    HeapOptions::new(len).strategy(strategy)
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn what_is_no_live_block_is_refused() {
    for strategy in HeapStrategy::ALL {
        let heap = heap(options(strategy, 64 << 10));
        let kept = heap.reserve(1000, 16).unwrap();
        let gone = heap.reserve(1000, 16).unwrap();
        heap.free(gone).unwrap();
        let foreign =
            [0, 1, kept + 1, kept + 8, kept + 16, kept + 512, gone, heap.base, u64::MAX, 1 << 40, kept - 16];
        for offset in foreign.into_iter().filter(|offset| *offset != kept) {
            let refused = [
                kind(heap.free(offset)),
                kind(heap.usable_size(offset)),
                kind(heap.resize(offset, 10, 16)),
                kind(heap.resize_in_place(offset, 10)),
                kind(heap.publish(offset)),
                kind(heap.adopt_offset(offset)),
                kind(heap.view(offset, false).map(|_| ())),
                kind(heap.block(offset)),
            ];
            assert_eq!(refused, [ErrorKind::InvalidBlock; 8], "{strategy:?} {offset}");
        }
        assert_eq!(kind(heap.reserve(0, 16)), ErrorKind::InvalidLength);
        for align in [0, 3, 8192] {
            assert_eq!(kind(heap.reserve(1, align)), ErrorKind::InvalidArgument);
        }
        for len in [1 << 20, usize::MAX, usize::MAX / 2 + 1] {
            assert_eq!(kind(heap.reserve(len, 16)), ErrorKind::NoSpace, "{strategy:?} {len}");
            assert_eq!(kind(heap.resize(kept, len, 16)), ErrorKind::NoSpace);
        }
        assert_eq!(kind(heap.adopt_offset(kept)), ErrorKind::NotOwner);
        heap.publish(kept).unwrap();
        assert_eq!(kind(heap.publish(kept)), ErrorKind::NotOwner);
        assert_eq!(kind(heap.block(kept)), ErrorKind::NotOwner);
        heap.adopt_offset(kept).unwrap();
        heap.check().unwrap();
    }
}

#[test]
fn a_guard_frees_unless_told_otherwise() {
    let heap = heap(HeapOptions::new(64 << 10));
    let mut block = heap.allocate_zeroed(100).unwrap();
    let offset = block.offset();
    assert_eq!(block.len(), 100);
    block.write_at(90, &[7; 10]).unwrap();
    assert_eq!(kind(heap.close()), ErrorKind::Busy);
    block.resize(5000).unwrap();
    let mut bytes = [0; 10];
    block.read_at(90, &mut bytes).unwrap();
    assert_eq!((bytes, block.len()), ([7; 10], 5000));
    let second = heap.allocate_aligned(10, 4096).unwrap();
    assert_eq!(second.offset() % 4096, 0);
    assert_eq!(kind(block.resize_in_place(40_000)), ErrorKind::NoSpace);
    drop(second);
    block.resize_in_place(40_000).unwrap();
    drop(block);
    assert_eq!(heap.status().unwrap().used_blocks, 0);
    let kept = heap.allocate(100).unwrap().into_offset();
    assert_eq!(kept, offset, "the whole heap was free");
    drop(heap.block(kept).unwrap());
    let told = heap.allocate(100).unwrap().publish().unwrap();
    let status = heap.status().unwrap();
    assert_eq!((status.used_blocks, status.published_blocks), (1, 1));
    heap.adopt(told).unwrap().free().unwrap();
    heap.close().unwrap();
    assert_eq!(kind(heap.allocate(1)), ErrorKind::Closed);
}

#[test]
fn status_says_what_there_is() {
    for strategy in HeapStrategy::ALL {
        let heap = heap(options(strategy, 64 << 10));
        let empty = heap.status().unwrap();
        assert_eq!((empty.used, empty.fragmentation(), empty.free_blocks), (0, 0.0, 1), "{strategy:?}");
        let blocks: Vec<u64> = (0..20).map(|_| heap.reserve(1000, 16).unwrap()).collect();
        blocks.iter().step_by(2).for_each(|offset| heap.free(*offset).unwrap());
        let some = heap.status().unwrap();
        assert_eq!(some.used_blocks, 10);
        assert!(some.used >= 10_000 && some.fragmentation() > 0.0 && some.fragmentation() < 1.0);
        let words =
            if strategy == HeapStrategy::Buddy { 0 } else { (some.used_blocks + some.free_blocks + 2) * 8 };
        assert_eq!(some.used + some.free + words, some.len);
        let owners = heap.owners().unwrap();
        assert_eq!((owners.len(), owners[0].blocks, owners[0].bytes), (1, 10, some.used));
        assert!(owners[0].alive && owners[0].pid == std::process::id());
        assert_eq!(heap.blocks().unwrap().len() as u64, some.used_blocks + some.free_blocks);
        assert_eq!(heap.reclaim().unwrap(), 0, "the owner lives");
    }
}

/// Also while another handle keeps the process attached.
#[test]
fn a_closed_handle_does_nothing() {
    let name = format!("unit-heap-closed-{}", std::process::id());
    let options = HeapOptions::new(10_000);
    let region = options.region_options().create(name.as_str(), 64).unwrap();
    Region::unlink(name.as_str()).unwrap();
    let (closed, open) = (region.heap("h", options).unwrap(), region.find_heap("h").unwrap());
    let block = closed.reserve(10, 16).unwrap();
    closed.close().unwrap();
    let refused = [
        kind(closed.reserve(10, 16)),
        kind(closed.free(block)),
        kind(closed.usable_size(block)),
        kind(closed.address(block, 10)),
        kind(closed.check()),
    ];
    assert_eq!(refused, [ErrorKind::Closed; 5]);
    open.free(block).unwrap();
}

#[test]
fn a_heap_is_found_with_what_it_was_created() {
    let name = format!("unit-heap-find-{}", std::process::id());
    let options = options(HeapStrategy::FirstFit, 10_000).reclaim();
    let region = options.region_options().create(name.as_str(), 64).unwrap();
    assert_eq!(kind(region.find_heap("h").map(|_| ())), ErrorKind::NotFound);
    let offset = region.heap("h", options).unwrap().allocate(10).unwrap().publish().unwrap();
    let found = region.find_heap("h").unwrap();
    assert_eq!(found.options(), options);
    found.adopt(offset).unwrap().free().unwrap();
    assert_eq!(kind(region.heap("h", HeapOptions::new(10_000)).map(|_| ())), ErrorKind::ParameterMismatch);
    region.mutex("m").unwrap();
    assert_eq!(kind(region.find_heap("m").map(|_| ())), ErrorKind::WrongKind);
    assert_eq!(kind(region.heap("x", options.min_block(128)).map(|_| ())), ErrorKind::InvalidArgument);
    assert_eq!(kind(region.heap("x", HeapOptions::new(0)).map(|_| ())), ErrorKind::InvalidLength);
    assert_eq!(kind(region.heap("x", HeapOptions::new(1 << 40)).map(|_| ())), ErrorKind::InvalidLength);
    assert_eq!(kind(region.heap("x", HeapOptions::new(1 << 30)).map(|_| ())), ErrorKind::NoSpace);
    Region::unlink(name.as_str()).unwrap();
}

#[test]
fn a_heap_fits_into_the_arena_that_it_asks_for() {
    for strategy in HeapStrategy::ALL {
        for len in [1, 1000, 4096, 5 << 20] {
            let heap = heap(options(strategy, len));
            heap.check().unwrap();
            assert!(heap.status().unwrap().len >= len);
        }
    }
}

/// What is derived is made anew when it proves wrong, and nothing is lost.
#[test]
fn a_broken_index_is_mended() {
    for strategy in HeapStrategy::ALL {
        let heap = heap(options(strategy, 64 << 10));
        let blocks: Vec<u64> = (0..40).map(|at| heap.reserve(100 + at * 30, 16).unwrap()).collect();
        blocks.iter().step_by(2).for_each(|offset| heap.free(*offset).unwrap());
        let before = heap.blocks().unwrap();
        for bin in &heap.object.bins {
            if bin.load(Relaxed) != 0 {
                bin.store(77, Relaxed);
            }
        }
        for word in &heap.object.table()[heap.plan.starts_words..heap.plan.tables_len()] {
            word.store(word.load(Relaxed).rotate_left(5), Relaxed);
        }
        assert_eq!(kind(heap.check()), ErrorKind::Corrupted, "{strategy:?}");
        assert_eq!(heap.blocks().unwrap(), before);
        for offset in blocks.iter().skip(1).step_by(2) {
            heap.free(*offset).unwrap();
        }
        heap.check().unwrap();
        let status = heap.status().unwrap();
        assert_eq!((status.used_blocks, status.free_blocks, status.repairs), (0, 1, 1));
    }
}

/// A block that is freed cannot be listed because the list is garbage: it is free all the same, and all is in order after.
#[test]
fn what_is_committed_is_mended() {
    for (strategy, bin) in [(HeapStrategy::BestFit, 7), (HeapStrategy::Buddy, 1)] {
        let heap = heap(options(strategy, 64 << 10));
        let (first, _second) = (heap.reserve(100, 16).unwrap(), heap.reserve(100, 16).unwrap());
        heap.object.bins[bin].store(77, Relaxed);
        heap.free(first).unwrap();
        heap.check().unwrap();
        assert_eq!(heap.object.repairs.load(Relaxed), 1, "{strategy:?}");
    }
}

/// The word of a live block.
fn word_of(heap: &Heap, offset: u64) -> &AtomicU64 {
    let index = match heap.strategy() {
        HeapStrategy::Buddy => ((offset - heap.base) / heap.plan.unit_len) as usize,
        _ => heap.space_start + ((offset - heap.base) / 8) as usize - 1,
    };
    &heap.object.table()[index]
}

#[test]
fn what_another_process_owns_is_left_alone() {
    for strategy in HeapStrategy::ALL {
        let heap = heap(options(strategy, 64 << 10));
        let block = heap.reserve(100, 16).unwrap();
        let word = word_of(&heap, block);
        let mine = word.load(Relaxed);
        // Another generation of the same slot.
        word.store(mine ^ 1 << 20, Relaxed);
        let refused = [
            kind(heap.free(block)),
            kind(heap.resize(block, 10, 16)),
            kind(heap.resize_in_place(block, 10)),
            kind(heap.publish(block)),
            kind(heap.block(block)),
        ];
        assert_eq!(refused, [ErrorKind::NotOwner; 5], "{strategy:?}");
        assert_eq!(word.load(Relaxed), mine ^ 1 << 20);
        word.store(mine, Relaxed);
        heap.free(block).unwrap();
        heap.check().unwrap();
    }
}

/// Of those of one size, the first few of a list are in order.
#[test]
fn of_equal_blocks_best_fit_takes_a_low_one() {
    let heap = heap(HeapOptions::new(64 << 10));
    let blocks: Vec<u64> = (0..10).map(|_| heap.reserve(100, 16).unwrap()).collect();
    for index in [6, 2, 4, 8] {
        heap.free(blocks[index]).unwrap();
    }
    for index in [2, 4, 6, 8] {
        assert_eq!(heap.reserve(100, 16).unwrap(), blocks[index]);
    }
    heap.check().unwrap();
    assert_eq!(heap.object.repairs.load(Relaxed), 0);
}

/// The free block at the end is in no list and in no tree, and is taken where it fits best.
#[test]
fn the_last_free_block_is_one_of_all() {
    let heap = heap(HeapOptions::new(4096));
    let all = heap.status().unwrap().largest_free as usize;
    let first = heap.reserve(1000, 16).unwrap();
    let second = heap.reserve(16, 16).unwrap();
    heap.free(first).unwrap();
    let last = heap.reserve(all - 1024 - 32 - 512, 16).unwrap();
    assert!(last > second, "the free block before is too short");
    // What is left at the end is shorter than what is free at the start.
    assert!(heap.reserve(400, 16).unwrap() > last);
    assert_eq!(heap.reserve(1000, 16).unwrap(), first);
    heap.check().unwrap();
    assert_eq!(heap.object.repairs.load(Relaxed), 0);
}

/// A word of the chain that makes no sense is told, by every operation that meets it, and changes nothing else.
#[test]
fn a_broken_chain_is_told() {
    for strategy in HeapStrategy::ALL {
        let heap = heap(options(strategy, 64 << 10));
        let (first, second, third) = (
            heap.reserve(1000, 16).unwrap(),
            heap.reserve(1000, 16).unwrap(),
            heap.reserve(1000, 16).unwrap(),
        );
        let word = word_of(&heap, second);
        let good = word.load(Relaxed);
        for bad in [u64::MAX, good + (1 << 32), good ^ 3 << 60, 3] {
            word.store(bad, Relaxed);
            assert_eq!(kind(heap.free(second)), ErrorKind::Corrupted, "{strategy:?} {bad:#x}");
            assert_eq!(kind(heap.check()), ErrorKind::Corrupted, "{strategy:?} {bad:#x}");
            assert_eq!(heap.usable_size(third).unwrap(), heap.usable_size(first).unwrap());
        }
        word.store(good, Relaxed);
        heap.check().unwrap();
        for offset in [second, first, third] {
            heap.free(offset).unwrap();
        }
        heap.check().unwrap();
    }
}
