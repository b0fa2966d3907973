//! Mapped files that lose pages: the table of guarded ranges, and how a page is mended that the file no longer has.
//!
//! Touching a page beyond the end of its file, or one that a full file system cannot give, is a SIGBUS. For a guarded
//! range the handler in [`super::signal`] comes here: private zero pages take the place of what is missing, the range is
//! marked as damaged, and the instruction runs again.
//!
//! Invariants:
//! - What [`mend`] does is async-signal-safe: atomics in memory that is never given back, and system calls. A slot is
//!   never freed, only used again.
//! - A free slot has `end` 0. Everything but the first filling of a slot changes while its `busy` word is held, and whoever
//!   finds an address in a slot looks again once it holds that word.
//! - `damage` is set before zeros appear, so that whoever has read such a zero and then looks at it sees it.
//! - A page is replaced once. Two threads may fault on one page: the second finds it mended, and what the first has stored
//!   into it meanwhile stays.
//! - One range costs a bounded number of maps: what lies behind a new end of the file is replaced as one, and after
//!   [`SINGLES`] single pages everything is.

use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, fence};

use nix::errno::Errno;
use nix::sys::mman::ProtFlags;
use parking_lot::Mutex;

use super::file::ObjectFile;
use super::map::page_size;

/// How many pages of one range are replaced one by one.
const SINGLES: usize = 64;
/// How often a thread that finds a slot busy looks again before it asks whether the holder still is.
const PATIENCE: u32 = 200;

/// How often a page that is in the file and cannot be touched is looked at before that is believed.
const LOOKS: usize = 8;

/// What happened to a guarded range, as bits.
const CUT: u32 = 1 << 0;
const FULL: u32 = 1 << 1;
const FAILED: u32 = 1 << 2;

/// What happened to a guarded range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The file ends before the range does.
    Cut,
    /// The file system had no space for a page that was a hole.
    Full,
    /// The system could not provide a page for another reason: the device failed, or a quota is used up.
    Failed,
}

/// One guarded range.
struct Slot {
    claimed: AtomicBool,
    /// Thread id of whoever changes or mends the range; 0: nobody.
    busy: AtomicI32,
    /// The range, in whole pages.
    start: AtomicUsize,
    end: AtomicUsize,
    /// Where in the file `start` is, and the file: its descriptor (-1: none) and how to tell that it still is that one.
    offset: AtomicU64,
    file: AtomicI32,
    device: AtomicU64,
    inode: AtomicU64,
    /// What replaced pages allow, and whether stores reach the file.
    protection: AtomicI32,
    shared: AtomicBool,
    /// What happened.
    damage: AtomicU32,
    /// From here to the end everything is replaced.
    replaced_from: AtomicUsize,
    /// Pages that were replaced one by one.
    singles: [AtomicUsize; SINGLES],
    single_count: AtomicUsize,
    /// A word that becomes 0 with the first damage; null: none.
    tell: AtomicPtr<AtomicU32>,
}

/// Slots, in a list that only grows.
struct Chunk {
    slots: [Slot; 32],
    next: AtomicPtr<Chunk>,
}

static TABLE: Chunk = Chunk::new();
/// What [`can_store`] gives the kernel as a futex that nobody waits for.
static UNUSED: AtomicU32 = AtomicU32::new(0);

impl Chunk {
    const fn new() -> Chunk {
        Chunk { slots: [const { Slot::new() }; 32], next: AtomicPtr::new(null_mut()) }
    }

    fn next(&self) -> Option<&'static Chunk> {
        // SAFETY: null, or a chunk that was leaked.
        unsafe { self.next.load(Acquire).as_ref() }
    }
}

/// A guarded range; the guard ends when this is dropped, which must come before the pages are unmapped.
pub struct Guarded {
    slot: &'static Slot,
    /// Keeps the descriptor in the slot open.
    file: Mutex<Option<Arc<ObjectFile>>>,
}

impl Guarded {
    /// Guards `len` bytes of whole pages at `start`, which map `file` from `offset` on. Without a file the end of it cannot
    /// be known, and pages are replaced one by one.
    pub fn new(
        (start, len): (usize, usize),
        file: Option<Arc<ObjectFile>>,
        offset: u64,
        protection: ProtFlags,
        shared: bool,
    ) -> Guarded {
        super::signal::arm();
        let slot = claim();
        let (device, inode) = file.as_ref().map_or((0, 0), |file| file.id().numbers());
        slot.start.store(start, Relaxed);
        slot.offset.store(offset, Relaxed);
        slot.file.store(file.as_ref().map_or(-1, |file| file.number()), Relaxed);
        slot.device.store(device, Relaxed);
        slot.inode.store(inode, Relaxed);
        slot.protection.store(protection.bits(), Relaxed);
        slot.shared.store(shared, Relaxed);
        slot.damage.store(0, Relaxed);
        slot.replaced_from.store(start + len, Relaxed);
        slot.single_count.store(0, Relaxed);
        slot.tell.store(null_mut(), Relaxed);
        slot.end.store(start + len, Release);
        Guarded { slot, file: Mutex::new(file) }
    }

    /// What happened to the range so far; the first cause, if there were several. Sees what caused a zero that was read
    /// before.
    #[inline]
    pub fn damage(&self) -> Option<Damage> {
        fence(Acquire);
        match self.slot.damage.load(Relaxed) {
            0 => None,
            bits => Some(damage_of(bits)),
        }
    }

    /// The word behind [`Guarded::damage`], 0 while all is well: for languages that look at it themselves. It stays
    /// readable for ever, and means this range as long as `self` lives.
    pub fn word(&self) -> &'static AtomicU32 {
        &self.slot.damage
    }

    /// The file, unless there is none or the range was retired.
    pub fn file(&self) -> Option<Arc<ObjectFile>> {
        self.file.lock().clone()
    }

    /// Makes `word` 0 as soon as the range is damaged.
    ///
    /// # Safety
    /// The word lives until this is dropped.
    pub unsafe fn tell(&self, word: &AtomicU32) {
        self.slot.tell.store(std::ptr::from_ref(word).cast_mut(), SeqCst);
        if self.damage().is_some() {
            word.store(0, SeqCst);
        }
    }

    /// The range now has another protection.
    pub fn set_protection(&self, protection: ProtFlags) {
        let _held = self.slot.hold();
        self.slot.protection.store(protection.bits(), Relaxed);
    }

    /// What replaced pages allow.
    pub fn protection(&self) -> ProtFlags {
        ProtFlags::from_bits_truncate(self.slot.protection.load(Relaxed))
    }

    /// Where in the file the range begins.
    pub fn offset(&self) -> u64 {
        self.slot.offset.load(Relaxed)
    }

    /// The range now has `len` bytes, of whole pages. Its pages are changed by `change`, while nobody mends them.
    pub fn resize<T>(&self, len: usize, change: impl FnOnce() -> T) -> T {
        let _held = self.slot.hold();
        let (start, before) = (self.slot.start.load(Relaxed), self.slot.end.load(Relaxed));
        let done = change();
        self.slot.end.store(start + len, Release);
        let replaced = self.slot.replaced_from.load(Relaxed);
        // What was not replaced is not now; what was and is left, is.
        let replaced = if replaced == before { start + len } else { replaced.min(start + len) };
        self.slot.replaced_from.store(replaced, Relaxed);
        done
    }

    /// The range now maps another part of the file, from `offset` on; `change` maps it, while nobody mends anything.
    pub fn rebind<T>(&self, offset: u64, change: impl FnOnce() -> T) -> T {
        let _held = self.slot.hold();
        let done = change();
        self.slot.offset.store(offset, Relaxed);
        self.slot.replaced_from.store(self.slot.end.load(Relaxed), Relaxed);
        self.slot.single_count.store(0, Relaxed);
        done
    }

    /// The pages have gone back to the system: the file is not needed any more.
    pub fn retire(&self) {
        let _held = self.slot.hold();
        self.slot.file.store(-1, Relaxed);
        self.slot.tell.store(null_mut(), Relaxed);
        drop(self.file.lock().take());
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let held = self.slot.hold();
        self.slot.end.store(0, Relaxed);
        self.slot.file.store(-1, Relaxed);
        self.slot.tell.store(null_mut(), Relaxed);
        drop(held);
        self.slot.claimed.store(false, Release);
    }
}

/// Mends the page of `address` if it is guarded; `false` when it is not, or cannot be mended. Called by the signal
/// handler.
pub fn mend(address: usize) -> bool {
    let page = address & !(page_size() - 1);
    let mut chunk = Some(&TABLE);
    while let Some(this) = chunk {
        for slot in &this.slots {
            if slot.holds(page) {
                let _held = slot.hold();
                if slot.holds(page) {
                    return slot.mend(page);
                }
            }
        }
        chunk = this.next();
    }
    false
}

/// A slot that nobody uses.
fn claim() -> &'static Slot {
    let mut chunk = &TABLE;
    loop {
        let taken = |slot: &&Slot| slot.claimed.compare_exchange(false, true, Acquire, Relaxed).is_ok();
        if let Some(slot) = chunk.slots.iter().find(taken) {
            return slot;
        }
        chunk = chunk.next().unwrap_or_else(|| add_chunk(chunk));
    }
}

#[cold]
fn add_chunk(last: &'static Chunk) -> &'static Chunk {
    let fresh = Box::into_raw(Box::new(Chunk::new()));
    match last.next.compare_exchange(null_mut(), fresh, Release, Acquire) {
        // SAFETY: leaked just now, or by whoever was first.
        Ok(_) => unsafe { &*fresh },
        Err(first) => {
            // SAFETY: ours still, and nobody has seen it.
            drop(unsafe { Box::from_raw(fresh) });
            // SAFETY: as above.
            unsafe { &*first }
        }
    }
}

fn damage_of(bits: u32) -> Damage {
    match bits {
        _ if bits & CUT != 0 => Damage::Cut,
        _ if bits & FULL != 0 => Damage::Full,
        _ => Damage::Failed,
    }
}

/// The busy word of a slot is held.
struct Held<'a>(Option<&'a Slot>);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            slot.busy.store(0, Release);
        }
    }
}

impl Slot {
    const fn new() -> Slot {
        Slot {
            claimed: AtomicBool::new(false),
            busy: AtomicI32::new(0),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            offset: AtomicU64::new(0),
            file: AtomicI32::new(-1),
            device: AtomicU64::new(0),
            inode: AtomicU64::new(0),
            protection: AtomicI32::new(0),
            shared: AtomicBool::new(false),
            damage: AtomicU32::new(0),
            replaced_from: AtomicUsize::new(0),
            singles: [const { AtomicUsize::new(0) }; SINGLES],
            single_count: AtomicUsize::new(0),
            tell: AtomicPtr::new(null_mut()),
        }
    }

    fn holds(&self, page: usize) -> bool {
        let end = self.end.load(Acquire);
        page < end && page >= self.start.load(Relaxed)
    }

    /// Waits for the busy word. Its holder works for microseconds and takes no signal meanwhile that would touch the range;
    /// a holder that is no thread of this process any more was left behind by a fork.
    fn hold(&self) -> Held<'_> {
        // SAFETY: a system call without arguments.
        let me = unsafe { libc::syscall(libc::SYS_gettid) } as i32;
        let mut turns = 0;
        loop {
            let Err(holder) = self.busy.compare_exchange(0, me, Acquire, Relaxed) else {
                return Held(Some(self));
            };
            if holder == me {
                // A signal handler of this thread, in the middle of a change: what it sees is whole enough to be refused.
                return Held(None);
            }
            turns += 1;
            if turns % PATIENCE == 0 && !is_thread(holder) {
                let stolen = self.busy.compare_exchange(holder, me, Acquire, Relaxed);
                if stolen.is_ok() {
                    return Held(Some(self));
                }
            }
            // SAFETY: a system call without arguments.
            unsafe { libc::sched_yield() };
        }
    }

    /// Mends one page, with the busy word held.
    fn mend(&self, page: usize) -> bool {
        let (start, end) = (self.start.load(Relaxed), self.end.load(Relaxed));
        let writable = self.protection.load(Relaxed) & libc::PROT_WRITE != 0 && self.shared.load(Relaxed);
        let is_there = || can_load(page) && (!writable || can_store(page));
        for _ in 0..LOOKS {
            // Another thread has mended it, or the file has grown again.
            if is_there() {
                return true;
            }
            let Some(size) = self.file_size() else {
                return self.replace_one(page, CUT);
            };
            let file_pages =
                size.next_multiple_of(page_size() as u64).saturating_sub(self.offset.load(Relaxed));
            let cut = start.saturating_add(usize::try_from(file_pages).unwrap_or(usize::MAX)).min(end);
            if page >= cut {
                self.tell_damage(CUT);
                return self.replace(cut, self.replaced_from.load(Relaxed));
            }
            // Inside the file as it is now; while others cut it and make it longer, that proves nothing.
            // SAFETY: a system call without arguments.
            unsafe { libc::sched_yield() };
        }
        self.replace_one(page, if self.is_full() { FULL } else { FAILED })
    }

    fn tell_damage(&self, cause: u32) {
        self.damage.fetch_or(cause, SeqCst);
        // SAFETY: null, or a word that lives as long as the range is guarded.
        if let Some(word) = unsafe { self.tell.load(SeqCst).as_ref() } {
            word.store(0, SeqCst);
        }
    }

    fn replace_one(&self, page: usize, cause: u32) -> bool {
        self.tell_damage(cause);
        let count = self.single_count.load(Relaxed);
        if count == SINGLES {
            return self.replace(self.start.load(Relaxed), self.replaced_from.load(Relaxed));
        }
        if !self.map_zeros(page, page_size()) {
            return self.replace(self.start.load(Relaxed), self.replaced_from.load(Relaxed));
        }
        self.singles[count].store(page, Relaxed);
        self.single_count.store(count + 1, Relaxed);
        true
    }

    /// Replaces everything from `from` to `to` but the pages that were replaced one by one, into which somebody may have
    /// stored.
    fn replace(&self, from: usize, to: usize) -> bool {
        let singles = &self.singles[..self.single_count.load(Relaxed)];
        let mut at = from;
        while at < to {
            let next = singles.iter().map(|page| page.load(Relaxed)).filter(|page| (at..to).contains(page));
            let next = next.min().unwrap_or(to);
            if next > at && !self.map_zeros(at, next - at) {
                return false;
            }
            at = next.saturating_add(page_size());
        }
        self.replaced_from.store(from, Relaxed);
        true
    }

    fn map_zeros(&self, start: usize, len: usize) -> bool {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE;
        let protection = self.protection.load(Relaxed);
        // By number: what stands in front of the C library's function in a program under a sanitizer is not for handlers.
        // SAFETY: whole pages of a range that whoever guards it owns, and that stays mapped meanwhile.
        let mapped = unsafe { libc::syscall(libc::SYS_mmap, start, len, protection, flags, -1, 0) };
        mapped != -1
    }

    /// Length of the file, if the descriptor still is that file.
    fn file_size(&self) -> Option<u64> {
        let mut stat = std::mem::MaybeUninit::<libc::stat>::zeroed();
        // SAFETY: room for a stat, which any bytes are; -1 and numbers that somebody closed are refused by the kernel.
        let (status, stat) =
            unsafe { (libc::fstat(self.file.load(Relaxed), stat.as_mut_ptr()), stat.assume_init()) };
        let same = stat.st_dev == self.device.load(Relaxed) && stat.st_ino == self.inode.load(Relaxed);
        (status == 0 && same).then_some(stat.st_size as u64)
    }

    /// Whether the file system has no block to give.
    fn is_full(&self) -> bool {
        let mut stat = std::mem::MaybeUninit::<libc::statfs>::zeroed();
        // SAFETY: room for a statfs, which any bytes are.
        let (status, stat) =
            unsafe { (libc::fstatfs(self.file.load(Relaxed), stat.as_mut_ptr()), stat.assume_init()) };
        status == 0 && stat.f_blocks > 0 && stat.f_bavail == 0
    }
}

/// Whether the kernel can load from the page: it reads a signal set there, and refuses what to do with it (sigprocmask(2)).
fn can_load(page: usize) -> bool {
    const NOTHING_TO_DO: i32 = -1;
    // SAFETY: the kernel reads 8 bytes or finds that it cannot; `how` is invalid, so no mask changes.
    let status = unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, NOTHING_TO_DO, page, null::<u8>(), size_of::<u64>())
    };
    status == 0 || Errno::last() != Errno::EFAULT
}

/// Whether the kernel can store into the page: it ORs 0 into the first word, atomically (futex(2), FUTEX_WAKE_OP).
fn can_store(page: usize) -> bool {
    const OR_ZERO: u32 = 2 << 28;
    let operation = libc::FUTEX_WAKE_OP | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word keeps its value, whoever changes it at the same time; nobody is woken.
    let status =
        unsafe { libc::syscall(libc::SYS_futex, UNUSED.as_ptr(), operation, 0, 0usize, page, OR_ZERO) };
    status >= 0 || Errno::last() != Errno::EFAULT
}

/// Whether a thread of this process has this id.
fn is_thread(id: i32) -> bool {
    // SAFETY: signal 0 is none: the kernel only looks whether it could be sent.
    let status = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), id, 0) };
    status == 0 || Errno::last() != Errno::ESRCH
}

/// Puts the handler in front again, when others have put theirs there.
pub fn rearm() {
    super::signal::rearm();
}
