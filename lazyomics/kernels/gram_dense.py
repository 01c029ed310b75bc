"""Scatter matrix of dense rows, by products of BLAS."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.kernels.blas import one_blas_thread
from lazyomics.kernels.block import CSRBlock
from lazyomics.kernels.compiled import compiled
from lazyomics.kernels.packed import add_outer, merged_mean

__all__ = ["DenseRows"]

BUFFER_BYTES = 8 << 20  # dense rows at a time: enough for BLAS, little enough for the cache


class DenseRows:
    """Scatter of rows, a few at a time around their own mean.

    So the products can be taken in the precision of the data (integers: float64) without
    cancellation, and are summed in float64.

    Parameters
    ----------
    p
        Columns.
    dtype
        Of the rows.
    """

    def __init__(self, p: int, dtype: np.dtype[Any]) -> None:
        self.n, self.mean, self.packed = 0, np.zeros(p), np.zeros(p * (p + 1) // 2)
        self.dtype = np.dtype(np.float32 if dtype in (np.float32, np.float16) else np.float64)
        self.room = max(64, BUFFER_BYTES // max(1, self.dtype.itemsize * p))
        self.waiting = 0
        self.buffer: NDArray[Any] | None = None
        self.product: NDArray[Any] | None = None

    def add(self, block: Any) -> None:
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

    def finish(self) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
        """Rows, mean of each column, and the packed scatter matrix around it."""
        if self.waiting:
            self._multiply()
        return self.n, self.mean, self.packed

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
        self.mean, delta, weight = merged_mean(self.n, self.mean, self.waiting, mean)
        if weight:
            add_outer(self.packed, delta, weight)
        self.n += self.waiting
        self.waiting = 0


def _write_rows(block: Any, start: int, out: NDArray[Any]) -> None:
    stop = start + len(out)
    if not isinstance(block, CSRBlock):
        out[:] = block[start:stop]
        return
    out[:] = 0
    low, high = int(block.indptr[start]), int(block.indptr[stop])
    indptr = (block.indptr[start : stop + 1] - low).astype(np.int64)
    _add_rows(block.data[low:high], block.indices[low:high], indptr, out)


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
def _add_product(packed: NDArray[np.float64], product: NDArray[Any]) -> None:
    at = 0
    for i in range(len(product)):
        for j in range(i + 1):
            packed[at + j] += product[i, j]
        at += i + 1
