"""Makes a trace of what record.c recorded: pack.py RECORDED TRACE [MOST]

A trace is `shmkit trace 1`, a line break, and then one step after the other, each a number of LEB128 (seven bits a
byte, the lowest first, the top bit says that there is more):

    size << 2           allocate a block; it gets the number that became free last, else the next new one
    number << 2 | 1     free the block of this number
    number << 2 | 2     resize it; the new size follows

MOST is how many steps are taken at most; blocks that live at the end stay.
"""

import struct
import sys
from pathlib import Path

HEAD = b"shmkit trace 1\n"
ALLOCATE, FREE, RESIZE = 1, 2, 3


def leb128(number):
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def pack(records, most):
    numbers, free, known, steps = {}, [], 0, 0
    packed = bytearray(HEAD)
    for what, old, size, now in records:
        if steps == most:
            break
        size = max(size, 1)
        if what == FREE or (what == RESIZE and old not in numbers):
            number = numbers.pop(old, None)
            if what == FREE and number is not None:
                packed += leb128(number << 2 | 1)
                free.append(number)
                steps += 1
            continue
        if what == RESIZE:
            number = numbers.pop(old)
            packed += leb128(number << 2 | 2) + leb128(size)
        else:
            if free:
                number = free.pop()
            else:
                number, known = known, known + 1
            packed += leb128(size << 2)
        numbers[now] = number
        steps += 1
    return bytes(packed), steps, known


def main(recorded, trace, most="300000"):
    packed, steps, known = pack(struct.iter_unpack("<4Q", Path(recorded).read_bytes()), int(most))
    Path(trace).write_bytes(packed)
    print(f"{trace}: {steps} steps, at most {known} blocks at once, {len(packed)} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
