//! Who is alive, in every way that a process can come, go on and end: fork, vfork, exec, PID namespaces, descriptors
//! closed behind the library's back, zombies, stopped processes, threads.

use std::mem::offset_of;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::common::{
    Forked, Helper, Name, PATIENCE, is_alive, listen, owner_died, pause, role, say, signal, sleep_for_ever,
};
use shmkit::layout::{FixedHeader, Slot};
use shmkit::{Acquired, ErrorKind, LockError, Region, RegionOptions, Wait};

const SHORT: Duration = Duration::from_millis(100);

/// Whether the lock stays out of reach for a while, because its owner lives.
fn is_held_by_the_living(region: &Region) -> bool {
    let tried = region.try_lock().is_ok_and(|guard| guard.is_none());
    let waited = region.lock_timeout(SHORT);
    tried && matches!(waited, Err(LockError::Failed(error)) if error.kind() == ErrorKind::Timeout)
}

/// Takes the lock, to hold it until it is released or the process ends; whether an owner had died.
fn lock_and_keep(region: &Region) -> bool {
    region.acquire(&Wait::timeout(PATIENCE)).unwrap() == Acquired::OwnerDied
}

#[test]
fn a_forked_child_holds_nothing_and_releases_nothing() {
    if let Some(arguments) = role() {
        let region = Region::open(arguments[0].as_str()).unwrap();
        let guard = region.lock().unwrap();
        let child = Forked::run(|| {
            assert_eq!(region.release().unwrap_err().kind(), ErrorKind::NotOwner);
            assert!(is_held_by_the_living(&region));
            drop(guard);
            assert!(region.is_locked());
        });
        assert!(child.wait().success());
        assert!(region.is_locked(), "the parent holds it still");
        region.release().unwrap();
        // A slot of its own: what it holds when it ends is the child's alone.
        let child = Forked::run(|| assert!(!lock_and_keep(&region)));
        assert!(child.wait().success());
        assert!(owner_died(region.lock_timeout(PATIENCE)));
        say("done");
        return;
    }
    let name = Name::new("fork");
    let region = RegionOptions::new().attachments(3).create(&*name, 64).unwrap();
    let mut helper = Helper::start(a_forked_child_holds_nothing_and_releases_nothing, &[&name]);
    helper.expect("done");
    helper.finish();
    assert!(owner_died(region.lock_timeout(PATIENCE)), "nobody said that all is well");
}

/// The helper takes the lock, leaves a child behind in some way, and is killed: the child must not keep it alive.
fn a_death_is_seen_although_a_child_lives(test: impl Fn(), way: &str) {
    let name = Name::new(way);
    let region = Region::create(&*name, 64).unwrap();
    let mut helper = Helper::start(test, &[&name]);
    let child = Forked::of_pid(helper.hear().parse().unwrap());
    assert!(is_held_by_the_living(&region));
    helper.kill();
    assert!(owner_died(region.lock_timeout(PATIENCE)));
    assert!(is_alive(child.pid()), "the child must have lived all the time");
}

#[test]
fn a_forked_child_does_not_keep_its_parent_alive() {
    if let Some(arguments) = role() {
        let region = Region::open(arguments[0].as_str()).unwrap();
        let _guard = region.lock().unwrap();
        say(Forked::run(pause).into_pid());
        sleep_for_ever();
    }
    a_death_is_seen_although_a_child_lives(a_forked_child_does_not_keep_its_parent_alive, "orphan");
}

#[test]
fn a_cloned_child_does_not_keep_its_parent_alive() {
    if let Some(arguments) = role() {
        let region = Region::open(arguments[0].as_str()).unwrap();
        let _guard = region.lock().unwrap();
        say(Forked::cloned_sleeper().into_pid());
        sleep_for_ever();
    }
    a_death_is_seen_although_a_child_lives(a_cloned_child_does_not_keep_its_parent_alive, "clone");
}

#[test]
fn a_spawned_program_does_not_keep_its_parent_alive() {
    if let Some(arguments) = role() {
        let region = Region::open(arguments[0].as_str()).unwrap();
        let _guard = region.lock().unwrap();
        // std spawns by vfork and exec (posix_spawn(3)): for an instant the child runs in our address space.
        #[allow(clippy::zombie_processes, reason = "the test kills it, after us")]
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        assert!(region.is_locked());
        say(child.id());
        sleep_for_ever();
    }
    a_death_is_seen_although_a_child_lives(a_spawned_program_does_not_keep_its_parent_alive, "spawn");
}

#[test]
fn exec_ends_an_owner() {
    if let Some(arguments) = role() {
        let region = Region::open(arguments[0].as_str()).unwrap();
        let _guard = region.lock().unwrap();
        say("locked");
        listen();
        panic!("exec failed: {}", Command::new("sleep").arg("60").exec());
    }
    let name = Name::new("exec");
    let region = Region::create(&*name, 64).unwrap();
    let mut helper = Helper::start(exec_ends_an_owner, &[&name]);
    helper.expect("locked");
    assert!(is_held_by_the_living(&region));
    helper.tell("exec");
    assert!(owner_died(region.lock_timeout(PATIENCE)));
    assert!(is_alive(helper.pid()), "the process goes on as another program");
}

#[test]
fn a_zombie_is_dead_and_a_stopped_process_is_not() {
    if let Some(arguments) = role() {
        let region = Region::open(arguments[0].as_str()).unwrap();
        loop {
            assert!(!lock_and_keep(&region));
            say("locked");
            listen();
            region.release().unwrap();
            say("unlocked");
            listen();
        }
    }
    let name = Name::new("stop");
    let region = Region::create(&*name, 64).unwrap();
    let mut helper = Helper::start(a_zombie_is_dead_and_a_stopped_process_is_not, &[&name]);
    helper.expect("locked");
    helper.stop();
    assert!(is_held_by_the_living(&region), "stopped, not dead");
    signal(helper.pid(), libc::SIGCONT);
    helper.tell("unlock");
    helper.expect("unlocked");
    drop(region.lock_timeout(PATIENCE).unwrap());
    helper.tell("lock");
    helper.expect("locked");
    helper.kill_without_reaping();
    assert!(owner_died(region.lock_timeout(PATIENCE)));
}

/// A program that closes all descriptors, as daemons do, and lets others take their numbers.
fn close_everything_and_reuse_the_numbers() {
    // SAFETY: closes descriptors of others, which is the point; none of this program's own is used afterwards.
    assert_eq!(unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) }, 0);
    for _ in 0..20 {
        std::mem::forget(std::fs::File::open("/dev/null").unwrap());
    }
}

#[test]
fn closing_all_descriptors_neither_kills_nor_blinds() {
    if let Some(arguments) = role() {
        let region = Region::open(arguments[0].as_str()).unwrap();
        if arguments[1] == "closer" {
            close_everything_and_reuse_the_numbers();
        }
        say("ready");
        loop {
            match listen().as_str() {
                "lock" => say(if lock_and_keep(&region) { "died" } else { "locked" }),
                "try" => say(is_held_by_the_living(&region)),
                "recover" => {
                    let mut guard =
                        region.lock_timeout(PATIENCE).or_else(|error| error.into_guard()).unwrap();
                    say(guard.owner_died());
                    guard.make_consistent().unwrap();
                }
                other => panic!("told to {other}"),
            }
        }
    }
    let name = Name::new("closer");
    let region = Region::create(&*name, 64).unwrap();
    let mut closer = Helper::start(closing_all_descriptors_neither_kills_nor_blinds, &[&name, "closer"]);
    let mut other = Helper::start(closing_all_descriptors_neither_kills_nor_blinds, &[&name, "other"]);
    closer.expect("ready");
    other.expect("ready");

    other.tell("lock");
    other.expect("locked");
    closer.tell("try");
    closer.expect("true");
    other.kill();
    closer.tell("recover");
    closer.expect("true");

    closer.tell("lock");
    closer.expect("locked");
    assert!(is_held_by_the_living(&region), "its locks do not hang on its descriptors");
    closer.kill();
    assert!(owner_died(region.lock_timeout(PATIENCE)));
}

#[test]
fn pid_namespaces_do_not_matter() {
    if let Some(arguments) = role() {
        let region = Region::open(arguments[0].as_str()).unwrap();
        say(std::process::id());
        loop {
            match listen().as_str() {
                "lock" => say(if lock_and_keep(&region) { "died" } else { "locked" }),
                "try" => say(is_held_by_the_living(&region)),
                other => panic!("told to {other}"),
            }
        }
    }
    // Root may; others may in a user namespace of their own, where the system allows those.
    let ways: [&[&str]; 2] = [
        &["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"],
        &["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"],
    ];
    let works = |way: &&&[&str]| {
        Command::new(way[0]).args(&way[1..]).arg("true").output().is_ok_and(|output| output.status.success())
    };
    let Some(wrapper) = ways.iter().find(works) else {
        eprintln!("not tested: this system lets nobody make PID namespaces");
        return;
    };
    let name = Name::new("pidns");
    let region = Region::create(&*name, 64).unwrap();
    let mut holder = Helper::start_under(wrapper, pid_namespaces_do_not_matter, &[&name]);
    let mut waiter = Helper::start_under(wrapper, pid_namespaces_do_not_matter, &[&name]);
    // Both have the number 1: a lock that knew its owner by number would take one for the other.
    holder.expect("1");
    waiter.expect("1");
    holder.tell("lock");
    holder.expect("locked");
    waiter.tell("try");
    waiter.expect("true");
    assert!(is_held_by_the_living(&region));
    holder.kill();
    waiter.tell("lock");
    waiter.expect("died");
    assert!(is_held_by_the_living(&region));
    waiter.kill();
    assert!(owner_died(region.lock_timeout(PATIENCE)));
}

#[test]
fn threads_of_one_process_exclude_each_other() {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 20_000;
    let name = Name::new("threads");
    let region = Region::create(&*name, 64).unwrap();
    let again = Region::open(&*name).unwrap();
    std::thread::scope(|scope| {
        for number in 0..THREADS {
            let region = if number % 2 == 0 { &region } else { &again };
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    let guard = region.lock().unwrap();
                    let mut bytes = [0; 8];
                    guard.read_at(0, &mut bytes).unwrap();
                    guard.write_at(0, &(u64::from_ne_bytes(bytes) + 1).to_ne_bytes()).unwrap();
                }
            });
        }
    });
    let mut bytes = [0; 8];
    region.read_at(0, &mut bytes).unwrap();
    assert_eq!(u64::from_ne_bytes(bytes), THREADS * ROUNDS);
}

#[test]
fn forks_during_attach_take_no_token_along() {
    if let Some(arguments) = role() {
        attach_while_forking(&arguments[0]);
        return;
    }
    let name = Name::new("token");
    let _region = RegionOptions::new().attachments(2).create(&*name, 64).unwrap();
    let mut helper = Helper::start(forks_during_attach_take_no_token_along, &[&name]);
    helper.expect("done");
    helper.finish();
}

/// Attaches in one thread while another forks. One slot is free: a child that inherited a token would keep it taken.
fn attach_while_forking(name: &str) {
    let stop = AtomicBool::new(false);
    let children: Vec<Forked> = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                Region::open(name).unwrap().close().unwrap();
            }
        });
        let children = (0..200).map(|_| Forked::run(pause)).collect();
        stop.store(true, Ordering::Relaxed);
        children
    });
    drop(Region::open(name).unwrap());
    drop(children);
    say("done");
}

#[test]
fn a_fork_before_the_first_attach_takes_no_token_along() {
    if let Some(arguments) = role() {
        attach_during_fork(&arguments[0], Duration::from_micros(arguments[1].parse().unwrap()));
        return;
    }
    let name = Name::new("first");
    let _region = RegionOptions::new().attachments(2).create(&*name, 64).unwrap();
    for delay_us in (0..400).step_by(4) {
        let mut helper = Helper::start(
            a_fork_before_the_first_attach_takes_no_token_along,
            &[&name, &delay_us.to_string()],
        );
        helper.expect("done");
        helper.finish();
    }
}

/// The first attach of a process comes while a fork is under way: after the C library has asked who minds forks, and
/// before the child exists. `delay` is the time between the two.
fn attach_during_fork(name: &str, delay: Duration) {
    static FORKING: AtomicBool = AtomicBool::new(false);
    static DELAY_NS: AtomicU64 = AtomicU64::new(0);
    extern "C" fn dawdle() {
        FORKING.store(true, Ordering::SeqCst);
        let delay = Duration::from_nanos(DELAY_NS.load(Ordering::SeqCst));
        let start = Instant::now();
        while start.elapsed() < delay {
            std::hint::spin_loop();
        }
    }
    DELAY_NS.store(delay.as_nanos() as u64, Ordering::SeqCst);
    // SAFETY: the handler is a function of this program and touches only atomics.
    assert_eq!(unsafe { libc::pthread_atfork(Some(dawdle), None, None) }, 0);
    let child = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !FORKING.load(Ordering::SeqCst) {
                std::hint::spin_loop();
            }
            Region::open(name).unwrap().close().unwrap();
        });
        Forked::run(pause)
    });
    Region::open(name).unwrap().close().unwrap();
    drop(child);
    say("done");
}

/// After a power cut the slot table on the disk may be older than the lock words: the next one to attach must not get the
/// owner id that such a word has, or it would wait for itself.
#[test]
fn a_lock_word_younger_than_the_slot_table_is_a_dead_owner() {
    let directory = tempfile::tempdir().unwrap();
    let (path, image) = (directory.path().join("region"), directory.path().join("after the cut"));
    let region = Region::create(path.as_path(), 64).unwrap();
    assert_eq!(region.acquire(&Wait::FOREVER).unwrap(), Acquired::Clean);

    let mut bytes = std::fs::read(&path).unwrap();
    let slots =
        bytes[offset_of!(FixedHeader, slots_offset)..].first_chunk().map(|word| u64::from_ne_bytes(*word));
    let slot = slots.unwrap() as usize;
    let older = |bytes: &mut [u8], at: usize| {
        let word = u32::from_ne_bytes(*bytes[at..].first_chunk().unwrap());
        bytes[at..at + 4].copy_from_slice(&(word - 1).to_ne_bytes());
    };
    older(&mut bytes, slot + offset_of!(Slot, generation));
    older(&mut bytes, slot + offset_of!(Slot, boot));
    std::fs::write(&image, bytes).unwrap();
    region.release().unwrap();

    let region = Region::open(image.as_path()).unwrap();
    assert_eq!(region.acquire(&Wait::timeout(PATIENCE)).unwrap(), Acquired::OwnerDied);
    region.release().unwrap();
}
