//! The options for a log, as C sees them.

use std::mem::size_of;
use std::time::Duration;

use core_crate::{Durability, LogOptions, Result};

use crate::boundary::Call;
use crate::options::{self, Options};

/// Open for reading only: nothing in the log changes.
pub const LOG_READ_ONLY: u32 = 1 << 0;

/// When records reach the disk; docs/log.md says what survives what.
#[repr(u32)]
#[derive(Clone, Copy)]
#[cfg_attr(not(test), expect(dead_code, reason = "callers pass the numbers"))]
pub enum DurabilityPolicy {
    /// Nobody flushes, unless asked to. The default.
    None = 0,
    /// What is `durability_value` nanoseconds old is flushed, by a thread of each process that appends.
    Interval = 1,
    /// A flush begins when `durability_value` bytes were appended since the last one.
    Bytes = 2,
    /// An append returns when its record is on the disk. All who wait share a flush, across processes.
    Group = 3,
    /// As SHMKIT_DURABILITY_GROUP, but each append makes a flush of its own.
    Every = 4,
}

/// How a log is created or opened. NULL in its place, SHMKIT_LOG_OPTIONS_INIT, and all zeros but the size mean the same:
/// the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LogChoices {
    /// sizeof(shmkit_log_options_t).
    pub size: usize,
    /// SHMKIT_LOG_READ_ONLY.
    pub flags: u32,
    /// Permission bits of the files, exactly: the umask does not apply. 0: 0600.
    pub mode: u32,
    /// Record bytes of a segment file, 4 KiB to 1 GiB; a segment that is full is left for the next. 0: 64 MiB.
    pub segment_len: u64,
    /// The longest record, in bytes. A record is never split. 0: a quarter of a segment.
    pub max_record_len: u64,
    /// A segment whose first record is this old is left for the next, in nanoseconds. 0: only when it is full.
    pub max_age_ns: u64,
    /// Keep so many segments and remove the oldest beyond that. 0: keep all.
    pub retain_count: u64,
    /// Keep so many record bytes, in whole segments, and remove older segments. 0: keep all.
    pub retain_bytes: u64,
    /// A shmkit_durability_t.
    pub durability: u32,
    /// 0.
    pub reserved: u32,
    /// Nanoseconds for SHMKIT_DURABILITY_INTERVAL, bytes for SHMKIT_DURABILITY_BYTES, else 0.
    pub durability_value: u64,
}

const _: () = assert!(size_of::<LogChoices>() == 72);

// SAFETY: integers only, in an order without padding.
unsafe impl Options for LogChoices {
    const DEFAULT: LogChoices = LogChoices {
        size: size_of::<LogChoices>(),
        flags: 0,
        mode: 0,
        segment_len: 0,
        max_record_len: 0,
        max_age_ns: 0,
        retain_count: 0,
        retain_bytes: 0,
        durability: 0,
        reserved: 0,
        durability_value: 0,
    };
}

impl LogChoices {
    /// # Safety
    /// As [`options::load`].
    pub(crate) unsafe fn load(given: *const LogChoices, call: &Call<'_>) -> Result<LogChoices> {
        // SAFETY: the caller's promise.
        let choices = unsafe { options::load(given, call) }?;
        call.check_flags(choices.flags, LOG_READ_ONLY)?;
        if choices.reserved != 0 {
            return Err(call.refuse("`reserved` is 0"));
        }
        Ok(choices)
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.flags & LOG_READ_ONLY != 0
    }

    /// The core's options.
    pub(crate) fn for_creation(&self, call: &Call<'_>) -> Result<LogOptions> {
        if self.is_read_only() {
            return Err(call.refuse("what is created cannot be read-only"));
        }
        let durability =
            Durability::from_numbers(self.durability, self.durability_value).ok_or_else(|| {
                call.refuse(format!("durability {} with value {}", self.durability, self.durability_value))
            })?;
        let mut options = LogOptions::new()
            .max_age(Duration::from_nanos(self.max_age_ns))
            .retain_count(self.retain_count)
            .retain_bytes(self.retain_bytes)
            .durability(durability);
        if self.mode != 0 {
            options = options.mode(self.mode);
        }
        if self.segment_len != 0 {
            options = options.segment_len(self.segment_len);
        }
        if self.max_record_len != 0 {
            options = options.max_record_len(self.max_record_len);
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers in C are those that the core stores.
    #[test]
    fn policies_have_the_numbers_of_the_core() {
        let policies = [
            (DurabilityPolicy::None, Durability::None, 0),
            (DurabilityPolicy::Interval, Durability::Interval(Duration::from_nanos(7)), 7),
            (DurabilityPolicy::Bytes, Durability::Bytes(9), 9),
            (DurabilityPolicy::Group, Durability::Group, 0),
            (DurabilityPolicy::Every, Durability::Every, 0),
        ];
        for (policy, durability, value) in policies {
            assert_eq!(durability.to_numbers(), (policy as u32, value));
            assert_eq!(Durability::from_numbers(policy as u32, value), Some(durability));
        }
    }
}
