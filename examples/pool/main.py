"""Frames: passed from process to process, in any language, without a copy.

main frames produce 1000   fills so many frames in place and passes each on, to whoever takes it
main frames consume 1000   takes so many, checks that each is whole, and frees it
main frames hoard          takes every block there is and keeps them: kill it, and they come back
main frames show           says how many blocks are free
main frames remove         removes the region

What is passed on is a number, the handle of a published block; the bytes stay where they are. Start producers and
consumers as often as you like: as many consumed as produced, in all.
"""

import sys

import numpy as np

from shmkit import Atomic, Error, Pool, Region

FRAME_LEN, FRAMES = 4096, 8
# A frame begins with its number and the sum of the bytes that follow, 8 bytes each.
HEADER_LEN = 16


def open_objects(name: str) -> tuple[Pool, Atomic]:
    """The blocks, and the place where a handle is left for whoever comes for it; 0 while it is empty."""
    with Region.open_or_create(name, 4096) as region:
        # Both stay open when the region's own handle goes.
        return region.pool("frames", FRAME_LEN, FRAMES), region.atomic("mailbox")


def produce(name: str, count: int) -> None:
    pool, mailbox = open_objects(name)
    places = np.arange(HEADER_LEN, FRAME_LEN)
    for number in range(count):
        frame = pool.allocate()  # waits while all blocks are in use
        pixels, header = frame.ndarray(np.uint8, offset=HEADER_LEN), frame.ndarray(np.uint64, 2)
        pixels[:] = (places + number) & 0xFF
        header[:] = number, pixels.sum(dtype=np.uint64)
        del pixels, header  # what has views cannot be passed on
        handle = frame.publish()  # from here it belongs to nobody
        left, other = mailbox.compare_exchange(0, handle)
        while not left:
            mailbox.wait(other)
            left, other = mailbox.compare_exchange(0, handle)
        mailbox.notify_all()
    print(f"passed on {count} frames")


def consume(name: str, count: int) -> None:
    pool, mailbox = open_objects(name)
    whole = 0
    for _ in range(count):
        handle = mailbox.load()
        while handle == 0 or not mailbox.compare_exchange(handle, 0)[0]:
            mailbox.wait(0)
            handle = mailbox.load()
        mailbox.notify_all()
        with pool.adopt(handle) as frame:
            pixels, header = frame.ndarray(np.uint8, offset=HEADER_LEN), frame.ndarray(np.uint64, 2)
            whole += int(pixels.sum(dtype=np.uint64) == header[1])
            del pixels, header
    print(f"took {count} frames, {whole} of them whole")


def hoard(name: str) -> None:
    pool, _ = open_objects(name)
    frames = []
    while (frame := pool.try_allocate()) is not None:
        frames.append(frame)
    print(f"took {len(frames)} blocks", flush=True)
    sys.stdin.readline()


def show(name: str) -> None:
    with Region.open(name) as region:
        pool = region.pool("frames")
    recovered, status = pool.recover(), pool.status()
    print(f"{status['free']} of {status['total']} blocks free, {recovered} came back from the dead")


def remove(name: str) -> None:
    Region.unlink(name)
    print("unlinked")


if __name__ == "__main__":
    try:
        match sys.argv[1:]:
            case [name, "produce", count] if count.isdecimal():
                produce(name, int(count))
            case [name, "consume", count] if count.isdecimal():
                consume(name, int(count))
            case [name, "hoard"]:
                hoard(name)
            case [name, "show"]:
                show(name)
            case [name, "remove"]:
                remove(name)
            case _:
                print("usage: pool NAME produce COUNT|consume COUNT|hoard|show|remove", file=sys.stderr)
                sys.exit(2)
    except Error as error:
        sys.exit(f"pool: {error}")
