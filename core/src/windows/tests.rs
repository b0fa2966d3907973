//! Against the plain file; who is evicted; views, threads and failures.

use std::io::Write as _;

use super::*;
use crate::segment::Segment;
use proptest::prelude::*;

const WINDOW: u64 = 16 << 10;

/// A file of `len` bytes that differ from window to window.
fn file_of(len: usize) -> (tempfile::NamedTempFile, Vec<u8>) {
    let content: Vec<u8> = (0..len).map(|at| (at as u64 / 7 + at as u64 / WINDOW) as u8).collect();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&content).unwrap();
    (file, content)
}

fn options(windows: u32) -> WindowOptions {
    WindowOptions::new().window_len(WINDOW).windows(windows).writable(true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Any reads and writes, with any number of windows, do what they do on the plain bytes.
    #[test]
    fn reads_and_writes_are_those_of_the_file(
        windows in 1u32..6,
        calls in prop::collection::vec((0u64..100_000, 0usize..50_000, any::<bool>()), 1..40),
    ) {
        let (file, mut model) = file_of(90_001);
        let cache = options(windows).open(file.path()).unwrap();
        for (round, (offset, len, write)) in calls.into_iter().enumerate() {
            let fits = offset as usize + len <= model.len();
            if write {
                let data = vec![round as u8; len];
                let result = cache.write_at(offset, &data);
                prop_assert_eq!(result.is_ok(), fits);
                if fits {
                    model[offset as usize..][..len].copy_from_slice(&data);
                }
            } else {
                let mut got = vec![0; len];
                prop_assert_eq!(cache.read_at(offset, &mut got).is_ok(), fits);
                if fits {
                    prop_assert_eq!(&got, &model[offset as usize..][..len]);
                }
            }
        }
        let stats = cache.stats();
        prop_assert!(stats.mapped <= u64::from(windows));
        prop_assert_eq!((stats.misses, stats.misses - stats.evictions), (stats.maps, stats.mapped));
        cache.flush(Flush::Sync).unwrap();
        cache.flush(Flush::Async).unwrap();
        cache.close().unwrap();
        prop_assert_eq!(std::fs::read(file.path()).unwrap(), model);
    }
}

fn touch(cache: &WindowCache, window: u64) -> bool {
    let before = cache.stats().misses;
    cache.read_at(window * WINDOW + 5, &mut [0; 8]).unwrap();
    cache.stats().misses == before
}

#[test]
fn the_window_least_recently_used_gives_its_place() {
    let (file, _) = file_of(10 * WINDOW as usize);
    let cache = options(3).open(file.path()).unwrap();
    for window in [0, 1, 2] {
        assert!(!touch(&cache, window));
    }
    assert!(touch(&cache, 0));
    assert!(!touch(&cache, 3), "takes the place of 1");
    assert!(touch(&cache, 2) && touch(&cache, 0) && touch(&cache, 3));
    assert!(!touch(&cache, 1), "takes the place of 2");
    assert!(touch(&cache, 0) && !touch(&cache, 2));
    let stats = cache.stats();
    assert_eq!((stats.misses, stats.maps, stats.evictions, stats.mapped), (6, 6, 3, 3));
    assert_eq!((stats.hits, stats.bypasses, stats.views), (5, 0, 0));
    assert!(stats.kernel_ns > 0);
}

#[test]
fn views_keep_their_windows_and_copies_go_past_them() {
    let (file, content) = file_of(5 * WINDOW as usize + 100);
    let cache = options(2).open(file.path()).unwrap();
    let first = cache.view(0, 100, false).unwrap();
    let second = cache.view(WINDOW, WINDOW as usize, true).unwrap();
    assert_eq!(cache.view(2 * WINDOW, 1, false).err().unwrap().kind(), ErrorKind::Busy);
    let mut got = vec![0; content.len()];
    cache.read_at(0, &mut got).unwrap();
    assert_eq!(got, content);
    assert_eq!(cache.stats().bypasses, 4);
    cache.write_at(4 * WINDOW - 2, b"abcd").unwrap();
    cache.read_at(4 * WINDOW - 2, &mut got[..4]).unwrap();
    assert_eq!(&got[..4], b"abcd");
    second.write_at(0, b"Hi").unwrap();
    cache.read_at(WINDOW, &mut got[..2]).unwrap();
    assert_eq!(&got[..2], b"Hi");
    let mut bytes = [0; 100];
    first.read_at(0, &mut bytes).unwrap();
    assert_eq!(bytes[..], content[..100]);

    assert_eq!(cache.close().unwrap_err().kind(), ErrorKind::Busy);
    assert_eq!(cache.stats().views, 2);
    drop(first);
    let third = cache.view(2 * WINDOW, 1, false).unwrap();
    drop((second, third));
    cache.close().unwrap();
    cache.close().unwrap();
    for result in [cache.read_at(0, &mut bytes), cache.flush(Flush::Sync), cache.view(0, 1, false).map(drop)]
    {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Closed);
    }
    assert!(!cache.unpin(std::ptr::null(), false));
}

#[test]
fn what_cannot_be_is_refused() {
    let (file, content) = file_of(3 * WINDOW as usize);
    let refused = |options: WindowOptions| options.open(file.path()).unwrap_err().kind();
    for bad in [
        options(0),
        options(4097),
        options(1).window_len(0),
        options(1).window_len(WINDOW + 1),
        options(1).window_len(512),
        options(1).window_len(1 << 31),
        options(1).pattern(Advice::DontNeed),
    ] {
        assert_eq!(refused(bad), ErrorKind::InvalidArgument);
    }
    let empty = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(WindowCache::open(empty.path()).unwrap_err().kind(), ErrorKind::InvalidLength);
    assert_eq!(WindowCache::open("/").unwrap_err().kind(), ErrorKind::WrongKind);
    assert_eq!(WindowCache::open(file.path().join("x")).unwrap_err().kind(), ErrorKind::NotFound);
    let reading = std::fs::File::open(file.path()).unwrap();
    assert_eq!(options(1).open_file(&reading).unwrap_err().kind(), ErrorKind::PermissionDenied);

    let cache = options(1).writable(false).open_file(&reading).unwrap();
    assert_eq!(cache.write_at(0, b"x").unwrap_err().kind(), ErrorKind::ReadOnly);
    assert_eq!(cache.view(0, 1, true).err().unwrap().kind(), ErrorKind::ReadOnly);
    assert_eq!(cache.view(WINDOW - 1, 2, false).err().unwrap().kind(), ErrorKind::InvalidArgument);
    for (offset, len) in
        [(0, content.len() + 1), (u64::MAX, 1), (content.len() as u64, 1), (1, usize::MAX >> 1)]
    {
        assert_eq!(cache.pin(offset, len, false).unwrap_err().kind(), ErrorKind::OutOfRange);
    }
    assert_eq!(cache.view(content.len() as u64, 0, false).unwrap().len(), 0);
    cache.read_at(content.len() as u64, &mut []).unwrap();
}

#[test]
fn a_file_that_was_cut_is_told_of_and_not_mapped() {
    let (file, _) = file_of(4 * WINDOW as usize);
    let cache = options(2).open(file.path()).unwrap();
    touch(&cache, 0);
    file.as_file().set_len(2 * WINDOW).unwrap();
    let error = cache.read_at(3 * WINDOW, &mut [0; 4]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Truncated, "{error}");
}

#[test]
fn a_file_that_is_cut_under_its_windows_is_an_error_and_no_signal() {
    let (file, _) = file_of(4 * WINDOW as usize);
    let cache = options(2).open(file.path()).unwrap();
    for window in [0, 3, 2] {
        touch(&cache, window);
    }
    let view = cache.view(3 * WINDOW + 5, 10, false).unwrap();
    file.as_file().set_len(2 * WINDOW).unwrap();
    let mut bytes = [1; 4];
    view.read_at(0, &mut bytes).unwrap();
    assert_eq!(bytes, [0; 4]);
    for failed in [
        cache.read_at(2 * WINDOW, &mut bytes),
        cache.read_at(0, &mut bytes),
        cache.view(0, 1, false).map(drop),
    ] {
        let error = failed.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::MappingTruncated | ErrorKind::Truncated), "{error}");
    }
    drop(view);
    cache.close().unwrap();
}

/// Reads that jump through far more than the windows hold are not mapped one by one; reads that come back are.
#[test]
fn mapping_stops_where_it_does_not_pay_and_starts_again() {
    let (file, content) = file_of(300 * WINDOW as usize);
    let cache = options(4).open(file.path()).unwrap();
    let mut random = 1u64;
    let mut read = |windows: u64| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let offset = (random >> 33) % (windows * WINDOW - 64);
        let mut got = [0; 64];
        cache.read_at(offset, &mut got).unwrap();
        assert_eq!(got[..], content[offset as usize..][..64]);
    };
    (0..4000).for_each(|_| read(300));
    let jumping = cache.stats();
    assert!(jumping.bypasses > 3000 && jumping.maps < 800, "{jumping:?}");
    let view = cache.view(WINDOW * 7 + 1, 8, false).unwrap();
    assert_eq!(view.len(), 8, "a view is mapped in any case");
    drop(view);
    (0..2000).for_each(|_| read(3));
    let staying = cache.stats();
    assert!(staying.hits - jumping.hits > 1800, "{staying:?}");
}

#[test]
fn segments_have_windows_too() {
    let segment = Segment::memfd("windows", 5 * WINDOW).unwrap();
    let cache = options(2).open_segment(&segment).unwrap();
    cache.write_at(WINDOW - 1, b"across").unwrap();
    drop(segment);
    let mut got = [0; 6];
    cache.read_at(WINDOW - 1, &mut got).unwrap();
    assert_eq!(&got, b"across");
}

#[test]
fn reads_that_run_forward_are_noticed() {
    let (file, _) = file_of(8 * WINDOW as usize);
    let advices = |pattern| {
        let cache = options(8).pattern(pattern).open(file.path()).unwrap();
        (0..8).for_each(|window| assert!(!touch(&cache, window)));
        cache.stats().advices
    };
    assert_eq!(advices(Advice::Normal), 14, "all but the first window follow one");
    assert_eq!(advices(Advice::Random), 8);
    assert_eq!(advices(Advice::Sequential), 24);
}

#[test]
fn many_threads_see_the_right_bytes() {
    let (file, content) = file_of(40 * WINDOW as usize);
    let cache = options(3).open(file.path()).unwrap();
    std::thread::scope(|scope| {
        for seed in 0..6u64 {
            let (cache, content) = (&cache, &content);
            scope.spawn(move || {
                let mut random = seed * 2 + 1;
                let mut got = vec![0; 3000];
                for round in 0..3000 {
                    random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    let offset = (random >> 33) as usize % (content.len() - got.len());
                    if round % 5 == 0 {
                        let len = cache.in_window(offset as u64, got.len());
                        // Busy is a right answer when the others use all windows.
                        if let Ok(view) = cache.view(offset as u64, len, false) {
                            view.read_at(0, &mut got[..len]).unwrap();
                            assert_eq!(got[..len], content[offset..offset + len]);
                        }
                    } else {
                        cache.read_at(offset as u64, &mut got).unwrap();
                        assert_eq!(got, content[offset..offset + got.len()]);
                    }
                }
            });
        }
    });
    let stats = cache.stats();
    assert!(stats.evictions > 0 && stats.hits > 0 && stats.views == 0, "{stats:?}");
    cache.close().unwrap();
}
