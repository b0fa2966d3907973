//! A place of a log is damaged while the log is used: it is told once, and what comes behind it is read.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

use shmkit::{Durability, ErrorKind, Log, LogOptions, LogReader, ReadFrom};
use tempfile::TempDir;

fn small_log() -> (TempDir, Log) {
    let directory = tempfile::tempdir().unwrap();
    let log = LogOptions::new().segment_len(8192).create(directory.path().join("log")).unwrap();
    (directory, log)
}

/// The file of the segment that begins at this position.
fn segment(log: &Log, base: u64) -> File {
    let path = log.directory().join(format!("segment-{base:020}.log"));
    OpenOptions::new().write(true).open(path).unwrap()
}

/// Overwrites bytes of the first segment.
fn damage(log: &Log, position: u64, bytes: &[u8]) {
    segment(log, 0).write_at(bytes, 4096 + position).unwrap();
}

/// Reads to the end: the kinds of the records, and the errors between them.
fn read_all(reader: &mut LogReader) -> Vec<Result<u32, ErrorKind>> {
    reader.map(|record| record.map(|record| record.kind()).map_err(|error| error.kind())).take(100).collect()
}

#[test]
fn the_last_record() {
    for (at, bytes) in [(40, &b"x"[..]), (0, &[9; 8])] {
        let (_directory, log) = small_log();
        log.append(1, &[1; 100]).unwrap();
        let position = log.append(2, &[2; 100]).unwrap();
        damage(&log, position + at, bytes);
        let mut reader = log.reader(ReadFrom::Start).unwrap();
        assert_eq!(read_all(&mut reader), [Ok(1), Err(ErrorKind::Corrupted)]);
        assert_eq!(reader.corrupted(), 128);
        log.append(3, b"behind it").unwrap();
        assert_eq!(read_all(&mut reader), [Ok(3)], "damage at {at}");
    }
}

#[test]
fn a_record_before_one_that_is_being_written() {
    let (_directory, log) = small_log();
    let position = log.append(1, &[1; 100]).unwrap();
    let reserved = log.reserve(2, 100).unwrap();
    damage(&log, position + 40, b"x");
    let mut reader = log.reader(ReadFrom::Start).unwrap();
    assert_eq!(read_all(&mut reader), [Err(ErrorKind::Corrupted)]);
    reserved.commit().unwrap();
    assert_eq!(read_all(&mut reader), [Ok(2)]);
}

#[test]
fn a_reader_begins_again_behind_it() {
    let (_directory, log) = small_log();
    log.append(1, &[1; 100]).unwrap();
    let position = log.append(2, &[2; 100]).unwrap();
    for kind in [3, 4, 5] {
        log.append(kind, &[3; 100]).unwrap();
    }
    damage(&log, position, &[9; 8]);
    let mut reader = log.reader(ReadFrom::Start).unwrap();
    assert_eq!(reader.read().unwrap().unwrap().kind(), 1);
    assert_eq!(reader.read().unwrap_err().kind(), ErrorKind::Corrupted);
    assert_eq!(reader.read().unwrap().unwrap().kind(), 3);
    let mut again = log.reader(ReadFrom::Position(reader.position())).unwrap();
    assert_eq!(read_all(&mut again), [Ok(4), Ok(5)]);
    let error = log.reader(ReadFrom::Position(reader.position() + 8)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_file_that_is_cut_under_a_reader() {
    let (_directory, log) = small_log();
    for kind in 0..20 {
        log.append(kind, &[1; 1000]).unwrap();
    }
    let mut reader = log.reader(ReadFrom::Start).unwrap();
    assert_eq!(reader.read().unwrap().unwrap().kind(), 0);
    segment(&log, 0).set_len(4096).unwrap();
    let found = read_all(&mut reader);
    assert_eq!(found[0], Err(ErrorKind::MappingTruncated));
    assert_eq!(found[1..], (8..20).map(Ok).collect::<Vec<_>>(), "told once, and passed");
}

/// Appends through two handles until each was told what is wrong; then they go on. `told` of the first append.
fn expect_writers_go_on(log: &Log, other: &Log, told: ErrorKind) {
    assert_eq!(log.append(100, b"").unwrap_err().kind(), told);
    let mut errors = 0;
    for number in 0..20 {
        for log in [log, other] {
            errors += u32::from(log.append(101 + number, &[1; 1000]).is_err());
        }
    }
    assert!(errors <= 1, "who had the file mapped may find out by himself");
    let mut reader = other.reader(ReadFrom::Start).unwrap();
    let found = read_all(&mut reader);
    let later = found.iter().filter(|found| found.is_ok_and(|kind| kind > 100)).count();
    assert_eq!(later as u32 + errors, 40, "{found:?}");
    assert_eq!(found.iter().filter(|found| found.is_err()).count(), 1, "told once: {found:?}");
}

fn two_handles(durability: Durability) -> (TempDir, Log, Log) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let log = LogOptions::new().segment_len(8192).durability(durability).create(&path).unwrap();
    let other = Log::open(&path).unwrap();
    for kind in [1, 2] {
        log.append(kind, &[1; 100]).unwrap();
        other.append(kind, &[1; 100]).unwrap();
    }
    (directory, log, other)
}

#[test]
fn writers_pass_a_place_that_nobody_wrote() {
    for durability in [Durability::None, Durability::Group] {
        let (_directory, log, other) = two_handles(durability);
        damage(&log, log.end(), &[9; 8]);
        expect_writers_go_on(&log, &other, ErrorKind::Corrupted);
        other.flush().unwrap();
        assert_eq!(log.status().unwrap().flushed_to, log.end(), "{durability:?}");
    }
}

#[test]
fn writers_leave_a_file_that_was_cut() {
    let (_directory, log, other) = two_handles(Durability::None);
    segment(&log, 0).set_len(4096).unwrap();
    expect_writers_go_on(&log, &other, ErrorKind::MappingTruncated);
    let error = other.flush().unwrap_err();
    assert_eq!(error.errno(), libc::EIO, "what was in that file may be lost: {error}");
    other.append(1, b"later").unwrap();
    other.flush().unwrap();
    assert_eq!(log.status().unwrap().flushed_to, log.end());
}

#[test]
fn a_log_whose_last_file_was_cut_is_opened_and_goes_on() {
    let (directory, log, other) = two_handles(Durability::Group);
    let path = log.directory().to_owned();
    segment(&log, 0).set_len(5000).unwrap();
    drop((log, other));
    let log = Log::open(&path).unwrap();
    assert_eq!(log.append(1, b"x").unwrap_err().kind(), ErrorKind::Truncated);
    let _ = log.append(1, b"told that earlier ones may be lost");
    for kind in 3..20 {
        log.append(kind, &[1; 1000]).unwrap();
    }
    let found = read_all(&mut log.reader(ReadFrom::Start).unwrap());
    assert_eq!(found[0], Err(ErrorKind::Truncated));
    assert_eq!(found[2..], (3..20).map(Ok).collect::<Vec<_>>());
    drop(directory);
}

#[test]
fn a_record_whose_word_is_zero() {
    // Near the end, where the tail has not come yet, and far from it.
    for behind in [1, 30] {
        let (_directory, log) = small_log();
        log.append(1, &[1; 100]).unwrap();
        let position = log.append(2, &[2; 100]).unwrap();
        for kind in 0..behind {
            log.append(3 + kind, &[3; 100]).unwrap();
        }
        damage(&log, position, &[0; 8]);
        let found = read_all(&mut log.reader(ReadFrom::Start).unwrap());
        assert_eq!(found[..3], [Ok(1), Err(ErrorKind::Corrupted), Ok(3)]);
        assert_eq!(found.len(), 2 + behind as usize);
    }
}

#[test]
fn a_writer_that_comes_behind_it() {
    let (_directory, log) = small_log();
    log.append(1, &[1; 100]).unwrap();
    let position = log.append(2, &[2; 100]).unwrap();
    log.append(3, &[3; 100]).unwrap();
    damage(&log, position, &[9; 8]);
    let late = Log::open(log.directory()).unwrap();
    late.append(4, b"behind it").unwrap();
    let mut reader = log.reader(ReadFrom::Start).unwrap();
    assert_eq!(read_all(&mut reader), [Ok(1), Err(ErrorKind::Corrupted), Ok(3), Ok(4)]);
}
