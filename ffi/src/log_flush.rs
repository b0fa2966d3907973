//! `shmkit_log_*`: when records are on the disk.

use std::ffi::c_void;
use std::mem::size_of;

use core_crate::{Error, Ticket, Wait};

use crate::boundary::{Call, attempt, borrow};
use crate::error::{Details, OK, Status};
use crate::log::LogHandle;
use crate::wait::wait;

const FLUSH: &str = "flush log";
const WAIT: &str = "wait for log flush";

/// An append whose record may not be on the disk yet.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LogTicket {
    /// Where the record is.
    pub position: u64,
    /// The number of the flush that carries it to the disk. Means something in this run of the machine.
    pub flush: u64,
}

impl From<Ticket> for LogTicket {
    fn from(ticket: Ticket) -> LogTicket {
        LogTicket { position: ticket.position, flush: ticket.flush }
    }
}

/// Called when a record is on the disk (`status` is SHMKIT_OK and `error` NULL), or will not be; `error` is valid during
/// the call.
pub type DurableCallback =
    Option<unsafe extern "C" fn(context: *mut c_void, status: Status, error: *const Details)>;

/// The caller's ticket.
///
/// # Safety
/// `ticket` is null or valid.
unsafe fn load(ticket: *const LogTicket, call: &Call<'_>) -> core_crate::Result<Ticket> {
    // SAFETY: the caller's promise.
    match unsafe { ticket.as_ref() } {
        Some(ticket) => Ok(Ticket { position: ticket.position, flush: ticket.flush }),
        None => Err(call.refuse("the ticket is NULL")),
    }
}

/// Carries everything that was committed before this call to the disk. Fails with CLOSED, READ_ONLY, and what the disk
/// reported.
///
/// # Safety
/// `log` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_flush(log: *const LogHandle, error: *mut Details) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(log, FLUSH)?.log.flush_with(&Wait::FOREVER)) }
}

/// Stores a ticket for everything that was committed before this call. Fails with CLOSED.
///
/// # Safety
/// `log` is null or a handle; `ticket` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_ticket(
    log: *const LogHandle,
    ticket: *mut LogTicket,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(log, WAIT)?;
            let call = handle.call(WAIT);
            if handle.log.is_closed() {
                return Err(call.error(core_crate::ErrorKind::Closed));
            }
            call.store(ticket, || Ok(handle.log.ticket().into()))
        })
    }
}

/// Whether the record of a ticket is on the disk, into `*durable`. Fails with what its flush failed with, and CLOSED.
///
/// # Safety
/// `log` is null or a handle; `ticket`, `durable` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_is_durable(
    log: *const LogHandle,
    ticket: *const LogTicket,
    durable: *mut bool,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(log, WAIT)?;
            let call = handle.call(WAIT);
            let ticket = load(ticket, &call)?;
            call.store(durable, || handle.log.is_durable(ticket))
        })
    }
}

/// Waits until the record of a ticket is on the disk, at most `timeout_ns` nanoseconds, else answers TIMEOUT;
/// SHMKIT_FOREVER is no limit. If nobody flushes, this thread does, and a flush that has begun takes as long as it takes.
/// With SHMKIT_WAIT_INTERRUPTIBLE it can answer INTERRUPTED. Fails with what the flush failed with, CLOSED, READ_ONLY.
///
/// # Safety
/// `log` is null or a handle; `ticket` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_wait_durable(
    log: *const LogHandle,
    ticket: *const LogTicket,
    timeout_ns: u64,
    flags: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(log, WAIT)?;
            let call = handle.call(WAIT);
            let ticket = load(ticket, &call)?;
            handle.log.wait_durable(ticket, &wait(timeout_ns, flags, &call)?)
        })
    }
}

/// A context of the caller's, on its way to another thread.
struct Context(*mut c_void);

// SAFETY: only the callback uses it, whose documentation says in which thread that is.
unsafe impl Send for Context {}

impl Context {
    /// # Safety
    /// `callback` may be called with this context.
    unsafe fn tell(&self, callback: DurableCallback, outcome: Result<(), Error>) {
        let Some(callback) = callback else { return };
        match outcome {
            // SAFETY: the caller's promise.
            Ok(()) => unsafe { callback(self.0, OK, std::ptr::null()) },
            Err(failure) => {
                let mut details = Details::empty();
                // SAFETY: `details` is ours and its size is set; the caller's promise.
                unsafe {
                    Details::fill(&mut details, &failure);
                    callback(self.0, failure.kind() as Status, &details);
                }
            }
        }
    }
}

/// Calls `callback` once with `context`, when the record of a ticket is on the disk or with the disk's error: at once, or
/// from a thread of this handle. The handle's end calls those that are left. When this fails, nothing is called.
///
/// With SHMKIT_DURABILITY_INTERVAL and SHMKIT_DURABILITY_BYTES it waits for the policy's next flush, else it causes one.
/// The callback must be short, must not free this handle, and must not throw. A forked child gets no calls for what its parent asked.
/// Fails with INVALID_ARGUMENT (no callback), CLOSED, READ_ONLY.
///
/// # Safety
/// `log` is null or a handle; `ticket` and `error` are null or valid; `callback` may be called from any thread with
/// `context`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_log_on_durable(
    log: *const LogHandle,
    ticket: *const LogTicket,
    callback: DurableCallback,
    context: *mut c_void,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(log, WAIT)?;
            let call = handle.call(WAIT);
            let ticket = load(ticket, &call)?;
            if callback.is_none() {
                return Err(call.refuse("the callback is NULL"));
            }
            let context = Context(context);
            handle.log.on_durable(ticket, move |outcome| {
                let context = &context;
                context.tell(callback, outcome);
            })
        })
    }
}

const _: () = assert!(size_of::<LogTicket>() == 16);
