//! The control object of a log: a region whose user bytes are the log's parameters and its shared words.
//!
//! Invariants:
//! - The parameters are in place before the object has a name, and never change.
//! - Nobody appends before the log is *ready*: the first to open it after a start of the machine (or after the directory was
//!   copied) looks at what is there and repairs it. Until then everybody who attaches does so behind the **gate**, a kernel
//!   lock on one byte of the object, so whoever is inside and finds nobody else attached knows that nobody appends. A log
//!   that is ready stays so while the machine runs: then nobody needs the gate, nor waits for who is stopped inside.
//! - The gate is no word in memory on purpose: words of the last run of the machine may come back from the disk in any
//!   mixture, and one that says *locked* must keep nobody out. All words are set anew before the log is ready.
//!
//! The store that commits readiness is the last word of `home`.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytemuck::Zeroable;
use nix::sys::mman::MsFlags;

use super::options::{Durability, LogOptions};
use super::recovery::{self, Recovery};
use crate::atomic::Ordering::{Relaxed, SeqCst};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{self, LOG_CONTROL_LEN, LOG_CONTROL_OFFSET, LogControl, LogParameters};
use crate::protocol::owner::slot_index;
use crate::region::{Memory, Region, RegionOptions};
use crate::segment::Location;
use crate::sys::file::{self, ObjectFile};
use crate::sys::map::Token;
use crate::sys::{fork, ofd, process};

/// How long an opener waits for another one that makes the log ready, which takes as long as reading it.
const PATIENCE: Duration = Duration::from_secs(300);

/// An open control object.
pub(super) struct Control {
    /// Keeps the process attached.
    _attached: Region,
    pub memory: Arc<Memory>,
    words: NonNull<LogControl>,
    pub parameters: LogParameters,
    pub directory: PathBuf,
    /// What this handle repaired when it was opened.
    pub recovery: Option<Recovery>,
}

// SAFETY: `words` leads to atomics in memory that `memory` keeps.
#[allow(unsafe_code)]
unsafe impl Send for Control {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for Control {}

/// The checksum of parameters.
pub(super) fn checksum(parameters: &LogParameters) -> u32 {
    let bytes = bytemuck::bytes_of(parameters);
    crc32c::crc32c(&bytes[..std::mem::offset_of!(LogParameters, checksum)])
}

fn control_path(directory: &Path) -> PathBuf {
    directory.join(layout::LOG_CONTROL_NAME)
}

/// The directory, so that it stays the same when the process goes to another one.
fn absolute(directory: &Path, operation: &'static str) -> Result<PathBuf> {
    if directory.as_os_str().is_empty() {
        return Err(Error::new(ErrorKind::InvalidName, operation, "").with_detail("the path is empty"));
    }
    std::path::absolute(directory).map_err(|error| {
        Error::from_errno(error.raw_os_error().unwrap_or(0), operation, directory.to_string_lossy())
    })
}

/// Makes a new log: the directory, the control object, and then what [`open`] does.
pub(super) fn create(options: &LogOptions, directory: &Path) -> Result<Control> {
    let operation = "create log";
    let parameters = options.parameters(operation, directory)?;
    let directory = &absolute(directory, operation)?;
    let fail =
        |errno: nix::errno::Errno| Error::from_errno(errno as i32, operation, directory.to_string_lossy());
    // Leave to search where there is leave to read.
    let mode = options.mode | (options.mode & 0o444) >> 2;
    match file::make_directory(directory, mode) {
        Ok(()) => file::sync_directory_of(directory).map_err(fail)?,
        Err(nix::errno::Errno::EEXIST) => {}
        Err(errno) => return Err(fail(errno)),
    }
    expect_no_segments(directory, operation)?;
    let region = RegionOptions::new().mode(options.mode).arena_len(0).attachments(layout::LOG_SLOT_COUNT);
    let fill = |bytes: &crate::SharedBytes<'_>| bytes.write_at(0, bytemuck::bytes_of(&parameters));
    region
        .create_filled(Location::Path(control_path(directory)), LOG_CONTROL_LEN as u64, fill)
        .map_err(|error| error.about(operation, directory.to_string_lossy()))?;
    open(directory, true)
}

/// Fails when there are segments without a control object: those of a log that somebody removed in part. A new one would
/// take them for its own.
fn expect_no_segments(directory: &Path, operation: &'static str) -> Result<()> {
    let fail =
        |errno: nix::errno::Errno| Error::from_errno(errno as i32, operation, directory.to_string_lossy());
    let segments = file::names_with_prefix(directory, layout::LOG_SEGMENT_PREFIX).map_err(fail)?;
    if segments.is_empty() || control_path(directory).exists() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::AlreadyExists, operation, directory.to_string_lossy()).with_detail(format!(
        "{} segments of a log whose control object is gone: move or remove them first",
        segments.len()
    )))
}

/// Opens a log's control object. For writing, the log is ready then.
pub(super) fn open(directory: &Path, writable: bool) -> Result<Control> {
    let operation = "open log";
    let directory = &absolute(directory, operation)?;
    let told = |error: Error| error.about(operation, directory.to_string_lossy());
    let path = control_path(directory);
    if !writable {
        let region = Region::open_read_only(path).map_err(told)?;
        return Control::over(region, directory).map_err(told);
    }
    // Looked at without attaching: who repairs the log must find nobody.
    let looked = Region::open_read_only(path.clone()).and_then(|region| Control::over(region, directory));
    if looked.map_err(told)?.is_ready()? {
        let region = Region::open(path.clone()).map_err(told)?;
        let control = Control::over(region, directory).map_err(told)?;
        // Unless another log has taken its place meanwhile.
        if control.is_ready()? {
            return Ok(control);
        }
    }
    let gate = Gate::take(&path, directory)?;
    let region = Region::open(path).map_err(told)?;
    let mut control = Control::over(region, directory).map_err(told)?;
    control.make_ready()?;
    drop(gate);
    Ok(control)
}

impl Control {
    fn over(region: Region, directory: &Path) -> Result<Control> {
        let operation = "open log";
        let memory = Arc::clone(region.memory(operation)?);
        if region.len() != LOG_CONTROL_LEN {
            return Err(memory
                .error(ErrorKind::WrongKind, operation)
                .with_detail("it is a region, and not the control object of a log"));
        }
        let mut parameters = LogParameters::zeroed();
        region.read_at(0, bytemuck::bytes_of_mut(&mut parameters))?;
        if parameters.magic != layout::LOG_MAGIC {
            return Err(memory
                .error(ErrorKind::WrongKind, operation)
                .with_detail("it is a region, and not the control object of a log"));
        }
        let header = layout::LOG_RECORD_HEADER_SIZE as u64;
        let sane = parameters.checksum == checksum(&parameters)
            && (layout::LOG_MIN_CAPACITY..=layout::LOG_MAX_CAPACITY).contains(&parameters.capacity)
            && parameters.capacity.is_multiple_of(layout::LOG_MIN_CAPACITY)
            && parameters.max_record_len <= parameters.capacity - header;
        if !sane {
            return Err(memory
                .error(ErrorKind::Corrupted, operation)
                .with_detail("the log's parameters contradict each other"));
        }
        let offset = memory.geometry.data_offset + LOG_CONTROL_OFFSET;
        let words = NonNull::from(memory.record_at::<LogControl>(offset)?);
        Ok(Control {
            _attached: region,
            memory,
            words,
            parameters,
            directory: directory.to_owned(),
            recovery: None,
        })
    }

    /// The shared words. Those of a read-only handle are only loaded.
    #[inline]
    pub fn words(&self) -> &LogControl {
        #[allow(unsafe_code)]
        // SAFETY: checked by `over`, and the memory lives as long as `self`.
        unsafe {
            self.words.as_ref()
        }
    }

    /// Drawn at random at creation.
    pub fn id(&self) -> [u8; 16] {
        self.memory.geometry.id
    }

    pub fn capacity(&self) -> u64 {
        self.parameters.capacity
    }

    /// Whether large pages pay off: not where each flush would write 2 MiB for the few records since the last one.
    pub fn wants_huge_pages(&self) -> bool {
        let LogParameters { durability, durability_value, .. } = self.parameters;
        match Durability::from_numbers(durability, durability_value) {
            Some(Durability::None | Durability::Interval(_)) => true,
            Some(Durability::Bytes(bytes)) => bytes >= 4 << 20,
            _ => false,
        }
    }

    /// Where the segment begins that a position is in.
    #[inline]
    pub fn base_of(&self, position: u64) -> u64 {
        position - position % self.parameters.capacity
    }

    /// What messages call the log.
    pub fn name(&self) -> String {
        self.directory.to_string_lossy().into_owned()
    }

    pub fn error(&self, kind: ErrorKind, operation: &'static str) -> Error {
        Error::new(kind, operation, self.name())
    }

    pub fn system_error(&self, errno: nix::errno::Errno, operation: &'static str) -> Error {
        Error::from_errno(errno as i32, operation, self.name())
    }

    pub fn is_writable(&self) -> bool {
        self.memory.is_writable()
    }

    /// Fails unless the log's directory still has this control object: before anything is created there.
    pub fn expect_in_place(&self, operation: &'static str) -> Result<()> {
        let found = ObjectFile::open(&control_path(&self.directory), false)
            .map_err(|errno| self.system_error(errno, operation))?;
        if found.id() != self.memory.file_id() {
            return Err(self.error(ErrorKind::Replaced, operation));
        }
        Ok(())
    }

    /// Repairs the log if nobody has since the machine started. The gate is ours.
    fn make_ready(&mut self) -> Result<()> {
        if self.is_ready()? || self.has_company() {
            return Ok(());
        }
        let home = self.home()?;
        let recovery = recovery::run(self)?;
        let words = self.words();
        words.recoveries.fetch_add(1, Relaxed);
        for (word, value) in words.home.iter().zip(home) {
            word.store(value, SeqCst);
        }
        let (map, offset) = self.memory.map_of_data();
        map.sync(offset, LOG_CONTROL_LEN, MsFlags::MS_SYNC)
            .map_err(|errno| self.system_error(errno, "open log"))?;
        self.recovery = Some(recovery);
        Ok(())
    }

    /// Whether somebody has made the log ready in this run of the machine.
    fn is_ready(&self) -> Result<bool> {
        let home = self.home()?;
        Ok(self.words().home.iter().map(|word| word.load(SeqCst)).eq(home))
    }

    /// The run of the machine and the object itself.
    fn home(&self) -> Result<[u64; 4]> {
        let boot = process::boot_id().ok_or_else(|| {
            self.error(ErrorKind::Unsupported, "open log")
                .with_detail("/proc/sys/kernel/random/boot_id cannot be read")
        })?;
        let id = self.memory.file_id();
        Ok([(boot >> 64) as u64, boot as u64, id.device, id.inode])
    }

    /// Whether another process is attached.
    fn has_company(&self) -> bool {
        let me = slot_index(self.memory.me_if_attached());
        (0..self.memory.slots().high()).any(|slot| slot != me && self.memory.is_slot_live(slot))
    }

    /// Mode and group that a new segment file gets: those of the control object, as they are now.
    pub fn file_access(&self) -> std::result::Result<(u32, u32), nix::errno::Errno> {
        file::mode_and_group(&control_path(&self.directory))
    }
}

/// The gate is ours while this lives. A mapping without access keeps the kernel's lock, as an attachment's does, so that a
/// forked child has no part of it.
struct Gate(Option<Token>);

impl Gate {
    fn take(path: &Path, directory: &Path) -> Result<Gate> {
        let fail = |errno: nix::errno::Errno| {
            Error::from_errno(errno as i32, "open log", directory.to_string_lossy())
        };
        let begun = Instant::now();
        loop {
            {
                let _no_fork = fork::exclude();
                let description = ObjectFile::open(path, true).map_err(fail)?;
                if ofd::try_lock_byte(description.as_fd(), layout::LOG_GATE_BYTE).map_err(fail)? {
                    return Ok(Gate(Some(Token::of_file(description.as_fd()).map_err(fail)?)));
                }
            }
            if begun.elapsed() > PATIENCE {
                return Err(Error::new(ErrorKind::Timeout, "open log", directory.to_string_lossy())
                    .with_detail("another process has been making it ready for minutes"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(token) = self.0.take() {
            token.unmap();
        }
    }
}
