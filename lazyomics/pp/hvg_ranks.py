"""Genes that rank first in one batch or in several."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["rank_genes"]


def rank_genes(
    variances: NDArray[np.float64], n_top_genes: int, *, batches_first: bool
) -> pd.DataFrame:
    """Choose the genes whose normalised variance is among the largest of the batches.

    Parameters
    ----------
    variances
        Normalised variance of each gene in each batch, shape (batches, p).
    n_top_genes
        How many genes to choose; also how many of each batch count.
    batches_first
        Order genes by the number of batches that they are among the first of, then by the median
        of their ranks there; otherwise the other way around.

    Returns
    -------
    Data frame with columns ``highly_variable_nbatches``, ``highly_variable_rank`` (NaN if among the
    first of no batch), ``variances_norm`` and ``highly_variable``, a row per gene.

    Examples
    --------
    >>> import numpy as np
    >>> rank_genes(np.array([[1.0, 3.0, 2.0]]), 2, batches_first=False)["highly_variable"].tolist()
    [False, True, True]
    """
    # Of genes with the same variance NumPy says which comes first, as it does for scanpy.
    order = np.argsort(-variances, axis=1)
    ranks = np.argsort(order, axis=1).astype(np.float32)
    among_first = ranks < n_top_genes
    median = np.ma.median(np.ma.masked_array(ranks, ~among_first), axis=0)
    frame = pd.DataFrame(
        {
            "highly_variable_nbatches": among_first.sum(axis=0),
            "highly_variable_rank": np.ma.filled(median, np.nan),
            "variances_norm": variances.mean(axis=0),
        }
    )
    by = [("highly_variable_rank", True), ("highly_variable_nbatches", False)]
    names, ascending = zip(*(by[::-1] if batches_first else by), strict=True)
    chosen = frame.sort_values(list(names), ascending=list(ascending), na_position="last")
    return frame.assign(highly_variable=frame.index.isin(chosen.index[:n_top_genes]))
