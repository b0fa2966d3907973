//! The lock protocol under the loom model checker: the very files of the core crate, with loom's atomics in place of the
//! machine's. Run it with `tools/loom.sh`, which sets `--cfg loom`; without that there is nothing here.
#![cfg(all(test, loom))]
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_imports,
    reason = "the models use a part of what the core uses"
)]

#[path = "../../../core/src/atomic.rs"]
mod atomic;
#[path = "../../../core/src/layout.rs"]
mod layout;
mod models;
#[path = "../../../core/src/protocol/mod.rs"]
mod protocol;

#[path = "../../../core/src/sys/clock.rs"]
mod clock;

mod sys {
    pub(crate) use crate::clock;
}
