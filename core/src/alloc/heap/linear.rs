//! The chain of blocks of a heap with first or best fit, and what is done to it. Which free block to take, the index says.
//!
//! The chain begins at granule 1; each block's size leads to the next, and the last to the end. It is the truth, and valid
//! after every single store. Everything else follows from it: the bits that say where blocks begin, the sizes behind free
//! blocks, the marks that say that the block before is free, the index, the counts.
//!
//! | step | store that commits it | before it |
//! |---|---|---|
//! | allocate, with a rest | the block's word: used, shorter | the rest's word lies inside free space |
//! | allocate all of a free block | the block's word: used | it is free |
//! | set an unaligned part apart | the block's word: shorter | the second part's word lies inside free space |
//! | free, joining neighbours | the word of the first of them: free, longer | the block is live |
//! | grow in place | the block's word: longer | the rest's word lies inside free space |
//! | shrink | the block's word: shorter | the rest's word lies in bytes that are given up |
//! | publish, adopt | the block's word: another owner | |
//!
//! A free block at the end of the space, the last, is where most of what is new comes from, and gets smaller and larger all the
//! time. So it is not in the index: the end's mark and the size before it lead to it.
//!
//! A live block is the process's from the store that commits it: one that is killed before it can say where the block is
//! leaves it to be reclaimed.

use std::cell::Cell;

use super::engine::{Engine, Entry, Flaw, Live, Result, Why};
use super::space::{MIN_SIZE, Space};
use super::word::Word;
use crate::layout::{HEAP_GRANULE, HEAP_WORD_SIZE};

const GRANULE: u64 = HEAP_GRANULE as u64;
const WORD: u64 = HEAP_WORD_SIZE as u64;

/// Which free block to take. It knows every free block but the last, by its first granule and size, and leads only to those.
pub(super) trait Index {
    /// Whether it looks for a block as small as possible; else for the first.
    const SMALLEST: bool;
    fn insert(&self, space: &Space<'_>, granule: u32, size: u32) -> Result<()>;
    fn remove(&self, space: &Space<'_>, granule: u32, size: u32) -> Result<()>;
    /// A free block became another, of a size or at a place that is not the same.
    #[inline(always)]
    fn replace(&self, space: &Space<'_>, old: (u32, u32), new: (u32, u32)) -> Result<()> {
        self.remove(space, old.0, old.1)?;
        self.insert(space, new.0, new.1)
    }
    /// The block to take for this size, and how long it is.
    fn find(&self, space: &Space<'_>, size: u32) -> Result<Option<(u32, u32)>>;
    /// The size of the largest block; 0 when there is none.
    fn largest(&self, space: &Space<'_>) -> Result<u32>;
    /// Forgets all blocks.
    fn clear(&self);
    /// Checks that it is whole; how many blocks it knows.
    fn verify(&self, space: &Space<'_>) -> Result<usize>;
}

/// A chain of blocks and the index of its free ones.
pub(super) struct Linear<'a, I> {
    pub space: Space<'a>,
    pub index: I,
    /// Where granule 0 is, from the region's start.
    pub base: u64,
    /// Set when a free block could not be made known to the index.
    pub suspect: &'a Cell<bool>,
}

impl<I: Index> Engine for Linear<'_, I> {
    fn format(&self) {
        let space = &self.space;
        // Written in place: nobody knows the heap yet, and no place is outside it.
        let _ = space.set_word(space.end, Word::END.with_previous_free(true));
        let _ = space.set_word(1, Word::free(space.end - 1));
        self.space.starts.set(1);
        let _ = space.set_footer(1, space.end - 1);
    }

    #[inline(always)]
    fn allocate(&self, len: u64, align: u64, owner: u32) -> Result<Option<(u64, u64)>> {
        let Some(need) = size_for(len) else { return Ok(None) };
        if align > GRANULE {
            return self.allocate_aligned(need, align, owner);
        }
        let Some((granule, size)) = self.find(need)? else { return Ok(None) };
        self.carve(granule, size, need, true, owner).map(Some)
    }

    #[inline(always)]
    fn locate(&self, offset: u64) -> Result<Live> {
        let inside = offset.checked_sub(self.base).ok_or(Flaw::NotLive)?;
        if !inside.is_multiple_of(GRANULE) || inside / GRANULE >= u64::from(self.space.end) {
            return Err(Flaw::NotLive);
        }
        let granule = (inside / GRANULE) as u32;
        if !self.space.starts.get(granule) {
            return Err(Flaw::NotLive);
        }
        let word = self.space.block(granule)?;
        if word.is_free() { Err(Flaw::NotLive) } else { Ok(self.live(granule, word)) }
    }

    #[inline(always)]
    fn free(&self, block: Live) -> Result<()> {
        let space = &self.space;
        let granule = self.granule(block);
        let end = granule + block.size;
        let absorbed = self.free_after(end)?;
        let before = if block.previous_free { Some(space.previous(granule)?) } else { None };
        // Everything was looked at: from here on something changes.
        let (start, joined) =
            before.map_or((granule, block.size), |(first, size)| (first, size + block.size));
        let size = joined + absorbed.unwrap_or(0);
        if let (Some(_), Some(after)) = (before, absorbed) {
            self.forget(end, after)?;
        }
        space.set_word(start, Word::free(size))?;
        if before.is_some() {
            space.starts.clear(granule);
        }
        match absorbed {
            Some(_) => space.starts.clear(end),
            None => space.tell_next(end, true)?,
        }
        match (before, absorbed) {
            (None, None) => self.enter(start, size),
            (None, Some(after)) => self.reenter((end, after), (start, size)),
            (Some(before), _) => self.reenter(before, (start, size)),
        }
        Ok(())
    }

    fn resize(&self, block: Live, len: u64) -> Result<Option<Live>> {
        let space = &self.space;
        let granule = self.granule(block);
        let Some(need) = size_for(len) else { return Ok(None) };
        let end = granule + block.size;
        let absorbed = self.free_after(end)?.unwrap_or(0);
        // At most 2³², since both lie within the heap.
        let room = block.size + absorbed;
        if need > room {
            return Ok(None);
        }
        if need == block.size || need < block.size && room - need < MIN_SIZE {
            return Ok(Some(block));
        }
        if absorbed > 0 {
            self.forget(end, absorbed)?;
        }
        let rest = room - need;
        let size = if rest >= MIN_SIZE { need } else { room };
        let used = Word::used(size, block.owner).with_previous_free(block.previous_free);
        if rest >= MIN_SIZE {
            space.set_word(granule + need, Word::free(rest))?;
        }
        space.set_word(granule, used)?;
        if absorbed > 0 {
            space.starts.clear(end);
        }
        if rest >= MIN_SIZE {
            space.starts.set(granule + need);
            self.enter(granule + need, rest);
        }
        space.tell_next(granule + room, rest >= MIN_SIZE)?;
        Ok(Some(self.live(granule, used)))
    }

    fn set_owner(&self, block: Live, owner: u32) -> Result<()> {
        let owned = Word::used(block.size, owner).with_previous_free(block.previous_free);
        self.space.set_word(self.granule(block), owned)
    }

    fn each(&self, visit: &mut dyn FnMut(Entry)) -> Result<()> {
        let mut at = 1;
        while at < self.space.end {
            let word = self.chained(at)?;
            visit(Entry { live: self.live(at, word), is_free: word.is_free() });
            at += word.size();
        }
        self.expect_end()
    }

    fn largest_free(&self) -> Result<u64> {
        let last = self.last()?.map_or(0, |(_, size)| size);
        Ok(match self.index.largest(&self.space)?.max(last) {
            0 => 0,
            size => usable(size),
        })
    }

    fn rebuild(&self) -> Result<()> {
        // First without a change: a flawed chain is left as it is.
        self.each(&mut |_| {})?;
        self.suspect.set(false);
        self.space.starts.clear_all();
        self.index.clear();
        let mut at = 1;
        let mut previous_free = false;
        while at < self.space.end {
            let mut word = self.chained(at)?;
            if word.is_free() {
                word = Word::free(self.join_after(at, word.size())?);
            }
            self.space.set_word(at, word.with_previous_free(previous_free))?;
            self.space.starts.set(at);
            previous_free = word.is_free();
            if previous_free {
                self.enter(at, word.size());
            }
            at += word.size();
        }
        self.space.set_word(self.space.end, Word::END.with_previous_free(previous_free))
    }

    fn verify(&self) -> Result<()> {
        let (mut at, mut blocks, mut free, mut previous) = (1, 0, 0, None);
        while at < self.space.end {
            let word = self.chained(at)?;
            if !self.space.starts.get(at) {
                return Err(Flaw::Chain(Why::Bits, at));
            }
            if word.is_previous_free() != previous.is_some() {
                return Err(Flaw::Chain(Why::Mark, at));
            }
            if previous.is_some() && (word.is_free() || self.space.previous(at).ok() != previous) {
                return Err(Flaw::Chain(Why::Size, at));
            }
            previous = word.is_free().then_some((at, word.size()));
            blocks += 1;
            free += usize::from(word.is_free());
            at += word.size();
        }
        self.expect_end()?;
        if self.space.word(self.space.end)?.is_previous_free() != previous.is_some() {
            return Err(Flaw::Chain(Why::Mark, at));
        }
        if self.space.starts.count() != blocks {
            return Err(Flaw::Index(Why::Bits));
        }
        let known = self.index.verify(&self.space)? + usize::from(previous.is_some());
        if known == free { Ok(()) } else { Err(Flaw::Index(Why::Missing)) }
    }
}

impl<I: Index> Linear<'_, I> {
    #[inline]
    fn live(&self, granule: u32, word: Word) -> Live {
        let (offset, previous_free) = (self.offset(granule), word.is_previous_free());
        Live { offset, len: usable(word.size()), size: word.size(), owner: word.owner(), previous_free }
    }

    #[inline]
    fn offset(&self, granule: u32) -> u64 {
        self.base + u64::from(granule) * GRANULE
    }

    #[inline]
    fn granule(&self, block: Live) -> u32 {
        ((block.offset - self.base) / GRANULE) as u32
    }

    /// Granules to leave free before an aligned block: none, or enough for a block.
    fn lead(&self, granule: u32, align: u64) -> u32 {
        let at = self.offset(granule);
        let lead = (at.next_multiple_of(align) - at) / GRANULE;
        (if lead > 0 && lead < u64::from(MIN_SIZE) { lead + align / GRANULE } else { lead }) as u32
    }

    #[cold]
    #[inline(never)]
    fn allocate_aligned(&self, need: u32, align: u64, owner: u32) -> Result<Option<(u64, u64)>> {
        let Some((granule, size)) = self.find(need)? else { return Ok(None) };
        let lead = self.lead(granule, align);
        if u64::from(lead) + u64::from(need) <= u64::from(size) {
            return self.carve_behind(granule, size, lead, need, owner).map(Some);
        }
        // Wherever a block of this size is, an aligned one fits in.
        let Ok(most) = u32::try_from(u64::from(need) + align / GRANULE + 1) else { return Ok(None) };
        let Some((granule, size)) = self.find(most)? else { return Ok(None) };
        self.carve_behind(granule, size, self.lead(granule, align), need, owner).map(Some)
    }

    /// Makes a live block in a free one, `lead` granules behind its beginning.
    fn carve_behind(&self, granule: u32, size: u32, lead: u32, need: u32, owner: u32) -> Result<(u64, u64)> {
        if lead == 0 {
            return self.carve(granule, size, need, true, owner);
        }
        let space = &self.space;
        let (second, rest) = (granule + lead, size - lead);
        space.set_word(second, Word::free(rest).with_previous_free(true))?;
        space.set_word(granule, Word::free(lead))?;
        space.starts.set(second);
        self.reenter((granule, size), (granule, lead));
        self.carve(second, rest, need, false, owner)
    }

    /// Makes a live block of `need` granules of a free one, which the index knows or which was just set apart: no free block
    /// lies behind another but then.
    #[inline(always)]
    fn carve(&self, granule: u32, size: u32, need: u32, is_known: bool, owner: u32) -> Result<(u64, u64)> {
        let space = &self.space;
        let rest = size - need;
        if rest < MIN_SIZE {
            if is_known {
                self.forget(granule, size)?;
            }
            space.set_word(granule, Word::used(size, owner).with_previous_free(!is_known))?;
            space.tell_next(granule + size, false)?;
            return Ok((self.offset(granule), usable(size)));
        }
        space.set_word(granule + need, Word::free(rest))?;
        space.set_word(granule, Word::used(need, owner).with_previous_free(!is_known))?;
        space.starts.set(granule + need);
        if is_known {
            self.reenter((granule, size), (granule + need, rest));
        } else {
            self.enter(granule + need, rest);
        }
        Ok((self.offset(granule), usable(need)))
    }

    /// The size of the block at `next` if it is free.
    #[inline]
    fn free_after(&self, next: u32) -> Result<Option<u32>> {
        if next == self.space.end {
            return Ok(None);
        }
        let word = self.space.block(next)?;
        Ok(word.is_free().then_some(word.size()))
    }

    /// The block to take for this size, and how long it is.
    #[inline(always)]
    fn find(&self, need: u32) -> Result<Option<(u32, u32)>> {
        let found = self.index.find(&self.space, need)?;
        if found.is_some_and(|(_, size)| !I::SMALLEST || size == need) {
            return Ok(found);
        }
        Ok(match (found, self.last()?) {
            (None, Some((last, size))) if size >= need => Some((last, size)),
            (Some((_, other)), Some((last, size))) if size >= need && size < other => Some((last, size)),
            _ => found,
        })
    }

    /// The free block at the end of the space.
    #[inline(always)]
    fn last(&self) -> Result<Option<(u32, u32)>> {
        let end = self.space.end;
        if self.space.word(end)?.is_previous_free() { self.space.previous(end).map(Some) } else { Ok(None) }
    }

    #[inline(always)]
    fn is_last(&self, (granule, size): (u32, u32)) -> bool {
        granule + size == self.space.end
    }

    /// Takes a free block out of the index.
    #[inline(always)]
    fn forget(&self, granule: u32, size: u32) -> Result<()> {
        if self.is_last((granule, size)) { Ok(()) } else { self.index.remove(&self.space, granule, size) }
    }

    /// Makes a free block known. What made it free is committed, so a flaw here must not make it fail.
    #[inline(always)]
    fn enter(&self, granule: u32, size: u32) {
        let mut entered = self.space.set_footer(granule, size);
        if !self.is_last((granule, size)) {
            entered = entered.and_then(|()| self.index.insert(&self.space, granule, size));
        }
        self.expect(entered);
    }

    /// Makes a free block known in place of one that is no more, as [`Linear::enter`].
    #[inline(always)]
    fn reenter(&self, old: (u32, u32), new: (u32, u32)) {
        let entered = match (self.is_last(old), self.is_last(new)) {
            (true, true) => Ok(()),
            (true, false) => self.index.insert(&self.space, new.0, new.1),
            (false, true) => self.index.remove(&self.space, old.0, old.1),
            (false, false) => self.index.replace(&self.space, old, new),
        };
        // The size behind the new one may lie where the old one has a link.
        self.expect(entered.and_then(|()| self.space.set_footer(new.0, new.1)));
    }

    #[inline(always)]
    fn expect(&self, done: Result<()>) {
        if done.is_err() {
            self.suspect.set(true);
        }
    }

    /// The word of the block at `at`, which the chain led to.
    fn chained(&self, at: u32) -> Result<Word> {
        let word = self.space.word(at)?;
        let fits = word.size() >= MIN_SIZE && word.size() <= self.space.end - at;
        if fits && (word.is_free() || word.is_used()) {
            return Ok(word);
        }
        Err(Flaw::Chain(Why::NoBlock, at))
    }

    /// Joins the free blocks behind a free one to it; its new size.
    fn join_after(&self, at: u32, mut size: u32) -> Result<u32> {
        while at + size < self.space.end {
            let next = self.chained(at + size)?;
            if !next.is_free() {
                break;
            }
            size += next.size();
            self.space.set_word(at, Word::free(size))?;
        }
        Ok(size)
    }

    fn expect_end(&self) -> Result<()> {
        if self.space.word(self.space.end)?.is_end() {
            return Ok(());
        }
        Err(Flaw::Chain(Why::End, self.space.end))
    }
}

/// Granules of a block that offers `len` bytes.
#[inline]
fn size_for(len: u64) -> Option<u32> {
    let granules = len.checked_add(WORD)?.div_ceil(GRANULE);
    u32::try_from(granules).ok().map(|size| size.max(MIN_SIZE))
}

/// Bytes that a block of so many granules offers.
#[inline]
fn usable(size: u32) -> u64 {
    u64::from(size) * GRANULE - WORD
}
