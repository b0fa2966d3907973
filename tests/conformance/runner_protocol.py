"""What the runner's lines look like: commands are taken apart here, answers put together."""

import os
from collections.abc import Callable
from urllib.parse import quote, unquote

import shmkit

Fields = dict[str, object]


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


def encode(value: object) -> str:
    return quote(str(value), safe="/")


def answer(run: Callable[[Command], Fields], line: str) -> str:
    """The line that answers a line."""
    try:
        fields = run(Command(line))
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
