//! What a mapping says about its file when that lost pages: the fault guard, as users see it.

use std::sync::atomic::{AtomicBool, Ordering};

use super::Mapping;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::fault::Damage;

static ENABLED: AtomicBool = AtomicBool::new(true);

/// Turns the fault guard off, or on again, for everything that this process maps from now on: a file that is cut while it
/// is mapped then kills who touches what is missing. For programs that must be the only ones to handle SIGBUS.
pub fn set_fault_guard(enabled: bool) {
    ENABLED.store(enabled, Ordering::Relaxed);
}

/// Puts the fault guard in front of handlers that others have installed for SIGBUS since something was mapped last; they get
/// what is not about guarded bytes. Mapping something does this too, and so do [`Mapping::check`] and
/// [`Region::check`](crate::Region::check).
pub fn rearm_fault_guard() {
    crate::sys::fault::rearm();
}

pub(crate) fn is_enabled() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

/// The error for a damaged range.
#[cold]
pub(crate) fn damage_error(damage: Damage, operation: &'static str, object: &str) -> Error {
    match damage {
        Damage::Cut => Error::new(ErrorKind::MappingTruncated, operation, object),
        Damage::Full => Error::new(ErrorKind::NoSpace, operation, object)
            .with_detail("the file system had no block for a page that was touched; it reads as zeros"),
        Damage::Failed => Error::new(ErrorKind::Io, operation, object)
            .with_detail("the file system could not provide a page that was touched; it reads as zeros"),
    }
}

impl Mapping {
    /// Whether the bytes still are the file's.
    ///
    /// A file can be cut while it is mapped, by anybody who may write it, and a file system can be full when a hole in the
    /// file is first touched. Touching such a page would kill the process (SIGBUS); under the guard it reads as zeros, what
    /// is stored there is lost, and from then on this and every other checked call of this mapping fails: close it, and map
    /// the file again. System calls that are given such bytes fail with EFAULT.
    ///
    /// Errors: `MappingTruncated` (also when nobody has touched the missing pages yet), `NoSpace`, `Io`, `Closed`. Without
    /// the guard, only `Closed`.
    ///
    /// ```
    /// use shmkit::{ErrorKind, MapOptions};
    ///
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("data.bin");
    /// let mapping = MapOptions::new().create(true).len(8192).map_path(&path)?;
    /// let view = mapping.view()?;
    /// std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap(); // in practice, somebody else
    ///
    /// let mut byte = [7];
    /// view.read_at(5000, &mut byte)?; // a view is plain memory: it asks nobody
    /// assert_eq!(byte, [0]);
    /// assert_eq!(mapping.check().unwrap_err().kind(), ErrorKind::MappingTruncated);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn check(&self) -> Result<()> {
        let operation = "check mapping";
        // Somebody else may have put a handler in front of ours.
        rearm_fault_guard();
        let _open = self.held_open(operation)?;
        let Some(file) = self.map.guarded().and_then(|guard| guard.file()) else { return Ok(()) };
        let size = file.size().map_err(|errno| self.system_error(errno, operation))?;
        let end = self.origin.offset() + self.len() as u64;
        if size < end {
            return Err(self
                .error(ErrorKind::MappingTruncated, operation)
                .with_detail(format!("it has {size} bytes, the mapping reaches to {end}")));
        }
        Ok(())
    }

    /// Whether the fault guard watches this mapping.
    pub fn is_guarded(&self) -> bool {
        self.map.guarded().is_some()
    }

    /// A word that is 0 while all is well and becomes another number as soon as a page was replaced, for languages that copy
    /// bytes themselves: look at it after the copy. `None` without the guard. It stays readable for ever, and means this
    /// mapping until that is dropped.
    pub fn damage_word(&self) -> Option<&'static crate::AtomicU32> {
        self.map.guarded().map(|guard| guard.word())
    }

    #[inline]
    pub(super) fn expect_undamaged(&self, operation: &'static str) -> Result<()> {
        match self.map.damage() {
            None => Ok(()),
            Some(damage) => Err(damage_error(damage, operation, &self.object)),
        }
    }
}
