"""Violins of genes in groups, in rows on top of each other."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap, Normalize, is_color_like
from matplotlib.gridspec import SubplotSpec
from matplotlib.ticker import MaxNLocator

from lazyomics.container import AnnData
from lazyomics.pl.coloring import colormap
from lazyomics.pl.dot_values import cell_frame
from lazyomics.pl.figure import Save, figure_of
from lazyomics.pl.group_layout import GroupAxes
from lazyomics.pl.group_plots import UNSET, GroupPlot, draw_colorbar, name_ticks, scaled_table
from lazyomics.pl.hues import even_hues
from lazyomics.pl.keywords import checked_keywords
from lazyomics.pl.values import VarNames
from lazyomics.pl.violins import (
    JITTER,
    OF_VIOLINS,
    OTHER_NAMES,
    DensityNorm,
    Strip,
    ViolinOptions,
    draw_bodies,
    draw_points,
)

__all__ = ["StackedViolin", "stacked_violin"]

COLOR_TITLE = "Median expression\nin group"


class StackedViolin(GroupPlot):
    """Violins of genes in groups, in rows, which can be changed before they are drawn.

    :func:`lazyomics.pl.stacked_violin` is the short way to it.

    Parameters
    ----------
    adata, var_names, groupby, use_raw, log, num_categories, categories_order, title, figsize
        As :func:`lazyomics.pl.stacked_violin` takes them.
    gene_symbols, var_group_positions, var_group_labels, var_group_rotation, layer
        As :func:`lazyomics.pl.stacked_violin` takes them.
    standard_scale
        Scale values to reach from 0 to 1 for each gene (``"var"``) or each cell (``"group"``).
    ax
        Axes to draw in place of.
    vmin, vmax, vcenter, norm
        Limits and centre of the colour scale, or a matplotlib norm instead.
    **kwds
        Arguments of violins, as :func:`lazyomics.pl.violin` takes them.

    Attributes
    ----------
    obs_tidy
        Values, cells × genes; the index has the groups.

    Raises
    ------
    KeyError
        If a gene is unknown.
    TypeError
        If ``adata`` is no AnnData.
    ValueError
        If ``groupby`` is not in ``obs``, or parameters contradict each other.

    Notes
    -----
    Passes over X: 1 for all genes. Peak memory: n_obs × genes values, about three times.

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"cell_type": ["B", "T", "T"]}, index=["a", "b", "c"])
    >>> var = pd.DataFrame(index=["CD79A", "CD3E"])
    >>> adata = lo.AnnData(np.array([[2.0, 0], [0, 1], [0, 0]]), obs=obs, var=var)
    >>> plot = lo.pl.StackedViolin(adata, ["CD79A", "CD3E"], "cell_type").style(ylim=(0, 2))
    >>> [text.get_text() for text in plot.get_axes()["mainplot_ax"].get_yticklabels()]
    ['B', 'T']
    """

    DEFAULT_SAVE_PREFIX: ClassVar[str] = "stacked_violin_"
    DEFAULT_COLOR_LEGEND_TITLE: ClassVar[str] = COLOR_TITLE
    DEFAULT_COLORMAP: ClassVar[str] = "Blues"
    DEFAULT_STRIPPLOT: ClassVar[bool] = False
    DEFAULT_JITTER: ClassVar[float | bool] = False
    DEFAULT_JITTER_SIZE: ClassVar[float] = 1
    DEFAULT_LINE_WIDTH: ClassVar[float] = 0.2
    DEFAULT_ROW_PALETTE: ClassVar[str | None] = None
    DEFAULT_DENSITY_NORM: ClassVar[DensityNorm] = "width"
    DEFAULT_PLOT_YTICKLABELS: ClassVar[bool] = False
    DEFAULT_YLIM: ClassVar[tuple[float, float] | None] = None
    # Between the violins and the frame, in violins.
    DEFAULT_PLOT_X_PADDING: ClassVar[float] = 0.5
    DEFAULT_PLOT_Y_PADDING: ClassVar[float] = 0.5
    DEFAULT_CUT: ClassVar[float] = 0
    DEFAULT_INNER: ClassVar[str | None] = None

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
        standard_scale: Literal["var", "group"] | None = None,
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
        # The line width is of a style, so it is kept where styles change it.
        defaults = {
            "cut": self.DEFAULT_CUT,
            "inner": self.DEFAULT_INNER,
            "linewidth": self.DEFAULT_LINE_WIDTH,
            "density_norm": self.DEFAULT_DENSITY_NORM,
        }
        self.kwds = {**defaults, **self.kwds}
        self._options({})
        frame = cell_frame(
            adata,
            self.var_names,
            self.groups,
            use_raw=use_raw,
            layer=layer,
            gene_symbols=gene_symbols,
            log=log,
        )
        self.obs_tidy = scaled_table(frame, standard_scale)
        self.row_palette: Any = self.DEFAULT_ROW_PALETTE
        self.stripplot, self.jitter = self.DEFAULT_STRIPPLOT, self.DEFAULT_JITTER
        self.jitter_size = self.DEFAULT_JITTER_SIZE
        self.plot_yticklabels = self.DEFAULT_PLOT_YTICKLABELS
        self.ylim = self.DEFAULT_YLIM
        self.plot_x_padding = self.DEFAULT_PLOT_X_PADDING
        self.plot_y_padding = self.DEFAULT_PLOT_Y_PADDING

    def style(
        self,
        *,
        cmap: Colormap | str | None = UNSET,
        stripplot: bool = UNSET,
        jitter: float | bool = UNSET,
        jitter_size: float = UNSET,
        linewidth: float | None = UNSET,
        row_palette: str | None = UNSET,
        density_norm: DensityNorm = UNSET,
        yticklabels: bool = UNSET,
        ylim: tuple[float, float] | None = UNSET,
        x_padding: float = UNSET,
        y_padding: float = UNSET,
        scale: DensityNorm = UNSET,
    ) -> Self:
        """Change how the violins look; what is not given stays.

        Parameters
        ----------
        cmap
            Colour map of the medians; None is the default of ``rcParams``.
        stripplot, jitter, jitter_size
            Whether to draw a point for each cell, how far it is moved sideways at most (True is
            0.1), and its diameter in points.
        linewidth
            Of outlines, in points; None for a width that fits.
        row_palette
            A colour for all violins, or a colour map with one for each row, in place of the
            colours of the medians and their legend.
        density_norm, scale
            How wide violins are: ``"width"``, ``"area"`` or ``"count"``, see
            :func:`lazyomics.pl.violin`. ``scale`` is the former name.
        yticklabels
            Whether the axis of values is shown for each row.
        ylim
            Limits of all rows; by default each row has its own.
        x_padding, y_padding
            Space between the violins and the frame, in violins.

        Returns
        -------
        The object itself.

        Raises
        ------
        ValueError
            If ``row_palette`` is neither a colour nor a palette.
        """
        super().style(cmap=cmap)
        if row_palette is not UNSET and row_palette is not None:
            _row_colors(row_palette, 1)
        given = {
            "stripplot": stripplot,
            "jitter": jitter,
            "jitter_size": jitter_size,
            "row_palette": row_palette,
            "plot_yticklabels": yticklabels,
            "ylim": ylim,
            "plot_x_padding": x_padding,
            "plot_y_padding": y_padding,
        }
        for name, value in given.items():
            if value is not UNSET:
                setattr(self, name, value)
        if row_palette is not UNSET:
            self.kwds.pop("color", None)
        if yticklabels is not UNSET:
            # Room between the labels and what is beside them.
            self.wspace = 0.3 if yticklabels else 0.0
        density_norm = density_norm if scale is UNSET else scale
        changes = {"linewidth": linewidth, "density_norm": density_norm}
        self.kwds |= {name: value for name, value in changes.items() if value is not UNSET}
        self._options({})
        return self

    def _options(self, changes: dict[str, Any]) -> ViolinOptions:
        arguments = {**self.kwds, **changes}
        arguments.pop("cmap", None)
        return ViolinOptions.of(arguments.pop("density_norm"), arguments)

    def _draw(self, axes: GroupAxes) -> None:
        ax, norm = axes.main, self._norm()
        cmap = colormap(self.kwds.get("cmap", self.cmap))
        medians = self.obs_tidy.groupby(level=0, observed=True, sort=True).median()
        medians = self._arranged(medians.set_axis(pd.Index(self.categories, dtype=object)))
        colors = cmap(norm(medians.to_numpy(dtype=np.float64)))
        self._draw_rows(ax, medians.shape, colors)
        ax.patch.set_alpha(0.0)
        name_ticks(ax, medians)
        if max(len(str(label)) for label in medians.columns) <= 2:
            ax.tick_params(axis="x", labelrotation=0)
        rows, columns = medians.shape
        ax.set_ylim(rows + self.plot_y_padding, -self.plot_y_padding)
        ax.set_xlim(-self.plot_x_padding, columns + self.plot_x_padding)
        if axes.color_legend is None:
            return
        if self._palette is None:
            draw_colorbar(axes.color_legend, norm, cmap, self.color_legend_title)
        else:
            axes.color_legend.remove()
            axes.color_legend = None

    @property
    def _palette(self) -> Any:
        return self.kwds.get("color", self.row_palette)

    def _draw_rows(self, ax: Axes, shape: tuple[int, int], colors: npt.NDArray[Any]) -> None:
        """Draw a row of violins for each group, or for each gene."""
        rows, columns = shape
        spec = ax.get_subplotspec()
        assert spec is not None  # the layout made it
        grid = spec.subgridspec(
            rows + 2,
            3,
            hspace=0.2 if self.plot_yticklabels else 0,
            wspace=0,
            height_ratios=[self.plot_y_padding, *[1] * rows, self.plot_y_padding],
            width_ratios=[self.plot_x_padding, columns, self.plot_x_padding],
        )
        palette = self._palette
        plain = None if palette is None else _row_colors(palette, rows)
        options = self._options({"color": None})
        cells = self._cells()
        for row in range(rows):
            look = colors[row] if plain is None else [plain[row]] * columns
            strip = Strip({str(place): cells(row, place) for place in range(columns)}, look, "")
            self._draw_row(ax, grid[row + 1, 1], strip, options)

    def _cells(self) -> Any:
        """Values of the cells of a row and a column of the plot."""
        order, genes = self.categories_order, self.var_names_idx_order
        order = self.categories if order is None else order
        codes = self.obs_tidy.index.codes  # type: ignore[attr-defined]
        members = [np.flatnonzero(codes == self.categories.index(group)) for group in order]
        values = self.obs_tidy.to_numpy()

        def of(row: int, column: int) -> npt.NDArray[Any]:
            group, gene = (column, row) if self.are_axes_swapped else (row, column)
            return values[members[group], gene if genes is None else genes[gene]]

        return of

    def _draw_row(
        self, main: Axes, place: SubplotSpec, strip: Strip, options: ViolinOptions
    ) -> None:
        ax = figure_of(main).add_subplot(place)
        draw_bodies(ax, strip, options)
        if self.stripplot:
            jitter = JITTER if self.jitter is True else float(self.jitter)
            draw_points(ax, strip, jitter, self.jitter_size)
        columns = len(strip.values)
        ax.set_xlim(-0.5, columns - 0.5)
        ax.grid(visible=False)
        if self.ylim is not None:
            ax.set_ylim(self.ylim)
        if self.log:
            ax.set_yscale("log")
        ax.set_xticks([])
        if not self.plot_yticklabels:
            ax.axis("off")
            return
        for side in ("top", "bottom", "left"):
            ax.spines[side].set_visible(False)
        ax.spines["right"].set_linewidth(1.5)
        ax.spines["right"].set_position(("data", columns))
        ax.tick_params(
            axis="y", left=False, right=True, labelright=True, labelleft=False, labelsize="x-small"
        )
        # Labels of the lowest and the highest tick stand within their row.
        ax.yaxis.set_major_locator(MaxNLocator(nbins=2, steps=[1, 1.2, 10]))
        ticks = ax.get_yticks()
        ax.set_yticks([ticks[0], ticks[-1]])
        labels = ax.get_yticklabels()
        labels[0].set_verticalalignment("bottom")
        labels[-1].set_verticalalignment("top")


def _row_colors(palette: Any, rows: int) -> list[Any]:
    """Colours of rows: of one colour, a list, a colour map, or ``"husl"``."""
    if is_color_like(palette):
        return [palette] * rows
    if not isinstance(palette, str):
        colors = list(palette)
        return [colors[row % len(colors)] for row in range(rows)]
    if palette == "husl":
        return list(even_hues(rows))
    if palette not in mpl.colormaps:
        raise ValueError(
            f"row_palette={palette!r}: expected a colour, a list of colours, or the name of a "
            "matplotlib colour map"
        )
    cmap = mpl.colormaps[palette]
    if isinstance(cmap, ListedColormap) and cmap.N < 256:
        return [cmap(row % cmap.N) for row in range(rows)]
    return list(cmap(np.linspace(0, 1, rows + 2)[1:-1]))


@checked_keywords(*OF_VIOLINS, also=(*OTHER_NAMES, "cmap"))
def stacked_violin(
    adata: AnnData,
    var_names: VarNames | Mapping[str, VarNames],
    groupby: str | Sequence[str],
    *,
    log: bool = False,
    use_raw: bool | None = None,
    num_categories: int = 7,
    title: str | None = None,
    colorbar_title: str | None = COLOR_TITLE,
    figsize: tuple[float, float] | None = None,
    dendrogram: bool | str = False,
    gene_symbols: str | None = None,
    var_group_positions: Sequence[tuple[int, int]] | None = None,
    var_group_labels: Sequence[str] | None = None,
    standard_scale: Literal["var", "group"] | None = None,
    var_group_rotation: float | None = None,
    layer: str | None = None,
    categories_order: Sequence[str] | None = None,
    swap_axes: bool = False,
    show: bool | None = None,
    save: Save = None,
    return_fig: bool | None = False,
    ax: Axes | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    vcenter: float | None = None,
    norm: Normalize | None = None,
    cmap: Colormap | str | None = "Blues",
    stripplot: bool = False,
    jitter: float | bool = False,
    size: float = 1,
    row_palette: str | None = None,
    density_norm: DensityNorm = UNSET,
    yticklabels: bool = False,
    order: Sequence[str] | None = UNSET,
    scale: DensityNorm = UNSET,
    **kwds: Any,
) -> StackedViolin | dict[str, Axes] | None:
    """Distribution of each gene in each group, as small violins in rows.

    Parameters
    ----------
    adata
        What to plot.
    var_names
        Genes, or numeric columns of ``obs``: a name, a list, or lists by label, which get a
        bracket each. A name of both is the gene.
    groupby
        Column of ``obs``, or several, whose values are joined. Numbers are cut into intervals.
    log
        Whether to take ``log1p`` of the values first, and draw these on a logarithmic axis.
    use_raw
        Whether genes come from ``raw``; by default if there is one and no ``layer`` is given.
    num_categories
        Number of intervals if ``groupby`` is numeric.
    title, colorbar_title
        Titles of the plot and the colour bar.
    figsize
        Width and height in inches; by default by the number of genes and groups.
    dendrogram
        Whether to order groups by, and to show, ``uns[f"dendrogram_{groupby}"]``; or another key
        in ``uns``. It is computed if it is missing.
    gene_symbols
        Column of ``var`` in which to look for genes that are not in ``var_names``.
    var_group_positions, var_group_labels, var_group_rotation
        First and last gene of each bracket, its label, and the rotation of the labels in degrees.
    standard_scale
        Scale values to reach from 0 to 1 for each gene (``"var"``) or each cell (``"group"``).
    layer
        Layer that genes come from.
    categories_order
        Groups in the order in which to show them.
    swap_axes
        Whether genes are rows and groups columns.
    show, save
        See :mod:`lazyomics.pl`.
    return_fig
        Whether to return a :class:`~lazyomics.pl.StackedViolin`, which can be changed before it
        is drawn, instead of drawing, showing or saving it.
    ax
        Axes to draw in place of.
    vmin, vmax, vcenter, norm
        Limits and centre of the colour scale of medians, or a matplotlib norm instead.
    cmap
        Colour map of the medians.
    stripplot, jitter, size
        Whether to draw a point for each cell, how far it is moved sideways at most (True is 0.1),
        and its diameter in points.
    row_palette
        A colour for all violins, or a colour map with one for each row, in place of the colours
        of the medians.
    density_norm
        ``"width"``: all violins equally wide; ``"area"``: the same area within a row;
        ``"count"``: as wide as there are cells.
    yticklabels
        Whether the axis of values is shown for each row.
    order
        Without effect, as in scanpy: see ``categories_order``.
    scale
        Former name of ``density_norm``.
    **kwds
        Arguments of violins, as :func:`lazyomics.pl.violin` takes them.

    Returns
    -------
    The :class:`~lazyomics.pl.StackedViolin` if ``return_fig``; None if it was shown; else the
    axes: ``mainplot_ax``, ``color_legend_ax`` (not with ``row_palette``) and, if there are such,
    ``group_extra_ax`` (dendrogram) and ``gene_group_ax`` (brackets). Sets
    ``uns[f"dendrogram_{groupby}"]`` if a dendrogram is asked for and missing.

    Raises
    ------
    KeyError
        If a gene is unknown. The message names what is available.
    ValueError
        If ``groupby`` is not in ``obs``, parameters contradict each other, or the dendrogram has
        other groups.

    Warns
    -----
    FutureWarning
        If ``order`` is given.

    Notes
    -----
    Passes over X: 1 for all genes. Peak memory: n_obs × genes values, about three times.

    Without ``row_palette``, scanpy draws all violins equally wide, whatever ``density_norm`` is.
    Palettes of seaborn other than ``"husl"`` are not known.

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"cell_type": ["B", "T", "T"]}, index=["a", "b", "c"])
    >>> var = pd.DataFrame(index=["CD79A", "CD3E"])
    >>> adata = lo.AnnData(np.array([[2.0, 0], [0, 1], [0, 0]]), obs=obs, var=var)
    >>> axes = lo.pl.stacked_violin(adata, ["CD79A", "CD3E"], "cell_type", show=False)
    >>> [label.get_text() for label in axes["mainplot_ax"].get_xticklabels()]
    ['CD79A', 'CD3E']
    """
    if order is not UNSET:
        message = "order has no effect: give categories_order"
        warnings.warn(message, FutureWarning, stacklevel=2)
    plot = StackedViolin(
        adata,
        var_names,
        groupby,
        use_raw=use_raw,
        log=log,
        num_categories=num_categories,
        categories_order=categories_order,
        standard_scale=standard_scale,
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
    plot.style(
        cmap=cmap,
        stripplot=stripplot,
        jitter=jitter,
        jitter_size=size,
        row_palette=UNSET if row_palette is None else row_palette,
        density_norm=density_norm,
        yticklabels=yticklabels,
        scale=scale,
    )
    plot.legend(title=colorbar_title)
    return plot._end(dendrogram, swap_axes, return_fig, show, save)
