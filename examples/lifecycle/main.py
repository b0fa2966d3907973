"""From creation to removal: nothing is released under somebody who still uses it.

main scratch     creates the region `scratch`, tries to close it too early, and removes it
"""

import sys

from shmkit import BusyError, ClosedError, Error, Region


def run(name: str) -> None:
    region = Region.create(name, 4096)

    # A view is the bytes themselves, without a copy: they must stay where they are while it lives.
    with memoryview(region) as view:
        view[0:10] = b"still here"
        try:
            region.close()
        except BusyError:  # also a BufferError, as with bytearray and mmap
            print("close with a live view: busy")

    with region.lock():
        try:
            region.close()
        except BusyError:
            print("close with the guard held: busy")

    region.close()
    print("closed")

    try:
        region[0]
    except ClosedError:
        print("access after close: refused")
    region.close()  # once more does no harm

    Region.unlink(name)
    print("unlinked")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: lifecycle NAME", file=sys.stderr)
        sys.exit(2)
    try:
        run(sys.argv[1])
    except Error as error:
        sys.exit(f"lifecycle: {error}")
