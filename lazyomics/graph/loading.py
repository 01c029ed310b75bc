"""Stored matrices into memory, as they are stored: blocks are read into place, without dask.array.

dask's scheduler runs the tasks, as it does for lazy matrices, with the same threads, settings and
callbacks. What is left out are arrays and blocks, which take longer to import than many a read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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

__all__ = ["StoredBlocks", "load_stored", "loads_stored"]

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
class StoredBlocks:
    """A stored matrix in blocks, each an ndarray or `Lines`."""

    recipe: Recipe
    bounds: tuple[int, ...]

    @classmethod
    def of(cls, recipe: Recipe) -> StoredBlocks:
        """Plan the blocks. Reads nothing but row pointers."""
        return cls(recipe, recipe.bounds())

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def read(self, k: int) -> Any:
        """Read a block."""
        recipe, source = self.recipe, cast("StoredSource", self.recipe.source)
        cut = slice(self.bounds[k], self.bounds[k + 1], 1)
        if recipe.by_columns:
            return Lines(*source.read_lines(compose(recipe.cols, cut), recipe.rows))
        rows = compose(recipe.rows, cut)
        if source.format == "dense":
            return source.read(rows, recipe.cols)
        return Lines(*source.read_rows(rows, recipe.cols))

    def windows(self, size: int) -> Iterator[list[Any]]:
        """Read the blocks in order, ``size`` of them at a time."""
        for start in range(0, len(self), size):
            graph = _tasks(self.read, range(start, min(start + size, len(self))))
            yield list(scheduler()(graph, list(graph)))


def _tasks(call: Callable[[int], Any], blocks: range) -> dict[Any, Any]:
    """Tasks that call on the number of each block, with keys by which dask runs them in order."""
    name = f"load-{uuid4().hex}"
    return {(name, f"{blocks[-1] - k:012d}"): (call, k) for k in blocks}


@dataclass(frozen=True, eq=False)
class _Load:
    """One matrix on its way into memory."""

    blocks: StoredBlocks
    target: Target | GrowingLines

    @classmethod
    def of(cls, recipe: Recipe) -> _Load:
        """Plan blocks, and make room for what they hold."""
        blocks, dtype = StoredBlocks.of(recipe), recipe.source.dtype
        if recipe.source.format == "dense":
            return cls(blocks, Target.dense(recipe.shape, dtype, blocks.bounds))
        target = Target.of_lines(recipe, dtype, blocks.bounds)
        return cls(blocks, target or GrowingLines(len(blocks)))

    def tasks(self) -> dict[Any, Any]:
        """A task for each block, which stores it where it belongs."""
        return _tasks(self._fill, range(len(self.blocks)))

    def _fill(self, k: int) -> Any:
        return self.target.fill(self.blocks.read(k), k)

    def finish(self, results: list[Any]) -> Any:
        """The matrix, when all blocks are stored."""
        target = self.target
        if isinstance(target, GrowingLines):
            return self._matrix(Lines(*target.arrays()))
        if any(isinstance(r, Lines) for r in results):  # what was stored twice was added up
            for k, result in enumerate(results):
                results[k] = result if isinstance(result, Lines) else target.part(k, result)
            return self._matrix(joined_lines(results, self.blocks.recipe.shape))
        return self._matrix(target.finish(results))

    def _matrix(self, arrays: Any) -> Any:
        if not isinstance(arrays, Lines):
            return arrays
        recipe = self.blocks.recipe
        kind = sp.csc_matrix if recipe.by_columns else sp.csr_matrix
        return kind(tuple(arrays), shape=recipe.shape)
