"""Values assigned to items of a matrix, as steps; a sparse block stays sparse."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from lazyomics.kernels.block import CSRBlock, SparseBlock
from lazyomics.kernels.steps import Block, Selector, Step

__all__ = ["AssignCrossings", "AssignPoints", "assign_where"]


@dataclass(frozen=True, eq=False)
class AssignCrossings(Step):
    """Assign where some rows and some columns cross.

    ``row_of`` and ``col_of`` say for each row and column which row and column of ``table`` it
    gets, −1 for none.
    """

    row_of: NDArray[np.int32]
    col_of: NDArray[np.int32]
    table: NDArray[Any]
    adds_values: ClassVar[bool] = True
    ROW_FIELDS: ClassVar[tuple[str, ...]] = ("row_of",)
    COL_FIELDS: ClassVar[tuple[str, ...]] = ("col_of",)

    def __call__(self, block: Block) -> Block:
        """Assign."""
        rows, cols = np.flatnonzero(self.row_of >= 0), np.flatnonzero(self.col_of >= 0)
        if not len(rows) or not len(cols):
            return block
        values = self.table[np.ix_(self.row_of[rows], self.col_of[cols])]
        if not isinstance(block, SparseBlock):
            changed = block.copy()
            changed[np.ix_(rows, cols)] = values
            return changed
        inside = (self.row_of >= 0)[_rows_of_stored(block)] & (self.col_of >= 0)[block.indices]
        at_row, at_col = np.nonzero(values)
        return _with_points(block, ~inside, rows[at_row], cols[at_col], values[at_row, at_col])


@dataclass(frozen=True, eq=False)
class AssignPoints(Step):
    """Assign to single places.

    ``row_of`` says for each row which row of ``table`` it gets, −1 for none. What is stored in the
    table is assigned, zeros included.
    """

    row_of: NDArray[np.int32]
    table: CSRBlock
    adds_values: ClassVar[bool] = True
    ROW_FIELDS: ClassVar[tuple[str, ...]] = ("row_of",)

    def take_cols(self, cols: Selector) -> Self:
        """Return the step for the selected columns only."""
        return replace(self, table=self.table[:, cols])

    def __call__(self, block: Block) -> Block:
        """Assign."""
        return _assign_at(block, *self.points())

    def points(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return rows, columns and values."""
        changed = np.flatnonzero(self.row_of >= 0)
        part: Any = self.table[self.row_of[changed]]
        return changed[_rows_of_stored(part)], part.indices, part.data


def assign_where(block: Block, mask: Any, *, value: Any) -> Block:
    """Assign one number where a mask of the shape of a block says so.

    Examples
    --------
    >>> import numpy as np
    >>> block = CSRBlock(np.array([[0.0, 2.0], [3.0, 0.0]]))
    >>> assign_where(block, block > 2, value=0).toarray()
    array([[0., 2.],
           [0., 0.]])
    """
    rows, cols = np.nonzero(mask)
    return _assign_at(block, rows, cols, np.full(len(rows), value, block.dtype))


def _assign_at(block: Block, rows: NDArray[Any], cols: NDArray[Any], values: NDArray[Any]) -> Block:
    if not len(rows):
        return block
    if not isinstance(block, SparseBlock):
        changed = block.copy()
        changed[rows, cols] = values
        return changed
    width = block.shape[1]
    assigned = rows.astype(np.int64) * width + cols
    stored = _rows_of_stored(block).astype(np.int64) * width + block.indices
    kept = ~np.isin(stored, assigned)
    filled = values != 0
    return _with_points(block, kept, rows[filled], cols[filled], values[filled])


def _rows_of_stored(block: SparseBlock) -> NDArray[np.intp]:
    """Row of each value of a block with compressed rows."""
    return np.repeat(np.arange(block.n_major), block.counts())


def _with_points(
    block: SparseBlock,
    kept: NDArray[np.bool_],
    rows: NDArray[Any],
    cols: NDArray[Any],
    values: NDArray[Any],
) -> SparseBlock:
    """Keep some of the stored values of a block and add others, at places where none is kept."""
    pointers = np.concatenate(([0], np.cumsum(kept)))[block.indptr]
    rest = block.from_arrays(block.data[kept], block.indices[kept], pointers, block.shape)
    if not len(rows):
        return rest
    carrier = rest.carrier()
    added = sp.coo_array((values.astype(carrier.dtype), (rows, cols)), block.shape)
    return type(block).from_scipy(carrier + block.scipy_type(added), block.dtype)
