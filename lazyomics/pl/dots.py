"""The dots of a dot plot, their size legend and their colour bar."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, Normalize

from lazyomics.pl.bounds import colormap
from lazyomics.pl.dot_values import DotValues

__all__ = ["DotSizes", "DotStyle", "draw_dots", "draw_legends"]

EDGE_WIDTH = 0.2
PADDING = (0.8, 1.0)  # between the outer dots and the frame, in dots, horizontally and vertically


@dataclass(frozen=True)
class DotSizes:
    """From fractions to areas in square points.

    Attributes
    ----------
    lowest, highest
        Fractions that have the smallest and the largest dot; others are clipped.
    smallest, largest
        Areas of these dots.
    exponent
        Power of the fraction that the area is proportional to.
    """

    lowest: float
    highest: float
    smallest: float = 0.0
    largest: float = 200.0
    exponent: float = 1.5

    @classmethod
    def fit(
        cls,
        fractions: npt.NDArray[Any],
        *,
        dot_min: float | None,
        dot_max: float | None,
        smallest_dot: float,
    ) -> DotSizes:
        """Sizes for fractions; ``dot_max`` is by default the next tenth above all of them."""
        for name, given in (("dot_min", dot_min), ("dot_max", dot_max)):
            if given is not None and not 0 <= given <= 1:
                raise ValueError(f"{name}={given}: expected a number between 0 and 1")
        lowest = 0.0 if dot_min is None else dot_min
        highest = float(np.ceil(fractions.max() * 10) / 10) if dot_max is None else dot_max
        # Nothing expressed anywhere: any range will do, but not an empty one.
        return cls(lowest, highest if highest > lowest else lowest + 0.1, smallest_dot)

    def areas(self, fractions: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Area of each dot in square points."""
        clipped = np.clip(fractions, self.lowest, self.highest)
        share = (clipped - self.lowest) / (self.highest - self.lowest)
        return share**self.exponent * (self.largest - self.smallest) + self.smallest

    def examples(self) -> npt.NDArray[np.float64]:
        """Fractions for a legend, increasing, the highest among them."""
        span = self.highest - self.lowest
        step = 0.05 if span <= 0.3 else 0.1 if span <= 0.6 else 0.2
        return np.arange(self.highest, self.lowest, -step)[::-1]


@dataclass(frozen=True)
class DotStyle:
    """How dots and legends look.

    Attributes
    ----------
    sizes
        Areas of the dots.
    cmap, norm
        Colours of the dots.
    size_title, color_title
        Titles of the legends.
    edge_width
        Width of the line around dots in points.
    options
        Passed to :meth:`matplotlib.axes.Axes.scatter`.
    """

    sizes: DotSizes
    cmap: Colormap | str | None
    norm: Normalize
    size_title: str | None
    color_title: str | None
    edge_width: float = EDGE_WIDTH
    options: dict[str, Any] = field(default_factory=dict)


def draw_dots(ax: Axes, values: DotValues, style: DotStyle, *, swapped: bool) -> None:
    """Draw a dot for each group and gene, the first group on top.

    Parameters
    ----------
    ax
        Where to draw.
    values
        Means and fractions, groups × genes.
    style
        How the dots look.
    swapped
        Whether genes are rows.
    """
    means, fractions = values.means, values.fractions
    if swapped:
        means, fractions = means.T, fractions.T
    # Dots are in the middle of unit squares, where dendrogram and brackets expect them.
    y, x = np.indices(means.shape).reshape(2, -1) + 0.5
    dots: dict[str, Any] = {
        "s": style.sizes.areas(fractions.to_numpy().ravel()),
        "color": colormap(style.cmap)(style.norm(means.to_numpy().ravel())),
        "linewidth": style.edge_width,
        "edgecolor": "black",
    }
    ax.scatter(x, y, **{**dots, **style.options})
    rows, columns = means.shape
    ax.set_yticks(np.arange(rows) + 0.5, [str(label) for label in means.index])
    ax.set_xticks(
        np.arange(columns) + 0.5, [str(label) for label in means.columns], rotation=90, ha="center"
    )
    ax.tick_params(axis="both", labelsize="small")
    ax.grid(visible=False)
    side, top = PADDING[0] - 0.5, PADDING[1] - 0.5
    ax.set_xlim(-side, columns + side)
    ax.set_ylim(rows + top, -top)
    ax.set_zorder(100)


def draw_legends(sizes: Axes, colors: Axes, style: DotStyle) -> None:
    """Draw dots of a few sizes with their fractions in percent, and a horizontal colour bar.

    The colour scale has its limits once the dots are drawn, so draw them first.
    """
    _draw_sizes(sizes, style.sizes, style.size_title, style.edge_width)
    mappable = ScalarMappable(norm=style.norm, cmap=colormap(style.cmap))
    Colorbar(colors, mappable=mappable, orientation="horizontal")
    colors.set_title(style.color_title or "", fontsize="small")
    colors.xaxis.set_tick_params(labelsize="small")


def _draw_sizes(ax: Axes, sizes: DotSizes, title: str | None, edge_width: float) -> None:
    fractions = sizes.examples()
    places = np.arange(len(fractions)) + 0.5
    ax.scatter(
        places,
        np.zeros(len(places)),
        s=sizes.areas(fractions),
        color="gray",
        edgecolor="black",
        linewidth=edge_width,
        zorder=100,
    )
    ax.set_xticks(places, [f"{percent:.0f}" for percent in fractions * 100], fontsize="small")
    ax.tick_params(axis="y", left=False, labelleft=False, labelright=False)
    for edge in ax.spines.values():
        edge.set_visible(False)
    ax.grid(visible=False)
    top = ax.get_ylim()[1]
    # The dots are at the bottom of the axes, their title just above them.
    ax.set_ylim(-1.05 - sizes.largest * 0.003, 4)
    ax.set_title(title or "", y=top + 0.45, size="small")
    left, right = ax.get_xlim()
    ax.set_xlim(left - 0.15, right + 0.5)
