//! The runner's operations on heaps.

use shmkit::{ErrorKind, Heap, HeapOptions, HeapStrategy, Region};

use crate::{Command, Outcome, done, refuse};

/// Opens the heap that the command names, or creates it; without `len`, only one that exists.
pub fn open(region: &Region, name: &str, command: &Command) -> Outcome<Heap> {
    let Some(len) = command.optional_number("len")? else { return Ok(region.find_heap(name)?) };
    let strategy = match command.optional("strategy").unwrap_or("best_fit") {
        "best_fit" => HeapStrategy::BestFit,
        "first_fit" => HeapStrategy::FirstFit,
        "buddy" => HeapStrategy::Buddy,
        other => return refuse(format!("strategy={other}")),
    };
    let mut options = HeapOptions::new(len).strategy(strategy);
    if let Some(len) = command.optional_number("min_block")? {
        options = options.min_block(u32::try_from(len).unwrap_or(u32::MAX));
    }
    Ok(region.heap(name, if command.flag("reclaim") { options.reclaim() } else { options })?)
}

/// Does what the command says with a heap.
pub fn run(heap: &Heap, command: &Command) -> Outcome<String> {
    let number = |key| command.optional_number(key).map(Option::unwrap_or_default);
    let (offset, size) = (number("offset")?, number("size")? as usize);
    match command.op.as_str() {
        "heap_allocate" if command.flag("zeroed") => {
            Ok(format!(" offset={}", heap.reserve_zeroed(size, 16)?))
        }
        "heap_allocate" => {
            let align = command.optional_number("align")?.unwrap_or(16) as usize;
            Ok(format!(" offset={}", heap.reserve(size, align)?))
        }
        "heap_free" => done(heap.free(offset)),
        "heap_usable" => Ok(format!(" size={}", heap.usable_size(offset)?)),
        "heap_resize" => {
            let mut block = heap.block(offset)?;
            let resized =
                if command.flag("in_place") { block.resize_in_place(size) } else { block.resize(size) };
            let offset = block.into_offset();
            resized?;
            Ok(format!(" offset={offset}"))
        }
        "heap_publish" => Ok(format!(" offset={}", heap.block(offset)?.publish()?)),
        "heap_adopt" => {
            let block = heap.adopt(offset)?;
            let len = block.len();
            block.into_offset();
            Ok(format!(" size={len}"))
        }
        "heap_read" => {
            let mut data = vec![0; number("len")? as usize];
            heap.view(offset, false)?.read_at(0, &mut data)?;
            Ok(format!(" data={}", crate::hex(&data)))
        }
        "heap_write" => done(heap.view(offset, true)?.write_at(0, &command.bytes("data")?)),
        "heap_check" => done(heap.check()),
        "heap_reclaim" => Ok(format!(" count={}", heap.reclaim()?)),
        "heap_info" => {
            let found = heap.status()?;
            Ok(format!(
                " used={} published={} free={} fragmented={}",
                found.used_blocks,
                found.published_blocks,
                found.free_blocks,
                u8::from(found.fragmentation() > 0.0)
            ))
        }
        "heap_play" => play(heap, number("seed")?, number("count")?),
        _ => refuse(format!("unknown operation {}", command.op)),
    }
}

/// So many steps at random, on blocks that hold one byte all over; in the end all are freed.
fn play(heap: &Heap, seed: u64, count: u64) -> Outcome<String> {
    let (fill, mut random) = (seed as u8, seed);
    let mut blocks = Vec::new();
    for _ in 0..count {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let len = (random >> 20) as usize % 600 + 1;
        if blocks.is_empty() || blocks.len() < 40 && random & 1 != 0 {
            match heap.allocate(len) {
                Ok(block) => {
                    block.write_at(0, &vec![fill; len])?;
                    blocks.push(block);
                }
                Err(error) if error.kind() == ErrorKind::NoSpace => {}
                Err(error) => return Err(error.into()),
            }
            continue;
        }
        let index = (random >> 8) as usize % blocks.len();
        let mut bytes = vec![0; blocks[index].len()];
        blocks[index].read_at(0, &mut bytes)?;
        if bytes.iter().any(|byte| *byte != fill) {
            return refuse("somebody else wrote into a block".to_owned());
        }
        if random >> 1 & 3 != 0 {
            blocks.swap_remove(index).free()?;
            continue;
        }
        match blocks[index].resize(len) {
            Ok(()) => blocks[index].write_at(0, &vec![fill; len])?,
            Err(error) if error.kind() == ErrorKind::NoSpace => {}
            Err(error) => return Err(error.into()),
        }
    }
    for block in blocks {
        block.free()?;
    }
    Ok(String::new())
}
