//! Writers that are killed. What an append returned for is read once, whole and in order; what was killed inside a claim is
//! skipped and counted; a writer that is only slow is waited for.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use shmkit::{Durability, ErrorKind, Log, LogOptions, LogReader, MapOptions, Mapping, Protection, ReadFrom};

use crate::common::{Forked, Helper, PATIENCE, die_with_parent, listen, role, say, signal, sleep_for_ever};
use crate::kills::Random;

fn read_all(log: &Log) -> Vec<Vec<u8>> {
    log.reader(ReadFrom::Start).unwrap().map(|record| record.unwrap().to_vec()).collect()
}

#[test]
fn claims_of_the_dead_are_skipped_and_counted_and_the_slow_are_waited_for() {
    if let Some(arguments) = role() {
        let log = Log::open(&arguments[0]).unwrap();
        let reservation = log.reserve(1, 4).unwrap();
        reservation.bytes().write_at(0, b"slow").unwrap();
        say("claimed");
        listen();
        reservation.commit().unwrap();
        say("committed");
        sleep_for_ever();
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let log = Log::create(&path).unwrap();
    let role = [path.to_str().unwrap()];
    let test = claims_of_the_dead_are_skipped_and_counted_and_the_slow_are_waited_for;
    let mut slow = Helper::start(test, &role);
    slow.expect("claimed");
    for number in 0..3u8 {
        let mut victim = Helper::start(test, &role);
        victim.expect("claimed");
        log.append(0, &[number]).unwrap();
        victim.kill();
    }
    slow.stop();
    let mut reader = log.reader(ReadFrom::Start).unwrap();
    let error = reader.read_timeout(Duration::from_millis(100)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "a stopped writer lives");
    assert_eq!((reader.position(), log.status().unwrap().dead), (0, 0));
    // A flush does not wait for it.
    log.flush().unwrap();
    signal(slow.pid(), libc::SIGCONT);
    slow.tell("go on");
    slow.expect("committed");
    let expected = [b"slow".to_vec(), vec![0], vec![1], vec![2]];
    let found: Vec<_> = (0..4).map(|_| reader.read_timeout(PATIENCE).unwrap().to_vec()).collect();
    assert_eq!((found, reader.skipped()), (expected.to_vec(), 3));
    let verified = log.verify(|_| ()).unwrap();
    assert_eq!((log.status().unwrap().dead, verified.dead, verified.records, verified.claimed), (3, 3, 4, 0));
}

#[test]
fn a_read_only_reader_steps_over_the_dead() {
    if let Some(arguments) = role() {
        let log = Log::open(&arguments[0]).unwrap();
        let _claim = log.reserve(1, 100).unwrap();
        log.append(1, b"behind").unwrap();
        say("claimed");
        sleep_for_ever();
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    drop(Log::create(&path).unwrap());
    let mut victim = Helper::start(a_read_only_reader_steps_over_the_dead, &[path.to_str().unwrap()]);
    victim.expect("claimed");
    let log = Log::open_read_only(&path).unwrap();
    let mut reader = log.reader(ReadFrom::Start).unwrap();
    assert!(reader.read().unwrap().is_none());
    victim.kill();
    assert_eq!(reader.read_timeout(PATIENCE).unwrap().to_vec(), b"behind");
    assert_eq!(log.status().unwrap().dead, 0, "it changed nothing");
}

#[test]
fn a_child_that_was_forked_in_a_reservation_leaves_it_to_its_parent() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    if let Some(arguments) = role() {
        let log = Log::open(&arguments[0]).unwrap();
        let reservation = log.reserve(1, 6).unwrap();
        reservation.bytes().write_at(0, b"parent").unwrap();
        let mut reservation = Some(reservation);
        let child = Forked::run(|| {
            let error = reservation.take().unwrap().commit().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotOwner);
            log.append(2, b"child").unwrap();
        });
        assert!(child.wait().success());
        reservation.unwrap().commit().unwrap();
        say("done");
        return;
    }
    let log = Log::create(&path).unwrap();
    let test = a_child_that_was_forked_in_a_reservation_leaves_it_to_its_parent;
    let mut helper = Helper::start(test, &[path.to_str().unwrap()]);
    helper.expect("done");
    helper.finish();
    assert_eq!(read_all(&log), [b"parent".to_vec(), b"child".to_vec()]);
}

const WORKERS: usize = 4;
/// Of a worker: the last number it began, and the last that an append returned for.
const LINE: usize = 2;
/// Behind the lines: how many deaths there were with something begun, and of each the worker << 56 | number.
const DEATHS: usize = WORKERS * LINE;
const MOST_DEATHS: usize = 100_000;

fn open_ledger(path: &str) -> Mapping {
    let len = (DEATHS + 1 + MOST_DEATHS) * 8;
    MapOptions::new().create(true).len(len).protection(Protection::ReadWrite).map_path(path).unwrap()
}

/// What a record of this number is: how it is appended, and its bytes.
fn payload(worker: usize, number: u64) -> Vec<u8> {
    let len = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 55;
    let mut bytes = number.to_ne_bytes().to_vec();
    bytes.extend((0..len).map(|index| (number + index) as u8 ^ worker as u8));
    bytes
}

/// Every eighth number is given up.
fn is_given_up(number: u64) -> bool {
    number % 8 == 7
}

fn append(log: &Log, worker: usize, number: u64) {
    let (kind, bytes) = (worker as u32, payload(worker, number));
    match number % 8 {
        0 => drop(log.append_batch(&[(kind, &bytes), (99, b"with it")]).unwrap()),
        1 | 7 => {
            let reservation = log.reserve(kind, bytes.len() + 100).unwrap();
            reservation.bytes().write_at(0, &bytes).unwrap();
            if is_given_up(number) {
                reservation.abandon();
            } else {
                reservation.commit_len(bytes.len()).unwrap();
            }
        }
        _ => {
            log.append(kind, &bytes).unwrap();
        }
    }
}

fn work(path: &str, ledger: &str, worker: usize) {
    die_with_parent();
    let mapping = open_ledger(ledger);
    let view = mapping.view_mut().unwrap();
    let word = |index: usize| view.shared::<AtomicU64>((worker * LINE + index) * 8).unwrap();
    loop {
        let log = Log::open(path).unwrap();
        for _ in 0..2000 {
            let number = word(0).load(SeqCst) + 1;
            word(0).store(number, SeqCst);
            append(&log, worker, number);
            word(1).store(number, SeqCst);
        }
    }
}

/// Kills one writer after the other, and starts another in its place.
fn rage(path: &str, ledger_path: &str) -> u64 {
    let mapping = open_ledger(ledger_path);
    let view = mapping.view_mut().unwrap();
    let word = |index: usize| view.shared::<AtomicU64>(index * 8).unwrap();
    let start = |worker: usize| Some(Forked::run(|| work(path, ledger_path, worker)));
    let mut workers: Vec<Option<Forked>> = (0..WORKERS).map(start).collect();
    let mut random = Random::new();
    let mut kills = 0;
    let mut kill = |workers: &mut [Option<Forked>], victim: usize| {
        let status = workers[victim].take().unwrap().kill();
        assert_eq!(status.signal(), Some(libc::SIGKILL), "a writer panicked");
        kills += 1;
        let begun = word(victim * LINE).load(SeqCst);
        if begun != word(victim * LINE + 1).load(SeqCst) {
            let index = word(DEATHS).fetch_add(1, SeqCst) as usize;
            word(DEATHS + 1 + index).store((victim as u64) << 56 | begun, SeqCst);
        }
        kills
    };
    let seconds = std::env::var("SHMKIT_STORM_SECONDS").map_or(2, |text| text.parse().expect("seconds"));
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        std::thread::sleep(Duration::from_micros(random.below(3000)));
        let victim = random.below(WORKERS as u64) as usize;
        kill(&mut workers, victim);
        workers[victim] = start(victim);
    }
    (0..WORKERS).map(|victim| kill(&mut workers, victim)).max().unwrap()
}

/// What a reader found of each writer.
#[derive(Default)]
struct Found {
    numbers: [BTreeSet<u64>; WORKERS],
    missed: u64,
}

impl Found {
    /// Reads to the end, and checks each record: whole, and behind the ones that its writer appended before.
    fn read(&mut self, reader: &mut LogReader) {
        loop {
            match reader.read() {
                Ok(Some(record)) if record.kind() == 99 => assert_eq!(record.to_vec(), b"with it"),
                Ok(Some(record)) => {
                    let bytes = record.to_vec();
                    let number = u64::from_ne_bytes(bytes[..8].try_into().unwrap());
                    let worker = record.kind() as usize;
                    assert!(bytes == payload(worker, number), "writer {worker}, number {number}");
                    assert!(!is_given_up(number));
                    let last = self.numbers[worker].last().copied().unwrap_or(0);
                    assert!(last < number, "writer {worker}: {number} behind {last}");
                    self.numbers[worker].insert(number);
                }
                Ok(None) => return,
                Err(error) if error.kind() == ErrorKind::Missed => self.missed = reader.missed(),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn storm<T: Fn() + Copy>(test: T, options: &LogOptions, keeps_all: bool) {
    if let Some(arguments) = role() {
        say(rage(&arguments[0], &arguments[1]));
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (path, ledger_path) = (directory.path().join("log"), directory.path().join("ledger"));
    let (path, ledger_path) = (path.to_str().unwrap(), ledger_path.to_str().unwrap());
    let log = options.create(path).unwrap();
    let mapping = open_ledger(ledger_path);
    let view = mapping.view_mut().unwrap();
    let word = |index: usize| view.shared::<AtomicU64>(index * 8).unwrap().load(SeqCst);
    let mut helper = Helper::start(test, &[path, ledger_path]);
    let mut reader = log.reader(ReadFrom::Start).unwrap();
    let mut found = Found::default();
    let (told, kills) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let kills: u64 = helper.hear().parse().unwrap();
            helper.finish();
            told.send(kills).unwrap();
        });
        let kills = loop {
            // Follows while they write: sleeps, and is woken by processes that are killed.
            match reader.read_timeout(Duration::from_millis(50)) {
                Ok(record) => {
                    reader.seek(ReadFrom::Position(record.position())).ok();
                    found.read(&mut reader);
                }
                Err(error) if error.kind() == ErrorKind::Timeout => {}
                Err(error) if error.kind() == ErrorKind::Missed => found.missed = reader.missed(),
                Err(error) => panic!("{error}"),
            }
            if let Ok(kills) = kills.try_recv() {
                break kills;
            }
        };
        found.read(&mut reader);
        assert!(reader.read().unwrap().is_none());
        assert_eq!(reader.position(), log.reader(ReadFrom::End).unwrap().position(), "nobody is left inside");

        let deaths: BTreeSet<u64> =
            (0..word(DEATHS)).map(|index| word(DEATHS + 1 + index as usize)).collect();
        let mut absent = 0;
        for worker in 0..WORKERS {
            for number in (1..=word(worker * LINE)).filter(|_| keeps_all) {
                let was_killed = deaths.contains(&((worker as u64) << 56 | number));
                let is_there = found.numbers[worker].contains(&number);
                assert!(is_there || was_killed || is_given_up(number), "writer {worker} lost {number}");
                absent += u64::from(was_killed && !is_there);
            }
        }
        let status = log.status().unwrap();
        let records: usize = found.numbers.iter().map(BTreeSet::len).sum();
        println!(
            "{records} records, {kills} kills, {} inside an append, {absent} of them without a record, {} in a claim; \
             {} segments, {} bytes missed",
            deaths.len(),
            status.dead,
            status.segments.len(),
            found.missed
        );
        assert!(records > 100 && kills > 10, "it proves nothing");
        if keeps_all {
            assert!(status.dead <= absent, "padding beyond those who died in a claim");
            let verified = log.verify(|_| ()).unwrap();
            assert_eq!((verified.corruptions, verified.claimed, verified.dead), (0, 0, status.dead));
            assert_eq!(found.missed, 0);
        } else {
            // Who was to remove the oldest may have been killed; the next one does it.
            let (first, last) = (log.end(), log.end() + 2 * log.segment_len());
            while log.end() < last {
                log.append(0, &[0; 1000]).unwrap();
            }
            let segments = log.status().unwrap().segments;
            assert!(segments.len() <= 4, "retention goes on: {segments:?} behind {first}");
        }
    });
}

#[test]
fn writers_are_killed() {
    storm(writers_are_killed, &LogOptions::new().segment_len(256 << 10), true);
}

#[test]
fn writers_are_killed_while_the_oldest_segments_go() {
    let options = LogOptions::new().segment_len(32 << 10).retain_count(4);
    storm(writers_are_killed_while_the_oldest_segments_go, &options, false);
}

#[test]
fn writers_are_killed_while_they_wait_for_the_disk() {
    let options = LogOptions::new().segment_len(64 << 10).durability(Durability::Group);
    storm(writers_are_killed_while_they_wait_for_the_disk, &options, true);
}
