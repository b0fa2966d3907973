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
//! Nothing here is trusted when read: [`crate::region`] copies a header once, checks the copy, and uses only that.

use std::mem::{align_of, offset_of, size_of};

use bytemuck::{Pod, Zeroable};

use crate::atomic::{AtomicU32, AtomicU64};

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
}

/// A mutex in shared memory: the guard of a region, or a named object.
#[repr(C, align(64))]
#[derive(Default)]
pub struct MutexRecord {
    /// The lock word: owner id, `WORD_WAITERS`, `WORD_DIRTY`.
    pub word: AtomicU32,
    /// How often an owner died inside.
    pub deaths: AtomicU32,
}

/// One attachment. All but `generation` is for people who look at the region; no decision rests on it.
#[repr(C, align(64))]
pub struct Slot {
    /// Counts the owners of this slot. What an older generation owned belongs to a dead process.
    pub generation: AtomicU32,
    /// [`SLOT_FREE`] or [`SLOT_LIVE`].
    pub state: AtomicU32,
    /// Process id, as seen in the owner's own namespace.
    pub pid: AtomicU32,
    /// Unused.
    pub reserved: AtomicU32,
    /// Inode number of the owner's PID namespace.
    pub pid_namespace: AtomicU64,
    /// When the owner attached, nanoseconds of CLOCK_MONOTONIC.
    pub attached_ns: AtomicU64,
    /// The first 32 bytes of the owner's command name.
    pub label: [AtomicU64; 4],
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
    assert!(offset_of!(MutexRecord, word) == 0 && offset_of!(MutexRecord, deaths) == 4);
    assert!(size_of::<Slot>() == SLOT_SIZE && align_of::<Slot>() == 64);
    assert!(offset_of!(Slot, state) == 4 && offset_of!(Slot, label) == 32);
};
