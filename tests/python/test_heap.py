"""Heaps and blocks: buffers without a copy, who owns what, what is refused, and what happens to blocks of the dead."""

import gc
import pickle
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import shmkit
from python.processes import Process
from shmkit import Heap, Region

STRATEGIES = ("best_fit", "first_fit", "buddy")


@pytest.fixture(params=STRATEGIES)
def heap(request: pytest.FixtureRequest, fresh_name: str) -> Iterator[Heap]:
    with Heap.create(fresh_name, 64 << 10, strategy=request.param) as heap:
        yield heap
        heap.check()
    Region.unlink(fresh_name)


def test_a_block_is_a_buffer_without_a_copy(heap: Heap) -> None:
    with heap.allocate(1000, zeroed=True) as block:
        assert len(block) == 1000 and bytes(block) == bytes(1000)
        block[0] = 7
        block[1:4] = b"abc"
        block.write_at(4, b"def")
        assert block[0] == 7 and block[1:7] == b"abcdef" and block.read_at(0, 2) == b"\x07a"
        numbers = block.ndarray("f8", (5, 20), 200)
        numbers[:] = 0.5
        assert block[200:208] == np.float64(0.5).tobytes()
        assert np.frombuffer(block, "u1", 1)[0] == 7
        for index in (1000, -1001):
            with pytest.raises(shmkit.OutOfRangeError):
                block[index]
        with pytest.raises(shmkit.OutOfRangeError):
            block.view(990, 11)
        with block.view(1, 3) as part:
            assert bytes(part) == b"abc"
            part[0] = ord("x")
        assert block[1] == ord("x")
        with block.view(writable=False) as part, pytest.raises(TypeError):
            part[0] = 1
        del numbers
    assert block.released
    with pytest.raises(shmkit.InvalidBlockError):
        block[0]


def test_a_block_in_use_is_not_freed(heap: Heap) -> None:
    block = heap.allocate(100)
    array = block.ndarray("u1")
    for refused in (block.free, block.publish, block.into_offset, lambda: block.resize(10), heap.close):
        with pytest.raises(BufferError):
            refused()
    with pytest.raises(BufferError), block:
        pass
    with pytest.raises(ZeroDivisionError), block:
        1 / 0
    array[:] = 3
    assert bytes(block) == b"\x03" * 100
    del array
    block.free()
    block.free()
    assert heap.status().used_blocks == 0


def test_an_array_keeps_its_block(heap: Heap) -> None:
    array = heap.allocate(800).ndarray("f8")
    array[:] = 1.5
    gc.collect()
    assert array.sum() == 150 and heap.status().used_blocks == 1
    del array
    gc.collect()
    assert heap.status().used_blocks == 0


def test_blocks_change_their_length(heap: Heap) -> None:
    block, other = heap.allocate(100), heap.allocate(100)
    block[:5] = b"hello"
    before = block.offset
    block.resize(5000)
    assert len(block) == 5000 and block[:5] == b"hello" and block.offset != before
    block.resize_in_place(50)
    assert len(block) == 50 and block[:5] == b"hello"
    with pytest.raises(shmkit.NoSpaceError) as raised:
        block.resize_in_place(1 << 20)
    assert raised.value.errno is not None and len(block) == 50
    for length in (0, -1):
        with pytest.raises(shmkit.InvalidLengthError):
            block.resize(length)
    other.free()


def test_what_is_refused(heap: Heap) -> None:
    with pytest.raises(shmkit.NoSpaceError):
        heap.allocate(1 << 30)
    for length in (0, -1, 2**70):
        with pytest.raises(ValueError):
            heap.allocate(length)
    for align in (0, 3, 8192, -16, 2**70):
        with pytest.raises(shmkit.InvalidArgumentError):
            heap.allocate(10, align=align)
    block = heap.allocate(1000)
    offset = block.offset
    for wrong in (0, offset + 1, offset + 16, 2**64 - 1, -1):
        for call in (heap.free, heap.adopt, heap.block, heap.view, heap.usable_size):
            with pytest.raises(shmkit.InvalidBlockError) as raised:
                call(wrong)
            assert isinstance(raised.value, ValueError)
    with pytest.raises(shmkit.NotOwnerError):
        heap.adopt(offset)
    heap.free(offset)
    with pytest.raises(shmkit.InvalidBlockError):
        heap.free(offset)
    with pytest.raises(shmkit.InvalidBlockError):
        block.free()


def test_blocks_are_given_away(heap: Heap, start: Callable[..., Process], fresh_name: str) -> None:
    block = heap.allocate(100)
    block[:5] = b"hello"
    offset = block.publish()
    assert block.released and heap.status().published_blocks == 1
    child = start(
        """
        import sys
        from shmkit import Heap
        heap = Heap.open(sys.argv[1])
        block = heap.adopt(int(sys.argv[2]))
        assert block[:5] == b"hello"
        block[:5] = b"world"
        print("adopted")
        sys.stdin.readline()
        """,
        fresh_name,
        str(offset),
    )
    assert child.hear() == "adopted"
    with pytest.raises(shmkit.NotOwnerError):
        heap.adopt(offset)
    with pytest.raises(shmkit.NotOwnerError):
        heap.free(offset)
    with heap.view(offset) as seen:
        assert bytes(seen[:5]) == b"world" and seen.readonly
        with pytest.raises(BufferError):
            heap.close()
    (owner,) = heap.owners()
    assert owner.alive and owner.pid == child.pid and owner.blocks == 1
    assert heap.reclaim() == 0
    child.kill()
    assert [(block.state, block.alive) for block in heap.blocks() if block.state != "free"] == [("owned", False)]
    with heap.adopt(offset) as block:
        assert block[:5] == b"world"


def test_blocks_of_the_dead_are_reclaimed(fresh_name: str, start: Callable[..., Process]) -> None:
    script = """
        import sys
        from shmkit import Heap
        heap = Heap.open(sys.argv[1])
        blocks = [heap.allocate(1000) for _ in range(50)]
        print("allocated", heap.allocate(1000).publish())
        sys.stdin.readline()
    """
    with Heap.create(fresh_name, 64 << 10, reclaim=True) as heap:
        for _ in range(3):
            child = start(script, fresh_name)
            published = int(child.hear().split()[1])
            assert heap.status().used_blocks == 51
            child.kill()
            heap.adopt(published).free()
        assert heap.status().reclaimed == 100, "there was no room otherwise"
        assert heap.reclaim() == 50 and heap.status().used_blocks == 0
        heap.check()
    Region.unlink(fresh_name)


def test_status(heap: Heap) -> None:
    empty = heap.status()
    assert (empty.used, empty.free_blocks, empty.fragmentation) == (0, 1, 0)
    blocks = [heap.allocate(1000) for _ in range(20)]
    del blocks[::2]
    some = heap.status()
    assert some.used_blocks == 10 and some.used >= 10_000 and 0 < some.fragmentation < 1
    assert some.largest_free <= some.free and some.len == empty.len
    assert sum(block.len for block in heap.blocks() if block.state == "owned") == some.used
    assert heap.usable_size(blocks[0].offset) >= 1000


def test_a_heap_among_other_objects(fresh_name: str) -> None:
    arena_len = 4096 + Heap.arena_len(10_000, strategy="buddy", min_block=32)
    with Region.create(fresh_name, 64, arena_len=arena_len) as region:
        with pytest.raises(FileNotFoundError):
            region.heap("it")
        heap = region.heap("it", 10_000, strategy="buddy", min_block=32)
        assert heap.strategy == "buddy" and heap.name == "it" and "buddy" in repr(heap)
        offset = heap.allocate(20).into_offset()
        with region.heap("it").block(offset) as block:
            assert len(block) == 32
        with pytest.raises(shmkit.ParameterMismatchError):
            region.heap("it", 10_000)
        with pytest.raises(shmkit.NoSpaceError):
            region.heap("other", 1 << 20)
        with pytest.raises(shmkit.InvalidArgumentError):
            region.heap("other", 1000, strategy="worst_fit")  # type: ignore[arg-type]
        for wrong in (128, -1, 2**40):
            with pytest.raises(shmkit.InvalidArgumentError):
                region.heap("other", 1000, min_block=wrong)
        for only in ({"strategy": "buddy"}, {"min_block": 64}, {"reclaim": True}):
            with pytest.raises(shmkit.InvalidArgumentError):
                region.heap("it", **only)  # type: ignore[arg-type]
        again: Heap = pickle.loads(pickle.dumps(heap))
        again.allocate(10).free()
        again.close()
        assert [status["kind"] for status in region.status()["objects"]] == ["guard", "heap"]
        heap.close()
        with pytest.raises(shmkit.ClosedError):
            heap.allocate(1)
    Region.unlink(fresh_name)
    with pytest.raises(shmkit.InvalidLengthError):
        Heap.arena_len(0)


def test_a_heap_of_its_own_is_opened_or_created(fresh_name: str) -> None:
    with pytest.raises(FileNotFoundError):
        Heap.open(fresh_name)
    first = Heap.open_or_create(fresh_name, 5000, strategy="first_fit")
    second = Heap.open_or_create(fresh_name, 5000, strategy="first_fit")
    offset = first.allocate(10).publish()
    second.adopt(offset).free()
    with pytest.raises(FileExistsError):
        Heap.create(fresh_name, 5000)
    assert Heap.open(fresh_name).strategy == "first_fit"
    Region.unlink(fresh_name)
