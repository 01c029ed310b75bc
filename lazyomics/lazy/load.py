"""Read recipes straight into arrays in memory, without dask.array."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, Protocol, cast
from uuid import uuid4

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from lazyomics import config
from lazyomics.blocks.canonical import index_dtype
from lazyomics.lazy.indexer import Selector, compose
from lazyomics.lazy.recipe import Recipe, Source
from lazyomics.lazy.scheduler import runs_in_process, scheduler
from lazyomics.progress import note_read

__all__ = [
    "CSRBuilder",
    "Lines",
    "PreallocatedCSR",
    "StoredBlocks",
    "joined_lines",
    "load_stored",
    "loads_stored",
]


class Lines(NamedTuple):
    """Some rows (columns) of a compressed matrix."""

    data: NDArray[Any]
    indices: NDArray[Any]
    indptr: NDArray[Any]


@dataclass(frozen=True, eq=False)
class PreallocatedCSR:
    """Arrays of the result, shared by the tasks that fill them; ``bounds`` are of stored values.

    Dense results have only ``data``, with bounds in rows.
    """

    data: NDArray[Any]
    indices: NDArray[Any] | None
    bounds: tuple[int, ...]

    @classmethod
    def dense(cls, shape: tuple[int, int], dtype: Any, bounds: tuple[int, ...]) -> PreallocatedCSR:
        """An array, cut into blocks of rows."""
        return cls(np.empty(shape, dtype), None, bounds)

    @classmethod
    def of_lines(
        cls, recipe: Recipe, dtype: Any, bounds: tuple[int, ...]
    ) -> PreallocatedCSR | None:
        """Arrays for blocks of lines, where what they hold is known before they are read."""
        stored = recipe.source.stored_per_line() if recipe.keeps_lines else None
        if stored is None:
            return None
        ends = np.cumsum(stored[recipe.cols if recipe.by_columns else recipe.rows])
        ends = np.append(0, ends)[list(bounds)]
        total = int(ends[-1])
        index = index_dtype(max(total, *recipe.shape))
        return cls(np.empty(total, dtype), np.empty(total, index), tuple(ends.tolist()))

    def fill(self, block: Any, k: int) -> Any:
        """Store block ``k``; return it if it is not what was planned."""
        low, high = self.bounds[k], self.bounds[k + 1]
        data = block if type(block) is np.ndarray else getattr(block, "data", None)
        if data is None or data.dtype != self.data.dtype:
            return block
        if self.indices is None:
            if data is not block or data.shape != (high - low, self.data.shape[1]):
                return block
            self.data[low:high] = data
            return None
        if data is block or len(data) != high - low:
            return block
        self.data[low:high] = data
        self.indices[low:high] = block.indices
        return np.diff(block.indptr)

    def part(self, k: int, result: Any) -> Any:
        """Block ``k`` again, as views of where it was stored; ``result`` is what `fill` gave."""
        here = slice(self.bounds[k], self.bounds[k + 1])
        if self.indices is None:
            return self.data[here]
        return Lines(self.data[here], self.indices[here], np.append(0, np.cumsum(result)))

    def finish(self, results: list[Any]) -> Any:
        """Everything, as an array or as lines, when all blocks were what was planned."""
        if self.indices is None:
            return self.data
        counts = np.concatenate([np.zeros(1, np.int64), *results])
        return Lines(self.data, self.indices, np.cumsum(counts).astype(self.indices.dtype))


def joined_lines(parts: list[Any], shape: tuple[int, int]) -> Lines:
    """Lines behind each other, each part forgotten as soon as it is copied."""
    total = sum(len(part.data) for part in parts)
    counts = [np.zeros(1, np.int64), *(np.diff(part.indptr) for part in parts)]
    data = np.empty(total, np.result_type(*(part.data.dtype for part in parts)))
    indices = np.empty(total, index_dtype(max(total, *shape)))
    ends = list(accumulate((len(part.data) for part in parts), initial=0))
    for k, (low, high) in enumerate(pairwise(ends)):
        data[low:high] = parts[k].data
        indices[low:high] = parts[k].indices
        parts[k] = None
    return Lines(data, indices, np.cumsum(np.concatenate(counts)).astype(indices.dtype))


class CSRBuilder:
    """Arrays of a compressed matrix that grow in place.

    Parameters
    ----------
    n_blocks
        How many blocks will come.

    Notes
    -----
    Memory: what has arrived, a few percent more, and blocks that came before their turn.
    """

    def __init__(self, n_blocks: int) -> None:
        self._n_blocks = n_blocks
        self._early: dict[int, Any] = {}
        self._next = 0
        self._filled = 0
        self._counts: list[NDArray[Any]] = [np.zeros(1, np.int64)]
        self._data: NDArray[Any] = np.empty(0)
        self._indices: NDArray[Any] = np.empty(0)
        self._lock = threading.Lock()

    def fill(self, block: Any, k: int) -> None:
        """Take block ``k``; it is copied as soon as all before it are there."""
        with self._lock:
            self._early[k] = block
            while self._next in self._early:
                self._append(self._early.pop(self._next))
                self._next += 1

    def arrays(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return data, indices and indptr of everything, which this object then gives up."""
        data, indices = self._data, self._indices
        for part in (data, indices):
            part.resize(self._filled, refcheck=False)
        if self._filled >= 2**31:
            indices = indices.astype(np.int64, copy=False)
        indptr = np.cumsum(np.concatenate(self._counts)).astype(indices.dtype)
        return data, indices, indptr

    def _append(self, block: Any) -> None:
        if self._next == 0:
            self._data = np.empty(0, block.data.dtype)
            self._indices = np.empty(0, block.indices.dtype)
        self._promote(block)
        stop = self._filled + len(block.data)
        if stop > len(self._data):
            self._grow(stop)
        self._data[self._filled : stop] = block.data
        self._indices[self._filled : stop] = block.indices
        self._counts.append(np.diff(block.indptr))
        self._filled = stop

    def _grow(self, needed: int) -> None:
        """Make room for as many values as the blocks so far let expect.

        The operating system moves large arrays without copying them.
        """
        expected = needed / (self._next + 1) * self._n_blocks
        size = max(needed, int(min(expected, 2 * needed + 2**24) * 1.02))
        for part in (self._data, self._indices):
            part.resize(size, refcheck=False)

    def _promote(self, block: Any) -> None:
        """Widen what is held if this block needs it."""
        dtype = np.result_type(self._data.dtype, block.data.dtype)
        index = np.result_type(self._indices.dtype, block.indices.dtype)
        self._data = self._data.astype(dtype, copy=False)
        self._indices = self._indices.astype(index, copy=False)


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
    return plain and runs_in_process() and config.progress_after() is None


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
            return note_read(source.read(rows, recipe.cols))
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
    target: PreallocatedCSR | CSRBuilder

    @classmethod
    def of(cls, recipe: Recipe) -> _Load:
        """Plan blocks, and make room for what they hold."""
        blocks, dtype = StoredBlocks.of(recipe), recipe.source.dtype
        if recipe.source.format == "dense":
            return cls(blocks, PreallocatedCSR.dense(recipe.shape, dtype, blocks.bounds))
        target = PreallocatedCSR.of_lines(recipe, dtype, blocks.bounds)
        return cls(blocks, target or CSRBuilder(len(blocks)))

    def tasks(self) -> dict[Any, Any]:
        """A task for each block, which stores it where it belongs."""
        return _tasks(self._fill, range(len(self.blocks)))

    def _fill(self, k: int) -> Any:
        return self.target.fill(self.blocks.read(k), k)

    def finish(self, results: list[Any]) -> Any:
        """The matrix, when all blocks are stored."""
        target = self.target
        if isinstance(target, CSRBuilder):
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
