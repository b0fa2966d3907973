//! What it takes before freshly written bytes may be executed.

use std::sync::OnceLock;

use nix::sys::mman::ProtFlags;

/// What pages with code allow; pages that can be written and executed are asked for by name only.
pub const READ_EXECUTE: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_EXEC);
/// What nobody gets who did not ask for it by name.
pub const READ_WRITE_EXECUTE: ProtFlags = READ_EXECUTE.union(ProtFlags::PROT_WRITE);

/// Makes what was written at these bytes, which are mapped readable, the code that every thread of this process fetches
/// from now on.
pub fn publish(start: *const u8, len: usize) {
    clean_caches(start, len);
    serialise_threads();
}

/// x86-64 keeps instruction and data caches coherent.
#[cfg(target_arch = "x86_64")]
fn clean_caches(_start: *const u8, _len: usize) {
    std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
}

/// AArch64 does not: the data cache is cleaned to where both meet (the point of unification), then the instruction cache
/// forgets what it had (Arm ARM, "Concurrent modification and execution of instructions").
#[cfg(target_arch = "aarch64")]
fn clean_caches(start: *const u8, len: usize) {
    use std::arch::asm;
    let (start, end) = (start.addr(), start.addr() + len);
    let types: u64;
    // SAFETY: reads a register that says how long cache lines are.
    unsafe { asm!("mrs {}, ctr_el0", out(reg) types, options(nomem, nostack, preserves_flags)) };
    let data_line = 4usize << ((types >> 16) & 0xf);
    let code_line = 4usize << (types & 0xf);
    for line in (start & !(data_line - 1)..end).step_by(data_line) {
        // SAFETY: cleans a line of bytes that the caller has mapped; its contents stay.
        unsafe { asm!("dc cvau, {}", in(reg) line, options(nostack, preserves_flags)) };
    }
    // SAFETY: a barrier.
    unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
    for line in (start & !(code_line - 1)..end).step_by(code_line) {
        // SAFETY: forgets cached instructions of bytes that the caller has mapped.
        unsafe { asm!("ic ivau, {}", in(reg) line, options(nostack, preserves_flags)) };
    }
    // SAFETY: barriers.
    unsafe { asm!("dsb ish", "isb", options(nostack, preserves_flags)) };
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("how instruction caches are made coherent is known for x86-64 and AArch64 only");

/// Other threads may have fetched the old bytes already: the kernel makes each of them start anew (membarrier(2)). A kernel
/// without the call leaves it to whatever made the other thread learn of the new code, which in practice is a lock.
fn serialise_threads() {
    const REGISTER: i32 = 1 << 6;
    const SYNC_CORE: i32 = 1 << 5;
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    // SAFETY: numbers only; the call changes no memory.
    let call = |command: i32| unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) } == 0;
    if *REGISTERED.get_or_init(|| call(REGISTER)) {
        call(SYNC_CORE);
    }
}
