"""Counters: any number of processes, in any language, count together in one region, and none loses what it counted.

main counters 100000     adds to three counters, so many times; start it as often as you like at the same time
main counters show       says what they are
main counters remove     removes the region

The first is an atomic number, the second a plain one under a mutex, the third a plain one under a reader-writer lock.
"""

import struct
import sys

from shmkit import Error, Guard, Region

NUMBER = struct.Struct("=Q")
# Where the plain numbers are in the region.
UNDER_MUTEX, UNDER_RWLOCK = 0, 8


def add_one(region: Region, offset: int, guard: Guard) -> None:
    with guard:
        if guard.owner_died:
            # The lock is held even so. A number that is written at once is whole: there is nothing to repair.
            guard.make_consistent()
        (number,) = NUMBER.unpack_from(region, offset)
        NUMBER.pack_into(region, offset, number + 1)


def add(name: str, count: int) -> None:
    with Region.open_or_create(name, 4096) as region:
        # Each object is found by its name, or created by the process that comes first.
        total = region.atomic("total", "u64")
        totals = region.mutex("totals").lock(recover=True)
        table = region.rwlock("table").write(recover=True)
        for _ in range(count):
            total.add(1)
            add_one(region, UNDER_MUTEX, totals)
            add_one(region, UNDER_RWLOCK, table)
    print(f"added {count} three times")


def show(name: str) -> None:
    with Region.open(name) as region:
        # Without the locks: each number is read at once, and nobody has to wait for us.
        (mutex,), (rwlock,) = NUMBER.unpack_from(region, UNDER_MUTEX), NUMBER.unpack_from(region, UNDER_RWLOCK)
        print(f"atomic {region.atomic('total', 'u64').load()}, mutex {mutex}, rwlock {rwlock}")


def remove(name: str) -> None:
    Region.unlink(name)
    print("unlinked")


if __name__ == "__main__":
    try:
        match sys.argv[1:]:
            case [name, "show"]:
                show(name)
            case [name, "remove"]:
                remove(name)
            case [name, count] if count.isdecimal():
                add(name, int(count))
            case _:
                print("usage: counter NAME COUNT|show|remove", file=sys.stderr)
                sys.exit(2)
    except Error as error:
        sys.exit(f"counter: {error}")
