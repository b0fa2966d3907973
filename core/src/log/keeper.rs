//! The thread that flushes in the background and tells who asked: one for each handle, started when it is first needed.
//!
//! Under `Interval` it looks each interval whether anything is not on the disk, under `Bytes` when an append says that enough
//! is; under the others as soon as somebody waits for a callback. Several processes' threads share flushes as all who wait do.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Condvar, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::thread::{JoinHandle, ThreadId};
use std::time::Duration;

use parking_lot::Mutex;

use super::options::Durability;
use super::{Inner, Ticket};
use crate::error::Result;
use crate::protocol::wait::Wait;
use crate::sys::fork::PerProcess;

/// Called when a record is on the disk, or will never be.
pub(super) type Callback = Box<dyn FnOnce(Result<()>) + Send>;

/// How long a callback waits at most to be called when another process made the flush.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long a flush may hang in another process before this thread looks whether it is to end.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long the end of a handle waits for its last flush.
const LAST_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Keeper {
    state: PerProcess<std::sync::Mutex<State>>,
    changed: Condvar,
    /// A round of the thread has ended.
    rested: Condvar,
    /// The process that the thread runs in.
    pid: AtomicU32,
    /// The owner id of the process that the thread runs in: a forked child has another one, and no thread.
    runs_for: AtomicU32,
    /// Somebody asked for a flush that has not begun.
    kicked: AtomicBool,
}

#[derive(Default)]
struct State {
    stop: bool,
    pending: Vec<(u64, Callback)>,
    thread: Option<JoinHandle<()>>,
    /// The thread, during a round.
    at_work: Option<ThreadId>,
    /// Handles that end: no round begins.
    holds: u32,
}

fn wait<'a>(changed: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    changed.wait(state).unwrap_or_else(PoisonError::into_inner)
}

fn wait_for<'a>(changed: &Condvar, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
    changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
}

/// A round of the thread: it ends after all that the thread had of the handle has been dropped.
struct Round<'a>(&'a Keeper);

impl Drop for Round<'_> {
    fn drop(&mut self) {
        self.0.state.lock().at_work = None;
        self.0.rested.notify_all();
    }
}

/// A handle's hold on the thread while the handle ends. In its rounds the thread has a part of the handle: were that the last,
/// the thread would end it, and call who is left when the handle's owner believes that all is over.
pub(super) struct Hold {
    keeper: Arc<Keeper>,
    taken: bool,
}

impl Hold {
    pub(super) fn new(keeper: &Arc<Keeper>) -> Hold {
        Hold { keeper: Arc::clone(keeper), taken: false }
    }

    /// Waits for the round under way; the next one begins after this has been dropped.
    pub(super) fn take(&mut self) {
        let keeper = &self.keeper;
        if keeper.pid.load(Relaxed) != std::process::id() {
            return; // there was no thread, or it is the parent's
        }
        let mut state = keeper.state.lock();
        state.holds += 1;
        self.taken = true;
        // A callback that drops the handle must not wait for itself.
        let me = std::thread::current().id();
        while state.at_work.is_some_and(|thread| thread != me) {
            state = wait(&keeper.rested, state);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.taken {
            let mut state = self.keeper.state.lock();
            state.holds = state.holds.saturating_sub(1);
            drop(state);
            self.keeper.changed.notify_one();
        }
    }
}

impl Inner {
    /// Sees to it that the thread runs, and asks it for a flush if `kick` says so.
    #[inline]
    pub(super) fn keep(&self, kick: bool) {
        let runs = self.keeper.runs_for.load(Relaxed) == self.control.memory.me_if_attached();
        if !runs || kick && !self.keeper.kicked.load(Relaxed) {
            self.keep_slow(kick);
        }
    }

    #[cold]
    fn keep_slow(&self, kick: bool) {
        self.keeper.kicked.fetch_or(kick, Relaxed);
        self.start_keeper(&mut self.keeper.state.lock());
        self.keeper.changed.notify_one();
    }

    fn start_keeper(&self, state: &mut State) {
        let me = self.control.memory.me_if_attached();
        if me == 0 || self.keeper.runs_for.load(Relaxed) == me {
            return;
        }
        if state.thread.is_some() {
            // This process was attached again.
            self.keeper.runs_for.store(me, Relaxed);
            return;
        }
        let (inner, keeper) = (self.this.clone(), Arc::clone(&self.keeper));
        let durability = self.durability;
        let spawned = std::thread::Builder::new()
            .name("shmkit-log".into())
            .spawn(move || run(&inner, &keeper, durability));
        // Without a thread the next one to need it tries again; the last flush is made when the handle ends.
        if let Ok(thread) = spawned {
            state.thread = Some(thread);
            self.keeper.pid.store(std::process::id(), Relaxed);
            self.keeper.runs_for.store(me, Relaxed);
        }
    }

    /// Calls back when the flush has ended.
    pub(super) fn call_back(&self, flush: u64, callback: Callback) -> Result<()> {
        let operation = "wait for log flush";
        self.control.memory.me(operation)?;
        if let Some(outcome) = self.flush_outcome(flush) {
            callback(outcome);
            return Ok(());
        }
        let mut state = self.keeper.state.lock();
        self.start_keeper(&mut state);
        state.pending.push((flush, callback));
        self.keeper.changed.notify_one();
        Ok(())
    }

    /// Calls back for all flushes that have ended.
    fn call_back_all(&self, keeper: &Keeper) {
        let mut ended = Vec::new();
        keeper.state.lock().pending.retain_mut(|(flush, callback)| match self.flush_outcome(*flush) {
            Some(outcome) => {
                let callback = std::mem::replace(callback, Box::new(|_| ()));
                ended.push((callback, outcome));
                false
            }
            None => true,
        });
        for (callback, outcome) in ended {
            // One that panics must not keep the others from being told.
            let _ = std::panic::catch_unwind(AssertUnwindSafe(|| callback(outcome)));
        }
    }

    fn has_unsynced(&self) -> bool {
        self.end() > self.control.words().synced_to.load(Relaxed)
    }

    /// Ends the thread; flushes what the policy or somebody who waits wants flushed.
    pub(super) fn end_keeper(&self) {
        let me = self.control.memory.me_if_attached();
        let mut state = self.keeper.state.lock();
        let thread = state.thread.take();
        if me == 0 || self.keeper.runs_for.load(Relaxed) != me {
            // It never ran in this process: a forked child has no part of its parent's.
            return;
        }
        state.stop = true;
        drop(state);
        self.keeper.changed.notify_one();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
        self.call_back_all(&self.keeper);
        let pending = !self.keeper.state.lock().pending.is_empty();
        let lazy = matches!(self.durability, Durability::Interval(_) | Durability::Bytes(_));
        if pending || lazy && self.has_unsynced() {
            let outcome = self.wait_flush(self.next_flush(), &Wait::timeout(LAST_PATIENCE));
            self.call_back_all(&self.keeper);
            let left = std::mem::take(&mut self.keeper.state.lock().pending);
            for (_, callback) in left {
                let outcome = outcome.clone().and_then(|()| Err(self.closed("wait for log flush")));
                let _ = std::panic::catch_unwind(AssertUnwindSafe(|| callback(outcome)));
            }
        }
    }
}

/// The thread. It keeps the handle only while it works, so that the handle can end.
fn run(inner: &Weak<Inner>, keeper: &Arc<Keeper>, durability: Durability) {
    loop {
        let ticked = {
            let mut state = keeper.state.lock();
            let is_lazy = matches!(durability, Durability::Interval(_) | Durability::Bytes(_));
            if !state.stop && !keeper.kicked.load(Relaxed) && (is_lazy || state.pending.is_empty()) {
                state = match durability {
                    Durability::Interval(interval) => wait_for(&keeper.changed, state, interval),
                    _ if state.pending.is_empty() => wait(&keeper.changed, state),
                    _ => wait_for(&keeper.changed, state, LOOK_AGAIN),
                };
            }
            while state.holds > 0 && !state.stop {
                state = wait(&keeper.changed, state);
            }
            if state.stop {
                return;
            }
            state.at_work = Some(std::thread::current().id());
            matches!(durability, Durability::Interval(_)) || !is_lazy && !state.pending.is_empty()
        };
        // Declared before the handle, so dropped after it.
        let _round = Round(keeper);
        let Some(inner) = inner.upgrade() else { return };
        let kicked = keeper.kicked.swap(false, Relaxed);
        let has_unsynced = inner.has_unsynced();
        // Somebody may wait for a flush that nothing needs: the one before was beginning when it drew its ticket.
        let is_waited_for = !has_unsynced && !keeper.state.lock().pending.is_empty();
        let is_due = ticked && (has_unsynced || !matches!(durability, Durability::Interval(_)));
        if kicked || is_due || is_waited_for {
            // A failure is in the result of that number, for whoever has a ticket for it, and counted for the others.
            let _ = inner.wait_flush(inner.next_flush(), &Wait::timeout(PATIENCE));
        }
        inner.call_back_all(keeper);
    }
}

/// Becomes ready when a record is on the disk: see [`super::Log::durable`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Durable(Arc<Mutex<Outcome>>);

#[derive(Default)]
struct Outcome {
    result: Option<Result<()>>,
    waker: Option<Waker>,
}

impl Durable {
    pub(super) fn of(inner: &Inner, ticket: Ticket) -> Result<Durable> {
        let outcome = Arc::new(Mutex::new(Outcome::default()));
        let told = Arc::clone(&outcome);
        let callback = move |result| {
            let mut outcome = told.lock();
            outcome.result = Some(result);
            if let Some(waker) = outcome.waker.take() {
                drop(outcome);
                waker.wake();
            }
        };
        inner.call_back(ticket.flush, Box::new(callback))?;
        Ok(Durable(outcome))
    }
}

impl Future for Durable {
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let mut outcome = self.0.lock();
        match &outcome.result {
            Some(result) => Poll::Ready(result.clone()),
            None => {
                outcome.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
