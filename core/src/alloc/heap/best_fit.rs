//! Best fit: of all free blocks that are large enough, a smallest.
//!
//! Small sizes have a list each; a bit for each list says whether it holds a block, so the smallest that fits is found by one
//! bit scan. The first few of a list are in the order of their addresses: to take low ones rather than the last that became free
//! leaves fewer holes. Larger sizes share trees, two for each power of two, in which the bits of the size are the way: below the root,
//! 0 leads left and 1 right, from the highest bit that the tree's sizes do not have in common. Blocks of one size hang on one
//! node. Any node may be a leaf, so nothing needs to be balanced, and a way is never longer than the size has bits.
//!
//! ```text
//! word 0 of a free block    next << 32 | previous      of the same size
//! word 1                    right << 32 | left         trees only
//! word 2                    parent                     trees only: 0 of a block that hangs on a node, ROOT of a root
//! ```
//!
//! The links lie in the free blocks, where somebody who writes behind a block that he has can hit them. So each is followed
//! only to where a free block begins, and each block's neighbours must lead back to it.

use super::engine::{Flaw, Result, Why};
use super::linear::Index;
use super::space::Space;
use crate::atomic::Ordering::Relaxed;
use crate::layout::{HEAP_SMALL as SMALL, HeapRecord};

/// The parent of a root.
const ROOT: u32 = u32::MAX;
/// More than a way has nodes.
const LONGEST: usize = 40;

/// Of a list so many blocks at most are looked at for the place of a new one.
const ORDERED: usize = 4;

const NEIGHBOURS: usize = 0;
const CHILDREN: usize = 1;
const PARENT: usize = 2;

/// Lists and trees, whose heads are in the heap's record.
pub(super) struct BestFit<'a> {
    pub record: &'a HeapRecord,
}

impl Index for BestFit<'_> {
    const SMALLEST: bool = true;

    #[inline]
    fn insert(&self, space: &Space<'_>, granule: u32, size: u32) -> Result<()> {
        if size < SMALL {
            self.insert_small(space, granule, size)
        } else {
            self.insert_large(space, granule, size)
        }
    }

    #[inline]
    fn remove(&self, space: &Space<'_>, granule: u32, size: u32) -> Result<()> {
        if size < SMALL {
            self.remove_small(space, granule, size)
        } else {
            self.remove_large(space, granule, size)
        }
    }

    fn find(&self, space: &Space<'_>, size: u32) -> Result<Option<(u32, u32)>> {
        if size < SMALL {
            let lists = self.record.bins_used[0].load(Relaxed) >> size << size;
            if lists != 0 {
                let bin = lists.trailing_zeros();
                let granule = self.head(bin as usize);
                return match space.free_size(granule)? {
                    found if found == bin => Ok(Some((granule, found))),
                    _ => Err(Flaw::Index(Why::List)),
                };
            }
            return self.smallest_above(space, 0);
        }
        match self.find_large(space, size)? {
            Some(found) => Ok(Some(found)),
            None => self.smallest_above(space, tree_of(size) + 1),
        }
    }

    fn largest(&self, space: &Space<'_>) -> Result<u32> {
        let trees = self.record.bins_used[1].load(Relaxed);
        if trees == 0 {
            let lists = self.record.bins_used[0].load(Relaxed);
            return Ok(lists.checked_ilog2().unwrap_or(0));
        }
        let mut at = self.head(64 + trees.ilog2() as usize);
        let mut largest = 0;
        for _ in 0..LONGEST {
            if at == 0 {
                return Ok(largest);
            }
            largest = largest.max(space.free_size(at)?);
            let (left, right) = pair(space.inner(at, CHILDREN)?);
            at = if right != 0 { right } else { left };
        }
        Err(Flaw::Index(Why::Tree))
    }

    fn clear(&self) {
        self.record.bins_used.iter().for_each(|word| word.store(0, Relaxed));
        self.record.bins.iter().for_each(|head| head.store(0, Relaxed));
    }

    fn verify(&self, space: &Space<'_>) -> Result<usize> {
        let mut left = space.end as usize;
        let mut count = 0;
        for bin in 0..self.record.bins.len() {
            let used = self.record.bins_used[bin / 64].load(Relaxed) >> (bin % 64) & 1 != 0;
            let head = self.head(bin);
            if used != (head != 0) {
                return Err(Flaw::Index(Why::Heads));
            }
            if head != 0 {
                count += if bin < 64 {
                    count_list(space, head, 0, bin as u32, &mut left)?
                } else {
                    count_tree(space, head, ROOT, bin - 64, &mut left)?
                };
            }
        }
        Ok(count)
    }
}

impl BestFit<'_> {
    #[inline]
    fn head(&self, bin: usize) -> u32 {
        self.record.bins[bin % 128].load(Relaxed)
    }

    /// Makes a block the first of its list or the root of its tree; 0 leaves it empty.
    #[inline]
    fn set_head(&self, bin: usize, granule: u32) {
        self.record.bins[bin % 128].store(granule, Relaxed);
        let (word, bit) = (&self.record.bins_used[bin / 64 % 2], 1 << (bin % 64));
        let others = word.load(Relaxed) & !bit;
        word.store(if granule == 0 { others } else { others | bit }, Relaxed);
    }

    #[inline]
    fn insert_small(&self, space: &Space<'_>, granule: u32, size: u32) -> Result<()> {
        let (mut previous, mut next) = (0, self.head(size as usize));
        for _ in 0..ORDERED {
            if next == 0 || next >= granule {
                break;
            }
            space.free_size(next)?;
            (previous, next) = (next, pair(space.inner(next, NEIGHBOURS)?).1);
        }
        if next != 0 {
            space.free_size(next)?;
            set_previous(space, next, granule)?;
        }
        space.set_inner(granule, NEIGHBOURS, word(previous, next))?;
        if previous == 0 {
            self.set_head(size as usize, granule);
            return Ok(());
        }
        set_next(space, previous, granule)
    }

    #[inline]
    fn remove_small(&self, space: &Space<'_>, granule: u32, size: u32) -> Result<()> {
        let (previous, next) = pair(space.inner(granule, NEIGHBOURS)?);
        expect_neighbours(space, granule, previous, next)?;
        if previous == 0 {
            if self.head(size as usize) != granule {
                return Err(Flaw::Index(Why::List));
            }
            self.set_head(size as usize, next);
        }
        unlink(space, previous, next)
    }

    fn insert_large(&self, space: &Space<'_>, granule: u32, size: u32) -> Result<()> {
        let tree = tree_of(size);
        space.set_inner(granule, NEIGHBOURS, 0)?;
        space.set_inner(granule, CHILDREN, 0)?;
        let mut at = self.head(64 + tree);
        if at == 0 {
            space.set_inner(granule, PARENT, u64::from(ROOT))?;
            self.set_head(64 + tree, granule);
            return Ok(());
        }
        let mut way = way_of(size, tree);
        for _ in 0..LONGEST {
            if space.free_size(at)? == size {
                return hang_on(space, at, granule);
            }
            let (left, right) = pair(space.inner(at, CHILDREN)?);
            let goes_right = way >> 31 != 0;
            way <<= 1;
            let child = if goes_right { right } else { left };
            if child == 0 {
                let children = if goes_right { word(left, granule) } else { word(granule, right) };
                space.set_inner(granule, PARENT, u64::from(at))?;
                return space.set_inner(at, CHILDREN, children);
            }
            at = child;
        }
        Err(Flaw::Index(Why::Tree))
    }

    fn remove_large(&self, space: &Space<'_>, granule: u32, size: u32) -> Result<()> {
        let (previous, next) = pair(space.inner(granule, NEIGHBOURS)?);
        expect_neighbours(space, granule, previous, next)?;
        let parent = space.inner(granule, PARENT)? as u32;
        if parent == 0 {
            if previous == 0 {
                return Err(Flaw::Index(Why::Tree));
            }
            return unlink(space, previous, next);
        }
        let (left, right) = pair(space.inner(granule, CHILDREN)?);
        self.expect_child(space, parent, granule, tree_of(size))?;
        let heir = if next != 0 {
            unlink(space, 0, next)?;
            next
        } else if left == 0 && right == 0 {
            return self.replace_child(space, parent, granule, 0, tree_of(size));
        } else {
            take_leaf(space, granule)?
        };
        // What hung on the block may just have lost a leaf: read again.
        let (left, right) = pair(space.inner(granule, CHILDREN)?);
        space.set_inner(heir, CHILDREN, word(left, right))?;
        space.set_inner(heir, PARENT, u64::from(parent))?;
        for child in [left, right] {
            if child != 0 {
                space.set_inner(child, PARENT, u64::from(heir))?;
            }
        }
        self.replace_child(space, parent, granule, heir, tree_of(size))
    }

    /// Before anything changes: the way to a node ends at it.
    fn expect_child(&self, space: &Space<'_>, parent: u32, granule: u32, tree: usize) -> Result<()> {
        let known = if parent == ROOT {
            self.head(64 + tree) == granule
        } else {
            space.free_size(parent)?;
            let (left, right) = pair(space.inner(parent, CHILDREN)?);
            left == granule || right == granule
        };
        if known { Ok(()) } else { Err(Flaw::Index(Why::Tree)) }
    }

    fn replace_child(&self, space: &Space<'_>, parent: u32, old: u32, new: u32, tree: usize) -> Result<()> {
        if parent == ROOT {
            self.set_head(64 + tree, new);
            return Ok(());
        }
        let (left, right) = pair(space.inner(parent, CHILDREN)?);
        let children = if left == old { word(new, right) } else { word(left, new) };
        space.set_inner(parent, CHILDREN, children)
    }

    /// The smallest block of at least this size in the size's own tree.
    fn find_large(&self, space: &Space<'_>, size: u32) -> Result<Option<(u32, u32)>> {
        let tree = tree_of(size);
        let mut way = way_of(size, tree);
        let mut best = (0, u32::MAX);
        let mut at = self.head(64 + tree);
        // What lies right of the way is larger than all that lies on it, and the last such is the smallest.
        let mut beside = 0;
        for _ in 0..LONGEST {
            if at == 0 {
                break;
            }
            let found = space.free_size(at)?;
            if found >= size && found < best.1 {
                best = (at, found);
                if found == size {
                    return self.choose(space, best).map(Some);
                }
            }
            let (left, right) = pair(space.inner(at, CHILDREN)?);
            let goes_right = way >> 31 != 0;
            way <<= 1;
            if !goes_right && right != 0 {
                beside = right;
            }
            at = if goes_right { right } else { left };
        }
        if beside != 0 {
            let other = leftmost(space, beside)?;
            if other.1 < best.1 {
                best = other;
            }
        }
        if best.0 == 0 { Ok(None) } else { self.choose(space, best).map(Some) }
    }

    /// The smallest block of the trees from this one up.
    fn smallest_above(&self, space: &Space<'_>, tree: usize) -> Result<Option<(u32, u32)>> {
        let trees = self.record.bins_used[1].load(Relaxed).checked_shr(tree as u32).unwrap_or(0);
        if trees == 0 {
            return Ok(None);
        }
        let root = self.head(64 + tree + trees.trailing_zeros() as usize);
        let best = leftmost(space, root)?;
        self.choose(space, best).map(Some)
    }

    /// Rather a block that hangs on a node than the node: it is easier to take away.
    fn choose(&self, space: &Space<'_>, (granule, size): (u32, u32)) -> Result<(u32, u32)> {
        let (_, next) = pair(space.inner(granule, NEIGHBOURS)?);
        if next == 0 {
            return Ok((granule, size));
        }
        match space.free_size(next)? {
            found if found == size => Ok((next, size)),
            _ => Err(Flaw::Index(Why::Tree)),
        }
    }
}

/// Two links in a word: left or previous, and right or next.
#[inline]
fn pair(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}

#[inline]
fn word(first: u32, second: u32) -> u64 {
    u64::from(second) << 32 | u64::from(first)
}

/// The tree of a size: two for each power of two.
#[inline]
fn tree_of(size: u32) -> usize {
    let top = size.max(SMALL).ilog2();
    ((top - SMALL.ilog2()) * 2 + (size >> (top - 1) & 1)) as usize
}

/// The bits of a size that its tree's sizes do not have in common, from bit 31 down.
#[inline]
fn way_of(size: u32, tree: usize) -> u32 {
    let top = tree as u32 / 2 + SMALL.ilog2();
    size << (33 - top)
}

fn set_previous(space: &Space<'_>, granule: u32, previous: u32) -> Result<()> {
    let (_, next) = pair(space.inner(granule, NEIGHBOURS)?);
    space.set_inner(granule, NEIGHBOURS, word(previous, next))
}

fn set_next(space: &Space<'_>, granule: u32, next: u32) -> Result<()> {
    let (previous, _) = pair(space.inner(granule, NEIGHBOURS)?);
    space.set_inner(granule, NEIGHBOURS, word(previous, next))
}

/// Before anything changes: the neighbours of a block lead back to it.
#[inline]
fn expect_neighbours(space: &Space<'_>, granule: u32, previous: u32, next: u32) -> Result<()> {
    let leads_back = (previous == 0 || pair(space.inner(previous, NEIGHBOURS)?).1 == granule)
        && (next == 0 || pair(space.inner(next, NEIGHBOURS)?).0 == granule);
    if leads_back { Ok(()) } else { Err(Flaw::Index(Why::Link)) }
}

fn unlink(space: &Space<'_>, previous: u32, next: u32) -> Result<()> {
    if previous != 0 {
        set_next(space, previous, next)?;
    }
    if next != 0 {
        set_previous(space, next, previous)?;
    }
    Ok(())
}

/// Hangs a block on a node of its size.
fn hang_on(space: &Space<'_>, node: u32, granule: u32) -> Result<()> {
    let (previous, next) = pair(space.inner(node, NEIGHBOURS)?);
    space.set_inner(granule, PARENT, 0)?;
    space.set_inner(granule, NEIGHBOURS, word(node, next))?;
    if next != 0 {
        set_previous(space, next, granule)?;
    }
    space.set_inner(node, NEIGHBOURS, word(previous, granule))
}

/// Takes a leaf away from below a node that is none.
fn take_leaf(space: &Space<'_>, node: u32) -> Result<u32> {
    let mut at = node;
    for _ in 0..LONGEST {
        let (left, right) = pair(space.inner(at, CHILDREN)?);
        let child = if right != 0 { right } else { left };
        if child == 0 {
            return Err(Flaw::Index(Why::Tree));
        }
        space.free_size(child)?;
        if space.inner(child, CHILDREN)? == 0 {
            space.set_inner(at, CHILDREN, if right != 0 { word(left, 0) } else { 0 })?;
            return Ok(child);
        }
        at = child;
    }
    Err(Flaw::Index(Why::Tree))
}

/// The smallest block of a tree, or of a part of one: it lies on the leftmost way.
fn leftmost(space: &Space<'_>, mut at: u32) -> Result<(u32, u32)> {
    let mut best = (0, u32::MAX);
    for _ in 0..LONGEST {
        let size = space.free_size(at)?;
        if size < best.1 {
            best = (at, size);
        }
        let (left, right) = pair(space.inner(at, CHILDREN)?);
        at = if left != 0 { left } else { right };
        if at == 0 {
            return Ok(best);
        }
    }
    Err(Flaw::Index(Why::Tree))
}

/// Counts a list of blocks of one size, `left` at most.
fn count_list(
    space: &Space<'_>,
    mut at: u32,
    mut previous: u32,
    size: u32,
    left: &mut usize,
) -> Result<usize> {
    let mut count = 0;
    while at != 0 {
        let (before, next) = pair(space.inner(at, NEIGHBOURS)?);
        if space.free_size(at)? != size || before != previous || *left == 0 {
            return Err(Flaw::Index(Why::List));
        }
        *left -= 1;
        count += 1;
        previous = at;
        at = next;
    }
    Ok(count)
}

/// Counts a tree's blocks, and checks that each lies where its size says.
fn count_tree(space: &Space<'_>, root: u32, parent: u32, tree: usize, left: &mut usize) -> Result<usize> {
    let mut count = 0;
    // Node, its parent, and the bits that lead to it.
    let mut waiting = vec![(root, parent, 0, 0)];
    while let Some((at, parent, bits, depth)) = waiting.pop() {
        let size = space.free_size(at)?;
        let way = way_of(size, tree);
        let on_way = depth == 0 || way >> (32 - depth) == bits;
        if tree_of(size) != tree || size < SMALL || !on_way || space.inner(at, PARENT)? as u32 != parent {
            return Err(Flaw::Index(Why::Tree));
        }
        count += count_list(space, at, 0, size, left)?;
        let (left_child, right_child) = pair(space.inner(at, CHILDREN)?);
        for (child, bit) in [(left_child, 0), (right_child, 1)] {
            if child != 0 && depth < 31 {
                waiting.push((child, at, bits << 1 | bit, depth + 1));
            }
        }
    }
    Ok(count)
}
