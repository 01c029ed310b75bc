"""Mergeable sums and counts of each group of cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lazyomics.blocks.block import CSRBlock
from lazyomics.errors import ShapeError
from lazyomics.kernels.steps import Block

__all__ = [
    "GroupTotals",
]


@dataclass(frozen=True)
class GroupTotals:
    """What the mean and the share of expressing cells of each group need.

    ``GroupTotals.of(a, …) + GroupTotals.of(b, …)`` equals the state of both blocks together.

    Attributes
    ----------
    cells
        int64, shape (n_groups,): rows of each group.
    sums
        float64, shape (n_groups, n_cols): sum of the values; with ``only_above`` of those above
        the cutoff.
    above
        int64, shape (n_groups, n_cols): how many values are above the cutoff.
    only_above
        Whether ``sums`` leaves out the values that are not above the cutoff.
    """

    cells: NDArray[np.int64]
    sums: NDArray[np.float64]
    above: NDArray[np.int64]
    only_above: bool = False

    @classmethod
    def of(
        cls,
        block: Block,
        codes: NDArray[np.integer],
        *,
        n_groups: int,
        cutoff: float = 0.0,
        only_above: bool = False,
    ) -> GroupTotals:
        """Measure one block.

        Parameters
        ----------
        block
            CSRBlock or ndarray, shape (n_rows, n_cols).
        codes
            int, shape (n_rows,): the group of each row, or -1 for none.
        n_groups
            Number of groups.
        cutoff
            A value counts as expressed if it is greater.
        only_above
            Sum only the values above the cutoff.
        """
        if codes.shape != (block.shape[0],):
            raise ShapeError(f"codes has shape {codes.shape}, expected ({block.shape[0]},)")
        cells = np.bincount(codes[codes >= 0], minlength=n_groups).astype(np.int64)
        measure = _of_csr if isinstance(block, CSRBlock) else _of_dense
        sums, above = measure(block, codes.astype(np.int64), n_groups, cutoff, only_above)
        if cutoff < 0 and isinstance(block, CSRBlock):
            above += _implicit_zeros(block, codes, cells)
        return cls(cells, sums, above, only_above)

    def __add__(self, other: GroupTotals) -> GroupTotals:
        """Merge with the state of other rows."""
        return GroupTotals(
            self.cells + other.cells,
            self.sums + other.sums,
            self.above + other.above,
            self.only_above,
        )

    def means(self) -> NDArray[np.float64]:
        """Mean of each group and column, shape (n_groups, n_cols).

        NaN for a group without rows; 0 where ``only_above`` leaves no value.
        """
        if self.only_above:
            return self.sums / np.maximum(self.above, 1)
        with np.errstate(invalid="ignore"):
            return self.sums / self.cells[:, None]

    def fractions(self) -> NDArray[np.float64]:
        """Share of values above the cutoff, shape (n_groups, n_cols); NaN for an empty group."""
        with np.errstate(invalid="ignore"):
            return self.above / self.cells[:, None]


def _of_csr(
    block: CSRBlock, codes: NDArray[np.int64], n_groups: int, cutoff: float, only_above: bool
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    n_cols = block.shape[1]
    cell = np.repeat(codes, np.diff(block.indptr))
    inside = cell >= 0
    values = block.data[inside]
    place = cell[inside] * n_cols + block.indices[inside]
    expressed = values > cutoff
    counted = np.bincount(place[expressed], minlength=n_groups * n_cols)
    if only_above:
        place, values = place[expressed], values[expressed]
    # bincount adds up in float64 whatever the values are.
    summed = np.bincount(place, weights=values, minlength=n_groups * n_cols)
    shape = (n_groups, n_cols)
    # Without any value bincount forgets its weights and returns integers.
    return summed.astype(np.float64).reshape(shape), counted.astype(np.int64).reshape(shape)


def _of_dense(
    block: NDArray[np.generic],
    codes: NDArray[np.int64],
    n_groups: int,
    cutoff: float,
    only_above: bool,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    sums = np.zeros((n_groups, block.shape[1]))
    above = np.zeros((n_groups, block.shape[1]), dtype=np.int64)
    for group in np.unique(codes[codes >= 0]):
        rows = block[codes == group]
        expressed = rows > cutoff
        above[group] = np.count_nonzero(expressed, axis=0)
        sums[group] = np.sum(
            rows, axis=0, dtype=np.float64, where=expressed if only_above else True
        )
    return sums, above


def _implicit_zeros(
    block: CSRBlock, codes: NDArray[np.integer], cells: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Count the values that are not stored: below a cutoff under zero they are expressed."""
    n_groups, n_cols = cells.size, block.shape[1]
    cell = np.repeat(codes.astype(np.int64), np.diff(block.indptr))
    place = cell * n_cols + block.indices
    stored = np.bincount(place[cell >= 0], minlength=n_groups * n_cols)
    missing: NDArray[np.int64] = cells[:, None] - stored.reshape(n_groups, n_cols)
    return missing
