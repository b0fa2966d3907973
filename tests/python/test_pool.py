"""Pools: blocks that are buffers, are passed on without a copy, and come back from the dead. And the directory."""

import pickle
import threading
from collections.abc import Callable

import numpy as np
import pytest
from helpers.objects import object_path

import shmkit
from python.processes import Process
from shmkit import Region


def test_blocks_are_buffers(region: Region) -> None:
    pool = region.pool("p", 100, 3)
    assert (pool.block_size, pool.count, len(pool), pool.alignment, pool.name) == (100, 3, 3, 64, "p")
    block = pool.allocate()
    assert len(block) == 100
    block[0] = 7
    block[1:4] = b"abc"
    block.write_at(4, b"xyz")
    assert block[0] == 7 and block[1:7] == b"abcxyz" and block.read_at(1, 3) == b"abc"
    assert memoryview(block).nbytes == 100
    numbers = block.ndarray(np.uint16, shape=(5, 10))
    numbers[4, 9] = 515
    assert block[98:100] == b"\x03\x02"
    with pytest.raises(shmkit.OutOfRangeError):
        block.read_at(99, 2)
    with pytest.raises(BufferError):
        block.free()
    with pytest.raises(BufferError):
        block.publish()
    del numbers
    view = block.view(4, 3, writable=False)
    assert bytes(view) == b"xyz" and view.readonly
    view.release()
    assert "100 bytes, handle" in repr(block) and "2 of 3 blocks free" in repr(pool)
    block.free()
    block.free()
    assert block.released and "released" in repr(block)
    with pytest.raises(shmkit.InvalidBlockError):
        block.read_at(0, 1)
    with pytest.raises(ValueError, match="let it go"):
        memoryview(block)
    assert pool.status()["free"] == 3


def test_a_block_is_freed_when_nobody_has_it_any_more(region: Region) -> None:
    pool = region.pool("p", 64, 1)
    array = pool.allocate().ndarray(np.uint8)
    assert pool.try_allocate() is None
    with pytest.raises(shmkit.BusyError):
        pool.close()
    del array
    with pool.allocate() as block:
        assert pool.status()["owners"] == [{"slot": 0, "pid": pool.blocks()[0]["pid"], "alive": True, "count": 1}]
        assert pool.blocks()[0]["handle"] == block.handle
        assert pool.blocks()[0]["mine"]
    assert block.released
    with pytest.raises(RuntimeError, match="body"), pool.allocate():
        raise RuntimeError("body")
    assert pool.blocks() == [{"index": 0, "state": "free", "handle": None, "slot": None, "pid": 0, "mine": False}]
    pool.close()
    with pytest.raises(shmkit.ClosedError):
        pool.allocate()
    with pytest.raises(shmkit.ClosedError):
        pool.status()


def test_what_makes_no_sense_is_refused(region: Region) -> None:
    with pytest.raises(shmkit.NotFoundError):
        region.pool("p")
    with pytest.raises(shmkit.InvalidArgumentError):
        region.pool("p", 64)
    with pytest.raises(shmkit.InvalidArgumentError):
        region.pool("p", 64, 2, alignment=96)
    for wrong in (0, -1, 3, 8192, 2**70):
        with pytest.raises(shmkit.InvalidArgumentError):
            region.pool("p", 64, 2, alignment=wrong)
    for size, count in [(0, 1), (1, 0), (-1, 1), (1, -1), (2**70, 1), (1, 2**40), (2**60, 2**31)]:
        with pytest.raises(shmkit.InvalidLengthError):
            region.pool("p", size, count)
    with pytest.raises(shmkit.NoSpaceError):
        region.pool("p", 2**20, 16)
    pool = region.pool("p", 64, 2)
    with pytest.raises(shmkit.ParameterMismatchError):
        region.pool("p", 64, 3)
    with pytest.raises(shmkit.WrongKindError):
        region.mutex("p")
    with pytest.raises(shmkit.InvalidArgumentError):
        region.pool("p", alignment=128)
    for nonsense in (0, -1, 2**70, 2**64 - 1, pool.allocate().handle):
        with pytest.raises(shmkit.InvalidBlockError):
            pool.adopt(nonsense)
    with pytest.raises(TypeError):
        pool.adopt(1.5)  # type: ignore[arg-type]


def test_a_block_that_others_overwrote_is_not_freed_in_silence(fresh_name: str) -> None:
    with Region.create(fresh_name, 4096) as region, region.pool("p", 64, 1) as pool:
        for _ in range(1000):
            pool.allocate().free()
        block = pool.allocate()
        path = object_path(fresh_name)
        memory = np.memmap(path, np.uint64, "r+")
        (place,) = np.flatnonzero((memory >> np.uint64(32) == 1001) & (memory & np.uint64(7) == 1))
        memory[place] = 5 << 32
        with pytest.raises(shmkit.StaleHandleError):
            block.free()
        block.free()
        assert block.released and pool.allocate(timeout=10).handle == 6 << 32 | 1
    Region.unlink(fresh_name)


def test_arrays_of_what_makes_no_sense_are_refused(region: Region) -> None:
    with region.pool("p", 100, 1) as pool, pool.allocate() as block:
        for dtype, shape in [("S0", None), ("u1", 101), ("u1", (2**62, 2**62)), ("f8", (13,)), (object, 1)]:
            with pytest.raises((ValueError, OverflowError)):
                block.ndarray(dtype, shape)
        assert block.ndarray("u1", np.int64(10)).shape == (10,)  # type: ignore[arg-type]
    assert pool.closed


ADOPTER = """
    import sys
    from shmkit import Region, StaleHandleError
    pool = Region.open(sys.argv[1]).pool("p")
    handle = int(sys.argv[2])
    block = pool.adopt(handle)
    try:
        pool.adopt(handle)
    except StaleHandleError:
        print(block[:9].decode())
    block[:9] = b"and back!"
    print(block.publish())
"""


def test_a_published_block_goes_to_who_adopts_it(region: Region, start: Callable[..., Process]) -> None:
    pool = region.pool("p", 64, 2)
    block = pool.allocate()
    block[:9] = b"passed on"
    handle = block.publish()
    assert block.released
    adopter = start(ADOPTER, region.name, handle)
    assert adopter.hear() == "passed on"
    back = pool.adopt(int(adopter.hear()))
    assert back[:9] == b"and back!"
    with pytest.raises(shmkit.StaleHandleError):
        pool.adopt(handle)


TAKER = """
    import sys
    from shmkit import Region
    pool = pickle.loads(bytes.fromhex(sys.argv[1]))
    blocks = []
    while (block := pool.try_allocate()) is not None:
        blocks.append(block)
    print(len(blocks))
    sys.stdin.readline()
"""


def test_blocks_come_back_from_the_dead(region: Region, start: Callable[..., Process]) -> None:
    pool = region.pool("p", 64, 4)
    victim = start("import pickle" + TAKER.replace("\n    ", "\n"), pickle.dumps(pool).hex())
    assert victim.hear() == "4"
    with pytest.raises(TimeoutError):
        pool.allocate(timeout=0.01)
    assert pool.status()["owned"] == 4
    waiter = threading.Thread(target=lambda: pool.allocate(timeout=20).free())
    waiter.start()
    victim.kill()
    waiter.join()
    assert pool.status()["recovered"] == 4
    assert pool.recover() == 0
    assert pool.status()["free"] == 4


def test_who_waits_is_woken_and_a_close_ends_the_wait(region: Region) -> None:
    pool = region.pool("p", 64, 1)
    block = pool.allocate()
    other = region.pool("p")
    outcome: list[object] = []

    def wait() -> None:
        try:
            outcome.append(other.allocate())
        except shmkit.ClosedError as error:
            outcome.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    block.free()
    waiter.join()
    assert isinstance(outcome[0], shmkit.PoolBlock)
    waiter = threading.Thread(target=wait)
    waiter.start()
    other.close()
    waiter.join()
    assert isinstance(outcome[1], shmkit.ClosedError)


def test_objects_are_found_created_and_listed(region: Region) -> None:
    find, create = region.with_mode("find"), region.with_mode("create")
    with pytest.raises(shmkit.InvalidArgumentError):
        region.with_mode("look")  # type: ignore[arg-type]
    with pytest.raises(shmkit.NotFoundError):
        find.mutex("m")
    mutex = create.mutex("m")
    with pytest.raises(FileExistsError):
        create.mutex("m")
    assert find.mutex("m").name == "m"
    create.pool("a-pool", 64, 4)
    objects = region.objects()
    assert [(info["name"], info["kind"]) for info in objects] == [("a-pool", "pool"), ("m", "mutex")]
    assert objects[0]["parameters"][0] == 64 and objects[0]["nbytes"] >= 256 and objects[1]["users"] == 1
    assert Region.open(region.name, read_only=True).find_object("m")["kind"] == "mutex"
    with pytest.raises(shmkit.NotFoundError):
        region.find_object("none")
    with pytest.raises(shmkit.BusyError):
        region.remove_object("m")
    mutex.close()
    region.remove_object("m")
    with pytest.raises(shmkit.NotFoundError):
        find.mutex("m")
