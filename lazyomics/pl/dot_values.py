"""Means and fractions that a dot plot shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from lazyomics.container import AnnData
from lazyomics.get import group_stats
from lazyomics.get.groups import cell_groups
from lazyomics.pl.values import choose_raw, gene_frame, gene_names

__all__ = ["DotValues", "dot_values"]


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

    def scaled(self, standard_scale: Literal["var", "group"] | None) -> DotValues:
        """Means moved and scaled to reach from 0 to 1 for each gene or each group."""
        if standard_scale is None:
            return self
        if standard_scale not in ("var", "group"):
            raise ValueError(f"standard_scale={standard_scale!r}: expected 'var', 'group' or None")
        axis = 0 if standard_scale == "var" else 1
        values = self.means.to_numpy(dtype=np.float64)
        values = values - values.min(axis=axis, keepdims=True)
        highest = values.max(axis=axis, keepdims=True)
        # A gene with the same mean everywhere stays at 0.
        values = np.divide(values, highest, out=np.zeros_like(values), where=highest > 0)
        return replace(self, means=pd.DataFrame(values, self.means.index, self.means.columns))

    def ordered(self, groups: Sequence[Any], genes: Sequence[int] | None = None) -> DotValues:
        """Rows by name and columns by position, in another order."""
        columns = slice(None) if genes is None else list(genes)
        rows = list(groups)
        return DotValues(
            self.means.loc[rows].iloc[:, columns], self.fractions.loc[rows].iloc[:, columns]
        )


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
    """Means and fractions of genes in groups, in one pass over the matrix.

    Parameters
    ----------
    adata
        Where the values are.
    genes
        Names or symbols; they may repeat.
    groupby, use_raw, layer, gene_symbols, log, num_categories
        As :func:`lazyomics.pl.dotplot` takes them.
    expression_cutoff, mean_only_expressed
        As :func:`lazyomics.pl.dotplot` takes them.
    """
    use_raw = choose_raw(adata, use_raw, layer)
    names = gene_names(adata, genes, use_raw=use_raw, gene_symbols=gene_symbols)
    unique = list(dict.fromkeys(names))
    if log:
        values = gene_frame(adata, unique, layer=layer, use_raw=use_raw).transform(np.log1p)
        groups = cell_groups(adata.obs, groupby, num_categories=num_categories)
        means, fractions = _group_frame(values, groups, expression_cutoff, mean_only_expressed)
    else:
        means, fractions = group_stats(
            adata,
            unique,
            groupby,
            layer=layer,
            use_raw=use_raw,
            expression_cutoff=expression_cutoff,
            mean_only_expressed=mean_only_expressed,
            num_categories=num_categories,
        )
    labels = pd.Index(genes)
    return DotValues(
        means.loc[:, names].set_axis(labels, axis=1),
        fractions.loc[:, names].set_axis(labels, axis=1),
    )


def _group_frame(
    values: pd.DataFrame, groups: pd.Categorical, cutoff: float, only_expressed: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    expressed = values > cutoff
    by = pd.Series(groups, index=values.index)
    fractions = expressed.groupby(by, observed=True).mean()
    shown = values.where(expressed) if only_expressed else values
    return shown.groupby(by, observed=True).mean().fillna(0), fractions
