"""Functions of ctypes on code in memory. Apart, so that ctypes is imported only by who asks for one."""

from __future__ import annotations

import ctypes
from typing import Any


def function(address: int, in_use: object, restype: Any, argtypes: tuple[Any, ...]) -> Any:
    """A function at an address. It keeps what counts it in."""
    made = ctypes.CFUNCTYPE(restype, *argtypes)(address)
    made.in_use = in_use  # type: ignore[attr-defined]
    return made
