//! Files that are cut while they are mapped, file systems that are full, and the handlers of others: nothing dies, and
//! everything is reported.

use std::fs::{File, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::common::{Helper, Name, PATIENCE, role, say};
use shmkit::{
    ErrorKind, EventReset, HeapOptions, MapOptions, Mapping, PoolOptions, Protection, Region, RegionOptions,
    SemaphoreOptions, Sharing, Wait,
};

const PAGE: usize = 4096;

/// A file of so many pages of sevens, mapped for reading and writing.
fn sevens(path: &Path, pages: usize, sharing: Sharing) -> Mapping {
    std::fs::write(path, vec![7; pages * PAGE]).unwrap();
    MapOptions::new().protection(Protection::ReadWrite).sharing(sharing).map_path(path).unwrap()
}

fn cut(path: &Path, len: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

fn kind<T>(result: shmkit::Result<T>) -> ErrorKind {
    result.err().expect("it fails").kind()
}

/// Lines of /proc/self/maps that have a part of a mapping.
fn maps_of(mapping: &Mapping) -> usize {
    let (start, end) = (mapping.as_ptr().addr(), mapping.as_ptr().addr() + mapping.len());
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let inside = |line: &&str| {
        let (from, to) = line.split_whitespace().next().unwrap().split_once('-').unwrap();
        let at = |text| usize::from_str_radix(text, 16).unwrap();
        at(from) < end && at(to) > start
    };
    maps.lines().filter(inside).count()
}

#[test]
fn what_a_file_lost_reads_as_zeros_and_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    for sharing in [Sharing::Shared, Sharing::Private] {
        let mapping = sevens(&path, 8, sharing);
        assert!(mapping.is_guarded());
        let view = mapping.view_mut().unwrap();
        cut(&path, 3 * PAGE as u64 + 10);
        assert_eq!(kind(mapping.check()), ErrorKind::MappingTruncated, "before anybody has touched it");

        let mut bytes = [1; 20];
        view.read_at(3 * PAGE, &mut bytes).unwrap();
        assert_eq!(
            (&bytes[..10], &bytes[10..]),
            (&[7; 10][..], &[0; 10][..]),
            "the last page has what is left"
        );
        mapping.read_at(0, &mut bytes).unwrap();
        view.write_at(4 * PAGE - 8, &[9; 16]).unwrap();
        view.read_at(4 * PAGE, &mut bytes[..8]).unwrap();
        assert_eq!(bytes[..8], [9; 8], "what was stored stays until the end");

        for failed in [
            mapping.read_at(0, &mut bytes),
            mapping.write_at(0, b"x"),
            mapping.view().map(drop),
            mapping.flush(.., shmkit::Flush::Sync),
            mapping.protect(.., Protection::Read),
            mapping.check(),
            mapping.resize(PAGE),
        ] {
            let error = failed.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::MappingTruncated), "{error}");
        }
        assert_eq!(kind(mapping.close()), ErrorKind::Busy);
        drop(view);
        mapping.close().unwrap();
        assert_eq!(kind(mapping.check()), ErrorKind::Closed);
        assert_eq!(maps_of(&mapping), 1, "nothing of the file is left");
    }
}

#[test]
fn a_copy_that_meets_the_end_fails_itself() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let mapping = sevens(&path, 4, Sharing::Shared);
    cut(&path, 0);
    let mut bytes = [1; 2 * PAGE];
    assert_eq!(kind(mapping.read_at(PAGE, &mut bytes)), ErrorKind::MappingTruncated);
    assert_eq!(bytes, [0; 2 * PAGE]);
    assert_eq!(kind(mapping.write_at(0, &bytes)), ErrorKind::MappingTruncated);
}

#[test]
fn a_system_call_on_lost_bytes_fails_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let mapping = sevens(&path, 4, Sharing::Shared);
    cut(&path, PAGE as u64);
    let sink = File::create(directory.path().join("sink")).unwrap();
    // SAFETY: the range is mapped; the kernel finds out that it is not backed.
    let written = unsafe {
        libc::write(std::os::fd::AsRawFd::as_raw_fd(&sink), mapping.as_ptr().add(2 * PAGE).cast(), 100)
    };
    assert_eq!((written, std::io::Error::last_os_error().raw_os_error()), (-1, Some(libc::EFAULT)));
    let mut byte = [0];
    mapping.read_at(0, &mut byte).unwrap();
    assert_eq!(byte, [7]);
}

/// Each thread owns every eighth byte of the same pages, and stores into them while the file is cut: of what it stored
/// after the cut, nothing is missing.
#[test]
fn no_store_of_another_thread_is_lost() {
    const THREADS: usize = 4;
    let directory = tempfile::tempdir().unwrap();
    for round in 0..60 {
        let path = directory.path().join(format!("file{round}"));
        let mapping = sevens(&path, 16, Sharing::Shared);
        let view = mapping.view_mut().unwrap();
        let start = Barrier::new(THREADS);
        cut(&path, 0);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (view, start) = (&view, &start);
                scope.spawn(move || {
                    for page in 0..16 {
                        start.wait();
                        for word in (0..PAGE / 4).filter(|word| word % THREADS == thread) {
                            let cell: &AtomicU32 = view.shared(page * PAGE + word * 4).unwrap();
                            assert_eq!(cell.swap(word as u32 + 1, Ordering::Relaxed), 0);
                        }
                    }
                });
            }
        });
        for word in 0..16 * PAGE / 4 {
            let cell: &AtomicU32 = view.shared(word * 4).unwrap();
            assert_eq!(cell.load(Ordering::Relaxed) as usize, word % (PAGE / 4) + 1, "round {round}");
        }
    }
}

#[test]
fn many_cuts_cost_few_maps() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let mapping = sevens(&path, 1000, Sharing::Shared);
    let view = mapping.view().unwrap();
    let mut byte = [0];
    for page in (0..1000).rev() {
        cut(&path, (page * PAGE) as u64);
        view.read_at(page * PAGE, &mut byte).unwrap();
        assert_eq!(byte, [0]);
    }
    assert!(maps_of(&mapping) <= 70, "{}", maps_of(&mapping));
    // Nor does one cut that is met here and there.
    let mapping = sevens(&path, 1000, Sharing::Shared);
    let view = mapping.view().unwrap();
    cut(&path, 0);
    for page in (0..1000).step_by(2) {
        view.read_at(page * PAGE, &mut byte).unwrap();
    }
    assert!(maps_of(&mapping) <= 2, "{}", maps_of(&mapping));
}

#[test]
fn readers_and_writers_live_through_cuts_at_any_moment() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    for round in 0..40u64 {
        let mapping = sevens(&path, 64, if round % 4 == 3 { Sharing::Private } else { Sharing::Shared });
        let (done, view) = (AtomicBool::new(false), mapping.view_mut().unwrap());
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|thread| {
                    let (mapping, done, view) = (&mapping, &done, &view);
                    scope.spawn(move || {
                        let mut bytes = [0; 3 * PAGE];
                        let mut at = thread * 7919;
                        while !done.load(Ordering::Relaxed) {
                            at = (at * 1103515245 + 12345) % (61 * PAGE);
                            view.read_at(at, &mut bytes).unwrap();
                            assert!(bytes.iter().all(|byte| matches!(byte, 0 | 7)));
                            view.write_at(at, &[7; 100]).unwrap();
                            let checked = mapping.read_at(at, &mut bytes[..8]);
                            assert!(checked.is_ok_and(|()| true) || mapping.check().is_err());
                        }
                    })
                })
                .collect();
            for step in 0..20u64 {
                cut(&path, (step * 2654435761 + round * 40503) % (64 * PAGE as u64));
            }
            cut(&path, 0);
            done.store(true, Ordering::Relaxed);
            workers.into_iter().for_each(|worker| worker.join().unwrap());
        });
        let mut byte = [1];
        mapping.read_at(0, &mut byte).unwrap_err();
        assert_eq!(kind(mapping.check()), ErrorKind::MappingTruncated);
    }
}

#[test]
fn what_was_closed_dropped_or_forked_leaves_no_trace() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    // More ranges than the first part of the table holds, used again and again.
    for _ in 0..3 {
        let mappings: Vec<_> = (0..200).map(|_| sevens(&path, 1, Sharing::Shared)).collect();
        cut(&path, 0);
        for mapping in &mappings {
            assert_eq!(kind(mapping.read_at(0, &mut [0])), ErrorKind::MappingTruncated);
        }
        let fresh = sevens(&path, 1, Sharing::Shared);
        fresh.read_at(0, &mut [0]).unwrap();
    }
    let mapping = sevens(&path, 2, Sharing::Shared);
    let child = crate::common::Forked::run(|| {
        cut(&path, 0);
        assert_eq!(kind(mapping.read_at(0, &mut [0])), ErrorKind::MappingTruncated);
    });
    assert!(child.wait().success());
    assert!(mapping.read_at(0, &mut [0]).is_err(), "the parent finds out for itself");
}

#[test]
fn without_the_guard_the_process_dies_as_ever() {
    if let Some(arguments) = role() {
        let path = Path::new(&arguments[1]);
        let other = sevens(&path.with_extension("other"), 1, Sharing::Shared);
        assert!(other.is_guarded());
        match arguments[0].as_str() {
            "option" => {}
            "process" => shmkit::set_fault_guard(false),
            _ => {
                // Somebody else's signal, and somebody else's fault.
                // Rust's own handler takes itself away at the first, as it does without us.
                // SAFETY: a signal to this thread.
                unsafe { (libc::raise(libc::SIGBUS), libc::raise(libc::SIGBUS)) };
            }
        }
        std::fs::write(path, [7; PAGE]).unwrap();
        let guard = arguments[0] != "option";
        let mapping = MapOptions::new().fault_guard(guard).map_path(path).unwrap();
        assert!(!mapping.is_guarded());
        cut(path, 0);
        mapping.read_at(0, &mut [0]).unwrap();
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    for way in ["option", "process", "raise"] {
        let role = [way, path.to_str().unwrap()];
        let mut helper = Helper::start(without_the_guard_the_process_dies_as_ever, &role);
        let status = helper.wait();
        assert_eq!(status.signal(), Some(libc::SIGBUS), "{way}: {status}");
    }
}

/// A handler of somebody else, before or after ours: it gets what is not ours, and we get ours.
#[test]
fn other_handlers_go_on_working() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    static UNGUARDED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    static CHAINED: std::sync::Mutex<Option<usize>> = std::sync::Mutex::new(None);

    /// Mends one page of its own, as a program may that knows its mapping; what it does not know it passes on.
    extern "C" fn theirs(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        CALLS.fetch_add(1, Ordering::SeqCst);
        let page = UNGUARDED.load(Ordering::SeqCst);
        // SAFETY: the kernel's information; the page is the test's own mapping.
        unsafe {
            if (*info).si_addr().addr() & !(PAGE - 1) == page && page != 0 {
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
                libc::mmap(page as *mut _, PAGE, libc::PROT_READ, flags, -1, 0);
            } else if let Some(next) = *CHAINED.lock().unwrap() {
                let next: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) =
                    std::mem::transmute(next);
                next(signal, info, context);
            }
        }
    }
    fn install() {
        // SAFETY: an action of ours, zero but for what is set.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            let mut before: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = theirs as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigaction(libc::SIGBUS, &action, &mut before);
            let passes_on = before.sa_sigaction > 1 && before.sa_sigaction != action.sa_sigaction;
            *CHAINED.lock().unwrap() = passes_on.then_some(before.sa_sigaction);
        }
    }
    let lost = |path: &Path, guard: bool| {
        std::fs::write(path, [7; PAGE]).unwrap();
        let mapping = MapOptions::new().fault_guard(guard).map_path(path).unwrap();
        cut(path, 0);
        mapping
    };
    if let Some(arguments) = role() {
        let path = Path::new(&arguments[1]);
        let guarded = |calls: u32| {
            let before = CALLS.load(Ordering::SeqCst);
            assert_eq!(kind(lost(path, true).read_at(0, &mut [0])), ErrorKind::MappingTruncated);
            assert_eq!(CALLS.load(Ordering::SeqCst) - before, calls);
        };
        let unguarded = || {
            let before = CALLS.load(Ordering::SeqCst);
            let mapping = lost(path, false);
            UNGUARDED.store(mapping.as_ptr().addr(), Ordering::SeqCst);
            mapping.read_at(0, &mut [0]).unwrap();
            assert_eq!(CALLS.load(Ordering::SeqCst) - before, 1);
        };
        match arguments[0].as_str() {
            "before" => {
                install();
                guarded(0);
                unguarded();
            }
            "after" => {
                let first = lost(path, true);
                install();
                // It is in front now, and passes on what it does not know.
                assert_eq!(kind(first.read_at(0, &mut [0])), ErrorKind::MappingTruncated);
                assert_eq!(CALLS.load(Ordering::SeqCst), 1);
                // Behind us again, and still in the chain.
                guarded(0);
                unguarded();
                let again = lost(path, true);
                install();
                again.check().unwrap_err();
                again.read_at(0, &mut [0]).unwrap_err();
                guarded(0);
                unguarded();
            }
            _ => {
                // Passing on goes round in a circle once we are in front again; what nobody knows still kills.
                drop(lost(path, true));
                install();
                guarded(0);
                UNGUARDED.store(0, Ordering::SeqCst);
                let mapping = lost(path, false);
                say("now");
                mapping.read_at(0, &mut [0]).unwrap();
            }
        }
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    for way in ["before", "after"] {
        Helper::start(other_handlers_go_on_working, &[way, path.to_str().unwrap()]).finish();
    }
    let mut helper = Helper::start(other_handlers_go_on_working, &["circle", path.to_str().unwrap()]);
    helper.expect("now");
    assert_eq!(helper.wait().signal(), Some(libc::SIGBUS));
}

/// In a small file system of its own.
#[test]
fn a_full_file_system_kills_nobody() {
    if role().is_some() {
        let place = tempfile::tempdir().unwrap();
        mount_small(place.path());
        let path = place.path().join("sparse");
        File::create(&path).unwrap().set_len(1 << 20).unwrap();
        let mapping = MapOptions::new().protection(Protection::ReadWrite).map_path(&path).unwrap();
        let view = mapping.view_mut().unwrap();
        for page in 0..(1 << 20) / PAGE {
            view.write_at(page * PAGE, &[page as u8 | 1]).unwrap();
        }
        let error = mapping.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
        assert!(maps_of(&mapping) <= 140, "{}", maps_of(&mapping));
        let mut byte = [0];
        view.read_at((1 << 20) - PAGE, &mut byte).unwrap();
        drop(view);
        drop(mapping);
        std::fs::remove_file(&path).unwrap();

        let region = place.path().join("region");
        let create = |len, capacity| {
            RegionOptions::new().arena_len(4096).capacity(capacity).create(region.as_path(), len)
        };
        assert_eq!(kind(create(300_000, 300_000)), ErrorKind::NoSpace);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "nothing is left of it");
        let region = create(4096, 1 << 30).unwrap();
        assert_eq!(kind(region.resize(1 << 20)), ErrorKind::NoSpace);
        assert_eq!(region.len(), 4096);
        region.resize(100_000).unwrap();
        region.resize(10_000).unwrap();
        std::fs::write(place.path().join("other"), vec![1; 100_000]).expect("shrinking gave storage back");
        assert_eq!(kind(region.resize(200_000)), ErrorKind::NoSpace);
        region.write_at(9_999, b"x").unwrap();
        say("done");
        // The mount goes with the name space; the directory is removed without it.
        // SAFETY: a path that ends with a zero byte.
        unsafe { libc::umount2(c_path(place.path()).as_ptr(), libc::MNT_DETACH) };
        return;
    }
    let mut helper =
        Helper::start_under(&["unshare", "-rm", "--"], a_full_file_system_kills_nobody, &["small"]);
    helper.expect("done");
    helper.finish();
}

fn c_path(path: &Path) -> std::ffi::CString {
    std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).unwrap()
}

/// Mounts 256 KiB of memory, which only this process and its children see.
fn mount_small(place: &Path) {
    // SAFETY: strings that end with a zero byte.
    let status = unsafe {
        libc::mount(
            c"shmkit-test".as_ptr(),
            c_path(place).as_ptr(),
            c"tmpfs".as_ptr(),
            0,
            c"size=256k".as_ptr().cast(),
        )
    };
    assert_eq!(status, 0, "{}", std::io::Error::last_os_error());
}

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
fn an_unlinked_or_forbidden_file_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let mapping = sevens(&path, 2, Sharing::Shared);
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    std::fs::remove_file(&path).unwrap();
    mapping.write_at(PAGE, b"x").unwrap();
    mapping.check().unwrap();
    let name = Name::new("unlinked");
    let region = Region::create(&*name, 64).unwrap();
    Region::unlink(&*name).unwrap();
    region.check().unwrap();
    drop(region.lock().unwrap());
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
    assert_eq!(kind(log.append(1, b"third")), ErrorKind::MappingTruncated);
    assert!(reader.next().unwrap().is_err());
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
