"""How objects travel to other processes: by name, by id, or by descriptor."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ._native import Segment, SysvSemaphore, _reopen

if TYPE_CHECKING:
    from collections.abc import Callable


def reopen(location: str | os.PathLike[str], id: bytes, method: str, name: str, options: dict[str, Any]) -> Any:
    """Opens an object that was pickled. It goes on living when the region's handle closes here."""
    with _reopen(location, id, False) as region:
        return getattr(region, method)(name, **options)


def reduce_descriptor(open: Any, fd: int) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """What has no name travels as its descriptor, to a child that is being started or through multiprocessing's own
    channels."""
    from multiprocessing.reduction import DupFd

    return from_descriptor, (open, DupFd(fd))


def from_descriptor(open: Any, duplicate: Any) -> Any:
    """Opens what came as a descriptor."""
    fd = duplicate.detach()
    try:
        return open(fd)
    finally:
        os.close(fd)


def reopen_segment(location: str | os.PathLike[str], read_only: bool) -> Segment:
    """Opens a segment that was pickled."""
    return Segment.open(location, read_only=read_only)


def open_sysv_semaphore(id: int, index: int, undo: bool) -> SysvSemaphore:
    """Opens a semaphore that was pickled."""
    return SysvSemaphore.from_id(id, index=index, undo=undo)
