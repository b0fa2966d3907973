//! Bytes that nobody of this library wrote. Readers and writers report them, or do not notice; they never crash, hang or
//! leave the segment.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use shmkit::{ErrorKind, Log, LogOptions, ReadFrom, Wait};

use super::Random;

fn small_log(directory: &Path) -> Log {
    let log = LogOptions::new().segment_len(8192).max_record_len(2000).create(directory.join("log")).unwrap();
    for number in 0..60u32 {
        log.append(number, &vec![number as u8; number as usize * 5]).unwrap();
    }
    log
}

fn is_told(kind: ErrorKind) -> bool {
    use ErrorKind::*;
    // Io: a flush that met one of the others. Timeout: a lock whose owner, as it says, may live.
    matches!(
        kind,
        ReadOnly
            | Io
            | Timeout
            | MappingTruncated
            | Corrupted
            | Missed
            | NotFound
            | BadMagic
            | Truncated
            | WrongKind
            | VersionMismatch
            | InvalidArgument
    )
}

/// Uses everything of a log; whatever it says must be an answer.
fn use_all(log: &Log, random: &mut Random) {
    for from in [ReadFrom::Start, ReadFrom::End, ReadFrom::Position(random.below(40_000))] {
        let mut reader = match log.reader(from) {
            Ok(reader) => reader,
            Err(error) => {
                assert!(is_told(error.kind()), "{error}");
                continue;
            }
        };
        for _ in 0..1000 {
            match reader.read() {
                Ok(Some(record)) => assert_eq!(record.to_vec().len(), record.len()),
                Ok(None) => break,
                // Nothing is where the shared words say that something is: it will not get on.
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                Err(error) => assert!(is_told(error.kind()), "{error}"),
            }
        }
    }
    for result in [
        log.append(1, &[1; 700]).map(drop),
        log.append_batch(&[(1, b"a"), (2, b"b")]).map(drop),
        log.reserve(1, 50).and_then(|reservation| reservation.commit().map(drop)),
        log.flush_with(&Wait::timeout(Duration::from_millis(50))),
        log.verify(|_| ()).map(drop),
        log.status().map(drop),
    ] {
        if let Err(error) = result {
            assert!(is_told(error.kind()), "{error}");
        }
    }
}

/// Values that mean something in a word, a length or a position.
fn bytes(random: &mut Random) -> [u8; 8] {
    let state = random.below(8) << 32;
    let owner = random.below(1 << 20) << 35;
    let value = match random.below(8) {
        0 => 0,
        1 => u64::MAX,
        2 => random.next(),
        3 => state | random.below(9000),
        4 => state | owner | random.below(9000),
        5 => state | u64::from(u32::MAX),
        6 => 1 << random.below(64),
        _ => random.below(100_000),
    };
    value.to_ne_bytes()
}

fn rounds() -> u64 {
    std::env::var("SHMKIT_FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60)
}

#[test]
fn bytes_change_under_an_open_log() {
    for seed in 0..rounds() {
        let mut random = Random(seed);
        let directory = tempfile::tempdir().unwrap();
        let log = small_log(directory.path());
        let mut files: Vec<_> =
            std::fs::read_dir(log.directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for _ in 0..5 {
            for _ in 0..random.below(12) {
                let path = &files[random.below(files.len() as u64) as usize];
                let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
                let len = file.metadata().unwrap().len();
                // Of the control object, only the log's own words: the rest is a region's, and tested there.
                let from = if path.ends_with("control") { len - 4096 } else { 0 };
                let at = from + random.below((len - from) / 8) * 8;
                file.write_at(&bytes(&mut random), at).unwrap();
            }
            use_all(&log, &mut random);
        }
    }
}

#[test]
fn a_log_of_changed_bytes_is_opened() {
    for seed in 0..rounds() {
        let mut random = Random(seed ^ 0xABCD);
        let directory = tempfile::tempdir().unwrap();
        let log = small_log(directory.path());
        let copy = directory.path().join("copy");
        std::fs::create_dir(&copy).unwrap();
        for entry in std::fs::read_dir(log.directory()).unwrap() {
            let path = entry.unwrap().path();
            let mut content = std::fs::read(&path).unwrap();
            for _ in 0..random.below(8) {
                let from = if path.ends_with("control") { content.len() - 4096 } else { 0 };
                let at = from + random.below((content.len() - from) as u64 / 8) as usize * 8;
                content[at..at + 8].copy_from_slice(&bytes(&mut random));
            }
            if random.below(20) == 0 {
                content.truncate(random.below(content.len() as u64) as usize);
            }
            std::fs::write(copy.join(path.file_name().unwrap()), content).unwrap();
        }
        for open in [Log::open_read_only, Log::open, Log::open] {
            match open(copy.clone()) {
                Ok(log) => use_all(&log, &mut random),
                Err(error) => assert!(is_told(error.kind()), "{error}"),
            }
        }
    }
}
