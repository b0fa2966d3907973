"""What a :class:`Heap` says of itself."""

from typing import Literal, NamedTuple


class HeapStatus(NamedTuple):
    """A heap in numbers. Bytes are those that blocks offer; the words before them count nowhere."""

    len: int
    """Bytes of the heap, all in all."""
    used: int
    """Bytes of live blocks."""
    free: int
    """Bytes of free blocks."""
    largest_free: int
    """Bytes of the largest free block."""
    used_blocks: int
    """Number of live blocks."""
    published_blocks: int
    """How many of them are published."""
    free_blocks: int
    """Number of free blocks."""
    repairs: int
    """How often what is derived from the blocks was made anew, after the death of somebody who held the heap's lock."""
    reclaimed: int
    """Blocks that were taken back from the dead."""

    @property
    def fragmentation(self) -> float:
        """1 - largest free block / free bytes: 0 when all that is free is in one piece, near 1 when it is in many."""
        return 1 - self.largest_free / self.free if self.free else 0.0


class HeapBlock(NamedTuple):
    """One block of a heap."""

    offset: int
    """Where its bytes begin, from the region's start."""
    len: int
    """How many bytes it offers."""
    state: Literal["free", "published", "owned"]
    """Free space, a block that belongs to nobody, or somebody's."""
    slot: int
    """The owner's slot; 0 for a block without."""
    pid: int
    """The owner's process id; 0 when there is none, or its slot has a new owner."""
    alive: bool
    """Whether the owner lives."""


class HeapOwner(NamedTuple):
    """What one process has of a heap."""

    slot: int
    """Index of its attachment's slot."""
    pid: int
    """Process id; 0 when the slot has a new owner."""
    alive: bool
    """Whether it lives."""
    blocks: int
    """Number of its blocks."""
    bytes: int
    """Bytes that they offer."""
