"""Scatter plots of columns of obs or var, genes, and embeddings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from cycler import Cycler
from matplotlib import patheffects
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap, is_color_like
from matplotlib.figure import Figure, SubplotParams
from matplotlib.markers import MarkerStyle
from matplotlib.ticker import FuncFormatter
from matplotlib.typing import ColorType

from lazyomics import logging
from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.get import obs_df, var_df
from lazyomics.names import choices
from lazyomics.options import settings
from lazyomics.pl.coloring import Palette, category_colors, colormap
from lazyomics.pl.embeddings import axis_names
from lazyomics.pl.figure import Save, figure_of, finish, legend_columns, short_number, spread
from lazyomics.pl.keywords import checked_keywords
from lazyomics.pl.values import Values, column_values, coordinates

__all__ = ["scatter"]

POINT_AREA = 120_000  # of all points together, in square points
LEGEND_AREA = 300.0  # of a point in the legend
LEGENDS = (
    *("none", "right margin", "on data", "on data export", "best"),
    *("center", "center left", "center right"),
    *("lower center", "lower left", "lower right", "right"),
    *("upper center", "upper left", "upper right"),
)

Key = str | ColorType
Layers = tuple[str | None, str | None, str | None]


@checked_keywords()
def scatter(
    adata: AnnData,
    x: str | None = None,
    y: str | None = None,
    *,
    color: Key | Collection[Key] | None = None,
    use_raw: bool | None = None,
    layers: str | Collection[str | None] | None = None,
    sort_order: bool = True,
    alpha: float | None = None,
    basis: str | None = None,
    groups: str | Iterable[str] | None = None,
    components: str | Collection[str] | None = None,
    projection: Literal["2d", "3d"] = "2d",
    legend_loc: str | None = "right margin",
    legend_fontsize: float | str | None = None,
    legend_fontweight: int | str | None = None,
    legend_fontoutline: float | None = None,
    color_map: str | Colormap | None = None,
    palette: Palette | ListedColormap | ColorType | Sequence[Any] | None = None,
    frameon: bool | None = None,
    right_margin: float | None = None,
    left_margin: float | None = None,
    size: float | None = None,
    marker: str | Sequence[str] = ".",
    title: str | Collection[str] | None = None,
    show: bool | None = None,
    save: Save = None,
    ax: Axes | None = None,
) -> Axes | list[Axes] | None:
    """Scatter plot of observations, or of variables if ``x`` and ``y`` describe these.

    Parameters
    ----------
    adata
        What to plot.
    x, y
        Columns of ``obs`` or genes; or columns of ``var`` or names of observations.
    color
        Columns or names as for ``x``, or colours, a panel each. A name in both is the column.
    use_raw
        Whether genes come from ``raw``; by default if there is one and no ``layers`` are given.
    layers
        Layer that genes come from, or three layers, for ``x``, ``y`` and ``color``; None or
        ``"X"`` is ``X``.
    sort_order
        Whether points with high values are drawn on top.
    alpha
        Opacity of the points.
    basis
        Embedding in ``obsm`` in place of ``x`` and ``y``, with or without ``X_``.
    groups
        Categories to colour; the others are light grey.
    components
        Dimensions of the embedding counted from 1, ``"1,2"`` by default. The first one of
        ``"diffmap"`` is the second that is stored, as the first is constant.
    projection
        ``"3d"`` draws three components of an embedding.
    legend_loc
        ``"right margin"``, ``"on data"``, a position that matplotlib knows, or ``"none"``.
        ``"on data export"`` also writes the positions of the labels into ``pos.csv`` in
        ``settings.writedir``, a row for each category, NaN for those without a label.
    legend_fontsize, legend_fontweight, legend_fontoutline
        Font of the legend; width in points of a white outline around labels on the data.
    color_map
        Colour map of numeric values.
    palette
        Colours of categories: name of a colour map, list, mapping or cycler; or a list of lists,
        one for each panel with categories. Kept in ``uns[f"{color}_colors"]``.
    frameon
        Whether to draw a frame and axis labels around an embedding. Default
        ``settings.frameon``.
    right_margin
        Space on the right of each panel as a share of its width.
    left_margin
        Not supported, as in scanpy.
    size
        Area of points in square points. Default 120000 / number of points.
    marker
        Matplotlib marker, or one for each panel.
    title
        Title of each panel; by default what it is coloured by.
    show, save
        See :mod:`lazyomics.pl`.
    ax
        Axes to draw into, as many as there are panels.

    Returns
    -------
    The axes, a list for several panels, or None if the figure was shown. Sets
    ``uns[f"{color}_colors"]`` for categories that have no colours.

    Raises
    ------
    KeyError
        If ``basis`` or a layer is unknown.
    ValueError
        If ``x``, ``y`` and ``color`` are not all found on the same axis, ``groups`` has a name
        that is no category, or parameters contradict each other.

    Notes
    -----
    Passes over X: 1 if genes are among ``x``, ``y`` and ``color``, for all of them (1 over each
    layer), else 0. Peak memory: n_obs values for each of them.

    ``sort_order=False`` is obeyed, which scanpy does not; ``uns["highlights"]`` is not drawn.

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"total_counts": [5, 6, 9], "pct_mito": [1, 0, 2]}, index=list("abc"))
    >>> adata = lo.AnnData(np.eye(3), obs=obs)
    >>> ax = lo.pl.scatter(adata, "total_counts", "pct_mito", show=False)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('total_counts', 'pct_mito')
    """
    check_annotated(adata, "pl.scatter")
    if left_margin is not None:
        raise NotImplementedError("left_margin is not supported; give right_margin")
    if projection not in ("2d", "3d"):
        raise ValueError(f"projection={projection!r}: expected '2d' or '3d'")
    legend = _Legend.of(legend_loc, legend_fontsize, legend_fontweight, legend_fontoutline)
    keys: list[Any] = ["grey"] if color is None else _as_list(color)
    markers = [marker] if isinstance(marker, str) else list(marker)
    panels = cast("list[tuple[Key, str]]", spread(("color", "marker"), keys, markers))
    points, values, labels = _content(
        adata, x, y, [key for key, _ in panels], basis, components, projection, use_raw, layers
    )
    shown = _groups(groups, [column for column in values if isinstance(column, pd.Categorical)])
    palettes = _Palettes(palette)
    margin = right_margin
    grouped = any(isinstance(column, pd.Categorical) for column in values)
    if margin is None and grouped and legend.loc == "right margin":
        margin = 0.5
    bars = [isinstance(column, np.ndarray) for column in values]
    figure, axes, width = _axes(ax, bars, margin, projection, ticks=basis is None)
    style = _Style(
        size=POINT_AREA / max(len(points[0]), 1) if size is None else size,
        alpha=alpha,
        cmap=colormap(color_map),
        groups=shown,
        legend=legend,
        sort_order=sort_order,
    )
    for place, (panel, (key, mark)) in enumerate(zip(axes, panels, strict=True)):
        column = values[place]
        if isinstance(column, pd.Categorical):
            colors = category_colors(adata, str(key), column.categories, palettes.next())
            _draw_groups(panel, points, column, colors, style, mark)
        else:
            drawn = _draw_points(panel, points, key if column is None else column, style, mark)
        if bars[place]:
            _draw_bar(panel, drawn, width / len(panels), projection)
        panel.set_title(_title(title, place, key, flat=column is None))
        _finish_panel(panel, labels, ticks=basis is None)
    if not (settings.frameon if frameon is None else frameon) and basis is not None:
        for panel in axes:
            panel.set(xlabel="", ylabel="", frame_on=False)
    result: Axes | list[Axes] = axes if len(axes) > 1 else axes[0]
    name = "scatter" if basis is None else basis
    return finish(figure, result, name=name, show=show, save=save, owned=ax is None)


def _as_list(color: Any) -> list[Key]:
    keys = [color] if isinstance(color, str) or is_color_like(color) else list(color)
    if not keys:
        raise ValueError("color is an empty list; give None to plot without colours")
    return keys


def _title(title: str | Collection[str] | None, panel: int, key: Key, *, flat: bool) -> str:
    titles = [title] if isinstance(title, str) else list(title or ())
    if panel < len(titles):
        return titles[panel]
    return "" if flat or is_color_like(key) else str(key).replace("_", " ")


Points = list[npt.NDArray[Any]]


@dataclass(frozen=True)
class _Side:
    """What points stand for: observations or variables.

    Attributes
    ----------
    name
        ``"obs"`` or ``"var"``.
    table
        Their annotation.
    names
        Names of the other axis.
    read
        Values of some of these names from a layer, a column each, in one pass.
    """

    name: str
    table: pd.DataFrame
    names: pd.Index[Any]
    read: Callable[[list[str], str | None], pd.DataFrame]

    @classmethod
    def of(cls, adata: AnnData, axis: str, *, use_raw: bool) -> _Side:
        """Side of an AnnData."""
        if axis == "var":

            def rows(keys: list[str], layer: str | None) -> pd.DataFrame:
                return var_df(adata, keys=keys, layer=layer)

            return cls("var", adata.var, adata.obs_names, rows)

        def columns(keys: list[str], layer: str | None) -> pd.DataFrame:
            return obs_df(adata, keys=keys, layer=layer, use_raw=use_raw)

        raw = adata.raw if use_raw else None
        names = adata.var_names if raw is None else raw.var_names
        return cls("obs", adata.obs, names, columns)

    def lacks(self, key: Key) -> bool:
        """Whether a key is neither a column nor a name."""
        return key not in self.table.columns and key not in self.names

    def values(self, keys: Sequence[tuple[Key, str | None]]) -> list[Values | None]:
        """Values of keys from their layers, None for colours; each layer is read once."""
        wanted: dict[str | None, dict[str, None]] = {}
        for key, layer in keys:
            if key not in self.table.columns and key in self.names:
                wanted.setdefault(layer, {})[str(key)] = None
        frames = {layer: self.read(list(names), layer) for layer, names in wanted.items()}
        return [self._values(key, frames.get(layer)) for key, layer in keys]

    def _values(self, key: Key, frame: pd.DataFrame | None) -> Values | None:
        if key not in self.table.columns:
            return frame[key].to_numpy() if frame is not None and key in frame.columns else None
        column = self.table[str(key)]
        if pd.api.types.is_bool_dtype(column.dtype):
            missing = column.isna().any()
            return column.to_numpy(float, na_value=np.nan) if missing else column.to_numpy(bool)
        return column_values(column)


def _content(
    adata: AnnData,
    x: str | None,
    y: str | None,
    colors: list[Key],
    basis: str | None,
    components: str | Collection[str] | None,
    projection: str,
    use_raw: bool | None,
    layers: str | Collection[str | None] | None,
) -> tuple[Points, list[Values | None], list[str]]:
    """What is plotted: coordinates, values of each colour, and axis labels."""
    if basis is None and (x is None or y is None):
        raise ValueError("give either basis or both x and y")
    chosen = _layers(adata, layers)
    raw = _use_raw(adata, use_raw, chosen)
    side = _Side.of(adata, "obs", use_raw=raw)
    place = [] if basis is not None else [cast("str", x), cast("str", y)]
    missing = _missing(side, place, colors)
    if missing and basis is None:
        other = _Side.of(adata, "var", use_raw=False)
        side, missing = (side, missing) if _missing(other, place, colors) else (other, [])
    if missing:
        raise ValueError(
            f"{missing} are neither columns of obs nor genes, and x, y and color must all be on "
            "the same axis (columns of obs and genes, or columns of var and observations); "
            f"{choices(missing, [*adata.obs.columns, *adata.var_names])}"
        )
    asked = [*zip(place, chosen, strict=False), *((key, chosen[2]) for key in colors)]
    found = side.values(asked)
    if basis is None:
        points = [np.asarray(column) for column in found[:2]]
        return points, found[2:], [str(x), str(y)]
    dims = _components(components, projection)
    stored = coordinates(adata, basis)
    shift = 1 if basis == "diffmap" else 0  # the first one is constant
    if min(dims) < 0 or max(dims) + shift >= stored.shape[1]:
        raise ValueError(f"components={components!r}: {basis!r} has {stored.shape[1]} dimensions")
    return [stored[:, dim + shift] for dim in dims], found, axis_names(basis, dims)


def _missing(side: _Side, place: Sequence[str], colors: Sequence[Key]) -> list[Key]:
    unknown = [key for key in place if side.lacks(key)]
    return [*unknown, *(key for key in colors if side.lacks(key) and not is_color_like(key))]


def _layers(adata: AnnData, layers: str | Collection[str | None] | None) -> Layers:
    given = [layers] * 3 if layers is None or isinstance(layers, str) else list(layers)
    if len(given) != 3:
        raise ValueError(f"layers={layers!r}: expected one name, or three (of x, y and color)")
    for layer in given:
        if layer not in (None, "X") and layer not in adata.layers:
            raise KeyError(
                f"layers={layers!r}: {layer!r} is not in layers; {choices(layer, adata.layers)}"
            )
    x, y, color = (None if layer == "X" else layer for layer in given)
    return x, y, color


def _use_raw(adata: AnnData, use_raw: bool | None, layers: Layers) -> bool:
    layered = layers != (None, None, None)
    if use_raw and layered:
        raise ValueError("either use_raw=True or layers, not both")
    if use_raw and adata.raw is None:
        raise ValueError("use_raw=True, but this AnnData has no raw")
    return adata.raw is not None and not layered if use_raw is None else use_raw


def _components(components: str | Collection[str] | None, projection: str) -> list[int]:
    count = 3 if projection == "3d" else 2
    given = "1,2,3"[: 2 * count - 1] if components is None else components
    parts = given.split(",") if isinstance(given, str) else list(given)
    try:
        dims = [int(part) - 1 for part in parts]
    except ValueError:
        dims = []
    if len(dims) != count:
        raise ValueError(f"components={components!r}: expected {count} numbers such as '1,2'")
    return dims


def _groups(
    groups: str | Iterable[str] | None, columns: Sequence[pd.Categorical]
) -> list[str] | None:
    if groups is None:
        return None
    names = [groups] if isinstance(groups, str) else list(groups)
    for column in columns:
        unknown = [name for name in names if name not in column.categories]
        if unknown:
            raise ValueError(f"groups: {unknown} are not among {list(column.categories)}")
    return names


class _Palettes:
    """Palettes of the panels with categories, one after the other."""

    def __init__(self, palette: Any) -> None:
        nested = isinstance(palette, Sequence) and not isinstance(palette, str)
        if nested and palette and not is_color_like(palette[0]):
            self._waiting = list(palette)
        else:
            self._waiting = [palette]

    def next(self) -> Palette | None:
        """Palette of the next panel; the last one is used again."""
        palette = self._waiting.pop(0) if len(self._waiting) > 1 else self._waiting[0]
        if isinstance(palette, ListedColormap):
            return cast("Palette", palette.colors)
        if isinstance(palette, str) and palette not in mpl.colormaps and is_color_like(palette):
            return [palette]
        if isinstance(palette, Cycler | None):
            return palette
        return cast("Palette", palette)


@dataclass(frozen=True)
class _Legend:
    """Legend as the caller asked for it."""

    loc: str
    fontsize: float | str
    fontweight: int | str
    outline: float | None

    @classmethod
    def of(
        cls,
        loc: str | None,
        fontsize: float | str | None,
        fontweight: int | str | None,
        outline: float | None,
    ) -> _Legend:
        loc = "none" if loc is None else loc
        if loc not in LEGENDS:
            raise ValueError(f"legend_loc={loc!r}: expected one of {list(LEGENDS)}")
        size = mpl.rcParams["legend.fontsize"] if fontsize is None else fontsize
        return cls(loc, size, "bold" if fontweight is None else fontweight, outline)

    @property
    def is_on_data(self) -> bool:
        """Whether the labels stand in the middles of the groups."""
        return self.loc.startswith("on data")

    def draw(self, ax: Axes, categories: pd.Index, middles: dict[Any, list[Any]]) -> None:
        """Add the legend of drawn groups, some of which have a middle."""
        if self.is_on_data:
            effects = None
            if self.outline is not None:
                effects = [patheffects.withStroke(linewidth=self.outline, foreground="w")]
            for name, (x, y, *_) in middles.items():
                ax.text(
                    x,
                    y,
                    str(name),
                    weight=self.fontweight,
                    verticalalignment="center",
                    horizontalalignment="center",
                    fontsize=self.fontsize,
                    path_effects=effects,
                )
            if self.loc == "on data export":
                _export([middles.get(name, [np.nan, np.nan])[:2] for name in categories])
            return
        if self.loc == "none":
            return
        where: dict[str, Any] = {"loc": self.loc}
        if self.loc == "right margin":
            columns = min(legend_columns(len(categories)), 3)
            where = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "ncol": columns}
        legend = ax.legend(frameon=False, fontsize=self.fontsize, **where)
        for handle in legend.legend_handles:
            cast("Any", handle).set_sizes([LEGEND_AREA])


@dataclass(frozen=True)
class _Style:
    """What all panels have in common."""

    size: float
    alpha: float | None
    cmap: Colormap
    groups: list[str] | None
    legend: _Legend
    sort_order: bool


def _scatter(ax: Axes, points: Points, **look: Any) -> Any:
    """Draw points in two or three dimensions."""
    panel = cast("Any", ax)
    edge = "none" if MarkerStyle(look["marker"]).is_filled() else None
    return panel.scatter(*points, edgecolors=edge, rasterized=settings.vector_friendly, **look)


def _draw_points(ax: Axes, points: Points, color: Any, style: _Style, marker: str) -> Any:
    """Draw points of one colour, or of one by their values."""
    look: dict[str, Any] = {"c": color}
    if isinstance(color, np.ndarray):
        order = np.argsort(color) if style.sort_order else slice(None)
        points, look = [part[order] for part in points], {"c": color[order], "cmap": style.cmap}
    return _scatter(
        ax,
        points,
        **look,
        marker=marker,
        alpha=style.alpha,
        s=style.size,
    )


def _draw_groups(
    ax: Axes,
    points: Points,
    column: pd.Categorical,
    colors: dict[Any, str],
    style: _Style,
    marker: str,
) -> None:
    """Draw one group after the other, and what is in none of them below."""
    ignored = set(settings.categories_to_ignore)
    names = [name for name in column.categories if name not in ignored]
    rest = np.ones(len(column), dtype=bool)
    middles: dict[Any, list[Any]] = {}
    for name in names if style.groups is None else style.groups:
        mask = np.asarray(column == name)
        rest &= ~mask
        _scatter(
            ax,
            [part[mask] for part in points],
            marker=marker,
            alpha=style.alpha,
            c=colors[name],
            s=style.size,
            label=str(name),
        )
        if style.legend.is_on_data and mask.any():
            middles[name] = _middle(points, mask)
    if rest.any():
        _scatter(
            ax,
            [part[rest] for part in points],
            marker=marker,
            c="lightgrey",
            s=style.size,
            zorder=-1,
        )
    style.legend.draw(ax, column.categories, middles)


def _export(positions: list[list[Any]]) -> None:
    """Write where the labels of all categories are, as scanpy does."""
    path = settings.writedir / "pos.csv"
    logging.warning(f"exporting label positions to {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, np.array(positions, dtype=float), delimiter=",")


def _middle(points: Points, mask: npt.NDArray[np.bool_]) -> list[Any]:
    """Point of a group that is nearest to its median."""
    group = np.column_stack([part[mask] for part in points])
    nearest = np.argmin(np.abs(group - np.median(group, axis=0)).sum(axis=1))
    return list(group[nearest])


BAR_WIDTH = 0.006


def _draw_bar(ax: Axes, drawn: Any, width: float, projection: str) -> None:
    """Draw the colour bar on the right of a panel, and as high."""
    box = ax.get_position(original=True)
    wide = BAR_WIDTH * width
    left = box.x1 + (1.2 if projection == "3d" else 0.2) * wide
    figure = figure_of(ax)
    place = figure.add_axes((left, box.y0, wide, box.height))
    figure.colorbar(drawn, format=FuncFormatter(short_number), cax=place)


def _finish_panel(ax: Axes, labels: Sequence[str], *, ticks: bool) -> None:
    panel = cast("Any", ax)  # of three dimensions, perhaps
    panel.set(xlabel=labels[0], ylabel=labels[1])
    if not ticks:
        panel.set(xticks=[], yticks=[])
    if len(labels) > 2:
        panel.set(zticks=[])
        panel.set_zlabel(labels[2], labelpad=-7)
    panel.autoscale_view()


def _axes(
    ax: Axes | Sequence[Axes] | None,
    bars: Sequence[bool],
    margin: float | Sequence[float] | None,
    projection: str,
    *,
    ticks: bool,
) -> tuple[Figure, list[Axes], float]:
    """Axes of the panels side by side, and the width of one in inches.

    Parameters
    ----------
    ax
        Axes of the caller.
    bars
        Whether each panel has a colour bar.
    margin
        Space on the right of each panel as a share of its width.
    projection
        ``"2d"`` or ``"3d"``.
    ticks
        Whether there is to be room for ticks.
    """
    rc, count = mpl.rcParams, len(bars)
    if margin is None:
        margin = 1 - rc["figure.subplot.right"] + (0.21 if any(bars) else 0.06)
    margins = [margin] * count if isinstance(margin, float | int) else list(margin)
    if len(margins) != count:
        raise ValueError(f"right_margin has {len(margins)} entries for {count} panels")
    above, below = 1 - rc["figure.subplot.top"], 0.15 if ticks else 0.08
    width, height = rc["figure.figsize"]
    offset = 1.0 if ticks else 0.3  # inches
    panel = (1.1 * width if ticks else width) - offset - above - 0.5
    if ax is not None:
        given = list(ax) if isinstance(ax, Sequence) else [ax]
        if len(given) != count:
            raise ValueError(f"ax: {count} panels are asked for, and axes for {len(given)} given")
        return figure_of(given[0]), given, panel
    total = sum(1 + share for share in margins) * panel + count * offset
    room = SubplotParams(left=0, right=1, bottom=below)
    figure = plt.figure(figsize=(total, height), subplotpars=room)
    axes, left = [], offset / total
    kind: dict[str, Any] = {"projection": "3d"} if projection == "3d" else {}
    for share in margins:
        box = (left, below, panel / total, 1 - above - below)
        axes.append(figure.add_axes(box, **kind))
        left += (1 + share) * panel / total
    return figure, axes, panel
