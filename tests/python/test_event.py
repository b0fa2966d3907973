"""Events: threading's protocol, automatic ones, waiters that are killed."""

import threading
import time
from collections.abc import Callable

import pytest

import shmkit
from python.processes import Process
from shmkit import Region

WAITER = """
    import sys
    from shmkit import Region
    event = Region.open(sys.argv[1]).event("it", automatic=sys.argv[2] == "automatic")
    print("waits")
    event.wait()
    print("passed")
"""


def test_it_follows_threading_event(region: Region) -> None:
    event = region.event("it")
    assert not event.automatic and not event.is_set()
    begin = time.monotonic()
    assert event.wait(0.05) is False
    assert time.monotonic() - begin >= 0.05
    assert event.wait(timeout=-1) is False
    event.set()
    event.set()
    assert event.is_set() and event.wait() is True and event.wait(0) is True
    event.clear()
    assert not event.is_set()
    with pytest.raises(shmkit.InvalidArgumentError):
        event.wait(float("nan"))


def test_an_automatic_one_lets_one_pass(region: Region) -> None:
    event = region.event("it", automatic=True)
    assert event.automatic
    event.set()
    assert event.wait(0) is True
    assert event.wait(0.02) is False and not event.is_set()


def test_all_waiters_of_a_manual_one_pass_even_if_it_is_cleared_at_once(
    region: Region, start: Callable[..., Process]
) -> None:
    event = region.event("it")
    passed: list[bool] = []
    threads = [threading.Thread(target=lambda: passed.append(event.wait(20))) for _ in range(3)]
    for thread in threads:
        thread.start()
    process = start(WAITER, region.name, "manual")
    assert process.hear() == "waits"
    time.sleep(0.3)
    event.set()
    event.clear()
    for thread in threads:
        thread.join()
    assert passed == [True] * 3
    assert process.hear() == "passed"


def test_a_killed_waiter_takes_no_flag_with_it(region: Region, start: Callable[..., Process]) -> None:
    event = region.event("it", automatic=True)
    victim, waiter = start(WAITER, region.name, "automatic"), start(WAITER, region.name, "automatic")
    assert [victim.hear(), waiter.hear()] == ["waits"] * 2
    time.sleep(0.2)
    victim.kill()
    event.set()
    assert waiter.hear() == "passed"
    assert not event.is_set()


def test_a_closed_one_is_of_no_use(region: Region) -> None:
    event = region.event("it")
    event.close()
    for use in (event.set, event.clear, event.wait, lambda: event.wait(0)):
        with pytest.raises(shmkit.ClosedError):
            use()
