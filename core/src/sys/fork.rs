//! fork(2) safety: one lock that fork itself takes, a page that a forked child finds empty, and locks that it finds free.
//!
//! The lock is std's and not parking_lot's: parking_lot keeps its sleepers in a table of the whole process, and a child
//! forked while another thread works on that table would hang. std's futex mutex is one word.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use memmap2::MmapMut;

use super::SysResult;
use crate::atomic::AtomicU32;

static LOCK: Mutex<()> = Mutex::new(());
static HELD_BY_FORK: Held = Held(UnsafeCell::new(None));

struct Held(UnsafeCell<Option<MutexGuard<'static, ()>>>);

// SAFETY: the cell is touched only by the thread that holds `LOCK`: it is filled after locking, emptied to unlock.
unsafe impl Sync for Held {}

/// Run by the loader before `main` or by dlopen(3): a fork that has begun when the handlers are installed does not run
/// them, so installing at the first [`exclude`] would leave that fork free to copy what is being excluded.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = install;

extern "C" fn install() {
    static INSTALL: Once = Once::new();
    // SAFETY: the three handlers are plain functions that live as long as the library; a library that is unloaded
    // takes its handlers with it (pthread_atfork(3) in glibc ties them to the object that registered them).
    INSTALL.call_once(|| unsafe {
        libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(after_fork_in_child));
    });
}

/// Keeps fork out while the guard lives, and everybody else who calls this. Holders make no call that forks.
pub fn exclude() -> MutexGuard<'static, ()> {
    // A linker that drops sections nobody names may have dropped `AT_LOAD`.
    install();
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

extern "C" fn before_fork() {
    let guard = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: this thread holds `LOCK`.
    unsafe { *HELD_BY_FORK.0.get() = Some(guard) };
}

extern "C" fn after_fork() {
    // SAFETY: in the parent this thread holds `LOCK` since `before_fork`; in the child this thread is the only one.
    drop(unsafe { (*HELD_BY_FORK.0.get()).take() });
}

extern "C" fn after_fork_in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    after_fork();
}

/// How many forks lie between this process and the first one that had this library.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// A lock that each process has for itself. In a forked child a copy of the parent's would stay locked if another thread
/// held it: that thread is not there to unlock it. The child gets a new one, with a new value, and never looks at the
/// parent's again, which may be half-changed; what is in it stays allocated.
pub struct PerProcess<L>(AtomicPtr<Entry<L>>, PhantomData<Entry<L>>);

struct Entry<L> {
    lock: L,
    forks: u32,
}

impl<L: Default> Default for PerProcess<L> {
    fn default() -> PerProcess<L> {
        install();
        PerProcess(AtomicPtr::new(Entry::make()), PhantomData)
    }
}

impl<L: Default> Entry<L> {
    fn make() -> *mut Entry<L> {
        Box::into_raw(Box::new(Entry { lock: L::default(), forks: FORKS.load(Ordering::Relaxed) }))
    }
}

impl<L: Default> PerProcess<L> {
    /// This process's lock.
    #[inline]
    pub fn get(&self) -> &L {
        // SAFETY: an entry is freed only with `self`.
        let entry = unsafe { &*self.0.load(Ordering::Acquire) };
        if entry.forks == FORKS.load(Ordering::Relaxed) { &entry.lock } else { self.renew() }
    }

    #[cold]
    fn renew(&self) -> &L {
        let parents = self.0.load(Ordering::Acquire);
        let own = Entry::make();
        // SAFETY: an entry is freed only with `self`, but for one that nobody else has seen.
        unsafe {
            if (*parents).forks == (*own).forks {
                drop(Box::from_raw(own));
                return &(*parents).lock;
            }
            match self.0.compare_exchange(parents, own, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => &(*own).lock,
                Err(others) => {
                    drop(Box::from_raw(own));
                    &(*others).lock
                }
            }
        }
    }
}

impl<T: Default> PerProcess<Mutex<T>> {
    /// Locks this process's mutex. A panic of who held it left the value in order.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.get().lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L> Drop for PerProcess<L> {
    fn drop(&mut self) {
        // SAFETY: nobody has a reference to it any more.
        let entry = unsafe { Box::from_raw(*self.0.get_mut()) };
        if entry.forks != FORKS.load(Ordering::Relaxed) {
            // The parent's, which may be half-changed.
            std::mem::forget(entry);
        }
    }
}

/// Two words of private memory that read 0 in a forked child (madvise(2), `MADV_WIPEONFORK`).
pub struct WipedWord(MmapMut);

impl WipedWord {
    /// Words that hold 0.
    pub fn new() -> SysResult<WipedWord> {
        let page = super::map::from_io(MmapMut::map_anon(super::map::page_size()))?;
        // SAFETY: the page is ours and private; the advice changes only what a child sees.
        let status = unsafe { libc::madvise(page.as_ptr() as *mut _, page.len(), libc::MADV_WIPEONFORK) };
        nix::errno::Errno::result(status)?;
        Ok(WipedWord(page))
    }

    /// The first word.
    #[inline]
    pub fn get(&self) -> &AtomicU32 {
        // SAFETY: the page is mapped as long as `self`, aligned, and used through these atomics only.
        unsafe { &*self.0.as_ptr().cast::<AtomicU32>() }
    }

    /// The second word.
    pub fn second(&self) -> &AtomicU32 {
        // SAFETY: as above, and a page has room for two.
        unsafe { &*self.0.as_ptr().cast::<AtomicU32>().add(1) }
    }
}
