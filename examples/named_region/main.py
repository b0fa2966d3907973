"""A named region: one process leaves a message under the guard, another one reads it, in any language.

main write greeting     creates the region and leaves a message
main read greeting      opens it, reads the message and removes the region

The message: its length as a u32 in the machine's byte order at offset 0, its bytes at offset 4.
"""

import struct
import sys

from shmkit import Error, Region

LENGTH = struct.Struct("=I")


def write(name: str) -> None:
    message = "hello from python"
    text = message.encode()
    with Region.create(name, 4096) as region:
        # Raises OwnerDiedError when an earlier owner died inside: what the guard protects might be half-written.
        with region.lock():
            LENGTH.pack_into(region, 0, len(text))
            region[4 : 4 + len(text)] = text
        print(f"wrote: {message}")
    # The region stays when its creator closes it and ends, until somebody unlinks it.


def read(name: str) -> None:
    with Region.open(name) as region:
        with region.lock():
            (length,) = LENGTH.unpack_from(region, 0)
            text = region.read_at(4, length)  # checked: a length that leaves the region is an error
        print(f"read: {text.decode()}")
    Region.unlink(name)
    print("unlinked")


if __name__ == "__main__":
    try:
        match sys.argv[1:]:
            case ["write", name]:
                write(name)
            case ["read", name]:
                read(name)
            case _:
                print("usage: named_region write|read NAME", file=sys.stderr)
                sys.exit(2)
    except Error as error:
        sys.exit(f"named_region: {error}")
