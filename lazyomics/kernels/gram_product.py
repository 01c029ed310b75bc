"""Product of the Gram matrix with a few vectors, without forming the matrix, as a state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from lazyomics.kernels.blas import one_blas_thread
from lazyomics.kernels.compiled import compiled
from lazyomics.kernels.kept_rows import KeptRows, kept_rows

__all__ = ["GramProduct", "gram_product"]

ROWS_AT_A_TIME = 1024


@dataclass(frozen=True, eq=False)
class GramProduct:
    """``X.T @ (X @ vectors)`` over n rows, and what centring it takes.

    Attributes
    ----------
    n
        Rows.
    sums
        Of each column, float64, shape (p,).
    squares
        Sum of squares of all values.
    product
        float64, shape (p, b).
    kept
        The rows themselves, if asked for and every block fitted its share of memory.

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.kernels.gram_product import gram_product
    >>> gram_product(np.array([[1.0, 2.0]]), vectors=np.array([[1.0], [1.0]])).product
    array([[3.],
           [6.]])
    """

    n: int
    sums: NDArray[np.float64]
    squares: float
    product: NDArray[np.float64]
    kept: KeptRows | None = None

    def __add__(self, other: GramProduct) -> GramProduct:
        kept = None
        if self.kept is not None and other.kept is not None:
            kept = self.kept + other.kept
        return GramProduct(
            self.n + other.n,
            self.sums + other.sums,
            self.squares + other.squares,
            self.product + other.product,
            kept,
        )


def gram_product(
    block: Any, *, vectors: NDArray[np.float64], keep_bytes_per_row: float = 0.0
) -> GramProduct:
    """Product of the Gram matrix of a block with vectors, in float64.

    Parameters
    ----------
    block
        CSRBlock, CompactRows or ndarray, shape (n, p).
    vectors
        float64, shape (p, b).
    keep_bytes_per_row
        Also keep the rows, if on average they take no more memory than this.

    Returns
    -------
    The state of the n rows.
    """
    n, p = block.shape
    kept = kept_rows(block, keep_bytes_per_row * n) if keep_bytes_per_row > 0 else None
    product, sums = np.zeros((p, vectors.shape[1])), np.zeros(p)
    if not isinstance(block, np.ndarray):
        squares = _sparse_product(block, np.ascontiguousarray(vectors), sums, product)
        return GramProduct(n, sums, squares, product, kept)
    squares = 0.0
    with one_blas_thread():
        for start in range(0, n, ROWS_AT_A_TIME):
            rows = block[start : start + ROWS_AT_A_TIME].astype(np.float64, copy=False)
            product += rows.T @ (rows @ vectors)
            sums += rows.sum(axis=0)
            squares += float(np.square(rows).sum())
    return GramProduct(n, sums, squares, product, kept)


def _sparse_product(
    block: Any,
    vectors: NDArray[np.float64],
    sums: NDArray[np.float64],
    product: NDArray[np.float64],
) -> float:
    """Gene by gene: then the vectors are read, and the product written, once and in order."""
    indices = block.indices.astype(np.int64 if block.shape[1] > 1 << 31 else np.int32, copy=False)
    by_gene = sp.csr_array((block.data, indices, block.indptr), shape=block.shape).tocsc()
    arrays = by_gene.data, by_gene.indices, by_gene.indptr.astype(np.int64, copy=False)
    coordinates = np.zeros((block.shape[0], vectors.shape[1]))
    squares = _add_coordinates(*arrays, vectors, coordinates, sums)
    _add_product(*arrays, coordinates, product)
    return squares


@compiled
def _add_coordinates(
    data: NDArray[Any],
    rows: NDArray[Any],
    starts: NDArray[np.int64],
    vectors: NDArray[np.float64],
    coordinates: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> float:
    squares = 0.0
    for gene in range(len(starts) - 1):
        vector = vectors[gene]
        for k in range(starts[gene], starts[gene + 1]):
            value = np.float64(data[k])
            sums[gene] += value
            squares += value * value
            at = coordinates[rows[k]]
            for c in range(len(vector)):
                at[c] += value * vector[c]
    return squares


@compiled
def _add_product(
    data: NDArray[Any],
    rows: NDArray[Any],
    starts: NDArray[np.int64],
    coordinates: NDArray[np.float64],
    product: NDArray[np.float64],
) -> None:
    for gene in range(len(starts) - 1):
        total = product[gene]
        for k in range(starts[gene], starts[gene + 1]):
            value = np.float64(data[k])
            at = coordinates[rows[k]]
            for c in range(len(total)):
                total[c] += value * at[c]
