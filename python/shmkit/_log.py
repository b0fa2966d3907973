"""Logs and event loops: awaiting the disk, and records as they come."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ._native import Log, LogReader, LogRecord, Ticket

_SLICE_S = 0.2
"""How long a thread waits for a record before it looks whether anybody still wants it to."""


async def durable(log: Log, ticket: Ticket) -> None:
    """Returns when the record of a ticket is on the disk; raises what the disk reported."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def settle(error: Exception | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def told(error: Exception | None) -> None:
        try:
            loop.call_soon_threadsafe(settle, error)
        except RuntimeError:  # The loop is closed: nobody waits any more.
            pass

    log.on_durable(ticket, told)
    await future


async def records(reader: LogReader, follow: bool, timeout: float | None) -> AsyncIterator[LogRecord]:
    """The records of a reader. One that comes while the coroutine is cancelled stays with the reader, for the next."""
    waiter: ThreadPoolExecutor | None = None
    try:
        while True:
            record = reader.read()
            if record is None and follow:
                if waiter is None:
                    waiter = ThreadPoolExecutor(1, "shmkit-log-reader")
                if await _comes(reader, timeout, waiter):
                    record = reader.read()
            if record is None:
                return
            yield record
    finally:
        if waiter is not None:
            waiter.shutdown(wait=False)


async def _comes(reader: LogReader, timeout: float | None, waiter: ThreadPoolExecutor) -> bool:
    """Whether a record comes in time."""
    loop = asyncio.get_running_loop()
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = _SLICE_S if deadline is None else min(_SLICE_S, deadline - time.monotonic())
        if left <= 0:
            return False
        # Shielded: the thread ends its slice in any case, and nobody else may read meanwhile.
        waiting = loop.run_in_executor(waiter, reader.wait, left)
        try:
            if await asyncio.shield(waiting):
                return True
        except asyncio.CancelledError:
            await asyncio.wait([waiting])
            raise
