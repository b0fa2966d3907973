"""One file, mapped three times: shared, private, and for reading. Who sees what is written?

main data.bin
"""

import sys
from pathlib import Path

from shmkit import Error, Mapping


def show(shared: Mapping, private: Mapping, reader: Mapping) -> str:
    shared_text, private_text, reader_text = (mapping[0:6].decode().rstrip() for mapping in (shared, private, reader))
    return f"shared {shared_text}, private {private_text}, reader {reader_text}"


def run(path: str) -> None:
    with Mapping.open(path, create=True, len=4096, protection="read_write") as shared:
        shared[0:6] = b"first "

        # Copy-on-write: a page becomes this mapping's own at its first write.
        private = Mapping.open(path, protection="read_write", sharing="private")
        reader = Mapping.open(path)
        private[0:6] = b"secret"
        print("after a private write:", show(shared, private, reader))
        shared[0:6] = b"public"
        print("after a shared write:", show(shared, private, reader))
    print("the file holds:", Path(path).read_bytes()[:6].decode())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: shared_private PATH", file=sys.stderr)
        sys.exit(2)
    try:
        run(sys.argv[1])
    except Error as error:
        sys.exit(f"shared_private: {error}")
