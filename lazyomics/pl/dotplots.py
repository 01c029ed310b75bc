"""Dot plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import Colormap, Normalize, to_rgba_array
from matplotlib.typing import ColorType

from lazyomics.container import AnnData
from lazyomics.pl.coloring import colormap
from lazyomics.pl.dot_values import dot_values
from lazyomics.pl.figure import Save
from lazyomics.pl.group_layout import GroupAxes
from lazyomics.pl.group_plots import UNSET, GroupPlot, draw_colorbar, name_ticks, scaled_table
from lazyomics.pl.keywords import checked_keywords
from lazyomics.pl.values import VarNames

__all__ = ["DotPlot", "DotSizes", "dotplot"]


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
    smallest: float
    largest: float
    exponent: float

    @classmethod
    def fit(
        cls,
        fractions: npt.NDArray[Any],
        *,
        dot_min: float | None,
        dot_max: float | None,
        smallest: float,
        largest: float,
        exponent: float,
    ) -> DotSizes:
        """Sizes for fractions; ``dot_max`` is by default the next tenth above all of them."""
        lowest = 0.0 if dot_min is None else dot_min
        highest = float(np.ceil(fractions.max() * 10) / 10) if dot_max is None else dot_max
        # Nothing expressed anywhere: any range will do, but not an empty one.
        highest = highest if highest > lowest else lowest + 0.1
        return cls(lowest, highest, smallest, largest, exponent)

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


SIZE_TITLE = "Fraction of cells\nin group (%)"
COLOR_TITLE = "Mean expression\nin group"
FRAME_WIDTH, SQUARE_EDGE = 1.5, 1.5


class DotPlot(GroupPlot):
    """Dots for genes in groups of observations, which can be changed before they are drawn.

    :func:`lazyomics.pl.dotplot` is the short way to it.

    Parameters
    ----------
    adata, var_names, groupby, use_raw, log, num_categories, categories_order, title, figsize
        As :func:`lazyomics.pl.dotplot` takes them.
    gene_symbols, var_group_positions, var_group_labels, var_group_rotation, layer
        As :func:`lazyomics.pl.dotplot` takes them.
    expression_cutoff
        A gene is expressed where its value is above this.
    mean_only_expressed
        Whether means are over the cells that express the gene only.
    standard_scale
        Scale means to reach from 0 to 1 for each gene (``"var"``) or each ``"group"``.
    dot_color_df, dot_size_df
        Values for the colours in place of the means, and for the sizes in place of the
        fractions: groups × genes.
    ax
        Axes to draw in place of.
    vmin, vmax, vcenter, norm
        Limits and centre of the colour scale, or a matplotlib norm instead.
    **kwds
        Passed to :meth:`matplotlib.axes.Axes.scatter`.

    Attributes
    ----------
    dot_color_df, dot_size_df
        What colours and sizes show: groups × genes.

    Raises
    ------
    KeyError
        If a gene is unknown, or a given table lacks one.
    TypeError
        If ``adata`` is no AnnData.
    ValueError
        If ``groupby`` is not in ``obs``, or parameters contradict each other.

    Notes
    -----
    Passes over X: 1 for all genes, 0 if both tables are given. Peak memory: a block of X and
    groups × genes values (with ``log``, n_obs × genes).

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"cell_type": ["B", "T", "T"]}, index=["a", "b", "c"])
    >>> var = pd.DataFrame(index=["CD79A", "CD3E"])
    >>> adata = lo.AnnData(np.array([[2.0, 0], [0, 1], [0, 0]]), obs=obs, var=var)
    >>> plot = lo.pl.DotPlot(adata, ["CD79A", "CD3E"], "cell_type").add_totals()
    >>> plot.dot_size_df.loc["T"].tolist()
    [0.0, 0.5]
    >>> sorted(plot.style(cmap="Blues").get_axes())
    ['color_legend_ax', 'group_extra_ax', 'mainplot_ax', 'size_legend_ax']
    """

    DEFAULT_SAVE_PREFIX: ClassVar[str] = "dotplot_"
    DEFAULT_COLORMAP: ClassVar[str] = "Reds"
    DEFAULT_COLOR_ON: ClassVar[Literal["dot", "square"]] = "dot"
    DEFAULT_DOT_MAX: ClassVar[float | None] = None
    DEFAULT_DOT_MIN: ClassVar[float | None] = None
    DEFAULT_SMALLEST_DOT: ClassVar[float] = 0.0
    DEFAULT_LARGEST_DOT: ClassVar[float] = 200.0
    DEFAULT_DOT_EDGECOLOR: ClassVar[str] = "black"
    DEFAULT_DOT_EDGELW: ClassVar[float] = 0.2
    DEFAULT_SIZE_EXPONENT: ClassVar[float] = 1.5
    DEFAULT_SIZE_LEGEND_TITLE: ClassVar[str] = SIZE_TITLE
    DEFAULT_COLOR_LEGEND_TITLE: ClassVar[str] = COLOR_TITLE
    # Between the outer dots and the frame, in dots.
    DEFAULT_PLOT_X_PADDING: ClassVar[float] = 0.8
    DEFAULT_PLOT_Y_PADDING: ClassVar[float] = 1.0

    def __init__(
        self,
        adata: AnnData,
        var_names: VarNames | Mapping[str, VarNames],
        groupby: str | Sequence[str],
        *,
        use_raw: bool | None = None,
        log: bool = False,
        num_categories: int = 7,
        categories_order: Sequence[str] | None = None,
        title: str | None = None,
        figsize: tuple[float, float] | None = None,
        gene_symbols: str | None = None,
        var_group_positions: Sequence[tuple[int, int]] | None = None,
        var_group_labels: Sequence[str] | None = None,
        var_group_rotation: float | None = None,
        layer: str | None = None,
        expression_cutoff: float = 0.0,
        mean_only_expressed: bool = False,
        standard_scale: Literal["var", "group"] | None = None,
        dot_color_df: pd.DataFrame | None = None,
        dot_size_df: pd.DataFrame | None = None,
        ax: Axes | None = None,
        vmin: float | None = None,
        vmax: float | None = None,
        vcenter: float | None = None,
        norm: Normalize | None = None,
        **kwds: Any,
    ) -> None:
        super().__init__(
            adata,
            var_names,
            groupby,
            use_raw=use_raw,
            log=log,
            num_categories=num_categories,
            categories_order=categories_order,
            title=title,
            figsize=figsize,
            gene_symbols=gene_symbols,
            var_group_positions=var_group_positions,
            var_group_labels=var_group_labels,
            var_group_rotation=var_group_rotation,
            layer=layer,
            ax=ax,
            vmin=vmin,
            vmax=vmax,
            vcenter=vcenter,
            norm=norm,
            **kwds,
        )
        scaled_table(pd.DataFrame(), standard_scale)
        if dot_color_df is None or dot_size_df is None:
            values = dot_values(
                adata,
                self.var_names,
                groupby,
                use_raw=use_raw,
                layer=layer,
                gene_symbols=gene_symbols,
                log=log,
                num_categories=num_categories,
                expression_cutoff=expression_cutoff,
                mean_only_expressed=mean_only_expressed,
            )
            index = pd.Index(self.categories, dtype=object)
            means, fractions = values.means.set_axis(index), values.fractions.set_axis(index)
        if dot_color_df is not None:
            means = self._given(dot_color_df, "dot_color_df")
        if dot_size_df is not None:
            fractions = self._given(dot_size_df, "dot_size_df")
        self.dot_color_df, self.dot_size_df = scaled_table(means, standard_scale), fractions
        self.dot_max, self.dot_min = self.DEFAULT_DOT_MAX, self.DEFAULT_DOT_MIN
        self.smallest_dot, self.largest_dot = self.DEFAULT_SMALLEST_DOT, self.DEFAULT_LARGEST_DOT
        self.color_on, self.size_exponent = self.DEFAULT_COLOR_ON, self.DEFAULT_SIZE_EXPONENT
        self.grid = False
        self.plot_x_padding = self.DEFAULT_PLOT_X_PADDING
        self.plot_y_padding = self.DEFAULT_PLOT_Y_PADDING
        self.dot_edge_color: ColorType | None = self.DEFAULT_DOT_EDGECOLOR
        self.dot_edge_lw: float | None = self.DEFAULT_DOT_EDGELW
        self.size_title: str | None = self.DEFAULT_SIZE_LEGEND_TITLE
        self.show_size_legend = self.show_colorbar = True

    def _given(self, table: pd.DataFrame, name: str) -> pd.DataFrame:
        unique = table.loc[:, ~table.columns.duplicated()]
        try:
            return unique.loc[self.categories, self.var_names]
        except KeyError as error:
            raise KeyError(f"{name} lacks groups or genes of the plot: {error}") from None

    def style(
        self,
        *,
        cmap: Colormap | str | None = UNSET,
        color_on: Literal["dot", "square"] = UNSET,
        dot_max: float | None = UNSET,
        dot_min: float | None = UNSET,
        smallest_dot: float = UNSET,
        largest_dot: float = UNSET,
        dot_edge_color: ColorType | None = UNSET,
        dot_edge_lw: float | None = UNSET,
        size_exponent: float = UNSET,
        grid: bool = UNSET,
        x_padding: float = UNSET,
        y_padding: float = UNSET,
    ) -> Self:
        """Change how the dots look; what is not given stays.

        Parameters
        ----------
        cmap
            Colour map; None is the default of ``rcParams``.
        color_on
            Whether the ``"dot"`` is coloured, or the ``"square"`` behind an empty dot.
        dot_max, dot_min
            Fractions with the largest and the smallest dot. None: the highest fraction, rounded
            up to a tenth, and 0.
        smallest_dot, largest_dot
            Areas of these dots in square points.
        dot_edge_color, dot_edge_lw
            Colour and width of the edge of dots. None: no edge; of empty dots, 1.5 points, white
            on dark squares and dark on light ones.
        size_exponent
            Power of the fraction that the area is proportional to.
        grid
            Whether there are grid lines.
        x_padding, y_padding
            Space between the outer dots and the frame, in dots; not of squares.

        Returns
        -------
        The object itself.

        Raises
        ------
        ValueError
            If ``dot_max`` or ``dot_min`` is not between 0 and 1, or ``color_on`` is unknown.
        """
        super().style(cmap=cmap)
        for name, share in (("dot_min", dot_min), ("dot_max", dot_max)):
            if share is not UNSET and share is not None and not 0 <= share <= 1:
                raise ValueError(f"{name}={share}: expected a number between 0 and 1")
        if color_on is not UNSET and color_on not in ("dot", "square"):
            raise ValueError(f"color_on={color_on!r}: expected 'dot' or 'square'")
        given = {
            "color_on": color_on,
            "dot_max": dot_max,
            "dot_min": dot_min,
            "smallest_dot": smallest_dot,
            "largest_dot": largest_dot,
            "dot_edge_color": dot_edge_color,
            "dot_edge_lw": dot_edge_lw,
            "size_exponent": size_exponent,
            "grid": grid,
            "plot_x_padding": x_padding,
            "plot_y_padding": y_padding,
        }
        for name, value in given.items():
            if value is not UNSET:
                setattr(self, name, value)
        return self

    def legend(  # type: ignore[override]
        self,
        *,
        show: bool | None = True,
        show_size_legend: bool | None = True,
        show_colorbar: bool | None = True,
        size_title: str | None = DEFAULT_SIZE_LEGEND_TITLE,
        colorbar_title: str | None = DEFAULT_COLOR_LEGEND_TITLE,
        width: float | None = GroupPlot.DEFAULT_LEGENDS_WIDTH,
    ) -> Self:
        """Change the legends.

        Parameters
        ----------
        show
            Whether there are any; the plot is wider without them.
        show_size_legend, show_colorbar
            Whether there is a legend of sizes, and a colour bar.
        size_title, colorbar_title
            Their titles.
        width
            Width in inches.

        Returns
        -------
        The object itself.
        """
        super().legend(show=show, title=colorbar_title, width=width)
        if show:
            self.size_title = size_title
            self.show_size_legend = bool(show_size_legend)
            self.show_colorbar = bool(show_colorbar)
        return self

    def _shown_legends(self) -> tuple[bool, bool]:
        return self.show_size_legend, self.show_colorbar

    def _draw(self, axes: GroupAxes) -> None:
        sizes = DotSizes.fit(
            self.dot_size_df.to_numpy(),
            dot_min=self.dot_min,
            dot_max=self.dot_max,
            smallest=self.smallest_dot,
            largest=self.largest_dot,
            exponent=self.size_exponent,
        )
        norm = self._norm()
        options = dict(self.kwds)
        cmap = options.pop("cmap", self.cmap)
        self._draw_dots(axes.main, sizes, norm, cmap, options)
        if axes.size_legend is not None:
            width = SQUARE_EDGE if self.dot_edge_lw is None else self.dot_edge_lw
            _draw_sizes(axes.size_legend, sizes, self.size_title, width)
        if axes.color_legend is not None:
            # The colour scale has its limits once the dots are drawn.
            draw_colorbar(axes.color_legend, norm, cmap, self.color_legend_title)

    def _draw_dots(
        self, ax: Axes, sizes: DotSizes, norm: Normalize, cmap: Any, options: dict[str, Any]
    ) -> None:
        """Draw a dot for each group and gene, the first row on top."""
        means = self._arranged(self.dot_color_df)
        fractions = self._arranged(self.dot_size_df)
        colors = colormap(cmap)(norm(means.to_numpy().ravel()))
        edge, width = self.dot_edge_color, self.dot_edge_lw
        look: dict[str, Any] = {"s": sizes.areas(fractions.to_numpy().ravel())}
        if self.color_on == "square":
            ax.pcolor(means.to_numpy(), cmap=colormap(cmap), norm=norm)
            for frame in ax.spines.values():
                frame.set_linewidth(FRAME_WIDTH)
            look |= {"linewidth": SQUARE_EDGE if width is None else width, "facecolor": "none"}
            look["edgecolor"] = _contrasting(colors) if edge is None else edge
        else:
            look |= {"color": colors, "linewidth": 0.0 if width is None else width}
            look["edgecolor"] = "none" if edge is None else edge
        # Dots are in the middle of unit squares, where dendrogram and brackets expect them.
        y, x = np.indices(means.shape).reshape(2, -1) + 0.5
        ax.scatter(x, y, **{**look, **options})
        name_ticks(ax, means)
        rows, columns = means.shape
        side, top = 0.0, 0.0
        if self.color_on == "dot":
            side, top = self.plot_x_padding - 0.5, self.plot_y_padding - 0.5
        ax.set_xlim(-side, columns + side)
        ax.set_ylim(rows + top, -top)
        if self.grid:
            ax.grid(visible=True, color="gray", linewidth=0.1)
            ax.set_axisbelow(True)


LIGHT = 0.408  # relative luminance above which a line is dark


def _contrasting(colors: npt.NDArray[Any]) -> list[str]:
    """White for each dark colour, dark grey for each light one."""
    share = to_rgba_array(colors)[:, :3]
    linear = np.where(share <= 0.03928, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return [".15" if light > LIGHT else "w" for light in linear @ (0.2126, 0.7152, 0.0722)]


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
) -> DotPlot | dict[str, Axes] | None:
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
        Whether to return a :class:`~lazyomics.pl.DotPlot`, which can be changed before it is
        drawn, instead of drawing, showing or saving it.
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
    The :class:`~lazyomics.pl.DotPlot` if ``return_fig``; None if it was shown; else the axes:
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
    cmap = kwds.pop("color_map", cmap)
    edge = kwds.pop("linewidth", UNSET)
    plot = DotPlot(
        adata,
        var_names,
        groupby,
        use_raw=use_raw,
        log=log,
        num_categories=num_categories,
        categories_order=categories_order,
        expression_cutoff=expression_cutoff,
        mean_only_expressed=mean_only_expressed,
        standard_scale=standard_scale,
        title=title,
        figsize=figsize,
        gene_symbols=gene_symbols,
        var_group_positions=var_group_positions,
        var_group_labels=var_group_labels,
        var_group_rotation=var_group_rotation,
        layer=layer,
        dot_color_df=dot_color_df,
        ax=ax,
        vmin=vmin,
        vmax=vmax,
        vcenter=vcenter,
        norm=norm,
        **kwds,
    )
    plot.style(
        cmap=cmap, dot_max=dot_max, dot_min=dot_min, smallest_dot=smallest_dot, dot_edge_lw=edge
    )
    plot.legend(colorbar_title=colorbar_title, size_title=size_title)
    return plot._end(dendrogram, swap_axes, return_fig, show, save)
