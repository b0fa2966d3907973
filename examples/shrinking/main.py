"""A file that somebody cuts while it is mapped: zeros and an error, and no signal.

main data.bin     maps the file, has it cut, notices, and maps what is left
"""

import os
import sys
from pathlib import Path

from shmkit import Error, Mapping, MappingTruncated


def run(path: Path) -> None:
    path.write_bytes(b"x" * 20_000)
    mapping = Mapping.open(path)
    with mapping.view() as view:  # a numpy array behaves in the same way
        print(f"mapped {len(mapping)} bytes, one of them is {view[15_000]}")

        # In practice somebody else does this, at any moment.
        os.truncate(path, 5000)

        # A view is plain memory and asks nobody: what is missing reads as zeros.
        print(f"cut: now it is {view[15_000]}")

    # So ask after using it. From here on every checked call says the same.
    for call in (mapping.check, lambda: mapping[0]):
        try:
            call()
        except MappingTruncated:
            continue
        raise AssertionError("nobody noticed")
    mapping.close()
    print("noticed")

    print(f"mapped again: {len(Mapping.open(path))} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: shrinking PATH", file=sys.stderr)
        sys.exit(2)
    try:
        run(Path(sys.argv[1]))
    except (Error, OSError) as error:
        sys.exit(f"shrinking: {error}")
