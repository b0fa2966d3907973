//! The log's part of the shared format: the control object's user bytes, the segment files and the records in them.
//!
//! ```text
//! control                      a region; its user bytes are LogParameters · LogControl
//! segment-<base, 20 digits>.log
//!     0                        LogSegmentHeader · LogSegmentLive
//!     4096                     records, one behind the other, to the end of the file
//! ```
//!
//! A *position* counts record bytes since the log began: the byte of a segment file at `4096 + i` has position
//! `base + i`. All segments of a log have the same capacity, so that a position says which file it is in.

use std::mem::{align_of, offset_of, size_of};

use bytemuck::{Pod, Zeroable};

use super::OwnerWord;
use crate::atomic::{AtomicU32, AtomicU64};

/// The kind word of a segment file.
pub const KIND_LOG_SEGMENT: u32 = 2;
/// The first bytes of a control object's user bytes.
pub const LOG_MAGIC: [u8; 8] = *b"log\x1a\r\n\0\x01";
/// User bytes of a control object.
pub const LOG_CONTROL_LEN: usize = 4096;
/// Where [`LogControl`] is in the user bytes.
pub const LOG_CONTROL_OFFSET: usize = 256;
/// Attachment slots of a control object: how many processes can have a log open for appending.
pub const LOG_SLOT_COUNT: u32 = 1023;
/// The lock on this byte of the control object is held while a log is made ready, before anybody may append.
pub const LOG_GATE_BYTE: i64 = super::TOKEN_BASE - 1;
/// Name of the control object in the log's directory.
pub const LOG_CONTROL_NAME: &str = "control";
/// What stands before the base position in a segment file's name.
pub const LOG_SEGMENT_PREFIX: &str = "segment-";
/// What stands behind it.
pub const LOG_SEGMENT_SUFFIX: &str = ".log";

/// Bytes of a segment file before its records.
pub const LOG_SEGMENT_HEADER_SIZE: usize = 4096;
/// Where [`LogSegmentLive`] is in a segment file.
pub const LOG_SEGMENT_LIVE_OFFSET: usize = 128;
/// Record bytes of a segment: at least.
pub const LOG_MIN_CAPACITY: u64 = 4096;
/// Record bytes of a segment: at most.
pub const LOG_MAX_CAPACITY: u64 = 1 << 30;
/// Bytes of a record before its payload.
pub const LOG_RECORD_HEADER_SIZE: usize = 24;
/// Records begin on multiples of this.
pub const LOG_RECORD_ALIGN: usize = 8;

/// The tail of a log is less than so many bytes before the end of its last committed record.
pub const LOG_TAIL_LAG: u64 = 512;

/// First bit of a record word's state; the bits before it are the length.
pub const LOG_STATE_SHIFT: u32 = 32;
/// State of a record: claimed; its owner, in the bits above the state, writes it.
pub const LOG_CLAIMED: u32 = 1;
/// State of a record: complete.
pub const LOG_COMMITTED: u32 = 2;
/// State of a record: given up by its writer. Skipped.
pub const LOG_ABANDONED: u32 = 3;
/// State of a record: its writer died. Skipped.
pub const LOG_DEAD: u32 = 4;
/// State of space between records: skipped. The length counts all of it, this word included.
pub const LOG_FILL: u32 = 5;
/// As [`LOG_FILL`], where something stood that a power cut left incomplete.
pub const LOG_CUT: u32 = 6;

/// Results of so many flushes are kept.
pub const LOG_FLUSH_RESULTS: usize = 64;
/// First bit of a flush's number in [`LogControl::results`]; the bits before it are its errno.
pub const LOG_RESULT_SHIFT: u32 = 16;

/// What a log was created with: never changed, covered by a checksum.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
pub struct LogParameters {
    /// [`LOG_MAGIC`].
    pub magic: [u8; 8],
    /// Record bytes of each segment.
    pub capacity: u64,
    /// The longest payload, in bytes.
    pub max_record_len: u64,
    /// A segment is full when its first record is this old; 0: never for that reason.
    pub max_age_ns: u64,
    /// How many segments are kept; 0: all.
    pub retain_count: u64,
    /// How many record bytes are kept at least, if there are more segments than one; 0: all.
    pub retain_bytes: u64,
    /// The number of a durability policy.
    pub durability: u32,
    /// Unused.
    pub reserved: u32,
    /// Its nanoseconds or bytes.
    pub durability_value: u64,
    /// CRC-32C of all bytes before this one.
    pub checksum: u32,
    /// Unused.
    pub reserved_end: u32,
}

/// What changes while a log is used.
#[repr(C, align(128))]
pub struct LogControl {
    /// About where the next record will be: everybody who claims moves it forward when it is [`LOG_TAIL_LAG`] behind, and to
    /// the end of a segment when that is full.
    pub tail: AtomicU64,
    tail_alone: [AtomicU64; 15],
    /// What readers sleep on.
    pub signal: AtomicU32,
    /// How many flushes have failed.
    pub failures: AtomicU32,
    /// Where the log ended when the last flush that went well began.
    pub synced_to: AtomicU64,
    signal_alone: [AtomicU64; 14],
    /// Held by who flushes.
    pub flush_lock: OwnerWord,
    /// What waits for a flush sleeps on.
    pub flush_signal: AtomicU32,
    /// The errno of the last flush that failed.
    pub failed_errno: AtomicU32,
    /// Number of flushes begun.
    pub started: AtomicU64,
    /// Number of the last flush that ended.
    pub done: AtomicU64,
    /// Everything before this position is complete and on the disk.
    pub flushed_to: AtomicU64,
    /// Number of the last flush that failed; 0: none.
    pub failed: AtomicU64,
    /// How many waits for a flush have begun.
    pub joined: AtomicU64,
    /// How many had when the last flush began.
    pub joined_before: AtomicU64,
    /// How many waited for the last flush or came meanwhile.
    pub company: AtomicU64,
    /// How long it took, in nanoseconds.
    pub flush_ns: AtomicU64,
    flush_alone: [AtomicU64; 4],
    /// How the last flushes ended, by number modulo the length: number << 16 | errno.
    pub results: [AtomicU64; LOG_FLUSH_RESULTS],
    /// Held by who removes segments.
    pub upkeep_lock: OwnerWord,
    /// The oldest position that is kept. Raised before the file goes.
    pub start: AtomicU64,
    /// Segments removed by retention.
    pub removed_segments: AtomicU64,
    /// Records whose writers died, made padding.
    pub dead: AtomicU64,
    /// Records given up by their writers.
    pub abandoned: AtomicU64,
    /// Places that power cuts left incomplete.
    pub cuts: AtomicU64,
    /// Bytes of these places.
    pub cut_bytes: AtomicU64,
    /// How often the log was made ready after a start of the machine.
    pub recoveries: AtomicU64,
    upkeep_alone: [AtomicU64; 6],
    /// The machine's start, and the device and inode number of the control object, for which the log was made ready. The
    /// last word commits.
    pub home: [AtomicU64; 4],
}

/// The start of a segment file: never changed.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct LogSegmentHeader {
    /// [`super::MAGIC`].
    pub magic: [u8; 8],
    /// [`super::LAYOUT_VERSION`].
    pub layout_version: u32,
    /// [`KIND_LOG_SEGMENT`].
    pub kind: u32,
    /// [`LOG_SEGMENT_HEADER_SIZE`].
    pub header_size: u32,
    /// [`LOG_RECORD_HEADER_SIZE`].
    pub record_header_size: u32,
    /// Position of the first record byte.
    pub base: u64,
    /// Record bytes.
    pub capacity: u64,
    /// Time of creation, nanoseconds since 1970.
    pub created_ns: u64,
    /// The id of the control object's region.
    pub log_id: [u8; 16],
    /// Unused.
    pub reserved: u32,
    /// CRC-32C of all bytes before this one.
    pub checksum: u32,
}

/// The part of a segment's header that changes.
#[repr(C, align(64))]
pub struct LogSegmentLive {
    /// The time stamp of the first record, nanoseconds since 1970; 0: none yet.
    pub first_ns: AtomicU64,
}

/// The start of a record, before its payload.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct LogRecordHeader {
    /// Length of the payload in the low 32 bits, then the state (3 bits), then the owner's id while it is claimed. 0: nothing
    /// is here yet. The claim is one compare-and-swap of this word, and so is the commit.
    pub word: u64,
    /// CRC-32C of length, kind, time stamp and position (4, 4, 8 and 8 bytes) and the payload.
    pub checksum: u32,
    /// What the writer calls a kind.
    pub kind: u32,
    /// CLOCK_REALTIME, nanoseconds since 1970.
    pub time_ns: u64,
}

const _: () = {
    assert!(size_of::<LogParameters>() == 72 && size_of::<LogParameters>() <= LOG_CONTROL_OFFSET);
    assert!(offset_of!(LogParameters, checksum) == 64);
    assert!(size_of::<LogSegmentHeader>() == 72 && size_of::<LogSegmentHeader>() <= LOG_SEGMENT_LIVE_OFFSET);
    assert!(offset_of!(LogSegmentHeader, checksum) == 68);
    assert!(size_of::<LogRecordHeader>() == LOG_RECORD_HEADER_SIZE);
    assert!(LOG_RECORD_HEADER_SIZE.is_multiple_of(LOG_RECORD_ALIGN));
    assert!(LOG_MAX_CAPACITY < 1 << LOG_STATE_SHIFT && LOG_CUT < 1 << super::OWNER_SLOT_SHIFT);
};

#[cfg(not(loom))]
const _: () = {
    assert!(LOG_CONTROL_OFFSET + size_of::<LogControl>() <= LOG_CONTROL_LEN);
    assert!(align_of::<LogControl>() == 128);
    assert!(offset_of!(LogControl, tail) == 0 && offset_of!(LogControl, signal) == 128);
    assert!(offset_of!(LogControl, synced_to) == 136 && offset_of!(LogControl, flush_lock) == 256);
    assert!(offset_of!(LogControl, flush_signal) == 280 && offset_of!(LogControl, started) == 288);
    assert!(offset_of!(LogControl, results) == 384 && offset_of!(LogControl, upkeep_lock) == 896);
    assert!(offset_of!(LogControl, start) == 920 && offset_of!(LogControl, home) == 1024);
    assert!(size_of::<LogControl>() == 1152 && size_of::<LogSegmentLive>() == 64);
};
