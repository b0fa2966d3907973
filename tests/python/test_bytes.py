"""Regions and mappings as sequences of bytes and as buffers: the same rules for both."""

import array
import ctypes
import hashlib
import io
import mmap
import random
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import shmkit
from shmkit import Mapping, Region

SIZE = 4096


@pytest.fixture(params=["region", "mapping", "file"])
def pages(request: pytest.FixtureRequest, fresh_name: str, tmp_path: Path) -> Iterator[Region | Mapping]:
    """`SIZE` writable bytes of each kind."""
    made: Region | Mapping
    if request.param == "region":
        made = Region.create(fresh_name, SIZE)
        Region.unlink(fresh_name)
    elif request.param == "mapping":
        made = Mapping.anonymous(SIZE)
    else:
        # Not aligned to a page, so that the address is not either.
        made = Mapping.open(
            tmp_path / "file", len=SIZE, offset=100, create=True, protection=shmkit.Protection.READ_WRITE
        )
    yield made
    made.close()


def read_only(pages: Region | Mapping, tmp_path: Path) -> Mapping:
    path = tmp_path / "read-only"
    path.write_bytes(bytes(pages[:]))
    return Mapping.open(path)


def test_items_and_slices_are_those_of_a_bytearray(pages: Region | Mapping) -> None:
    model = bytearray(random.Random(1).randbytes(SIZE))
    pages[:] = model
    chance = random.Random(2)

    def number() -> int | None:
        return chance.choice([None, 0, 1, -1, SIZE, -SIZE, SIZE + 5, chance.randrange(-SIZE, SIZE)])

    for _ in range(1000):
        part = slice(number(), number(), chance.choice([None, 1, 2, 7, -1, -3]))
        assert pages[part] == model[part]
        new = chance.randbytes(len(model[part]))
        model[part] = new
        pages[part] = new
        index = chance.randrange(-SIZE, SIZE)
        assert pages[index] == model[index]
        model[index] = pages[index] = chance.randrange(256)
    assert pages[:] == model
    assert len(pages) == pages.nbytes == SIZE


def test_an_index_is_anything_that_is_an_integer(pages: Region | Mapping) -> None:
    pages[np.int64(3)] = np.uint8(9)
    assert pages[np.uint16(3)] == pages[True + 2] == 9


@pytest.mark.parametrize("index", [SIZE, -SIZE - 1, 1 << 63, -(1 << 63) - 1, 1 << 200])
def test_an_index_outside(pages: Region | Mapping, index: int) -> None:
    for call in (lambda: pages[index], lambda: pages.__setitem__(index, 0)):
        with pytest.raises(IndexError) as raised:
            call()
        assert type(raised.value) is shmkit.OutOfRangeError


@pytest.mark.parametrize("index", ["0", 1.0, None, (0, 1)])
def test_an_index_of_another_type(pages: Region | Mapping, index: object) -> None:
    with pytest.raises(TypeError, match="an index is an integer or a slice"):
        pages[index]


@pytest.mark.parametrize("value", [256, -1, 1 << 70])
def test_what_is_no_byte(pages: Region | Mapping, value: int) -> None:
    with pytest.raises(ValueError) as raised:
        pages[0] = value
    assert type(raised.value) is shmkit.InvalidArgumentError


def test_a_slice_takes_exactly_its_length(pages: Region | Mapping) -> None:
    for part in (slice(0, 3), slice(0, 6, 2)):
        with pytest.raises(shmkit.InvalidLengthError):
            pages[part] = b"four"
    assert pages[0:6] == bytes(6)
    with pytest.raises(TypeError):
        pages[0:1] = 7


def test_copies_are_checked(pages: Region | Mapping) -> None:
    pages.write_at(SIZE - 3, b"end")
    assert pages.read_at(SIZE - 3, 3) == b"end"
    assert pages.read_at(SIZE, 0) == b""
    for offset, len_ in [(SIZE, 1), (SIZE - 3, 4), (0, SIZE + 1), (2**64 - 1, 2), (-1, 1), (0, -1), (2**64, 1)]:
        with pytest.raises(shmkit.OutOfRangeError) as raised:
            pages.read_at(offset, len_)
        assert raised.value.operation.startswith("read ")
    for offset in (SIZE - 2, -1, 2**64 - 1, 2**65):
        with pytest.raises(shmkit.OutOfRangeError) as raised:
            pages.write_at(offset, b"end")
        assert raised.value.operation.startswith("write ")
    with pytest.raises(TypeError):
        pages.write_at(0, "text")


def test_any_contiguous_bytes_can_be_written(pages: Region | Mapping) -> None:
    for data in (b"abcd", bytearray(b"abcd"), memoryview(b"abcd"), array.array("I", [1]), np.array([1.5], "f4")):
        pages.write_at(10, data)
        assert pages[10:14] == bytes(data)
    with pytest.raises(BufferError):
        pages.write_at(0, memoryview(b"abcdef")[::2])


def test_a_write_may_come_from_the_same_bytes(pages: Region | Mapping) -> None:
    pages[0:6] = b"abcdef"
    with memoryview(pages) as view:
        pages[1:7] = view[0:6]
        assert pages[0:7] == b"aabcdef"
        pages[6::-1] = view[0:7]
    assert pages[0:7] == b"fedcbaa"


def test_it_iterates_as_integers(pages: Region | Mapping) -> None:
    pages[0:3] = b"abc"
    assert list(pages)[:4] == [97, 98, 99, 0]
    assert 98 in pages


def test_a_memoryview_is_the_bytes_themselves(pages: Region | Mapping) -> None:
    with memoryview(pages) as view:
        assert (view.nbytes, view.format, view.readonly, view.contiguous) == (SIZE, "B", False, True)
        view[5] = 42
        assert pages[5] == 42
        pages[6] = 43
        assert view[6] == 43
        assert view.cast("I")[1] == struct.unpack_from("=I", pages, 4)[0]


def test_close_is_refused_until_every_export_is_gone(pages: Region | Mapping) -> None:
    first = memoryview(pages)
    second = first[10:20]
    for view in (first, second):
        with pytest.raises(BufferError) as raised:
            pages.close()
        assert type(raised.value) is shmkit.BusyError
        assert not pages.closed
        view.release()
    pages.close()
    assert pages.closed
    pages.close()


def test_with_closes_and_never_hides_the_exception_of_its_body(pages: Region | Mapping) -> None:
    with pytest.raises(shmkit.BusyError), pages:
        view = memoryview(pages)
    with pytest.raises(ZeroDivisionError), pages:
        1 / 0  # the view still lives, so close fails as well
    assert not pages.closed
    view.release()
    with pytest.raises(ZeroDivisionError), pages:
        1 / 0
    assert pages.closed


def test_a_part_as_a_view(pages: Region | Mapping) -> None:
    with pages.view(100, 8) as view:
        assert view.nbytes == 8 and not view.readonly
        view[:] = b"12345678"
    assert pages[99:109] == b"\x0012345678\0"
    with pages.view(SIZE - 4) as rest:
        assert rest.nbytes == 4
    with pages.view(offset=SIZE) as nothing:
        assert nothing.nbytes == 0
    for offset, len_ in [(0, SIZE + 1), (SIZE + 1, None), (SIZE, 1), (2**64 - 1, 2), (-1, 1), (1, 2**64)]:
        with pytest.raises(shmkit.OutOfRangeError):
            pages.view(offset, len_)
    pages.close()


def test_a_readonly_view_cannot_write_and_pins_all_the_same(pages: Region | Mapping) -> None:
    for view in (pages.readonly(), pages.view(0, 4, writable=False)):
        assert view.readonly
        with pytest.raises(TypeError):
            view[0] = 1
        with pytest.raises(TypeError):
            (ctypes.c_char * 4).from_buffer(view)
        with pytest.raises(BufferError):
            pages.close()
        view.release()


def test_a_view_outlives_the_name_of_its_object(pages: Region | Mapping, tmp_path: Path) -> None:
    kept = read_only(pages, tmp_path).view(0, 4)
    assert bytes(kept) == bytes(4)


def test_a_read_only_mapping_refuses_writable_exports(pages: Region | Mapping, tmp_path: Path) -> None:
    with read_only(pages, tmp_path) as mapping:
        with memoryview(mapping) as view:
            assert view.readonly
        with pytest.raises(TypeError):
            (ctypes.c_char * 4).from_buffer(mapping)
        with pytest.raises(TypeError, match="read-write bytes-like"):
            io.BytesIO(b"data").readinto(mapping)
        with pytest.raises(shmkit.ReadOnlyError):
            mapping.view(writable=True)


def test_numpy_sees_the_same_bytes_in_both_directions(pages: Region | Mapping) -> None:
    array_ = np.frombuffer(pages, "u4")
    array_[0] = 0x01020304
    assert pages[0:4] == struct.pack("=I", 0x01020304)
    pages[4:8] = struct.pack("=I", 77)
    assert array_[1] == 77
    assert array_.flags.writeable
    with pytest.raises(BufferError):
        pages.close()
    del array_
    pages.close()


def test_ndarray_pins_and_does_not_copy(pages: Region | Mapping) -> None:
    grid = pages.ndarray("f8", (4, 3), offset=32)
    grid[1, 2] = 2.5
    assert struct.unpack_from("=d", pages, 32 + (1 * 3 + 2) * 8) == (2.5,)
    row = grid[1]
    del grid
    with pytest.raises(BufferError):
        pages.close()
    del row
    assert pages.ndarray(np.uint16).shape == (SIZE // 2,)
    assert pages.ndarray("u1", 7).shape == (7,)
    assert pages.ndarray("u4", offset=SIZE - 6).shape == (1,)
    with pytest.raises(ValueError):
        pages.ndarray("u4", (SIZE,))
    with pytest.raises(shmkit.OutOfRangeError):
        pages.ndarray("u4", 1, SIZE + 1)
    pages.close()


def test_a_pointer_that_outlived_every_rule_reads_zeros(pages: Region | Mapping) -> None:
    pages[0:4] = b"data"
    # numpy gives the buffer back at once and keeps the address: the mapping must stay where it is.
    stale = np.ndarray((SIZE,), "u1", buffer=pages)
    assert bytes(stale[0:4]) == b"data"
    pages.close()
    assert not stale.any()
    stale[0] = 1


def test_what_python_does_with_buffers(pages: Region | Mapping) -> None:
    pages[0:5] = b"hello"
    assert hashlib.sha256(pages).digest() == hashlib.sha256(pages[:]).digest()
    assert bytes(pages) == pages[:]
    struct.pack_into("=Q", pages, 8, 2**63)
    assert struct.unpack_from("=Q", pages, 8) == (2**63,)
    words = (ctypes.c_uint32 * 4).from_buffer(pages, 16)
    words[3] = 0xFFFFFFFF
    assert pages[28:32] == b"\xff" * 4
    del words
    assert io.BytesIO(b"from a file").readinto(pages) == 11
    assert pages[0:11] == b"from a file"
    left, right = socket.socketpair()
    with left, right:
        left.sendall(pages.view(5, 6))
        assert right.recv_into(pages.view(100, 6)) == 6
    assert pages[100:106] == b"a file"


def test_the_kernel_writes_into_it(pages: Region | Mapping, tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(b"0123456789")
    with open(path, "rb", buffering=0) as file, pages.view(10, 10) as view:
        assert file.readinto(view) == 10
    assert pages[9:21] == b"\x000123456789\0"


def test_it_is_as_mmap_is(pages: Region | Mapping) -> None:
    """Programs that index an mmap.mmap work on it unchanged."""
    peer = mmap.mmap(-1, SIZE)
    for shared in (peer, pages):
        shared[10:14] = b"same"
        shared[14] = 33
    assert peer[:] == pages[:]
    assert type(peer[0]) is type(pages[0]) and type(peer[0:2]) is type(pages[0:2])
    peer.close()
