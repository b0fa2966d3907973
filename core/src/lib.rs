//! **shmkit**: shared memory for Rust, C, Python and Go, from this one crate.
//!
//! Processes in any of these languages open the same region by name and share its bytes and locks at the speed of
//! memory; when one of them is killed, at any instruction, the others go on.
//!
//! # Vocabulary
//!
//! The same words in all languages:
//!
//! - **Mapping** ([`Mapping`]): one mapped range of a file or of anonymous memory.
//! - **Segment** ([`Segment`]): the named thing that is mapped: a POSIX shared memory object, a file, a memfd. It
//!   can be sealed ([`Seals`]), and sent to another process ([`Segment::send`]).
//! - **System V** ([`SysvSegment`], [`SysvSemaphore`]): the kernel's older shared memory and semaphores, by key.
//! - **Code** ([`CodeMemory`]): machine code that is written, sealed, and then called.
//! - **Region** ([`Region`]): a segment with a header, *attachments*, a *guard*, `len` user bytes and an arena.
//! - **Attachment**: one process's live membership of a region. The kernel knows when it ends.
//! - **Guard** ([`Region::lock`]): the region's lock. Its owner is a process; an owner's death is reported to the next.
//! - **Heap** ([`Heap`]): blocks of any size in a region, known by their offsets.
//! - **Log** ([`Log`]): records that many processes append to a directory of files at once.
//! - **View** ([`View`]): bytes that stay where they are while it lives.
//! - **Window cache** ([`WindowCache`]): a file larger than one wants mapped, through windows that are used again.
//!
//! # Rules
//!
//! - Shared bytes are changed by others at any time: they are copied, or seen through atomics, and never become `&[u8]`.
//! - Every error ([`Error`]) names the operation, the object and the errno, and says what to do next.
//! - Every wait can be bounded ([`Wait`]).
//!
//! Linux only, kernel 4.14 or newer, 64-bit.
#![deny(unsafe_code)]
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

mod alloc;
mod atomic;
mod error;
mod exports;
pub mod layout;
mod log;
mod mapping;
mod protocol;
mod region;
mod segment;
mod sync;
mod sys;
mod sysv;
mod value;
mod view;
mod windows;

pub use alloc::{
    Block, BlockState, BlockStatus, Heap, HeapBlock, HeapOptions, HeapOwner, HeapStatus, HeapStrategy,
    MAX_HEAP_ALIGN, Pool, PoolBlock, PoolLayout, PoolOptions, PoolOwner, PoolStatus,
};
pub use atomic::AtomicU32;
pub use error::{Error, ErrorKind, Result};
pub use log::{
    Durability, Durable, Log, LogOptions, LogReader, LogRecord, LogSegment, LogStatus, LogWords, ReadFrom,
    Recovery, Reservation, Ticket, Verified,
};
pub use mapping::fault::{rearm_fault_guard, set_fault_guard};
pub use mapping::{
    Advice, CodeFunction, CodeMemory, CodeOptions, Flush, HugePages, MapOptions, Mapping, MemoryLock,
    MemoryUse, PageCounts, PageFlags, Protection, Residency, Sharing, Usage, View, clear_soft_dirty,
};
pub use protocol::party::Acquired;
#[cfg(not(loom))]
#[doc(hidden)]
pub use protocol::spin::changes_soon;
pub use protocol::wait::Wait;
pub use region::{
    AttachmentStatus, Holder, LockError, LockGuard, LockResult, ObjectInfo, ObjectMode, ObjectStatus, Region,
    RegionGuard, RegionOptions, RegionStatus, Share,
};
pub use segment::{Location, Seals, Segment, SegmentOptions};
pub use sync::{
    Atomic, AtomicValue, Barrier, BarrierPassed, Condvar, Event, EventReset, EventSeen, Mutex, MutexGuard,
    Notified, Permit, ReadGuard, RwLock, Semaphore, SemaphoreKind, SemaphoreOptions, Watched, WriteGuard,
};
pub use sysv::{
    SYSV_PRIVATE, SysvSegment, SysvSegmentOptions, SysvSegmentStatus, SysvSemaphore, SysvSemaphoreOptions,
    SysvSemaphoreStatus,
};
pub use value::{Value, ValueBytes, ValueLayout, ValueType};
pub use view::{Shared, SharedBytes};
pub use windows::{WindowCache, WindowOptions, WindowStats, WindowView};
