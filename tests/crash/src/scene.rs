//! A region with other processes around it: before the operation, and on the copy after it.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use shmkit::layout::{FixedHeader, SHM_DIRECTORY, SHM_PREFIX, SLOT_SIZE, Slot, TOKEN_BASE};
use shmkit::{Region, Wait};

use crate::process::{Child, Page, limit, pause};
use crate::trace::{Stepped, Watched, map_file};

/// Longer than any wait that ends; shorter than the time limit of a process.
const PATIENCE: Duration = Duration::from_secs(10);
/// Seconds that a process has for its part.
pub const LIMIT: u32 = 20;
/// Slots of the region: enough for all parts of a scene.
pub const ATTACHMENTS: u32 = 8;

/// A wait that ends in time to be reported.
pub fn bounded() -> Wait {
    Wait::timeout(PATIENCE)
}

/// A wait that runs out, and is long enough to sleep a slice or two even in a process that is stepped.
pub fn short() -> Wait {
    Wait::timeout(Duration::from_millis(150))
}

/// A wait that runs out.
pub fn brief() -> Wait {
    Wait::timeout(Duration::from_millis(2))
}

/// A region by its name, and the processes of a test.
pub struct Scene {
    pub name: String,
    /// Where panics of all processes of the test go.
    pub page: Page,
    /// Keeps the kernel locks of those who live on in a copy.
    living: Vec<std::fs::File>,
}

impl Scene {
    pub fn new(name: &str, page: &Page) -> Scene {
        Scene { name: name.to_owned(), page: page.share(), living: Vec::new() }
    }

    pub fn path(&self) -> String {
        format!("{SHM_DIRECTORY}/{SHM_PREFIX}{}", self.name)
    }

    pub fn open(&self) -> Region {
        Region::open(self.name.as_str()).expect("the region opens")
    }

    /// Another process does something and ends well.
    pub fn other(&self, play: impl FnOnce(&Region)) {
        let child = Child::run(&self.page, || {
            limit(LIMIT);
            play(&self.open());
        });
        child.expect_success(&self.page, "another process");
    }

    /// Another process does something, then is killed with all that it holds.
    pub fn killed<R>(&self, play: impl FnOnce(&Region) -> R) {
        drop(self.holder(play));
    }

    /// Another process does something and lives on, with all that it holds, as long as this one. In the copies it lives
    /// until [`Scene::kill_living`].
    pub fn living<R>(&self, play: impl FnOnce(&Region) -> R) {
        std::mem::forget(self.holder(play));
    }

    fn holder<R>(&self, play: impl FnOnce(&Region) -> R) -> Child {
        let ready = Page::new();
        let child = Child::run(&self.page, || {
            let region = self.open();
            let _held = play(&region);
            ready.set_done();
            pause();
        });
        self.until(&child, || ready.is_done());
        child
    }

    /// Another process does something that blocks, and is killed while it sleeps. Returns where the word is that it slept
    /// on, from the region's start.
    pub fn killed_waiting<R>(&self, play: impl FnOnce(&Region) -> R) -> usize {
        let child = Child::run(&self.page, || {
            let _ = play(&self.open());
        });
        let mut word = None;
        self.until(&child, || {
            word = self.waits_for(child.pid());
            word.is_some()
        });
        word.expect("it sleeps")
    }

    /// A process that sleeps on a word of the region without an end, so that a wake-up finds somebody. It changes nothing.
    pub fn sleeper(&self, word: usize) {
        let (base, _) = map_file(&self.path()).expect("the region's file");
        let ready = Page::new();
        let child = Child::run(&self.page, || {
            // SAFETY: the offset is that of a word in the map; the kernel only reads it.
            unsafe {
                let word = base.add(word).cast::<u32>();
                ready.set_done();
                libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, word.read_volatile(), 0, 0, 0);
            }
            pause();
        });
        let path = format!("/proc/{}/stat", child.pid());
        let is_asleep = || std::fs::read_to_string(&path).is_ok_and(|stat| stat.contains(") S "));
        self.until(&child, || ready.is_done() && is_asleep());
        std::mem::forget(child);
    }

    /// A process that is killed after the operation's `changes`th change of the region; `false` when the operation has fewer.
    pub fn killed_after<T>(
        &self,
        changes: usize,
        set_up: impl FnOnce(&Region) -> T,
        operation: impl FnOnce(&T),
    ) -> bool {
        let stepped = Stepped::start(
            &self.page,
            || {
                let region = self.open();
                let ready = set_up(&region);
                (region, ready)
            },
            |(_, ready)| operation(ready),
        );
        let mut watched = Watched::new(&self.path());
        let mut left = changes;
        stepped.step(&self.page, || {
            left -= usize::from(watched.changed());
            left > 0
        });
        left == 0
    }

    /// In a copy: those who lived besides the victim are killed too.
    pub fn kill_living(&self) {
        for file in &self.living {
            set_locks(file, libc::F_UNLCK, 0, i64::from(ATTACHMENTS));
        }
    }

    /// Makes a copy of the region out of its bytes, in which those of `living` slots live.
    pub fn copy(name: &str, page: &Page, bytes: Option<&[u8]>, living: &[u32]) -> Scene {
        let mut copy = Scene::new(name, page);
        let Some(bytes) = bytes else { return copy };
        // A new object: nobody holds locks on it.
        std::fs::write(copy.path(), bytes).expect("a copy of the region");
        for slot in living {
            let file =
                std::fs::OpenOptions::new().read(true).write(true).open(copy.path()).expect("the copy");
            set_locks(&file, libc::F_WRLCK, i64::from(*slot), 1);
            copy.living.push(file);
        }
        copy
    }

    /// The slots of living processes other than `victim`.
    pub fn living_slots(&self, victim: i32) -> Vec<u32> {
        let Ok(file) = std::fs::OpenOptions::new().read(true).write(true).open(self.path()) else {
            return Vec::new();
        };
        let is_other = |slot: &u32| self.slot_word(*slot, offset_of!(Slot, pid)) as u32 != victim as u32;
        (0..ATTACHMENTS).filter(|slot| is_locked(&file, i64::from(*slot)) && is_other(slot)).collect()
    }

    fn waits_for(&self, pid: i32) -> Option<usize> {
        let of_pid = |slot: &u32| self.slot_word(*slot, offset_of!(Slot, pid)) as u32 == pid as u32;
        let slot = (0..ATTACHMENTS).find(of_pid)?;
        Some(self.slot_word(slot, offset_of!(Slot, waits_for)) as usize).filter(|offset| *offset != 0)
    }

    fn slot_word(&self, slot: u32, field: usize) -> u64 {
        let (base, len) = map_file(&self.path()).expect("the region's file");
        // SAFETY: the header says where the slots are, and the library made it; eight bytes from any field but the last
        // lie within its slot, and are aligned to four at least.
        unsafe {
            let slots = base.cast::<FixedHeader>().read_volatile().slots_offset as usize;
            let word = base.add(slots + slot as usize * SLOT_SIZE + field);
            let value = if field.is_multiple_of(8) {
                (*word.cast::<AtomicU64>()).load(Relaxed)
            } else {
                u64::from(word.cast::<u32>().read_volatile())
            };
            libc::munmap(base.cast(), len);
            value
        }
    }

    fn until(&self, child: &Child, mut condition: impl FnMut() -> bool) {
        for _ in 0..200_000 {
            if condition() {
                return;
            }
            let said = self.page.said();
            assert!(said.is_empty(), "a process of the set-up ({}): {said}", child.pid());
            std::thread::sleep(Duration::from_micros(100));
        }
        panic!("a process of the set-up does not get ready");
    }
}

fn one(kind: i32, first: i64, count: i64) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: TOKEN_BASE + first,
        l_len: count,
        l_pid: 0,
    }
}

fn set_locks(file: &std::fs::File, kind: i32, first: i64, count: i64) {
    use std::os::fd::AsRawFd;
    let lock = one(kind, first, count);
    // SAFETY: the lock is ours for the call.
    let set = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

fn is_locked(file: &std::fs::File, slot: i64) -> bool {
    use std::os::fd::AsRawFd;
    let mut lock = one(libc::F_WRLCK, slot, 1);
    // SAFETY: the lock is ours for the call.
    let asked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) };
    assert_eq!(asked, 0, "{}", std::io::Error::last_os_error());
    i32::from(lock.l_type) != libc::F_UNLCK
}
