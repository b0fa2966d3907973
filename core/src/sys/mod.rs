//! Every system call of the library. The modules above decide; these do one thing each and report the errno.
//!
//! This is, with `view` and the few casts in `region`, where `unsafe` lives.
#![allow(unsafe_code, reason = "system calls and the memory they hand out")]

pub mod arena;
pub mod barrier;
pub mod clock;
pub mod code;
pub mod fault;
pub mod file;
pub mod fork;
pub mod futex;
pub mod map;
pub mod ofd;
pub mod pages;
pub mod process;
mod signal;
pub mod socket;
pub mod stamp;
pub mod sysv;

/// The outcome of a system call: a value or an errno.
pub type SysResult<T> = std::result::Result<T, nix::errno::Errno>;
