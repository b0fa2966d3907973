"""The mutex: threading's protocol, guards with options, owners that are killed."""

import errno
import inspect
import threading
import time
from collections.abc import Callable

import pytest

import shmkit
from python.processes import Process
from shmkit import Mutex, Region

HOLDER = """
    import sys
    from shmkit import Region
    mutex = Region.open(sys.argv[1]).mutex("it")
    mutex.acquire()
    print("locked")
    sys.stdin.readline()
    mutex.release()
    print("released")
    sys.stdin.readline()
"""


@pytest.fixture
def mutex(region: Region) -> Mutex:
    return region.mutex("it")


@pytest.fixture
def holder(start: Callable[..., Process], region: Region) -> Process:
    """Another process that holds the mutex."""
    process = start(HOLDER, region.name)
    assert process.hear() == "locked"
    return process


def test_it_follows_threading_lock(mutex: Mutex) -> None:
    assert mutex.acquire() is True
    assert mutex.locked()
    assert mutex.acquire(False) is False
    assert mutex.acquire(blocking=False) is False
    assert mutex.acquire(True, 0.02) is False
    assert mutex.acquire(timeout=0) is False
    mutex.release()
    with pytest.raises(RuntimeError) as raised:
        mutex.release()
    assert type(raised.value) is shmkit.NotOwnerError
    with mutex as same:
        assert same is mutex and mutex.locked()
    assert not mutex.locked()
    with pytest.raises(ZeroDivisionError), mutex:
        1 / 0
    assert not mutex.locked()


@pytest.mark.parametrize("kwargs", [{"timeout": -2}, {"timeout": float("nan")}, {"blocking": False, "timeout": 1}])
def test_timeouts_that_make_no_sense(mutex: Mutex, kwargs: dict[str, float]) -> None:
    with pytest.raises(shmkit.InvalidArgumentError) as raised:
        mutex.acquire(**kwargs)  # type: ignore[arg-type]
    assert raised.value.operation == "lock mutex"
    assert not mutex.locked()


def test_a_lock_with_a_timeout_gives_up(mutex: Mutex, holder: Process) -> None:
    begin = time.monotonic()
    with pytest.raises(shmkit.TimeoutError) as raised, mutex.lock(timeout=0.1):
        raise AssertionError("not held")
    assert time.monotonic() - begin >= 0.1
    assert (raised.value.errno, raised.value.operation) == (errno.ETIMEDOUT, "lock mutex")
    assert raised.value.filename == f"{mutex.name and raised.value.filename.rpartition(':')[0]}:it"


def test_a_waiter_gets_it_when_its_owner_leaves(mutex: Mutex, holder: Process) -> None:
    threading.Timer(0.1, holder.tell).start()
    with mutex.lock(timeout=20):
        assert holder.hear() == "released"


def test_plain_guards_are_one_and_guards_with_options_are_not(mutex: Mutex) -> None:
    assert mutex.lock() is mutex.lock()
    assert mutex.lock(recover=True) is not mutex.lock(recover=True)
    with mutex.lock() as guard:
        assert mutex.locked() and guard.locked() and not guard.owner_died
    assert repr(guard).startswith("<shmkit.Guard of mutex 'it' of region ")


def test_an_owner_that_was_killed_is_reported_and_the_lock_not_held(mutex: Mutex, holder: Process) -> None:
    holder.kill()
    for take in (mutex.acquire, mutex.__enter__, mutex.lock().__enter__, lambda: mutex.acquire(False)):
        with pytest.raises(shmkit.OwnerDiedError) as raised:
            take()
        assert (raised.value.errno, raised.value.operation) == (errno.EOWNERDEAD, "lock mutex")
        assert not mutex.locked()
    with pytest.raises(shmkit.NotOwnerError):
        mutex.make_consistent()


def test_who_asks_to_recover_holds_it_and_repairs(mutex: Mutex, holder: Process) -> None:
    holder.kill()
    with mutex.lock(recover=True) as guard:
        assert guard.owner_died and mutex.locked()
    with mutex.lock(recover=True) as guard:
        assert guard.owner_died, "until it is repaired"
        guard.make_consistent()
        assert not guard.owner_died
    with mutex:
        mutex.make_consistent()  # nothing to say, and nothing wrong with saying it


def test_a_waiter_learns_of_a_death(mutex: Mutex, holder: Process) -> None:
    threading.Timer(0.1, holder.popen.kill).start()
    with pytest.raises(shmkit.OwnerDiedError):
        mutex.acquire(timeout=20)
    with mutex.lock(timeout=20, recover=True) as guard:
        guard.make_consistent()
    with mutex:
        pass


def test_close_is_refused_while_it_is_held(region: Region, mutex: Mutex) -> None:
    with mutex:
        with pytest.raises(shmkit.BusyError):
            mutex.close()
        other = region.mutex("it")
        other.close()
        assert mutex.locked()
    mutex.close()
    for use in (mutex.acquire, mutex.release, mutex.make_consistent, mutex.__enter__):
        with pytest.raises(shmkit.ClosedError):
            use()


def test_threads_and_processes_exclude_each_other(region: Region, start: Callable[..., Process]) -> None:
    program = """
        import sys
        from shmkit import Region
        region = Region.open(sys.argv[1])
        mutex = region.mutex("it")
        for _ in range(2000):
            with mutex:
                region[0:8] = (int.from_bytes(region[0:8], "little") + 1).to_bytes(8, "little")
    """
    processes = [start(program, region.name) for _ in range(2)]

    def count() -> None:
        handle = region.mutex("it")
        for _ in range(500):
            with handle:
                value = int.from_bytes(region[0:8], "little")
                if value % 16 == 0:
                    time.sleep(0)
                region[0:8] = (value + 1).to_bytes(8, "little")

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.end()[0] for process in processes] == [0, 0]
    assert int.from_bytes(region[0:8], "little") == 5500


def test_what_has_a_quick_form_is_an_ordinary_method_all_the_same(region: Region) -> None:
    mutex, semaphore = region.mutex("mutex"), region.semaphore("semaphore", 1)
    assert str(inspect.signature(mutex.acquire)) == "(blocking=True, timeout=-1)"
    assert "Takes the lock." in inspect.getdoc(mutex.acquire)
    assert str(inspect.signature(semaphore.release)) == "(n=1)"
    for positional, named in [
        ((), {}),
        ((True,), {}),
        ((), {"blocking": True}),
        ((True, 0.5), {}),
        ((True,), {"timeout": 1}),
    ]:
        for thing in (mutex, mutex.lock(), region.guard):
            assert thing.acquire(*positional, **named) is True
            assert thing.locked()
            assert not thing.acquire(False)
            assert thing.release() is None
    for wrong in (
        lambda: mutex.acquire(True, 1, 2),
        lambda: mutex.acquire(wait=True),
        lambda: mutex.release(1),
        lambda: mutex.__exit__(None),
        lambda: shmkit.Mutex.acquire(region),
        lambda: region.lock(recovers=True),
    ):
        with pytest.raises(TypeError):
            wrong()
    assert not mutex.locked() and not region.guard.locked()
    assert mutex.lock() is mutex.lock() and mutex.lock(timeout=1) is not mutex.lock()
