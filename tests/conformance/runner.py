"""The conformance runner of the Python face: one command per line on stdin, one answer per line on stdout.

`README.md` beside this file describes the protocol.
"""

import errno
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote, unquote

from runner_heap import HeapCommands
from runner_log import LogCommands
from runner_pool import PoolCommands

import shmkit
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
    Segment,
    Semaphore,
    Value,
)

NUMBER = struct.Struct("=Q")
PATIENCE_S = 20

Object = Region | Mapping | Mutex | RwLock | Semaphore | Condvar | Event | Barrier | Atomic | Heap | Pool | Value
T = TypeVar("T")


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

    def timeout(self) -> float | None:
        """The time limit in seconds; without one, a wait takes as long as it takes."""
        return self.number("timeout_ms") / 1000 if "timeout_ms" in self.arguments else None

    def choices(self, *keys: str) -> dict[str, str]:
        return {key: self.arguments[key] for key in keys if key in self.arguments}

    def flags(self, *keys: str) -> dict[str, bool]:
        return {key: self.flag(key) for key in keys}


class Runner(HeapCommands, LogCommands, PoolCommands):
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

    def expect(self, passed: bool, command: Command, operation: str) -> None:
        """Some waits tell by their result that the time passed; in the other languages they fail."""
        if not passed:
            reason = "the time limit passed (ETIMEDOUT); wait longer, or find out who holds it"
            error = shmkit.TimeoutError(errno.ETIMEDOUT, reason, self.labels[command.text("h")])
            error.operation = operation
            raise error

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

    def do_send_memory(self, command: Command) -> dict[str, object]:
        with Segment.memfd("conformance", command.number("len")) as segment:
            segment.seal("shrink")
            with accept(command) as peer:
                segment.send(peer, timeout=PATIENCE_S)
            return self.keep(command, segment.map(protection="read_write"))

    def do_receive_memory(self, command: Command) -> dict[str, object]:
        with connect(command) as peer, Segment.receive(peer, timeout=PATIENCE_S) as segment:
            fields = self.keep(command, segment.map(protection="read_write"))
            return {**fields, "sealed": int("shrink" in segment.seals)}

    def do_send_region(self, command: Command) -> dict[str, object]:
        region = Region.create_unnamed(command.number("len"))
        with accept(command) as peer, Segment.from_fd(region) as segment:
            segment.send(peer, timeout=PATIENCE_S)
        return self.keep(command, region)

    def do_receive_region(self, command: Command) -> dict[str, object]:
        with connect(command) as peer, Segment.receive(peer, timeout=PATIENCE_S) as segment:
            return self.keep(command, Region.from_fd(segment))

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

    def do_mutex_open(self, command: Command) -> None:
        self.keep_object(command, Region.mutex)

    def do_rwlock_open(self, command: Command) -> None:
        self.keep_object(command, Region.rwlock)

    def do_semaphore_open(self, command: Command) -> None:
        initial, options = command.number("initial"), command.given("max")
        tracked = command.flag("tracked")
        self.keep_object(command, lambda region, name: region.semaphore(name, initial, tracked=tracked, **options))

    def do_condvar_open(self, command: Command) -> None:
        self.keep_object(command, Region.condvar)

    def do_event_open(self, command: Command) -> None:
        automatic = command.flag("automatic")
        self.keep_object(command, lambda region, name: region.event(name, automatic=automatic))

    def do_barrier_open(self, command: Command) -> None:
        parties = command.number("parties")
        self.keep_object(command, lambda region, name: region.barrier(name, parties))

    def do_atomic_open(self, command: Command) -> None:
        kind, options = command.text("type"), command.given("initial")
        self.keep_object(command, lambda region, name: region.atomic(name, kind, **options))

    def do_object_remove(self, command: Command) -> None:
        self.a(Region, command).remove_object(command.text("name"))

    def do_object_find(self, command: Command) -> dict[str, object]:
        found = self.a(Region, command).find_object(command.text("name"))
        return {"kind": found["kind"], "users": found["users"]}

    def do_object_list(self, command: Command) -> dict[str, object]:
        return {"names": ",".join(found["name"] for found in self.a(Region, command).objects())}

    def do_region_mode(self, command: Command) -> None:
        self.objects[command.text("o")] = self.a(Region, command).with_mode(command.text("mode"))

    def do_read_lock(self, command: Command) -> dict[str, object]:
        return taken(self.a(RwLock, command).read(command.timeout(), recover=True))

    def do_try_read_lock(self, command: Command) -> dict[str, object]:
        return tried(self.a(RwLock, command).read(recover=True))

    def do_read_unlock(self, command: Command) -> None:
        self.a(RwLock, command).release_read()

    def do_write_lock(self, command: Command) -> dict[str, object]:
        return taken(self.a(RwLock, command).write(command.timeout(), recover=True))

    def do_try_write_lock(self, command: Command) -> dict[str, object]:
        return tried(self.a(RwLock, command).write(recover=True))

    def do_write_unlock(self, command: Command) -> None:
        self.a(RwLock, command).release_write()

    def do_acquire(self, command: Command) -> None:
        acquired = self.a(Semaphore, command).acquire(timeout=command.timeout())
        self.expect(acquired, command, "acquire semaphore")

    def do_try_acquire(self, command: Command) -> dict[str, object]:
        return {"acquired": int(self.a(Semaphore, command).acquire(blocking=False))}

    def do_release(self, command: Command) -> None:
        self.a(Semaphore, command).release(command.given("count").get("count", 1))

    def do_available(self, command: Command) -> dict[str, object]:
        return {"count": self.a(Semaphore, command).available}

    def do_cond_wait(self, command: Command) -> dict[str, object]:
        condvar = self.a(Condvar, command).with_mutex(self.a(Mutex, command, "mutex"))
        notified = condvar.wait(command.timeout(), recover=True)
        return {"notified": int(notified), "owner_died": int(condvar.owner_died)}

    def do_notify_one(self, command: Command) -> None:
        self.a(Condvar, command).notify()

    def do_notify_all(self, command: Command) -> None:
        self.a(Condvar, command).notify_all()

    def do_event_set(self, command: Command) -> None:
        self.a(Event, command).set()

    def do_event_reset(self, command: Command) -> None:
        self.a(Event, command).clear()

    def do_event_wait(self, command: Command) -> None:
        self.expect(self.a(Event, command).wait(command.timeout()), command, "wait for event")

    def do_event_is_set(self, command: Command) -> dict[str, object]:
        return {"set": int(self.a(Event, command).is_set())}

    def do_barrier_wait(self, command: Command) -> dict[str, object]:
        return {"leader": int(self.a(Barrier, command).wait(command.timeout()) == 0)}

    def do_barrier_reset(self, command: Command) -> None:
        self.a(Barrier, command).reset()

    def do_barrier_abort(self, command: Command) -> None:
        self.a(Barrier, command).abort()

    def do_barrier_info(self, command: Command) -> dict[str, object]:
        barrier = self.a(Barrier, command)
        return {"broken": int(barrier.broken), "waiting": barrier.n_waiting, "parties": barrier.parties}

    def do_atomic_load(self, command: Command) -> dict[str, object]:
        return {"value": self.a(Atomic, command).load()}

    def do_atomic_store(self, command: Command) -> None:
        self.a(Atomic, command).store(command.number("value"))

    def do_atomic_add(self, command: Command) -> dict[str, object]:
        return {"old": self.a(Atomic, command).add(command.number("value"))}

    def do_atomic_cas(self, command: Command) -> dict[str, object]:
        atomic = self.a(Atomic, command)
        swapped, old = atomic.compare_exchange(command.number("current"), command.number("new"))
        return {"old": old, "swapped": int(swapped)}

    def do_atomic_wait(self, command: Command) -> None:
        changed = self.a(Atomic, command).wait(command.number("value"), command.timeout())
        self.expect(changed, command, "wait for atomic")

    def do_atomic_notify(self, command: Command) -> None:
        self.a(Atomic, command).notify_all()

    def do_atomic_add_many(self, command: Command) -> None:
        atomic = self.a(Atomic, command)
        for _ in range(command.number("count")):
            atomic.add(1)

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


def accept(command: Command) -> socket.socket:
    """The first who connects to the socket that a command names."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(PATIENCE_S)
        listener.bind(command.text("path"))
        listener.listen()
        return listener.accept()[0]


def connect(command: Command) -> socket.socket:
    """A connection to that socket, once somebody listens there."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        peer = socket.socket(socket.AF_UNIX)
        try:
            peer.connect(command.text("path"))
            return peer
        except OSError:
            peer.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.001)


def taken(guard: Guard) -> dict[str, object]:
    # The end of a `with` would unlock: here a lock outlives the command that took it.
    guard.__enter__()
    return {"owner_died": int(guard.owner_died)}


def tried(guard: Guard) -> dict[str, object]:
    return {"locked": int(guard.acquire(blocking=False)), "owner_died": int(guard.owner_died)}


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
