//! The reader–writer lock: an owner word for the writer, and one mark per slot for the readers.
//!
//! The marks *are* the reader count: there is no sum that could disagree with them, and each has a cache line of its own,
//! so that readers in different processes do not slow each other.
//!
//! | step | store that commits it | a death before it | after it |
//! |---|---|---|---|
//! | read | my mark + 1, then the word has no owner | no reader | a reader; cleared by the next writer |
//! | read unlock | my mark − 1 | a reader, as above | no reader |
//! | write | the word to me with DRAIN | no writer | a writer that is not inside: nothing is torn |
//! | the last reader left | the word loses DRAIN | as above | a writer inside: *owner died* |
//! | write unlock | the word to 0 | as above | free |
//!
//! A reader marks first and looks at the word then; a writer takes the word first and looks at the marks then; all four
//! accesses are sequentially consistent, so that one of the two sees the other. A reader that finds a writer takes its
//! mark back: writers are not starved. Because of that, reading twice in one process while a writer waits in between can
//! block for ever, as with std's lock.

use super::marks;
use super::owner::{owner_of, slot_index};
use super::party::{ALL, Acquired, Party};
use super::wait::{Sleeper, Stop, Wait};
use super::word;
use crate::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::atomic::{AtomicU64, model_fence};
use crate::layout::{Mark, OwnerWord, RwLockRecord, WORD_DRAIN as DRAIN};

/// A reader–writer lock in shared memory, with one mark per slot.
#[derive(Clone, Copy)]
pub(crate) struct RwLockWords<'a> {
    pub record: &'a RwLockRecord,
    pub marks: &'a [Mark],
}

impl<'a> RwLockWords<'a> {
    #[inline]
    fn writer(&self) -> &'a OwnerWord {
        &self.record.writer
    }

    /// The mark of `me`, an id that came from an attachment and so names a slot of the table.
    #[inline]
    fn my_mark(&self, me: u32) -> &'a AtomicU64 {
        &self.marks[slot_index(me) as usize].value
    }

    /// Enters as a reader if no writer has the word; else the word, with the mark taken back.
    #[inline]
    fn enter(&self, me: u32, party: &impl Party) -> Result<Acquired, u32> {
        let mark = self.my_mark(me);
        marks::add(mark, me);
        model_fence();
        let seen = self.writer().word.load(SeqCst);
        if owner_of(seen) == 0 {
            return Ok(word::acquired(seen));
        }
        self.leave(mark, me, party);
        Err(seen)
    }

    /// Takes one reader's mark back; the last of a process tells a writer that waits for it.
    #[inline]
    fn leave(&self, mark: &AtomicU64, me: u32, party: &impl Party) -> bool {
        let Some(left) = marks::subtract(mark, me) else { return false };
        model_fence();
        if left == 0 && self.writer().word.load(SeqCst) & DRAIN != 0 {
            self.wake_writer(party);
        }
        true
    }

    /// A writer that waits for the readers looks again.
    pub fn wake_writer(&self, party: &impl Party) {
        self.record.drain.fetch_add(1, Release);
        party.wake(&self.record.drain, 1);
    }

    /// Takes the lock for reading.
    #[inline]
    pub fn read(&self, me: u32, party: &impl Party, wait: &Wait) -> Result<Acquired, Stop> {
        match self.enter(me, party) {
            Ok(acquired) => Ok(acquired),
            Err(_) => self.read_slow(me, party, wait),
        }
    }

    #[cold]
    fn read_slow(&self, me: u32, party: &impl Party, wait: &Wait) -> Result<Acquired, Stop> {
        let mut sleeper = Sleeper::new(wait);
        super::spin::until(&self.writer().word, || party.now_ns(), |seen| owner_of(seen) == 0, |_| false);
        loop {
            let seen = match self.enter(me, party) {
                Ok(acquired) => return Ok(acquired),
                Err(seen) => seen,
            };
            let owner = owner_of(seen);
            if owner == 0 {
                continue;
            }
            if owner != me && party.is_replaced(owner) {
                word::bury(self.writer(), seen, party);
                continue;
            }
            let Ok(expected) = word::announce(self.writer(), seen, party) else { continue };
            // Whoever frees the word wakes all: a reader that leaves early has swallowed nobody's wake-up.
            let ran_out = sleeper.sleep(party, &self.writer().word, expected)?;
            if ran_out && owner != me && party.is_dead(owner) {
                word::bury(self.writer(), expected, party);
            }
        }
    }

    /// Takes the lock for reading if no writer who lives has it.
    #[inline]
    pub fn try_read(&self, me: u32, party: &impl Party) -> Option<Acquired> {
        loop {
            match self.enter(me, party) {
                Ok(acquired) => return Some(acquired),
                Err(seen) if owner_of(seen) != me && party.is_dead(owner_of(seen)) => {
                    word::bury(self.writer(), seen, party);
                }
                Err(_) => return None,
            }
        }
    }

    /// Gives one reading hold back. `false`: this process has none.
    #[inline]
    pub fn read_unlock(&self, me: u32, party: &impl Party) -> bool {
        self.leave(self.my_mark(me), me, party)
    }

    /// Takes the lock for writing.
    #[inline]
    pub fn write(&self, me: u32, party: &impl Party, wait: &Wait) -> Result<Acquired, Stop> {
        let acquired = match self.writer().word.compare_exchange(0, me | DRAIN, SeqCst, Relaxed) {
            Ok(_) => Acquired::Clean,
            Err(_) => word::lock_slow(self.writer(), me | DRAIN, ALL, party, wait)?,
        };
        self.drain(me, party, wait)?;
        Ok(acquired)
    }

    /// Takes the lock for writing if nobody who lives holds it in any way.
    #[inline]
    pub fn try_write(&self, me: u32, party: &impl Party) -> Option<Acquired> {
        let acquired = match self.writer().word.compare_exchange(0, me | DRAIN, SeqCst, Relaxed) {
            Ok(_) => Acquired::Clean,
            Err(_) => word::try_lock_slow(self.writer(), me | DRAIN, party)?,
        };
        if self.has_readers(true, party) {
            self.abandon(me, party);
            return None;
        }
        self.enter_as_writer();
        Some(acquired)
    }

    /// Gives the writing hold back. `false`: this process does not have it.
    #[inline]
    pub fn write_unlock(&self, me: u32, party: &impl Party) -> bool {
        word::unlock(self.writer(), me, ALL, party)
    }

    /// Waits until no reader is left; the word has DRAIN and is ours.
    #[inline]
    fn drain(&self, me: u32, party: &impl Party, wait: &Wait) -> Result<(), Stop> {
        if self.has_readers(false, party) {
            self.drain_slow(me, party, wait)?;
        }
        self.enter_as_writer();
        Ok(())
    }

    #[cold]
    fn drain_slow(&self, me: u32, party: &impl Party, wait: &Wait) -> Result<(), Stop> {
        let mut sleeper = Sleeper::new(wait);
        let mut ask = false;
        loop {
            // The sequence first: a reader that leaves after we looked at its mark changes it, and the sleep returns.
            let sequence = self.record.drain.load(Acquire);
            model_fence();
            if !self.has_readers(ask, party) {
                return Ok(());
            }
            ask = sleeper
                .sleep(party, &self.record.drain, sequence)
                .inspect_err(|_| self.abandon(me, party))?;
        }
    }

    /// Whether a reader is inside. Clears the marks of those who are known to be dead, or, if `ask`, of all the dead.
    #[inline]
    fn has_readers(&self, ask: bool, party: &impl Party) -> bool {
        model_fence();
        let used = &self.marks[..party.slots_high().min(self.marks.len())];
        used.iter().enumerate().any(|(index, mark)| {
            marks::count_of(mark.value.load(SeqCst)) != 0 && marks::is_live(&mark.value, index, ask, party)
        })
    }

    /// From this store on, our death means torn.
    #[inline]
    fn enter_as_writer(&self) {
        self.writer().word.fetch_and(!DRAIN, Acquire);
    }

    /// Leaves without having entered. DRAIN goes with the owner, in one step: a death between would look torn.
    fn abandon(&self, me: u32, party: &impl Party) {
        word::unlock(self.writer(), me, ALL, party);
    }

    /// Number of readers inside, all processes together.
    pub fn readers(&self) -> u32 {
        self.marks.iter().fold(0, |sum, mark| sum.wrapping_add(marks::count_of(mark.value.load(Relaxed))))
    }

    /// Number of reading holds of `me`.
    pub fn my_reads(&self, me: u32) -> u32 {
        marks::mine(self.my_mark(me).load(Relaxed), me)
    }
}
