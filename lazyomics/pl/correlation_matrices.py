"""Correlations of groups, as ``tl.dendrogram`` computed them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.gridspec import GridSpec

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.get.group_stats import cell_groups
from lazyomics.pl.coloring import color_norm
from lazyomics.pl.dendrograms import draw_tree, stored_dendrogram
from lazyomics.pl.figure import Save, figure_of, finish

__all__ = ["correlation_matrix"]

SQUARE, BAR_HEIGHT, TREE_WIDTH = 0.6, 0.2, 1.8  # inches
MOST_EDGES = 30  # groups above which lines between squares would hide them


def correlation_matrix(
    adata: AnnData,
    groupby: str,
    *,
    show_correlation_numbers: bool = False,
    dendrogram: bool | str | None = None,
    figsize: tuple[float, float] | None = None,
    show: bool | None = None,
    save: Save = None,
    ax: Axes | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    vcenter: float | None = None,
    norm: Normalize | None = None,
    **kwds: Any,
) -> list[Axes] | None:
    """Correlations of groups with each other, as :func:`lazyomics.tl.dendrogram` computed them.

    Parameters
    ----------
    adata
        What to plot.
    groupby
        Column of ``obs``, or several, that the dendrogram is of.
    show_correlation_numbers
        Whether to write the numbers into the squares.
    dendrogram
        Whether to show the dendrogram and order groups by it, by default without ``ax``; or the
        key in ``uns``. It is computed if it is missing.
    figsize
        Width and height in inches; by default by the number of groups.
    show, save
        See :mod:`lazyomics.pl`.
    ax
        Axes to draw into, without dendrogram and colour bar.
    vmin, vmax, vcenter, norm
        Limits (by default -1 and 1) and centre of the colour scale, or a matplotlib norm instead.
    **kwds
        Passed to :meth:`matplotlib.axes.Axes.pcolormesh`.

    Returns
    -------
    The axes of the dendrogram (if there is one), the matrix and the colour bar; None if it was
    shown, or drawn into ``ax``. Sets ``uns[f"dendrogram_{groupby}"]`` if it is missing.

    Raises
    ------
    TypeError
        If ``adata`` is no AnnData.
    ValueError
        If what is stored is no dendrogram of ``groupby``, or ``ax`` and a dendrogram are asked for.

    Notes
    -----
    Passes over X: 0 (1 if the dendrogram is missing and there is no PCA). Peak memory:
    O(groups²).

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np
    >>> import pandas as pd
    >>> obs, pca = {"type": pd.Categorical(list("abcabc"))}, np.eye(6)[:, :4]
    >>> adata = lo.AnnData(np.eye(6), obs=obs, obsm={"X_pca": pca})
    >>> lo.tl.dendrogram(adata, "type")
    >>> axes = lo.pl.correlation_matrix(adata, "type", show=False)
    >>> len(axes)
    3
    """
    check_annotated(adata, "pl.correlation_matrix")
    if dendrogram and ax is not None:
        raise ValueError("ax has no room for a dendrogram: give dendrogram=False, or no ax")
    if vmin is None and vmax is None and norm is None:
        vmin, vmax = -1, 1
    look = {"norm": color_norm(vmin, vmax, vcenter, norm), "cmap": "bwr", **kwds}
    stored = stored_dendrogram(adata, groupby, dendrogram if isinstance(dendrogram, str) else None)
    table = np.asarray(stored["correlation_matrix"])
    if len(table) > MOST_EDGES:
        look.setdefault("edgecolors", "none")
    elif "edgecolors" not in look:
        look = {"edgecolors": "black", "linewidth": 0.01, **look}
    with_tree = ax is None if dendrogram is None else bool(dendrogram)
    if with_tree:
        order = np.asarray(stored["categories_idx_ordered"], dtype=np.intp)
        labels = [str(label) for label in stored["categories_ordered"]]
        table = table[np.ix_(order, order)]
    else:
        groups = cell_groups(adata.obs, groupby).remove_unused_categories()
        labels = [str(label) for label in groups.categories]
    axes: list[Axes] = []
    main, bar = ax, None
    if ax is None:
        main, tree, bar = _layout(len(table), figsize, tree=with_tree)
        if tree is not None:
            ticks = np.arange(len(table), dtype=np.float64) + 0.5
            info = stored["dendrogram_info"]
            draw_tree(tree, info, side="left", ticks=ticks, labels=False)
            axes.append(tree)
    assert main is not None
    image = main.pcolormesh(table, **look)
    _name(main, labels)
    if show_correlation_numbers:
        for row, column in product(range(len(table)), repeat=2):
            text = f"{table[row, column]:.2f}"
            main.text(row + 0.5, column + 0.5, text, ha="center", va="center")
    axes.append(main)
    figure = figure_of(main)
    if bar is not None:
        drawn = figure.colorbar(image, cax=bar, orientation="horizontal")
        if drawn.solids is not None:
            drawn.solids.set_edgecolor("face")
        axes.append(bar)
    name = "correlation_matrix"
    result = finish(figure, axes, name=name, show=show, save=save, owned=ax is None)
    return None if ax is not None else result


def _layout(
    groups: int, figsize: tuple[float, float] | None, *, tree: bool
) -> tuple[Axes, Axes | None, Axes]:
    """Axes of the matrix, the dendrogram and the colour bar."""
    side = groups * SQUARE
    beside = TREE_WIDTH if tree else 0.0
    width, height = (side + beside, side + BAR_HEIGHT) if figsize is None else figsize
    side = height - BAR_HEIGHT
    figure = plt.figure(figsize=(width, height))
    grid = GridSpec(
        2,
        2,
        figure=figure,
        width_ratios=[beside, side],
        height_ratios=[side, BAR_HEIGHT],
        wspace=0.01,
        hspace=0.05,
    )
    main = figure.add_subplot(grid[0, 1])
    left = figure.add_subplot(grid[0, 0], sharey=main) if tree else None
    return main, left, figure.add_subplot(grid[1, 1])


def _name(ax: Axes, labels: Sequence[str]) -> None:
    ticks = np.arange(len(labels)) + 0.5
    ax.set(xlim=(0, len(labels)), ylim=(0, len(labels)))
    ax.yaxis.tick_right()
    ax.set_yticks(ticks, labels)
    ax.xaxis.set_tick_params(labeltop=True, labelbottom=False)
    ax.set_xticks(ticks, labels, rotation=45, ha="left")
    for axis in ("x", "y"):
        ax.tick_params(axis=axis, which="both", bottom=False, top=False)
