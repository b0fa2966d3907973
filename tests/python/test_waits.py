"""Every blocking call waits alike: it passes when it may, obeys Ctrl-C, burns nothing, and sees its handle closed."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import shmkit
from python.processes import Process
from shmkit import Region

CALLS: dict[str, Callable[[Region], Callable[[], object]]] = {
    "guard": lambda region: region.guard.acquire,
    "mutex": lambda region: region.mutex("mutex").acquire,
    "mutex, with": lambda region: region.mutex("mutex").__enter__,
    "mutex, limit": lambda region: lambda: region.mutex("mutex").acquire(timeout=50),
    "mutex, guard": lambda region: region.mutex("mutex").lock(50).__enter__,
    "read": lambda region: region.rwlock("rwlock").acquire_read,
    "write": lambda region: region.rwlock("rwlock").write().__enter__,
    "semaphore": lambda region: region.semaphore("semaphore", 0).acquire,
    "tracked": lambda region: region.semaphore("tracked", 1, tracked=True).__enter__,
    "condvar": lambda region: condvar_wait(region),
    "wait_for": lambda region: condvar_wait_for(region),
    "event": lambda region: region.event("event").wait,
    "automatic": lambda region: region.event("automatic", automatic=True).wait,
    "barrier": lambda region: region.barrier("barrier", 2).wait,
    "atomic": lambda region: lambda: region.atomic("atomic").wait(0),
}
each = pytest.mark.parametrize("call", CALLS)


def condvar_wait(region: Region) -> Callable[[], object]:
    condvar = region.condvar("condvar", region.mutex("its-mutex"))
    condvar.acquire()
    return condvar.wait


def condvar_wait_for(region: Region) -> Callable[[], object]:
    condvar = region.condvar("condvar", region.mutex("its-mutex"))
    condvar.acquire()
    return lambda: condvar.wait_for(lambda: region[0] == 1)


class Obstacle:
    """Makes every call wait, and lets it pass."""

    def __init__(self, region: Region) -> None:
        self.region = region
        self.mutex, self.rwlock = region.mutex("mutex"), region.rwlock("rwlock")
        self.semaphore, self.tracked = region.semaphore("semaphore", 0), region.semaphore("tracked", 1, tracked=True)
        self.condvar, self.event = region.condvar("condvar"), region.event("event")
        self.automatic = region.event("automatic", automatic=True)
        self.barrier, self.atomic = region.barrier("barrier", 2), region.atomic("atomic")
        region.guard.acquire()
        self.mutex.acquire()
        self.rwlock.acquire_write()
        self.tracked.acquire()

    def remove(self) -> None:
        self.region.guard.release()
        self.mutex.release()
        self.rwlock.release_write()
        self.semaphore.release()
        self.tracked.release()
        self.region[0] = 1
        self.condvar.notify_all()
        self.event.set()
        self.automatic.set()
        self.atomic.store(1)
        self.atomic.notify_all()


@pytest.fixture
def obstacle(region: Region) -> Iterator[Obstacle]:
    yield Obstacle(region)


PROGRAM = """
    import signal, sys, time
    sys.path[:0] = sys.argv[3].split(":")
    from python.test_waits import CALLS
    from shmkit import Region

    signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
    region = Region.open(sys.argv[1])
    call = CALLS[sys.argv[2]](region)
    began = time.process_time()
    print("waits")
    try:
        call()
        print("passed", time.process_time() - began)
    except KeyboardInterrupt:
        print("interrupted", time.monotonic())
    sys.stdin.readline()
"""


@pytest.fixture
def waiter(start: Callable[..., Process], region: Region, obstacle: Obstacle) -> Callable[[str], Process]:
    """Another process that waits in a call."""
    path = ":".join(entry for entry in sys.path if entry)

    def waiter(call: str) -> Process:
        process = start(PROGRAM, region.name, call, path)
        assert process.hear() == "waits"
        time.sleep(0.2)
        return process

    return waiter


@each
def test_ctrl_c_ends_it(obstacle: Obstacle, waiter: Callable[[str], Process], call: str) -> None:
    process = waiter(call)
    sent = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    word, at = process.hear().split()
    assert word == "interrupted"
    assert float(at) - sent < 5  # usually about a millisecond; here only that it does not wait for what never comes


@each
def test_a_signal_that_raises_nothing_does_not_end_it(
    obstacle: Obstacle, waiter: Callable[[str], Process], call: str
) -> None:
    process = waiter(call)
    for _ in range(3):
        os.kill(process.pid, signal.SIGUSR1)
        assert process.hear() == "handled"
    obstacle.remove()
    if call == "barrier":
        obstacle.barrier.wait(20)
    assert process.hear().startswith("passed")


@each
def test_it_burns_nothing(obstacle: Obstacle, waiter: Callable[[str], Process], call: str) -> None:
    process = waiter(call)
    time.sleep(1)
    obstacle.remove()
    if call == "barrier":
        obstacle.barrier.wait(20)
    word, used_s = process.hear().split()
    assert word == "passed"
    assert float(used_s) < 0.3  # of 1.2 s; usually a few milliseconds


THREADED: dict[str, Callable[[Region], tuple[Any, Callable[[], object]]]] = {
    "mutex": lambda region: with_method(region.mutex("mutex"), "acquire"),
    "read": lambda region: with_method(region.rwlock("rwlock"), "acquire_read"),
    "write": lambda region: with_method(region.rwlock("rwlock"), "acquire_write"),
    "semaphore": lambda region: with_method(region.semaphore("semaphore", 0), "acquire"),
    "tracked": lambda region: with_method(region.semaphore("tracked", 1, tracked=True), "acquire"),
    "event": lambda region: with_method(region.event("event"), "wait"),
    "automatic": lambda region: with_method(region.event("automatic", automatic=True), "wait"),
    "barrier": lambda region: with_method(region.barrier("barrier", 2), "wait"),
    "atomic": lambda region: with_method(region.atomic("atomic"), "wait", 0),
    "condvar": lambda region: closed_condvar(region),
}


def with_method(made: Any, method: str, *arguments: object) -> tuple[Any, Callable[[], object]]:
    return made, lambda: getattr(made, method)(*arguments)


def closed_condvar(region: Region) -> tuple[Any, Callable[[], object]]:
    condvar = region.condvar("condvar", region.mutex("its-mutex"))

    def wait() -> None:
        with condvar:
            condvar.wait()

    return condvar, wait


@pytest.mark.parametrize("call", THREADED)
def test_a_thread_sees_its_handle_closed(region: Region, obstacle: Obstacle, call: str) -> None:
    handle, wait = THREADED[call](region)
    results: list[object] = []

    def run() -> None:
        try:
            results.append(wait())
        except shmkit.Error as error:
            results.append(type(error))

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.1)
    assert not results, "the interpreter is free while it waits"
    handle.close()
    thread.join(20)
    assert results == [shmkit.ClosedError]


GIVEN: dict[str, Callable[[Obstacle], tuple[Callable[..., object], Callable[[], object]]]] = {
    "guard": lambda obstacle: (obstacle.region.guard.acquire, obstacle.region.guard.release),
    "mutex": lambda obstacle: (obstacle.mutex.acquire, obstacle.mutex.release),
    "write": lambda obstacle: (obstacle.rwlock.acquire_write, obstacle.rwlock.release_write),
    "semaphore": lambda obstacle: (obstacle.semaphore.acquire, obstacle.semaphore.release),
    "tracked": lambda obstacle: (obstacle.tracked.acquire, obstacle.tracked.release),
    "automatic": lambda obstacle: (
        lambda block=True: obstacle.automatic.wait(None if block else 0),
        obstacle.automatic.set,
    ),
}


@pytest.mark.parametrize("what", GIVEN)
def test_what_comes_together_with_an_exception_is_not_lost(obstacle: Obstacle, what: str) -> None:
    """The handler gives what its own wait waits for, and raises: whoever asks next must get it."""
    take, give = GIVEN[what](obstacle)

    def handler(*_: object) -> None:
        give()
        raise ZeroDivisionError

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(ZeroDivisionError):
            take()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert take(False) is True


def test_what_a_handler_raises_ends_a_wait(region: Region, obstacle: Obstacle) -> None:
    class Alarm(Exception):
        pass

    def alarm(*_: object) -> None:
        raise Alarm

    before = signal.signal(signal.SIGALRM, alarm)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(Alarm):
            obstacle.mutex.acquire()
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        condvar = obstacle.condvar.with_mutex(region.mutex("its-mutex"))
        with condvar:
            with pytest.raises(Alarm):
                condvar.wait()
            assert condvar.mutex is not None and condvar.mutex.locked(), "held again, as threading has it"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    obstacle.mutex.release()
    assert not obstacle.mutex.locked()


def test_daemon_threads_that_wait_when_the_interpreter_ends(tmp_path: Path) -> None:
    """They begin to wait while it ends: nothing is said, and nothing hangs."""
    program = """
        import sys, threading, shmkit
        log = shmkit.Log.create(sys.argv[1])
        for _ in range(50):
            threading.Thread(target=log.reader().read, args=(None,), daemon=True).start()
    """
    for turn in range(3):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / str(turn))],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
