//! Helpers of the tests with several processes.
//!
//! A test that needs another process starts its own program again ([`Helper::start`]): the same test function runs there,
//! finds its [`role`] and plays it instead of testing.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use shmkit::{LockError, LockResult, Region};

/// Long enough for the slowest machine; what waits this long hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

const ROLE: &str = "SHMKIT_TEST_ROLE";
/// What a helper says starts so; all else on its output is the test harness's.
const SAYS: &str = "> ";

/// The part that this process plays, and what it was told at its start; `None` in the test itself.
pub fn role() -> Option<Vec<String>> {
    std::env::var(ROLE).ok().map(|role| role.split(' ').map(str::to_owned).collect())
}

/// A region's name that no other test uses; removed in the end.
pub struct Name(String);

impl Name {
    pub fn new(tag: &str) -> Name {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Name(format!("it-{tag}-{}-{number}", std::process::id()))
    }
}

impl std::ops::Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // Most tests leave the region to us; one that unlinked it itself has nothing left.
        let _ = Region::unlink(self.0.as_str());
    }
}

/// Another process that plays a part of a test. Killed when dropped.
pub struct Helper {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Helper {
    /// Starts this program again in the given role, in the function `test`.
    pub fn start(test: impl Fn(), role: &[&str]) -> Helper {
        Helper::start_under(&[], test, role)
    }

    /// The same, started by another program: `wrapper` and its arguments.
    pub fn start_under<T: Fn()>(wrapper: &[&str], _test: T, role: &[&str]) -> Helper {
        // The harness knows a test by the path of its function, without the crate's name.
        let (_, test) = std::any::type_name::<T>().split_once("::").expect("a path");
        let this_program = std::env::current_exe().expect("the path of this program");
        let mut words: Vec<_> = wrapper.iter().map(std::ffi::OsString::from).collect();
        words.push(this_program.into());
        words.extend(["--exact", test, "--nocapture"].map(Into::into));
        let mut process = Command::new(&words[0])
            .args(&words[1..])
            .env(ROLE, role.join(" "))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the test's own program starts");
        let output = BufReader::new(process.stdout.take().expect("its output is a pipe"));
        Helper { input: process.stdin.take(), process, output }
    }

    pub fn pid(&self) -> i32 {
        self.process.id() as i32
    }

    /// What the helper [`say`]s next. The test's time limit is the helper's: its waits are bounded too.
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        while self.output.read_line(&mut line).expect("the helper's output") > 0 {
            // The harness leaves its own line open when the helper speaks first.
            if let Some((_, said)) = line.split_once(SAYS) {
                return said.trim_end().to_owned();
            }
            line.clear();
        }
        panic!("the helper ended: {:?}", self.process.wait());
    }

    /// Waits until the helper says exactly this.
    pub fn expect(&mut self, word: &str) {
        assert_eq!(self.hear(), word);
    }

    /// Sends a line to the helper's [`listen`].
    pub fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().expect("the helper still listens");
        writeln!(input, "{line}").expect("the helper still listens");
    }

    /// SIGKILL; returns when the process is gone.
    pub fn kill(&mut self) -> ExitStatus {
        self.process.kill().expect("a child of ours can be killed");
        self.process.wait().expect("a child of ours can be waited for")
    }

    /// SIGKILL, leaving a zombie.
    pub fn kill_without_reaping(&self) {
        signal(self.pid(), libc::SIGKILL);
    }

    /// Stops the process, and returns when it has stopped.
    pub fn stop(&self) {
        signal(self.pid(), libc::SIGSTOP);
        let mut status = 0;
        // SAFETY: the status is ours.
        let stopped = unsafe { libc::waitpid(self.pid(), &raw mut status, libc::WUNTRACED) };
        assert!(stopped == self.pid() && libc::WIFSTOPPED(status));
    }

    /// Closes its input and waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        self.input.take();
        self.process.wait().expect("a child of ours can be waited for")
    }

    /// Closes its input and waits for its end, which must be a good one.
    pub fn finish(&mut self) {
        self.input.take();
        let status = self.process.wait().expect("a child of ours can be waited for");
        assert!(status.success(), "the helper ended with {status}, signal {:?}", status.signal());
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In a helper: tells the test.
pub fn say(word: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{SAYS}{word}").and_then(|()| out.flush()).expect("the test listens");
}

/// In a helper: the next line from the test. Ends the process when the test has closed the line.
pub fn listen() -> String {
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line).expect("the test's line") == 0 {
        std::process::exit(0);
    }
    line.trim_end().to_owned()
}

/// In a helper: nothing more to do but to wait for the test, or for death.
pub fn sleep_for_ever() -> ! {
    loop {
        listen();
    }
}

pub fn signal(pid: i32, number: i32) {
    // SAFETY: a signal touches no memory of ours.
    assert_eq!(unsafe { libc::kill(pid, number) }, 0, "{}", std::io::Error::last_os_error());
}

/// Whether a process of this number exists.
pub fn is_alive(pid: i32) -> bool {
    // SAFETY: signal 0 only asks.
    unsafe { libc::kill(pid, 0) == 0 }
}

/// A child without exec. Killed when dropped, and not waited for.
pub struct Forked(i32);

impl Forked {
    /// Runs `play` in a forked child, which then ends with status 0, or 1 if it panicked. What `play` owns is the child's
    /// to drop.
    pub fn run(play: impl FnOnce()) -> Forked {
        // SAFETY: the child runs only `play` and `_exit`; the C library keeps its own locks usable over fork.
        Forked::of(unsafe { libc::fork() }, play)
    }

    /// A child by a bare clone(2), past all handlers of the C library. It only sleeps.
    pub fn cloned_sleeper() -> Forked {
        // SAFETY: as fork(2); the child does nothing but sleep.
        Forked::of(unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) as i32 }, pause)
    }

    fn of(pid: i32, play: impl FnOnce()) -> Forked {
        if pid == 0 {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(play));
            // SAFETY: ends the child without running what belongs to its parent.
            unsafe { libc::_exit(i32::from(outcome.is_err())) };
        }
        std::mem::forget(play);
        Forked::of_pid(pid)
    }

    /// A process that somebody else started.
    pub fn of_pid(pid: i32) -> Forked {
        assert!(pid > 0, "fork failed, or kill(2) would take the number for many processes");
        Forked(pid)
    }

    pub fn pid(&self) -> i32 {
        self.0
    }

    /// Leaves it to somebody else.
    pub fn into_pid(self) -> i32 {
        let pid = self.0;
        std::mem::forget(self);
        pid
    }

    /// SIGKILL to a child of ours; returns when it is gone.
    pub fn kill(self) -> ExitStatus {
        signal(self.0, libc::SIGKILL);
        self.wait()
    }

    /// Waits for the end of a child of ours.
    pub fn wait(self) -> ExitStatus {
        let mut status = 0;
        let pid = self.into_pid();
        // SAFETY: the status is ours.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        ExitStatus::from_raw(status)
    }
}

impl Drop for Forked {
    fn drop(&mut self) {
        // SAFETY: a signal touches no memory of ours. It may have ended already.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }
}

/// In a forked child that works without end: no later than its parent it ends too, however the test comes out.
pub fn die_with_parent() {
    // SAFETY: asks the kernel for a signal.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// Sleeps until a signal ends the process; needs nothing of what a fork may have left locked.
pub fn pause() {
    loop {
        // SAFETY: waits for a signal.
        unsafe { libc::pause() };
    }
}

/// Whether a lock attempt took the lock and reported a death.
pub fn owner_died<G>(result: LockResult<G>) -> bool {
    match result {
        Ok(_) => false,
        Err(LockError::OwnerDied(_)) => true,
        Err(LockError::Failed(error)) => panic!("{error}"),
    }
}
