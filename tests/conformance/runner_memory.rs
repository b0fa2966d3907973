//! The runner's operations on bytes: what regions and mappings have in common, and the pages of mappings.

use std::rc::Rc;

use shmkit::{Flush, Mapping, MemoryLock, Region, SharedBytes};

use crate::{Command, Outcome, done};

/// What a handle's name stands for.
pub enum Object {
    Region(Region),
    Mapping(Mapping),
}

impl Object {
    pub fn len(&self) -> usize {
        match self {
            Object::Region(region) => region.len(),
            Object::Mapping(mapping) => mapping.len(),
        }
    }

    pub fn read_at(&self, offset: usize, into: &mut [u8]) -> shmkit::Result<()> {
        match self {
            Object::Region(region) => region.read_at(offset, into),
            Object::Mapping(mapping) => mapping.read_at(offset, into),
        }
    }

    pub fn write_at(&self, offset: usize, from: &[u8]) -> shmkit::Result<()> {
        match self {
            Object::Region(region) => region.write_at(offset, from),
            Object::Mapping(mapping) => mapping.write_at(offset, from),
        }
    }

    pub fn close(&self) -> shmkit::Result<()> {
        match self {
            Object::Region(region) => region.close(),
            Object::Mapping(mapping) => mapping.close(),
        }
    }
}

/// A counted view that owns its object: names come and go in any order here, which no borrow could follow.
pub struct CountedView {
    pub bytes: SharedBytes<'static>,
    object: Rc<Object>,
}

impl CountedView {
    pub fn new(
        object: &Rc<Object>,
        offset: usize,
        len: usize,
        writable: bool,
    ) -> shmkit::Result<CountedView> {
        let start = match &**object {
            Object::Region(region) => region.pin(offset, len, writable)?,
            Object::Mapping(mapping) => mapping.pin(offset, len, writable)?,
        };
        // SAFETY: `pin` checked the range and keeps it until `unpin`; the object lives as long as this view.
        let bytes = unsafe { SharedBytes::new(start, len, writable) };
        Ok(CountedView { bytes, object: Rc::clone(object) })
    }
}

impl Drop for CountedView {
    fn drop(&mut self) {
        let counted = match &*self.object {
            Object::Region(region) => region.unpin(self.bytes.is_writable()),
            Object::Mapping(mapping) => mapping.unpin(self.bytes.is_writable()),
        };
        assert!(counted, "a view that was never counted");
    }
}

pub fn flush(object: &Object, command: &Command) -> Outcome<String> {
    let (start, end) = range(object.len(), command)?;
    let how = if command.flag("async") { Flush::Async } else { Flush::Sync };
    match object {
        Object::Mapping(mapping) if command.flag("invalidate") => {
            done(mapping.flush_and_invalidate(start..end, how))
        }
        Object::Mapping(mapping) => done(mapping.flush(start..end, how)),
        Object::Region(region) if command.flag("invalidate") => {
            done(region.flush_and_invalidate(start..end, how))
        }
        Object::Region(region) => done(region.flush(start..end, how)),
    }
}

pub fn change(mapping: &Mapping, command: &Command) -> Outcome<String> {
    let (start, end) = range(mapping.len(), command)?;
    match command.op.as_str() {
        "protect" => done(mapping.protect(start..end, command.protection()?)),
        "lock_memory" => {
            let how = if command.flag("on_fault") { MemoryLock::OnFault } else { MemoryLock::Now };
            done(mapping.lock_memory(start..end, how))
        }
        "unlock_memory" => done(mapping.unlock_memory(start..end)),
        "residency" => {
            let counts = mapping.residency(start..end)?.counts();
            Ok(format!(" pages={} resident={}", counts.pages, counts.resident))
        }
        _ => done(mapping.advise(start..end, command.advice("advice")?)),
    }
}

fn range(limit: usize, command: &Command) -> Outcome<(usize, usize)> {
    let start = command.optional_number("offset")?.unwrap_or(0) as usize;
    let len = command.optional_number("len")?.map(|len| len as usize);
    Ok((start, len.map_or(limit.max(start), |len| start.saturating_add(len))))
}
