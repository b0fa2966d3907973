//! Group `windows`: random 4-KiB reads of a cached file of 2 GiB through a window cache, beside one mapping of all of it,
//! pread(2), and a mapping for each access.
//!
//! `fits`: the windows hold all of the file. `hot`: reads stay within what the windows hold, somewhere in the file.
//! `misses`: reads go everywhere and the windows hold an eighth, so that seven of eight reads map a window.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;

use shmkit::{Advice, MapOptions, WindowOptions};

use crate::compare;

const LEN: u64 = 2 << 30;
const BLOCK: usize = 4096;

/// A file of holes that the page cache holds.
fn cached_file() -> File {
    let path = std::env::temp_dir().join(format!("shmkit-bench-windows-{}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path).expect("create file");
    std::fs::remove_file(&path).expect("remove name");
    file.set_len(LEN).expect("set length");
    let mut block = vec![0; 1 << 20];
    for offset in (0..LEN).step_by(block.len()) {
        file.read_exact_at(&mut block, offset).expect("read");
    }
    file
}

/// Offsets of blocks below `limit`, in no order.
struct Offsets {
    state: u64,
    limit: u64,
}

impl Offsets {
    fn below(limit: u64, state: u64) -> Offsets {
        Offsets { state, limit }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.state >> 33) % (self.limit / BLOCK as u64) * BLOCK as u64
    }
}

/// Whose blocks: were they the same for both, the second would find them in the processor's cache.
const OURS: u64 = 1;
const PEER: u64 = 1 << 40;

/// Reads `count` random blocks below `limit`.
fn random(limit: u64, whose: u64, mut read: impl FnMut(u64, &mut [u8])) -> impl FnMut(u64) {
    let mut offsets = Offsets::below(limit, whose);
    let mut block = vec![0; BLOCK];
    move |count| {
        for _ in 0..count {
            read(offsets.next(), &mut block);
            black_box(&block);
        }
    }
}

pub fn run() {
    let file = cached_file();
    let whole = MapOptions::new().map_file(&file).expect("map");
    whole.advise(.., Advice::PopulateRead).expect("populate");
    let one_mapping =
        |limit| random(limit, PEER, |offset, block| whole.read_at(offset as usize, block).expect("read"));
    let pread =
        |limit| random(limit, PEER, |offset, block| file.read_exact_at(block, offset).expect("pread"));
    let map_each = |limit| {
        random(limit, PEER, |offset, block| {
            let mapping = MapOptions::new().offset(offset).len(BLOCK).map_file(&file).expect("map");
            mapping.read_at(0, block).expect("read");
        })
    };
    for (case, window_len, limit, count) in
        [("fits", LEN / 64, LEN, 5_000), ("hot", 4 << 20, 240 << 20, 5_000), ("misses", 4 << 20, LEN, 2_000)]
    {
        let options = WindowOptions::new().window_len(window_len).pattern(Advice::Random);
        let cache = options.open_file(&file).expect("open window cache");
        let ours = || random(limit, OURS, |offset, block| cache.read_at(offset, block).expect("read"));
        // Each page is touched once before: page faults belong to warming up, here as in the one mapping.
        let mut block = [0; BLOCK];
        for offset in (0..limit).step_by(BLOCK) {
            cache.read_at(offset, &mut block).expect("read");
        }
        let name = |peer: &str| format!("windows.random_4k_{case}.rust.vs_{peer}");
        compare(&name("one_mapping"), count, ours(), one_mapping(limit));
        compare(&name("pread"), count, ours(), pread(limit));
        compare(&name("map_each_access"), count / 5, ours(), map_each(limit));
    }
}
