//! The condition variable: a [`signal`] word that is watched under the mutex and slept on without it.
//!
//! A wake-up may come without a notification, as with every condition variable: wait in a loop that tests the condition.
//! One comes when an owner of the mutex died: it may have died between a change and the notification of it.

use super::owner::owner_of;
use super::party::{Acquired, Party};
use super::signal;
use super::wait::{Sleeper, Stop, Wait};
use super::word;
use crate::atomic::AtomicU32;
use crate::atomic::Ordering::Relaxed;
use crate::layout::OwnerWord;

/// How a wait ended; the mutex is held again in any case but one.
pub(crate) struct Woken {
    /// What taking the mutex again reported; it is not held when the memory lost pages, which `stop` says then.
    pub acquired: Acquired,
    /// Why the wait ended, when it was not by a notification.
    pub stop: Option<Stop>,
}

/// Gives the mutex back, sleeps until notified, and takes the mutex again. `None`: `me` did not hold it.
pub(crate) fn wait(
    condvar: &AtomicU32,
    mutex: &OwnerWord,
    me: u32,
    party: &impl Party,
    wait: &Wait,
) -> Option<Woken> {
    if !word::is_held_by(mutex, me) {
        return None;
    }
    // Watched before the mutex is free: whoever changes the condition takes the mutex after us and sees WAITERS.
    let watched = signal::watch(condvar);
    word::unlock(mutex, me, 1, party);
    let stop = sleep(condvar, watched, mutex, me, party, wait).err();
    // The caller was promised the mutex: no deadline and no signal stops this.
    loop {
        match word::lock(mutex, me, party, &Wait::FOREVER) {
            Ok(acquired) => return Some(Woken { acquired, stop }),
            Err(stop @ Stop::Damaged) => {
                return Some(Woken { acquired: Acquired::Clean, stop: Some(stop) });
            }
            Err(_) => {}
        }
    }
}

/// Sleeps until there was a notification since `watched`, or the mutex's owner is found dead.
pub(crate) fn sleep(
    condvar: &AtomicU32,
    watched: u32,
    mutex: &OwnerWord,
    me: u32,
    party: &impl Party,
    wait: &Wait,
) -> Result<(), Stop> {
    let mut sleeper = Sleeper::new(wait);
    while !signal::sleep(condvar, watched, &mut sleeper, party)? {
        let owner = owner_of(mutex.word.load(Relaxed));
        if owner != 0 && owner != me && party.is_dead(owner) {
            break;
        }
    }
    Ok(())
}
