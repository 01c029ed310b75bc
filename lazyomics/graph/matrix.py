"""The lazy matrix: a dask array that remembers its recipe, so that selections reach the reader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any, TypeVar
from uuid import uuid4

import dask.array as da
import numpy as np
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from lazyomics.graph.block_array import BlockArray
from lazyomics.graph.compact import CompactArray
from lazyomics.graph.recipe import Recipe
from lazyomics.graph.selection import Selector, compose, positions
from lazyomics.graph.source import Source, holds_values
from lazyomics.kernels.steps import Step

__all__ = [
    "LazyMatrix",
    "Piece",
    "Shared",
    "before_last_step",
    "from_source",
    "pieces",
    "recipe_of",
]

AnyStep = TypeVar("AnyStep", bound=Step)


class LazyMatrix(BlockArray):
    """A two-dimensional ``dask.array.Array`` made of blocks read from a file (or from memory).

    Everything a dask array can do works. In addition, selecting rows or columns with slices,
    masks or positions changes what is read instead of what is kept, also through the row-wise
    operations recorded on it.
    """

    recipe: Recipe | None

    @classmethod
    def cook(cls, recipe: Recipe, bounds: tuple[int, ...] | None = None) -> LazyMatrix:
        """Build the array of a recipe. Reads nothing but row pointers, to plan its blocks.

        Blocks that were planned before are given by their ``bounds``: another process may have
        other settings, and no file.
        """
        bounds = recipe.bounds() if bounds is None else bounds
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
        return LazyMatrix.cook(recipe.select(rows, cols))

    def copy(self) -> Any:
        """Return a matrix that does not change if values are assigned to this one."""
        recipe = recipe_of(self)
        if recipe is None:
            return super().copy()
        made = LazyMatrix(self.dask, self.name, self.chunks, meta=self._meta)
        made.recipe = recipe
        return made

    def _turn_into(self, other: da.Array) -> None:
        super()._turn_into(other)
        self.recipe = recipe_of(other)

    def __reduce__(self) -> Any:
        recipe = recipe_of(self)
        if recipe is None:
            return super().__reduce__()
        sizes = self.chunks[1 if recipe.by_columns else 0]
        return LazyMatrix.cook, (recipe, tuple(accumulate(sizes, initial=0)))

    def __dask_tokenize__(self) -> Any:
        return self.name


def recipe_of(x: Any) -> Recipe | None:
    """Return the recipe of a lazy matrix; None for other arrays and for changed ones."""
    return x.__dict__.get("recipe") if isinstance(x, LazyMatrix) else None


def before_last_step(x: Any, kind: type[AnyStep]) -> tuple[LazyMatrix, AnyStep] | None:
    """Return what a step of this kind was recorded on, and the step; None if it is not the last."""
    recipe = recipe_of(x)
    last = recipe.steps[-1] if recipe is not None and recipe.steps else None
    if recipe is None or not isinstance(last, kind):
        return None
    return LazyMatrix.cook(replace(recipe, steps=recipe.steps[:-1])), last


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


@dataclass(frozen=True, eq=False)
class Shared:
    """What the blocks of a recipe have in common, as one graph value."""

    recipe: Recipe
    steps: tuple[Step, ...]

    @property
    def source(self) -> Source:
        """What the blocks are read from."""
        return self.recipe.source


@dataclass(frozen=True, eq=False)
class Piece:
    """What one block has of its own: its lines, and what the steps hold for each of its rows.

    ``row_values`` go by the place of the step and the name of the field.
    """

    lines: slice | CompactArray
    row_values: dict[tuple[int, str], CompactArray]

    def load(self, shared: Shared) -> Any:
        """Read the block."""
        steps = list(shared.steps)
        for (k, name), vector in self.row_values.items():
            changed: dict[str, Any] = {name: vector.values}
            steps[k] = replace(steps[k], **changed)
        return shared.recipe.load(self.selector, tuple(steps))

    @property
    def selector(self) -> Selector:
        """The lines, as positions in the source."""
        return self.lines if isinstance(self.lines, slice) else self.lines.values


def pieces(recipe: Recipe, bounds: tuple[int, ...]) -> tuple[Shared, list[Piece]]:
    """Cut a recipe into blocks: what they share, and what each has of its own.

    A cluster sends each task by itself: what is in a task is sent as often as there are blocks.
    """
    rest = recipe if recipe.by_columns else replace(recipe, rows=slice(0, 0, 1), steps=())
    per_row = _row_fields(recipe.steps)
    steps = recipe.steps
    if per_row:
        steps = tuple(step.take_rows(slice(0, 0, 1)) for step in recipe.steps)
    made = []
    for low, high in pairwise(bounds):
        cut = slice(low, high, 1)
        lines = compose(recipe.cols if recipe.by_columns else recipe.rows, cut)
        mine = {place: CompactArray(v[cut]) for place, v in per_row.items()}
        made.append(Piece(lines if isinstance(lines, slice) else CompactArray(lines), mine))
    return Shared(rest, steps), made


def _layer(name: str, recipe: Recipe, bounds: tuple[int, ...]) -> dict[Any, Any]:
    """One task a block; what all blocks share is in the graph once, under a key of its own."""
    shared, cut = pieces(recipe, bounds)
    layer: dict[Any, Any] = {f"recipe-{name}": shared}
    for k, piece in enumerate(cut):
        key = (name, 0, k) if recipe.by_columns else (name, k, 0)
        layer[key] = (_load, f"recipe-{name}", piece)
    return layer


def _load(shared: Shared, piece: Piece) -> Any:
    return piece.load(shared)


def _row_fields(steps: tuple[Step, ...]) -> dict[tuple[int, str], Any]:
    """Vectors of one value for each row, by place of the step and name of the field."""
    fields = {(k, name): getattr(s, name) for k, s in enumerate(steps) for name in s.ROW_FIELDS}
    return {place: values for place, values in fields.items() if values is not None}


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
