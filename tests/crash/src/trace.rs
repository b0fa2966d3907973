//! Stepping a process through one operation, and watching what it does to a region's bytes.

use std::ffi::CString;

use crate::process::{Child, Page, pause};

/// More instructions than any operation takes: one that needs more does not get on.
const MOST_STEPS: usize = 20_000_000;

/// The bytes of a region as its file has them now, seen through a map of our own.
pub struct Watched {
    path: String,
    map: Option<(*mut u8, usize)>,
    seen: Vec<u8>,
}

impl Watched {
    /// A file that may not exist yet.
    pub fn new(path: &str) -> Watched {
        let mut watched = Watched { path: path.to_owned(), map: None, seen: Vec::new() };
        watched.changed();
        watched
    }

    /// Whether the bytes differ from what they were when this was asked last.
    pub fn changed(&mut self) -> bool {
        let Some((base, len)) = self.map else {
            self.map = map_file(&self.path);
            let Some((base, len)) = self.map else { return false };
            // SAFETY: mapped; the process that writes it is stopped.
            self.seen = unsafe { std::slice::from_raw_parts(base, len) }.to_vec();
            return true;
        };
        // It may have grown.
        if std::fs::metadata(&self.path).is_ok_and(|meta| meta.len() as usize != len) {
            // SAFETY: mapped by us, and not used after.
            unsafe { libc::munmap(base.cast(), len) };
            self.map = None;
            return self.changed();
        }
        // SAFETY: both are `len` bytes long, and the process that writes the map is stopped.
        let same = unsafe { libc::memcmp(base.cast(), self.seen.as_ptr().cast(), len) } == 0;
        if !same {
            // SAFETY: as above.
            unsafe { base.copy_to_nonoverlapping(self.seen.as_mut_ptr(), len) };
        }
        !same
    }

    /// The bytes when they were looked at last; `None` when there was no file.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.map.map(|_| &self.seen[..])
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some((base, len)) = self.map {
            // SAFETY: mapped by us, and not used after.
            unsafe { libc::munmap(base.cast(), len) };
        }
    }
}

/// Maps a whole file, shared, for reading and writing.
pub fn map_file(path: &str) -> Option<(*mut u8, usize)> {
    let path = CString::new(path).expect("a path");
    // SAFETY: the path is a C string; the descriptor is closed below, once.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        if fd < 0 {
            return None;
        }
        let len = libc::lseek(fd, 0, libc::SEEK_END) as usize;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let base = libc::mmap(std::ptr::null_mut(), len, protection, libc::MAP_SHARED, fd, 0);
        libc::close(fd);
        assert_ne!(base, libc::MAP_FAILED);
        Some((base.cast(), len))
    }
}

/// A child that stops before its operation and can be stepped through it.
pub struct Stepped {
    child: Child,
    done: Page,
}

impl Stepped {
    /// Starts a child that makes ready, and returns when it is about to begin the operation.
    pub fn start<T>(page: &Page, set_up: impl FnOnce() -> T, operation: impl FnOnce(&T)) -> Stepped {
        let done = Page::new();
        let child = Child::run(page, || {
            let ready = set_up();
            // SAFETY: asks to be traced by the parent, then stops for it.
            unsafe {
                libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
                libc::raise(libc::SIGSTOP);
            }
            operation(&ready);
            done.set_done();
            pause();
        });
        let status = child.status();
        assert!(libc::WIFSTOPPED(status), "before the operation: {}", page.said());
        Stepped { child, done }
    }

    pub fn pid(&self) -> i32 {
        self.child.pid()
    }

    /// Steps to the end of the operation and returns the number of instructions. After each, `look` says whether to go on.
    pub fn step(&self, page: &Page, mut look: impl FnMut() -> bool) -> usize {
        let mut signal = 0;
        for step in 1..MOST_STEPS {
            // SAFETY: a child of ours that has stopped for us.
            let stepped = unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, self.child.pid(), 0, signal) };
            assert_eq!(stepped, 0, "ptrace: {}", std::io::Error::last_os_error());
            let status = self.child.status();
            assert!(libc::WIFSTOPPED(status), "in the operation: {} (status {status:#x})", page.said());
            // Another signal, as of a child of its own that ended, is its own affair.
            signal = Some(libc::WSTOPSIG(status)).filter(|number| *number != libc::SIGTRAP).unwrap_or(0);
            if !look() || self.done.is_done() {
                return step;
            }
        }
        panic!("no end after {MOST_STEPS} instructions");
    }
}
