"""System V segments and semaphores, with other users of the same system calls on the other end."""

import itertools
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import sysv_ipc

import shmkit
from python.processes import Process
from shmkit import SysvSegment, SysvSemaphore

numbers = itertools.count(1)


@pytest.fixture
def key() -> int:
    """A key that nobody else uses."""
    return 0x50000000 | (os.getpid() & 0x3FFF) << 10 | next(numbers)


@pytest.fixture
def segment(key: int) -> Iterator[SysvSegment]:
    made = SysvSegment.create(key, 5000)
    yield made
    try:
        made.remove()
    except shmkit.NotFoundError:
        pass


@pytest.fixture
def semaphore(key: int) -> Iterator[SysvSemaphore]:
    made = SysvSemaphore.create(key, 1)
    yield made
    try:
        made.remove()
    except shmkit.NotFoundError:
        pass


def test_a_segment_is_that_of_sysv_ipc(segment: SysvSegment, key: int) -> None:
    theirs = sysv_ipc.SharedMemory(key)
    assert (theirs.id, theirs.size) == (segment.id, 5000)
    theirs.write(b"theirs", offset=4990)
    with segment.map(protection="read_write") as mine:
        assert mine[4990:4996] == b"theirs"
        mine[0:4] = b"mine"
        assert theirs.read(4) == b"mine"
        assert segment.status()["attached"] == 2
    theirs.detach()
    status = segment.status()
    assert (status["attached"], status["len"], status["mode"], status["key"]) == (0, 5000, 0o600, key)
    assert status["creator_pid"] == os.getpid() and not status["removed"]


def test_a_segment_of_sysv_ipc_is_opened(key: int) -> None:
    theirs = sysv_ipc.SharedMemory(key, sysv_ipc.IPC_CREX, size=100, init_character=b"z")
    try:
        mine = SysvSegment.open(key)
        assert (mine.id, mine.nbytes, mine.key) == (theirs.id, 100, key)
        with mine.map() as mapping:
            assert mapping[0:3] == b"zzz"
            with pytest.raises(shmkit.ReadOnlyError):
                mapping[0] = 1
    finally:
        theirs.detach()
        theirs.remove()
    with pytest.raises(FileNotFoundError):
        SysvSegment.open(key)


def test_segments_are_refused_as_files_are(segment: SysvSegment, key: int) -> None:
    with pytest.raises(FileExistsError):
        SysvSegment.create(key, 5000)
    with pytest.raises(shmkit.SizeMismatchError):
        SysvSegment.open_or_create(key, 5001)
    assert SysvSegment.open_or_create(key, 5000).id == segment.id
    assert pickle.loads(pickle.dumps(segment)).id == segment.id
    for refused in (
        lambda: SysvSegment.create(None, 0),
        lambda: SysvSegment.create(1 << 40, 1),
        lambda: SysvSegment.create(key, 2**70),
        lambda: SysvSegment.create(None, 1, mode=0o1000),
    ):
        with pytest.raises(ValueError):
            refused()
    assert SysvSegment.create(0xF0000000 | key, 1).key == (0xF0000000 | key) - 2**32
    SysvSegment.open(0xF0000000 | key).remove()
    segment.remove()
    with pytest.raises(shmkit.NotFoundError):
        segment.status()


def test_a_semaphore_is_that_of_sysv_ipc(semaphore: SysvSemaphore, key: int) -> None:
    theirs = sysv_ipc.Semaphore(key)
    assert (theirs.id, theirs.value) == (semaphore.id, 1)
    with semaphore:
        assert theirs.value == 0
        theirs.block = False
        with pytest.raises(sysv_ipc.BusyError):
            theirs.acquire()
    theirs.acquire()
    assert not semaphore.acquire(blocking=False)
    assert not semaphore.acquire(timeout=0.01)
    assert semaphore.wait_for_zero(timeout=20)
    theirs.release()
    assert semaphore.acquire(timeout=20)
    assert semaphore.status()["last_pid"] == os.getpid()
    semaphore.release(3)
    assert (theirs.value, semaphore.value) == (3, 3)
    assert semaphore.acquire(n=3)
    semaphore.set_value(7)
    assert theirs.value == 7
    assert not semaphore.wait_for_zero(timeout=0.01)


def test_a_semaphore_of_sysv_ipc_is_opened(key: int) -> None:
    theirs = sysv_ipc.Semaphore(key, sysv_ipc.IPC_CREX, initial_value=2)
    try:
        mine = SysvSemaphore.open_or_create(key, 2)
        assert (mine.id, mine.value) == (theirs.id, 2)
        again = pickle.loads(pickle.dumps(mine))
        assert (again.id, again.index) == (mine.id, 0)
    finally:
        theirs.remove()


def test_misuse_of_semaphores_is_refused(semaphore: SysvSemaphore) -> None:
    for refused in (
        lambda: semaphore.acquire(blocking=False, timeout=1),
        lambda: semaphore.acquire(n=0),
        lambda: semaphore.release(0),
        lambda: semaphore.release(32767),
        lambda: semaphore.set_value(32768),
        lambda: SysvSemaphore.create(None, 32768),
        lambda: SysvSemaphore.from_id(semaphore.id, index=1),
    ):
        with pytest.raises(ValueError):
            refused()


HOLDER = """
    import sys
    from shmkit import SysvSemaphore
    SysvSemaphore.from_id(int(sys.argv[1])).acquire()
    print("taken")
    sys.stdin.readline()
"""


def test_permits_of_a_killed_process_come_back(semaphore: SysvSemaphore, start: Callable[..., Process]) -> None:
    holder = start(HOLDER, semaphore.id)
    assert holder.hear() == "taken"
    assert not semaphore.acquire(blocking=False)
    holder.kill()
    assert semaphore.acquire(timeout=20)


def test_a_wait_ends_when_the_set_is_removed(semaphore: SysvSemaphore) -> None:
    semaphore.acquire()
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            semaphore.acquire()
        except shmkit.NotFoundError as error:
            raised.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    while semaphore.status()["waiting"] == 0:
        time.sleep(0.001)
    semaphore.remove()
    waiter.join(20)
    assert len(raised) == 1


def test_a_signal_handler_that_raises_ends_a_wait(semaphore: SysvSemaphore) -> None:
    semaphore.acquire()
    sender = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    sender.start()
    with pytest.raises(KeyboardInterrupt):
        semaphore.acquire(timeout=20)
    sender.join()
