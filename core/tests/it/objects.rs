//! The named objects of a region: what each promises, between threads, between processes, and when one is killed.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use crate::common::{Forked, Name, PATIENCE, pause};
use shmkit::{
    ErrorKind, EventReset, LockError, Notified, Region, RegionOptions, SemaphoreKind, SemaphoreOptions, Wait,
};

fn region(name: &Name) -> Region {
    Region::create(&**name, 4096).unwrap()
}

fn kind<T>(result: Result<T, shmkit::Error>) -> ErrorKind {
    result.err().expect("an error").kind()
}

fn bounded() -> Wait {
    Wait::timeout(PATIENCE)
}

/// Waits until `condition` holds.
fn until(condition: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "waited in vain");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_name_belongs_to_one_kind_and_one_set_of_parameters() {
    let name = Name::new("kinds");
    let region = region(&name);
    let first = region.mutex("one").unwrap();
    let second = region.mutex("one").unwrap();
    let guard = first.lock().unwrap();
    assert!(second.try_lock().unwrap().is_none(), "both handles lead to one lock");
    drop(guard);
    assert_eq!(kind(region.rwlock("one")), ErrorKind::WrongKind);
    region.semaphore("three", SemaphoreOptions::new(3).max(5)).unwrap();
    let error = region.semaphore("three", SemaphoreOptions::new(3).max(6)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::ParameterMismatch);
    assert_eq!(error.object(), format!("{}:three", &*name));
    let tracked = SemaphoreOptions::new(3).kind(SemaphoreKind::Tracked);
    assert_eq!(kind(region.semaphore("three", tracked)), ErrorKind::WrongKind);
    region.event("event", EventReset::Manual).unwrap();
    assert_eq!(kind(region.event("event", EventReset::Automatic)), ErrorKind::ParameterMismatch);
    region.barrier("barrier", 2).unwrap();
    assert_eq!(kind(region.barrier("barrier", 3)), ErrorKind::ParameterMismatch);
    region.atomic_u32("number", 0).unwrap();
    assert_eq!(kind(region.atomic_u64("number", 0)), ErrorKind::WrongKind);
    assert_eq!(kind(region.mutex("no/name")), ErrorKind::InvalidName);
    let none = [
        region.barrier("none", 0).err().unwrap(),
        region.semaphore("none", SemaphoreOptions::new(2).max(1)).err().unwrap(),
    ];
    for error in none {
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert_eq!(error.object(), format!("{}:none", &*name));
    }
    let reader = Region::open_read_only(&*name).unwrap();
    assert_eq!(kind(reader.mutex("one")), ErrorKind::ReadOnly);
}

#[test]
fn an_arena_fills_up_and_takes_back_what_is_removed() {
    let name = Name::new("arena");
    let region = RegionOptions::new().arena_len(8192).attachments(4).create(&*name, 1).unwrap();
    let fill = || {
        let mut objects = Vec::new();
        loop {
            match region.mutex(&format!("m{}", objects.len())) {
                Ok(mutex) => objects.push(mutex),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::NoSpace);
                    return objects;
                }
            }
        }
    };
    let objects = fill();
    let count = objects.len();
    assert!(count > 10);
    assert_eq!(kind(region.remove_object("m3")), ErrorKind::Busy, "it is open");
    drop(objects);
    for index in 0..count {
        region.remove_object(&format!("m{index}")).unwrap();
    }
    assert_eq!(kind(region.remove_object("m0")), ErrorKind::NotFound);
    // Joined again: one large object fits where many small ones were.
    region.semaphore("large", SemaphoreOptions::new(1).kind(SemaphoreKind::Tracked)).unwrap();
    region.remove_object("large").unwrap();
    assert_eq!(fill().len(), count, "nothing of the arena was lost");
    let bare_name = Name::new("bare");
    let bare = RegionOptions::new().arena_len(0).create(&*bare_name, 1).unwrap();
    assert_eq!(kind(bare.mutex("m")), ErrorKind::NoSpace);
}

#[test]
fn an_object_outlives_the_regions_handle_and_close_is_refused_while_it_is_held() {
    let name = Name::new("lifetime");
    let region = region(&name);
    let mutex = region.mutex("m").unwrap();
    region.close().unwrap();
    let _ = mutex.acquire(&bounded()).unwrap();
    assert_eq!(kind(mutex.close()), ErrorKind::Busy);
    mutex.release().unwrap();
    assert_eq!(kind(mutex.release()), ErrorKind::NotOwner);
    mutex.close().unwrap();
    mutex.close().unwrap();
    assert_eq!(kind(mutex.acquire(&bounded())), ErrorKind::Closed);
    assert_eq!(kind(mutex.release()), ErrorKind::Closed);
}

/// Who holds it may be ourselves, through another handle: a wait would have no end.
#[test]
fn a_closed_handle_does_not_wait_for_what_is_held_through_another() {
    let name = Name::new("closed");
    let region = region(&name);
    let other = Region::open(&*name).unwrap();
    let (mutex, rwlock) = (region.mutex("m").unwrap(), region.rwlock("l").unwrap());
    let _held = (mutex.lock().unwrap(), rwlock.write().unwrap(), region.lock().unwrap());
    let (closed_mutex, closed_rwlock) = (region.mutex("m").unwrap(), region.rwlock("l").unwrap());
    closed_mutex.close().unwrap();
    closed_rwlock.close().unwrap();
    other.close().unwrap();
    assert_eq!(kind(closed_mutex.acquire(&bounded())), ErrorKind::Closed);
    assert_eq!(kind(closed_mutex.try_acquire()), ErrorKind::Closed);
    assert_eq!(kind(closed_rwlock.acquire_read(&bounded())), ErrorKind::Closed);
    assert_eq!(kind(closed_rwlock.try_acquire_read()), ErrorKind::Closed);
    assert_eq!(kind(closed_rwlock.acquire_write(&bounded())), ErrorKind::Closed);
    assert_eq!(kind(closed_rwlock.try_acquire_write()), ErrorKind::Closed);
    assert_eq!(kind(other.acquire(&bounded())), ErrorKind::Closed);
}

#[test]
fn a_mutex_reports_a_dead_owner_until_it_is_made_consistent() {
    let name = Name::new("mutex");
    let region = region(&name);
    let mutex = region.mutex("m").unwrap();
    let held = region.event("held", EventReset::Manual).unwrap();
    let child = Forked::run(|| {
        std::mem::forget(mutex.lock().unwrap());
        held.set().unwrap();
        pause();
    });
    held.wait(&bounded()).unwrap();
    assert!(matches!(mutex.try_lock(), Ok(None)), "the owner lives");
    let Err(LockError::Failed(error)) = mutex.lock_timeout(Duration::from_millis(30)) else { panic!() };
    assert_eq!(error.kind(), ErrorKind::Timeout);
    child.kill();
    for _ in 0..2 {
        assert!(matches!(mutex.lock(), Err(LockError::OwnerDied(_))), "until it is repaired");
    }
    let Err(LockError::OwnerDied(mut guard)) = mutex.lock() else { panic!() };
    guard.make_consistent().unwrap();
    drop(guard);
    drop(mutex.lock().unwrap());
}

#[test]
fn readers_share_writers_exclude_and_the_dead_are_forgotten_or_reported() {
    let name = Name::new("rwlock");
    let region = region(&name);
    let lock = region.rwlock("l").unwrap();
    let ready = region.semaphore("ready", SemaphoreOptions::new(0)).unwrap();
    {
        let _one = lock.read().unwrap();
        let _two = lock.read().unwrap();
        assert_eq!(lock.readers(), 2);
        assert!(lock.try_write().unwrap().is_none());
    }
    let reader = Forked::run(|| {
        std::mem::forget(lock.read().unwrap());
        ready.release(1).unwrap();
        pause();
    });
    ready.acquire(&bounded()).unwrap();
    assert!(lock.try_write().unwrap().is_none());
    let Err(LockError::Failed(error)) = lock.write_timeout(Duration::from_millis(30)) else { panic!() };
    assert_eq!(error.kind(), ErrorKind::Timeout);
    drop(lock.read().unwrap());
    reader.kill();
    drop(lock.write_timeout(PATIENCE).expect("a dead reader tears nothing"));
    let writer = Forked::run(|| {
        std::mem::forget(lock.write().unwrap());
        ready.release(1).unwrap();
        pause();
    });
    ready.acquire(&bounded()).unwrap();
    assert!(lock.try_read().unwrap().is_none());
    writer.kill();
    assert!(matches!(lock.read_timeout(PATIENCE), Err(LockError::OwnerDied(_))));
    let Err(LockError::OwnerDied(mut guard)) = lock.write() else { panic!() };
    guard.make_consistent().unwrap();
    drop(guard);
    drop(lock.read().unwrap());
    assert_eq!(kind(lock.release_read()), ErrorKind::NotOwner);
    assert_eq!(kind(lock.release_write()), ErrorKind::NotOwner);
}

#[test]
fn a_signalling_semaphore_counts_between_processes() {
    let name = Name::new("semaphore");
    let region = region(&name);
    let (ping, pong) = (
        region.semaphore("ping", SemaphoreOptions::new(0).max(2)).unwrap(),
        region.semaphore("pong", SemaphoreOptions::new(0)).unwrap(),
    );
    let child = Forked::run(|| {
        for _ in 0..200 {
            ping.acquire(&bounded()).unwrap();
            pong.release(1).unwrap();
        }
    });
    for _ in 0..200 {
        ping.release(1).unwrap();
        pong.acquire(&bounded()).unwrap();
    }
    child.wait();
    assert!(!ping.try_acquire().unwrap());
    ping.release(2).unwrap();
    assert_eq!(kind(ping.release(1)), ErrorKind::LimitExceeded);
    assert_eq!(ping.available(), 2);
    assert_eq!(kind(pong.acquire(&Wait::timeout(Duration::from_millis(5)))), ErrorKind::Timeout);
}

#[test]
fn tracked_permits_come_back_from_the_dead() {
    let name = Name::new("tracked");
    let region = region(&name);
    let permits = region.semaphore("p", SemaphoreOptions::new(3).kind(SemaphoreKind::Tracked)).unwrap();
    let taken = region.event("taken", EventReset::Manual).unwrap();
    let mine = permits.acquire_permit().unwrap();
    let child = Forked::run(|| {
        for _ in 0..2 {
            permits.acquire(&bounded()).unwrap();
        }
        taken.set().unwrap();
        pause();
    });
    taken.wait(&bounded()).unwrap();
    assert!(!permits.try_acquire().unwrap());
    assert_eq!(kind(permits.release(2)), ErrorKind::NotOwner, "one is mine, two are the child's");
    child.kill();
    permits.acquire(&bounded()).unwrap();
    permits.acquire(&bounded()).unwrap();
    assert!(!permits.try_acquire().unwrap(), "three in all");
    permits.release(2).unwrap();
    drop(mine);
    assert_eq!(permits.available(), 3);
    assert_eq!(kind(permits.release(1)), ErrorKind::NotOwner);
}

#[test]
fn a_condvar_wakes_across_processes_and_times_out() {
    let name = Name::new("condvar");
    let region = region(&name);
    let (mutex, changed) = (region.mutex("m").unwrap(), region.condvar("c").unwrap());
    let flag = || {
        let mut byte = [0];
        region.read_at(0, &mut byte).unwrap();
        byte[0]
    };
    let child = Forked::run(|| {
        let mut guard = mutex.lock().unwrap();
        while flag() == 0 {
            guard = changed.wait(guard).unwrap();
        }
        region.write_at(0, &[2]).unwrap();
        changed.notify_all().unwrap();
        drop(guard);
    });
    let mut guard = mutex.lock().unwrap();
    let (held, notified) = changed.wait_timeout(guard, Duration::from_millis(10)).unwrap();
    assert_eq!(notified, Notified::No(ErrorKind::Timeout));
    region.write_at(0, &[1]).unwrap();
    changed.notify_one().unwrap();
    guard = held;
    while flag() != 2 {
        guard = changed.wait(guard).unwrap();
    }
    drop(guard);
    child.wait();
    assert_eq!(kind(changed.wait_raw(&mutex, &bounded())), ErrorKind::NotOwner);
}

#[test]
fn a_wait_in_steps_misses_nothing_between_them() {
    let name = Name::new("steps");
    let region = region(&name);
    let (mutex, changed) = (region.mutex("m").unwrap(), region.condvar("c").unwrap());
    assert_eq!(kind(changed.watch(&mutex)), ErrorKind::NotOwner);
    let guard = mutex.lock().unwrap();
    let watched = changed.watch(&mutex).unwrap();
    drop(guard);
    assert_eq!(kind(changed.sleep(watched, &Wait::timeout(Duration::ZERO))), ErrorKind::Timeout);
    changed.notify_one().unwrap();
    changed.sleep(watched, &bounded()).unwrap();

    let event = region.event("e", EventReset::Manual).unwrap();
    let seen = event.look().unwrap();
    assert_eq!(kind(event.wait_since(seen, &Wait::timeout(Duration::ZERO))), ErrorKind::Timeout);
    event.set().unwrap();
    event.reset().unwrap();
    event.wait_since(seen, &bounded()).unwrap();
    let seen = event.look().unwrap();
    assert_eq!(kind(event.wait_since(seen, &Wait::timeout(Duration::ZERO))), ErrorKind::Timeout);
}

#[test]
fn a_notification_that_died_with_the_mutexs_owner_is_made_good() {
    let name = Name::new("notifier");
    let region = region(&name);
    let (mutex, changed) = (region.mutex("m").unwrap(), region.condvar("c").unwrap());
    let inside = region.event("inside", EventReset::Manual).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let guard = mutex.lock().unwrap();
            changed.wait_timeout(guard, PATIENCE).map(|(_, notified)| notified)
        });
        until(|| changed.word().load(SeqCst) & 1 != 0);
        let child = Forked::run(|| {
            std::mem::forget(mutex.lock().unwrap());
            region.write_at(0, &[1]).unwrap();
            inside.set().unwrap();
            pause();
        });
        inside.wait(&bounded()).unwrap();
        child.kill();
        let Err(LockError::OwnerDied((_, notified))) = waiter.join().unwrap() else { panic!("not told") };
        assert_eq!(notified, Notified::Yes, "woken, not timed out");
    });
}

#[test]
fn an_event_lets_all_or_one_through() {
    let name = Name::new("event");
    let region = region(&name);
    let manual = region.event("manual", EventReset::Manual).unwrap();
    let automatic = region.event("automatic", EventReset::Automatic).unwrap();
    let passed = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for event in [&manual, &automatic] {
            for _ in 0..3 {
                scope.spawn(|| {
                    event.wait(&bounded()).unwrap();
                    passed.fetch_add(1, SeqCst);
                });
            }
        }
        manual.set().unwrap();
        until(|| passed.load(SeqCst) == 3);
        for count in 4..=6 {
            automatic.set().unwrap();
            until(|| passed.load(SeqCst) == count);
            std::thread::sleep(Duration::from_millis(5));
            assert_eq!(passed.load(SeqCst), count, "one for each set");
        }
    });
    assert!(manual.is_set() && !automatic.is_set());
    manual.reset().unwrap();
    assert_eq!(kind(manual.wait_timeout(Duration::from_millis(5))), ErrorKind::Timeout);
}

#[test]
fn a_barrier_has_one_leader_a_round_and_reports_the_dead() {
    let name = Name::new("barrier");
    let region = region(&name);
    let barrier = region.barrier("b", 3).unwrap();
    let leaders = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..50 {
                    leaders.fetch_add(u32::from(barrier.wait(&bounded()).unwrap().leader), SeqCst);
                }
            });
        }
    });
    assert_eq!(leaders.load(SeqCst), 50);
    assert_eq!(kind(barrier.wait_timeout(Duration::from_millis(5))), ErrorKind::Timeout);
    assert_eq!(barrier.waiting(), 0, "who gave up has taken its arrival back");
    let arrived = region.event("arrived", EventReset::Manual).unwrap();
    let child = Forked::run(|| {
        let barrier = region.barrier("b", 3).unwrap();
        arrived.set().unwrap();
        let _ = barrier.wait(&Wait::FOREVER);
    });
    arrived.wait(&bounded()).unwrap();
    until(|| barrier.waiting() == 1);
    child.kill();
    assert_eq!(kind(barrier.wait(&bounded())), ErrorKind::Broken);
    assert!(barrier.is_broken());
    barrier.reset().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| barrier.wait(&bounded()).unwrap());
        }
    });
}

#[test]
fn a_dead_participant_is_reported_although_another_process_got_its_slot() {
    let name = Name::new("replaced");
    let region = RegionOptions::new().attachments(2).create(&*name, 1).unwrap();
    let barrier = region.barrier("b", 3).unwrap();
    let ready = region.semaphore("ready", SemaphoreOptions::new(0)).unwrap();
    // A use of its own makes a child of fork a member, in the one slot that is free.
    let participant = || {
        Forked::run(|| {
            assert_eq!(kind(barrier.wait_timeout(Duration::ZERO)), ErrorKind::Timeout);
            ready.release(1).unwrap();
            pause();
        })
    };
    let first = participant();
    ready.acquire(&bounded()).unwrap();
    first.kill();
    let second = Forked::run(|| {
        let _ = barrier.wait_timeout(Duration::ZERO);
        ready.release(1).unwrap();
        pause();
    });
    ready.acquire(&bounded()).unwrap();
    assert_eq!(kind(barrier.wait(&bounded())), ErrorKind::Broken);
    barrier.reset().unwrap();
    assert_eq!(kind(barrier.wait_timeout(Duration::from_millis(20))), ErrorKind::Timeout, "nobody else died");
    second.kill();
    assert_eq!(kind(barrier.wait(&bounded())), ErrorKind::Broken);
}

#[test]
fn atomics_count_and_wake() {
    let name = Name::new("atomic");
    let region = region(&name);
    let total = region.atomic_u64("total", 5).unwrap();
    let small = region.atomic_u32("small", u32::MAX).unwrap();
    let signed = region.atomic_i64("signed", -1).unwrap();
    assert_eq!(small.add(2), u32::MAX);
    assert_eq!(small.load(), 1, "it wraps at its own width");
    assert_eq!(small.word().load(SeqCst), 1, "and leaves the upper half alone");
    assert_eq!(signed.add(-1), -1);
    assert_eq!(signed.load(), -2);
    assert_eq!(signed.compare_exchange(0, 7), Err(-2));
    assert_eq!(signed.compare_exchange(-2, 7), Ok(-2));
    let child = Forked::run(|| {
        total.wait(5, &bounded()).unwrap();
        for _ in 0..1000 {
            total.add(1);
        }
    });
    for _ in 0..1000 {
        total.add(1);
        total.notify_all();
    }
    child.wait();
    assert_eq!(total.load(), 2005);
    assert_eq!(kind(total.wait_timeout(2005, Duration::from_millis(5))), ErrorKind::Timeout);
}

#[test]
fn a_child_of_fork_uses_inherited_objects_as_a_member_of_its_own() {
    let name = Name::new("fork");
    let region = region(&name);
    let mutex = region.mutex("m").unwrap();
    let ready = region.event("ready", EventReset::Manual).unwrap();
    let held = mutex.lock().unwrap();
    let child = Forked::run(|| {
        assert_eq!(kind(mutex.release()), ErrorKind::NotOwner, "the parent holds it");
        assert!(mutex.try_lock().unwrap().is_none(), "and this attaches the child");
        ready.set().unwrap();
        drop(mutex.lock_timeout(PATIENCE).unwrap());
        pause();
    });
    ready.wait(&bounded()).unwrap();
    drop(held);
    drop(mutex);
    assert_eq!(kind(region.remove_object("m")), ErrorKind::Busy, "the child has it open");
    child.kill();
    region.remove_object("m").unwrap();
}
