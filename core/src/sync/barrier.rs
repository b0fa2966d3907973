//! [`Barrier`]: a place where a number of participants wait for each other.

use std::time::Duration;

use crate::atomic::AtomicU64;
use crate::atomic::Ordering::Relaxed;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{BarrierRecord, ObjectKind};
use crate::protocol::barrier::{BarrierWords, Passed};
use crate::protocol::wait::Wait;
use crate::region::Region;
use crate::region::object::{Object, Shape};

/// A barrier in a region.
///
/// Whoever has it open takes part: a process that dies without closing it breaks the barrier, and all who wait, or come
/// until [`Barrier::reset`], get `Broken`.
pub struct Barrier(Object<BarrierRecord, AtomicU64>);

/// All participants arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierPassed {
    /// Whether this one arrived last: true for exactly one of them.
    pub leader: bool,
}

impl Region {
    /// The barrier of this name, created when it is missing.
    ///
    /// Errors: `WrongKind`, `ParameterMismatch`, `InvalidArgument` (no participants), `InvalidName`, `NoSpace` (the
    /// arena is full), `ReadOnly`, `Closed`.
    pub fn barrier(&self, name: &str, parties: u32) -> Result<Barrier> {
        let operation = "open barrier";
        if parties == 0 {
            let object = self.memory(operation)?.object_name(name);
            return Err(
                Error::new(ErrorKind::InvalidArgument, operation, object).with_detail("0 participants")
            );
        }
        let table_len = self.attachment_limit();
        let shape = Shape { kind: ObjectKind::Barrier, parameters: [u64::from(parties), 0], table_len };
        let object = Object::open(self, operation, name, &shape, |payload| {
            payload.shared::<BarrierRecord>(0)?.parties.store(parties, Relaxed);
            Ok(())
        })?;
        Ok(Barrier(object))
    }
}

const WAIT: &str = "wait at barrier";

impl Barrier {
    /// Arrives, and waits until all have, as `wait` says. A wait that ends early takes its arrival back.
    ///
    /// Errors: `Broken`, `Timeout`, `Interrupted`, `Closed`.
    pub fn wait(&self, wait: &Wait) -> Result<BarrierPassed> {
        let me = self.0.me(WAIT)?;
        let passed = self.words()?.wait(me, self.0.memory(), wait);
        match passed.map_err(|stop| self.0.error(stop.into(), WAIT))? {
            Passed::Leader => Ok(BarrierPassed { leader: true }),
            Passed::Follower => Ok(BarrierPassed { leader: false }),
            Passed::Broken => Err(self.0.error(ErrorKind::Broken, WAIT)),
        }
    }

    /// As [`Barrier::wait`], for at most this long.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierPassed> {
        self.wait(&Wait::timeout(timeout))
    }

    /// Breaks the barrier on purpose.
    pub fn abort(&self) -> Result<()> {
        let me = self.0.me("abort barrier")?;
        self.words()?.break_it(me, self.0.memory());
        Ok(())
    }

    /// Makes a broken barrier whole again, without the dead; who still waits gets `Broken`.
    pub fn reset(&self) -> Result<()> {
        let operation = "reset barrier";
        let me = self.0.me(operation)?;
        self.words()?
            .reset(me, self.0.memory(), &Wait::FOREVER)
            .map_err(|stop| self.0.error(stop.into(), operation))
    }

    /// Whether the barrier is broken.
    pub fn is_broken(&self) -> bool {
        self.words().is_ok_and(|words| words.is_broken())
    }

    /// How many must arrive.
    pub fn parties(&self) -> u32 {
        self.0.parties.load(Relaxed)
    }

    /// How many wait at this moment.
    pub fn waiting(&self) -> u32 {
        self.words().map_or(0, |words| words.arrived())
    }

    /// The name in its region.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Whether this handle was closed.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Ends this handle's part; repeating it does nothing.
    pub fn close(&self) -> Result<()> {
        self.0.close("close barrier", None, |_| false)
    }

    fn words(&self) -> Result<BarrierWords<'_>> {
        Ok(BarrierWords { record: &self.0, arrivals: self.0.table(), members: self.0.members()? })
    }
}
