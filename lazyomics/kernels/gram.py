"""Scatter matrix of the genes (the centred Gram matrix) as a state that can be merged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.kernels.blas import one_blas_thread
from lazyomics.kernels.block import CSRBlock
from lazyomics.kernels.compiled import compiled
from lazyomics.kernels.kept_rows import KeptRows, kept_rows

__all__ = ["Scatter", "scatter", "scatter_of_run"]

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
    """Scatter of the rows of a block; see ``scatter_of_run``."""
    return scatter_of_run(iter([(block,)]), keep_bytes_per_row=keep_bytes_per_row)


def scatter_of_run(parts: Iterator[tuple[Any]], *, keep_bytes_per_row: float = 0.0) -> Scatter:
    """Scatter of the rows of several blocks.

    Very sparse blocks are multiplied value by value, in float64. Of others, a few rows at a time
    are written out densely around their own mean, so that the products can be taken in the
    precision of the data (integers: float64) without cancellation, and summed in float64.

    Parameters
    ----------
    parts
        Tuples of one CSRBlock or ndarray of shape (n, p); at least one.
    keep_bytes_per_row
        Also keep the rows, if on average they take no more memory than this.

    Returns
    -------
    Scatter of all rows.
    """
    run: _Run | None = None
    kept: KeptRows | None = KeptRows(()) if keep_bytes_per_row > 0 else None
    for (block,) in parts:
        n, p = block.shape
        run = run or _Run(p, np.dtype(block.dtype))
        if isinstance(block, CSRBlock) and block.nnz < SPARSE_BELOW * n * p:
            run.add_pairs(block)
        else:
            run.add_rows(block)
        if kept is not None:
            more = kept_rows(block, keep_bytes_per_row * n)
            kept = None if more is None else kept + more
        del block  # before the next one is read
    if run is None:
        raise ValueError("a run holds at least one block")
    return run.finish(kept)


class _Run:
    """What is known of the rows so far, and dense rows that wait for their product."""

    def __init__(self, p: int, dtype: np.dtype[Any]) -> None:
        self.n, self.mean, self.packed = 0, np.zeros(p), np.zeros(p * (p + 1) // 2)
        self.dtype = np.dtype(np.float32 if dtype in (np.float32, np.float16) else np.float64)
        self.room = max(64, BUFFER_BYTES // max(1, self.dtype.itemsize * p))
        self.waiting = 0
        self.buffer: NDArray[Any] | None = None
        self.product: NDArray[Any] | None = None

    def add_pairs(self, block: CSRBlock) -> None:
        """Multiply the values of each row pair by pair."""
        n, p = block.shape
        mean = np.zeros(p)
        _column_means(block.data, block.indices, mean, n)
        _add_pairs(block.data, block.indices, block.indptr.astype(np.int64), self.packed)
        _add_outer(self.packed, mean, -float(n))
        self._merge_mean(n, mean)

    def add_rows(self, block: Any) -> None:
        """Write rows to the buffer, and multiply them whenever it is full."""
        start, n = 0, block.shape[0]
        while start < n:
            if self.buffer is None:
                self.buffer = np.empty((self.room, block.shape[1]), dtype=self.dtype)
            stop = min(n, start + self.room - self.waiting)
            _write_rows(block, start, self.buffer[self.waiting : self.waiting + stop - start])
            self.waiting += stop - start
            start = stop
            if self.waiting == self.room:
                self._multiply()

    def finish(self, kept: KeptRows | None) -> Scatter:
        """State of all rows that were added."""
        if self.waiting:
            self._multiply()
        return Scatter(self.n, self.mean, self.packed, kept)

    def _multiply(self) -> None:
        assert self.buffer is not None
        rows = self.buffer[: self.waiting]
        if self.product is None:
            self.product = np.empty((rows.shape[1],) * 2, dtype=self.dtype)
        mean = rows.mean(axis=0, dtype=np.float64)
        np.subtract(rows, mean.astype(self.dtype), out=rows)
        with one_blas_thread():
            # numpy sees A.T @ A and takes half the products; scipy's syrk would keep the GIL
            np.matmul(rows.T, rows, out=self.product)
        _add_product(self.packed, self.product)
        self._merge_mean(self.waiting, mean)
        self.waiting = 0

    def _merge_mean(self, n: int, mean: NDArray[np.float64]) -> None:
        self.mean, delta, weight = _merged_mean(self.n, self.mean, n, mean)
        if weight:
            _add_outer(self.packed, delta, weight)
        self.n += n


def _write_rows(block: Any, start: int, out: NDArray[Any]) -> None:
    stop = start + len(out)
    if not isinstance(block, CSRBlock):
        out[:] = block[start:stop]
        return
    out[:] = 0
    low, high = int(block.indptr[start]), int(block.indptr[stop])
    indptr = (block.indptr[start : stop + 1] - low).astype(np.int64)
    _add_rows(block.data[low:high], block.indices[low:high], indptr, out)


def _merged_mean(
    n: int, mean: NDArray[np.float64], n_other: int, other: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Mean of both, difference of the means, and its weight in the scatter (Chan et al.)."""
    total = max(n + n_other, 1)
    delta = other - mean if n and n_other else np.zeros(len(mean))
    merged = mean + delta * (n_other / total) if n else other
    return merged, delta, n * n_other / total


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
        mine, start, stop = out[row], indptr[row], indptr[row + 1]
        values, columns = data[start:stop], indices[start:stop]
        for k in range(len(values)):
            mine[np.uint64(columns[k])] += values[k]


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
def _add_product(packed: NDArray[np.float64], product: NDArray[Any]) -> None:
    at = 0
    for i in range(len(product)):
        for j in range(i + 1):
            packed[at + j] += product[i, j]
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
