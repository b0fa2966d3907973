"""A file as memory: one process writes through a mapping, another one reads, in any language.

main write data.bin     creates the file, maps it and writes `Hi` at offset 0
main read data.bin      maps the existing file for reading only
"""

import sys

from shmkit import Error, Mapping


def write(path: str) -> None:
    # Made when it is missing, with mode 0644, and at least 4096 bytes long; never cut short.
    with Mapping.open(path, create=True, len=4096, protection="read_write") as mapping:
        mapping[0:2] = b"Hi"
        # Others who map the file see the bytes already. This carries them to the disk.
        mapping.flush()
    print(f"wrote 2 bytes to {path}")


def read(path: str) -> None:
    with Mapping.open(path) as mapping:
        print("read:", mapping[0:2].decode())


if __name__ == "__main__":
    try:
        match sys.argv[1:]:
            case ["write", path]:
                write(path)
            case ["read", path]:
                read(path)
            case _:
                print("usage: file_mapping write|read PATH", file=sys.stderr)
                sys.exit(2)
    except Error as error:
        sys.exit(f"file_mapping: {error}")
