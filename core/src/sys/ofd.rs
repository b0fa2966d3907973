//! Open-file-description locks (fcntl(2), `F_OFD_SETLK`): the kernel's own record of who is alive.

use std::os::fd::BorrowedFd;

use nix::fcntl::{FcntlArg, fcntl};

use super::SysResult;

/// Takes the write lock on one byte for the description behind `fd`; `false` when another description holds it.
pub fn try_lock_byte(fd: BorrowedFd<'_>, byte: i64) -> SysResult<bool> {
    match fcntl(fd, FcntlArg::F_OFD_SETLK(&one_byte(byte))) {
        Ok(_) => Ok(true),
        Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Whether a description other than the one behind `fd` holds a lock on the byte.
pub fn is_locked_elsewhere(fd: BorrowedFd<'_>, byte: i64) -> SysResult<bool> {
    let mut query = one_byte(byte);
    fcntl(fd, FcntlArg::F_OFD_GETLK(&mut query))?;
    Ok(i32::from(query.l_type) != libc::F_UNLCK)
}

fn one_byte(byte: i64) -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte,
        l_len: 1,
        l_pid: 0,
    }
}
