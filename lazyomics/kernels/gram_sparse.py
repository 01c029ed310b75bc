"""Gram matrix of sparse rows: each value times a stretch of its row, written out densely."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.kernels.block import CSRBlock
from lazyomics.kernels.compiled import compiled

__all__ = ["SparseRows", "multiplications"]

# A tile of dense rows stays in a core's own cache while it is used.
TILE_BYTES, TILE_COLUMNS = 1 << 20, 256
# float32 products of such values neither overflow nor vanish beside each other.
SMALLEST, LARGEST = 1e-10, 1e18


def multiplications(block: CSRBlock) -> float:
    """Share of a dense product's multiplications that `SparseRows` does for rows like these."""
    n, p = block.shape
    if n == 0 or p == 0:
        return 0.0
    falling = np.sort(np.bincount(block.indices, minlength=p))[::-1]
    return float(falling @ np.arange(1, p + 1)) / (n * p * (p + 1) / 2)


class SparseRows:
    """Sum of ``x x^T`` over rows of p columns, added up in float64.

    Some columns are filled much more than others. They are put in falling order: a value of the
    j-th one is multiplied with columns 0 to j of its row, so that rare ones, of which there are
    few values, do most of the work. A row's columns are dense and next to each other, and what is
    added to is the j-th row of the result: a loop without branches over vectors of numbers.

    Of float32 rows, four products at a time are added in float32 before they are added to the
    result. What that rounds off, up to 1e-7 of four products, is as often too much as too little:
    of sums over thousands of rows it is about 1e-8.

    Parameters
    ----------
    block
        Rows that the order is taken from, shape (n, p); not added.
    """

    def __init__(self, block: CSRBlock) -> None:
        p = block.shape[1]
        self.order = np.argsort(-np.bincount(block.indices, minlength=p), kind="stable")
        self.rank = np.empty(p, np.int32)
        self.rank[self.order] = np.arange(p, dtype=np.int32)
        self.n, self.sums, self.packed = 0, np.zeros(p), np.zeros(p * (p + 1) // 2)
        self._waiting: list[CSRBlock] = []

    def add(self, block: CSRBlock) -> None:
        """Add the rows of a block; values stored twice count as their sum."""
        self.n += block.shape[0]
        self._waiting.append(block)
        # the more rows at a time, the less often the result goes through the cache
        if sum(part.shape[0] for part in self._waiting) >= _rows_of_a_tile(block.dtype):
            self._multiply()

    def _multiply(self) -> None:
        data, indices, indptr = _joined(self._waiting)
        self._waiting.clear()
        precision = _precision(data)
        room = _rows_of_a_tile(precision)
        tile = np.empty((room, TILE_COLUMNS), precision)
        starts = np.empty(len(self.sums) + 1, np.int64)
        for start in range(0, len(indptr) - 1, room):
            within = indptr[start : start + room + 1]
            part = slice(int(within[0]), int(within[-1]))
            count = part.stop - part.start
            rows, values = np.empty(count, np.int32), np.empty(count, precision)
            turned = starts, rows, values
            _turn(data[part], indices[part], within - part.start, self.rank, *turned)
            _multiply(*turned, tile, self.sums, self.packed)

    def finish(self) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
        """Rows, mean of each column, and the packed scatter matrix around it."""
        if self._waiting:
            self._multiply()
        mean = np.empty_like(self.sums)
        mean[self.order] = self.sums / max(self.n, 1)
        packed = np.empty_like(self.packed)
        _centred(self.packed, self.order, mean, float(self.n), packed)
        return self.n, mean, packed


def _precision(data: NDArray[Any]) -> np.dtype[Any]:
    """Type that products are taken in."""
    if data.dtype != np.float32 or len(data) == 0:
        return np.dtype(np.float64)
    largest = max(data.max(), -data.min())
    fits = SMALLEST < largest < LARGEST  # it does not, where a value is NaN
    return np.dtype(np.float32 if fits else np.float64)


def _rows_of_a_tile(dtype: np.dtype[Any]) -> int:
    width = 4 if dtype == np.float32 else 8
    return TILE_BYTES // (TILE_COLUMNS * width)


def _joined(blocks: list[CSRBlock]) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]:
    """Values, columns and pointers of blocks one below the other."""
    spans = [slice(int(block.indptr[0]), int(block.indptr[-1])) for block in blocks]
    data = np.concatenate([b.data[span] for b, span in zip(blocks, spans, strict=True)])
    indices = np.concatenate([b.indices[span] for b, span in zip(blocks, spans, strict=True)])
    counts = np.concatenate([np.diff(block.indptr) for block in blocks])
    indptr = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=indptr[1:])
    return data, indices, indptr


@compiled
def _turn(
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[np.int64],
    rank: NDArray[np.int32],
    starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    values: NDArray[Any],
) -> None:
    """Sort values by the rank of their column."""
    starts[:] = 0
    for k in range(len(indices)):
        starts[rank[indices[k]] + 1] += 1
    for j in range(1, len(starts)):
        starts[j] += starts[j - 1]
    for row in range(len(indptr) - 1):
        for k in range(indptr[row], indptr[row + 1]):
            j = rank[indices[k]]
            at = starts[j]
            starts[j] = at + 1
            rows[at] = row
            values[at] = data[k]
    for j in range(len(starts) - 1, 0, -1):  # each was moved to the start of the next one
        starts[j] = starts[j - 1]
    starts[0] = 0


@compiled
def _multiply(
    starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    values: NDArray[Any],
    tile: NDArray[Any],
    sums: NDArray[np.float64],
    packed: NDArray[np.float64],
) -> None:
    """Add the products of sorted values with their rows to the packed lower triangle.

    The rows are written to the tile a stretch of columns at a time.
    """
    width = tile.shape[1]
    for low in range(0, len(sums), width):
        tile[:] = 0
        for j in range(low, min(low + width, len(sums))):
            for k in range(starts[j], starts[j + 1]):
                sums[j] += values[k]
                tile[rows[k], j - low] += values[k]
        for j in range(low, len(sums)):
            k, stop = starts[j], starts[j + 1]
            first = j * (j + 1) // 2 + low
            total = packed[first : first + min(width, j + 1 - low)]
            while k + 4 <= stop:  # four at a time load and store the total once
                v0, v1, v2, v3 = values[k], values[k + 1], values[k + 2], values[k + 3]
                a0, a1 = tile[rows[k]], tile[rows[k + 1]]
                a2, a3 = tile[rows[k + 2]], tile[rows[k + 3]]
                for c in range(len(total)):
                    total[c] += (v0 * a0[c] + v1 * a1[c]) + (v2 * a2[c] + v3 * a3[c])
                k += 4
            while k < stop:
                v0, a0 = values[k], tile[rows[k]]
                for c in range(len(total)):
                    total[c] += v0 * a0[c]
                k += 1


@compiled
def _centred(
    packed: NDArray[np.float64],
    order: NDArray[np.int64],
    mean: NDArray[np.float64],
    n: float,
    out: NDArray[np.float64],
) -> None:
    """Put sums of products back into the order of the columns, less those of the means."""
    at = 0
    for high in range(len(order)):
        i = order[high]
        weighted, first = n * mean[i], i * (i + 1) // 2
        for low in range(high + 1):
            j = order[low]
            place = first + j if j <= i else j * (j + 1) // 2 + i
            out[place] = packed[at + low] - weighted * mean[j]
        at += high + 1
