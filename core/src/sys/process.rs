//! What people want to know of a process. Nothing here decides anything.

use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

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

/// A number that is drawn when the machine starts (proc(5), `random/boot_id`); `None` without /proc.
pub fn boot_id() -> Option<u128> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    u128::from_str_radix(&text.trim_ascii_end().replace('-', ""), 16).ok()
}

/// Some bits of [`boot_id`], never 0 unless it cannot be read.
pub fn boot_mark() -> u32 {
    static MARK: OnceLock<u32> = OnceLock::new();
    *MARK.get_or_init(|| boot_id().map_or(0, |id| id as u32 | 1))
}

/// Bytes nobody can guess (getrandom(2)). Called by number: the C library's function is newer than the oldest one our
/// binaries run on.
pub fn random_bytes<const N: usize>() -> super::SysResult<[u8; N]> {
    let mut bytes = [0; N];
    let mut done = 0;
    while done < N {
        let rest = &mut bytes[done..];
        // SAFETY: the pointer and the length name the rest of `bytes`.
        let got = unsafe { libc::syscall(libc::SYS_getrandom, rest.as_mut_ptr(), rest.len(), 0) };
        match nix::errno::Errno::result(got) {
            Ok(got) => done += got as usize,
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_fill_the_whole_array_and_differ() {
        let (one, other) = (random_bytes::<64>().unwrap(), random_bytes::<64>().unwrap());
        assert_ne!(one, other);
        assert!(one.chunks(16).all(|chunk| chunk != [0; 16]));
    }
}
