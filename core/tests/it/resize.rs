//! Mappings and regions that grow and shrink in place.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{Helper, Name, listen, role, say};
use shmkit::{ErrorKind, MapOptions, Mapping, Protection, Region, RegionOptions, Sharing};

const PAGE: usize = 4096;

fn kind<T>(result: shmkit::Result<T>) -> ErrorKind {
    result.err().expect("it fails").kind()
}

fn byte(mapping: &Mapping, at: usize) -> u8 {
    let mut byte = [0];
    mapping.read_at(at, &mut byte).unwrap();
    byte[0]
}

#[test]
fn a_mapping_grows_and_shrinks_in_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    std::fs::write(&path, vec![7; 10 * PAGE]).unwrap();
    for offset in [0, 1000, PAGE as u64 + 8] {
        let options =
            MapOptions::new().protection(Protection::ReadWrite).offset(offset).len(5000).reserve(8 * PAGE);
        let mapping = options.map_path(&path).unwrap();
        assert_eq!((mapping.len(), mapping.capacity()), (5000, 8 * PAGE));
        let (address, view) = (mapping.as_ptr(), mapping.view().unwrap());
        mapping.resize(7 * PAGE).unwrap();
        assert_eq!((mapping.as_ptr(), view.len(), byte(&mapping, 7 * PAGE - 1)), (address, 5000, 7));
        mapping.write_at(7 * PAGE - 1, &[9]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap()[offset as usize + 7 * PAGE - 1], 9);
        mapping.write_at(7 * PAGE - 1, &[7]).unwrap();
        assert_eq!(kind(mapping.resize(3)), ErrorKind::Busy);
        drop(view);
        mapping.resize(3).unwrap();
        assert_eq!(kind(mapping.read_at(3, &mut [0])), ErrorKind::OutOfRange);
        mapping.resize(PAGE + 1).unwrap();
        assert_eq!(byte(&mapping, PAGE), 7);
        assert_eq!(kind(mapping.resize(0)), ErrorKind::InvalidLength);
        assert_eq!(kind(mapping.resize(8 * PAGE + 1)), ErrorKind::LimitExceeded);
        mapping.close().unwrap();
        assert_eq!(kind(mapping.resize(5)), ErrorKind::Closed);
    }
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 10 * PAGE as u64);
}

#[test]
fn a_file_grows_when_asked_and_never_shrinks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let options = MapOptions::new().protection(Protection::ReadWrite).len(100).reserve(1 << 20);
    let growing = options.clone().create(true).map_path(&path).unwrap();
    let fixed = options.map_path(&path).unwrap();
    assert_eq!(kind(fixed.resize(PAGE + 100)), ErrorKind::OutOfRange);
    growing.resize(PAGE + 100).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), PAGE as u64 + 100);
    fixed.resize(PAGE + 100).unwrap();
    growing.write_at(PAGE, b"seen").unwrap();
    assert_eq!(byte(&fixed, PAGE), b's');
    growing.resize(1).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), PAGE as u64 + 100);
    // Cut beyond what is mapped now: nobody is hurt.
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(50).unwrap();
    assert_eq!(byte(&growing, 0), 0);
    growing.check().unwrap();
    fixed.check().unwrap_err();
}

#[test]
fn memory_grows_too_and_new_bytes_are_zeros() {
    for sharing in [Sharing::Shared, Sharing::Private] {
        let mapping = MapOptions::new().len(10).reserve(1 << 20).sharing(sharing).map_anonymous().unwrap();
        mapping.resize(100_000).unwrap();
        mapping.write_at(99_999, &[1]).unwrap();
        mapping.protect(.., Protection::Read).unwrap();
        mapping.resize(200_000).unwrap();
        assert!(!mapping.is_writable(), "new bytes allow what the last one did");
        mapping.protect(.., Protection::ReadWrite).unwrap();
        assert_eq!((byte(&mapping, 99_999), byte(&mapping, 199_999)), (1, 0));
    }
    // Without reserved space there is what there was.
    let mapping = Mapping::anonymous(100).unwrap();
    mapping.write_at(99, &[5]).unwrap();
    mapping.resize(50).unwrap();
    assert_eq!(kind(mapping.resize(101)), ErrorKind::LimitExceeded);
    mapping.resize(100).unwrap();
    assert_eq!(byte(&mapping, 99), 5);
}

#[test]
fn a_region_grows_and_shrinks_for_everybody() {
    if let Some(arguments) = role() {
        let region = Region::open(arguments[0].as_str()).unwrap();
        let looker = Region::open_read_only(arguments[0].as_str()).unwrap();
        loop {
            let line = listen();
            let mut byte = [0];
            if let Ok(len) = line.parse::<usize>() {
                region.resize(len).unwrap();
            }
            region.read_at(region.len() - 1, &mut byte).unwrap();
            assert_eq!(region.len(), looker.len());
            say(format!("{} {}", region.len(), byte[0]));
        }
    }
    let name = Name::new("resize");
    let options = RegionOptions::new().capacity(1 << 20);
    let region = options.create(&*name, 1000).unwrap();
    assert_eq!((region.len(), region.capacity()), (1000, 1 << 20));
    assert!(std::fs::metadata(format!("/dev/shm/shmkit.{}", &*name)).unwrap().len() < 1 << 20);
    let mut helper = Helper::start(a_region_grows_and_shrinks_for_everybody, &[&name]);
    let view = region.view().unwrap();
    helper.tell("500000");
    helper.expect("500000 0");
    assert_eq!((region.len(), view.len()), (500_000, 1000));
    region.write_at(499_999, &[7]).unwrap();
    helper.tell("look");
    helper.expect("500000 7");
    assert_eq!(kind(region.resize(999)), ErrorKind::Busy);
    drop(view);
    region.resize(999).unwrap();
    helper.tell("look");
    helper.expect("999 0");
    helper.tell("600000");
    helper.expect("600000 0");
    let mut bytes = vec![1; 600_000];
    region.read_at(0, &mut bytes).unwrap();
    assert!(bytes.iter().all(|byte| *byte == 0), "what was given back comes back as zeros");
    assert_eq!(kind(region.resize((1 << 20) + 1)), ErrorKind::LimitExceeded);
    assert_eq!(kind(region.resize(0)), ErrorKind::InvalidLength);
    assert_eq!(kind(Region::open_read_only(&*name).unwrap().resize(5)), ErrorKind::ReadOnly);
    // Whoever asks for the capacity gets it whatever its length.
    assert_eq!(options.open_or_create(&*name, 1000).unwrap().len(), 600_000);
    assert_eq!(kind(Region::open_or_create(&*name, 1000)), ErrorKind::SizeMismatch);
    assert_eq!(
        kind(RegionOptions::new().capacity(1 << 21).open_or_create(&*name, 5)),
        ErrorKind::SizeMismatch
    );
    assert_eq!(kind(RegionOptions::new().capacity(4).create(&*name, 5)), ErrorKind::InvalidLength);
    helper.finish();
}

#[test]
fn new_bytes_are_zeros_whatever_a_stale_view_stored() {
    let name = Name::new("stale");
    let region = RegionOptions::new().capacity(1 << 20).create(&*name, 100_000).unwrap();
    let other = Region::open(&*name).unwrap();
    let stale = other.view_mut().unwrap();
    region.resize(10).unwrap();
    stale.write_at(11, &[9; 50_000]).unwrap();
    let mut bytes = vec![1; 100_000];
    region.resize(100_000).unwrap();
    region.read_at(0, &mut bytes).unwrap();
    assert!(bytes.iter().all(|byte| *byte == 0));
}

#[test]
fn a_length_that_lies_is_not_followed() {
    let name = Name::new("lies");
    let region = RegionOptions::new().capacity(1 << 20).create(&*name, 5000).unwrap();
    for lie in [0, (1 << 20) + 1, u64::MAX, 900_000] {
        // Whoever may write the object may write this too.
        let file =
            std::fs::OpenOptions::new().write(true).open(format!("/dev/shm/shmkit.{}", &*name)).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &u64::to_ne_bytes(lie), 136).unwrap();
        assert_eq!(region.len(), 5000, "{lie}");
        region.read_at(4999, &mut [0]).unwrap();
        assert_eq!(kind(region.read_at(5000, &mut [0])), ErrorKind::OutOfRange);
    }
}

#[test]
fn resizers_and_readers_get_along() {
    let name = Name::new("race");
    let region = RegionOptions::new().capacity(1 << 20).create(&*name, 1).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let resizers: Vec<_> = (1..=3usize)
            .map(|seed| {
                let region = &region;
                scope.spawn(move || {
                    for step in 0..200 {
                        region.resize((step * 7919 * seed) % (1 << 20) + 1).unwrap();
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let len = region.len();
                if let Err(error) = region.read_at(len - 1, &mut [0]) {
                    assert_eq!(error.kind(), ErrorKind::OutOfRange);
                }
            }
        });
        resizers.into_iter().for_each(|resizer| resizer.join().unwrap());
        done.store(true, Ordering::Relaxed);
    });
    region.check().unwrap();
}
