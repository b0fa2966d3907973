//! Writes what a Rust program logs into a [`shmkit::Log`], which other processes append to and read at the same time, in any
//! language.
//!
//! A record's kind is its level, by the numbers that Python's `logging` uses, so that all languages agree:
//!
//! | level | kind |
//! |---|---|
//! | error | 40 |
//! | warn | 30 |
//! | info | 20 |
//! | debug | 10 |
//! | trace | 5 |
//!
//! Its text is `target: message`, then the fields of a tracing event, and before it the spans that it happened in. The
//! time stamp is the log's own.
//!
//! A program must not fail because it cannot log, so errors of the log are counted ([`failures`]) and not raised.
//!
//! # With `tracing`
//! ```
//! # let directory = tempfile::tempdir().unwrap();
//! use tracing_subscriber::layer::SubscriberExt;
//!
//! let log = shmkit::Log::open_or_create(directory.path().join("events"))?;
//! let subscriber = tracing_subscriber::registry().with(shmkit_logging::LogLayer::new(log));
//! tracing::subscriber::with_default(subscriber, || tracing::info!(answer = 42, "it began"));
//! # Ok::<(), shmkit::Error>(())
//! ```
//!
//! # With `log`
//! ```no_run
//! let log = shmkit::Log::open_or_create("/var/log/events")?;
//! shmkit_logging::LogBackend::new(log).install(log::LevelFilter::Info).expect("the first backend");
//! log::info!("it began");
//! # Ok::<(), shmkit::Error>(())
//! ```

#[cfg(feature = "log")]
mod backend;
#[cfg(feature = "tracing")]
mod layer;

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[cfg(feature = "log")]
pub use backend::LogBackend;
#[cfg(feature = "tracing")]
pub use layer::LogLayer;

/// The kind of an error's record.
pub const ERROR: u32 = 40;
/// The kind of a warning's record.
pub const WARN: u32 = 30;
/// The kind of a record of level info.
pub const INFO: u32 = 20;
/// The kind of a record of level debug.
pub const DEBUG: u32 = 10;
/// The kind of a record of level trace.
pub const TRACE: u32 = 5;

static FAILURES: AtomicU64 = AtomicU64::new(0);

/// How many records of this process could not be appended.
pub fn failures() -> u64 {
    FAILURES.load(Relaxed)
}

thread_local! {
    /// Where a thread puts its text together, so that a record allocates nothing.
    static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Appends what `write` writes. A message that logs while it is formatted gets a text of its own.
fn append(log: &shmkit::Log, kind: u32, write: impl FnOnce(&mut String)) {
    TEXT.with(|text| {
        let mut own = String::new();
        let mut shared = text.try_borrow_mut();
        let text = match &mut shared {
            Ok(text) => &mut **text,
            Err(_) => &mut own,
        };
        text.clear();
        write(text);
        let bytes = cut(text, log.max_record_len());
        if log.append(kind, bytes.as_bytes()).is_err() {
            FAILURES.fetch_add(1, Relaxed);
        }
    });
}

/// As much of a text as fits, in whole characters: a part of a message says more than none.
fn cut(text: &str, len: usize) -> &str {
    &text[..text.floor_char_boundary(len)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!([cut("aäb", 9), cut("aäb", 3), cut("aäb", 2), cut("aäb", 0)], ["aäb", "aä", "a", ""]);
    }
}
