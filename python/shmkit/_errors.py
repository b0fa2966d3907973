"""Everything that this package raises of its own: one class for each kind of error, named as in every language.

Each is a :class:`Error`, and so an :class:`OSError` with ``errno``, ``strerror`` and ``filename``, and also the builtin
exception that Python programs catch for such a failure. The native module looks every kind of the core up here when it
is loaded, so none can be missing.
"""

import builtins
import threading
from typing import ClassVar


class Error(OSError):
    """What was tried, on what, why it failed, and what to do next."""

    kind: ClassVar[str] = ""
    """The name that all languages share, for example ``NotFound``."""

    operation: str = ""
    """What was tried, for example ``open region``."""

    def __str__(self) -> str:
        if not self.operation:
            return super().__str__()
        target = f" '{self.filename}'" if self.filename else ""
        return f"cannot {self.operation}{target}: {self.strerror}"


class NotFoundError(Error, FileNotFoundError):
    """No object has this name."""

    kind = "NotFound"


class AlreadyExistsError(Error, FileExistsError):
    """An object with this name exists already, and creation is exclusive."""

    kind = "AlreadyExists"


class PermissionDeniedError(Error, PermissionError):
    """The system refused access."""

    kind = "PermissionDenied"


class InvalidNameError(Error, ValueError):
    """The name breaks the rules: ``[A-Za-z0-9._-]``, 1 to 200 bytes."""

    kind = "InvalidName"


class InvalidLengthError(Error, ValueError):
    """A length of zero, or one that no address space holds."""

    kind = "InvalidLength"


class InvalidArgumentError(Error, ValueError):
    """Options that contradict each other, or a value outside its limits."""

    kind = "InvalidArgument"


class OutOfRangeError(Error, IndexError, ValueError):
    """An offset or a range that leaves the mapping."""

    kind = "OutOfRange"


class NoSpaceError(Error):
    """The file system cannot hold the length asked for."""

    kind = "NoSpace"


class OutOfMemoryError(Error, MemoryError):
    """The system is out of memory, mappings or descriptors."""

    kind = "OutOfMemory"


class BadMagicError(Error):
    """The file does not begin as an object of this library does."""

    kind = "BadMagic"


class VersionMismatchError(Error):
    """The object was written by another layout version."""

    kind = "VersionMismatch"


class WrongKindError(Error):
    """The name belongs to an object of another kind."""

    kind = "WrongKind"


class TruncatedError(Error):
    """The file is shorter than the object it holds."""

    kind = "Truncated"


class CorruptedError(Error):
    """The object's own description contradicts itself."""

    kind = "Corrupted"


class SizeMismatchError(Error, ValueError):
    """The object exists with another size than the one asked for."""

    kind = "SizeMismatch"


class ReplacedError(Error):
    """The name now belongs to another object than the one meant."""

    kind = "Replaced"


class ReadOnlyError(Error, TypeError, BufferError):
    """A write through a read-only handle or view."""

    kind = "ReadOnly"


class ClosedError(Error, ValueError):
    """The handle was closed."""

    kind = "Closed"


class BusyError(Error, BufferError):
    """Something is still in use: a live view, or a lock that is held."""

    kind = "Busy"


class OwnerDiedError(Error):
    """The last owner died while it held the lock; what the lock guards may be half-written. The lock is not held."""

    kind = "OwnerDied"


class TimeoutError(Error, builtins.TimeoutError):
    """The time limit passed."""

    kind = "Timeout"


class WouldBlockError(Error, BlockingIOError):
    """The lock is held by somebody else, and waiting was not asked for."""

    kind = "WouldBlock"


class NotOwnerError(Error, RuntimeError):
    """This process does not hold the lock, or does not have the block."""

    kind = "NotOwner"


class InterruptedError(Error, builtins.InterruptedError):
    """A signal ended the wait."""

    kind = "Interrupted"


class TooManyAttachmentsError(Error):
    """All attachment slots of the region belong to living processes."""

    kind = "TooManyAttachments"


class UnsupportedError(Error):
    """The system or the file system lacks something that is needed here."""

    kind = "Unsupported"


class IoError(Error):
    """The system reported an error that has no kind of its own: see the errno."""

    kind = "Io"


class InternalError(Error):
    """A defect in this library: it stopped before it could do harm."""

    kind = "Internal"


class ParameterMismatchError(Error, ValueError):
    """The object exists with other parameters than those asked for."""

    kind = "ParameterMismatch"


class BrokenError(Error, threading.BrokenBarrierError):
    """A participant of the barrier died, or somebody broke it."""

    kind = "Broken"


class LimitExceededError(Error, ValueError):
    """More than the object's maximum."""

    kind = "LimitExceeded"


class InvalidBlockError(Error, ValueError):
    """Not a block of this object that is in use, or not in use by this process."""

    kind = "InvalidBlock"


class StaleHandleError(Error, ValueError):
    """What the handle named has passed to somebody else, or is gone."""

    kind = "StaleHandle"


class MappingTruncatedError(TruncatedError):
    """The file under a mapping was cut while it was mapped: what was missing reads as zeros."""

    kind = "MappingTruncated"


MappingTruncated = MappingTruncatedError
"""The same, by the name of its kind."""


class MissedError(Error):
    """What a reader of a log wanted next was removed before it came to it."""

    kind = "Missed"


class RecordTooLargeError(Error, ValueError):
    """A record that is longer than the log takes."""

    kind = "RecordTooLarge"
