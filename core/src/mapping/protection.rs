//! What may be done with which pages of a mapping.

use std::ops::Range;

use nix::sys::mman::ProtFlags;

/// What the pages of a mapping allow. Ask for the least that does the job.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protection {
    /// No access: every read and write is refused.
    None = 0,
    /// Reading only. The default.
    #[default]
    Read = 1,
    /// Reading and writing.
    ReadWrite = 3,
}

impl Protection {
    /// The protection with this number, as it crosses the C ABI: `PROT_READ` is 1, `PROT_WRITE` is 2.
    pub fn from_number(number: u32) -> Option<Protection> {
        [Protection::None, Protection::Read, Protection::ReadWrite].into_iter().find(|p| *p as u32 == number)
    }

    /// Whether the pages may be read.
    pub fn allows_read(self) -> bool {
        self != Protection::None
    }

    /// Whether the pages may be written.
    pub fn allows_write(self) -> bool {
        self == Protection::ReadWrite
    }

    pub(crate) fn flags(self) -> ProtFlags {
        match self {
            Protection::None => ProtFlags::PROT_NONE,
            Protection::Read => ProtFlags::PROT_READ,
            Protection::ReadWrite => ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
        }
    }
}

/// The protection of each part of a mapping: runs in order, without gaps, neighbours different.
#[derive(Debug)]
pub(crate) struct ProtectionRuns {
    /// Where each run ends, and what it allows.
    runs: Vec<(usize, Protection)>,
}

impl ProtectionRuns {
    /// One run over all `len` bytes.
    pub fn new(len: usize, protection: Protection) -> ProtectionRuns {
        ProtectionRuns { runs: vec![(len, protection)] }
    }

    /// Whether `test` holds for every byte of the range.
    #[inline]
    pub fn all(&self, range: Range<usize>, test: impl Fn(Protection) -> bool) -> bool {
        if let [(_, protection)] = self.runs[..] {
            return test(protection);
        }
        let mut start = 0;
        self.runs.iter().all(|&(end, protection)| {
            let touched = start < range.end && range.start < end;
            start = end;
            !touched || test(protection)
        })
    }

    /// What the last byte allows.
    pub fn last(&self) -> Protection {
        self.runs.last().map_or(Protection::None, |(_, protection)| *protection)
    }

    /// Makes it `len` bytes, of which new ones allow what the last one does.
    pub fn resize(&mut self, len: usize) {
        let at_end = self.runs.iter().find(|(end, _)| *end >= len).map_or(self.last(), |(_, found)| *found);
        self.runs.retain(|(end, _)| *end < len);
        push_run(&mut self.runs, len, at_end);
    }

    /// Gives the range another protection.
    pub fn set(&mut self, range: Range<usize>, protection: Protection) {
        let mut runs = Vec::with_capacity(self.runs.len() + 2);
        let mut start = 0;
        for &(end, before) in &self.runs {
            for (part_end, value) in
                [(end.min(range.start), before), (end.min(range.end), protection), (end, before)]
            {
                if part_end > start {
                    push_run(&mut runs, part_end, value);
                    start = part_end;
                }
            }
        }
        self.runs = runs;
    }
}

/// Appends a run, or makes the last one longer when it says the same.
fn push_run(runs: &mut Vec<(usize, Protection)>, end: usize, protection: Protection) {
    match runs.last_mut() {
        Some(last) if last.1 == protection => last.0 = end,
        _ => runs.push((end, protection)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against the plain model: one protection per byte.
        #[test]
        fn runs_say_what_a_byte_array_says(
            changes in prop::collection::vec((0usize..40, 0usize..40, 0u32..3), 0..12),
            probes in prop::collection::vec((0usize..40, 0usize..40), 8),
        ) {
            let pick = |n| [Protection::None, Protection::Read, Protection::ReadWrite][n as usize];
            let mut model = [Protection::Read; 40];
            let mut runs = ProtectionRuns::new(40, Protection::Read);
            for (a, b, n) in changes {
                let range = a.min(b)..a.max(b);
                model[range.clone()].fill(pick(n));
                runs.set(range, pick(n));
            }
            prop_assert_eq!(runs.runs.last().unwrap().0, 40);
            prop_assert!(runs.runs.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 != w[1].1));
            for (a, b) in probes {
                let range = a.min(b)..a.max(b);
                if range.is_empty() { continue; }
                let expected = model[range.clone()].iter().all(|p| p.allows_write());
                prop_assert_eq!(runs.all(range, Protection::allows_write), expected);
            }
        }
    }
}
