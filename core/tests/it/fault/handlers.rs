//! The guard beside what the process does with SIGBUS otherwise: the handlers of others, and no guard at all.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use shmkit::{ErrorKind, MapOptions, Mapping, Sharing};

use super::{PAGE, cut, kind, sevens};
use crate::common::{Helper, role, say};

#[test]
fn without_the_guard_the_process_dies_as_ever() {
    if let Some(arguments) = role() {
        let path = Path::new(&arguments[1]);
        let other = sevens(&path.with_extension("other"), 1, Sharing::Shared);
        assert!(other.is_guarded());
        match arguments[0].as_str() {
            "option" => {}
            "process" => shmkit::set_fault_guard(false),
            _ => {
                // Somebody else's signal, and somebody else's fault.
                // Rust's own handler takes itself away at the first, as it does without us.
                // SAFETY: a signal to this thread.
                unsafe { (libc::raise(libc::SIGBUS), libc::raise(libc::SIGBUS)) };
            }
        }
        std::fs::write(path, [7; PAGE]).unwrap();
        let guard = arguments[0] != "option";
        let mapping = MapOptions::new().fault_guard(guard).map_path(path).unwrap();
        assert!(!mapping.is_guarded());
        cut(path, 0);
        mapping.read_at(0, &mut [0]).unwrap();
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    for way in ["option", "process", "raise"] {
        let role = [way, path.to_str().unwrap()];
        let mut helper = Helper::start(without_the_guard_the_process_dies_as_ever, &role);
        let status = helper.wait();
        assert_eq!(status.signal(), Some(libc::SIGBUS), "{way}: {status}");
    }
}

/// Calls of the handler below; the page that it mends; whom it passes on to.
static CALLS: AtomicU32 = AtomicU32::new(0);
static UNGUARDED: AtomicUsize = AtomicUsize::new(0);
static CHAINED: Mutex<Option<usize>> = Mutex::new(None);

/// Mends one page of its own, as a program may that knows its mapping; what it does not know it passes on.
extern "C" fn theirs(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    CALLS.fetch_add(1, Ordering::SeqCst);
    let page = UNGUARDED.load(Ordering::SeqCst);
    // SAFETY: the kernel's information; the page is the test's own mapping.
    unsafe {
        if (*info).si_addr().addr() & !(PAGE - 1) == page && page != 0 {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
            libc::mmap(page as *mut _, PAGE, libc::PROT_READ, flags, -1, 0);
        } else if let Some(next) = *CHAINED.lock().unwrap() {
            let next: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = std::mem::transmute(next);
            next(signal, info, context);
        }
    }
}

fn install() {
    // SAFETY: an action of ours, zero but for what is set.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let mut before: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = theirs as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGBUS, &action, &mut before);
        let passes_on = before.sa_sigaction > 1 && before.sa_sigaction != action.sa_sigaction;
        *CHAINED.lock().unwrap() = passes_on.then_some(before.sa_sigaction);
    }
}

/// A mapping of a file that has just lost all.
fn lost(path: &Path, guard: bool) -> Mapping {
    std::fs::write(path, [7; PAGE]).unwrap();
    let mapping = MapOptions::new().fault_guard(guard).map_path(path).unwrap();
    cut(path, 0);
    mapping
}

/// A fault of ours, of which their handler hears so many times.
fn guarded(path: &Path, calls: u32) {
    let before = CALLS.load(Ordering::SeqCst);
    assert_eq!(kind(lost(path, true).read_at(0, &mut [0])), ErrorKind::MappingTruncated);
    assert_eq!(CALLS.load(Ordering::SeqCst) - before, calls);
}

/// A fault of theirs, which they mend.
fn unguarded(path: &Path) {
    let before = CALLS.load(Ordering::SeqCst);
    let mapping = lost(path, false);
    UNGUARDED.store(mapping.as_ptr().addr(), Ordering::SeqCst);
    mapping.read_at(0, &mut [0]).unwrap();
    assert_eq!(CALLS.load(Ordering::SeqCst) - before, 1);
}

fn beside_another_handler(way: &str, path: &Path) {
    match way {
        "before" => {
            install();
            guarded(path, 0);
            unguarded(path);
        }
        "after" => {
            let first = lost(path, true);
            install();
            // It is in front now, and passes on what it does not know.
            assert_eq!(kind(first.read_at(0, &mut [0])), ErrorKind::MappingTruncated);
            assert_eq!(CALLS.load(Ordering::SeqCst), 1);
            // Behind us again, and still in the chain.
            guarded(path, 0);
            unguarded(path);
            let again = lost(path, true);
            install();
            again.check().unwrap_err();
            again.read_at(0, &mut [0]).unwrap_err();
            guarded(path, 0);
            unguarded(path);
        }
        _ => {
            // Passing on goes round in a circle once we are in front again; what nobody knows still kills.
            drop(lost(path, true));
            install();
            guarded(path, 0);
            UNGUARDED.store(0, Ordering::SeqCst);
            let mapping = lost(path, false);
            say("now");
            mapping.read_at(0, &mut [0]).unwrap();
        }
    }
}

/// A handler of somebody else, before or after ours: it gets what is not ours, and we get ours.
#[test]
fn other_handlers_go_on_working() {
    if let Some(arguments) = role() {
        return beside_another_handler(&arguments[0], Path::new(&arguments[1]));
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    for way in ["before", "after"] {
        Helper::start(other_handlers_go_on_working, &[way, path.to_str().unwrap()]).finish();
    }
    let mut helper = Helper::start(other_handlers_go_on_working, &["circle", path.to_str().unwrap()]);
    helper.expect("now");
    assert_eq!(helper.wait().signal(), Some(libc::SIGBUS));
}
