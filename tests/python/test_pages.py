"""Pages: their state, advice, huge ones, locked ones, what work with them cost, and the picture."""

import mmap
import os
import resource
import sys
from pathlib import Path

import pytest

import shmkit
from shmkit import Advice, HugePages, Mapping, MemoryLock, PageFlag, Region, Usage

PAGE = mmap.PAGESIZE
COUNT = 64
THERE = PageFlag.RESIDENT | PageFlag.PRESENT


def private(**options: str) -> Mapping:
    return Mapping.anonymous(COUNT * PAGE, sharing="private", huge_pages=HugePages.NEVER, **options)


def test_pages_are_there_when_they_were_touched() -> None:
    with private() as mapping:
        assert mapping.page_size == PAGE and not mapping.persistent
        assert mapping.residency().counts() == (COUNT, 0, 0, 0, 0, 0, 0, 0)
        mapping[3 * PAGE] = 1
        pages = mapping.residency()
        assert [index for index, flags in enumerate(pages) if flags & THERE == THERE] == [3]
        assert len(pages) == COUNT and pages[3] & PageFlag.PRESENT and pages.known & THERE == THERE
        assert bytes(memoryview(pages.states)[:3]) == bytes(3)
        assert len(mapping.residency(PAGE - 1, 2)) == 2
        assert [cell.resident for cell in mapping.page_counts(16)] == [1] + [0] * 15
        assert [cell.pages for cell in mapping.page_counts(1000)] == [1] * COUNT
        assert [cell.resident for cell in mapping.page_counts(2, 3 * PAGE, 2 * PAGE)] == [1, 0]
        mapping.advise(Advice.POPULATE_WRITE)
        assert mapping.residency().counts().resident == COUNT
        used = mapping.memory_use()
        assert used.resident >= COUNT * PAGE and used.proportional <= used.resident
        mapping.advise("dont_need")
        assert mapping.residency().counts().resident == 0
        assert repr(mapping.residency()) == "<shmkit.Residency of 64 pages, 0 resident, 0 present>"
        for cells in (0, -1, 2**32):
            with pytest.raises(shmkit.InvalidArgumentError):
                mapping.page_counts(cells)
        for call in (mapping.residency, mapping.lock_memory, mapping.unlock_memory):
            with pytest.raises(shmkit.OutOfRangeError):
                call(1, COUNT * PAGE)


def test_a_file_is_dirty_until_it_is_flushed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(8 * PAGE))
    with Mapping.open(path, protection="read_write") as mapping:
        mapping.flush()
        mapping[2 * PAGE] = 1
        mapping.flush()
        assert mapping.residency().counts().dirty == 0
        mapping.advise("remove", 0, PAGE)
        with pytest.raises(shmkit.InvalidArgumentError):
            mapping.advise("remove", 0, 10)
    with Mapping.open(path) as mapping, pytest.raises(shmkit.ReadOnlyError):
        mapping.advise("remove")
    with Mapping.open(path, sharing="private") as mapping:
        assert not mapping.persistent


def test_faults_are_counted_around_work() -> None:
    with private() as mapping:
        with Usage() as first:
            for at in range(0, COUNT * PAGE, PAGE):
                mapping[at] = 1
        faults = []
        for _ in range(5):  # the interpreter has faults of its own now and then, as when it collects garbage
            with Usage() as again, Usage(process=True) as whole:
                for at in range(0, COUNT * PAGE, PAGE):
                    mapping[at] = 1
            faults.append(again.minor_faults)
    assert first.minor_faults >= 4 and min(faults) < first.minor_faults
    assert whole.user_ns >= 0 and "minor" in repr(first)


def test_locked_pages_stay() -> None:
    with private(lock_memory="now") as mapping:
        assert mapping.residency().counts().resident == COUNT
        assert mapping.memory_use().locked >= COUNT * PAGE
        mapping.unlock_memory()
        mapping.lock_memory(0, PAGE, on_fault=True)
        mapping.unlock_memory(0, PAGE)
    private(lock_memory=MemoryLock.ON_FAULT).close()
    with pytest.raises(shmkit.InvalidArgumentError):
        private(lock_memory="soon")


def test_the_limit_of_locked_memory_is_told() -> None:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (PAGE, PAGE))
            if os.getuid() == 0:
                os.setuid(65534)
            with private() as mapping:
                mapping.lock_memory()
        except shmkit.OutOfMemoryError as error:
            status = 0 if f"may lock {PAGE}" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_reserved_huge_pages_or_a_clear_error() -> None:
    """Holds where huge pages are reserved and where none are."""
    size = 2 << 20
    try:
        with Mapping.anonymous(size, huge_pages="reserved_2mib") as mapping:
            assert mapping.page_size == size
            mapping[size - 1] = 1
    except shmkit.OutOfMemoryError as error:
        assert "nr_hugepages" in str(error)
    except shmkit.UnsupportedError:
        pass
    with pytest.raises((shmkit.InvalidLengthError, shmkit.UnsupportedError)):
        Mapping.anonymous(PAGE, huge_pages="reserved")
    with pytest.raises(shmkit.InvalidArgumentError):
        Mapping.anonymous(PAGE, huge_pages="gigantic")


def test_a_region_has_pages_too(region: Region) -> None:
    region.advise("populate_write")
    assert region.residency()[0] & THERE == THERE and not region.persistent
    assert region.page_counts(1)[0].resident == 1
    region.lock_memory()
    assert region.memory_use().locked >= PAGE
    region.unlock_memory()
    with pytest.raises(shmkit.InvalidArgumentError):
        region.advise(Advice.REMOVE)
    with pytest.raises(shmkit.UnsupportedError):
        region.advise("wipe_on_fork")
    region.close()
    for call in (region.residency, region.memory_use, region.lock_memory, lambda: region.page_counts(1)):
        with pytest.raises(shmkit.ClosedError):
            call()


def test_soft_dirty_bits_are_kept_or_said_not_to_be() -> None:
    with private() as mapping:
        mapping[0 : COUNT * PAGE] = bytes(COUNT * PAGE)
        try:
            shmkit.clear_soft_dirty()
        except shmkit.UnsupportedError as error:
            assert "CONFIG_MEM_SOFT_DIRTY" in str(error)
            assert not mapping.residency().known & PageFlag.SOFT_DIRTY
        else:
            mapping[2 * PAGE] = 1
            assert [i for i, flags in enumerate(mapping.residency()) if flags & PageFlag.SOFT_DIRTY] == [2]


def test_pages_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
    matplotlib = pytest.importorskip("matplotlib", reason="tools/setup.sh installs it")
    matplotlib.use("Agg")
    with private() as mapping:
        mapping[5 * PAGE] = 1
        ax = mapping.residency().plot(width=16)
        shown = ax.images[0].get_array()
        assert shown.shape == (4, 16) and [int(value) for value in shown[0][4:7]] == [0, 3, 0]
        assert "64 pages" in ax.get_title()
        assert mapping.residency().plot(ax) is ax
        with pytest.raises(ValueError, match="width"):
            mapping.residency().plot(width=0)
        assert not mapping.residency(0, 0).plot(ax).images[-1].get_array().count()
        ax.figure.savefig(tmp_path / "pages.png")
        assert (tmp_path / "pages.png").stat().st_size > 1000


def test_a_picture_without_matplotlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "shmkit._plot", raising=False)
    monkeypatch.delattr(shmkit, "_plot", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with private() as mapping, pytest.raises(ImportError, match=r"pip install 'shmkit\[plot\]'"):
        mapping.residency().plot()
