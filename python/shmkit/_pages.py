"""What is known of pages and windows, as calls return it; what work with them cost; and a picture."""

from __future__ import annotations

from collections import Counter
from enum import IntFlag
from typing import TYPE_CHECKING, NamedTuple, Self, SupportsIndex

from . import _native

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from matplotlib.axes import Axes


class PageFlag(IntFlag):
    """What is known of one page."""

    RESIDENT = 1
    """In memory, whoever brought it there: an access needs no disk."""
    PRESENT = 2
    """In this process's page table: an access is no page fault."""
    DIRTY = 4
    """Of a shared map of a file: changed, and not yet on the disk."""
    SOFT_DIRTY = 8
    """Written by this process since it was made or :func:`clear_soft_dirty` was called."""
    SWAPPED = 16
    """Out in swap space."""
    HUGE = 32
    """Part of a huge page."""
    ZERO = 64
    """The system's one page of zeros: read, and never written."""


class PageCounts(NamedTuple):
    """How many pages have which flag."""

    pages: int
    resident: int
    present: int
    dirty: int
    soft_dirty: int
    swapped: int
    huge: int
    zero: int


class MemoryUse(NamedTuple):
    """How much memory something takes, in bytes.

    The kernel counts by area: private memory without a file may share one with other memory of the process, which is
    counted then too.
    """

    resident: int
    """In this process's page table."""
    proportional: int
    """The same, each page divided by the number of processes that map it."""
    shared_clean: int
    """Mapped by others too, and not changed."""
    shared_dirty: int
    """Mapped by others too, and changed."""
    private_clean: int
    """Mapped by this process only, and not changed."""
    private_dirty: int
    """Mapped by this process only, and changed."""
    huge: int
    """In huge pages, transparent or reserved."""
    swapped: int
    """Out in swap space."""
    locked: int
    """Locked in memory."""


class WindowStats(NamedTuple):
    """What a window cache did so far."""

    hits: int
    """Uses that found their window mapped."""
    misses: int
    """Uses that had to map it."""
    evictions: int
    """Windows that gave their place to another."""
    bypasses: int
    """Copies that went past the windows."""
    maps: int
    """mmap(2) calls. Mapping over a window unmaps it: there is no munmap(2) until the cache is gone."""
    advices: int
    """Calls that advised the kernel of reads to come."""
    kernel_ns: int
    """Time in these calls; page faults come on top (:class:`Usage`)."""
    mapped: int
    """Windows that are mapped now."""
    views: int
    """Views that live now."""


class Usage:
    """What a piece of work cost: page faults, and processor time here and in the kernel::

        with shmkit.Usage() as used:
            total = sum(mapping[::4096])
        print(used.minor_faults, used.kernel_ns)

    Of this thread or, with ``process=True``, of the whole process.
    """

    def __init__(self, *, process: bool = False) -> None:
        self._process = process
        self._before = (0, 0, 0, 0)
        self.minor_faults = 0
        """Page faults that needed no disk."""
        self.major_faults = 0
        """Page faults that waited for a disk."""
        self.user_ns = 0
        """Processor time in the program."""
        self.kernel_ns = 0
        """Processor time in the kernel."""

    def __enter__(self) -> Self:
        self._before = _native._usage(self._process)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        after = _native._usage(self._process)
        used = [now - before for now, before in zip(after, self._before, strict=True)]
        self.minor_faults, self.major_faults, self.user_ns, self.kernel_ns = used

    def __repr__(self) -> str:
        return (
            f"<shmkit.Usage {self.minor_faults} minor and {self.major_faults} major faults, "
            f"{self.user_ns / 1e6:.1f} ms user, {self.kernel_ns / 1e6:.1f} ms kernel>"
        )


class Residency:
    """The state of each page of a range: a sequence of :class:`PageFlag`."""

    def __init__(self, states: bytes, known: int, page_size: int, name: str) -> None:
        self.states = states
        """A byte for each page, with the bits of :class:`PageFlag`: numpy and others see it as a buffer."""
        self.known = PageFlag(known)
        """The flags that this kernel tells this process; the others are never set."""
        self.page_size = page_size
        """Bytes of a page."""
        self.name = name
        """What was looked at."""

    def __len__(self) -> int:
        return len(self.states)

    def __getitem__(self, index: SupportsIndex) -> PageFlag:
        return PageFlag(self.states[index])

    def __iter__(self) -> Iterator[PageFlag]:
        return map(PageFlag, self.states)

    def counts(self) -> PageCounts:
        """How many pages have which flag."""
        seen = Counter(self.states)
        of = [sum(count for state, count in seen.items() if state & flag) for flag in PageFlag]
        return PageCounts(len(self.states), *of)

    def __repr__(self) -> str:
        counts = self.counts()
        return f"<shmkit.Residency of {counts.pages} pages, {counts.resident} resident, {counts.present} present>"

    def plot(self, ax: Axes | None = None, *, width: int | None = None) -> Axes:
        """Draws the pages row by row, ``width`` of them in each, and returns the axes. Needs matplotlib.

        Of more pages than a picture has room for, each cell shows the strongest state of several neighbours.
        """
        try:
            from . import _plot
        except ImportError as error:
            message = f"a plot needs matplotlib: pip install 'shmkit[plot]' ({error})"
            raise ImportError(message) from error
        return _plot.residency(self, ax, width)
