//! The shared byte format: every magic, version, constant and struct that two processes must agree on.
//!
//! `docs/format.md` draws it; the C header carries the same constants, and the Go package takes them from there.
//! All numbers are in the machine's byte order: the bytes never leave it.
//!
//! ```text
//! offset 0            header page    FixedHeader · LiveHeader · the guard
//! slots_offset        slot table     slot_count slots of 64 bytes
//! arena_offset        arena          directory and named objects
//! data_offset         user bytes     data_len of data_capacity bytes
//! ```
//!
//! Nothing here is trusted when read: `crate::region` copies a header once, checks the copy, and uses only that.

use std::mem::{align_of, offset_of, size_of};

use bytemuck::{Pod, Zeroable};

use crate::atomic::{AtomicU32, AtomicU64};

// Named in full for those who take this very file into another crate, as the models do.
#[path = "layout/log.rs"]
mod log;

pub use log::*;

/// The first bytes of every object. The control characters catch a file that was changed by a text-mode copy.
pub const MAGIC: [u8; 8] = *b"shmkit\x1a\n";
/// The version of the byte format that processes share: any change of it is a new version.
pub const LAYOUT_VERSION: u32 = 1;
/// The kind word of a region.
pub const KIND_REGION: u32 = 1;
/// Bytes that the header takes at the start of the object; the slot table begins on the next page boundary.
pub const HEADER_SIZE: usize = 512;

/// Attachment slots of a region unless it asks for another number.
pub const DEFAULT_SLOT_COUNT: u32 = 128;
/// The most attachment slots that an owner id can name.
pub const MAX_SLOT_COUNT: u32 = 1023;
/// Bytes of one attachment slot.
pub const SLOT_SIZE: usize = 64;
/// Slot *j* is alive while somebody holds an open-file-description lock on byte `TOKEN_BASE + j` of the object.
pub const TOKEN_BASE: i64 = 1 << 60;
/// Arena bytes of a region unless it asks for another number.
pub const DEFAULT_ARENA_LEN: u64 = 256 * 1024;
/// The longest name of a region, in bytes.
pub const MAX_NAME_LEN: usize = 200;
/// Where POSIX shared memory objects live on Linux (shm_overview(7)).
pub const SHM_DIRECTORY: &str = "/dev/shm";
/// What stands before a region's name in [`SHM_DIRECTORY`].
pub const SHM_PREFIX: &str = "shmkit.";

/// [`LiveHeader::state`] of an object that is complete. Anything else is not to be attached to.
pub const STATE_READY: u32 = 0x5EAD_1E57;

/// Lock word, bit 0: somebody may sleep on this word.
pub const WORD_WAITERS: u32 = 1 << 0;
/// Lock word, bit 1: an owner died inside; stays until `make_consistent`.
pub const WORD_DIRTY: u32 = 1 << 1;
/// Lock word, bit 2: a writer has the word and waits for the readers to leave (reader–writer lock only).
pub const WORD_DRAIN: u32 = 1 << 2;
/// Lock word, bits 3..32: the owner id; all zero means free.
pub const WORD_OWNER_MASK: u32 = 0xFFFF_FFF8;
/// First bit of an owner id's slot number plus one (10 bits).
pub const OWNER_SLOT_SHIFT: u32 = 3;
/// First bit of an owner id's generation (19 bits).
pub const OWNER_GENERATION_SHIFT: u32 = 13;

/// Reader–writer lock: bytes from one slot's mark to the next one's.
pub const MARK_STRIDE: usize = 64;
/// Mark: first bit of the owner's generation (32 bits); the bits before it count what the owner has.
pub const MARK_GENERATION_SHIFT: u32 = 32;
/// Word of a signalling semaphore: one permit; bit 0 is `WORD_WAITERS`.
pub const SEMAPHORE_PERMIT: u32 = 2;
/// The most permits that the word can count.
pub const SEMAPHORE_MAX: u32 = 0x7FFF_FFFF;
/// Word of an event, bit 1: it is set; bit 0 is `WORD_WAITERS`.
pub const EVENT_SET: u32 = 1 << 1;
/// Word of an event: what each set adds, in bits 2..32.
pub const EVENT_STEP: u32 = 1 << 2;

/// Heap: blocks are counted in granules of so many bytes, and begin on multiples of it.
pub const HEAP_GRANULE: usize = 16;
/// Heap: bytes before a block's own that say what it is; not with buddies, whose words lie apart.
pub const HEAP_WORD_SIZE: usize = 8;
/// Block word, bits 0..2: free space.
pub const HEAP_FREE: u64 = 1;
/// Block word, bits 0..2: a live block.
pub const HEAP_USED: u64 = 2;
/// Block word, bits 0..2: the end of the chain.
pub const HEAP_END: u64 = 3;
/// Block word, bit 2: the block before this one is free, and its size stands before this word.
pub const HEAP_PREVIOUS_FREE: u64 = 1 << 2;
/// Block word: first bit of the size, in granules (buddies: in smallest blocks). Bits 3..32 are the owner id; all zero
/// means published.
pub const HEAP_SIZE_SHIFT: u32 = 32;
/// Heap: free blocks below so many granules have a list for each size, others share trees.
pub const HEAP_SMALL: u32 = 64;
/// Heap: nodes of the search tree of a first-fit heap that share a parent.
pub const HEAP_FANOUT: usize = 4;
/// Word of a pool's block: free.
pub const POOL_FREE: u32 = 0;
/// Word of a pool's block: owned by the process whose owner id is in it.
pub const POOL_OWNED: u32 = 1;
/// Word of a pool's block: published, and owned by nobody until somebody adopts it.
pub const POOL_PUBLISHED: u32 = 2;
/// Word of a pool's block: the bits of the state; the owner id is in bits 3..32.
pub const POOL_STATE_MASK: u32 = 7;
/// Word of a pool's block, and handle of a block: first bit of the generation (32 bits).
pub const POOL_GENERATION_SHIFT: u32 = 32;
/// The most levels that a pool's tree of bits has.
pub const POOL_LEVELS: usize = 6;
/// Bytes to which the blocks of a pool are aligned unless it asks for another number.
pub const POOL_ALIGNMENT: usize = 64;

/// [`Slot::state`]: nobody claims this slot.
pub const SLOT_FREE: u32 = 0;
/// [`Slot::state`]: somebody claimed this slot; whether it still lives is the kernel's answer, not this word's.
pub const SLOT_LIVE: u32 = 1;

/// The part of the header that never changes after creation, covered by a checksum.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct FixedHeader {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`LAYOUT_VERSION`].
    pub layout_version: u32,
    /// [`KIND_REGION`] or another kind.
    pub kind: u32,
    /// [`HEADER_SIZE`]: with `slot_size`, a change of struct sizes that forgot the version is still seen.
    pub header_size: u32,
    /// [`SLOT_SIZE`].
    pub slot_size: u32,
    /// The system's page size, to which all sections are aligned.
    pub page_size: u32,
    /// Number of attachment slots.
    pub slot_count: u32,
    /// Offset of the slot table, in bytes.
    pub slots_offset: u64,
    /// Offset of the arena, in bytes.
    pub arena_offset: u64,
    /// Length of the arena, in bytes.
    pub arena_len: u64,
    /// Offset of the user bytes.
    pub data_offset: u64,
    /// The most user bytes this region can ever have.
    pub data_capacity: u64,
    /// Time of creation, nanoseconds since 1970.
    pub created_ns: u64,
    /// Drawn at random at creation: tells a region from another one that later bears its name.
    pub id: [u8; 16],
    /// Process id of the creator, for people.
    pub creator_pid: u32,
    /// CRC-32C of all bytes before this one.
    pub checksum: u32,
}

/// The part of the header that changes.
#[repr(C, align(64))]
pub struct LiveHeader {
    /// [`STATE_READY`] once everything else is in place.
    pub state: AtomicU32,
    /// Number of slots ever used: scans of the slot table stop here.
    pub slots_high: AtomicU32,
    /// Number of user bytes now; the single store that commits a resize.
    pub data_len: AtomicU64,
    /// Held by whoever resizes.
    pub resize: OwnerWord,
}

/// The owner of a lock, and what people want to know of it.
#[repr(C)]
#[derive(Default)]
pub struct OwnerWord {
    /// The lock word: owner id and `WORD_` flags.
    pub word: AtomicU32,
    /// How often an owner died inside.
    pub deaths: AtomicU32,
    /// The last owner that somebody had to wait for.
    pub noticed_owner: AtomicU32,
    /// Unused.
    pub reserved: AtomicU32,
    /// When somebody first waited for that owner, nanoseconds of CLOCK_MONOTONIC.
    pub noticed_ns: AtomicU64,
}

/// A mutex: the guard of a region, or a named object.
#[repr(C, align(64))]
#[derive(Default)]
pub struct MutexRecord {
    /// The owner.
    pub lock: OwnerWord,
}

/// A reader–writer lock; `slot_count` [`Mark`]s follow it.
#[repr(C, align(64))]
#[derive(Default)]
pub struct RwLockRecord {
    /// The writer.
    pub writer: OwnerWord,
    /// Changes when the last reader of a process leaves while a writer waits.
    pub drain: AtomicU32,
}

/// The reading holds of one slot's owner, alone on a cache line so that readers do not slow each other.
#[repr(C, align(64))]
#[derive(Default)]
pub struct Mark {
    /// Generation << 32 | count.
    pub value: AtomicU64,
}

/// A signalling semaphore, a condition variable or an event: one word.
#[repr(C, align(64))]
#[derive(Default)]
pub struct WordRecord {
    /// What it means is the kind's business.
    pub word: AtomicU32,
}

/// A tracked semaphore; `slot_count` marks of 8 bytes follow it.
#[repr(C, align(64))]
#[derive(Default)]
pub struct TrackedRecord {
    /// Guards the rest.
    pub lock: OwnerWord,
    /// What waiters sleep on.
    pub signal: AtomicU32,
    /// All permits there are.
    pub capacity: AtomicU32,
    /// Capacity less what the marks hold, as of the last count.
    pub available: AtomicU32,
}

/// A barrier; `slot_count` marks of 8 bytes follow it.
#[repr(C, align(64))]
#[derive(Default)]
pub struct BarrierRecord {
    /// Guards the rest.
    pub lock: OwnerWord,
    /// What waiters sleep on.
    pub signal: AtomicU32,
    /// How many must arrive.
    pub parties: AtomicU32,
    /// How often all have arrived.
    pub phase: AtomicU32,
    /// Odd while the barrier is broken.
    pub breaks: AtomicU32,
}

/// An atomic integer that can be waited for.
#[repr(C, align(64))]
#[derive(Default)]
pub struct AtomicRecord {
    /// The value, in the low bytes for the smaller type.
    pub value: AtomicU64,
    /// What waiters sleep on.
    pub signal: AtomicU32,
}

/// A heap; its tables and then its blocks follow it. All but the lock is derived from the blocks, and made anew from them
/// when an owner died.
#[repr(C, align(64))]
pub struct HeapRecord {
    /// Guards the rest.
    pub lock: OwnerWord,
    /// Bytes that the live blocks offer.
    pub used_len: AtomicU64,
    /// Number of live blocks.
    pub used_count: AtomicU64,
    /// How often the rest was made anew.
    pub repairs: AtomicU64,
    /// Blocks that were taken back from the dead.
    pub reclaimed: AtomicU64,
    /// Which of `bins` hold a block: 64 bits for the first half, 64 for the second.
    pub bins_used: [AtomicU64; 2],
    /// Free blocks by size: the first of each list, the root of each tree.
    pub bins: [AtomicU32; 128],
}

/// A pool of blocks; its words follow it, and the blocks follow those.
#[repr(C, align(64))]
#[derive(Default)]
pub struct PoolRecord {
    /// What waiters sleep on.
    pub signal: AtomicU32,
    /// How many blocks came back from the dead.
    pub recovered: AtomicU32,
}

/// A typed value; its format and two copies of its bytes follow it.
#[repr(C, align(64))]
#[derive(Default)]
pub struct ValueRecord {
    /// Held by who writes.
    pub lock: OwnerWord,
    /// How often it was written. The store that commits a write: the copy `version % 2` is the value.
    pub version: AtomicU64,
}

/// The start of an arena: the directory of named objects is the chain of blocks that follows.
#[repr(C, align(64))]
pub struct ArenaHeader {
    /// Held while the chain changes or is searched.
    pub lock: OwnerWord,
    /// Bytes of the arena that belong to the chain, this header included; 0 in a new arena. The store that commits a
    /// block at the end.
    pub used: AtomicU64,
}

/// The start of a block of the arena: a named object, or free space.
///
/// ```text
/// header (64) · name · members: one owner id a slot · payload       each part padded to 64 bytes
/// ```
#[repr(C, align(64))]
pub struct ObjectHeader {
    /// Bytes of the whole block, a multiple of 64. The store that splits or joins free blocks.
    pub size: AtomicU64,
    /// [`OBJECT_FREE`] or [`OBJECT_LIVE`]. The store that commits an object in a reused block, and its removal.
    pub state: AtomicU32,
    /// An [`ObjectKind`].
    pub kind: AtomicU32,
    /// Bytes of the name, which follows the header.
    pub name_len: AtomicU32,
    /// Unused.
    pub reserved: AtomicU32,
    /// Where the payload begins, bytes from the block's start.
    pub payload_offset: AtomicU64,
    /// Bytes of the payload.
    pub payload_len: AtomicU64,
    /// What the object was created with; an opener must ask for the same.
    pub parameters: [AtomicU64; 2],
}

/// [`ObjectHeader::state`]: free space.
pub const OBJECT_FREE: u32 = 0;
/// [`ObjectHeader::state`]: an object.
pub const OBJECT_LIVE: u32 = 0x0B1E_C7ED;

/// What a named object is.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ObjectKind {
    /// [`crate::Mutex`].
    Mutex = 16,
    /// [`crate::RwLock`].
    RwLock = 17,
    /// [`crate::Semaphore`] that anybody may release.
    Semaphore = 18,
    /// [`crate::Semaphore`] whose permits come back from the dead.
    TrackedSemaphore = 19,
    /// [`crate::Condvar`].
    Condvar = 20,
    /// [`crate::Event`].
    Event = 21,
    /// [`crate::Barrier`].
    Barrier = 22,
    /// [`crate::Atomic`] of `u32`.
    AtomicU32 = 23,
    /// [`crate::Atomic`] of `u64`.
    AtomicU64 = 24,
    /// [`crate::Atomic`] of `i64`.
    AtomicI64 = 25,
    /// [`crate::Heap`].
    Heap = 26,
    /// [`crate::Pool`].
    Pool = 27,
    /// [`crate::Value`].
    Value = 28,
}

impl ObjectKind {
    /// Every kind.
    pub const ALL: [ObjectKind; 13] = [
        ObjectKind::Mutex,
        ObjectKind::RwLock,
        ObjectKind::Semaphore,
        ObjectKind::TrackedSemaphore,
        ObjectKind::Condvar,
        ObjectKind::Event,
        ObjectKind::Barrier,
        ObjectKind::AtomicU32,
        ObjectKind::AtomicU64,
        ObjectKind::AtomicI64,
        ObjectKind::Heap,
        ObjectKind::Pool,
        ObjectKind::Value,
    ];

    /// The kind of this number.
    pub fn from_number(number: u32) -> Option<ObjectKind> {
        Self::ALL.into_iter().find(|kind| *kind as u32 == number)
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            ObjectKind::Mutex => "mutex",
            ObjectKind::RwLock => "rwlock",
            ObjectKind::Semaphore => "semaphore",
            ObjectKind::TrackedSemaphore => "tracked semaphore",
            ObjectKind::Condvar => "condvar",
            ObjectKind::Event => "event",
            ObjectKind::Barrier => "barrier",
            ObjectKind::AtomicU32 => "atomic u32",
            ObjectKind::AtomicU64 => "atomic u64",
            ObjectKind::AtomicI64 => "atomic i64",
            ObjectKind::Heap => "heap",
            ObjectKind::Pool => "pool",
            ObjectKind::Value => "value",
        }
    }
}

/// How far a slot's generation goes on when it is taken for the first time since the machine started. After a power cut the
/// table may be older on the disk than lock words are: an owner id that was given out shortly before must not be given to
/// somebody else.
pub const GENERATION_JUMP: u32 = 1 << 17;

/// One attachment. All but `generation` and `boot` is for people who look at the region; no decision rests on it.
#[repr(C, align(64))]
pub struct Slot {
    /// Counts the owners of this slot. What an older generation owned belongs to a dead process.
    pub generation: AtomicU32,
    /// [`SLOT_FREE`] or [`SLOT_LIVE`].
    pub state: AtomicU32,
    /// Process id, as seen in the owner's own namespace.
    pub pid: AtomicU32,
    /// The machine's run, as [`GENERATION_JUMP`] wants to know it: a part of its boot id. 0: not known.
    pub boot: AtomicU32,
    /// Inode number of the owner's PID namespace.
    pub pid_namespace: AtomicU64,
    /// When the owner attached, nanoseconds of CLOCK_MONOTONIC.
    pub attached_ns: AtomicU64,
    /// The owner's command name.
    pub label: [AtomicU64; 2],
    /// Offset of the word that a thread of the owner sleeps on, from the region's start; 0 when none does.
    pub waits_for: AtomicU64,
    /// When it began to, nanoseconds of CLOCK_MONOTONIC.
    pub waits_ns: AtomicU64,
}

/// Offset of the [`LiveHeader`], in bytes.
pub const LIVE_HEADER_OFFSET: usize = 128;
/// Offset of the region's guard, a [`MutexRecord`]; 128 bytes from its neighbours, so that the processor's adjacent-line
/// prefetch (Intel optimisation manual, 2.1.5.4) does not make it bounce with them.
pub const GUARD_OFFSET: usize = 256;

const _: () = {
    assert!(size_of::<FixedHeader>() == 104 && size_of::<FixedHeader>() <= LIVE_HEADER_OFFSET);
    assert!(offset_of!(FixedHeader, checksum) + 4 == size_of::<FixedHeader>());
    assert!(MAX_SLOT_COUNT < 1 << (OWNER_GENERATION_SHIFT - OWNER_SLOT_SHIFT));
};

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<LiveHeader>() == 64 && LIVE_HEADER_OFFSET + 64 <= GUARD_OFFSET);
    assert!(size_of::<MutexRecord>() == 64 && GUARD_OFFSET + 64 <= HEADER_SIZE);
    assert!(size_of::<OwnerWord>() == 24 && offset_of!(OwnerWord, word) == 0);
    assert!(size_of::<RwLockRecord>() == 64 && size_of::<Mark>() == MARK_STRIDE);
    assert!(size_of::<WordRecord>() == 64 && size_of::<TrackedRecord>() == 64);
    assert!(size_of::<BarrierRecord>() == 64 && size_of::<AtomicRecord>() == 64);
    assert!(size_of::<HeapRecord>() == 640 && offset_of!(HeapRecord, bins) == 72);
    assert!(size_of::<PoolRecord>() == 64 && size_of::<ValueRecord>() == 64);
    assert!(size_of::<ArenaHeader>() == 64 && size_of::<ObjectHeader>() == 64);
    assert!(size_of::<Slot>() == SLOT_SIZE && align_of::<Slot>() == 64);
    assert!(offset_of!(Slot, state) == 4 && offset_of!(Slot, label) == 32);
};
