//! Child processes without exec.

use std::cell::UnsafeCell;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// A child, killed and reaped when dropped.
pub struct Child(i32);

impl Child {
    /// Runs `play` in a child, which ends with status 0, or 1 after a panic. What it says goes to `say`.
    pub fn run(page: &Page, play: impl FnOnce()) -> Child {
        // SAFETY: the child runs only `play` and `_exit`; the C library keeps its own locks usable over fork.
        match unsafe { libc::fork() } {
            0 => {
                // SAFETY: asks the kernel for a signal.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                // What the test harness captures in a child is lost with the child.
                let page = page.share();
                std::panic::set_hook(Box::new(move |info| page.say(&info.to_string())));
                let outcome = std::panic::catch_unwind(AssertUnwindSafe(play));
                // SAFETY: ends the child without running what belongs to its parent.
                unsafe { libc::_exit(i32::from(outcome.is_err())) }
            }
            pid if pid > 0 => Child(pid),
            _ => panic!("fork: {}", std::io::Error::last_os_error()),
        }
    }

    pub fn pid(&self) -> i32 {
        self.0
    }

    /// What waitpid(2) says next.
    pub fn status(&self) -> i32 {
        let mut status = 0;
        // SAFETY: the status is ours.
        assert_eq!(unsafe { libc::waitpid(self.0, &raw mut status, 0) }, self.0);
        status
    }

    /// Waits for the end; panics with what the child said when it was not a good one.
    pub fn expect_success(self, page: &Page, what: &str) {
        let status = self.status();
        std::mem::forget(self);
        assert!(!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGALRM), "{what}: it hangs");
        assert!(status == 0, "{what}: {} (status {status:#x})", page.said());
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: a child of ours that was not waited for: nobody else has its number.
        unsafe {
            libc::kill(self.0, libc::SIGKILL);
            libc::waitpid(self.0, std::ptr::null_mut(), 0);
        }
    }
}

/// Ends this process by SIGALRM when it is not done in this many seconds.
pub fn limit(seconds: u32) {
    // SAFETY: asks the kernel for a signal.
    unsafe { libc::alarm(seconds) };
}

/// Sleeps until killed.
pub fn pause() -> ! {
    loop {
        // SAFETY: waits for a signal.
        unsafe { libc::pause() };
    }
}

const TEXT: usize = 4000;

#[repr(C)]
struct Shared {
    done: AtomicUsize,
    len: AtomicUsize,
    text: UnsafeCell<[u8; TEXT]>,
}

/// A page that this process and its children share: a flag, and a text that one of them leaves.
pub struct Page(*mut Shared);

// SAFETY: an address; what is behind it is atomic, or written by one process at a time.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    /// Never unmapped: children of children may still use it, and a test has few.
    pub fn new() -> Page {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at an address of the kernel's choice.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), size_of::<Shared>(), protection, flags, -1, 0) };
        assert_ne!(page, libc::MAP_FAILED);
        Page(page.cast())
    }

    pub fn share(&self) -> Page {
        Page(self.0)
    }

    fn shared(&self) -> &Shared {
        // SAFETY: mapped for ever, and zeroes are a valid value.
        unsafe { &*self.0 }
    }

    pub fn set_done(&self) {
        self.shared().done.store(1, SeqCst);
    }

    pub fn is_done(&self) -> bool {
        self.shared().done.load(SeqCst) != 0
    }

    /// Leaves a text; the first panic of a child is what counts, so that a text is not overwritten.
    pub fn say(&self, text: &str) {
        if self.shared().len.load(SeqCst) > 0 {
            return;
        }
        let len = text.len().min(TEXT);
        // SAFETY: nobody reads before the length is there.
        unsafe { self.shared().text.get().cast::<u8>().copy_from(text.as_ptr(), len) };
        self.shared().len.store(len, SeqCst);
    }

    /// Takes the text.
    pub fn said(&self) -> String {
        let len = self.shared().len.swap(0, SeqCst);
        // SAFETY: who left it has ended, or waits for us.
        String::from_utf8_lossy(unsafe { &(&*self.shared().text.get())[..len] }).into_owned()
    }
}
