"""Values of genes in groups of cells: means and fractions, or all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lazyomics.container import AnnData
from lazyomics.get import group_stats
from lazyomics.get.group_stats import cell_groups
from lazyomics.pl.values import choose_raw, gene_frame, gene_names, obs_columns, plot_values

__all__ = ["DotValues", "cell_frame", "dot_values"]


@dataclass(frozen=True)
class DotValues:
    """What the dots show.

    Attributes
    ----------
    means
        Colour of the dots: groups × genes.
    fractions
        Size of the dots, between 0 and 1: groups × genes.
    """

    means: pd.DataFrame
    fractions: pd.DataFrame


def dot_values(
    adata: AnnData,
    genes: Sequence[str],
    groupby: str | Sequence[str],
    *,
    use_raw: bool | None,
    layer: str | None,
    gene_symbols: str | None,
    log: bool,
    num_categories: int,
    expression_cutoff: float,
    mean_only_expressed: bool,
) -> DotValues:
    """Means and fractions of genes and numeric obs columns in groups, in one pass over the matrix.

    Parameters
    ----------
    adata
        Where the values are.
    genes
        Names or symbols, or numeric columns of obs; they may repeat.
    groupby, use_raw, layer, gene_symbols, log, num_categories
        As :func:`lazyomics.pl.dotplot` takes them.
    expression_cutoff, mean_only_expressed
        As :func:`lazyomics.pl.dotplot` takes them.
    """
    use_raw = choose_raw(adata, use_raw, layer)
    columns, names = _columns_and_genes(adata, genes, use_raw, gene_symbols)
    unique = list(dict.fromkeys(names.values()))
    parts = []
    if unique and not log:
        stats = group_stats(
            adata,
            unique,
            groupby,
            layer=layer,
            use_raw=use_raw,
            expression_cutoff=expression_cutoff,
            mean_only_expressed=mean_only_expressed,
            num_categories=num_categories,
        )
        parts.append(DotValues(*stats))
    frame = _numbers(adata, columns)
    if log:
        values = gene_frame(adata, unique, layer=layer, use_raw=use_raw)
        frame = pd.concat([values, frame], axis=1).transform(np.log1p)
    if len(frame.columns):
        groups = cell_groups(adata.obs, groupby, num_categories=num_categories)
        made = DotValues(*_group_frame(frame, groups, expression_cutoff, mean_only_expressed))
        if parts:  # both hold the groups that have cells, in the order of the categories
            index = parts[0].means.index
            made = DotValues(made.means.set_axis(index), made.fractions.set_axis(index))
        parts.append(made)
    wanted = [names.get(key, key) for key in genes]
    labels = pd.Index(genes)
    means, fractions = (
        pd.concat([getattr(part, which) for part in parts], axis=1)
        for which in ("means", "fractions")
    )
    return DotValues(
        means.loc[:, wanted].set_axis(labels, axis=1),
        fractions.loc[:, wanted].set_axis(labels, axis=1),
    )


def cell_frame(
    adata: AnnData,
    genes: Sequence[str],
    groups: pd.Categorical,
    *,
    use_raw: bool | None,
    layer: str | None,
    gene_symbols: str | None,
    log: bool,
) -> pd.DataFrame:
    """Values of genes and numeric obs columns in the cells that have a group, in one pass.

    Parameters
    ----------
    adata
        Where the values are.
    genes
        Names or symbols, or numeric columns of obs; they may repeat.
    groups
        Group of each cell, shape (n_obs,).
    use_raw, layer, gene_symbols, log
        As :func:`lazyomics.pl.dotplot` takes them.

    Returns
    -------
    Cells × genes; the index has the group of each cell.
    """
    use_raw = choose_raw(adata, use_raw, layer)
    columns, names = _columns_and_genes(adata, genes, use_raw, gene_symbols)
    frame = gene_frame(adata, list(names.values()), layer=layer, use_raw=use_raw)
    if columns:
        frame = pd.concat([frame, _numbers(adata, columns)], axis=1)
    placed = groups.codes >= 0
    frame = frame.loc[placed, [names.get(key, key) for key in genes]]
    frame = frame.set_axis(pd.CategoricalIndex(groups[placed]), axis=0)
    frame = frame.set_axis(pd.Index(genes), axis=1)
    return frame.transform(np.log1p) if log else frame


def _columns_and_genes(
    adata: AnnData, keys: Sequence[str], use_raw: bool, gene_symbols: str | None
) -> tuple[list[str], dict[str, str]]:
    """Keys that are columns of obs, and the names of the genes that the others stand for."""
    columns = obs_columns(adata, keys, use_raw=use_raw, gene_symbols=gene_symbols)
    genes = [key for key in keys if key not in columns]
    names = gene_names(adata, genes, use_raw=use_raw, gene_symbols=gene_symbols)
    return columns, dict(zip(genes, names, strict=True))


def _numbers(adata: AnnData, columns: Sequence[str]) -> pd.DataFrame:
    """Columns of obs as numbers."""
    found = {}
    for key, values in plot_values(adata, columns, layer=None, use_raw=False).items():
        column = adata.obs[key]
        if isinstance(values, pd.Categorical):
            if not pd.api.types.is_bool_dtype(column.dtype):
                raise TypeError(f"dots are of numbers, but obs[{key!r}] holds categories or text")
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        found[key] = np.asarray(values, dtype=np.float64)
    return pd.DataFrame(found, index=adata.obs_names)


def _group_frame(
    values: pd.DataFrame, groups: pd.Categorical, cutoff: float, only_expressed: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    expressed = values > cutoff
    by = pd.Series(groups, index=values.index)
    fractions = expressed.groupby(by, observed=True).mean()
    if not only_expressed:
        return values.groupby(by, observed=True).mean(), fractions
    return values.where(expressed).groupby(by, observed=True).mean().fillna(0), fractions
