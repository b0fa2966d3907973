"""The conformance runner of the Python face: one command per line on stdin, one answer per line on stdout.

`README.md` beside this file describes the protocol.
"""

import os
import signal
import struct
import sys
from collections.abc import Callable
from urllib.parse import quote, unquote

import shmkit
from shmkit import Mapping, Region

NUMBER = struct.Struct("=Q")


class BadCommand(Exception):
    """The command makes no sense: a defect of whoever sent it."""


class FilePath(os.PathLike[str]):
    """A path as it was given: pathlib would make `.` of an empty one."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __fspath__(self) -> str:
        return self.text


class Command:
    """One command: its name and its arguments."""

    def __init__(self, line: str) -> None:
        self.op, *words = line.split()
        self.arguments = {}
        for word in words:
            key, equals, value = word.partition("=")
            if not equals:
                raise BadCommand(f"no = in {word}")
            self.arguments[key] = unquote(value, errors="strict")

    def text(self, key: str) -> str:
        if key not in self.arguments:
            raise BadCommand(f"{self.op} needs {key}")
        return self.arguments[key]

    def flag(self, key: str) -> bool:
        return self.arguments.get(key) == "1"

    def number(self, key: str, base: int = 10) -> int:
        try:
            return int(self.text(key), base)
        except ValueError:
            raise BadCommand(f"{key}={self.text(key)} is no number") from None

    def data(self) -> bytes:
        try:
            return bytes.fromhex(self.text("data"))
        except ValueError:
            raise BadCommand("data is not hexadecimal") from None

    def location(self) -> str | FilePath:
        return FilePath(self.text("name")) if self.flag("path") else self.text("name")

    def given(self, *keys: str) -> dict[str, int]:
        """Those of these numbers that the command has, as keyword arguments."""
        return {key: self.number(key) for key in keys if key in self.arguments}

    def choices(self, *keys: str) -> dict[str, str]:
        return {key: self.arguments[key] for key in keys if key in self.arguments}

    def flags(self, *keys: str) -> dict[str, bool]:
        return {key: self.flag(key) for key in keys}


class Runner:
    def __init__(self) -> None:
        self.objects: dict[str, Region | Mapping] = {}
        self.views: dict[str, memoryview] = {}

    def run(self, command: Command) -> dict[str, object]:
        """Does what the command says, and returns the fields of its answer."""
        action: Callable[[Command], dict[str, object] | None] | None
        action = getattr(self, f"do_{command.op}", None)
        if action is None:
            raise BadCommand(f"no op {command.op}")
        return action(command) or {}

    def object(self, command: Command) -> Region | Mapping:
        handle = command.text("h")
        if handle not in self.objects:
            raise BadCommand(f"no handle {handle}")
        return self.objects[handle]

    def region(self, command: Command) -> Region:
        found = self.object(command)
        if not isinstance(found, Region):
            raise BadCommand(f"{command.op} needs a region")
        return found

    def mapping(self, command: Command) -> Mapping:
        found = self.object(command)
        if not isinstance(found, Mapping):
            raise BadCommand(f"{command.op} needs a mapping")
        return found

    def a_view(self, command: Command) -> memoryview:
        name = command.text("v")
        if name not in self.views:
            raise BadCommand(f"no view {name}")
        return self.views[name]

    def keep(self, command: Command, made: Region | Mapping) -> dict[str, object]:
        self.objects[command.text("h")] = made
        return {"len": len(made)}

    def do_hello(self, command: Command) -> dict[str, object]:
        return {"language": "python", "pid": os.getpid()}

    def do_die(self, command: Command) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def do_region_create(self, command: Command) -> dict[str, object]:
        return self.keep(
            command, Region.create(command.location(), command.number("len"), **self.options(command))
        )

    def do_region_open(self, command: Command) -> dict[str, object]:
        return self.keep(command, Region.open(command.location(), read_only=command.flag("read_only")))

    def do_region_open_or_create(self, command: Command) -> dict[str, object]:
        made = Region.open_or_create(command.location(), command.number("len"), **self.options(command))
        return self.keep(command, made)

    def options(self, command: Command) -> dict[str, int]:
        options = command.given("attachments", "arena_len")
        if "mode" in command.arguments:
            options["mode"] = command.number("mode", 8)
        return options

    def do_region_unlink(self, command: Command) -> None:
        Region.unlink(command.location())

    def do_region_info(self, command: Command) -> dict[str, object]:
        region = self.region(command)
        return {
            "len": len(region),
            "read_only": int(region.read_only),
            "id": region.id.hex(),
            "locked": int(region.guard.locked()),
        }

    def do_map_open(self, command: Command) -> dict[str, object]:
        made = Mapping.open(
            command.text("path"),
            **command.given("len", "offset"),
            **command.choices("protection", "sharing"),
            **command.flags("create", "grow", "populate"),
        )
        return self.keep(command, made)

    def do_map_anonymous(self, command: Command) -> dict[str, object]:
        return self.keep(command, Mapping.anonymous(command.number("len"), **command.choices("sharing")))

    def do_read(self, command: Command) -> dict[str, object]:
        return {"data": self.object(command).read_at(command.number("offset"), command.number("len")).hex()}

    def do_write(self, command: Command) -> None:
        self.object(command).write_at(command.number("offset"), command.data())

    def do_view(self, command: Command) -> dict[str, object]:
        view = self.object(command).view(**command.given("offset", "len"), writable=command.flag("writable"))
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
        timeout = command.number("timeout_ms") / 1000 if "timeout_ms" in command.arguments else None
        # The end of a `with` would unlock: here a lock outlives the command that took it.
        guard = self.region(command).lock(timeout, recover=True).__enter__()
        return {"owner_died": int(guard.owner_died)}

    def do_try_lock(self, command: Command) -> dict[str, object]:
        guard = self.region(command).lock(recover=True)
        return {"locked": int(guard.acquire(blocking=False)), "owner_died": int(guard.owner_died)}

    def do_unlock(self, command: Command) -> None:
        self.region(command).guard.release()

    def do_make_consistent(self, command: Command) -> None:
        self.region(command).guard.make_consistent()

    def do_add(self, command: Command) -> None:
        region, offset = self.region(command), command.number("offset")
        for _ in range(command.number("count")):
            with region.lock(recover=True) as guard:
                if guard.owner_died:
                    guard.make_consistent()
                (value,) = NUMBER.unpack(region.read_at(offset, NUMBER.size))
                region.write_at(offset, NUMBER.pack(value + 1 & 0xFFFF_FFFF_FFFF_FFFF))

    def do_flush(self, command: Command) -> None:
        self.object(command).flush(
            **command.given("offset", "len"),
            sync=not command.flag("async"),
            invalidate=command.flag("invalidate"),
        )

    def do_protect(self, command: Command) -> None:
        self.mapping(command).protect(command.text("protection"), **command.given("offset", "len"))

    def do_advise(self, command: Command) -> None:
        self.mapping(command).advise(command.text("advice"), **command.given("offset", "len"))

    def do_close(self, command: Command) -> None:
        self.object(command).close()

    def do_drop(self, command: Command) -> None:
        self.object(command)
        del self.objects[command.text("h")]


def encode(value: object) -> str:
    return quote(str(value), safe="/")


def answer(runner: Runner, line: str) -> str:
    try:
        fields = runner.run(Command(line))
    except shmkit.Error as error:
        fields = {
            "kind": error.kind,
            "errno": error.errno,
            "operation": error.operation,
            "object": error.filename or "",
            "message": str(error),
        }
        return " ".join(["error", *(f"{key}={encode(value)}" for key, value in fields.items())])
    except Exception as error:
        return f"fail message={encode(f'{type(error).__name__}: {error}')}"
    return " ".join(["ok", *(f"{key}={encode(value)}" for key, value in fields.items())])


def main() -> None:
    runner = Runner()
    for line in sys.stdin:
        print(answer(runner, line), flush=True)


if __name__ == "__main__":
    main()
