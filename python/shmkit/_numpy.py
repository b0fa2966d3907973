"""Arrays on shared bytes. Apart, so that numpy is imported only by who asks for an array."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt


def ndarray(view: memoryview, dtype: npt.DTypeLike, shape: int | Sequence[int] | None) -> npt.NDArray[Any]:
    """An array on a view's bytes. It keeps the view, as ``numpy.ndarray(buffer=...)`` would not."""
    dtype = np.dtype(dtype)
    if dtype.itemsize == 0:
        raise ValueError(f"items of {dtype!r} have no bytes")
    if shape is None:
        shape = (view.nbytes // dtype.itemsize,)
    elif isinstance(shape, SupportsIndex):
        shape = (operator.index(shape),)
    return np.frombuffer(view, dtype, math.prod(shape)).reshape(shape)
