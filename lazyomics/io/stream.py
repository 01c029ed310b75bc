"""Stream lazy matrices into files, a window of blocks at a time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import h5py
import numpy as np
from dask.system import CPU_COUNT
from numpy.typing import NDArray

from lazyomics import config, lazy
from lazyomics.blocks.canonical import checked_arrays, index_dtype
from lazyomics.container.deferred import deferred_recipe
from lazyomics.io.compress import CHUNK_BYTES, ChunkWriter, chunk_bytes_of, chunk_pool, kwargs_for
from lazyomics.io.encodings.sparse import new_group
from lazyomics.io.transaction import raise_failures
from lazyomics.lazy.kinds import is_block, is_dask_array
from lazyomics.lazy.load import Lines, StoredBlocks, loads_stored
from lazyomics.lazy.recipe import Recipe, bounds_by_bytes
from lazyomics.lazy.scheduler import threads, workers

if TYPE_CHECKING:
    from lazyomics.blocks.block import SparseBlock

__all__ = [
    "Kind",
    "MatrixBlocks",
    "joined_pointers",
    "stream_matrix",
    "streamable",
    "write_compressed",
]


Kind: TypeAlias = Literal["csr", "csc", "dense"]

# While one window of blocks is written the next is computed: with blocks of half the size both
# take no more memory than any other pass.
BLOCKS_IN_ONE = 2


@dataclass(frozen=True, eq=False)
class MatrixBlocks:
    """A matrix as blocks of rows, or of columns if that is its ``kind``.

    Attributes
    ----------
    kind, shape, dtype
        Of the matrix.
    most
        Values that it stores, at most.
    windows
        Called with a number, it gives the blocks in order, so many at a time.
    """

    kind: Kind
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    most: int
    windows: Callable[[int], Iterator[list[Any]]]

    @classmethod
    def of(cls, x: Any) -> MatrixBlocks:
        """Cut a dask matrix, the recipe of a stored one, or an ndarray, CSR or CSC matrix."""
        if isinstance(x, Recipe):
            return _stored(x)
        return _lazy(x) if is_dask_array(x) else _in_memory(x)

    def in_order(self) -> Generator[Any]:
        """Give block after block; the next window is computed while this one is written."""
        made = self.windows(workers())
        with ThreadPoolExecutor(1) as ahead:
            pending = ahead.submit(next, made, None)
            while (window := pending.result()) is not None:
                pending = ahead.submit(next, made, None)
                while window:
                    yield window.pop(0)
                    raise_failures()


def _stored(recipe: Recipe) -> MatrixBlocks:
    """A matrix that is read as it is stored."""
    recipe = _in_small_blocks(recipe)
    kind = _kind(recipe.by_columns, recipe.source.format == "dense")
    windows = StoredBlocks.of(recipe).windows
    return MatrixBlocks(kind, recipe.shape, recipe.source.dtype, _most_values(recipe), windows)


def _lazy(x: Any) -> MatrixBlocks:
    """A dask matrix."""
    from lazyomics.blocks.block import CSCBlock
    from lazyomics.lazy.matrix import known_blocks

    if recipe := lazy.recipe_of(x):
        by_columns, most = recipe.by_columns, _most_values(recipe)
        if (small := _in_small_blocks(recipe)) is not recipe:
            x = lazy.LazyMatrix.cook(small)
    else:
        by_columns, most = isinstance(x._meta, CSCBlock), prod(x.shape)
        if by_columns:  # such as a joined one, transposed
            x = known_blocks(x).rechunk({0: -1})
    if not by_columns:
        x = lazy.as_lazy(x)
    axis, kind = int(by_columns), _kind(by_columns, not is_block(x._meta))
    return MatrixBlocks(kind, x.shape, x.dtype, most, lambda n: lazy.windows(x, axis=axis, size=n))


def _in_memory(x: Any) -> MatrixBlocks:
    """A matrix in memory, of which blocks are views."""
    target = config.chunk_bytes() // BLOCKS_IN_ONE
    if isinstance(x, np.ndarray):
        rows = bounds_by_bytes(np.full(len(x), x[:1].nbytes), target)
        views: Iterator[Any] = (x[a:b] for a, b in pairwise(rows))
        return MatrixBlocks("dense", x.shape, x.dtype, x.size, lambda _: ([v] for v in views))
    data, indices, indptr = checked_arrays(x)
    bytes_of_value = data.itemsize + indices.itemsize
    bounds = bounds_by_bytes(np.diff(indptr) * bytes_of_value + indptr.itemsize, target)
    lines = (_lines(data, indices, indptr[a : b + 1]) for a, b in pairwise(bounds))
    kind = _kind(x.format == "csc", dense=False)
    return MatrixBlocks(kind, x.shape, x.dtype, len(data), lambda _: ([part] for part in lines))


def _lines(data: Any, indices: Any, indptr: Any) -> Lines:
    part = slice(int(indptr[0]), int(indptr[-1]))
    return Lines(data[part], indices[part], indptr - indptr[0])


def _kind(by_columns: bool, dense: bool) -> Kind:
    if dense:
        return "dense"
    return "csc" if by_columns else "csr"


def _in_small_blocks(recipe: Recipe) -> Recipe:
    if recipe.target_bytes is not None or recipe.lines_per_block is not None:
        return recipe
    return replace(recipe, target_bytes=config.chunk_bytes() // BLOCKS_IN_ONE)


def _most_values(recipe: Recipe) -> int:
    """Upper bound of what will be stored, so that small matrices get small chunks."""
    stored = recipe.source.stored_per_line()
    if stored is None or recipe.adds_values:
        return prod(recipe.shape)
    lines = recipe.cols if recipe.source.format == "csc" else recipe.rows
    return int(stored[lines].sum())


def streamable(value: Any) -> Any:
    """Load a value that is deferred: of a stored matrix, its recipe where blocks can be copied."""
    recipe = deferred_recipe(value)
    return recipe if recipe is not None and loads_stored([recipe]) else value.load()


def stream_matrix(
    parent: h5py.Group, name: str, x: Any, *, dataset_kwargs: Mapping[str, Any]
) -> None:
    """Write a matrix as an ordinary array, csr_matrix or csc_matrix element.

    Parameters
    ----------
    parent
        Open group, writable.
    name
        Of the new element.
    x
        Dask matrix (or one in memory, or the recipe of a stored one) of shape (n, m); its blocks
        decide whether it is stored dense, CSR or CSC.
    dataset_kwargs
        Compression of the datasets.

    Notes
    -----
    Passes over x: one. Blocks are computed, and their chunks compressed, in threads. Peak memory:
    two windows of one block for each worker (of a cluster: for each processor of this machine).
    """
    matrix = MatrixBlocks.of(x)
    with closing(matrix.in_order()) as blocks:
        if matrix.kind == "dense":
            _write_dense(parent, name, matrix, blocks, dataset_kwargs)
            return
        write_compressed(
            parent,
            name,
            blocks,
            kind=matrix.kind,
            shape=matrix.shape,
            dtype=matrix.dtype,
            most=matrix.most,
            options=dataset_kwargs,
        )


def _threads() -> int:
    """Compression happens on this machine, wherever the blocks are computed."""
    return max(1, min(threads(), int(CPU_COUNT)))


def _write_dense(
    parent: h5py.Group,
    name: str,
    x: MatrixBlocks,
    blocks: Iterable[Any],
    options: Mapping[str, Any],
) -> None:
    made = kwargs_for(options, x.dtype)
    if (made or chunk_bytes_of(options, 0)) and prod(x.shape):
        size = chunk_bytes_of(options, CHUNK_BYTES)
        made = {"chunks": chunk_shape(x.shape, x.dtype.itemsize, size), **made}
    dataset = parent.create_dataset(name, shape=x.shape, dtype=x.dtype, **made)
    dataset.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    with chunk_pool(_threads()) as pool:
        writer = ChunkWriter(dataset, pool)
        for block in blocks:
            writer.append(np.asarray(block))
        writer.close()


def chunk_shape(shape: tuple[int, ...], itemsize: int, size: int) -> tuple[int, ...]:
    """Shape of chunks of about ``size`` bytes: whole rows, as long as these fit."""
    room = max(1, size // itemsize)
    chunk = [1] * len(shape)
    for axis in reversed(range(len(shape))):
        chunk[axis] = max(1, min(shape[axis], room))
        room //= chunk[axis]
    return tuple(chunk)


def write_compressed(
    parent: h5py.Group,
    name: str,
    blocks: Iterable[Lines | SparseBlock],
    *,
    kind: Literal["csr", "csc"],
    shape: tuple[int, int],
    dtype: np.dtype[Any],
    most: int,
    options: Mapping[str, Any],
) -> None:
    """Write blocks of rows (csr) or columns (csc), in order, as one compressed element.

    Parameters
    ----------
    parent, name
        Open group, writable, and the name of the new element.
    blocks
        Blocks that together have ``shape``.
    kind, shape, dtype
        Of the matrix.
    most
        Stored values, at most.
    options
        Compression of the datasets.
    """
    group = new_group(parent, name, kind, shape)
    positions = index_dtype(shape[1] if kind == "csr" else shape[0])
    most, counts = max(1, most), []
    with chunk_pool(_threads()) as pool:
        data, indices = (
            ChunkWriter(_growing(group, part, np.dtype(kept), most, options), pool)
            for part, kept in (("data", dtype), ("indices", positions))
        )
        for block in blocks:
            counts.append(np.diff(block.indptr))
            data.append(block.data)
            indices.append(block.indices)
        data.close()
        indices.close()
    pointers = joined_pointers(counts)
    chunk = chunk_shape(pointers.shape, pointers.itemsize, CHUNK_BYTES)
    made = {"maxshape": (None,), "chunks": chunk, **kwargs_for(options, pointers.dtype)}
    group.create_dataset("indptr", data=pointers, **made)


def _growing(
    group: h5py.Group, name: str, dtype: np.dtype[Any], most: int, options: Mapping[str, Any]
) -> h5py.Dataset:
    """An empty one-dimensional dataset for up to about ``most`` values."""
    chunk = chunk_shape((most,), dtype.itemsize, chunk_bytes_of(options, CHUNK_BYTES))
    made = {"maxshape": (None,), "chunks": chunk, **kwargs_for(options, dtype)}
    return group.create_dataset(name, shape=(0,), dtype=dtype, **made)


def joined_pointers(counts: list[Any]) -> NDArray[Any]:
    """Pointers to the ends of the lines of all blocks, from how many values each line has."""
    ends = np.cumsum(np.concatenate([np.zeros(1, np.int64), *counts]), dtype=np.int64)
    return ends.astype(index_dtype(int(ends[-1])))
