//! The C face of shmkit: every export of `include/shmkit.h`, and nothing that decides.
//!
//! Invariants:
//! - An export is one call of [`boundary::attempt`] or [`boundary::answer`]: no panic unwinds into the caller, and every
//!   error becomes a status and, when asked for, a text.
//! - Handles are boxes that only their `_free` function takes back; everything else borrows them.
//! - Null handles, names and results are refused with `InvalidArgument`. Other bad pointers are the caller's to avoid.
//! - What succeeds allocates nothing here, except for new handles and the list of a batch.

mod atomic;
mod barrier;
mod boundary;
mod code;
mod condvar;
mod directory;
mod error;
mod event;
mod fault;
mod guard;
mod heap;
mod heap_status;
mod log;
mod log_direct;
mod log_flush;
mod log_options;
mod log_reader;
mod log_status;
mod map_options;
mod mapping;
mod mutex;
mod object;
mod options;
mod pages;
mod pool;
mod pool_blocks;
mod region;
mod region_options;
mod resize;
mod rwlock;
mod segment;
mod semaphore;
mod status;
mod sysv_segment;
mod sysv_semaphore;
mod usage;
mod value;
mod wait;
mod windows;

/// As a time limit in nanoseconds: wait as long as it takes.
pub const FOREVER: u64 = u64::MAX;
/// A wait also ends, with SHMKIT_INTERRUPTED, when a signal handler runs while the thread sleeps. A signal that comes just
/// before it sleeps does not wake it: bound the wait too.
pub const WAIT_INTERRUPTIBLE: u32 = 1 << 0;
/// Start writing and return, instead of waiting for the disk (MS_ASYNC).
pub const FLUSH_ASYNC: u32 = 1 << 0;
/// Also drop cached copies of the range that differ from the file (MS_INVALIDATE).
pub const FLUSH_INVALIDATE: u32 = 1 << 1;
