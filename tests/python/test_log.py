"""Logs: appending, reading, the disk, and what happens when somebody dies."""

import asyncio
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import shmkit
from python.processes import Process
from shmkit import Log, LogRecord

WRITER = """
    import sys
    from shmkit import Log
    log = Log.open(sys.argv[1])
    print("ready")
    for line in sys.stdin:
        print(log.append(line.strip().encode(), 3))
"""
CLAIMER = """
    import sys
    from shmkit import Log
    log = Log.open(sys.argv[1])
    record = log.reserve(64)
    log.append(b"behind")
    print("claimed")
    sys.stdin.readline()
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def log(directory: Path) -> Log:
    return Log.create(directory, segment_len=1 << 16)


def texts(log: Log) -> list[bytes]:
    return [record.tobytes() for record in log]


def test_records_come_back_in_order(log: Log) -> None:
    before = time.time_ns()
    positions = [log.append(b"one", 1), log.append(bytearray(b"two"), 2), log.append(b"")]
    records = list(log)
    assert [(r.tobytes(), r.kind) for r in records] == [(b"one", 1), (b"two", 2), (b"", 0)]
    assert [r.position for r in records] == positions == sorted(positions)
    assert [r.next_position for r in records] == [*positions[1:], log.end]
    assert all(before - 10**9 <= r.time_ns <= time.time_ns() + 10**9 for r in records)


def test_any_contiguous_bytes_are_a_record(log: Log) -> None:
    from array import array

    log.append(array("H", [1, 2]))
    log.append(memoryview(b"abcdef")[2:4])
    log.append(memoryview(next(iter(log))))
    assert texts(log) == [array("H", [1, 2]).tobytes(), b"cd", array("H", [1, 2]).tobytes()]
    with pytest.raises(BufferError):
        log.append(memoryview(b"abcdef")[::2])
    with pytest.raises(TypeError):
        log.append("text")  # type: ignore[arg-type]
    with pytest.raises(OverflowError):
        log.append(b"", -1)


def test_a_record_is_a_read_only_buffer_without_a_copy(log: Log) -> None:
    log.append(b"zero copy")
    record = next(iter(log))
    view = memoryview(record)
    assert view.readonly and bytes(view) == b"zero copy" == bytes(record) == record.data.tobytes()
    assert record[0] == ord("z") and record[-4:] == b"copy" and len(record) == 9 and record
    with pytest.raises(TypeError):
        view[0] = 1
    del record
    assert view[:4] == b"zero"


def test_a_view_outlives_retention(directory: Path) -> None:
    log = Log.create(directory, segment_len=4096, retain_count=1)
    log.append(b"the first")
    view = next(iter(log)).data
    reader = log.reader()
    for _ in range(20):
        log.append(bytes(900))
    assert not (directory / f"segment-{0:020}.log").exists()
    assert view == b"the first"
    with pytest.raises(shmkit.MissedError):
        list(reader)
    skipping = log.reader(skip_gaps=True)
    assert len(list(skipping)) > 0
    assert reader.missed > 0
    assert log.status()["removed_segments"] > 0


def test_a_reservation_is_filled_in_place(log: Log) -> None:
    with log.reserve(5, 4) as record:
        record[:] = b"hello"
        record[0] = ord("j")
        assert record[0:2] == b"je" and len(record) == 5
        assert texts(log) == []
    assert [(r.tobytes(), r.kind) for r in log] == [(b"jello", 4)]
    part = log.reserve(100)
    memoryview(part)[:4] = b"part"
    assert part.commit(4) == part.position
    with pytest.raises(shmkit.ClosedError):
        part.commit()
    with pytest.raises(shmkit.ClosedError):
        part[0] = 1
    assert texts(log) == [b"jello", b"part"]


def test_a_reservation_is_given_up_by_an_exception(log: Log) -> None:
    with pytest.raises(ZeroDivisionError), log.reserve(5) as record:
        view = memoryview(record)
        raise ZeroDivisionError
    log.append(b"next")
    assert texts(log) == [b"next"]
    assert log.status()["abandoned"] == 1
    view[0] = 1  # Still mapped, and nobody's.
    with pytest.raises(shmkit.ClosedError):
        record.commit()
    given_up = log.reserve(1)
    given_up.abandon()
    given_up.abandon()
    assert log.status()["abandoned"] == 2


def test_a_reservation_with_views_is_not_committed(log: Log) -> None:
    record = log.reserve(5)
    view = memoryview(record)
    with pytest.raises(shmkit.BusyError):
        record.commit()
    with pytest.raises(BufferError):
        log.close()
    view.release()
    record.commit()
    log.close()
    assert log.closed


def test_a_batch_comes_as_one(log: Log) -> None:
    positions = log.append_batch([b"a", bytearray(b"bb"), b""], 9)
    assert [(r.position, r.kind, len(r)) for r in log] == list(zip(positions, [9] * 3, [1, 2, 0], strict=True))
    assert log.append_batch(iter([])) == []
    with pytest.raises(shmkit.RecordTooLargeError):
        log.append_batch([bytes(10_000)] * 2)
    with pytest.raises(TypeError):
        log.append_batch([1])  # type: ignore[list-item]


def test_readers_begin_where_they_are_told(log: Log) -> None:
    positions = [log.append(b"%d" % n) for n in range(5)]
    end = log.reader("end")
    assert [r.tobytes() for r in log.reader(positions[3])] == [b"3", b"4"]
    assert list(end) == [] and end.position == log.end
    end.seek("start")
    assert [r.tobytes() for r in end] == [b"0", b"1", b"2", b"3", b"4"]
    end.seek(positions[4])
    assert end.read().tobytes() == b"4"  # type: ignore[union-attr]
    for wrong in (1, positions[1] + 8, 10**9, -1, "middle", 2**70):
        with pytest.raises(ValueError):
            end.seek(wrong)  # type: ignore[arg-type]
    end.close()
    assert end.closed
    with pytest.raises(shmkit.ClosedError):
        end.read()


def test_following_waits_and_ends(log: Log) -> None:
    started = time.monotonic()
    assert list(log.reader(follow=True, timeout=0.05)) == []
    assert log.reader().read(0.05) is None
    assert time.monotonic() - started >= 0.1
    assert not log.reader().wait(0.01)
    timer = threading.Timer(0.1, log.append, [b"late"])
    timer.start()
    reader = log.reader()
    assert reader.wait(20) and reader.wait(0)
    assert reader.position == 0
    assert reader.read().tobytes() == b"late"  # type: ignore[union-attr]
    timer.join()


def test_another_process_is_followed(directory: Path, log: Log, start: Callable[..., Process]) -> None:
    writer = start(WRITER, directory)
    assert writer.hear() == "ready"
    reader = log.reader(follow=True, timeout=20)
    for number in range(100):
        writer.tell(f"line {number}")
        record = next(reader)
        assert (record.tobytes(), record.kind) == (b"line %d" % number, 3)
        assert int(writer.hear()) == record.position


def test_the_claim_of_a_killed_writer_is_stepped_over(directory: Path, log: Log, start: Callable[..., Process]) -> None:
    writer = start(CLAIMER, directory)
    assert writer.hear() == "claimed"
    reader = log.reader()
    assert reader.read(0.05) is None
    writer.kill()
    record = reader.read(20)
    assert record is not None and record.tobytes() == b"behind" and reader.skipped == 1
    assert log.status()["dead"] == 1
    assert log.verify()["dead"] == 1 and log.verify()["records"] == 1


def test_one_thread_reads_at_a_time(log: Log) -> None:
    reader = log.reader()
    entered = threading.Event()

    def wait() -> None:
        entered.set()
        reader.wait(20)

    thread = threading.Thread(target=wait)
    thread.start()
    entered.wait()
    while True:
        try:
            reader.read()
        except shmkit.BusyError:
            break
    assert reader.position == 0
    log.append(b"x")
    thread.join()
    assert reader.read() is not None


def test_closing_a_reader_ends_its_wait(log: Log) -> None:
    reader = log.reader(follow=True)
    threading.Timer(0.1, reader.close).start()
    with pytest.raises(shmkit.ClosedError):
        next(reader)


@pytest.mark.parametrize("durability", ["none", "interval", "bytes", "group", "every"])
def test_each_durability(directory: Path, durability: Any) -> None:
    more: dict[str, Any] = {"interval": {"interval": 0.01}, "bytes": {"flush_bytes": 1000}}.get(durability, {})
    with Log.create(directory, segment_len=1 << 16, durability=durability, **more) as log:
        assert log.durability == durability
        for number in range(50):
            log.append(b"record %d" % number)
        if durability in ("group", "every"):
            assert log.status()["flushed_to"] == log.end
        ticket = log.append_deferred(b"deferred")
        log.wait_durable(ticket, 20)
        assert log.is_durable(ticket)
        assert log.ticket() != ticket and log.ticket().position == log.end
        log.flush()
    assert log.status()["flushed_to"] == log.end
    with pytest.raises(shmkit.ClosedError):
        log.append(b"")


def test_callbacks_are_called_once(directory: Path) -> None:
    log = Log.create(directory, segment_len=1 << 16, durability="group")
    told = threading.Semaphore(0)
    errors: list[Exception | None] = []

    def tell(error: Exception | None) -> None:
        errors.append(error)
        told.release()

    for _ in range(20):
        log.on_durable(log.append_deferred(b"x"), tell)
    for _ in range(20):
        assert told.acquire(timeout=20)
    log.flush()
    log.on_durable(shmkit.Log.ticket(log), tell)
    assert told.acquire(timeout=20)
    assert errors == [None] * 21
    with pytest.raises(TypeError):
        log.on_durable(log.ticket(), None)  # type: ignore[arg-type]


def test_a_handle_that_goes_away_calls_who_waits(directory: Path) -> None:
    log = Log.create(directory, segment_len=1 << 16, durability="interval", interval=1000)
    errors: list[Exception | None] = []
    log.on_durable(log.append_deferred(b"x"), errors.append)
    assert errors == []
    del log
    assert errors == [None]


@pytest.mark.filterwarnings("error")
def test_what_a_callback_raises_is_reported(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log.create(directory, segment_len=1 << 16)
    raised: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", raised.append)
    log.on_durable(log.append_deferred(b"x"), lambda _: 1 / 0)
    del log
    assert [type(r.exc_value) for r in raised] == [ZeroDivisionError]


def test_the_disk_can_be_awaited(directory: Path) -> None:
    log = Log.create(directory, segment_len=1 << 16, durability="group")

    async def main() -> None:
        await asyncio.gather(*(log.durable(log.append_deferred(b"x")) for _ in range(10)))

    asyncio.run(main())
    assert log.status()["flushed_to"] == log.end


def test_records_can_be_awaited(log: Log) -> None:
    async def main() -> list[bytes]:
        seen = []
        loop = asyncio.get_running_loop()
        reader = log.reader(follow=True)
        log.append(b"0")
        async for record in reader:
            number = int(record.tobytes())
            seen.append(record.tobytes())
            if number == 20:
                break
            loop.call_later(0.001, log.append, b"%d" % (number + 1))
        return seen

    assert asyncio.run(main()) == [b"%d" % n for n in range(21)]


def test_an_awaited_record_is_not_lost_by_cancelling(log: Log) -> None:
    async def main() -> LogRecord | None:
        reader = log.reader(follow=True)

        async def first() -> LogRecord:
            async for record in reader:
                return record
            raise AssertionError

        task = asyncio.create_task(first())
        await asyncio.sleep(0.02)
        task.cancel()
        log.append(b"kept")
        with pytest.raises(asyncio.CancelledError):
            await task
        return reader.read()

    record = asyncio.run(main())
    assert record is not None and record.tobytes() == b"kept"
    assert asyncio.run(count(log, timeout=0.05)) == 1
    assert asyncio.run(count(log, timeout=None)) == 1


async def count(log: Log, timeout: float | None) -> int:
    follow = timeout is not None
    return len([record async for record in log.reader(follow=follow, timeout=timeout)])


def test_ctrl_c_ends_a_wait(directory: Path, log: Log, start: Callable[..., Process]) -> None:
    program = """
        import sys, time
        from shmkit import Log
        reader = Log.open(sys.argv[1]).reader(follow=True)
        print("waiting")
        try:
            next(reader)
        except KeyboardInterrupt:
            print(time.monotonic_ns())
    """
    reader = start(program, directory)
    assert reader.hear() == "waiting"
    time.sleep(0.1)
    sent = time.monotonic_ns()
    os.kill(reader.pid, signal.SIGINT)
    # 50 ms are the aim; a busy machine may take longer to let it run.
    assert int(reader.hear()) - sent < 1_000_000_000


def test_it_travels_to_other_processes(log: Log, directory: Path) -> None:
    same = pickle.loads(pickle.dumps(log))
    same.append(b"by pickle")
    for method in ("spawn", "fork"):
        process = multiprocessing.get_context(method).Process(target=append_in_child, args=(log, method.encode()))
        process.start()
        process.join(60)
        assert process.exitcode == 0
    assert texts(log) == [b"by pickle", b"spawn", b"fork"]
    read_only = pickle.loads(pickle.dumps(Log.open(directory, read_only=True)))
    assert read_only.read_only
    with pytest.raises(shmkit.ReadOnlyError):
        read_only.append(b"")
    sent = pickle.dumps(log)
    log.close()
    with pytest.raises(shmkit.ClosedError):
        pickle.dumps(log)
    directory.rename(directory.with_name("moved"))
    Log.create(directory, segment_len=4096)
    with pytest.raises(shmkit.ReplacedError):
        pickle.loads(sent)


def append_in_child(log: Log, data: bytes) -> None:
    log.append(data)


def test_a_forked_child_leaves_the_parents_reservation_alone(log: Log) -> None:
    record = log.reserve(5)
    child = os.fork()
    if child == 0:
        try:
            record.commit()
        except shmkit.NotOwnerError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    record[:] = b"still"
    record.commit()
    assert texts(log) == [b"still"]


def test_what_is_wrong_is_refused(directory: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Log.open(directory)
    wrong: list[dict[str, Any]] = [
        {"segment_len": 1},
        {"max_record_len": 1 << 30},
        {"durability": "sometimes"},
        {"durability": "interval"},
        {"durability": "interval", "interval": 0.0},
        {"durability": "interval", "interval": -1.0},
        {"durability": "bytes"},
        {"durability": "bytes", "flush_bytes": 0},
        {"interval": 1.0},
        {"durability": "group", "flush_bytes": 1},
        {"max_age": -1.0},
    ]
    for options in wrong:
        with pytest.raises(ValueError):
            Log.create(directory, **options)
    assert not directory.exists()
    log = Log.open_or_create(str(directory), segment_len=8192, max_record_len=100, mode=0o640)
    assert (directory.stat().st_mode & 0o777, log.segment_len, log.max_record_len) == (0o750, 8192, 100)
    with pytest.raises(FileExistsError):
        Log.create(directory)
    with pytest.raises(shmkit.ParameterMismatchError):
        Log.open_or_create(directory)
    with pytest.raises(shmkit.RecordTooLargeError):
        log.append(bytes(101))
    with pytest.raises(shmkit.RecordTooLargeError):
        log.reserve(2**70)
    with pytest.raises(shmkit.OutOfRangeError):
        log.reserve(10).commit(11)
    assert log.status()["max_record_len"] == 100 and log.directory == directory and len(log.id) == 16
    assert log.recovery is not None and log.start == 0
    assert "8192" not in repr(log) and str(directory) in repr(log)


def test_a_full_disk_stops_a_record_and_not_the_log(directory: Path, start: Callable[..., Process]) -> None:
    """RLIMIT_FSIZE stands for a full disk: the next segment cannot be made, and the process lives on."""
    program = """
        import resource, signal, sys
        import shmkit
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        log = shmkit.Log.open(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        appended = 0
        try:
            while True:
                log.append(bytes(1000))
                appended += 1
        except OSError as error:
            print(type(error).__name__, appended)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        log.append(b"again")
    """
    log = Log.create(directory, segment_len=16384, max_record_len=4000)
    process = start(program, directory)
    name, appended = process.hear().split()
    assert process.end()[0] == 0
    found = texts(log)
    assert name in ("NoSpaceError", "IoError", "LimitExceededError", "InvalidLengthError")
    assert found == [bytes(1000)] * int(appended) + [b"again"]
