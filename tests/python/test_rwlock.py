"""The reader–writer lock: who may be inside together, and what a death inside means."""

import threading
import time
from collections.abc import Callable

import pytest

import shmkit
from python.processes import Process
from shmkit import Region, RwLock

HOLDER = """
    import sys
    from shmkit import Region
    rwlock = Region.open(sys.argv[1]).rwlock("it")
    {"read": rwlock.acquire_read, "write": rwlock.acquire_write}[sys.argv[2]]()
    print("locked")
    sys.stdin.readline()
    {"read": rwlock.release_read, "write": rwlock.release_write}[sys.argv[2]]()
    print("released")
    sys.stdin.readline()
"""


@pytest.fixture
def rwlock(region: Region) -> RwLock:
    return region.rwlock("it")


@pytest.fixture
def hold(start: Callable[..., Process], region: Region) -> Callable[[str], Process]:
    """Another process that holds the lock in a way."""

    def hold(how: str) -> Process:
        process = start(HOLDER, region.name, how)
        assert process.hear() == "locked"
        return process

    return hold


def test_readers_share_and_writers_exclude(rwlock: RwLock) -> None:
    with rwlock.read(), rwlock.read() as guard:
        assert rwlock.readers == 2 and guard.locked() and not rwlock.locked()
        assert not rwlock.acquire_write(False)
        assert rwlock.acquire_read(False)
        rwlock.release_read()
        with pytest.raises(shmkit.TimeoutError), rwlock.write(timeout=0.02):
            raise AssertionError("not held")
    assert rwlock.readers == 0
    with rwlock.write() as guard:
        assert rwlock.locked() and guard.locked()
        assert not rwlock.acquire_read(blocking=False)
        assert not rwlock.acquire_write(timeout=0.02)
        with pytest.raises(shmkit.TimeoutError) as raised, rwlock.read(0.02):
            raise AssertionError("not held")
        assert raised.value.operation == "read-lock rwlock"
    for release in (rwlock.release_read, rwlock.release_write):
        with pytest.raises(shmkit.NotOwnerError):
            release()


@pytest.mark.parametrize("take", ["acquire_read", "acquire_write"])
def test_timeouts_that_make_no_sense(rwlock: RwLock, take: str) -> None:
    for kwargs in ({"timeout": -2}, {"blocking": False, "timeout": 1}):
        with pytest.raises(shmkit.InvalidArgumentError):
            getattr(rwlock, take)(**kwargs)
    with pytest.raises(shmkit.InvalidArgumentError):
        rwlock.read(-1)
    assert rwlock.readers == 0 and not rwlock.locked()


@pytest.mark.parametrize("theirs, ours", [("read", "write"), ("write", "read"), ("write", "write")])
def test_processes_wait_for_each_other(rwlock: RwLock, hold: Callable[[str], Process], theirs: str, ours: str) -> None:
    holder = hold(theirs)
    assert not getattr(rwlock, f"acquire_{ours}")(timeout=0.05)
    threading.Timer(0.1, holder.tell).start()
    with getattr(rwlock, ours)(timeout=20):
        assert holder.hear() == "released"


def test_processes_read_together(rwlock: RwLock, hold: Callable[[str], Process]) -> None:
    hold("read")
    with rwlock.read(timeout=20):
        assert rwlock.readers == 2


def test_a_killed_reader_is_forgotten(rwlock: RwLock, hold: Callable[[str], Process]) -> None:
    hold("read").kill()
    with rwlock.write(timeout=20) as guard:
        assert not guard.owner_died
    assert rwlock.readers == 0


def test_a_killed_writer_is_reported_until_a_writer_repairs(rwlock: RwLock, hold: Callable[[str], Process]) -> None:
    hold("write").kill()
    for take in (rwlock.acquire_read, rwlock.acquire_write, rwlock.read().__enter__, rwlock.write().__enter__):
        with pytest.raises(shmkit.OwnerDiedError):
            take()
        assert rwlock.readers == 0 and not rwlock.locked()
    with rwlock.read(timeout=20, recover=True) as guard:
        assert guard.owner_died
        with pytest.raises(shmkit.NotOwnerError):
            guard.make_consistent()  # a reader may look, and no more
    with rwlock.write(timeout=20, recover=True) as guard:
        assert guard.owner_died
        guard.make_consistent()
        assert not guard.owner_died
    with rwlock.read() as guard:
        assert not guard.owner_died


def test_a_waiting_reader_learns_of_a_death(rwlock: RwLock, hold: Callable[[str], Process]) -> None:
    holder = hold("write")
    threading.Timer(0.1, holder.popen.kill).start()
    with pytest.raises(shmkit.OwnerDiedError):
        rwlock.acquire_read(timeout=20)


def test_close_is_refused_while_it_is_held(rwlock: RwLock) -> None:
    for hold in (rwlock.read, rwlock.write):
        with hold(), pytest.raises(shmkit.BusyError):
            rwlock.close()
    rwlock.close()
    for use in (rwlock.acquire_read, rwlock.release_read, rwlock.acquire_write, rwlock.release_write):
        with pytest.raises(shmkit.ClosedError):
            use()


def test_readers_see_what_writers_finished(region: Region) -> None:
    def write() -> None:
        lock = region.rwlock("it")
        for value in range(300):
            with lock.write():
                region[0] = value % 256
                time.sleep(0)
                region[1] = value % 256

    def read(torn: list[bytes]) -> None:
        lock = region.rwlock("it")
        for _ in range(300):
            with lock.read():
                pair = region[0:2]
            if pair[0] != pair[1]:
                torn.append(pair)

    torn: list[bytes] = []
    threads = [threading.Thread(target=write) for _ in range(2)]
    threads += [threading.Thread(target=read, args=(torn,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not torn
