"""Atomics: the integer types and their limits, counting and waiting between processes."""

import threading
import time
from collections.abc import Callable

import pytest

import shmkit
from python.processes import Process
from shmkit import Region

LIMITS = {"u32": (0, 2**32 - 1), "u64": (0, 2**64 - 1), "i64": (-(2**63), 2**63 - 1)}
each = pytest.mark.parametrize("type", LIMITS)


@each
def test_operations(region: Region, type: str) -> None:
    atomic = region.atomic("it", type, 5)  # type: ignore[arg-type]
    assert atomic.type == type
    assert atomic.load() == 5
    assert atomic.add() == 5
    assert atomic.add(4) == 6
    assert atomic.add(-3) == 10
    assert atomic.swap(20) == 7
    assert atomic.compare_exchange(1, 2) == (False, 20)
    assert atomic.compare_exchange(20, 2) == (True, 20)
    atomic.store(3)
    assert region.atomic("it", type).load() == 3  # type: ignore[arg-type]
    assert f"{type}=3" in repr(atomic)


@each
def test_limits(region: Region, type: str) -> None:
    least, most = LIMITS[type]
    atomic = region.atomic("it", type, most)  # type: ignore[arg-type]
    assert atomic.add(1) == most
    assert atomic.load() == least, "it wraps around"
    assert atomic.add(-1) == least
    assert atomic.load() == most
    for value in (least - 1, most + 1, 2**200, -(2**200)):
        for use in (
            atomic.store,
            atomic.swap,
            atomic.wait,
            lambda value: atomic.compare_exchange(value, 0),
            lambda value: atomic.compare_exchange(0, value),
        ):
            with pytest.raises(shmkit.InvalidArgumentError) as raised:
                use(value)
            assert raised.value.filename == f"{region.name}:it"
    with pytest.raises(shmkit.InvalidArgumentError):
        atomic.add(2**64)
    with pytest.raises(TypeError):
        atomic.store("3")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        atomic.add(1.5)  # type: ignore[arg-type]
    assert atomic.load() == most


def test_processes_and_threads_count_together(region: Region, start: Callable[..., Process]) -> None:
    total = region.atomic("it")
    program = """
        import sys
        from shmkit import Region
        total = Region.open(sys.argv[1]).atomic("it")
        for _ in range(5000):
            total.add(2)
    """
    processes = [start(program, region.name) for _ in range(2)]
    threads = [
        threading.Thread(target=lambda: [total.add(-1) for _ in range(5000)])  # type: ignore[func-returns-value]
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.end()[0] for process in processes] == [0, 0]
    assert total.load() == 10000


def test_waiting_for_a_change(region: Region) -> None:
    atomic = region.atomic("it")
    begin = time.monotonic()
    assert atomic.wait(0, 0.05) is False
    assert time.monotonic() - begin >= 0.05
    assert atomic.wait(1) is True, "it is another already"

    def change() -> None:
        atomic.store(7)
        atomic.notify_all()

    threading.Timer(0.1, change).start()
    assert atomic.wait(0, timeout=20) is True
    assert atomic.load() == 7
    threading.Timer(0.1, atomic.store, [8]).start()  # nobody is told, and it is noticed nevertheless
    assert atomic.wait(7, 20) is True


def test_a_killed_waiter_takes_no_notification_with_it(region: Region, start: Callable[..., Process]) -> None:
    atomic = region.atomic("it")
    program = """
        import sys
        from shmkit import Region
        atomic = Region.open(sys.argv[1]).atomic("it")
        print("waits")
        atomic.wait(0)
        print("passed")
    """
    victim, waiter = start(program, region.name), start(program, region.name)
    assert [victim.hear(), waiter.hear()] == ["waits"] * 2
    time.sleep(0.2)
    victim.kill()
    atomic.store(1)
    atomic.notify_one()
    assert waiter.hear() == "passed"


def test_a_closed_one_is_of_no_use(region: Region) -> None:
    atomic = region.atomic("it")
    atomic.close()
    for use in (
        atomic.load,
        atomic.add,
        lambda: atomic.store(1),
        lambda: atomic.swap(1),
        lambda: atomic.compare_exchange(0, 1),
        lambda: atomic.wait(0),
        atomic.notify_one,
        atomic.notify_all,
    ):
        with pytest.raises(shmkit.ClosedError):
            use()
