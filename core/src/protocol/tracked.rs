//! The tracked semaphore: permits that come back when their holder dies.
//!
//! One mark per slot says how many permits its owner holds; the marks are the truth. `available` is a cache of
//! `capacity` − their sum, kept under an internal lock and counted anew whenever somebody died.
//!
//! | step | store that commits it | a death before it | after it |
//! |---|---|---|---|
//! | acquire | my mark + 1 | no permit taken | a permit held by the dead: comes back at the next recount |
//! | release | my mark − 1 | as above | the permit is free; the recount finds it |
//!
//! A recount happens when the internal lock reports a death, and when a waiter's slice runs out with nothing available.

use super::marks;
use super::owner::slot_index;
use super::party::{Acquired, Party};
use super::signal;
use super::wait::{Sleeper, Stop, Wait};
use super::word;
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::Relaxed;
use crate::layout::TrackedRecord;

/// A tracked semaphore in shared memory, with one mark per slot.
#[derive(Clone, Copy)]
pub(crate) struct TrackedWords<'a> {
    pub record: &'a TrackedRecord,
    pub marks: &'a [AtomicU64],
}

impl TrackedWords<'_> {
    /// Takes a permit.
    pub fn acquire(&self, me: u32, party: &impl Party, wait: &Wait) -> Result<(), Stop> {
        let mut sleeper = Sleeper::new(wait);
        let mut ask = false;
        loop {
            self.lock(me, party, wait)?;
            if ask {
                self.recount(party);
            }
            if self.take(me) {
                let more = self.available() > 0;
                self.unlock(me, party);
                if more {
                    // Several permits may have come with one wake-up; ours was one of them.
                    signal::notify(&self.record.signal, false, party);
                }
                return Ok(());
            }
            let watched = signal::watch(&self.record.signal);
            self.unlock(me, party);
            ask = !signal::sleep(&self.record.signal, watched, &mut sleeper, party)?;
        }
    }

    /// Takes a permit if there is one, counting those of the dead.
    pub fn try_acquire(&self, me: u32, party: &impl Party, wait: &Wait) -> Result<bool, Stop> {
        self.lock(me, party, wait)?;
        if self.available() == 0 {
            self.recount(party);
        }
        let taken = self.take(me);
        self.unlock(me, party);
        Ok(taken)
    }

    /// Gives `count` permits back. `Ok(false)`, and nothing has changed, when this process holds fewer.
    pub fn release(&self, count: u32, me: u32, party: &impl Party, wait: &Wait) -> Result<bool, Stop> {
        self.lock(me, party, wait)?;
        let mark = self.my_mark(me);
        let held = marks::mine(mark.load(Relaxed), me);
        let enough = held >= count;
        if enough {
            for _ in 0..count {
                marks::subtract(mark, me);
            }
            self.record.available.store(self.available().saturating_add(count).min(self.capacity()), Relaxed);
        }
        self.unlock(me, party);
        if enough {
            signal::notify(&self.record.signal, count > 1, party);
        }
        Ok(enough)
    }

    /// Permits that `me` holds.
    pub fn held(&self, me: u32) -> u32 {
        marks::mine(self.my_mark(me).load(Relaxed), me)
    }

    /// Permits available, as of the last count.
    pub fn available(&self) -> u32 {
        self.record.available.load(Relaxed).min(self.capacity())
    }

    /// All permits there are.
    pub fn capacity(&self) -> u32 {
        self.record.capacity.load(Relaxed)
    }

    fn my_mark(&self, me: u32) -> &AtomicU64 {
        &self.marks[slot_index(me) as usize]
    }

    fn lock(&self, me: u32, party: &impl Party, wait: &Wait) -> Result<(), Stop> {
        if word::lock(&self.record.lock, me, party, wait)? == Acquired::OwnerDied {
            self.recount(party);
            word::make_consistent(&self.record.lock, me);
        }
        Ok(())
    }

    fn unlock(&self, me: u32, party: &impl Party) {
        word::unlock(&self.record.lock, me, 1, party);
    }

    /// Takes a permit if the cache has one. Under the lock.
    fn take(&self, me: u32) -> bool {
        let available = self.available();
        if available == 0 {
            return false;
        }
        marks::add(self.my_mark(me), me);
        self.record.available.store(available - 1, Relaxed);
        true
    }

    /// Drops the marks of the dead and counts what is left. Under the lock.
    fn recount(&self, party: &impl Party) {
        let used = &self.marks[..party.slots_high().min(self.marks.len())];
        let held = used
            .iter()
            .enumerate()
            .filter(|(index, mark)| marks::is_live(mark, *index, true, party))
            .fold(0u32, |sum, (_, mark)| sum.saturating_add(marks::count_of(mark.load(Relaxed))));
        self.record.available.store(self.capacity().saturating_sub(held), Relaxed);
    }
}
