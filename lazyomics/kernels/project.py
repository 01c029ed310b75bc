"""Coordinates of the rows of a block on a few axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.kernels.blas import one_blas_thread
from lazyomics.kernels.compiled import compiled
from lazyomics.kernels.gene_major import GeneMajorRows

__all__ = ["project"]

ROWS_AT_A_TIME = 1024


def project(
    block: Any,
    *,
    axes: NDArray[np.float64],
    offset: NDArray[np.float64] | None = None,
    result_dtype: str = "float64",
) -> NDArray[Any]:
    """``block @ axes - offset``, summed in float64.

    Parameters
    ----------
    block
        CSRBlock, CompactRows, GeneMajorRows or ndarray, shape (n, p).
    axes
        One axis a column, float64, shape (p, k).
    offset
        Coordinates of the centre, shape (k,).
    result_dtype
        Of the result.

    Returns
    -------
    ndarray, shape (n, k).

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.kernels.project import project
    >>> project(np.array([[1, 2]]), axes=np.array([[3.0], [4.0]]), offset=np.array([1.0]))
    array([[10.]])
    """
    out = np.empty((block.shape[0], axes.shape[1]), dtype=np.dtype(result_dtype))
    start = np.zeros(axes.shape[1]) if offset is None else -offset
    if isinstance(block, GeneMajorRows):
        wide = np.empty(out.shape)
        wide[:] = start
        axes = np.ascontiguousarray(axes)
        _project_by_gene(block.data, block.rows, block.starts, axes, wide)
        return wide.astype(out.dtype, copy=False)
    if not isinstance(block, np.ndarray):
        indptr = block.indptr.astype(np.int64, copy=False)
        _project_rows(block.data, block.indices, indptr, np.ascontiguousarray(axes), start, out)
        return out
    with one_blas_thread():
        for low in range(0, len(block), ROWS_AT_A_TIME):
            rows = block[low : low + ROWS_AT_A_TIME].astype(np.float64, copy=False)
            out[low : low + ROWS_AT_A_TIME] = rows @ axes + start
    return out


@compiled
def _project_rows(
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[np.int64],
    axes: NDArray[np.float64],
    start: NDArray[np.float64],
    out: NDArray[Any],
) -> None:
    at = np.empty(len(start))
    for row in range(len(indptr) - 1):
        for c in range(len(start)):
            at[c] = start[c]
        for k in range(indptr[row], indptr[row + 1]):
            value = np.float64(data[k])
            axis = axes[indices[k]]
            for c in range(len(start)):
                at[c] += value * axis[c]
        for c in range(len(start)):
            out[row, c] = at[c]


@compiled
def _project_by_gene(
    data: NDArray[Any],
    rows: NDArray[Any],
    starts: NDArray[Any],
    axes: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    for gene in range(len(starts) - 1):
        axis = axes[gene]
        for k in range(starts[gene], starts[gene + 1]):
            value = np.float64(data[k])
            at = out[rows[k]]
            for c in range(len(axis)):
                at[c] += value * axis[c]
