//! Group `fault`: a mapping under the fault guard beside one without it.

use std::hint::black_box;

use shmkit::{MapOptions, Mapping, Protection};

use crate::compare;

const LEN: usize = 4 << 20;

pub fn run() {
    let directory = std::env::temp_dir().join(format!("shmkit-bench-fault-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let path = directory.join("file");
    let map = |guard| {
        let options =
            MapOptions::new().create(true).len(LEN).protection(Protection::ReadWrite).populate(true);
        options.fault_guard(guard).map_path(&path).expect("map file")
    };
    let (guarded, unguarded) = (map(true), map(false));
    let both = |name: &str, count: u64, work: &dyn Fn(&Mapping, u64)| {
        let name = format!("fault.{name}.rust.vs_unguarded");
        compare(&name, count, |count| work(&guarded, count), |count| work(&unguarded, count));
    };
    let mut into = vec![0; 4096];
    let place = std::cell::RefCell::new(&mut into);
    both("read_4k", 50_000, &|mapping, count| {
        for at in 0..count as usize {
            mapping.read_at(at * 4096 % LEN, black_box(&mut **place.borrow_mut())).expect("read");
        }
    });
    both("read_64b", 200_000, &|mapping, count| {
        for at in 0..count as usize {
            mapping.read_at(at * 64 % LEN, black_box(&mut place.borrow_mut()[..64])).expect("read");
        }
    });
    both("sum_4m", 10, &|mapping, count| {
        let view = mapping.view().expect("view");
        for _ in 0..count {
            // SAFETY: nobody writes the file while it is read.
            let bytes = unsafe { view.as_slice() };
            black_box(bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>());
        }
    });
    drop((guarded, unguarded));
    compare(
        "fault.map_touch_unmap.rust.vs_unguarded",
        20,
        |count| (0..count).for_each(|_| drop(black_box(map(true)))),
        |count| (0..count).for_each(|_| drop(black_box(map(false)))),
    );
    // Bench directories are the caller's temporary ones; what cannot be removed does no harm.
    let _ = std::fs::remove_dir_all(&directory);
}
