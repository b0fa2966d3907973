"""The guard: `with`, threading's protocol, waiting, Ctrl-C, and owners that die."""

import errno
import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

import shmkit
from python.processes import HOLDER, Process
from shmkit import Region


def test_with_holds_the_lock_for_its_body(region: Region) -> None:
    assert not region.guard.locked()
    with region.lock() as guard:
        assert region.guard.locked() and guard.locked()
        assert not guard.owner_died
    assert not region.guard.locked()
    with pytest.raises(ZeroDivisionError), region.lock():
        1 / 0
    assert not region.guard.locked()


def test_the_guard_follows_threading_lock(region: Region) -> None:
    guard = region.guard
    assert guard is region.guard
    assert guard.acquire() is True
    assert guard.acquire(False) is False
    assert guard.acquire(blocking=False) is False
    assert guard.acquire(timeout=0) is False
    assert guard.acquire(True, 0.02) is False
    guard.release()
    with pytest.raises(RuntimeError):
        guard.release()
    assert guard.acquire(timeout=5) is True
    guard.release()
    with guard:
        assert guard.locked()


@pytest.mark.parametrize("kwargs", [{"timeout": -2}, {"timeout": float("nan")}, {"blocking": False, "timeout": 1}])
def test_timeouts_that_make_no_sense(region: Region, kwargs: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        region.guard.acquire(**kwargs)
    with pytest.raises(TypeError):
        region.guard.acquire(timeout="1")
    with pytest.raises(OverflowError):
        region.guard.acquire(timeout=1e100)
    with pytest.raises(shmkit.InvalidArgumentError):
        region.lock(-1)
    assert not region.guard.locked()


def test_a_long_timeout_is_one(region: Region) -> None:
    for timeout in (threading.TIMEOUT_MAX, 1e100, float("inf")):
        with region.lock(timeout):
            pass
    assert region.guard.acquire(timeout=threading.TIMEOUT_MAX)
    region.guard.release()


def test_a_lock_with_a_timeout_gives_up(region: Region, holder: Process) -> None:
    begin = time.monotonic()
    with pytest.raises(TimeoutError) as raised, region.lock(timeout=0.1):
        raise AssertionError("not held")
    assert time.monotonic() - begin >= 0.1
    assert type(raised.value) is shmkit.TimeoutError
    assert (raised.value.errno, raised.value.filename) == (errno.ETIMEDOUT, region.name)
    assert region.guard.acquire(timeout=0.05) is False
    with pytest.raises(shmkit.TimeoutError), region.lock(timeout=0):
        raise AssertionError("not held")


def test_a_waiter_gets_the_lock_when_its_owner_leaves(region: Region, holder: Process) -> None:
    threading.Timer(0.1, holder.tell).start()
    with region.lock(timeout=20):
        assert holder.hear() == "released"


def test_waiting_burns_no_time_and_lets_other_threads_run(region: Region, holder: Process) -> None:
    results: list[bool] = []
    waiter = threading.Thread(target=lambda: results.append(region.guard.acquire(timeout=20)))
    before = time.process_time()
    waiter.start()
    time.sleep(0.5)
    assert time.process_time() - before < 0.25
    assert not results
    holder.tell()
    waiter.join()
    assert results == [True]
    region.guard.release()


def test_a_thread_may_release_what_another_took(region: Region) -> None:
    taker = threading.Thread(target=region.guard.acquire)
    taker.start()
    taker.join()
    region.guard.release()
    assert not region.guard.locked()


def test_threads_exclude_each_other(region: Region) -> None:
    other = Region.open(region.name)

    def count(handle: Region) -> None:
        for _ in range(500):
            with handle.lock():
                value = int.from_bytes(handle[0:8], "little")
                if value % 16 == 0:
                    time.sleep(0)
                handle[0:8] = (value + 1).to_bytes(8, "little")

    threads = [threading.Thread(target=count, args=(handle,)) for handle in (region, region, other, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert int.from_bytes(region[0:8], "little") == 2000


def test_an_owner_that_was_killed_is_reported_and_the_lock_not_held(region: Region, holder: Process) -> None:
    holder.kill()
    for _ in range(2):
        with pytest.raises(shmkit.OwnerDiedError) as raised, region.lock(timeout=20):
            raise AssertionError("not held")
        assert (raised.value.errno, raised.value.filename) == (errno.EOWNERDEAD, region.name)
        assert not region.guard.locked()
    with pytest.raises(shmkit.OwnerDiedError):
        region.guard.acquire()
    with pytest.raises(shmkit.OwnerDiedError):
        region.guard.acquire(blocking=False)
    assert not region.guard.locked()


def test_who_asks_to_recover_holds_the_lock_and_repairs(region: Region, holder: Process) -> None:
    holder.kill()
    with region.lock(recover=True) as guard:
        assert guard.owner_died and guard.locked()
    # Nobody repaired anything: the next one is told as well.
    guard = region.lock(recover=True)
    assert guard.acquire(timeout=20) is True
    assert guard.owner_died
    guard.make_consistent()
    assert not guard.owner_died
    guard.release()
    with region.lock():
        pass
    with guard:
        assert not guard.owner_died


def test_a_death_that_another_repaired_is_no_longer_reported(region: Region, holder: Process) -> None:
    holder.kill()
    guard = region.lock(recover=True)
    with guard:
        assert guard.owner_died
    with region.lock(recover=True) as repairer:
        repairer.make_consistent()
    with guard:
        assert not guard.owner_died


def test_a_waiter_learns_of_a_death(region: Region, holder: Process) -> None:
    threading.Timer(0.1, holder.popen.kill).start()
    with region.lock(timeout=20, recover=True) as guard:
        assert guard.owner_died


def test_an_exception_of_the_body_wins_over_one_of_the_release(region: Region) -> None:
    with pytest.raises(ZeroDivisionError), region.lock() as guard:
        guard.release()
        1 / 0
    with pytest.raises(shmkit.NotOwnerError), region.lock() as guard:
        guard.release()


def test_close_is_refused_while_the_guard_is_held(region: Region) -> None:
    with region.lock():
        with pytest.raises(BufferError):
            region.close()
        assert not region.closed
        region[0] = 1
    region.close()


def test_close_is_refused_while_a_thread_waits(region: Region, holder: Process) -> None:
    for pause_s in (0.05, 0.5, 5.0):
        handle = Region.open(region.name)
        results: list[object] = []

        def wait(handle: Region = handle, results: list[object] = results) -> None:
            try:
                results.append(handle.guard.acquire(timeout=20))
            except shmkit.ClosedError as error:
                results.append(error)

        waiter = threading.Thread(target=wait)
        waiter.start()
        time.sleep(pause_s)
        try:
            handle.close()
        except BufferError:
            break
        # The thread did not come to wait in this time, and finds a closed handle: again, with more patience.
        waiter.join()
        assert isinstance(results[0], shmkit.ClosedError), "closed under a waiter"
    else:
        raise AssertionError("never refused")
    holder.tell()
    waiter.join()
    assert results == [True]
    handle.guard.release()
    handle.close()


INTERRUPTED = """
    import sys, time
    from shmkit import Region
    region = Region.open(sys.argv[1])
    wait = {
        "with": lambda: region.lock().__enter__(),
        "timeout": lambda: region.lock(timeout=50).__enter__(),
        "acquire": lambda: region.guard.acquire(),
    }[sys.argv[2]]
    print("waits")
    try:
        wait()
    except KeyboardInterrupt:
        print("interrupted", time.monotonic())
    region.close()  # nothing of the wait is left over
    print("closed")
"""


@pytest.mark.parametrize("how", ["with", "timeout", "acquire"])
def test_ctrl_c_ends_a_wait(region: Region, holder: Process, start: Callable[..., Process], how: str) -> None:
    process = start(INTERRUPTED, region.name, how)
    assert process.hear() == "waits"
    time.sleep(0.2)
    sent = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    word, at = process.hear().split()
    assert word == "interrupted"
    assert float(at) - sent < 5  # usually under a millisecond; here only that it does not wait for the lock
    assert process.hear() == "closed"
    holder.tell()
    assert holder.hear() == "released"
    with region.lock(timeout=20):
        pass


def test_a_signal_that_raises_nothing_does_not_end_a_wait(
    region: Region, holder: Process, start: Callable[..., Process]
) -> None:
    program = """
        import signal, sys
        from shmkit import Region
        signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
        region = Region.open(sys.argv[1])
        print("waits")
        with region.lock():
            print("locked")
    """
    process = start(program, region.name)
    assert process.hear() == "waits"
    time.sleep(0.2)
    for _ in range(3):
        os.kill(process.pid, signal.SIGUSR1)
        assert process.hear() == "handled"
    holder.tell()
    assert process.hear() == "locked"


def test_two_processes_take_turns(region: Region, start: Callable[..., Process]) -> None:
    first, second = start(HOLDER, region.name), None
    assert first.hear() == "locked"
    second = start(HOLDER, region.name)
    assert region.guard.acquire(False) is False
    first.tell()
    assert first.hear() == "released"
    assert second.hear() == "locked"
    second.tell()
    assert second.hear() == "released"


def test_it_says_what_it_is(region: Region) -> None:
    assert repr(region.guard) == f"<shmkit.Guard of region '{region.name}', unlocked>"
    with region.lock() as guard:
        assert repr(guard) == f"<shmkit.Guard of region '{region.name}', locked>"
