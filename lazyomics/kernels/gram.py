"""Scatter matrices (the Gram matrix of centred columns), block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.blocks.block import CSRBlock
from lazyomics.compiled import compiled
from lazyomics.kernels.blas import one_blas_thread

__all__ = [
    "CompactRows",
    "DenseRows",
    "KeptRows",
    "Scatter",
    "SparseRows",
    "add_outer",
    "kept_rows",
    "merged",
    "merged_mean",
    "multiplications",
    "scatter",
    "scatter_of_run",
    "unpacked",
]


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


def merged_mean(
    n: int, mean: NDArray[np.float64], n_other: int, other: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Mean of both, difference of the means, and its weight in the scatter.

    References
    ----------
    Chan, Golub & LeVeque (1983), doi:10.1080/00031305.1983.10483115
    """
    total = max(n + n_other, 1)
    delta = other - mean if n and n_other else np.zeros(len(mean))
    both = mean + delta * (n_other / total) if n else other
    return both, delta, n * n_other / total


def unpacked(packed: NDArray[np.float64], p: int) -> NDArray[np.float64]:
    """Full symmetric matrix, shape (p, p).

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.kernels.gram import unpacked
    >>> unpacked(np.array([1.0, 2.0, 3.0]), 2)
    array([[1., 2.],
           [2., 3.]])
    """
    full = np.empty((p, p))
    at = 0
    for i in range(p):
        row = packed[at : at + i + 1]
        full[i, : i + 1] = row
        full[: i + 1, i] = row
        at += i + 1
    return full


@compiled
def add_outer(packed: NDArray[np.float64], vector: NDArray[np.float64], weight: float) -> None:
    """Add ``weight * vector vector^T``, in place."""
    at = 0
    for i in range(len(vector)):
        weighted = weight * vector[i]
        for j in range(i + 1):
            packed[at + j] += weighted * vector[j]
        at += i + 1


@compiled
def merged(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    delta: NDArray[np.float64],
    weight: float,
    out: NDArray[np.float64],
) -> None:
    """Write ``a + b + weight * delta delta^T`` to ``out``."""
    at = 0
    for i in range(len(delta)):
        weighted = weight * delta[i]
        for j in range(i + 1):
            out[at + j] = a[at + j] + b[at + j] + weighted * delta[j]
        at += i + 1


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


@dataclass(frozen=True, eq=False)
class CompactRows:
    """Arrays of a CSR matrix whose column numbers take as few bytes as they can."""

    data: NDArray[Any]
    indices: NDArray[Any]
    indptr: NDArray[Any]
    shape: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return int(self.data.nbytes + self.indices.nbytes + self.indptr.nbytes)


@dataclass(frozen=True, eq=False)
class KeptRows:
    """Blocks of consecutive rows in order: CompactRows, or ndarray where the data is dense.

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.kernels.gram import kept_rows
    >>> both = kept_rows(np.eye(2), 100) + kept_rows(np.ones((1, 2)), 100)
    >>> [block.shape for block in both]
    [(2, 2), (1, 2)]
    """

    blocks: tuple[Any, ...]

    def __add__(self, other: KeptRows) -> KeptRows:
        return KeptRows(self.blocks + other.blocks)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.blocks)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(int(block.nbytes) for block in self.blocks)


def kept_rows(block: Any, budget: float) -> KeptRows | None:
    """Keep the rows of a block, or None if they take more than ``budget`` bytes."""
    if isinstance(block, CSRBlock):
        small = np.dtype(np.uint16 if block.shape[1] <= 1 << 16 else np.int32)
        needed = block.data.nbytes + len(block.data) * small.itemsize + block.indptr.nbytes
        if needed > budget:
            return None
        # own arrays: a view would keep the whole block that it was cut from alive
        indices = block.indices.astype(small)
        return KeptRows((CompactRows(_owned(block.data), indices, block.indptr, block.shape),))
    return KeptRows((block,)) if block.nbytes <= budget else None


def _owned(values: NDArray[Any]) -> NDArray[Any]:
    return values if values.base is None else values.copy()


# Up to this share of a dense product's multiplications, sparse rows take less time than dense ones.
# (Of 2,000 variable genes with 12 % of their values stored it is 5 %.)
SPARSE_BELOW = 0.15


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
        mean, delta, weight = merged_mean(self.n, self.mean, other.n, other.mean)
        packed = np.empty_like(self.packed)
        merged(self.packed, other.packed, delta, weight, packed)
        kept = None
        if self.kept is not None and other.kept is not None:
            kept = self.kept + other.kept
        return Scatter(self.n + other.n, mean, packed, kept)

    def matrix(self) -> NDArray[np.float64]:
        """Full symmetric scatter matrix, shape (p, p)."""
        return unpacked(self.packed, len(self.mean))

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

    The first block says how: sparse rows are multiplied value by value, which loses nothing where
    most values are 0; the others by BLAS, around their means. Both are added up in float64.

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
    sums: SparseRows | DenseRows | None = None
    kept: KeptRows | None = KeptRows(()) if keep_bytes_per_row > 0 else None
    for (block,) in parts:
        sums = sums or _sums_like(block)
        sums.add(block)
        if kept is not None:
            more = kept_rows(block, keep_bytes_per_row * block.shape[0])
            kept = None if more is None else kept + more
        del block  # before the next one is read
    if sums is None:
        raise ValueError("a run holds at least one block")
    return Scatter(*sums.finish(), kept)


def _sums_like(block: Any) -> SparseRows | DenseRows:
    if isinstance(block, CSRBlock) and multiplications(block) < SPARSE_BELOW:
        return SparseRows(block)
    return DenseRows(block.shape[1], np.dtype(block.dtype))
