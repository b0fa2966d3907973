"""Counting goes on exactly, and no permit is lost, while one of the processes is killed over and over."""

import random
import struct
import time

import pytest
from conformance.actor import Actor, command, expect_ok

KILLS = 15
#: Small, so that the victim often dies between two additions as well as within one.
BATCH = 5
SURVIVORS_AT, VICTIM_AT = 0, 8
#: How each lock is opened, and how a number is added to under it.
LOCKS = {
    "guard": (None, "add", {}),
    "mutex": ("mutex_open", "add", {"mutex": "o"}),
    "rwlock": ("rwlock_open", "rw_add", {"rwlock": "o"}),
}
PERMITS = 3


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.parametrize("victim", metafunc.config.getoption("--languages").split(","))
    if "lock" in metafunc.fixturenames:
        metafunc.parametrize("lock", LOCKS)


class Counter:
    """A process that adds batch after batch to one number; how many additions it reported."""

    def __init__(self, language: str, name: str, lock: str, offset: int) -> None:
        self.actor = Actor(language)
        expect_ok(self.actor, command("region_open", h="r", name=name))
        opening, adding, under = LOCKS[lock]
        if opening is not None:
            expect_ok(self.actor, command(opening, h="r", o="o", name=lock))
        self._add = command(adding, h="r", offset=offset, count=BATCH, **under)
        self.done = 0
        self.actor.send(self._add)

    def go_on(self, within_s: float) -> None:
        """Sends it on if it has finished its batch."""
        if self.finish(within_s):
            self.actor.send(self._add)

    def finish(self, within_s: float) -> bool:
        try:
            answer = self.actor.answer(within_s)
        except TimeoutError:
            return False
        assert answer.status == "ok", answer
        self.done += BATCH
        return True


def test_survivors_lose_nothing(victim: str, lock: str, fresh_name: str, request: pytest.FixtureRequest) -> None:
    """Survivors add to one number, the victim to another, all under the same lock."""
    keeper = Actor("rust")
    counters: list[Counter] = []
    try:
        expect_ok(keeper, command("region_create", h="r", name=fresh_name, len=64))
        for language in request.config.getoption("--languages").split(","):
            counters.append(Counter(language, fresh_name, lock, SURVIVORS_AT))
        done = sum(additions_until_killed(victim, fresh_name, lock, counters) for _ in range(KILLS))
        for counter in counters:
            assert counter.finish(20), f"the {counter.actor.language} survivor hangs"
        data = expect_ok(keeper, command("read", h="r", offset=0, len=16))["data"]
        by_survivors, by_victims = struct.unpack("=QQ", bytes.fromhex(data))
        assert by_survivors == sum(counter.done for counter in counters)
        assert all(counter.done > KILLS * BATCH for counter in counters), "all went on all the time"
        assert done <= by_victims <= done + BATCH * KILLS
        expect_ok(keeper, command("region_unlink", name=fresh_name))
    finally:
        for actor in [keeper, *(counter.actor for counter in counters)]:
            actor.dispose()


def additions_until_killed(language: str, name: str, lock: str, others: list[Counter]) -> int:
    """A process that adds beside the others until it is killed; how many additions it reported."""
    victim = Counter(language, name, lock, VICTIM_AT)
    try:
        end = time.monotonic() + random.uniform(0.001, 0.03)
        while time.monotonic() < end:
            for counter in [victim, *others]:
                counter.go_on(0.0001)
    finally:
        victim.actor.dispose()
    # A few turns more, so that the others meet what the victim left.
    for _ in range(5):
        for counter in others:
            counter.go_on(0.005)
    return victim.done


class Borrower:
    """A process that takes and gives back a tracked permit in turns."""

    def __init__(self, language: str, name: str) -> None:
        self.actor = Actor(language)
        expect_ok(self.actor, command("region_open", h="r", name=name))
        permits = command("semaphore_open", h="r", o="o", name="permits", initial=PERMITS, tracked=1)
        expect_ok(self.actor, permits)
        self.turns = 0
        self.waits_for_answer = False
        self.holds = False

    def go_on(self, within_s: float, *, borrow: bool = True) -> None:
        """Takes in the answer if there is one, then gives back what it holds, or borrows again if told so."""
        if self.waits_for_answer:
            try:
                answer = self.actor.answer(within_s)
            except TimeoutError:
                return
            assert answer.status == "ok", answer
            self.waits_for_answer = False
            self.holds = not self.holds
            self.turns += 1
        if self.holds or borrow:
            self.actor.send("release h=o" if self.holds else "acquire h=o timeout_ms=20000")
            self.waits_for_answer = True


def test_permits_come_back(victim: str, fresh_name: str, request: pytest.FixtureRequest) -> None:
    """However often the borrower of permits is killed, in the end all permits are there, and not one more."""
    keeper = Actor("rust")
    others: list[Borrower] = []
    try:
        expect_ok(keeper, command("region_create", h="r", name=fresh_name, len=64))
        for language in request.config.getoption("--languages").split(","):
            others.append(Borrower(language, fresh_name))
        for _ in range(KILLS):
            kill_while_borrowing(Borrower(victim, fresh_name), others)
        while any(other.waits_for_answer for other in others):
            for other in others:
                other.go_on(0.001, borrow=False)
        assert all(other.turns > KILLS for other in others), "all went on all the time"
        for other in others:
            expect_ok(other.actor, "close h=o")
        expect_ok(keeper, command("semaphore_open", h="r", o="o", name="permits", initial=PERMITS, tracked=1))
        for _ in range(PERMITS):
            expect_ok(keeper, "acquire h=o timeout_ms=20000")
        assert expect_ok(keeper, "try_acquire h=o")["acquired"] == "0"
        expect_ok(keeper, command("region_unlink", name=fresh_name))
    finally:
        for actor in [keeper, *(other.actor for other in others)]:
            actor.dispose()


def kill_while_borrowing(victim: Borrower, others: list[Borrower]) -> None:
    """All borrow at once, more than there are permits, while the victim lives and after it died."""
    try:
        end = time.monotonic() + random.uniform(0.001, 0.03)
        while time.monotonic() < end:
            for borrower in [victim, *others]:
                borrower.go_on(0.0001)
    finally:
        victim.actor.dispose()
    for _ in range(20):
        for other in others:
            other.go_on(0.001)
