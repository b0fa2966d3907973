//! A log in one process.

use super::*;

fn log(options: LogOptions) -> (tempfile::TempDir, Log) {
    let directory = tempfile::tempdir().unwrap();
    let log = options.create(directory.path().join("log")).unwrap();
    (directory, log)
}

fn all(log: &Log) -> Vec<(u32, Vec<u8>)> {
    let reader = log.reader(ReadFrom::Start).unwrap();
    reader.map(|record| record.map(|record| (record.kind(), record.to_vec())).unwrap()).collect()
}

#[test]
fn what_is_appended_is_read_in_order() {
    let (_directory, log) = log(LogOptions::new().segment_len(8192));
    let mut expected = Vec::new();
    for number in 0..1000u32 {
        let payload = vec![number as u8; (number * 7 % 1000) as usize];
        log.append(number, &payload).unwrap();
        expected.push((number, payload));
    }
    assert_eq!(all(&log), expected);
}

#[test]
fn records_survive_the_handle_and_readers_begin_where_they_are_told() {
    let (directory, log) = log(LogOptions::new());
    let first = log.append(1, b"one").unwrap();
    let second = log.append(2, b"").unwrap();
    drop(log);
    let log = Log::open(directory.path().join("log")).unwrap();
    assert_eq!(log.recovery(), None);
    let mut reader = log.reader(ReadFrom::Position(second)).unwrap();
    let record = reader.read().unwrap().unwrap();
    assert_eq!((record.position(), record.len(), record.kind()), (second, 0, 2));
    assert_eq!(record.next_position(), reader.position());
    assert!(reader.read().unwrap().is_none());
    let mut end = log.reader(ReadFrom::End).unwrap();
    assert_eq!(end.position(), log.end());
    log.append(3, b"three").unwrap();
    assert_eq!(end.read().unwrap().unwrap().to_vec(), b"three");
    for wrong in [first + 8, first + 1, log.end() + 8, u64::MAX, 1 << 40] {
        let error = log.reader(ReadFrom::Position(wrong)).err().unwrap();
        assert!(matches!(error.kind(), ErrorKind::InvalidArgument), "{wrong}: {error}");
    }
    assert_eq!(log.reader(ReadFrom::Position(log.end())).unwrap().position(), log.end());
}

#[test]
fn a_reservation_is_filled_in_place_made_shorter_or_given_up() {
    let (_directory, log) = log(LogOptions::new());
    let whole = log.reserve(1, 10).unwrap();
    let shorter = log.reserve(2, 100).unwrap();
    let given_up = log.reserve(3, 50).unwrap();
    log.append(4, b"behind").unwrap();
    let mut reader = log.reader(ReadFrom::Start).unwrap();
    assert!(reader.read().unwrap().is_none(), "it waits for the first claim");
    whole.bytes().write_at(0, b"0123456789").unwrap();
    assert_eq!(log.close().unwrap_err().kind(), ErrorKind::Busy);
    let position = whole.position();
    assert_eq!(whole.commit().unwrap(), position);
    shorter.bytes().write_at(0, b"abc").unwrap();
    shorter.commit_len(3).unwrap();
    drop(given_up);
    let too_long = log.reserve(5, 8).unwrap();
    assert_eq!(too_long.commit_len(9).unwrap_err().kind(), ErrorKind::OutOfRange);
    let found = [(1, b"0123456789".to_vec()), (2, b"abc".to_vec()), (4, b"behind".to_vec())];
    assert_eq!(all(&log), found);
    let verified = log.verify(|_| ()).unwrap();
    assert_eq!((verified.records, verified.abandoned, verified.fill_bytes), (3, 2, 96));
    assert_eq!((verified.end, log.status().unwrap().abandoned), (log.end(), 2));
    log.close().unwrap();
    assert_eq!(log.append(0, b"").unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn a_batch_is_there_at_once() {
    let (_directory, log) = log(LogOptions::new().segment_len(4096));
    let payloads: Vec<Vec<u8>> = (0..7u8).map(|n| vec![n; usize::from(n) * 9]).collect();
    let records: Vec<(u32, &[u8])> = payloads.iter().map(|p| (p.len() as u32, &p[..])).collect();
    for _ in 0..20 {
        let positions = log.append_batch(&records).unwrap();
        assert_eq!(positions.len(), 7);
        assert!(log.reader(ReadFrom::Position(positions[3])).is_ok());
    }
    assert!(log.append_batch(&[]).unwrap().is_empty());
    let read = all(&log);
    assert_eq!(read.len(), 140);
    assert!(read.iter().enumerate().all(|(index, (_, bytes))| *bytes == payloads[index % 7]));
    let many = vec![(0, &[0u8; 90][..]); 20];
    assert_eq!(log.append_batch(&many).unwrap_err().kind(), ErrorKind::RecordTooLarge);
}

#[test]
fn retention_removes_the_oldest_and_readers_are_told() {
    let (_directory, log) = log(LogOptions::new().segment_len(4096).retain_count(3));
    let mut late = log.reader(ReadFrom::Start).unwrap();
    let mut holder = log.reader(ReadFrom::Start).unwrap();
    log.append(0, &[7; 1000]).unwrap();
    let held = holder.read().unwrap().unwrap();
    for number in 1..100 {
        log.append(number, &[7; 1000]).unwrap();
    }
    let status = log.status().unwrap();
    assert_eq!(status.segments.len(), 3);
    assert_eq!(status.start, status.segments[0]);
    assert_eq!(status.removed_segments, status.start / 4096);
    let error = late.read().unwrap_err();
    assert_eq!((error.kind(), late.missed()), (ErrorKind::Missed, status.start));
    let rest: Vec<u32> = late.map(|record| record.unwrap().kind()).collect();
    assert_eq!(rest.last(), Some(&99));
    assert_eq!(held.to_vec(), [7; 1000], "a record keeps its bytes");
    let after: Vec<_> = holder.by_ref().collect();
    assert!(after.iter().filter(|record| record.is_err()).count() == 1);
    let gone = log.reader(ReadFrom::Position(0)).err().unwrap();
    assert_eq!(gone.kind(), ErrorKind::Missed);
}

#[test]
fn limits_are_told() {
    let (directory, log) = log(LogOptions::new().segment_len(8192).max_record_len(500));
    let error = log.append(0, &[0; 501]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RecordTooLarge, "{error}");
    log.append(0, &[0; 500]).unwrap();
    let path = directory.path().join("log");
    assert_eq!(Log::create(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
    let error = Log::open_or_create(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ParameterMismatch);
    assert!(
        error.to_string().contains("segment_len 8192, not 67108864; max_record_len 500, not 16777192"),
        "{error}"
    );
    assert_eq!(Log::open(directory.path().join("none")).unwrap_err().kind(), ErrorKind::NotFound);
    for options in [
        LogOptions::new().segment_len(10),
        LogOptions::new().segment_len(2 << 30),
        LogOptions::new().segment_len(4096).max_record_len(4073),
        LogOptions::new().durability(Durability::Bytes(0)),
    ] {
        let error = options.create(directory.path().join("other")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    }
    let full = LogOptions::new().segment_len(4096).max_record_len(4072);
    let full = full.create(directory.path().join("full")).unwrap();
    for number in 0..5 {
        full.append(number, &[1; 4072]).unwrap();
    }
    assert_eq!(all(&full).len(), 5);
}

#[test]
fn a_read_only_handle_changes_nothing() {
    let (directory, log) = log(LogOptions::new());
    log.append(1, b"x").unwrap();
    let reading = Log::open_read_only(directory.path().join("log")).unwrap();
    let error = reading.append(1, b"y").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
    assert!(error.to_string().contains("log': is read-only here"), "{error}");
    assert_eq!(reading.flush().unwrap_err().kind(), ErrorKind::ReadOnly);
    let mut reader = reading.reader(ReadFrom::Start).unwrap();
    assert_eq!(reader.read().unwrap().unwrap().to_vec(), b"x");
    log.append(2, b"later").unwrap();
    let wait = Wait::timeout(std::time::Duration::from_secs(20));
    assert_eq!(reader.read_wait(&wait).unwrap().to_vec(), b"later");
    reading.close().unwrap();
    assert_eq!(reading.append(1, b"y").unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn threads_append_and_a_reader_follows() {
    let (_directory, log) = log(LogOptions::new().segment_len(64 << 10));
    const EACH: u32 = 5000;
    std::thread::scope(|scope| {
        for thread in 0..4u32 {
            let log = &log;
            scope.spawn(move || {
                for number in 0..EACH {
                    log.append(thread, &number.to_ne_bytes()).unwrap();
                }
            });
        }
        let mut reader = log.reader(ReadFrom::Start).unwrap();
        let mut next = [0u32; 4];
        while next.iter().sum::<u32>() < 4 * EACH {
            let wait = Wait::timeout(std::time::Duration::from_secs(20));
            let record = reader.read_wait(&wait).unwrap();
            let expected = &mut next[record.kind() as usize];
            assert_eq!(record.to_vec(), expected.to_ne_bytes());
            *expected += 1;
        }
    });
}

#[test]
fn a_flush_that_fails_is_told_to_each_who_waits_for_it() {
    let (_directory, log) = log(LogOptions::new().durability(Durability::Group));
    log.append(1, b"good").unwrap();
    let before = log.append_deferred(2, b"lost").unwrap();
    let (told, hear) = std::sync::mpsc::channel();
    log.inner.fail_next_flush.lock().replace(nix::errno::Errno::EIO);
    let error = log.append(3, b"lost too").unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::Io, libc::EIO), "{error}");
    assert_eq!(log.is_durable(before).unwrap_err().errno(), libc::EIO, "the same flush was to carry it");
    assert_eq!(log.wait_durable(before, &Wait::FOREVER).unwrap_err().errno(), libc::EIO);
    log.on_durable(before, move |result| told.send(result).unwrap()).unwrap();
    assert_eq!(hear.recv().unwrap().unwrap_err().errno(), libc::EIO);
    log.append(4, b"good again").unwrap();
    assert_eq!(log.is_durable(before).unwrap_err().errno(), libc::EIO, "it stays so");
    // Long ago: the result of that number is gone, and it may have been the one that failed.
    for _ in 0..100 {
        log.append(5, b"").unwrap();
    }
    assert_eq!(log.is_durable(before).unwrap_err().errno(), libc::EIO);
    let status = log.status().unwrap();
    assert_eq!((status.flush_failures, status.flush_errno), (1, libc::EIO as u32));
    assert_eq!(all(&log).len(), 104, "what is in the log is in the log");
}

#[test]
fn who_does_not_wait_hears_of_a_failure_at_the_next_append() {
    for durability in [Durability::Bytes(1 << 30), Durability::Interval(std::time::Duration::from_secs(3600))]
    {
        let (_directory, log) = log(LogOptions::new().durability(durability));
        log.append(1, b"x").unwrap();
        log.inner.fail_next_flush.lock().replace(nix::errno::Errno::ENOSPC);
        assert_eq!(log.flush().unwrap_err().kind(), ErrorKind::NoSpace);
        let error = log.append(2, b"y").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
        log.append(2, b"y").unwrap();
        assert_eq!(all(&log).len(), 2, "the append that told appended nothing");
    }
}

#[test]
fn everything_before_a_flush_is_durable_and_nothing_behind_it() {
    let (_directory, log) = log(LogOptions::new().segment_len(4096));
    let open = log.reserve(1, 10).unwrap();
    let position = open.position();
    let mut last = log.append_deferred(2, b"x").unwrap();
    for _ in 0..10 {
        last = log.append_deferred(2, &[1; 900]).unwrap();
    }
    assert!(!log.is_durable(last).unwrap());
    log.flush().unwrap();
    assert!(log.is_durable(last).unwrap(), "the claim before it does not matter");
    assert_eq!(log.status().unwrap().flushed_to, position, "but recovery would begin there");
    let later = open.commit_deferred(10).unwrap();
    assert!(!log.is_durable(later).unwrap());
    log.wait_durable(later, &Wait::FOREVER).unwrap();
    assert_eq!(log.status().unwrap().flushed_to, log.end());
    assert!(!log.is_durable(log.ticket()).unwrap());
}

#[test]
fn callbacks_and_futures_are_told() {
    use std::future::Future;
    use std::task::{Context, Waker};
    let patience = std::time::Duration::from_secs(20);
    let interval = std::time::Duration::from_millis(5);
    for durability in [
        Durability::None,
        Durability::Group,
        Durability::Every,
        Durability::Interval(interval),
        Durability::Bytes(100),
    ] {
        let (_directory, log) = log(LogOptions::new().durability(durability));
        let (told, hear) = std::sync::mpsc::channel();
        for number in 0..50u8 {
            let ticket = log.append_deferred(0, &[number; 100]).unwrap();
            let told = told.clone();
            log.on_durable(ticket, move |result| told.send((number, result)).unwrap()).unwrap();
        }
        let mut heard: Vec<u8> = Vec::new();
        for _ in 0..50 {
            let (number, result) = hear.recv_timeout(patience).expect("each is told");
            result.unwrap();
            heard.push(number);
        }
        heard.sort();
        assert_eq!(heard, (0..50).collect::<Vec<u8>>(), "{durability:?}");

        let ticket = log.append_deferred(0, &[0; 200]).unwrap();
        let mut future = std::pin::pin!(log.durable(ticket).unwrap());
        let thread = std::thread::current();
        struct Unpark(std::thread::Thread);
        impl std::task::Wake for Unpark {
            fn wake(self: Arc<Unpark>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(thread)));
        let begun = std::time::Instant::now();
        while future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            assert!(begun.elapsed() < patience);
            std::thread::park_timeout(patience);
        }
        assert!(log.is_durable(ticket).unwrap());
    }
}

#[test]
fn the_end_of_a_handle_flushes_and_tells_who_waits() {
    let (directory, log) = log(LogOptions::new().durability(Durability::Bytes(1 << 20)));
    let (told, hear) = std::sync::mpsc::channel();
    let ticket = log.append_deferred(0, b"x").unwrap();
    log.on_durable(ticket, move |result| told.send(result).unwrap()).unwrap();
    let end = log.end();
    drop(log);
    hear.try_recv().expect("told before the end").unwrap();
    let log = Log::open(directory.path().join("log")).unwrap();
    assert_eq!(log.status().unwrap().flushed_to, end);
    log.append(0, b"y").unwrap();
    log.close().unwrap();
    assert_eq!(log.status().unwrap().flushed_to, log.end());
    log.close().unwrap();
}

/// The thread has a part of the handle while it calls back. It must not be the last part.
#[test]
fn the_end_of_a_handle_waits_for_who_is_being_told() {
    let (_directory, log) = log(LogOptions::new());
    let ((entered, enters), (go, goes)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
    let first = log.append_deferred(0, b"x").unwrap();
    log.on_durable(first, move |_| {
        entered.send(()).unwrap();
        goes.recv().unwrap();
    })
    .unwrap();
    enters.recv().unwrap();
    let (told, hear) = std::sync::mpsc::channel();
    let second = log.append_deferred(0, b"y").unwrap();
    log.on_durable(second, move |result| told.send(result).unwrap()).unwrap();
    let let_go = std::thread::spawn(move || {
        // Long enough that a drop which does not wait has returned.
        std::thread::sleep(std::time::Duration::from_millis(50));
        go.send(()).unwrap();
    });
    drop(log);
    hear.try_recv().expect("told before the end").unwrap();
    let_go.join().unwrap();
}

/// A callback may own the handle, which then ends inside of it.
#[test]
fn a_callback_may_drop_the_handle() {
    let (_directory, log) = log(LogOptions::new());
    let log = Arc::new(log);
    let (told, hear) = std::sync::mpsc::channel();
    let ticket = log.append_deferred(0, b"x").unwrap();
    let (pass, passed) = std::sync::mpsc::channel::<Arc<Log>>();
    log.on_durable(ticket, move |_| {
        drop(passed.recv().unwrap());
        told.send(()).unwrap();
    })
    .unwrap();
    pass.send(log).unwrap();
    hear.recv_timeout(std::time::Duration::from_secs(30)).expect("it does not wait for itself");
}

#[test]
fn an_old_segment_is_left() {
    let age = std::time::Duration::from_millis(20);
    let (_directory, log) = log(LogOptions::new().max_age(age));
    log.append(0, b"first").unwrap();
    std::thread::sleep(age);
    let position = log.append(0, b"second").unwrap();
    assert_eq!(position, log.segment_len());
    assert_eq!(all(&log).len(), 2);
}

#[test]
fn an_old_segment_is_left_although_the_clock_was_set_back() {
    let age = std::time::Duration::from_millis(20);
    let (_directory, log) = log(LogOptions::new().max_age(age));
    log.append(0, b"by a clock that was a day ahead").unwrap();
    let first = log.current_segment().unwrap();
    first.first_ns().unwrap().fetch_add(86_400_000_000_000, Relaxed);
    log.append(0, b"by one that is right").unwrap();
    std::thread::sleep(age);
    assert_eq!(log.append(0, b"old enough").unwrap(), log.segment_len());
}

#[test]
fn who_cannot_get_a_new_segment_is_told_and_what_fits_still_goes() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, log) = log(LogOptions::new().segment_len(4096));
    log.append(0, &[0; 900]).unwrap();
    let path = directory.path().join("log");
    // A directory that is gone, or another log in its place: root does not mind permissions, so they prove nothing here.
    let away = directory.path().join("away");
    std::fs::rename(&path, &away).unwrap();
    while log.append(0, &[1; 900]).is_ok() {}
    let error = log.append(0, &[1; 900]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    log.append(0, b"fits").unwrap();
    let other = LogOptions::new().segment_len(4096).create(&path).unwrap();
    let error = log.append(0, &[1; 900]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Replaced, "{error}");
    assert_eq!(other.end(), 0);
    drop(other);
    std::fs::remove_dir_all(&path).unwrap();
    std::fs::rename(&away, &path).unwrap();
    log.append(0, &[2; 900]).unwrap();
    assert_eq!(all(&log).last().unwrap().1, [2; 900]);
    let mode = path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700, "leave to search where there is leave to read");
}

#[test]
fn a_missing_segment_is_told_and_what_retention_removed_is_not() {
    let (_directory, log) = log(LogOptions::new().segment_len(4096));
    for number in 0..20 {
        log.append(number, &[1; 900]).unwrap();
    }
    std::fs::remove_file(segment::path(&log.inner.control, 4096)).unwrap();
    let verified = log.verify(|_| ()).unwrap();
    assert_eq!((verified.missed_bytes, verified.corruptions, verified.records), (4096, 0, 16));
    log.inner.control.words().start.store(8192, Relaxed);
    assert_eq!(log.verify(|_| ()).unwrap().missed_bytes, 0);
}
