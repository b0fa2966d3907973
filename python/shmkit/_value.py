"""What a value's bytes are to Python: how :meth:`Region.value` understands its ``format``."""

from __future__ import annotations

import ctypes
import struct
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

#: Names of numbers, as the other languages call them.
_NAMES = {
    "u8": "B",
    "i8": "b",
    "u16": "H",
    "i16": "h",
    "u32": "I",
    "i32": "i",
    "u64": "Q",
    "i64": "q",
    "f32": "f",
    "f64": "d",
}


class Codec(Protocol):
    """Makes objects of bytes and bytes of objects."""

    scalar: str
    """What the struct module calls it, if it is one number and no more."""

    def decode(self, data: bytes) -> Any: ...

    def encode(self, value: Any) -> bytes: ...


class _Struct:
    """A number, or a tuple of several."""

    def __init__(self, text: str, size: int) -> None:
        self._struct = struct.Struct(text)
        self._padding = bytes(size - self._struct.size)
        self._single = len(self._struct.unpack(bytes(self._struct.size))) == 1
        code = text.lstrip("@=<")
        self.scalar = code if code in tuple("bBhHiIqQfd?") and size == self._struct.size else ""

    def decode(self, data: bytes) -> Any:
        values = self._struct.unpack_from(data)
        return values[0] if self._single else values

    def encode(self, value: Any) -> bytes:
        packed = self._struct.pack(value) if self._single else self._struct.pack(*value)
        return packed + self._padding


class _Raw:
    """Bytes that nobody described."""

    scalar = ""

    def decode(self, data: bytes) -> bytes:
        return data

    def encode(self, value: Any) -> bytes:
        return bytes(value)


class _Numpy:
    """A scalar, a record or an array."""

    scalar = ""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype

    def decode(self, data: bytes) -> Any:
        import numpy as np

        return np.frombuffer(data, self._dtype.base).reshape(self._dtype.shape)[()].copy()

    def encode(self, value: Any) -> bytes:
        import numpy as np

        array = np.empty(self._dtype.shape, self._dtype.base)
        array[...] = value
        return array.tobytes()


class _Ctypes:
    """An object of a ctypes type; a number for a simple one."""

    scalar = ""

    def __init__(self, class_: Any) -> None:
        self._class = class_

    def decode(self, data: bytes) -> Any:
        value = self._class.from_buffer_copy(data)
        return value.value if hasattr(value, "value") else value

    def encode(self, value: Any) -> bytes:
        return bytes(value if isinstance(value, self._class) else self._class(value))


def describe(format: Any) -> tuple[Any, str | None, int]:
    """What the format is, in a form that can be pickled; the text that the core takes; and the number of bytes.

    ``None`` and 0 stand for a value as it is.
    """
    if format is None:
        return None, None, 0
    if isinstance(format, struct.Struct):
        format = format.format
    if isinstance(format, str):
        return format, _NAMES.get(format, format), 0
    if _is_ctypes(format):
        return format, "=" + _of_ctypes(format), ctypes.sizeof(format)
    import numpy as np

    dtype = np.dtype(format)
    return dtype, "=" + _of_dtype(dtype), dtype.itemsize


def codec(format: Any, text: str, size: int) -> Codec:
    """The codec for a format of :func:`describe` and its size; ``text`` is what a value as it is says of itself."""
    if format is None:
        return _Struct("=" + text, size) if text else _Raw()
    if isinstance(format, str):
        return _Struct(_NAMES.get(format, format), size)
    if _is_ctypes(format):
        return _Ctypes(format)
    return _Numpy(format)


def _is_ctypes(format: Any) -> bool:
    simple = (ctypes._SimpleCData, ctypes.Structure, ctypes.Array)
    return isinstance(format, type) and issubclass(format, simple)


def _of_ctypes(class_: Any) -> str:
    if issubclass(class_, ctypes.Array):
        return _of_ctypes(class_._type_) * int(class_._length_)
    if issubclass(class_, ctypes.Structure):
        text, end = "", 0
        for name, kind, *_ in class_._fields_:
            offset = getattr(class_, name).offset
            text += "x" * (offset - end) + _of_ctypes(kind)
            end = offset + ctypes.sizeof(kind)
        return text + "x" * (ctypes.sizeof(class_) - end)
    code = str(class_._type_)
    return {"l": "q", "L": "Q"}.get(code, code) if ctypes.sizeof(class_) == 8 else code


def _of_dtype(dtype: np.dtype[Any]) -> str:
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        count = 1
        for length in shape:
            count *= length
        return _of_dtype(base) * count
    if dtype.fields is not None:
        text, end = "", 0
        for name in dtype.names or ():
            kind, offset = dtype.fields[name][:2]
            text += "x" * (offset - end) + _of_dtype(kind)
            end = offset + kind.itemsize
        return text + "x" * (dtype.itemsize - end)
    if not dtype.isnative:
        raise TypeError(f"{dtype} is not in this machine's byte order")
    if dtype.kind in "SV":
        return f"{dtype.itemsize}s"
    codes = {"b1": "?", "u1": "B", "u2": "H", "u4": "I", "u8": "Q", "i1": "b", "i2": "h", "i4": "i", "i8": "q"}
    codes |= {"f2": "e", "f4": "f", "f8": "d", "c8": "2f", "c16": "2d"}
    try:
        return codes[f"{dtype.kind}{dtype.itemsize}"]
    except KeyError:
        raise TypeError(f"{dtype} has no form that processes could share; view it as integers or bytes") from None
