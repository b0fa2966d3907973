//! What work cost: page faults, processor time, and which pages were written.

use std::mem::size_of;

use core_crate::Usage;

use crate::boundary::{Call, attempt};
use crate::error::{Details, Status};
use crate::options::{self, Options};

/// Page faults and processor time so far: subtract two looks. Begin with SHMKIT_USAGE_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UsageAnswer {
    /// sizeof(shmkit_usage_t).
    pub size: usize,
    /// Page faults that needed no disk: the page was in memory, or made of zeros.
    pub minor_faults: u64,
    /// Page faults that waited for a disk.
    pub major_faults: u64,
    /// Processor time in the program.
    pub user_ns: u64,
    /// Processor time in the kernel.
    pub kernel_ns: u64,
}

// SAFETY: 64-bit integers only.
unsafe impl Options for UsageAnswer {
    const DEFAULT: UsageAnswer = UsageAnswer {
        size: size_of::<UsageAnswer>(),
        minor_faults: 0,
        major_faults: 0,
        user_ns: 0,
        kernel_ns: 0,
    };
}

/// Clears the soft-dirty bits of all memory of this process: SHMKIT_PAGE_SOFT_DIRTY then tells what was written since.
///
/// Fails with UNSUPPORTED where the kernel keeps no such bits (it was built without CONFIG_MEM_SOFT_DIRTY).
///
/// # Safety
/// `error` is null or valid.
#[unsafe(no_mangle)]
#[expect(clippy::redundant_closure, reason = "all exports have the same form")]
pub unsafe extern "C" fn shmkit_clear_soft_dirty(error: *mut Details) -> Status {
    // SAFETY: the caller's promise, handed on.
    unsafe { attempt(error, || core_crate::clear_soft_dirty()) }
}

/// Says how many page faults there were so far, and how much processor time went where (getrusage(2)): of this thread, or
/// of the whole process. Two looks around a piece of work tell what it cost. `out` begins with SHMKIT_USAGE_INIT.
///
/// # Safety
/// `out` is null or has as many bytes as its size says; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_usage(
    whole_process: bool,
    out: *mut UsageAnswer,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "read resource usage", object: c"" };
            let look = if whole_process { Usage::of_process } else { Usage::of_thread };
            let usage = look()?;
            let answer = UsageAnswer {
                size: size_of::<UsageAnswer>(),
                minor_faults: usage.minor_faults,
                major_faults: usage.major_faults,
                user_ns: usage.user_ns,
                kernel_ns: usage.kernel_ns,
            };
            options::store(out, answer, &call)
        })
    }
}
