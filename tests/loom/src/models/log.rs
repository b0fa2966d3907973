//! The log: claim, commit, bury, and going to the next segment, on the words of two small segments.
//!
//! The words are those of the core ([`record`]); the steps stand here as in the core's `log/append.rs`, `log/tail.rs` and
//! `log/reader.rs`, with the same atomic operations in the same order, but without files. The tail may lag behind: so each
//! model runs with writers that move it by each claim, with some that let it lag, and with some that die before they move it.

use loom::sync::Arc;
use loom::sync::atomic::fence;

use self::record::Seen;
use super::{Guarded, Kernel, me, model, processes};
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use crate::layout::{LOG_ABANDONED, LOG_DEAD, LOG_FILL};
use crate::protocol::party::Party;

#[path = "../../../../core/src/log/record.rs"]
mod record;

/// Bytes of a record without a payload: what places are counted in here.
const UNIT: usize = 24;
/// Payload of a record of two places.
const LONG: usize = 24;
/// So far behind the end of a claim the tail is moved: by each claim, by each second one, or not any more.
const AT_ONCE: usize = UNIT;
const SELDOM: usize = 2 * UNIT;
const NEVER: usize = usize::MAX;

/// Two segments of as many places, one behind the other.
struct Segments {
    words: Vec<AtomicU64>,
    /// What stands behind each word: one writer's until it is committed, then to be read only.
    payloads: Vec<Arc<Guarded>>,
    capacity: usize,
    tail: AtomicU64,
    dead: AtomicU64,
}

impl Segments {
    fn new(places: usize) -> Arc<Segments> {
        Arc::new(Segments {
            words: (0..2 * places).map(|_| AtomicU64::new(0)).collect(),
            payloads: (0..2 * places).map(|_| Guarded::new()).collect(),
            capacity: places * UNIT,
            tail: AtomicU64::new(0),
            dead: AtomicU64::new(0),
        })
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        &self.words[at / UNIT]
    }

    fn room(&self, at: usize) -> usize {
        self.capacity - at % self.capacity
    }

    /// Moves the tail to `end`, unless it is near; `seen` is where it was.
    fn pull_tail(&self, mut seen: usize, end: usize, lag: usize) {
        let ends_segment = lag != NEVER && end.is_multiple_of(self.capacity);
        while seen < end && (end - seen >= lag || ends_segment) {
            match self.tail.compare_exchange(seen as u64, end as u64, SeqCst, Acquire) {
                Ok(_) => return,
                Err(now) => seen = now as usize,
            }
        }
    }

    /// What no record goes beyond that was committed by writers who let the tail lag no further.
    fn limit(&self, lag: usize) -> usize {
        let tail = self.tail.load(SeqCst) as usize;
        tail.saturating_add(lag).min(tail + self.room(tail))
    }

    /// Behind what a word describes, and not before the tail.
    fn step_over(&self, at: usize, seen: u64, lag: usize) -> (usize, usize) {
        let (_, span) = record::parse(seen, self.room(at)).expect("a word that a writer wrote");
        assert!(span > 0);
        self.pull_tail(self.tail.load(Acquire) as usize, at + span, lag);
        let tail = self.tail.load(Acquire) as usize;
        (tail.max(at + span), tail)
    }

    /// Claims room, and returns where and the word.
    fn claim(&self, me: u32, len: usize, lag: usize) -> (usize, u64) {
        let (need, claim) = (record::span(len), record::claimed(me, len));
        let mut tail = self.tail.load(Acquire) as usize;
        let mut at = tail;
        loop {
            let mut seen = self.word(at).load(Acquire);
            if seen == 0 {
                let fits = need <= self.room(at);
                let word = if fits { claim } else { record::fill(LOG_FILL, self.room(at)) };
                match self.word(at).compare_exchange(0, word, SeqCst, Acquire) {
                    Ok(_) if fits => {
                        self.pull_tail(tail, at + need, lag);
                        return (at, claim);
                    }
                    Ok(_) => seen = word,
                    Err(now) => seen = now,
                }
            }
            (at, tail) = self.step_over(at, seen, lag);
        }
    }

    fn write(&self, at: usize) {
        self.payloads[at / UNIT].increment();
    }

    /// Whether the claim became what it was to become.
    fn settle(&self, at: usize, claim: u64, to: u64) -> bool {
        self.word(at).compare_exchange(claim, to, SeqCst, Relaxed).is_ok()
    }

    fn append(&self, me: u32, len: usize, lag: usize) -> usize {
        let (at, claim) = self.claim(me, len, lag);
        self.write(at);
        assert!(self.settle(at, claim, record::committed(len)), "a living writer was buried");
        at
    }

    /// As a reader or a flush that comes to a claim. `true`: it is none any more.
    fn bury(&self, at: usize, claim: u64, owner: u32, kernel: &Kernel) -> bool {
        if !kernel.is_dead(owner) {
            return false;
        }
        if self.settle(at, claim, record::settled(claim, LOG_DEAD)) {
            self.dead.fetch_add(1, Relaxed);
        }
        true
    }

    /// Reads on from `at`: the places of the records up to where nothing is, or somebody writes.
    fn read(&self, at: &mut usize, kernel: &Kernel) -> Vec<usize> {
        let mut found = Vec::new();
        while *at < 2 * self.capacity {
            let seen = self.word(*at).load(Acquire);
            match record::parse(seen, self.room(*at)).expect("a word that a writer wrote") {
                (Seen::Free, _) => break,
                (Seen::Padding, span) => *at += span,
                (Seen::Claimed { owner }, _) => {
                    if !self.bury(*at, seen, owner, kernel) {
                        break;
                    }
                }
                (Seen::Record { .. }, span) => {
                    assert_eq!(self.payloads[*at / UNIT].get(), 1, "written once, and seen whole");
                    found.push(*at);
                    *at += span;
                }
            }
        }
        found
    }
}

/// A model with writers that move the tail, with some that let it lag, and with some that die before they move it.
fn with_a_tail_that_lags(test: impl Fn([usize; 2]) + Clone + Send + Sync + 'static) {
    with_lags(&[[AT_ONCE, AT_ONCE], [SELDOM, SELDOM], [SELDOM, NEVER], [NEVER, NEVER]], test);
}

fn with_lags(lags: &[[usize; 2]], test: impl Fn([usize; 2]) + Clone + Send + Sync + 'static) {
    for &lag in lags {
        let test = test.clone();
        model(move || test(lag));
    }
}

#[test]
fn two_log_writers_and_a_reader() {
    with_a_tail_that_lags(|lag| {
        let (log, kernel) = (Segments::new(2), Kernel::new(&[], false));
        let places = Arc::new(loom::sync::Mutex::new(Vec::new()));
        {
            let (log, kernel, places) = (Arc::clone(&log), Arc::clone(&kernel), Arc::clone(&places));
            processes(3, move |index| {
                if index == 2 {
                    let mut at = 0;
                    let found = log.read(&mut at, &kernel);
                    assert!([0, UNIT].starts_with(&found), "{found:?}");
                } else {
                    let at = log.append(me(index), 0, lag[index as usize]);
                    places.lock().unwrap().push(at);
                }
            });
        }
        let mut places = places.lock().unwrap().clone();
        places.sort_unstable();
        assert_eq!(places, [0, UNIT], "one behind the other, and both there");
        assert_eq!(log.read(&mut 0, &kernel), places);
        let tail = log.tail.load(SeqCst) as usize;
        // The two fill the segment.
        assert!(tail <= 2 * UNIT && (lag.contains(&NEVER) || tail == 2 * UNIT), "{tail}");
    });
}

#[test]
fn a_log_writer_that_died_in_a_claim_is_counted_once() {
    with_a_tail_that_lags(|lag| {
        let (log, kernel) = (Segments::new(3), Kernel::new(&[me(7)], false));
        // It died before it moved the tail.
        log.word(0).store(record::claimed(me(7), 0), Relaxed);
        {
            let (log, kernel) = (Arc::clone(&log), Arc::clone(&kernel));
            processes(3, move |index| match index {
                0 => assert_eq!(log.append(me(0), 0, lag[0]), UNIT),
                _ => assert!(log.read(&mut 0, &kernel).len() <= 1),
            });
        }
        assert_eq!(log.read(&mut 0, &kernel), [UNIT]);
        assert_eq!(log.dead.load(Relaxed), 1);
    });
}

#[test]
fn a_log_record_is_committed_or_buried() {
    // The owner is called dead while it commits: it was detached, or its claim is a forked child's copy.
    model(|| {
        let (log, kernel) = (Segments::new(2), Kernel::new(&[me(1)], false));
        let outcome = Arc::new(AtomicU64::new(0));
        let (at, claim) = log.claim(me(1), 0, AT_ONCE);
        {
            let (log, kernel, outcome) = (Arc::clone(&log), Arc::clone(&kernel), Arc::clone(&outcome));
            processes(2, move |index| {
                if index == 1 {
                    log.write(at);
                    outcome.store(u64::from(log.settle(at, claim, record::committed(0))), Relaxed);
                } else {
                    log.read(&mut 0, &kernel);
                }
            });
        }
        let committed = outcome.load(Relaxed);
        assert_eq!(log.read(&mut 0, &kernel).len() as u64, committed);
        assert_eq!(log.dead.load(Relaxed) + committed, 1);
    });
}

#[test]
fn a_log_record_that_is_given_up_is_passed() {
    with_a_tail_that_lags(|lag| {
        let (log, kernel) = (Segments::new(2), Kernel::new(&[], false));
        {
            let (log, kernel) = (Arc::clone(&log), Arc::clone(&kernel));
            processes(3, move |index| match index {
                0 => {
                    let (at, claim) = log.claim(me(0), 0, lag[0]);
                    log.write(at);
                    assert!(log.settle(at, claim, record::settled(claim, LOG_ABANDONED)));
                }
                1 => drop(log.append(me(1), 0, lag[1])),
                _ => assert!(log.read(&mut 0, &kernel).len() <= 1),
            });
        }
        assert_eq!(log.read(&mut 0, &kernel).len(), 1);
        assert_eq!(log.dead.load(Relaxed), 0);
    });
}

#[test]
fn two_log_writers_leave_a_segment() {
    // One place is left, for the short record or for none: the long one never fits.
    with_lags(&[[SELDOM, AT_ONCE], [SELDOM, NEVER]], |lag| {
        let (log, kernel) = (Segments::new(3), Kernel::new(&[], false));
        log.append(me(2), 0, AT_ONCE);
        log.append(me(2), 0, AT_ONCE);
        {
            let (log, kernel) = (Arc::clone(&log), Arc::clone(&kernel));
            processes(3, move |index| match index {
                0 => assert!(log.append(me(0), LONG, lag[0]) >= 3 * UNIT),
                1 => drop(log.append(me(1), 0, lag[1])),
                _ => assert!(log.read(&mut 0, &kernel).starts_with(&[0, UNIT])),
            });
        }
        let found = log.read(&mut 0, &kernel);
        assert_eq!(found.len(), 4, "none is filled over: {found:?}");
    });
}

#[test]
fn a_log_flush_reaches_to_what_was_committed_before_it_began() {
    model(|| {
        let log = Segments::new(3);
        let [started, reached, place, ticket] = [0; 4].map(|value| Arc::new(AtomicU64::new(value)));
        {
            let log = Arc::clone(&log);
            let [started, reached, place, ticket] = [&started, &reached, &place, &ticket].map(Arc::clone);
            processes(3, move |index| match index {
                0 => {
                    place.store(log.append(me(0), 0, SELDOM) as u64, Relaxed);
                    // The core's accesses are sequentially consistent, which loom takes for less.
                    fence(SeqCst);
                    ticket.store(started.load(SeqCst) + 1, Relaxed);
                }
                // Somebody before it or behind it, who may die before he moves the tail.
                1 => drop(log.append(me(1), 0, NEVER)),
                _ => {
                    assert_eq!(started.fetch_add(1, SeqCst), 0);
                    fence(SeqCst);
                    reached.store(log.limit(SELDOM) as u64, Relaxed);
                }
            });
        }
        let [reached, place, ticket] = [reached, place, ticket].map(|word| word.load(Relaxed));
        assert!(
            ticket == 2 || ticket == 1 && reached >= place + UNIT as u64,
            "{ticket}: {reached} of {place}"
        );
    });
}
