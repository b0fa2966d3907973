//! Huge pages: asked for by advice, or taken from what the system reserved.
//!
//! One huge page holds what 512 small ones hold (2 MiB on x86-64), so a large mapping needs fewer entries in the page
//! table and the processor's cache of it.

use nix::errno::Errno;

use crate::error::{Error, ErrorKind, Result};
use crate::sys::pages::{self, HugePool};

/// Which pages a mapping is made of.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HugePages {
    /// As the system decides: `/sys/kernel/mm/transparent_hugepage`. The default.
    #[default]
    AsSystem = 0,
    /// Huge where the kernel can, by advice (`MADV_HUGEPAGE`): private memory, and files of file systems that have them.
    Transparent = 1,
    /// Never huge (`MADV_NOHUGEPAGE`).
    Never = 2,
    /// Of those that the system reserved (`/proc/sys/vm/nr_hugepages`), in its default size. Memory without a file only,
    /// in whole huge pages.
    Reserved = 3,
    /// As `Reserved`, of 2 MiB: the number is the logarithm of the size.
    Reserved2Mib = 21,
    /// As `Reserved`, of 1 GiB.
    Reserved1Gib = 30,
}

impl HugePages {
    /// Every choice, by number.
    pub const ALL: [HugePages; 6] = [
        HugePages::AsSystem,
        HugePages::Transparent,
        HugePages::Never,
        HugePages::Reserved,
        HugePages::Reserved2Mib,
        HugePages::Reserved1Gib,
    ];

    /// The choice with this number, as it crosses the C ABI.
    pub fn from_number(number: u32) -> Option<HugePages> {
        Self::ALL.into_iter().find(|choice| *choice as u32 == number)
    }

    /// The advice for the kernel, if it is to be given one.
    pub(crate) fn advice(self) -> Option<i32> {
        match self {
            HugePages::Transparent => Some(libc::MADV_HUGEPAGE),
            HugePages::Never => Some(libc::MADV_NOHUGEPAGE),
            _ => None,
        }
    }

    /// Bytes of the reserved pages that are meant; `None` when none are. Fails with `Unsupported` where the system has no
    /// pages of that size.
    pub(crate) fn reserved_size(self, operation: &'static str) -> Result<Option<usize>> {
        let size = match self {
            HugePages::AsSystem | HugePages::Transparent | HugePages::Never => return Ok(None),
            HugePages::Reserved => pages::default_huge_page(),
            HugePages::Reserved2Mib | HugePages::Reserved1Gib => Some(1 << self as u32),
        };
        match size.filter(|&size| HugePool::of(size).is_some()) {
            Some(size) => Ok(Some(size)),
            None => Err(Error::new(ErrorKind::Unsupported, operation, "")
                .with_detail(format!("this system has no huge pages for {self:?}"))),
        }
    }
}

/// Refuses a length that is not whole huge pages: the kernel could not unmap it again.
pub(crate) fn expect_whole(operation: &'static str, object: &str, len: usize, page: usize) -> Result<()> {
    if len.is_multiple_of(page) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidLength, operation, object)
        .with_detail(format!("{len} bytes are not whole huge pages of {page}")))
}

/// Why there was no map of reserved huge pages: the error says how many are free.
pub(crate) fn refused(errno: Errno, operation: &'static str, object: &str, len: usize, page: usize) -> Error {
    let error = Error::from_errno(errno as i32, operation, object);
    match HugePool::of(page) {
        Some(pool) if errno == Errno::ENOMEM => error.with_detail(format!(
            "{} huge pages of {} KiB are needed and {} of {} are free: raise {}",
            len / page,
            page >> 10,
            pool.free,
            pool.total,
            pool.knob.display()
        )),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MapOptions, Mapping, MemoryLock, Protection, Sharing};

    fn reserved(pages: usize, sharing: Sharing) -> Result<Mapping> {
        let size = pages::default_huge_page().unwrap();
        MapOptions::new().len(pages * size).sharing(sharing).huge_pages(HugePages::Reserved).map_anonymous()
    }

    /// Holds wherever it runs: with huge pages reserved, and with none.
    #[test]
    fn reserved_pages_are_used_or_their_lack_is_told() {
        let Some(size) = pages::default_huge_page() else {
            assert_eq!(HugePages::Reserved.reserved_size("test").unwrap_err().kind(), ErrorKind::Unsupported);
            return;
        };
        let odd = MapOptions::new().len(size + 4096).huge_pages(HugePages::Reserved).map_anonymous();
        assert_eq!(odd.unwrap_err().kind(), ErrorKind::InvalidLength);
        for sharing in [Sharing::Private, Sharing::Shared] {
            match reserved(2, sharing) {
                Ok(mapping) => {
                    assert_eq!(mapping.page_size(), size);
                    mapping.write_at(size - 1, b"Hi").unwrap();
                    mapping.protect(size..2 * size, Protection::Read).unwrap();
                    assert!(mapping.protect(4096..8192, Protection::Read).is_err());
                    assert!(mapping.memory_use().unwrap().huge >= 2 * size as u64);
                    mapping.close().unwrap();
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
                    assert!(error.to_string().contains("nr_hugepages"), "{error}");
                    assert!(HugePool::of(size).unwrap().free < 2, "{error}");
                }
            }
        }
    }

    #[test]
    fn transparent_pages_are_an_advice_that_populating_follows() {
        const LEN: usize = 8 << 20;
        let options = MapOptions::new().len(LEN).sharing(Sharing::Private).populate(true);
        let count = |huge_pages| {
            let mapping = options.clone().huge_pages(huge_pages).map_anonymous().unwrap();
            assert_eq!(mapping.residency(..).unwrap().counts().present, (LEN / 4096) as u64);
            mapping.memory_use().unwrap().huge
        };
        assert_eq!(count(HugePages::Never), 0);
        let enabled = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
        if enabled.is_ok_and(|modes| !modes.contains("[never]")) {
            assert!(count(HugePages::Transparent) > 0, "no huge page of {LEN} bytes");
        }
    }

    #[test]
    fn files_have_the_pages_of_their_file_system() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let options = MapOptions::new().grow(true).len(1 << 21).huge_pages(HugePages::Reserved2Mib);
        let error = options.map_path(file.path()).unwrap_err();
        assert!([ErrorKind::InvalidArgument, ErrorKind::Unsupported].contains(&error.kind()), "{error}");
        assert_eq!(error.object(), file.path().display().to_string());
    }

    #[test]
    fn locked_pages_stay() {
        let options = MapOptions::new().len(16 * 4096).lock_memory(MemoryLock::Now);
        let mapping = options.map_anonymous().unwrap();
        assert_eq!(mapping.residency(..).unwrap().counts().resident, 16);
        assert_eq!(mapping.memory_use().unwrap().locked, 16 * 4096);
        mapping.unlock_memory(..).unwrap();
        assert_eq!(mapping.memory_use().unwrap().locked, 0);
        mapping.lock_memory(.., MemoryLock::OnFault).unwrap();
        assert!(
            mapping.flush_and_invalidate(.., crate::Flush::Sync).is_err_and(|e| e.kind() == ErrorKind::Busy)
        );
    }
}
