//! Descriptors that travel over Unix sockets (unix(7), `SCM_RIGHTS`). Nothing here blocks but [`wait`].

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

use super::SysResult;

/// What one byte of a socket brought along.
pub enum Received {
    /// A descriptor; others in the same message were closed.
    Descriptor(OwnedFd),
    /// No descriptor.
    Nothing,
    /// The other side has closed.
    End,
}

/// As many descriptors as the kernel lets one message carry: room for fewer would leave the rest open in this process,
/// and known to nobody.
const MOST: usize = 253;

/// Sends one byte and with it a descriptor. EAGAIN when the socket takes nothing now.
pub fn send_descriptor(socket: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> SysResult<()> {
    let fds = [fd.as_raw_fd()];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    let message = [ControlMessage::ScmRights(&fds)];
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(b"S")], &message, flags, None).map(drop)
}

/// Takes one byte and what came with it. EAGAIN when nothing is there.
pub fn receive_descriptor(socket: BorrowedFd<'_>) -> SysResult<Received> {
    let mut byte = [0];
    let mut buffer = [IoSliceMut::new(&mut byte)];
    let mut space = nix::cmsg_space!([RawFd; MOST]);
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut buffer, Some(&mut space), flags)?;
    let mut received = Vec::new();
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = part {
            // SAFETY: the kernel just gave us these descriptors.
            received.extend(fds.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    let end = message.bytes == 0 && received.is_empty();
    Ok(match received.into_iter().next() {
        Some(fd) => Received::Descriptor(fd),
        None if end => Received::End,
        None => Received::Nothing,
    })
}

/// Sleeps until the socket can be read from, or written to; `false` when the time passed first.
pub fn wait(socket: BorrowedFd<'_>, for_reading: bool, at_most: Duration) -> SysResult<bool> {
    let wanted = if for_reading { PollFlags::POLLIN } else { PollFlags::POLLOUT };
    let mut fds = [PollFd::new(socket, wanted)];
    // Rounded up: a sleep of less than asked would make the caller spin through the last millisecond.
    let milliseconds = at_most.as_micros().div_ceil(1000).min(i32::MAX as u128) as i32;
    let timeout = nix::poll::PollTimeout::try_from(milliseconds).map_err(|_| Errno::EINVAL)?;
    nix::poll::poll(&mut fds, timeout).map(|ready| ready > 0)
}
