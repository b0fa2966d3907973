//! Opening, closing and creating regions.

use shmkit::{ErrorKind, Region, RegionOptions};

use crate::harness::{crash, crash_after_fork, crash_creating};
use crate::process::{Child, Page, limit};
use crate::scene::{ATTACHMENTS, LIMIT, Scene, bounded};

const WHOLE: &str = "whole";

/// As many processes as there are slots attach at once, one more is refused, and all lock in turn.
fn full_house(scene: &Scene) -> &'static str {
    let region = scene.open();
    drop(region.lock_timeout(std::time::Duration::from_secs(10)).expect("nobody died inside"));
    let (here, go) = (Page::new(), Page::new());
    let others: Vec<_> = (1..ATTACHMENTS)
        .map(|_| {
            Child::run(&scene.page, || {
                limit(LIMIT);
                let region = scene.open();
                let _ = region.acquire(&bounded()).unwrap();
                let mut count = [0];
                region.read_at(0, &mut count).unwrap();
                region.write_at(0, &[count[0] + 1]).unwrap();
                if u32::from(count[0]) + 2 == ATTACHMENTS {
                    here.set_done();
                }
                region.release().unwrap();
                while !go.is_done() {
                    std::thread::sleep(std::time::Duration::from_micros(100));
                }
            })
        })
        .collect();
    while !here.is_done() {
        let said = scene.page.said();
        assert!(said.is_empty(), "{said}");
        std::thread::sleep(std::time::Duration::from_micros(100));
    }
    let one_more = Child::run(&scene.page, || {
        // Forked from a process that has the region open: it attaches when it first needs to.
        let locked = Region::open(scene.name.as_str()).and_then(|region| region.acquire(&bounded()));
        let refused = locked.expect_err("no slot is left");
        assert_eq!(refused.kind(), ErrorKind::TooManyAttachments);
    });
    one_more.expect_success(&scene.page, "one too many");
    go.set_done();
    for other in others {
        other.expect_success(&scene.page, "an attached process");
    }
    WHOLE
}

#[test]
fn open() {
    let nobody = |scene: &Scene| Scene::new(&scene.name, &scene.page);
    let attach = |scene: &Scene| std::mem::forget(scene.open());
    crash("open", nobody, attach, &[WHOLE], full_house);
    let after_the_dead = |scene: &Scene| {
        scene.killed(|_| {});
        nobody(scene)
    };
    crash("open in a slot of the dead", after_the_dead, attach, &[WHOLE], full_house);
    let after_one_who_left = |scene: &Scene| {
        scene.other(|region| region.close().unwrap());
        nobody(scene)
    };
    crash("open in a free slot", after_one_who_left, attach, &[WHOLE], full_house);
}

#[test]
fn close() {
    crash("close", Scene::open, |region| region.close().unwrap(), &[WHOLE], full_house);
    let with_objects = |scene: &Scene| {
        let region = scene.open();
        (region.mutex("m").unwrap(), region.barrier("b", 2).unwrap(), region)
    };
    let close = |(mutex, barrier, region): &(shmkit::Mutex, shmkit::Barrier, Region)| {
        mutex.close().unwrap();
        region.close().unwrap();
        barrier.close().unwrap();
    };
    crash("close with objects", with_objects, close, &[WHOLE], |copy| {
        let region = copy.open();
        region.remove_object("m").expect("nobody who lives has it open");
        region.remove_object("b").expect("nobody who lives has it open");
        full_house(copy)
    });
}

/// The owner id of the dead must not become anybody else's: what it held stays reported.
#[test]
fn open_where_the_dead_held_the_guard() {
    let set_up = |scene: &Scene| {
        scene.killed(|region| region.acquire(&bounded()).unwrap());
        Scene::new(&scene.name, &scene.page)
    };
    let attach = |scene: &Scene| std::mem::forget(scene.open());
    crash("open where the dead held the guard", set_up, attach, &[WHOLE], |copy| {
        let region = copy.open();
        assert_eq!(region.acquire(&bounded()).unwrap(), shmkit::Acquired::OwnerDied);
        region.make_consistent().unwrap();
        region.release().unwrap();
        drop(region);
        full_house(copy)
    });
}

/// The child of a fork attaches when it first needs to, and joins what it has inherited.
#[test]
fn attach_after_fork() {
    let inherited = |scene: &Scene| {
        let region = scene.open();
        (region.mutex("m").unwrap(), region.barrier("b", 2).unwrap(), region)
    };
    let lock = |(_, _, region): &(shmkit::Mutex, shmkit::Barrier, Region)| {
        assert_eq!(region.acquire(&bounded()).unwrap(), shmkit::Acquired::Clean);
    };
    let outcomes = &["clean", "owner died"];
    crash_after_fork("attach after fork", inherited, lock, outcomes, |copy| {
        let region = copy.open();
        assert_eq!(region.remove_object("m").unwrap_err().kind(), ErrorKind::Busy, "the parent lives");
        let acquired = region.acquire(&bounded()).unwrap();
        region.make_consistent().unwrap();
        region.release().unwrap();
        copy.kill_living();
        region.remove_object("m").expect("nobody who lives has it open");
        region.remove_object("b").expect("nobody who lives has it open");
        drop(region);
        full_house(copy);
        crate::mutex::told(acquired)
    });
}

#[test]
fn create() {
    let create = |scene: &Scene| {
        let options = RegionOptions::new().arena_len(4096).attachments(ATTACHMENTS);
        std::mem::forget(options.create(scene.name.as_str(), 64).unwrap());
    };
    crash_creating("create", create, &["none", WHOLE], |copy| match Region::open(copy.name.as_str()) {
        Ok(region) => {
            assert_eq!(region.len(), 64);
            drop(region);
            full_house(copy)
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            "none"
        }
    });
}
