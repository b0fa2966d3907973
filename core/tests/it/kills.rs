//! Storms of SIGKILL: workers are killed at random moments, thousands of times, and nothing may be lost, torn unnoticed,
//! or hang.

use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crate::common::{Forked, Helper, Name, PATIENCE, die_with_parent, role, say};
use shmkit::{
    ErrorKind, LockError, MapOptions, Mapping, Protection, Region, RegionGuard, RegionOptions, View,
};

const WORKERS: usize = 4;
const STORM: Duration = Duration::from_secs(8);

/// What the workers write down outside the region, in a file mapping: a line each, and what they saw.
struct Ledger<'a>(View<'a>);

/// A worker's line: sections begun and sections completed.
const LINE: usize = 64;
const BEGUN: usize = 0;
const COMPLETED: usize = 8;
/// Behind the lines: violations of exclusion, and deaths inside a section that were repaired.
const VIOLATIONS: usize = WORKERS * LINE;
const REPAIRED: usize = VIOLATIONS + 8;
const LEDGER_LEN: usize = REPAIRED + 8;

impl Ledger<'_> {
    fn word(&self, at: usize) -> &AtomicU64 {
        self.0.shared(at).unwrap()
    }

    fn of(&self, worker: usize, what: usize) -> &AtomicU64 {
        self.word(worker * LINE + what)
    }

    fn total(&self, what: usize) -> u64 {
        (0..WORKERS).map(|worker| self.of(worker, what).load(SeqCst)).sum()
    }
}

fn open_ledger(path: &str) -> Mapping {
    let options = MapOptions::new().create(true).len(LEDGER_LEN).protection(Protection::ReadWrite);
    options.map_path(path).unwrap()
}

/// The guarded data: two numbers that differ only within a section.
fn numbers(guard: &Region) -> [u64; 2] {
    let mut bytes = [0; 16];
    guard.read_at(0, &mut bytes).unwrap();
    let number = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
    [number(0), number(8)]
}

/// One critical section: the ledger says that it begins, both numbers go up, the ledger says that it is complete.
fn section(guard: &RegionGuard<'_>, ledger: &Ledger<'_>, worker: usize) {
    let completed = ledger.total(COMPLETED);
    if ledger.total(BEGUN) != completed || numbers(guard) != [completed; 2] {
        ledger.word(VIOLATIONS).fetch_add(1, SeqCst);
    }
    ledger.of(worker, BEGUN).fetch_add(1, SeqCst);
    guard.write_at(0, &(completed + 1).to_ne_bytes()).unwrap();
    if completed.is_multiple_of(8) {
        // So that deaths inside a section are not rare.
        std::thread::yield_now();
    }
    guard.write_at(8, &(completed + 1).to_ne_bytes()).unwrap();
    ledger.of(worker, COMPLETED).fetch_add(1, SeqCst);
}

/// Takes back what the dead began and did not complete. May be cut short by another death and begun again.
fn repair(guard: &mut RegionGuard<'_>, ledger: &Ledger<'_>) {
    let completed = ledger.total(COMPLETED);
    let [first, second] = numbers(guard);
    let torn = ledger.total(BEGUN) - completed;
    let plausible = torn <= 1 && first - completed <= torn && second <= first && second >= completed;
    if !plausible {
        ledger.word(VIOLATIONS).fetch_add(1, SeqCst);
    }
    // Deaths during a repair must not be rare either.
    std::thread::yield_now();
    guard.write_at(0, &completed.to_ne_bytes()).unwrap();
    guard.write_at(8, &completed.to_ne_bytes()).unwrap();
    ledger.word(REPAIRED).fetch_add(torn, SeqCst);
    for worker in 0..WORKERS {
        ledger.of(worker, BEGUN).store(ledger.of(worker, COMPLETED).load(SeqCst), SeqCst);
    }
    guard.make_consistent().unwrap();
}

/// The guard, by a form of its own for each worker; `None` when it was not to be had this time.
fn take<'a>(region: &'a Region, worker: usize, ledger: &Ledger<'_>) -> Option<RegionGuard<'a>> {
    let taken = match worker {
        0 => match region.try_lock() {
            Ok(guard) => return guard,
            Err(error) => error.into_guard().map(|guard| guard.expect("a death is told to the new owner")),
        },
        1 => region.lock_timeout(Duration::from_micros(300)).or_else(LockError::into_guard),
        _ => region.lock().or_else(LockError::into_guard),
    };
    match taken {
        Ok(mut guard) => {
            if guard.owner_died() {
                repair(&mut guard, ledger);
            }
            Some(guard)
        }
        Err(error) if error.kind() == ErrorKind::Timeout => None,
        Err(error) => panic!("worker {worker}: {error}"),
    }
}

/// A dead process keeps its slot for as long as somebody looks at its memory (through /proc, say) at that moment: the
/// kernel takes the memory down when the last one has looked away.
fn open_when_a_slot_is_free(name: &str) -> Region {
    let start = Instant::now();
    loop {
        match Region::open(name) {
            Err(error) if error.kind() == ErrorKind::TooManyAttachments && start.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(1));
            }
            result => return result.unwrap(),
        }
    }
}

/// Works until it is killed. Now and then it leaves the region and comes back, so that it also dies doing that.
fn work(name: &str, path: &str, worker: usize) {
    die_with_parent();
    let mapping = open_ledger(path);
    let ledger = Ledger(mapping.view_mut().unwrap());
    loop {
        let region = open_when_a_slot_is_free(name);
        for _ in 0..500 {
            match take(&region, worker, &ledger) {
                Some(guard) => section(&guard, &ledger, worker),
                None => std::thread::yield_now(),
            }
        }
        region.close().unwrap();
    }
}

/// Kills one worker after the other at random moments, and starts another in its place; how many it killed. In a process
/// of its own, which has nothing open that its children could inherit.
fn storm(name: &str, path: &str) -> u64 {
    let start = |worker: usize| Forked::run(|| work(name, path, worker));
    let mut workers: Vec<Option<Forked>> = (0..WORKERS).map(|worker| Some(start(worker))).collect();
    let (mut kills, mut random) = (0, Random::new());
    let end = Instant::now() + STORM;
    while Instant::now() < end {
        std::thread::sleep(Duration::from_micros(random.below(1000)));
        let victim = random.below(WORKERS as u64) as usize;
        kill(workers[victim].take());
        kills += 1;
        workers[victim] = Some(start(victim));
    }
    workers.into_iter().for_each(kill);
    kills
}

/// A worker never ends by itself: that would be a panic.
fn kill(worker: Option<Forked>) {
    assert_eq!(worker.unwrap().kill().signal(), Some(libc::SIGKILL));
}

#[test]
fn no_section_is_lost_or_torn_unnoticed() {
    if let Some(arguments) = role() {
        say(storm(&arguments[0], &arguments[1]));
        return;
    }
    let name = Name::new("storm");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger").display().to_string();
    // Exactly as many slots as processes: one that was not given back would be missed at once.
    let region = RegionOptions::new().attachments(WORKERS as u32 + 1).create(&*name, 16).unwrap();
    let mapping = open_ledger(&path);
    let ledger = Ledger(mapping.view_mut().unwrap());
    let mut helper = Helper::start(no_section_is_lost_or_torn_unnoticed, &[&name, &path]);
    let kills: u64 = helper.hear().parse().unwrap();
    helper.finish();

    let mut guard = region.lock_timeout(PATIENCE).or_else(|error| error.into_guard()).expect("nobody hangs");
    if guard.owner_died() {
        repair(&mut guard, &ledger);
    }
    let completed = ledger.total(COMPLETED);
    let repaired = ledger.word(REPAIRED).load(SeqCst);
    println!("{kills} kills, {repaired} of them inside a section, {completed} sections completed");
    assert_eq!(ledger.word(VIOLATIONS).load(SeqCst), 0);
    assert_eq!(numbers(&guard), [completed; 2]);
    assert!(completed > kills, "the work goes on");
    assert!(repaired > 0, "the kills must hit sections, or this proves nothing");
    for worker in 0..WORKERS {
        assert!(ledger.of(worker, COMPLETED).load(SeqCst) > 0, "worker {worker} never got through");
    }
}

/// Creates and removes a region over and over.
fn create_for_ever(name: &str) {
    die_with_parent();
    loop {
        let region = Region::create(name, 10_000).unwrap();
        region.write_at(9_999, b"!").unwrap();
        Region::unlink(name).unwrap();
    }
}

/// Kills creators at random moments, and counts how often the name led to a region and how often to none.
fn storm_of_creators(name: &str) -> (u32, u32) {
    let (mut whole, mut none, mut random) = (0, 0, Random::new());
    for _ in 0..1000 {
        let creator = Forked::run(|| create_for_ever(name));
        std::thread::sleep(Duration::from_micros(random.below(1500)));
        kill(Some(creator));
        match Region::open(name) {
            Ok(region) => {
                assert_eq!(region.len(), 10_000);
                drop(region.lock_timeout(PATIENCE).unwrap());
                Region::unlink(name).unwrap();
                whole += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
                none += 1;
            }
        }
    }
    (whole, none)
}

#[test]
fn a_name_leads_to_a_whole_region_or_to_none() {
    if let Some(arguments) = role() {
        let (whole, none) = storm_of_creators(&arguments[0]);
        assert!(whole > 0 && none > 0, "{whole} whole, {none} none: the kills must hit both");
        say("done");
        return;
    }
    let name = Name::new("creator");
    let mut helper = Helper::start(a_name_leads_to_a_whole_region_or_to_none, &[&name]);
    helper.expect("done");
    helper.finish();
    let left = std::fs::read_dir("/dev/shm").unwrap().filter_map(Result::ok);
    let left: Vec<_> = left.filter(|entry| entry.file_name().to_string_lossy().contains(&*name)).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Numbers that are different each time: xorshift, seeded by the clock.
pub struct Random(u64);

impl Random {
    pub fn new() -> Random {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Random(now.as_nanos() as u64 | 1)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
