//! [`Log`]: records that any number of processes append at once, on mapped memory, without a lock.
//!
//! A log is a directory: a control object (a region, which knows who lives) and segment files of one size. See
//! [`crate::layout`] for their bytes. The parts:
//!
//! - [`record`]: the word that a record begins with, and what may happen to it.
//! - [`append`]: claim, fill, commit; moving to the next segment. [`tail`]: where the log ends. [`backoff`]: when
//!   others do too. [`current`]: the segment in use. [`reservation`]: a record filled in place.
//! - [`reader`]: from word to word.
//! - [`flush`]: who waits for the disk; [`gather`]: who is worth waiting for before; [`keeper`]: the thread that flushes in the background.
//! - [`direct`]: the words for languages that append by themselves.
//! - [`upkeep`]: retention. [`recovery`]: after a power cut. [`control`], [`segment`]: the files.
//!
//! Each file says which store commits each step.

mod append;
mod backoff;
mod control;
mod current;
mod direct;
mod flush;
mod gather;
mod keeper;
mod options;
mod reader;
mod record;
mod recovery;
mod reservation;
mod segment;
mod status;
mod tail;
#[cfg(test)]
mod tests;
mod upkeep;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, Weak};

pub use direct::{LogSegment, LogWords};
pub use keeper::Durable;
pub use options::{Durability, LogOptions};
pub use reader::{LogReader, LogRecord, ReadFrom};
pub use recovery::Recovery;
pub use reservation::Reservation;
pub use status::{LogStatus, Verified};

use self::control::Control;
use self::current::Current;
use self::gather::Gathering;
use self::keeper::{Hold, Keeper};
use self::segment::SegmentMap;
use crate::atomic::Ordering::{Acquire, Relaxed};
use crate::error::{ErrorKind, Result};
use crate::exports::Exports;
use crate::protocol::wait::Wait;
use crate::sys::fork::PerProcess;
use crate::sys::stamp;

/// An append whose record may not be on the disk yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Where the record is.
    pub position: u64,
    /// The number of the flush that carries it to the disk. Means something in this run of the machine.
    pub flush: u64,
}

/// Records that any number of processes and threads append at once.
///
/// An append takes no lock and makes no system call (unless the log's [`Durability`] says that it waits for the disk).
/// A writer that is killed leaves a record or none; readers skip what it left half-written.
///
/// ```
/// use shmkit::{Log, ReadFrom};
///
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("events");
/// let log = Log::create(&path)?;
/// log.append(1, b"it began")?;
///
/// let same = Log::open(&path)?; // usually in another process, in any language
/// let mut reader = same.reader(ReadFrom::Start)?;
/// let record = reader.read()?.expect("a record");
/// assert_eq!((record.kind(), &record.to_vec()[..]), (1, &b"it began"[..]));
/// assert!(reader.read()?.is_none());
/// # Ok::<(), shmkit::Error>(())
/// ```
pub struct Log {
    inner: Arc<Inner>,
    /// Behind `inner`, so dropped after it.
    hold: Hold,
}

/// What a handle, its readers and its reservations share.
struct Inner {
    control: Control,
    durability: Durability,
    exports: Exports,
    /// The segment that the tail was in when this process looked.
    current: PerProcess<Current>,
    /// Segments that somebody here has mapped.
    mapped: PerProcess<Mutex<Vec<Weak<SegmentMap>>>>,
    /// One thread at a time goes to the next segment.
    rolling: PerProcess<Mutex<()>>,
    /// Failures of flushes that this handle has reported.
    known_failures: AtomicU32,
    keeper: Arc<Keeper>,
    gathering: Gathering,
    this: Weak<Inner>,
    /// What the next flush fails with.
    #[cfg(test)]
    fail_next_flush: parking_lot::Mutex<Option<nix::errno::Errno>>,
}

impl Inner {
    #[inline]
    fn now_ns(&self) -> u64 {
        stamp::now_ns()
    }

    /// The segment that holds a position; `None` when there is none.
    fn segment_at(&self, position: u64, operation: &'static str) -> Result<Option<Arc<SegmentMap>>> {
        let base = self.control.base_of(position);
        if let Some(current) = self.current.get().get().filter(|current| current.base == base) {
            return Ok(Some(current));
        }
        let mut mapped = self.mapped.lock();
        mapped.retain(|segment| segment.strong_count() > 0);
        if let Some(found) = mapped.iter().filter_map(Weak::upgrade).find(|segment| segment.base == base) {
            return Ok(Some(found));
        }
        let opened = SegmentMap::open(&self.control, base, operation)?.map(Arc::new);
        mapped.extend(opened.as_ref().map(Arc::downgrade));
        Ok(opened)
    }

    fn expect_writable(&self, operation: &'static str) -> Result<()> {
        if self.exports.is_closed() {
            return Err(self.closed(operation));
        }
        if !self.control.is_writable() {
            return Err(self.control.error(ErrorKind::ReadOnly, operation));
        }
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end_keeper();
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.hold.take();
    }
}

impl Log {
    fn over(control: Control) -> Result<Log> {
        let parameters = &control.parameters;
        let durability = Durability::from_numbers(parameters.durability, parameters.durability_value)
            .ok_or_else(|| {
                control
                    .error(ErrorKind::Corrupted, "open log")
                    .with_detail(format!("durability {}", parameters.durability))
            })?;
        let known_failures = AtomicU32::new(control.words().failures.load(Relaxed));
        let inner = Arc::new_cyclic(|this| Inner {
            exports: Exports::new(!control.is_writable()),
            durability,
            current: PerProcess::default(),
            mapped: PerProcess::default(),
            rolling: PerProcess::default(),
            known_failures,
            keeper: Arc::new(Keeper::default()),
            gathering: Gathering::default(),
            this: Weak::clone(this),
            #[cfg(test)]
            fail_next_flush: parking_lot::Mutex::new(None),
            control,
        });
        let hold = Hold::new(&inner.keeper);
        Ok(Log { inner, hold })
    }

    /// Creates a log in this directory with the default options: [`LogOptions::create`].
    pub fn create(directory: impl Into<PathBuf>) -> Result<Log> {
        LogOptions::new().create(directory)
    }

    /// Opens the log in this directory for appending and reading, and attaches this process to it. The first to open it after
    /// the machine was started repairs what a power cut left: [`Log::recovery`].
    ///
    /// Errors: `NotFound`, `PermissionDenied`, `WrongKind` and the others of a region, `Corrupted`, `TooManyAttachments`.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Log> {
        Log::over(control::open(&directory.into(), true)?)
    }

    /// Opens the log in this directory for reading only: nothing in it changes. A reader that waits looks for new records
    /// every 16 ms at most, since it cannot leave word that it sleeps.
    pub fn open_read_only(directory: impl Into<PathBuf>) -> Result<Log> {
        Log::over(control::open(&directory.into(), false)?)
    }

    /// Opens the log in this directory, or creates it: [`LogOptions::open_or_create`].
    pub fn open_or_create(directory: impl Into<PathBuf>) -> Result<Log> {
        LogOptions::new().open_or_create(directory)
    }

    /// Appends a record and returns its position. `kind` is the caller's. Under the policies `Group` and `Every` the record is
    /// on the disk then.
    ///
    /// Errors: `RecordTooLarge`, `NoSpace` (there is no room for another segment; nothing was appended), `Closed`, `ReadOnly`,
    /// and what the disk reported: under `Interval` and `Bytes`, once to each process, that earlier records may not have
    /// reached it (nothing was appended); under `Group` and `Every`, that this record may not have (it was appended).
    #[inline]
    pub fn append(&self, kind: u32, payload: &[u8]) -> Result<u64> {
        self.append_with(kind, payload, &Wait::FOREVER)
    }

    /// As [`Log::append`], waiting for the disk as `wait` says. A wait that ends early leaves the record in the log.
    #[inline]
    pub fn append_with(&self, kind: u32, payload: &[u8], wait: &Wait) -> Result<u64> {
        let position = self.inner.append_one(kind, payload)?;
        self.inner.appended(position, payload.len());
        self.inner.settle(wait)?;
        Ok(position)
    }

    /// Appends a record without waiting for the disk, whatever the policy. The ticket says when it is there:
    /// [`Log::wait_durable`], [`Log::on_durable`], [`Log::durable`].
    #[inline]
    pub fn append_deferred(&self, kind: u32, payload: &[u8]) -> Result<Ticket> {
        let position = self.inner.append_one(kind, payload)?;
        // Drawn before the policy may cause a flush: that one is to carry it.
        let ticket = Ticket { position, flush: self.inner.next_flush() };
        self.inner.appended(position, payload.len());
        Ok(ticket)
    }

    /// Appends several records, each a kind and bytes, one behind the other. Readers see all of them at once; if the process
    /// is killed, all or none. Together they must not be longer than a record may be. Returns their positions.
    pub fn append_batch(&self, records: &[(u32, &[u8])]) -> Result<Vec<u64>> {
        let positions = self.inner.append_many(records)?;
        if let (Some(position), Some((_, payload))) = (positions.last(), records.last()) {
            self.inner.appended(*position, payload.len());
        }
        self.inner.settle(&Wait::FOREVER)?;
        Ok(positions)
    }

    /// Claims a record of `len` bytes, to be filled in place.
    ///
    /// Errors: as for [`Log::append`].
    pub fn reserve(&self, kind: u32, len: usize) -> Result<Reservation> {
        self.inner.reserve(kind, len)
    }

    /// Carries everything that was committed before this call to the disk.
    pub fn flush(&self) -> Result<()> {
        self.flush_with(&Wait::FOREVER)
    }

    /// As [`Log::flush`], waiting as `wait` says.
    pub fn flush_with(&self, wait: &Wait) -> Result<()> {
        self.inner.expect_writable("flush log")?;
        self.inner.wait_flush(self.inner.next_flush(), wait)
    }

    /// A ticket for everything that was committed before this call.
    pub fn ticket(&self) -> Ticket {
        Ticket { position: self.end(), flush: self.inner.next_flush() }
    }

    /// Whether the record of a ticket is on the disk. The error is the one that its flush failed with.
    pub fn is_durable(&self, ticket: Ticket) -> Result<bool> {
        self.inner.flush_outcome(ticket.flush).transpose().map(|ended| ended.is_some())
    }

    /// Waits until the record of a ticket is on the disk. If nobody flushes, this thread does.
    ///
    /// Errors: `Timeout`, `Interrupted`, and what the disk reported.
    pub fn wait_durable(&self, ticket: Ticket, wait: &Wait) -> Result<()> {
        self.inner.expect_writable("wait for log flush")?;
        self.inner.wait_flush(ticket.flush, wait)
    }

    /// Calls back when the record of a ticket is on the disk, or with the disk's error: at once, or from a thread of this
    /// handle. Under `Interval` and `Bytes` it waits for the policy's next flush, else it causes one.
    pub fn on_durable(
        &self,
        ticket: Ticket,
        callback: impl FnOnce(Result<()>) + Send + 'static,
    ) -> Result<()> {
        self.inner.expect_writable("wait for log flush")?;
        self.inner.call_back(ticket.flush, Box::new(callback))
    }

    /// A future for the same.
    pub fn durable(&self, ticket: Ticket) -> Result<Durable> {
        self.inner.expect_writable("wait for log flush")?;
        Durable::of(&self.inner, ticket)
    }

    /// A reader that begins at the given place. It is a handle of its own and outlives this one.
    pub fn reader(&self, from: ReadFrom) -> Result<LogReader> {
        if self.inner.exports.is_closed() {
            return Err(self.inner.closed("read log"));
        }
        self.inner.reader(from)
    }

    /// The oldest position that is kept.
    pub fn start(&self) -> u64 {
        self.inner.control.words().start.load(Acquire)
    }

    /// Where the next record would be, if nobody appended meanwhile.
    pub fn end(&self) -> u64 {
        self.inner.end()
    }

    /// The longest record, in bytes.
    pub fn max_record_len(&self) -> usize {
        self.inner.control.parameters.max_record_len as usize
    }

    /// Record bytes of a segment.
    pub fn segment_len(&self) -> u64 {
        self.inner.control.capacity()
    }

    /// A segment whose first record is this old is left for the next, in nanoseconds; 0: never for that reason.
    pub fn max_age_ns(&self) -> u64 {
        self.inner.control.parameters.max_age_ns
    }

    /// When records reach the disk.
    pub fn durability(&self) -> Durability {
        self.inner.durability
    }

    /// The log's directory.
    pub fn directory(&self) -> &Path {
        &self.inner.control.directory
    }

    /// Drawn at random at creation.
    pub fn id(&self) -> [u8; 16] {
        self.inner.control.id()
    }

    /// What this handle repaired when it was opened; `None` when there was nothing to look at.
    pub fn recovery(&self) -> Option<Recovery> {
        self.inner.control.recovery
    }

    /// Whether it was opened for reading only.
    pub fn is_read_only(&self) -> bool {
        !self.inner.control.is_writable()
    }

    /// Whether this handle was closed.
    pub fn is_closed(&self) -> bool {
        self.inner.exports.is_closed()
    }

    /// Ends the use of this handle; repeating it does nothing. Under `Interval` and `Bytes`, what was appended is flushed
    /// first. The process stays attached until the handle and its readers are dropped.
    ///
    /// Errors: `Busy` while a reservation lives; what the last flush reported.
    pub fn close(&self) -> Result<()> {
        let operation = "close log";
        let first = self.inner.exports.close().map_err(|kind| {
            self.inner
                .control
                .error(kind, operation)
                .with_detail(format!("{} records are reserved", self.inner.exports.count()))
        })?;
        let lazy = matches!(self.inner.durability, Durability::Interval(_) | Durability::Bytes(_));
        if first && lazy && self.inner.control.is_writable() {
            self.inner.wait_flush(self.inner.next_flush(), &Wait::FOREVER)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("directory", &self.directory())
            .field("start", &self.start())
            .field("end", &self.end())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
