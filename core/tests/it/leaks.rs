//! Opening and closing, with and without success, leaves no descriptor, no mapping and no slot behind.

use crate::common::{Helper, Name, PATIENCE, role, say};
use shmkit::{ErrorKind, MapOptions, Mapping, Protection, Region, RegionOptions};

const CYCLES: usize = 2000;

/// Number of descriptors of this process, and of mappings of the files that are opened here.
fn possessions() -> (usize, usize) {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    (descriptors, maps.lines().filter(|line| line.contains("shmkit.") || line.contains("leaky-file")).count())
}

/// Number of anonymous mappings, which a retired region or a wiped word would add to. The allocator takes and gives back
/// some of its own.
fn anonymous_maps() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.split_whitespace().count() == 5).count()
}

/// Everything that opens something, once.
fn cycle(name: &str, file: &str) {
    let region = Region::open(name).unwrap();
    let again = Region::open(name).unwrap();
    let third = region.try_clone().unwrap();
    let reader = Region::open_read_only(name).unwrap();
    drop(region.lock_timeout(PATIENCE).unwrap());
    drop(region.view_mut().unwrap());
    region.close().unwrap();
    again.close().unwrap();
    drop((third, reader));
    let mapping =
        MapOptions::new().create(true).len(5000).protection(Protection::ReadWrite).map_path(file).unwrap();
    mapping.protect(0..4096, Protection::Read).unwrap();
    mapping.close().unwrap();
    drop(Mapping::open(file).unwrap());
    drop(Mapping::anonymous(5000).unwrap());
}

/// Everything that fails to open something, once.
fn failing_cycle(name: &str, file: &str, full: &str) {
    let kind = |result: shmkit::Result<()>| result.unwrap_err().kind();
    assert_eq!(kind(Region::open(std::path::Path::new(file)).map(drop)), ErrorKind::BadMagic);
    assert_eq!(kind(Region::open(full).map(drop)), ErrorKind::TooManyAttachments);
    assert_eq!(kind(Region::create(name, 64).map(drop)), ErrorKind::AlreadyExists);
    assert_eq!(kind(Region::open_or_create(name, 65).map(drop)), ErrorKind::SizeMismatch);
    assert_eq!(kind(Region::create(format!("{name}.big"), 1 << 46).map(drop)), ErrorKind::NoSpace);
    assert_eq!(kind(MapOptions::new().len(1 << 20).map_path(file).map(drop)), ErrorKind::OutOfRange);
    assert_eq!(kind(Mapping::open("/").map(drop)), ErrorKind::WrongKind);
}

#[test]
fn opening_and_closing_leaves_nothing_behind() {
    // In a process of its own: other tests open and close as well.
    if let Some(arguments) = role() {
        let (name, file, full) = (&arguments[0], &arguments[1], &arguments[2]);
        let turn = |count: usize| {
            for _ in 0..count {
                cycle(name, file);
                failing_cycle(name, file, full);
            }
        };
        turn(10);
        let before = (possessions(), anonymous_maps());
        turn(CYCLES);
        let after = (possessions(), anonymous_maps());
        assert_eq!(after.0, before.0, "descriptors, mappings of files");
        assert!(after.1 <= before.1 + 4, "anonymous mappings: {} before, {} after", before.1, after.1);
        say("done");
        return;
    }
    let name = Name::new("leaks");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("leaky-file").display().to_string();
    let _region = RegionOptions::new().attachments(2).create(&*name, 64).unwrap();
    let full = Name::new("full");
    let _full = RegionOptions::new().attachments(1).create(&*full, 64).unwrap();
    let mut helper = Helper::start(opening_and_closing_leaves_nothing_behind, &[&name, &file, &full]);
    helper.expect("done");
    helper.finish();
}
