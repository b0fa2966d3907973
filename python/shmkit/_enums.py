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
    """What the program intends to do with a range."""

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
