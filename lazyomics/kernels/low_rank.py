"""Steps that fill every value, as sparse values plus a matrix of low rank.

Scaling around the mean, regression and ComBat make a dense matrix of a sparse one. What they add
to its values is a product of a few numbers for each cell and a few for each gene, though:
``x = y + basis @ coefficients``, and y is as sparse as the matrix was. Whatever is linear in x,
such as its scatter matrix or its coordinates along axes, follows from the rows ``[y, basis]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from lazyomics.blocks.block import CSRBlock
from lazyomics.kernels.regression import AdjustBatches, SubtractFit, SubtractGroups
from lazyomics.kernels.steps import AsType, ScaleCols, Step
from lazyomics.kernels.whole_rows import dense_rows

__all__ = ["sparse_plus_low_rank"]

ROWS_AT_A_TIME = 256  # that are written out to find what is clipped


def sparse_plus_low_rank(
    steps: Sequence[Step], p: int
) -> tuple[tuple[Step, ...], NDArray[np.float64]] | None:
    """Return steps on sparse blocks that stand for others, which make these dense.

    Parameters
    ----------
    steps
        The first of them takes a CSRBlock and returns an array.
    p
        Columns.

    Returns
    -------
    Steps that turn a CSRBlock of p columns into one of p + q, ``[y, basis]``, and the
    coefficients, float64, shape (q, p): the given steps return ``y + basis @ coefficients``, up
    to rounding. None if there are none for some step.
    """
    coefficients = np.zeros((0, p))
    made: list[Step] = []
    for step in steps:
        parts = _parts(step, coefficients)
        if parts is None:
            return None
        new, coefficients = parts
        made.append(new)
    return tuple(made), coefficients


Parts = tuple[Step, NDArray[np.float64]]


@singledispatch
def _parts(step: Step, coefficients: NDArray[np.float64]) -> Parts | None:
    """Return what a step does to ``[y, basis]``, and the coefficients after it."""
    return None


@_parts.register
def _(step: AsType, coefficients: NDArray[np.float64]) -> Parts | None:
    return (step, coefficients) if np.dtype(step.dtype).kind == "f" else None


@_parts.register
def _(step: ScaleCols, coefficients: NDArray[np.float64]) -> Parts | None:
    p = coefficients.shape[1]
    center = np.zeros(p) if step.center is None else step.center
    if not len(coefficients):
        zero = -center / step.divisor
        if step.max_value is not None:
            zero = np.clip(zero, -step.max_value, step.max_value)
        return ScaleStored(step.divisor, center, zero, step.max_value, step.rows), zero[None]
    if step.rows is not None:
        return None
    after = np.concatenate([coefficients, -center[None]]) / step.divisor
    low = -np.inf if step.center is None else -(step.max_value or np.inf)
    return ScaleSum(step.divisor, after, low, step.max_value or np.inf), after


@_parts.register
def _(step: SubtractFit, coefficients: NDArray[np.float64]) -> Parts | None:
    after = np.concatenate([coefficients, -step.coefficients.T])
    return AppendColumns(step.basis, step.dtype), after


@_parts.register
def _(step: SubtractGroups, coefficients: NDArray[np.float64]) -> Parts | None:
    n_groups = step.fitted.shape[1]
    after = np.concatenate([coefficients, -step.fitted.T])
    return AppendGroups(step.codes, n_groups), after


@_parts.register
def _(step: AdjustBatches, coefficients: NDArray[np.float64]) -> Parts | None:
    if len(coefficients):
        return None
    scale = np.ascontiguousarray(step.scale.T)
    # What is expected of a cell is weighted with one minus the scale of its batch.
    after = [step.mean * (1 - scale) - step.shift.T]
    if step.slopes is not None:
        after += [slope * (1 - scale) for slope in step.slopes.T]
    return ScaleBatches(step.codes, step.scale, step.covariates), np.concatenate(after)


def _appended(block: CSRBlock, data: NDArray[Any], more: Any) -> CSRBlock:
    """Put other values in the place of those of a block, and more columns behind its own."""
    rows = sp.csr_array((data, block.indices, block.indptr), shape=block.shape)
    columns = sp.csr_array(more).astype(data.dtype, copy=False)
    return CSRBlock.from_scipy(sp.hstack([rows, columns], format="csr"))


def _one_hot(codes: NDArray[np.integer[Any]], n_groups: int) -> sp.csr_array:
    n = len(codes)
    return sp.csr_array((np.ones(n), codes, np.arange(n + 1)), shape=(n, n_groups))


@dataclass(frozen=True, eq=False)
class ScaleStored(Step):
    """Scale what is stored and subtract what a zero becomes; a column marks rows that are scaled.

    ``divisor``, ``center`` and ``zero`` have shape (p,), ``rows`` (n,).
    """

    divisor: NDArray[np.float64]
    center: NDArray[np.float64]
    zero: NDArray[np.float64]
    max_value: float | None = None
    rows: NDArray[np.bool_] | None = None
    ROW_FIELDS: ClassVar[tuple[str, ...]] = ("rows",)

    def __call__(self, block: CSRBlock) -> CSRBlock:
        """Scale."""
        genes = block.indices
        values = (block.data - self.center[genes]) / self.divisor[genes]
        if self.max_value is not None:
            values = np.clip(values, -self.max_value, self.max_value)
        values -= self.zero[genes]
        marked = np.ones(block.shape[0], bool) if self.rows is None else self.rows
        if self.rows is not None:
            values = np.where(np.repeat(self.rows, np.diff(block.indptr)), values, block.data)
        dtype = block.dtype if block.dtype.kind == "f" else np.dtype(np.float64)
        return _appended(block, values.astype(dtype, copy=False), marked[:, None])

    def width(self, n_cols: int) -> int:
        return n_cols + 1


@dataclass(frozen=True, eq=False)
class ScaleSum(Step):
    """Divide y, append a column of ones, and add to y what clipping the sum changes.

    ``divisor`` has shape (p,), ``coefficients`` (q, p): those of the sum after it was scaled, the
    last ones for the column of ones.
    """

    divisor: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    low: float
    high: float

    def __call__(self, block: CSRBlock) -> CSRBlock:
        """Scale."""
        n, p = block.shape[0], len(self.divisor)
        divisors = np.concatenate([self.divisor, np.ones(block.shape[1] - p)])
        values = (block.data / divisors[block.indices]).astype(block.dtype)
        scaled = _appended(block, values, np.ones((n, 1)))
        if np.isinf(self.low) and np.isinf(self.high):
            return scaled
        changed = self._clipped(scaled)
        summed = scaled.to_scipy() + changed.astype(scaled.dtype)
        return CSRBlock.from_scipy(sp.csr_array(summed))

    def _clipped(self, block: CSRBlock) -> sp.csr_array:
        """What clipping adds to each value, of the shape of the block."""
        p = len(self.divisor)
        rows, cols, values = [], [], []
        for part, written in dense_rows(block, ROWS_AT_A_TIME):
            x = written[:, :p] + written[:, p:].astype(np.float64) @ self.coefficients
            at = np.nonzero((x < self.low) | (x > self.high))
            rows.append(at[0] + part.start)
            cols.append(at[1])
            values.append(np.clip(x[at], self.low, self.high) - x[at])
        if not rows:
            return sp.csr_array(block.shape)
        where = np.concatenate(rows), np.concatenate(cols)
        return sp.csr_array((np.concatenate(values), where), shape=block.shape)

    def width(self, n_cols: int) -> int:
        return n_cols + 1


@dataclass(frozen=True, eq=False)
class AppendColumns(Step):
    """Append columns, shape (n, q), to values of type ``dtype``."""

    columns: NDArray[np.float64]
    dtype: str
    ROW_FIELDS: ClassVar[tuple[str, ...]] = ("columns",)

    def __call__(self, block: CSRBlock) -> CSRBlock:
        """Append."""
        return _appended(block, block.data.astype(self.dtype, copy=False), self.columns)

    def width(self, n_cols: int) -> int:
        return n_cols + self.columns.shape[1]


@dataclass(frozen=True, eq=False)
class AppendGroups(Step):
    """Append a column for each group that marks its rows. ``codes`` has shape (n,)."""

    codes: NDArray[np.integer[Any]]
    n_groups: int
    ROW_FIELDS: ClassVar[tuple[str, ...]] = ("codes",)

    def __call__(self, block: CSRBlock) -> CSRBlock:
        """Append."""
        data = block.data.astype(np.float64, copy=False)
        return _appended(block, data, _one_hot(self.codes, self.n_groups))

    def width(self, n_cols: int) -> int:
        return n_cols + self.n_groups


@dataclass(frozen=True, eq=False)
class ScaleBatches(Step):
    """Scale values by gene and batch; append marks of the batches, and these times covariates.

    ``codes`` has shape (n,), ``scale`` (p, g), ``covariates`` (n, c).
    """

    codes: NDArray[np.integer[Any]]
    scale: NDArray[np.float64]
    covariates: NDArray[np.float64] | None = None
    ROW_FIELDS: ClassVar[tuple[str, ...]] = ("codes", "covariates")

    def __call__(self, block: CSRBlock) -> CSRBlock:
        """Scale."""
        batches = np.repeat(self.codes, np.diff(block.indptr))
        data = block.data * self.scale[block.indices, batches]
        marks = _one_hot(self.codes, self.scale.shape[1])
        columns = [marks]
        if self.covariates is not None:
            columns += [marks * weights[:, None] for weights in self.covariates.T]
        return _appended(block, data, sp.hstack(columns, format="csr"))

    def width(self, n_cols: int) -> int:
        n_covariates = 0 if self.covariates is None else self.covariates.shape[1]
        return n_cols + self.scale.shape[1] * (1 + n_covariates)
