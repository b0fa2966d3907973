//! Group `copy`: checked bulk copies into and out of a region beside memcpy between two private buffers.

use std::hint::black_box;

use shmkit::Region;

use crate::compare;

pub fn run() {
    for (label, len, count) in [("64b", 64, 2_000_000), ("4k", 4096, 200_000), ("1m", 1 << 20, 400)] {
        let name = format!("bench-copy-{}", std::process::id());
        let region = Region::create(name.as_str(), len as u64).expect("create region");
        Region::unlink(name.as_str()).expect("unlink region");
        let source = vec![7u8; len];
        let mut target = vec![0u8; len];
        compare(
            &format!("copy.write_{label}.rust.vs_memcpy"),
            count,
            |count| {
                for _ in 0..count {
                    region.write_at(0, black_box(&source)).expect("write");
                }
            },
            |count| {
                for _ in 0..count {
                    target.copy_from_slice(black_box(&source));
                    black_box(&mut target);
                }
            },
        );
        let mut into = vec![0u8; len];
        compare(
            &format!("copy.read_{label}.rust.vs_memcpy"),
            count,
            |count| {
                for _ in 0..count {
                    region.read_at(0, black_box(&mut into)).expect("read");
                }
            },
            |count| {
                for _ in 0..count {
                    target.copy_from_slice(black_box(&source));
                    black_box(&mut target);
                }
            },
        );
    }
}
