"""Condition variables: threading's protocol, waits across processes, deaths around a wait."""

import threading
import time
from collections.abc import Callable

import pytest

import shmkit
from python.processes import Process
from shmkit import Condvar, Region

WAITER = """
    import sys
    from shmkit import Region
    region = Region.open(sys.argv[1])
    changed = region.condvar("it", region.mutex("mutex"))
    changed.acquire()
    print("waits")
    while region[0] == 0:
        changed.wait()
    changed.release()
    print("passed")
"""


@pytest.fixture
def condvar(region: Region) -> Condvar:
    return region.condvar("it", region.mutex("mutex"))


def test_it_follows_threading_condition(condvar: Condvar) -> None:
    mutex = condvar.mutex
    assert mutex is not None
    with condvar as same:
        assert same is condvar and mutex.locked()
        begin = time.monotonic()
        assert condvar.wait(0.05) is False
        assert time.monotonic() - begin >= 0.05
        assert condvar.wait(-1) is False
        assert mutex.locked()
        assert condvar.wait_for(lambda: "value") == "value"
        assert condvar.wait_for(list, timeout=0.05) == []
        condvar.notify()
        condvar.notify(3)
        condvar.notify_all()
    assert not mutex.locked()
    assert condvar.acquire(False) and not condvar.acquire(False)
    condvar.release()
    with pytest.raises(RuntimeError):
        condvar.wait()
    with pytest.raises(shmkit.InvalidArgumentError):
        condvar.notify(-1)


def test_a_predicate_that_raises_leaves_the_mutex_held(condvar: Condvar) -> None:
    with condvar:
        with pytest.raises(ZeroDivisionError):
            condvar.wait_for(lambda: 1 / 0)
        assert condvar.mutex is not None and condvar.mutex.locked()


def test_the_mutex_is_free_during_a_wait(region: Region, condvar: Condvar) -> None:
    results: list[bool] = []

    def wait() -> None:
        with condvar:
            results.append(condvar.wait_for(lambda: region[0] == 1, timeout=20))

    waiter = threading.Thread(target=wait)
    waiter.start()
    time.sleep(0.05)
    with condvar:
        region[0] = 1
        condvar.notify()
    waiter.join()
    assert results == [True]


def test_every_waiter_is_notified(region: Region, condvar: Condvar, start: Callable[..., Process]) -> None:
    waiters = [start(WAITER, region.name) for _ in range(3)]
    assert [waiter.hear() for waiter in waiters] == ["waits"] * 3
    with condvar:  # each gave the mutex back when it went to sleep
        region[0] = 1
        condvar.notify_all()
    assert [waiter.hear() for waiter in waiters] == ["passed"] * 3


def test_one_notification_for_each_is_enough(region: Region, condvar: Condvar, start: Callable[..., Process]) -> None:
    waiters = [start(WAITER, region.name) for _ in range(3)]
    assert [waiter.hear() for waiter in waiters] == ["waits"] * 3
    with condvar:
        region[0] = 1
        condvar.notify(3)
    assert [waiter.hear() for waiter in waiters] == ["passed"] * 3


def test_a_killed_waiter_takes_no_notification_with_it(
    region: Region, condvar: Condvar, start: Callable[..., Process]
) -> None:
    victim, waiter = start(WAITER, region.name), start(WAITER, region.name)
    assert [victim.hear(), waiter.hear()] == ["waits"] * 2
    with condvar:
        victim.kill()
        region[0] = 1
        condvar.notify()
    assert waiter.hear() == "passed"


OWNER = """
    import os, signal, sys
    from shmkit import Region
    region = Region.open(sys.argv[1])
    with region.condvar("it", region.mutex("mutex")) as changed:
        region[0] = 1
        changed.notify_all()
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_waiter_is_told_that_an_owner_died(region: Region, condvar: Condvar, start: Callable[..., Process]) -> None:
    mutex = condvar.mutex
    assert mutex is not None
    with pytest.raises(shmkit.OwnerDiedError), condvar:
        start(OWNER, region.name)
        while True:
            assert condvar.wait(20)
    assert not mutex.locked()
    with mutex.lock(recover=True) as guard:
        assert guard.owner_died
        while region[0] == 0:
            condvar.wait(20, recover=True)
        condvar.wait(0, recover=True)
        assert condvar.owner_died and mutex.locked(), "not repaired yet"
        guard.make_consistent()
        condvar.wait(0, recover=True)
        assert not condvar.owner_died


def test_without_a_mutex_it_can_only_notify(region: Region) -> None:
    condvar = region.condvar("it")
    assert condvar.mutex is None
    condvar.notify()
    condvar.notify_all()
    for use in (condvar.wait, condvar.acquire, condvar.release, condvar.__enter__):
        with pytest.raises(shmkit.InvalidArgumentError):
            use()
    mutex = region.mutex("mutex")
    with mutex:
        assert condvar.with_mutex(mutex).wait(0) is False


def test_the_mutex_must_be_of_the_same_region(region: Region, fresh_name: str) -> None:
    with Region.create(f"{fresh_name}-other", 10) as other:
        Region.unlink(other.name)
        mutex = other.mutex("mutex")
        with mutex, pytest.raises(shmkit.InvalidArgumentError) as raised:
            region.condvar("it", mutex).wait()
        assert raised.value.filename == f"{region.name}:it"


def test_it_travels_with_its_mutex(condvar: Condvar) -> None:
    import pickle

    same = pickle.loads(pickle.dumps(condvar))
    with same:
        assert condvar.mutex is not None and condvar.mutex.locked()
        assert same.wait(0) is False
