"""Values: numbers and structs in every form that Python has for them, whole for every reader."""

import ctypes
import pickle
import struct
import threading
from typing import Any

import numpy as np
import pytest

import shmkit
from shmkit import Region


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_double), ("tag", ctypes.c_uint8), ("count", ctypes.c_uint32))


POINT = np.dtype([("x", "f8"), ("tag", "u1"), ("count", "u4")], align=True)


@pytest.mark.parametrize(
    ("format", "first", "second", "canonical"),
    [
        ("f64", 1.5, 2.5, "d"),
        ("u8", 0, 255, "B"),
        ("i64", -1, 2**62, "q"),
        ("f", 0.5, 0.25, "f"),
        ("dBI", (1.5, 2, 3), (2.5, 3, 4), "dB3xI"),
        (struct.Struct("=dI"), (1.5, 2), (2.5, 3), "dI"),
        ("4s", b"abcd", b"efgh", "4B"),
        (np.float32, np.float32(1.5), np.float32(2), "f"),
        (ctypes.c_uint16, 1, 2, "H"),
        (ctypes.c_long, 1, -2, "q"),
    ],
)
def test_a_value_is_what_was_stored(region: Region, format: Any, first: Any, second: Any, canonical: str) -> None:
    value = region.value("v", format, first)
    assert value.format == canonical
    assert value.load() == first
    value.store(second)
    assert region.value("v", format).load() == second
    assert pickle.loads(pickle.dumps(value)).load() == second
    assert repr(second) in repr(value)
    assert value.update(lambda now: first) == first
    assert value.load() == first
    assert region.value("v").nbytes == value.nbytes
    with value:
        pass
    with pytest.raises(shmkit.ClosedError):
        value.load()
    assert value.closed and value.name == "v"


def test_structs_of_all_kinds_are_the_same(region: Region) -> None:
    point = region.value("point", Point, Point(1.5, 2, 3))
    assert point.format == "dB3xI" and point.nbytes == 16
    record = region.value("point", POINT)
    assert record.load()["x"] == 1.5 and record.load()["count"] == 3
    record.store((2.5, 7, 9))
    loaded = point.load()
    assert (loaded.x, loaded.tag, loaded.count) == (2.5, 7, 9)
    assert region.value("point", "dBI").load() == (2.5, 7, 9)
    assert region.value("point").load() == (2.5, 7, 9)
    table = region.value("table", np.dtype(("u4", (2, 3))), np.arange(6).reshape(2, 3))
    assert table.load().tolist() == [[0, 1, 2], [3, 4, 5]] and table.format == "6I"


def test_other_types_are_refused(region: Region) -> None:
    region.value("v", "f64", 1.0)
    for other in ("i64", "f", "dd", np.int64):
        with pytest.raises(shmkit.ParameterMismatchError):
            region.value("v", other)
    for nonsense in ("z", ">d", "", "0d"):
        with pytest.raises((shmkit.InvalidArgumentError, struct.error)):
            region.value("w", nonsense)
    with pytest.raises(shmkit.NotFoundError):
        region.value("w")
    with pytest.raises(struct.error):
        region.value("v", "f64").store("text")
    for nothing_shared in (">f8", "M8[s]", "U4", "O", np.longdouble, [("a", "U1")]):
        with pytest.raises(TypeError):
            region.value("w", np.dtype(nothing_shared))
    with pytest.raises(shmkit.WrongKindError):
        region.atomic("v", "u64")


@pytest.mark.parametrize("code", "bBhHiIqQfd?")
def test_a_number_is_what_the_struct_module_makes_of_it(region: Region, code: str) -> None:
    value, model = region.value("v", code), struct.Struct(code)

    class Float(float):
        pass

    class Index:
        def __index__(self) -> int:
            return 7

    powers = [
        sign * 2**power + more for power in (7, 8, 15, 16, 31, 32, 63, 64) for sign in (1, -1) for more in (-1, 0)
    ]
    others = [
        0,
        1,
        True,
        False,
        1.5,
        -0.0,
        1e39,
        1e300,
        float("inf"),
        float("nan"),
        Float(2.5),
        Index(),
        "1",
        None,
        (1,),
    ]
    for number in [*powers, *others, np.float64(1.5), np.int16(3)]:
        try:
            expected = model.pack(number)
        except (struct.error, OverflowError, TypeError) as error:
            with pytest.raises(type(error)):
                value.store(number)
            continue
        value.store(number)
        loaded = value.load()
        assert type(loaded) is type(model.unpack(expected)[0])
        assert model.pack(loaded) == expected
        value.update(lambda now: now)
        assert model.pack(region.value("v").load()) == expected


def test_no_reader_sees_a_half_and_no_update_is_lost(region: Region) -> None:
    value = region.value("wide", "12Q", (0,) * 12)

    def work() -> None:
        for _ in range(300):
            value.update(lambda now: tuple(word + 1 for word in now))

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        assert len(set(value.load())) == 1
    assert value.load() == (900,) * 12
