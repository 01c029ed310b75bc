"""Violin plots."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cbook import boxplot_stats
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.typing import ColorType
from scipy.stats import gaussian_kde

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.names import choices
from lazyomics.options import settings
from lazyomics.pl.coloring import Palette, category_colors
from lazyomics.pl.figure import Save, figure_of, finish, panel_row, widest
from lazyomics.pl.hues import desaturated
from lazyomics.pl.keywords import checked_keywords
from lazyomics.pl.values import as_categories, choose_raw, plot_values

__all__ = [
    "OF_VIOLINS",
    "OTHER_NAMES",
    "Body",
    "Density",
    "DensityNorm",
    "DensityShape",
    "Inner",
    "Strip",
    "ViolinOptions",
    "ViolinStyle",
    "draw_bodies",
    "draw_inner",
    "draw_points",
    "draw_violins",
    "estimate",
    "half_widths",
    "shade",
    "violin",
]


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


DensityNorm = Literal["area", "count", "width"]


@dataclass(frozen=True)
class DensityShape:
    """How densities are estimated.

    Attributes
    ----------
    bw_method, bw_adjust
        Bandwidth of the kernel: ``"scott"``, ``"silverman"`` or a share of the standard
        deviation; and what it is multiplied by.
    cut
        How far the density reaches beyond the extreme values, in bandwidths.
    gridsize
        Number of points at which it is estimated.
    """

    bw_method: str | float = "scott"
    bw_adjust: float = 1.0
    cut: float = 0.0
    gridsize: int = 100


@dataclass(frozen=True)
class Density:
    """Density of some values.

    Attributes
    ----------
    support
        Where it is estimated, shape (gridsize,); or the only value that occurs, shape (1,); or
        empty.
    height
        Density there, same shape; 1 for a single value.
    count
        Number of values.
    """

    support: npt.NDArray[np.float64]
    height: npt.NDArray[np.float64]
    count: int


def estimate(values: npt.NDArray[Any], shape: DensityShape | None = None) -> Density:
    """Gaussian kernel density of values, by default between their extremes.

    Parameters
    ----------
    values
        Shape (n,); missing values are left out.
    shape
        Bandwidth and range; by default Scott's bandwidth.

    References
    ----------
    Scott (1992), Multivariate Density Estimation, doi:10.1002/9780470316849

    Examples
    --------
    >>> estimate(np.array([1.0, 2.0, 4.0])).support[[0, -1]]
    array([1., 4.])
    >>> estimate(np.array([3.0, 3.0])).support
    array([3.])
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    if len(values) == 0 or values.min() == values.max():
        return Density(values[:1], np.ones(min(len(values), 1)), len(values))
    shape = shape or DensityShape()
    kernel = gaussian_kde(values, bw_method=shape.bw_method)
    kernel.set_bandwidth(kernel.factor * shape.bw_adjust)
    beyond = shape.cut * float(np.sqrt(kernel.covariance.squeeze()))
    support = np.linspace(values.min() - beyond, values.max() + beyond, shape.gridsize)
    return Density(support, kernel(support), len(values))


def half_widths(
    densities: Sequence[Density], density_norm: DensityNorm, *, width: float = 0.8
) -> list[npt.NDArray[np.float64]]:
    """Half the width of each violin along its support.

    Parameters
    ----------
    densities
        Violins that are drawn side by side.
    density_norm
        ``"width"``: all equally wide; ``"area"``: all with the same area; ``"count"``: as wide as
        there are values.
    width
        Width of the widest violin.
    """
    if density_norm not in ("area", "count", "width"):
        raise ValueError(f"density_norm={density_norm!r}: expected 'area', 'count' or 'width'")
    peaks = [d.height.max() for d in densities if len(d.support) > 1]
    highest, most = max(peaks, default=1.0), max((d.count for d in densities), default=1)
    shares = []
    for density in densities:
        if len(density.support) < 2:
            shares.append(density.height)
        elif density_norm == "area":
            shares.append(density.height / highest)
        else:
            share = density.height / density.height.max()
            shares.append(share * (density.count / most if density_norm == "count" else 1))
    return [share * width / 2 for share in shares]


Inner: TypeAlias = Literal["box", "quart", "point", "stick"]
INNER: tuple[Inner, ...] = ("box", "quart", "point", "stick")

SATURATION = 0.75  # full colours are hard on the eye where areas are large


@dataclass(frozen=True)
class ViolinOptions:
    """How violins look.

    Attributes
    ----------
    density_norm, width, gap
        How wide a violin is, see :func:`lazyomics.pl.violins.half_widths`; share of that left out.
    shape
        How densities are estimated.
    inner, inner_options
        What is drawn inside of each violin, or None, and matplotlib's options of it.
    fill, saturation, color
        Whether violins are filled, how much of the saturation is kept, and the colour of all
        violins that have none of their own.
    linewidth, linecolor
        Of outlines and of what is inside; None for a width that fits, ``"auto"`` for dark grey.
    rest
        Options of :meth:`matplotlib.axes.Axes.fill_betweenx`.
    """

    density_norm: DensityNorm = "width"
    width: float = 0.8
    gap: float = 0.0
    shape: DensityShape = field(default_factory=DensityShape)
    inner: Inner | None = None
    inner_options: Mapping[str, Any] = field(default_factory=dict)
    fill: bool = True
    saturation: float = SATURATION
    color: ColorType | None = None
    linewidth: float | None = None
    linecolor: ColorType = "auto"
    rest: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, density_norm: DensityNorm, arguments: Mapping[str, Any]) -> ViolinOptions:
        """Sort the arguments of a call.

        Parameters
        ----------
        density_norm
            Of the function; ``scale``, its former name, is taken before it.
        arguments
            All other arguments.

        Raises
        ------
        ValueError
            If an argument has a value that it cannot have.
        """
        rest = dict(arguments)
        rest.pop("common_norm", None)  # violins of a panel are always compared with each other
        bandwidth = rest.pop("bw", "scott")
        shape = DensityShape(
            bw_method=rest.pop("bw_method", bandwidth),
            bw_adjust=rest.pop("bw_adjust", 1.0),
            cut=rest.pop("cut", 0.0),
            gridsize=rest.pop("gridsize", DensityShape.gridsize),
        )
        names = ("width", "gap", "fill", "saturation", "color", "linewidth", "linecolor")
        own = {name: rest.pop(name) for name in names if name in rest}
        return cls(
            density_norm=rest.pop("scale", density_norm),
            shape=shape,
            inner=_inner(rest.pop("inner", None)),
            inner_options=dict(rest.pop("inner_kws", None) or {}),
            **own,
            rest=rest,
        )

    @property
    def line_width(self) -> float:
        """Width of outlines in points."""
        if self.linewidth is not None:
            return self.linewidth
        if self.fill:
            return float(1.25 * mpl.rcParams["patch.linewidth"])
        return float(mpl.rcParams["lines.linewidth"])


def _inner(asked: str | None) -> Inner | None:
    if asked is None:
        return None
    found = next((inner for inner in INNER if str(asked).startswith(inner)), None)
    if found is None:
        raise ValueError(f"inner={asked!r}: expected None or one of {list(INNER)}")
    return found


@dataclass(frozen=True)
class Strip:
    """What a panel shows.

    Attributes
    ----------
    values
        Values of each violin by its name.
    colors
        Colour of each violin.
    ylabel, title
        Label of the values and title of the panel.
    """

    values: Mapping[str, npt.NDArray[Any]]
    colors: Sequence[ColorType]
    ylabel: str
    title: str = ""


@dataclass(frozen=True)
class ViolinStyle:
    """How panels of violins look; the attributes are parameters of :func:`lazyomics.pl.violin`.

    ``jitter`` is None to draw no points.
    """

    violins: ViolinOptions
    jitter: float | None
    size: float
    log: bool
    rotation: float | None


def draw_violins(ax: Axes, strip: Strip, style: ViolinStyle, *, width: float) -> None:
    """Draw the violins of a panel that is ``width`` inches wide."""
    draw_bodies(ax, strip, style.violins)
    if style.jitter is not None:
        draw_points(ax, strip, style.jitter, style.size)
    if style.log:
        ax.set_yscale("log")
    ax.set_title(strip.title)
    ax.grid(visible=False, axis="x")
    _name_violins(ax, list(strip.values), style.rotation, width)


def draw_bodies(ax: Axes, strip: Strip, options: ViolinOptions) -> None:
    """Draw the violins of a panel, at 0, 1, 2, … on the x axis."""
    columns = [_finite(values) for values in strip.values.values()]
    densities = [estimate(values, options.shape) for values in columns]
    width = options.width * (1 - options.gap)
    halves = half_widths(densities, options.density_norm, width=width)
    saturation = options.saturation if options.fill else 1.0
    fills = [desaturated(color, saturation) for color in strip.colors]
    dark = shade(fills)
    for place, density in enumerate(densities):
        half, fill, line = halves[place], fills[place], options.linecolor
        line = dark if isinstance(line, str) and line == "auto" else line
        line, face = (line, fill) if options.fill else (fill, "none")
        body = Body(place, density.support, half, columns[place], line, options.line_width)
        if len(density.support) == 1:
            ends, height = [place - half[0], place + half[0]], [density.support[0]] * 2
            ax.plot(ends, height, c=line, linewidth=body.linewidth)
        elif len(density.support) > 1:
            look: dict[str, Any] = {"facecolor": face, "edgecolor": line}
            look |= {"linewidth": body.linewidth, **options.rest}
            ax.fill_betweenx(density.support, place - half, place + half, **look)
            draw_inner(ax, body, options.inner, options.inner_options)


def shade(fills: Sequence[tuple[float, float, float]]) -> str:
    """Grey that is darker than all of some colours."""
    return str(0.6 * min((colorsys.rgb_to_hls(*fill)[1] for fill in fills), default=0.5))


def _finite(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    numbers = np.asarray(values, dtype=np.float64)
    return numbers[np.isfinite(numbers)]


def draw_points(ax: Axes, strip: Strip, jitter: float, size: float) -> None:
    """Draw a point for each observation, moved sideways by ``jitter`` at most."""
    # A generator of its own: the same plot every time, and nobody else's random numbers change.
    random = np.random.default_rng(0)
    for place, values in enumerate(strip.values.values()):
        shift = random.uniform(-jitter, jitter, len(values)) if len(values) > 1 else 0.0
        ax.scatter(
            place + np.broadcast_to(shift, len(values)),
            values,
            s=size**2,
            color="black",
            linewidth=0,
            zorder=3,
            rasterized=settings.vector_friendly,
        )


def _name_violins(ax: Axes, names: list[str], rotation: float | None, width: float) -> None:
    if rotation is None:
        slot = width / max(len(names), 1)
        fontsize = mpl.rcParams["xtick.labelsize"]
        rotation = 0 if widest(names, fontsize=fontsize) < 0.95 * slot else 90
    ax.set_xlim(-0.5, len(names) - 0.5)
    if names == [""]:
        ax.set_xticks([])
    else:
        ax.set_xticks(range(len(names)), names, rotation=rotation)


Columns = dict[str, npt.NDArray[Any]]

JITTER = 0.1


# What takes the keywords of violins, and those that `ViolinOptions.of` takes under other names.
OF_VIOLINS = (ViolinOptions, DensityShape, PolyCollection, Axes.fill_betweenx)
OTHER_NAMES = ("bw", "common_norm", "inner_kws", "scale")


@checked_keywords(*OF_VIOLINS, also=OTHER_NAMES)
def violin(
    adata: AnnData,
    keys: str | Sequence[str],
    groupby: str | None = None,
    *,
    log: bool = False,
    use_raw: bool | None = None,
    stripplot: bool = True,
    jitter: float | bool = True,
    size: float = 1,
    layer: str | None = None,
    density_norm: DensityNorm = "width",
    order: Sequence[str] | None = None,
    multi_panel: bool | None = None,
    xlabel: str = "",
    ylabel: str | Sequence[str] | None = None,
    rotation: float | None = None,
    palette: Palette | None = None,
    show: bool | None = None,
    save: Save = None,
    ax: Axes | None = None,
    **kwds: Any,
) -> Axes | list[Axes] | None:
    """Distribution of obs columns or genes, as violins with the observations on them.

    Parameters
    ----------
    adata
        What to plot.
    keys
        Numeric columns of ``obs`` or genes. With ``groupby`` each has a panel.
    groupby
        Column of ``obs`` with categories, a violin each. Without it, each key is a violin.
    log
        Whether the axis of values is logarithmic.
    use_raw
        Whether genes come from ``raw``; by default if there is one and no ``layer`` is given.
    stripplot
        Whether to draw a point for each observation.
    jitter
        How far points are moved sideways at most; True means 0.1.
    size
        Diameter of the points in points.
    layer
        Layer that genes come from.
    density_norm
        ``"width"``: all violins equally wide; ``"area"``: the same area; ``"count"``: as wide as
        there are observations. (With ``groupby``, scanpy 1.11 draws all of them equally wide.)
    order
        Categories to show, in this order.
    multi_panel
        Whether each key has a panel with its own axis, also without ``groupby``.
    xlabel
        Label of the x axis; by default ``groupby``, or nothing if ``rotation`` is given.
    ylabel
        Label of the y axis, or one for each panel; by default the key, or ``"value"``.
    rotation
        Rotation of the names below the violins in degrees; by default 0 where they fit, else 90.
    palette
        Colours of the categories. Kept in ``uns[f"{groupby}_colors"]``.
    show, save
        See :mod:`lazyomics.pl`.
    ax
        Axes to draw into; only for a single panel.
    **kwds
        Arguments of seaborn's violinplot: ``inner`` (``"box"``, ``"quart"``, ``"point"``,
        ``"stick"`` or None, the default) and ``inner_kws``, ``cut`` (by default 0), ``bw_method``
        (or ``bw``), ``bw_adjust``, ``gridsize``, ``width``, ``gap``, ``fill``, ``saturation``,
        ``linewidth``, ``linecolor``, ``scale`` (former name of ``density_norm``), and ``color``
        without ``groupby``. The rest is passed to :meth:`matplotlib.axes.Axes.fill_betweenx`.

    Returns
    -------
    The axes, a list for several panels, or None if the figure was shown. Sets
    ``uns[f"{groupby}_colors"]`` if it is missing.

    Raises
    ------
    KeyError
        If a key, ``groupby`` or a category in ``order`` is unknown.
    TypeError
        If a key is not numeric or ``groupby`` is.
    ValueError
        If parameters contradict each other.

    Notes
    -----
    Passes over X: 1 if a gene is among ``keys``, else 0. Peak memory: n_obs values for each key.

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"n_genes": [5, 6, 9], "cell_type": ["B", "B", "T"]}, index=list("abc"))
    >>> adata = lo.AnnData(np.eye(3), obs=obs)
    >>> ax = lo.pl.violin(adata, "n_genes", groupby="cell_type", show=False)
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['B', 'T']
    """
    check_annotated(adata, "pl.violin")
    keys = [keys] if isinstance(keys, str) else list(dict.fromkeys(keys))
    options = ViolinOptions.of(density_norm, kwds)
    plain = "C0" if options.color is None else options.color
    columns = _numbers(adata, keys, layer=layer, use_raw=choose_raw(adata, use_raw, layer))
    if groupby is not None:
        strips = _by_group(adata, columns, groupby, order, palette)
        xlabel = groupby.replace("_", " ") if xlabel == "" and rotation is None else xlabel
    elif multi_panel:
        strips = [
            Strip({"": values}, [plain], "value", title=key) for key, values in columns.items()
        ]
    else:
        strips = [Strip(columns, [plain] * len(columns), "value")]
    labels = [ylabel] * len(strips) if ylabel is None or isinstance(ylabel, str) else list(ylabel)
    if len(labels) != len(strips):
        raise ValueError(f"ylabel has {len(labels)} entries for {len(strips)} panels")
    figure, axes, width = _axes(len(strips), ax)
    reach = JITTER if jitter is True else float(jitter)
    style = ViolinStyle(options, reach if stripplot else None, size, log, rotation)
    for panel, strip, label in zip(axes, strips, labels, strict=True):
        draw_violins(panel, strip, style, width=width)
        panel.set(xlabel=xlabel, ylabel=strip.ylabel if label is None else label)
    result: Axes | list[Axes] = axes if len(axes) > 1 else axes[0]
    return finish(figure, result, name="violin", show=show, save=save, owned=ax is None)


def _numbers(adata: AnnData, keys: list[str], *, layer: str | None, use_raw: bool) -> Columns:
    columns = {}
    for key, values in plot_values(adata, keys, layer=layer, use_raw=use_raw).items():
        if isinstance(values, pd.Categorical):
            raise TypeError(f"violins are of numbers, but obs[{key!r}] holds categories or text")
        columns[key] = values
    return columns


def _by_group(
    adata: AnnData,
    columns: Columns,
    groupby: str,
    order: Sequence[str] | None,
    palette: Palette | None,
) -> list[Strip]:
    """A strip for each column, with a violin for each group."""
    if groupby not in adata.obs.columns:
        raise KeyError(f"groupby={groupby!r} is not in obs; {choices(groupby, adata.obs.columns)}")
    groups = as_categories(adata.obs[groupby])
    if groups is None:
        raise TypeError(f"obs[{groupby!r}] is numeric, but groupby takes categories or text")
    shown = list(groups.categories) if order is None else list(order)
    unknown = [group for group in shown if group not in groups.categories]
    if unknown:
        raise KeyError(f"order: {unknown} are no groups; {choices(unknown, groups.categories)}")
    colors = category_colors(adata, groupby, groups.categories, palette)
    members = {group: np.asarray(groups == group) for group in shown}
    return [
        Strip(
            {str(group): values[mask] for group, mask in members.items()},
            [colors[group] for group in shown],
            key,
        )
        for key, values in columns.items()
    ]


def _axes(count: int, ax: Axes | None) -> tuple[Figure, list[Axes], float]:
    """Axes of the panels and the width of one in inches."""
    if ax is None:
        return panel_row(count)
    if count > 1:
        raise ValueError(f"ax takes a single panel, but {count} are asked for")
    figure = figure_of(ax)
    return figure, [ax], float(ax.get_position().width * figure.get_figwidth())
