//! The one list of what can go wrong. Every language shows these kinds under the same number and name; a number is
//! never reused.
//!
//! An [`Error`] names the operation, the object and the `errno` behind it, and its text says what to do next.

use std::fmt;
use std::io;

use nix::errno::Errno;

/// What went wrong, as a stable number.
///
/// The numbers are part of the C ABI (`shmkit_status_t`), where 0 is success.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No object has this name.
    NotFound = 1,
    /// An object with this name exists already, and creation is exclusive.
    AlreadyExists = 2,
    /// The system refused access.
    PermissionDenied = 3,
    /// The name breaks the rules: `[A-Za-z0-9._-]`, 1 to 200 bytes.
    InvalidName = 4,
    /// A length of zero, or one that no address space holds.
    InvalidLength = 5,
    /// Options that contradict each other, or a value outside its limits.
    InvalidArgument = 6,
    /// An offset or a range that leaves the mapping.
    OutOfRange = 7,
    /// The file system cannot hold the length asked for.
    NoSpace = 8,
    /// The system is out of memory, mappings or descriptors.
    OutOfMemory = 9,
    /// The file does not begin as an object of this library does.
    BadMagic = 10,
    /// The object was written by another layout version.
    VersionMismatch = 11,
    /// The name belongs to an object of another kind.
    WrongKind = 12,
    /// The file is shorter than the object it holds.
    Truncated = 13,
    /// The object's own description contradicts itself.
    Corrupted = 14,
    /// The object exists with another size than the one asked for.
    SizeMismatch = 15,
    /// The name now belongs to another object than the one meant.
    Replaced = 16,
    /// A write through a read-only handle or view.
    ReadOnly = 17,
    /// The handle was closed.
    Closed = 18,
    /// Something is still in use: a live view, or a lock that is held.
    Busy = 19,
    /// The last owner died while it held the lock; what the lock guards may be half-written.
    OwnerDied = 20,
    /// The time limit passed.
    Timeout = 21,
    /// What was asked for is not free, and waiting was not asked for.
    WouldBlock = 22,
    /// This process does not hold the lock, or does not have the block.
    NotOwner = 23,
    /// A signal ended the wait.
    Interrupted = 24,
    /// All attachment slots of the region belong to living processes.
    TooManyAttachments = 25,
    /// The system or the file system lacks something that is needed here.
    Unsupported = 26,
    /// The system reported an error that has no kind of its own: see the errno.
    Io = 27,
    /// A defect in this library: it stopped before it could do harm.
    Internal = 28,
    /// The object exists with other parameters than those asked for.
    ParameterMismatch = 29,
    /// A participant of the barrier died, or somebody broke it.
    Broken = 30,
    /// More than the object's maximum.
    LimitExceeded = 31,
    /// Not a block of this object that is in use, or not in use by this process.
    InvalidBlock = 32,
    /// What the handle named has passed to somebody else, or is gone.
    StaleHandle = 34,
    /// The file under a mapping was cut while it was mapped: what was missing reads as zeros.
    MappingTruncated = 38,
    /// What a reader of a log wanted next was removed before it came to it.
    Missed = 40,
    /// A record that is longer than the log takes.
    RecordTooLarge = 41,
}

impl ErrorKind {
    /// Every kind, by number.
    pub const ALL: [ErrorKind; 36] = [
        ErrorKind::NotFound,
        ErrorKind::AlreadyExists,
        ErrorKind::PermissionDenied,
        ErrorKind::InvalidName,
        ErrorKind::InvalidLength,
        ErrorKind::InvalidArgument,
        ErrorKind::OutOfRange,
        ErrorKind::NoSpace,
        ErrorKind::OutOfMemory,
        ErrorKind::BadMagic,
        ErrorKind::VersionMismatch,
        ErrorKind::WrongKind,
        ErrorKind::Truncated,
        ErrorKind::Corrupted,
        ErrorKind::SizeMismatch,
        ErrorKind::Replaced,
        ErrorKind::ReadOnly,
        ErrorKind::Closed,
        ErrorKind::Busy,
        ErrorKind::OwnerDied,
        ErrorKind::Timeout,
        ErrorKind::WouldBlock,
        ErrorKind::NotOwner,
        ErrorKind::Interrupted,
        ErrorKind::TooManyAttachments,
        ErrorKind::Unsupported,
        ErrorKind::Io,
        ErrorKind::Internal,
        ErrorKind::ParameterMismatch,
        ErrorKind::Broken,
        ErrorKind::LimitExceeded,
        ErrorKind::InvalidBlock,
        ErrorKind::StaleHandle,
        ErrorKind::MappingTruncated,
        ErrorKind::Missed,
        ErrorKind::RecordTooLarge,
    ];

    /// The kind of this number, as it crosses the C ABI.
    pub fn from_number(number: u32) -> Option<ErrorKind> {
        Self::ALL.into_iter().find(|kind| *kind as u32 == number)
    }

    /// The name that all languages share, for example `NotFound`.
    pub fn name(self) -> &'static str {
        self.facts().0
    }

    /// What happened, as a clause that follows the object's name.
    pub fn description(self) -> &'static str {
        self.facts().1
    }

    /// What to do next.
    pub fn advice(self) -> &'static str {
        self.facts().2
    }

    /// The errno that a caller expects when no system call failed.
    pub fn default_errno(self) -> i32 {
        use ErrorKind::*;
        match self {
            NotFound => libc::ENOENT,
            AlreadyExists => libc::EEXIST,
            PermissionDenied | ReadOnly => libc::EACCES,
            InvalidName | InvalidLength | InvalidArgument | OutOfRange | WrongKind | SizeMismatch
            | ParameterMismatch | InvalidBlock => libc::EINVAL,
            BadMagic | VersionMismatch | Corrupted | Truncated | MappingTruncated => libc::EPROTO,
            NoSpace => libc::ENOSPC,
            OutOfMemory => libc::ENOMEM,
            Replaced | StaleHandle => libc::ESTALE,
            Closed => libc::EBADF,
            Busy => libc::EBUSY,
            OwnerDied => libc::EOWNERDEAD,
            Timeout => libc::ETIMEDOUT,
            WouldBlock => libc::EAGAIN,
            NotOwner => libc::EPERM,
            Interrupted => libc::EINTR,
            TooManyAttachments => libc::EUSERS,
            Unsupported => libc::EOPNOTSUPP,
            Broken => libc::EPIPE,
            LimitExceeded => libc::EOVERFLOW,
            Missed => libc::ENODATA,
            RecordTooLarge => libc::EMSGSIZE,
            Io | Internal => libc::EIO,
        }
    }

    /// Name, description and advice: the one table behind every message in every language.
    fn facts(self) -> (&'static str, &'static str, &'static str) {
        use ErrorKind::*;
        match self {
            NotFound => ("NotFound", "does not exist", "create it first, or use open_or_create"),
            AlreadyExists => (
                "AlreadyExists",
                "exists already",
                "open it, use open_or_create, or unlink it if nobody needs it",
            ),
            PermissionDenied => (
                "PermissionDenied",
                "the system refused access",
                "ask the owner for a mode or group that admits you, or open it read-only",
            ),
            InvalidName => {
                ("InvalidName", "is not a valid name", "use 1 to 200 of the characters A-Z a-z 0-9 . _ -")
            }
            InvalidLength => (
                "InvalidLength",
                "the length is not usable",
                "ask for at least 1 byte, and for less than the address space",
            ),
            InvalidArgument => {
                ("InvalidArgument", "an argument is not usable", "see the limits in the documentation")
            }
            OutOfRange => ("OutOfRange", "the range is outside", "stay between 0 and the length"),
            NoSpace => (
                "NoSpace",
                "there is not enough space",
                "ask for less, free space, or raise the file system's limit",
            ),
            OutOfMemory => (
                "OutOfMemory",
                "the system is out of memory or descriptors",
                "release some, or raise the limit",
            ),
            BadMagic => ("BadMagic", "is not an object of this library", "check the name or path"),
            VersionMismatch => (
                "VersionMismatch",
                "has another layout version",
                "use the library version that made it, or unlink it and create it again",
            ),
            WrongKind => ("WrongKind", "is of another kind", "open it as what it is, or choose another name"),
            Truncated => (
                "Truncated",
                "the file is shorter than what it holds",
                "somebody cut it; unlink it and create it again",
            ),
            Corrupted => {
                ("Corrupted", "contradicts itself", "somebody overwrote it; unlink it and create it again")
            }
            SizeMismatch => {
                ("SizeMismatch", "exists with another size", "ask for the same size, or open it without one")
            }
            Replaced => {
                ("Replaced", "was replaced by another object of the same name", "open the new one by name")
            }
            ReadOnly => ("ReadOnly", "is read-only here", "open it for reading and writing"),
            Closed => ("Closed", "this handle is closed", "open the object again"),
            Busy => ("Busy", "is still in use", "release its views and locks first"),
            OwnerDied => (
                "OwnerDied",
                "the last owner died while it held the lock",
                "repair what the lock guards, then call make_consistent",
            ),
            Timeout => ("Timeout", "the time limit passed", "wait longer, or find out who holds it"),
            WouldBlock => ("WouldBlock", "is not free", "wait for it, or try again later"),
            NotOwner => {
                ("NotOwner", "this process does not have it", "release or change only what this process took")
            }
            Interrupted => ("Interrupted", "a signal ended the wait", "wait again"),
            TooManyAttachments => (
                "TooManyAttachments",
                "every attachment slot belongs to a living process",
                "detach one, or create the region with more attachments",
            ),
            Unsupported => {
                ("Unsupported", "is not supported here", "see the requirements in the documentation")
            }
            Io => ("Io", "the system reported an error", "see the errno"),
            Internal => ("Internal", "a defect of this library", "please report it"),
            ParameterMismatch => (
                "ParameterMismatch",
                "exists with other parameters",
                "ask for the same parameters, or choose another name",
            ),
            Broken => ("Broken", "is broken: a participant died", "reset it when the others are in order"),
            LimitExceeded => {
                ("LimitExceeded", "would exceed its maximum", "release no more than was acquired")
            }
            InvalidBlock => (
                "InvalidBlock",
                "is no block that this process has",
                "free or use only what was allocated here, and only once",
            ),
            StaleHandle => (
                "StaleHandle",
                "the handle is out of date",
                "use a handle once: whoever adopts a block has a new one",
            ),
            MappingTruncated => (
                "MappingTruncated",
                "the file was cut while it was mapped",
                "what was read since may be zeros: close it, and open or create it again",
            ),
            Missed => (
                "Missed",
                "records were removed before they were read",
                "go on reading at the oldest that is left; keep more, or read faster",
            ),
            RecordTooLarge => (
                "RecordTooLarge",
                "the record is longer than this log takes",
                "cut it, or create the log with longer records",
            ),
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description())
    }
}

/// What was tried, on what, and why it failed.
///
/// ```
/// use shmkit::{ErrorKind, Region};
///
/// let error = Region::open("no-such-region").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert_eq!(error.errno(), 2); // ENOENT
/// assert_eq!(
///     error.to_string(),
///     "cannot open region 'no-such-region': does not exist (ENOENT); create it first, or use open_or_create"
/// );
/// ```
#[derive(Clone)]
pub struct Error(Box<Details>);

/// Behind a box, so that a `Result` stays two words.
#[derive(Clone)]
struct Details {
    kind: ErrorKind,
    operation: &'static str,
    object: String,
    errno: i32,
    detail: Option<String>,
}

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` that no system call caused.
    pub fn new(kind: ErrorKind, operation: &'static str, object: impl Into<String>) -> Error {
        let errno = kind.default_errno();
        Error(Box::new(Details { kind, operation, object: object.into(), errno, detail: None }))
    }

    /// An error that a system call reported.
    pub fn from_errno(errno: i32, operation: &'static str, object: impl Into<String>) -> Error {
        let kind = kind_of_errno(errno);
        Error(Box::new(Details { kind, operation, object: object.into(), errno, detail: None }))
    }

    /// The same error with the numbers that explain it, for example `offset 4096 + 8 bytes of 4096`.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Error {
        self.0.detail = Some(detail.into());
        self
    }

    /// The same error, told of another operation and object: for a check that knows neither.
    #[must_use]
    pub fn about(mut self, operation: &'static str, object: impl Into<String>) -> Error {
        self.0.operation = operation;
        self.0.object = object.into();
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was tried, for example `open region`.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The name or path it was tried on; empty for anonymous memory.
    pub fn object(&self) -> &str {
        &self.0.object
    }

    /// The errno of the system call that failed, or the one that fits the kind.
    pub fn errno(&self) -> i32 {
        self.0.errno
    }

    /// The message without the operation and object: what happened, the numbers, and what to do.
    pub fn reason(&self) -> String {
        let detail = self.0.detail.as_ref().map(|d| format!(": {d}")).unwrap_or_default();
        let errno = Errno::from_raw(self.0.errno);
        format!("{}{detail} ({errno:?}); {}", self.0.kind.description(), self.0.kind.advice())
    }
}

/// The kind that an errno means when a system call on an object fails.
fn kind_of_errno(errno: i32) -> ErrorKind {
    match errno {
        libc::ENOENT | libc::ENOTDIR => ErrorKind::NotFound,
        libc::EEXIST => ErrorKind::AlreadyExists,
        libc::EACCES | libc::EPERM | libc::EROFS => ErrorKind::PermissionDenied,
        libc::ENOSPC | libc::EDQUOT | libc::EFBIG => ErrorKind::NoSpace,
        libc::ENOMEM | libc::EMFILE | libc::ENFILE => ErrorKind::OutOfMemory,
        libc::ETIMEDOUT => ErrorKind::Timeout,
        libc::EINTR => ErrorKind::Interrupted,
        libc::EOPNOTSUPP | libc::ENOSYS => ErrorKind::Unsupported,
        libc::ELOOP | libc::EISDIR => ErrorKind::WrongKind,
        _ => ErrorKind::Io,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Details { operation, object, .. } = &*self.0;
        let space = if object.is_empty() { "" } else { " " };
        let quote = if object.is_empty() { "" } else { "'" };
        write!(f, "cannot {operation}{space}{quote}{object}{quote}: {}", self.reason())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}): {self}", self.0.kind.name(), self.0.errno)
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    /// Keeps the text; the errno's own [`io::ErrorKind`] classifies it.
    fn from(error: Error) -> io::Error {
        io::Error::new(io::Error::from_raw_os_error(error.errno()).kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ascend_from_one_and_lead_back() {
        assert!(ErrorKind::ALL.is_sorted_by_key(|kind| *kind as u32));
        assert_eq!(ErrorKind::ALL[0] as u32, 1);
        for kind in ErrorKind::ALL {
            assert_eq!(ErrorKind::from_number(kind as u32), Some(kind));
        }
        assert_eq!(ErrorKind::from_number(0), None);
        assert_eq!(ErrorKind::from_number(u32::MAX), None);
    }

    #[test]
    fn names_are_distinct() {
        let mut names: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorKind::ALL.len());
    }

    #[test]
    fn the_message_names_operation_object_errno_and_remedy() {
        let error = Error::from_errno(libc::ENOSPC, "create region", "frames").with_detail("1 TiB asked");
        assert_eq!(error.kind(), ErrorKind::NoSpace);
        assert_eq!(
            error.to_string(),
            "cannot create region 'frames': there is not enough space: 1 TiB asked (ENOSPC); \
             ask for less, free space, or raise the file system's limit"
        );
    }
}
