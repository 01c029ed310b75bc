"""The reader of a matrix that is stored dense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lazyomics.graph.selection import Selector, is_whole
from lazyomics.graph.source import Source
from lazyomics.importing import import_whole
from lazyomics.io.chunks import StoredArray
from lazyomics.io.chunks.costs import cost_of_box

__all__ = ["DenseReader"]


@dataclass(frozen=True)
class DenseReader:
    """A two-dimensional dataset."""

    values: StoredArray

    format: Literal["dense"] = "dense"

    @property
    def element(self) -> tuple[str, str]:
        """File and name of the stored matrix."""
        return self.values.path, self.values.name.strip("/")

    @property
    def shape(self) -> tuple[int, int]:
        return (int(self.values.shape[0]), int(self.values.shape[1]))

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.values.dtype)

    def stored_per_line(self) -> None:
        return None

    @property
    def grain_bytes(self) -> int:
        """Decoded bytes of what is decoded at least: the chunks that hold one row."""
        return self.values.grain_bytes

    def read(self, rows: Selector, cols: Selector) -> Any:
        whole = is_whole(cols, self.shape[1])
        return self.values.read_2d(rows, None if whole else cols)

    def read_columns(self, rows: Selector, cols: Selector) -> Any:
        raise TypeError("a dense matrix has no compressed columns")

    def transposed(self) -> Source:
        """The same values with rows and columns interchanged."""
        return import_whole("lazyomics.graph.transposing").TransposedDense(self)

    def cost(self, lines: Selector, cols: Selector) -> tuple[int, int]:
        """Chunks and stored bytes that reading these rows and columns touches."""
        return cost_of_box(self.values, lines, None if is_whole(cols, self.shape[1]) else cols)
