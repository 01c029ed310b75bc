"""A matrix in memory as what a lazy matrix reads from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lazyomics.graph.selection import Selector, is_whole
from lazyomics.graph.source import StorageFormat
from lazyomics.kernels.block import CSCBlock, CSRBlock, SparseBlock, as_block

__all__ = ["MemorySource"]


@dataclass(frozen=True, eq=False)
class MemorySource:
    """A scipy matrix, block or ndarray that is in memory; row slices of CSR are views."""

    array: Any

    in_memory: ClassVar[bool] = True

    @classmethod
    def of(cls, matrix: Any) -> MemorySource:
        """Wrap a matrix without copying it, unless it stores values twice: these are added up."""
        if isinstance(matrix, np.matrix):
            matrix = np.asarray(matrix)
        held = matrix if isinstance(matrix, np.ndarray) else as_block(matrix)
        return cls(held.distinct() if isinstance(held, SparseBlock) else held)

    @property
    def shape(self) -> tuple[int, int]:
        return (int(self.array.shape[0]), int(self.array.shape[1]))

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.array.dtype)

    @property
    def format(self) -> StorageFormat:
        if isinstance(self.array, SparseBlock):
            return "csc" if isinstance(self.array, CSCBlock) else "csr"
        return "dense"

    def stored_per_line(self) -> NDArray[np.int64] | None:
        if self.format == "dense":
            return None
        return np.diff(self.array.indptr).astype(np.int64, copy=False)

    def read(self, rows: Selector, cols: Selector) -> Any:
        if isinstance(self.array, CSCBlock):
            return self.read_columns(rows, cols).tocsr()
        if isinstance(self.array, CSRBlock) and isinstance(rows, slice):
            block: Any = _row_view(self.array, rows)
            return block if is_whole(cols, self.shape[1]) else block[:, cols]
        return _cut(self.array, rows, cols)

    def read_columns(self, rows: Selector, cols: Selector) -> Any:
        return _cut(self.array, rows, cols)

    def transposed(self) -> MemorySource:
        """The same values with rows and columns interchanged; nothing is copied."""
        return MemorySource(self.array.T)


def _row_view(block: CSRBlock, rows: slice) -> CSRBlock:
    low, high = block.indptr[rows.start], block.indptr[rows.stop]
    return CSRBlock.from_arrays(
        block.data[low:high],
        block.indices[low:high],
        block.indptr[rows.start : rows.stop + 1] - low,
        (rows.stop - rows.start, block.shape[1]),
        block._order,
    )


def _cut(array: Any, rows: Selector, cols: Selector) -> Any:
    if not is_whole(rows, array.shape[0]):
        array = array[rows, :]
    return array if is_whole(cols, array.shape[1]) else array[:, cols]
