"""What is opened is closed: descriptors, mappings and references, after a thousand turns."""

import asyncio
import gc
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import shmkit
from shmkit import Mapping, Region

TURNS = 1000


def resources() -> tuple[int, int]:
    """Open descriptors and mapped ranges of this process."""
    while any(thread.name.startswith("shmkit-wait") for thread in threading.enumerate()):
        time.sleep(0.01)  # for a moment, such a thread keeps what it waited for
    gc.collect()
    maps = Path("/proc/self/maps").read_text().splitlines()
    ours = [line for line in maps if "shmkit." in line or "leak-file" in line or "memfd" in line]
    return len(os.listdir("/proc/self/fd")), len(ours)


def log_used(name: str, path: Path) -> None:
    directory = path.with_name("leak-file-log")
    with shmkit.Log.open_or_create(directory, segment_len=4096, retain_count=2) as log:
        for _ in range(5):
            log.append(bytes(900))
        with log.reserve(3) as record:
            memoryview(record)[:] = b"abc"
        view = log.reader().read()
        assert view is not None
        memoryview(view)[0]


def region_closed(name: str, path: Path) -> None:
    Region.open(name).close()


def region_forgotten(name: str, path: Path) -> None:
    Region.open(name)[0] = 1


def region_viewed(name: str, path: Path) -> None:
    region = Region.open(name)
    view = region.ndarray("u4", (4, 4))[1:]
    with region.lock(timeout=1):
        view[0] = 3


def region_refused(name: str, path: Path) -> None:
    for call in (lambda: Region.create(name, 10), lambda: Region.open(path), lambda: Region.create(name + "-new", 0)):
        with pytest.raises(shmkit.Error):
            call()


def mapping_closed(name: str, path: Path) -> None:
    with Mapping.open(path), Mapping.anonymous(10):
        pass


def mapping_forgotten(name: str, path: Path) -> None:
    memoryview(Mapping.open(path))
    with pytest.raises(shmkit.Error):
        Mapping.open(path, len=1 << 20)


def objects_closed(name: str, path: Path) -> None:
    with Region.open(name) as region:
        made = objects_of(region)
    for one in made:
        one.close()


def objects_forgotten(name: str, path: Path) -> None:
    mutex, rwlock, *_ = objects_of(Region.open(name))
    with mutex.lock(timeout=1), rwlock.read(), rwlock.read(timeout=1):
        pickle.loads(pickle.dumps(mutex))


def objects_refused(name: str, path: Path) -> None:
    region = Region.open(name)
    region.mutex("mutex")
    for call in (lambda: region.event("mutex"), lambda: region.mutex("no/name"), lambda: region.barrier("x", 0)):
        with pytest.raises(shmkit.Error):
            call()


def objects_of(region: Region) -> list[Any]:
    mutex = region.mutex("mutex")
    return [
        mutex,
        region.rwlock("rwlock"),
        region.semaphore("semaphore", 1),
        region.semaphore("tracked", 1, tracked=True),
        region.condvar("condvar", mutex),
        region.event("event"),
        region.barrier("barrier", 2),
        region.atomic("atomic"),
    ]


def aio_waited(name: str, path: Path) -> None:
    async def program() -> None:
        region = Region.open(name)
        mutex = region.mutex("mutex")
        async with mutex.aio(), region.lock(timeout=1).aio():
            with pytest.raises(shmkit.TimeoutError):
                async with mutex.aio(0):
                    pass
        assert not await region.event("event").aio(0)

    asyncio.run(program())


@pytest.mark.parametrize(
    "turn",
    [
        region_closed,
        region_forgotten,
        region_viewed,
        region_refused,
        mapping_closed,
        mapping_forgotten,
        objects_closed,
        objects_forgotten,
        objects_refused,
        aio_waited,
        log_used,
    ],
)
def test_nothing_is_left(region: Region, tmp_path: Path, turn: Callable[[str, Path], None]) -> None:
    path = tmp_path / "leak-file"
    path.write_bytes(bytes(10000))
    name = region.name
    region.close()
    turn(name, path)
    before = resources()
    for _ in range(TURNS):
        turn(name, path)
    assert resources() == before


def test_views_and_guards_count_references_rightly(region: Region) -> None:
    before = sys.getrefcount(region)
    for _ in range(TURNS):
        memoryview(region).release()
        region.view(0, 8).release()
        with region.lock():
            region[0:4] = region[4:8]
        with pytest.raises(IndexError):
            region[len(region)]
        for one in objects_of(region):
            repr(one)
    gc.collect()
    assert sys.getrefcount(region) == before
