"""Transpose a lazy matrix: where its source can, what is read changes instead of what was read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import dask.array as da
import numpy as np

from lazyomics.graph.matrix import LazyMatrix, recipe_of
from lazyomics.graph.recipe import Recipe
from lazyomics.graph.selection import Selector
from lazyomics.graph.source import Source

__all__ = ["TransposedDense", "transpose"]


def transpose(x: da.Array) -> da.Array:
    """Return a lazy matrix with rows and columns interchanged. Reads nothing.

    Parameters
    ----------
    x
        Dask matrix. One without recorded steps, whose source has ``transposed()``, becomes a lazy
        matrix of that; any other one a plain dask array of transposed blocks.
    """
    recipe = recipe_of(x)
    turn = None if recipe is None or recipe.steps else getattr(recipe.source, "transposed", None)
    if recipe is None or turn is None:
        return x.T
    source = turn()
    return LazyMatrix.cook(
        Recipe(
            source,
            rows=recipe.cols,
            cols=recipe.rows,
            by_columns=source.format == "csc",
            target_bytes=recipe.target_bytes,
            lines_per_block=recipe.lines_per_block,
        )
    )


@dataclass(frozen=True, eq=False)
class TransposedDense:
    """A dense source of which the rows are read as columns."""

    base: Source

    format: Literal["dense"] = "dense"

    @property
    def shape(self) -> tuple[int, int]:
        return self.base.shape[1], self.base.shape[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.base.dtype

    def stored_per_line(self) -> None:
        return None

    def read(self, rows: Selector, cols: Selector) -> Any:
        return np.ascontiguousarray(self.base.read(cols, rows).T)

    def read_columns(self, rows: Selector, cols: Selector) -> Any:
        raise TypeError("a dense matrix has no compressed columns")

    def transposed(self) -> Source:
        """The source as it is stored."""
        return self.base
