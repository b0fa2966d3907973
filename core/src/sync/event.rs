//! [`Event`]: a flag to wait for.

use std::time::Duration;

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

/// An event in a region.
pub struct Event {
    object: Object<WordRecord>,
    automatic: bool,
}

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

    /// Waits at most this long; else `Timeout`.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<()> {
        self.wait(&Wait::timeout(timeout))
    }

    /// Passes if the event is set, taking the flag of an automatic one.
    pub fn try_wait(&self) -> Result<bool> {
        self.object.expect_open(WAIT)?;
        Ok(event::try_wait(&self.object.word, self.automatic))
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
