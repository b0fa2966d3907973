//! The barrier: everybody waits until all have arrived, and a participant that died is reported, not waited for.
//!
//! Arrivals are marks, one per slot; `phase` counts the times that all had arrived. Both change under an internal lock.
//! Participants are the processes that have the barrier open (`members`): one that dies with it open breaks it. Who gets
//! the slot of the dead and becomes a member in its place breaks it too.
//!
//! | step | store that commits it | a death before it | after it |
//! |---|---|---|---|
//! | arrive | my mark + 1 | the member is dead: broken | the same, unless all others come before one of them notices |
//! | the last arrives | `phase` + 1 | broken, and this phase is not complete | all of this phase leave; the next is broken |
//! | break | `breaks` becomes odd | the next who looks breaks it | all leave with *broken* until a reset makes it even |

use super::marks;
use super::owner::slot_index;
use super::party::{Acquired, Party};
use super::signal;
use super::wait::{Sleeper, Stop, Wait};
use super::word;
use crate::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::atomic::{AtomicU32, AtomicU64};
use crate::layout::BarrierRecord;

/// A barrier in shared memory, with one arrival mark and one member word per slot.
#[derive(Clone, Copy)]
pub(crate) struct BarrierWords<'a> {
    pub record: &'a BarrierRecord,
    pub arrivals: &'a [AtomicU64],
    /// Owner ids of the processes that have the barrier open; 0 for none.
    pub members: &'a [AtomicU32],
}

/// How a wait at a barrier ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// All arrived; this one arrived last.
    Leader,
    /// All arrived.
    Follower,
    /// A participant died, or somebody broke the barrier.
    Broken,
}

/// What a waiter found when it arrived; a change of either ends its wait.
#[derive(Clone, Copy)]
struct Arrival {
    phase: u32,
    breaks: u32,
}

impl BarrierWords<'_> {
    /// Arrives and waits for the others. A wait that stops early takes its arrival back.
    pub fn wait(&self, me: u32, party: &impl Party, wait: &Wait) -> Result<Passed, Stop> {
        self.lock(me, party, wait)?;
        if self.is_broken() {
            self.unlock(me, party);
            return Ok(Passed::Broken);
        }
        let arrival =
            Arrival { phase: self.record.phase.load(Relaxed), breaks: self.record.breaks.load(Relaxed) };
        marks::add(self.my_arrival(me), me);
        if self.arrived() >= self.record.parties.load(Relaxed) {
            self.record.phase.store(arrival.phase.wrapping_add(1), Release);
            self.clear_arrivals();
            self.unlock(me, party);
            signal::notify(&self.record.signal, true, party);
            return Ok(Passed::Leader);
        }
        let watched = signal::watch(&self.record.signal);
        self.unlock(me, party);
        self.wait_for_others(arrival, watched, me, party, wait)
    }

    fn wait_for_others(
        &self,
        arrival: Arrival,
        mut watched: u32,
        me: u32,
        party: &impl Party,
        wait: &Wait,
    ) -> Result<Passed, Stop> {
        let mut sleeper = Sleeper::new(wait);
        loop {
            if let Some(passed) = self.outcome(arrival) {
                return Ok(passed);
            }
            match signal::sleep(&self.record.signal, watched, &mut sleeper, party) {
                Ok(true) => watched = signal::watch(&self.record.signal),
                Ok(false) if self.member_died(party) => self.break_it(me, party),
                Ok(false) => {}
                Err(stop) => return self.withdraw(arrival, stop, me, party),
            }
        }
    }

    /// Breaks the barrier: everybody who waits, and who comes until a reset, is told.
    pub fn break_it(&self, me: u32, party: &impl Party) {
        self.lock_patiently(me, party);
        self.record.breaks.fetch_or(1, Release);
        self.unlock(me, party);
        signal::notify(&self.record.signal, true, party);
    }

    /// Becomes a member in the slot of one that died. Nobody will find its id any more, so its death is told now.
    pub fn replace_member(&self, me: u32, party: &impl Party, wait: &Wait) -> Result<(), Stop> {
        self.lock(me, party, wait)?;
        self.record.breaks.fetch_or(1, Release);
        self.members[slot_index(me) as usize].store(me, Release);
        self.unlock(me, party);
        signal::notify(&self.record.signal, true, party);
        Ok(())
    }

    /// Makes a broken barrier whole: the dead are members no longer, and nobody has arrived. Who still waits is told
    /// *broken*.
    pub fn reset(&self, me: u32, party: &impl Party, wait: &Wait) -> Result<(), Stop> {
        self.lock(me, party, wait)?;
        for member in self.members {
            let owner = member.load(Relaxed);
            if owner != 0 && party.is_dead(owner) {
                let _ = member.compare_exchange(owner, 0, Relaxed, Relaxed);
            }
        }
        self.clear_arrivals();
        let breaks = self.record.breaks.load(Relaxed);
        self.record.breaks.store((breaks | 1).wrapping_add(1), Release);
        self.unlock(me, party);
        signal::notify(&self.record.signal, true, party);
        Ok(())
    }

    /// Whether the barrier is broken.
    pub fn is_broken(&self) -> bool {
        self.record.breaks.load(Acquire) & 1 != 0
    }

    /// How many wait now.
    pub fn arrived(&self) -> u32 {
        self.arrivals.iter().fold(0, |sum, mark| sum.saturating_add(marks::count_of(mark.load(Relaxed))))
    }

    fn outcome(&self, arrival: Arrival) -> Option<Passed> {
        // This one first: when it changed after all had arrived, we see that they had.
        let is_broken = self.record.breaks.load(Acquire) != arrival.breaks;
        if self.record.phase.load(Acquire) != arrival.phase {
            return Some(Passed::Follower);
        }
        is_broken.then_some(Passed::Broken)
    }

    /// Takes our arrival back, unless the others came in the meantime.
    fn withdraw(&self, arrival: Arrival, stop: Stop, me: u32, party: &impl Party) -> Result<Passed, Stop> {
        self.lock_patiently(me, party);
        let outcome = self.outcome(arrival);
        if outcome.is_none() {
            marks::subtract(self.my_arrival(me), me);
        }
        self.unlock(me, party);
        outcome.ok_or(stop)
    }

    fn member_died(&self, party: &impl Party) -> bool {
        self.members.iter().map(|member| member.load(Relaxed)).any(|owner| owner != 0 && party.is_dead(owner))
    }

    fn clear_arrivals(&self) {
        for mark in self.arrivals {
            mark.store(0, Relaxed);
        }
    }

    fn my_arrival(&self, me: u32) -> &AtomicU64 {
        &self.arrivals[slot_index(me) as usize]
    }

    /// The internal lock's last owner was a participant: its death breaks the barrier.
    fn lock(&self, me: u32, party: &impl Party, wait: &Wait) -> Result<(), Stop> {
        if word::lock(&self.record.lock, me, party, wait)? == Acquired::OwnerDied {
            self.record.breaks.fetch_or(1, Release);
            word::make_consistent(&self.record.lock, me);
        }
        Ok(())
    }

    /// For steps that must not be left half-way: the lock is held for a few instructions, and the dead lose it. In memory
    /// that lost pages there is nothing to be left half-way.
    fn lock_patiently(&self, me: u32, party: &impl Party) {
        while self.lock(me, party, &Wait::FOREVER).is_err_and(|stop| stop != Stop::Damaged) {}
    }

    fn unlock(&self, me: u32, party: &impl Party) {
        word::unlock(&self.record.lock, me, 1, party);
    }
}
