"""The conformance runner of the Python face: one command per line on stdin, one answer per line on stdout.

`README.md` beside this file describes the protocol.
"""

import os
import signal
import struct
import sys
from collections.abc import Callable
from typing import TypeVar

from runner_descriptors import DescriptorCommands
from runner_heap import HeapCommands
from runner_log import LogCommands
from runner_objects import ObjectCommands, taken, tried
from runner_pool import PoolCommands
from runner_protocol import BadCommand, Command, answer
from runner_windows import WindowCommands

from shmkit import (
    Atomic,
    Barrier,
    Condvar,
    Event,
    Guard,
    Heap,
    Mapping,
    Mutex,
    Pool,
    Region,
    RwLock,
    Semaphore,
    Value,
)

NUMBER = struct.Struct("=Q")

Object = Region | Mapping | Mutex | RwLock | Semaphore | Condvar | Event | Barrier | Atomic | Heap | Pool | Value
T = TypeVar("T")


class Runner(DescriptorCommands, HeapCommands, LogCommands, ObjectCommands, PoolCommands, WindowCommands):
    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, Object] = {}
        self.labels: dict[str, str] = {}
        self.views: dict[str, memoryview] = {}

    def run(self, command: Command) -> dict[str, object]:
        """Does what the command says, and returns the fields of its answer."""
        action: Callable[[Command], dict[str, object] | None] | None
        action = getattr(self, f"do_{command.op}", None)
        if action is None:
            raise BadCommand(f"no op {command.op}")
        return action(command) or {}

    def object(self, command: Command, key: str = "h") -> Object:
        handle = command.text(key)
        if handle not in self.objects:
            raise BadCommand(f"no handle {handle}")
        return self.objects[handle]

    def a(self, wanted: type[T], command: Command, key: str = "h") -> T:
        """The object of a handle, which must be of a class."""
        found = self.object(command, key)
        if not isinstance(found, wanted):
            raise BadCommand(f"{command.op} needs a {wanted.__name__} as {key}")
        return found

    def bytes_of(self, command: Command) -> Region | Mapping:
        found = self.object(command)
        if not isinstance(found, Region | Mapping):
            raise BadCommand(f"{command.op} needs a region or a mapping")
        return found

    def a_view(self, command: Command) -> memoryview:
        name = command.text("v")
        if name not in self.views:
            raise BadCommand(f"no view {name}")
        return self.views[name]

    def keep(self, command: Command, made: Region | Mapping) -> dict[str, object]:
        self.objects[command.text("h")] = made
        return {"len": len(made)}

    def keep_object(self, command: Command, open_it: Callable[[Region, str], Object]) -> None:
        region, name = self.a(Region, command), command.text("name")
        self.objects[command.text("o")] = open_it(region, name)
        self.labels[command.text("o")] = f"{region.name}:{name}"

    def do_hello(self, command: Command) -> dict[str, object]:
        return {"language": "python", "pid": os.getpid()}

    def do_die(self, command: Command) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def do_region_create(self, command: Command) -> dict[str, object]:
        return self.keep(command, Region.create(command.location(), command.number("len"), **self.options(command)))

    def do_region_open(self, command: Command) -> dict[str, object]:
        return self.keep(command, Region.open(command.location(), read_only=command.flag("read_only")))

    def do_region_open_or_create(self, command: Command) -> dict[str, object]:
        made = Region.open_or_create(command.location(), command.number("len"), **self.options(command))
        return self.keep(command, made)

    def options(self, command: Command) -> dict[str, int]:
        options = command.given("attachments", "arena_len", "capacity")
        if "mode" in command.arguments:
            options["mode"] = command.number("mode", 8)
        return options

    def do_region_unlink(self, command: Command) -> None:
        Region.unlink(command.location())

    def do_region_info(self, command: Command) -> dict[str, object]:
        region = self.a(Region, command)
        return {
            "len": len(region),
            "read_only": int(region.read_only),
            "id": region.id.hex(),
            "locked": int(region.guard.locked()),
        }

    def do_map_open(self, command: Command) -> dict[str, object]:
        made = Mapping.open(
            command.text("path"),
            **command.given("len", "offset", "reserve"),
            **command.choices("protection", "sharing"),
            **command.flags("create", "grow", "populate"),
        )
        return self.keep(command, made)

    def do_map_anonymous(self, command: Command) -> dict[str, object]:
        return self.keep(
            command, Mapping.anonymous(command.number("len"), **command.choices("sharing"), **command.given("reserve"))
        )

    def do_read(self, command: Command) -> dict[str, object]:
        return {"data": self.bytes_of(command).read_at(command.number("offset"), command.number("len")).hex()}

    def do_write(self, command: Command) -> None:
        self.bytes_of(command).write_at(command.number("offset"), command.data())

    def do_view(self, command: Command) -> dict[str, object]:
        view = self.bytes_of(command).view(**command.given("offset", "len"), writable=command.flag("writable"))
        self.views[command.text("v")] = view
        return {"len": len(view)}

    def do_view_read(self, command: Command) -> dict[str, object]:
        view, (start, end) = self.a_view(command), self.within(command, command.number("len"))
        return {"data": view[start:end].hex()}

    def do_view_write(self, command: Command) -> None:
        data = command.data()
        start, end = self.within(command, len(data))
        self.a_view(command)[start:end] = data

    def within(self, command: Command, len_: int) -> tuple[int, int]:
        """The range that a command names. Python's own views would cut a longer one short without a word."""
        start, limit = command.number("offset"), len(self.a_view(command))
        if start + len_ > limit:
            raise BadCommand(f"{len_} bytes at offset {start} of a view of {limit}")
        return start, start + len_

    def do_view_release(self, command: Command) -> None:
        self.a_view(command).release()
        del self.views[command.text("v")]

    def do_lock(self, command: Command) -> dict[str, object]:
        return taken(self.lockable(command).lock(command.timeout(), recover=True))

    def do_try_lock(self, command: Command) -> dict[str, object]:
        return tried(self.lockable(command).lock(recover=True))

    def do_unlock(self, command: Command) -> None:
        self.lockable(command).lock().release()

    def do_make_consistent(self, command: Command) -> None:
        found = self.object(command)
        (found if isinstance(found, RwLock) else self.lockable(command).lock()).make_consistent()

    def lockable(self, command: Command) -> Region | Mutex:
        found = self.object(command)
        if not isinstance(found, Region | Mutex):
            raise BadCommand(f"{command.op} needs a region or a mutex")
        return found

    def do_add(self, command: Command) -> None:
        region = self.a(Region, command)
        lock = self.a(Mutex, command, "mutex") if "mutex" in command.arguments else region
        self.add(command, region, lambda: lock.lock(recover=True))

    def do_rw_add(self, command: Command) -> None:
        rwlock = self.a(RwLock, command, "rwlock")
        self.add(command, self.a(Region, command), lambda: rwlock.write(recover=True))

    def add(self, command: Command, region: Region, lock: Callable[[], Guard]) -> None:
        offset = command.number("offset")
        for _ in range(command.number("count")):
            with lock() as guard:
                if guard.owner_died:
                    guard.make_consistent()
                (value,) = NUMBER.unpack(region.read_at(offset, NUMBER.size))
                region.write_at(offset, NUMBER.pack(value + 1 & 0xFFFF_FFFF_FFFF_FFFF))

    def do_object_remove(self, command: Command) -> None:
        self.a(Region, command).remove_object(command.text("name"))

    def do_object_find(self, command: Command) -> dict[str, object]:
        found = self.a(Region, command).find_object(command.text("name"))
        return {"kind": found["kind"], "users": found["users"]}

    def do_object_list(self, command: Command) -> dict[str, object]:
        return {"names": ",".join(found["name"] for found in self.a(Region, command).objects())}

    def do_region_mode(self, command: Command) -> None:
        self.objects[command.text("o")] = self.a(Region, command).with_mode(command.text("mode"))

    def do_flush(self, command: Command) -> None:
        self.bytes_of(command).flush(
            **command.given("offset", "len"),
            sync=not command.flag("async"),
            invalidate=command.flag("invalidate"),
        )

    def do_check(self, command: Command) -> None:
        self.bytes_of(command).check()

    def do_resize(self, command: Command) -> dict[str, object]:
        memory = self.bytes_of(command)
        memory.resize(command.number("len"))
        return {"len": len(memory)}

    def do_protect(self, command: Command) -> None:
        self.a(Mapping, command).protect(command.text("protection"), **command.given("offset", "len"))

    def do_advise(self, command: Command) -> None:
        self.a(Mapping, command).advise(command.text("advice"), **command.given("offset", "len"))

    def do_lock_memory(self, command: Command) -> None:
        on_fault = command.flag("on_fault")
        self.a(Mapping, command).lock_memory(**command.given("offset", "len"), on_fault=on_fault)

    def do_unlock_memory(self, command: Command) -> None:
        self.a(Mapping, command).unlock_memory(**command.given("offset", "len"))

    def do_residency(self, command: Command) -> dict[str, object]:
        counts = self.a(Mapping, command).residency(**command.given("offset", "len")).counts()
        return {"pages": counts.pages, "resident": counts.resident}

    def do_close(self, command: Command) -> None:
        self.object(command).close()

    def do_drop(self, command: Command) -> None:
        self.object(command)
        del self.objects[command.text("h")]
        self.labels.pop(command.text("h"), None)


def main() -> None:
    runner = Runner()
    for line in sys.stdin:
        print(answer(runner.run, line), flush=True)


if __name__ == "__main__":
    main()
