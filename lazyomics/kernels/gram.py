"""Scatter matrix of the genes (the centred Gram matrix) as a state that can be merged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.kernels.blas import one_blas_thread
from lazyomics.kernels.block import CSRBlock
from lazyomics.kernels.compiled import compiled
from lazyomics.kernels.kept_rows import KeptRows, kept_rows

__all__ = ["Scatter", "scatter"]

# Share of stored values below which multiplying them pair by pair beats dense products.
SPARSE_BELOW = 0.1
BUFFER_BYTES = 8 << 20  # dense rows at a time: enough for BLAS, little enough for the cache


@dataclass(frozen=True, eq=False)
class Scatter:
    """Number, mean and scatter ``sum((x - mean)(x - mean)^T)`` of rows with p columns.

    Attributes
    ----------
    n
        Rows.
    mean
        Of each column, float64, shape (p,).
    packed
        Lower triangle of the scatter matrix, row by row, float64, shape (p * (p + 1) / 2,).
    kept
        The rows themselves, if every block fitted its share of memory.

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.kernels.gram import scatter
    >>> both = scatter(np.array([[1.0, 0.0]])) + scatter(np.array([[3.0, 4.0]]))
    >>> both.matrix()
    array([[2., 4.],
           [4., 8.]])
    """

    n: int
    mean: NDArray[np.float64]
    packed: NDArray[np.float64]
    kept: KeptRows | None = None

    def __add__(self, other: Scatter) -> Scatter:
        mean, delta, weight = _merged_mean(self.n, self.mean, other.n, other.mean)
        packed = np.empty_like(self.packed)
        _add_packed(self.packed, other.packed, delta, weight, packed)
        kept = None
        if self.kept is not None and other.kept is not None:
            kept = self.kept + other.kept
        return Scatter(self.n + other.n, mean, packed, kept)

    def matrix(self) -> NDArray[np.float64]:
        """Full symmetric scatter matrix, shape (p, p)."""
        p = len(self.mean)
        full = np.empty((p, p))
        _unpack(self.packed, full)
        return full

    def raw_matrix(self) -> NDArray[np.float64]:
        """Uncentred Gram matrix ``sum(x x^T)``, shape (p, p)."""
        full = self.matrix()
        full += self.n * np.outer(self.mean, self.mean)
        return full


def scatter(block: Any, *, keep_bytes_per_row: float = 0.0) -> Scatter:
    """Scatter of the rows of a block.

    Very sparse blocks are multiplied value by value, in float64. Of others, a few rows at a time
    are written out densely around their own mean, so that the products can be taken in the
    precision of the data (integers: float64) without cancellation, and summed in float64.

    Parameters
    ----------
    block
        CSRBlock or ndarray, shape (n, p).
    keep_bytes_per_row
        Also keep the rows, if on average they take no more memory than this.

    Returns
    -------
    Scatter of the n rows.
    """
    n, p = block.shape
    kept = kept_rows(block, keep_bytes_per_row * n) if keep_bytes_per_row > 0 else None
    if isinstance(block, CSRBlock) and block.nnz < SPARSE_BELOW * n * p:
        return Scatter(n, *_sparse_scatter(block), kept)
    return Scatter(n, *_dense_scatter(block), kept)


def _sparse_scatter(block: CSRBlock) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n, p = block.shape
    mean, packed = np.zeros(p), np.zeros(p * (p + 1) // 2)
    _column_means(block.data, block.indices, mean, n)
    indptr = block.indptr.astype(np.int64, copy=False)
    _add_pairs(block.data, block.indices, indptr, packed)
    _add_outer(packed, mean, -float(n))
    return mean, packed


def _dense_scatter(block: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n, p = block.shape
    mean, packed = np.zeros(p), np.zeros(p * (p + 1) // 2)
    dtype = np.dtype(np.float32 if block.dtype in (np.float32, np.float16) else np.float64)
    step = max(64, BUFFER_BYTES // max(1, dtype.itemsize * p))
    buffer = np.empty((min(step, n), p), dtype=dtype)
    product = np.zeros((p, p), dtype=dtype, order="F")
    done = 0
    with one_blas_thread():
        for start in range(0, n if p else 0, step):
            rows = min(step, n - start)
            centred = buffer[:rows]
            here = _fill_centred(block, start, centred)
            mean, delta, weight = _merged_mean(done, mean, rows, here)
            product = _syrk(centred, product)
            _add_product(packed, product.T, delta, weight)
            done += rows
    return mean, packed


def _merged_mean(
    n: int, mean: NDArray[np.float64], n_other: int, other: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Mean of both, difference of the means, and its weight in the scatter (Chan et al.)."""
    total = max(n + n_other, 1)
    delta = other - mean if n and n_other else np.zeros(len(mean))
    merged = mean + delta * (n_other / total) if n else other
    return merged, delta, n * n_other / total


def _fill_centred(block: Any, start: int, out: NDArray[Any]) -> NDArray[np.float64]:
    """Write rows from ``start`` on minus their mean into ``out``; return the mean."""
    stop = start + len(out)
    if isinstance(block, CSRBlock):
        low, high = int(block.indptr[start]), int(block.indptr[stop])
        mean = np.zeros(out.shape[1])
        data, indices = block.data[low:high], block.indices[low:high]
        indptr = (block.indptr[start : stop + 1] - low).astype(np.int64)
        _column_means(data, indices, mean, len(out))
        out[:] = -mean
        _add_rows(data, indices, indptr, out)
        return mean
    values = block[start:stop]
    mean = values.mean(axis=0, dtype=np.float64)
    np.subtract(values, mean, out=out, casting="unsafe", dtype=np.float64)
    return mean


def _syrk(rows: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
    """``rows.T @ rows``, its upper triangle only, in Fortran order."""
    from scipy.linalg import blas

    syrk = blas.ssyrk if rows.dtype == np.float32 else blas.dsyrk
    return np.asarray(syrk(1.0, rows.T, beta=0.0, c=out, overwrite_c=True))


@compiled
def _column_means(
    data: NDArray[Any], indices: NDArray[Any], mean: NDArray[np.float64], n: int
) -> None:
    for k in range(len(data)):
        mean[indices[k]] += data[k]
    for j in range(len(mean)):
        mean[j] /= n


@compiled
def _add_rows(
    data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[np.int64], out: NDArray[Any]
) -> None:
    for row in range(len(indptr) - 1):
        for k in range(indptr[row], indptr[row + 1]):
            out[row, indices[k]] += data[k]


@compiled
def _add_pairs(
    data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[np.int64], packed: NDArray[Any]
) -> None:
    for row in range(len(indptr) - 1):
        start = indptr[row]
        for k in range(start, indptr[row + 1]):
            i = np.int64(indices[k])
            at = i * (i + 1) // 2
            value = np.float64(data[k])
            for m in range(start, k):
                j = np.int64(indices[m])
                if j < i:
                    packed[at + j] += value * data[m]
                elif j > i:
                    packed[j * (j + 1) // 2 + i] += value * data[m]
                else:  # stored twice: both orders of the pair fall on the diagonal
                    packed[at + i] += 2.0 * value * data[m]
            packed[at + i] += value * value


@compiled
def _add_outer(packed: NDArray[np.float64], vector: NDArray[np.float64], weight: float) -> None:
    at = 0
    for i in range(len(vector)):
        weighted = weight * vector[i]
        for j in range(i + 1):
            packed[at + j] += weighted * vector[j]
        at += i + 1


@compiled
def _add_product(
    packed: NDArray[np.float64],
    product: NDArray[Any],
    delta: NDArray[np.float64],
    weight: float,
) -> None:
    at = 0
    for i in range(len(delta)):
        weighted = weight * delta[i]
        for j in range(i + 1):
            packed[at + j] += product[i, j] + weighted * delta[j]
        at += i + 1


@compiled
def _add_packed(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    delta: NDArray[np.float64],
    weight: float,
    out: NDArray[np.float64],
) -> None:
    at = 0
    for i in range(len(delta)):
        weighted = weight * delta[i]
        for j in range(i + 1):
            out[at + j] = a[at + j] + b[at + j] + weighted * delta[j]
        at += i + 1


def _unpack(packed: NDArray[np.float64], full: NDArray[np.float64]) -> None:
    at = 0
    for i in range(len(full)):
        row = packed[at : at + i + 1]
        full[i, : i + 1] = row
        full[: i + 1, i] = row
        at += i + 1
