"""Counting goes on exactly while one of the counters is killed over and over."""

import random
import struct
import time

import pytest

from conformance.actor import Actor, command
from helpers.objects import Names

KILLS = 15
ROUNDS = 4000
#: Small, so that the victim often dies between two additions as well as within one.
BATCH = 5
SURVIVORS_AT, VICTIM_AT = 0, 8


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.parametrize("victim", metafunc.config.getoption("--languages").split(","))


def test_survivors_lose_nothing(victim: str, fresh_name: str, request: pytest.FixtureRequest) -> None:
    """Survivors add to one number, the victim to another, all under the same guard."""
    survivors = [Actor(language) for language in request.config.getoption("--languages").split(",")]
    try:
        expect_ok(survivors[0], command("region_create", h="r", name=fresh_name, len=64))
        for survivor in survivors[1:]:
            expect_ok(survivor, command("region_open", h="r", name=fresh_name))
        for survivor in survivors:
            survivor.send(command("add", h="r", offset=SURVIVORS_AT, count=ROUNDS))
        done = sum(additions_until_killed(victim, fresh_name) for _ in range(KILLS))
        for survivor in survivors:
            assert survivor.answer(60).status == "ok"
        data = expect_ok(survivors[0], command("read", h="r", offset=0, len=16))["data"]
        by_survivors, by_victims = struct.unpack("=QQ", bytes.fromhex(data))
        assert by_survivors == ROUNDS * len(survivors)
        assert done <= by_victims <= done + BATCH * KILLS
        expect_ok(survivors[0], command("region_unlink", name=fresh_name))
    finally:
        for survivor in survivors:
            survivor.dispose()


def additions_until_killed(language: str, name: str) -> int:
    """A process that adds until it is killed at some moment; how many additions it reported."""
    victim = Actor(language)
    try:
        expect_ok(victim, command("region_open", h="r", name=name))
        done = 0
        end = time.monotonic() + random.uniform(0.001, 0.02)
        victim.send(command("add", h="r", offset=VICTIM_AT, count=BATCH))
        while time.monotonic() < end:
            try:
                assert victim.answer(0.001).status == "ok"
            except TimeoutError:
                continue
            done += BATCH
            victim.send(command("add", h="r", offset=VICTIM_AT, count=BATCH))
        return done
    finally:
        victim.dispose()


def expect_ok(actor: Actor, line: str) -> dict[str, str]:
    answer = actor.ask(line)
    assert answer.status == "ok", answer
    return answer.fields
