"""Barriers: threading's protocol, one leader a round, participants that are killed."""

import threading
import time
from collections.abc import Callable

import pytest

import shmkit
from python.processes import Process
from shmkit import Barrier, Region

PARTICIPANT = """
    import sys
    import shmkit
    barrier = shmkit.Region.open(sys.argv[1]).barrier("it", int(sys.argv[2]))
    print("waits")
    try:
        print("passed", barrier.wait())
    except shmkit.BrokenError:
        print("broken")
    sys.stdin.readline()
"""


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.001)


def in_thread(barrier: Barrier, results: list[object]) -> threading.Thread:
    def wait() -> None:
        try:
            results.append(barrier.wait(20))
        except shmkit.Error as error:
            results.append(type(error))

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_it_follows_threading_barrier(region: Region) -> None:
    barrier = region.barrier("it", 3)
    assert (barrier.parties, barrier.n_waiting, barrier.broken) == (3, 0, False)
    results: list[object] = []
    for _ in range(20):
        threads = [in_thread(barrier, results) for _ in range(2)]
        results.append(barrier.wait())
        for thread in threads:
            thread.join()
        assert sorted(results) == [0, 1, 1], "one leader"  # type: ignore[type-var]
        results.clear()
    assert "waiters=0/3" in repr(barrier)


def test_a_wait_that_ends_early_breaks_nothing(region: Region) -> None:
    barrier = region.barrier("it", 2)
    begin = time.monotonic()
    with pytest.raises(shmkit.TimeoutError) as raised:
        barrier.wait(0.05)
    assert time.monotonic() - begin >= 0.05
    assert raised.value.filename == f"{region.name}:it"
    assert (barrier.n_waiting, barrier.broken) == (0, False)
    results: list[object] = []
    thread = in_thread(barrier, results)
    barrier.wait(20)
    thread.join()


@pytest.mark.parametrize("how", ["abort", "reset"])
def test_who_waits_learns_that_it_is_over(region: Region, how: str) -> None:
    barrier = region.barrier("it", 3)
    results: list[object] = []
    threads = [in_thread(barrier, results) for _ in range(2)]
    until(lambda: barrier.n_waiting == 2)
    getattr(barrier, how)()
    for thread in threads:
        thread.join()
    assert results == [shmkit.BrokenError] * 2
    assert barrier.broken is (how == "abort")
    if how == "abort":
        assert "broken" in repr(barrier)
        with pytest.raises(threading.BrokenBarrierError):
            barrier.wait()
        barrier.reset()
    with pytest.raises(shmkit.TimeoutError):
        barrier.wait(0.01)


def test_processes_meet(region: Region, start: Callable[..., Process]) -> None:
    barrier = region.barrier("it", 2)
    process = start(PARTICIPANT, region.name, 2)
    assert process.hear() == "waits"
    leader = barrier.wait(20)
    assert process.hear() == f"passed {1 - leader}"


def test_a_killed_participant_breaks_it(region: Region, start: Callable[..., Process]) -> None:
    barrier = region.barrier("it", 3)
    victim, other = start(PARTICIPANT, region.name, 3), start(PARTICIPANT, region.name, 3)
    assert [victim.hear(), other.hear()] == ["waits"] * 2
    until(lambda: barrier.n_waiting == 2)
    victim.kill()
    assert other.hear() == "broken"
    assert barrier.broken
    with pytest.raises(shmkit.BrokenError) as raised:
        barrier.wait(20)
    assert isinstance(raised.value, threading.BrokenBarrierError)
    barrier.reset()
    assert not barrier.broken
    with pytest.raises(shmkit.TimeoutError):
        barrier.wait(0.05)
    assert not barrier.broken, "the dead takes part no longer"


def test_a_closed_one_is_of_no_use(region: Region) -> None:
    barrier = region.barrier("it", 2)
    barrier.close()
    for use in (barrier.wait, barrier.abort, barrier.reset):
        with pytest.raises(shmkit.ClosedError):
            use()
