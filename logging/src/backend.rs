//! The backend for the `log` crate.

use std::fmt::Write;

use log::{Level, LevelFilter, Metadata, Record, SetLoggerError};

use crate::{DEBUG, ERROR, INFO, TRACE, WARN, append};

/// A backend for the `log` crate that appends to a [`shmkit::Log`].
#[derive(Debug)]
pub struct LogBackend(shmkit::Log);

impl LogBackend {
    /// A backend over an open log.
    pub fn new(log: shmkit::Log) -> LogBackend {
        LogBackend(log)
    }

    /// Makes it the backend of this process, for messages of this level and above. Fails when there is one already.
    pub fn install(self, level: LevelFilter) -> Result<(), SetLoggerError> {
        log::set_boxed_logger(Box::new(self))?;
        log::set_max_level(level);
        Ok(())
    }
}

fn kind(level: Level) -> u32 {
    match level {
        Level::Error => ERROR,
        Level::Warn => WARN,
        Level::Info => INFO,
        Level::Debug => DEBUG,
        Level::Trace => TRACE,
    }
}

impl log::Log for LogBackend {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        append(&self.0, kind(record.level()), |text| {
            // Writing to a string cannot fail; a Display of the caller's that does leaves what it wrote.
            let _ = write!(text, "{}: {}", record.target(), record.args());
        });
    }

    fn flush(&self) {
        // There is nobody to tell.
        let _ = self.0.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_become_records() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        LogBackend::new(shmkit::Log::create(&path).unwrap()).install(LevelFilter::Debug).unwrap();
        log::error!("broken {}", 1);
        log::debug!(target: "elsewhere", "seen");
        log::trace!("below the level");
        log::logger().flush();
        let log = shmkit::Log::open_read_only(&path).unwrap();
        let reader = log.reader(shmkit::ReadFrom::Start).unwrap();
        let found: Vec<(u32, String)> = reader
            .map(|record| record.unwrap())
            .map(|record| (record.kind(), String::from_utf8(record.to_vec()).unwrap()))
            .collect();
        let expected =
            [(ERROR, format!("{}: broken 1", module_path!())), (DEBUG, "elsewhere: seen".to_owned())];
        assert_eq!(found, expected);
    }
}
