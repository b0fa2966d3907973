//! System V shared memory and semaphores (sysvipc(7)).

use std::mem::MaybeUninit;
use std::time::Duration;

use nix::errno::Errno;

use super::SysResult;

/// The segment of this key, or a new one: `flags` are mode bits, `IPC_CREAT` and `IPC_EXCL` (shmget(2)).
pub fn segment_get(key: i32, len: usize, flags: i32) -> SysResult<i32> {
    // SAFETY: numbers only.
    Errno::result(unsafe { libc::shmget(key, len, flags) })
}

/// What the kernel knows of a segment (shmctl(2), `IPC_STAT`).
pub fn segment_stat(id: i32) -> SysResult<libc::shmid_ds> {
    let mut stat = MaybeUninit::<libc::shmid_ds>::zeroed();
    // SAFETY: room for one; the kernel fills it or fails.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_STAT, stat.as_mut_ptr()) })?;
    // SAFETY: integers only, zeroed and then filled.
    Ok(unsafe { stat.assume_init() })
}

/// Removes a segment; its memory goes with the last who has it attached (`IPC_RMID`).
pub fn segment_remove(id: i32) -> SysResult<()> {
    // SAFETY: the buffer is not used by this command.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) }).map(drop)
}

/// The set of this key, or a new one of `count` semaphores (semget(2)).
pub fn set_get(key: i32, count: i32, flags: i32) -> SysResult<i32> {
    // SAFETY: numbers only.
    Errno::result(unsafe { libc::semget(key, count, flags) })
}

/// Number of semaphores, time of the last operation in seconds, and the mode (semctl(2), `IPC_STAT`).
pub fn set_stat(id: i32) -> SysResult<libc::semid_ds> {
    let mut stat = MaybeUninit::<libc::semid_ds>::zeroed();
    // SAFETY: room for one; the kernel fills it or fails.
    Errno::result(unsafe { libc::semctl(id, 0, libc::IPC_STAT, stat.as_mut_ptr()) })?;
    // SAFETY: integers only, zeroed and then filled.
    Ok(unsafe { stat.assume_init() })
}

/// Removes a set; who waits in it is woken with EIDRM (`IPC_RMID`).
pub fn set_remove(id: i32) -> SysResult<()> {
    // SAFETY: this command takes no argument.
    Errno::result(unsafe { libc::semctl(id, 0, libc::IPC_RMID) }).map(drop)
}

/// One number about one semaphore: `GETVAL`, `GETPID`, `GETNCNT` or `GETZCNT`.
pub fn semaphore_get(id: i32, index: u16, what: i32) -> SysResult<i32> {
    // SAFETY: these commands take no argument.
    Errno::result(unsafe { libc::semctl(id, i32::from(index), what) })
}

/// Sets a value and clears everybody's undo of it (`SETVAL`).
pub fn semaphore_set(id: i32, index: u16, value: i32) -> SysResult<()> {
    // SAFETY: the argument is a union whose first member is this int.
    Errno::result(unsafe { libc::semctl(id, i32::from(index), libc::SETVAL, value) }).map(drop)
}

/// Operations on one set, all or none (semop(2)); waits as long as `at_most` says, without one for ever. EAGAIN when that
/// time passed, or at once with `IPC_NOWAIT`.
pub fn operate(id: i32, operations: &mut [libc::sembuf], at_most: Option<Duration>) -> SysResult<()> {
    let timeout = at_most.map(|limit| libc::timespec {
        tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(limit.subsec_nanos() as i32),
    });
    let place = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: pointer and length name the operations; the timeout is null or alive for the call. By number, because not
    // every C library has the function.
    let status =
        unsafe { libc::syscall(libc::SYS_semtimedop, id, operations.as_mut_ptr(), operations.len(), place) };
    Errno::result(status).map(drop)
}
