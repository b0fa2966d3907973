//! Times the Rust face beside its peers. One line of JSON for each case: name, ours and peer in nanoseconds.
//!
//! Ours and the peer are measured in turn, round by round, so that a machine that changes its speed changes both; the
//! figure is the median over the rounds.

mod copy;
mod fault;
mod heap;
mod iceoryx2;
mod ipc;
mod lock;
mod log;
mod pages;
mod pool;
mod processes;
mod sync;
mod windows;

use std::time::Instant;

/// Of cases that take long for each round, because of processes in them.
const ROUNDS: usize = 15;
/// Rounds, and into how many of them the operations of one case are divided: most are shorter than the time that a busy machine
/// gives a process at once, so what disturbs the others does not reach the median.
const SHORT_ROUNDS: u64 = 101;
const PARTS: u64 = 10;

/// Times `ours` and `peer`, each called with the number of operations to do, and prints the case.
fn compare(name: &str, operations: u64, mut ours: impl FnMut(u64), mut peer: impl FnMut(u64)) {
    let operations = (operations / PARTS).max(1);
    let time = |run: &mut dyn FnMut(u64)| {
        let start = Instant::now();
        run(operations);
        start.elapsed().as_nanos() as f64 / operations as f64
    };
    ours(operations);
    peer(operations);
    let (mut our_times, mut peer_times) = (Vec::new(), Vec::new());
    for _ in 0..SHORT_ROUNDS {
        our_times.push(time(&mut ours));
        peer_times.push(time(&mut peer));
    }
    report(name, median(our_times), median(peer_times));
}

fn median(times: impl IntoIterator<Item = f64>) -> f64 {
    let mut times: Vec<f64> = times.into_iter().collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn report(name: &str, ours: f64, peer: f64) {
    println!(r#"{{"name": "{name}", "ours_ns": {ours:.3}, "peer_ns": {peer:.3}}}"#);
}

fn main() {
    let groups: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |group: &str| groups.is_empty() || groups.iter().any(|name| name == group);
    if wanted("lock") {
        lock::run();
        sync::mutex();
        processes::contention();
        processes::recovery();
        processes::waiting();
    }
    if wanted("rwlock") {
        sync::rwlock();
        processes::readers();
    }
    if wanted("semaphore") {
        sync::semaphore();
    }
    if wanted("condvar") {
        processes::condvar();
    }
    if wanted("event") {
        processes::event();
    }
    if wanted("ipc") {
        ipc::run();
    }
    if wanted("log") {
        log::append();
        log::writers();
        log::threads();
        log::reader();
        log::latency();
        log::group_commit();
    }
    if wanted("pool") {
        pool::pool();
    }
    if wanted("value") {
        pool::value();
    }
    if wanted("copy") {
        copy::run();
    }
    if wanted("fault") {
        fault::run();
    }
    if wanted("heap") {
        heap::run();
    }
    if wanted("windows") {
        windows::run();
    }
    if wanted("pages") {
        pages::pages();
    }
    if wanted("flush") {
        pages::flush();
    }
}
