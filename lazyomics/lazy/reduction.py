"""Passes over the rows of a matrix: map_rows, collect_rows and fold_rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, pairwise
from operator import add, iadd
from typing import Any
from uuid import uuid4

import dask.array as da
import numpy as np
import scipy.sparse as sp
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph
from numpy.typing import DTypeLike, NDArray

from lazyomics import config
from lazyomics.blocks.block import CSCBlock, SparseBlock
from lazyomics.errors import ShapeError
from lazyomics.kernels.steps import Step
from lazyomics.kernels.sums import row_totals, sums_between
from lazyomics.lazy.indexer import CompactArray
from lazyomics.lazy.kinds import is_in_memory, to_memory_format
from lazyomics.lazy.matrix import (
    BlockArray,
    LazyMatrix,
    MemorySource,
    Piece,
    Shared,
    from_source,
    known_blocks,
    pieces,
)
from lazyomics.lazy.recipe import (
    RUNS_AT_LEAST,
    Recipe,
    holds_values,
    is_scanned_for_rows,
    recipe_of,
    run_bounds,
)
from lazyomics.lazy.scheduler import active_client, slots

__all__ = [
    "Boxed",
    "as_lazy",
    "as_scipy_blocks",
    "block_tasks",
    "collect_row_totals",
    "collect_rows",
    "fold_rows",
    "fold_runs",
    "map_rows",
    "row_bounds",
    "row_vectors",
]


def as_lazy(matrix: Any) -> da.Array:
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
        return as_lazy(made)
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


def as_scipy_blocks(matrix: Any) -> da.Array:
    """Return any matrix as a dask array of row blocks as scanpy takes them.

    Returns
    -------
    Plain dask array with one chunk along the columns; blocks are ``scipy.sparse.csr_matrix`` or
    ndarray. Nothing is read.
    """
    x = as_lazy(matrix)
    if not isinstance(x._meta, SparseBlock):
        return da.Array(x.dask, x.name, x.chunks, meta=x._meta)
    meta = sp.csr_matrix((0, 0), dtype=x.dtype)
    return x.map_blocks(_to_scipy, dtype=x.dtype, meta=meta)


def _to_scipy(block: Any) -> Any:
    return to_memory_format(_tocsr(block))


def _tocsr(block: Any) -> Any:
    return block.tocsr() if isinstance(block, CSCBlock) else block


def map_rows(matrix: Any, step: Step) -> da.Array:
    """Record a row-local step on a matrix. Reads nothing.

    Parameters
    ----------
    matrix
        Anything that ``as_lazy`` takes, shape (n, m).
    step
        What to do with each block; vectors in it have length n or m.
    """
    x = as_lazy(matrix)
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
        Matrix as ``as_lazy`` returns it, shape (n, m).
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


def collect_row_totals(x: da.Array, *, exclude: NDArray[np.bool_] | None = None) -> da.Array:
    """Sum each row in float64, lazily.

    Parameters
    ----------
    x
        Matrix as ``as_lazy`` returns it, shape (n, m).
    exclude
        Columns left out of the totals, shape (m,).

    Returns
    -------
    Dask array of shape (n,). Of a stored sparse matrix that is summed over all its columns, only
    the values are read, not their positions: about half of the bytes.
    """
    recipe = recipe_of(x)
    if exclude is None and recipe is not None and recipe.reads_values_alone:
        return _from_values(recipe, x)
    return collect_rows(x, row_totals, dtype=np.float64, exclude=exclude)


def _from_values(recipe: Recipe, x: da.Array) -> da.Array:
    name = f"totals-{uuid4().hex}"
    shared, cut = pieces(recipe, row_bounds(x))
    layer: dict[Any, Any] = {f"recipe-{name}": shared}
    for k, piece in enumerate(cut):
        layer[name, k] = (_totals, f"recipe-{name}", piece)
    graph = HighLevelGraph({name: layer}, {name: set()})
    return da.Array(graph, name, (x.chunks[0],), meta=np.empty(0, dtype=np.float64))


def _totals(shared: Shared, piece: Piece) -> NDArray[np.float64]:
    source: Any = shared.source
    return sums_between(*source.read_values(piece.selector))


STATES_MERGED_AT_ONCE = 2  # with more of them, more wait for each other in memory
BLOCK_BYTES = 16 << 20  # read at a time inside of a run: more would leave the caches
GRAINS_IN_A_BLOCK = 16  # a chunk that two blocks share is decoded for each of them


def fold_rows(
    x: da.Array, kernel: Callable[..., Any], *, rows: Sequence[Any] = (), **kwargs: Any
) -> Delayed:
    """Reduce the blocks of a matrix to one state in one pass.

    Parameters
    ----------
    x
        Matrix as ``as_lazy`` returns it, shape (n, m).
    kernel
        ``kernel(block, *row_slices, **kwargs)`` returns a state; states support ``a + b``.
    rows
        Arrays of length n that are cut like the blocks.
    kwargs
        Passed to each call; must be picklable.

    Returns
    -------
    Delayed state; see ``fold_runs``.
    """
    return fold_runs(x, partial(_fold_each, kernel=kernel), rows=rows, **kwargs)


def fold_runs(
    x: da.Array,
    kernel: Callable[..., Any],
    *,
    rows: Sequence[Any] = (),
    runs: int = RUNS_AT_LEAST,
    **kwargs: Any,
) -> Delayed:
    """Reduce runs of consecutive blocks to a state each, and these to one, in one pass.

    Parameters
    ----------
    x
        Matrix as ``as_lazy`` returns it, shape (n, m).
    kernel
        ``kernel(parts, **kwargs)`` returns the state of a run, whose parts ``(block,
        *row_slices)`` it iterates over once; there is at least one. States support ``a + b``.
    rows
        Arrays of length n that are cut like the blocks.
    runs
        At least so many, if there are as many blocks: fewer where finishing a state costs much.
    kwargs
        Passed to each call; must be picklable.

    Returns
    -------
    Delayed state. A worker holds one block and one state at a time, however long its run is, and
    runs are merged in a tree, so that only a few states wait. Blocks of a file are read for this
    state alone: they are not shared with what is computed at the same time.
    """
    vectors = row_vectors(x, rows)
    name = f"fold-{uuid4().hex}"
    call = partial(kernel, **kwargs) if kwargs else kernel
    recipe = recipe_of(x)
    if recipe is None or holds_values(recipe.source):
        # a run for each block: they are made by other tasks, or views of memory
        layer, count = (
            block_tasks(name, x, partial(_fold_block, fold=call), vectors),
            x.numblocks[0],
        )
        depends = [x]
    else:
        layer, count = _tasks_on_runs(name, recipe, call, vectors, runs)
        depends = []
    layer[name] = _merge_in_tree(name, layer, count)
    return Delayed(name, HighLevelGraph.from_collections(name, layer, dependencies=depends))


@dataclass(frozen=True, eq=False)
class _Run:
    """Consecutive blocks that one task reads, and the share of each in the row vectors."""

    pieces: tuple[Piece, ...]
    vectors: tuple[tuple[CompactArray, ...], ...]

    def parts(self, shared: Shared) -> Iterator[tuple[Any, ...]]:
        """Read block after block; no one but the reader of this iterator holds them."""
        for piece, vectors in zip(self.pieces, self.vectors, strict=True):
            yield piece.load(shared), *(v.values for v in vectors)


def _tasks_on_runs(
    name: str, recipe: Recipe, call: Callable[..., Any], vectors: list[Any], runs: int
) -> tuple[dict[Any, Any], int]:
    bounds = _fine(recipe).bounds()
    shared, cut = pieces(recipe, bounds)
    shares = [tuple(CompactArray(v[a:b]) for v in vectors) for a, b in pairwise(bounds)]
    client = active_client()
    ends = run_bounds(len(cut), 1 if client is None else slots(client), runs)
    layer: dict[Any, Any] = {f"recipe-{name}": shared, f"kernel-{name}": Boxed(call)}
    for k, (a, b) in enumerate(pairwise(ends)):
        run = _Run(tuple(cut[a:b]), tuple(shares[a:b]))
        layer[name, k] = (_fold_run, f"kernel-{name}", f"recipe-{name}", run)
    return layer, len(ends) - 1


def _fine(recipe: Recipe) -> Recipe:
    """The recipe in blocks that are small, but not much smaller than what is stored as one."""
    if recipe.lines_per_block is not None or is_scanned_for_rows(recipe.source):
        return recipe
    largest = recipe.target_bytes or config.chunk_bytes()
    grain = int(getattr(recipe.source, "grain_bytes", 0))
    return replace(recipe, target_bytes=min(largest, max(BLOCK_BYTES, GRAINS_IN_A_BLOCK * grain)))


def _merge_in_tree(name: str, layer: dict[Any, Any], count: int) -> Any:
    """Add tasks that merge the states; return the key of the last one."""
    keys: list[tuple[Any, ...]] = [(name, k) for k in range(count)]
    level = 0
    while len(keys) > 1:
        level += 1
        merged: list[tuple[Any, ...]] = []
        for j in range(0, len(keys), STATES_MERGED_AT_ONCE):
            key = (f"merge-{name}", level, j)
            layer[key] = (_merge, keys[j : j + STATES_MERGED_AT_ONCE])
            merged.append(key)
        keys = merged
    return keys[0]


def _fold_run(fold: Boxed, shared: Shared, run: _Run) -> Any:
    return fold.value(run.parts(shared))


def _fold_block(block: Any, *vectors: Any, fold: Callable[..., Any]) -> Any:
    return fold(iter([(block, *vectors)]))


def _fold_each(
    parts: Iterator[tuple[Any, ...]], *, kernel: Callable[..., Any], **kwargs: Any
) -> Any:
    """Fold a run by a kernel that takes one block."""
    state = kernel(*next(parts), **kwargs)
    for part in parts:
        # the state was made here, so adding to it in place (where it can) changes no other's
        state = iadd(state, kernel(*part, **kwargs))
    return state


def _merge(states: list[Any]) -> Any:
    total = states[0]
    for state in states[1:]:
        total = add(total, state)
    return total
