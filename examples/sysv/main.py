"""System V shared memory under a System V semaphore: one process writes, another one reads, in any language, with or
without this library.

main write KEY TEXT     P, write, V
main read KEY           P, read, V
main remove KEY
"""

import sys

from shmkit import Error, SysvSegment, SysvSemaphore

LEN = 4096


def write(key: int, text: str) -> None:
    # The semaphore first: who finds the segment finds what guards it.
    semaphore = SysvSemaphore.open_or_create(key, 1)
    segment = SysvSegment.open_or_create(key, LEN)
    with segment.map(protection="read_write") as mapping, semaphore:
        mapping.write_at(0, text.encode() + b"\0")
    print("wrote:", text)


def read(key: int) -> None:
    with SysvSegment.open(key).map() as mapping, SysvSemaphore.open(key):
        content = mapping[0:LEN]
    print("read:", content.split(b"\0")[0].decode())


def remove(key: int) -> None:
    SysvSegment.open(key).remove()
    SysvSemaphore.open(key).remove()
    print("removed")


if __name__ == "__main__":
    try:
        match sys.argv[1:]:
            case ["write", key, text]:
                write(int(key), text)
            case ["read", key]:
                read(int(key))
            case ["remove", key]:
                remove(int(key))
            case _:
                print("usage: sysv write KEY TEXT | read KEY | remove KEY", file=sys.stderr)
                sys.exit(2)
    except Error as error:
        sys.exit(f"sysv: {error}")
