//! The native half of the Python package `shmkit`. It translates: arguments, buffers, errors, waiting with Ctrl-C. What
//! the objects do is the core's business.
//!
//! One file per class. `bytes` and `byte_methods` are what regions, mappings and blocks share as buffers and sequences of
//! bytes, `pages` what regions and mappings share as pages, `object` what the named objects share, `lock` what can be locked,
//! and `waiting` how every call waits.
//!
//! Classes are frozen and hold atomics only, so the module runs without the interpreter's lock too. Where the
//! interpreter has one, it is released around calls that may block or run long, and nowhere else.

mod aio;
mod arguments;
mod atomic;
mod barrier;
mod block;
mod byte_methods;
mod bytes;
mod code;
mod condvar;
mod detached;
mod error;
mod event;
mod guard;
mod heap;
mod lock;
mod log;
mod log_lines;
mod log_reader;
mod log_record;
mod mapping;
mod mutex;
mod object;
mod pages;
mod pool;
mod pool_block;
mod quick;
mod region;
mod region_objects;
mod rwlock;
mod scalar;
mod segment;
mod semaphore;
mod status;
mod sysv;
mod value;
mod view;
mod waiting;
mod windows;

use pyo3::prelude::*;

/// The native half of `shmkit`.
#[pymodule(gil_used = false)]
mod _native {
    use super::*;

    #[pymodule_export]
    use super::atomic::Atomic;
    #[pymodule_export]
    use super::barrier::Barrier;
    #[pymodule_export]
    use super::block::Block;
    #[pymodule_export]
    use super::code::CodeMemory;
    #[pymodule_export]
    use super::condvar::Condvar;
    #[pymodule_export]
    use super::event::Event;
    #[pymodule_export]
    use super::guard::Guard;
    #[pymodule_export]
    use super::heap::Heap;
    #[pymodule_export]
    use super::log::{_reopen_log, Log, Ticket};
    #[pymodule_export]
    use super::log_lines::{_LineWriter, TextLogger};
    #[pymodule_export]
    use super::log_reader::LogReader;
    #[pymodule_export]
    use super::log_record::{LogRecord, Reservation};
    #[pymodule_export]
    use super::mapping::Mapping;
    #[pymodule_export]
    use super::mutex::Mutex;
    #[pymodule_export]
    use super::pages::{_usage, clear_soft_dirty};
    #[pymodule_export]
    use super::pool::Pool;
    #[pymodule_export]
    use super::pool_block::PoolBlock;
    #[pymodule_export]
    use super::region::{_reopen, Region};
    #[pymodule_export]
    use super::rwlock::RwLock;
    #[pymodule_export]
    use super::segment::Segment;
    #[pymodule_export]
    use super::semaphore::Semaphore;
    #[pymodule_export]
    use super::status::{_main, list_regions};
    #[pymodule_export]
    use super::value::Value;
    #[pymodule_export]
    use super::windows::WindowCache;

    #[pymodule_export]
    use super::sysv::{SysvSegment, SysvSemaphore};

    /// Turns the fault guard off, or on again, for everything that this process maps from now on: see `Mapping.check`.
    #[pyfunction]
    fn set_fault_guard(enabled: bool) {
        shmkit::set_fault_guard(enabled);
    }

    /// Number and name of every kind of error, as in all languages.
    #[pyfunction]
    fn _error_kinds() -> Vec<(u32, &'static str)> {
        shmkit::ErrorKind::ALL.iter().map(|kind| (*kind as u32, kind.name())).collect()
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::error::load_classes(module.py())?;
        super::quick::install(module.py())?;
        let end_waits = wrap_pyfunction!(super::waiting::_end_waits, module)?;
        module.py().import("atexit")?.call_method1("register", (end_waits,))?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
