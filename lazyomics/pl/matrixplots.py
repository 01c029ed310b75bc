"""Matrix plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyQuadMesh
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.names import choices
from lazyomics.pl.coloring import color_norm, colormap
from lazyomics.pl.dot_values import DotValues, dot_values
from lazyomics.pl.dotplots import (
    COLOR_TITLE,
    DotLayout,
    GroupedValues,
    draw_colorbar,
    in_order,
)
from lazyomics.pl.figure import Save, finish
from lazyomics.pl.keywords import checked_keywords
from lazyomics.pl.values import VarNames, split_var_names

__all__ = ["matrixplot"]

EDGE_COLOR, EDGE_WIDTH, FRAME_WIDTH = "gray", 0.1, 1.5


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
) -> Figure | dict[str, Axes] | None:
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
        Whether to return the figure instead of showing or saving it.
    vmin, vmax, vcenter, norm
        Limits and centre of the colour scale, or a matplotlib norm instead.
    **kwds
        Passed to :meth:`matplotlib.axes.Axes.pcolor`.

    Returns
    -------
    The :class:`~matplotlib.figure.Figure` if ``return_fig``; None if it was shown; else the axes:
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
    check_annotated(adata, "pl.matrixplot")
    genes, var_groups = split_var_names(var_names, var_group_labels, var_group_positions)
    if values_df is None:
        values = dot_values(
            adata,
            genes,
            groupby,
            use_raw=use_raw,
            layer=layer,
            gene_symbols=gene_symbols,
            log=log,
            num_categories=num_categories,
            expression_cutoff=0.0,
            mean_only_expressed=False,
        ).scaled(standard_scale)
    else:
        values = _given(values_df, genes)
    content = GroupedValues(in_order(values, categories_order), var_groups, None)
    if dendrogram:
        key = dendrogram if isinstance(dendrogram, str) else None
        content = content.with_tree(adata, groupby, key)
    scale = color_norm(vmin, vmax, vcenter, norm)
    layout = DotLayout.plan(
        *content.values.means.shape,
        figsize=figsize,
        swapped=swap_axes,
        tree=content.tree is not None,
        var_groups=content.var_groups,
        rotation=var_group_rotation,
    )
    axes = layout.draw(ax, title, sizes=False)
    content.draw_margins(axes, layout, var_group_rotation)
    means = content.values.means
    _draw_squares(axes.main, means.T if swap_axes else means, scale, cmap, kwds)
    draw_colorbar(axes.color_legend, scale, cmap, colorbar_title)
    if return_fig:
        return axes.figure
    named = axes.by_name()
    return finish(axes.figure, named, name="matrixplot_", show=show, save=save, owned=ax is None)


def _given(values: pd.DataFrame, genes: Sequence[str]) -> DotValues:
    unique = values.loc[:, ~values.columns.duplicated()]
    missing = [gene for gene in genes if gene not in unique.columns]
    if missing:
        raise KeyError(f"values_df lacks {missing}; {choices(missing, values.columns)}")
    chosen = unique.loc[:, list(genes)]
    return DotValues(chosen, chosen)


def _draw_squares(
    ax: Axes,
    values: pd.DataFrame,
    norm: Normalize,
    cmap: Colormap | str | None,
    options: Mapping[str, Any],
) -> None:
    """Draw a square for each row and column, the first row on top."""
    look: dict[str, Any] = {"cmap": colormap(cmap), "norm": norm}
    look |= {"edgecolor": EDGE_COLOR, "linewidth": EDGE_WIDTH, **options}
    ax.pcolor(values.to_numpy(dtype=np.float64), **look)
    for edge in ax.spines.values():
        edge.set_linewidth(FRAME_WIDTH)
    rows, columns = values.shape
    ax.set_yticks(np.arange(rows) + 0.5, [str(label) for label in values.index])
    labels = [str(label) for label in values.columns]
    ax.set_xticks(np.arange(columns) + 0.5, labels, rotation=90, ha="center")
    ax.tick_params(axis="both", labelsize="small")
    ax.grid(visible=False)
    ax.set_ylim(rows, 0)
    ax.set_xlim(0, columns)
    ax.set_zorder(100)
