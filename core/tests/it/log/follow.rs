//! Readers that keep up with a writer which leaves one segment after the other.

use shmkit::{Log, LogOptions, ReadFrom};

/// The segment that a reader waits for appears between its look for the file and its look at the tail.
#[test]
fn a_segment_that_comes_while_readers_look_for_it_is_not_missed() {
    const RECORDS: u32 = 4000;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let log = LogOptions::new().segment_len(4096).create(&path).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let log = Log::open(&path).unwrap();
            scope.spawn(move || {
                let mut reader = log.reader(ReadFrom::Start).unwrap();
                let mut next = 0;
                while next < RECORDS {
                    match reader.read().unwrap_or_else(|error| panic!("at {next}: {error}")) {
                        Some(record) => {
                            assert_eq!(record.kind(), next);
                            next += 1;
                        }
                        None => std::hint::spin_loop(),
                    }
                }
            });
        }
        for number in 0..RECORDS {
            log.append(number, &[1; 1000]).unwrap();
        }
    });
}
