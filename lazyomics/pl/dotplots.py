"""Dot plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PathCollection
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec, GridSpecBase

from lazyomics import logging
from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.pl.coloring import color_norm, colormap
from lazyomics.pl.dendrograms import draw_tree, stored_dendrogram
from lazyomics.pl.dot_values import DotValues, dot_values
from lazyomics.pl.figure import Save, figure_of, finish, font_points
from lazyomics.pl.keywords import checked_keywords
from lazyomics.pl.values import VarGroups, VarNames, draw_brackets, label_room, split_var_names

__all__ = [
    "COLOR_TITLE",
    "DotAxes",
    "DotLayout",
    "DotSizes",
    "DotStyle",
    "GroupedValues",
    "dotplot",
    "draw_colorbar",
    "draw_dots",
    "draw_legends",
    "in_order",
]


CATEGORY_HEIGHT = 0.35  # inches
CATEGORY_WIDTH = 0.37
LEAST_HEIGHT = 2.5  # what the legends need
LEGENDS_WIDTH = 1.5
TREE_SIZE = 0.8
LABELS_HEIGHT = 1.0
TITLE_SPACE = 0.75  # between the legends, for the title of the lower one
SMALL_FONT = 8.33  # points of a "small" font that the sizes above are made for


@dataclass
class DotAxes:
    """Axes of a dot plot; None where there is no such part."""

    figure: Figure
    main: Axes
    size_legend: Axes | None
    color_legend: Axes
    tree: Axes | None
    brackets: Axes | None

    def by_name(self) -> dict[str, Axes]:
        """Axes under scanpy's names."""
        named = {
            "mainplot_ax": self.main,
            "group_extra_ax": self.tree,
            "gene_group_ax": self.brackets,
            "size_legend_ax": self.size_legend,
            "color_legend_ax": self.color_legend,
        }
        return {name: ax for name, ax in named.items() if ax is not None}


@dataclass(frozen=True)
class DotLayout:
    """Sizes in inches, before the margins of the figure are taken off.

    Attributes
    ----------
    width, height
        Of the figure.
    main_width, main_height
        Of the dots.
    tree
        Size of the dendrogram, 0 without one.
    bracket
        Size of the brackets with labels that are beside the dots, 0 without.
    legend_height
        What the heights of the legends are measured by.
    text_scale
        How much larger text is than the sizes are made for, at least 1.
    swapped
        Whether genes are rows.
    """

    width: float
    height: float
    main_width: float
    main_height: float
    tree: float
    bracket: float
    legend_height: float
    text_scale: float
    swapped: bool

    @classmethod
    def plan(
        cls,
        groups: int,
        genes: int,
        *,
        figsize: tuple[float, float] | None,
        swapped: bool,
        tree: bool,
        var_groups: VarGroups | None,
        rotation: float | None,
    ) -> DotLayout:
        """Sizes for a number of groups and genes, or within ``figsize``."""
        bracket = 0.0
        if var_groups is not None:
            bracket = CATEGORY_WIDTH if swapped else CATEGORY_HEIGHT / 2
            if swapped:
                # Margins are taken off all widths here, but text does not shrink.
                kept = mpl.rcParams["figure.subplot.right"] - mpl.rcParams["figure.subplot.left"]
                bracket += label_room(var_groups, unit=CATEGORY_HEIGHT, rotation=rotation) / kept
        tree_size = TREE_SIZE if tree else 0.0
        beside, above = (bracket, tree_size) if swapped else (tree_size, bracket)
        scale = max(1.0, font_points("small") / SMALL_FONT)
        if figsize is not None:
            width, height = figsize
            main_width = max(width - LEGENDS_WIDTH * scale - beside, 0.2 * width)
            main_height = max(height - above, 0.2 * height)
            legend_height = height
        else:
            columns, rows = (groups, genes) if swapped else (genes, groups)
            main_width, main_height = columns * CATEGORY_WIDTH, rows * CATEGORY_HEIGHT
            legend_height = LEAST_HEIGHT * scale
            height = max(legend_height, main_height + (above if swapped else 0) + LABELS_HEIGHT)
            width = main_width + beside + LEGENDS_WIDTH * scale
        sizes = (width, height, main_width, main_height, tree_size, bracket, legend_height)
        return cls(*sizes, text_scale=scale, swapped=swapped)

    def draw(self, ax: Axes | None, title: str | None, *, sizes: bool = True) -> DotAxes:
        """Make the axes, in a new figure or in place of ``ax``, perhaps without size legend."""
        ratios = [self.main_width + self._beside, LEGENDS_WIDTH * self.text_scale]
        figure, outer = _grid(ax, self.width, self.height, ratios)
        if title:
            # Over dots and dendrogram together, so that it is centred on them.
            above = figure.add_subplot(outer[0, 0])
            above.axis("off")
            above.set_title(title)
        spacer = max(self.height - self.main_height - self._above, 0.0)
        inner = outer[0, 0].subgridspec(
            3,
            2,
            wspace=0,
            hspace=0,
            width_ratios=[self.main_width, self._beside],
            height_ratios=[spacer, self._above, self.main_height],
        )
        main = figure.add_subplot(inner[2, 0])
        tree = brackets = None
        if self.tree:
            where, share = (inner[1, 0], "sharex") if self.swapped else (inner[2, 1], "sharey")
            tree = figure.add_subplot(where, **{share: main})
        if self.bracket:
            where, share = (inner[2, 1], "sharey") if self.swapped else (inner[1, 0], "sharex")
            brackets = figure.add_subplot(where, **{share: main})
        if not sizes:
            return DotAxes(figure, main, None, self._legend(figure, outer), tree, brackets)
        size_legend, colors = self._legends(figure, outer)
        return DotAxes(figure, main, size_legend, colors, tree, brackets)

    def _legends(self, figure: Figure, outer: GridSpecBase) -> tuple[Axes, Axes]:
        size, least, bar = (share * self.legend_height for share in (0.27, 0.3, 0.08))
        space = max(least, min(TITLE_SPACE * self.text_scale, 0.5 * self.legend_height))
        rest = max(self.height - size - space - bar, 0.0)
        column = outer[0, 1].subgridspec(4, 1, height_ratios=[rest, size, space, bar])
        return figure.add_subplot(column[1]), figure.add_subplot(column[3])

    def _legend(self, figure: Figure, outer: GridSpecBase) -> Axes:
        bar = 0.08 * self.legend_height
        column = outer[0, 1].subgridspec(2, 1, height_ratios=[self.height - bar, bar])
        return figure.add_subplot(column[1])

    @property
    def _beside(self) -> float:
        return self.bracket if self.swapped else self.tree

    @property
    def _above(self) -> float:
        return self.tree if self.swapped else self.bracket


def _grid(
    ax: Axes | None, width: float, height: float, ratios: list[float]
) -> tuple[Figure, GridSpecBase]:
    """Two columns, in a new figure or in place of ``ax``."""
    wspace = 0.7 / width
    if ax is None:
        figure = plt.figure(figsize=(width, height))
        return figure, GridSpec(1, 2, figure=figure, width_ratios=ratios, wspace=wspace)
    figure = figure_of(ax)
    ax.axis("off")
    spec = ax.get_subplotspec()
    if spec is not None:
        return figure, spec.subgridspec(1, 2, width_ratios=ratios, wspace=wspace)
    box = ax.get_position()
    return figure, GridSpec(
        1,
        2,
        figure=figure,
        left=box.x0,
        right=box.x1,
        bottom=box.y0,
        top=box.y1,
        width_ratios=ratios,
        wspace=wspace,
    )


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
    draw_colorbar(colors, style.norm, style.cmap, style.color_title)


def draw_colorbar(
    ax: Axes, norm: Normalize, cmap: Colormap | str | None, title: str | None
) -> None:
    """Draw a horizontal colour bar into axes."""
    mappable = ScalarMappable(norm=norm, cmap=colormap(cmap))
    Colorbar(ax, mappable=mappable, orientation="horizontal")
    ax.set_title(title or "", fontsize="small")
    ax.xaxis.set_tick_params(labelsize="small")


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


SIZE_TITLE = "Fraction of cells\nin group (%)"
COLOR_TITLE = "Mean expression\nin group"


@checked_keywords(PathCollection, Axes.scatter, also=("color_map",))
def dotplot(
    adata: AnnData,
    var_names: VarNames | Mapping[str, VarNames],
    groupby: str | Sequence[str],
    *,
    use_raw: bool | None = None,
    log: bool = False,
    num_categories: int = 7,
    categories_order: Sequence[str] | None = None,
    expression_cutoff: float = 0.0,
    mean_only_expressed: bool = False,
    standard_scale: Literal["var", "group"] | None = None,
    title: str | None = None,
    colorbar_title: str | None = COLOR_TITLE,
    size_title: str | None = SIZE_TITLE,
    figsize: tuple[float, float] | None = None,
    dendrogram: bool | str = False,
    gene_symbols: str | None = None,
    var_group_positions: Sequence[tuple[int, int]] | None = None,
    var_group_labels: Sequence[str] | None = None,
    var_group_rotation: float | None = None,
    layer: str | None = None,
    swap_axes: bool | None = False,
    dot_color_df: pd.DataFrame | None = None,
    show: bool | None = None,
    save: Save = None,
    ax: Axes | None = None,
    return_fig: bool | None = False,
    vmin: float | None = None,
    vmax: float | None = None,
    vcenter: float | None = None,
    norm: Normalize | None = None,
    cmap: Colormap | str | None = "Reds",
    dot_max: float | None = None,
    dot_min: float | None = None,
    smallest_dot: float = 0.0,
    **kwds: Any,
) -> Figure | dict[str, Axes] | None:
    """Dots for genes in groups of observations: colour is the mean, size the share that express.

    Parameters
    ----------
    adata
        What to plot.
    var_names
        Genes, or numeric columns of ``obs``: a name, a list, or lists by label, which get a
        bracket each. A name of both is the gene.
    groupby
        Column of ``obs``, or several, whose values are joined. Numbers are cut into intervals.
    use_raw
        Whether genes come from ``raw``; by default if there is one and no ``layer`` is given.
    log
        Whether to take ``log1p`` of the values first.
    num_categories
        Number of intervals if ``groupby`` is numeric.
    categories_order
        Groups in the order in which to show them.
    expression_cutoff
        A gene is expressed where its value is above this.
    mean_only_expressed
        Whether means are over the cells that express the gene only.
    standard_scale
        Scale means to reach from 0 to 1 for each gene (``"var"``) or each ``"group"``.
    title, colorbar_title, size_title
        Titles of the plot, the colour bar and the size legend.
    figsize
        Width and height in inches; by default by the number of genes and groups.
    dendrogram
        Whether to order groups by, and to show, ``uns[f"dendrogram_{groupby}"]``; or another key
        in ``uns``. It is computed if it is missing.
    gene_symbols
        Column of ``var`` in which to look for genes that are not in ``var_names``.
    var_group_positions, var_group_labels, var_group_rotation
        First and last gene of each bracket, its label, and the rotation of the labels in degrees.
    layer
        Layer that genes come from.
    swap_axes
        Whether genes are rows and groups columns.
    dot_color_df
        Values for the colours in place of the means: groups × genes.
    show, save
        See :mod:`lazyomics.pl`.
    ax
        Axes to draw in place of.
    return_fig
        Whether to return the figure instead of showing or saving it.
    vmin, vmax, vcenter, norm
        Limits and centre of the colour scale, or a matplotlib norm instead.
    cmap
        Colour map.
    dot_max, dot_min
        Fractions with the largest and the smallest dot. By default ``dot_max`` is the highest
        fraction, rounded up to a tenth, and ``dot_min`` is 0.
    smallest_dot
        Area of the dot for ``dot_min`` in square points.
    **kwds
        Passed to :meth:`matplotlib.axes.Axes.scatter`.

    Returns
    -------
    The :class:`~matplotlib.figure.Figure` if ``return_fig``; None if it was shown; else the axes:
    ``mainplot_ax``, ``size_legend_ax``, ``color_legend_ax`` and, if there are such,
    ``group_extra_ax`` (dendrogram) and ``gene_group_ax`` (brackets). Sets
    ``uns[f"dendrogram_{groupby}"]`` if a dendrogram is asked for and missing.

    Raises
    ------
    KeyError
        If a gene is unknown. The message names what is available.
    ValueError
        If ``groupby`` is not in ``obs``, parameters contradict each other, or the dendrogram has
        other groups.

    Notes
    -----
    Passes over X: 1 for all genes. Peak memory: a block of X and groups × genes values (with
    ``log``, n_obs × genes).

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"cell_type": ["B", "T", "T"]}, index=["a", "b", "c"])
    >>> var = pd.DataFrame(index=["CD79A", "CD3E"])
    >>> adata = lo.AnnData(np.array([[2.0, 0], [0, 1], [0, 0]]), obs=obs, var=var)
    >>> axes = lo.pl.dotplot(adata, ["CD79A", "CD3E"], groupby="cell_type", show=False)
    >>> [label.get_text() for label in axes["mainplot_ax"].get_yticklabels()]
    ['B', 'T']
    """
    check_annotated(adata, "pl.dotplot")
    genes, var_groups = split_var_names(var_names, var_group_labels, var_group_positions)
    values = dot_values(
        adata,
        genes,
        groupby,
        use_raw=use_raw,
        layer=layer,
        gene_symbols=gene_symbols,
        log=log,
        num_categories=num_categories,
        expression_cutoff=expression_cutoff,
        mean_only_expressed=mean_only_expressed,
    )
    values = _recolored(values.scaled(standard_scale), dot_color_df)
    content = GroupedValues(in_order(values, categories_order), var_groups, None)
    if dendrogram:
        key = dendrogram if isinstance(dendrogram, str) else None
        content = content.with_tree(adata, groupby, key)
    fractions = content.values.fractions.to_numpy()
    style = DotStyle(
        DotSizes.fit(fractions, dot_min=dot_min, dot_max=dot_max, smallest_dot=smallest_dot),
        kwds.pop("color_map", cmap),
        color_norm(vmin, vmax, vcenter, norm),
        size_title,
        colorbar_title,
        kwds.pop("linewidth", EDGE_WIDTH),
        kwds,
    )
    layout = DotLayout.plan(
        *fractions.shape,
        figsize=figsize,
        swapped=bool(swap_axes),
        tree=content.tree is not None,
        var_groups=content.var_groups,
        rotation=var_group_rotation,
    )
    axes = layout.draw(ax, title)
    content.draw_margins(axes, layout, var_group_rotation)
    draw_dots(axes.main, content.values, style, swapped=layout.swapped)
    assert axes.size_legend is not None
    draw_legends(axes.size_legend, axes.color_legend, style)
    if return_fig:
        return axes.figure
    named = axes.by_name()
    return finish(axes.figure, named, name="dotplot_", show=show, save=save, owned=ax is None)


@dataclass(frozen=True)
class GroupedValues:
    """What is drawn, in the order in which it is drawn."""

    values: DotValues
    var_groups: VarGroups | None
    tree: dict[str, Any] | None

    def with_tree(
        self, adata: AnnData, groupby: str | Sequence[str], key: str | None
    ) -> GroupedValues:
        """Groups in the order of their dendrogram, and brackets named like groups likewise."""
        groups = list(self.values.means.index)
        if len(groups) <= 2:
            logging.warning("no dendrogram is shown for fewer than 3 groups")
            return self
        stored = stored_dendrogram(adata, groupby, key)
        leaves = [str(leaf) for leaf in stored["categories_ordered"]]
        by_label = {str(group): group for group in groups}
        if set(leaves) != set(by_label):
            raise ValueError(
                f"the dendrogram has the groups {leaves}, but {groupby!r} has {list(by_label)}; "
                "run lo.tl.dendrogram again"
            )
        var_groups, order = self.var_groups, None
        if var_groups is not None and set(var_groups.labels) == set(leaves):
            var_groups, order = var_groups.ordered(leaves)
        values = self.values.ordered([by_label[leaf] for leaf in leaves], order)
        return GroupedValues(values, var_groups, stored["dendrogram_info"])

    def draw_margins(self, axes: DotAxes, layout: DotLayout, rotation: float | None) -> None:
        """Draw dendrogram and brackets."""
        swapped = layout.swapped
        if axes.tree is not None and self.tree is not None:
            ticks = np.arange(len(self.values.means), dtype=np.float64) + 0.5
            side: Literal["top", "right"] = "top" if swapped else "right"
            draw_tree(axes.tree, self.tree, side=side, ticks=ticks, labels=False)
        if axes.brackets is not None and self.var_groups is not None:
            unit = layout.main_height / self.values.means.shape[1]
            draw_brackets(
                axes.brackets,
                self.var_groups,
                side="right" if swapped else "top",
                rotation=rotation,
                unit=unit,
                depth=layout.bracket / CATEGORY_WIDTH if swapped else 1.0,
            )


def in_order(values: DotValues, order: Sequence[str] | None) -> DotValues:
    """Groups in the order that is asked for."""
    if order is None:
        return values
    groups = list(values.means.index)
    if set(order) != set(groups):
        raise ValueError(f"categories_order={list(order)} are not the groups {groups}")
    return values.ordered(order)


def _recolored(values: DotValues, colors: pd.DataFrame | None) -> DotValues:
    if colors is None:
        return values
    rows, columns = list(values.means.index), list(values.means.columns)
    unique = colors.loc[:, ~colors.columns.duplicated()]
    try:
        return replace(values, means=unique.loc[rows, columns])
    except KeyError as error:
        raise KeyError(f"dot_color_df lacks groups or genes of the plot: {error}") from None
