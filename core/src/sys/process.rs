//! What people want to know of a process. Nothing here decides anything.

use std::os::unix::fs::MetadataExt;

/// Process id in the caller's own namespace.
pub fn pid() -> u32 {
    std::process::id()
}

/// Inode number of the PID namespace, or 0 without /proc.
pub fn pid_namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/pid").map(|meta| meta.ino()).unwrap_or(0)
}

/// The command name (proc(5), `comm`: at most 15 bytes), empty without /proc.
pub fn command_name() -> Vec<u8> {
    let mut name = std::fs::read("/proc/self/comm").unwrap_or_default();
    name.truncate(name.trim_ascii_end().len());
    name
}

/// Bytes nobody can guess (getrandom(2)).
pub fn random_bytes<const N: usize>() -> super::SysResult<[u8; N]> {
    let mut bytes = [0; N];
    let mut done = 0;
    while done < N {
        // SAFETY: the pointer and the length name the rest of `bytes`.
        let got = unsafe { libc::getrandom(bytes[done..].as_mut_ptr().cast(), N - done, 0) };
        match nix::errno::Errno::result(got) {
            Ok(got) => done += got as usize,
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(bytes)
}
