"""CPython's own tests of the primitives in `threading`, bound to ours.

What cannot hold for objects that processes share is listed at each class, with the reason.
"""

import itertools
import os
import secrets
import unittest
from collections.abc import Callable
from typing import TypeVar

import pytest

import shmkit
from shmkit import Region

lock_tests = pytest.importorskip("test.lock_tests", reason="this Python comes without its own tests")

_C = TypeVar("_C", bound=type)

NO_PRIVATE_FORK_HOOK = "tests a private method; a forked child is attached anew by itself (test_objects.py)"
ANY_MAY_NOTIFY = "anybody may notify, with or without the mutex, as in all languages"
SPURIOUS = "counts how many wake up, but a wait may end without a notification: so none dies with a killed waiter"
NO_INDEX = "needs a different number for each participant; one gets 0 and all others 1"
NO_BREAK = "a wait that ends early takes its arrival back, and does not break the barrier for the others"


def without(**reasons: str) -> Callable[[_C], _C]:
    """Skips the tests of these names, each for its reason."""

    def skip(case: _C) -> _C:
        for name, reason in reasons.items():
            if hasattr(case, name):
                setattr(case, name, unittest.skip(reason)(lambda self: None))
        return case

    return skip


class OnScratchRegion:
    """Each test has a region of its own, and names in it that are fresh."""

    def setUp(self) -> None:
        name = f"test-{os.getpid()}-{secrets.token_hex(4)}"
        self.region = Region.create(name, 1)
        Region.unlink(name)
        self.numbers = itertools.count()
        super().setUp()  # type: ignore[misc]

    def fresh(self) -> str:
        return f"it-{next(self.numbers)}"


@without(test_at_fork_reinit=NO_PRIVATE_FORK_HOOK)
class MutexTests(OnScratchRegion, lock_tests.LockTests):
    def locktype(self) -> shmkit.Mutex:
        return self.region.mutex(self.fresh())


@without(
    test_at_fork_reinit=NO_PRIVATE_FORK_HOOK,
    test_repr="a guard shows the lock that it takes",
    test_locked_repr="a guard shows the lock that it takes",
)
class MutexGuardTests(OnScratchRegion, lock_tests.LockTests):
    def locktype(self) -> shmkit.Guard:
        return self.region.mutex(self.fresh()).lock(recover=True)


class WriteGuardTests(MutexGuardTests):
    def locktype(self) -> shmkit.Guard:
        return self.region.rwlock(self.fresh()).write(recover=True)


class RegionGuardTests(MutexGuardTests):
    def locktype(self) -> shmkit.Guard:
        return self.region.lock(recover=True)


class SemaphoreTests(OnScratchRegion, lock_tests.SemaphoreTests):
    def semtype(self, value: int = 1) -> shmkit.Semaphore:
        return self.region.semaphore(self.fresh(), value)


@without(test_repr="no class of its own: a maximum makes any semaphore a bounded one")
class BoundedSemaphoreTests(OnScratchRegion, lock_tests.BoundedSemaphoreTests):
    def semtype(self, value: int = 1) -> shmkit.Semaphore:
        return self.region.semaphore(self.fresh(), value, max=value)


@without(
    test_repr="no class of its own",
    test_release_unacquired="is refused by NotOwnerError, a RuntimeError: permits belong to who acquired",
)
class TrackedSemaphoreTests(OnScratchRegion, lock_tests.BoundedSemaphoreTests):
    def semtype(self, value: int = 1) -> shmkit.Semaphore:
        return self.region.semaphore(self.fresh(), value, tracked=True)


@without(test_at_fork_reinit=NO_PRIVATE_FORK_HOOK)
class EventTests(OnScratchRegion, lock_tests.EventTests):
    def eventtype(self) -> shmkit.Event:
        return self.region.event(self.fresh())


@without(
    test_acquire="needs a lock that a thread can take twice, and condition variables over locks of one process",
    test_unacquired_notify=ANY_MAY_NOTIFY,
    test_notify=SPURIOUS,
)
class ConditionTests(OnScratchRegion, lock_tests.ConditionTests):
    def condtype(self) -> shmkit.Condvar:
        return self.region.condvar(self.fresh(), self.region.mutex(self.fresh()))


@without(
    test_wait_return=NO_INDEX,
    test_abort=NO_INDEX,
    test_reset=NO_INDEX,
    test_abort_and_reset=NO_INDEX,
    test_action="no action: the leader, who gets 0, knows that it is the one to act",
    test_timeout=NO_BREAK,
    test_default_timeout="no limit for all waits: each wait has its own",
)
class BarrierTests(OnScratchRegion, lock_tests.BarrierTests):
    def barriertype(self, parties: int, timeout: float | None = None) -> shmkit.Barrier:
        return self.region.barrier(self.fresh(), parties)


# Not bound: RLockTests. A lock whose owner is a process cannot count how often one of its threads has taken it.
