"""Products of a block with narrow matrices: projections and Gram products."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from lazyomics.blocks.block import CSRBlock
from lazyomics.blocks.canonical import index_dtype
from lazyomics.compiled import compiled
from lazyomics.kernels.blas import one_blas_thread

__all__ = [
    "GeneMajorRows",
    "GramProduct",
    "gene_major",
    "gram_product",
    "project",
]


@dataclass(frozen=True, eq=False)
class GeneMajorRows:
    """Consecutive rows of a sparse matrix in the order of its columns.

    A product then reads each column's vector once, and the rows' own vectors stay in the cache.

    Attributes
    ----------
    data
        Stored values, column by column: floating, integers as the narrowest exact floating type.
    rows
        Row of each, in the narrowest type.
    starts
        Of each column in ``data``, shape (p + 1,).
    shape
        Rows and columns.
    """

    data: NDArray[Any]
    rows: NDArray[Any]
    starts: NDArray[Any]
    shape: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Bytes of the values and their rows; ``starts`` is the same for any number of them."""
        return int(self.data.nbytes + self.rows.nbytes)


def gene_major(block: CSRBlock) -> GeneMajorRows:
    """Turn a block of rows over; the result shares no memory with it.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.sparse as sp
    >>> from lazyomics.blocks.block import as_block
    >>> from lazyomics.kernels.product import gene_major
    >>> turned = gene_major(as_block(sp.csr_matrix(np.array([[1.0, 0.0], [2.0, 3.0]]))))
    >>> turned.data, turned.rows, turned.starts
    (array([1., 2., 3.]), array([0, 1, 1], dtype=uint16), array([0, 2, 3], dtype=int32))
    """
    n, p = block.shape
    indices = block.indices.astype(index_dtype(p), copy=False)
    data = block.data.astype(_floating(block.dtype), copy=False)
    turned = sp.csr_array((data, indices, block.indptr), shape=(n, p)).tocsc()
    rows = turned.indices.astype(np.uint16 if n <= 1 << 16 else np.int32, copy=False)
    starts = turned.indptr.astype(index_dtype(len(data)), copy=False)
    return GeneMajorRows(turned.data, rows, starts, (n, p))


def _floating(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype in (np.float32, np.float64):
        return dtype
    narrow = dtype.itemsize <= 2  # float16, and integers that float32 holds exactly
    return np.dtype(np.float32 if narrow else np.float64)


ROWS_AT_A_TIME = 1024


@dataclass(eq=False)
class GramProduct:
    """``X.T @ (X @ vectors - offset)`` over n rows, and what centring it takes.

    Attributes
    ----------
    n
        Rows.
    product
        Of the type of the vectors, shape (p, b).
    totals
        Of the rows' coordinates ``X @ vectors - offset``, float64, shape (b,).
    sums
        Of each column, float64, shape (p,); empty unless asked for.
    squares
        Sum of squares of all values; 0 unless asked for.
    kept
        For each block its rows (GeneMajorRows, or ndarray where the data is dense), or None where
        they were not to be kept.

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.kernels.product import gram_product
    >>> parts = iter([(np.array([[1.0, 2.0]]),)])
    >>> gram_product(parts, vectors=np.array([[1.0], [1.0]])).product
    array([[3.],
           [6.]])
    """

    n: int
    product: NDArray[Any]
    totals: NDArray[np.float64]
    sums: NDArray[np.float64]
    squares: float
    kept: tuple[Any, ...] = ()

    def __add__(self, other: GramProduct) -> GramProduct:
        with np.errstate(over="ignore", invalid="ignore"):  # whoever uses it sees the infinity
            product = self.product + other.product
        return GramProduct(
            self.n + other.n,
            product,
            self.totals + other.totals,
            self.sums + other.sums,
            self.squares + other.squares,
            self.kept + other.kept,
        )


def gram_product(
    parts: Iterator[tuple[Any, ...]],
    *,
    vectors: NDArray[Any],
    offset: NDArray[np.float64] | None = None,
    first: bool = False,
) -> GramProduct:
    """Product of the Gram matrix of some blocks with vectors, in the precision of these.

    Subtracting the coordinates of the mean before the second product avoids the cancellation that
    subtracting it afterwards would bring: single precision is then enough for residuals down to
    about a millionth of the largest eigenvalue.

    Parameters
    ----------
    parts
        ``(block,)``, or ``(block, allowance)`` with the bytes that may be kept of each row. Blocks
        are CSRBlock, GeneMajorRows or ndarray of shape (n, p); there is at least one.
    vectors
        float32 or float64, shape (p, b).
    offset
        Coordinates of the mean, shape (b,).
    first
        Also sum the columns and the squares.

    Returns
    -------
    The state of all rows.
    """
    vectors = np.ascontiguousarray(vectors)
    p, b = vectors.shape
    start = np.zeros(b) if offset is None else -offset
    state = GramProduct(0, np.zeros_like(vectors), np.zeros(b), np.zeros(p if first else 0), 0.0)
    for block, *allowance in parts:
        rows = gene_major(block) if isinstance(block, CSRBlock) else block
        state.n += rows.shape[0]
        if isinstance(rows, np.ndarray):
            _add_dense(state, rows, vectors, start, first)
        else:
            _add_sparse(state, rows, vectors, start, first)
        if allowance:
            state.kept += (rows if rows.nbytes <= allowance[0].sum() else None,)
        del block, rows  # before the next one is read
    return state


def _add_sparse(
    state: GramProduct,
    rows: GeneMajorRows,
    vectors: NDArray[Any],
    start: NDArray[np.float64],
    first: bool,
) -> None:
    arrays = rows.data, rows.rows, rows.starts
    if first:
        state.squares += _add_column_sums(rows.data, rows.starts, state.sums)
    coordinates = np.empty((rows.shape[0], len(start)), vectors.dtype)
    coordinates[:] = start
    _add_coordinates(*arrays, vectors, coordinates)
    _add_product(*arrays, coordinates, state.product)
    state.totals += coordinates.sum(axis=0, dtype=np.float64)


def _add_dense(
    state: GramProduct,
    block: NDArray[Any],
    vectors: NDArray[Any],
    start: NDArray[np.float64],
    first: bool,
) -> None:
    with one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):
        for low in range(0, len(block), ROWS_AT_A_TIME):
            rows = block[low : low + ROWS_AT_A_TIME].astype(vectors.dtype, copy=False)
            coordinates = rows @ vectors
            coordinates += start.astype(vectors.dtype)
            state.product += rows.T @ coordinates
            state.totals += coordinates.sum(axis=0, dtype=np.float64)
            if first:
                wide = block[low : low + ROWS_AT_A_TIME].astype(np.float64, copy=False)
                state.sums += wide.sum(axis=0)
                state.squares += float(np.square(wide).sum())


@compiled
def _add_column_sums(data: NDArray[Any], starts: NDArray[Any], sums: NDArray[np.float64]) -> float:
    squares = 0.0
    for gene in range(len(starts) - 1):
        total = 0.0
        for k in range(starts[gene], starts[gene + 1]):
            value = np.float64(data[k])
            total += value
            squares += value * value
        sums[gene] += total
    return squares


@compiled
def _add_coordinates(
    data: NDArray[Any],
    rows: NDArray[Any],
    starts: NDArray[Any],
    vectors: NDArray[Any],
    coordinates: NDArray[Any],
) -> None:
    cast = np.empty(1, vectors.dtype)  # the value in the precision of the vectors
    for gene in range(len(starts) - 1):
        vector = vectors[gene]
        for k in range(starts[gene], starts[gene + 1]):
            cast[0] = data[k]
            value = cast[0]
            at = coordinates[rows[k]]
            for c in range(len(vector)):
                at[c] += value * vector[c]


@compiled
def _add_product(
    data: NDArray[Any],
    rows: NDArray[Any],
    starts: NDArray[Any],
    coordinates: NDArray[Any],
    product: NDArray[Any],
) -> None:
    cast = np.empty(4, product.dtype)
    for gene in range(len(starts) - 1):
        total = product[gene]
        k, stop = starts[gene], starts[gene + 1]
        while k + 4 <= stop:  # four at a time load and store the total once
            for j in range(4):
                cast[j] = data[k + j]
            v0, v1, v2, v3 = cast[0], cast[1], cast[2], cast[3]
            a0, a1 = coordinates[rows[k]], coordinates[rows[k + 1]]
            a2, a3 = coordinates[rows[k + 2]], coordinates[rows[k + 3]]
            for c in range(len(total)):
                total[c] += (v0 * a0[c] + v1 * a1[c]) + (v2 * a2[c] + v3 * a3[c])
            k += 4
        while k < stop:
            cast[0] = data[k]
            v0 = cast[0]
            a0 = coordinates[rows[k]]
            for c in range(len(total)):
                total[c] += v0 * a0[c]
            k += 1


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
    >>> from lazyomics.kernels.product import project
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
