//! Every operation on a region, killed after every instruction.
//!
//! A process does one operation, one instruction at a time (ptrace(2)). After each instruction that changed the region, the
//! region's bytes are copied to a new object. On the copy nobody holds a kernel lock, so there all owners are dead: the
//! copy is what the others would find had the process been killed at this instruction. Another process opens it through
//! the ordinary interface, has a few seconds, and says what it found.
//!
//! An operation must lead through the outcomes that its test lists, in that order: what others find is what was before
//! it or what is after it, and nothing else. To add one, write a call of [`harness::crash`]: a name, what is there
//! before, the operation, its outcomes, and what others do afterwards.
//!
//! Exclusive loads and stores (LL/SC) never succeed when stepped: on aarch64 this needs atomics in one instruction (LSE).
#![cfg(test)]

mod attach;
mod barrier;
mod directory;
mod harness;
mod heap;
mod log;
mod mutex;
mod pool;
mod process;
mod resize;
mod rwlock;
mod scene;
mod semaphore;
mod signals;
mod trace;
mod tracked;
mod value;
mod words;
