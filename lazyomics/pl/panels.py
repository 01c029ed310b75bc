"""Where the panels of a figure are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

__all__ = ["figure_of", "panel_axes", "panel_grid", "panel_row", "spread"]


def panel_axes(
    legends: Sequence[float],
    ax: Axes | None,
    *,
    ncols: int,
    hspace: float,
    wspace: float | None,
) -> tuple[Figure, list[Axes]]:
    """Axes of scatter plots: ``ax`` or a new figure for one, a grid for several.

    Parameters
    ----------
    legends
        Inches that the legend of each panel takes on its right.
    ax
        Axes of the caller; only for one panel.
    ncols, hspace, wspace
        As :func:`panel_grid` takes them; without ``wspace`` there is room for the legends.
    """
    count = len(legends)
    if count == 1:
        ax = plt.figure().add_subplot() if ax is None else ax
        return figure_of(ax), [ax]
    if ax is not None:
        raise ValueError(f"ax takes a single panel, but {count} are asked for")
    if wspace is None:
        # The legend of the last panel of a row may reach over the edge of the figure.
        inner = [width for i, width in enumerate(legends) if (i + 1) % ncols and i + 1 < count]
        # 0.75 inches are enough for a colour bar, 0.4 for the axis label of the next panel.
        room = max([0.75, *(0.4 + width for width in inner)])
        wspace = 0.02 + room / mpl.rcParams["figure.figsize"][0]
    return panel_grid(count, ncols=ncols, hspace=hspace, wspace=wspace)


def panel_grid(
    count: int, *, ncols: int, hspace: float, wspace: float
) -> tuple[Figure, list[Axes]]:
    """Figure with panels in rows, each as large as ``rcParams["figure.figsize"]``.

    Parameters
    ----------
    count
        Number of panels.
    ncols
        Most panels in a row.
    hspace, wspace
        Space between panels as a share of their height and width.
    """
    columns = min(ncols, count)
    rows = math.ceil(count / columns)
    width, height = mpl.rcParams["figure.figsize"]
    figure = plt.figure(figsize=(columns * width * (1 + wspace), rows * height))
    left, bottom = 0.2 / columns, 0.13 / rows
    grid = GridSpec(
        nrows=rows,
        ncols=columns,
        figure=figure,
        left=left,
        right=1 - (columns - 1) * left - 0.01 / columns,
        bottom=bottom,
        top=1 - (rows - 1) * bottom - 0.1 / rows,
        hspace=hspace,
        wspace=wspace,
    )
    return figure, [figure.add_subplot(grid[index]) for index in range(count)]


def panel_row(count: int, *, gap: float = 0.3) -> tuple[Figure, list[Axes], float]:
    """Figure with panels side by side, with room for tick labels.

    Parameters
    ----------
    count
        Number of panels.
    gap
        Space between panels as a share of their width.

    Returns
    -------
    The figure, its axes, and the width of one of them in inches.
    """
    width, height = mpl.rcParams["figure.figsize"]
    left = 1.0  # inches, for the labels of the y axis
    panel = max(1.1 * width - left - 0.5, 1.0)
    total = left + count * panel + (count - 1) * gap * panel + 0.3
    figure = plt.figure(figsize=(total, height))
    axes = []
    for index in range(count):
        start = left + index * (1 + gap) * panel
        axes.append(figure.add_axes((start / total, 0.15, panel / total, 0.73)))
    return figure, axes, panel


def figure_of(ax: Axes) -> Figure:
    """Figure that axes are in, also if they are in a subfigure."""
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("ax has been removed from its figure")
    return figure


def spread(names: Sequence[str], *columns: Sequence[object]) -> list[tuple[object, ...]]:
    """Rows of several sequences, those of length 1 repeated.

    Examples
    --------
    >>> spread(["color", "marker"], ["a", "b"], ["."])
    [('a', '.'), ('b', '.')]
    """
    longest = max(map(len, columns))
    if any(len(column) not in {1, longest} for column in columns):
        lengths = ", ".join(
            f"{len(column)} of {name}" for name, column in zip(names, columns, strict=True)
        )
        raise ValueError(f"these do not fit together: {lengths}")
    return [
        tuple(column[0] if len(column) == 1 else column[row] for column in columns)
        for row in range(longest)
    ]
