//! [`CodeMemory`]: memory that machine code is written to and run from, and that never allows both at one address, unless
//! that is asked for by name.
//!
//! | made | pages at first | after [`CodeMemory::seal`] | can be called |
//! |---|---|---|---|
//! | plainly | read, write | read, execute | once sealed |
//! | `patchable` | one memfd twice: read and write here, read and execute there | the first is gone | always |
//! | `allow_wx` | read, write, execute | read, execute | always |
//!
//! Invariants:
//! - `stage` changes together with the pages, under its lock; writing and taking a function look at it under that lock.
//! - A function that was taken keeps the pages: closing is refused with `Busy` while one lives or runs.
//! - Bytes become visible to instruction fetch ([`crate::sys::code::publish`]) before a call that wrote or sealed them
//!   returns.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::os::fd::AsFd;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::ProtFlags;
use parking_lot::{RwLock, RwLockReadGuard};

use super::Pinned;
use crate::error::{Error, ErrorKind, Result};
use crate::exports::Exports;
use crate::sys::code::{READ_EXECUTE, READ_WRITE_EXECUTE, publish};
use crate::sys::file::ObjectFile;
use crate::sys::map::{Map, Request};
use crate::view::check_range;

/// How [`CodeMemory`] is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct CodeOptions {
    patchable: bool,
    allow_wx: bool,
}

impl CodeOptions {
    /// Written, then sealed, then called.
    pub fn new() -> CodeOptions {
        CodeOptions::default()
    }

    /// Maps the memory twice, once for writing and once for executing, so that code can be changed while it is in use. A
    /// forked child shares it.
    pub fn patchable(mut self, patchable: bool) -> CodeOptions {
        self.patchable = patchable;
        self
    }

    /// Allows pages that can be written and executed at one address: whoever can make the program write somewhere can then
    /// make it run what it wrote. Many systems refuse it.
    pub fn allow_wx(mut self, allow: bool) -> CodeOptions {
        self.allow_wx = allow;
        self
    }

    /// Makes `len` zeroed bytes for code.
    ///
    /// Errors: `InvalidLength`, `InvalidArgument` (patchable and `allow_wx` exclude each other), `PermissionDenied` (the system
    /// forbids such pages), `OutOfMemory`.
    pub fn create(&self, len: usize) -> Result<CodeMemory> {
        let error = |kind| Error::new(kind, CREATE, "");
        if len == 0 || len > isize::MAX as usize {
            return Err(error(ErrorKind::InvalidLength).with_detail(format!("{len} bytes")));
        }
        if self.patchable && self.allow_wx {
            return Err(error(ErrorKind::InvalidArgument)
                .with_detail("patchable memory needs no pages for both writing and executing"));
        }
        let fail =
            |errno: Errno| Error::from_errno(errno as i32, CREATE, "").with_detail(format!("{len} bytes"));
        let (run, alias) = if self.patchable {
            let (run, alias) = map_twice(len).map_err(fail)?;
            (run, Some(alias))
        } else {
            let flags =
                if self.allow_wx { READ_WRITE_EXECUTE } else { ProtFlags::PROT_READ | ProtFlags::PROT_WRITE };
            (Map::anonymous(&Request::shared(len, flags)).map_err(fail)?, None)
        };
        let callable = self.patchable || self.allow_wx;
        let stage = RwLock::new(Stage { alias, sealed: false, callable });
        Ok(CodeMemory { run, stage, exports: Exports::new(true), own_pages: !self.patchable })
    }
}

const CREATE: &str = "map code";

/// One memory at two addresses: for executing, and for writing.
fn map_twice(len: usize) -> Result<(Map, Map), Errno> {
    let memory = ObjectFile::memfd(c"shmkit-code", true)?;
    memory.reserve(len as u64)?;
    let run = Map::of_file(memory.as_fd(), &Request::shared(len, READ_EXECUTE))?;
    let alias =
        Map::of_file(memory.as_fd(), &Request::shared(len, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE))?;
    Ok((run, alias))
}

/// What may be done now.
struct Stage {
    /// Where patchable memory is written; none once it is sealed or closed.
    alias: Option<Map>,
    sealed: bool,
    callable: bool,
}

/// Memory for machine code.
///
/// ```
/// use shmkit::{CodeMemory, ErrorKind};
///
/// # #[cfg(target_arch = "x86_64")]
/// let add: &[u8] = &[0x48, 0x8d, 0x04, 0x37, 0xc3]; // lea rax, [rdi + rsi]; ret
/// # #[cfg(target_arch = "aarch64")]
/// # let add: &[u8] = &[0x00, 0x00, 0x01, 0x8b, 0xc0, 0x03, 0x5f, 0xd6]; // add x0, x0, x1; ret
///
/// let code = CodeMemory::new(4096)?;
/// code.write_at(0, add)?;
/// code.seal()?; // from here on it can be run, and not be written
/// assert_eq!(code.write_at(0, add).unwrap_err().kind(), ErrorKind::ReadOnly);
///
/// // SAFETY: the bytes above are a function of this type.
/// let add = unsafe { code.function::<extern "C" fn(u64, u64) -> u64>(0)? };
/// assert_eq!(add(40, 2), 42);
/// # Ok::<(), shmkit::Error>(())
/// ```
///
/// All methods may be called from any thread. A write is complete for every thread when the call returns; what a thread sees
/// that runs the very bytes meanwhile is the old code, the new, or a mix: replace one aligned word at a time, or let nobody run
/// it.
pub struct CodeMemory {
    run: Map,
    stage: RwLock<Stage>,
    exports: Exports,
    /// Whether writing and executing share their pages.
    own_pages: bool,
}

impl CodeMemory {
    /// The most arguments [`CodeMemory::call`] takes.
    pub const MAX_ARGUMENTS: usize = 6;

    /// Makes `len` zeroed bytes, to be written, sealed and then called: [`CodeOptions::create`].
    pub fn new(len: usize) -> Result<CodeMemory> {
        CodeOptions::new().create(len)
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.run.len()
    }

    /// Never true: there is at least one byte.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Whether it was sealed: it cannot be written any more.
    pub fn is_sealed(&self) -> bool {
        self.stage.read().sealed
    }

    /// Whether it can be called now.
    pub fn is_executable(&self) -> bool {
        self.stage.read().callable && !self.is_closed()
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.exports.is_closed()
    }

    /// Copies code in. Errors: `OutOfRange`, `ReadOnly` (sealed), `Closed`.
    pub fn write_at(&self, offset: usize, code: &[u8]) -> Result<()> {
        let operation = "write code";
        // Alone: of two writers of the same bytes, whoever comes second has all of them.
        let stage = self.stage.write();
        self.check(operation, offset, code.len())?;
        if stage.sealed {
            return Err(error(ErrorKind::ReadOnly, operation).with_detail("it is sealed"));
        }
        let target = stage.alias.as_ref().unwrap_or(&self.run);
        #[allow(unsafe_code)]
        // SAFETY: `check` proved the range; the stage says that these pages are writable and keeps them so; `code` is a slice,
        // which these bytes never become.
        unsafe {
            target.base().add(offset).as_ptr().copy_from_nonoverlapping(code.as_ptr(), code.len());
        }
        if stage.callable {
            self.publish(offset, code.len());
        }
        Ok(())
    }

    /// Copies code out. Errors: `OutOfRange`, `Closed`.
    pub fn read_at(&self, offset: usize, into: &mut [u8]) -> Result<()> {
        let _stage = self.stage.read();
        self.check("read code", offset, into.len())?;
        #[allow(unsafe_code)]
        // SAFETY: `check` proved the range, and the pages are readable in every stage.
        unsafe {
            self.run.base().add(offset).as_ptr().copy_to_nonoverlapping(into.as_mut_ptr(), into.len());
        }
        Ok(())
    }

    /// Ends writing for ever: the pages allow reading and executing, and nothing else leads to them. Repeating it does
    /// nothing.
    ///
    /// Errors: `Closed`, `PermissionDenied` (the system forbids to execute what was written).
    pub fn seal(&self) -> Result<()> {
        let operation = "seal code";
        let mut stage = self.stage.write();
        if self.is_closed() {
            return Err(error(ErrorKind::Closed, operation));
        }
        if stage.sealed {
            return Ok(());
        }
        if self.own_pages {
            self.run
                .protect(0, self.len(), READ_EXECUTE)
                .map_err(|errno| Error::from_errno(errno as i32, operation, ""))?;
        }
        self.publish(0, self.len());
        stage.alias = None;
        (stage.sealed, stage.callable) = (true, true);
        Ok(())
    }

    /// The code at `offset` as a function, which keeps the memory while it lives.
    ///
    /// # Safety
    /// `F` is a function pointer type (`extern "C" fn(...)`), and whenever the function is called, the bytes at `offset` are
    /// machine code for this processor that does what a function of this type may do.
    ///
    /// Errors: `OutOfRange`, `Closed`, `PermissionDenied` (not sealed yet).
    #[allow(unsafe_code)]
    pub unsafe fn function<F: Copy>(&self, offset: usize) -> Result<CodeFunction<'_, F>> {
        const { assert!(size_of::<F>() == size_of::<*const ()>(), "a function pointer") };
        let entry = self.pin(offset)?;
        // SAFETY: as large as an address, and by the caller's promise a type that an address of code is a value of.
        let function = unsafe { std::mem::transmute_copy::<NonNull<u8>, F>(&entry) };
        let pinned = Pinned { exports: &self.exports, writable: false };
        Ok(CodeFunction { function, _pinned: pinned, memory: PhantomData })
    }

    /// Calls the code at `offset` with up to six integers, as a C function of that many `uint64_t` that returns one.
    ///
    /// # Safety
    /// The bytes at `offset` are machine code for this processor that does no harm as such a function.
    ///
    /// Errors: `InvalidArgument` (more than six arguments); as [`CodeMemory::function`].
    #[allow(unsafe_code)]
    pub unsafe fn call(&self, offset: usize, arguments: &[u64]) -> Result<u64> {
        type SixIntegers = extern "C" fn(u64, u64, u64, u64, u64, u64) -> u64;
        let mut six = [0; Self::MAX_ARGUMENTS];
        let Some(given) = six.get_mut(..arguments.len()) else {
            return Err(error(ErrorKind::InvalidArgument, "call code")
                .with_detail(format!("{} arguments, at most six", arguments.len())));
        };
        given.copy_from_slice(arguments);
        // SAFETY: the caller's promise. In the calling conventions of x86-64 and AArch64 six integers travel in registers, and
        // a function of fewer does not look at the rest.
        let function =
            unsafe { self.function::<SixIntegers>(offset) }.map_err(|error| error.about("call code", ""))?;
        let [a, b, c, d, e, f] = six;
        Ok(function(a, b, c, d, e, f))
    }

    /// Counts a user in and returns the address of the code at `offset`; [`CodeMemory::unpin`] counts it out. For languages
    /// whose functions cannot carry a lifetime. Errors: as [`CodeMemory::function`].
    pub fn pin(&self, offset: usize) -> Result<NonNull<u8>> {
        let operation = "take code";
        self.exports.acquire(false).map_err(|kind| error(kind, operation))?;
        self.entry(operation, offset).inspect_err(|_| {
            self.exports.release(false);
        })
    }

    /// Counts out a user that [`CodeMemory::pin`] counted in; `false` when there is none.
    pub fn unpin(&self) -> bool {
        self.exports.release(false)
    }

    /// Number of live users.
    pub fn users(&self) -> usize {
        self.exports.count()
    }

    /// Gives the memory back; repeating it does nothing. Errors: `Busy` while a function lives or runs.
    pub fn close(&self) -> Result<()> {
        let operation = "close code";
        let mut stage = self.stage.write();
        let first = self.exports.close().map_err(|kind| {
            error(kind, operation).with_detail(format!("{} functions in use", self.exports.count()))
        })?;
        if first {
            stage.alias = None;
            // What remains at the address can be read, and not be executed.
            self.run.retire().map_err(|errno| Error::from_errno(errno as i32, operation, ""))?;
        }
        Ok(())
    }

    /// The address of the code at `offset`, if it may be run.
    fn entry(&self, operation: &'static str, offset: usize) -> Result<NonNull<u8>> {
        let stage: RwLockReadGuard<'_, Stage> = self.stage.read();
        // At least one byte: the end of the memory is no code.
        self.check(operation, offset, 1)?;
        if !stage.callable {
            return Err(error(ErrorKind::PermissionDenied, operation)
                .with_detail("it can be written: seal it before it is run"));
        }
        #[allow(unsafe_code)]
        // SAFETY: `check` proved that `offset` lies within the map.
        Ok(unsafe { self.run.base().add(offset) })
    }

    fn check(&self, operation: &'static str, offset: usize, len: usize) -> Result<()> {
        if self.is_closed() {
            return Err(error(ErrorKind::Closed, operation));
        }
        check_range(offset, len, self.len()).map_err(|failure| failure.about(operation, ""))
    }

    fn publish(&self, offset: usize, len: usize) {
        publish(self.run.base().as_ptr().wrapping_add(offset), len);
    }
}

fn error(kind: ErrorKind, operation: &'static str) -> Error {
    Error::new(kind, operation, "")
}

impl fmt::Debug for CodeMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeMemory")
            .field("len", &self.len())
            .field("sealed", &self.is_sealed())
            .field("closed", &self.is_closed())
            .finish()
    }
}

/// Code that can be called: dereferences to its function pointer. While it lives, the memory cannot be closed.
pub struct CodeFunction<'a, F> {
    function: F,
    _pinned: Pinned<'a>,
    memory: PhantomData<&'a CodeMemory>,
}

impl<F> Deref for CodeFunction<'_, F> {
    type Target = F;

    fn deref(&self) -> &F {
        &self.function
    }
}

#[cfg(test)]
#[allow(unsafe_code)]
mod tests {
    use super::*;

    /// A function that returns a number: where in it the number's bytes are, and how they are made.
    #[cfg(target_arch = "x86_64")]
    fn constant(value: u16) -> Vec<u8> {
        let [low, high] = value.to_le_bytes();
        vec![0xb8, low, high, 0, 0, 0xc3] // mov eax, value; ret
    }
    #[cfg(target_arch = "aarch64")]
    fn constant(value: u16) -> Vec<u8> {
        let move_it = 0xd280_0000u32 | u32::from(value) << 5; // mov x0, value
        [move_it, 0xd65f_03c0].into_iter().flat_map(u32::to_le_bytes).collect()
    }

    type Constant = extern "C" fn() -> u64;

    /// What the kernel says of the pages at an address: "r-xp" and the like.
    fn pages_at(address: NonNull<u8>) -> String {
        let address = address.as_ptr().addr();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps.lines().find(|line| {
            let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
            let number = |text| usize::from_str_radix(text, 16).unwrap();
            (number(start)..number(end)).contains(&address)
        });
        line.map_or(String::new(), |line| line.split_whitespace().nth(1).unwrap().to_owned())
    }

    #[test]
    fn written_then_sealed_then_called() {
        let code = CodeMemory::new(100).unwrap();
        code.write_at(0, &constant(41)).unwrap();
        assert!(pages_at(code.run.base()).starts_with("rw-"));
        let refused = code.pin(0).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{refused}");
        code.seal().unwrap();
        code.seal().unwrap();
        assert!(pages_at(code.run.base()).starts_with("r-x"));
        // SAFETY: a function of no argument, as written above.
        let function = unsafe { code.function::<Constant>(0) }.unwrap();
        assert_eq!(function(), 41);
        assert_eq!(code.write_at(0, b"x").unwrap_err().kind(), ErrorKind::ReadOnly);
        let mut back = [0; 6];
        code.read_at(0, &mut back).unwrap();
        assert_eq!(back[..], constant(41)[..6]);
        assert_eq!(code.close().unwrap_err().kind(), ErrorKind::Busy);
        drop(function);
        code.close().unwrap();
        code.close().unwrap();
        assert!(!code.is_executable() && !pages_at(code.run.base()).contains('x'));
        assert_eq!(code.pin(0).unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(code.seal().unwrap_err().kind(), ErrorKind::Closed);
    }

    #[test]
    fn patchable_code_changes_while_it_is_in_use_until_it_is_sealed() {
        let code = CodeOptions::new().patchable(true).create(5000).unwrap();
        // SAFETY: it is called after it was written.
        let function = unsafe { code.function::<Constant>(4096) }.unwrap();
        for value in [1, 2, 60000] {
            code.write_at(4096, &constant(value)).unwrap();
            assert_eq!(function(), u64::from(value));
        }
        assert!(pages_at(code.run.base()).starts_with("r-x"));
        let alias = code.stage.read().alias.as_ref().unwrap().base();
        assert!(pages_at(alias).starts_with("rw-"));
        code.seal().unwrap();
        assert_eq!(pages_at(alias), "");
        assert_eq!(code.write_at(4096, &constant(3)).unwrap_err().kind(), ErrorKind::ReadOnly);
        assert_eq!(function(), 60000);
    }

    #[test]
    fn pages_for_both_are_asked_for_by_name() {
        let code = CodeOptions::new().allow_wx(true).create(64).unwrap();
        assert!(pages_at(code.run.base()).starts_with("rwx"));
        code.write_at(0, &constant(7)).unwrap();
        // SAFETY: a function of no argument.
        assert_eq!(unsafe { code.call(0, &[]) }.unwrap(), 7);
        code.seal().unwrap();
        assert!(pages_at(code.run.base()).starts_with("r-x"));
        let both = CodeOptions::new().allow_wx(true).patchable(true).create(64).unwrap_err();
        assert_eq!(both.kind(), ErrorKind::InvalidArgument);
    }

    #[test]
    fn ranges_and_counts_are_checked() {
        for len in [0, usize::MAX] {
            assert_eq!(CodeMemory::new(len).unwrap_err().kind(), ErrorKind::InvalidLength);
        }
        let code = CodeMemory::new(64).unwrap();
        assert_eq!(code.write_at(60, &[0; 5]).unwrap_err().kind(), ErrorKind::OutOfRange);
        code.write_at(0, &constant(9)).unwrap();
        code.seal().unwrap();
        assert_eq!(code.pin(64).unwrap_err().kind(), ErrorKind::OutOfRange);
        // SAFETY: not called: too many arguments.
        assert_eq!(unsafe { code.call(0, &[0; 7]) }.unwrap_err().kind(), ErrorKind::InvalidArgument);
        // SAFETY: a function of no argument may get six.
        assert_eq!(unsafe { code.call(0, &[1; 6]) }.unwrap(), 9);
        assert!(!code.unpin());
        code.pin(0).unwrap();
        assert_eq!(code.users(), 1);
        assert!(code.unpin());
    }

    #[test]
    fn a_patch_reaches_other_threads() {
        let code = CodeOptions::new().patchable(true).create(4096).unwrap();
        code.write_at(0, &constant(0)).unwrap();
        std::thread::scope(|scope| {
            // SAFETY: one store replaces the number; the instruction around it stays.
            let function = unsafe { code.function::<Constant>(0) }.unwrap();
            let reader = scope.spawn(move || {
                let mut last = 0;
                while last < 100 {
                    let now = function();
                    assert!(now >= last, "{now} after {last}");
                    last = now;
                }
            });
            for value in 1..=100u16 {
                let (at, bytes) = if cfg!(target_arch = "x86_64") {
                    (1, vec![value as u8])
                } else {
                    (0, constant(value)[..4].to_vec())
                };
                code.write_at(at, &bytes).unwrap();
            }
            reader.join().unwrap();
        });
    }
}
