//! The log: a directory of files instead of one region.
//!
//! A copy is another object in another place, so it would be made ready as after a power cut. The word that says for which
//! object the log is ready is set to the copy's, unless a test wants just that.

use std::collections::BTreeMap;
use std::mem::{offset_of, size_of};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use shmkit::layout::{LOG_CONTROL_LEN, LOG_CONTROL_NAME, LOG_CONTROL_OFFSET, LogControl};
use shmkit::{Log, LogOptions, ReadFrom};

use crate::process::{Child, Page, limit};
use crate::scene::LIMIT;
use crate::trace::{Stepped, Watched};

/// The files of a directory, as the victim left them.
struct WatchedDirectory {
    path: PathBuf,
    files: BTreeMap<String, Watched>,
}

impl WatchedDirectory {
    /// Whether a file came, went or changed since this was asked last.
    fn changed(&mut self) -> bool {
        let Ok(entries) = std::fs::read_dir(&self.path) else { return false };
        let names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let before = self.files.len();
        self.files.retain(|name, _| names.contains(name));
        let mut changed = before != self.files.len();
        for name in names {
            let path = self.path.join(&name);
            let is_new = !self.files.contains_key(&name);
            let file = self.files.entry(name).or_insert_with(|| Watched::new(path.to_str().expect("a path")));
            changed |= file.changed() || is_new;
        }
        changed
    }

    fn copy(&self, to: &Path, is_ready: bool) {
        if !self.path.exists() {
            return;
        }
        std::fs::create_dir(to).expect("a directory");
        for (name, file) in &self.files {
            let mut bytes = file.bytes().expect("a file").to_vec();
            let path = to.join(name);
            std::fs::write(&path, &bytes).expect("a copy");
            if name == LOG_CONTROL_NAME && is_ready {
                let meta = path.metadata().expect("a copy");
                let words = bytes.len() - LOG_CONTROL_LEN + LOG_CONTROL_OFFSET;
                let home = words + offset_of!(LogControl, home);
                // Only if it was ready: the last word commits.
                if bytes[home + 24..home + 32] != [0; 8] {
                    bytes[home + 16..home + 24].copy_from_slice(&meta.dev().to_ne_bytes());
                    bytes[home + 24..home + 32].copy_from_slice(&meta.ino().to_ne_bytes());
                }
                std::fs::write(&path, bytes).expect("a copy");
            }
        }
    }
}

/// A directory in memory, removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let name = name.replace(' ', "-");
        let path = format!("/dev/shm/crash-log-{}-{number}-{name}", std::process::id());
        std::fs::create_dir(&path).expect("a directory");
        Scratch(path.into())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// As [`crate::harness::crash`], on the log in a directory. `others` are copies to look at: those of a killed process, or
/// those of a machine that stopped, or both.
fn crash<T>(
    name: &str,
    others: &[bool],
    set_up: impl Fn(&Path) -> T,
    operation: impl Fn(&T),
    outcomes: &[&str],
    check: impl Fn(&Path) -> &'static str,
) {
    let begun = Instant::now();
    let (scratch, page) = (Scratch::new(name), Page::new());
    let path = scratch.0.join("log");
    let stepped = Stepped::start(&page, || set_up(&path), |ready| operation(ready));
    let mut watched = WatchedDirectory { path, files: BTreeMap::new() };
    let (mut at, mut state) = (0, 0);
    let mut look = |watched: &WatchedDirectory| {
        state += 1;
        for is_ready in others {
            let what = format!("log {name}, killed after change {}, ready: {is_ready}", state - 1);
            let copy = scratch.0.join("copy");
            watched.copy(&copy, *is_ready);
            let said = Page::new();
            let checker = Child::run(&page, || {
                limit(LIMIT);
                said.say(check(&copy));
            });
            checker.expect_success(&page, &what);
            let _ = std::fs::remove_dir_all(&copy);
            let found = said.said();
            if found != outcomes[at] {
                assert_eq!(outcomes.get(at + 1).copied(), Some(&found[..]), "{what}: found {found:?}");
                assert!(state > 1, "{what}: found {found:?} before anything was done");
                at += 1;
            }
        }
        state
    };
    watched.changed();
    let mut states = look(&watched);
    let steps = stepped.step(&page, || {
        if watched.changed() {
            states = look(&watched);
        }
        true
    });
    assert_eq!(at + 1, outcomes.len(), "log {name}: the operation is done, and {outcomes:?} are not");
    println!("log {name}: {steps} instructions, {states} states, {:?}", begun.elapsed());
}

const KILLED: &[bool] = &[true];
const BOTH: &[bool] = &[true, false];

fn options() -> LogOptions {
    LogOptions::new().segment_len(4096).max_record_len(2000)
}

/// Two records, one of them beyond a claim of somebody who died.
fn earlier(path: &Path, options: &LogOptions) -> Log {
    let log = options.create(path).expect("a log");
    log.append(1, b"first").expect("room");
    let page = Page::new();
    let dead = Child::run(&page, || {
        let log = Log::open(path).expect("a log");
        std::mem::forget(log.reserve(1, 10).expect("room"));
    });
    dead.expect_success(&page, "a writer");
    log.append(1, b"second").expect("room");
    log
}

/// What is in the log beyond what was there before; then it is used, and must be in order.
fn look(path: &Path, first: &[&[u8]]) -> Vec<Vec<u8>> {
    let log = Log::open(path).expect("it opens");
    let read = || -> Vec<Vec<u8>> {
        let reader = log.reader(ReadFrom::Start).expect("a reader");
        reader.map(|record| record.expect("in order").to_vec()).collect()
    };
    let found = read();
    assert!(found.iter().zip(first).all(|(found, first)| found == first) && found.len() >= first.len());
    let mut follower = log.reader(ReadFrom::End).expect("a reader");
    let mut expected = found.clone();
    for number in 0..8u8 {
        let payload = vec![number; 700];
        log.append(2, &payload).expect("room");
        let record = follower.read_timeout(Duration::from_secs(10)).expect("the record");
        assert_eq!(record.to_vec(), payload);
        expected.push(payload);
    }
    let status = log.status().expect("a status");
    if status.retain_count == 0 {
        assert_eq!(read(), expected);
        let verified = log.verify(|_| ()).expect("it is whole");
        assert_eq!((verified.claimed, verified.corruptions), (0, 0));
    } else {
        assert!(status.segments.len() as u64 <= status.retain_count);
    }
    log.flush().expect("it flushes");
    found[first.len()..].to_vec()
}

const FIRST: &[&[u8]] = &[b"first", b"second"];

fn count(path: &Path) -> &'static str {
    ["none", "one", "two", "three", "four"][look(path, FIRST).len()]
}

#[test]
fn append() {
    let set_up = |path: &Path| earlier(path, &options());
    let append = |log: &Log| assert!(log.append(1, b"third").is_ok());
    crash("append", BOTH, set_up, append, &["none", "one"], count);
    let batch = |log: &Log| drop(log.append_batch(&[(1, b"a"), (1, b""), (1, &[7; 100])]).unwrap());
    crash("batch", KILLED, set_up, batch, &["none", "three"], count);
}

#[test]
fn reserve() {
    let set_up = |path: &Path| earlier(path, &options());
    let commit = |log: &Log| {
        let record = log.reserve(1, 200).unwrap();
        record.bytes().write_at(0, b"third").unwrap();
        record.commit_len(5).unwrap();
    };
    crash("reserve and commit", BOTH, set_up, commit, &["none", "one"], count);
    let give_up = |log: &Log| drop(log.reserve(1, 200).unwrap());
    crash("reserve and give up", KILLED, set_up, give_up, &["none"], count);
}

fn full(path: &Path, options: &LogOptions) -> Log {
    let log = earlier(path, options);
    log.append(1, &[1; 1900]).unwrap();
    log.append(1, &[2; 1800]).unwrap();
    log
}

#[test]
fn roll() {
    let append = |log: &Log| assert!(log.append(1, &[3; 1000]).is_ok());
    crash("roll", BOTH, |path| full(path, &options()), append, &["two", "three"], count);
}

#[test]
fn retention() {
    let set_up = |path: &Path| {
        let log = full(path, &options().retain_count(2));
        log.append(1, &[3; 1900]).unwrap();
        log.append(1, &[4; 1900]).unwrap();
        log
    };
    let append = |log: &Log| assert!(log.append(1, &[5; 1000]).is_ok());
    let check = |path: &Path| match look(path, &[]).iter().map(|record| record.first()).collect::<Vec<_>>()[..]
    {
        [Some(b'f'), Some(b's'), Some(1), Some(2), Some(3), Some(4)] => "all",
        [Some(b'f'), Some(b's'), Some(1), Some(2), Some(3), Some(4), Some(5)] => "all and one",
        [Some(3), Some(4)] => "the first segment went",
        [Some(3), Some(4), Some(5)] => "the first segment went, and one came",
        ref found => panic!("{found:?}"),
    };
    let outcomes = &["all", "the first segment went", "the first segment went, and one came"];
    crash("retention", KILLED, set_up, append, outcomes, check);
}

#[test]
fn flush_and_read() {
    let set_up = |path: &Path| earlier(path, &options());
    crash("flush", BOTH, set_up, |log| log.flush().unwrap(), &["none"], count);
    let read = |log: &Log| assert_eq!(log.reader(ReadFrom::Start).unwrap().count(), 2);
    crash("read over a dead claim", KILLED, set_up, read, &["none"], count);
}

#[test]
fn open() {
    let set_up = |path: &Path| {
        drop(earlier(path, &options()));
        path.to_owned()
    };
    crash("open", BOTH, set_up, |path| std::mem::forget(Log::open(path).unwrap()), &["none"], count);
}

/// The first to open it after a power cut is killed too.
#[test]
fn make_ready() {
    let set_up = |path: &Path| {
        let log = full(path, &options());
        log.flush().unwrap();
        let torn = log.append(1, &[3; 1000]).unwrap();
        log.append(1, b"its page survives").unwrap();
        let segment = path.join(format!("segment-{torn:020}.log"));
        drop(log);
        let mut bytes = std::fs::read(&segment).unwrap();
        bytes[4096 + 500] ^= 1;
        std::fs::write(&segment, bytes).unwrap();
        let control = path.join(LOG_CONTROL_NAME);
        let mut bytes = std::fs::read(&control).unwrap();
        let home = bytes.len() - LOG_CONTROL_LEN + LOG_CONTROL_OFFSET + offset_of!(LogControl, home);
        bytes[home] ^= 1;
        std::fs::write(&control, bytes).unwrap();
        path.to_owned()
    };
    let check = |path: &Path| {
        let found = look(path, FIRST);
        assert_eq!(found[2..], [b"its page survives".to_vec()]);
        "ready"
    };
    let ready = |path: &PathBuf| std::mem::forget(Log::open(path).unwrap());
    crash("make ready", BOTH, set_up, ready, &["ready"], check);
}

#[test]
fn create() {
    let check = |path: &Path| {
        let is_there = Log::open(path).is_ok();
        let log = options().open_or_create(path).expect("it opens");
        log.append(1, b"x").expect("room");
        assert_eq!(log.reader(ReadFrom::Start).unwrap().count(), 1);
        if is_there { "a log" } else { "no log" }
    };
    let create = |path: &PathBuf| std::mem::forget(options().create(path).unwrap());
    crash("create", BOTH, Path::to_owned, create, &["no log", "a log"], check);
}

const _: () = assert!(size_of::<LogControl>() <= LOG_CONTROL_LEN);
