"""The log behind `logging` and structlog: the same lines as the standard handlers write, from any process."""

import logging
import multiprocessing
import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import shmkit
from shmkit import Log, LogHandler, TextLoggerFactory

FORMATS = [
    None,
    "%(message)s",
    "%(levelname)s:%(name)s:%(message)s",
    "[%(levelname)-8s] %(name)10s %(lineno)d %(process)d %(thread)d 100%% %(message)s|",
    "%(asctime)s %(funcName)s %(pathname)s %(message)-40s.",
    "%(created)f %(msecs)03d %(message)s",
]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log.create(tmp_path / "log", segment_len=1 << 16)


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    made = logging.Logger("tests.of.logging")
    yield made
    for handler in made.handlers:
        handler.close()


def lines(log: Log) -> list[str]:
    return [record.tobytes().decode() for record in log]


def emit_all_sorts(logger: logging.Logger) -> None:
    logger.debug("plain")
    logger.info("%s is %d", "x", 42)
    logger.warning("%(a)s and %(b)r", {"a": "ä", "b": "ß"})
    logger.error(12345)
    logger.error(Path("an object"))
    logger.critical("100% of\nlines")
    logger.info("surrogates \ud800 are replaced")
    logger.info("")
    try:
        raise ZeroDivisionError("on purpose")
    except ZeroDivisionError:
        logger.exception("it went %s", "wrong")
    logger.info("with a stack", stack_info=True)


@pytest.mark.parametrize("text", FORMATS)
@pytest.mark.parametrize("datefmt", [None, "%H:%M"])
def test_lines_are_those_of_a_stream_handler(
    tmp_path: Path, log: Log, logger: logging.Logger, text: str | None, datefmt: str | None
) -> None:
    formatter = logging.Formatter(text, datefmt) if text else None
    expected: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            expected.append(self.format(record).encode("utf-8", "replace").decode())

    handlers: list[logging.Handler] = [LogHandler(log), Keeper()]
    for handler in handlers:
        handler.setFormatter(formatter)
        logger.addHandler(handler)
    emit_all_sorts(logger)
    assert lines(log) == expected
    assert [record.kind for record in log][:4] == [10, 20, 30, 40]


def test_the_second_is_asked_for_anew(log: Log, logger: logging.Logger) -> None:
    handler = LogHandler(log, kind=7)
    formatter = logging.Formatter("%(asctime)s")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    expected = []
    for created in (0.5, 0.25, 1.75, 1e9, 0.5):
        record = logging.makeLogRecord({"created": created, "msecs": created % 1 * 1000})
        expected.append(formatter.format(record))
        assert handler.handle(record)
    assert lines(log) == expected and expected[2] == "1970-01-01 00:00:01,750"
    assert {record.kind for record in log} == {7}


def test_filters_levels_and_other_formatters_hold(log: Log, logger: logging.Logger) -> None:
    class Shouting(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return super().format(record).upper()

    handler = LogHandler(log, logging.WARNING)
    logger.addHandler(handler)
    handler.addFilter(lambda record: "secret" not in record.getMessage())
    logger.info("too low")
    logger.error("a secret")
    handler.setFormatter(Shouting("%(message)s"))
    logger.error("loud")
    handler.setFormatter(logging.Formatter("{message}!", style="{"))
    logger.error("braces")
    handler.setFormatter(None)
    logger.error("plain")
    assert lines(log) == ["LOUD", "braces!", "plain"]


def test_what_goes_wrong_is_reported_and_not_raised(
    log: Log, logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    logger.addHandler(LogHandler(log))
    logger.info("%d", "no number")
    log.close()
    logger.info("closed")
    errors = capsys.readouterr().err
    assert "TypeError" in errors and "ClosedError" in errors


def test_it_opens_and_closes_a_directory_of_its_own(tmp_path: Path) -> None:
    handler = LogHandler(tmp_path / "own")
    handler.handle(logging.makeLogRecord({"msg": "x"}))
    handler.flush()
    assert "own" in repr(handler)
    handler.close()
    assert handler.log.closed
    assert lines(Log.open(tmp_path / "own")) == ["x"]


def test_it_works_in_forked_and_spawned_children(log: Log, logger: logging.Logger) -> None:
    handler = LogHandler(log, kind=3)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    handler.name = "named"
    assert pickle.loads(pickle.dumps(handler)).name == "named"
    for method in ("fork", "spawn"):
        context: Any = multiprocessing.get_context(method)
        processes = [context.Process(target=write_some, args=(handler, f"{method} {n}")) for n in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
            assert process.exitcode == 0
    found = lines(log)
    assert len(found) == 2 * 3 * 100
    for method in ("fork", "spawn"):
        for number in range(3):
            mine = [line for line in found if line.startswith(f"INFO {method} {number} ")]
            assert mine == [f"INFO {method} {number} {turn}" for turn in range(100)]


def write_some(handler: logging.Handler, name: str) -> None:
    logger = logging.Logger("child")
    logger.addHandler(handler)
    for turn in range(100):
        logger.info("%s %d", name, turn)


def test_structlog_finds_its_methods(log: Log) -> None:
    logger = TextLoggerFactory(log)("any", "names")
    for method in ("msg", "debug", "info", "warning", "warn", "error", "exception", "critical", "fatal"):
        getattr(logger, method)(method)
    logger.log(99, b"bytes")
    assert lines(log) == [
        *("msg", "debug", "info", "warning", "warn", "error", "exception", "critical", "fatal"),
        "bytes",
    ]
    assert [record.kind for record in log] == [20, 10, 20, 30, 30, 40, 40, 50, 50, 99]
    with pytest.raises(TypeError):
        logger.info(1)  # type: ignore[arg-type]


def test_logging_is_imported_only_by_who_uses_it() -> None:
    import subprocess
    import sys

    program = (
        "import shmkit, sys; assert 'logging' not in sys.modules; shmkit.LogHandler; assert 'logging' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, env=dict(os.environ))
    with pytest.raises(AttributeError):
        getattr(shmkit, "no_such_" + "name")


def test_a_text_that_is_too_long_is_cut_between_characters(tmp_path: Path) -> None:
    log = Log.create(tmp_path / "short", max_record_len=11)
    handler = LogHandler(log)
    for formatter in [None, logging.Formatter("{message}", style="{")]:
        handler.setFormatter(formatter)
        handler.handle(logging.makeLogRecord({"msg": "ä" * 20, "levelno": 20}))
    assert [(bytes(record).decode(), record.kind) for record in log] == [("ä" * 5, 20)] * 2
