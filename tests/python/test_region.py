"""Regions: names, options, life and death of handles, other processes."""

import gc
import os
import signal
import stat
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.objects import object_path

import shmkit
from python.processes import Process
from shmkit import Region


def test_a_region_is_what_was_asked_for(fresh_name: str) -> None:
    region = Region.create(fresh_name, 1001, mode=0o640, group=os.getgid(), attachments=3, arena_len=4096)
    assert (region.name, region.location) == (fresh_name, fresh_name)
    assert len(region) == region.nbytes == 1001
    assert not region.read_only and not region.closed
    assert region[:] == bytes(1001)
    status = object_path(fresh_name).stat()
    assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o640, os.getgid())
    assert repr(region) == f"<shmkit.Region '{fresh_name}', 1001 bytes>"
    region.close()
    assert repr(region) == f"<shmkit.Region '{fresh_name}', 1001 bytes, closed>"
    assert object_path(fresh_name).exists()
    Region.unlink(fresh_name)
    assert not object_path(fresh_name).exists()


def test_two_handles_are_one_region(region: Region) -> None:
    with Region.open(region.name) as other:
        assert other.id == region.id and len(other.id) == 16
        other[7] = 9
        assert region[7] == 9
    region[7] = 10


def test_a_new_region_of_the_same_name_has_another_id(region: Region) -> None:
    Region.unlink(region.name)
    with Region.create(region.name, 10) as other:
        assert other.id != region.id


def test_a_region_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("region")
    with Region.create(path, 100) as region:
        assert (region.name, region.location) == ("region", tmp_path / "region")
        region[0:4] = b"kept"
        region.flush()
        region.flush(0, 50, sync=False, invalidate=True)
        with pytest.raises(shmkit.OutOfRangeError):
            region.flush(50, 51)
    with Region.open(path, read_only=True) as region:
        assert region.read_only
        assert repr(region) == "<shmkit.Region 'region', 100 bytes, read-only>"
        assert region[0:4] == b"kept"
    Region.unlink(path)
    assert not path.exists()


def test_open_or_create(fresh_name: str) -> None:
    with Region.open_or_create(fresh_name, 100) as first, Region.open_or_create(fresh_name, 100) as second:
        assert first.id == second.id
    Region.unlink(fresh_name)


def test_there_is_no_other_way_to_make_one() -> None:
    for class_ in (Region, shmkit.Guard, shmkit.Mapping):
        with pytest.raises(TypeError):
            class_()


def test_a_handle_that_is_forgotten_closes_itself(region: Region) -> None:
    handle = Region.open(region.name)
    gone = weakref.ref(handle)
    view = handle.view()
    del handle
    assert gone() is None
    view[0] = 5  # the view keeps the bytes
    assert region[0] == 5
    del view
    gc.collect()
    region.close()


def test_a_guard_outlives_its_region_object(region: Region) -> None:
    guard = Region.open(region.name).guard
    with guard:
        assert region.guard.locked()


def test_the_bytes_outlive_their_name(region: Region, start: Callable[..., Process]) -> None:
    program = """
        import sys
        from shmkit import Region
        region = Region.open(sys.argv[1])
        print("open")
        sys.stdin.readline()
        print(region[0])
    """
    process = start(program, region.name)
    assert process.hear() == "open"
    Region.unlink(region.name)
    region[0] = 77
    process.tell()
    assert process.hear() == "77"


def test_the_end_of_a_process_that_opened_it_takes_nothing_away(region: Region, start: Callable[..., Process]) -> None:
    process = start("import sys; from shmkit import Region; r = Region.open(sys.argv[1]); r[0] = 3", region.name)
    assert process.end() == (0, "")
    assert region[0] == 3 and object_path(region.name).exists()


def test_a_forked_child_shares_the_bytes_but_not_the_lock(region: Region) -> None:
    region.guard.acquire()
    child = os.fork()
    if child == 0:
        try:
            try:
                region.guard.release()
                result = 1
            except shmkit.NotOwnerError:
                result = 2 if region.guard.acquire(timeout=0.05) else 0
            region[1] = 4
        finally:
            os._exit(result)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert region[1] == 4
    assert region.guard.locked()
    region.guard.release()


def test_a_forked_child_locks_under_its_own_name(region: Region) -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        region.guard.acquire()
        os.write(write, b"locked")
        signal.pause()
    assert os.read(read, 6) == b"locked"
    assert region.guard.acquire(False) is False
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with region.lock(timeout=20, recover=True) as guard:
        assert guard.owner_died
    os.close(read)
    os.close(write)


def test_four_threads_open_use_and_close(region: Region) -> None:
    failures: list[BaseException] = []

    def work(at: int) -> None:
        try:
            for turn in range(200):
                with Region.open(region.name) as handle:
                    with memoryview(handle) as view:
                        view[at] = turn % 256
                    with handle.lock():
                        handle[100] = (handle[100] + 1) % 256
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert region[0:4] == bytes([199] * 4)
    assert region[100] == 800 % 256


def test_closing_races_with_everything(region: Region) -> None:
    """Whoever comes late gets ClosedError; nobody crashes."""
    for _ in range(100):
        handle = Region.open(region.name)
        ready = threading.Barrier(4)
        wrong: list[BaseException] = []

        def use(handle: Region = handle, ready: threading.Barrier = ready, wrong: list[BaseException] = wrong) -> None:
            ready.wait()
            try:
                while True:
                    handle[0] = handle[1]
                    with memoryview(handle) as view:
                        view[0] = 1
                    with handle.lock(timeout=20):
                        pass
            except shmkit.ClosedError:
                pass
            except BaseException as failure:
                wrong.append(failure)

        threads = [threading.Thread(target=use) for _ in range(3)]
        for thread in threads:
            thread.start()
        ready.wait()
        while not handle.closed:
            try:
                handle.close()
            except BufferError:
                pass
        for thread in threads:
            thread.join()
        assert not wrong
