"""How named objects travel to other processes: by region, id and name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._native import _reopen

if TYPE_CHECKING:
    import os


def reopen(location: str | os.PathLike[str], id: bytes, method: str, name: str, options: dict[str, Any]) -> Any:
    """Opens an object that was pickled. It goes on living when the region's handle closes here."""
    with _reopen(location, id, False) as region:
        return getattr(region, method)(name, **options)
