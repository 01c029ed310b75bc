"""Recipe of a lazy matrix: source, selection, steps, and the plan of its blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lazyomics import config
from lazyomics.blocks.canonical import index_dtype
from lazyomics.lazy.indexer import Selector, compose, is_whole, length
from lazyomics.progress import note_read

if TYPE_CHECKING:
    from lazyomics.kernels.steps import Step

__all__ = [
    "BLOCKS_AT_LEAST",
    "RUNS_AT_LEAST",
    "SMALLEST_BLOCK",
    "Recipe",
    "Source",
    "StorageFormat",
    "bounds_by_bytes",
    "holds_values",
    "is_scanned_for_rows",
    "plain_source",
    "recipe_of",
    "run_bounds",
    "uniform_bounds",
]


StorageFormat = Literal["csr", "csc", "dense"]


@runtime_checkable
class Source(Protocol):
    """A matrix that can be read in parts. Small, immutable and picklable."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""

    @property
    def format(self) -> StorageFormat:
        """How the values are stored."""

    def stored_per_line(self) -> NDArray[np.int64] | None:
        """Stored values of each row (csr) or column (csc); None when dense."""

    def read(self, rows: Selector, cols: Selector) -> Any:
        """Return the rows and columns as a CSRBlock or ndarray."""

    def read_columns(self, rows: Selector, cols: Selector) -> Any:
        """Return them as a CSCBlock; only for csc."""


def holds_values(source: Any) -> bool:
    """Whether a source, or one of those that it joins, is a matrix in memory."""
    if getattr(source, "in_memory", False):
        return True
    return any(holds_values(recipe.source) for recipe in getattr(source, "recipes", ()))


def is_scanned_for_rows(source: Any) -> bool:
    """Whether reading some rows costs a scan of all columns: so it is of column-major matrices."""
    if source.format == "csc":
        return True
    return any(is_scanned_for_rows(recipe.source) for recipe in getattr(source, "recipes", ()))


BLOCKS_AT_LEAST = 16  # so that a matrix of a few blocks still keeps several workers busy
SMALLEST_BLOCK = 1 << 20  # below it a task costs more than its work
RUNS_AT_LEAST = 64  # so that the last of them to end keeps few workers waiting
RUNS_FOR_EACH = 4  # worker of a large cluster
LONGEST_RUN = 32  # blocks that are lost with a worker


def bounds_by_bytes(line_bytes: NDArray[np.int64], target: int) -> tuple[int, ...]:
    """Boundaries of blocks of about ``target`` bytes.

    Parameters
    ----------
    line_bytes
        Decoded bytes of each row (or column), shape (n,).
    target
        Bytes a block may hold; a single line that is larger gets a block of its own.

    Returns
    -------
    Ascending boundaries from 0 to n, at least ``(0, n)``.
    """
    n = len(line_bytes)
    if n == 0:
        return (0, 0)
    ends = np.cumsum(line_bytes, dtype=np.int64)
    target = effective_target(int(ends[-1]), target)
    bounds = [0]
    while bounds[-1] < n:
        start = bounds[-1]
        used = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, used + target, side="right"))
        bounds.append(min(max(stop, start + 1), n))
    return tuple(bounds)


def effective_target(total: int, target: int) -> int:
    """Smaller blocks for matrices that would otherwise be too few for several workers."""
    return max(1, min(target, max(SMALLEST_BLOCK, -(-total // BLOCKS_AT_LEAST))))


def uniform_bounds(n: int, step: int) -> tuple[int, ...]:
    """Boundaries every ``step`` lines."""
    if n == 0:
        return (0, 0)
    return (*range(0, n, max(1, step)), n)


def run_bounds(n_blocks: int, workers: int = 1, runs: int = RUNS_AT_LEAST) -> tuple[int, ...]:
    """Boundaries of runs of blocks that one task works off: as long as workers stay busy."""
    length = min(LONGEST_RUN, -(-n_blocks // max(runs, RUNS_FOR_EACH * workers)))
    return uniform_bounds(n_blocks, length)


# A row window of a column-major matrix costs a scan of all its columns: few, large windows.
SHARE_OF_MEMORY_PER_CSC_WINDOW = 8


@dataclass(frozen=True, eq=False)
class Recipe:
    """Read ``rows`` and ``cols`` of ``source``, then apply ``steps`` in their order.

    ``by_columns`` cuts a column-major source into blocks of columns, as it is stored; it has no
    steps. Everything else is cut into blocks of rows.
    """

    source: Source
    rows: Selector
    cols: Selector
    steps: tuple[Step, ...] = ()
    by_columns: bool = False
    target_bytes: int | None = None
    lines_per_block: int | None = None

    @classmethod
    def of(
        cls,
        source: Source,
        *,
        target_bytes: int | None = None,
        lines_per_block: int | None = None,
    ) -> Recipe:
        """Everything in the source."""
        n_rows, n_cols = source.shape
        whole = slice(0, n_rows, 1), slice(0, n_cols, 1)
        by_columns = source.format == "csc"
        return cls(source, *whole, (), by_columns, target_bytes, lines_per_block)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the result."""
        n_cols = length(self.cols)
        for step in self.steps:
            n_cols = step.width(n_cols)
        return length(self.rows), n_cols

    @property
    def is_plain(self) -> bool:
        """Whether this is the source itself, neither selected nor changed."""
        n_rows, n_cols = self.source.shape
        whole = is_whole(self.rows, n_rows) and is_whole(self.cols, n_cols)
        return whole and not self.steps

    @property
    def keeps_lines(self) -> bool:
        """Whether blocks hold all that is stored in their lines, unless a step drops some."""
        source = self.source
        if self.by_columns:
            return is_whole(self.rows, source.shape[0])
        whole = is_whole(self.cols, source.shape[1]) and source.format == "csr"
        whole = whole and getattr(source, "counts_are_exact", True)  # joined ones may be bounds
        return whole and not any(step.cuts_cols for step in self.steps)

    @property
    def reads_values_alone(self) -> bool:
        """Whether totals of the rows are read from the stored values, without their positions."""
        whole = is_whole(self.cols, self.source.shape[1])
        by_rows = self.source.format == "csr" and hasattr(self.source, "read_values")
        return by_rows and whole and not self.steps

    @property
    def adds_values(self) -> bool:
        """Whether blocks may hold more than is stored in their lines."""
        return any(step.adds_values for step in self.steps)

    def select(self, rows: Selector, cols: Selector) -> Recipe:
        """Keep some rows and columns, each on its own."""
        n_rows, n_cols = self.shape
        chosen = self if is_whole(rows, n_rows) else self.take_rows(rows)
        return chosen if is_whole(cols, n_cols) else chosen.take_cols(cols)

    def take_rows(self, rows: Selector) -> Recipe:
        """Keep some rows: always reaches the source."""
        steps = tuple(step.take_rows(rows) for step in self.steps)
        return replace(self, rows=compose(self.rows, rows), steps=steps)

    def take_cols(self, cols: Selector) -> Recipe:
        """Keep some columns: reaches the source unless a step below needs full rows."""
        steps = list(self.steps)
        above: list[Step] = []
        while steps and not steps[-1].full_rows and not steps[-1].cuts_cols:
            above.insert(0, steps.pop().take_cols(cols))
        if not steps:
            chosen = replace(self, cols=compose(self.cols, cols), steps=tuple(above))
            return chosen._from_columns()
        from lazyomics.kernels.steps import SelectCols

        below = steps[-1]
        if isinstance(below, SelectCols):
            steps[-1] = SelectCols(compose(below.cols, cols))
        else:
            steps.append(SelectCols(cols))
        return replace(self, steps=(*steps, *above))

    def _from_columns(self) -> Recipe:
        """Read from a copy that is stored by columns, where the source has one that is cheaper."""
        choose = getattr(self.source, "for_columns", None)
        copy = None if choose is None else choose(self.rows, self.cols)
        if copy is None:
            return self
        return replace(self, source=copy, target_bytes=None, lines_per_block=None)

    def with_step(self, step: Step) -> Recipe:
        """Apply one more step, on blocks of rows."""
        return replace(self, steps=(*self.steps, step), by_columns=False)

    def in_rows(self) -> Recipe:
        """The same matrix cut into blocks of rows."""
        return replace(self, by_columns=False)

    def bounds(self) -> tuple[int, ...]:
        """Boundaries of the blocks, along rows or (``by_columns``) columns."""
        if self.lines_per_block is not None:
            lines = length(self.cols if self.by_columns else self.rows)
            return uniform_bounds(lines, self.lines_per_block)
        target = self.target_bytes or config.chunk_bytes()
        stored = self.source.stored_per_line()
        itemsize = self.source.dtype.itemsize
        n_rows, n_cols = length(self.rows), length(self.cols)
        if stored is None:
            return self._dense_bounds(n_rows, max(1, n_cols * itemsize), target)
        if self.source.format == "csc" and not self.by_columns:
            target = max(target, config.memory() // SHARE_OF_MEMORY_PER_CSC_WINDOW)
            chosen_values = int(stored[self.cols].sum())
            per_row = chosen_values // max(1, self.source.shape[0]) * (itemsize + 4) + 8
            return uniform_bounds(n_rows, target // per_row)
        if is_scanned_for_rows(self.source):  # of joined matrices, some are column-major
            target = max(target, config.memory() // SHARE_OF_MEMORY_PER_CSC_WINDOW)
        chosen = stored[self.cols if self.by_columns else self.rows]
        return bounds_by_bytes(chosen * (itemsize + 4) + 8, target)

    def _dense_bounds(self, n_rows: int, row_bytes: int, target: int) -> tuple[int, ...]:
        target = effective_target(n_rows * row_bytes, target)
        return uniform_bounds(n_rows, target // row_bytes)

    def load(self, lines: Selector, steps: tuple[Step, ...]) -> Any:
        """Read one block: ``lines`` are positions in the source, ``steps`` cut to them."""
        if self.by_columns:
            return note_read(self.source.read_columns(self.rows, lines))
        block = note_read(self.source.read(lines, self.cols))
        if not steps:
            return block
        from lazyomics.kernels.steps import fused

        for step in fused(steps):
            block = step(block)
        return block

    def bytes_in_memory(self) -> int:
        """Bytes of the matrix in memory: of sparse ones by the share of columns, about."""
        n_rows, n_cols = self.shape
        meta = self.meta()
        stored = None if isinstance(meta, np.ndarray) else self.source.stored_per_line()
        if stored is None:
            return int(n_rows * n_cols * meta.dtype.itemsize)
        lines, others = self.rows, n_cols / max(1, self.source.shape[1])
        if self.source.format == "csc":
            lines, others = self.cols, n_rows / max(1, self.source.shape[0])
        return int(stored[lines].sum() * others * (meta.dtype.itemsize + 4) + 4 * n_rows)

    def meta(self) -> Any:
        """An empty block of the type and dtype that every block has."""
        from lazyomics.blocks.block import CSCBlock, CSRBlock

        empty = np.empty(0, dtype=self.source.dtype)
        widest = max(self.source.shape[1], length(self.cols))
        none: NDArray[Any] = np.empty(0, dtype=index_dtype(widest))
        if self.by_columns:
            return CSCBlock.from_arrays(empty, none, np.zeros(1, np.int32), (0, 0))
        n_cols = length(self.cols)
        block: Any = np.empty((0, n_cols), dtype=self.source.dtype)
        if self.source.format != "dense":
            block = CSRBlock.from_arrays(empty, none, np.zeros(1, none.dtype), (0, n_cols))
        for step in self.steps:
            block = step.take_rows(slice(0, 0, 1))(block)
        return block[:, :0]


def recipe_of(x: Any) -> Recipe | None:
    """Return the recipe of a lazy matrix; None for other arrays and for changed ones."""
    found = getattr(x, "__dict__", {}).get("recipe")
    return found if isinstance(found, Recipe) else None


def plain_source(x: Any) -> Source | None:
    """Return what a lazy matrix is all of, if nothing was selected from it or done to it."""
    recipe = recipe_of(x)
    return recipe.source if recipe is not None and recipe.is_plain else None
