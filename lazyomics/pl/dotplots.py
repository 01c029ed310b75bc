"""Dot plots: how much, and in how many cells, groups express genes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure

from lazyomics.container import AnnData
from lazyomics.pl.bounds import color_norm
from lazyomics.pl.dendrograms import draw_tree, stored_dendrogram
from lazyomics.pl.dot_layout import CATEGORY_WIDTH, DotAxes, DotLayout
from lazyomics.pl.dot_values import DotValues, dot_values
from lazyomics.pl.dots import EDGE_WIDTH, DotSizes, DotStyle, draw_dots, draw_legends
from lazyomics.pl.saving import Save, finish
from lazyomics.pl.var_groups import VarGroups, VarNames, draw_brackets, split_var_names

__all__ = ["dotplot"]

SIZE_TITLE = "Fraction of cells\nin group (%)"
COLOR_TITLE = "Mean expression\nin group"

logger = logging.getLogger("lazyomics")


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
    content = _Content(_in_order(values, categories_order), var_groups, None)
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
    draw_legends(axes.size_legend, axes.color_legend, style)
    if return_fig:
        return axes.figure
    named = axes.by_name()
    return finish(axes.figure, named, name="dotplot_", show=show, save=save, owned=ax is None)


@dataclass(frozen=True)
class _Content:
    """What is drawn, in the order in which it is drawn."""

    values: DotValues
    var_groups: VarGroups | None
    tree: dict[str, Any] | None

    def with_tree(self, adata: AnnData, groupby: str | Sequence[str], key: str | None) -> _Content:
        """Groups in the order of their dendrogram, and brackets named like groups likewise."""
        groups = list(self.values.means.index)
        if len(groups) <= 2:
            logger.warning("no dendrogram is shown for fewer than 3 groups")
            return self
        stored = stored_dendrogram(adata, groupby, key)
        leaves = [str(leaf) for leaf in stored["categories_ordered"]]
        by_label = {str(group): group for group in groups}
        if set(leaves) != set(by_label):
            raise ValueError(
                f"the dendrogram has the groups {leaves}, but {groupby!r} has {list(by_label)}; "
                "run tl.dendrogram again"
            )
        var_groups, order = self.var_groups, None
        if var_groups is not None and set(var_groups.labels) == set(leaves):
            var_groups, order = var_groups.ordered(leaves)
        values = self.values.ordered([by_label[leaf] for leaf in leaves], order)
        return _Content(values, var_groups, stored["dendrogram_info"])

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


def _in_order(values: DotValues, order: Sequence[str] | None) -> DotValues:
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
