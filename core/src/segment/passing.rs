//! Segments that travel between processes: over Unix sockets, as any program passes descriptors.
//!
//! One message is one byte, of any value, with one descriptor (unix(7), `SCM_RIGHTS`). So the other end may be this library
//! in any language, Python's `socket.send_fds(s, [b"S"], [fd])` and `recv_fds(s, 1, 1)`, or sendmsg(2) itself.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;

use super::Segment;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::wait::{Ended, Wait, in_kernel};
use crate::sys::SysResult;
use crate::sys::file::ObjectFile;
use crate::sys::socket::{self, Received};

/// A sleep in poll(2) that has no end of its own.
const LONG: Duration = Duration::from_secs(3600);

impl Segment {
    /// Sends the segment over a connected Unix socket; this process keeps it. Waits while the socket is full.
    ///
    /// ```
    /// use shmkit::{MapOptions, Protection, Segment, Wait};
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (here, there) = UnixStream::pair().unwrap(); // usually between two processes, in any languages
    /// let segment = Segment::memfd("frames", 4096)?;
    /// MapOptions::new().protection(Protection::ReadWrite).map_segment(&segment)?.write_at(0, b"Hi")?;
    /// segment.send(&here, &Wait::forever())?;
    ///
    /// let received = Segment::receive(&there, &Wait::forever())?;
    /// let mut bytes = [0; 2];
    /// MapOptions::new().map_segment(&received)?.read_at(0, &mut bytes)?;
    /// assert_eq!(&bytes, b"Hi");
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    ///
    /// Errors: `Timeout`, `Interrupted`, `Io` (the other side is gone, or no Unix socket).
    pub fn send(&self, socket: impl AsFd, wait: &Wait) -> Result<()> {
        let socket = socket.as_fd();
        let send = || socket::send_descriptor(socket, self.as_fd()).map(|()| true);
        when_ready(socket, false, wait, send)
            .map(drop)
            .map_err(|ended| error_of(ended, "send segment", self.location().display()))
    }

    /// Receives a segment over a connected Unix socket, waiting for it. Whoever sent it may still write to it and, unless
    /// [`Segment::seals`] has [`crate::Seals::SHRINK`], cut it short.
    ///
    /// Takes exactly one byte from a stream. Errors: `Timeout`, `Interrupted`, `WrongKind` (a message without a descriptor,
    /// or the descriptor of something that is neither file nor memory), `Io` (the other side is gone, or no Unix socket).
    pub fn receive(socket: impl AsFd, wait: &Wait) -> Result<Segment> {
        let operation = "receive segment";
        let socket = socket.as_fd();
        let received = when_ready(socket, true, wait, || socket::receive_descriptor(socket))
            .map_err(|ended| error_of(ended, operation, ""))?;
        let wrong = |text| Error::new(ErrorKind::WrongKind, operation, "").with_detail(text);
        match received {
            Received::Descriptor(fd) => ObjectFile::received(fd)
                .and_then(Self::from_object)
                .map_err(|_| wrong("the descriptor is neither a file nor memory")),
            Received::Nothing => Err(wrong("the message brought no descriptor")),
            Received::End => Err(Error::from_errno(libc::ECONNRESET, operation, "")
                .with_detail("the other side has closed the socket")),
        }
    }
}

/// Tries, and sleeps until the socket is ready to be tried again. The socket's own mode does not matter.
fn when_ready<T>(
    socket: BorrowedFd<'_>,
    for_reading: bool,
    wait: &Wait,
    attempt: impl Fn() -> SysResult<T>,
) -> Result<T, Ended> {
    in_kernel(wait, |at_most| {
        let tried = || match attempt() {
            Err(Errno::EAGAIN) => Ok(None),
            result => result.map(Some),
        };
        match tried()? {
            None if socket::wait(socket, for_reading, at_most.unwrap_or(LONG))? => tried(),
            result => Ok(result),
        }
    })
}

fn error_of(ended: Ended, operation: &'static str, object: impl Into<String>) -> Error {
    match ended {
        Ended::Stopped(stop) => Error::new(stop.into(), operation, object),
        Ended::Failed(errno) => Error::from_errno(errno as i32, operation, object),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MapOptions, Protection, Region};
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    const SOON: Duration = Duration::from_millis(20);

    #[test]
    fn segments_arrive_in_order_and_a_stream_keeps_what_follows() {
        let (mut here, there) = UnixStream::pair().unwrap();
        for number in [1u8, 2] {
            let segment = Segment::memfd("unit-passing", 4096).unwrap();
            let writable = MapOptions::new().protection(Protection::ReadWrite);
            writable.map_segment(&segment).unwrap().write_at(0, &[number]).unwrap();
            segment.send(&here, &Wait::forever()).unwrap();
        }
        here.write_all(b"x").unwrap();
        for number in [1, 2] {
            let segment = Segment::receive(&there, &Wait::forever()).unwrap();
            assert!(segment.is_writable());
            let mut bytes = [0];
            MapOptions::new().map_segment(&segment).unwrap().read_at(0, &mut bytes).unwrap();
            assert_eq!(bytes, [number]);
        }
        let error = Segment::receive(&there, &Wait::forever()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::WrongKind, "{error}");
        let error = Segment::receive(&there, &Wait::timeout(SOON)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        drop(here);
        let error = Segment::receive(&there, &Wait::forever()).err().unwrap();
        assert_eq!((error.kind(), error.errno()), (ErrorKind::Io, libc::ECONNRESET), "{error}");
    }

    #[test]
    fn a_full_socket_and_a_gone_receiver_are_told() {
        let (here, there) = UnixStream::pair().unwrap();
        let segment = Segment::memfd("unit-passing", 4096).unwrap();
        let wait = || Wait::timeout(SOON);
        let full = (0..100_000).find_map(|_| segment.send(&here, &wait()).err()).unwrap();
        // The kernel also limits how many descriptors of one user are on their way (ETOOMANYREFS).
        assert!(full.kind() == ErrorKind::Timeout || full.errno() == libc::ETOOMANYREFS, "{full}");
        drop(there);
        assert_eq!(segment.send(&here, &wait()).unwrap_err().errno(), libc::EPIPE);
    }

    #[test]
    fn what_is_neither_file_nor_memory_is_refused() {
        let (here, there) = UnixStream::pair().unwrap();
        socket::send_descriptor(here.as_fd(), here.as_fd()).unwrap();
        let error = Segment::receive(&there, &Wait::forever()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::WrongKind, "{error}");
        assert_eq!(Segment::from_fd(&here).err().unwrap().kind(), ErrorKind::WrongKind);
    }

    #[test]
    fn a_region_without_a_name_travels_too() {
        let (here, there) = UnixStream::pair().unwrap();
        let region = Region::create_unnamed(64).unwrap();
        region.write_at(0, b"Hi").unwrap();
        Segment::from_fd(region.try_clone_fd().unwrap()).unwrap().send(&here, &Wait::forever()).unwrap();
        let same = Region::from_fd(Segment::receive(&there, &Wait::forever()).unwrap()).unwrap();
        assert_eq!(same.id(), region.id());
        let mut bytes = [0; 2];
        same.read_at(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"Hi");
        let guard = same.lock().unwrap();
        assert!(region.is_locked());
        drop(guard);
        region.mutex("m").unwrap();
    }

    #[test]
    fn a_region_without_a_name_grows_and_shrinks() {
        let region = crate::RegionOptions::new().capacity(1 << 20).create_unnamed(4096).unwrap();
        let same = Region::from_fd(region.try_clone_fd().unwrap()).unwrap();
        region.resize(100_000).unwrap();
        same.write_at(99_999, b"x").unwrap();
        region.resize(4096).unwrap();
        assert_eq!(same.write_at(4096, b"x").unwrap_err().kind(), ErrorKind::OutOfRange);
    }
}
