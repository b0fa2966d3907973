"""Mappings and regions that grow and shrink in place."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import shmkit
from shmkit import Mapping, Region


def test_a_mapping_grows_and_shrinks_under_its_views(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with Mapping.open(path, len=100, create=True, protection="read_write", reserve=1 << 20) as mapping:
        assert mapping.capacity == 1 << 20
        array = mapping.ndarray(np.uint8)
        mapping.resize(10_000)
        assert (len(mapping), len(array)) == (10_000, 100)
        mapping[9_999] = 7
        assert path.stat().st_size == 10_000
        with pytest.raises(BufferError) as raised:
            mapping.resize(50)
        assert isinstance(raised.value, shmkit.BusyError)
        del array
        mapping.resize(50)
        with pytest.raises(IndexError):
            mapping[50]
        mapping.resize(10_000)
        assert mapping[9_999] == 7
        for len_, error in (
            (0, shmkit.InvalidLengthError),
            ((1 << 20) + 1, shmkit.LimitExceededError),
            (1 << 70, shmkit.LimitExceededError),
        ):
            with pytest.raises(error):
                mapping.resize(len_)
    with Mapping.anonymous(10, reserve=100_000) as mapping:
        mapping.resize(100_000)
        assert mapping[99_999] == 0
    with Mapping.open(path, reserve=1 << 20) as mapping, pytest.raises(shmkit.OutOfRangeError):
        mapping.resize(10_001)


def test_a_region_grows_and_shrinks_for_everybody(fresh_name: str) -> None:
    region = Region.create(fresh_name, 1000, capacity=1 << 20)
    other = Region.open(fresh_name, read_only=True)
    assert (region.capacity, other.capacity) == (1 << 20, 1 << 20)
    view = memoryview(region)
    program = "import sys, shmkit; shmkit.Region.open(sys.argv[1]).resize(50_000)"
    subprocess.run([sys.executable, "-c", program, fresh_name], check=True, timeout=60)
    assert (len(region), len(other), len(view), len(memoryview(region))) == (50_000, 50_000, 1000, 50_000)
    region[49_999] = 5
    assert other[49_999] == 5
    with pytest.raises(BufferError):
        region.resize(999)
    view.release()
    region.resize(999)
    with pytest.raises(IndexError):
        other[999]
    region.resize(1 << 20)
    assert not any(region[999:])
    for len_, error in ((0, shmkit.InvalidLengthError), ((1 << 20) + 1, shmkit.LimitExceededError)):
        with pytest.raises(error):
            region.resize(len_)
    with pytest.raises(shmkit.ReadOnlyError):
        other.resize(5)
    assert len(Region.open_or_create(fresh_name, 5, capacity=1 << 20)) == 1 << 20
    with pytest.raises(shmkit.SizeMismatchError):
        Region.open_or_create(fresh_name, 5, capacity=1 << 21)
    with pytest.raises(shmkit.InvalidLengthError):
        Region.create(fresh_name + "2", 5, capacity=4)
    Region.unlink(fresh_name)
