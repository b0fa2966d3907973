//! Memory and semaphores that other processes get by descriptor or by id, and what is left when these are killed.

use std::os::unix::net::{UnixListener, UnixStream};

use crate::common::{Helper, PATIENCE, listen, role, say};
use shmkit::{
    ErrorKind, LockError, MapOptions, Protection, Region, SYSV_PRIVATE, Segment, SysvSemaphore,
    SysvSemaphoreOptions, Wait,
};

/// A path for a socket, and who listens there.
fn socket(directory: &tempfile::TempDir) -> (String, UnixListener) {
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    (path.display().to_string(), listener)
}

#[test]
fn a_region_without_a_name_tells_of_an_owners_death() {
    if let Some(arguments) = role() {
        let socket = UnixStream::connect(&arguments[0]).unwrap();
        let region = Region::from_fd(Segment::receive(socket, &Wait::timeout(PATIENCE)).unwrap()).unwrap();
        let guard = region.lock().unwrap();
        guard.write_at(0, b"half").unwrap();
        say("locked");
        listen();
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (path, listener) = socket(&directory);
    let region = Region::create_unnamed(64).unwrap();
    let file = std::fs::File::from(region.try_clone_fd().unwrap());
    assert!(file.set_len(10).is_err(), "nobody can cut it");
    let mut helper = Helper::start(a_region_without_a_name_tells_of_an_owners_death, &[&path]);
    let (peer, _) = listener.accept().unwrap();
    Segment::from_fd(&file).unwrap().send(&peer, &Wait::timeout(PATIENCE)).unwrap();
    helper.expect("locked");
    assert!(region.try_lock().unwrap().is_none(), "the helper has the guard");
    helper.kill();
    let mut guard = match region.lock_timeout(PATIENCE) {
        Err(LockError::OwnerDied(guard)) => guard,
        other => panic!("{other:?}"),
    };
    let mut bytes = [0; 4];
    guard.read_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"half");
    guard.make_consistent().unwrap();
}

#[test]
fn memory_outlives_who_made_it() {
    if let Some(arguments) = role() {
        let segment = Segment::memfd("it-kinds", 4096).unwrap();
        MapOptions::new()
            .protection(Protection::ReadWrite)
            .map_segment(&segment)
            .unwrap()
            .write_at(0, b"Hi")
            .unwrap();
        let socket = UnixStream::connect(&arguments[0]).unwrap();
        segment.send(socket, &Wait::timeout(PATIENCE)).unwrap();
        say("sent");
        listen();
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (path, listener) = socket(&directory);
    let mut helper = Helper::start(memory_outlives_who_made_it, &[&path]);
    let (peer, _) = listener.accept().unwrap();
    helper.expect("sent");
    helper.kill();
    // What was sent arrives, although nobody is there any more.
    let segment = Segment::receive(&peer, &Wait::timeout(PATIENCE)).unwrap();
    let mut bytes = [0; 2];
    MapOptions::new().map_segment(&segment).unwrap().read_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"Hi");
    let gone = Segment::receive(&peer, &Wait::timeout(PATIENCE)).err().unwrap();
    assert_eq!((gone.kind(), gone.errno()), (ErrorKind::Io, libc::ECONNRESET));
}

#[test]
fn system_v_permits_of_the_dead_come_back_where_undo_is_on() {
    if let Some(arguments) = role() {
        let id = arguments[0].parse().unwrap();
        for (index, undo) in [(0, true), (1, false)] {
            let options = SysvSemaphoreOptions::new().index(index).undo(undo);
            options.from_id(id).unwrap().acquire(2, &Wait::timeout(PATIENCE)).unwrap();
        }
        say("taken");
        listen();
        return;
    }
    let first = SysvSemaphoreOptions::new().count(2).create(SYSV_PRIVATE, 2).unwrap();
    let second = SysvSemaphoreOptions::new().index(1).from_id(first.id()).unwrap();
    let id = first.id().to_string();
    let mut helper = Helper::start(system_v_permits_of_the_dead_come_back_where_undo_is_on, &[&id]);
    helper.expect("taken");
    let taken = |semaphore: &SysvSemaphore| semaphore.value().unwrap() == 0;
    assert!(taken(&first) && taken(&second));
    helper.kill();
    let came_back = first.acquire(2, &Wait::timeout(PATIENCE));
    let stayed = second.try_acquire(1);
    first.remove().unwrap();
    came_back.unwrap();
    assert!(!stayed.unwrap());
}
