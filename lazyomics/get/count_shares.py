"""Genes with the largest share of the counts of cells."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lazyomics import lazy
from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated, get_matrix
from lazyomics.get.keys import read_dense
from lazyomics.kernels.steps import NormalizeRows
from lazyomics.kernels.sums import column_totals

__all__ = ["highest_shares"]


def highest_shares(adata: AnnData, n_top: int, *, layer: str | None = None) -> pd.DataFrame:
    """Percentages of the counts of each cell that the highest genes have.

    Parameters
    ----------
    adata
        Counts of cells.
    n_top
        Number of genes, those with the highest means of percentages over all cells.
    layer
        Layer to use instead of X.

    Returns
    -------
    DataFrame, shape (n_obs, n_top), float32 for float32 and integers. Its columns are positions
    in ``var``, the highest mean first. A cell without counts has zeros.

    Raises
    ------
    ValueError
        If ``n_top`` is less than 1.

    Notes
    -----
    Passes over X: 2. Peak memory: the blocks in flight and the result.

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np
    >>> adata = lo.AnnData(np.array([[1.0, 3, 0], [1, 1, 0]], dtype="f4"))
    >>> highest_shares(adata, 2).to_numpy()
    array([[75., 25.],
           [50., 50.]], dtype=float32)
    """
    check_annotated(adata, "pl.highest_expr_genes")
    if n_top < 1:
        raise ValueError(f"n_top is a number of genes to show, found {n_top}")
    shares = lazy.map_rows(get_matrix(adata, layer=layer), NormalizeRows(100.0))
    (totals,) = lazy.compute(lazy.fold_rows(shares, column_totals))
    top = np.argsort(totals / max(adata.n_obs, 1))[::-1][:n_top]
    ascending = np.sort(top)
    values = read_dense(shares[:, ascending])[:, np.searchsorted(ascending, top)]
    return pd.DataFrame(values, index=adata.obs_names, columns=top)
