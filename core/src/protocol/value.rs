//! The value: a few bytes that are never seen torn, and never half-written by the dead.
//!
//! Up to 8 bytes it is one word, changed by one store or one compare-and-swap. A larger one has two copies, and a version that
//! says which of them is the value: `version % 2`. Only the other one is ever written:
//!
//! | step | by | a death before its store | after it |
//! |---|---|---|---|
//! | lock | a writer | nothing | the next writer takes the lock over |
//! | write the other copy | a writer | nothing | nothing: nobody looks at that copy |
//! | `version` + 1 | a writer | the old value | the new one |
//! | copy out the copy that the version names; look at the version again | a reader | | |
//!
//! A reader whose version stayed has a whole value: that copy is written again only after the version moved. One that was
//! overtaken looks again; one that is overtaken all the time takes the writers' lock for once. It waits for nobody else.

use std::time::Duration;

use super::party::{Acquired, Party};
use super::wait::{Stop, Wait};
use super::word;
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::layout::ValueRecord;

/// How long a writer waits for another, which takes microseconds, except for one that is stopped.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a reader is overtaken before it locks.
const MOST_OVERTAKEN: usize = if cfg!(loom) { 1 } else { 64 };

/// The words of a value in shared memory.
#[derive(Clone, Copy)]
pub(crate) struct ValueWords<'a> {
    pub record: &'a ValueRecord,
    /// Both copies, one after the other; of a value of one word, the first is the value.
    pub copies: &'a [AtomicU64],
}

impl ValueWords<'_> {
    fn len(&self) -> usize {
        self.copies.len() / 2
    }

    fn copy(&self, version: u64) -> &[AtomicU64] {
        let (even, odd) = self.copies.split_at(self.len());
        if version.is_multiple_of(2) { even } else { odd }
    }

    /// Copies the value out and returns what [`ValueWords::store_if`] takes: the version, or the word itself.
    #[inline]
    pub fn load(&self, into: &mut [u8], me: u32, party: &impl Party) -> Result<u64, Stop> {
        if self.len() == 1 {
            let word = self.copies[0].load(SeqCst);
            into.copy_from_slice(&word.to_ne_bytes()[..into.len()]);
            return Ok(word);
        }
        for _ in 0..MOST_OVERTAKEN {
            let version = self.record.version.load(Acquire);
            self.copy_out(version, into);
            if self.record.version.load(Relaxed) == version {
                return Ok(version);
            }
        }
        self.load_locked(into, me, party)
    }

    #[cold]
    fn load_locked(&self, into: &mut [u8], me: u32, party: &impl Party) -> Result<u64, Stop> {
        self.lock(me, party)?;
        let version = self.record.version.load(Relaxed);
        self.copy_out(version, into);
        self.unlock(me, party);
        Ok(version)
    }

    /// Each load keeps the next look at the version behind it, and each store of [`ValueWords::write`] the last change of the
    /// version before it: whoever sees a byte of a later write also sees that the version moved.
    #[inline]
    fn copy_out(&self, version: u64, into: &mut [u8]) {
        let copy = self.copy(version);
        let (words, rest) = into.as_chunks_mut::<8>();
        let last = words.len();
        for (to, from) in words.iter_mut().zip(copy) {
            *to = from.load(Acquire).to_ne_bytes();
        }
        if !rest.is_empty() {
            rest.copy_from_slice(&copy[last].load(Acquire).to_ne_bytes()[..rest.len()]);
        }
    }

    /// Replaces the value.
    #[inline]
    pub fn store(&self, from: &[u8], me: u32, party: &impl Party) -> Result<(), Stop> {
        if !self.try_store(from, me, party) {
            self.lock(me, party)?;
            self.write(self.record.version.load(Relaxed), from);
            self.unlock(me, party);
        }
        Ok(())
    }

    /// Replaces the value unless that takes a wait; whether it did.
    #[inline]
    pub fn try_store(&self, from: &[u8], me: u32, party: &impl Party) -> bool {
        if self.len() == 1 {
            self.copies[0].store(padded(from), SeqCst);
            return true;
        }
        if !word::lock_fast(&self.record.lock, me) {
            return false;
        }
        self.write(self.record.version.load(Relaxed), from);
        self.unlock(me, party);
        true
    }

    /// Replaces the value if it is still what `seen` says; whether it did.
    #[inline]
    pub fn store_if(&self, seen: u64, from: &[u8], me: u32, party: &impl Party) -> Result<bool, Stop> {
        if self.len() == 1 {
            return Ok(self.copies[0].compare_exchange(seen, padded(from), SeqCst, Relaxed).is_ok());
        }
        self.lock(me, party)?;
        let version = self.record.version.load(Relaxed);
        if version == seen {
            self.write(version, from);
        }
        self.unlock(me, party);
        Ok(version == seen)
    }

    /// Under the lock.
    #[inline]
    fn write(&self, version: u64, from: &[u8]) {
        let next = version.wrapping_add(1);
        let copy = self.copy(next);
        let (words, rest) = from.as_chunks::<8>();
        for (to, from) in copy.iter().zip(words) {
            to.store(u64::from_ne_bytes(*from), Release);
        }
        if !rest.is_empty() {
            copy[words.len()].store(padded(rest), Release);
        }
        self.record.version.store(next, Release);
    }

    #[inline]
    fn lock(&self, me: u32, party: &impl Party) -> Result<(), Stop> {
        if word::lock_fast(&self.record.lock, me) {
            return Ok(());
        }
        self.lock_slow(me, party)
    }

    #[cold]
    fn lock_slow(&self, me: u32, party: &impl Party) -> Result<(), Stop> {
        // The clock of a model is past every deadline.
        let wait = if cfg!(loom) { Wait::FOREVER } else { Wait::timeout(PATIENCE) };
        match word::lock(&self.record.lock, me, party, &wait)? {
            Acquired::Clean => {}
            // Whoever died in here wrote the copy that nobody looks at.
            Acquired::OwnerDied => drop(word::make_consistent(&self.record.lock, me)),
        }
        Ok(())
    }

    #[inline]
    fn unlock(&self, me: u32, party: &impl Party) {
        word::unlock(&self.record.lock, me, 1, party);
    }
}

/// A word that begins with these bytes, of which there are at most 8, and ends with zeros.
#[inline]
fn padded(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_ne_bytes(word)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::owner::owner_id;
    use super::super::party::Slept;
    use super::*;
    use crate::atomic::AtomicU32;

    /// Everybody lives, and nobody sleeps.
    struct Living;

    impl Party for Living {
        fn is_dead(&self, _: u32) -> bool {
            false
        }
        fn is_replaced(&self, _: u32) -> bool {
            false
        }
        fn slots_high(&self) -> usize {
            2
        }
        fn now_ns(&self) -> u64 {
            crate::sys::clock::monotonic_ns()
        }
        fn sleep(&self, _: &AtomicU32, _: u32, _: Duration, _: u64) -> Slept {
            Slept::TimedOut
        }
        fn wake(&self, _: &AtomicU32, _: i32) -> usize {
            0
        }
    }

    #[test]
    fn a_writer_is_in_nobodys_way_but_a_writers() {
        let (record, copies) = (ValueRecord::default(), [0; 4].map(AtomicU64::new));
        let words = ValueWords { record: &record, copies: &copies };
        let (me, other) = (owner_id(0, 1), owner_id(1, 1));
        assert!(words.try_store(&[1; 11], me, &Living));
        assert!(word::lock_fast(&record.lock, other));
        assert!(!words.try_store(&[2; 11], me, &Living));
        let mut seen = [0; 11];
        assert_eq!((words.load(&mut seen, me, &Living), seen), (Ok(1), [1; 11]));
        words.unlock(other, &Living);
        assert_eq!(words.store_if(0, &[3; 11], me, &Living), Ok(false));
        assert_eq!(words.store_if(1, &[3; 11], me, &Living), Ok(true));
        assert_eq!((words.load(&mut seen, me, &Living), seen), (Ok(2), [3; 11]));
    }

    #[test]
    fn a_word_waits_for_nobody() {
        let (record, copies) = (ValueRecord::default(), [0; 2].map(AtomicU64::new));
        let words = ValueWords { record: &record, copies: &copies };
        assert!(word::lock_fast(&record.lock, owner_id(1, 1)));
        assert!(words.try_store(&[1, 2, 3], owner_id(0, 1), &Living));
        let mut seen = [0; 3];
        assert_eq!(
            words.load(&mut seen, owner_id(0, 1), &Living),
            Ok(u64::from_ne_bytes([1, 2, 3, 0, 0, 0, 0, 0]))
        );
        assert_eq!(seen, [1, 2, 3]);
    }
}
