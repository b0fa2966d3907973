"""A program that mypy must accept in strict mode, and whose types must come out as said."""

import ctypes
import logging
from pathlib import Path
from typing import assert_type

import numpy as np
import numpy.typing as npt

import shmkit
from shmkit import (
    Advice,
    Condvar,
    Durability,
    Guard,
    Log,
    LogRecord,
    Mapping,
    Mutex,
    Protection,
    Region,
    Semaphore,
    Sharing,
    Ticket,
)


def use_region(name: str) -> bytes:
    with Region.open_or_create(name, 4096, mode=0o660, attachments=16) as region:
        assert_type(region, Region)
        with region.lock(timeout=1.5, recover=True) as guard:
            assert_type(guard, Guard)
            if guard.owner_died:
                guard.make_consistent()
            region[0] += 1
            region[0:4] = bytearray(4)
            region.write_at(8, np.zeros(3))
        assert_type(region[0], int)
        assert_type(region[0:4], bytes)
        assert_type(region.location, str | Path)
        assert_type(region.ndarray(np.float64, (2, 2)), npt.NDArray[np.float64])
        with memoryview(region) as view, region.readonly() as readonly:
            ctypes.c_int.from_buffer(view)
            bytes(readonly)
        if region.guard.acquire(blocking=False):
            region.guard.release()
        return region.read_at(0, 4)


def use_mapping(path: Path) -> int:
    try:
        with Mapping.open(path, protection="read_write", sharing=Sharing.PRIVATE) as mapping:
            mapping.advise(Advice.SEQUENTIAL)
            mapping.protect(Protection.READ, len=4096)
            return mapping[-1]
    except shmkit.NotFoundError as error:
        assert_type(error.kind, str)
        return error.errno or 0


def use_log(path: Path) -> list[int]:
    with Log.open_or_create(path, durability=Durability.INTERVAL, interval=0.5) as log:
        assert_type(log.append(b"x"), int)
        assert_type(log.append_deferred(bytearray(3), kind=2), Ticket)
        with log.reserve(8) as record:
            record[:4] = b"1234"
            assert_type(record[0], int)
        log.on_durable(log.ticket(), lambda error: print(error))
        for found in log.reader("start", follow=True, timeout=0.1):
            assert_type(found, LogRecord)
            assert_type(found.data, memoryview)
        assert_type(log.status()["dead"], int)
        return log.append_batch([b"a", memoryview(b"b")])


async def await_log(log: Log) -> None:
    await log.durable(log.append_deferred(b"x"))
    async for record in log.reader(log.start, follow=True):
        assert_type(record, LogRecord)


def log_by_the_standard_library(log: Log) -> logging.Logger:
    logger = logging.Logger("typed")
    logger.addHandler(shmkit.LogHandler(log, logging.INFO))
    assert_type(shmkit.TextLoggerFactory(log)(), shmkit.TextLogger)
    return logger


def use_objects(region: Region) -> int:
    mutex = region.mutex("mutex")
    with mutex as held:
        assert_type(held, Mutex)
    with mutex.lock(timeout=1, recover=True) as guard:
        assert_type(guard, Guard)
    rwlock = region.rwlock("rwlock")
    with rwlock.read(), rwlock.write(timeout=2.5, recover=True) as guard:
        guard.make_consistent()
    with region.semaphore("semaphore", 3, max=5) as semaphore:
        assert_type(semaphore, Semaphore)
    with region.condvar("condvar", mutex) as condvar:
        assert_type(condvar, Condvar)
        assert_type(condvar.wait(0.5), bool)
        assert_type(condvar.wait_for(lambda: "text"), str)
    assert_type(region.event("event", automatic=True).wait(1), bool)
    assert_type(region.barrier("barrier", 1).wait(), int)
    swapped, old = region.atomic("atomic", "i64", -1).compare_exchange(-1, 5)
    assert_type(swapped, bool)
    return old


async def use_objects_without_blocking(region: Region) -> bool:
    async with region.mutex("mutex").aio(timeout=1, recover=True) as guard:
        assert_type(guard, Guard)
    async with region.rwlock("rwlock").read().aio(), region.semaphore("semaphore", 1).aio() as semaphore:
        assert_type(semaphore, Semaphore)
    return await region.event("event").aio(0.5)
