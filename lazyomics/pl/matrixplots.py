"""Matrix plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyQuadMesh
from matplotlib.colors import Colormap, Normalize
from matplotlib.typing import ColorType

from lazyomics.container import AnnData
from lazyomics.pl.coloring import colormap
from lazyomics.pl.dot_values import dot_values
from lazyomics.pl.figure import Save
from lazyomics.pl.group_layout import GroupAxes
from lazyomics.pl.group_plots import UNSET, GroupPlot, draw_colorbar, name_ticks, scaled_table
from lazyomics.pl.keywords import checked_keywords
from lazyomics.pl.values import VarNames

__all__ = ["MatrixPlot", "matrixplot"]

COLOR_TITLE = "Mean expression\nin group"
FRAME_WIDTH = 1.5


class MatrixPlot(GroupPlot):
    """Mean of each gene in each group, as a square, which can be changed before it is drawn.

    :func:`lazyomics.pl.matrixplot` is the short way to it.

    Parameters
    ----------
    adata, var_names, groupby, use_raw, log, num_categories, categories_order, title, figsize
        As :func:`lazyomics.pl.matrixplot` takes them.
    gene_symbols, var_group_positions, var_group_labels, var_group_rotation, layer
        As :func:`lazyomics.pl.matrixplot` takes them.
    standard_scale
        Scale means to reach from 0 to 1 for each gene (``"var"``) or each ``"group"``.
    ax
        Axes to draw in place of.
    values_df
        Values to show in place of the means, as they are: groups × genes.
    vmin, vmax, vcenter, norm
        Limits and centre of the colour scale, or a matplotlib norm instead.
    **kwds
        Passed to :meth:`matplotlib.axes.Axes.pcolor`.

    Attributes
    ----------
    values_df
        What the colours show: groups × genes.

    Raises
    ------
    KeyError
        If a gene is unknown or ``values_df`` lacks one.
    TypeError
        If ``adata`` is no AnnData.
    ValueError
        If ``groupby`` is not in ``obs``, or parameters contradict each other.

    Notes
    -----
    Passes over X: 1 for all genes, 0 with ``values_df``. Peak memory: a block of X and groups ×
    genes values (with ``log``, n_obs × genes).

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"cell_type": ["B", "T", "T"]}, index=["a", "b", "c"])
    >>> var = pd.DataFrame(index=["CD79A", "CD3E"])
    >>> adata = lo.AnnData(np.array([[2.0, 0], [0, 1], [0, 0]]), obs=obs, var=var)
    >>> plot = lo.pl.MatrixPlot(adata, ["CD79A", "CD3E"], "cell_type").style(edge_color="none")
    >>> plot.swap_axes().get_axes()["mainplot_ax"].collections[0].get_array().tolist()
    [[2.0, 0.0], [0.0, 0.5]]
    """

    DEFAULT_SAVE_PREFIX: ClassVar[str] = "matrixplot_"
    DEFAULT_COLOR_LEGEND_TITLE: ClassVar[str] = COLOR_TITLE
    DEFAULT_COLORMAP: ClassVar[str] = "viridis"
    DEFAULT_EDGE_COLOR: ClassVar[str] = "gray"
    DEFAULT_EDGE_LW: ClassVar[float] = 0.1

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
        values_df: pd.DataFrame | None = None,
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
        if values_df is None:
            values = dot_values(
                adata,
                self.var_names,
                groupby,
                use_raw=use_raw,
                layer=layer,
                gene_symbols=gene_symbols,
                log=log,
                num_categories=num_categories,
                expression_cutoff=0.0,
                mean_only_expressed=False,
            )
            index = pd.Index(self.categories, dtype=object)
            self.values_df = scaled_table(values.means.set_axis(index), standard_scale)
        else:
            self.values_df = _given(values_df, self.var_names)
            self.categories = list(values_df.index)
        self.edge_color: ColorType | None = self.DEFAULT_EDGE_COLOR
        self.edge_lw: float | None = self.DEFAULT_EDGE_LW

    def style(
        self,
        cmap: Colormap | str | None = UNSET,
        edge_color: ColorType | None = UNSET,
        edge_lw: float | None = UNSET,
    ) -> Self:
        """Change how the squares look; what is not given stays.

        Parameters
        ----------
        cmap
            Colour map; None is the default of ``rcParams``.
        edge_color, edge_lw
            Colour and width of the lines between squares; None is matplotlib's default.

        Returns
        -------
        The object itself.
        """
        super().style(cmap=cmap)
        self.edge_color = self.edge_color if edge_color is UNSET else edge_color
        self.edge_lw = self.edge_lw if edge_lw is UNSET else edge_lw
        return self

    def _draw(self, axes: GroupAxes) -> None:
        norm, options = self._norm(), dict(self.kwds)
        cmap = options.pop("cmap", self.cmap)
        table = self._arranged(self.values_df)
        look: dict[str, Any] = {"cmap": colormap(cmap), "norm": norm}
        look |= {"edgecolor": self.edge_color, "linewidth": self.edge_lw, **options}
        ax = axes.main
        ax.pcolor(table.to_numpy(dtype=np.float64), **look)
        for edge in ax.spines.values():
            edge.set_linewidth(FRAME_WIDTH)
        name_ticks(ax, table)
        rows, columns = table.shape
        ax.set_ylim(rows, 0)
        ax.set_xlim(0, columns)
        if axes.color_legend is not None:
            draw_colorbar(axes.color_legend, norm, cmap, self.color_legend_title)


def _given(values: pd.DataFrame, genes: Sequence[str]) -> pd.DataFrame:
    unique = values.loc[:, ~values.columns.duplicated()]
    missing = [gene for gene in genes if gene not in unique.columns]
    if missing:
        raise KeyError(f"values_df lacks {missing}; it has {list(values.columns)}")
    return unique.loc[:, list(genes)]


@checked_keywords(PolyQuadMesh, Axes.pcolor)
def matrixplot(
    adata: AnnData,
    var_names: VarNames | Mapping[str, VarNames],
    groupby: str | Sequence[str],
    *,
    use_raw: bool | None = None,
    log: bool = False,
    num_categories: int = 7,
    categories_order: Sequence[str] | None = None,
    figsize: tuple[float, float] | None = None,
    dendrogram: bool | str = False,
    title: str | None = None,
    cmap: Colormap | str | None = "viridis",
    colorbar_title: str | None = COLOR_TITLE,
    gene_symbols: str | None = None,
    var_group_positions: Sequence[tuple[int, int]] | None = None,
    var_group_labels: Sequence[str] | None = None,
    var_group_rotation: float | None = None,
    layer: str | None = None,
    standard_scale: Literal["var", "group"] | None = None,
    values_df: pd.DataFrame | None = None,
    swap_axes: bool = False,
    show: bool | None = None,
    save: Save = None,
    ax: Axes | None = None,
    return_fig: bool | None = False,
    vmin: float | None = None,
    vmax: float | None = None,
    vcenter: float | None = None,
    norm: Normalize | None = None,
    **kwds: Any,
) -> MatrixPlot | dict[str, Axes] | None:
    """Mean of each gene in each group of observations, as a coloured square.

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
    figsize
        Width and height in inches; by default by the number of genes and groups.
    dendrogram
        Whether to order groups by, and to show, ``uns[f"dendrogram_{groupby}"]``; or another key
        in ``uns``. It is computed if it is missing.
    title, colorbar_title
        Titles of the plot and the colour bar.
    cmap
        Colour map.
    gene_symbols
        Column of ``var`` in which to look for genes that are not in ``var_names``.
    var_group_positions, var_group_labels, var_group_rotation
        First and last gene of each bracket, its label, and the rotation of the labels in degrees.
    layer
        Layer that genes come from.
    standard_scale
        Scale means to reach from 0 to 1 for each gene (``"var"``) or each ``"group"``.
    values_df
        Values to show in place of the means, as they are: groups × genes.
    swap_axes
        Whether genes are rows and groups columns.
    show, save
        See :mod:`lazyomics.pl`.
    ax
        Axes to draw in place of.
    return_fig
        Whether to return a :class:`~lazyomics.pl.MatrixPlot`, which can be changed before it is
        drawn, instead of drawing, showing or saving it.
    vmin, vmax, vcenter, norm
        Limits and centre of the colour scale, or a matplotlib norm instead.
    **kwds
        Passed to :meth:`matplotlib.axes.Axes.pcolor`.

    Returns
    -------
    The :class:`~lazyomics.pl.MatrixPlot` if ``return_fig``; None if it was shown; else the axes:
    ``mainplot_ax``, ``color_legend_ax`` and, if there are such, ``group_extra_ax`` (dendrogram)
    and ``gene_group_ax`` (brackets). Sets ``uns[f"dendrogram_{groupby}"]`` if a dendrogram is
    asked for and missing.

    Raises
    ------
    KeyError
        If a gene is unknown or ``values_df`` lacks one. The message names what is available.
    ValueError
        If ``groupby`` is not in ``obs``, parameters contradict each other, or the dendrogram has
        other groups.

    Notes
    -----
    Passes over X: 1 for all genes, 0 with ``values_df``. Peak memory: a block of X and groups ×
    genes values (with ``log``, n_obs × genes).

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"cell_type": ["B", "T", "T"]}, index=["a", "b", "c"])
    >>> var = pd.DataFrame(index=["CD79A", "CD3E"])
    >>> adata = lo.AnnData(np.array([[2.0, 0], [0, 1], [0, 0]]), obs=obs, var=var)
    >>> axes = lo.pl.matrixplot(adata, ["CD79A", "CD3E"], groupby="cell_type", show=False)
    >>> axes["mainplot_ax"].collections[0].get_array().tolist()
    [[2.0, 0.0], [0.0, 0.5]]
    """
    plot = MatrixPlot(
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
        values_df=values_df,
        ax=ax,
        vmin=vmin,
        vmax=vmax,
        vcenter=vcenter,
        norm=norm,
        **kwds,
    )
    plot.style(cmap=cmap).legend(title=colorbar_title)
    return plot._end(dendrogram, swap_axes, return_fig, show, save)
