//! Tests with several processes: one program, which starts itself again for its helpers.

mod common;
mod fault;
mod format;
mod hostile;
mod kills;
mod kinds;
mod leaks;
mod log;
mod objects;
mod options;
mod pool;
mod processes;
mod resize;
mod storm;
mod value;
