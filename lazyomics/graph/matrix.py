"""The lazy matrix: a dask array that remembers its recipe, so that selections reach the reader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any
from uuid import uuid4

import dask.array as da
import numpy as np
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from lazyomics.graph.recipe import Recipe
from lazyomics.graph.selection import Selector, compose, is_whole, positions
from lazyomics.graph.source import Source, holds_values
from lazyomics.kernels.steps import Step

__all__ = ["LazyMatrix", "from_source", "recipe_of"]


class LazyMatrix(da.Array):
    """A two-dimensional ``dask.array.Array`` made of blocks read from a file (or from memory).

    Everything a dask array can do works. In addition, selecting rows or columns with slices,
    masks or positions changes what is read instead of what is kept, also through the row-wise
    operations recorded on it.
    """

    recipe: Recipe | None

    @classmethod
    def cook(cls, recipe: Recipe) -> LazyMatrix:
        """Build the array of a recipe. Reads nothing but row pointers."""
        bounds = recipe.bounds()
        name = f"matrix-{_token(recipe, bounds)}"
        graph = HighLevelGraph({name: _layer(name, recipe, bounds)}, {name: set()})
        sizes = tuple(b - a for a, b in pairwise(bounds))
        n_rows, n_cols = recipe.shape
        chunks = ((n_rows,), sizes) if recipe.by_columns else (sizes, (n_cols,))
        self: LazyMatrix = cls(graph, name, chunks, meta=recipe.meta())
        self.recipe = recipe
        return self

    def __getitem__(self, index: Any) -> Any:
        recipe = recipe_of(self)
        keys = index if isinstance(index, tuple) else (index,)
        if recipe is None or not _is_outer(keys):
            return super().__getitem__(index)
        n_rows, n_cols = recipe.shape
        whole: Any = slice(None)
        rows = positions(_plain(keys[0]), n_rows, "rows")
        cols = positions(_plain(keys[1]) if len(keys) == 2 else whole, n_cols, "columns")
        return select(recipe, rows, cols)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        self.recipe = None

    def __reduce__(self) -> Any:
        recipe = recipe_of(self)
        return super().__reduce__() if recipe is None else (LazyMatrix.cook, (recipe,))

    def __dask_tokenize__(self) -> Any:
        return self.name


def recipe_of(x: Any) -> Recipe | None:
    """Return the recipe of a lazy matrix; None for other arrays and for changed ones."""
    return x.__dict__.get("recipe") if isinstance(x, LazyMatrix) else None


def from_source(
    source: Source, *, target_bytes: int | None = None, lines_per_block: int | None = None
) -> LazyMatrix:
    """Return a lazy matrix of everything in a source.

    Parameters
    ----------
    source
        What to read.
    target_bytes
        Decoded bytes of a block; by default ``lazyomics.chunk-bytes``.
    lines_per_block
        Fixed number of rows (columns of a column-major source) instead.
    """
    made = Recipe.of(source, target_bytes=target_bytes, lines_per_block=lines_per_block)
    return LazyMatrix.cook(made)


def select(recipe: Recipe, rows: Selector, cols: Selector) -> LazyMatrix:
    """Return the lazy matrix of a selection of a recipe."""
    n_rows, n_cols = recipe.shape
    if not is_whole(rows, n_rows):
        recipe = recipe.take_rows(rows)
    if not is_whole(cols, n_cols):
        recipe = recipe.take_cols(cols)
    return LazyMatrix.cook(recipe)


@dataclass(frozen=True, eq=False)
class _Steps:
    """Steps as one graph value: dask would run a tuple that starts with a callable."""

    steps: tuple[Step, ...]


def _layer(name: str, recipe: Recipe, bounds: tuple[int, ...]) -> dict[Any, Any]:
    """One task a block; what all blocks share is in the graph once."""
    per_row = any(step.ROW_FIELDS for step in recipe.steps)
    shared = replace(recipe, rows=slice(0, 0, 1), steps=()) if not recipe.by_columns else recipe
    shared_key = f"recipe-{name}"
    layer: dict[Any, Any] = {shared_key: shared}
    common = _Steps(recipe.steps)
    if not per_row:
        layer[f"steps-{name}"] = common
    for k, (low, high) in enumerate(pairwise(bounds)):
        cut = slice(low, high, 1)
        lines = compose(recipe.cols if recipe.by_columns else recipe.rows, cut)
        steps: Any = f"steps-{name}"
        if per_row:
            steps = _Steps(tuple(step.take_rows(cut) for step in recipe.steps))
        key = (name, 0, k) if recipe.by_columns else (name, k, 0)
        layer[key] = (_load, shared_key, lines, steps)
    return layer


def _load(recipe: Recipe, lines: Selector, steps: _Steps) -> Any:
    return recipe.load(lines, steps.steps)


def _token(recipe: Recipe, bounds: tuple[int, ...]) -> str:
    if holds_values(recipe.source):
        return uuid4().hex  # hashing the values would cost as much as using them
    return str(tokenize(recipe, bounds))


def _is_outer(keys: tuple[Any, ...]) -> bool:
    """Whether a key selects each axis on its own (and at most one of them by a list)."""
    if not 1 <= len(keys) <= 2 or not all(_is_selector(k) for k in keys):
        return False
    return sum(not isinstance(k, slice) for k in keys) <= 1


def _is_selector(key: Any) -> bool:
    if isinstance(key, slice):
        return all(v is None or isinstance(v, int | np.integer) for v in _parts(key))
    if isinstance(key, da.Array) or np.isscalar(key) or key is None or key is Ellipsis:
        return False
    array = np.asarray(key)
    if array.ndim != 1:
        return False
    return array.size == 0 or array.dtype == bool or np.issubdtype(array.dtype, np.integer)


def _parts(key: slice) -> Iterator[Any]:
    yield from (key.start, key.stop, key.step)


def _plain(key: Any) -> Any:
    return key if isinstance(key, slice) else np.asarray(key)
