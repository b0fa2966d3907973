"""Carrying changes to the disk: what each way of flushing a mapped file promises, and what it costs.

main data.bin     makes a file of 16 MiB, changes it through a mapping, and flushes it in each way

- ``sync=False`` hands the pages to the kernel's write-back and returns: quick, and a power cut may still lose them.
- ``flush()`` returns when they are on the disk, or tells what the device reported.
- ``invalidate=True`` also drops cached copies that differ from the file.

Without any of them the kernel writes changes back in its own time: other processes see them at once, the disk later.
"""

import sys
import time

from shmkit import Error, Mapping, PageFlag

LEN = 16 << 20


def timed(name: str, mapping: Mapping, **how: int) -> None:
    start = time.perf_counter()
    mapping.flush(**how)
    print(f"{name:<14} {(time.perf_counter() - start) * 1e3:9.3f} ms")


def run(path: str) -> None:
    with Mapping.open(path, create=True, len=LEN, protection="read_write") as mapping:
        print("a flush reaches a device:", "yes" if mapping.persistent else "no")

        mapping[:] = b"\1" * LEN
        timed("async", mapping, sync=False)
        timed("sync", mapping)
        timed("sync again", mapping)
        mapping[:] = b"\2" * LEN
        timed("sync, one page", mapping, len=mapping.page_size)
        timed("invalidate", mapping, invalidate=True)

        pages = mapping.residency()
        dirty = pages.counts().dirty if pages.known & PageFlag.DIRTY else "unknown"
        print("pages not on the disk:", dirty)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: flush PATH", file=sys.stderr)
        sys.exit(2)
    try:
        run(sys.argv[1])
    except Error as error:
        sys.exit(f"flush: {error}")
