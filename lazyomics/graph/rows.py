"""Work on blocks of rows: record a step, fold blocks to a state, collect a value per row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate, pairwise
from operator import add
from typing import Any
from uuid import uuid4

import dask.array as da
import numpy as np
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph
from numpy.typing import DTypeLike

from lazyomics.errors import ShapeError
from lazyomics.graph.matrix import LazyMatrix, from_source, recipe_of
from lazyomics.graph.selection import length
from lazyomics.graph.source import MemorySource, is_in_memory
from lazyomics.kernels.block import CSCBlock
from lazyomics.kernels.steps import SelectCols, Step

__all__ = ["collect_rows", "fold_rows", "lazy", "map_rows", "row_bounds"]

STATES_MERGED_AT_ONCE = 4


def lazy(matrix: Any) -> da.Array:
    """Return any matrix as a dask array of row blocks, each holding all columns.

    Parameters
    ----------
    matrix
        LazyMatrix, two-dimensional dask array, ndarray, scipy sparse matrix or block.

    Returns
    -------
    Dask array with one chunk along the columns; blocks are CSRBlock or ndarray. Nothing is
    copied or read.
    """
    if isinstance(matrix, da.Array):
        recipe = recipe_of(matrix)
        if recipe is not None:
            return LazyMatrix.cook(recipe.in_rows()) if recipe.by_columns else matrix
        if matrix.ndim != 2:
            raise ShapeError(f"a matrix must have 2 dimensions, found {matrix.ndim}")
        return _single_column_chunk(matrix)
    if is_in_memory(matrix):
        made = from_source(MemorySource.of(matrix))
        return lazy(made)
    raise TypeError(
        f"expected a numpy, scipy.sparse or dask matrix, found {type(matrix).__name__}; "
        "convert it with numpy.asarray or scipy.sparse.csr_matrix"
    )


def _single_column_chunk(x: da.Array) -> da.Array:
    if x.numblocks[1] > 1:
        x = x.rechunk({1: -1})
    if isinstance(x._meta, CSCBlock):
        x = x.map_blocks(_tocsr, dtype=x.dtype, meta=x._meta.tocsr())
    return x


def _tocsr(block: Any) -> Any:
    return block.tocsr() if isinstance(block, CSCBlock) else block


def map_rows(matrix: Any, step: Step) -> da.Array:
    """Record a row-local step on a matrix. Reads nothing.

    Parameters
    ----------
    matrix
        Anything that ``lazy`` takes, shape (n, m).
    step
        What to do with each block; vectors in it have length n or m.
    """
    recipe = recipe_of(matrix)
    if recipe is not None:
        return LazyMatrix.cook(recipe.with_step(step))
    x = lazy(matrix)
    recipe = recipe_of(x)
    if recipe is not None:
        return LazyMatrix.cook(recipe.with_step(step))
    name = f"{type(step).__name__.lower()}-{uuid4().hex}"
    layer = {
        (name, k, 0): (_apply, (x.name, k, 0), _Boxed(step.take_rows(slice(a, b, 1))))
        for k, (a, b) in enumerate(pairwise(row_bounds(x)))
    }
    graph = HighLevelGraph.from_collections(name, layer, dependencies=[x])
    empty = x._meta if x._meta.ndim == 2 else np.empty((0, 0), x.dtype)
    meta = step.take_rows(slice(0, 0, 1)).take_cols(slice(0, 0, 1))(empty[:0, :0])
    return da.Array(graph, name, (x.chunks[0], (meta_columns(step, x.shape[1]),)), meta=meta)


def meta_columns(step: Step, n_cols: int) -> int:
    """Columns that a step leaves; every step but a selection keeps all of them."""
    return length(step.cols) if isinstance(step, SelectCols) else n_cols


class _Boxed:
    """A callable as a plain graph value."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _apply(block: Any, boxed: _Boxed) -> Any:
    return boxed.value(block)


def row_bounds(x: da.Array) -> tuple[int, ...]:
    """Boundaries of the row blocks of a dask array."""
    return (0, *accumulate(int(c) for c in x.chunks[0]))


def fold_rows(
    x: da.Array, kernel: Callable[..., Any], *, rows: Sequence[Any] = (), **kwargs: Any
) -> Delayed:
    """Reduce the blocks of a matrix to one state in one pass.

    Parameters
    ----------
    x
        Matrix as ``lazy`` returns it, shape (n, m).
    kernel
        ``kernel(block, *row_slices, **kwargs)`` returns a state; states support ``a + b``.
    rows
        Arrays of length n that are cut like the blocks.
    kwargs
        Passed to each call; must be picklable.

    Returns
    -------
    Delayed state. States are merged in a tree, so only a few of them are alive at a time.
    """
    name = f"fold-{uuid4().hex}"
    layer = _block_tasks(name, x, kernel, rows, kwargs)
    level = 0
    keys: list[tuple[Any, ...]] = [(name, k) for k in range(x.numblocks[0])]
    while len(keys) > 1:
        level += 1
        merged: list[tuple[Any, ...]] = []
        for j in range(0, len(keys), STATES_MERGED_AT_ONCE):
            key = (f"merge-{name}", level, j)
            layer[key] = (_merge, keys[j : j + STATES_MERGED_AT_ONCE])
            merged.append(key)
        keys = merged
    layer[name] = keys[0]
    return Delayed(name, HighLevelGraph.from_collections(name, layer, dependencies=[x]))


def collect_rows(
    x: da.Array,
    kernel: Callable[..., Any],
    *,
    rows: Sequence[Any] = (),
    dtype: DTypeLike,
    columns: int | None = None,
    **kwargs: Any,
) -> da.Array:
    """Compute one value (or ``columns`` values) for each row.

    Parameters
    ----------
    x
        Matrix as ``lazy`` returns it, shape (n, m).
    kernel
        ``kernel(block, *row_slices, **kwargs)`` returns an ndarray of shape (len(block),) or
        (len(block), columns).
    rows
        Arrays of length n that are cut like the blocks.
    dtype
        Of the result.
    columns
        Second dimension of the result; None for a vector.

    Returns
    -------
    Dask array of shape (n,) or (n, columns), in the blocks of ``x``.
    """
    name = f"collect-{uuid4().hex}"
    end = () if columns is None else (0,)
    layer = {
        (*key, *end): task for key, task in _block_tasks(name, x, kernel, rows, kwargs).items()
    }
    chunks = (x.chunks[0],) if columns is None else (x.chunks[0], (columns,))
    graph = HighLevelGraph.from_collections(name, layer, dependencies=[x])
    return da.Array(graph, name, chunks, meta=np.empty((0,) * len(chunks), dtype=dtype))


def _block_tasks(
    name: str, x: da.Array, kernel: Callable[..., Any], rows: Sequence[Any], kwargs: dict[str, Any]
) -> dict[Any, Any]:
    """One task a block that calls the kernel on it and on the rows' share of each vector."""
    if x.numblocks[1] != 1:
        raise ShapeError("row-wise work needs all columns in one chunk; pass it through lazy()")
    vectors = [np.asarray(v) for v in rows]
    for vector in vectors:
        if len(vector) != x.shape[0]:
            raise ShapeError(f"a vector of {len(vector)} values for {x.shape[0]} rows")
    call = partial(kernel, **kwargs) if kwargs else kernel
    boxed = _Boxed(call)
    return {
        (name, k): (_call, boxed, (x.name, k, 0), [_Boxed(v[a:b]) for v in vectors])
        for k, (a, b) in enumerate(pairwise(row_bounds(x)))
    }


def _call(kernel: _Boxed, block: Any, vectors: list[_Boxed]) -> Any:
    return kernel.value(block, *(v.value for v in vectors))


def _merge(states: list[Any]) -> Any:
    total = states[0]
    for state in states[1:]:
        total = add(total, state)
    return total
