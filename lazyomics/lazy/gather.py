"""Lazy matrices as matrices in memory, without holding their values twice.

A matrix whose blocks have a known size is filled in place: each task stores its block where it
belongs and forgets it, so that memory stays at the result and the blocks in flight. Where sizes
turn out only when blocks are computed (columns were selected), blocks are appended to arrays that
grow. All matrices are computed in one run, so that blocks they share are read once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any
from uuid import uuid4

import dask.array as da
import dask.threaded
import numpy as np
from dask.highlevelgraph import HighLevelGraph
from dask.utils import ensure_dict

from lazyomics.blocks.block import CSCBlock, CSRBlock, SparseBlock
from lazyomics.lazy.load import CSRBuilder, PreallocatedCSR, joined_lines
from lazyomics.lazy.recipe import recipe_of

__all__ = [
    "ComputeTogether",
    "Gathering",
    "gathering",
]


@dataclass(frozen=True, eq=False)
class Gathering:
    """One matrix to compute: values of ``keys`` are what ``finish`` takes."""

    x: da.Array
    axis: int
    graph: HighLevelGraph
    keys: list[Any]
    target: PreallocatedCSR | CSRBuilder | None

    def filled_here(self) -> Gathering:
        """The same, with arrays that this process fills with the blocks that others computed."""
        return replace(self, target=_target(self.x, self.axis) or CSRBuilder(len(self.keys)))

    def finish(self, results: list[Any]) -> Any:
        """Assemble the result; empties the list while it copies."""
        target = self.target
        if target is None:
            return joined(results, self.axis)
        if isinstance(target, CSRBuilder):
            return self._made(target.arrays(), self.x.shape)
        if any(_is_block(r) for r in results):
            return joined([self._block(target, k, r) for k, r in enumerate(results)], self.axis)
        return self._made(target.finish(results), self.x.shape)

    def _block(self, target: PreallocatedCSR, k: int, result: Any) -> Any:
        """Block ``k`` again: as it was returned, or as a view of where it was stored."""
        if _is_block(result):
            return result
        shape = [int(n) for n in self.x.shape]
        shape[self.axis] = int(self.x.chunks[self.axis][k])
        return self._made(target.part(k, result), (shape[0], shape[1]))

    def _made(self, arrays: Any, shape: tuple[int, int]) -> Any:
        if type(arrays) is np.ndarray:
            return arrays
        kind = CSCBlock if self.axis == 1 else CSRBlock
        return kind.from_arrays(arrays[0], arrays[1], arrays[2], shape)


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
    target = _target(x, axis) or CSRBuilder(len(keys))
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

    def __init__(self, target: PreallocatedCSR | CSRBuilder) -> None:
        self.target = target


def _fill(boxed: _Boxed, block: Any, k: int) -> Any:
    return boxed.target.fill(block, k)


class ComputeTogether:
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


def _keys(x: da.Array, axis: int) -> list[tuple[Any, ...]]:
    return [(x.name, k, 0) if axis == 0 else (x.name, 0, k) for k in range(x.numblocks[axis])]


def _target(x: da.Array, axis: int) -> PreallocatedCSR | None:
    """Arrays for the result where its size is known before it is computed."""
    bounds = (0, *accumulate(int(c) for c in x.chunks[axis]))
    if not isinstance(x._meta, SparseBlock):
        return PreallocatedCSR.dense(x.shape, x.dtype, bounds)
    recipe = recipe_of(x)
    return None if recipe is None else PreallocatedCSR.of_lines(recipe, x.dtype, bounds)


def joined(blocks: list[Any], axis: int) -> Any:
    """Concatenate blocks, each forgotten as soon as it is copied."""
    if not all(type(b) in (CSRBlock, CSCBlock) for b in blocks):
        return np.concatenate(blocks, axis=axis)
    kind = type(blocks[0])
    shape = [int(n) for n in blocks[0].shape]
    shape[axis] = sum(int(b.shape[axis]) for b in blocks)
    whole = (shape[0], shape[1])
    return kind.from_arrays(*joined_lines(blocks, whole), whole)
