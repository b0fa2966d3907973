//! The handler of SIGBUS: it mends what is guarded, and hands everything else to whoever had the signal before.
//!
//! Invariants:
//! - Only what the kernel reports about an address (`BUS_ADRERR`) in a guarded range is kept. All else reaches the action
//!   that was there before, with the meaning it had: a handler is called with its mask, and the default kills.
//! - Everything here is async-signal-safe. Actions are leaked when they are replaced, because a handler may be reading one.
//! - Whoever installs a handler later and passes on what it does not know leads back here. Once we have put ourselves in
//!   front of such a handler, passing on goes round in a circle: the second time round goes to the action that was there
//!   first, the third to the default.

use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize};

use nix::errno::Errno;

use super::fault;

/// The action before ours, as of the last time that we put ourselves in front; null until the first.
static BEFORE: AtomicPtr<libc::sigaction> = AtomicPtr::new(null_mut());
/// The action that was there first.
static FIRST: AtomicPtr<libc::sigaction> = AtomicPtr::new(null_mut());

/// A thread that runs somebody else's handler for us.
struct Passing {
    thread: AtomicI32,
    /// Where its signal frame is.
    frame: AtomicUsize,
}

static PASSING: [Passing; 32] =
    [const { Passing { thread: AtomicI32::new(0), frame: AtomicUsize::new(0) } }; 32];

/// A signal that is passed on carries this and the number of the turn in `si_errno`, which the kernel leaves 0.
const TURN: i32 = 0x5b05_0000;
/// Nested frames are not further apart than this.
const FRAMES: usize = 1 << 18;

type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

/// Puts the handler in front of whatever handles SIGBUS now; nothing to do when it is there. Called whenever a range is
/// guarded, because others install handlers at any time.
pub fn arm() {
    let ours = on_bus as *const () as usize;
    let now = action_now();
    if now.sa_sigaction == ours {
        return;
    }
    remember(now);
    // SAFETY: all zero is an empty action.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = ours;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    let mut replaced = now;
    // SAFETY: both are valid; no other signal runs on top of the handler, whose locks must not be met again.
    unsafe {
        libc::sigfillset(&mut action.sa_mask);
        libc::sigaction(libc::SIGBUS, &action, &mut replaced);
    }
    // Somebody came in between.
    if replaced.sa_sigaction != now.sa_sigaction && replaced.sa_sigaction != ours {
        remember(replaced);
    }
}

/// As [`arm`], unless nothing was ever guarded.
pub fn rearm() {
    if !FIRST.load(Acquire).is_null() {
        arm();
    }
}

fn action_now() -> libc::sigaction {
    let mut now = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: only asks, into room for an action; all zero is the default one.
    unsafe {
        libc::sigaction(libc::SIGBUS, null_mut(), now.as_mut_ptr());
        now.assume_init()
    }
}

fn remember(action: libc::sigaction) {
    let action = Box::into_raw(Box::new(action));
    let _ = FIRST.compare_exchange(null_mut(), action, SeqCst, Relaxed);
    BEFORE.store(action, SeqCst);
}

extern "C" fn on_bus(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let errno = Errno::last_raw();
    // SAFETY: the kernel's, or a chaining handler's, valid for this call.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr() as usize) };
    if code != libc::BUS_ADRERR || !fault::mend(address) {
        pass_on(signal, info, context);
    }
    Errno::set_raw(errno);
}

/// Hands the signal to the action before ours.
#[cold]
fn pass_on(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: as in `on_bus`; nobody else sees this signal's information.
    let mark = unsafe { &mut (*info).si_errno };
    // SAFETY: a system call without arguments.
    let me = unsafe { libc::syscall(libc::SYS_gettid) } as i32;
    let turn = if *mark & !0xff == TURN { (*mark & 0xff) + 1 } else { i32::from(is_nested(me, context)) };
    let before = std::mem::replace(mark, TURN | turn);
    let entry = PASSING.iter().find(|entry| entry.thread.compare_exchange(0, me, SeqCst, Relaxed).is_ok());
    if let Some(entry) = entry {
        entry.frame.store(context.addr(), SeqCst);
    }
    // SAFETY: null, or leaked by `remember`.
    let (first, last) = unsafe { (FIRST.load(Acquire).as_ref(), BEFORE.load(Acquire).as_ref()) };
    let action = match turn {
        0 => last,
        1 if !std::ptr::eq(FIRST.load(Acquire), BEFORE.load(Acquire)) => first,
        _ => None,
    };
    run(action, signal, info, context);
    if let Some(entry) = entry {
        entry.thread.store(0, SeqCst);
    }
    // SAFETY: as above.
    unsafe { (*info).si_errno = before };
}

/// Whether this thread raised the signal inside a handler that runs for us. An entry that a handler left by a long jump is
/// none: it is taken away when its frame cannot be below this one.
fn is_nested(me: i32, context: *mut libc::c_void) -> bool {
    let mut nested = false;
    for entry in PASSING.iter().filter(|entry| entry.thread.load(SeqCst) == me) {
        let frame = entry.frame.load(SeqCst);
        if context.addr() < frame && frame - context.addr() < FRAMES {
            nested = true;
        } else {
            entry.thread.store(0, SeqCst);
        }
    }
    nested
}

/// Does what the kernel would have done with this action.
fn run(
    action: Option<&libc::sigaction>,
    signal: i32,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: as in `on_bus`.
    let code = unsafe { (*info).si_code };
    let handler = action.map_or(libc::SIG_DFL, |action| action.sa_sigaction);
    match (handler, action) {
        // What the kernel reports of an instruction cannot be ignored.
        (libc::SIG_IGN, _) if code <= 0 => {}
        (libc::SIG_DFL | libc::SIG_IGN, _) | (_, None) => die(signal, code),
        (handler, Some(action)) => {
            if action.sa_flags & libc::SA_RESETHAND != 0 {
                remember_default();
            }
            set_mask(action, signal, context);
            // SAFETY: the address of a handler of one of the two forms; more arguments than it takes do no harm.
            let handler: Handler = unsafe { std::mem::transmute(handler) };
            handler(signal, info, context);
        }
    }
}

/// A handler that was to run once runs: after it comes the default, which is an action of zeros.
fn remember_default() {
    struct Zeros(MaybeUninit<libc::sigaction>);
    // SAFETY: never written.
    unsafe impl Sync for Zeros {}
    static DEFAULT: Zeros = Zeros(MaybeUninit::zeroed());
    BEFORE.store(DEFAULT.0.as_ptr().cast_mut(), SeqCst);
}

/// The mask that the handler would run under: that of the interrupted code, its own, and the signal.
fn set_mask(action: &libc::sigaction, signal: i32, context: *mut libc::c_void) {
    let context = context.cast::<libc::ucontext_t>();
    let mut mask = action.sa_mask;
    // SAFETY: the context is the kernel's, with a mask of its 64 signals; the sets are ours.
    unsafe {
        for other in 1..=64 {
            if libc::sigismember(&raw const (*context).uc_sigmask, other) == 1 {
                libc::sigaddset(&mut mask, other);
            }
        }
        if action.sa_flags & libc::SA_NODEFER == 0 {
            libc::sigaddset(&mut mask, signal);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &mask, null_mut());
    }
}

/// The default action: the process dies of the signal. A faulting instruction runs again and does that by itself, so that a
/// core dump shows it; what came from elsewhere is sent once more.
fn die(signal: i32, code: i32) {
    // SAFETY: all zero is the default action; the rest are system calls on this thread.
    unsafe {
        let default: libc::sigaction = MaybeUninit::zeroed().assume_init();
        libc::sigaction(signal, &default, null_mut());
        if !(libc::BUS_ADRALN..=libc::BUS_MCEERR_AR).contains(&code) {
            let mut mask = MaybeUninit::<libc::sigset_t>::zeroed();
            libc::sigemptyset(mask.as_mut_ptr());
            libc::sigaddset(mask.as_mut_ptr(), signal);
            libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::syscall(libc::SYS_gettid), signal);
            libc::pthread_sigmask(libc::SIG_UNBLOCK, mask.as_ptr(), null_mut());
        }
    }
}
