//! What the runner passes to others over sockets: memory and regions without a name.

use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use shmkit::{MapOptions, Mapping, Protection, Region, Seals, Segment, Wait};

use crate::{Command, Failure, Outcome, refuse};

const PATIENCE: Duration = Duration::from_secs(20);

fn patiently() -> Wait {
    Wait::timeout(PATIENCE)
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Command(error.to_string())
    }
}

/// A connection to the socket that a command names: the first who comes, or one to who listens there.
fn peer(command: &Command) -> Outcome<UnixStream> {
    let path = command.text("path")?;
    if command.op.starts_with("send") {
        return Ok(UnixListener::bind(path)?.accept()?.0);
    }
    let began = Instant::now();
    loop {
        match UnixStream::connect(path) {
            Ok(peer) => return Ok(peer),
            Err(_) if began.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => return refuse(error.to_string()),
        }
    }
}

/// Memory that is sent or received, and what more there is to say of it.
pub fn memory(command: &Command) -> Outcome<(Mapping, String)> {
    let writable = MapOptions::new().protection(Protection::ReadWrite);
    if command.op == "send_memory" {
        let segment = Segment::memfd("conformance", command.number("len")?)?;
        segment.seal(Seals::SHRINK)?;
        segment.send(peer(command)?, &patiently())?;
        return Ok((writable.map_segment(&segment)?, String::new()));
    }
    let segment = Segment::receive(peer(command)?, &patiently())?;
    let sealed = segment.seals()?.contains(Seals::SHRINK);
    Ok((writable.map_segment(&segment)?, format!(" sealed={}", u8::from(sealed))))
}

/// A region without a name that is sent or received.
pub fn region(command: &Command) -> Outcome<Region> {
    if command.op == "send_region" {
        let region = Region::create_unnamed(command.number("len")?)?;
        Segment::from_fd(region.try_clone_fd()?)?.send(peer(command)?, &patiently())?;
        return Ok(region);
    }
    Ok(Region::from_fd(Segment::receive(peer(command)?, &patiently())?)?)
}
