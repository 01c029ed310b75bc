"""Points and edges drawn in one panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap
from matplotlib.markers import MarkerStyle
from matplotlib.typing import ColorType

from lazyomics.container import AnnData
from lazyomics.options import settings
from lazyomics.pl.coloring import Bounds, Coloring
from lazyomics.pl.figure import LegendStyle, add_legend, figure_of

__all__ = [
    "Edges",
    "Outline",
    "PanelStyle",
    "draw_panel",
]


@dataclass(frozen=True)
class Edges:
    """Edges between observations.

    Attributes
    ----------
    ends
        Positions of the two ends of each edge, shape (n_edges, 2).
    width
        Line width in points.
    color
        Colour of all edges, or a sequence of colours.
    """

    ends: npt.NDArray[np.intp]
    width: float
    color: ColorType | Sequence[ColorType]

    @classmethod
    def of(
        cls,
        adata: AnnData,
        neighbors_key: str | None,
        width: float,
        color: ColorType | Sequence[ColorType],
    ) -> Edges:
        """Edges of the graph that ``uns[neighbors_key]`` points to."""
        key = neighbors_key or "neighbors"
        if key not in adata.uns:
            raise ValueError(f"edges=True needs uns[{key!r}]; run lo.pp.neighbors first")
        graph = adata.obsp[adata.uns[key].get("connectivities_key", "connectivities")]
        matrix = scipy.sparse.triu(_in_memory(graph), k=1, format="coo")
        return cls(np.column_stack([matrix.row, matrix.col]), width, color)

    def draw(self, ax: Axes, points: npt.NDArray[Any]) -> None:
        """Draw the edges below the points, coordinates of shape (n_obs, 2)."""
        lines = LineCollection(
            list(points[self.ends]),
            linewidths=self.width,
            colors=self.color,
            zorder=-2,
            rasterized=settings.vector_friendly,
        )
        ax.add_collection(lines, autolim=False)


def _in_memory(matrix: Any) -> Any:
    """Graph as scipy sparse, from scipy, numpy, or a lazy matrix of sparse blocks."""
    loaded = matrix.compute() if hasattr(matrix, "compute") else matrix
    return loaded.to_scipy() if hasattr(loaded, "to_scipy") else scipy.sparse.coo_array(loaded)


@dataclass(frozen=True)
class Outline:
    """A line around groups of points, drawn as larger points below them.

    Attributes
    ----------
    width
        Width of the line and of the gap between it and the points, as shares of a point.
    color
        Their colours.
    """

    width: tuple[float, float]
    color: tuple[ColorType, ColorType]


@dataclass(frozen=True)
class PanelStyle:
    """What all panels of a figure have in common."""

    size: float | npt.NDArray[np.float64]
    cmap: Colormap
    bounds: Bounds
    legend: LegendStyle
    colorbar_loc: str | None
    sort_order: bool
    frameon: bool
    outline: Outline | None
    edges: Edges | None
    several: bool
    scatter: dict[str, Any] = field(default_factory=dict)


def draw_panel(
    ax: Axes,
    points: npt.NDArray[Any],
    coloring: Coloring,
    style: PanelStyle,
    *,
    panel: int,
    marker: str,
) -> None:
    """Draw coloured points.

    Parameters
    ----------
    ax
        Where to draw.
    points
        Coordinates, shape (n_obs, 2).
    coloring
        What the points are coloured by.
    style
        How they look.
    panel
        Number of the panel in its figure.
    marker
        Matplotlib marker.
    """
    if not style.frameon:
        ax.axis("off")
    size = style.size
    unsorted = points
    if style.sort_order:
        order = coloring.order()
        points, coloring = points[order], coloring.take(order)
        size = size[order] if isinstance(size, np.ndarray) else size
    options: dict[str, Any] = {
        # An edge would keep its width where points are small, and hide their colour.
        "edgecolor": "none" if MarkerStyle(marker).is_filled() else None,
        "marker": marker,
        "rasterized": settings.vector_friendly,
        **style.scatter,
    }
    if style.outline is not None:
        _draw_outline(ax, points, size, style.outline, options)
        options = {"alpha": 0.7, **options, "edgecolor": "none"}
    if coloring.numbers is not None:
        norm = style.bounds.of(panel, coloring.numbers)
        colors = {"c": coloring.numbers, "norm": norm, "cmap": style.cmap, "plotnonfinite": True}
    else:
        colors = {"c": coloring.rgba(style.legend.na_color)}
    drawn = ax.scatter(points[:, 0], points[:, 1], s=size, **{**colors, **options})
    ax.set(xticks=[], yticks=[])
    ax.autoscale_view()
    if style.edges is not None:
        style.edges.draw(ax, unsorted)
    if coloring.groups is not None:
        add_legend(
            ax,
            coloring.groups,
            points,
            colors=coloring.palette or {},
            style=style.legend,
            shrink=style.several,
        )
    elif coloring.numbers is not None and style.colorbar_loc is not None:
        figure_of(ax).colorbar(
            drawn, ax=ax, pad=0.01, fraction=0.08, aspect=30, location=style.colorbar_loc
        )


def _draw_outline(
    ax: Axes,
    points: npt.NDArray[Any],
    size: float | npt.NDArray[np.float64],
    outline: Outline,
    options: dict[str, Any],
) -> None:
    line, gap = outline.width
    diameter = np.sqrt(size)
    gap_size = (diameter * (1 + 2 * gap)) ** 2
    line_size = (np.sqrt(gap_size) + diameter * 2 * line) ** 2
    plain = {key: value for key, value in options.items() if key not in {"alpha", "cmap", "norm"}}
    for area, color in ((line_size, outline.color[0]), (gap_size, outline.color[1])):
        ax.scatter(points[:, 0], points[:, 1], s=area, c=[color], **plain)
