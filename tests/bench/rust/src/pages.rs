//! Groups `pages` (what is known of pages, beside mincore(2); populating, beside touching) and `flush` (beside msync(2), and
//! beside a write that is synced).

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use shmkit::{Advice, Flush, HugePages, MapOptions, Mapping, Protection, Sharing};

use crate::compare;

fn private(len: usize) -> Mapping {
    let options = MapOptions::new().len(len).sharing(Sharing::Private).huge_pages(HugePages::Never);
    options.map_anonymous().expect("map memory")
}

pub fn pages() {
    const LEN: usize = 256 << 20;
    let mapping = private(LEN);
    mapping.advise(.., Advice::PopulateWrite).expect("populate");
    let mut states = vec![0u8; LEN / mapping.page_size()];
    compare(
        "pages.residency_256m.rust.vs_mincore",
        20,
        |count| {
            for _ in 0..count {
                assert_eq!(mapping.residency(..).expect("look").len(), LEN / 4096);
            }
        },
        |count| {
            for _ in 0..count {
                // SAFETY: the range is mapped, and there is a byte for each page.
                let status = unsafe { libc::mincore(mapping.as_ptr().cast(), LEN, states.as_mut_ptr()) };
                assert_eq!(status, 0);
            }
        },
    );
    let fresh = private(64 << 20);
    compare(
        "pages.populate_64m.rust.vs_touch",
        4,
        |count| {
            for _ in 0..count {
                fresh.advise(.., Advice::DontNeed).expect("let go");
                fresh.advise(.., Advice::PopulateWrite).expect("populate");
            }
        },
        |count| {
            for _ in 0..count {
                mapping.advise(..64 << 20, Advice::DontNeed).expect("let go");
                for at in (0..64 << 20).step_by(4096) {
                    mapping.write_at(at, &[1]).expect("touch");
                }
            }
        },
    );
}

pub fn flush() {
    const LEN: usize = 16 << 20;
    let path = std::env::temp_dir().join(format!("shmkit-bench-flush-{}", std::process::id()));
    let options = MapOptions::new().create(true).len(LEN).protection(Protection::ReadWrite);
    let mapping = options.map_path(&path).expect("map file");
    let file = File::options().write(true).open(&path).expect("open file");
    std::fs::remove_file(&path).expect("remove name");
    mapping.write_at(0, &vec![1; LEN]).expect("write");
    mapping.flush(.., Flush::Sync).expect("flush");
    compare(
        "flush.async_16m.rust.vs_msync",
        2000,
        |count| (0..count).for_each(|_| mapping.flush(.., Flush::Async).expect("flush")),
        |count| {
            for _ in 0..count {
                // SAFETY: the range is mapped.
                let status = unsafe { libc::msync(mapping.as_ptr().cast(), LEN, libc::MS_ASYNC) };
                assert_eq!(status, 0);
            }
        },
    );
    let mut value = 0u8;
    compare(
        "flush.one_page.rust.vs_pwrite_fdatasync",
        10,
        |count| {
            for _ in 0..count {
                value = value.wrapping_add(1);
                mapping.write_at(4096, &[value; 4096]).expect("write");
                mapping.flush(4096..8192, Flush::Sync).expect("flush");
            }
        },
        |count| {
            for round in 0..count {
                file.write_all_at(&[round as u8; 4096], 8192).expect("write");
                // SAFETY: the descriptor is the file's.
                assert_eq!(unsafe { libc::fdatasync(file.as_raw_fd()) }, 0);
            }
        },
    );
}
