//! `shmkit_log_words`, `shmkit_log_segment_*`: for languages that append without a call into this library.

use std::ffi::c_void;
use std::mem::size_of;

use core_crate::{ErrorKind, LogSegment};

use crate::boundary::{answer, attempt, borrow};
use crate::error::{Details, Status};
use crate::log::LogHandle;
use crate::object;

/// The shared words of a log, and its parameters. The addresses live as long as the log's handle. Set `size` before the call.
///
/// To append a record: check its length; load `me`, which must not be 0; find the segment that `*tail` is in; from its place
/// there step over words that are not 0, which are others' records, to the first one that is; compare-and-swap it from 0 to
/// me << SHMKIT_LOG_STATE_SHIFT, with SHMKIT_LOG_CLAIMED, and the length; if the claim ends at the segment's end, or
/// SHMKIT_LOG_TAIL_LAG bytes or more behind `*tail`, move the tail there by compare-and-swap, until that is no more so; fill
/// in payload, time stamp, kind and checksum; compare-and-swap the word from the claim to SHMKIT_LOG_COMMITTED and the
/// length. Whatever is not the usual case (no segment, no room, `*failures` has changed) is left to
/// shmkit_log_append. After the commit, call shmkit_log_after_commit if SHMKIT_WORD_WAITERS is set in `*signal` or the
/// policy asks for it. docs/format.md has the bytes.
#[repr(C)]
pub struct LogWordsView {
    /// sizeof(shmkit_log_words_t).
    pub size: usize,
    /// About where the next record will be: see SHMKIT_LOG_TAIL_LAG.
    pub tail: *mut u64,
    /// What readers sleep on.
    pub signal: *mut u32,
    /// How many flushes have failed.
    pub failures: *const u32,
    /// Where the log ended when the last flush that went well began.
    pub synced_to: *const u64,
    /// Number of flushes begun: a commit before this load is carried by the flush with the next number.
    pub started: *const u64,
    /// This process's owner id.
    pub me: *const u32,
    /// Record bytes of a segment.
    pub segment_len: u64,
    /// The longest record, in bytes.
    pub max_record_len: u64,
    /// A segment is left when its first record is this old; 0: never for that reason.
    pub max_age_ns: u64,
    /// A shmkit_durability_t.
    pub durability: u32,
    /// 0.
    pub reserved: u32,
    /// Its nanoseconds or bytes.
    pub durability_value: u64,
}

const _: () = assert!(size_of::<LogWordsView>() == 96);

/// A segment that is kept mapped.
pub struct LogSegmentHandle(LogSegment);

/// Where a segment is. Set `size` before the call. The addresses live as long as the segment's handle.
#[repr(C)]
pub struct LogSegmentView {
    /// sizeof(shmkit_log_segment_view_t).
    pub size: usize,
    /// Position of its first record byte.
    pub base: u64,
    /// Number of its record bytes.
    pub len: u64,
    /// Its first record byte.
    pub records: *mut c_void,
    /// The time stamp of its first record, 0 for none yet: who claims that record stores it.
    pub first_ns: *mut u64,
    /// Not 0 once the file was cut and what is missing was touched: look at it before a commit. NULL without the fault guard.
    pub damage: *const u32,
}

const _: () = assert!(size_of::<LogSegmentView>() == 48);

const VIEW: &str = "view log";

/// Stores the addresses of a log's words. Fails with READ_ONLY, CLOSED.
///
/// # Safety
/// `log` is null or a handle; `words` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_words(
    log: *const LogHandle,
    words: *mut LogWordsView,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(log, VIEW)?;
            let call = handle.call(VIEW);
            let place = call.report(words)?;
            if handle.log.is_closed() {
                return Err(call.error(ErrorKind::Closed));
            }
            let found = handle.log.words().ok_or_else(|| call.error(ErrorKind::ReadOnly))?;
            let (durability, durability_value) = handle.log.durability().to_numbers();
            place.write(LogWordsView {
                size: size_of::<LogWordsView>(),
                tail: found.control.tail.as_ptr(),
                signal: found.control.signal.as_ptr(),
                failures: found.control.failures.as_ptr(),
                synced_to: found.control.synced_to.as_ptr(),
                started: found.control.started.as_ptr(),
                me: found.me.as_ptr(),
                segment_len: handle.log.segment_len(),
                max_record_len: handle.log.max_record_len() as u64,
                max_age_ns: handle.log.max_age_ns(),
                durability,
                reserved: 0,
                durability_value,
            });
            Ok(())
        })
    }
}

/// Keeps the segment mapped that this handle appends to, and says where it is. On success `*out` is a handle for
/// shmkit_log_segment_free, else NULL. Fails with WOULD_BLOCK before the handle's first append, CLOSED.
///
/// # Safety
/// `log` is null or a handle; `out`, `view` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_segment_current(
    log: *const LogHandle,
    out: *mut *mut LogSegmentHandle,
    view: *mut LogSegmentView,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(log, VIEW)?;
            let call = handle.call(VIEW);
            call.clear(out)?;
            let place = call.report(view)?;
            if handle.log.is_closed() {
                return Err(call.error(ErrorKind::Closed));
            }
            let segment = handle.log.current_segment().ok_or_else(|| call.error(ErrorKind::WouldBlock))?;
            let first_ns = segment.first_ns().ok_or_else(|| call.error(ErrorKind::Internal))?.as_ptr();
            place.write(LogSegmentView {
                size: size_of::<LogSegmentView>(),
                base: segment.base(),
                len: segment.capacity() as u64,
                records: segment.records().cast(),
                first_ns,
                damage: segment.damage_word().map_or(std::ptr::null(), |word| word.as_ptr().cast_const()),
            });
            out.write(Box::into_raw(Box::new(LogSegmentHandle(segment))));
            Ok(())
        })
    }
}

/// Faults pages in before they are written: those up to record byte `end`, and some behind them. Returns up to where that is
/// done; 0 for NULL.
///
/// # Safety
/// `segment` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_segment_touch(
    segment: *const LogSegmentHandle,
    offset: u64,
    end: u64,
) -> u64 {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { segment.as_ref() }.map(|held| held.0.touch(offset as usize, end as usize) as u64))
}

/// Gives a segment back. NULL is allowed.
///
/// # Safety
/// `segment` is null or a handle that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_segment_free(segment: *mut LogSegmentHandle) {
    answer((), || {
        // SAFETY: the caller's promise.
        unsafe { object::free(segment) };
        Some(())
    });
}

/// What follows a commit that was made on the words: readers that sleep are woken, and the policy sees to the disk, but
/// nobody waits for it. NULL is allowed.
///
/// # Safety
/// `log` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_after_commit(log: *const LogHandle) {
    answer((), || {
        // SAFETY: the caller's promise.
        unsafe { log.as_ref() }?.log.after_commit();
        Some(())
    });
}
