"""What :meth:`Region.status` returns: dictionaries, the same in all languages.

Times end in ``_ns``: nanoseconds of CLOCK_MONOTONIC, which is ``time.monotonic_ns()``, unless they say otherwise.
Process ids are those of each process's own PID namespace.
"""

from typing import Literal, TypedDict


class Holder(TypedDict):
    """Who holds a lock."""

    #: Index of its attachment's slot.
    slot: int
    #: 0 when the slot has a new owner.
    pid: int
    alive: bool
    #: Since when at least: when somebody first had to wait for it. Taking a free lock reads no clock.
    since_ns: int | None


class Share(TypedDict):
    """What one process has of something that many can have: reading holds, permits, arrivals at a barrier."""

    slot: int
    pid: int
    alive: bool
    count: int


class AttachmentStatus(TypedDict):
    """One process's membership."""

    slot: int
    #: As the kernel says.
    alive: bool
    pid: int
    #: Inode number of its PID namespace.
    pid_namespace: int
    #: Command name.
    label: str
    attached_ns: int
    #: What one of its threads sleeps on: the object's name, empty for the guard.
    waits_for: str | None
    waits_ns: int | None


class ObjectStatus(TypedDict):
    """A named object, or the guard."""

    #: Empty for the guard.
    name: str
    #: For example ``"mutex"``.
    kind: str
    #: Who locked it, or writes.
    holder: Holder | None
    shares: list[Share]
    #: Whether somebody may wait.
    has_waiters: bool
    #: Whether an owner died and nobody made it consistent since; of a barrier, whether it is broken.
    owner_died: bool
    #: How many owners have died.
    deaths: int
    #: Permits available, the value of an atomic, 1 for an event that is set, the parties of a barrier.
    value: int | None
    #: Living processes that have it open.
    users: int


class ObjectInfo(TypedDict):
    """A named object, as :meth:`Region.objects` lists it."""

    name: str
    #: For example ``"mutex"``.
    kind: str
    #: The numbers it was created with.
    parameters: tuple[int, int]
    #: Bytes that it takes in the arena.
    nbytes: int
    #: Living processes that have it open.
    users: int


class PoolStatus(TypedDict):
    """How the blocks of a pool are distributed."""

    block_size: int
    #: Bytes from block to block.
    stride: int
    total: int
    free: int
    #: Those that processes have, dead or alive.
    owned: int
    published: int
    #: Those whose words are none that a pool writes: somebody overwrote them.
    damaged: int
    #: How many came back from the dead so far.
    recovered: int
    #: Who has how many.
    owners: list[Share]


class PoolBlockStatus(TypedDict):
    """One block of a pool."""

    index: int
    state: Literal["free", "owned", "published", "damaged"]
    #: None for a free one.
    handle: int | None
    #: Of the owner.
    slot: int | None
    #: Of the owner; 0 when there is none, or its slot has a new owner.
    pid: int
    #: Whether this process has it.
    mine: bool


class RegionStatus(TypedDict):
    """What goes on in a region."""

    #: Name or path.
    name: str
    #: User bytes.
    len: int
    #: The most user bytes that it can have.
    capacity: int
    #: Bytes for named objects, and how many belong to one, or did.
    arena_len: int
    arena_used: int
    #: When this was seen: ages count back from here.
    now_ns: int
    #: Nanoseconds since 1970.
    created_ns: int
    creator_pid: int
    #: How many processes can be attached at once.
    attachment_limit: int
    #: Every slot that somebody uses, or died in.
    attachments: list[AttachmentStatus]
    #: The guard, and then the named objects.
    objects: list[ObjectStatus]


class SysvSegmentStatus(TypedDict):
    """What the kernel knows of a System V segment."""

    #: None when it has none, also once it was removed.
    key: int | None
    len: int
    #: How many mappings there are, in all processes.
    attached: int
    mode: int
    owner: int
    group: int
    creator_pid: int
    #: Who attached or detached last; 0 for nobody yet.
    last_pid: int
    #: It goes with its last mapping.
    removed: bool


class SysvSemaphoreStatus(TypedDict):
    """What the kernel knows of a System V semaphore."""

    value: int
    waiting: int
    waiting_for_zero: int
    #: Process of the last operation; 0 for none yet.
    last_pid: int
    mode: int


class LogStatus(TypedDict):
    """A log's parameters and counters."""

    directory: str
    #: The oldest position that is kept, where the next record will be, and up to where everything is on the disk.
    start: int
    end: int
    flushed_to: int
    #: Record bytes of a segment, and the longest record.
    segment_len: int
    max_record_len: int
    #: 0: no such limit.
    max_age_ns: int
    retain_count: int
    retain_bytes: int
    #: For example ``"Interval(1s)"``.
    durability: str
    #: Base positions of the segment files.
    segments: list[int]
    #: Segments that retention has removed.
    removed_segments: int
    #: Records whose writers died before they were complete, and records that were given up.
    dead: int
    abandoned: int
    #: Places that power cuts left incomplete, and their bytes.
    cuts: int
    cut_bytes: int
    #: How often the log was made ready after a start of the machine.
    recoveries: int
    #: Flushes that ended, that failed, and the errno of the last failure.
    flushes: int
    flush_failures: int
    flush_errno: int
    #: Living processes that are attached.
    attached: int
    #: Nanoseconds since 1970.
    now_ns: int


class LogVerified(TypedDict):
    """What a look at every byte of a log found."""

    records: int
    payload_bytes: int
    dead: int
    abandoned: int
    #: Records that are being written.
    claimed: int
    fill_bytes: int
    cuts: int
    cut_bytes: int
    #: Places that hold no records where some should be, and their bytes.
    corruptions: int
    corrupted_bytes: int
    missed_bytes: int
    end: int


class LogRecovery(TypedDict):
    """What was repaired when a log was opened after the machine had stopped."""

    #: Good records that were looked at.
    records: int
    cuts: int
    cut_bytes: int
    end: int
