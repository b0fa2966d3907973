"""Counting goes on exactly while one of the counters is killed over and over."""

import random
import struct
import time

import pytest
from conformance.actor import Actor, command

KILLS = 15
#: Small, so that the victim often dies between two additions as well as within one.
BATCH = 5
SURVIVORS_AT, VICTIM_AT = 0, 8


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.parametrize("victim", metafunc.config.getoption("--languages").split(","))


class Counter:
    """A process that adds batch after batch to one number; how many additions it reported."""

    def __init__(self, language: str, name: str, offset: int) -> None:
        self.actor = Actor(language)
        expect_ok(self.actor, command("region_open", h="r", name=name))
        self._add = command("add", h="r", offset=offset, count=BATCH)
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


def test_survivors_lose_nothing(victim: str, fresh_name: str, request: pytest.FixtureRequest) -> None:
    """Survivors add to one number, the victim to another, all under the same guard."""
    keeper = Actor("rust")
    counters: list[Counter] = []
    try:
        expect_ok(keeper, command("region_create", h="r", name=fresh_name, len=64))
        for language in request.config.getoption("--languages").split(","):
            counters.append(Counter(language, fresh_name, SURVIVORS_AT))
        done = sum(additions_until_killed(victim, fresh_name, counters) for _ in range(KILLS))
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


def additions_until_killed(language: str, name: str, others: list[Counter]) -> int:
    """A process that adds beside the others until it is killed; how many additions it reported."""
    victim = Counter(language, name, VICTIM_AT)
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


def expect_ok(actor: Actor, line: str) -> dict[str, str]:
    answer = actor.ask(line)
    assert answer.status == "ok", answer
    return answer.fields
