"""Rows that a pass keeps in memory because they fit, so that the file need not be read again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.kernels.block import CSRBlock

__all__ = ["CompactRows", "KeptRows", "kept_rows"]


@dataclass(frozen=True, eq=False)
class CompactRows:
    """Arrays of a CSR matrix whose column numbers take as few bytes as they can."""

    data: NDArray[Any]
    indices: NDArray[Any]
    indptr: NDArray[Any]
    shape: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return int(self.data.nbytes + self.indices.nbytes + self.indptr.nbytes)


@dataclass(frozen=True, eq=False)
class KeptRows:
    """Blocks of consecutive rows in order: CompactRows, or ndarray where the data is dense.

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.kernels.kept_rows import kept_rows
    >>> both = kept_rows(np.eye(2), 100) + kept_rows(np.ones((1, 2)), 100)
    >>> [block.shape for block in both]
    [(2, 2), (1, 2)]
    """

    blocks: tuple[Any, ...]

    def __add__(self, other: KeptRows) -> KeptRows:
        return KeptRows(self.blocks + other.blocks)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.blocks)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(int(block.nbytes) for block in self.blocks)


def kept_rows(block: Any, budget: float) -> KeptRows | None:
    """Keep the rows of a block, or None if they take more than ``budget`` bytes."""
    if isinstance(block, CSRBlock):
        small = np.dtype(np.uint16 if block.shape[1] <= 1 << 16 else np.int32)
        needed = block.data.nbytes + len(block.data) * small.itemsize + block.indptr.nbytes
        if needed > budget:
            return None
        # own arrays: a view would keep the whole block that it was cut from alive
        indices = block.indices.astype(small)
        return KeptRows((CompactRows(_owned(block.data), indices, block.indptr, block.shape),))
    return KeptRows((block,)) if block.nbytes <= budget else None


def _owned(values: NDArray[Any]) -> NDArray[Any]:
    return values if values.base is None else values.copy()
