"""Memory that no file backs: a process's own, and shared with a child that gets its descriptor.

main

A child that is forked has what is mapped; one that is started (spawn, forkserver) gets a segment as an argument, which
travels as a descriptor.
"""

import multiprocessing
import sys

from shmkit import Error, Mapping, Segment


def write(segment: Segment) -> None:
    with segment.map(protection="read_write") as mapping:
        mapping[0:2] = b"Hi"


def run() -> None:
    # Like memory of the heap, from whole pages of zeros; gone with the process.
    own = Mapping.anonymous(4096, sharing="private")
    own[0:4] = b"mine"
    print("of my own:", own[0:4].decode())

    # Shared: whoever has the descriptor has the memory, and it goes with the last of them.
    segment = Segment.memfd("example", 4096)
    child = multiprocessing.get_context("spawn").Process(target=write, args=(segment,))
    child.start()
    child.join()
    assert child.exitcode == 0, "the child failed"
    print("the child wrote:", segment.map()[0:2].decode())


if __name__ == "__main__":
    if len(sys.argv) != 1:
        print("usage: anonymous", file=sys.stderr)
        sys.exit(2)
    try:
        run()
    except Error as error:
        sys.exit(f"anonymous: {error}")
