//! The segment that a handle appends to, in the hands of threads that do not count their uses.
//!
//! A thread that goes to the next segment must not have the last one unmapped while others still write into it. A count of
//! users would see to that, and be the dearest part of an append, on a word that all threads want. Instead each thread says
//! in a slot of its own what it uses: a hazard pointer (Michael, "Hazard Pointers: Safe Memory Reclamation for Lock-Free
//! Objects", IEEE TPDS 15(6), 2004), stored without a fence, since who unmaps has the kernel make the fences
//! ([`crate::sys::barrier`]).
//!
//! Invariants:
//! - A thread uses a segment only when it was still the current one after the slot named it.
//! - What is no longer current stays in `retired` until, behind a heavy barrier, no slot names it.
//! - A slot belongs to one thread. In a forked child those of threads that it does not have stay as they were: what they
//!   name is the parent's, since each process has a current segment of its own.

#![allow(unsafe_code, reason = "pointers that a slot keeps valid")]

use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicPtr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::segment::SegmentMap;
use crate::sys::barrier;

/// Threads that can have a slot; further ones take a lock.
const SLOTS: usize = 256;

/// What one thread uses. On lines of its own.
#[repr(align(128))]
struct Slot {
    used: AtomicPtr<SegmentMap>,
    taken: AtomicBool,
}

static TABLE: [Slot; SLOTS] =
    [const { Slot { used: AtomicPtr::new(null_mut()), taken: AtomicBool::new(false) } }; SLOTS];

/// A slot as long as its thread lives.
struct Mine(Option<&'static Slot>);

thread_local! {
    static MINE: Mine = Mine(TABLE.iter().find(|slot| {
        !slot.taken.load(Relaxed) && slot.taken.compare_exchange(false, true, Acquire, Relaxed).is_ok()
    }));
}

impl Drop for Mine {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            slot.taken.store(false, Release);
        }
    }
}

/// The segment that a handle appends to.
pub(super) struct Current {
    /// What `kept.current` points to, or null.
    segment: AtomicPtr<SegmentMap>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    current: Option<Arc<SegmentMap>>,
    retired: Vec<Arc<SegmentMap>>,
}

/// A segment that stays mapped while this lives, on one thread.
pub(super) struct Pinned<'a> {
    segment: NonNull<SegmentMap>,
    hold: Hold,
    of: PhantomData<&'a Current>,
}

enum Hold {
    Slot(&'static Slot),
    /// A count of its own, given back in the end.
    Count,
}

impl Default for Current {
    fn default() -> Current {
        barrier::prepare();
        Current { segment: AtomicPtr::new(null_mut()), kept: Mutex::default() }
    }
}

impl Current {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The segment, to be used now; `None` before the first.
    #[inline]
    pub fn pin(&self) -> Option<Pinned<'_>> {
        let slot = MINE.try_with(|mine| mine.0).ok().flatten();
        match slot.filter(|slot| slot.used.load(Relaxed).is_null()) {
            Some(slot) => self.pin_in(slot),
            // No slot is left, or this thread is in the middle of another append.
            None => self.pin_by_count(),
        }
    }

    #[inline]
    fn pin_in(&self, slot: &'static Slot) -> Option<Pinned<'_>> {
        let mut seen = self.segment.load(Acquire);
        loop {
            let segment = NonNull::new(seen)?;
            slot.used.store(seen, Relaxed);
            barrier::light();
            seen = self.segment.load(Acquire);
            if seen == segment.as_ptr() {
                return Some(Pinned { segment, hold: Hold::Slot(slot), of: PhantomData });
            }
            slot.used.store(null_mut(), Release);
        }
    }

    #[cold]
    fn pin_by_count(&self) -> Option<Pinned<'_>> {
        let counted = Arc::into_raw(self.get()?);
        Some(Pinned { segment: NonNull::new(counted.cast_mut())?, hold: Hold::Count, of: PhantomData })
    }

    /// The segment, to be kept.
    pub fn get(&self) -> Option<Arc<SegmentMap>> {
        self.lock().current.clone()
    }

    /// Makes a later segment the current one. `false`: it is not later.
    pub fn enter(&self, segment: Arc<SegmentMap>) -> bool {
        let mut kept = self.lock();
        if kept.current.as_ref().is_some_and(|current| current.base >= segment.base) {
            return false;
        }
        self.segment.store(Arc::as_ptr(&segment).cast_mut(), SeqCst);
        let before = kept.current.replace(segment);
        kept.retired.extend(before);
        let free = kept.take_unused();
        drop(kept);
        // Unmapping takes a while.
        drop(free);
        true
    }
}

impl Kept {
    fn take_unused(&mut self) -> Vec<Arc<SegmentMap>> {
        if self.retired.is_empty() || !barrier::heavy() {
            return Vec::new();
        }
        let is_used = |segment: &mut Arc<SegmentMap>| {
            let pointer = Arc::as_ptr(segment).cast_mut();
            TABLE.iter().any(|slot| slot.used.load(Acquire) == pointer)
        };
        self.retired.extract_if(.., |segment| !is_used(segment)).collect()
    }
}

impl Pinned<'_> {
    /// Keeps it beyond this use.
    pub fn keep(&self) -> Arc<SegmentMap> {
        // SAFETY: the pointer is an Arc's, whose count is not 0 while it is pinned.
        unsafe {
            Arc::increment_strong_count(self.segment.as_ptr());
            Arc::from_raw(self.segment.as_ptr())
        }
    }
}

impl Deref for Pinned<'_> {
    type Target = SegmentMap;

    #[inline]
    fn deref(&self) -> &SegmentMap {
        // SAFETY: [`Current`] keeps it as long as the slot names it; or it is counted.
        unsafe { self.segment.as_ref() }
    }
}

impl Drop for Pinned<'_> {
    #[inline]
    fn drop(&mut self) {
        match self.hold {
            Hold::Slot(slot) => slot.used.store(null_mut(), Release),
            // SAFETY: the count that was taken for it.
            Hold::Count => drop(unsafe { Arc::from_raw(self.segment.as_ptr()) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::super::{Log, LogOptions};
    use super::*;

    fn roll(log: &Log) {
        let base = log.inner.current.get().get().unwrap().base;
        while log.inner.current.get().get().unwrap().base == base {
            log.append(0, &[1; 1000]).unwrap();
        }
    }

    #[test]
    fn a_segment_stays_as_long_as_a_thread_uses_it() {
        let directory = tempfile::tempdir().unwrap();
        let log = LogOptions::new().segment_len(4096).create(directory.path().join("log")).unwrap();
        log.append(0, b"first").unwrap();
        let current = log.inner.current.get();
        let first = Arc::downgrade(&current.get().unwrap());
        let ((pinned, wait), (go_on, told)) = (channel(), channel());
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let segment = current.pin().unwrap();
                let second = current.pin().unwrap();
                assert!(matches!(segment.hold, Hold::Slot(_)) && matches!(second.hold, Hold::Count));
                drop(second);
                pinned.send(segment.base).unwrap();
                told.recv().unwrap();
                assert_eq!(segment.word(0).unwrap().load(Relaxed) as u32, 5, "still there");
            });
            // Dropped with this closure, so that the thread ends however this ends.
            let go_on = go_on;
            assert_eq!(wait.recv().unwrap(), 0);
            roll(&log);
            roll(&log);
            assert!(first.strong_count() > 0, "unmapped while a thread used it");
            go_on.send(()).unwrap();
        });
        roll(&log);
        assert_eq!(first.strong_count(), 0, "kept for nobody");
    }

    #[test]
    fn a_thread_gives_its_slot_back() {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::create(directory.path().join("log")).unwrap();
        log.append(0, b"").unwrap();
        for _ in 0..2 * SLOTS {
            std::thread::scope(|scope| {
                let thread =
                    scope.spawn(|| matches!(log.inner.current.get().pin().unwrap().hold, Hold::Slot(_)));
                assert!(thread.join().unwrap());
            });
        }
    }
}
