"""Readings: a small struct that one process writes and any number read, in any language: nobody sees a half of one.

main station write 1000   writes so many readings, one after the other; kill it, and the last whole one stays
main station watch 1000   reads until somebody wrote that many, and checks that each is whole
main station limit 40     sets a number beside them
main station show         says which reading is the last, and the number
main station remove       removes the region

Readers wait for nobody, and a writer that is killed in the middle of a reading leaves the one before.
"""

import sys
import time

from shmkit import Error, Region, Value

# The number of the reading, and what seven sensors said: here each of them says the number.
READING = "Q7d"


def open_values(name: str) -> tuple[Value, Value]:
    with Region.open_or_create(name, 4096) as region:
        # Both stay open when the region's own handle goes.
        return region.value("reading", READING), region.value("limit", "u32", 30)


def is_whole(reading: tuple[float, ...]) -> bool:
    return len(set(reading)) == 1


def following(reading: tuple[float, ...]) -> tuple[float, ...]:
    number = int(reading[0]) + 1
    return number, *[float(number)] * 7


def write(name: str, count: int) -> None:
    reading, _ = open_values(name)
    for _ in range(count):
        reading.update(following)
    print(f"wrote {count} readings")


def watch(name: str, count: int) -> None:
    reading, _ = open_values(name)
    torn = 0
    while (now := reading.load())[0] < count:
        torn += not is_whole(now)
        time.sleep(0.0001)
    print(f"watched up to {count}, {torn} torn")


def limit(name: str, number: int) -> None:
    _, shared = open_values(name)
    shared.store(number)
    print(f"limit {number}")


def show(name: str) -> None:
    # Without a format a value is opened as whatever it is.
    with Region.open(name) as region:
        reading, shared = region.value("reading"), region.value("limit")
    now = reading.load()
    print(f"reading {now[0]}, {'whole' if is_whole(now) else 'torn'}, limit {shared.load()}")


def remove(name: str) -> None:
    Region.unlink(name)
    print("unlinked")


if __name__ == "__main__":
    try:
        match sys.argv[1:]:
            case [name, "write", count] if count.isdecimal():
                write(name, int(count))
            case [name, "watch", count] if count.isdecimal():
                watch(name, int(count))
            case [name, "limit", number] if number.isdecimal():
                limit(name, int(number))
            case [name, "show"]:
                show(name)
            case [name, "remove"]:
                remove(name)
            case _:
                print("usage: value NAME write COUNT|watch COUNT|limit NUMBER|show|remove", file=sys.stderr)
                sys.exit(2)
    except Error as error:
        sys.exit(f"value: {error}")
