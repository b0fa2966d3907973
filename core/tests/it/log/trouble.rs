//! A writer that cannot get a new segment is told why, appends what fits, and harms nobody.

use std::os::fd::AsRawFd;

use shmkit::{ErrorKind, Log, LogOptions, ReadFrom};

use crate::common::{Helper, PATIENCE, role, say};

/// Fills the segment, and says with which kind of error that ended.
fn fill(log: &Log) -> ErrorKind {
    for _ in 0..100 {
        if let Err(error) = log.append(1, &[1; 900]) {
            log.append(1, b"fits").expect("there is room for it");
            return error.kind();
        }
    }
    panic!("it got segments all the time");
}

/// Another process gets into trouble; this one goes on.
fn expect(test: impl Fn(), trouble: fn(), kind: ErrorKind) {
    if let Some(arguments) = role() {
        let log = Log::open(&arguments[0]).unwrap();
        log.append(1, b"before").unwrap();
        trouble();
        say(fill(&log).name());
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let log = LogOptions::new().segment_len(4096).create(&path).unwrap();
    let mut helper = Helper::start(test, &[path.to_str().unwrap()]);
    helper.expect(kind.name());
    helper.finish();
    let last = log.append(2, &[2; 900]).unwrap();
    assert!(last >= 4096, "it got its segment");
    let records: Vec<_> = log.reader(ReadFrom::Start).unwrap().map(Result::unwrap).collect();
    assert_eq!(records.len(), 7);
    assert_eq!(log.verify(|_| ()).unwrap().claimed, 0);
}

#[test]
fn a_full_disk() {
    /// A limit that no file of a segment's size keeps to; the kernel's answer is the same as when the disk is full.
    fn trouble() {
        let limit = libc::rlimit { rlim_cur: 4096, rlim_max: 4096 };
        // SAFETY: asks the kernel for a limit, and not to be killed for reaching it.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit), 0);
        }
    }
    expect(a_full_disk, trouble, ErrorKind::NoSpace);
}

#[test]
fn a_permission_that_was_lost() {
    /// Somebody who may not write the directory. Only root can become that; others have no leave to lose.
    fn trouble() {
        // SAFETY: asks the kernel for another user.
        assert_eq!(unsafe { libc::setresuid(65534, 65534, 65534) }, 0);
    }
    // SAFETY: asks who we are.
    if unsafe { libc::geteuid() } == 0 {
        expect(a_permission_that_was_lost, trouble, ErrorKind::PermissionDenied);
    }
}

/// Somebody removed a log in part. What is left is not taken for a part of a new one.
#[test]
fn segments_without_a_control_object() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    Log::create(&path).unwrap().append(1, b"x").unwrap();
    std::fs::remove_file(path.join("control")).unwrap();
    assert_eq!(Log::open(&path).unwrap_err().kind(), ErrorKind::NotFound);
    for error in [Log::create(&path).unwrap_err(), Log::open_or_create(&path).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(error.to_string().contains("1 segments of a log whose control object is gone"), "{error}");
    }
    std::fs::remove_file(path.join("segment-00000000000000000000.log")).unwrap();
    Log::create(&path).unwrap().append(1, b"x").unwrap();
}

#[test]
fn a_process_that_goes_to_another_directory() {
    if let Some(arguments) = role() {
        std::env::set_current_dir(&arguments[0]).unwrap();
        let log = LogOptions::new().segment_len(4096).create("relative").unwrap();
        let other = Log::open("./relative").unwrap();
        std::env::set_current_dir("/").unwrap();
        for log in [&log, &other] {
            for number in 0..10 {
                log.append(number, &[1; 1000]).unwrap();
            }
        }
        log.flush().unwrap();
        assert_eq!(other.reader(ReadFrom::Start).unwrap().map(Result::unwrap).count(), 20);
        say(log.directory().display());
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let mut helper = Helper::start(a_process_that_goes_to_another_directory, &[path]);
    helper.expect(&format!("{path}/relative"));
    helper.finish();
}

/// A process that is stopped while it opens a log keeps nobody else out, once the log is ready.
#[test]
fn an_opener_that_is_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    drop(Log::create(&path).unwrap());
    let control = std::fs::OpenOptions::new().read(true).write(true).open(path.join("control")).unwrap();
    // SAFETY: all zeros is a lock of nothing; what matters is set below.
    let mut gate: libc::flock = unsafe { std::mem::zeroed() };
    gate.l_type = libc::F_WRLCK as i16;
    gate.l_start = shmkit::layout::LOG_GATE_BYTE;
    gate.l_len = 1;
    // SAFETY: asks for a lock on a descriptor that is open.
    assert_eq!(unsafe { libc::fcntl(control.as_raw_fd(), libc::F_OFD_SETLK, &raw const gate) }, 0);
    let (tell, told) = std::sync::mpsc::channel();
    let opener = path.clone();
    std::thread::spawn(move || tell.send(Log::open(opener).and_then(|log| log.append(1, b"x"))));
    told.recv_timeout(PATIENCE).expect("it waits for the gate").unwrap();
    drop(control);
    assert_eq!(Log::open(&path).unwrap().reader(ReadFrom::Start).unwrap().count(), 1);
}
