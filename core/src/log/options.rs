//! What a log is to be like.

use std::path::PathBuf;
use std::time::Duration;

use super::{Log, control};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{self, LogParameters};
use crate::segment::SegmentOptions;

/// When records reach the disk. The policy is the log's: all who append follow it.
///
/// | policy | what survives a killed process | what survives a power cut | an append takes |
/// |---|---|---|---|
/// | `None` | all | what the kernel has written by itself, usually all but the last 30 s | memory speed |
/// | `Interval` | all | all but the last interval | memory speed |
/// | `Bytes` | all | all but so many bytes, and what a flush is at | memory speed |
/// | `Group` | all | every record whose append has returned | one flush, shared by all who wait |
/// | `Every` | all | every record whose append has returned | one flush of its own |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// Nobody flushes, unless asked to.
    None,
    /// A thread of each process that appends sees to it that what is this old is flushed.
    Interval(Duration),
    /// A flush begins when so many bytes were appended since the last one.
    Bytes(u64),
    /// An append returns when its record is on the disk. All who wait share a flush, across processes.
    Group,
    /// As `Group`, but each append makes a flush of its own.
    Every,
}

impl Durability {
    /// Number and value, as the parameters carry them and C gives them.
    pub fn to_numbers(self) -> (u32, u64) {
        match self {
            Durability::None => (0, 0),
            Durability::Interval(interval) => (1, u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX)),
            Durability::Bytes(bytes) => (2, bytes),
            Durability::Group => (3, 0),
            Durability::Every => (4, 0),
        }
    }

    /// The policy behind the numbers; `None` for numbers that mean nothing.
    pub fn from_numbers(number: u32, value: u64) -> Option<Durability> {
        Some(match number {
            0 => Durability::None,
            1 if value > 0 => Durability::Interval(Duration::from_nanos(value)),
            2 if value > 0 => Durability::Bytes(value),
            3 => Durability::Group,
            4 => Durability::Every,
            _ => return None,
        })
    }
}

/// Options for a [`Log`].
#[derive(Clone, Debug)]
pub struct LogOptions {
    pub(super) files: SegmentOptions,
    pub(super) mode: u32,
    capacity: u64,
    max_record_len: Option<u64>,
    max_age: Duration,
    retain_count: u64,
    retain_bytes: u64,
    durability: Durability,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions {
            files: SegmentOptions::new(),
            mode: 0o600,
            capacity: 64 << 20,
            max_record_len: None,
            max_age: Duration::ZERO,
            retain_count: 0,
            retain_bytes: 0,
            durability: Durability::None,
        }
    }
}

impl LogOptions {
    /// Segments of 64 MiB that are all kept, no flushes, mode 0600.
    pub fn new() -> LogOptions {
        LogOptions::default()
    }

    /// Permission bits of the files, exactly: the umask does not apply. The directory gets the same, with leave to search
    /// where there is leave to read.
    pub fn mode(mut self, mode: u32) -> LogOptions {
        self.mode = mode;
        self.files = self.files.mode(mode);
        self
    }

    /// Record bytes of a segment file, 4 KiB to 1 GiB; rounded up to a multiple of 4 KiB. A segment that is full is left
    /// for the next.
    pub fn segment_len(mut self, bytes: u64) -> LogOptions {
        self.capacity = bytes;
        self
    }

    /// The longest record, in bytes. A record is never split, so at most what a segment holds; the default is a quarter of
    /// that.
    pub fn max_record_len(mut self, bytes: u64) -> LogOptions {
        self.max_record_len = Some(bytes);
        self
    }

    /// A segment whose first record is this old is left for the next, full or not. Zero: only when it is full.
    pub fn max_age(mut self, age: Duration) -> LogOptions {
        self.max_age = age;
        self
    }

    /// Keep so many segments and remove the oldest beyond that. 0: keep all.
    pub fn retain_count(mut self, segments: u64) -> LogOptions {
        self.retain_count = segments;
        self
    }

    /// Keep so many record bytes, in whole segments, and remove older segments. 0: keep all.
    pub fn retain_bytes(mut self, bytes: u64) -> LogOptions {
        self.retain_bytes = bytes;
        self
    }

    /// When records reach the disk.
    pub fn durability(mut self, durability: Durability) -> LogOptions {
        self.durability = durability;
        self
    }

    /// Creates a log in this directory, which is made if it is missing.
    ///
    /// Errors: `AlreadyExists`, `InvalidArgument`, `NotFound` (the directory's parent), `NoSpace`, `PermissionDenied`,
    /// `Unsupported` (a file system without open-file-description locks).
    pub fn create(&self, directory: impl Into<PathBuf>) -> Result<Log> {
        control::create(self, &directory.into()).and_then(Log::over)
    }

    /// Opens the log in this directory, or creates it. Of several at once, one creates and all get its log.
    ///
    /// Errors: `ParameterMismatch` when it exists with other parameters; those of [`Log::open`] and [`LogOptions::create`].
    pub fn open_or_create(&self, directory: impl Into<PathBuf>) -> Result<Log> {
        let (operation, directory) = ("open or create log", directory.into());
        let wanted = self.parameters(operation, &directory)?;
        let found = match control::open(&directory, true) {
            Err(error) if error.kind() == ErrorKind::NotFound => match control::create(self, &directory) {
                Err(exists) if exists.kind() == ErrorKind::AlreadyExists => {
                    // Somebody was faster; or it is not the control object that exists.
                    control::open(&directory, true).map_err(|error| match error.kind() {
                        ErrorKind::NotFound => exists,
                        _ => error,
                    })?
                }
                created => created?,
            },
            found => found?,
        };
        if found.parameters != wanted {
            return Err(Error::new(ErrorKind::ParameterMismatch, operation, directory.to_string_lossy())
                .with_detail(differences(&found.parameters, &wanted)));
        }
        Log::over(found)
    }

    /// The parameters that these options make, or what is wrong with them.
    pub(super) fn parameters(
        &self,
        operation: &'static str,
        directory: &std::path::Path,
    ) -> Result<LogParameters> {
        let wrong = |text: String| {
            Err(Error::new(ErrorKind::InvalidArgument, operation, directory.to_string_lossy())
                .with_detail(text))
        };
        let limits = layout::LOG_MIN_CAPACITY..=layout::LOG_MAX_CAPACITY;
        if !limits.contains(&self.capacity) {
            return wrong(format!("segments of {} bytes, {limits:?} are possible", self.capacity));
        }
        let capacity = self.capacity.next_multiple_of(layout::LOG_MIN_CAPACITY);
        let header = layout::LOG_RECORD_HEADER_SIZE as u64;
        let max_record_len = self.max_record_len.unwrap_or(capacity / 4 - header);
        if max_record_len > capacity - header {
            return wrong(format!("records of {max_record_len} bytes in segments of {capacity}"));
        }
        let (durability, durability_value) = self.durability.to_numbers();
        if Durability::from_numbers(durability, durability_value).is_none() {
            return wrong(format!("{:?} is never", self.durability));
        }
        let mut parameters = LogParameters {
            magic: layout::LOG_MAGIC,
            capacity,
            max_record_len,
            max_age_ns: u64::try_from(self.max_age.as_nanos()).unwrap_or(u64::MAX),
            retain_count: self.retain_count,
            retain_bytes: self.retain_bytes,
            durability,
            reserved: 0,
            durability_value,
            checksum: 0,
            reserved_end: 0,
        };
        parameters.checksum = control::checksum(&parameters);
        Ok(parameters)
    }
}

/// What two logs differ in.
fn differences(found: &LogParameters, wanted: &LogParameters) -> String {
    let durability = |of: &LogParameters| Durability::from_numbers(of.durability, of.durability_value);
    let number = |name: &str, found: u64, wanted: u64| {
        (found != wanted).then(|| format!("{name} {found}, not {wanted}"))
    };
    let (has, asked) = (durability(found), durability(wanted));
    let durability = (has != asked).then(|| match (has, asked) {
        (Some(has), Some(asked)) => format!("durability {has:?}, not {asked:?}"),
        _ => "another durability".to_owned(),
    });
    let all = [
        number("segment_len", found.capacity, wanted.capacity),
        number("max_record_len", found.max_record_len, wanted.max_record_len),
        number("max_age_ns", found.max_age_ns, wanted.max_age_ns),
        number("retain_count", found.retain_count, wanted.retain_count),
        number("retain_bytes", found.retain_bytes, wanted.retain_bytes),
        durability,
    ];
    format!("it has {}", all.into_iter().flatten().collect::<Vec<_>>().join("; "))
}
