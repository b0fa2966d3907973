//! The log beside write(2) and fdatasync(2): records of 100 bytes, in files of the same directory.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Instant;

use shmkit::{Durability, Log, LogOptions, Mapping, ReadFrom};

use crate::processes::Child;
use crate::{ROUNDS, compare, median, report};

const RECORD: [u8; 100] = [b'r'; 100];
/// Appends of one round: a few segments' worth.
const COUNT: u64 = 500_000;

/// A directory on the disk that the program runs from, gone in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(tag: &str) -> Scratch {
        let path = PathBuf::from(format!("bench-{tag}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("create scratch directory");
        Scratch(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn options() -> LogOptions {
    LogOptions::new().retain_count(4)
}

/// One writer of each kind; the file begins anew each round, so that it is as long as what the log keeps.
pub fn append() {
    let scratch = Scratch::new("append");
    let log = options().create(scratch.path().join("log")).expect("create log");
    let file = || {
        std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(scratch.path().join("plain"))
            .expect("open file")
    };
    let write = |count: u64| {
        let mut file = file();
        file.set_len(0).expect("empty file");
        (0..count).for_each(|_| file.write_all(&RECORD).expect("write"));
    };
    let append = |count: u64| {
        (0..count).for_each(|_| {
            let _ = log.append(0, &RECORD).expect("append");
        });
    };
    compare("log.append_100.rust.vs_write", COUNT, append, write);
    compare(
        "log.reserve_100.rust.vs_write",
        COUNT,
        |count| {
            for _ in 0..count {
                let record = log.reserve(0, RECORD.len()).expect("reserve");
                record.bytes().write_at(0, &RECORD).expect("fill");
                record.commit().expect("commit");
            }
        },
        write,
    );
    let batch = vec![(0, &RECORD[..]); 10];
    compare(
        "log.batch_10x100.rust.vs_write",
        COUNT,
        |count| (0..count / 10).for_each(|_| drop(log.append_batch(&batch).expect("append"))),
        write,
    );
}

/// Nanoseconds from start to end of `count` calls in all, by so many processes at once.
fn processes(number: u64, count: u64, work: impl Fn(u64)) -> f64 {
    let memory = Mapping::anonymous(4096).expect("map memory");
    let view = memory.view_mut().expect("view");
    let ready: &AtomicU64 = view.shared(0).expect("counter");
    let start_at: &AtomicU64 = view.shared(8).expect("counter");
    let children: Vec<Child> = (0..number)
        .map(|_| {
            Child::run(|| {
                ready.fetch_add(1, SeqCst);
                while start_at.load(SeqCst) == 0 {
                    std::thread::yield_now();
                }
                work(count / number);
            })
        })
        .collect();
    while ready.load(SeqCst) < number {
        std::thread::yield_now();
    }
    let start = Instant::now();
    start_at.store(1, SeqCst);
    children.into_iter().for_each(Child::wait);
    start.elapsed().as_nanos() as f64 / count as f64
}

/// Four writer processes beside one: all of them together must not be slower.
pub fn writers() {
    let scratch = Scratch::new("writers");
    let path = scratch.path().join("log");
    let _log = options().create(&path).expect("create log");
    let append = |count: u64| {
        let log = Log::open(&path).expect("open log");
        (0..count).for_each(|_| {
            let _ = log.append(0, &RECORD).expect("append");
        });
    };
    let rounds: Vec<_> =
        (0..ROUNDS / 2).map(|_| (processes(4, COUNT, append), processes(1, COUNT, append))).collect();
    let column = |pick: fn(&(f64, f64)) -> f64| median(rounds.iter().map(pick));
    report("log.four_writers.rust.vs_one_writer", column(|round| round.0), column(|round| round.1));
}

/// Four threads that share a handle, beside one.
pub fn threads() {
    let scratch = Scratch::new("threads");
    let log = options().create(scratch.path().join("log")).expect("create log");
    let time = |threads: u64| {
        let start_line = std::sync::Barrier::new(threads as usize + 1);
        let append = || {
            start_line.wait();
            (0..COUNT / threads).for_each(|_| {
                let _ = log.append(0, &RECORD).expect("append");
            });
        };
        let mut start = Instant::now();
        std::thread::scope(|scope| {
            (0..threads).for_each(|_| drop(scope.spawn(append)));
            start_line.wait();
            start = Instant::now();
        });
        start.elapsed().as_nanos() as f64 / COUNT as f64
    };
    let rounds: Vec<_> = (0..ROUNDS / 2).map(|_| (time(4), time(1))).collect();
    let column = |pick: fn(&(f64, f64)) -> f64| median(rounds.iter().map(pick));
    report("log.four_threads.rust.vs_one_thread", column(|round| round.0), column(|round| round.1));
}

/// A reader of what is there, beside one writer.
pub fn reader() {
    let scratch = Scratch::new("reader");
    let log = options().create(scratch.path().join("log")).expect("create log");
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let from = log.end();
        let start = Instant::now();
        (0..COUNT / 2).for_each(|_| {
            let _ = log.append(0, &RECORD).expect("append");
        });
        let wrote = start.elapsed();
        let mut reader = log.reader(ReadFrom::Position(from)).expect("reader");
        let start = Instant::now();
        let mut sum = 0;
        while let Some(record) = reader.read().expect("read") {
            sum += record.len() as u64;
        }
        let read = start.elapsed();
        assert_eq!(sum, COUNT / 2 * 100);
        let each = |time: std::time::Duration| time.as_nanos() as f64 / (COUNT / 2) as f64;
        rounds.push((each(read), each(wrote)));
    }
    let column = |pick: fn(&(f64, f64)) -> f64| median(rounds.iter().map(pick));
    report("log.read_100.rust.vs_append", column(|round| round.0), column(|round| round.1));
}

/// How long single appends take: all but the slowest part of them. `log_report.py` draws these.
pub fn latency() {
    const PARTS: [(&str, f64); 6] =
        [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("p9999", 0.9999), ("p99999", 0.99999)];
    let scratch = Scratch::new("latency");
    let log = options().create(scratch.path().join("log")).expect("create log");
    let mut file = std::fs::File::create(scratch.path().join("plain")).expect("create file");
    let times = |operation: &mut dyn FnMut()| {
        let mut times: Vec<f64> = (0..COUNT)
            .map(|_| {
                let start = Instant::now();
                operation();
                start.elapsed().as_nanos() as f64
            })
            .collect();
        times.sort_by(f64::total_cmp);
        PARTS.map(|(_, part)| times[(part * times.len() as f64) as usize])
    };
    let ours = times(&mut || {
        log.append(0, &RECORD).expect("append");
    });
    let peer = times(&mut || file.write_all(&RECORD).expect("write"));
    for (index, (name, _)) in PARTS.into_iter().enumerate() {
        report(&format!("log.append_{name}.rust.vs_write"), ours[index], peer[index]);
    }
}

/// Eight processes whose every record is on the disk when the call returns, beside one process that makes sure of each
/// record with fdatasync(2), and beside eight of these, whose calls the kernel's journal brings together too.
pub fn group_commit() {
    let scratch = Scratch::new("group");
    let path = scratch.path().join("log");
    let _log = options().durability(Durability::Group).create(&path).expect("create log");
    let plain = scratch.path().join("plain");
    let ours = |count: u64| {
        let log = Log::open(&path).expect("open log");
        (0..count).for_each(|_| {
            log.append(0, &RECORD).expect("append");
        });
    };
    let peer = |count: u64| {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(&plain).expect("open file");
        for _ in 0..count {
            file.write_all(&RECORD).expect("write");
            // SAFETY: the descriptor is open.
            assert_eq!(unsafe { libc::fdatasync(file.as_raw_fd()) }, 0);
        }
    };
    let round = |_| (processes(8, 4000, ours), processes(1, 500, peer), processes(8, 4000, peer));
    let rounds: Vec<_> = (0..5).map(round).collect();
    let grouped = median(rounds.iter().map(|round| round.0));
    report("log.group_commit_8.rust.vs_fdatasync", grouped, median(rounds.iter().map(|round| round.1)));
    report("log.group_commit_8.rust.vs_fdatasync_8", grouped, median(rounds.iter().map(|round| round.2)));
}
