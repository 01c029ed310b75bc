"""Figures: theme, panels, legends, sizes of text, saving."""

from __future__ import annotations

import builtins
import math
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from cycler import cycler
from matplotlib import patheffects
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.backends.registry import BackendFilter, backend_registry
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.gridspec import GridSpec
from matplotlib.textpath import TextPath
from matplotlib.typing import ColorType

from lazyomics.options import settings

__all__ = [
    "DEFAULT_20",
    "DEFAULT_28",
    "DEFAULT_102",
    "POINTS_PER_INCH",
    "R_COLORS",
    "LegendStyle",
    "Save",
    "add_legend",
    "figure_of",
    "figure_path",
    "finish",
    "font_points",
    "is_shown",
    "legend_columns",
    "legend_width",
    "panel_axes",
    "panel_grid",
    "panel_row",
    "save_dpi",
    "set_figure_params",
    "set_rcParams_defaults",
    "set_rcParams_scanpy",
    "short_number",
    "spread",
    "widest",
]


def panel_axes(
    legends: Sequence[float],
    ax: Axes | None,
    *,
    ncols: int,
    hspace: float,
    wspace: float | None,
    projection: str | None = None,
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
    projection
        Kind of the axes, None for usual ones.
    """
    count = len(legends)
    if count == 1:
        ax = plt.figure().add_subplot(projection=projection) if ax is None else ax
        return figure_of(ax), [ax]
    if ax is not None:
        raise ValueError(f"ax takes a single panel, but {count} are asked for")
    if wspace is None:
        # The legend of the last panel of a row may reach over the edge of the figure.
        inner = [width for i, width in enumerate(legends) if (i + 1) % ncols and i + 1 < count]
        # 0.75 inches are enough for a colour bar, 0.4 for the axis label of the next panel.
        room = max([0.75, *(0.4 + width for width in inner)])
        wspace = 0.02 + room / mpl.rcParams["figure.figsize"][0]
    return panel_grid(count, ncols=ncols, hspace=hspace, wspace=wspace, projection=projection)


def panel_grid(
    count: int, *, ncols: int, hspace: float, wspace: float, projection: str | None = None
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
    projection
        Kind of the axes, None for usual ones.
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
    return figure, [figure.add_subplot(grid[i], projection=projection) for i in range(count)]


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


POINTS_PER_INCH = 72


def font_points(size: float | str | None) -> float:
    """Size in points of a font size in matplotlib's terms, such as ``"small"``."""
    return float(FontProperties(size=size).get_size_in_points())


def widest(labels: Iterable[object], *, fontsize: float | str | None) -> float:
    """Width in inches of the widest label, 0 if there is none.

    Examples
    --------
    >>> widest([], fontsize=10)
    0.0
    >>> 0.4 < widest(["B cells", "NK"], fontsize=10) < 0.8
    True
    """
    points = font_points(fontsize)
    with warnings.catch_warnings():
        # A glyph that the font lacks is reported when the figure is drawn.
        warnings.simplefilter("ignore")
        return max((_width(str(label), points) for label in labels), default=0.0)


def _width(label: str, points: float) -> float:
    if not label.strip():
        return 0.0
    extents = TextPath((0, 0), label, size=points).get_extents()
    return float(extents.width) / POINTS_PER_INCH


@dataclass(frozen=True)
class LegendStyle:
    """How a legend looks; the attributes are the parameters of :func:`lazyomics.pl.embedding`."""

    loc: Any = "right margin"
    fontsize: float | str | None = None
    fontweight: int | str = "bold"
    fontoutline: float | None = None
    na_color: str = "#d3d3d3"
    na_in_legend: bool = True


def add_legend(
    ax: Axes,
    groups: pd.Categorical,
    points: npt.NDArray[Any],
    *,
    colors: Mapping[Any, str],
    style: LegendStyle,
    shrink: bool,
) -> None:
    """Add the legend of coloured points.

    Parameters
    ----------
    ax
        Axes with the points.
    groups
        Category of each point, shape (n_obs,).
    points
        Coordinates, shape (n_obs, 2) or (n_obs, 3).
    colors
        Colour by category.
    style
        How the legend looks.
    shrink
        Whether to give a tenth of the panel to the legend, so that it ends up as wide as one with
        a colour bar.
    """
    labels = list(groups.categories)
    shown = dict(colors)
    if style.na_in_legend and groups.isna().any():
        label = "NA" if "NA" not in shown else "missing"
        groups = groups.add_categories([label]).fillna(label)
        labels, shown[label] = [*labels, label], style.na_color
    if shrink:
        box = ax.get_position()
        ax.set_position((box.x0, box.y0, box.width * 0.91, box.height))
    if style.loc == "on data":
        _label_groups(ax, groups, points, style)
    elif style.loc not in {None, "none"}:
        for label in labels:
            ax.scatter([], [], c=shown[label], label=str(label))
        _place(ax, len(labels), style)


def legend_width(labels: pd.Index[Any], style: LegendStyle) -> float:
    """Width in inches that a legend in the right margin takes, 0 if it is elsewhere."""
    if style.loc != "right margin" or len(labels) == 0:
        return 0.0
    rc = mpl.rcParams
    size = rc["legend.fontsize"] if style.fontsize is None else style.fontsize
    em = font_points(size) / POINTS_PER_INCH
    columns = min(legend_columns(len(labels)), len(labels))
    column = (rc["legend.handlelength"] + rc["legend.handletextpad"]) * em
    column += widest(labels, fontsize=size)
    between = (columns - 1) * rc["legend.columnspacing"] * em
    border = 2 * (rc["legend.borderpad"] + rc["legend.borderaxespad"]) * em
    return float(columns * column + between + border)


def legend_columns(labels: int) -> int:
    """Columns of a legend in the right margin."""
    return (
        1 if labels <= 14 else 2 if labels <= 30 else 3 if labels <= 102 else math.ceil(labels / 34)
    )


def _place(ax: Axes, labels: int, style: LegendStyle) -> None:
    if style.loc == "right margin":
        ax.legend(
            frameon=False,
            loc="center left",
            bbox_to_anchor=(1, 0.5),
            ncol=legend_columns(labels),
            fontsize=style.fontsize,
        )
    else:
        ax.legend(loc=style.loc, fontsize=style.fontsize)


def _label_groups(
    ax: Axes, groups: pd.Categorical, points: npt.NDArray[Any], style: LegendStyle
) -> None:
    effects = None
    if style.fontoutline is not None:
        effects = [patheffects.withStroke(linewidth=style.fontoutline, foreground="w")]
    for code, label in enumerate(groups.categories):
        members = points[groups.codes == code]
        if len(members) == 0:
            continue
        place = np.nanmedian(members, axis=0)
        panel: Any = ax  # of three dimensions, perhaps
        panel.text(
            *place,
            str(label),
            weight=style.fontweight,
            verticalalignment="center",
            horizontalalignment="center",
            fontsize=style.fontsize,
            path_effects=effects,
        )


# fmt: off
DEFAULT_20: Final[tuple[str, ...]] = (
    "#1f77b4", "#ff7f0e", "#279e68", "#d62728", "#aa40fc", "#8c564b", "#e377c2", "#b5bd61",
    "#17becf", "#aec7e8", "#ffbb78", "#98df8a", "#ff9896", "#c5b0d5", "#c49c94", "#f7b6d2",
    "#dbdb8d", "#9edae5", "#ad494a", "#8c6d31",
)

DEFAULT_28: Final[tuple[str, ...]] = (
    "#023fa5", "#7d87b9", "#bec1d4", "#d6bcc0", "#bb7784", "#8e063b", "#4a6fe3", "#8595e1",
    "#b5bbe3", "#e6afb9", "#e07b91", "#d33f6a", "#11c638", "#8dd593", "#c6dec7", "#ead3c6",
    "#f0b98d", "#ef9708", "#0fcfc0", "#9cded6", "#d5eae7", "#f3e1eb", "#f6c4e1", "#f79cd4",
    "#7f7f7f", "#c7c7c7", "#1CE6FF", "#336600",
)

DEFAULT_102: Final[tuple[str, ...]] = (
    "#FFFF00", "#1CE6FF", "#FF34FF", "#FF4A46", "#008941", "#006FA6", "#A30059", "#FFDBE5",
    "#7A4900", "#0000A6", "#63FFAC", "#B79762", "#004D43", "#8FB0FF", "#997D87", "#5A0007",
    "#809693", "#6A3A4C", "#1B4400", "#4FC601", "#3B5DFF", "#4A3B53", "#FF2F80", "#61615A",
    "#BA0900", "#6B7900", "#00C2A0", "#FFAA92", "#FF90C9", "#B903AA", "#D16100", "#DDEFFF",
    "#000035", "#7B4F4B", "#A1C299", "#300018", "#0AA6D8", "#013349", "#00846F", "#372101",
    "#FFB500", "#C2FFED", "#A079BF", "#CC0744", "#C0B9B2", "#C2FF99", "#001E09", "#00489C",
    "#6F0062", "#0CBD66", "#EEC3FF", "#456D75", "#B77B68", "#7A87A1", "#788D66", "#885578",
    "#FAD09F", "#FF8A9A", "#D157A0", "#BEC459", "#456648", "#0086ED", "#886F4C", "#34362D",
    "#B4A8BD", "#00A6AA", "#452C2C", "#636375", "#A3C8C9", "#FF913F", "#938A81", "#575329",
    "#00FECF", "#B05B6F", "#8CD0FF", "#3B9700", "#04F757", "#C8A1A1", "#1E6E00", "#7900D7",
    "#A77500", "#6367A9", "#A05837", "#6B002C", "#772600", "#D790FF", "#9B9700", "#549E79",
    "#FFF69F", "#201625", "#72418F", "#BC23FF", "#99ADC0", "#3A2465", "#922329", "#5B4534",
    "#FDE8DC", "#404E55", "#0089A3", "#CB7E98", "#A4E804", "#324E72",
)

# Colour names of R that files written from R hold and that matplotlib does not know.
R_COLORS: Final[dict[str, str]] = {
    "gold2": "#eec900", "firebrick3": "#cd2626", "khaki2": "#eee685",
    "slategray3": "#9fb6cd", "palegreen3": "#7ccd7c", "tomato2": "#ee5c42",
    "grey80": "#cccccc", "grey90": "#e5e5e5", "wheat4": "#8b7e66",
    "grey65": "#a6a6a6", "grey10": "#1a1a1a", "grey20": "#333333",
    "grey50": "#7f7f7f", "grey30": "#4d4d4d", "grey40": "#666666",
    "antiquewhite2": "#eedfcc", "grey77": "#c4c4c4", "snow4": "#8b8989",
    "chartreuse3": "#66cd00", "yellow4": "#8b8b00", "darkolivegreen2": "#bcee68",
    "olivedrab3": "#9acd32", "azure3": "#c1cdcd", "violetred": "#d02090",
    "mediumpurple3": "#8968cd", "purple4": "#551a8b", "seagreen4": "#2e8b57",
    "lightblue3": "#9ac0cd", "orchid3": "#b452cd", "indianred 3": "#cd5555",
    "grey60": "#999999", "mediumorchid1": "#e066ff", "plum3": "#cd96cd",
    "palevioletred3": "#cd6889",
}
# fmt: on


def set_figure_params(
    *,
    scanpy: bool = True,
    dpi: float | None = 80,
    dpi_save: float | None = 150,
    frameon: bool = True,
    vector_friendly: bool = True,
    fontsize: float = 14,
    figsize: tuple[float, float] | list[float] | None = None,
    color_map: str | None = None,
    format: str = "pdf",
    facecolor: ColorType | None = None,
    transparent: bool | None = False,
    ipython_format: str | Iterable[str] = "retina",
) -> None:
    """Set size, resolution and style of all following figures.

    Parameters
    ----------
    scanpy
        Whether to set scanpy's style in ``matplotlib.rcParams`` (4 × 4 inch figures, grid lines,
        20 category colours, one font size for everything).
    dpi
        Dots per inch on the screen.
    dpi_save
        Dots per inch in files.
    frameon
        Whether scatter plots have a frame and axis labels.
    vector_friendly
        Whether points are drawn as an image also in PDF and SVG files.
    fontsize
        Font size in points; needs ``scanpy=True``.
    figsize
        Width and height of a panel in inches.
    color_map
        Colour map of numeric values; needs ``scanpy=True``.
    format
        File format of ``save=True``.
    facecolor
        Background colour.
    transparent
        Whether files have a transparent background.
    ipython_format
        Formats in which notebooks show figures, see
        :func:`matplotlib_inline.backend_inline.set_matplotlib_formats`.

    Examples
    --------
    >>> import lazyomics as lo
    >>> import matplotlib as mpl
    >>> with mpl.rc_context():
    ...     lo.pl.set_figure_params(fontsize=18, figsize=[6, 6])
    ...     mpl.rcParams["font.size"]
    18.0
    """
    changes: dict[str, Any] = {
        "figure.dpi": dpi,
        "savefig.dpi": dpi_save,
        "savefig.transparent": transparent,
        "figure.facecolor": facecolor,
        "axes.facecolor": facecolor,
    }
    if scanpy:
        # A background that the caller chose wins over the style's white.
        changes = {**_scanpy_style(fontsize), **{k: v for k, v in changes.items() if v is not None}}
        changes["image.cmap"] = color_map
    changes["figure.figsize"] = changes.get("figure.figsize") if figsize is None else figsize
    given: Any = {key: value for key, value in changes.items() if value is not None}
    mpl.rcParams.update(given)
    if hasattr(builtins, "__IPYTHON__"):
        names = [ipython_format] if isinstance(ipython_format, str) else ipython_format
        _set_notebook_formats(names)
    settings.file_format_figs = format
    settings.frameon = frameon
    settings.vector_friendly = vector_friendly


def set_rcParams_scanpy(fontsize: float = 14, color_map: str | None = None) -> None:
    """Set scanpy's style in ``matplotlib.rcParams``, see :func:`set_figure_params`.

    Parameters
    ----------
    fontsize
        Font size in points.
    color_map
        Colour map of numeric values.
    """
    style: Any = _scanpy_style(fontsize)
    if color_map is not None:
        style["image.cmap"] = color_map
    mpl.rcParams.update(style)


def set_rcParams_defaults() -> None:
    """Set ``matplotlib.rcParams`` to matplotlib's defaults."""
    mpl.rcParams.update(mpl.rcParamsDefault)


def _set_notebook_formats(names: Iterable[str]) -> None:
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    set_matplotlib_formats(*names)


def _scanpy_style(fontsize: float) -> dict[str, Any]:
    return {
        "figure.figsize": (4, 4),
        "figure.subplot.left": 0.18,
        "figure.subplot.right": 0.96,
        "figure.subplot.bottom": 0.15,
        "figure.subplot.top": 0.91,
        "lines.linewidth": 1.5,
        "lines.markersize": 6,
        "lines.markeredgewidth": 1,
        "font.sans-serif": [
            "Arial",
            "Helvetica",
            "DejaVu Sans",
            "Bitstream Vera Sans",
            "sans-serif",
        ],
        "font.size": fontsize,
        "legend.fontsize": 0.92 * fontsize,
        "axes.titlesize": fontsize,
        "axes.labelsize": fontsize,
        "legend.numpoints": 1,
        "legend.scatterpoints": 1,
        "legend.handlelength": 0.5,
        "legend.handletextpad": 0.4,
        "axes.prop_cycle": cycler(color=DEFAULT_20),
        "axes.linewidth": 0.8,
        "axes.edgecolor": "black",
        "axes.facecolor": "white",
        "xtick.color": "k",
        "ytick.color": "k",
        "xtick.labelsize": fontsize,
        "ytick.labelsize": fontsize,
        "axes.grid": True,
        "grid.color": ".8",
    }


Save = bool | str | os.PathLike[str] | None

T = TypeVar("T")

EXTENSIONS = (".svg", ".pdf", ".png")
LOWEST_DPI = 150  # matplotlib's own 100 makes axis labels hard to read in a file


def figure_path(name: str, save: bool | str | os.PathLike[str]) -> Path:
    """File that ``save`` means for a plot called ``name``.

    Parameters
    ----------
    name
        Name of the plot, such as ``"umap"``.
    save
        ``True``, a text to append to the name, or a path (see :mod:`lazyomics.pl`).

    Examples
    --------
    >>> figure_path("umap", True).as_posix()
    'figures/umap.pdf'
    >>> figure_path("umap", "_cd4.png").as_posix()
    'figures/umap_cd4.png'
    >>> figure_path("umap", "out/cd4.png").as_posix()
    'out/cd4.png'
    """
    name = f"{name}{settings.plot_suffix}"
    if isinstance(save, bool):
        return settings.figdir / f"{name}.{settings.file_format_figs}"
    if not isinstance(save, str) or os.path.dirname(save):
        path = Path(save)
        return path if path.suffix else path.with_name(f"{path.name}.{settings.file_format_figs}")
    ending = "" if save.endswith(EXTENSIONS) else f".{settings.file_format_figs}"
    return settings.figdir / f"{name}{save}{ending}"


def finish(
    figure: Figure, axes: T, *, name: str, show: bool | None, save: Save, owned: bool
) -> T | None:
    """Save and show a figure as asked; return ``axes`` unless it was shown.

    Parameters
    ----------
    figure
        The finished figure.
    axes
        What the plotting function returns.
    name
        Name of the plot, for the file.
    show, save
        As the plotting functions take them (see :mod:`lazyomics.pl`).
    owned
        Whether the plotting function made the figure. A saved figure is closed then, so that a
        script which saves many does not keep them all.
    """
    save = settings.autosave if save is None else save
    if save:
        path = figure_path(name, save)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=save_dpi(), bbox_inches="tight")
    shown = is_shown(show)
    if shown:
        plt.show()
    if save and owned:
        plt.close(figure)
    return None if shown else axes


def is_shown(show: bool | None) -> bool:
    """Whether a figure is shown: if asked for, by default where the backend can."""
    return settings.autoshow and _can_show() if show is None else show


def save_dpi() -> float:
    """Dots per inch of files."""
    dpi = mpl.rcParams["savefig.dpi"]
    return max(LOWEST_DPI, mpl.rcParams["figure.dpi"]) if dpi == "figure" else float(dpi)


def _can_show() -> bool:
    backend = mpl.get_backend().lower()
    return backend not in backend_registry.list_builtin(BackendFilter.NON_INTERACTIVE)


def short_number(value: float, _: object) -> str:
    """Write a number beside a colour bar, with three decimals at most."""
    return f"{value:.3f}".rstrip("0").rstrip(".")
