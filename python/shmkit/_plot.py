"""A picture of pages. Apart, so that matplotlib is imported only by who asks for one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.patches import Patch

from ._pages import PageFlag

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ._pages import Residency

#: What a cell can show, weakest first: the flag that makes it so, the words for it, its colour.
STATES = [
    (PageFlag(0), "not in memory", "#e8e8e8"),
    (PageFlag.SWAPPED, "in swap space", "#c78fc2"),
    (PageFlag.RESIDENT, "in memory", "#9ec9e2"),
    (PageFlag.PRESENT, "in memory and in the page table", "#3c82b8"),
    (PageFlag.DIRTY, "not yet on the disk", "#d9603b"),
]
MOST_CELLS = 1 << 16


def residency(pages: Residency, ax: Axes | None, width: int | None) -> Axes:
    """Draws pages on axes, or on new ones."""
    if width is not None and width < 1:
        raise ValueError(f"a width of {width}")
    states = np.frombuffer(pages.states, np.uint8)
    shown = np.zeros(len(states), np.uint8)
    for index, (flag, _, _) in enumerate(STATES):
        shown[(states & flag) != 0] = index
    together = max(1, math.ceil(len(shown) / MOST_CELLS))
    shown = np.pad(shown, (0, -len(shown) % together)).reshape(-1, together).max(axis=1, initial=0)
    columns = width or max(1, math.ceil(math.sqrt(2 * len(shown))))
    # What is beyond the end of the last row is no page, and stays white.
    grid = np.full(max(1, math.ceil(len(shown) / columns)) * columns, np.nan)
    grid[: len(shown)] = shown
    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    colours = ListedColormap([colour for _, _, colour in STATES])
    norm = BoundaryNorm(range(len(STATES) + 1), len(STATES))
    ax.imshow(grid.reshape(-1, columns), cmap=colours, norm=norm, aspect="auto")
    patches = [Patch(color=colour, label=text) for _, text, colour in STATES]
    ax.legend(handles=patches, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, frameon=False)
    cell = together * pages.page_size
    ax.set_title(f"{pages.name or 'memory'}: {len(pages)} pages of {pages.page_size} bytes")
    ax.set_xlabel(f"each cell {cell >> 10} KiB, each row {columns * cell >> 10} KiB")
    ax.set_ylabel("row")
    return ax
