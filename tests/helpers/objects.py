"""Names that no other test uses, and what tests left behind under them."""

import itertools
import os
import secrets
from pathlib import Path

SHM = Path("/dev/shm")
PREFIX = "shmkit."


class Names:
    """Hands out names for shared memory objects; all contain `token`, so that leftovers can be told."""

    def __init__(self) -> None:
        self.token = f"test-{os.getpid()}-{secrets.token_hex(4)}"
        self._numbers = itertools.count()

    def fresh(self) -> str:
        return f"{self.token}-{next(self._numbers)}"

    def objects(self) -> list[Path]:
        """The shared memory objects that exist under these names, with or without the library's prefix."""
        return sorted(SHM.glob(f"*{self.token}*"))

    def remove_leftovers(self) -> list[str]:
        """Removes what is left and says what it was."""
        left = self.objects()
        for path in left:
            path.unlink(missing_ok=True)
        return [path.name for path in left]


def object_path(name: str) -> Path:
    """Where the region of this name lives."""
    return SHM / f"{PREFIX}{name}"
