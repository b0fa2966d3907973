//! File systems that are full: storage that cannot be had is an error, not a signal.

use std::fs::File;
use std::path::Path;

use shmkit::{ErrorKind, MapOptions, Protection, RegionOptions};

use super::{PAGE, kind, maps_of};
use crate::common::{Helper, role, say};

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
