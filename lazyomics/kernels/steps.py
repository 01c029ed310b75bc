"""Recorded steps of a lazy matrix: frozen values that turn a block into another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from lazyomics.blocks.block import CSRBlock, SparseBlock
from lazyomics.kernels.sums import divided_columns

__all__ = [
    "AsDense",
    "AsSparse",
    "AsType",
    "AssignCrossings",
    "AssignPoints",
    "Block",
    "Log1p",
    "NormalizeRows",
    "NormalizeThenSelect",
    "ScaleCols",
    "ScaleRows",
    "SelectCols",
    "Selector",
    "Sqrt",
    "Step",
    "assign_where",
    "fused",
]


Block: TypeAlias = Any  # CSRBlock or two-dimensional ndarray (CSCBlock only between I/O and graph)
Selector: TypeAlias = "slice | NDArray[np.int64]"

ROWS_AT_A_TIME = 256  # of a block scaled densely, so that its float64 copies stay small


@dataclass(frozen=True, eq=False)
class Step:
    """Base of all steps; subclasses are frozen dataclasses that define ``__call__``.

    ``ROW_FIELDS`` and ``COL_FIELDS`` name the fields that hold one value per row or per column.
    A step with ``full_rows`` must see every column of a row, so that a column selection made
    later is applied after it instead of while reading. One that ``cuts_cols`` keeps some columns;
    one that ``adds_values`` may store more of them in a sparse block than were there.
    """

    full_rows: ClassVar[bool] = False
    cuts_cols: ClassVar[bool] = False
    adds_values: ClassVar[bool] = False
    ROW_FIELDS: ClassVar[tuple[str, ...]] = ()
    COL_FIELDS: ClassVar[tuple[str, ...]] = ()

    def __call__(self, block: Block) -> Block:
        """Return the changed block; the given one stays as it is."""
        raise NotImplementedError

    def width(self, n_cols: int) -> int:
        """Columns of the result for a block of ``n_cols`` columns."""
        return n_cols

    def take_rows(self, rows: Selector) -> Self:
        """Return the step for the selected rows only."""
        return self._cut(self.ROW_FIELDS, rows)

    def take_cols(self, cols: Selector) -> Self:
        """Return the step for the selected columns only."""
        return self._cut(self.COL_FIELDS, cols)

    def _cut(self, names: tuple[str, ...], keep: Selector) -> Self:
        cut = {n: getattr(self, n)[keep] for n in names if getattr(self, n) is not None}
        return replace(self, **cut) if cut else self


@dataclass(frozen=True, eq=False)
class SelectCols(Step):
    """Keep some columns, after a step that needed all of them."""

    cols: Selector
    cuts_cols: ClassVar[bool] = True

    def __call__(self, block: Block) -> Block:
        return block[:, self.cols]

    def width(self, n_cols: int) -> int:
        return len(range(n_cols)[self.cols]) if isinstance(self.cols, slice) else len(self.cols)


@dataclass(frozen=True, eq=False)
class AsType(Step):
    """Cast the values."""

    dtype: str

    def __call__(self, block: Block) -> Block:
        return block.astype(np.dtype(self.dtype))


@dataclass(frozen=True, eq=False)
class NormalizeRows(Step):
    """Scale each row so that its total is ``target``; rows without counts stay as they are.

    The total is taken from the row itself (in float64), over the columns that ``exclude`` does
    not mark, so that the graph carries no number per row.
    """

    target: float
    exclude: NDArray[np.bool_] | None = None
    full_rows: ClassVar[bool] = True

    def __call__(self, block: Block) -> Block:
        return divide_rows(block, self.divisors(block))

    def divisors(self, block: Block) -> NDArray[np.floating[Any]]:
        """What each row is divided by, in the floating type of the result, shape (n_rows,).

        The total is rounded to that type, divided by the target, and values are divided by what
        comes out. Any other order of these steps changes the last bit of every fourth value, so
        that it would neither equal scanpy's nor tie with the same others.
        """
        from lazyomics.kernels.sums import row_totals

        totals = row_totals(block, exclude=self.exclude).astype(floating(block.dtype))
        divisors = totals / totals.dtype.type(self.target)
        return np.where(divisors == 0, divisors.dtype.type(1), divisors)


def floating(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Type of scaled values: as they are, float32 for integers."""
    return dtype if np.issubdtype(dtype, np.floating) else np.dtype(np.float32)


def divide_rows(block: Block, divisors: NDArray[np.floating[Any]]) -> Block:
    """Divide each row by its divisor, in the type of the divisors."""
    if isinstance(block, CSRBlock):
        from lazyomics.kernels.sums import divided

        return divided(block, divisors)
    return np.divide(block, divisors[:, None], dtype=divisors.dtype)


@dataclass(frozen=True, eq=False)
class ScaleRows(Step):
    """Multiply each row by its factor; integers become float32."""

    factors: NDArray[np.float64]
    ROW_FIELDS: ClassVar[tuple[str, ...]] = ("factors",)

    def __call__(self, block: Block) -> Block:
        """Scale the rows."""
        factors = self.factors.astype(floating(block.dtype))
        if not isinstance(block, CSRBlock):
            return np.multiply(block, factors[:, None], dtype=factors.dtype)
        each = np.repeat(factors, np.diff(block.indptr))
        return block.like(np.multiply(block.data, each, dtype=factors.dtype))


@dataclass(frozen=True, eq=False)
class Log1p(Step):
    """``log(1 + x)``, natural or to the given base; integers become float32."""

    base: float | None = None

    def __call__(self, block: Block) -> Block:
        if not np.issubdtype(block.dtype, np.floating):
            block = block.astype(np.float32)
        logged = np.log1p(block)
        if self.base is None:
            return logged
        # The quotient is taken in float64 and rounded once: what NumPy does for scanpy.
        data = logged.data if isinstance(logged, SparseBlock) else logged
        quotients = np.divide(data, np.log(self.base)).astype(logged.dtype)
        return logged.like(quotients) if isinstance(logged, SparseBlock) else quotients


@dataclass(frozen=True, eq=False)
class Sqrt(Step):
    """Square root, in the type that NumPy gives it, but at least float32."""

    def __call__(self, block: Block) -> Block:
        if np.issubdtype(block.dtype, np.floating):
            return np.sqrt(block)
        # NumPy's root of a uint8 is a float16, which neither scipy's matrices nor files take.
        root = np.sqrt(np.empty(0, block.dtype))
        return np.sqrt(block.astype(np.result_type(root, np.float32)))


@dataclass(frozen=True, eq=False)
class ScaleCols(Step):
    """``(x - center) / divisor``, clipped at ``max_value``; integers become float64.

    With a ``center`` every block becomes dense and is clipped at ``-max_value`` too; without one
    it keeps its zeros. Rows that ``rows`` does not mark stay as they are.
    """

    divisor: NDArray[np.float64]
    center: NDArray[np.float64] | None = None
    max_value: float | None = None
    rows: NDArray[np.bool_] | None = None
    ROW_FIELDS: ClassVar[tuple[str, ...]] = ("rows",)
    COL_FIELDS: ClassVar[tuple[str, ...]] = ("divisor", "center")

    def __call__(self, block: Block) -> Block:
        """Scale the columns."""
        dtype = block.dtype if np.issubdtype(block.dtype, np.floating) else np.dtype(np.float64)
        if self.center is None and isinstance(block, CSRBlock):
            return self._scale_sparse(block, dtype)
        dense = block.toarray() if isinstance(block, CSRBlock) else block
        out = np.empty(dense.shape, dtype=dtype)
        for start in range(0, len(dense), ROWS_AT_A_TIME):
            part = slice(start, start + ROWS_AT_A_TIME)
            out[part] = self._scale_dense(
                dense[part], None if self.rows is None else self.rows[part]
            )
        return out

    def _scale_sparse(self, block: CSRBlock, dtype: np.dtype[Any]) -> CSRBlock:
        data = np.divide(block.data, self.divisor.astype(dtype)[block.indices], dtype=dtype)
        if self.max_value is not None:
            data = np.minimum(data, dtype.type(self.max_value))
        if self.rows is not None:
            data = np.where(np.repeat(self.rows, np.diff(block.indptr)), data, block.data)
            data = data.astype(dtype, copy=False)
        return block.like(data)

    def _scale_dense(self, values: NDArray[Any], rows: NDArray[np.bool_] | None) -> NDArray[Any]:
        center = 0.0 if self.center is None else self.center
        scaled = (values - center) / self.divisor
        if self.max_value is not None:
            low = -np.inf if self.center is None else -self.max_value
            scaled = np.clip(scaled, low, self.max_value)
        return scaled if rows is None else np.where(rows[:, None], scaled, values)


@dataclass(frozen=True, eq=False)
class AsDense(Step):
    """Hold every value, zeros too."""

    def __call__(self, block: Block) -> Block:
        return block.toarray() if isinstance(block, CSRBlock) else block


@dataclass(frozen=True, eq=False)
class AsSparse(Step):
    """Hold the values of each row that are not zero."""

    def __call__(self, block: Block) -> Block:
        return block if isinstance(block, CSRBlock) else CSRBlock.from_scipy(sp.csr_matrix(block))


@dataclass(frozen=True, eq=False)
class NormalizeThenSelect(Step):
    """Scale each row by its total over all columns, and write out only some of these."""

    normalize: NormalizeRows
    cols: NDArray[np.int64]
    full_rows: ClassVar[bool] = True

    def __call__(self, block: Block) -> Block:
        """Normalise and select."""
        divisors = self.normalize.divisors(block)
        if isinstance(block, CSRBlock):
            return divided_columns(block, divisors, self.cols)
        return divide_rows(block[:, self.cols], divisors)


def fused(steps: Iterable[Step]) -> list[Step]:
    """Replace what can be done in one sweep; the result is the same, bit for bit."""
    made: list[Step] = []
    for step in steps:
        last = made[-1] if made else None
        if isinstance(last, NormalizeRows) and isinstance(step, SelectCols):
            columns = _ascending(step.cols)
            if columns is not None:
                made[-1] = NormalizeThenSelect(last, columns)
                continue
        made.append(step)
    return made


def _ascending(cols: Selector) -> Any:
    """Positions in ascending order without duplicates; None for others."""
    columns = np.arange(cols.start, cols.stop, cols.step) if isinstance(cols, slice) else cols
    return columns if bool((np.diff(columns) > 0).all()) else None


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
