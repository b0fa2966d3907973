//! A process with several threads forks, while they append and the log flushes in the background: the child, which has one of
//! the threads, goes on with the handle.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use shmkit::{Durability, Log, LogOptions, ReadFrom};

use crate::common::{Forked, Helper, role, say};

const CHILDREN: u32 = 60;
const EACH: u32 = 40;

fn forks(log: &Log) {
    let (stop, mut statuses) = (AtomicBool::new(false), Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    log.append(0, &[0; 900]).unwrap();
                }
            });
        }
        for child in 1..=CHILDREN {
            let forked = Forked::run(|| {
                // SAFETY: asks to be ended if it hangs.
                unsafe { libc::alarm(30) };
                for _ in 0..EACH {
                    log.append(child, &[1; 900]).unwrap();
                }
                if log.durability() != Durability::None {
                    log.flush().unwrap();
                }
            });
            statuses.push(forked.wait());
            if !statuses[statuses.len() - 1].success() {
                break;
            }
        }
        stop.store(true, Relaxed);
    });
    let last = statuses.last().unwrap();
    assert!(last.success(), "child {} of {CHILDREN}: {last}", statuses.len());
}

fn expect_children<T: Fn()>(test: T, durability: Durability) {
    if let Some(arguments) = role() {
        let log = LogOptions::new().segment_len(16384).durability(durability).create(&arguments[0]).unwrap();
        forks(&log);
        say("done");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let mut helper = Helper::start(test, &[path.to_str().unwrap()]);
    helper.expect("done");
    helper.finish();
    let log = Log::open(&path).unwrap();
    let mut found = vec![0; CHILDREN as usize + 1];
    for record in log.reader(ReadFrom::Start).unwrap() {
        found[record.unwrap().kind() as usize] += 1;
    }
    assert_eq!(found[1..], vec![EACH; CHILDREN as usize]);
}

#[test]
fn children_of_threads_that_append() {
    expect_children(children_of_threads_that_append, Durability::None);
}

#[test]
fn children_of_a_process_that_flushes_in_the_background() {
    let durability = Durability::Interval(Duration::from_millis(1));
    expect_children(children_of_a_process_that_flushes_in_the_background, durability);
}
