"""Reading a large file at random: a mapping for each read, beside windows that are mapped once and used again.

main data.bin 256     makes a sparse file of 256 MiB (or takes the one that is there) and reads it both ways

Each mmap and munmap is a system call that changes the page table; each first touch of a page is a fault; and other
processors must be told to forget what was unmapped. A window cache pays that once for each window.
"""

import os
import sys
import time
from collections.abc import Callable

from shmkit import Error, Mapping, Usage, WindowCache

BLOCK = 4096
READS = 20_000


def work(length: int, read: Callable[[int], object]) -> tuple[Usage, float]:
    """Reads blocks at random, the same in every language, and says what that cost."""
    random = 1
    start = time.perf_counter()
    with Usage() as used:
        for _ in range(READS):
            random = (random * 6364136223846793005 + 1442695040888963407) & (1 << 64) - 1
            read((random >> 33) % (length // BLOCK) * BLOCK)
    return used, time.perf_counter() - start


def row(name: str, maps: int, unmaps: int, used: Usage, seconds: float) -> None:
    faults = used.minor_faults + used.major_faults
    share = used.kernel_ns * 100 / max(used.user_ns + used.kernel_ns, 1)
    print(f"{name:18} {maps:7} {unmaps:7} {faults:7} {seconds * 1e3:9.1f} {share:8.0f} %")


def run(path: str, length: int) -> None:
    # A file of holes is as good as any: the page cache holds zeros for them.
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:
        if os.fstat(file.fileno()).st_size < length:
            file.truncate(length)
        print(f"{length >> 20} MiB, {READS} reads of {BLOCK} bytes at random")
        print(f"{'':18} {'mmap':>7} {'munmap':>7} {'faults':>7} {'ms':>9} {'in kernel':>10}")

        def map_and_read(offset: int) -> None:
            Mapping.from_fd(file, offset=offset, len=BLOCK).read_at(0, BLOCK)

        # The first round brings the file into memory, so that both ways find it there.
        work(length, map_and_read)
        row("a map for each", READS, READS, *work(length, map_and_read))

    with WindowCache.open(path) as cache:
        cost = work(length, lambda offset: cache.read_at(offset, BLOCK))
        stats = cache.stats()
    row("windows, reused", stats.maps, 0, *cost)
    print(f"{stats.hits} of {READS} reads found their window mapped; {stats.evictions} gave their place")


if __name__ == "__main__":
    mib = int(sys.argv[2]) if len(sys.argv) == 3 and sys.argv[2].isdecimal() else 0
    if not 1 <= mib <= 1 << 20:
        print("usage: windows PATH MIB", file=sys.stderr)
        sys.exit(2)
    try:
        run(sys.argv[1], mib << 20)
    except (Error, OSError) as error:
        sys.exit(f"windows: {error}")
