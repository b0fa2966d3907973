"""Fixtures for the tests of the command."""

from collections.abc import Iterator

import pytest

from .machine import COMMAND, HOLDER, Machine


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    for program in (COMMAND, HOLDER):
        assert program.exists(), f"{program} is not there: run tools/cli-build.sh"


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A machine without regions."""
    made = Machine()
    yield made
    made.dispose()
