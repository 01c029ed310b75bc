"""What regressions of every gene on properties of the cells need, and the steps that use them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lazyomics.blocks.block import CSRBlock
from lazyomics.compiled import compiled
from lazyomics.kernels.steps import Block, Step
from lazyomics.kernels.whole_rows import dense_rows

__all__ = [
    "AdjustBatches",
    "DesignProducts",
    "SubtractFit",
    "SubtractGroups",
    "design_products",
]

ROWS_AT_A_TIME = 256  # of a block made dense, so that its float64 copies stay small


@dataclass(frozen=True, eq=False)
class DesignProducts:
    """Sums of each of p genes over g groups of cells, weighted by m properties of the cells.

    Attributes
    ----------
    n
        Cells in each group, int64, shape (g,).
    products
        Sum of the values times each property, float64, shape (g, m, p).
    squares
        Sum of the squared values, float64, shape (g, p).
    low, high
        Smallest and largest value of each gene, float64, shape (p,).
    """

    n: NDArray[np.int64]
    products: NDArray[np.float64]
    squares: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def __add__(self, other: DesignProducts) -> DesignProducts:
        """Merge with the state of other cells."""
        return DesignProducts(
            self.n + other.n,
            self.products + other.products,
            self.squares + other.squares,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )


def design_products(
    block: Any,
    codes: NDArray[np.integer[Any]],
    properties: NDArray[np.float64] | None = None,
    *,
    n_groups: int,
) -> DesignProducts:
    """Sums of the rows of a block.

    Parameters
    ----------
    block
        CSRBlock or ndarray, shape (n, p).
    codes
        Group of each row, from 0 on, shape (n,).
    properties
        Of each row, shape (n, m); a single 1 if None.
    n_groups
        Number of groups.

    Examples
    --------
    >>> state = design_products(np.array([[1.0], [2.0], [4.0]]), np.array([0, 0, 1]), n_groups=2)
    >>> state.products[:, 0, 0], state.squares[:, 0]
    (array([3., 4.]), array([ 5., 16.]))
    """
    n, p = block.shape
    group_of: NDArray[np.int64] = np.asarray(codes, dtype=np.int64)
    weights = np.ones((n, 1)) if properties is None else np.ascontiguousarray(properties)
    size = weights.shape[1]
    sums = np.zeros((n_groups, p, size + 1))
    low, high = np.full(p, np.inf), np.full(p, -np.inf)
    if isinstance(block, CSRBlock):
        data = block.data
        if data.dtype in (np.float16, np.longdouble):  # which numba does not know
            data = data.astype(np.float64)
        stored = np.zeros(p, dtype=np.int64)
        indptr = block.indptr.astype(np.int64, copy=False)
        _add_rows(data, block.indices, indptr, group_of, weights, sums, low, high, stored)
        empty = stored < n
        low[empty], high[empty] = np.minimum(low[empty], 0), np.maximum(high[empty], 0)
    else:
        for start in range(0, n, ROWS_AT_A_TIME):
            part = slice(start, start + ROWS_AT_A_TIME)
            values = block[part].astype(np.float64)
            low, high = np.minimum(low, values.min(axis=0)), np.maximum(high, values.max(axis=0))
            for group in np.unique(group_of[part]):
                mine = group_of[part] == group
                sums[group, :, :size] += values[mine].T @ weights[part][mine]
                sums[group, :, size] += np.square(values[mine]).sum(axis=0)
    counted = np.bincount(group_of, minlength=n_groups).astype(np.int64)
    products = np.ascontiguousarray(sums[:, :, :size].transpose(0, 2, 1))
    return DesignProducts(counted, products, sums[:, :, size].copy(), low, high)


@compiled
def _add_rows(
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[np.int64],
    codes: NDArray[np.int64],
    weights: NDArray[np.float64],
    sums: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    stored: NDArray[np.int64],
) -> None:
    size = weights.shape[1]
    for row in range(len(codes)):
        mine = sums[codes[row]]
        for k in range(indptr[row], indptr[row + 1]):
            value = np.float64(data[k])
            gene = indices[k]
            for j in range(size):
                mine[gene, j] += value * weights[row, j]
            mine[gene, size] += value * value
            low[gene] = min(low[gene], value)
            high[gene] = max(high[gene], value)
            stored[gene] += 1


def _float_rows(block: Block) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Rows that a step may change, in float64."""
    for rows, values in dense_rows(block, ROWS_AT_A_TIME):
        yield rows, values.astype(np.float64)


@dataclass(frozen=True, eq=False)
class SubtractFit(Step):
    """Subtract ``basis @ coefficients``; every block becomes dense, of the type ``dtype``.

    ``basis`` has shape (n, q), ``coefficients`` (p, q).
    """

    basis: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    dtype: str
    ROW_FIELDS: ClassVar[tuple[str, ...]] = ("basis",)
    COL_FIELDS: ClassVar[tuple[str, ...]] = ("coefficients",)

    def __call__(self, block: Block) -> Block:
        """Subtract."""
        out = np.empty(block.shape, np.dtype(self.dtype))
        for rows, values in _float_rows(block):
            # No product of BLAS: what it rounds depends on how many rows it is given.
            for j in range(self.basis.shape[1]):
                values -= self.basis[rows, j, None] * self.coefficients[:, j]
            out[rows] = values
        return out


@dataclass(frozen=True, eq=False)
class SubtractGroups(Step):
    """Subtract the value of each row's group; every block becomes dense, in float64.

    ``codes`` has shape (n,), ``fitted`` (p, g).
    """

    codes: NDArray[np.integer[Any]]
    fitted: NDArray[np.float64]
    ROW_FIELDS: ClassVar[tuple[str, ...]] = ("codes",)
    COL_FIELDS: ClassVar[tuple[str, ...]] = ("fitted",)

    def __call__(self, block: Block) -> Block:
        """Subtract."""
        out = np.empty(block.shape)
        of_group = np.ascontiguousarray(self.fitted.T)
        for rows, values in _float_rows(block):
            np.subtract(values, of_group[self.codes[rows]], out=out[rows])
        return out


@dataclass(frozen=True, eq=False)
class AdjustBatches(Step):
    """``(x - expected) * scale - shift + expected`` of each row's batch, dense and in float64.

    What is expected is ``mean`` plus ``covariates @ slopes``.

    Attributes
    ----------
    codes
        Batch of each row, shape (n,).
    scale, shift
        Of each gene in each batch, shape (p, g).
    mean
        Of each gene, shape (p,).
    covariates
        Of each row, shape (n, c); None if there are none.
    slopes
        Of each gene, shape (p, c).
    """

    codes: NDArray[np.integer[Any]]
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]
    mean: NDArray[np.float64]
    covariates: NDArray[np.float64] | None = None
    slopes: NDArray[np.float64] | None = None
    ROW_FIELDS: ClassVar[tuple[str, ...]] = ("codes", "covariates")
    COL_FIELDS: ClassVar[tuple[str, ...]] = ("scale", "shift", "mean", "slopes")

    def __call__(self, block: Block) -> Block:
        """Adjust."""
        out = np.empty(block.shape)
        scale, shift = np.ascontiguousarray(self.scale.T), np.ascontiguousarray(self.shift.T)
        for rows, values in _float_rows(block):
            expected: Any = self.mean
            if self.covariates is not None and self.slopes is not None:
                expected = np.tile(self.mean, (len(values), 1))
                for j in range(self.covariates.shape[1]):
                    expected += self.covariates[rows, j, None] * self.slopes[:, j]
            codes = self.codes[rows]
            out[rows] = (values - expected) * scale[codes] - shift[codes] + expected
        return out
