//! Resizing.

use shmkit::Region;

use crate::harness::{CAPACITY, crash};
use crate::scene::Scene;

const SMALL: usize = 64;
const LARGE: usize = 9000;

fn bytes(region: &Region) -> Vec<u8> {
    let mut bytes = vec![1; region.len()];
    region.read_at(0, &mut bytes).expect("what a region has can be read");
    bytes
}

/// The length. After that others resize it as they like: what they get is zeros, and nothing that was kept is lost.
fn length(scene: &Scene) -> &'static str {
    let region = scene.open();
    let before = bytes(&region);
    let found = match before.len() {
        SMALL => "small",
        LARGE => "large",
        other => panic!("{other} bytes"),
    };
    assert!(before.iter().all(|byte| *byte == 7), "it has what was written");
    region.resize(CAPACITY as usize).expect("it grows");
    let grown = bytes(&region);
    assert_eq!(&grown[..before.len()], before);
    assert!(grown[before.len()..].iter().all(|byte| *byte == 0), "new bytes are zeros");
    region.resize(1).expect("it shrinks");
    assert_eq!(bytes(&region), [7]);
    found
}

/// A region of this length, full of sevens.
fn filled(scene: &Scene, len: usize) -> Region {
    let region = scene.open();
    region.resize(len).unwrap();
    region.write_at(0, &vec![7; len]).unwrap();
    region
}

fn grow(region: &Region) {
    region.resize(LARGE).unwrap();
}

#[test]
fn shrink() {
    let set_up = |scene: &Scene| filled(scene, LARGE);
    crash("shrink", set_up, |region| region.resize(SMALL).unwrap(), &["large", "small"], length);
}

#[test]
fn grow_and_tell() {
    let told = |scene: &Scene| {
        let region = scene.open();
        let before = bytes(&region);
        let (kept, fresh) = before.split_at(SMALL);
        assert!(kept.iter().all(|byte| *byte == 7) && fresh.iter().all(|byte| *byte == 0));
        region.write_at(0, &vec![7; before.len()]).unwrap();
        drop(region);
        length(scene)
    };
    crash("grow", |scene| filled(scene, SMALL), grow, &["small", "large"], told);
    // Where storage is left from before, and a view of another process has stored into it.
    let stale = |scene: &Scene| {
        let region = filled(scene, SMALL);
        region.resize(LARGE).unwrap();
        let view = region.try_clone().unwrap();
        let pinned = view.pin(0, LARGE, true).unwrap();
        region.resize(SMALL).unwrap();
        for at in [SMALL, LARGE - 8] {
            // SAFETY: pinned, and the address space stays.
            unsafe { pinned.add(at).write_bytes(9, 8) };
        }
        view.unpin(true);
        region
    };
    crash("grow over what is left", stale, grow, &["small", "large"], told);
}

#[test]
fn resize_after_a_death() {
    // Each resizer dies one change later than the one before.
    for changes in 1..=3 {
        let set_up = |scene: &Scene| {
            filled(scene, SMALL).close().unwrap();
            assert!(scene.killed_after(changes, |region| region.try_clone().unwrap(), grow));
            let region = scene.open();
            region.resize(SMALL).unwrap();
            region
        };
        let again = |region: &Region| region.resize(SMALL).unwrap();
        crash("resize after a death", set_up, again, &["small"], length);
    }
}
