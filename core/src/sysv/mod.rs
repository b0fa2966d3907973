//! System V shared memory and semaphores, for programs that use them already: [`SysvSegment`], [`SysvSemaphore`].
//!
//! The kernel keeps both, by an *id* and, unless made with [`SYSV_PRIVATE`], under a *key* that programs agree on (ftok(3)
//! makes one of a path). Nothing of this library is in them: whoever uses the system calls themselves, in any language, is
//! on the same segment and the same semaphore.
//!
//! They live until they are removed or the machine stops, whoever dies. A semaphore's permits come back when the process
//! that took them dies, because operations are made with `SEM_UNDO` unless that is turned off.

mod segment;
mod semaphore;

pub use segment::{SysvSegment, SysvSegmentOptions, SysvSegmentStatus};
pub use semaphore::{SysvSemaphore, SysvSemaphoreOptions, SysvSemaphoreStatus};

use nix::errno::Errno;

use crate::error::{Error, ErrorKind, Result};

/// The key of what has none (`IPC_PRIVATE`): only its id leads to it.
pub const SYSV_PRIVATE: i32 = libc::IPC_PRIVATE;

/// What messages call an object: people know it by its key, and without one by its id.
fn label(key: i32, id: Option<i32>) -> String {
    match (key, id) {
        (SYSV_PRIVATE, Some(id)) => format!("id {id}"),
        (SYSV_PRIVATE, None) => String::from("private"),
        (key, _) => format!("key {key:#x}"),
    }
}

/// What an errno means here: an id that leads nowhere is EINVAL or EIDRM.
fn error_of(errno: Errno, operation: &'static str, object: &str) -> Error {
    match errno {
        Errno::EIDRM => gone(operation, object, "it was removed"),
        Errno::EINVAL => gone(operation, object, "no object has this id"),
        errno => Error::from_errno(errno as i32, operation, object),
    }
}

fn gone(operation: &'static str, object: &str, why: &str) -> Error {
    Error::new(ErrorKind::NotFound, operation, object).with_detail(why)
}

fn check_mode(mode: u32, operation: &'static str, object: &str) -> Result<()> {
    if mode & !0o777 != 0 {
        return Err(Error::new(ErrorKind::InvalidArgument, operation, object)
            .with_detail(format!("mode {mode:o} has bits beyond 777")));
    }
    Ok(())
}

fn check_key(key: i32, operation: &'static str) -> Result<()> {
    if key == SYSV_PRIVATE {
        return Err(Error::new(ErrorKind::InvalidArgument, operation, "private")
            .with_detail("what has no key is opened by its id"));
    }
    Ok(())
}

/// Opens what has the key, or creates it; each turn that fails means that somebody removed or created it in between.
fn open_or_create<T>(
    operation: &'static str,
    key: i32,
    open: impl Fn() -> Result<T>,
    create: impl Fn() -> Result<T>,
) -> Result<T> {
    for _ in 0..1000 {
        match open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            result => return result,
        }
        match create() {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            result => return result,
        }
    }
    Err(Error::new(ErrorKind::Busy, operation, label(key, None)).with_detail("others keep removing it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI32, Ordering};

    /// A key that no other test has: of this process and a counter.
    pub(super) fn fresh_key() -> i32 {
        static NEXT: AtomicI32 = AtomicI32::new(1);
        let pid = std::process::id() as i32;
        0x5300_0000 | (pid & 0x3fff) << 10 | NEXT.fetch_add(1, Ordering::Relaxed) & 0x3ff
    }

    #[test]
    fn errors_name_the_key_or_the_id() {
        assert_eq!(label(0x1234, Some(7)), "key 0x1234");
        assert_eq!(label(SYSV_PRIVATE, Some(7)), "id 7");
        assert_eq!(label(SYSV_PRIVATE, None), "private");
        for errno in [Errno::EIDRM, Errno::EINVAL] {
            let error = error_of(errno, "open System V segment", "id 7");
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        }
    }

    #[test]
    fn an_endless_race_ends() {
        let error = |kind| Err::<(), _>(Error::new(kind, "test", ""));
        let outcome =
            open_or_create("test", 1, || error(ErrorKind::NotFound), || error(ErrorKind::AlreadyExists));
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Busy);
    }
}
