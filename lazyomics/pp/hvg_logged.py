"""Highly variable genes of logarithmised data, by their dispersion."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lazyomics import graph
from lazyomics.kernels.moments import moments, moments_by_group
from lazyomics.kernels.steps import Log1p
from lazyomics.pp.hvg_batches import combine_batches, single_batch
from lazyomics.pp.hvg_dispersion import Cutoffs, Flavor
from lazyomics.pp.matrix_choice import RowBlocks

__all__ = ["genes_of_logged"]


def genes_of_logged(
    x: RowBlocks,
    batches: pd.Categorical | None,
    var_names: pd.Index,
    *,
    flavor: Flavor,
    base: float | None,
    cutoffs: Cutoffs,
    n_bins: int,
    expressed_only: bool,
) -> pd.DataFrame:
    """Choose genes by their dispersion, relative to genes of the same mean.

    Parameters
    ----------
    x
        Logarithms, shape (n, p).
    batches
        Of each cell, shape (n,), every category used; None if they are no matter.
    var_names
        Names of the genes, which break ties between batches.
    flavor, cutoffs, n_bins
        As in ``highly_variable_genes``.
    base
        Of the logarithm; None is e.
    expressed_only
        Leave genes that no cell expresses out of the bins; always so with batches.

    Returns
    -------
    Data frame with columns ``means``, ``dispersions``, ``dispersions_norm`` and
    ``highly_variable``, with batches also ``highly_variable_nbatches`` and
    ``highly_variable_intersection``, a row per gene.

    Notes
    -----
    Passes over x: 1.
    """
    unlog: float | None = None
    if flavor == "seurat":
        x, unlog = _unlogged(x, base)
    if batches is None:
        (state,) = graph.compute(graph.fold_rows(x, moments, unlog=unlog))
        frame = single_batch(
            state, cutoffs, flavor=flavor, n_bins=n_bins, expressed_only=expressed_only
        )
        frame.index = var_names
        return frame
    codes = np.asarray(batches.codes, dtype=np.int64)  # cells without a batch have code -1
    (state,) = graph.compute(graph.fold_rows(x, moments_by_group, rows=(codes,), unlog=unlog))
    frames = [
        single_batch(state.at(k), cutoffs, flavor=flavor, n_bins=n_bins, expressed_only=True)
        for k in range(len(batches.categories))
    ]
    return combine_batches(frames, var_names, cutoffs)


def _unlogged(x: RowBlocks, base: float | None) -> tuple[RowBlocks, float | None]:
    """The matrix before its logarithm where that is known, or what undoes the logarithm."""
    below = graph.before_last_step(x, Log1p)
    if below is not None and below[1].base == base:
        return below[0], None
    return x, 1.0 if base is None else float(np.log(base))
