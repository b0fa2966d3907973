"""Waiting without blocking an event loop.

Whoever finds a lock free takes it at once, without any thread. Else the coroutine queues up, and one thread waits for
the first in the queue: one for each lock that somebody waits for, however many coroutines that are. What a thread took
for a coroutine that was cancelled meanwhile is given back.

Each lock, in each process, has one queue, whatever handles lead to it; it is there while its thread is.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from types import TracebackType


class Takeable(Protocol):
    """What can be waited for: a guard, a semaphore, an event's passage."""

    def acquire(self, blocking: bool = True, timeout: float = ...) -> bool: ...
    def release(self) -> None: ...


Key: TypeAlias = tuple[bytes, str]
"""A region's id and an object's name."""

_T = TypeVar("_T", bound=Takeable)

_SLICE_S = 0.2
"""How long a thread waits before it looks whether anybody still wants it to."""
_LINGER_S = 0.05
"""How long a thread without work stays, because who waited once often waits again."""


class Hold(Generic[_T]):
    """``async with hold as thing``: holds the thing for its body."""

    def __init__(self, thing: _T, key: Key, timeout: float | None, too_late: BaseException | None) -> None:
        self._thing = thing
        self._key = key
        self._timeout = timeout
        self._too_late = too_late

    async def __aenter__(self) -> _T:
        if not await wait(self._thing, self._key, self._timeout) and self._too_late is not None:
            raise self._too_late
        return self._thing

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._thing.release()
        except OSError:
            if exc_type is None:  # An exception of the body wins over one of the release.
                raise


class _Waiter:
    """A coroutine that queues up for a thing."""

    def __init__(self, thing: Takeable) -> None:
        self.thing = thing
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] = self.loop.create_future()
        self.given = False  # It holds the thing, whether it knows already or not. Whoever gives it back says so here.

    def renounce(self) -> bool:
        """What it holds, it holds no longer; whether it held anything. For who holds the lock over all queues."""
        given, self.given = self.given, False
        return given

    def settle(self, error: BaseException | None) -> None:
        """Tells the coroutine, in its own thread."""
        if self.future.done():
            return
        if error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(error)


class _Queue:
    """Those who wait for one lock, and the thread that waits for them."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.waiters: deque[_Waiter] = deque()
        self.changed = threading.Condition(_lock)

    def serve(self) -> None:
        """Gives to one waiter after the other, until nobody has come for a while."""
        while (first := self._first()) is not None:
            error = None
            try:
                if not first.thing.acquire(timeout=_SLICE_S):
                    continue
            except BaseException as raised:
                error = raised
            with _lock:
                wanted = bool(self.waiters) and self.waiters[0] is first
                if wanted:
                    self.waiters.popleft()
                    first.given = error is None
            if not wanted:
                if error is None:
                    first.thing.release()
                continue
            try:
                first.loop.call_soon_threadsafe(first.settle, error)
            except RuntimeError:  # The loop is closed: the coroutine will never run again.
                with _lock:
                    given = first.renounce()
                if given:
                    first.thing.release()

    def _first(self) -> _Waiter | None:
        with _lock:
            self._forget_the_lost()
            if not self.waiters and threading.main_thread().is_alive():
                self.changed.wait(_LINGER_S)
                self._forget_the_lost()
            if self.waiters:
                return self.waiters[0]
            del _queues[self.key]
            return None

    def _forget_the_lost(self) -> None:
        """Coroutines whose loop is closed, or that the end of the program left behind."""
        ends = not threading.main_thread().is_alive()
        while self.waiters and (ends or self.waiters[0].loop.is_closed()):
            self.waiters.popleft()


_lock = threading.RLock()
"""Over all queues; held for a few instructions only. Should these collect garbage, a coroutine that is destroyed may
withdraw among them: hence one that its thread can take twice."""
_queues: dict[Key, _Queue] = {}


def _forget_all() -> None:
    """In a forked child: it has neither the threads nor the coroutines of its parent."""
    global _lock
    _lock = threading.RLock()
    _queues.clear()


os.register_at_fork(after_in_child=_forget_all)


def _enqueue(thing: Takeable, key: Key) -> _Waiter | None:
    """Takes the thing at once (None), unless others are waiting for it already, or queues up."""
    with _lock:
        queue = _queues.get(key)
        if (queue is None or not queue.waiters) and thing.acquire(blocking=False):
            return None
        waiter = _Waiter(thing)
        if queue is not None:
            queue.waiters.append(waiter)
            queue.changed.notify()
            return waiter
        queue = _Queue(key)
        queue.waiters.append(waiter)
        threading.Thread(target=queue.serve, name=f"shmkit-wait-{key[1]}").start()
        _queues[key] = queue
        return waiter


def _withdraw(waiter: _Waiter, key: Key) -> bool:
    """Leaves the queue; whether the waiter had been given its thing by then, for the caller to keep or give back."""
    with _lock:
        queue = _queues.get(key)
        if queue is not None and waiter in queue.waiters:
            queue.waiters.remove(waiter)
        return waiter.renounce()


async def wait(thing: Takeable, key: Key, timeout: float | None) -> bool:
    """Takes the thing; False when ``timeout`` seconds pass. A coroutine that is cancelled does not hold it."""
    waiter = _enqueue(thing, key)
    if waiter is None:
        return True
    try:
        async with asyncio.timeout(timeout) as limit:
            await waiter.future
    except BaseException:
        given = _withdraw(waiter, key)
        if limit.expired():
            return given  # In the very last moment: it is ours.
        if given:
            thing.release()
        raise
    return True
