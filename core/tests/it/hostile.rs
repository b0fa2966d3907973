//! Whole regions of which somebody overwrote any words before they are opened: header, slots, directory, bits and blocks.
//! What is opened in them, created or removed gives an error, or a result that lies in the region; nothing crashes or waits.
//! tools/fuzz.sh plays more cases.

use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::common::Name;
use shmkit::layout::ObjectKind;
use shmkit::{
    EventReset, HeapOptions, HeapStrategy, ObjectMode, Pool, PoolOptions, Region, RegionOptions, Result,
    SemaphoreOptions,
};

/// The object whose block is the arena's first: the directory's lock is before it.
const FIRST: &str = "first-of-all";

/// One overwritten word: where, with what, and how.
type Change = (Index, u64, u8);

fn path(name: &Name) -> String {
    format!("/dev/shm/shmkit.{}", &**name)
}

/// A region in which there is something of each kind.
struct Whole {
    bytes: Vec<u8>,
    /// Where its directory's lock is.
    lock: usize,
    /// Where the words are that say what the objects are, and that follow them.
    headers: Vec<usize>,
}

fn whole() -> &'static Whole {
    static WHOLE: OnceLock<Whole> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let name = Name::new("hostile-whole");
        let region = RegionOptions::new().arena_len(32 << 10).attachments(16).create(&*name, 4096).unwrap();
        region.mutex(FIRST).unwrap();
        region.atomic_u64("removed", 7).unwrap();
        region.value("word", 7u32).unwrap();
        region.value("struct", [7u64; 5]).unwrap();
        let pool = region.pool("pool", PoolOptions::new(40, 200).alignment(8)).unwrap();
        let handles: Vec<u64> = (0..90).map(|_| pool.try_take().unwrap().unwrap()).collect();
        pool.publish(handles[3]).unwrap();
        handles[50..].iter().for_each(|handle| pool.free(*handle).unwrap());
        let heap = region.heap("heap", HeapOptions::new(4096).strategy(HeapStrategy::BestFit)).unwrap();
        heap.allocate(100).unwrap().publish().unwrap();
        region.semaphore("semaphore", SemaphoreOptions::new(3)).unwrap();
        region.event("event", EventReset::Manual).unwrap();
        region.remove_object("removed").unwrap();
        let bytes = std::fs::read(path(&name)).unwrap();
        // Before a name there is the object's header, and before the first of all the arena's, which begins with the lock.
        let place = |name: &str| {
            (0..bytes.len()).step_by(64).find(|at| bytes[*at..].starts_with(name.as_bytes())).unwrap()
        };
        let objects = region.objects().unwrap();
        let headers = objects.iter().flat_map(|object| {
            let name = place(&object.name);
            (name - 64..name).chain(name + 64..name + 256).step_by(8)
        });
        let (lock, headers) = (place(FIRST) - 128, headers.chain([place(FIRST) - 120]).collect());
        Whole { bytes, lock, headers }
    })
}

fn corrupted(changes: &[Change], cut: Option<Index>) -> Vec<u8> {
    let Whole { bytes: whole, lock, headers } = whole();
    let mut bytes = whole.clone();
    for (place, value, how) in changes {
        // Most of them in the headers, which are a small part.
        let at = match how >> 3 & 3 {
            0 => place.index(bytes.len() / 8) * 8,
            1 => place.index(64) * 8,
            _ => headers[place.index(headers.len())],
        };
        let word: &mut [u8; 8] = bytes[at..at + 8].as_mut_array().unwrap();
        let before = u64::from_ne_bytes(*word);
        *word = match how & 7 {
            0 => *value,
            1 => 0,
            2 => u64::MAX,
            3 => before ^ 1 << (value % 64),
            4 => before.wrapping_add(value % 3).wrapping_sub(1),
            5 => value & 0xFFFF,
            6 => before & 0xFFFF_FFFF | value << 32,
            _ => before & !0xFFFF_FFFF | value & 0xFFFF_FFFF,
        }
        .to_ne_bytes();
    }
    // Whoever finds this lock taken by somebody who may live waits for ten seconds.
    bytes[*lock..lock + 8].fill(0);
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len()));
    }
    bytes
}

fn use_pool(pool: &Pool, random: u64) {
    let mut held = Vec::new();
    for _ in 0..300 {
        match pool.try_allocate() {
            Ok(Some(block)) => {
                let len = block.len().min(64);
                let _ = block.write_at(block.len() - len, &[0xEE; 64][..len]);
                held.push(block);
            }
            _ => break,
        }
    }
    for (number, block) in held.into_iter().enumerate() {
        let _ = if number % 5 == 0 { block.publish() } else { block.free().map(|()| 0) };
    }
    let _ = pool.adopt(random).map(drop);
    let _ = pool.adopt((random % 200 + 1) | 1 << 32).map(drop);
    let _ = pool.recover();
    assert_eq!(pool.blocks().len(), pool.count() as usize);
    let _ = pool.status();
}

/// Everything that waits for nobody.
fn use_region(region: &Region, random: u64) -> Result<()> {
    let _ = region.status();
    let _ = region.objects().map(|objects| objects.len());
    let find = region.with_mode(ObjectMode::Find)?;
    if let Ok(pool) = region.find_pool("pool") {
        use_pool(&pool, random);
    }
    let _ = find.pool("pool", PoolOptions::new(40, 200).alignment(8)).map(|pool| use_pool(&pool, random));
    for (name, size) in [("word", 4), ("struct", 40), ("pool", 0)] {
        for size in [0, size] {
            if let Ok(value) = region.value_bytes(name, size, None, &[]) {
                let mut bytes = vec![0; value.size()];
                let _ = value.load(&mut bytes);
                let _ = value.try_store(&bytes);
            }
        }
    }
    let _ = find.mutex(FIRST).map(|mutex| mutex.try_lock().is_ok());
    let _ = find
        .semaphore("semaphore", SemaphoreOptions::new(3))
        .map(|semaphore| semaphore.try_acquire().is_ok());
    let _ = find.event("event", EventReset::Manual).map(|event| event.set());
    let _ = region.find_heap("heap").map(drop);
    let _ = region.atomic_u64("new", 1).map(|new| new.load());
    let _ = region.pool("another", PoolOptions::new(64, 20)).map(|pool| use_pool(&pool, random));
    for name in ["word", "new", "pool", FIRST] {
        let _ = region.remove_object(name);
        let _ = region.find_object(name).map(|object| object.kind == Some(ObjectKind::Pool));
    }
    let _ = region.objects();
    Ok(())
}

/// How many cases: tools/fuzz.sh asks for more.
fn cases() -> u32 {
    std::env::var("SHMKIT_FUZZ_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(2000)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn any_overwritten_words_lead_to_errors(
        changes in prop::collection::vec(any::<Change>(), 1..40),
        cut in prop::option::weighted(0.1, any::<Index>()),
        random in any::<u64>(),
    ) {
        let name = Name::new("hostile");
        std::fs::write(path(&name), corrupted(&changes, cut)).unwrap();
        if let Ok(region) = Region::open_read_only(&*name) {
            let _ = region.status();
            let _ = region.objects();
            let _ = region.find_object("pool");
        }
        if let Ok(region) = Region::open(&*name) {
            use_region(&region, random).unwrap();
        }
        let _ = std::fs::remove_file(path(&name));
    }
}
