"""What ``tl.rank_genes_groups`` found: names at their scores, and plots of the best genes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, PolyQuadMesh
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.errors import warn_user
from lazyomics.get.rank_genes_groups_df import rank_genes_groups_df
from lazyomics.pl.dotplots import DotPlot, dotplot
from lazyomics.pl.figure import Save, figure_of, finish
from lazyomics.pl.matrixplots import MatrixPlot, matrixplot

__all__ = ["rank_genes_groups", "rank_genes_groups_dotplot", "rank_genes_groups_matrixplot"]

VALUES = ("scores", "logfoldchanges", "pvals", "pvals_adj", "log10_pvals", "log10_pvals_adj")
DEFAULT_GENES = 10
ABOVE = 0.3  # room for names over the highest score, as a share of the range


@checked_keywords()
def rank_genes_groups(
    adata: AnnData,
    groups: str | Sequence[str] | None = None,
    *,
    n_genes: int = 20,
    gene_symbols: str | None = None,
    key: str | None = "rank_genes_groups",
    fontsize: int = 8,
    ncols: int = 4,
    sharey: bool = True,
    show: bool | None = None,
    save: Save = None,
    ax: Axes | None = None,
    n_panels_per_row: int | None = None,
) -> list[Axes] | None:
    """Names of the best genes of each group, at their scores.

    Parameters
    ----------
    adata
        :func:`lazyomics.tl.rank_genes_groups` has been run on it.
    groups
        Groups to show, by default all.
    n_genes
        Genes of each group.
    gene_symbols
        Column of ``var`` (of ``raw.var`` if raw values were ranked) with the names to write.
    key
        Key of ``uns`` where the result is.
    fontsize
        Of the names, in points.
    ncols, n_panels_per_row
        Panels in a row.
    sharey
        Whether all panels have the same range of scores.
    show, save
        See :mod:`lazyomics.pl`.
    ax
        Axes to draw in place of.

    Returns
    -------
    The axes of each group, or None if the figure was shown.

    Raises
    ------
    KeyError
        If ``uns`` has no such result, or this no such group.
    ValueError
        If ``n_genes`` is less than 1.

    Notes
    -----
    Passes over X: 0.

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np
    >>> adata = lo.AnnData(np.eye(6) / 2, obs={"type": list("ababab")})
    >>> lo.tl.rank_genes_groups(adata, "type", method="t-test")
    >>> axes = lo.pl.rank_genes_groups(adata, n_genes=3, show=False)
    >>> [ax.get_title() for ax in axes]
    ['a vs. rest', 'b vs. rest']
    """
    check_annotated(adata, "pl.rank_genes_groups")
    if n_genes < 1:
        raise ValueError(f"n_genes is a number of genes to show, found {n_genes}")
    result = _result(adata, key)
    shown = _groups(result, groups)
    across = min(ncols if n_panels_per_row is None else n_panels_per_row, len(shown))
    figure, grid = _panels(ax, across, math.ceil(len(shown) / across))
    names = _symbols(adata, result["params"], gene_symbols)
    axes: list[Axes] = []
    lowest, highest = np.inf, -np.inf
    for place, group in enumerate(shown):
        first = axes[0] if axes and sharey else None
        panel = figure.add_subplot(grid[place], sharey=first)
        axes.append(panel)
        genes, scores = result["names"][group][:n_genes], result["scores"][group][:n_genes]
        low, high = float(np.min(scores)), float(np.max(scores))
        lowest, highest = min(lowest, low), max(highest, high)
        if not sharey:
            panel.set_ylim(low, _top(low, high))
        panel.set_xlim(-0.9, n_genes - 0.1)
        for rank, (gene, score) in enumerate(zip(genes, scores, strict=True)):
            panel.text(
                rank,
                score,
                names.get(gene, gene),
                rotation="vertical",
                verticalalignment="bottom",
                horizontalalignment="center",
                fontsize=fontsize,
            )
        panel.set_title(f"{group} vs. {result['params']['reference']}")
        if place + across >= len(shown):
            panel.set_xlabel("ranking")
        if place % across == 0:
            panel.set_ylabel("score")
    if sharey:
        axes[0].set_ylim(lowest, _top(lowest, highest))
    name = f"rank_genes_groups_{result['params']['groupby']}"
    return finish(figure, axes, name=name, show=show, save=save, owned=ax is None)


def _top(low: float, high: float) -> float:
    return high + ABOVE * (high - low) if high > low else low + 1


def _result(adata: AnnData, key: str | None) -> Mapping[str, Any]:
    key = "rank_genes_groups" if key is None else key
    if key not in adata.uns:
        step = "lo.tl.rank_genes_groups(adata, groupby), or name its key_added,"
        raise KeyError(f"adata.uns has no {key!r}; {choices(key, adata.uns, step=step)}")
    found: Mapping[str, Any] = adata.uns[key]
    return found


def _groups(result: Mapping[str, Any], groups: str | Sequence[str] | None) -> list[str]:
    ranked = list(result["names"].dtype.names)
    shown = ranked if groups is None else [groups] if isinstance(groups, str) else list(groups)
    missing = [group for group in shown if group not in ranked]
    if missing or not shown:
        raise KeyError(
            f"no genes were ranked for {missing or 'no group'}; {choices(missing, ranked)}"
        )
    return shown


def _panels(ax: Axes | None, across: int, down: int) -> tuple[Figure, Any]:
    width, height = mpl.rcParams["figure.figsize"]
    if ax is None:
        figure = plt.figure(figsize=(across * width, down * height))
        return figure, GridSpec(down, across, figure, wspace=0.22, hspace=0.3)
    figure, spec = figure_of(ax), ax.get_subplotspec()
    ax.axis("off")
    if spec is None:
        return figure, GridSpec(down, across, figure, wspace=0.22, hspace=0.3)
    return figure, spec.subgridspec(down, across)


def _symbols(
    adata: AnnData, params: Mapping[str, Any], gene_symbols: str | None
) -> Mapping[str, str]:
    if gene_symbols is None:
        return {}
    raw = adata.raw
    table = raw.var if raw is not None and params["use_raw"] else adata.var
    if gene_symbols not in table.columns:
        raise KeyError(
            f"gene_symbols={gene_symbols!r} is no column of var; "
            f"{choices(gene_symbols, table.columns)}"
        )
    return dict(zip(table.index, table[gene_symbols], strict=True))


@checked_keywords(dotplot, PathCollection, Axes.scatter, also=("color_map",))
def rank_genes_groups_dotplot(
    adata: AnnData,
    groups: str | Sequence[str] | None = None,
    *,
    n_genes: int | None = None,
    groupby: str | None = None,
    values_to_plot: str | None = None,
    var_names: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    gene_symbols: str | None = None,
    min_logfoldchange: float | None = None,
    key: str | None = None,
    show: bool | None = None,
    save: Save = None,
    return_fig: bool = False,
    **kwds: Any,
) -> DotPlot | dict[str, Axes] | None:
    """Dots of the best genes of each group, see :func:`lazyomics.pl.dotplot`.

    Parameters
    ----------
    adata
        :func:`lazyomics.tl.rank_genes_groups` has been run on it.
    groups
        Groups whose genes are shown, by default all.
    n_genes
        Genes of each group, by default 10; of a negative number the last ones.
    groupby
        Column of ``obs`` whose groups are shown, by default the one that was ranked by.
    values_to_plot
        What the colours show in place of mean expression: ``"scores"``, ``"logfoldchanges"``,
        ``"pvals"``, ``"pvals_adj"``, ``"log10_pvals"`` or ``"log10_pvals_adj"``. All genes must
        have been ranked.
    var_names
        Genes to show instead of the best: a list, or lists by label.
    gene_symbols
        Column of ``var`` with the names to show.
    min_logfoldchange
        Genes of a smaller log fold change are left out.
    key
        Key of ``uns`` where the result is, ``"rank_genes_groups"`` by default.
    show, save, return_fig
        As of ``pl.dotplot``.
    **kwds
        Of ``pl.dotplot``; ``dendrogram`` is True by default.

    Returns
    -------
    As of ``pl.dotplot``.

    Raises
    ------
    KeyError
        If ``uns`` has no such result, or this no such group.
    ValueError
        If ``var_names`` and ``n_genes`` are both given, ``values_to_plot`` is unknown, not all
        genes were ranked whose values are to be plotted, or no gene is left.

    Notes
    -----
    Passes over X: 1 for all genes, those of ``tl.dendrogram`` if there is none yet. Peak memory:
    a block of X and groups × genes values.

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np
    >>> adata = lo.AnnData(np.eye(6) / 2, obs={"type": list("aabbcc")})
    >>> lo.tl.rank_genes_groups(adata, "type", method="t-test")
    >>> axes = lo.pl.rank_genes_groups_dotplot(adata, n_genes=1, dendrogram=False, show=False)
    >>> [text.get_text() for text in axes["mainplot_ax"].get_yticklabels()]
    ['a', 'b', 'c']
    """
    check_annotated(adata, "pl.rank_genes_groups_dotplot")
    chosen, by, kwds = _choice(
        adata, groups, n_genes, groupby, var_names, gene_symbols, min_logfoldchange, key, kwds
    )
    kwds = _with_values(adata, values_to_plot, chosen, gene_symbols, key, "dot_color_df", kwds)
    return dotplot(adata, chosen, by, show=show, save=save, return_fig=return_fig, **kwds)


@checked_keywords(matrixplot, PolyQuadMesh, Axes.pcolor)
def rank_genes_groups_matrixplot(
    adata: AnnData,
    groups: str | Sequence[str] | None = None,
    *,
    n_genes: int | None = None,
    groupby: str | None = None,
    values_to_plot: str | None = None,
    var_names: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    gene_symbols: str | None = None,
    min_logfoldchange: float | None = None,
    key: str | None = None,
    show: bool | None = None,
    save: Save = None,
    return_fig: bool = False,
    **kwds: Any,
) -> MatrixPlot | dict[str, Axes] | None:
    """Matrix of the best genes of each group, see :func:`lazyomics.pl.matrixplot`.

    Parameters
    ----------
    adata
        :func:`lazyomics.tl.rank_genes_groups` has been run on it.
    groups
        Groups whose genes are shown, by default all.
    n_genes
        Genes of each group, by default 10; of a negative number the last ones.
    groupby
        Column of ``obs`` whose groups are shown, by default the one that was ranked by.
    values_to_plot
        What the colours show in place of mean expression: ``"scores"``, ``"logfoldchanges"``,
        ``"pvals"``, ``"pvals_adj"``, ``"log10_pvals"`` or ``"log10_pvals_adj"``. All genes must
        have been ranked.
    var_names
        Genes to show instead of the best: a list, or lists by label.
    gene_symbols
        Column of ``var`` with the names to show.
    min_logfoldchange
        Genes of a smaller log fold change are left out.
    key
        Key of ``uns`` where the result is, ``"rank_genes_groups"`` by default.
    show, save, return_fig
        As of ``pl.matrixplot``.
    **kwds
        Of ``pl.matrixplot``; ``dendrogram`` is True by default.

    Returns
    -------
    As of ``pl.matrixplot``.

    Raises
    ------
    KeyError
        If ``uns`` has no such result, or this no such group.
    ValueError
        If ``var_names`` and ``n_genes`` are both given, ``values_to_plot`` is unknown, not all
        genes were ranked whose values are to be plotted, or no gene is left.

    Notes
    -----
    Passes over X: 1 for all genes (0 with ``values_to_plot``), those of ``tl.dendrogram`` if
    there is none yet. Peak memory: a block of X and groups × genes values.

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np
    >>> adata = lo.AnnData(np.eye(6) / 2, obs={"type": list("aabbcc")})
    >>> lo.tl.rank_genes_groups(adata, "type", method="t-test")
    >>> axes = lo.pl.rank_genes_groups_matrixplot(adata, n_genes=1, dendrogram=False, show=False)
    >>> [text.get_text() for text in axes["mainplot_ax"].get_yticklabels()]
    ['a', 'b', 'c']
    """
    check_annotated(adata, "pl.rank_genes_groups_matrixplot")
    chosen, by, kwds = _choice(
        adata, groups, n_genes, groupby, var_names, gene_symbols, min_logfoldchange, key, kwds
    )
    kwds = _with_values(adata, values_to_plot, chosen, gene_symbols, key, "values_df", kwds)
    return matrixplot(adata, chosen, by, show=show, save=save, return_fig=return_fig, **kwds)


def _choice(
    adata: AnnData,
    groups: str | Sequence[str] | None,
    n_genes: int | None,
    groupby: str | None,
    var_names: Sequence[str] | Mapping[str, Sequence[str]] | None,
    gene_symbols: str | None,
    least: float | None,
    key: str | None,
    kwds: Mapping[str, Any],
) -> tuple[Any, str, dict[str, Any]]:
    """Genes to plot, what to group by, and the other options of the plot."""
    if var_names is not None and n_genes is not None:
        raise ValueError("n_genes and var_names exclude each other")
    result = _result(adata, key)
    chosen: Any = var_names
    if chosen is None:
        number = DEFAULT_GENES if n_genes is None else n_genes
        options = _options(gene_symbols, key)
        chosen = _best(adata, _groups(result, groups), number, least, options)
    by = str(result["params"]["groupby"]) if groupby is None else groupby
    return chosen, by, {"dendrogram": True, "gene_symbols": gene_symbols, **kwds}


def _options(gene_symbols: str | None, key: str | None) -> dict[str, Any]:
    return {"key": "rank_genes_groups" if key is None else key, "gene_symbols": gene_symbols}


def _with_values(
    adata: AnnData,
    name: str | None,
    chosen: Any,
    gene_symbols: str | None,
    key: str | None,
    parameter: str,
    kwds: dict[str, Any],
) -> dict[str, Any]:
    """Options of a plot whose colours show what was computed of the genes, if that is asked."""
    if name is None:
        return kwds
    if name not in VALUES:
        raise ValueError(f"values_to_plot is one of {VALUES}, found {name!r}")
    ranked = _groups(_result(adata, key), None)
    table = _values(adata, name, _flat(chosen), ranked, _options(gene_symbols, key))
    title = name.replace("_", " ").replace("pvals", "p-value")
    title = "log fold change" if name == "logfoldchanges" else title
    return {"colorbar_title": title, **kwds, parameter: table}


def _flat(names: Any) -> list[str]:
    if isinstance(names, Mapping):
        return [gene for some in names.values() for gene in _flat(some)]
    return [names] if isinstance(names, str) else list(names)


def _ranked(adata: AnnData, group: str, options: Mapping[str, Any], **limits: Any) -> pd.DataFrame:
    frame = rank_genes_groups_df(adata, group, **options, **limits)
    symbols = options["gene_symbols"]
    return frame if symbols is None else frame.assign(names=frame[symbols])


def _best(
    adata: AnnData,
    groups: Sequence[str],
    n_genes: int,
    least: float | None,
    options: Mapping[str, Any],
) -> dict[str, list[str]]:
    best = {}
    for group in groups:
        genes = _ranked(adata, group, options, log2fc_min=least)["names"].dropna().tolist()
        if genes:
            best[group] = genes[n_genes:] if n_genes < 0 else genes[:n_genes]
        else:
            warn_user(f"no gene of group {group!r} is left, it gets no bracket")
    if not best:
        raise ValueError(f"min_logfoldchange={least} leaves no gene of any group")
    return best


def _values(
    adata: AnnData,
    name: str,
    genes: Sequence[str],
    groups: Sequence[str],
    options: Mapping[str, Any],
) -> pd.DataFrame:
    """Table of the values of genes, groups × genes."""
    columns = {}
    for group in groups:
        frame = _ranked(adata, group, options)
        if len(frame) < adata.n_vars:
            raise ValueError(
                f"{name} of {len(frame)} genes were kept, and others may be plotted: run "
                "tl.rank_genes_groups with n_genes=adata.n_vars"
            )
        columns[group] = frame.set_index("names")[name.removeprefix("log10_")]
    table = pd.DataFrame(columns).fillna(1)
    if name.startswith("log10_"):
        table = table.map(lambda value: -np.log10(value))
    return table.loc[list(genes)].T
