"""Remove what properties of the cells explain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lazyomics import lazy, logging
from lazyomics.container.categories import categorise
from lazyomics.container.choose import check_annotated
from lazyomics.kernels.regression import (
    DesignProducts,
    SubtractFit,
    SubtractGroups,
    design_products,
)
from lazyomics.names import choices
from lazyomics.pp.matrix_choice import assign_matrix, choose_matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazyomics.container import AnnData
    from lazyomics.kernels.steps import Step
    from lazyomics.pp.matrix_choice import RowBlocks

__all__ = ["regress_out"]

# Below this share of its own length, what is left of a regressor is rounding.
ROUNDING = 1e-10


def regress_out(
    adata: AnnData,
    keys: str | Sequence[str],
    *,
    layer: str | None = None,
    n_jobs: int | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Replace the values of each gene by what a linear regression on ``obs`` leaves of them.

    The regression is computed now, the residuals when they are read.

    Parameters
    ----------
    adata
        Annotated data, shape (n_obs, n_vars).
    keys
        Columns of ``obs``: several with numbers, or one that is categorical (or text). Of this
        one, the mean of each gene in the cell's category is subtracted.
    layer
        Layer to use instead of X.
    n_jobs
        Accepted for compatibility: dask's scheduler says how many threads there are.
    copy
        Return a changed copy and leave ``adata`` as it is.

    Returns
    -------
    None, or the copy. Sets X or the layer, dense: float64 for a categorical key, and where
    regressors depend on each other (only what they span counts); otherwise the dtype of the matrix,
    for integers float32 if they have up to 4 bytes, else float64.

    Raises
    ------
    KeyError
        If ``obs`` has no such column.
    ValueError
        If a categorical column is not the only one, or a column has missing values or no numbers.

    Notes
    -----
    Passes over X: 1, in which sums are added up in float64. Peak memory: the blocks in flight; for
    each, a number per gene and category (key), and for all one number per cell and key. When the
    residuals are read, every block is dense: n_vars × 4 (float64: 8) bytes for each cell.

    As by scanpy, genes that have the same value in all cells keep it with a categorical key and
    where regressors depend on each other, and become 0 otherwise; cells without category are
    regressed on 0. Missing numbers are refused, of which scanpy makes a matrix of NaN.

    References
    ----------
    Satija, R. et al. (2015). Spatial reconstruction of single-cell gene expression data.
    doi:10.1038/nbt.3192

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import lazyomics as lo
    >>> obs = pd.DataFrame({"total": [1.0, 2.0, 3.0]}, index=["a", "b", "c"])
    >>> adata = lo.AnnData(np.array([[1.0], [2.0], [6.0]]), obs=obs)
    >>> lo.pp.regress_out(adata, "total")
    >>> adata.X.ravel().round(3)
    array([ 0.5, -1. ,  0.5])
    """
    check_annotated(adata, "pp.regress_out")
    names = [keys] if isinstance(keys, str) else list(keys)
    if not names:
        raise ValueError("pp.regress_out: keys is empty; name columns of obs")
    for name in names:
        if name not in adata.obs.columns:
            raise KeyError(f"obs has no column {name!r}; {choices(name, adata.obs.columns)}")
    begun = logging.info(f"regressing out {keys}")
    adata = adata.copy() if copy else adata
    x = choose_matrix(adata, layer=layer)
    columns = [adata.obs[name] for name in names]
    categorise(adata.obs, names)
    step = _of_groups(x, columns) if _is_text(columns[0]) else _of_numbers(x, columns)
    assign_matrix(adata, lazy.map_rows(x, step), layer=layer)
    logging.info("    finished", time=begun)
    return adata if copy else None


def _is_text(column: pd.Series[Any]) -> bool:
    kind = column.dtype
    return isinstance(kind, pd.CategoricalDtype) or not (
        pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind)
    )


def _of_groups(x: RowBlocks, columns: list[pd.Series[Any]]) -> Step:
    if len(columns) > 1:
        raise ValueError(
            "If providing categorical variable, only a single one is allowed. For this one we "
            "regress on the mean for each category."
        )
    groups = pd.Categorical(columns[0])
    codes = groups.codes.astype(np.int32)
    n_groups = len(groups.categories)
    codes[codes < 0] = n_groups
    fold = lazy.fold_rows(x, design_products, rows=(codes,), n_groups=n_groups + 1)
    (state,) = lazy.compute(fold)
    return SubtractGroups(codes, _fit_of_groups(state).T)


def _fit_of_groups(state: DesignProducts) -> NDArray[np.float64]:
    """Regress each gene on the mean of its category, 0 for cells without one; shape (g, p)."""
    n, sums = state.n.astype(np.float64)[:, None], state.products[:, 0]
    means = np.divide(sums, n, where=n > 0, out=np.zeros_like(sums))
    means[-1] = 0
    if state.n[-1] > 0:
        total = n.sum()
        at = (n * means).sum(axis=0) / total
        middle = sums.sum(axis=0) / total
        spread = (n * (means - at) ** 2).sum(axis=0)
        joint = ((means - at) * (sums - n * middle)).sum(axis=0)
        slope = np.divide(joint, spread, where=spread > 0, out=np.zeros_like(joint))
        means = middle + slope * (means - at)
    # A gene that never varies is left as it is.
    means[:, state.low == state.high] = 0
    return means


def _of_numbers(x: RowBlocks, columns: list[pd.Series[Any]]) -> Step:
    table = np.stack([_numbers(column) for column in columns], axis=1)
    basis, complete = _basis(table)
    fold = lazy.fold_rows(
        x, design_products, rows=(np.zeros(len(table), dtype=np.int8), basis), n_groups=1
    )
    (state,) = lazy.compute(fold)
    coefficients = state.products[0].T.copy()
    if complete:
        return SubtractFit(basis, coefficients, _floating(x.dtype).str)
    coefficients[state.low == state.high] = 0
    return SubtractFit(basis, coefficients, np.dtype(np.float64).str)


def _numbers(column: pd.Series[Any]) -> NDArray[np.float64]:
    if _is_text(column):
        raise ValueError(
            f"obs[{column.name!r}] is {column.dtype}: a categorical column must be the only key, "
            "and other columns numbers"
        )
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    if not np.isfinite(values).all():
        raise ValueError(
            f"obs[{column.name!r}] is missing or infinite for {int((~np.isfinite(values)).sum())} "
            "cells; leave these out"
        )
    return values


def _basis(table: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """Orthonormal vectors that span 1 and the columns, and whether none of these was redundant."""
    n = len(table)
    ones = np.full((n, 1), 1 / np.sqrt(max(n, 1)))
    centred = table - table.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=0)
    varies = lengths > ROUNDING * np.linalg.norm(table, axis=0)
    vectors, sizes, _ = np.linalg.svd(centred[:, varies] / lengths[varies], full_matrices=False)
    kept = sizes > ROUNDING
    return np.hstack([ones, vectors[:, kept]]), int(kept.sum()) == table.shape[1]


def _floating(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if np.issubdtype(dtype, np.floating):
        return dtype
    return np.dtype(np.float32 if dtype.itemsize <= 4 else np.float64)
