"""The log: several programs append to it at once, one of them is killed while it writes a record, and one follows.

The same in all languages, and all may use the same log:

- ``log write DIRECTORY WRITER COUNT`` appends so many records of the kind WRITER;
- ``log claim DIRECTORY`` begins a record, and waits to be killed;
- ``log follow DIRECTORY WRITERS COUNT`` reads as long as there are records to come: so many of each writer, from 1 on;
- ``log time DIRECTORY`` says what an append costs under each flush policy, in logs of its own.
"""

import signal
import sys
import time
from collections import Counter
from typing import Any

from shmkit import Log


def write(directory: str, writer: int, count: int) -> None:
    with Log.open_or_create(directory) as log:
        for number in range(count):
            log.append(b"writer %d, record %d" % (writer, number), kind=writer)
    print(f"writer {writer} appended {count} records")


def claim(directory: str) -> None:
    log = Log.open_or_create(directory)
    with log.reserve(100) as record:
        record[:10] = b"half a rec"
        print("claimed", flush=True)
        signal.pause()


def follow(directory: str, writers: int, count: int) -> None:
    log = Log.open_or_create(directory)
    seen: Counter[int] = Counter()
    # Waits behind a record that somebody writes; if that one is killed, it goes on.
    reader = log.reader(follow=True, timeout=30)
    for record in reader:
        expected = f"writer {record.kind}, record {seen[record.kind]}"
        if record.tobytes() != expected.encode():
            sys.exit(f"not {expected}: {record.tobytes()!r}")
        seen[record.kind] += 1
        if seen.total() == writers * count:
            break
    print(f"read {seen.total()} records, each once and in order; skipped {reader.skipped}")


def time_policies(directory: str) -> None:
    policies: list[tuple[Any, dict[str, Any], int]] = [
        ("none", {}, 100_000),
        ("interval", {"interval": 0.05}, 100_000),
        ("bytes", {"flush_bytes": 1 << 20}, 100_000),
        ("group", {}, 200),
        ("every", {}, 200),
    ]
    for durability, options, count in policies:
        data = b"x" * 100
        with Log.create(f"{directory}.{durability}", durability=durability, **options) as log:
            begun = time.monotonic_ns()
            for _ in range(count):
                log.append(data)
            each_ns = (time.monotonic_ns() - begun) // count
        print(f"{durability}: {each_ns} ns a record, {log.status()['flushes']} flushes")


def main() -> None:
    match sys.argv[1:]:
        case ["write", directory, writer, count]:
            write(directory, int(writer), int(count))
        case ["claim", directory]:
            claim(directory)
        case ["follow", directory, writers, count]:
            follow(directory, int(writers), int(count))
        case ["time", directory]:
            time_policies(directory)
        case _:
            sys.exit("write DIRECTORY WRITER COUNT | claim DIRECTORY | follow DIRECTORY WRITERS COUNT | time DIRECTORY")


if __name__ == "__main__":
    main()
