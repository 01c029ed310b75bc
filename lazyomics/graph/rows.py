"""Work on blocks of rows: record a step, collect a value per row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate, pairwise
from typing import Any
from uuid import uuid4

import dask.array as da
import numpy as np
from dask.highlevelgraph import HighLevelGraph
from numpy.typing import DTypeLike, NDArray

from lazyomics.errors import ShapeError
from lazyomics.graph.block_array import BlockArray
from lazyomics.graph.compact import CompactArray
from lazyomics.graph.foreign import known_blocks
from lazyomics.graph.kinds import is_in_memory
from lazyomics.graph.matrix import LazyMatrix, from_source, recipe_of
from lazyomics.graph.memory_source import MemorySource
from lazyomics.kernels.block import CSCBlock, SparseBlock
from lazyomics.kernels.steps import Step

__all__ = [
    "Boxed",
    "block_tasks",
    "collect_rows",
    "lazy",
    "map_rows",
    "row_bounds",
    "row_vectors",
]


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
        return _single_column_chunk(known_blocks(matrix))
    if is_in_memory(matrix):
        made = from_source(MemorySource.of(matrix))
        return lazy(made)
    raise TypeError(
        f"expected a numpy, scipy.sparse or dask matrix, found {type(matrix).__name__}; "
        "convert it with numpy.asarray or scipy.sparse.csr_matrix"
    )


def _single_column_chunk(x: da.Array) -> da.Array:
    if x.numblocks[1] == 1 and not isinstance(x._meta, CSCBlock):
        return x
    x = x.rechunk({1: -1})
    if isinstance(x._meta, CSCBlock):
        x = x.map_blocks(_tocsr, dtype=x.dtype, meta=x._meta.tocsr())
    return BlockArray.of(x)


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
    name = f"blocks-{type(step).__name__.lower()}-{uuid4().hex}"
    row_values = [field for field in step.ROW_FIELDS if getattr(step, field) is not None]
    shared = f"step-{name}"
    layer: dict[Any, Any] = {shared: Boxed(step.take_rows(slice(0, 0, 1)))}
    for k, (a, b) in enumerate(pairwise(row_bounds(x))):
        mine = {field: CompactArray(getattr(step, field)[a:b]) for field in row_values}
        layer[name, k, 0] = (_apply, shared, (x.name, k, 0), Boxed(mine))
    graph = HighLevelGraph.from_collections(name, layer, dependencies=[x])
    chunks = (x.chunks[0], (step.width(x.shape[1]),))
    return BlockArray(graph, name, chunks, meta=_changed(x, step))


def _changed(x: da.Array, step: Step) -> Any:
    """An empty block as it comes out of a step, which sees blocks without rows."""
    n_cols = int(x.shape[1])
    empty: Any = np.empty((0, n_cols), x.dtype)
    if isinstance(x._meta, SparseBlock):
        empty = type(x._meta)(shape=(0, n_cols), dtype=x.dtype)
    return step.take_rows(slice(0, 0, 1))(empty)[:, :0]


class Boxed:
    """A callable, or its arguments, as a plain graph value."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _apply(step: Boxed, block: Any, row_values: Boxed) -> Any:
    mine = {field: vector.values for field, vector in row_values.value.items()}
    return (replace(step.value, **mine) if mine else step.value)(block)


def row_bounds(x: da.Array) -> tuple[int, ...]:
    """Boundaries of the row blocks of a dask array."""
    return (0, *accumulate(int(c) for c in x.chunks[0]))


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
    call = partial(kernel, **kwargs) if kwargs else kernel
    layer = {
        (*key, *end) if isinstance(key, tuple) else key: task
        for key, task in block_tasks(name, x, call, row_vectors(x, rows)).items()
    }
    chunks = (x.chunks[0],) if columns is None else (x.chunks[0], (columns,))
    graph = HighLevelGraph.from_collections(name, layer, dependencies=[x])
    return da.Array(graph, name, chunks, meta=np.empty((0,) * len(chunks), dtype=dtype))


def row_vectors(x: da.Array, rows: Sequence[Any]) -> list[NDArray[Any]]:
    """Vectors of one value for each row, once it is seen that row-wise work is possible at all."""
    if x.numblocks[1] != 1:
        raise ShapeError("row-wise work needs all columns in one chunk; pass it through lazy()")
    vectors = [np.asarray(v) for v in rows]
    for vector in vectors:
        if len(vector) != x.shape[0]:
            raise ShapeError(f"a vector of {len(vector)} values for {x.shape[0]} rows")
    return vectors


def block_tasks(
    name: str, x: da.Array, call: Callable[..., Any], vectors: Sequence[NDArray[Any]]
) -> dict[Any, Any]:
    """Tasks ``(name, k)`` that call on each block and on the rows' share of each vector."""
    # What is called has a key of its own: with values for each gene it may be large, and a cluster
    # sends what is inside of a task as often as there are tasks.
    shared = f"kernel-{name}"
    layer: dict[Any, Any] = {shared: Boxed(call)}
    for k, (a, b) in enumerate(pairwise(row_bounds(x))):
        layer[name, k] = (_call, shared, (x.name, k, 0), [CompactArray(v[a:b]) for v in vectors])
    return layer


def _call(kernel: Boxed, block: Any, vectors: list[CompactArray]) -> Any:
    return kernel.value(block, *(v.values for v in vectors))
