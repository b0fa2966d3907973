//! Regions and logs whose files are cut: nobody hangs, no lock and no block is taken in a page that is lost, and others go on.

use std::path::Path;

use shmkit::{
    ErrorKind, EventReset, HeapOptions, PoolOptions, Region, RegionOptions, SemaphoreOptions, Wait,
};

use super::{PAGE, cut, kind};
use crate::common::{Helper, PATIENCE, role, say};

/// The whole region, or only its user bytes, cut under two processes that hold and wait.
#[test]
fn a_region_that_is_cut_fails_and_hangs_nobody() {
    for keep in ["nothing", "header"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("region");
        let region = Region::create(path.as_path(), 16 * PAGE as u64).unwrap();
        let mutex = region.mutex("m").unwrap();
        let event = region.event("e", EventReset::Manual).unwrap();
        let semaphore = region.semaphore("s", SemaphoreOptions::new(0)).unwrap();
        let guard = mutex.lock().unwrap();
        let _held = region.lock().unwrap();
        std::thread::scope(|scope| {
            let waits = [
                scope.spawn(|| mutex.acquire(&Wait::timeout(PATIENCE)).map(drop)),
                scope.spawn(|| region.acquire(&Wait::timeout(PATIENCE)).map(drop)),
                scope.spawn(|| event.wait(&Wait::FOREVER)),
                scope.spawn(|| semaphore.acquire_timeout(PATIENCE).map(drop)),
            ];
            while region.status().unwrap().attachments[0].waits_for.is_none() {
                std::thread::yield_now();
            }
            let whole = std::fs::metadata(&path).unwrap().len();
            cut(&path, if keep == "nothing" { 0 } else { whole - 8 * PAGE as u64 });
            assert_eq!(kind(region.check()), ErrorKind::MappingTruncated);
            assert_eq!(kind(region.read_at(15 * PAGE, &mut [0])), ErrorKind::MappingTruncated);
            for wait in waits {
                assert_eq!(kind(wait.join().unwrap()), ErrorKind::MappingTruncated, "{keep}");
            }
        });
        drop(guard);
        for failed in [
            region.write_at(0, b"x"),
            region.view().map(drop),
            region.flush(.., shmkit::Flush::Async),
            region.release(),
            region.make_consistent(),
            region.resize(PAGE),
            region.status().map(drop),
            region.try_acquire().map(drop),
            region.acquire(&Wait::timeout(PATIENCE)).map(drop),
            region.mutex("m").map(drop),
            region.try_clone().map(drop),
            mutex.try_acquire().map(drop),
            mutex.release(),
            event.set(),
            semaphore.release(1),
            semaphore.try_acquire().map(drop),
        ] {
            let error = failed.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::MappingTruncated, "{keep}: {error}");
        }
        event.close().unwrap();
        mutex.close().unwrap();
        semaphore.close().unwrap();
        drop(_held);
        region.close().unwrap();
        assert_eq!(kind(Region::open(path.as_path())), ErrorKind::Truncated);
    }
}

/// A lock whose very word is lost at the instant of taking it is not taken.
#[test]
fn a_lock_in_a_lost_page_is_none() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..4 {
        let path = directory.path().join(format!("region{round}"));
        let region = Region::create(path.as_path(), 64).unwrap();
        let mutex = region.mutex("m").unwrap();
        let lock = region.rwlock("l").unwrap();
        cut(&path, 0);
        let first = match round {
            0 => region.acquire(&Wait::FOREVER).map(drop),
            1 => mutex.acquire(&Wait::FOREVER).map(drop),
            2 => lock.acquire_read(&Wait::FOREVER).map(drop),
            _ => lock.acquire_write(&Wait::FOREVER).map(drop),
        };
        assert_eq!(kind(first), ErrorKind::MappingTruncated, "{round}");
    }
}

/// Nor is a block that is taken there a block, nor what is read there a value.
#[test]
fn what_is_taken_from_a_lost_page_is_not_given() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..12 {
        let path = directory.path().join(format!("region{round}"));
        let region = RegionOptions::new().arena_len(1 << 16).create(path.as_path(), 64).unwrap();
        let pool = region.pool("p", PoolOptions::new(64, 4)).unwrap();
        let published = pool.take(&Wait::FOREVER).unwrap();
        pool.publish(published).unwrap();
        let kept = pool.take(&Wait::FOREVER).unwrap();
        let heap = region.heap("h", HeapOptions::new(16 << 10)).unwrap();
        let block = heap.reserve(100, 8).unwrap();
        let word = region.value("w", 7u64).unwrap();
        let whole = region.value("v", [7u64; 3]).unwrap();
        cut(&path, 0);
        let first = match round {
            0 => pool.take(&Wait::FOREVER).map(drop),
            1 => pool.try_take().map(drop),
            2 => pool.take_published(published).map(drop),
            3 => pool.free(kept),
            4 => heap.reserve(100, 8).map(drop),
            5 => heap.reserve_zeroed(100, 8).map(drop),
            6 => heap.free(block),
            7 => word.load().map(drop),
            8 => word.store(1),
            9 => word.store_if(0, 1).map(drop),
            10 => whole.load().map(drop),
            _ => whole.store([1; 3]),
        };
        assert_eq!(kind(first), ErrorKind::MappingTruncated, "{round}");
    }
}

#[test]
fn a_process_that_lost_pages_lets_others_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("region");
    if let Some(arguments) = role() {
        let path = Path::new(&arguments[0]);
        let region = Region::open(path).unwrap();
        let guard = region.lock().unwrap();
        say("locked");
        crate::common::listen();
        assert_eq!(kind(region.read_at(15 * PAGE, &mut [0])), ErrorKind::MappingTruncated);
        drop(guard);
        say("released");
        crate::common::listen();
        return;
    }
    let region = Region::create(path.as_path(), 16 * PAGE as u64).unwrap();
    let mut helper = Helper::start(a_process_that_lost_pages_lets_others_go_on, &[path.to_str().unwrap()]);
    helper.expect("locked");
    let whole = std::fs::metadata(&path).unwrap().len();
    cut(&path, whole - 8 * PAGE as u64);
    helper.tell("look");
    helper.expect("released");
    // This process has not touched what is missing, and the words are still there.
    drop(region.lock_timeout(PATIENCE).unwrap());
    helper.tell("end");
    helper.finish();
}

#[test]
fn a_log_whose_segment_is_cut_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let log = shmkit::LogOptions::new().segment_len(64 << 10).create(directory.path().join("log")).unwrap();
    log.append(1, b"first").unwrap();
    let mut reader = log.reader(shmkit::ReadFrom::Start).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().to_vec(), b"first");
    for entry in std::fs::read_dir(directory.path().join("log")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with(shmkit::layout::LOG_SEGMENT_PREFIX) {
            cut(&entry.path(), 0);
        }
    }
    assert_eq!(kind(log.append(1, b"second")), ErrorKind::MappingTruncated);
    let third = log.append(1, b"third").unwrap();
    assert_eq!(third, log.segment_len(), "appends go on in the next segment");
    assert!(reader.next().unwrap().is_err());
    assert_eq!(reader.next().unwrap().unwrap().to_vec(), b"third");
}

/// All that a process can do with a region, at random, while its file is cut at random moments and places: nothing dies,
/// nothing hangs, and what fails says why.
#[test]
fn random_operations_live_through_random_cuts() {
    for seed in 0..30u64 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("region");
        let region = RegionOptions::new()
            .arena_len(64 << 10)
            .capacity(1 << 20)
            .create(path.as_path(), 32 * PAGE as u64);
        let region = region.unwrap();
        let whole = std::fs::metadata(&path).unwrap().len();
        let names = ["a", "b", "c"];
        let random = |state: &mut u64| {
            *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (*state >> 33) as usize
        };
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let region = &region;
                scope.spawn(move || {
                    let mut state = seed * 31 + thread;
                    for _ in 0..120 {
                        let name = names[random(&mut state) % 3];
                        let brief = Wait::timeout(std::time::Duration::from_millis(1));
                        let at = random(&mut state) % (32 * PAGE);
                        let done = match random(&mut state) % 11 {
                            0 => region.read_at(at, &mut [0; 64]),
                            1 => region.write_at(at, &[7; 64]),
                            2 => region.acquire(&brief).map(drop).and_then(|()| region.release()),
                            3 => region.mutex(&format!("m{name}")).and_then(|mutex| {
                                mutex.acquire(&brief).map(drop)?;
                                mutex.release()
                            }),
                            4 => region.rwlock(&format!("l{name}")).and_then(|lock| {
                                lock.acquire_read(&brief).map(drop)?;
                                lock.release_read()
                            }),
                            5 => region.event(&format!("e{name}"), EventReset::Manual).and_then(|event| {
                                event.set()?;
                                event.wait(&brief)
                            }),
                            6 => region.semaphore(&format!("s{name}"), SemaphoreOptions::new(1)).and_then(
                                |semaphore| semaphore.acquire(&brief).and_then(|()| semaphore.release(1)),
                            ),
                            7 => region.resize(at + 1),
                            8 => region.status().map(drop),
                            9 => region.atomic_u64(&format!("n{name}"), 1).map(|number| {
                                number.add(1);
                            }),
                            _ => region.check(),
                        };
                        if let Err(error) = done {
                            // The zeros behind a cut, in the page that it went through, may look like anything.
                            assert_ne!(error.kind(), ErrorKind::Internal, "seed {seed}: {error}");
                        }
                    }
                });
            }
            let mut state = seed ^ 0x5eed;
            for _ in 0..random(&mut state) % 2000 {
                std::thread::yield_now();
            }
            cut(&path, random(&mut state) as u64 % whole);
        });
        // All may be well: of a region that was shorter at that moment nothing was cut.
        if let Err(error) = region.check() {
            assert_eq!(error.kind(), ErrorKind::MappingTruncated, "seed {seed}: {error}");
        }
        region.close().unwrap();
    }
}
