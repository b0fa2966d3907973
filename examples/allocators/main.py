"""What a real program allocated, played on heaps of the three strategies.

    main TRACE             tells how fragmented each heap is after each tenth of the trace
    main TRACE --plot      draws it too: with matplotlib into allocators.png, without it here

A trace is what tools/trace.sh makes; tests/traces has one of a Python program that compiles parts of its own library,
and one of a data base that fills, searches and changes tables.
"""

import os
import sys
from pathlib import Path

from shmkit import Error, Heap, Region

HEAP_LEN = 16 << 20
HEAD = b"shmkit trace 1\n"
ALLOCATE, FREE, RESIZE = 0, 1, 2
STRATEGIES = ("best_fit", "first_fit", "buddy")


def numbers(content):
    """The numbers of a trace: seven bits a byte, the lowest first."""
    value = shift = 0
    for byte in content:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield value
            value = shift = 0


def read_trace(path):
    """The steps of a trace: the two lowest bits of a number say what is done."""
    content = Path(path).read_bytes()
    if not content.startswith(HEAD):
        raise ValueError(path)
    steps, words = [], numbers(content[len(HEAD) :])
    for word in words:
        what, argument = word & 3, word >> 2
        steps.append((what, argument, next(words) if what == RESIZE else argument))
    return steps


def play(strategy, steps, name):
    """Prints what the heap says, and returns the fragmentation after each tenth."""
    heap = Heap.create(name, HEAP_LEN, strategy=strategy)
    Region.unlink(name)
    # Blocks have numbers in a trace. A number that became free last is the next to be given.
    blocks, free_numbers, course, most_used = [], [], [], 0
    tenth = max(len(steps) // 10, 1)
    for index, (what, number, length) in enumerate(steps, 1):
        if what == ALLOCATE:
            block = heap.allocate(length)
            if free_numbers:
                blocks[free_numbers.pop()] = block
            else:
                blocks.append(block)
        elif what == FREE:
            blocks[number].free()
            free_numbers.append(number)
        else:
            blocks[number].resize(length)
        if index % tenth == 0:
            status = heap.status()
            course.append(status.fragmentation)
            most_used = max(most_used, status.used)
    heap.check()
    label = strategy.replace("_", " ")
    print(f"{label}: fragmentation {' '.join(f'{value:.3f}' for value in course)}")
    print(f"  at most {most_used // 1024} KiB used, {heap.status().free_blocks} free blocks at the end")
    return course


def plot(courses):
    """A picture in a file, or bars in the terminal."""
    try:
        from matplotlib import pyplot
    except ImportError:
        for strategy, course in courses.items():
            print(f"\n{strategy.replace('_', ' ')}")
            for tenth, value in enumerate(course, 1):
                print(f"{tenth:4}0 % |{'#' * round(value * 60):60}| {value:.3f}")
        return
    for strategy, course in courses.items():
        pyplot.plot(range(10, 10 * len(course) + 1, 10), course, label=strategy.replace("_", " "))
    pyplot.xlabel("% of the trace")
    pyplot.ylabel("fragmentation: 1 - largest free block / free bytes")
    pyplot.legend()
    pyplot.savefig("allocators.png")
    print("\nallocators.png")


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["--plot"]):
        print("usage: allocators TRACE [--plot]", file=sys.stderr)
        return 2
    try:
        steps = read_trace(sys.argv[1])
    except (OSError, ValueError):
        print(f"allocators: {sys.argv[1]} is no trace", file=sys.stderr)
        return 1
    try:
        courses = {strategy: play(strategy, steps, f"allocators-{os.getpid()}") for strategy in STRATEGIES}
    except Error as error:
        print(f"allocators: {error}", file=sys.stderr)
        return 1
    if sys.argv[2:]:
        plot(courses)
    return 0


if __name__ == "__main__":
    sys.exit(main())
