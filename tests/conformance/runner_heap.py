"""The runner's operations on heaps: the part of its class that is about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import shmkit
from shmkit import Block, Heap, Region

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner import Command

LARGEST = 2**64 - 1


class HeapCommands:
    """Mixed into the runner, which knows the handles."""

    a: Callable[..., Any]
    keep_object: Callable[..., None]

    def do_heap_open(self, command: Command) -> None:
        options = {**command.given("min_block"), **command.choices("strategy"), **command.flags("reclaim")}
        if "len" not in command.arguments:
            return self.keep_object(command, Region.heap)
        len_ = command.number("len")
        return self.keep_object(command, lambda region, name: region.heap(name, len_, **options))

    def do_heap_allocate(self, command: Command) -> dict[str, object]:
        options = {**command.given("align"), **command.flags("zeroed")}
        block = self.a(Heap, command).allocate(command.number("size"), **options)
        return {"offset": block.into_offset()}

    def do_heap_free(self, command: Command) -> None:
        self.a(Heap, command).free(command.number("offset"))

    def do_heap_usable(self, command: Command) -> dict[str, object]:
        return {"size": self.a(Heap, command).usable_size(command.number("offset"))}

    def do_heap_resize(self, command: Command) -> dict[str, object]:
        block = self.a(Heap, command).block(command.number("offset"))
        try:
            (block.resize_in_place if command.flag("in_place") else block.resize)(command.number("size"))
        finally:
            offset = block.into_offset()
        return {"offset": offset}

    def do_heap_publish(self, command: Command) -> dict[str, object]:
        return {"offset": self.a(Heap, command).block(command.number("offset")).publish()}

    def do_heap_adopt(self, command: Command) -> dict[str, object]:
        block = self.a(Heap, command).adopt(command.number("offset"))
        size = len(block)
        block.into_offset()
        return {"size": size}

    def do_heap_read(self, command: Command) -> dict[str, object]:
        with self.a(Heap, command).view(command.number("offset")) as view:
            return {"data": view[: command.number("len")].hex()}

    def do_heap_write(self, command: Command) -> None:
        data = command.data()
        with self.a(Heap, command).view(command.number("offset"), writable=True) as view:
            view[: len(data)] = data

    def do_heap_check(self, command: Command) -> None:
        self.a(Heap, command).check()

    def do_heap_reclaim(self, command: Command) -> dict[str, object]:
        return {"count": self.a(Heap, command).reclaim()}

    def do_heap_info(self, command: Command) -> dict[str, object]:
        found = self.a(Heap, command).status()
        return {
            "used": found.used_blocks,
            "published": found.published_blocks,
            "free": found.free_blocks,
            "fragmented": int(found.fragmentation > 0),
        }

    def do_heap_play(self, command: Command) -> None:
        play(self.a(Heap, command), command.number("seed"), command.number("count"))


def play(heap: Heap, seed: int, count: int) -> None:
    """So many steps at random, on blocks that hold one byte all over; in the end all are freed."""
    random, fill = seed, bytes([seed & 0xFF])
    blocks: list[Block] = []
    for _ in range(count):
        random ^= random << 13 & LARGEST
        random ^= random >> 7
        random ^= random << 17 & LARGEST
        length = (random >> 20) % 600 + 1
        try:
            if not blocks or (len(blocks) < 40 and random & 1):
                block = heap.allocate(length)
                blocks.append(block)
                block[:] = fill * length
                continue
            index = (random >> 8) % len(blocks)
            block = blocks[index]
            if bytes(block) != fill * len(block):
                raise AssertionError("somebody else wrote into a block")
            if random >> 1 & 3:
                blocks[index] = blocks[-1]
                blocks.pop()
                block.free()
            else:
                block.resize(length)
                block[:] = fill * length
        except shmkit.NoSpaceError:
            pass
    for block in blocks:
        block.free()
