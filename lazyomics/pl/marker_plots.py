"""Plots of the best genes of each group, as ``tl.rank_genes_groups`` found them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, PolyQuadMesh
from matplotlib.image import AxesImage

from lazyomics.container import AnnData
from lazyomics.errors import warn_user
from lazyomics.get.rank_genes_groups_df import rank_genes_groups_df, ranking_result
from lazyomics.pl.dotplots import DotPlot, dotplot
from lazyomics.pl.figure import Save
from lazyomics.pl.heatmaps import heatmap, tracksplot
from lazyomics.pl.keywords import checked_keywords
from lazyomics.pl.matrixplots import MatrixPlot, matrixplot
from lazyomics.pl.rankings import ranked_groups
from lazyomics.pl.stacked_violins import StackedViolin, stacked_violin
from lazyomics.pl.violins import OF_VIOLINS, OTHER_NAMES

__all__ = [
    "rank_genes_groups_dotplot",
    "rank_genes_groups_heatmap",
    "rank_genes_groups_matrixplot",
    "rank_genes_groups_stacked_violin",
    "rank_genes_groups_tracksplot",
]

VALUES = ("scores", "logfoldchanges", "pvals", "pvals_adj", "log10_pvals", "log10_pvals_adj")
DEFAULT_GENES = 10


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
    chosen, by, kwds = _choice(
        adata, groups, n_genes, groupby, var_names, gene_symbols, min_logfoldchange, key, kwds
    )
    kwds = _with_values(adata, values_to_plot, chosen, gene_symbols, key, "values_df", kwds)
    return matrixplot(adata, chosen, by, show=show, save=save, return_fig=return_fig, **kwds)


@checked_keywords(heatmap, AxesImage, Axes.imshow)
def rank_genes_groups_heatmap(
    adata: AnnData,
    groups: str | Sequence[str] | None = None,
    *,
    n_genes: int | None = None,
    groupby: str | None = None,
    gene_symbols: str | None = None,
    var_names: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    min_logfoldchange: float | None = None,
    key: str | None = None,
    show: bool | None = None,
    save: Save = None,
    **kwds: Any,
) -> dict[str, Axes] | None:
    """Heatmap of the best genes of each group, see :func:`lazyomics.pl.heatmap`.

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
    gene_symbols
        Column of ``var`` with the names to show.
    var_names
        Genes to show instead of the best: a list, or lists by label.
    min_logfoldchange
        Genes of a smaller log fold change are left out.
    key
        Key of ``uns`` where the result is, ``"rank_genes_groups"`` by default.
    show, save
        As of ``pl.heatmap``.
    **kwds
        Of ``pl.heatmap``; ``dendrogram`` is True by default.

    Returns
    -------
    As of ``pl.heatmap``.

    Raises
    ------
    KeyError
        If ``uns`` has no such result, or this no such group.
    ValueError
        If ``var_names`` and ``n_genes`` are both given, or no gene is left.

    Notes
    -----
    Passes over X: 1 for all genes, those of ``tl.dendrogram`` if there is none yet. Peak memory:
    n_obs × genes values, about three times.

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np, pandas as pd
    >>> obs = {"type": pd.Categorical(list("aabbcc"))}
    >>> adata = lo.AnnData(np.eye(6) / 2, obs=obs)
    >>> lo.tl.rank_genes_groups(adata, "type", method="t-test")
    >>> axes = lo.pl.rank_genes_groups_heatmap(adata, n_genes=1, dendrogram=False, show=False)
    >>> [text.get_text() for text in axes["groupby_ax"].get_yticklabels()]
    ['a', 'b', 'c']
    """
    chosen, by, kwds = _choice(
        adata, groups, n_genes, groupby, var_names, gene_symbols, min_logfoldchange, key, kwds
    )
    return heatmap(adata, chosen, by, show=show, save=save, **kwds)


@checked_keywords(stacked_violin, *OF_VIOLINS, also=OTHER_NAMES)
def rank_genes_groups_stacked_violin(
    adata: AnnData,
    groups: str | Sequence[str] | None = None,
    *,
    n_genes: int | None = None,
    groupby: str | None = None,
    gene_symbols: str | None = None,
    var_names: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    min_logfoldchange: float | None = None,
    key: str | None = None,
    show: bool | None = None,
    save: Save = None,
    return_fig: bool = False,
    **kwds: Any,
) -> StackedViolin | dict[str, Axes] | None:
    """Violins of the best genes of each group, in rows, see :func:`lazyomics.pl.stacked_violin`.

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
    gene_symbols
        Column of ``var`` with the names to show.
    var_names
        Genes to show instead of the best: a list, or lists by label.
    min_logfoldchange
        Genes of a smaller log fold change are left out.
    key
        Key of ``uns`` where the result is, ``"rank_genes_groups"`` by default.
    show, save, return_fig
        As of ``pl.stacked_violin``.
    **kwds
        Of ``pl.stacked_violin``; ``dendrogram`` is True by default.

    Returns
    -------
    As of ``pl.stacked_violin``.

    Raises
    ------
    KeyError
        If ``uns`` has no such result, or this no such group.
    ValueError
        If ``var_names`` and ``n_genes`` are both given, or no gene is left.

    Notes
    -----
    Passes over X: 1 for all genes, those of ``tl.dendrogram`` if there is none yet. Peak memory:
    n_obs × genes values, about three times.

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np, pandas as pd
    >>> obs = {"type": pd.Categorical(list("aabbcc"))}
    >>> adata = lo.AnnData(np.eye(6) / 2, obs=obs)
    >>> lo.tl.rank_genes_groups(adata, "type", method="t-test")
    >>> options = {"n_genes": 1, "dendrogram": False, "show": False}
    >>> axes = lo.pl.rank_genes_groups_stacked_violin(adata, **options)
    >>> [text.get_text() for text in axes["mainplot_ax"].get_yticklabels()]
    ['a', 'b', 'c']
    """
    chosen, by, kwds = _choice(
        adata, groups, n_genes, groupby, var_names, gene_symbols, min_logfoldchange, key, kwds
    )
    return stacked_violin(adata, chosen, by, show=show, save=save, return_fig=return_fig, **kwds)


def rank_genes_groups_tracksplot(
    adata: AnnData,
    groups: str | Sequence[str] | None = None,
    *,
    n_genes: int | None = None,
    groupby: str | None = None,
    var_names: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    gene_symbols: str | None = None,
    min_logfoldchange: float | None = None,
    key: str | None = None,
    show: bool | None = None,
    save: Save = None,
    **kwds: Any,
) -> dict[str, Any] | None:
    """Tracks of the best genes of each group, see :func:`lazyomics.pl.tracksplot`.

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
    var_names
        Genes to show instead of the best: a list, or lists by label.
    gene_symbols
        Column of ``var`` with the names to show.
    min_logfoldchange
        Genes of a smaller log fold change are left out.
    key
        Key of ``uns`` where the result is, ``"rank_genes_groups"`` by default.
    show, save
        As of ``pl.tracksplot``.
    **kwds
        Of ``pl.tracksplot``; ``dendrogram`` is True by default.

    Returns
    -------
    As of ``pl.tracksplot``.

    Raises
    ------
    KeyError
        If ``uns`` has no such result, or this no such group.
    ValueError
        If ``var_names`` and ``n_genes`` are both given, or no gene is left.

    Notes
    -----
    Passes over X: 1 for all genes, those of ``tl.dendrogram`` if there is none yet. Peak memory:
    n_obs × genes values, about three times.

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np, pandas as pd
    >>> obs = {"type": pd.Categorical(list("aabbcc"))}
    >>> adata = lo.AnnData(np.eye(6) / 2, obs=obs)
    >>> lo.tl.rank_genes_groups(adata, "type", method="t-test")
    >>> axes = lo.pl.rank_genes_groups_tracksplot(adata, n_genes=1, dendrogram=False, show=False)
    >>> [text.get_text() for text in axes["groupby_ax"].get_xticklabels()]
    ['a', 'b', 'c']
    """
    chosen, by, kwds = _choice(
        adata, groups, n_genes, groupby, var_names, gene_symbols, min_logfoldchange, key, kwds
    )
    return tracksplot(adata, chosen, by, show=show, save=save, **kwds)


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
    result = ranking_result(adata, key)
    chosen: Any = var_names
    if chosen is None:
        number = DEFAULT_GENES if n_genes is None else n_genes
        options = _options(gene_symbols, key)
        chosen = _best(adata, ranked_groups(result, groups), number, least, options)
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
    ranked = ranked_groups(ranking_result(adata, key), None)
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
