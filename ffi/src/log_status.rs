//! `shmkit_log_status`, `shmkit_log_verify`: seeing what is in a log.

use std::mem::size_of;

use crate::boundary::{attempt, borrow};
use crate::error::{Details, Status};
use crate::log::LogHandle;

/// A log's parameters and counters. Each was true at some instant during the call. Yours: set `size` before the call.
#[repr(C)]
pub struct LogReport {
    /// sizeof(shmkit_log_status_t).
    pub size: usize,
    /// The oldest position that is kept.
    pub start: u64,
    /// Where the next record will be.
    pub end: u64,
    /// Everything before it is on the disk.
    pub flushed_to: u64,
    /// Record bytes of a segment.
    pub segment_len: u64,
    /// The longest record, in bytes.
    pub max_record_len: u64,
    /// A segment is left when its first record is this old; 0: never for that reason.
    pub max_age_ns: u64,
    /// Segments that are kept; 0: all.
    pub retain_count: u64,
    /// Record bytes that are kept; 0: all.
    pub retain_bytes: u64,
    /// A shmkit_durability_t.
    pub durability: u32,
    /// Living processes that are attached.
    pub attached: u32,
    /// Its nanoseconds or bytes.
    pub durability_value: u64,
    /// Segment files that are there.
    pub segments: u64,
    /// Segments that retention has removed.
    pub removed_segments: u64,
    /// Records whose writers died before they were complete.
    pub dead: u64,
    /// Records that were reserved and given up.
    pub abandoned: u64,
    /// Places that power cuts left incomplete.
    pub cuts: u64,
    /// Bytes of these places.
    pub cut_bytes: u64,
    /// How often the log was made ready after a start of the machine.
    pub recoveries: u64,
    /// Flushes that ended.
    pub flushes: u64,
    /// Flushes that failed.
    pub flush_failures: u32,
    /// The errno of the last one that failed; 0: none did.
    pub flush_errno: u32,
}

/// What a look at every byte of a log found. Yours: set `size` before the call.
#[repr(C)]
pub struct LogVerdict {
    /// sizeof(shmkit_log_verified_t).
    pub size: usize,
    /// Good records.
    pub records: u64,
    /// Their bytes.
    pub payload_bytes: u64,
    /// Records whose writers died before they were complete.
    pub dead: u64,
    /// Records that were given up.
    pub abandoned: u64,
    /// Records that are being written.
    pub claimed: u64,
    /// Bytes that fill the ends of segments and of records that were made shorter.
    pub fill_bytes: u64,
    /// Places that power cuts left incomplete.
    pub cuts: u64,
    /// Their bytes.
    pub cut_bytes: u64,
    /// Places that hold no records where some should be.
    pub corruptions: u64,
    /// Their bytes.
    pub corrupted_bytes: u64,
    /// Where it ended.
    pub end: u64,
    /// Bytes of segments that are missing. Those that retention removes meanwhile are not.
    pub missed_bytes: u64,
}

const _: () = assert!(size_of::<LogReport>() == 160 && size_of::<LogVerdict>() == 104);

/// Writes a log's parameters and counters into `*status`. Looking changes nothing and waits for nobody. Works on a closed
/// handle too. Fails with INVALID_ARGUMENT (the size), and what listing the directory reports.
///
/// # Safety
/// `log` is null or a handle; `status` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_status(
    log: *const LogHandle,
    status: *mut LogReport,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(log, "look at log")?;
            let place = handle.call("look at log").report(status)?;
            let seen = handle.log.status()?;
            let (durability, durability_value) = handle.log.durability().to_numbers();
            place.write(LogReport {
                size: size_of::<LogReport>(),
                start: seen.start,
                end: seen.end,
                flushed_to: seen.flushed_to,
                segment_len: seen.segment_len,
                max_record_len: seen.max_record_len,
                max_age_ns: seen.max_age_ns,
                retain_count: seen.retain_count,
                retain_bytes: seen.retain_bytes,
                durability,
                attached: seen.attached as u32,
                durability_value,
                segments: seen.segments.len() as u64,
                removed_segments: seen.removed_segments,
                dead: seen.dead,
                abandoned: seen.abandoned,
                cuts: seen.cuts,
                cut_bytes: seen.cut_bytes,
                recoveries: seen.recoveries,
                flushes: seen.flushes,
                flush_failures: seen.flush_failures,
                flush_errno: seen.flush_errno,
            });
            Ok(())
        })
    }
}

/// Looks at every byte that is kept, and writes what it found into `*verified`. It changes nothing, except that claims of
/// dead writers become padding. It takes as long as reading the log. Fails with CLOSED, and what mapping a segment reports.
///
/// # Safety
/// `log` is null or a handle; `verified` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_verify(
    log: *const LogHandle,
    verified: *mut LogVerdict,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(log, "verify log")?;
            let place = handle.call("verify log").report(verified)?;
            let seen = handle.log.verify(|_| ())?;
            place.write(LogVerdict {
                size: size_of::<LogVerdict>(),
                records: seen.records,
                payload_bytes: seen.payload_bytes,
                dead: seen.dead,
                abandoned: seen.abandoned,
                claimed: seen.claimed,
                fill_bytes: seen.fill_bytes,
                cuts: seen.cuts,
                cut_bytes: seen.cut_bytes,
                corruptions: seen.corruptions,
                corrupted_bytes: seen.corrupted_bytes,
                end: seen.end,
                missed_bytes: seen.missed_bytes,
            });
            Ok(())
        })
    }
}
