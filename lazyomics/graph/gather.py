"""Lazy matrices as matrices in memory, without holding their values twice.

A matrix whose blocks have a known size is filled in place: each task stores its block where it
belongs and forgets it, so that memory stays at the result and the blocks in flight. Where sizes
turn out only when blocks are computed (columns were selected), blocks are appended to arrays that
grow. All matrices are computed in one run, so that blocks they share are read once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any
from uuid import uuid4

import dask.array as da
import dask.local
import dask.threaded
import numpy as np
from dask.highlevelgraph import HighLevelGraph
from dask.utils import ensure_dict
from numpy.typing import NDArray

from lazyomics.graph.growing import GrowingLines
from lazyomics.graph.matrix import recipe_of
from lazyomics.graph.recipe import Recipe
from lazyomics.graph.scheduler import scheduler
from lazyomics.graph.selection import is_whole
from lazyomics.kernels.block import CSCBlock, CSRBlock, SparseBlock
from lazyomics.kernels.steps import SelectCols

__all__ = ["Gathering", "Together", "gathering", "runs_in_process"]


@dataclass(frozen=True, eq=False)
class Target:
    """Arrays of the result, shared by the tasks that fill them; ``bounds`` are of stored values.

    Dense results have only ``data``, with bounds in rows.
    """

    data: NDArray[Any]
    indices: NDArray[Any] | None
    bounds: tuple[int, ...]

    def fill(self, block: Any, k: int) -> Any:
        """Store block ``k``; return it if it is not what was planned."""
        low, high = self.bounds[k], self.bounds[k + 1]
        if block.dtype != self.data.dtype:
            return block
        if self.indices is None:
            if type(block) is not np.ndarray or block.shape != (high - low, self.data.shape[1]):
                return block
            self.data[low:high] = block
            return None
        if not isinstance(block, SparseBlock) or len(block.data) != high - low:
            return block
        self.data[low:high] = block.data
        self.indices[low:high] = block.indices
        return np.diff(block.indptr)


@dataclass(frozen=True, eq=False)
class Gathering:
    """One matrix to compute: values of ``keys`` are what ``finish`` takes."""

    x: da.Array
    axis: int
    graph: HighLevelGraph
    keys: list[Any]
    target: Target | GrowingLines | None

    def filled_here(self) -> Gathering:
        """The same, with arrays that this process fills with the blocks that others computed."""
        return replace(self, target=_target(self.x, self.axis) or GrowingLines(len(self.keys)))

    def finish(self, results: list[Any]) -> Any:
        """Assemble the result; empties the list while it copies."""
        target = self.target
        if target is None:
            return joined(results, self.axis)
        if isinstance(target, GrowingLines):
            return self._made(*target.arrays(), self.x.shape)
        if any(_is_block(r) for r in results):
            return joined([self._block(target, k, r) for k, r in enumerate(results)], self.axis)
        if target.indices is None:
            return target.data
        counts = np.concatenate([np.zeros(1, np.int64), *results])
        indptr = np.cumsum(counts).astype(target.indices.dtype)
        return self._made(target.data, target.indices, indptr, self.x.shape)

    def _block(self, target: Target, k: int, result: Any) -> Any:
        """Block ``k`` again: as it was returned, or as a view of where it was stored."""
        if _is_block(result):
            return result
        part = slice(target.bounds[k], target.bounds[k + 1])
        if target.indices is None:
            return target.data[part]
        indptr = np.append(0, np.cumsum(result))
        shape = (len(result), self.x.shape[1])
        if self.axis == 1:
            shape = (self.x.shape[0], len(result))
        return self._made(target.data[part], target.indices[part], indptr, shape)

    def _made(self, data: Any, indices: Any, indptr: Any, shape: tuple[int, int]) -> Any:
        kind = CSCBlock if self.axis == 1 else CSRBlock
        return kind.from_arrays(data, indices, indptr, shape)


def _is_block(result: Any) -> bool:
    """Whether a task returned its block, instead of None or the sizes of its lines."""
    return result is not None and result.ndim == 2


def gathering(x: da.Array, *, in_process: bool) -> Gathering | None:
    """Plan how to compute a matrix; None for arrays that dask itself may put together.

    Parameters
    ----------
    x
        Any dask array.
    in_process
        Whether tasks run in this process, where they can fill arrays.
    """
    if x.ndim != 2 or not isinstance(x._meta, np.ndarray | SparseBlock):
        return None
    axis = 1 if isinstance(x._meta, CSCBlock) else 0
    if x.numblocks[1 - axis] != 1 or x.numblocks[axis] < 2 or np.isnan(sum(x.chunks[axis])):
        return None
    graph, keys = x.__dask_graph__(), _keys(x, axis)
    if not in_process:
        return Gathering(x, axis, graph, keys, None)
    target = _target(x, axis) or GrowingLines(len(keys))
    name = f"gather-{uuid4().hex}"
    # dask runs tasks of equal standing from the last of their keys, sorted as text, to the first:
    # blocks then come in their order, and are read in the order of the file.
    last = len(keys) - 1
    layer = {
        (name, f"{last - k:012d}"): (_fill, _Boxed(target), key, k) for k, key in enumerate(keys)
    }
    made = HighLevelGraph.from_collections(name, layer, dependencies=[x])
    return Gathering(x, axis, made, list(layer), target)


class _Boxed:
    """Arrays to fill as a plain graph value."""

    def __init__(self, target: Target | GrowingLines) -> None:
        self.target = target


def _fill(boxed: _Boxed, block: Any, k: int) -> Any:
    return boxed.target.fill(block, k)


class Together:
    """Several results as one dask collection: computed in one run, as lists of key values."""

    def __init__(self, graphs: list[Any], keys: list[Any]) -> None:
        self._graph, self._keys = HighLevelGraph.merge(*graphs), keys

    def __dask_graph__(self) -> Any:
        return self._graph

    def __dask_keys__(self) -> list[Any]:
        return self._keys

    def __dask_layers__(self) -> tuple[str, ...]:
        return tuple(self._graph.layers)

    def __dask_tokenize__(self) -> str:
        return uuid4().hex

    __dask_scheduler__ = staticmethod(dask.threaded.get)

    @staticmethod
    def __dask_optimize__(graph: Any, keys: Any, **_: Any) -> Any:
        # As single tasks: as layers, dask would take a result that another builds on for an
        # inner one.
        return da.Array.__dask_optimize__(ensure_dict(graph), keys)

    def __dask_postcompute__(self) -> tuple[Any, tuple[Any, ...]]:
        return list, ()


def runs_in_process() -> bool:
    """Whether dask will run tasks in threads of this process."""
    return scheduler() in (dask.threaded.get, dask.local.get_sync)


def _keys(x: da.Array, axis: int) -> list[tuple[Any, ...]]:
    return [(x.name, k, 0) if axis == 0 else (x.name, 0, k) for k in range(x.numblocks[axis])]


def _target(x: da.Array, axis: int) -> Target | None:
    """Arrays for the result where its size is known before it is computed."""
    bounds = (0, *accumulate(int(c) for c in x.chunks[axis]))
    if not isinstance(x._meta, SparseBlock):
        return Target(np.empty(x.shape, x.dtype), None, bounds)
    recipe = recipe_of(x)
    if recipe is None or not _keeps_lines(recipe):
        return None
    stored = recipe.source.stored_per_line()
    if stored is None:
        return None
    ends = np.cumsum(stored[recipe.cols if recipe.by_columns else recipe.rows])
    ends = np.append(0, ends)[list(bounds)]
    total = int(ends[-1])
    index = np.int32 if max(total, *x.shape) < 2**31 else np.int64
    return Target(np.empty(total, x.dtype), np.empty(total, index), tuple(ends.tolist()))


def _keeps_lines(recipe: Recipe) -> bool:
    """Whether blocks hold all that is stored in the lines they read (unless a step drops some)."""
    source = recipe.source
    if recipe.by_columns:
        return is_whole(recipe.rows, source.shape[0])
    whole = is_whole(recipe.cols, source.shape[1]) and source.format == "csr"
    whole = whole and getattr(source, "counts_are_exact", True)  # joined ones may be bounds
    return whole and not any(isinstance(step, SelectCols) for step in recipe.steps)


def joined(blocks: list[Any], axis: int) -> Any:
    """Concatenate blocks, each forgotten as soon as it is copied."""
    if not all(type(b) in (CSRBlock, CSCBlock) for b in blocks):
        return np.concatenate(blocks, axis=axis)
    kind = type(blocks[0])
    total = sum(len(b.data) for b in blocks)
    shape = [int(n) for n in blocks[0].shape]
    shape[axis] = sum(int(b.shape[axis]) for b in blocks)
    index = np.int32 if max(total, *shape) < 2**31 else np.int64
    counts = [np.zeros(1, np.int64), *(np.diff(b.indptr) for b in blocks)]
    data = np.empty(total, np.result_type(*(b.dtype for b in blocks)))
    indices = np.empty(total, index)
    ends = list(accumulate((len(b.data) for b in blocks), initial=0))
    for k, (low, high) in enumerate(pairwise(ends)):
        data[low:high] = blocks[k].data
        indices[low:high] = blocks[k].indices
        blocks[k] = None
    indptr = np.cumsum(np.concatenate(counts)).astype(index)
    return kind.from_arrays(data, indices, indptr, (shape[0], shape[1]))
