"""The runner's operations on pools and values: the part of its class that is about them."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

import shmkit
from shmkit import Atomic, Pool, Region, Value

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner import Command

    from shmkit import PoolBlock

LARGEST = 2**64 - 1
PATIENCE_S = 20
#: The most blocks that a player has.
MOST = 4


class Sample(ctypes.Structure):
    """What commands call ``sample``: a struct of two kinds of numbers."""

    _fields_ = (("kind", ctypes.c_uint32), ("count", ctypes.c_uint32), ("position", ctypes.c_double * 3))


#: What describes each type; a different way for each, as users have them.
FORMATS = {"u64": "u64", "f64": "d", "shorts": np.dtype((np.uint16, 3)), "sample": Sample}
COUNTS = {"u64": 1, "f64": 1, "shorts": 3, "sample": 5}


class PoolCommands:
    """Mixed into the runner, which knows the handles."""

    a: Callable[..., Any]
    keep_object: Callable[..., None]

    def __init__(self) -> None:
        super().__init__()
        self.blocks: dict[tuple[str, int], PoolBlock] = {}
        self.types: dict[str, str] = {}

    def do_pool_open(self, command: Command) -> None:
        if "block_size" not in command.arguments:
            return self.keep_object(command, Region.pool)
        sizes, options = (command.number("block_size"), command.number("count")), command.given("alignment")
        return self.keep_object(command, lambda region, name: region.pool(name, *sizes, **options))

    def keep_block(self, command: Command, block: PoolBlock) -> dict[str, object]:
        self.blocks[command.text("h"), block.handle] = block
        return {"block": block.handle}

    def block(self, command: Command) -> PoolBlock:
        return self.blocks[command.text("h"), command.number("block")]

    def forget_block(self, command: Command) -> None:
        del self.blocks[command.text("h"), command.number("block")]

    def do_pool_allocate(self, command: Command) -> dict[str, object]:
        return self.keep_block(command, self.a(Pool, command).allocate(command.timeout()))

    def do_pool_try_allocate(self, command: Command) -> dict[str, object]:
        block = self.a(Pool, command).try_allocate()
        return {"taken": 0, "block": 0} if block is None else {"taken": 1, **self.keep_block(command, block)}

    def do_pool_write(self, command: Command) -> None:
        data = command.data()
        with memoryview(self.block(command)) as view:
            view[: len(data)] = data

    def do_pool_read(self, command: Command) -> dict[str, object]:
        array = np.frombuffer(self.block(command), np.uint8)
        return {"data": array[: command.number("len")].tobytes().hex()}

    def do_pool_free(self, command: Command) -> None:
        self.block(command).free()
        self.forget_block(command)

    def do_pool_publish(self, command: Command) -> None:
        self.block(command).publish()
        self.forget_block(command)

    def do_pool_adopt(self, command: Command) -> dict[str, object]:
        block = self.a(Pool, command).adopt(command.number("block"))
        return {**self.keep_block(command, block), "size": len(block)}

    def do_pool_recover(self, command: Command) -> dict[str, object]:
        return {"count": self.a(Pool, command).recover()}

    def do_pool_info(self, command: Command) -> dict[str, object]:
        status = self.a(Pool, command).status()
        fields = ("stride", "total", "free", "owned", "published", "damaged", "recovered")
        return {"size": status["block_size"], **{field: status[field] for field in fields}}

    def do_pool_blocks(self, command: Command) -> dict[str, object]:
        blocks = self.a(Pool, command).blocks()
        published = [str(block["handle"]) for block in blocks if block["state"] == "published"]
        return {
            "states": "".join(block["state"][0] for block in blocks),
            "mine": sum(block["mine"] for block in blocks),
            "published": ",".join(published),
        }

    def do_pool_play(self, command: Command) -> None:
        play(self.a(Pool, command), self.a(Atomic, command, "post"), command.number("seed"), command.number("count"))

    def do_value_open(self, command: Command) -> None:
        kind = command.text("type")
        initial = encode(kind, command.text("initial")) if "initial" in command.arguments else None
        self.keep_object(command, lambda region, name: region.value(name, FORMATS[kind], initial))
        self.types[command.text("o")] = kind

    def do_value_load(self, command: Command) -> dict[str, object]:
        numbers = numbers_of(self.a(Value, command).load())
        return {"value": ",".join(f"{number:g}" for number in numbers)}

    def do_value_store(self, command: Command) -> None:
        kind = self.types[command.text("h")]
        self.a(Value, command).store(encode(kind, command.text("value")))

    def do_value_count(self, command: Command) -> None:
        value, kind = self.a(Value, command), self.types[command.text("h")]
        for _ in range(command.number("count")):
            numbers = numbers_of(value.update(lambda now: of_numbers(kind, [number + 1 for number in numbers_of(now)])))
            if len(set(numbers)) != 1:
                raise AssertionError("halves of two values")

    def do_value_format(self, command: Command) -> dict[str, object]:
        value = self.a(Value, command)
        return {"format": value.format, "size": value.nbytes}


def encode(kind: str, text: str) -> Any:
    return of_numbers(kind, [float(number) if "." in number else int(number) for number in text.split(",")])


def of_numbers(kind: str, numbers: list[Any]) -> Any:
    if len(numbers) != COUNTS[kind]:
        raise ValueError(f"{len(numbers)} numbers for {kind}")
    if kind == "sample":
        return Sample(int(numbers[0]), int(numbers[1]), tuple(numbers[2:]))
    return numbers if kind == "shorts" else numbers[0]


def numbers_of(value: Any) -> list[Any]:
    if isinstance(value, Sample):
        return [value.kind, value.count, *value.position]
    return list(value) if isinstance(value, np.ndarray) else [value]


def play(pool: Pool, post: Atomic, random: int, count: int) -> None:
    """So many steps at random, on blocks that hold one byte all over; some go to others by way of the post.

    In the end all that it has are freed.
    """
    fill = bytes([random & 255]) * pool.block_size
    held: list[PoolBlock] = []
    for _ in range(count):
        random ^= random << 13 & LARGEST
        random ^= random >> 7
        random ^= random << 17 & LARGEST
        if not held or (len(held) < MOST and random & 1):
            block = pool.try_allocate() if held else pool.allocate(PATIENCE_S)
            if block is not None:
                block[:] = fill
                held.append(block)
            continue
        index = (random >> 8) % len(held)
        held[index], held[-1] = held[-1], held[index]
        block = held.pop()
        if bytes(block) != fill:
            raise AssertionError("somebody else wrote into a block")
        if random >> 1 & 3:
            block.free()
            continue
        try:
            block = pool.adopt(post.swap(block.publish()))
        except (shmkit.StaleHandleError, shmkit.InvalidBlockError):
            continue  # nothing lay there, or somebody who lists the published ones was faster
        if bytes(block) != bytes(block)[:1] * len(block):
            raise AssertionError("somebody wrote into a published block")
        block[:] = fill
        held.append(block)
    for block in held:
        block.free()
