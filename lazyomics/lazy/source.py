"""The protocol of sources: whatever gives rows of a matrix as blocks."""

from __future__ import annotations

from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lazyomics.lazy.indexer import Selector

__all__ = [
    "Source",
    "StorageFormat",
    "holds_values",
    "is_scanned_for_rows",
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
