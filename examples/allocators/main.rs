//! What a real program allocated, played on heaps of the three strategies.
//!
//!     main TRACE     tells how fragmented each heap is after each tenth of the trace
//!
//! A trace is what tools/trace.sh makes; tests/traces has one of a Python program that compiles parts of its own library, and
//! one of a data base that fills, searches and changes tables.

use shmkit::{Heap, HeapOptions, HeapStrategy, Region};

const HEAP_LEN: u64 = 16 << 20;
const HEAD: &[u8] = b"shmkit trace 1\n";

enum Step {
    Allocate { len: usize },
    Free { number: usize },
    Resize { number: usize, len: usize },
}

/// The steps of a trace: numbers of seven bits a byte, whose two lowest bits say what is done.
fn read_trace(bytes: &[u8]) -> Option<Vec<Step>> {
    let mut rest = bytes.strip_prefix(HEAD)?.iter();
    let mut number = || -> Option<usize> {
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
    let mut steps = Vec::new();
    while let Some(word) = number() {
        steps.push(match word & 3 {
            0 => Step::Allocate { len: word >> 2 },
            1 => Step::Free { number: word >> 2 },
            _ => Step::Resize { number: word >> 2, len: number()? },
        });
    }
    Some(steps)
}

fn play(strategy: HeapStrategy, steps: &[Step], name: &str) -> shmkit::Result<()> {
    let heap = Heap::create(name, HeapOptions::new(HEAP_LEN).strategy(strategy))?;
    Region::unlink(name)?;
    // Blocks have numbers in a trace, and offsets here. A number that became free last is the next to be given.
    let mut offsets: Vec<u64> = Vec::new();
    let mut free_numbers = Vec::new();
    let (mut fragmentation, mut most_used) = (Vec::new(), 0);
    let tenth = (steps.len() / 10).max(1);
    for (index, step) in steps.iter().enumerate() {
        match *step {
            Step::Allocate { len } => {
                let number = free_numbers.pop().unwrap_or(offsets.len());
                offsets.resize(offsets.len().max(number + 1), 0);
                offsets[number] = heap.reserve(len, 16)?;
            }
            Step::Free { number } => {
                heap.free(offsets[number])?;
                free_numbers.push(number);
            }
            Step::Resize { number, len } => offsets[number] = heap.resize(offsets[number], len, 16)?,
        }
        if (index + 1) % tenth == 0 {
            let status = heap.status()?;
            fragmentation.push(format!("{:.3}", status.fragmentation()));
            most_used = most_used.max(status.used);
        }
    }
    heap.check()?;
    let end = heap.status()?;
    println!("{}: fragmentation {}", strategy.name(), fragmentation.join(" "));
    println!("  at most {} KiB used, {} free blocks at the end", most_used / 1024, end.free_blocks);
    Ok(())
}

fn main() {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: allocators TRACE");
        std::process::exit(2);
    };
    let name = format!("allocators-{}", std::process::id());
    let bytes = std::fs::read(&path).unwrap_or_default();
    let Some(steps) = read_trace(&bytes) else {
        eprintln!("allocators: {path} is no trace");
        std::process::exit(1);
    };
    for strategy in HeapStrategy::ALL {
        if let Err(error) = play(strategy, &steps, &name) {
            eprintln!("allocators: {error}");
            std::process::exit(1);
        }
    }
}
