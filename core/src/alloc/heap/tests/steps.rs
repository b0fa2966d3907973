//! Random steps: as the model does them, and on a heap full of garbage.

use proptest::prelude::*;

use super::model::Model;
use super::*;

#[derive(Clone, Debug)]
enum Step {
    Allocate(usize, u32),
    Free(usize),
    Resize(usize, usize),
    ResizeInPlace(usize, usize),
}

fn lens() -> impl Strategy<Value = usize> {
    prop_oneof![6 => 1usize..200, 3 => 200usize..3000, 1 => 3000usize..20_000]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => lens().prop_map(|len| Step::Allocate(len, 4)),
        1 => (lens(), 0u32..13).prop_map(|(len, align)| Step::Allocate(len, align)),
        4 => any::<usize>().prop_map(Step::Free),
        1 => (any::<usize>(), lens()).prop_map(|(which, len)| Step::Resize(which, len)),
        2 => (any::<usize>(), lens()).prop_map(|(which, len)| Step::ResizeInPlace(which, len)),
    ];
    prop::collection::vec(step, 1..120)
}

fn fill(heap: &Heap, offset: u64, from: usize, len: usize) {
    let bytes: Vec<u8> = (from..len).map(|at| (offset as usize / 16 + at) as u8).collect();
    heap.view(offset, true).unwrap().write_at(from, &bytes).unwrap();
}

fn expect_filled(heap: &Heap, offset: u64, filled_at: u64, len: usize) {
    let mut bytes = vec![0; len];
    heap.view(offset, false).unwrap().read_at(0, &mut bytes).unwrap();
    let right = |(at, byte): (usize, &u8)| *byte == (filled_at as usize / 16 + at) as u8;
    assert!(bytes.iter().enumerate().all(right), "the bytes of a block changed");
}

fn run(heap: &Heap, steps: &[Step]) {
    let mut model = Model::new(heap);
    let mut live: Vec<(u64, usize)> = Vec::new();
    let unit = model.unit;
    let place = |offset: u64| (offset - heap.base) / unit;
    for step in steps {
        match *step {
            Step::Allocate(len, align) => {
                let found = heap.reserve(len, 1 << align);
                model.allocate(found.as_ref().ok().map(|at| place(*at)), len as u64, 1 << align, heap.base);
                match found {
                    Ok(offset) => {
                        assert!(heap.usable_size(offset).unwrap() >= len);
                        fill(heap, offset, 0, len);
                        live.push((offset, len));
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::NoSpace),
                }
            }
            _ if live.is_empty() => {}
            Step::Free(which) => {
                let (offset, len) = live.swap_remove(which % live.len());
                expect_filled(heap, offset, offset, len);
                heap.free(offset).unwrap();
                assert_eq!(kind(heap.free(offset)), ErrorKind::InvalidBlock, "freed twice");
                model.free(place(offset));
            }
            Step::Resize(which, len) => {
                let index = which % live.len();
                let (offset, old_len) = live[index];
                match heap.resize(offset, len, 16) {
                    Ok(new) => {
                        assert_eq!(model.resize(place(offset), len as u64), new == offset);
                        if new != offset {
                            model.allocate(Some(place(new)), len as u64, 16, heap.base);
                            model.free(place(offset));
                        }
                        expect_filled(heap, new, offset, len.min(old_len));
                        fill(heap, new, 0, len);
                        live[index] = (new, len);
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::NoSpace),
                }
            }
            Step::ResizeInPlace(which, len) => {
                let index = which % live.len();
                let (offset, old_len) = live[index];
                let done = heap.resize_in_place(offset, len);
                assert_eq!(model.resize(place(offset), len as u64), done.is_ok());
                let len = if done.is_ok() { len } else { old_len };
                expect_filled(heap, offset, offset, len.min(old_len));
                fill(heap, offset, 0, len);
                live[index].1 = len;
            }
        }
        model.expect(heap);
    }
    for (offset, len) in live {
        expect_filled(heap, offset, offset, len);
        heap.free(offset).unwrap();
        model.free(place(offset));
    }
    model.expect(heap);
    assert_eq!(heap.object.repairs.load(Relaxed), 0, "nothing had to be put in order");
}

/// How many cases: tools/fuzz.sh asks for more.
fn cases() -> u32 {
    std::env::var("SHMKIT_FUZZ_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(48)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn first_fit_does_what_the_model_does(steps in steps()) {
        run(&heap(options(HeapStrategy::FirstFit, 96 << 10)), &steps);
    }

    #[test]
    fn best_fit_does_what_the_model_does(steps in steps()) {
        run(&heap(options(HeapStrategy::BestFit, 96 << 10)), &steps);
    }

    #[test]
    fn buddies_do_what_the_model_does(steps in steps(), min_block in 5u32..9) {
        run(&heap(options(HeapStrategy::Buddy, 100_000).min_block(1 << min_block)), &steps);
    }

    /// Any words changed in any way: errors, or a result that lies in the heap; and nothing outside the heap changes.
    #[test]
    fn garbage_leads_nowhere(
        which in 0usize..3,
        steps in steps(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>(), 0u8..4), 1..12),
        zeroed in any::<bool>(),
    ) {
        hostile(HeapStrategy::ALL[which], &steps, &changes, zeroed);
    }
}

fn hostile(
    strategy: HeapStrategy,
    steps: &[Step],
    changes: &[(prop::sample::Index, u64, u8)],
    in_between: bool,
) {
    let heap = heap(options(strategy, 32 << 10));
    let before = around(&heap);
    let mut live: Vec<u64> = Vec::new();
    let (first, second) = steps.split_at(steps.len() / 2);
    let corrupt = |(place, value, how): &(prop::sample::Index, u64, u8)| {
        // Any word of the heap but the lock's: the record's first three words are for who lives and dies.
        let table = heap.object.table();
        let index = place.index(table.len() + 64);
        let word = match index.checked_sub(64) {
            Some(index) => &table[index],
            None => heap.object.bins_used.first().unwrap(),
        };
        let changed = match how {
            0 => *value,
            1 => word.load(Relaxed) ^ 1 << (value % 64),
            2 => *value % 4096,
            _ => word.load(Relaxed).wrapping_add((value % 64) << 32),
        };
        word.store(changed, Relaxed);
        let bin = &heap.object.bins[(value % 128) as usize];
        bin.store((value >> 40) as u32 % 5000, Relaxed);
    };
    let play = |steps: &[Step], live: &mut Vec<u64>| {
        for step in steps {
            if in_between && let Some(change) = changes.first().filter(|_| live.len() % 5 == 4) {
                corrupt(change);
            }
            match *step {
                Step::Allocate(len, align) => {
                    if let Ok(offset) = heap.reserve(len, 1 << align) {
                        let end = heap.base + heap.plan.len;
                        assert!(offset >= heap.base && offset + len as u64 <= end, "a block outside");
                        live.push(offset);
                    }
                }
                Step::Free(which) if !live.is_empty() => {
                    let _ = heap.free(live.swap_remove(which % live.len()));
                }
                Step::Resize(which, len) if !live.is_empty() => {
                    let index = which % live.len();
                    if let Ok(new) = heap.resize(live[index], len, 16) {
                        live[index] = new;
                    }
                }
                Step::ResizeInPlace(which, len) if !live.is_empty() => {
                    let _ = heap.resize_in_place(live[which % live.len()], len);
                }
                _ => {}
            }
            if let Some(view) = live.last().and_then(|offset| heap.view(*offset, true).ok()) {
                view.zero_at(0, view.len()).unwrap();
            }
        }
    };
    play(first, &mut live);
    changes.iter().for_each(corrupt);
    play(second, &mut live);
    let _ = (heap.check(), heap.status(), heap.blocks(), heap.owners(), heap.reclaim());
    assert!(around(&heap) == before, "bytes outside the heap changed");
}

/// All bytes of the region but the heap's.
fn around(heap: &Heap) -> Vec<u8> {
    let bytes = heap.object.memory().bytes();
    let mut all = vec![0; bytes.len()];
    bytes.read_at(0, &mut all).unwrap();
    let start = heap.object.table_offset() - size_of::<HeapRecord>();
    all.drain(start..heap.object.table_offset() + heap.object.table().len() * 8);
    all
}
