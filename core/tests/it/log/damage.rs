//! A place of a log is damaged while the log is used: it is told once, and what comes behind it is read.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

use shmkit::{ErrorKind, Log, LogOptions, LogReader, ReadFrom};
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
