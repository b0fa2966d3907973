"""The runner's operations on locks and the other named objects that nobody else has a file for."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import shmkit
from shmkit import Atomic, Barrier, Condvar, Event, Mutex, Region, RwLock, Semaphore

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner_protocol import Command

    from shmkit import Guard


class ObjectCommands:
    """Mixed into the runner, which knows the handles."""

    a: Callable[..., Any]
    keep_object: Callable[..., None]
    labels: dict[str, str]

    def expect(self, passed: bool, command: Command, operation: str) -> None:
        """Some waits tell by their result that the time passed; in the other languages they fail."""
        if not passed:
            reason = "the time limit passed (ETIMEDOUT); wait longer, or find out who holds it"
            error = shmkit.TimeoutError(errno.ETIMEDOUT, reason, self.labels[command.text("h")])
            error.operation = operation
            raise error

    def do_mutex_open(self, command: Command) -> None:
        self.keep_object(command, Region.mutex)

    def do_rwlock_open(self, command: Command) -> None:
        self.keep_object(command, Region.rwlock)

    def do_semaphore_open(self, command: Command) -> None:
        initial, options = command.number("initial"), command.given("max")
        tracked = command.flag("tracked")
        self.keep_object(command, lambda region, name: region.semaphore(name, initial, tracked=tracked, **options))

    def do_condvar_open(self, command: Command) -> None:
        self.keep_object(command, Region.condvar)

    def do_event_open(self, command: Command) -> None:
        automatic = command.flag("automatic")
        self.keep_object(command, lambda region, name: region.event(name, automatic=automatic))

    def do_barrier_open(self, command: Command) -> None:
        parties = command.number("parties")
        self.keep_object(command, lambda region, name: region.barrier(name, parties))

    def do_atomic_open(self, command: Command) -> None:
        kind, options = command.text("type"), command.given("initial")
        self.keep_object(command, lambda region, name: region.atomic(name, kind, **options))

    def do_read_lock(self, command: Command) -> dict[str, object]:
        return taken(self.a(RwLock, command).read(command.timeout(), recover=True))

    def do_try_read_lock(self, command: Command) -> dict[str, object]:
        return tried(self.a(RwLock, command).read(recover=True))

    def do_read_unlock(self, command: Command) -> None:
        self.a(RwLock, command).release_read()

    def do_write_lock(self, command: Command) -> dict[str, object]:
        return taken(self.a(RwLock, command).write(command.timeout(), recover=True))

    def do_try_write_lock(self, command: Command) -> dict[str, object]:
        return tried(self.a(RwLock, command).write(recover=True))

    def do_write_unlock(self, command: Command) -> None:
        self.a(RwLock, command).release_write()

    def do_acquire(self, command: Command) -> None:
        acquired = self.a(Semaphore, command).acquire(timeout=command.timeout())
        self.expect(acquired, command, "acquire semaphore")

    def do_try_acquire(self, command: Command) -> dict[str, object]:
        return {"acquired": int(self.a(Semaphore, command).acquire(blocking=False))}

    def do_release(self, command: Command) -> None:
        self.a(Semaphore, command).release(command.given("count").get("count", 1))

    def do_available(self, command: Command) -> dict[str, object]:
        return {"count": self.a(Semaphore, command).available}

    def do_cond_wait(self, command: Command) -> dict[str, object]:
        condvar = self.a(Condvar, command).with_mutex(self.a(Mutex, command, "mutex"))
        notified = condvar.wait(command.timeout(), recover=True)
        return {"notified": int(notified), "owner_died": int(condvar.owner_died)}

    def do_notify_one(self, command: Command) -> None:
        self.a(Condvar, command).notify()

    def do_notify_all(self, command: Command) -> None:
        self.a(Condvar, command).notify_all()

    def do_event_set(self, command: Command) -> None:
        self.a(Event, command).set()

    def do_event_reset(self, command: Command) -> None:
        self.a(Event, command).clear()

    def do_event_wait(self, command: Command) -> None:
        self.expect(self.a(Event, command).wait(command.timeout()), command, "wait for event")

    def do_event_is_set(self, command: Command) -> dict[str, object]:
        return {"set": int(self.a(Event, command).is_set())}

    def do_barrier_wait(self, command: Command) -> dict[str, object]:
        return {"leader": int(self.a(Barrier, command).wait(command.timeout()) == 0)}

    def do_barrier_reset(self, command: Command) -> None:
        self.a(Barrier, command).reset()

    def do_barrier_abort(self, command: Command) -> None:
        self.a(Barrier, command).abort()

    def do_barrier_info(self, command: Command) -> dict[str, object]:
        barrier = self.a(Barrier, command)
        return {"broken": int(barrier.broken), "waiting": barrier.n_waiting, "parties": barrier.parties}

    def do_atomic_load(self, command: Command) -> dict[str, object]:
        return {"value": self.a(Atomic, command).load()}

    def do_atomic_store(self, command: Command) -> None:
        self.a(Atomic, command).store(command.number("value"))

    def do_atomic_add(self, command: Command) -> dict[str, object]:
        return {"old": self.a(Atomic, command).add(command.number("value"))}

    def do_atomic_cas(self, command: Command) -> dict[str, object]:
        atomic = self.a(Atomic, command)
        swapped, old = atomic.compare_exchange(command.number("current"), command.number("new"))
        return {"old": old, "swapped": int(swapped)}

    def do_atomic_wait(self, command: Command) -> None:
        changed = self.a(Atomic, command).wait(command.number("value"), command.timeout())
        self.expect(changed, command, "wait for atomic")

    def do_atomic_notify(self, command: Command) -> None:
        self.a(Atomic, command).notify_all()

    def do_atomic_add_many(self, command: Command) -> None:
        atomic = self.a(Atomic, command)
        for _ in range(command.number("count")):
            atomic.add(1)


def taken(guard: Guard) -> dict[str, object]:
    # The end of a `with` would unlock: here a lock outlives the command that took it.
    guard.__enter__()
    return {"owner_died": int(guard.owner_died)}


def tried(guard: Guard) -> dict[str, object]:
    return {"locked": int(guard.acquire(blocking=False)), "owner_died": int(guard.owner_died)}
