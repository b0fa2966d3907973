//! A plain model of a heap: what each strategy must do.

use std::collections::BTreeMap;

use super::*;

/// Free and live blocks by their beginning, in the heap's units.
pub struct Model {
    pub strategy: HeapStrategy,
    pub unit: u64,
    end: u64,
    /// Size and whether free.
    blocks: BTreeMap<u64, (u64, bool)>,
}

impl Model {
    pub fn new(heap: &Heap) -> Model {
        let (unit, end) = (heap.plan.unit_len, u64::from(heap.plan.units));
        let mut blocks = BTreeMap::new();
        if heap.strategy() == HeapStrategy::Buddy {
            let mut at = 0;
            while at < end {
                let size = 1 << (end - at).ilog2();
                blocks.insert(at, (size, true));
                at += size;
            }
        } else {
            blocks.insert(1, (end - 1, true));
        }
        Model { strategy: heap.strategy(), unit, end, blocks }
    }

    pub fn size_for(&self, len: u64, align: u64) -> u64 {
        match self.strategy {
            HeapStrategy::Buddy => len.max(align).div_ceil(self.unit).next_power_of_two(),
            _ => (len + 8).div_ceil(16).max(2),
        }
    }

    pub fn free_blocks(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.blocks.iter().filter(|(_, (_, free))| *free).map(|(at, (size, _))| (*at, *size))
    }

    /// The size of the free block that must be taken for a request; the first such for first fit.
    pub fn choice(&self, size: u64) -> Option<(u64, u64)> {
        let mut fitting = self.free_blocks().filter(|(_, free)| *free >= size);
        match self.strategy {
            HeapStrategy::FirstFit => fitting.next(),
            _ => fitting.min_by_key(|(_, size)| *size),
        }
    }

    /// Checks that a block was allocated where it must be, and takes it.
    pub fn allocate(&mut self, found: Option<u64>, len: u64, align: u64, base: u64) {
        let size = self.size_for(len, align);
        let aligned = align > 16 && self.strategy != HeapStrategy::Buddy;
        let Some(at) = found else {
            let most = if aligned { size + align / 16 + 1 } else { size };
            assert_eq!(self.choice(most), None, "there was room for {len}");
            return;
        };
        let (start, (free, is_free)) =
            self.blocks.range(..=at).next_back().map(|(at, block)| (*at, *block)).unwrap();
        assert!(is_free && at + size <= start + free, "it is not inside a free block");
        assert_eq!((base + at * self.unit) % align, 0);
        if !aligned {
            let (first, smallest) = self.choice(size).unwrap();
            assert_eq!((at, free), (start, smallest), "another block fits better");
            assert!(self.strategy != HeapStrategy::FirstFit || start == first, "a lower block fits");
        }
        self.blocks.remove(&start);
        if at > start {
            self.blocks.insert(start, (at - start, true));
        }
        self.take(at, start + free - at, size);
    }

    /// Makes the first part of a place a live block, and the rest free.
    pub fn take(&mut self, at: u64, room: u64, size: u64) {
        if self.strategy == HeapStrategy::Buddy {
            let mut half = room / 2;
            while half >= size {
                self.blocks.insert(at + half, (half, true));
                half /= 2;
            }
            self.blocks.insert(at, (size, false));
        } else if room - size >= 2 {
            self.blocks.insert(at, (size, false));
            self.blocks.insert(at + size, (room - size, true));
        } else {
            self.blocks.insert(at, (room, false));
        }
    }

    pub fn free(&mut self, at: u64) {
        let (mut at, mut size) = (at, self.blocks.remove(&at).unwrap().0);
        while self.strategy == HeapStrategy::Buddy && self.blocks.get(&(at ^ size)) == Some(&(size, true)) {
            self.blocks.remove(&(at ^ size));
            at = at.min(at ^ size);
            size *= 2;
        }
        if self.strategy != HeapStrategy::Buddy {
            if let Some((next, true)) = self.blocks.get(&(at + size)).copied() {
                self.blocks.remove(&(at + size));
                size += next;
            }
            let before = self.blocks.range(..at).next_back().map(|(at, block)| (*at, *block));
            if let Some((start, (_, true))) = before {
                self.blocks.remove(&start);
                (at, size) = (start, at + size - start);
            }
        }
        self.blocks.insert(at, (size, true));
    }

    /// Resizes in place if that is possible, and says whether it is.
    pub fn resize(&mut self, at: u64, len: u64) -> bool {
        let (size, wanted) = (self.blocks[&at].0, self.size_for(len, 1));
        let mut room = size;
        if self.strategy == HeapStrategy::Buddy {
            while room < wanted
                && at.is_multiple_of(room * 2)
                && self.blocks.get(&(at + room)) == Some(&(room, true))
            {
                room *= 2;
            }
        } else if let Some((next, true)) = self.blocks.get(&(at + size)) {
            room += next;
        }
        if room < wanted {
            return false;
        }
        if wanted != size {
            self.blocks.retain(|place, _| *place < at || *place >= at + room);
            self.take(at, room, wanted);
        }
        true
    }

    pub fn expect(&self, heap: &Heap) {
        heap.check().unwrap();
        let found: Vec<_> = heap.blocks().unwrap();
        let found: BTreeMap<u64, (u64, bool)> = found
            .iter()
            .map(|block| {
                let word = if self.strategy == HeapStrategy::Buddy { 0 } else { 8 };
                ((block.offset - heap.base) / self.unit, ((block.len + word) / self.unit, block.is_free))
            })
            .collect();
        assert_eq!(found, self.blocks);
        let covered: u64 = self.blocks.values().map(|(size, _)| size).sum();
        assert_eq!(covered, self.end - u64::from(self.strategy != HeapStrategy::Buddy));
    }
}
