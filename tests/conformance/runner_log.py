"""The runner's operations on logs."""

from typing import Any, Protocol

from shmkit import Log, LogReader, Reservation

POLICIES = ["none", "interval", "bytes", "group", "every"]


class Command(Protocol):
    """As the runner has it."""

    arguments: dict[str, str]

    def text(self, key: str) -> str: ...
    def number(self, key: str) -> int: ...
    def flag(self, key: str) -> bool: ...
    def data(self) -> bytes: ...
    def timeout(self) -> float | None: ...
    def given(self, *keys: str) -> dict[str, int]: ...


def options(command: Command) -> dict[str, Any]:
    options: dict[str, Any] = command.given("segment_len", "max_record_len", "retain_count")
    if "durability" in command.arguments:
        options["durability"] = command.text("durability")
    if options.get("durability") == "interval":
        options["interval"] = command.number("value") / 1e9
    if options.get("durability") == "bytes":
        options["flush_bytes"] = command.number("value")
    return options


class LogCommands:
    """What the runner does with logs."""

    def __init__(self) -> None:
        super().__init__()
        self.logs: dict[str, Log] = {}
        self.readers: dict[str, LogReader] = {}
        self.reservations: dict[str, Reservation] = {}

    def do_log_create(self, command: Command) -> None:
        self.logs[command.text("l")] = Log.create(command.text("path"), **options(command))

    def do_log_open(self, command: Command) -> None:
        self.logs[command.text("l")] = Log.open(command.text("path"), read_only=command.flag("read_only"))

    def do_log_open_or_create(self, command: Command) -> None:
        self.logs[command.text("l")] = Log.open_or_create(command.text("path"), **options(command))

    def do_log_append(self, command: Command) -> dict[str, object]:
        log = self.logs[command.text("l")]
        return {"position": log.append(command.data(), command.number("kind"))}

    def do_log_write(self, command: Command) -> dict[str, object]:
        log, prefix, first = self.logs[command.text("l")], command.text("prefix"), command.number("from")
        position = 0
        for number in range(first, first + command.number("count")):
            position = log.append(f"{prefix}.{number}".encode(), command.number("kind"))
        return {"position": position}

    def do_log_batch(self, command: Command) -> dict[str, object]:
        log = self.logs[command.text("l")]
        positions = log.append_batch([command.data()] * command.number("count"), command.number("kind"))
        return {"position": positions[-1]}

    def do_log_reserve(self, command: Command) -> None:
        log = self.logs[command.text("l")]
        self.reservations[command.text("v")] = log.reserve(command.number("len"), command.number("kind"))

    def do_log_fill(self, command: Command) -> None:
        data = command.data()
        self.reservations[command.text("v")][: len(data)] = data

    def do_log_commit(self, command: Command) -> dict[str, object]:
        return {"position": self.reservations.pop(command.text("v")).commit(command.number("len"))}

    def do_log_abandon(self, command: Command) -> None:
        self.reservations.pop(command.text("v")).abandon()

    def do_log_reader(self, command: Command) -> None:
        place = command.text("from")
        reader = self.logs[command.text("l")].reader(int(place) if place.isdigit() else place)
        self.readers[command.text("r")] = reader

    def do_log_next(self, command: Command) -> dict[str, object]:
        timeout = command.timeout() if "timeout_ms" in command.arguments else 0
        record = self.readers[command.text("r")].read(timeout)
        if record is None:
            return {"none": 1}
        return {"kind": record.kind, "position": record.position, "data": record.tobytes().hex()}

    def do_log_texts(self, command: Command) -> dict[str, object]:
        texts = [record.tobytes().decode() for record in self.readers[command.text("r")]]
        return {"count": len(texts), "texts": ",".join(texts)}

    def do_log_counts(self, command: Command) -> dict[str, object]:
        reader = self.readers[command.text("r")]
        return {"missed": int(reader.missed > 0), "corrupted": reader.corrupted, "skipped": reader.skipped}

    def do_log_flush(self, command: Command) -> None:
        self.logs[command.text("l")].flush()

    def do_log_status(self, command: Command) -> dict[str, object]:
        status = self.logs[command.text("l")].status()
        return {
            "dead": status["dead"],
            "abandoned": status["abandoned"],
            "attached": status["attached"],
            "segments": len(status["segments"]),
            "flushed": int(status["flushed_to"] == status["end"]),
        }

    def do_log_close(self, command: Command) -> None:
        self.logs[command.text("l")].close()
