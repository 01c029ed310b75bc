"""Stored matrices into memory, as they are stored: blocks are read into place, without dask.array.

dask's scheduler runs the tasks, as it does for lazy matrices, with the same threads, settings and
callbacks. What is left out are arrays and blocks, which take longer to import than many a read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, cast
from uuid import uuid4

import scipy.sparse as sp

from lazyomics import config
from lazyomics.graph.filling import Lines, Target, joined_lines
from lazyomics.graph.growing import GrowingLines
from lazyomics.graph.recipe import Recipe
from lazyomics.graph.scheduler import runs_in_process, scheduler
from lazyomics.graph.selection import Selector, compose
from lazyomics.graph.source import Source

__all__ = ["load_stored", "loads_stored"]

# dask runs tasks of equal standing from the last of their keys, sorted as text, to the first.
_FIRST = ("load-what-is-beside", "")


class StoredSource(Source, Protocol):
    """A source that tells apart what it reads and what that is wrapped into."""

    def read_rows(self, rows: Selector, cols: Selector) -> tuple[Any, Any, Any]:
        """Return the rows and columns as data, indices and indptr of compressed rows."""

    def read_lines(self, lines: Selector, inside: Selector) -> tuple[Any, Any, Any]:
        """Return some lines, and positions inside them, as they are stored."""


def loads_stored(recipes: Sequence[Recipe]) -> bool:
    """Whether matrices can be loaded this way: nothing was recorded on them, threads will do it."""
    plain = all(not r.steps and _is_stored(r.source) for r in recipes)
    return plain and runs_in_process() and not config.progress()


def _is_stored(source: Source) -> bool:
    return source.format == "dense" or hasattr(source, "read_lines")


def load_stored(recipes: Sequence[Recipe], *, beside: Callable[[], None]) -> list[Any]:
    """Read matrices in one run, as scipy's CSR (CSC) matrices or arrays.

    Parameters
    ----------
    recipes
        What `loads_stored` says can be.
    beside
        What else is to be read: one thread begins with it while others read blocks.

    Notes
    -----
    Peak memory: the results and the blocks in flight.
    """
    loads = [_Load.of(recipe) for recipe in recipes]
    graph: dict[Any, Any] = {_FIRST: (beside,)}
    keys: list[Any] = [[_FIRST]]
    for load in loads:
        tasks = load.tasks()
        graph.update(tasks)
        keys.append(list(tasks))
    _, *results = scheduler()(graph, keys)
    return [load.finish(list(mine)) for load, mine in zip(loads, results, strict=True)]


@dataclass(frozen=True, eq=False)
class _Load:
    """One matrix on its way into memory."""

    recipe: Recipe
    bounds: tuple[int, ...]
    target: Target | GrowingLines

    @classmethod
    def of(cls, recipe: Recipe) -> _Load:
        """Plan blocks, and make room for what they hold."""
        bounds = recipe.bounds()
        dtype = recipe.source.dtype
        if recipe.source.format == "dense":
            return cls(recipe, bounds, Target.dense(recipe.shape, dtype, bounds))
        target = Target.of_lines(recipe, dtype, bounds)
        return cls(recipe, bounds, target or GrowingLines(len(bounds) - 1))

    def tasks(self) -> dict[Any, Any]:
        """A task for each block, which stores it where it belongs."""
        name = f"load-{uuid4().hex}"
        # In reverse order of their keys, blocks come in their order, and are read in the file's.
        last = len(self.bounds) - 2
        cuts = enumerate(pairwise(self.bounds))
        return {(name, f"{last - k:012d}"): (self._read, slice(a, b, 1), k) for k, (a, b) in cuts}

    def _read(self, cut: slice, k: int) -> Any:
        recipe = self.recipe
        lines = compose(recipe.cols if recipe.by_columns else recipe.rows, cut)
        return self.target.fill(self._block(lines), k)

    def _block(self, lines: Selector) -> Any:
        recipe, source = self.recipe, cast("StoredSource", self.recipe.source)
        if source.format == "dense":
            return source.read(lines, recipe.cols)
        if recipe.by_columns:
            return Lines(*source.read_lines(lines, recipe.rows))
        return Lines(*source.read_rows(lines, recipe.cols))

    def finish(self, results: list[Any]) -> Any:
        """The matrix, when all blocks are stored."""
        target = self.target
        if isinstance(target, GrowingLines):
            return self._matrix(Lines(*target.arrays()))
        if any(isinstance(r, Lines) for r in results):  # what was stored twice was added up
            for k, result in enumerate(results):
                results[k] = result if isinstance(result, Lines) else target.part(k, result)
            return self._matrix(joined_lines(results, self.recipe.shape))
        return self._matrix(target.finish(results))

    def _matrix(self, arrays: Any) -> Any:
        if not isinstance(arrays, Lines):
            return arrays
        kind = sp.csc_matrix if self.recipe.by_columns else sp.csr_matrix
        return kind(tuple(arrays), shape=self.recipe.shape)
