"""A program that mypy must accept in strict mode, and whose types must come out as said."""

import ctypes
from pathlib import Path
from typing import assert_type

import numpy as np
import numpy.typing as npt

import shmkit
from shmkit import Advice, Guard, Mapping, Protection, Region, Sharing


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
