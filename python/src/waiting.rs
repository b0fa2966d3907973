//! How every blocking call of this module waits.
//!
//! The first look takes no time and keeps the interpreter; that is the caller's part. Who must wait comes here: the
//! interpreter is released, the core sleeps, and at least every 16 ms it asks [`Stop`] whether to go on. There Python runs
//! its signal handlers, so that Ctrl-C works, and a handle that another thread closed is noticed. The wait itself goes on
//! meanwhile: what it waits for cannot pass by between two looks.
//!
//! When the interpreter ends, daemon threads may wait still. Up to version 3.13, one that asks for the interpreter then is ended
//! in the middle of the call, by unwinding frames that cannot be unwound. So none asks any more: it sleeps until the
//! process is gone, as later versions have it do.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use pyo3::intern;
use pyo3::prelude::*;
use shmkit::{Error, ErrorKind, Wait};

use crate::error::Result;

/// Waits in `block`, at most as long as `timeout` says; `None` when that time passed.
///
/// An exception that a signal handler raises wins over everything: what `block` took nevertheless goes to `give_back`.
pub fn wait<T: Send>(
    py: Python<'_>,
    timeout: Option<Duration>,
    is_closed: &(dyn Fn() -> bool + Sync),
    block: impl FnOnce(&Wait) -> shmkit::Result<T> + Send,
    give_back: impl FnOnce(T),
) -> Result<Option<T>> {
    let stop = Stop { runs_handlers: Cell::new(None), is_closed, raised: Cell::new(None) };
    let wait = timeout.map_or(Wait::forever(), Wait::timeout);
    let wait = wait.unless(Stop::asked, (&raw const stop).expose_provenance());
    let (outcome, _coming_in) = py.detach(|| {
        let outcome = block(&wait);
        (outcome, ComingIn::new())
    });
    if let Some(raised) = stop.raised.take() {
        if let Ok(taken) = outcome {
            give_back(taken);
        }
        return Err(raised.into());
    }
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::Timeout => Ok(None),
        Err(error) if error.kind() == ErrorKind::Interrupted => {
            Err(Error::new(ErrorKind::Closed, error.operation(), error.object()).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// What can end a wait early.
struct Stop<'a> {
    /// Python runs signal handlers in its main thread only: the others need not disturb it. Found out when first asked,
    /// because most waits are over before.
    runs_handlers: Cell<Option<bool>>,
    is_closed: &'a (dyn Fn() -> bool + Sync),
    /// What a signal handler raised.
    raised: Cell<Option<PyErr>>,
}

impl Stop<'_> {
    fn asked(context: usize) -> bool {
        // SAFETY: `wait` made `context` of a `Stop` that it keeps until its wait is over, and asks in its own thread only.
        let stop = unsafe { &*std::ptr::with_exposed_provenance::<Stop<'_>>(context) };
        if stop.runs_handlers.get() != Some(false) {
            let _coming_in = ComingIn::new();
            match Python::try_attach(|py| stop.run_handlers(py)) {
                Some(Ok(())) => {}
                Some(Err(raised)) => {
                    stop.raised.set(Some(raised));
                    return true;
                }
                // The interpreter has ended, and a daemon thread has not: there are no handlers any more.
                None => stop.runs_handlers.set(Some(false)),
            }
        }
        (stop.is_closed)()
    }

    fn run_handlers(&self, py: Python<'_>) -> PyResult<()> {
        if self.runs_handlers.get().is_none() {
            self.runs_handlers.set(Some(is_main_thread(py)?));
        }
        py.check_signals()
    }
}

fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import(intern!(py, "threading"))?;
    let main = threading.call_method0(intern!(py, "main_thread"))?.getattr(intern!(py, "ident"))?;
    threading.call_method0(intern!(py, "get_ident"))?.eq(main)
}

/// The thread that ends the interpreter.
static ENDER: OnceLock<ThreadId> = OnceLock::new();
/// Threads that ask for the interpreter, to come back from a wait or to run signal handlers.
static COMING_IN: AtomicUsize = AtomicUsize::new(0);

/// Counts this thread while it asks for the interpreter. Where that ends, there is no way past this.
struct ComingIn;

impl ComingIn {
    fn new() -> ComingIn {
        COMING_IN.fetch_add(1, SeqCst);
        if ENDER.get().is_some_and(|ender| *ender != std::thread::current().id()) {
            COMING_IN.fetch_sub(1, SeqCst);
            loop {
                std::thread::park();
            }
        }
        ComingIn
    }
}

impl Drop for ComingIn {
    fn drop(&mut self) {
        COMING_IN.fetch_sub(1, SeqCst);
    }
}

/// Run by `atexit`, before the interpreter ends: from now on no other thread comes back from a wait. Those that have asked
/// for the interpreter get it first.
#[pyfunction]
pub fn _end_waits(py: Python<'_>) {
    /// They come in one after the other; who has got it may keep it for 5 ms.
    const PATIENCE: Duration = Duration::from_secs(1);
    let _ = ENDER.set(std::thread::current().id());
    if COMING_IN.load(SeqCst) > 0 {
        py.detach(|| {
            let begun = Instant::now();
            while COMING_IN.load(SeqCst) > 0 && begun.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
    }
}
