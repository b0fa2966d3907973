"""A log that four languages write and that one of them is killed at, over and over.

Every record whose append returned is read exactly once and intact, each writer's in its order, in any language.
"""

import random
import time
from pathlib import Path

import pytest
from conformance.actor import Actor, command, expect_ok

KILLS = 12
BATCH = 20


class Writer:
    """A process that appends batch after batch; how many records it reported."""

    def __init__(self, language: str, path: Path, name: str) -> None:
        self.actor = Actor(language)
        self.name = name
        self.done = 0
        expect_ok(self.actor, command("log_open", l="l", path=path))
        self._send()

    def _send(self) -> None:
        self.actor.send(command("log_write", l="l", prefix=self.name, kind=1, count=BATCH, **{"from": self.done}))

    def go_on(self) -> None:
        """Sends it on if it has finished its batch."""
        if self.finish(0.01):
            self._send()

    def finish(self, within_s: float) -> bool:
        try:
            answer = self.actor.answer(within_s)
        except TimeoutError:
            return False
        assert answer.status == "ok", answer
        self.done += BATCH
        return True


@pytest.mark.parametrize("durability", ["none", "group"])
def test_no_record_is_lost_doubled_or_out_of_order(
    tmp_path: Path, durability: str, request: pytest.FixtureRequest
) -> None:
    languages = request.config.getoption("--languages").split(",")
    path = tmp_path / "log"
    keeper = Actor("rust")
    survivors: list[Writer] = []
    ended: list[Writer] = []
    try:
        expect_ok(keeper, command("log_create", l="l", path=path, segment_len=8192, durability=durability))
        survivors += [Writer(language, path, language) for language in languages]
        for turn in range(KILLS):
            victim = Writer(languages[turn % len(languages)], path, f"victim{turn}")
            ended.append(victim)
            end = time.monotonic() + random.uniform(0.005, 0.06)
            while time.monotonic() < end:
                for writer in (*survivors, victim):
                    writer.go_on()
            victim.actor.kill()
        for writer in survivors:
            assert writer.finish(20), f"the {writer.name} survivor hangs"
        readings = {language: read_all(language, path) for language in languages}
        assert len(set(map(tuple, readings.values()))) == 1, "all see the same"
        judge(next(iter(readings.values())), survivors, ended)
        status = expect_ok(keeper, command("log_status", l="l"))
        assert 0 <= int(status["dead"]) <= KILLS
    finally:
        for actor in [keeper, *(writer.actor for writer in (*survivors, *ended))]:
            actor.dispose()


def read_all(language: str, path: Path) -> list[str]:
    actor = Actor(language)
    try:
        expect_ok(actor, command("log_open", l="l", path=path))
        expect_ok(actor, command("log_reader", l="l", r="r", **{"from": "start"}))
        texts = expect_ok(actor, command("log_texts", r="r"))["texts"].split(",")
        assert int(expect_ok(actor, command("log_counts", r="r"))["corrupted"]) == 0
        return texts
    finally:
        actor.dispose()


def judge(texts: list[str], survivors: list[Writer], ended: list[Writer]) -> None:
    """What each wrote is there once and in order: all of the survivors', of the dead at least what they reported."""
    found: dict[str, list[int]] = {}
    for text in texts:
        name, number = text.rsplit(".", 1)
        found.setdefault(name, []).append(int(number))
    for writer in (*survivors, *ended):
        numbers = found.pop(writer.name, [])
        assert numbers == list(range(len(numbers))), f"{writer.name}: {numbers}"
        most = writer.done if writer in survivors else writer.done + BATCH
        assert writer.done <= len(numbers) <= most, writer.name
    assert not found, "nobody else wrote"


def test_each_kill_inside_a_claim_is_one_padded_record(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    languages = request.config.getoption("--languages").split(",")
    path = tmp_path / "log"
    keeper = Actor("rust")
    actors: list[Actor] = []
    inside = given_up = 0
    try:
        expect_ok(keeper, command("log_create", l="l", path=path, segment_len=8192))
        for turn in range(4 * len(languages)):
            actor = Actor(languages[turn % len(languages)])
            actors.append(actor)
            expect_ok(actor, command("log_open", l="l", path=path))
            for number in range(random.randrange(4)):
                expect_ok(actor, command("log_append", l="l", kind=1, data=f"{turn}.{number}".encode().hex()))
            # Killed with so many records begun; what it finished or gave up before is no loss.
            begun = random.randrange(3)
            for number in range(begun):
                expect_ok(actor, command("log_reserve", l="l", v=f"v{number}", kind=2, len=random.randrange(900)))
            if random.randrange(2):
                expect_ok(actor, command("log_reserve", l="l", v="w", kind=2, len=5))
                expect_ok(actor, command("log_abandon", v="w"))
                given_up += 1
            inside += begun
            actor.kill()
        for language in languages:
            assert all("." in text for text in read_all(language, path))
        status = expect_ok(keeper, command("log_status", l="l"))
        assert (int(status["dead"]), int(status["abandoned"])) == (inside, given_up)
    finally:
        for actor in (keeper, *actors):
            actor.dispose()
