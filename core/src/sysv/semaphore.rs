//! [`SysvSemaphore`]: one semaphore of a System V set (semget(2)).
//!
//! What makes a new one safe to open: a set is made with value 0, and its first value is given by an *operation*, which also
//! sets the time of the last operation. Who finds a set without that time, and expects permits in it, knows that its creator
//! is not done. The kernel has no way to make a set with a value at once; this is the closest there is.

use std::time::Duration;

use nix::errno::Errno;

use super::{SYSV_PRIVATE, check_key, check_mode, error_of, label, open_or_create};
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::wait::{Ended, Wait, in_kernel};
use crate::sys::sysv;

/// The most permits a semaphore can have (`SEMVMX`).
const MAX: u32 = 32767;
/// How long a creator may take between making a set and giving it its first value.
const CREATOR_PATIENCE: Duration = Duration::from_millis(500);

const CREATE: &str = "create System V semaphore";
const OPEN: &str = "open System V semaphore";
const ACQUIRE: &str = "acquire System V semaphore";
const RELEASE: &str = "release System V semaphore";

/// How a semaphore is made and used.
#[derive(Clone, Debug)]
pub struct SysvSemaphoreOptions {
    mode: u32,
    count: u16,
    index: u16,
    undo: bool,
}

impl Default for SysvSemaphoreOptions {
    fn default() -> SysvSemaphoreOptions {
        SysvSemaphoreOptions { mode: 0o600, count: 1, index: 0, undo: true }
    }
}

impl SysvSemaphoreOptions {
    /// Mode 0600, a set of one semaphore, permits of the dead come back.
    pub fn new() -> SysvSemaphoreOptions {
        SysvSemaphoreOptions::default()
    }

    /// Permission bits of a new set.
    pub fn mode(mut self, mode: u32) -> SysvSemaphoreOptions {
        self.mode = mode;
        self
    }

    /// How many semaphores a new set has; the first value is given to each.
    pub fn count(mut self, count: u16) -> SysvSemaphoreOptions {
        self.count = count;
        self
    }

    /// Which semaphore of the set is meant, from 0.
    pub fn index(mut self, index: u16) -> SysvSemaphoreOptions {
        self.index = index;
        self
    }

    /// Whether what this process took comes back, and what it gave is taken back, when it ends (`SEM_UNDO`). Turn it off
    /// for signals, where one process only gives and another only takes.
    pub fn undo(mut self, undo: bool) -> SysvSemaphoreOptions {
        self.undo = undo;
        self
    }

    /// Creates a set whose semaphores have `initial` permits; [`SYSV_PRIVATE`] as the key gives it none.
    ///
    /// Errors: `AlreadyExists`, `InvalidArgument` (more than 32767 permits, an index beyond the count, the mode), `NoSpace` (a
    /// limit of the system).
    pub fn create(&self, key: i32, initial: u32) -> Result<SysvSemaphore> {
        let object = label(key, None);
        check_mode(self.mode, CREATE, &object)?;
        let refuse =
            |text| Err(Error::new(ErrorKind::InvalidArgument, CREATE, object.as_str()).with_detail(text));
        if initial > MAX {
            return refuse(format!("{initial} permits, at most {MAX}"));
        }
        // One operation gives all of them their value, and takes no more.
        if self.index >= self.count || self.count > 250 {
            return refuse(format!("semaphore {} of {}, at most 250", self.index, self.count));
        }
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | self.mode as i32;
        let id = sysv::set_get(key, i32::from(self.count), flags)
            .map_err(|errno| Error::from_errno(errno as i32, CREATE, object.as_str()))?;
        let mut operations: Vec<_> =
            (0..self.count).map(|index| operation_on(index, initial as i16, libc::IPC_NOWAIT)).collect();
        if initial > 0 {
            sysv::operate(id, &mut operations, None).map_err(|errno| {
                // Useless without its value, and ours alone until it has one.
                let _ = sysv::set_remove(id);
                error_of(errno, CREATE, &object)
            })?;
        }
        Ok(self.handle(id, key, self.count))
    }

    /// Opens the semaphore of this key, whoever made it.
    ///
    /// Errors: `NotFound`, `PermissionDenied`, `OutOfRange` (the set has no semaphore of this index), `InvalidArgument`
    /// ([`SYSV_PRIVATE`]).
    pub fn open(&self, key: i32) -> Result<SysvSemaphore> {
        check_key(key, OPEN)?;
        let object = label(key, None);
        let id = sysv::set_get(key, 0, 0)
            .map_err(|errno| Error::from_errno(errno as i32, OPEN, object.as_str()))?;
        self.of_id(id, key, &object)
    }

    /// Opens a semaphore by the id that another process has of its set. Errors: as [`SysvSemaphoreOptions::open`].
    pub fn from_id(&self, id: i32) -> Result<SysvSemaphore> {
        self.of_id(id, SYSV_PRIVATE, &label(SYSV_PRIVATE, Some(id)))
    }

    /// Opens the semaphore of this key, or creates it with `initial` permits. One that another process is just creating is
    /// opened when it has its permits.
    ///
    /// Errors: `Timeout` when it never had permits although some are expected: its creator died, or gave it its value in
    /// another way and nobody used it yet ([`SysvSemaphoreOptions::open`] takes it as it is); those of
    /// [`SysvSemaphoreOptions::open`] and [`SysvSemaphoreOptions::create`].
    pub fn open_or_create(&self, key: i32, initial: u32) -> Result<SysvSemaphore> {
        let operation = "open or create System V semaphore";
        check_key(key, operation)?;
        open_or_create(
            operation,
            key,
            || {
                let found = self.open(key)?;
                if initial > 0 { found.expect_value(operation) } else { Ok(()) }?;
                Ok(found)
            },
            || self.create(key, initial),
        )
    }

    fn of_id(&self, id: i32, key: i32, object: &str) -> Result<SysvSemaphore> {
        let stat = sysv::set_stat(id).map_err(|errno| error_of(errno, OPEN, object))?;
        let key = if key == SYSV_PRIVATE { stat.sem_perm.__key } else { key };
        if u64::from(self.index) >= stat.sem_nsems {
            return Err(Error::new(ErrorKind::OutOfRange, OPEN, object)
                .with_detail(format!("semaphore {} of {}", self.index, stat.sem_nsems)));
        }
        Ok(self.handle(id, key, stat.sem_nsems.min(u64::from(u16::MAX)) as u16))
    }

    fn handle(&self, id: i32, key: i32, count: u16) -> SysvSemaphore {
        SysvSemaphore { id, key, index: self.index, count, undo: self.undo }
    }
}

/// One semaphore of a System V set: ids, nothing that must be closed.
///
/// ```
/// use shmkit::{SYSV_PRIVATE, SysvSemaphore, Wait};
///
/// let semaphore = SysvSemaphore::create(SYSV_PRIVATE, 1)?;
/// semaphore.acquire(1, &Wait::forever())?; // P
/// assert!(!semaphore.try_acquire(1)?);
/// semaphore.release(1)?; // V
/// semaphore.remove()?;
/// # Ok::<(), shmkit::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SysvSemaphore {
    id: i32,
    key: i32,
    index: u16,
    count: u16,
    undo: bool,
}

/// What the kernel knows of a semaphore (semctl(2)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SysvSemaphoreStatus {
    /// Permits that are available.
    pub value: u32,
    /// How many wait for permits.
    pub waiting: u32,
    /// How many wait for it to be 0.
    pub waiting_for_zero: u32,
    /// Process of the last operation; 0 for none yet.
    pub last_pid: i32,
    /// Permission bits of its set.
    pub mode: u32,
}

impl SysvSemaphore {
    /// Creates a set of one semaphore with `initial` permits: [`SysvSemaphoreOptions::create`].
    pub fn create(key: i32, initial: u32) -> Result<SysvSemaphore> {
        SysvSemaphoreOptions::new().create(key, initial)
    }

    /// Opens the first semaphore of the set of this key: [`SysvSemaphoreOptions::open`].
    pub fn open(key: i32) -> Result<SysvSemaphore> {
        SysvSemaphoreOptions::new().open(key)
    }

    /// Opens or creates a set of one semaphore: [`SysvSemaphoreOptions::open_or_create`].
    pub fn open_or_create(key: i32, initial: u32) -> Result<SysvSemaphore> {
        SysvSemaphoreOptions::new().open_or_create(key, initial)
    }

    /// Opens the first semaphore of the set of this id: [`SysvSemaphoreOptions::from_id`].
    pub fn from_id(id: i32) -> Result<SysvSemaphore> {
        SysvSemaphoreOptions::new().from_id(id)
    }

    /// The kernel's number for the set, which another process can open.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// The key of the set; [`SYSV_PRIVATE`] for none.
    pub fn key(&self) -> i32 {
        self.key
    }

    /// Which semaphore of the set this is.
    pub fn index(&self) -> u16 {
        self.index
    }

    /// How many semaphores the set has.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// What messages call it.
    pub fn label(&self) -> String {
        label(self.key, Some(self.id))
    }

    /// Takes so many permits at once, waiting until they are there.
    ///
    /// Errors: `Timeout`, `Interrupted`, `NotFound` (the set was removed, also meanwhile), `InvalidArgument` (0, or more than
    /// 32767), `LimitExceeded` (more than the kernel can undo).
    pub fn acquire(&self, permits: u32, wait: &Wait) -> Result<()> {
        let change = -self.change(ACQUIRE, permits)?;
        self.operate(ACQUIRE, change, wait)
    }

    /// Takes so many permits at once if they are there, and says whether it did.
    pub fn try_acquire(&self, permits: u32) -> Result<bool> {
        let change = -self.change(ACQUIRE, permits)?;
        match self.operate_now(change) {
            Ok(()) => Ok(true),
            Err(Errno::EAGAIN) => Ok(false),
            Err(errno) => Err(self.failure(errno, ACQUIRE)),
        }
    }

    /// Gives so many permits; anybody may.
    ///
    /// Errors: `LimitExceeded` (there would be more than 32767), `NotFound`, `InvalidArgument` (0, or more than 32767).
    pub fn release(&self, permits: u32) -> Result<()> {
        let change = self.change(RELEASE, permits)?;
        self.operate_now(change).map_err(|errno| self.failure(errno, RELEASE))
    }

    /// Waits until no permit is there. Errors: as [`SysvSemaphore::acquire`].
    pub fn wait_for_zero(&self, wait: &Wait) -> Result<()> {
        self.operate("wait for System V semaphore", 0, wait)
    }

    /// Number of permits at this moment. Errors: `NotFound`, `PermissionDenied`.
    pub fn value(&self) -> Result<u32> {
        self.number("read System V semaphore", libc::GETVAL)
    }

    /// Sets the number of permits, whatever it was; what others would undo at their end is forgotten.
    ///
    /// Errors: `InvalidArgument` (more than 32767), `NotFound`, `PermissionDenied`.
    pub fn set_value(&self, value: u32) -> Result<()> {
        let operation = "set System V semaphore";
        if value > MAX {
            return Err(Error::new(ErrorKind::InvalidArgument, operation, self.label())
                .with_detail(format!("{value} permits, at most {MAX}")));
        }
        sysv::semaphore_set(self.id, self.index, value as i32).map_err(|errno| self.failure(errno, operation))
    }

    /// What the kernel knows of it. Errors: `NotFound`, `PermissionDenied`.
    pub fn status(&self) -> Result<SysvSemaphoreStatus> {
        let operation = "inspect System V semaphore";
        let stat = sysv::set_stat(self.id).map_err(|errno| self.failure(errno, operation))?;
        Ok(SysvSemaphoreStatus {
            value: self.number(operation, libc::GETVAL)?,
            waiting: self.number(operation, libc::GETNCNT)?,
            waiting_for_zero: self.number(operation, libc::GETZCNT)?,
            last_pid: self.number(operation, libc::GETPID)? as i32,
            mode: u32::from(stat.sem_perm.mode) & 0o777,
        })
    }

    /// Removes the whole set. Who waits in it hears `NotFound`.
    ///
    /// Errors: `NotFound` (it is gone), `PermissionDenied` (neither owner nor creator).
    pub fn remove(&self) -> Result<()> {
        sysv::set_remove(self.id).map_err(|errno| self.failure(errno, "remove System V semaphore"))
    }

    /// Waits for the creator of a set to give it its value.
    fn expect_value(&self, operation: &'static str) -> Result<()> {
        let mut left = CREATOR_PATIENCE.as_millis();
        loop {
            let stat = sysv::set_stat(self.id).map_err(|errno| self.failure(errno, operation))?;
            if stat.sem_otime != 0 || self.value()? > 0 {
                return Ok(());
            }
            if left == 0 {
                return Err(Error::new(ErrorKind::Timeout, operation, self.label())
                    .with_detail("it never had permits: open it as it is, or remove it"));
            }
            left -= 1;
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// A number of permits as an operation has it.
    fn change(&self, operation: &'static str, permits: u32) -> Result<i16> {
        if permits == 0 || permits > MAX {
            return Err(Error::new(ErrorKind::InvalidArgument, operation, self.label())
                .with_detail(format!("{permits} permits, 1 to {MAX}")));
        }
        Ok(permits as i16)
    }

    fn flags(&self) -> i32 {
        if self.undo { libc::SEM_UNDO } else { 0 }
    }

    fn operate_now(&self, change: i16) -> Result<(), Errno> {
        let operation = operation_on(self.index, change, self.flags() | libc::IPC_NOWAIT);
        sysv::operate(self.id, &mut [operation], None)
    }

    fn operate(&self, operation: &'static str, change: i16, wait: &Wait) -> Result<()> {
        let mut operations = [operation_on(self.index, change, self.flags())];
        let outcome = in_kernel(wait, |at_most| match sysv::operate(self.id, &mut operations, at_most) {
            Ok(()) => Ok(Some(())),
            Err(Errno::EAGAIN) => Ok(None),
            Err(errno) => Err(errno),
        });
        outcome.map_err(|ended| match ended {
            Ended::Stopped(stop) => Error::new(stop.into(), operation, self.label()),
            Ended::Failed(errno) => self.failure(errno, operation),
        })
    }

    fn number(&self, operation: &'static str, what: i32) -> Result<u32> {
        let number = sysv::semaphore_get(self.id, self.index, what);
        number.map(|number| number as u32).map_err(|errno| self.failure(errno, operation))
    }

    fn failure(&self, errno: Errno, operation: &'static str) -> Error {
        match errno {
            Errno::ERANGE => Error::new(ErrorKind::LimitExceeded, operation, self.label()),
            Errno::EFBIG => Error::new(ErrorKind::OutOfRange, operation, self.label())
                .with_detail(format!("semaphore {}", self.index)),
            errno => error_of(errno, operation, &self.label()),
        }
    }
}

fn operation_on(index: u16, change: i16, flags: i32) -> libc::sembuf {
    libc::sembuf { sem_num: index, sem_op: change, sem_flg: flags as i16 }
}

#[cfg(test)]
mod tests {
    use super::super::tests::fresh_key;
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    #[test]
    fn permits_are_taken_given_and_waited_for() {
        let semaphore = SysvSemaphore::create(SYSV_PRIVATE, 2).unwrap();
        assert!(semaphore.try_acquire(2).unwrap());
        assert!(!semaphore.try_acquire(1).unwrap());
        let error = semaphore.acquire(1, &Wait::timeout(SOON)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        semaphore.wait_for_zero(&Wait::forever()).unwrap();
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| semaphore.acquire(2, &Wait::forever()));
            while semaphore.status().unwrap().waiting == 0 {
                std::thread::yield_now();
            }
            semaphore.release(1).unwrap();
            semaphore.release(1).unwrap();
            taker.join().unwrap().unwrap();
        });
        assert_eq!(semaphore.value().unwrap(), 0);
        assert_eq!(semaphore.status().unwrap().last_pid, std::process::id() as i32);
        let stop = Wait::forever().unless(|_| true, 0);
        assert_eq!(semaphore.acquire(1, &stop).unwrap_err().kind(), ErrorKind::Interrupted);
        semaphore.remove().unwrap();
    }

    #[test]
    fn a_removed_set_wakes_its_waiters() {
        let semaphore = SysvSemaphore::create(SYSV_PRIVATE, 0).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| semaphore.acquire(1, &Wait::forever()));
            while semaphore.status().unwrap().waiting == 0 {
                std::thread::yield_now();
            }
            semaphore.remove().unwrap();
            assert_eq!(waiter.join().unwrap().unwrap_err().kind(), ErrorKind::NotFound);
        });
        assert_eq!(semaphore.release(1).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn limits_are_told() {
        let kind = |outcome: Result<()>| outcome.unwrap_err().kind();
        let options = SysvSemaphoreOptions::new().count(3).index(2).undo(false);
        let semaphore = options.create(SYSV_PRIVATE, 32767).unwrap();
        assert_eq!((semaphore.index(), semaphore.count()), (2, 3));
        assert_eq!(kind(semaphore.release(1)), ErrorKind::LimitExceeded);
        assert_eq!(kind(semaphore.release(0)), ErrorKind::InvalidArgument);
        assert_eq!(kind(semaphore.acquire(32768, &Wait::forever())), ErrorKind::InvalidArgument);
        assert_eq!(kind(semaphore.set_value(32768)), ErrorKind::InvalidArgument);
        semaphore.set_value(7).unwrap();
        assert_eq!(semaphore.value().unwrap(), 7);
        let other = SysvSemaphoreOptions::new().index(1).from_id(semaphore.id()).unwrap();
        assert_eq!(other.value().unwrap(), 32767);
        let beyond = SysvSemaphoreOptions::new().index(3);
        assert_eq!(kind(beyond.from_id(semaphore.id()).map(drop)), ErrorKind::OutOfRange);
        assert_eq!(kind(beyond.create(SYSV_PRIVATE, 0).map(drop)), ErrorKind::InvalidArgument);
        assert_eq!(kind(SysvSemaphore::create(SYSV_PRIVATE, 32768).map(drop)), ErrorKind::InvalidArgument);
        assert_eq!(kind(SysvSemaphore::open(SYSV_PRIVATE).map(drop)), ErrorKind::InvalidArgument);
        semaphore.remove().unwrap();
    }

    #[test]
    fn who_opens_waits_for_the_creator_but_not_for_a_dead_one() {
        let key = fresh_key();
        // A creator that died between its two steps.
        let id = sysv::set_get(key, 1, libc::IPC_CREAT | libc::IPC_EXCL | 0o600).unwrap();
        let error = SysvSemaphore::open_or_create(key, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        let half = SysvSemaphore::open(key).unwrap();
        assert_eq!(SysvSemaphore::open_or_create(key, 0).unwrap().id(), id, "nothing is expected in it");
        std::thread::scope(|scope| {
            let opener = scope.spawn(|| SysvSemaphore::open_or_create(key, 1));
            half.release(1).unwrap();
            assert_eq!(opener.join().unwrap().unwrap().id(), id);
        });
        half.remove().unwrap();
        let made = SysvSemaphore::open_or_create(key, 1).unwrap();
        assert_eq!(made.value().unwrap(), 1);
        made.remove().unwrap();
    }
}
