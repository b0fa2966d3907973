"""Files that lose pages while Python, numpy and system calls use them: nothing dies, and everything is reported."""

import errno
import faulthandler
import mmap
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

import shmkit
from shmkit import Mapping, Region

PAGE = mmap.PAGESIZE


def sevens(path: Path, pages: int = 8, **options: bool) -> Mapping:
    """A file of sevens, mapped for reading and writing."""
    path.write_bytes(b"\7" * pages * PAGE)
    return Mapping.open(path, protection="read_write", **options)


def test_lost_bytes_are_zeros_and_an_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    mapping = sevens(path)
    assert mapping.guarded
    view = memoryview(mapping)
    mapping.check()
    os.truncate(path, PAGE + 5)
    with pytest.raises(shmkit.MappingTruncated) as raised:
        mapping.check()
    assert raised.value.filename == str(path)
    assert isinstance(raised.value, shmkit.TruncatedError)
    assert bytes(view[PAGE : PAGE + 10]) == b"\7" * 5 + b"\0" * 5
    assert mapping[0] == 7
    assert view[3 * PAGE] == 0
    view[3 * PAGE] = 9
    assert view[3 * PAGE] == 9
    for call in (
        lambda: mapping[0],
        lambda: mapping[0:10],
        lambda: mapping[0:10:2],
        lambda: mapping.read_at(0, 1),
        lambda: mapping.write_at(0, b"x"),
        lambda: mapping.__setitem__(0, 1),
        lambda: mapping.__setitem__(slice(0, 2), b"xx"),
        lambda: memoryview(mapping),
        lambda: mapping.view(),
        lambda: mapping.ndarray("u1"),
        lambda: mapping.flush(),
        lambda: mapping.protect("read"),
        lambda: mapping.resize(1),
        mapping.check,
    ):
        with pytest.raises(shmkit.MappingTruncated):
            call()
    view.release()
    mapping.close()
    with pytest.raises(shmkit.ClosedError):
        mapping.check()


@pytest.mark.parametrize(
    "call",
    [lambda m: m[2 * PAGE], lambda m: m[PAGE : 3 * PAGE], lambda m: m.write_at(PAGE, b"x" * PAGE), lambda m: m[::PAGE]],
)
def test_a_copy_that_meets_the_end_raises_itself(tmp_path: Path, call: object) -> None:
    mapping = sevens(tmp_path / "file")
    os.truncate(tmp_path / "file", 0)
    with pytest.raises(shmkit.MappingTruncated):
        call(mapping)  # type: ignore[operator]


def test_numpy_and_system_calls(tmp_path: Path) -> None:
    path = tmp_path / "file"
    mapping = sevens(path)
    array = mapping.ndarray(np.uint8)
    os.truncate(path, PAGE)
    with open(tmp_path / "sink", "wb", buffering=0) as sink, pytest.raises(OSError, match="Bad address") as raised:
        sink.write(memoryview(mapping)[2 * PAGE :])
    assert raised.value.errno == errno.EFAULT
    mapping[0:1]
    assert int(array.sum(dtype=np.uint64)) == 7 * PAGE
    array[5 * PAGE :] = 3
    assert int(array.sum(dtype=np.uint64)) == 7 * PAGE + 3 * 3 * PAGE
    with pytest.raises(shmkit.MappingTruncated):
        mapping.check()


def test_threads_live_through_cuts_at_any_moment(tmp_path: Path) -> None:
    for turn in range(10):
        path = tmp_path / f"file{turn}"
        mapping = sevens(path, pages=64)
        arrays = [mapping.ndarray(np.uint8) for _ in range(4)]
        wrong: list[int] = []
        stop = threading.Event()

        def use(array: np.ndarray, wrong: list[int] = wrong, stop: threading.Event = stop) -> None:
            while not stop.is_set():
                wrong.extend(set(np.unique(array).tolist()) - {0, 7})
                array[::97] = 7

        threads = [threading.Thread(target=use, args=(array,)) for array in arrays]
        for thread in threads:
            thread.start()
        for step in range(30):
            os.truncate(path, step * 7919 * 131 % (64 * PAGE))
        os.truncate(path, 0)
        stop.set()
        for thread in threads:
            thread.join()
        assert not wrong
        arrays[0].max()
        with pytest.raises(shmkit.MappingTruncated):
            mapping.check()


def test_without_the_guard_nothing_is_watched(tmp_path: Path) -> None:
    assert not sevens(tmp_path / "file", fault_guard=False).guarded
    assert not Mapping.anonymous(10).guarded
    shmkit.set_fault_guard(False)
    try:
        assert not sevens(tmp_path / "file").guarded
    finally:
        shmkit.set_fault_guard(True)
    assert sevens(tmp_path / "file").guarded


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program in a process of its own, after what all of them need."""
    start = f"""
        import faulthandler, mmap, os, signal, sys
        from shmkit import Mapping, MappingTruncated
        PAGE = {PAGE}
        path = sys.argv[1]

        def lost(**options):
            with open(path, "wb") as file:
                file.write(b"x" * PAGE)
            mapping = Mapping.open(path, **options)
            os.truncate(path, 0)
            return mapping

        def expect_truncated(mapping):
            try:
                mapping[0]
            except MappingTruncated:
                return
            raise AssertionError("nothing was raised")
    """
    words = [sys.executable, "-c", textwrap.dedent(start) + textwrap.dedent(program), *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def test_faulthandler_before_and_after(tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    done = run(
        """
        faulthandler.enable()
        expect_truncated(lost())
        first = lost()
        faulthandler.disable(); faulthandler.enable()
        view = memoryview(Mapping.open(sys.executable))  # a view puts the guard in front again
        expect_truncated(first)
        faulthandler.disable(); faulthandler.enable()
        expect_truncated(lost())
        faulthandler.disable()
        expect_truncated(lost())
        print("alive")
        """,
        path,
    )
    assert (done.stdout, done.returncode) == ("alive\n", 0), done.stderr


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("fault", ["own", "raise"])
def test_faulthandler_still_reports_what_is_not_guarded(tmp_path: Path, when: str, fault: str) -> None:
    done = run(
        f"""
        if {when!r} == "before":
            faulthandler.enable()
        expect_truncated(lost())
        if {when!r} == "after":
            faulthandler.enable()
            expect_truncated(lost())
        unguarded = lost(fault_guard=False)
        if {fault!r} == "raise":
            signal.raise_signal(signal.SIGBUS)
        unguarded[0]
        """,
        str(tmp_path / "file"),
    )
    assert done.returncode == -7, done
    assert done.stderr.count("Fatal Python error: Bus error") == 1, done.stderr
    assert "File " in done.stderr


def test_a_handler_in_python_stays(tmp_path: Path) -> None:
    done = run(
        """
        import threading
        seen = []
        signal.signal(signal.SIGBUS, lambda *_: seen.append(1))
        expect_truncated(lost())
        signal.raise_signal(signal.SIGBUS)
        assert seen == [1]
        print("alive")
        """,
        str(tmp_path / "file"),
    )
    assert (done.stdout, done.returncode) == ("alive\n", 0), done.stderr


def test_this_process_has_no_faulthandler_of_its_own_left_behind() -> None:
    # pytest enables it before anything is mapped: all tests here run with it behind the guard.
    assert faulthandler.is_enabled()


def test_a_region_that_is_cut_only_raises(tmp_path: Path) -> None:
    path = tmp_path / "region"
    region = Region.create(path, 4 * PAGE)
    mutex, event = region.mutex("m"), region.event("e")
    view = memoryview(region)
    region.check()
    region.guard.acquire()
    os.truncate(path, 0)
    with pytest.raises(shmkit.MappingTruncated):
        region.check()
    assert view[0] == 0
    for call in (
        mutex.acquire,
        region.guard.acquire,
        region.guard.release,
        event.set,
        event.wait,
        region.status,
        lambda: region[0],
        lambda: region.write_at(0, b"x"),
        lambda: region.mutex("n"),
        lambda: region.resize(5),
    ):
        with pytest.raises(shmkit.MappingTruncated):
            call()
    view.release()
    mutex.close()
    event.close()
    region.close()


def test_a_full_file_system_is_an_error(tmp_path: Path) -> None:
    program = """
        from pathlib import Path
        from shmkit import NoSpaceError, Region
        sparse = Path(path) / "sparse"
        sparse.touch()
        os.truncate(sparse, 1 << 20)
        mapping = Mapping.open(sparse, protection="read_write")
        view = memoryview(mapping)
        for at in range(0, 1 << 20, PAGE):
            view[at] = 1
        try:
            mapping.check()
        except NoSpaceError:
            pass
        else:
            raise AssertionError
        view.release()
        mapping.close()
        sparse.unlink()
        try:
            Region.create(Path(path) / "region", 300_000, arena_len=4096)
        except NoSpaceError:
            print("alive")
    """
    start = f"""
        import subprocess, sys
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "shmkit-test", {str(tmp_path)!r}], check=True)
        sys.argv[1:] = [{str(tmp_path)!r}]
    """
    words = ["unshare", "-rm", sys.executable, "-c"]
    text = textwrap.dedent(start) + f"import mmap, os\nfrom shmkit import Mapping\nPAGE = {PAGE}\npath = sys.argv[1]\n"
    done = subprocess.run(
        [*words, text + textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == ("alive\n", 0), done.stderr
