//! [`Seals`]: what nobody may do to a memfd any more, not even its maker.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

use nix::errno::Errno;

use super::Segment;
use crate::error::{Error, ErrorKind, Result};

/// A set of promises about a memfd, which its receivers can rely on: a seal is never broken (fcntl(2), `F_ADD_SEALS`).
///
/// ```
/// use shmkit::{ErrorKind, MapOptions, Protection, Seals, Segment};
///
/// let segment = Segment::memfd("frames", 4096)?;
/// MapOptions::new().protection(Protection::ReadWrite).map_segment(&segment)?.write_at(0, b"Hi")?;
/// segment.seal(Seals::SHRINK | Seals::GROW | Seals::WRITE)?;
/// assert!(segment.seals()?.contains(Seals::WRITE));
///
/// let refused = MapOptions::new().protection(Protection::ReadWrite).map_segment(&segment).unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::ReadOnly);
/// # Ok::<(), shmkit::Error>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Seals(u32);

impl Seals {
    /// No seal.
    pub const NONE: Seals = Seals(0);
    /// No more seals can be added.
    pub const SEAL: Seals = Seals(0x01);
    /// It never becomes shorter: a mapping of it can be touched without a check.
    pub const SHRINK: Seals = Seals(0x02);
    /// It never becomes longer.
    pub const GROW: Seals = Seals(0x04);
    /// Its bytes never change. Refused with `Busy` while somebody has it mapped for writing.
    pub const WRITE: Seals = Seals(0x08);
    /// Its bytes change only through the writable mappings that exist already.
    pub const FUTURE_WRITE: Seals = Seals(0x10);
    /// Its permission to be executed never changes. The kernel sets it on what cannot be executed.
    pub const EXEC: Seals = Seals(0x20);

    const ALL: [(Seals, &str); 6] = [
        (Seals::SEAL, "SEAL"),
        (Seals::SHRINK, "SHRINK"),
        (Seals::GROW, "GROW"),
        (Seals::WRITE, "WRITE"),
        (Seals::FUTURE_WRITE, "FUTURE_WRITE"),
        (Seals::EXEC, "EXEC"),
    ];

    /// The set of these `F_SEAL_` bits; `None` when some are unknown.
    pub fn from_bits(bits: u32) -> Option<Seals> {
        (bits & !0x3f == 0).then_some(Seals(bits))
    }

    /// The `F_SEAL_` bits.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether all of `other` are in the set.
    pub const fn contains(self, other: Seals) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Seals {
    type Output = Seals;

    fn bitor(self, other: Seals) -> Seals {
        Seals(self.0 | other.0)
    }
}

impl BitOrAssign for Seals {
    fn bitor_assign(&mut self, other: Seals) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Seals::ALL.iter().filter(|(seal, _)| self.contains(*seal)).map(|(_, name)| *name);
        write!(f, "Seals({})", names.collect::<Vec<_>>().join(" | "))
    }
}

impl Segment {
    /// Adds seals; those that are set already stay.
    ///
    /// Errors: `Busy` ([`Seals::WRITE`] while somebody has it mapped for writing), `PermissionDenied` (sealed against
    /// further seals, or not open for writing), `Unsupported` (only a memfd can be sealed).
    pub fn seal(&self, seals: Seals) -> Result<()> {
        let operation = "seal segment";
        self.object().add_seals(seals.0 as i32).map_err(|errno| match errno {
            Errno::EBUSY => Error::new(ErrorKind::Busy, operation, self.location().display())
                .with_detail("it is mapped for writing"),
            errno => self.seal_error(operation, errno),
        })
    }

    /// The seals that are set. Errors: `Unsupported` (only a memfd can be sealed).
    pub fn seals(&self) -> Result<Seals> {
        let operation = "read seals";
        let bits = self.object().seals().map_err(|errno| self.seal_error(operation, errno))?;
        // What a newer kernel may add forbids more than we know of; what we know of stays true.
        Ok(Seals(bits as u32 & 0x3f))
    }

    /// Whether a seal forbids new mappings that store.
    pub(crate) fn is_sealed_against_writing(&self) -> bool {
        self.object().seals().is_ok_and(|bits| bits & (libc::F_SEAL_WRITE | libc::F_SEAL_FUTURE_WRITE) != 0)
    }

    fn seal_error(&self, operation: &'static str, errno: Errno) -> Error {
        match errno {
            Errno::EINVAL => Error::new(ErrorKind::Unsupported, operation, self.location().display())
                .with_detail("only a memfd can be sealed"),
            errno => self.fail(operation, errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MapOptions, Protection};

    fn memfd() -> Segment {
        Segment::memfd("unit-seals", 4096).unwrap()
    }

    #[test]
    fn each_seal_forbids_what_it_says() {
        let segment = memfd();
        let file = std::fs::File::from(segment.try_clone_fd().unwrap());
        segment.seal(Seals::SHRINK).unwrap();
        assert!(file.set_len(4095).is_err());
        file.set_len(5000).unwrap();
        segment.seal(Seals::GROW).unwrap();
        assert!(file.set_len(6000).is_err());
        segment.seal(Seals::SEAL).unwrap();
        assert_eq!(segment.seal(Seals::WRITE).unwrap_err().kind(), ErrorKind::PermissionDenied);
        let seals = segment.seals().unwrap();
        assert!(seals.contains(Seals::SHRINK | Seals::GROW | Seals::SEAL) && !seals.contains(Seals::WRITE));
    }

    #[test]
    fn nobody_seals_writing_away_from_a_writer_and_nobody_writes_after() {
        let segment = memfd();
        let write = MapOptions::new().protection(Protection::ReadWrite);
        let writer = write.map_segment(&segment).unwrap();
        assert_eq!(segment.seal(Seals::WRITE).unwrap_err().kind(), ErrorKind::Busy);
        segment.seal(Seals::FUTURE_WRITE).unwrap();
        writer.write_at(0, b"still").unwrap();
        assert_eq!(write.map_segment(&segment).unwrap_err().kind(), ErrorKind::ReadOnly);
        drop(writer);
        segment.seal(Seals::WRITE).unwrap();
        let reader = MapOptions::new().map_segment(&segment).unwrap();
        assert_eq!(reader.protect(.., Protection::ReadWrite).unwrap_err().kind(), ErrorKind::ReadOnly);
        let copy = write.sharing(crate::Sharing::Private).map_segment(&segment).unwrap();
        copy.write_at(0, b"other").unwrap();
        let mut bytes = [0; 5];
        reader.read_at(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"still");
    }

    #[test]
    fn files_and_unknown_seals_are_refused() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(100).unwrap();
        let segment = Segment::from_fd(&file).unwrap();
        // A memory file system may answer "no seals, and no more": that is a refusal too.
        assert!(segment.seal(Seals::SHRINK).is_err());
        assert_eq!(Seals::from_bits(0x40), None);
        assert_eq!(format!("{:?}", Seals::SHRINK | Seals::GROW), "Seals(SHRINK | GROW)");
    }
}
