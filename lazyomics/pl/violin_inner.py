"""What is drawn inside of a violin: a box, quartiles, or each observation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cbook import boxplot_stats
from matplotlib.collections import LineCollection
from matplotlib.typing import ColorType

__all__ = ["Body", "draw_inner"]

QUARTILE_DASHES = ((1.25, 0.75), (2.5, 1.0), (1.25, 0.75))


@dataclass(frozen=True)
class Body:
    """A violin as it was drawn.

    Attributes
    ----------
    place
        Position of its middle on the x axis.
    support, half
        Where its density is estimated, and half its width there.
    values
        Its observations, none missing.
    color, linewidth
        Of its outline.
    """

    place: float
    support: npt.NDArray[np.float64]
    half: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]
    color: ColorType
    linewidth: float

    def across(self, heights: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Lines from one side to the other at some heights, shape (n, 2, 2)."""
        half = np.interp(heights, self.support, self.half)
        left, right = (self.place + sign * half for sign in (-1, 1))
        return np.stack([[left, right], [heights, heights]]).transpose(2, 1, 0)


def draw_inner(ax: Axes, body: Body, inner: str | None, options: Mapping[str, Any]) -> None:
    """Draw into a violin.

    Parameters
    ----------
    ax
        Where the violin is.
    body
        The violin.
    inner
        ``"box"``, ``"quart"``, ``"point"``, ``"stick"``, or None for nothing.
    options
        Options of the artists; of a box also ``box_width``, ``whis_width`` and ``marker``.
    """
    if inner == "box":
        _draw_box(ax, body, dict(options))
    elif inner == "quart":
        heights = np.percentile(body.values, [25, 50, 75])
        for line, dashes in zip(body.across(heights), QUARTILE_DASHES, strict=True):
            look = {"color": body.color, "linewidth": body.linewidth, "dashes": dashes}
            ax.plot(line[:, 0], line[:, 1], **{**look, **options})
    elif inner == "stick":
        look = {"color": body.color, "linewidth": body.linewidth / 2}
        lines: Any = body.across(body.values)
        ax.add_collection(LineCollection(lines, **{**look, **options}), autolim=False)
    elif inner == "point":
        look = {"color": body.color, "s": (2 * body.linewidth) ** 2, "zorder": 3}
        ax.scatter(np.full(len(body.values), body.place), body.values, **{**look, **options})


def _draw_box(ax: Axes, body: Body, options: dict[str, Any]) -> None:
    """Whiskers, quartiles and median, as thick lines and a mark."""
    stats = boxplot_stats(body.values)[0]
    box = options.pop("box_width", 4.5 * body.linewidth)
    whiskers = options.pop("whis_width", box / 3)
    marker = options.pop("marker", "_")
    look = {"color": body.color, **options}
    for ends, width in (("whislo", "whishi"), whiskers), (("q1", "q3"), box):
        line = [stats[end] for end in ends]
        ax.plot([body.place] * 2, line, **{**look, "linewidth": width})
    white = {"markeredgecolor": "w", "markerfacecolor": "w"}
    size = {"marker": marker, "markersize": box / 1.2, "markeredgewidth": box / 5}
    ax.plot([body.place], [stats["med"]], **{**size, **look, **white})
