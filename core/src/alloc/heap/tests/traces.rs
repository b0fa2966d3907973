//! What real programs allocated, as `tools/trace.sh` recorded it.

use super::model::Model;
use super::*;

const HEAD: &[u8] = b"shmkit trace 1\n";
const TRACES: [&str; 2] = ["compile", "query"];
const HEAP_LEN: u64 = 16 << 20;

enum Step {
    Allocate(usize, usize),
    Free(usize),
    Resize(usize, usize),
}

/// The steps of a trace, each with the number of its block.
fn steps(name: &str) -> Vec<Step> {
    let path = format!("{}/../tests/traces/{name}.trace", env!("CARGO_MANIFEST_DIR"));
    let content = std::fs::read(&path).unwrap();
    let mut rest = content.strip_prefix(HEAD).unwrap().iter();
    let mut number = || {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = *rest.next()? as usize;
            value |= (byte & 0x7F) << shift;
            shift += 7;
            if byte < 0x80 {
                return Some(value);
            }
        }
    };
    let (mut steps, mut free, mut known) = (Vec::new(), Vec::new(), 0);
    while let Some(word) = number() {
        steps.push(match word & 3 {
            0 => {
                let block = free.pop().unwrap_or(known);
                known = known.max(block + 1);
                Step::Allocate(block, word >> 2)
            }
            1 => {
                free.push(word >> 2);
                Step::Free(word >> 2)
            }
            _ => Step::Resize(word >> 2, number().unwrap()),
        });
    }
    steps
}

/// Offsets and lengths by number.
type Blocks = Vec<Option<(u64, usize)>>;

fn play(heap: &Heap, step: &Step, blocks: &mut Blocks) {
    let (number, now) = match *step {
        Step::Allocate(number, len) => (number, Some((heap.reserve(len, 16).unwrap(), len))),
        Step::Free(number) => {
            heap.free(blocks[number].unwrap().0).unwrap();
            (number, None)
        }
        Step::Resize(number, len) => {
            (number, Some((heap.resize(blocks[number].unwrap().0, len, 16).unwrap(), len)))
        }
    };
    blocks.resize(blocks.len().max(number + 1), None);
    blocks[number] = now;
}

/// No block lies in another, and each is as long as was asked for.
fn expect_apart(heap: &Heap, blocks: &Blocks) {
    let mut live: Vec<_> = blocks.iter().flatten().copied().collect();
    live.sort_unstable();
    assert!(live.windows(2).all(|pair| pair[0].0 + pair[0].1 as u64 <= pair[1].0));
    for (offset, len) in live {
        assert!(heap.usable_size(offset).unwrap() >= len);
    }
}

#[test]
fn heaps_stay_whole_in_the_course_of_a_trace() {
    for name in TRACES {
        let steps = steps(name);
        for strategy in HeapStrategy::ALL {
            let heap = heap(options(strategy, HEAP_LEN));
            let mut blocks = Blocks::new();
            for part in steps.chunks(steps.len() / 10) {
                part.iter().for_each(|step| play(&heap, step, &mut blocks));
                expect_apart(&heap, &blocks);
                heap.check().unwrap();
            }
            blocks.iter().flatten().for_each(|(offset, _)| heap.free(*offset).unwrap());
            heap.check().unwrap();
            let end = heap.status().unwrap();
            assert_eq!((end.used_blocks, end.free_blocks, end.repairs), (0, 1, 0), "{name} {strategy:?}");
        }
    }
}

/// Block by block where the model says, as far as a plain model is fast enough.
#[test]
fn a_trace_begins_as_the_model_does() {
    for name in TRACES {
        let steps = steps(name);
        for strategy in HeapStrategy::ALL {
            let heap = heap(options(strategy, HEAP_LEN));
            let mut model = Model::new(&heap);
            let place = |offset: u64| (offset - heap.base) / heap.plan.unit_len;
            let mut blocks = Blocks::new();
            for step in &steps[..3000] {
                let before = blocks.clone();
                play(&heap, step, &mut blocks);
                match *step {
                    Step::Allocate(number, len) => {
                        let at = place(blocks[number].unwrap().0);
                        model.allocate(Some(at), len as u64, 16, heap.base);
                    }
                    Step::Free(number) => model.free(place(before[number].unwrap().0)),
                    Step::Resize(number, len) => {
                        let (old, new) = (place(before[number].unwrap().0), place(blocks[number].unwrap().0));
                        assert_eq!(model.resize(old, len as u64), old == new);
                        if old != new {
                            model.allocate(Some(new), len as u64, 16, heap.base);
                            model.free(old);
                        }
                    }
                }
            }
            model.expect(&heap);
        }
    }
}
