//! Storms of SIGKILL over the named objects: processes use one, and are killed at random moments. Nothing may be lost
//! beyond what the dead held, and nobody may hang.
//!
//! A storm lasts two seconds, or `SHMKIT_STORM_SECONDS`. What the workers did is written down outside the region, in a file that
//! all map: a death between a step and its entry is why some sums are bounds.

mod exclusion;
mod heap;
mod objects;
mod pool;
mod signals;

use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crate::common::{Forked, Helper, Name, PATIENCE, die_with_parent, role, say};
use crate::kills::Random;
use shmkit::{MapOptions, Mapping, Protection, Region, RegionOptions, View};

const WORKERS: usize = 4;
/// Uses of the object between two openings of the region.
const TURNS: usize = 500;

/// A worker's line in the ledger: what it began and what it completed, and two more for the storm's own sums.
const LINE: usize = 4;
const BEGUN: usize = 0;
const COMPLETED: usize = 1;
const FIRST: usize = 2;
const SECOND: usize = 3;
/// Behind the lines: how often was seen what must never be, and beginnings and ends of kills: odd while one is under way.
const VIOLATIONS: usize = WORKERS * LINE;
const KILLS: usize = VIOLATIONS + 1;
const LEDGER: usize = VIOLATIONS + 2;

/// What the workers write down.
struct Ledger<'a>(View<'a>);

impl Ledger<'_> {
    fn word(&self, index: usize) -> &AtomicU64 {
        self.0.shared(index * 8).unwrap()
    }

    fn of(&self, worker: usize, what: usize) -> &AtomicU64 {
        self.word(worker * LINE + what)
    }

    fn count(&self, worker: usize, what: usize) {
        self.of(worker, what).fetch_add(1, SeqCst);
    }

    fn total(&self, what: usize) -> u64 {
        (0..WORKERS).map(|worker| self.of(worker, what).load(SeqCst)).sum()
    }

    fn expect(&self, holds: bool) {
        if !holds {
            self.word(VIOLATIONS).fetch_add(1, SeqCst);
        }
    }

    fn is_inside(&self, worker: usize) -> bool {
        self.of(worker, BEGUN).load(SeqCst) > self.of(worker, COMPLETED).load(SeqCst)
    }
}

fn open_ledger(path: &str) -> Mapping {
    let options = MapOptions::new().create(true).len(LEDGER * 8).protection(Protection::ReadWrite);
    options.map_path(path).unwrap()
}

/// A worker: what it does between two openings of the region, `TURNS` times or until it is killed.
type Work = fn(&Region, &Ledger<'_>, usize);

/// Twice as many slots as workers: the kernel gives one back a moment after its owner's death is known.
fn options() -> RegionOptions {
    RegionOptions::new().attachments(2 * WORKERS as u32).arena_len(16384)
}

/// Plays a storm and then checks what is left; the report counts kills, those that hit a worker inside, and how long it took
/// until somebody went on after these.
fn storm<T: Fn() + Copy>(test: T, tag: &str, work: Work, check: impl FnOnce(&Region, &Ledger<'_>)) {
    if let Some(arguments) = role() {
        say(rage(&arguments[0], &arguments[1], work));
        return;
    }
    let name = Name::new(tag);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger").display().to_string();
    let region = options().create(&*name, 64).unwrap();
    let mapping = open_ledger(&path);
    let ledger = Ledger(mapping.view_mut().unwrap());
    let mut helper = Helper::start(test, &[&name, &path]);
    let report = helper.hear();
    helper.finish();
    check(&region, &ledger);
    let completed = ledger.total(COMPLETED);
    println!("{tag}: {completed} completed, {report}");
    assert_eq!(ledger.word(VIOLATIONS).load(SeqCst), 0, "{tag}");
    assert!(completed > ledger.word(KILLS).load(SeqCst) / 2, "{tag}: the work goes on");
    for worker in 0..WORKERS {
        assert!(ledger.of(worker, COMPLETED).load(SeqCst) > 0, "{tag}: worker {worker} never got through");
    }
}

/// Works until it is killed. Now and then it leaves the region and comes back, so that it also dies doing that.
fn live(name: &str, path: &str, worker: usize, work: Work) {
    die_with_parent();
    let mapping = open_ledger(path);
    let ledger = Ledger(mapping.view_mut().unwrap());
    loop {
        let region = Region::open(name).unwrap();
        work(&region, &ledger, worker);
        region.close().unwrap();
    }
}

/// Kills one worker after the other at random moments, and starts another in its place. In a process of its own, which has
/// nothing open that its children could inherit.
fn rage(name: &str, path: &str, work: Work) -> String {
    let mapping = open_ledger(path);
    let ledger = Ledger(mapping.view_mut().unwrap());
    let start = |worker: usize| Forked::run(|| live(name, path, worker, work));
    let mut workers: Vec<Option<Forked>> = (0..WORKERS).map(|worker| Some(start(worker))).collect();
    let mut random = Random::new();
    let mut recoveries = Vec::new();
    let seconds = std::env::var("SHMKIT_STORM_SECONDS").map_or(2, |text| text.parse().expect("seconds"));
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        std::thread::sleep(Duration::from_micros(random.below(1500)));
        let victim = random.below(WORKERS as u64) as usize;
        ledger.word(KILLS).fetch_add(1, SeqCst);
        let killed = Instant::now();
        kill(workers[victim].take());
        let (was_inside, completed) = (ledger.is_inside(victim), ledger.total(COMPLETED));
        bury(&ledger, victim);
        ledger.word(KILLS).fetch_add(1, SeqCst);
        workers[victim] = Some(start(victim));
        if was_inside {
            until_more_than(completed, &ledger);
            recoveries.push(killed.elapsed());
        }
    }
    ledger.word(KILLS).fetch_add(1, SeqCst);
    workers.into_iter().for_each(kill);
    recoveries.sort();
    let kills = ledger.word(KILLS).load(SeqCst) / 2;
    let inside = recoveries.len();
    assert!(inside > 0, "the kills must hit somebody inside, or this proves nothing");
    let (median, longest) = (recoveries[inside / 2], recoveries[inside - 1]);
    format!(
        "{kills} kills, {inside} of them inside; somebody went on after {median:?} (median), {longest:?} (longest)"
    )
}

/// Waits for the next completion.
fn until_more_than(completed: u64, ledger: &Ledger<'_>) {
    let begun = Instant::now();
    while ledger.total(COMPLETED) == completed {
        assert!(begun.elapsed() < PATIENCE, "nobody goes on");
        std::thread::sleep(Duration::from_micros(20));
    }
}

/// What the dead began is not under way any more.
fn bury(ledger: &Ledger<'_>, victim: usize) {
    ledger.of(victim, BEGUN).store(ledger.of(victim, COMPLETED).load(SeqCst), SeqCst);
}

/// A worker never ends by itself: that would be a panic.
fn kill(worker: Option<Forked>) {
    assert_eq!(worker.unwrap().kill().signal(), Some(libc::SIGKILL), "a worker panicked");
}
