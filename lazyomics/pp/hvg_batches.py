"""Highly variable genes of one set of cells, or of several batches combined."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lazyomics.kernels.moments import Moments
from lazyomics.pp.hvg_dispersion import (
    Cutoffs,
    Flavor,
    dispersions,
    normalized_dispersions,
    select_genes,
)

__all__ = ["combine_batches", "single_batch"]


def single_batch(
    state: Moments, cutoffs: Cutoffs, *, flavor: Flavor, n_bins: int, expressed_only: bool
) -> pd.DataFrame:
    """Highly variable genes from the moments of one group of cells.

    Parameters
    ----------
    state
        Moments of a single group.
    cutoffs, flavor, n_bins
        As in ``highly_variable_genes``.
    expressed_only
        Leave genes that no cell expresses out of the bins; they get zeros.

    Returns
    -------
    Data frame with columns ``means``, ``dispersions``, ``mean_bin``, ``dispersions_norm`` and
    ``highly_variable``, a row per gene.
    """
    mean, variance = state.mean[0], state.variance()[0]
    used = state.positive[0] > 0 if expressed_only else np.ones(len(mean), dtype=np.bool_)
    if not used.any():
        raise ValueError("no gene is expressed in these cells; remove empty batches first")
    frame = dispersions(mean[used], variance[used], flavor)
    frame = normalized_dispersions(frame, flavor, n_bins)
    chosen = select_genes(frame["means"].to_numpy(), frame["dispersions_norm"].to_numpy(), cutoffs)
    frame = frame.assign(highly_variable=chosen)
    if used.all():
        return frame
    frame.index = pd.Index(np.flatnonzero(used))
    frame = frame.reindex(np.arange(len(mean)))
    numbers = ["means", "dispersions", "dispersions_norm"]
    frame.loc[~used, numbers] = 0.0
    return frame.assign(highly_variable=frame["highly_variable"].eq(True).to_numpy(dtype=bool))


def combine_batches(
    frames: list[pd.DataFrame], var_names: pd.Index[Any], cutoffs: Cutoffs
) -> pd.DataFrame:
    """Average over batches and choose genes by the number of batches they vary in.

    Returns
    -------
    Data frame with columns ``means``, ``dispersions``, ``dispersions_norm``,
    ``highly_variable``, ``highly_variable_nbatches`` and ``highly_variable_intersection``, a row
    per gene in the order of ``var_names``.
    """
    numbers = ["means", "dispersions", "dispersions_norm"]
    stacked = pd.concat([frame[numbers] for frame in frames])
    frame = stacked.groupby(level=0).mean()
    in_batches = np.sum([frame_["highly_variable"].to_numpy() for frame_ in frames], axis=0)
    frame["highly_variable"] = False
    frame["highly_variable_nbatches"] = in_batches.astype(np.int64)
    frame["highly_variable_intersection"] = in_batches == len(frames)
    if cutoffs.n_top_genes is None:
        frame["dispersions_norm"] = frame["dispersions_norm"].fillna(0)
        frame["highly_variable"] = cutoffs.in_bounds(
            frame["means"].to_numpy(), frame["dispersions_norm"].to_numpy()
        )
    else:
        # ties are broken by name
        by_name = np.argsort(var_names.to_numpy().astype(str), kind="stable")
        order = frame.iloc[by_name].sort_values(
            ["highly_variable_nbatches", "dispersions_norm"],
            ascending=False,
            na_position="last",
        )
        frame.loc[order.index[: cutoffs.n_top_genes], "highly_variable"] = True
    frame.index = var_names
    return frame
