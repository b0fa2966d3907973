//! One operation, killed after every instruction.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Instant;

use shmkit::{Region, RegionOptions};

use crate::process::{Child, Page, limit};
use crate::scene::{ATTACHMENTS, LIMIT, Scene};
use crate::trace::{Stepped, Watched};

/// Bytes of the arena: room for a dozen objects, and quick to compare.
const ARENA_LEN: u64 = 8192;
/// User bytes that a region can have; it has 64.
pub const CAPACITY: u64 = 1 << 15;

/// Kills a process after every instruction of `operation`.
///
/// `set_up` runs in that process first, on a region of its own. `check` runs in another process, on a copy of what was left:
/// it does what others would do, asserts that it goes well, and says what it found. That must be `outcomes`, in this order:
/// the first before the operation, the last after it.
pub fn crash<T>(
    name: &str,
    set_up: impl Fn(&Scene) -> T,
    operation: impl Fn(&T),
    outcomes: &[&str],
    check: impl Fn(&Scene) -> &'static str,
) {
    crash_in(ARENA_LEN, name, set_up, operation, outcomes, check);
}

/// As [`crash`], with an arena of another length.
pub fn crash_in<T>(
    arena_len: u64,
    name: &str,
    set_up: impl Fn(&Scene) -> T,
    operation: impl Fn(&T),
    outcomes: &[&str],
    check: impl Fn(&Scene) -> &'static str,
) {
    let scene = unique(name);
    let _unlink = create(&scene, arena_len);
    run(name, &scene, set_up, operation, outcomes, check);
}

/// As [`crash`], where the victim is a forked child, and `inherited` is what its parent has. The parent lives on.
pub fn crash_after_fork<T>(
    name: &str,
    inherited: impl Fn(&Scene) -> T,
    operation: impl Fn(&T),
    outcomes: &[&str],
    check: impl Fn(&Scene) -> &'static str,
) {
    let scene = unique(name);
    let _unlink = create(&scene, ARENA_LEN);
    let parent = Child::run(&scene.page, || {
        let inherited = inherited(&scene);
        run(name, &scene, |_| (), |()| operation(&inherited), outcomes, check);
    });
    parent.expect_success(&scene.page, name);
}

fn create(scene: &Scene, arena_len: u64) -> Unlink {
    let options = RegionOptions::new().arena_len(arena_len).attachments(ATTACHMENTS).capacity(CAPACITY);
    let region = options.create(scene.name.as_str(), 64).expect("a region");
    region.close().expect("nobody uses it");
    Unlink(scene.name.clone())
}

/// As [`crash`], with no region at first: the operation makes it.
pub fn crash_creating(
    name: &str,
    operation: impl Fn(&Scene),
    outcomes: &[&str],
    check: impl Fn(&Scene) -> &'static str,
) {
    let scene = unique(name);
    let _unlink = Unlink(scene.name.clone());
    run(
        name,
        &scene,
        |scene| Scene::new(&scene.name, &scene.page),
        |scene| operation(scene),
        outcomes,
        check,
    );
}

fn run<T>(
    name: &str,
    scene: &Scene,
    set_up: impl Fn(&Scene) -> T,
    operation: impl Fn(&T),
    outcomes: &[&str],
    check: impl Fn(&Scene) -> &'static str,
) {
    let begun = Instant::now();
    let stepped = Stepped::start(&scene.page, || set_up(scene), |ready| operation(ready));
    let living = scene.living_slots(stepped.pid());
    let mut watched = Watched::new(&scene.path());
    let mut expected = Expected { name, outcomes, at: 0, state: 0 };
    let mut look = |watched: &Watched| expected.check(scene, watched, &living, &check);
    look(&watched);
    let steps = stepped.step(&scene.page, || {
        if watched.changed() {
            look(&watched);
        }
        true
    });
    assert_eq!(expected.at + 1, outcomes.len(), "{name}: the operation is done, and {outcomes:?} are not");
    println!("{name}: {steps} instructions, {} states, {:?}", expected.state, begun.elapsed());
}

/// The outcomes, and how far the operation is.
struct Expected<'a> {
    name: &'a str,
    outcomes: &'a [&'a str],
    at: usize,
    state: usize,
}

impl Expected<'_> {
    fn check(
        &mut self,
        scene: &Scene,
        watched: &Watched,
        living: &[u32],
        check: impl Fn(&Scene) -> &'static str,
    ) {
        self.state += 1;
        let what = format!("{}, killed after change {}", self.name, self.state - 1);
        let name = format!("{}-copy", scene.name);
        let _unlink = Unlink(name.clone());
        let copy = Scene::copy(&name, &scene.page, watched.bytes(), living);
        let found = Page::new();
        let checker = Child::run(&scene.page, || {
            limit(LIMIT);
            found.say(check(&copy));
        });
        checker.expect_success(&scene.page, &what);
        let found = found.said();
        if found == self.outcomes[self.at] {
            return;
        }
        assert_eq!(self.outcomes.get(self.at + 1).copied(), Some(&found[..]), "{what}: found {found:?}");
        assert!(self.state > 1, "{what}: found {found:?} before anything was done");
        self.at += 1;
    }
}

fn unique(name: &str) -> Scene {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Relaxed);
    let name = name.replace(|char: char| !char.is_ascii_alphanumeric(), "-");
    Scene::new(&format!("crash-{}-{number}-{name}", std::process::id()), &Page::new())
}

/// Removes a region's name in the end, if there is one.
struct Unlink(String);

impl Drop for Unlink {
    fn drop(&mut self) {
        let _ = Region::unlink(self.0.as_str());
    }
}
