"""Shared memory for Python, Go, C and Rust that survives when a process is killed.

Processes open the same region by name, share its bytes without a copy, and guard them with a lock that tells the next
owner when one died::

    from shmkit import Region

    with Region.open_or_create("counters", 4096) as region:
        with region.lock():
            region[0] += 1

- :class:`Region`: a named piece of memory that processes in any language attach to.
- :class:`Guard`: a lock as ``with`` holds it, first of all the one over a region's bytes.
- :class:`Mutex`, :class:`RwLock`, :class:`Semaphore`, :class:`Condvar`, :class:`Event`, :class:`Barrier`,
  :class:`Atomic`, :class:`Value`, :class:`Pool`: named objects of a region, found or created by
  ``region.mutex("name")`` and its like.
- :class:`Heap`, :class:`Block`: blocks of any size in a region, as buffers, by ``region.heap("name", len)`` or
  ``Heap.create``.
- :class:`Mapping`: one mapped range of a file, or of memory without a file.
- :class:`Segment`: what is mapped, and how it travels: sealed memory, descriptors over sockets.
- :class:`SysvSegment`, :class:`SysvSemaphore`: System V shared memory, for programs that use it already.
- :class:`Log`: records that many processes append at once; :class:`LogHandler` puts it behind ``logging``, and
  :class:`TextLoggerFactory` behind structlog.
- :class:`CodeMemory`: machine code that is written, sealed, and then called.
- :class:`WindowCache`: a file larger than one wants mapped, through windows that are used again.
- :class:`Residency`, :class:`Usage`: what the kernel knows of pages, and what work with them cost.
- :func:`list_regions`, :meth:`Region.status`: what there is, and what goes on in it; ``python -m shmkit`` shows both.
- :meth:`Mapping.check`, :meth:`Region.check`: whether a file was cut while it was mapped; :func:`set_fault_guard`.
- :class:`Error`: the base of all exceptions, which are also the builtin ones that fit.

``shmkit.TimeoutError`` and ``shmkit.InterruptedError`` are not imported by ``from shmkit import *``, because they bear
the names of their builtin bases.
"""

from typing import TYPE_CHECKING, Any

from ._enums import Advice, Durability, HugePages, MemoryLock, Protection, Seal, Sharing
from ._errors import (
    AlreadyExistsError,
    BadMagicError,
    BrokenError,
    BusyError,
    ClosedError,
    CorruptedError,
    Error,
    InternalError,
    InterruptedError,
    InvalidArgumentError,
    InvalidBlockError,
    InvalidLengthError,
    InvalidNameError,
    IoError,
    LimitExceededError,
    MappingTruncated,
    MappingTruncatedError,
    MissedError,
    NoSpaceError,
    NotFoundError,
    NotOwnerError,
    OutOfMemoryError,
    OutOfRangeError,
    OwnerDiedError,
    ParameterMismatchError,
    PermissionDeniedError,
    ReadOnlyError,
    RecordTooLargeError,
    ReplacedError,
    SizeMismatchError,
    StaleHandleError,
    TimeoutError,
    TooManyAttachmentsError,
    TruncatedError,
    UnsupportedError,
    VersionMismatchError,
    WouldBlockError,
    WrongKindError,
)
from ._heap import HeapBlock, HeapOwner, HeapStatus
from ._native import (
    Atomic,
    Barrier,
    Block,
    CodeMemory,
    Condvar,
    Event,
    Guard,
    Heap,
    Log,
    LogReader,
    LogRecord,
    Mapping,
    Mutex,
    Pool,
    PoolBlock,
    Region,
    Reservation,
    RwLock,
    Segment,
    Semaphore,
    SysvSegment,
    SysvSemaphore,
    TextLogger,
    Ticket,
    Value,
    WindowCache,
    __version__,
    clear_soft_dirty,
    list_regions,
    set_fault_guard,
)
from ._pages import MemoryUse, PageCounts, PageFlag, Residency, Usage, WindowStats
from ._status import (
    AttachmentStatus,
    Holder,
    LogRecovery,
    LogStatus,
    LogVerified,
    ObjectInfo,
    ObjectStatus,
    PoolBlockStatus,
    PoolStatus,
    RegionStatus,
    Share,
    SysvSegmentStatus,
    SysvSemaphoreStatus,
)

if TYPE_CHECKING:
    from ._logging import LogHandler, TextLoggerFactory

for _class in list(vars().values()):
    if isinstance(_class, type):
        _class.__module__ = __name__  # Where users find it: in messages, in help() and when pickled.
del _class


def __getattr__(name: str) -> Any:
    """What needs the module ``logging``, which not everybody does."""
    if name in ("LogHandler", "TextLoggerFactory"):
        from . import _logging

        return getattr(_logging, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Advice",
    "AlreadyExistsError",
    "Atomic",
    "AttachmentStatus",
    "BadMagicError",
    "Barrier",
    "Block",
    "BrokenError",
    "BusyError",
    "ClosedError",
    "CodeMemory",
    "Condvar",
    "CorruptedError",
    "Durability",
    "Error",
    "Event",
    "Guard",
    "Heap",
    "HeapBlock",
    "HeapOwner",
    "HeapStatus",
    "Holder",
    "HugePages",
    "InternalError",
    "InvalidArgumentError",
    "InvalidBlockError",
    "InvalidLengthError",
    "InvalidNameError",
    "IoError",
    "LimitExceededError",
    "Log",
    "LogHandler",
    "LogReader",
    "LogRecord",
    "LogRecovery",
    "LogStatus",
    "LogVerified",
    "Mapping",
    "MappingTruncated",
    "MappingTruncatedError",
    "MemoryLock",
    "MemoryUse",
    "MissedError",
    "Mutex",
    "NoSpaceError",
    "NotFoundError",
    "NotOwnerError",
    "ObjectInfo",
    "ObjectStatus",
    "OutOfMemoryError",
    "OutOfRangeError",
    "OwnerDiedError",
    "PageCounts",
    "PageFlag",
    "ParameterMismatchError",
    "PermissionDeniedError",
    "Pool",
    "PoolBlock",
    "PoolBlockStatus",
    "PoolStatus",
    "Protection",
    "ReadOnlyError",
    "RecordTooLargeError",
    "Region",
    "RegionStatus",
    "ReplacedError",
    "Reservation",
    "Residency",
    "RwLock",
    "Seal",
    "Segment",
    "Semaphore",
    "Share",
    "Sharing",
    "SizeMismatchError",
    "StaleHandleError",
    "SysvSegment",
    "SysvSegmentStatus",
    "SysvSemaphore",
    "SysvSemaphoreStatus",
    "TextLogger",
    "TextLoggerFactory",
    "Ticket",
    "TooManyAttachmentsError",
    "TruncatedError",
    "UnsupportedError",
    "Usage",
    "Value",
    "VersionMismatchError",
    "WindowCache",
    "WindowStats",
    "WouldBlockError",
    "WrongKindError",
    "__version__",
    "clear_soft_dirty",
    "list_regions",
    "set_fault_guard",
]
