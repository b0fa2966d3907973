//! Payloads of three sizes between two processes: shared memory with our semaphores, beside a pipe, a Unix socket, and the
//! message queues of POSIX and System V. Every way copies the payload in on one side and out on the other.
//!
//! - `roundtrip`: there and back, the time of one such pair.
//! - `throughput`: one after the other in one direction, the time of one payload.

use std::ffi::CString;
use std::time::Instant;

use shmkit::{Region, Semaphore, SemaphoreOptions, Wait};

use crate::processes::Child;
use crate::{median, report};

const ROUNDS: usize = 7;
/// Size, its name, and how many a round sends.
const PAYLOADS: [(usize, &str, u64); 3] = [(64, "64b", 1000), (4096, "4k", 1000), (1 << 20, "1m", 20)];
/// The longest message that the queues take on a machine where nobody changed their limits.
const MESSAGE: usize = 8192;

/// A connection with two directions. Both processes have it; the first sends on 0 and receives on 1.
trait Transport {
    fn send(&self, way: usize, payload: &[u8]);
    fn receive(&self, way: usize, into: &mut [u8]);
}

fn check(outcome: isize) -> usize {
    assert!(outcome >= 0, "ipc: {}", std::io::Error::last_os_error());
    outcome as usize
}

/// Slots in shared memory, as many as the payloads that a pipe holds (64 KiB), but at least 8 and at most 256: a semaphore
/// counts the free ones, another those that are filled.
struct Slots {
    region: Region,
    len: usize,
    count: usize,
    free: [Semaphore; 2],
    filled: [Semaphore; 2],
    next: [std::cell::Cell<usize>; 2],
}

impl Slots {
    fn new(len: usize) -> Slots {
        let count = ((64 << 10) / len).clamp(8, 256);
        let region = Region::create_unnamed((2 * count * len) as u64).expect("create region");
        let semaphore = |name: &str, initial: usize| {
            region.semaphore(name, SemaphoreOptions::new(initial as u32)).expect("semaphore")
        };
        let free = [semaphore("free-0", count), semaphore("free-1", count)];
        let filled = [semaphore("filled-0", 0), semaphore("filled-1", 0)];
        Slots { len, count, free, filled, region, next: Default::default() }
    }

    fn next(&self, way: usize) -> usize {
        let slot = self.next[way].get();
        self.next[way].set((slot + 1) % self.count);
        (way * self.count + slot) * self.len
    }
}

impl Transport for Slots {
    fn send(&self, way: usize, payload: &[u8]) {
        self.free[way].acquire(&Wait::FOREVER).expect("acquire");
        self.region.write_at(self.next(way), payload).expect("write");
        self.filled[way].release(1).expect("release");
    }

    fn receive(&self, way: usize, into: &mut [u8]) {
        self.filled[way].acquire(&Wait::FOREVER).expect("acquire");
        self.region.read_at(self.next(way), into).expect("read");
        self.free[way].release(1).expect("release");
    }
}

/// Two pipes, or the two ends of a socket: what is written to and read from, by way.
struct Stream {
    write: [i32; 2],
    read: [i32; 2],
}

impl Stream {
    fn pipes() -> Stream {
        let mut pipes = [[0; 2]; 2];
        for pipe in &mut pipes {
            // SAFETY: room for two descriptors.
            check(unsafe { libc::pipe(pipe.as_mut_ptr()) } as isize);
        }
        Stream { write: [pipes[0][1], pipes[1][1]], read: [pipes[0][0], pipes[1][0]] }
    }

    fn socket() -> Stream {
        let mut ends = [0; 2];
        // SAFETY: room for two descriptors.
        check(unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, ends.as_mut_ptr()) } as isize);
        Stream { write: ends, read: [ends[1], ends[0]] }
    }
}

impl Transport for Stream {
    fn send(&self, way: usize, mut payload: &[u8]) {
        while !payload.is_empty() {
            // SAFETY: pointer and length name the payload.
            let sent = unsafe { libc::write(self.write[way], payload.as_ptr().cast(), payload.len()) };
            payload = &payload[check(sent)..];
        }
    }

    fn receive(&self, way: usize, into: &mut [u8]) {
        let mut have = 0;
        while have < into.len() {
            let rest = &mut into[have..];
            // SAFETY: pointer and length name the rest of the buffer.
            have += check(unsafe { libc::read(self.read[way], rest.as_mut_ptr().cast(), rest.len()) });
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut all = [self.write, self.read].concat();
        all.sort_unstable();
        all.dedup();
        for fd in all {
            // SAFETY: a descriptor of ours.
            unsafe { libc::close(fd) };
        }
    }
}

/// Two POSIX queues (mq_overview(7)); they have no name any more.
struct PosixQueues([i32; 2]);

impl PosixQueues {
    fn new() -> PosixQueues {
        PosixQueues(["there", "back"].map(|way| {
            let name = CString::new(format!("/bench-{}-{way}", std::process::id())).expect("a name");
            // SAFETY: integers only, of which the rest is 0.
            let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
            (attributes.mq_maxmsg, attributes.mq_msgsize) = (10, MESSAGE as _);
            let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
            // SAFETY: a C string and attributes that outlive the calls.
            unsafe {
                let queue = libc::mq_open(name.as_ptr(), flags, 0o600, &raw mut attributes);
                check(queue as isize);
                libc::mq_unlink(name.as_ptr());
                queue
            }
        }))
    }
}

impl Transport for PosixQueues {
    fn send(&self, way: usize, payload: &[u8]) {
        for part in payload.chunks(MESSAGE) {
            // SAFETY: pointer and length name the part.
            check(unsafe { libc::mq_send(self.0[way], part.as_ptr().cast(), part.len(), 0) } as isize);
        }
    }

    fn receive(&self, way: usize, into: &mut [u8]) {
        let mut message = [0u8; MESSAGE];
        for part in into.chunks_mut(MESSAGE) {
            // SAFETY: room for the longest message.
            let got = unsafe {
                let priority = std::ptr::null_mut();
                libc::mq_receive(self.0[way], message.as_mut_ptr().cast(), MESSAGE, priority)
            };
            part.copy_from_slice(&message[..check(got)]);
        }
    }
}

impl Drop for PosixQueues {
    fn drop(&mut self) {
        for queue in self.0 {
            // SAFETY: a queue of ours.
            unsafe { libc::mq_close(queue) };
        }
    }
}

/// Two System V queues (msgget(2)).
struct SysvQueues([i32; 2]);

#[repr(C)]
struct Message {
    kind: libc::c_long,
    bytes: [u8; MESSAGE],
}

impl SysvQueues {
    fn new() -> SysvQueues {
        SysvQueues([0, 1].map(|_| {
            // SAFETY: numbers only.
            let queue = unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) };
            check(queue as isize);
            queue
        }))
    }
}

impl Transport for SysvQueues {
    fn send(&self, way: usize, payload: &[u8]) {
        let mut message = Message { kind: 1, bytes: [0; MESSAGE] };
        for part in payload.chunks(MESSAGE) {
            message.bytes[..part.len()].copy_from_slice(part);
            // SAFETY: a message with as many bytes.
            check(unsafe { libc::msgsnd(self.0[way], (&raw const message).cast(), part.len(), 0) } as isize);
        }
    }

    fn receive(&self, way: usize, into: &mut [u8]) {
        let mut message = Message { kind: 0, bytes: [0; MESSAGE] };
        for part in into.chunks_mut(MESSAGE) {
            // SAFETY: room for the longest message.
            let got = unsafe { libc::msgrcv(self.0[way], (&raw mut message).cast(), MESSAGE, 0, 0) };
            part.copy_from_slice(&message.bytes[..check(got)]);
        }
    }
}

impl Drop for SysvQueues {
    fn drop(&mut self) {
        for queue in self.0 {
            // SAFETY: a queue of ours.
            unsafe { libc::msgctl(queue, libc::IPC_RMID, std::ptr::null_mut()) };
        }
    }
}

/// What the two processes do in a round.
#[derive(Clone, Copy)]
enum Case {
    RoundTrip,
    Throughput,
}

/// One transport in use: the other process answers until all rounds are over.
struct Pair<'a> {
    transport: &'a dyn Transport,
    other: Child,
    payload: Vec<u8>,
    case: Case,
    count: u64,
}

impl<'a> Pair<'a> {
    fn new(transport: &'a dyn Transport, case: Case, len: usize, count: u64) -> Pair<'a> {
        let other = Child::run(|| {
            let mut payload = vec![0; len];
            for _ in 0..=ROUNDS {
                for _ in 0..count {
                    transport.receive(0, &mut payload);
                    if matches!(case, Case::RoundTrip) {
                        transport.send(1, &payload);
                    }
                }
                if matches!(case, Case::Throughput) {
                    transport.send(1, &payload);
                }
            }
        });
        let mut pair = Pair { transport, other, payload: vec![7; len], case, count };
        pair.round();
        pair
    }

    /// Nanoseconds of one operation.
    fn round(&mut self) -> f64 {
        let start = Instant::now();
        for _ in 0..self.count {
            self.transport.send(0, &self.payload);
            if matches!(self.case, Case::RoundTrip) {
                self.transport.receive(1, &mut self.payload);
            }
        }
        if matches!(self.case, Case::Throughput) {
            // The round is over when the last payload has arrived.
            self.transport.receive(1, &mut self.payload);
        }
        start.elapsed().as_nanos() as f64 / self.count as f64
    }
}

pub fn run() {
    for (case, case_name) in [(Case::RoundTrip, "roundtrip"), (Case::Throughput, "throughput")] {
        for (len, size, count) in PAYLOADS {
            let peers: [(&str, Box<dyn Transport>); 4] = [
                ("pipe", Box::new(Stream::pipes())),
                ("unix_socket", Box::new(Stream::socket())),
                ("posix_mq", Box::new(PosixQueues::new())),
                ("sysv_mq", Box::new(SysvQueues::new())),
            ];
            for (name, peer) in &peers {
                let slots = Slots::new(len);
                let mut ours = Pair::new(&slots, case, len, count);
                let mut theirs = Pair::new(&**peer, case, len, count);
                let rounds: Vec<_> = (0..ROUNDS).map(|_| (ours.round(), theirs.round())).collect();
                let times =
                    (median(rounds.iter().map(|round| round.0)), median(rounds.iter().map(|round| round.1)));
                report(&format!("ipc.{case_name}_{size}.rust.vs_{name}"), times.0, times.1);
                ours.other.wait();
                theirs.other.wait();
            }
        }
    }
}
