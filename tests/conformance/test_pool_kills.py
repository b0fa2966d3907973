"""A pool that four languages use and that one of them is killed at, over and over: no block is lost, none given twice.

The players fill what they have with a byte of their own and look whether it is still there when they give it back.
Some blocks they publish, and leave the handle for the others. There are fewer blocks than all want, so that they wait
for each other, and take back what the dead had.
"""

import random
import time

import pytest
from conformance.actor import Actor, command, expect_ok

KILLS = 15
#: Long enough that all are at work at the same time, and that the victim dies in the middle.
BATCH = 2000
BLOCKS = 9
VICTIM_SEED = 250


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.parametrize("victim", metafunc.config.getoption("--languages").split(","))


class Player:
    """A process that plays with the blocks, batch after batch; how many batches it reported."""

    def __init__(self, language: str, name: str, seed: int) -> None:
        self.actor = Actor(language)
        self.seed = seed
        self.batches = 0
        open_pool(self.actor, name)
        self._send()

    def _send(self) -> None:
        # The byte that it fills blocks with is the seed's lowest: the same in each batch.
        seed = self.seed + 256 * self.batches
        self.actor.send(command("pool_play", h="p", post="post", seed=seed, count=BATCH))

    def go_on(self, within_s: float) -> None:
        """Sends it on if it has finished its batch."""
        if self.finish(within_s):
            self._send()

    def finish(self, within_s: float) -> bool:
        try:
            answer = self.actor.answer(within_s)
        except TimeoutError:
            return False
        assert answer.status == "ok", answer
        self.batches += 1
        return True


def open_pool(actor: Actor, name: str) -> None:
    expect_ok(actor, command("region_open", h="r", name=name))
    expect_ok(actor, command("pool_open", h="r", o="p", name="p", block_size=200, count=BLOCKS))
    expect_ok(actor, command("atomic_open", h="r", o="post", name="post", type="u64"))


def test_no_block_is_lost_or_given_twice(victim: str, fresh_name: str, request: pytest.FixtureRequest) -> None:
    keeper = Actor("rust")
    players: list[Player] = []
    try:
        expect_ok(keeper, command("region_create", h="r", name=fresh_name, len=64))
        open_pool(keeper, fresh_name)
        for seed, language in enumerate(request.config.getoption("--languages").split(","), 1):
            players.append(Player(language, fresh_name, seed))
        for turn in range(KILLS):
            kill_while_playing(Player(victim, fresh_name, VICTIM_SEED - turn), players)
            take_what_lies_about(keeper)
        before = [player.batches for player in players]
        for player in players:
            assert player.finish(20), f"the {player.actor.language} player hangs"
        assert all(before), "all went on all the time"
        expect_ok(keeper, "pool_recover h=p")
        take_what_lies_about(keeper)
        left = expect_ok(keeper, "pool_info h=p")
        assert (left["free"], left["owned"], left["published"], left["damaged"]) == (str(BLOCKS), "0", "0", "0"), left
        given = {expect_ok(keeper, "pool_allocate h=p timeout_ms=20000")["block"] for _ in range(BLOCKS)}
        assert len(given) == BLOCKS, "each block is there once"
        assert expect_ok(keeper, "pool_try_allocate h=p")["taken"] == "0"
        expect_ok(keeper, command("region_unlink", name=fresh_name))
    finally:
        for actor in [keeper, *(player.actor for player in players)]:
            actor.dispose()


def kill_while_playing(victim: Player, others: list[Player]) -> None:
    try:
        end = time.monotonic() + random.uniform(0.001, 0.03)
        while time.monotonic() < end:
            for player in [victim, *others]:
                player.go_on(0.0001)
    finally:
        victim.actor.dispose()
    # A few turns more, so that the others meet what the victim left.
    for _ in range(5):
        for player in others:
            player.go_on(0.005)


def take_what_lies_about(keeper: Actor) -> None:
    """Frees what is published: who is killed before it left the handle for others leaves a block that nobody knows."""
    published = expect_ok(keeper, "pool_blocks h=p").get("published", "")
    for handle in filter(None, published.split(",")):
        answer = keeper.ask(command("pool_adopt", h="p", block=handle))
        if answer.status == "ok":
            expect_ok(keeper, command("pool_free", h="p", block=answer.fields["block"]))
        else:
            assert answer.fields["kind"] in ("StaleHandle", "InvalidBlock"), answer
