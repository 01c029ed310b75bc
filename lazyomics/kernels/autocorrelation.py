"""Sums over the edges of a graph of cells, gene by gene, for Moran's I and Geary's C."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from lazyomics.blocks.block import CSRBlock
from lazyomics.compiled import compiled

__all__ = ["CellWeights", "autocorrelation_sums", "autocorrelation_sums_of_rows"]


@dataclass(frozen=True, eq=False)
class CellWeights:
    """Weights of a graph, the mean of both directions, shape (n, n).

    Moran's I and Geary's C are the same for these: both take each pair of cells both ways.

    Attributes
    ----------
    data, indices, indptr
        As of a CSR matrix, data float64.
    degrees
        Sum of each row, float64, shape (n,).
    total
        Sum of all.
    """

    data: NDArray[np.float64]
    indices: NDArray[np.integer[Any]]
    indptr: NDArray[np.int64]
    degrees: NDArray[np.float64]
    total: float

    @classmethod
    def of(cls, graph: sp.csr_matrix) -> CellWeights:
        """Take the weights of a square matrix."""
        weights = sp.csr_matrix(graph, dtype=np.float64)
        weights = sp.csr_matrix((weights + weights.T) * 0.5)
        weights.sort_indices()
        degrees = np.asarray(weights.sum(axis=1), dtype=np.float64).ravel()
        indptr = weights.indptr.astype(np.int64, copy=False)
        return cls(weights.data, weights.indices, indptr, degrees, float(degrees.sum()))

    @property
    def n(self) -> int:
        """Number of cells."""
        return len(self.degrees)


def autocorrelation_sums(
    values: NDArray[Any],
    cells: NDArray[np.integer[Any]],
    start: NDArray[np.int64],
    weights: CellWeights,
    *,
    differences: bool,
) -> NDArray[np.float64]:
    """Sum over the edges of the graph, for each gene.

    Parameters
    ----------
    values
        Of the cells, gene after gene, shape (start[-1],); others are 0.
    cells
        Cell of each value, each but once in a gene, shape (start[-1],).
    start
        Where each gene begins, shape (p + 1,).
    weights
        Of n cells.
    differences
        Sum squared differences of neighbours; else products of deviations from the mean.

    Returns
    -------
    float64, shape (p, 2): the sum over the edges, and that of the squared deviations from the mean
    over the cells, which is 0 where all cells have the same value. The same bits in whatever order
    the values of a gene are.

    Notes
    -----
    Time: the edges of cells with a value other than 0; all edges where these are more than half.
    Memory: n values.

    Where most values are 0, products of deviations are put together from products of values. No
    digits are lost, as the squared mean is less than half of the mean square then.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from lazyomics.kernels.autocorrelation import CellWeights, autocorrelation_sums
    >>> weights = CellWeights.of(sp.csr_matrix([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]]))
    >>> autocorrelation_sums(
    ...     np.array([3.0]), np.array([0]), np.array([0, 1]), weights, differences=True
    ... )
    array([[18.,  6.]])
    """
    out = np.zeros((len(start) - 1, 2))
    scratch = np.zeros(weights.n)
    graph = weights.data, weights.indices, weights.indptr, weights.degrees, weights.total
    _edge_sums(values, cells, start, *graph, differences, scratch, out)
    return out


def autocorrelation_sums_of_rows(
    block: Any, *, weights: CellWeights, differences: bool
) -> NDArray[np.float64]:
    """Compute `autocorrelation_sums` of a block of genes × cells, shape (p, n)."""
    if isinstance(block, CSRBlock):
        start = block.indptr.astype(np.int64, copy=False)
        parts = block.data, block.indices, start
        return autocorrelation_sums(*parts, weights, differences=differences)
    out = np.empty((block.shape[0], 2))
    for gene, row in enumerate(block):
        cells = np.flatnonzero(row)
        start = np.array([0, len(cells)])
        out[gene] = autocorrelation_sums(row[cells], cells, start, weights, differences=differences)
    return out


@compiled
def _edge_sums(
    values: NDArray[Any],
    cells: NDArray[Any],
    start: NDArray[np.int64],
    data: NDArray[np.float64],
    indices: NDArray[Any],
    indptr: NDArray[np.int64],
    degrees: NDArray[np.float64],
    total: float,
    differences: bool,
    x: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    n = len(x)
    for gene in range(len(start) - 1):
        mine = cells[start[gene] : start[gene + 1]]
        ascending = True
        found = np.int64(0)
        for k in range(len(mine)):
            value = np.float64(values[start[gene] + k])
            x[np.int64(mine[k])] = value
            found += np.int64(value != 0)
            ascending = ascending and (k == 0 or mine[k - 1] < mine[k])
        edges = 0.0
        squares = 0.0
        if 2 * found > n:
            mean = 0.0
            alike = True
            for i in range(n):
                mean += x[i]
                alike = alike and x[i] == x[0]
            mean /= np.float64(n)
            if not alike:
                for i in range(n):
                    x[i] -= mean
                    squares += x[i] * x[i]
                for i in range(n):
                    here = 0.0
                    for k in range(indptr[i], indptr[i + 1]):
                        other = x[np.int64(indices[k])]
                        if differences:
                            here += data[k] * (x[i] - other) * (x[i] - other)
                        else:
                            here += data[k] * other
                    edges += here if differences else here * x[i]
            x[:] = 0
        elif found > 0:
            if not ascending:
                mine = mine.copy()
                mine.sort()
            mean = 0.0
            for k in range(len(mine)):
                mean += x[np.int64(mine[k])]
            mean /= np.float64(n)
            around = 0.0
            for k in range(len(mine)):
                cell = np.int64(mine[k])
                value = x[cell]
                if value == 0:
                    continue
                squares += (value - mean) * (value - mean)
                around += degrees[cell] * value
                here = 0.0
                for edge in range(indptr[cell], indptr[cell + 1]):
                    other = x[np.int64(indices[edge])]
                    if not differences:
                        here += data[edge] * other
                    elif other == 0:
                        # its own edges are not looked at: this one stands for both directions
                        here += 2 * data[edge] * value * value
                    else:
                        here += data[edge] * (value - other) * (value - other)
                edges += here if differences else here * value
            squares += np.float64(n - found) * mean * mean
            if not differences:
                edges += mean * (mean * total - 2 * around)
            for k in range(len(mine)):
                x[np.int64(mine[k])] = 0
        out[gene, 0] = edges
        out[gene, 1] = squares
