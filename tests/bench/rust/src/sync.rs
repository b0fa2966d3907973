//! Groups `rwlock` and `semaphore`, and the named mutex of group `lock`, without contention.

use std::hint::black_box;
use std::mem::MaybeUninit;

use shmkit::{Mapping, Region, SemaphoreKind, SemaphoreOptions, Wait};

use crate::compare;

const COUNT: u64 = 1_000_000;

fn scratch_region(tag: &str) -> Region {
    let name = format!("bench-{tag}-{}", std::process::id());
    let region = Region::create(name.as_str(), 4096).expect("create region");
    Region::unlink(name.as_str()).expect("unlink region");
    region
}

/// The named mutex, for comparison with the guard.
pub fn mutex() {
    let region = scratch_region("mutex");
    let mutex = region.mutex("m").expect("mutex");
    let local = parking_lot::Mutex::new(());
    compare(
        "lock.mutex.rust.vs_parking_lot",
        2 * COUNT,
        |count| (0..count).for_each(|_| drop(black_box(mutex.lock().expect("lock")))),
        |count| (0..count).for_each(|_| drop(black_box(local.lock()))),
    );
}

/// Reading and writing, beside our own mutex and glibc's process-shared lock.
pub fn rwlock() {
    let region = scratch_region("rwlock");
    let (lock, mutex) = (region.rwlock("l").expect("rwlock"), region.mutex("m").expect("mutex"));
    let glibc = GlibcRwLock::new();
    let read = |count| (0..count).for_each(|_| drop(black_box(lock.read().expect("read"))));
    let write = |count| (0..count).for_each(|_| drop(black_box(lock.write().expect("write"))));
    compare("rwlock.read.rust.vs_mutex", COUNT, read, |count| {
        (0..count).for_each(|_| drop(black_box(mutex.lock().expect("lock"))));
    });
    compare("rwlock.read.rust.vs_glibc", COUNT, read, |count| (0..count).for_each(|_| glibc.read()));
    compare("rwlock.write.rust.vs_glibc", COUNT, write, |count| (0..count).for_each(|_| glibc.write()));
}

/// Both kinds beside `sem_t`.
pub fn semaphore() {
    let region = scratch_region("semaphore");
    let signalling = region.semaphore("s", SemaphoreOptions::new(1)).expect("semaphore");
    let tracked = SemaphoreOptions::new(1).kind(SemaphoreKind::Tracked);
    let tracked = region.semaphore("t", tracked).expect("semaphore");
    let glibc = GlibcSemaphore::new();
    for (label, ours) in [("signalling", &signalling), ("tracked", &tracked)] {
        compare(
            &format!("semaphore.{label}.rust.vs_sem_t"),
            COUNT,
            |count| {
                for _ in 0..count {
                    ours.acquire(&Wait::FOREVER).expect("acquire");
                    ours.release(1).expect("release");
                }
            },
            |count| (0..count).for_each(|_| glibc.take_and_give()),
        );
    }
}

/// glibc's reader–writer lock, shared between processes.
struct GlibcRwLock(Mapping);

impl GlibcRwLock {
    fn new() -> GlibcRwLock {
        let memory = Mapping::anonymous(4096).expect("map memory");
        // SAFETY: the mapping is larger than a lock, aligned to a page, and used for nothing else.
        unsafe {
            let mut attributes = MaybeUninit::uninit();
            libc::pthread_rwlockattr_init(attributes.as_mut_ptr());
            libc::pthread_rwlockattr_setpshared(attributes.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED);
            assert_eq!(libc::pthread_rwlock_init(memory.as_ptr().cast(), attributes.as_ptr()), 0);
        }
        GlibcRwLock(memory)
    }

    fn read(&self) {
        // SAFETY: initialised in `new`.
        unsafe { libc::pthread_rwlock_rdlock(self.0.as_ptr().cast()) };
        self.unlock();
    }

    fn write(&self) {
        // SAFETY: initialised in `new`.
        unsafe { libc::pthread_rwlock_wrlock(self.0.as_ptr().cast()) };
        self.unlock();
    }

    fn unlock(&self) {
        // SAFETY: initialised in `new`, and locked by the caller.
        unsafe { libc::pthread_rwlock_unlock(self.0.as_ptr().cast()) };
    }
}

/// `sem_t`, shared between processes, with one permit.
struct GlibcSemaphore(Mapping);

impl GlibcSemaphore {
    fn new() -> GlibcSemaphore {
        let memory = Mapping::anonymous(4096).expect("map memory");
        // SAFETY: the mapping is larger than a semaphore and aligned to a page.
        assert_eq!(unsafe { libc::sem_init(memory.as_ptr().cast(), 1, 1) }, 0);
        GlibcSemaphore(memory)
    }

    fn take_and_give(&self) {
        // SAFETY: initialised in `new`.
        unsafe {
            libc::sem_wait(self.0.as_ptr().cast());
            libc::sem_post(self.0.as_ptr().cast());
        }
    }
}
