//! How many live views a handle has, and whether it is closed: one word that decides who may do what.
//!
//! ```text
//! bit 0        CLOSED      no new views; set only when there are none
//! bit 1        READ_ONLY   no writable views, ever
//! bits 2..32   readers     live views that only read
//! bits 32..62  writers     live views that may write
//! ```
//!
//! | from | to | by |
//! |---|---|---|
//! | open | readers + 1 or writers + 1 | [`Exports::acquire`] |
//! | any | readers − 1 or writers − 1 | [`Exports::release`] |
//! | no views | CLOSED | [`Exports::close`] |
//!
//! A view keeps the memory where it is: close and protection changes are refused while one lives that they would hurt.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::ErrorKind;

const CLOSED: u64 = 1;
const READ_ONLY: u64 = 2;
const READER: u64 = 1 << 2;
const WRITER: u64 = 1 << 32;
const READERS: u64 = (WRITER - 1) & !(READER - 1);
const WRITERS: u64 = !(WRITER - 1);
/// Far below the field's width, so that no count can reach its neighbour.
const LIMIT: u64 = 1 << 28;

/// The state of one handle.
#[derive(Debug)]
pub(crate) struct Exports(AtomicU64);

impl Exports {
    /// An open handle without views.
    pub fn new(read_only: bool) -> Exports {
        Exports(AtomicU64::new(if read_only { READ_ONLY } else { 0 }))
    }

    /// Counts one view in, or says why not: `Closed`, `ReadOnly`, or `Busy` when there are absurdly many.
    #[inline]
    pub fn acquire(&self, writable: bool) -> Result<(), ErrorKind> {
        let one = if writable { WRITER } else { READER };
        self.update(|state| match state {
            _ if state & CLOSED != 0 => Err(ErrorKind::Closed),
            _ if writable && state & READ_ONLY != 0 => Err(ErrorKind::ReadOnly),
            _ if (state & READERS) / READER >= LIMIT || state / WRITER >= LIMIT => Err(ErrorKind::Busy),
            _ => Ok(state + one),
        })
    }

    /// Counts one view out, or answers `false` when there is none: a caller without lifetimes may release twice, and
    /// the count must not borrow from its neighbour then.
    #[inline]
    pub fn release(&self, writable: bool) -> bool {
        let (one, field) = if writable { (WRITER, WRITERS) } else { (READER, READERS) };
        let less = |state: u64| (state & field != 0).then(|| state - one);
        self.0.fetch_update(Ordering::Release, Ordering::Relaxed, less).is_ok()
    }

    /// Closes the handle: `Ok(true)` by this call, `Ok(false)` when it was closed before, `Busy` while views live.
    pub fn close(&self) -> Result<bool, ErrorKind> {
        if self.is_closed() {
            return Ok(false);
        }
        self.update(|state| match state {
            _ if state & CLOSED != 0 => Err(ErrorKind::Closed),
            _ if state & (READERS | WRITERS) != 0 => Err(ErrorKind::Busy),
            _ => Ok(state | CLOSED),
        })
        .map(|()| true)
        .or_else(|kind| if kind == ErrorKind::Closed { Ok(false) } else { Err(kind) })
    }

    /// Opens the handle again, for a close that had to be taken back.
    pub fn reopen(&self) {
        self.0.fetch_and(!CLOSED, Ordering::SeqCst);
    }

    /// Whether the handle is closed. Sequentially consistent: a lock takes its word and then asks here, a close sets the
    /// bit and then looks at the word, and one of the two must see the other.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.0.load(Ordering::SeqCst) & CLOSED != 0
    }

    /// Whether writable views are refused.
    #[inline]
    pub fn is_read_only(&self) -> bool {
        self.0.load(Ordering::Acquire) & READ_ONLY != 0
    }

    /// Number of live views.
    pub fn count(&self) -> usize {
        self.writers() + ((self.0.load(Ordering::SeqCst) & READERS) / READER) as usize
    }

    /// Number of live views that may write.
    pub fn writers(&self) -> usize {
        (self.0.load(Ordering::SeqCst) / WRITER) as usize
    }

    #[inline]
    fn update(&self, change: impl Fn(u64) -> Result<u64, ErrorKind>) -> Result<(), ErrorKind> {
        let mut state = self.0.load(Ordering::Relaxed);
        loop {
            match self.0.compare_exchange_weak(state, change(state)?, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(now) => state = now,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_waits_for_every_view() {
        let exports = Exports::new(false);
        exports.acquire(false).unwrap();
        exports.acquire(true).unwrap();
        assert_eq!(exports.close(), Err(ErrorKind::Busy));
        exports.release(true);
        assert_eq!(exports.close(), Err(ErrorKind::Busy));
        exports.release(false);
        assert_eq!(exports.close(), Ok(true));
        assert_eq!(exports.close(), Ok(false));
        assert_eq!(exports.acquire(false), Err(ErrorKind::Closed));
    }

    #[test]
    fn a_view_cannot_be_released_twice() {
        let exports = Exports::new(false);
        exports.acquire(false).unwrap();
        assert!(!exports.release(true));
        assert!(exports.release(false));
        assert!(!exports.release(false));
        assert_eq!((exports.count(), exports.is_closed()), (0, false));
    }

    #[test]
    fn a_read_only_handle_has_no_writers() {
        let exports = Exports::new(true);
        assert_eq!(exports.acquire(true), Err(ErrorKind::ReadOnly));
        exports.acquire(false).unwrap();
        assert_eq!((exports.count(), exports.writers()), (1, 0));
    }
}
