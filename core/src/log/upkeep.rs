//! Retention: the oldest segments go.
//!
//! | step | store that commits it | a death before it | a death after it |
//! |---|---|---|---|
//! | give up a segment | `start`, raised over it | nothing | readers that come to it are told that they missed it |
//! | remove its file | unlink(2) | the next to remove anything removes it too | |
//!
//! A process that has the segment mapped keeps its memory as long as it likes. Nobody waits: who finds another one at it
//! leaves it to that one.

use super::Inner;
use super::segment;
use crate::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use crate::error::Result;
use crate::protocol::party::Acquired;
use crate::protocol::word;
use crate::sys::file;

const OPERATION: &str = "remove log segments";

/// Removes what the log's parameters do not keep. Errors are none of the caller's, who has appended: the next roll tries
/// again.
pub(super) fn retain(inner: &Inner) {
    let parameters = &inner.control.parameters;
    if parameters.retain_count == 0 && parameters.retain_bytes == 0 {
        return;
    }
    let (words, memory) = (inner.control.words(), &*inner.control.memory);
    let Ok(me) = memory.me(OPERATION) else { return };
    let Some(acquired) = word::try_lock(&words.upkeep_lock, me, memory) else { return };
    if acquired == Acquired::OwnerDied {
        // Each step leaves the log in order.
        word::make_consistent(&words.upkeep_lock, me);
    }
    let _ = remove_oldest(inner);
    word::unlock(&words.upkeep_lock, me, 1, memory);
}

fn remove_oldest(inner: &Inner) -> Result<()> {
    let control = &inner.control;
    let (parameters, words) = (&control.parameters, control.words());
    let bases = segment::list(control, OPERATION)?;
    // A segment that was created ahead holds nothing yet.
    let current = control.base_of(words.tail.load(Acquire));
    let used = bases.iter().filter(|base| **base <= current).count() as u64;
    let mut keep = used;
    if parameters.retain_count > 0 {
        keep = keep.min(parameters.retain_count);
    }
    if parameters.retain_bytes > 0 {
        // The current segment counts for nothing: so much is kept at any time.
        keep = keep.min(parameters.retain_bytes.div_ceil(parameters.capacity) + 1);
    }
    let first_kept = bases[(used - keep.clamp(1, used.max(1)).min(used)) as usize..].first().copied();
    let start = first_kept.unwrap_or(current).max(words.start.load(Relaxed)).min(current);
    words.start.fetch_max(start, SeqCst);
    for base in bases.into_iter().take_while(|base| *base < start) {
        file::unlink(&segment::path(control, base))
            .map_err(|errno| control.system_error(errno, OPERATION))?;
        words.removed_segments.fetch_add(1, Relaxed);
    }
    Ok(())
}
