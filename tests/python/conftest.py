"""Fixtures for the tests of the Python face."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import shmkit
from python.processes import HOLDER, Process
from shmkit import Region

SIZE = 4096


@pytest.fixture
def region(fresh_name: str) -> Iterator[Region]:
    """A region of one page, open for writing."""
    made = Region.create(fresh_name, SIZE)
    yield made
    try:
        Region.unlink(fresh_name)
    except shmkit.NotFoundError:
        pass


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """Starts Python programs in other processes, and ends those that are left."""
    started: list[Process] = []

    def start(program: str, *arguments: Any, **options: Any) -> Process:
        started.append(Process(program, *arguments, **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def holder(start: Callable[..., Process], region: Region) -> Process:
    """Another process that holds the region's guard."""
    process = start(HOLDER, region.name)
    assert process.hear() == "locked"
    return process
