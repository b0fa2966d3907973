//! The fault guard. Here, mapped files that are cut: nothing dies, everything is reported, and no store is lost.

mod full;
mod handlers;
mod regions;

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::common::Name;
use shmkit::{ErrorKind, MapOptions, Mapping, Protection, Region, Sharing};

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
