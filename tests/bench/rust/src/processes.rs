//! Cases with two processes: contention, round trips, readers side by side, and recovery after SIGKILL.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use shmkit::{Event, EventReset, Mapping, Region, Wait};

use crate::lock::RobustMutex;
use crate::{ROUNDS, median, report};

/// A forked child that runs `work` and ends.
pub struct Child(i32);

impl Child {
    pub fn run(work: impl FnOnce()) -> Child {
        // SAFETY: the child runs `work` and `_exit`; this program has one thread.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "fork");
        if pid == 0 {
            work();
            // SAFETY: ends the child.
            unsafe { libc::_exit(0) };
        }
        Child(pid)
    }

    pub fn wait(self) {
        // SAFETY: a child of ours.
        unsafe { libc::waitpid(self.0, std::ptr::null_mut(), 0) };
    }

    fn kill(&self) {
        // SAFETY: a child of ours.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }
}

fn scratch_region(tag: &str) -> Region {
    let name = format!("bench-{tag}-{}", std::process::id());
    let region = Region::create(name.as_str(), 4096).expect("create region");
    Region::unlink(name.as_str()).expect("unlink region");
    region
}

/// Nanoseconds per operation while two processes do `count` of them each. They start together, when both are there.
pub fn two_processes(count: u64, operation: impl Fn(u64)) -> f64 {
    let memory = Mapping::anonymous(4096).expect("map memory");
    let view = memory.view_mut().expect("view");
    let ready: &AtomicU64 = view.shared(0).expect("counter");
    let meet = || {
        ready.fetch_add(1, SeqCst);
        while ready.load(SeqCst) < 2 {
            std::hint::spin_loop();
        }
    };
    let child = Child::run(|| {
        meet();
        operation(count);
    });
    meet();
    let start = Instant::now();
    operation(count);
    child.wait();
    start.elapsed().as_nanos() as f64 / (2 * count) as f64
}

fn compare_two(name: &str, count: u64, ours: impl Fn(u64), peer: impl Fn(u64)) {
    let rounds: Vec<_> =
        (0..ROUNDS).map(|_| (two_processes(count, &ours), two_processes(count, &peer))).collect();
    report(name, median(rounds.iter().map(|round| round.0)), median(rounds.iter().map(|round| round.1)));
}

/// Two processes that want the same lock all the time: alone, and beside others that keep every processor busy.
pub fn contention() {
    let region = scratch_region("contended");
    let robust = RobustMutex::new();
    let compare = |name| {
        compare_two(
            name,
            200_000,
            |count| (0..count).for_each(|_| drop(region.lock().expect("lock"))),
            |count| {
                for _ in 0..count {
                    robust.lock();
                    robust.unlock();
                }
            },
        );
    };
    compare("lock.contended.rust.vs_glibc_robust");
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let burn = || {
        // SAFETY: a flag of this process. Whatever ends us ends the burning too.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        loop {
            std::hint::spin_loop();
        }
    };
    let others: Vec<_> = (0..processors).map(|_| Child::run(burn)).collect();
    compare("lock.contended_busy.rust.vs_glibc_robust");
    for other in others {
        other.kill();
        other.wait();
    }
}

/// What it costs to wait for an owner who lives: processor time for each second of waiting.
pub fn waiting() {
    const WAITED: Duration = Duration::from_secs(4);
    let region = scratch_region("waiting");
    let _held = region.lock().expect("lock");
    let used_ns = || {
        let mut used = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: room for the time.
        unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut used) };
        used.tv_sec as f64 * 1e9 + used.tv_nsec as f64
    };
    let memory = Mapping::anonymous(4096).expect("map memory");
    let view = memory.view_mut().expect("view");
    let cost: &AtomicU64 = view.shared(0).expect("number");
    let waiter = Child::run(|| {
        // Attaches the child, which is not a part of the wait.
        assert!(region.try_acquire().expect("try").is_none());
        let before = used_ns();
        region.acquire(&Wait::timeout(WAITED)).expect_err("held by one who lives");
        cost.store((used_ns() - before) as u64, SeqCst);
    });
    waiter.wait();
    report("lock.waiting.rust.vs_one_core", cost.load(SeqCst) as f64 / WAITED.as_secs_f64(), 1e9);
}

/// Two processes that read, beside one: readers do not slow each other when the ratio is near one half.
pub fn readers() {
    let region = scratch_region("readers");
    let lock = region.rwlock("l").expect("rwlock");
    let read = |count| (0..count).for_each(|_| drop(lock.read().expect("read")));
    let count = 500_000;
    let alone = || {
        let start = Instant::now();
        read(count);
        start.elapsed().as_nanos() as f64 / count as f64
    };
    let rounds: Vec<_> = (0..ROUNDS).map(|_| (two_processes(count, read), alone())).collect();
    let times = (median(rounds.iter().map(|round| round.0)), median(rounds.iter().map(|round| round.1)));
    report("rwlock.two_readers.rust.vs_one_reader", times.0, times.1);
}

/// There and back between two processes, `count` times.
fn round_trips(count: u64, here: impl Fn(), there: impl Fn()) -> f64 {
    let child = Child::run(|| (0..count).for_each(|_| there()));
    let start = Instant::now();
    (0..count).for_each(|_| here());
    let took = start.elapsed().as_nanos() as f64 / count as f64;
    child.wait();
    took
}

/// Two pipes, one each way.
struct Pipes([[i32; 2]; 2]);

impl Pipes {
    fn new() -> Pipes {
        let mut pipes = [[0; 2]; 2];
        for pipe in &mut pipes {
            // SAFETY: two descriptors fit.
            assert_eq!(unsafe { libc::pipe(pipe.as_mut_ptr()) }, 0);
        }
        Pipes(pipes)
    }

    fn send(&self, way: usize) {
        // SAFETY: one byte of a constant.
        unsafe { libc::write(self.0[way][1], c"x".as_ptr().cast(), 1) };
    }

    fn receive(&self, way: usize) {
        let mut byte = 0u8;
        // SAFETY: room for one byte.
        unsafe { libc::read(self.0[way][0], (&raw mut byte).cast(), 1) };
    }
}

impl Drop for Pipes {
    fn drop(&mut self) {
        for fd in self.0.iter().flatten() {
            // SAFETY: a descriptor of ours.
            unsafe { libc::close(*fd) };
        }
    }
}

fn compare_with_pipe(name: &str, here: impl Fn(), there: impl Fn()) {
    let count = 5_000;
    let pipes = Pipes::new();
    let rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let ours = round_trips(count, &here, &there);
            let peer = round_trips(
                count,
                || {
                    pipes.send(0);
                    pipes.receive(1);
                },
                || {
                    pipes.receive(0);
                    pipes.send(1);
                },
            );
            (ours, peer)
        })
        .collect();
    report(name, median(rounds.iter().map(|round| round.0)), median(rounds.iter().map(|round| round.1)));
}

/// Round trips over two automatic events.
pub fn event() {
    let region = scratch_region("event");
    let open = |name: &str| region.event(name, EventReset::Automatic).expect("event");
    let (ping, pong): (Event, Event) = (open("ping"), open("pong"));
    compare_with_pipe(
        "event.round_trip.rust.vs_pipe",
        || {
            ping.set().expect("set");
            pong.wait(&Wait::FOREVER).expect("wait");
        },
        || {
            ping.wait(&Wait::FOREVER).expect("wait");
            pong.set().expect("set");
        },
    );
}

/// Round trips over one mutex and condition variable: a number that each side waits for and raises.
pub fn condvar() {
    let region = scratch_region("condvar");
    let (mutex, changed) = (region.mutex("m").expect("mutex"), region.condvar("c").expect("condvar"));
    let turn = |mine: u8| {
        let mut guard = mutex.lock().expect("lock");
        let mut whose = [0];
        while {
            region.read_at(0, &mut whose).expect("read");
            whose[0] != mine
        } {
            guard = changed.wait(guard).expect("wait");
        }
        region.write_at(0, &[1 - mine]).expect("write");
        drop(guard);
        changed.notify_one().expect("notify");
    };
    compare_with_pipe("condvar.round_trip.rust.vs_pipe", || turn(0), || turn(1));
}

/// From SIGKILL of the owner to the lock in a waiter's hands, beside glibc's robust mutex.
pub fn recovery() {
    const KILLS: usize = 60;
    let region = scratch_region("recovery");
    let ours = (0..KILLS).map(|_| {
        recover(
            || std::mem::forget(region.lock().expect("lock")),
            || {
                let mut guard = region.lock().expect_err("the owner died").into_guard().expect("held");
                guard.make_consistent().expect("make consistent");
                Instant::now()
            },
        )
    });
    let mut ours: Vec<f64> = ours.collect();
    let peer = (0..KILLS).map(|_| {
        let robust = RobustMutex::new();
        recover(
            || robust.lock(),
            || {
                robust.lock_after_death();
                Instant::now()
            },
        )
    });
    let peer = median(peer);
    ours.sort_by(f64::total_cmp);
    report("lock.recovery_median.rust.vs_glibc_robust", ours[KILLS / 2], peer);
    report("lock.recovery_max.rust.vs_glibc_robust", ours[KILLS - 1], peer);
}

fn recover(hold: impl Fn(), take: impl FnOnce() -> Instant + Send) -> f64 {
    let memory = Mapping::anonymous(4096).expect("map memory");
    let view = memory.view_mut().expect("view");
    let held: &AtomicU64 = view.shared(0).expect("flag");
    let owner = Child::run(|| {
        hold();
        held.store(1, SeqCst);
        loop {
            std::thread::sleep(Duration::from_secs(60));
        }
    });
    while held.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    let took = std::thread::scope(|scope| {
        let waiter = scope.spawn(take);
        // Long enough for the waiter to sleep its longest slices.
        std::thread::sleep(Duration::from_millis(60 + (held.load(SeqCst) * 7) % 16));
        let killed = Instant::now();
        owner.kill();
        waiter.join().expect("the waiter").duration_since(killed).as_nanos() as f64
    });
    owner.wait();
    took
}
