"""asyncio: waiting without blocking the loop, cancelling, and how many threads it takes."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

import shmkit
from python.processes import Process
from python.test_mutex import HOLDER
from shmkit import Region


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 20
    while left := set(threading.enumerate()) - before:
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.01)


def waiting_threads() -> int:
    return sum(thread.name.startswith("shmkit-wait") for thread in threading.enumerate())


def run(program: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(program, 60))


HOLDS: dict[str, Callable[[Region], tuple[Any, Callable[[], object], Callable[[], object]]]] = {
    "guard": lambda region: (region.lock().aio, region.guard.acquire, region.guard.release),
    "mutex": lambda region: of(region.mutex("it"), "aio", "acquire", "release"),
    "write": lambda region: (
        lambda *timeout: region.rwlock("it").write(*timeout).aio(),
        region.rwlock("it").acquire_write,
        region.rwlock("it").release_write,
    ),
    "read": lambda region: (
        lambda *timeout: region.rwlock("it").read(*timeout).aio(),
        region.rwlock("it").acquire_write,
        region.rwlock("it").release_write,
    ),
    "semaphore": lambda region: of(region.semaphore("it", 1, max=1), "aio", "acquire", "release"),
    "tracked": lambda region: of(region.semaphore("it", 1, tracked=True), "aio", "acquire", "release"),
}
each = pytest.mark.parametrize("kind", HOLDS)


def of(made: Any, *methods: str) -> Any:
    return tuple(getattr(made, method) for method in methods)


def is_free(region: Region, kind: str) -> bool:
    _, take, give_back = HOLDS[kind](region)
    if not take(False):  # type: ignore[call-arg]
        return False
    give_back()
    return True


def until_free(region: Region, kind: str) -> None:
    """What a thread took for a coroutine that did not want it any more is free again very soon."""
    deadline = time.monotonic() + 20
    while not is_free(region, kind):
        assert time.monotonic() < deadline, "leaked"
        time.sleep(0.001)


@each
def test_what_is_free_is_taken_without_a_thread(region: Region, kind: str) -> None:
    aio, _, _ = HOLDS[kind](region)

    async def program() -> None:
        for _ in range(10):
            async with aio():
                assert not is_free(region, kind)
            assert waiting_threads() == 0
        with pytest.raises(ZeroDivisionError):
            async with aio():
                1 / 0
        assert is_free(region, kind)

    run(program())


@each
def test_the_loop_goes_on_while_a_coroutine_waits(region: Region, kind: str) -> None:
    aio, take, give_back = HOLDS[kind](region)
    done: list[str] = []

    async def waiter() -> None:
        async with aio():
            done.append("held")

    async def program() -> None:
        task = asyncio.create_task(waiter())
        for _ in range(20):
            await asyncio.sleep(0.005)
            done.append("turn")
        give_back()
        await task

    take()
    run(program())
    assert done == ["turn"] * 20 + ["held"]
    assert is_free(region, kind)


@each
def test_any_number_of_coroutines_takes_one_thread(region: Region, kind: str) -> None:
    aio, take, give_back = HOLDS[kind](region)
    order: list[int] = []

    async def waiter(number: int) -> None:
        async with aio():
            order.append(number)
            await asyncio.sleep(0)

    async def program() -> None:
        tasks = [asyncio.create_task(waiter(number)) for number in range(200)]
        await asyncio.sleep(0.1)
        assert waiting_threads() == 1
        assert not order
        give_back()
        await asyncio.gather(*tasks)
        assert waiting_threads() <= 1

    take()
    run(program())
    assert order == list(range(200)), "first come, first served"
    assert is_free(region, kind)


@pytest.mark.parametrize("kind", [kind for kind in HOLDS if kind != "read"])  # readers have it together, in any order
def test_nobody_overtakes_those_who_wait(region: Region, kind: str) -> None:
    aio, take, give_back = HOLDS[kind](region)
    order: list[str] = []

    async def waiter(name: str) -> None:
        async with aio():
            order.append(name)

    async def program() -> None:
        task = asyncio.create_task(waiter("first"))
        await asyncio.sleep(0.05)
        give_back()
        await waiter("newcomer")
        await task

    take()
    run(program())
    assert order == ["first", "newcomer"]


def test_handles_on_one_lock_share_its_thread_and_other_locks_have_their_own(region: Region) -> None:
    one, other = region.mutex("one"), region.mutex("other")

    async def waiter(mutex: shmkit.Mutex) -> None:
        async with mutex.aio():
            pass

    async def program() -> None:
        mutexes = [region.mutex("one"), region.mutex("one"), one, other, region.mutex("other")]
        tasks = [asyncio.create_task(waiter(mutex)) for mutex in mutexes]
        await asyncio.sleep(0.1)
        assert waiting_threads() == 2
        other.release()
        await asyncio.gather(*tasks[3:])
        one.release()
        await asyncio.gather(*tasks)

    one.acquire()
    other.acquire()
    run(program())


@each
def test_who_is_cancelled_holds_nothing(region: Region, kind: str) -> None:
    aio, take, give_back = HOLDS[kind](region)
    held: list[int] = []

    async def waiter(number: int) -> None:
        async with aio():
            held.append(number)

    async def program() -> None:
        tasks = [asyncio.create_task(waiter(number)) for number in range(6)]
        await asyncio.sleep(0.1)
        for number in (0, 2, 5):
            tasks[number].cancel()
        await asyncio.sleep(0.01)
        give_back()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(result, asyncio.CancelledError) for result in results] == [
            True, False, True, False, False, True,
        ]  # fmt: skip

    take()
    run(program())
    assert held == [1, 3, 4]
    until_free(region, kind)


@each
def test_cancelling_at_the_moment_of_taking_leaks_nothing(region: Region, kind: str) -> None:
    """The thread takes it, and before the coroutine learns of that, somebody cancels it."""
    aio, take, give_back = HOLDS[kind](region)

    async def waiter() -> None:
        async with aio():
            pass

    async def program() -> None:
        for pause_s in [0.0, 0.0002, 0.0005, 0.001, 0.002, 0.005] * 10:
            take()
            task = asyncio.create_task(waiter())
            await asyncio.sleep(0.005)
            give_back()
            time.sleep(pause_s)  # the loop sees nothing of what the thread tells it
            task.cancel()
            await asyncio.wait([task])
            until_free(region, kind)

    run(program())


@each
def test_a_time_limit(region: Region, kind: str) -> None:
    aio, take, give_back = HOLDS[kind](region)
    if kind == "guard":
        aio = lambda timeout: region.lock(timeout).aio()  # noqa: E731

    async def program() -> None:
        begin = time.monotonic()
        with pytest.raises(shmkit.TimeoutError) as raised:
            async with aio(0.1):
                raise AssertionError("not held")
        assert time.monotonic() - begin >= 0.1
        assert raised.value.filename.startswith(region.name)
        with pytest.raises(shmkit.TimeoutError):
            async with aio(0):
                raise AssertionError("not held")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), aio(20):
                raise AssertionError("not held")
        give_back()
        async with aio(20):
            pass

    take()
    run(program())
    until_free(region, kind)


def test_processes_take_turns(region: Region, start: Callable[..., Process]) -> None:
    mutex = region.mutex("it")
    holder = start(HOLDER, region.name)
    assert holder.hear() == "locked"

    async def program() -> None:
        asyncio.get_running_loop().call_later(0.1, holder.tell)
        async with mutex.aio() as guard:
            assert holder.hear() == "released"
            assert not guard.owner_died

    run(program())


def test_a_death_is_reported_to_coroutines_too(region: Region, start: Callable[..., Process]) -> None:
    mutex = region.mutex("it")
    holder = start(HOLDER, region.name)
    assert holder.hear() == "locked"

    async def program() -> None:
        asyncio.get_running_loop().call_later(0.1, holder.popen.kill)
        with pytest.raises(shmkit.OwnerDiedError):
            async with mutex.aio():
                raise AssertionError("not held")
        with pytest.raises(shmkit.OwnerDiedError):  # now without a thread
            async with mutex.aio():
                raise AssertionError("not held")
        assert not mutex.locked()
        async with mutex.aio(recover=True) as guard:
            assert guard.owner_died
            guard.make_consistent()
        async with mutex.aio() as guard:
            assert not guard.owner_died

    run(program())


def test_events(region: Region) -> None:
    event, automatic = region.event("manual"), region.event("automatic", automatic=True)

    async def program() -> None:
        assert await event.aio(0.02) is False
        tasks = [asyncio.create_task(event.aio(20)) for _ in range(50)]
        await asyncio.sleep(0.05)
        assert waiting_threads() == 1
        late = event.aio(0.3)
        event.set()
        event.clear()
        later = event.aio(0.1)
        assert await asyncio.gather(*tasks) == [True] * 50
        assert await later is False, "it came when the event was cleared again"
        assert await late is True, "it was there when the event was set"

        tasks = [asyncio.create_task(automatic.aio(20)) for _ in range(3)]
        await asyncio.sleep(0.05)
        for count in range(1, 4):
            automatic.set()
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=20)
            while sum(task.done() for task in tasks) < count:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.02)
            assert sum(task.done() for task in tasks) == count, "one for each set"
        assert not automatic.is_set()

    run(program())


def test_a_cancelled_wait_for_an_automatic_event_takes_no_flag(region: Region) -> None:
    event = region.event("it", automatic=True)

    async def program() -> None:
        for pause_s in [0.0, 0.0005, 0.002] * 10:
            task = asyncio.create_task(event.aio())
            await asyncio.sleep(0.005)
            event.set()
            time.sleep(pause_s)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            assert await event.aio(20), "the flag went on to the next"

    run(program())


def test_a_closed_handle_ends_the_wait(region: Region) -> None:
    mutex = region.mutex("it")
    waiting = region.mutex("it")

    async def program() -> None:
        async def waiter() -> None:
            async with waiting.aio():
                raise AssertionError("not held")

        task = asyncio.create_task(waiter())
        await asyncio.sleep(0.05)
        waiting.close()
        with pytest.raises(shmkit.ClosedError):
            await task

    with mutex:
        run(program())


def test_an_exception_of_the_body_wins_over_one_of_the_release(region: Region) -> None:
    mutex = region.mutex("it")

    async def program() -> None:
        with pytest.raises(ZeroDivisionError):
            async with mutex.aio() as guard:
                guard.release()
                1 / 0
        with pytest.raises(shmkit.NotOwnerError):
            async with mutex.aio() as guard:
                guard.release()

    run(program())


def test_loops_in_several_threads_share_a_lock(region: Region) -> None:
    mutex = region.mutex("it")

    async def program() -> None:
        async def count() -> None:
            for _ in range(20):
                async with mutex.aio():
                    value = region[0]
                    await asyncio.sleep(0)
                    region[0] = value + 1

        await asyncio.gather(*(count() for _ in range(4)))

    threads = [threading.Thread(target=run, args=(program(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert region[0] == 240


def test_a_loop_that_was_closed_leaves_nothing_behind(region: Region) -> None:
    mutex = region.mutex("it")

    async def waiter() -> None:
        async with mutex.aio():
            raise AssertionError("not held")

    loop = asyncio.new_event_loop()
    task = loop.create_task(waiter())
    with mutex:
        loop.run_until_complete(asyncio.sleep(0.05))
        assert waiting_threads() == 1
        loop.close()
    while waiting_threads():
        time.sleep(0.01)
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # what the test is about
    del task
    gc.collect()  # ends the coroutine, which must not give back what was given back for it
    assert mutex.acquire(timeout=20)
    mutex.release()


def test_a_program_ends_although_coroutines_wait(region: Region) -> None:
    program = """
import asyncio, sys
from shmkit import Region
mutex = Region.open(sys.argv[1]).mutex("it")
async def waiter():
    async with mutex.aio():
        print("held")
loop = asyncio.new_event_loop()
task = loop.create_task(waiter())
loop.run_until_complete(asyncio.sleep(0.05))
print("ends")
"""
    with region.mutex("it"):
        result = subprocess.run(
            [sys.executable, "-c", program, region.name], capture_output=True, text=True, timeout=60
        )
    assert (result.returncode, result.stdout) == (0, "ends\n")


def test_a_forked_child_has_queues_of_its_own(region: Region) -> None:
    mutex = region.mutex("it")

    async def waiter() -> None:
        async with mutex.aio(20):
            pass

    async def program() -> None:
        task = asyncio.create_task(waiter())
        await asyncio.sleep(0.05)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                asyncio._set_running_loop(None)
                asyncio.run(waiter())
                status = 0
            finally:
                os._exit(status)
        mutex.release()
        await task
        _, status = await asyncio.to_thread(os.waitpid, pid, 0)
        assert status == 0

    mutex.acquire()
    run(program())
