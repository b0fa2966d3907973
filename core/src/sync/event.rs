//! [`Event`]: a flag to wait for.

use std::time::Duration;

use crate::atomic::AtomicU32;
use crate::atomic::Ordering::Relaxed;
use crate::error::Result;
use crate::layout::{ObjectKind, WordRecord};
use crate::protocol::event;
use crate::protocol::wait::Wait;
use crate::region::Region;
use crate::region::object::{Object, Shape};

/// What takes the flag of an [`Event`] away.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EventReset {
    /// [`Event::reset`]; until then everybody passes. The default.
    #[default]
    Manual = 0,
    /// The one waiter that passes.
    Automatic = 1,
}

impl EventReset {
    /// The one of this number, as it crosses the C ABI.
    pub fn from_number(number: u32) -> Option<EventReset> {
        [EventReset::Manual, EventReset::Automatic].into_iter().find(|known| *known as u32 == number)
    }
}

/// An event in a region.
pub struct Event {
    object: Object<WordRecord>,
    automatic: bool,
}

/// What an event looked like when a wait began.
#[derive(Clone, Copy, Debug)]
pub struct EventSeen(u32);

impl Region {
    /// The event of this name, created (not set) when it is missing.
    ///
    /// Errors: `WrongKind`, `ParameterMismatch`, `InvalidName`, `NoSpace` (the arena is full), `ReadOnly`, `Closed`.
    pub fn event(&self, name: &str, reset: EventReset) -> Result<Event> {
        let shape = Shape { parameters: [reset as u64, 0], ..Shape::plain(ObjectKind::Event) };
        let object = Object::open(self, "open event", name, &shape, |_| Ok(()))?;
        Ok(Event { object, automatic: reset == EventReset::Automatic })
    }
}

const WAIT: &str = "wait for event";

impl Event {
    /// Sets the event: wakes all waiters of a manual one, one waiter of an automatic one.
    #[inline]
    pub fn set(&self) -> Result<()> {
        self.object.expect_open("set event")?;
        event::set(&self.object.word, self.automatic, self.object.memory());
        Ok(())
    }

    /// Takes the flag away.
    pub fn reset(&self) -> Result<()> {
        self.object.expect_open("reset event")?;
        event::reset(&self.object.word);
        Ok(())
    }

    /// Whether the event is set at this moment.
    pub fn is_set(&self) -> bool {
        event::is_set(&self.object.word)
    }

    /// Waits until the event is set, as `wait` says; takes the flag of an automatic one.
    ///
    /// Errors: `Timeout`, `Interrupted`, `Closed`.
    #[inline]
    pub fn wait(&self, wait: &Wait) -> Result<()> {
        self.object.expect_open(WAIT)?;
        event::wait(&self.object.word, self.automatic, self.object.memory(), wait)
            .map_err(|stop| self.object.error(stop.into(), WAIT))
    }

    /// What the event looks like now, for a wait in several steps: [`Event::wait_since`].
    #[inline]
    pub fn look(&self) -> Result<EventSeen> {
        self.object.expect_open(WAIT)?;
        Ok(EventSeen(self.object.word.load(Relaxed)))
    }

    /// As [`Event::wait`], for a waiter that began with [`Event::look`]: a manual event that was set and reset again since
    /// then lets it pass.
    pub fn wait_since(&self, seen: EventSeen, wait: &Wait) -> Result<()> {
        self.object.expect_open(WAIT)?;
        event::wait_since(&self.object.word, seen.0, self.automatic, self.object.memory(), wait)
            .map_err(|stop| self.object.error(stop.into(), WAIT))
    }

    /// Waits at most this long; else `Timeout`.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<()> {
        self.wait(&Wait::timeout(timeout))
    }

    /// Passes if the event is set, taking the flag of an automatic one.
    pub fn try_wait(&self) -> Result<bool> {
        self.object.expect_open(WAIT)?;
        Ok(event::try_wait(&self.object.word, self.automatic))
    }

    /// The event's word, for languages that take the fast path themselves: the event is set while `EVENT_SET` is; a set
    /// is a compare-and-swap to the word plus `EVENT_STEP` with `EVENT_SET`, while nobody waits; everything else goes
    /// through the library.
    pub fn word(&self) -> &AtomicU32 {
        &self.object.word
    }

    /// What takes the flag away.
    pub fn reset_kind(&self) -> EventReset {
        if self.automatic { EventReset::Automatic } else { EventReset::Manual }
    }

    /// The name in its region.
    pub fn name(&self) -> &str {
        self.object.name()
    }

    /// Whether this handle was closed.
    pub fn is_closed(&self) -> bool {
        self.object.is_closed()
    }

    /// Ends the use of this handle; repeating it does nothing.
    pub fn close(&self) -> Result<()> {
        self.object.close("close event", None, |_| false)
    }
}
