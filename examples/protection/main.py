"""What pages allow: the least that does the job, changed when the job changes. A write where none is allowed is an
error and no crash.

main config.bin
"""

import sys
from collections.abc import Callable

from shmkit import BusyError, Error, Mapping, PermissionDeniedError, ReadOnlyError


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except ReadOnlyError:
        return "refused, read-only"
    except BusyError:
        return "refused, busy"
    except PermissionDeniedError:
        return "refused, no access"
    return "done"


def run(path: str) -> None:
    mapping = Mapping.open(path, create=True, len=2 * 4096, protection="read_write")
    mapping[0:6] = b"config"
    mapping.protect("read", 0, 4096)
    print("a write to a read-only page:", outcome(lambda: mapping.write_at(0, b"x")))
    print("a write to the page after it:", outcome(lambda: mapping.write_at(4096, b"x")))

    # A writable view would lose what it was given.
    with mapping.view(4096, 4096, writable=True):
        print("protecting pages with a writable view:", outcome(lambda: mapping.protect("read")))
    mapping.protect("none")
    print("a read of a page without access:", outcome(lambda: mapping.read_at(0, 1)))
    mapping.protect("read_write")
    print("a write after all was allowed:", outcome(lambda: mapping.write_at(0, b"C")))

    # Opened for reading, a file can never be written through its mapping.
    reader = Mapping.open(path)
    print("allowing writes to a file open for reading:", outcome(lambda: reader.protect("read_write")))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: protection PATH", file=sys.stderr)
        sys.exit(2)
    try:
        run(sys.argv[1])
    except Error as error:
        sys.exit(f"protection: {error}")
