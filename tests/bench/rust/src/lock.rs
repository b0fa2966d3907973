//! Group `lock`: the guard of a region beside parking_lot and glibc's robust process-shared mutex.

use std::hint::black_box;
use std::mem::MaybeUninit;

use shmkit::{Mapping, Region};

use crate::compare;

pub fn run() {
    let name = format!("bench-lock-{}", std::process::id());
    let region = Region::create(name.as_str(), 4096).expect("create region");
    Region::unlink(name.as_str()).expect("unlink region");
    let ours = |count| {
        for _ in 0..count {
            drop(black_box(region.lock().expect("lock")));
        }
    };
    let local = parking_lot::Mutex::new(0u64);
    compare("lock.uncontended.rust.vs_parking_lot", 2_000_000, ours, |count| {
        for _ in 0..count {
            drop(black_box(local.lock()));
        }
    });
    let robust = RobustMutex::new();
    compare("lock.uncontended.rust.vs_glibc_robust", 2_000_000, ours, |count| {
        for _ in 0..count {
            robust.lock();
            black_box(&robust);
            robust.unlock();
        }
    });
}

/// glibc's robust process-shared mutex, in shared memory.
pub struct RobustMutex(Mapping);

impl RobustMutex {
    pub fn new() -> RobustMutex {
        let memory = Mapping::anonymous(4096).expect("map memory");
        // SAFETY: the mapping is larger than a mutex, aligned to a page, and used for nothing else.
        unsafe {
            let mut attributes = MaybeUninit::uninit();
            libc::pthread_mutexattr_init(attributes.as_mut_ptr());
            libc::pthread_mutexattr_setpshared(attributes.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED);
            libc::pthread_mutexattr_setrobust(attributes.as_mut_ptr(), libc::PTHREAD_MUTEX_ROBUST);
            assert_eq!(libc::pthread_mutex_init(memory.as_ptr().cast(), attributes.as_ptr()), 0);
        }
        RobustMutex(memory)
    }

    pub fn lock(&self) {
        // SAFETY: the mutex was initialised in `new` and lives as long as `self`.
        assert_eq!(unsafe { libc::pthread_mutex_lock(self.0.as_ptr().cast()) }, 0);
    }

    /// Takes the lock of an owner that died, and repairs it.
    pub fn lock_after_death(&self) {
        // SAFETY: as in `lock`.
        unsafe {
            assert_eq!(libc::pthread_mutex_lock(self.0.as_ptr().cast()), libc::EOWNERDEAD);
            assert_eq!(libc::pthread_mutex_consistent(self.0.as_ptr().cast()), 0);
            assert_eq!(libc::pthread_mutex_unlock(self.0.as_ptr().cast()), 0);
        }
    }

    pub fn unlock(&self) {
        // SAFETY: as in `lock`.
        assert_eq!(unsafe { libc::pthread_mutex_unlock(self.0.as_ptr().cast()) }, 0);
    }
}
