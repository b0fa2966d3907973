//! What a piece of work cost: page faults, and processor time here and in the kernel.

use nix::errno::Errno;

use crate::error::{Error, Result};
use crate::sys::pages;

/// Page faults and processor time (getrusage(2)): counters that only grow, or the difference of two.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Page faults that needed no disk: the page was in memory, or made of zeros.
    pub minor_faults: u64,
    /// Page faults that waited for a disk.
    pub major_faults: u64,
    /// Processor time in the program.
    pub user_ns: u64,
    /// Processor time in the kernel.
    pub kernel_ns: u64,
}

impl Usage {
    /// The counters of this thread. Errors: `Unsupported`, never on Linux.
    pub fn of_thread() -> Result<Usage> {
        Usage::read(true)
    }

    /// The counters of the whole process.
    pub fn of_process() -> Result<Usage> {
        Usage::read(false)
    }

    /// Runs `work` and says what this thread did for it.
    ///
    /// ```
    /// use shmkit::{Mapping, Usage};
    ///
    /// let mapping = Mapping::anonymous(1 << 20)?;
    /// let (_, first) = Usage::count(|| mapping.write_at(0, &[1; 1 << 20]))?;
    /// assert!(first.minor_faults > 0);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn count<T>(work: impl FnOnce() -> T) -> Result<(T, Usage)> {
        let before = Usage::of_thread()?;
        let result = work();
        Ok((result, Usage::of_thread()?.since(&before)))
    }

    /// The difference to an earlier look.
    pub fn since(&self, earlier: &Usage) -> Usage {
        Usage {
            minor_faults: self.minor_faults.saturating_sub(earlier.minor_faults),
            major_faults: self.major_faults.saturating_sub(earlier.major_faults),
            user_ns: self.user_ns.saturating_sub(earlier.user_ns),
            kernel_ns: self.kernel_ns.saturating_sub(earlier.kernel_ns),
        }
    }

    fn read(of_thread: bool) -> Result<Usage> {
        let usage = pages::usage(of_thread)
            .map_err(|errno: Errno| Error::from_errno(errno as i32, "read resource usage", ""))?;
        let ns = |time: libc::timeval| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1000;
        Ok(Usage {
            minor_faults: usage.ru_minflt as u64,
            major_faults: usage.ru_majflt as u64,
            user_ns: ns(usage.ru_utime),
            kernel_ns: ns(usage.ru_stime),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Advice, MapOptions, Sharing};

    #[test]
    fn each_first_touch_is_a_fault_and_a_populated_page_is_none() {
        const LEN: usize = 256 * 4096;
        let touch = |mapping: &crate::Mapping| {
            let write_all = || (0..LEN).step_by(4096).try_for_each(|at| mapping.write_at(at, &[1]));
            let (result, usage) = Usage::count(write_all).unwrap();
            result.unwrap();
            usage.minor_faults + usage.major_faults
        };
        let mapping = MapOptions::new().len(LEN).sharing(Sharing::Private).map_anonymous().unwrap();
        mapping.advise(.., Advice::NoHugePage).unwrap();
        // Folios of several pages make fewer faults than pages; but not a handful.
        assert!(touch(&mapping) >= 4, "without populating");
        mapping.advise(.., Advice::DontNeed).unwrap();
        mapping.advise(.., Advice::PopulateWrite).unwrap();
        assert!(touch(&mapping) < 4, "populated");
    }
}
