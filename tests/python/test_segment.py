"""Segments: what is mapped, sealed, and passed to other processes."""

import mmap
import multiprocessing as mp
import os
import pickle
import socket
from pathlib import Path

import numpy as np
import posix_ipc
import pytest

import shmkit
from shmkit import Region, Seal, Segment

METHODS = ["fork", "spawn", "forkserver"]


def memfd(size: int = 4096) -> Segment:
    return Segment.memfd("test", size)


def test_a_segment_lives_until_it_is_unlinked(fresh_name: str) -> None:
    with Segment.create(fresh_name, 5000) as segment, pytest.raises(shmkit.AlreadyExistsError):
        assert (segment.name, segment.nbytes, segment.read_only) == (fresh_name, 5000, False)
        with segment.map(protection="read_write") as mapping:
            mapping[4998:5000] = b"Hi"
        Segment.create(fresh_name, 5000)
    with Segment.open(fresh_name, read_only=True) as reader:
        assert reader.map()[4998:5000] == b"Hi"
        with pytest.raises(shmkit.ReadOnlyError):
            reader.map(protection="read_write")
    Segment.unlink(fresh_name)
    with pytest.raises(FileNotFoundError):
        Segment.open(fresh_name)


def test_a_closed_segment_refuses_and_its_mappings_stay() -> None:
    segment = memfd()
    mapping = segment.map(protection="read_write")
    segment.close()
    segment.close()
    assert segment.closed and "closed" in repr(segment)
    mapping[0] = 7
    for refused in (
        segment.fileno,
        segment.map,
        lambda: segment.seals,
        lambda: segment.nbytes,
        lambda: pickle.dumps(segment),
        lambda: segment.seal("grow"),
    ):
        with pytest.raises(shmkit.ClosedError):
            refused()


def test_other_libraries_see_the_same_bytes() -> None:
    segment = memfd()
    mine = np.frombuffer(segment.map(protection="read_write"), dtype=np.uint32)
    with mmap.mmap(segment.fileno(), 4096) as theirs:
        mine[5] = 0x01020304
        assert theirs[20:24] == bytes([4, 3, 2, 1])
    copy = np.frombuffer(segment.map(protection="read_write", sharing="private"), dtype=np.uint32)
    copy[5] = 9
    assert mine[5] == 0x01020304
    reader = np.frombuffer(segment.map(), dtype=np.uint32)
    with pytest.raises(ValueError, match="read-only"):
        reader[5] = 1


def test_a_named_segment_is_that_of_posix_ipc(fresh_name: str) -> None:
    with Segment.create(fresh_name, 5000) as segment, segment.map(protection="read_write") as mine:
        theirs = posix_ipc.SharedMemory(f"/shmkit.{fresh_name}")
        assert theirs.size == 5000
        with mmap.mmap(theirs.fd, 5000) as bytes_:
            theirs.close_fd()
            bytes_[4998:5000] = b"Hi"
            assert mine[4998:5000] == b"Hi"
    posix_ipc.unlink_shared_memory(f"/shmkit.{fresh_name}")
    theirs = posix_ipc.SharedMemory(f"/shmkit.{fresh_name}", posix_ipc.O_CREX, size=100)
    theirs.close_fd()
    with Segment.open(fresh_name) as segment:
        assert segment.nbytes == 100
    Segment.unlink(fresh_name)


def test_seals_hold() -> None:
    segment = memfd()
    with segment.map(protection="read_write"):
        segment.seal(Seal.SHRINK, "grow")
        for size in (100, 9000):
            with pytest.raises(PermissionError):
                os.ftruncate(segment.fileno(), size)
        with pytest.raises(shmkit.BusyError):
            segment.seal("write")
    segment.seal("write", "seal")
    assert segment.seals >= {Seal.SHRINK, Seal.GROW, Seal.WRITE, Seal.SEAL}
    with pytest.raises(shmkit.PermissionDeniedError):
        segment.seal("future_write")
    with pytest.raises(shmkit.ReadOnlyError):
        segment.map(protection="read_write")
    with pytest.raises(shmkit.InvalidArgumentError, match="future_write"):
        segment.seal("everything")  # type: ignore[arg-type]


def test_a_file_cannot_be_sealed(tmp_path: Path) -> None:
    with Segment.create(tmp_path / "file", 100) as segment, pytest.raises(shmkit.Error):
        segment.seal("shrink")


def test_descriptors_are_those_of_the_socket_module() -> None:
    here, there = socket.socketpair()
    with here, there:
        with memfd() as segment:
            segment.map(protection="read_write")[0] = 1
            socket.send_fds(here, [b"x"], [segment.fileno()])
        received = Segment.receive(there, timeout=20)
        assert received.map()[0] == 1
        received.send(there, timeout=20)
        data, fds, *_ = socket.recv_fds(here, 1, 1)
        assert len(data) == 1
        with Segment.from_fd(fds[0]) as same:
            os.close(fds[0])
            assert os.path.sameopenfile(same.fileno(), received.fileno())
        with pytest.raises(shmkit.TimeoutError):
            Segment.receive(here, timeout=0.01)
        there.send(b"x")
        with pytest.raises(shmkit.WrongKindError):
            Segment.receive(here)
        socket.send_fds(there, [b"x"], [here.fileno()])
        with pytest.raises(shmkit.WrongKindError):
            Segment.receive(here)
        there.close()
        with pytest.raises(shmkit.IoError):
            Segment.receive(here)
    with pytest.raises(shmkit.Error):
        Segment.from_fd(1_000_000)


def add_one(segment: Segment, region: Region) -> None:
    with segment.map(protection="read_write") as mapping:
        mapping[7] += 1
    with region.lock(timeout=20):
        region[7] += 1


@pytest.mark.parametrize("method", METHODS)
def test_what_has_no_name_is_an_argument_of_a_process(method: str) -> None:
    """By fork as it is; by spawn and forkserver as a descriptor."""
    segment, region = memfd(), Region.create_unnamed(100)
    for _ in range(2):
        process = mp.get_context(method).Process(target=add_one, args=(segment, region))
        process.start()
        process.join()
        assert process.exitcode == 0
    assert (segment.map()[7], region[7]) == (2, 2)
    region.close()


def test_a_named_segment_is_pickled_by_name(fresh_name: str, tmp_path: Path) -> None:
    for name in (fresh_name, tmp_path / "file"):
        with Segment.create(name, 10) as segment, pickle.loads(pickle.dumps(segment)) as same:
            assert os.path.sameopenfile(segment.fileno(), same.fileno())
    with pickle.loads(pickle.dumps(Segment.open(fresh_name, read_only=True))) as reader:
        assert reader.read_only
    Segment.unlink(fresh_name)


def test_a_region_without_a_name() -> None:
    with Region.create_unnamed(100) as region, Region.from_fd(region) as same:
        assert (region.name, same.id) == ("", region.id)
        region[3] = 9
        assert same[3] == 9
        with region.lock():
            assert same.guard.locked()
        with pytest.raises(PermissionError):
            os.ftruncate(region.fileno(), 10)
        with Region.create_unnamed(100, capacity=5000) as growing:
            growing.resize(5000)
            growing[4999] = 1
            growing.resize(50)
            assert len(growing) == 50
        assert region.fileno() == region.fileno()
        with pytest.raises(shmkit.UnsupportedError, match="pickle the region"):
            pickle.dumps(region.mutex("m"))
    with pytest.raises(shmkit.ClosedError):
        region.fileno()
    with memfd() as segment, pytest.raises(shmkit.BadMagicError):
        Region.from_fd(segment)


def test_descriptors_are_given_back() -> None:
    def cycle() -> None:
        here, there = socket.socketpair()
        with here, there, memfd() as segment, Region.create_unnamed(10) as region:
            segment.send(here)
            with Segment.receive(there):
                pass
            with Region.from_fd(region):
                pass

    cycle()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        cycle()
    assert len(os.listdir("/proc/self/fd")) == before
