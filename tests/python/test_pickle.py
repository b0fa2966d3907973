"""Regions as arguments of other processes, however these are started."""

import copy
import multiprocessing as mp
import pickle
from pathlib import Path

import pytest

import shmkit
from shmkit import Mapping, Region, Segment

METHODS = ["fork", "spawn", "forkserver"]


def fill(region: Region, at: int) -> None:
    with region.lock(timeout=20):
        region[at] += 1


@pytest.mark.parametrize("method", METHODS)
def test_a_region_is_an_argument_of_a_process(region: Region, method: str) -> None:
    context = mp.get_context(method)
    processes = [context.Process(target=fill, args=(region, 5)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert region[5] == 2


def look(region: Region) -> tuple[bool, bool, int]:
    return region.read_only, region.closed, region[3]


@pytest.mark.parametrize("method", METHODS)
def test_a_pool_sends_it_through_a_pipe(region: Region, method: str) -> None:
    region[3] = 8
    with mp.get_context(method).Pool(1) as pool:
        assert pool.apply(look, (region,)) == (False, False, 8)
        assert pool.apply(look, (Region.open(region.name, read_only=True),)) == (True, False, 8)
        pool.close()
        pool.join()


def test_a_pickle_is_the_same_region_or_nothing(region: Region) -> None:
    pickled = pickle.dumps(region)
    with pickle.loads(pickled) as same, copy.copy(region) as another:
        assert same.id == another.id == region.id
        assert same is not region
    Region.unlink(region.name)
    with pytest.raises(shmkit.NotFoundError):
        pickle.loads(pickled)
    with Region.create(region.name, 10), pytest.raises(shmkit.ReplacedError) as raised:
        pickle.loads(pickled)
    assert raised.value.filename == region.name


def test_a_path_is_found_from_another_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Region.create(Path("region"), 10) as region:
        monkeypatch.chdir("/")
        with pickle.loads(pickle.dumps(region)) as same:
            assert same.id == region.id


def test_a_closed_handle_and_what_has_no_name_refuse(region: Region) -> None:
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(region.guard)
    region.close()
    with pytest.raises(shmkit.ClosedError):
        pickle.dumps(region)


def test_a_mapping_says_what_to_pickle_instead(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    for mapping, instead in (
        (Mapping.anonymous(10), r"of memory.*shmkit\.Segment\.memfd"),
        (Mapping.anonymous(10, sharing="private"), r"of memory.*shmkit\.Segment\.memfd"),
        (Mapping.open(tmp_path / "file"), r"file, 7 bytes.*open the file there"),
    ):
        for refused in (pickle.dumps, copy.copy):
            with pytest.raises(TypeError, match=f"cannot pickle <shmkit.Mapping .*{instead}"):
                refused(mapping)


def set_first(segment: Segment) -> None:
    with segment.map(protection="read_write") as mapping:
        mapping[0] = 7


@pytest.mark.parametrize("method", METHODS)
def test_what_it_says_works(method: str) -> None:
    with Segment.memfd("pickled", 10) as segment, segment.map(protection="read_write") as mapping:
        process = mp.get_context(method).Process(target=set_first, args=(segment,))
        process.start()
        process.join()
        assert (process.exitcode, mapping[0]) == (0, 7)
