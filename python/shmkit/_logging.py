"""A log behind Python's ``logging``, and behind structlog.

::

    log = shmkit.Log.open_or_create("/var/log/app")
    logging.basicConfig(handlers=[shmkit.LogHandler(log)], level=logging.INFO)

Any number of processes may write, forked and spawned ones too: no record is torn or lost, and none waits for another.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ._errors import RecordTooLargeError
from ._native import Log, TextLogger, _LineWriter

if TYPE_CHECKING:
    import os


class LogHandler(logging.Handler):
    """Appends each record to a log, as a line of text in UTF-8 without a newline.

    ``log`` is a :class:`Log`, or the directory of one, which is then opened or created with the default options.
    ``kind`` is what the records get; by default the number of their level, so that readers can tell them apart.

    Formats of a plain ``logging.Formatter`` (or none) in ``%`` style that use attributes, the time and widths are made
    without Python, with the same result; other formatters, and records with an exception or a stack, are formatted
    by Python. It takes no lock: an append needs none. A text that is longer than a record may be is cut.
    """

    def __init__(
        self, log: Log | str | os.PathLike[str], level: int | str = logging.NOTSET, *, kind: int | None = None
    ) -> None:
        super().__init__(level)
        self._owns_log = not isinstance(log, Log)
        self.log: Log = log if isinstance(log, Log) else Log.open_or_create(log)
        self.kind = kind
        self._writer: _LineWriter | None = None
        self.setFormatter(None)

    def setFormatter(self, fmt: logging.Formatter | None) -> None:
        """As ``logging.Handler.setFormatter``."""
        super().setFormatter(fmt)
        formatter = fmt if fmt is not None else _DEFAULT
        self._writer = None
        if type(formatter) is logging.Formatter and type(formatter._style) is logging.PercentStyle:
            defaults = getattr(formatter._style, "_defaults", None)
            try:
                if not defaults:
                    self._writer = _LineWriter(self.log, self.kind, formatter._style._fmt, formatter)
            except ValueError:
                pass  # It needs more than is done without Python.

    def handle(self, record: logging.LogRecord) -> bool:
        """As ``logging.Handler.handle``, without its lock."""
        if self.filters:
            passed: Any = self.filter(record)
            if not passed:
                return False
            if isinstance(passed, logging.LogRecord):
                record = passed
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Appends a record. What goes wrong is reported by ``handleError``."""
        try:
            writer = self._writer
            try:
                is_written = writer is not None and writer.write(record)
            except RecordTooLargeError:
                is_written = False
            if not is_written:
                text = _cut(self.format(record).encode("utf-8", "replace"), self.log.max_record_len)
                self.log.append(text, (record.levelno or 0) if self.kind is None else self.kind)
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Nothing is buffered in the process: for the disk, see the log's durability and :meth:`Log.flush`."""

    def close(self) -> None:
        """Ends the handler, and the log if it opened it itself."""
        super().close()
        if self._owns_log:
            self.log.close()

    def __reduce__(self) -> tuple[Any, ...]:
        log = self.log.directory if self._owns_log else self.log
        return _rebuild, (type(self), log, self.level, self.kind, self.formatter, self.filters, self.name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} '{self.log.directory}' ({logging.getLevelName(self.level)})>"


_DEFAULT = logging.Formatter()


def _cut(text: bytes, most: int) -> bytes:
    """As much of a text as fits, in whole characters: a part of a message says more than none."""
    return text if len(text) <= most else text[:most].decode("utf-8", "ignore").encode()


def _rebuild(
    cls: type[LogHandler],
    log: Any,
    level: int,
    kind: int | None,
    formatter: logging.Formatter | None,
    filters: list[Any],
    name: str | None,
) -> LogHandler:
    handler = cls(log, level, kind=kind)
    handler.setFormatter(formatter)
    handler.filters.extend(filters)
    handler.name = name
    return handler


class TextLoggerFactory:
    """Makes loggers for structlog: ``structlog.configure(logger_factory=shmkit.TextLoggerFactory(log))``."""

    def __init__(self, log: Log | str | os.PathLike[str]) -> None:
        self.log: Log = log if isinstance(log, Log) else Log.open_or_create(log)

    def __call__(self, *args: Any) -> TextLogger:
        return TextLogger(self.log)


for _class in (LogHandler, TextLoggerFactory):
    _class.__module__ = "shmkit"  # Where users find it: in messages, in help() and when pickled.
del _class
