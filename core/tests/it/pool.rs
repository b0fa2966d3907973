//! The pool: what it promises between threads and processes, when one is killed, and when its words are overwritten.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use crate::common::{Forked, Name, PATIENCE, pause};
use crate::kills::Random;
use shmkit::layout::{ObjectKind, POOL_OWNED};
use shmkit::{
    BlockState, ErrorKind, HeapOptions, HeapStrategy, ObjectMode, Pool, PoolOptions, Region, RegionOptions,
    Wait,
};

fn region(name: &Name) -> Region {
    RegionOptions::new().arena_len(1 << 20).create(&**name, 64).unwrap()
}

fn kind<T>(result: Result<T, shmkit::Error>) -> ErrorKind {
    result.err().expect("an error").kind()
}

#[test]
fn blocks_are_apart_aligned_and_keep_what_is_written() {
    let name = Name::new("pool-blocks");
    let region = region(&name);
    for (size, count, alignment) in [(1, 3, 8), (64, 64, 64), (100, 65, 64), (5000, 7, 4096), (24, 1000, 8)] {
        let options = PoolOptions::new(size, count).alignment(alignment);
        let pool = region.pool(&format!("p{size}"), options).unwrap();
        let mut blocks = Vec::new();
        while let Some(block) = pool.try_allocate().unwrap() {
            assert_eq!(block.len(), size);
            assert!(block.as_ptr().addr().is_multiple_of(alignment));
            block.write_at(0, &vec![blocks.len() as u8; size]).unwrap();
            blocks.push(block);
        }
        assert_eq!(blocks.len(), count as usize);
        for (index, block) in blocks.iter().enumerate() {
            let mut bytes = vec![0; size];
            block.read_at(0, &mut bytes).unwrap();
            assert!(bytes.iter().all(|byte| *byte == index as u8), "block {index} was written to by another");
        }
        assert_eq!(kind(pool.close()), ErrorKind::Busy);
        drop(blocks);
        assert_eq!(pool.status().free, count);
        pool.close().unwrap();
        assert_eq!(kind(pool.allocate()), ErrorKind::Closed);
    }
}

#[test]
fn a_pool_is_created_with_numbers_that_make_sense_and_found_with_the_same() {
    let name = Name::new("pool-options");
    let region = region(&name);
    let open = |options| region.pool("p", options);
    assert_eq!(kind(region.find_pool("p")), ErrorKind::NotFound);
    for (options, expected) in [
        (PoolOptions::new(0, 1), ErrorKind::InvalidLength),
        (PoolOptions::new(1, 0), ErrorKind::InvalidLength),
        (PoolOptions::new(1, u32::MAX), ErrorKind::InvalidLength),
        (PoolOptions::new(usize::MAX, 2), ErrorKind::InvalidLength),
        (PoolOptions::new(1 << 60, u32::MAX - 1), ErrorKind::InvalidLength),
        (PoolOptions::new(64, 4).alignment(0), ErrorKind::InvalidArgument),
        (PoolOptions::new(64, 4).alignment(4), ErrorKind::InvalidArgument),
        (PoolOptions::new(64, 4).alignment(96), ErrorKind::InvalidArgument),
        (PoolOptions::new(64, 4).alignment(8192), ErrorKind::InvalidArgument),
        (PoolOptions::new(4096, 1000), ErrorKind::NoSpace),
    ] {
        assert_eq!(kind(open(options)), expected, "{options:?}");
    }
    let pool = open(PoolOptions::new(64, 4)).unwrap();
    assert_eq!(kind(open(PoolOptions::new(64, 5))), ErrorKind::ParameterMismatch);
    assert_eq!(kind(open(PoolOptions::new(64, 4).alignment(128))), ErrorKind::ParameterMismatch);
    let same = region.find_pool("p").unwrap();
    assert_eq!((same.block_size(), same.count(), same.block_alignment()), (64, 4, 64));
    assert_eq!(kind(region.mutex("p")), ErrorKind::WrongKind);
    region.mutex("m").unwrap();
    assert_eq!(kind(region.find_pool("m")), ErrorKind::WrongKind);
    let block = pool.allocate().unwrap();
    assert_eq!(same.status().owned, 1, "both handles lead to one pool");
    same.close().unwrap();
    drop(block);
}

#[test]
fn what_exists_differently_is_told_in_words() {
    let name = Name::new("pool-told");
    let region = region(&name);
    region.pool("p", PoolOptions::new(100, 4)).unwrap();
    let error = region.pool("p", PoolOptions::new(64, 5).alignment(8)).err().unwrap().to_string();
    let told = "4 blocks of 100 bytes at multiples of 64, not 5 blocks of 64 bytes at multiples of 8";
    assert!(error.contains(told), "{error}");
    region.heap("h", HeapOptions::new(4096)).unwrap();
    let buddy = HeapOptions::new(8192).strategy(HeapStrategy::Buddy).reclaim();
    let error = region.heap("h", buddy).err().unwrap().to_string();
    assert!(
        error.contains("4096 bytes by BestFit, not 8192 bytes by Buddy of 64 and more, reclaiming"),
        "{error}"
    );
    region.value("v", 1.5f64).unwrap();
    let error = region.value("v", [1u32; 2]).err().unwrap().to_string();
    assert!(error.contains("it is 'd' in 8 bytes, not '2I' in 8"), "{error}");
    let error = region.pool("large", PoolOptions::new(1 << 20, 16)).err().unwrap().to_string();
    assert!(error.contains("the length that its region was created with"), "{error}");
}

#[test]
fn what_is_only_to_be_found_is_found_in_every_mode() {
    let name = Name::new("pool-modes");
    let region = region(&name);
    region.pool("p", PoolOptions::new(64, 4)).unwrap();
    region.heap("h", HeapOptions::new(4096)).unwrap();
    for mode in [ObjectMode::Find, ObjectMode::Create, ObjectMode::FindOrCreate] {
        let region = region.with_mode(mode).unwrap();
        region.find_pool("p").unwrap();
        region.find_heap("h").unwrap();
    }
}

#[test]
fn a_published_block_goes_to_the_first_who_adopts_it() {
    let name = Name::new("pool-publish");
    let region = region(&name);
    let pool = region.pool("p", PoolOptions::new(64, 2)).unwrap();
    let block = pool.allocate().unwrap();
    block.write_at(0, b"passed on").unwrap();
    let address = block.as_ptr();
    let handle = block.publish().unwrap();
    assert_eq!(kind(pool.free(handle)), ErrorKind::InvalidBlock, "it is nobody's");
    let child = Forked::run(|| {
        let pool = Region::open(&*name).unwrap().find_pool("p").unwrap();
        let block = pool.adopt(handle).unwrap();
        let mut bytes = [0; 9];
        block.read_at(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"passed on");
        block.write_at(0, b"ES").unwrap();
        drop(block);
    });
    assert!(child.wait().success());
    assert_eq!(kind(pool.adopt(handle)), ErrorKind::StaleHandle, "adopted there");
    assert_eq!(pool.status().free, 2);
    let block = pool.allocate().unwrap();
    assert_eq!(block.as_ptr(), address, "the block freed last comes first");
    assert_eq!(kind(pool.adopt(handle)), ErrorKind::StaleHandle);
    let mut bytes = [0; 2];
    block.read_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"ES");
}

#[test]
fn of_many_who_adopt_one_succeeds() {
    let name = Name::new("pool-adopt");
    let region = region(&name);
    let pool = region.pool("p", PoolOptions::new(64, 4)).unwrap();
    for _ in 0..500 {
        let handle = pool.allocate().unwrap().publish().unwrap();
        let adopted = std::thread::scope(|scope| {
            let adopters: Vec<_> = (0..3).map(|_| scope.spawn(|| pool.take_published(handle))).collect();
            adopters.into_iter().filter_map(|adopter| adopter.join().unwrap().ok()).collect::<Vec<_>>()
        });
        assert_eq!(adopted.len(), 1);
        pool.free(adopted[0]).unwrap();
    }
}

#[test]
fn guards_and_handles_are_two_ways_to_one_block() {
    let name = Name::new("pool-guards");
    let region = region(&name);
    let pool = region.pool("p", PoolOptions::new(64, 1)).unwrap();
    let handle = pool.allocate().unwrap().into_handle();
    assert!(pool.try_allocate().unwrap().is_none(), "kept beyond the guard");
    pool.expect_mine(handle).unwrap();
    pool.block(handle).unwrap().free().unwrap();
    assert_eq!(kind(pool.block(handle)), ErrorKind::InvalidBlock);
    let again = pool.take(&Wait::forever()).unwrap();
    assert_ne!(again, handle);
    assert_eq!(kind(pool.free(handle)), ErrorKind::StaleHandle);
    let error = pool.free(0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidBlock);
    assert_eq!(kind(pool.address(2)), ErrorKind::InvalidBlock);
    pool.free(again).unwrap();
}

#[test]
fn who_finds_no_block_waits_for_one() {
    let name = Name::new("pool-wait");
    let region = region(&name);
    let pool = region.pool("p", PoolOptions::new(64, 1)).unwrap();
    let block = pool.allocate().unwrap();
    assert!(pool.try_allocate().unwrap().is_none());
    assert_eq!(kind(pool.allocate_timeout(Duration::from_millis(5))), ErrorKind::Timeout);
    std::thread::scope(|scope| {
        let waiters: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| pool.allocate_timeout(PATIENCE).map(drop).expect("freed by each in turn"))
            })
            .collect();
        while !region.status().unwrap().objects.iter().any(|object| object.has_waiters) {
            std::thread::yield_now();
        }
        drop(block);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
    assert_eq!(pool.status().free, 1);
}

#[test]
fn blocks_come_back_from_the_dead() {
    let name = Name::new("pool-dead");
    let region = region(&name);
    let pool = region.pool("p", PoolOptions::new(64, 8)).unwrap();
    let kept = pool.allocate().unwrap();
    let victim = Forked::run(|| {
        let pool = Region::open(&*name).unwrap().find_pool("p").unwrap();
        let blocks: Vec<_> = (0..6).map(|_| pool.allocate().unwrap()).collect();
        let handles: Vec<_> = blocks.into_iter().map(|block| block.into_handle()).collect();
        pool.publish(handles[0]).unwrap();
        pause();
    });
    while pool.status().published == 0 {
        std::thread::yield_now();
    }
    let status = pool.status();
    assert_eq!((status.owned, status.published, status.free), (6, 1, 1));
    assert!(
        status.owners.iter().any(|owner| owner.alive && owner.pid as i32 == victim.pid() && owner.count == 5)
    );
    let last = pool.allocate().unwrap();
    assert!(pool.try_allocate().unwrap().is_none(), "their owner lives");
    victim.kill();
    let found = pool.allocate_timeout(PATIENCE).expect("what the dead had");
    assert_eq!(pool.recover().unwrap(), 0, "all came back at once");
    let status = pool.status();
    assert_eq!((status.owned, status.published, status.free, status.recovered), (3, 1, 4, 5));
    let left = pool.blocks().into_iter().find(|block| block.state == BlockState::Published).unwrap();
    drop(pool.adopt(left.handle.unwrap()).expect("what nobody had is still there"));
    drop((kept, last, found));
    assert_eq!(pool.status().free, 8);
}

#[test]
fn what_was_freed_last_is_taken_first() {
    let name = Name::new("pool-last");
    let region = region(&name);
    let pool = region.pool("p", PoolOptions::new(64, 100)).unwrap();
    let handles: Vec<u64> = std::iter::from_fn(|| pool.try_take().unwrap()).collect();
    for (sooner, later) in [(20, 50), (60, 30)] {
        pool.free(handles[sooner]).unwrap();
        pool.free(handles[later]).unwrap();
        let again = pool.try_take().unwrap().expect("two are free");
        assert_eq!(again as u32, handles[later] as u32, "its bytes are in the cache");
        pool.try_take().unwrap().expect("one is free");
    }
}

#[test]
fn a_close_in_the_middle_of_an_allocation_loses_no_block() {
    let name = Name::new("pool-close");
    let region = region(&name);
    let kept = region.pool("p", PoolOptions::new(64, 4)).unwrap();
    for _ in 0..300 {
        let closing = region.find_pool("p").unwrap();
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| {
                while let Ok(block) = closing.try_allocate() {
                    drop(block);
                }
            });
            std::thread::yield_now();
            closing.close().unwrap();
            taker.join().unwrap();
        });
    }
    assert_eq!(kept.status().free, 4);
}

/// So many blocks that a look at all of them is worth avoiding.
const MANY: u32 = 100_000;

#[test]
fn an_exhausted_pool_of_many_blocks_answers_without_looking_at_all() {
    let name = Name::new("pool-exhausted");
    let region = RegionOptions::new().arena_len(4 << 20).create(&*name, 64).unwrap();
    let pool = region.pool("p", PoolOptions::new(8, MANY).alignment(8)).unwrap();
    let handles: Vec<u64> = std::iter::from_fn(|| pool.try_take().unwrap()).collect();
    assert_eq!(handles.len(), MANY as usize);
    let began = std::time::Instant::now();
    for _ in 0..20_000 {
        assert!(pool.try_take().unwrap().is_none());
    }
    // Some hundredths of a second; looking at 2 000 000 000 blocks takes seconds in optimised code.
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    // One that is freed is found at once, wherever it is and though somebody just looked.
    for handle in handles.into_iter().step_by(997) {
        pool.free(handle).unwrap();
        assert!(pool.try_take().unwrap().is_some());
        assert!(pool.try_take().unwrap().is_none());
    }
}

#[test]
fn an_exhausted_pool_of_many_blocks_finds_those_of_the_dead_at_once_and_what_no_bit_tells_of() {
    let name = Name::new("pool-exhausted-dead");
    let region = RegionOptions::new().arena_len(4 << 20).create(&*name, 64).unwrap();
    let pool = region.pool("p", PoolOptions::new(8, MANY).alignment(8)).unwrap();
    let mut kept: Vec<u64> = std::iter::from_fn(|| pool.try_take().unwrap()).collect();
    for round in 0..10 {
        pool.free(kept.pop().unwrap()).unwrap();
        let victim = Forked::run(|| {
            let pool = Region::open(&*name).unwrap().find_pool("p").unwrap();
            std::mem::forget(pool.try_allocate().unwrap().expect("the only one"));
            pause();
        });
        while pool.status().free > 0 {
            std::thread::yield_now();
        }
        assert!(pool.try_take().unwrap().is_none(), "its owner lives");
        victim.kill();
        kept.push(pool.try_take().unwrap().unwrap_or_else(|| panic!("round {round}: it came back")));
    }
    // All bits go, as if their writers had died before they wrote; and somebody has just looked.
    let elsewhere = region.find_pool("p").unwrap();
    assert!(elsewhere.try_take().unwrap().is_none());
    pool.free(kept.pop().unwrap()).unwrap();
    let layout = pool.layout();
    for word in layout.levels.iter().flat_map(|(start, len)| &layout.words[*start..start + len]) {
        word.store(0, SeqCst);
    }
    let deadline = std::time::Instant::now() + PATIENCE;
    while elsewhere.try_take().unwrap().is_none() {
        assert!(std::time::Instant::now() < deadline, "one is free");
    }
}

#[test]
fn a_forked_child_neither_has_nor_frees_what_its_parent_has() {
    let name = Name::new("pool-fork");
    let region = region(&name);
    let pool = region.pool("p", PoolOptions::new(64, 2)).unwrap();
    let block = pool.allocate().unwrap();
    let handle = block.handle();
    let child = Forked::run(|| {
        assert_eq!(kind(pool.free(handle)), ErrorKind::InvalidBlock);
        drop(block);
        let own = pool.allocate().unwrap();
        assert!(pool.try_allocate().unwrap().is_none());
        drop(own);
    });
    assert!(child.wait().success());
    pool.expect_mine(handle).unwrap();
}

#[test]
fn objects_are_found_created_and_listed_on_demand() {
    let name = Name::new("directory");
    let region = region(&name);
    let (find, create) =
        (region.with_mode(ObjectMode::Find).unwrap(), region.with_mode(ObjectMode::Create).unwrap());
    assert!(region.objects().unwrap().is_empty());
    assert_eq!(kind(find.pool("p", PoolOptions::new(64, 2))), ErrorKind::NotFound);
    assert_eq!(kind(find.mutex("m")), ErrorKind::NotFound);
    assert_eq!(kind(find.value("v", 0u32)), ErrorKind::NotFound);
    let _pool = create.pool("p", PoolOptions::new(64, 2)).unwrap();
    let _mutex = region.mutex("m").unwrap();
    drop(create.value("v", 1.5f64).unwrap());
    assert_eq!(kind(create.pool("p", PoolOptions::new(64, 2))), ErrorKind::AlreadyExists);
    assert_eq!(kind(create.mutex("m")), ErrorKind::AlreadyExists);
    assert_eq!(kind(create.value("v", 1.5f64)), ErrorKind::AlreadyExists);
    assert_eq!(kind(create.rwlock("m")), ErrorKind::AlreadyExists, "whatever it is");
    find.pool("p", PoolOptions::new(64, 2)).unwrap();
    find.mutex("m").unwrap();
    assert_eq!(find.value("v", 0f64).unwrap().load().unwrap(), 1.5);
    let listed: Vec<_> = Region::open_read_only(&*name)
        .unwrap()
        .objects()
        .unwrap()
        .into_iter()
        .map(|object| (object.name, object.kind.unwrap(), object.users))
        .collect();
    let expected = [("m", ObjectKind::Mutex, 1), ("p", ObjectKind::Pool, 1), ("v", ObjectKind::Value, 0)];
    assert_eq!(listed, expected.map(|(name, kind, users)| (name.to_owned(), kind, users)));
    assert_eq!(region.find_object("p").unwrap().parameters[0], 64);
    assert_eq!(kind(region.find_object("q")), ErrorKind::NotFound);
    assert_eq!(kind(region.remove_object("m")), ErrorKind::Busy);
    region.remove_object("v").unwrap();
    assert_eq!(kind(find.value("v", 0f64)), ErrorKind::NotFound);
}

/// Overwrites words of a pool's object, at random, with numbers that hurt.
fn corrupt(pool: &Pool, random: &mut Random) {
    let words = pool.layout().words;
    let numbers = [0, 1, 2, 3, u64::MAX, 1 << 63, u64::from(POOL_OWNED | 1 << 3), u64::from(u32::MAX) << 32];
    for _ in 0..1 + random.below(8) {
        let word = &words[random.below(words.len() as u64) as usize];
        let number = numbers[random.below(numbers.len() as u64) as usize];
        word.store(if random.below(2) == 0 { number } else { number ^ random.below(u64::MAX) }, SeqCst);
    }
}

#[test]
fn overwritten_words_lead_to_errors_and_never_outside() {
    let name = Name::new("pool-hostile");
    let region = region(&name);
    let pool = region.pool("p", PoolOptions::new(100, 300)).unwrap();
    let layout = pool.layout();
    let blocks = layout.blocks.as_ptr().addr()..layout.blocks.as_ptr().addr() + 300 * layout.stride;
    let mut random = Random::new();
    for _ in 0..400 {
        corrupt(&pool, &mut random);
        let mut held = Vec::new();
        for _ in 0..50 {
            let Some(block) = pool.try_allocate().unwrap() else { break };
            assert!(
                blocks.contains(&block.as_ptr().addr()) && blocks.contains(&(block.as_ptr().addr() + 99))
            );
            block.write_at(0, &[0xEE; 100]).unwrap();
            held.push(block);
        }
        corrupt(&pool, &mut random);
        for block in held {
            let _ = if random.below(2) == 0 { block.free().map(|()| 0) } else { block.publish() };
        }
        let _ = pool.adopt(random.below(u64::MAX));
        pool.recover().unwrap();
        assert_eq!(pool.blocks().len(), 300);
        region.status().unwrap();
    }
    // The tree mends itself; of the words, those that make no sense stay so.
    for word in &layout.words[..300] {
        word.store(0, SeqCst);
    }
    assert_eq!(pool.recover().unwrap(), 0);
    assert_eq!(std::iter::from_fn(|| pool.try_take().unwrap()).count(), 300);
}

#[test]
fn an_overwritten_description_is_refused() {
    let name = Name::new("pool-description");
    let region = region(&name);
    drop(region.pool("p", PoolOptions::new(64, 8)).unwrap());
    let offset = region.find_object("p").unwrap();
    assert_eq!(offset.parameters[1], 8 | 64 << 32);
    // The block's header is in the arena, which only a map of the whole object shows.
    let path = format!("/dev/shm/shmkit.{}", &*name);
    let mapping =
        shmkit::MapOptions::new().protection(shmkit::Protection::ReadWrite).map_path(&path).unwrap();
    let view = mapping.view_mut().unwrap();
    let words = view.len() / 8;
    let at = (0..words)
        .find(|at| view.shared::<AtomicU64>(at * 8).unwrap().load(SeqCst) == offset.parameters[1])
        .expect("the parameters are in there");
    let count = view.shared::<AtomicU64>(at * 8).unwrap();
    for parameter in [u64::from(u32::MAX - 1) | 64 << 32, 200_000 | 64 << 32, 8 | 3 << 32, 64 << 32, u64::MAX]
    {
        count.store(parameter, SeqCst);
        assert_eq!(kind(region.find_pool("p")), ErrorKind::Corrupted);
        assert_eq!(kind(region.pool("p", PoolOptions::new(64, 8))), ErrorKind::ParameterMismatch);
        region.status().unwrap();
    }
}
