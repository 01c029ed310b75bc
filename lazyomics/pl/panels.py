"""Points and edges drawn in one panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import scipy.sparse
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import EllipseCollection, LineCollection
from matplotlib.colors import Colormap
from matplotlib.markers import MarkerStyle
from matplotlib.typing import ColorType

from lazyomics.container import AnnData
from lazyomics.options import settings
from lazyomics.pl.aggregated import MANY_POINTS, dot_share, draw_many
from lazyomics.pl.coloring import Bounds, Coloring
from lazyomics.pl.figure import LegendStyle, add_legend, figure_of

__all__ = [
    "Arrows",
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
class Arrows:
    """Arrows from observations.

    Attributes
    ----------
    steps
        Where each arrow points to from its observation, shape (n_obs, 2) or more.
    options
        Passed to :meth:`matplotlib.axes.Axes.quiver`.
    """

    steps: npt.NDArray[Any]
    options: Mapping[str, Any]

    @classmethod
    def of(cls, adata: AnnData, basis: str, options: Mapping[str, Any] | None) -> Arrows:
        """Arrows of ``obsm["velocity_" + basis]`` or ``obsm["Delta_" + basis]``."""
        keys = [f"{prefix}_{basis}" for prefix in ("velocity", "Delta")]
        key = next((key for key in keys if key in adata.obsm), None)
        if key is None:
            raise ValueError(f"arrows=True needs obsm[{keys[0]!r}] or obsm[{keys[1]!r}]")
        return cls(np.asarray(_dense(adata.obsm[key])), options or {})

    def draw(self, ax: Axes, points: npt.NDArray[Any], dims: Sequence[int]) -> None:
        """Draw the arrows on top of the points, coordinates of shape (n_obs, 2)."""
        across, up = (self.steps[:, dim] for dim in dims)
        rasterized = settings.vector_friendly
        ax.quiver(*points.T, across, up, **{"rasterized": rasterized, **self.options})


def _dense(values: Any) -> Any:
    values = values.compute() if hasattr(values, "compute") else values
    return values.toarray() if hasattr(values, "toarray") else values


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
    """What all panels of a figure have in common.

    With ``circles``, ``size`` is their radius in the units of the coordinates.
    """

    size: float | npt.NDArray[np.float64]
    cmap: Colormap
    bounds: Bounds
    legend: LegendStyle
    colorbar_loc: str | None
    sort_order: bool
    frameon: bool
    outline: Outline | None
    edges: Edges | None
    arrows: Arrows | None
    several: bool
    circles: bool = False
    scatter: dict[str, Any] = field(default_factory=dict)


def draw_panel(
    ax: Axes,
    points: npt.NDArray[Any],
    coloring: Coloring,
    style: PanelStyle,
    *,
    panel: int,
    marker: str,
    dims: Sequence[int] = (0, 1),
) -> None:
    """Draw coloured points.

    Parameters
    ----------
    ax
        Where to draw.
    points
        Coordinates, shape (n_obs, 2) or (n_obs, 3).
    coloring
        What the points are coloured by.
    style
        How they look.
    panel
        Number of the panel in its figure.
    marker
        Matplotlib marker.
    dims
        Which dimensions are drawn.
    """
    if not style.frameon:
        ax.axis("off")
    size = style.size
    unsorted = points
    if style.sort_order:
        order = coloring.order()
        points, coloring = points[order], coloring.take(order)
        size = size[order] if isinstance(size, np.ndarray) else size
    drawn = _draw_points(ax, points, coloring, style, size, panel, marker)
    ax.set(xticks=[], yticks=[])
    if points.shape[1] == 3:
        ax.set(zticks=[])
    ax.autoscale_view()
    if style.edges is not None:
        style.edges.draw(ax, unsorted)
    if style.arrows is not None:
        style.arrows.draw(ax, unsorted, dims)
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


def _draw_points(
    ax: Axes,
    points: npt.NDArray[Any],
    coloring: Coloring,
    style: PanelStyle,
    size: Any,
    panel: int,
    marker: str,
) -> ScalarMappable:
    """Draw points and return what a colour bar is of."""
    norm = None if coloring.numbers is None else style.bounds.of(panel, coloring.numbers)
    if _as_image(points, style, size):
        share = dot_share(size, marker)
        if share is not None:
            alpha = style.scatter.get("alpha")
            draw_many(
                ax, points, *coloring.table(style.legend.na_color, style.cmap, norm, alpha), share
            )
            return ScalarMappable(norm=norm, cmap=style.cmap)
    options: dict[str, Any] = {
        # An edge would keep its width where points are small, and hide their colour.
        "edgecolor": "none" if MarkerStyle(marker).is_filled() else None,
        "marker": marker,
        "rasterized": settings.vector_friendly,
        **style.scatter,
    }
    if style.outline is not None and points.shape[1] == 2:
        _draw_outline(ax, points, size, style.outline, options)
        options = {"alpha": 0.7, **options, "edgecolor": "none"}
    if norm is not None:
        colors = {"c": coloring.numbers, "norm": norm, "cmap": style.cmap, "plotnonfinite": True}
    else:
        colors = {"c": coloring.rgba(style.legend.na_color)}
    if style.circles:
        return _draw_circles(ax, points, size, colors, options)
    panel_axes: Any = ax  # of three dimensions, perhaps
    return cast("ScalarMappable", panel_axes.scatter(*points.T, s=size, **{**colors, **options}))


def _as_image(points: npt.NDArray[Any], style: PanelStyle, size: Any) -> bool:
    """Whether there are so many points that they are drawn as an image."""
    plain = not (set(style.scatter) - {"alpha"} or style.circles or style.outline)
    many = len(points) >= MANY_POINTS and points.shape[1] == 2
    return many and plain and settings.vector_friendly and not isinstance(size, np.ndarray)


def _draw_circles(
    ax: Axes, points: npt.NDArray[Any], radius: Any, colors: dict[str, Any], options: dict[str, Any]
) -> EllipseCollection:
    """Draw circles whose radius is in the units of the coordinates."""
    wide = 2 * np.broadcast_to(np.asarray(radius, dtype=np.float64), len(points))
    look = {key: value for key, value in options.items() if key not in {"marker", "s"}}
    look |= {key: colors[key] for key in ("norm", "cmap") if key in colors}
    place: dict[str, Any] = {"offsets": points, "offset_transform": ax.transData, "units": "xy"}
    drawn = EllipseCollection(wide, wide, np.zeros(len(points)), **place, **look)
    if "norm" in colors:
        drawn.set_array(np.ma.masked_invalid(colors["c"]))
        drawn.autoscale_None()
    else:
        drawn.set_facecolor(colors["c"])
    ax.add_collection(drawn, autolim=False)
    if len(points):
        half = wide[:, None] / 2
        corners = [np.nanmin(points - half, axis=0), np.nanmax(points + half, axis=0)]
        ax.update_datalim(corners)
    return drawn


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
