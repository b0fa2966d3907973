"""The Python worker of the word count: see README.md in this folder for what the workers share.

wordcount CORPUS REGION [--doomed]
"""

import re
import struct
import sys
import time
from collections import Counter
from contextlib import contextmanager

import shmkit

ME = 3
WORKERS = 4

CHUNK_COUNT, CHUNK_SIZE, ACTIVE, CURSOR, INSIDE, READY, WAITING, GIVEN_BACK, GIVEN_BACK_BY = range(0, 72, 8)
TAKEN = 4096
RESULTS = 32768
RESULT_LEN = 32768
BY_WORKER = 24
BY_LENGTH = 64
DONE = 4096

WORD = re.compile(rb"[A-Za-z0-9_]+")
NUMBER = struct.Struct("=Q")


def get(shared, offset):
    return NUMBER.unpack_from(shared, offset)[0]


def put(shared, offset, value):
    NUMBER.pack_into(shared, offset, value)


def add(shared, offset, more):
    put(shared, offset, get(shared, offset) + more)


def count(text, start, end):
    """Words by length that begin between start and end, and the number of lines that end there."""
    begin = start
    if start > 0 and WORD.match(text, start - 1):
        begin = WORD.match(text, start - 1).end()
    by_length = Counter()
    for word in WORD.finditer(text, begin):
        if word.start() >= end:
            break
        by_length[min(word.end() - word.start(), 32)] += 1
    return by_length, bytes(text[start:end]).count(b"\n")


@contextmanager
def locked(region):
    """The guard. If its last owner died, the chunk that it was merging is freed first."""
    with region.lock(recover=True) as guard:
        if guard.owner_died:
            dead = get(region, INSIDE)
            done = RESULTS + get(region, ACTIVE) * RESULT_LEN + DONE
            for chunk in range(get(region, CHUNK_COUNT)):
                if dead and region[TAKEN + chunk] == dead and not region[done + chunk]:
                    region[TAKEN + chunk] = 0
                    put(region, CURSOR, min(get(region, CURSOR), chunk))
                    add(region, GIVEN_BACK, 1)
                    put(region, GIVEN_BACK_BY, ME)
            put(region, INSIDE, 0)
            guard.make_consistent()
        yield


def take_chunk(region):
    """The next free chunk, or None when there is none at the moment; and whether all are done."""
    with locked(region):
        chunk, chunk_count = get(region, CURSOR), get(region, CHUNK_COUNT)
        while chunk < chunk_count and region[TAKEN + chunk]:
            chunk += 1
        put(region, CURSOR, chunk)
        if chunk < chunk_count:
            region[TAKEN + chunk] = ME
            return chunk, False
        return None, get(region, RESULTS + get(region, ACTIVE) * RESULT_LEN + 16) == chunk_count


def merge(region, chunk, by_length, lines, doomed):
    """Adds a chunk's counts to the results; the store to ACTIVE is what makes them count."""
    with locked(region):
        put(region, INSIDE, ME)
        active = get(region, ACTIVE)
        old, new = RESULTS + active * RESULT_LEN, RESULTS + (1 - active) * RESULT_LEN
        region[new : new + RESULT_LEN] = region[old : old + RESULT_LEN]
        add(region, new, by_length.total())
        if doomed:
            put(region, WAITING, 1)
            time.sleep(60)
        add(region, new + 8, lines)
        add(region, new + 16, 1)
        add(region, new + BY_WORKER + (ME - 1) * 8, 1)
        for length, words in by_length.items():
            add(region, new + BY_LENGTH + (length - 1) * 8, words)
        region[new + DONE + chunk] = 1
        put(region, ACTIVE, 1 - active)
        put(region, INSIDE, 0)


def main(corpus_path, name, *flags):
    doomed = "--doomed" in flags
    with shmkit.Mapping.open(corpus_path) as corpus, shmkit.Region.open(name) as region:
        with locked(region):
            add(region, READY, 1)
            chunk_size = get(region, CHUNK_SIZE)
        while get(region, READY) < WORKERS:
            time.sleep(0.001)
        taken = 0
        with memoryview(corpus) as text:
            while True:
                chunk, finished = take_chunk(region)
                if finished:
                    return
                if chunk is None:
                    time.sleep(0.001)
                    continue
                taken += 1
                start = chunk * chunk_size
                by_length, lines = count(text, start, min(start + chunk_size, len(text)))
                merge(region, chunk, by_length, lines, doomed and taken == 3)


if __name__ == "__main__":
    main(*sys.argv[1:])
