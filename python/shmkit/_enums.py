"""What a mapping is and what is done with it. Members are strings, and the strings are accepted in their place."""

from enum import StrEnum


class Protection(StrEnum):
    """What the pages of a mapping allow. Ask for the least that does the job."""

    NONE = "none"
    """No access: every read and write is refused."""
    READ = "read"
    """Reading only. The default."""
    READ_WRITE = "read_write"
    """Reading and writing."""


class Sharing(StrEnum):
    """Who sees what is written."""

    SHARED = "shared"
    """Everybody who maps the object, and the file itself. The default."""
    PRIVATE = "private"
    """Only this mapping: a page is copied at its first write."""


class Advice(StrEnum):
    """What the program intends to do with a range. An older kernel, or memory of another kind, does not take each."""

    NORMAL = "normal"
    """No special pattern."""
    RANDOM = "random"
    """Reads will jump: no read-ahead."""
    SEQUENTIAL = "sequential"
    """Reads will run forward: read far ahead."""
    WILL_NEED = "will_need"
    """The range will be needed soon: start reading it."""
    DONT_NEED = "dont_need"
    """The range will not be needed soon: pages may go, and private changes to them are lost. Whole pages only."""
    FREE = "free"
    """The content is worthless: pages may go when memory is short, and then read zeros. Private memory, whole pages."""
    REMOVE = "remove"
    """Gives the storage back: the range reads zeros, here and in the file. Writable shared maps, whole pages only."""
    MERGEABLE = "mergeable"
    """Pages with the same content may become one (private memory)."""
    UNMERGEABLE = "unmergeable"
    """Takes ``MERGEABLE`` back."""
    HUGE_PAGE = "huge_page"
    """Huge pages are welcome."""
    NO_HUGE_PAGE = "no_huge_page"
    """No huge pages."""
    DONT_DUMP = "dont_dump"
    """Leave the range out of core dumps."""
    DO_DUMP = "do_dump"
    """Takes ``DONT_DUMP`` back."""
    WIPE_ON_FORK = "wipe_on_fork"
    """A forked child finds zeros (private memory, whole pages only)."""
    KEEP_ON_FORK = "keep_on_fork"
    """Takes ``WIPE_ON_FORK`` back."""
    COLD = "cold"
    """The first to go when memory is short."""
    PAGE_OUT = "page_out"
    """Write the pages out and let them go, now."""
    POPULATE_READ = "populate_read"
    """Fault all pages in for reading, now. Fails where one cannot be read."""
    POPULATE_WRITE = "populate_write"
    """Fault all pages in for writing, now. Fails where one cannot be written."""
    DONT_NEED_LOCKED = "dont_need_locked"
    """As ``DONT_NEED``, also for pages that are locked in memory."""
    COLLAPSE = "collapse"
    """Make huge pages of the small ones, now."""


class HugePages(StrEnum):
    """Which pages a mapping is made of."""

    AS_SYSTEM = "as_system"
    """As the system decides: ``/sys/kernel/mm/transparent_hugepage``. The default."""
    TRANSPARENT = "transparent"
    """Huge where the kernel can, by advice: private memory, and files of file systems that have them."""
    NEVER = "never"
    """Never huge."""
    RESERVED = "reserved"
    """Of those that the system reserved (``/proc/sys/vm/nr_hugepages``), in its default size. Memory without a file
    only, in whole huge pages."""
    RESERVED_2MIB = "reserved_2mib"
    """As ``RESERVED``, of 2 MiB."""
    RESERVED_1GIB = "reserved_1gib"
    """As ``RESERVED``, of 1 GiB."""


class MemoryLock(StrEnum):
    """How pages are kept in memory."""

    NOW = "now"
    """All of them, read in now."""
    ON_FAULT = "on_fault"
    """Each from when it is first touched."""


class Seal(StrEnum):
    """What nobody may do to a memfd any more. A seal is never broken."""

    SEAL = "seal"
    """No more seals can be added."""
    SHRINK = "shrink"
    """It never becomes shorter: a mapping of it can be touched without a check."""
    GROW = "grow"
    """It never becomes longer."""
    WRITE = "write"
    """Its bytes never change."""
    FUTURE_WRITE = "future_write"
    """Its bytes change only through the writable mappings that exist already."""
    EXEC = "exec"
    """Its permission to be executed never changes. The kernel sets it on what cannot be executed."""


class Durability(StrEnum):
    """When records of a log reach the disk. docs/log.md says what survives what."""

    NONE = "none"
    """Nobody flushes, unless asked to. The default."""
    INTERVAL = "interval"
    """What is so old is flushed, by a thread of each process that appends."""
    BYTES = "bytes"
    """A flush begins when so many bytes were appended since the last one."""
    GROUP = "group"
    """An append returns when its record is on the disk. All who wait share a flush, across processes."""
    EVERY = "every"
    """As GROUP, but each append makes a flush of its own."""
