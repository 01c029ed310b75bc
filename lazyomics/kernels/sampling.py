"""Counts drawn from the counts of each row, as a recorded step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lazyomics.blocks.block import CSRBlock
from lazyomics.compiled import compiled
from lazyomics.kernels.steps import Block, Step
from lazyomics.kernels.sums import row_totals

__all__ = ["DownsampleRows"]


@dataclass(frozen=True, eq=False)
class DownsampleRows(Step):
    """Draw ``targets`` of the counts of each row that has more; other rows stay as they are.

    What is drawn depends on the row, its target and its seed alone, not on the block that it is
    in. The generator is that of numba, which is NumPy's legacy one, seeded for each row.

    Attributes
    ----------
    targets
        Counts that each row keeps, int64, shape (n,).
    seeds
        Seed of each row, int64, shape (n,); None if all have the same.
    seed
        The one that all have.
    replace
        Whether a count may be drawn several times.
    always
        Draw from rows that have no more than their target, too.
    """

    targets: NDArray[np.int64]
    seeds: NDArray[np.int64] | None = None
    seed: int = 0
    replace: bool = False
    always: bool = False
    full_rows: ClassVar[bool] = True
    ROW_FIELDS: ClassVar[tuple[str, ...]] = ("targets", "seeds")

    def __call__(self, block: Block) -> Block:
        """Draw the counts."""
        if block.shape[0] == 0:  # also what a new step is tried on: not worth compiling for
            return block
        totals = row_totals(block)
        rows = np.flatnonzero(totals > 0 if self.always else totals > self.targets)
        if len(rows) == 0:
            return block
        seeds = np.full(len(rows), self.seed) if self.seeds is None else self.seeds[rows]
        plan = rows, self.targets[rows], seeds.astype(np.int64), self.replace
        if not isinstance(block, CSRBlock):
            drawn = block.astype(np.float64, order="C")
            bounds = np.arange(len(drawn) + 1, dtype=np.int64) * drawn.shape[1]
            _draw(drawn.reshape(-1), bounds, *plan)
            return drawn.astype(block.dtype)
        # A row that was not put in order would be drawn from in another order.
        block = block.canonical()
        # One type of values for all, because compiling takes as long as drawing from many cells.
        data = block.data.astype(np.float64)
        indptr = block.indptr.astype(np.int64, copy=False)
        _draw(data, indptr, *plan)
        kept = data != 0
        ends = np.concatenate(([0], np.cumsum(kept)))[indptr].astype(block.indptr.dtype)
        return CSRBlock.from_arrays(
            data[kept].astype(block.dtype), block.indices[kept], ends, block.shape
        )


@compiled
def _draw(
    data: NDArray[np.float64],
    indptr: NDArray[np.int64],
    rows: NDArray[np.int64],
    targets: NDArray[np.int64],
    seeds: NDArray[np.int64],
    replace: bool,
) -> None:
    """Replace the counts of some rows by those that are drawn of them."""
    for k in range(len(rows)):
        counts = data[indptr[rows[k]] : indptr[rows[k] + 1]]
        np.random.seed(seeds[k])  # noqa: NPY002 (numba's own, of this thread)
        ends = counts.cumsum()
        counts[:] = 0
        drawn = np.random.choice(np.int64(ends[-1]), targets[k], replace)  # noqa: NPY002
        drawn.sort()
        at = 0
        for count in drawn:
            while count >= ends[at]:
                at += 1
            counts[at] += 1
