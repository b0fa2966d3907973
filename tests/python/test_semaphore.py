"""Semaphores: threading's protocol, the two kinds of permits, and what happens to those of the dead."""

import threading
from collections.abc import Callable

import pytest

import shmkit
from python.processes import Process
from shmkit import Region

TAKER = """
    import sys
    from shmkit import Region
    region = Region.open(sys.argv[1])
    semaphore = region.semaphore("it", 3, tracked=sys.argv[2] == "tracked")
    semaphore.acquire()
    semaphore.acquire()
    print("taken")
    sys.stdin.readline()
"""


def test_it_follows_threading_semaphore(region: Region) -> None:
    semaphore = region.semaphore("it", 2)
    assert semaphore.acquire() is True
    assert semaphore.acquire(blocking=False) is True
    assert semaphore.acquire(False) is False
    assert semaphore.acquire(timeout=0.02) is False
    assert semaphore.acquire(True, -1) is False  # over already, as in threading
    semaphore.release()
    semaphore.release(n=2)
    assert semaphore.available == 3
    with semaphore as same:
        assert same is semaphore and semaphore.available == 2
    assert semaphore.available == 3
    for count in (0, -1, 2**32):
        with pytest.raises(ValueError):
            semaphore.release(count)
    with pytest.raises(ValueError):
        semaphore.acquire(False, 1)
    assert semaphore.available == 3


def test_a_maximum_is_kept(region: Region) -> None:
    semaphore = region.semaphore("it", 1, max=2)
    semaphore.release()
    for count in (1, 2):
        with pytest.raises(shmkit.LimitExceededError) as raised:
            semaphore.release(count)
        assert isinstance(raised.value, ValueError)
    assert semaphore.available == 2
    assert "value=2/2" in repr(semaphore)


def test_processes_signal_each_other(region: Region, start: Callable[..., Process]) -> None:
    ping, pong = region.semaphore("ping", 0), region.semaphore("pong", 0)
    start(
        """
        import sys
        from shmkit import Region
        region = Region.open(sys.argv[1])
        ping, pong = region.semaphore("ping", 0), region.semaphore("pong", 0)
        for _ in range(200):
            ping.acquire()
            pong.release()
        """,
        region.name,
    )
    for _ in range(200):
        ping.release()
        assert pong.acquire(timeout=20)
    assert not pong.acquire(False)


def test_tracked_permits_belong_to_who_acquired(region: Region) -> None:
    semaphore = region.semaphore("it", 3, tracked=True)
    assert semaphore.tracked and not region.semaphore("other", 3).tracked
    with pytest.raises(shmkit.NotOwnerError):
        semaphore.release()
    semaphore.acquire()
    with pytest.raises(shmkit.NotOwnerError):
        semaphore.release(2)
    with pytest.raises(shmkit.BusyError):
        semaphore.close()
    semaphore.release()
    semaphore.close()


@pytest.mark.parametrize("kind, left", [("tracked", 3), ("signalling", 1)])
def test_permits_of_a_killed_process(region: Region, start: Callable[..., Process], kind: str, left: int) -> None:
    semaphore = region.semaphore("it", 3, tracked=kind == "tracked")
    process = start(TAKER, region.name, kind)
    assert process.hear() == "taken"
    assert semaphore.acquire(timeout=20)
    assert not semaphore.acquire(timeout=0.05)
    semaphore.release()
    process.kill()
    for _ in range(left):
        assert semaphore.acquire(timeout=20)
    assert not semaphore.acquire(timeout=0.05)
    semaphore.release(left)


def test_a_waiter_gets_the_permit_of_one_that_is_killed(region: Region, start: Callable[..., Process]) -> None:
    semaphore = region.semaphore("it", 3, tracked=True)
    process = start(TAKER, region.name, "tracked")
    assert process.hear() == "taken"
    semaphore.acquire()
    threading.Timer(0.1, process.popen.kill).start()
    assert semaphore.acquire(timeout=20)
    semaphore.release(2)


@pytest.mark.parametrize("tracked", [False, True])
def test_never_more_inside_than_permits(region: Region, tracked: bool) -> None:
    semaphore = region.semaphore("it", 3, tracked=tracked)
    inside, most = region.atomic("inside"), region.atomic("most")

    def work() -> None:
        for _ in range(200):
            with semaphore:
                now = inside.add() + 1
                if now > most.load():
                    most.store(now)
                inside.add(-1)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= most.load() <= 3
    assert semaphore.available == 3
