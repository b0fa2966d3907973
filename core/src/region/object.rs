//! [`Object`]: a handle on a named object of a region.
//!
//! Each handle counts as one on the region's memory, so that an object stays usable when the region's own handle is
//! closed. Closing the last handle of a process is refused while the process holds something of the object.

use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

use super::directory::{Directory, Place, Spec};
use super::memory::Memory;
use super::{Lockable, ObjectMode, Operations, Region};
use crate::atomic::AtomicU32;
use crate::error::{Error, ErrorKind, Result};
use crate::exports::Exports;
use crate::layout::{ObjectKind, OwnerWord};
use crate::view::{Shared, SharedBytes};

/// What an object is to be like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub kind: ObjectKind,
    /// What it is created with; whoever opens it must ask for the same.
    pub parameters: [u64; 2],
    /// Entries of the table that follows the record.
    pub table_len: usize,
}

impl Shape {
    /// An object of one record, without parameters.
    pub fn plain(kind: ObjectKind) -> Shape {
        Shape { kind, parameters: [0; 2], table_len: 0 }
    }
}

/// A handle on a named object whose payload is a `T` and a table of `U`.
pub(crate) struct Object<T: Shared, U: Shared = AtomicU32> {
    record: NonNull<T>,
    table: NonNull<[U]>,
    memory: Arc<Memory>,
    exports: Exports,
    place: Place,
    name: String,
}

// SAFETY: record and table are made of atomics, in memory that the handle keeps alive.
#[allow(unsafe_code)]
unsafe impl<T: Shared, U: Shared> Send for Object<T, U> {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl<T: Shared, U: Shared> Sync for Object<T, U> {}

impl<T: Shared, U: Shared> Deref for Object<T, U> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        #[allow(unsafe_code)]
        // SAFETY: `open` found it in bounds and aligned; the memory lives as long as `self`.
        unsafe {
            self.record.as_ref()
        }
    }
}

impl<T: Shared, U: Shared> Object<T, U> {
    /// Finds the object or creates it with `init`, as the region's handle says.
    pub fn open(
        region: &Region,
        operation: &'static str,
        name: &str,
        shape: &Shape,
        init: impl FnOnce(&SharedBytes<'_>) -> Result<()>,
    ) -> Result<Object<T, U>> {
        Self::open_as(region, operation, name, (shape, shape.table_len), region.object_mode(), init)
    }

    /// As [`Object::open`], in a mode of its own; only so many entries of a new table are zeroed first: the rest may hold
    /// anything.
    pub fn open_as(
        region: &Region,
        operation: &'static str,
        name: &str,
        (shape, zeroed): (&Shape, usize),
        mode: ObjectMode,
        init: impl FnOnce(&SharedBytes<'_>) -> Result<()>,
    ) -> Result<Object<T, U>> {
        let memory = region.memory(operation)?;
        let Shape { kind, parameters, table_len } = *shape;
        let payload_len = size_of::<T>() + table_len * size_of::<U>();
        let directory = Directory::lock(memory, operation)?;
        let zeroed_len = size_of::<T>() + zeroed * size_of::<U>();
        let spec = Spec { kind, payload_len, zeroed_len, parameters };
        let place = directory.open(operation, name, &spec, mode, init)?;
        memory.expect_undamaged(operation)?;
        let record = NonNull::from(memory.record_at::<T>(place.payload.start)?);
        let table = NonNull::from(memory.records_at::<U>(place.payload.start + size_of::<T>(), table_len)?);
        // Still under the directory's lock: nobody can remove the object before it has us as a member.
        memory.open_object(&place, memory.me(operation)?, operation)?;
        let exports = Exports::new(false);
        Ok(Object { record, table, memory: Arc::clone(memory), exports, place, name: name.to_owned() })
    }

    /// The table that follows the record.
    #[inline]
    pub fn table(&self) -> &[U] {
        #[allow(unsafe_code)]
        // SAFETY: as for the record.
        unsafe {
            self.table.as_ref()
        }
    }

    /// The owner ids of the processes that have the object open.
    pub fn members(&self) -> Result<&[AtomicU32]> {
        self.memory.records_at(self.place.members, self.memory.geometry.slot_count as usize)
    }

    #[inline]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Where the table begins, from the region's start.
    pub fn table_offset(&self) -> usize {
        self.place.payload.start + size_of::<T>()
    }

    /// The views that are counted on this handle: while there are any, it cannot be closed.
    pub fn exports(&self) -> &Exports {
        &self.exports
    }

    /// The object's name in its region.
    pub fn name(&self) -> &str {
        &self.name
    }

    #[inline]
    pub fn is_closed(&self) -> bool {
        self.exports.is_closed()
    }

    /// This process's owner id, for an operation on an open handle.
    #[inline]
    pub fn me(&self, operation: &'static str) -> Result<u32> {
        self.expect_open(operation)?;
        self.memory.me(operation)
    }

    #[inline(always)]
    pub fn expect_open(&self, operation: &'static str) -> Result<()> {
        if self.exports.is_closed() {
            return Err(self.error(ErrorKind::Closed, operation));
        }
        self.memory.expect_undamaged(operation)
    }

    /// Ends the use of this handle; `in_use` says whether this process still holds something of the object. `owner` is the
    /// lock that other threads may be about to take through this handle.
    pub fn close(
        &self,
        operation: &'static str,
        owner: Option<&OwnerWord>,
        in_use: impl Fn(u32) -> bool,
    ) -> Result<()> {
        let owner = owner.map(|owner| self.memory.offset_of(owner));
        if self.exports.close().map_err(|kind| self.error(kind, operation))? {
            self.memory
                .close_object(&self.place, operation, owner, in_use)
                .map_err(|error| error.about(operation, self.memory.object_name(&self.name)))
                .inspect_err(|_| self.exports.reopen())?;
        }
        Ok(())
    }

    /// The object's owner word, to be taken through this handle.
    #[inline]
    pub fn lockable<'a>(&'a self, owner: &'a OwnerWord, operations: &'static Operations) -> Lockable<'a> {
        Lockable { memory: &self.memory, owner, exports: &self.exports, operations, name: &self.name }
    }

    #[cold]
    pub fn error(&self, kind: ErrorKind, operation: &'static str) -> Error {
        self.memory.error_of(kind, operation, self.memory.object_name(&self.name))
    }
}

impl<T: Shared, U: Shared> Drop for Object<T, U> {
    fn drop(&mut self) {
        // What the process still holds it goes on holding while it is attached, and loses as the dead do after that.
        if self.close("close object", None, |_| false).is_err() {
            std::mem::forget(Arc::clone(&self.memory));
        }
    }
}

impl Region {
    /// An object that exists with other parameters than asked for, for people: `tell` says what they mean.
    #[cold]
    pub(crate) fn tell_parameters(
        &self,
        error: Error,
        name: &str,
        operation: &'static str,
        asked: [u64; 2],
        tell: impl Fn([u64; 2]) -> String,
    ) -> Error {
        if error.kind() != ErrorKind::ParameterMismatch {
            return error;
        }
        match self.find_parameters(name, operation) {
            Ok(Some((_, found))) => error.with_detail(format!("{}, not {}", tell(found), tell(asked))),
            _ => error,
        }
    }

    /// Kind and parameters of a named object, if there is one.
    pub(crate) fn find_parameters(
        &self,
        name: &str,
        operation: &'static str,
    ) -> Result<Option<(u32, [u64; 2])>> {
        let found = Directory::lock(self.memory(operation)?, operation)?.find(name)?;
        Ok(found.map(|entry| (entry.kind, entry.parameters)))
    }
}
