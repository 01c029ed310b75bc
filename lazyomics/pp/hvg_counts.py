"""Highly variable genes of raw counts, as Seurat's third version finds them."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from lazyomics import graph
from lazyomics.errors import warn_user
from lazyomics.kernels.batch_powers import batch_powers
from lazyomics.pp.hvg_ranks import rank_genes
from lazyomics.pp.hvg_trend import Trend, mean_and_variance
from lazyomics.pp.matrix_choice import RowBlocks

__all__ = ["COUNT_FLAVORS", "genes_of_counts"]

COUNT_FLAVORS = ("seurat_v3", "seurat_v3_paper")


def genes_of_counts(
    x: RowBlocks,
    batches: pd.Categorical | None,
    var_names: pd.Index,
    *,
    flavor: str,
    n_top_genes: int,
    span: float,
    check_values: bool,
) -> pd.DataFrame:
    """Rank genes by their variance, relative to what is expected of their mean.

    Parameters
    ----------
    x
        Counts, shape (n, p).
    batches
        Of each cell, shape (n,), every category used; None if they are no matter. Cells without a
        batch count in ``means`` and ``variances`` alone.
    var_names
        Names of the genes.
    flavor
        One of ``COUNT_FLAVORS``.
    n_top_genes, span, check_values
        As in ``highly_variable_genes``.

    Returns
    -------
    Data frame with columns ``means``, ``variances``, ``gene_name``, ``highly_variable_rank``,
    ``variances_norm`` and ``highly_variable``, with batches also ``highly_variable_nbatches``, a
    row per gene.

    Notes
    -----
    Passes over x: 2.
    """
    names, codes = ["of all cells"], np.zeros(x.shape[0], dtype=np.int64)
    if batches is not None:
        names, codes = [repr(b) for b in batches.categories], batches.codes.astype(np.int64)
        codes[codes < 0] = len(names)  # cells without a batch, in one more
    n = np.bincount(codes, minlength=len(names))
    (state,) = graph.compute(graph.fold_rows(x, batch_powers, rows=(codes,), check=True))
    if check_values and not state.are_counts:
        warn_user(f"flavor={flavor!r} expects raw count data, but non-integers were found.")
    powers = state.of_all(len(n))
    moments = partial(mean_and_variance, are_counts=state.are_counts)
    trends = [
        Trend.of(int(n[k]), *moments(powers[k], int(n[k])), span, name)
        for k, name in enumerate(names)
    ]
    mean, variance = moments(powers.sum(axis=0), x.shape[0])
    bounds = np.stack([t.bounds for t in trends] + [np.full_like(mean, np.inf)])
    (clipped,) = graph.compute(graph.fold_rows(x, batch_powers, rows=(codes,), bounds=bounds))
    clipped_powers = clipped.of_all(len(n))[: len(names)]
    variances = [t.normalized_variance(p) for t, p in zip(trends, clipped_powers, strict=True)]
    ranked = rank_genes(np.stack(variances), n_top_genes, batches_first=flavor != "seurat_v3")
    frame = pd.DataFrame({"means": mean, "variances": variance})
    frame = frame.assign(gene_name=var_names, **ranked).set_axis(var_names)
    return frame.drop(columns="highly_variable_nbatches") if batches is None else frame
