"""The runner's operations on window caches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shmkit import WindowCache

if TYPE_CHECKING:
    from runner_protocol import Command


class WindowCommands:
    """Mixed into the runner; window caches have handles and views of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.caches: dict[str, WindowCache] = {}
        self.window_views: dict[str, memoryview] = {}

    def do_windows_open(self, command: Command) -> dict[str, object]:
        options: dict[str, Any] = {**command.given("window_len", "windows"), **command.choices("pattern")}
        cache = WindowCache.open(command.text("path"), writable=command.flag("writable"), **options)
        self.caches[command.text("w")] = cache
        return {"len": len(cache), "window_len": cache.window_len, "windows": cache.window_count}

    def cache(self, command: Command) -> WindowCache:
        return self.caches[command.text("w")]

    def do_windows_read(self, command: Command) -> dict[str, object]:
        return {"data": self.cache(command).read_at(command.number("offset"), command.number("len")).hex()}

    def do_windows_write(self, command: Command) -> None:
        self.cache(command).write_at(command.number("offset"), command.data())

    def do_windows_flush(self, command: Command) -> None:
        self.cache(command).flush(sync=not command.flag("async"))

    def do_windows_stats(self, command: Command) -> dict[str, object]:
        stats = self.cache(command).stats()
        fields = ("hits", "misses", "evictions", "bypasses", "maps", "mapped", "views")
        return {field: getattr(stats, field) for field in fields}

    def do_windows_close(self, command: Command) -> None:
        self.cache(command).close()

    def do_windows_view(self, command: Command) -> None:
        place = (command.number("offset"), command.number("len"))
        self.window_views[command.text("v")] = self.cache(command).view(*place, writable=command.flag("writable"))

    def do_windows_view_read(self, command: Command) -> dict[str, object]:
        start = command.number("offset")
        return {"data": self.window_views[command.text("v")][start : start + command.number("len")].hex()}

    def do_windows_view_write(self, command: Command) -> None:
        start, data = command.number("offset"), command.data()
        self.window_views[command.text("v")][start : start + len(data)] = data

    def do_windows_view_release(self, command: Command) -> None:
        self.window_views.pop(command.text("v")).release()
