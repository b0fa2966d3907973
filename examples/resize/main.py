"""A region that grows and shrinks while others use it; a mapping that grows with its file.

main scratch data.bin     resizes the region `scratch` and a mapping of the file, and removes the region
"""

import sys

from shmkit import Error, Mapping, Region


def run(name: str, path: str) -> None:
    # Address space for a mebibyte, storage for a page.
    region = Region.create(name, 4096, capacity=1 << 20)
    other = Region.open(name)  # usually in another process, in any language
    region[0:4] = b"kept"

    region.resize(1_000_000)
    other[999_999] = ord("!")
    print(f"grown: {len(region)} bytes, the other sees {len(other)}")

    region.resize(4096)
    print(f"shrunk: {len(other)} bytes, {other[0:4].decode()}")
    Region.unlink(name)

    with Mapping.open(path, protection="read_write", create=True, len=4096, reserve=1 << 20) as mapping:
        with mapping.view() as view:  # stays where it is
            mapping.resize(100_000)
            mapping[99_999] = ord("!")
            print(f"the file has {len(mapping)} bytes, the view {len(view)}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print("usage: resize NAME PATH", file=sys.stderr)
        sys.exit(2)
    try:
        run(sys.argv[1], sys.argv[2])
    except Error as error:
        sys.exit(f"resize: {error}")
