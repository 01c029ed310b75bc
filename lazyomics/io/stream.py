"""Write a lazy matrix block by block: memory stays at a window of blocks."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from math import prod
from typing import Any, Literal

import dask.array as da
import h5py
import numpy as np
from dask.system import CPU_COUNT

from lazyomics import config
from lazyomics.graph import (
    LazyMatrix,
    MemorySource,
    from_source,
    lazy,
    recipe_of,
    threads,
    windows,
    workers,
)
from lazyomics.io.chunk_writer import CHUNK_BYTES, ChunkWriter, chunk_pool
from lazyomics.io.dataset_options import chunk_bytes_of, kwargs_for
from lazyomics.io.transaction import raise_failures
from lazyomics.kernels.block import SparseBlock

__all__ = ["stream_matrix", "write_compressed"]

# While one window of blocks is written the next is computed: with blocks of half the size both
# take no more memory than any other pass.
BLOCKS_IN_ONE = 2


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
        Dask matrix (or one in memory) of shape (n, m); its blocks decide whether it is stored
        dense, CSR or CSC.
    dataset_kwargs
        Compression of the datasets.

    Notes
    -----
    Passes over x: one. Blocks are computed, and their chunks compressed, in threads. Peak memory:
    two windows of one block for each worker (of a cluster: for each processor of this machine).
    """
    if not isinstance(x, da.Array):
        x = from_source(MemorySource.of(x))  # blocks are views
    recipe = recipe_of(x)
    by_columns = recipe is not None and recipe.by_columns
    if recipe is not None and recipe.target_bytes is None and recipe.lines_per_block is None:
        x = LazyMatrix.cook(replace(recipe, target_bytes=config.chunk_bytes() // BLOCKS_IN_ONE))
    if not by_columns:
        x = lazy(x)
    if isinstance(x._meta, SparseBlock):
        axis = 1 if by_columns else 0
        with closing(_blocks(x, axis)) as blocks:
            write_compressed(
                parent,
                name,
                blocks,
                kind="csr" if axis == 0 else "csc",
                shape=x.shape,
                dtype=x.dtype,
                most=_most_values(x),
                options=dataset_kwargs,
            )
    else:
        _stream_dense(parent, name, x, dataset_kwargs)


def _blocks(x: da.Array, axis: int) -> Generator[Any]:
    """Blocks in order; the next window is computed while this one is written."""
    made = windows(x, axis=axis, size=workers())
    with ThreadPoolExecutor(1) as ahead:
        pending = ahead.submit(next, made, None)
        while (window := pending.result()) is not None:
            pending = ahead.submit(next, made, None)
            while window:
                yield window.pop(0)
                raise_failures()


def _threads() -> int:
    """Compression happens on this machine, wherever the blocks are computed."""
    return max(1, min(threads(), int(CPU_COUNT)))


def _stream_dense(parent: h5py.Group, name: str, x: da.Array, options: Mapping[str, Any]) -> None:
    made = kwargs_for(options, x.dtype)
    if (made or chunk_bytes_of(options, 0)) and prod(x.shape):
        size = chunk_bytes_of(options, CHUNK_BYTES)
        made = {"chunks": chunk_shape(x.shape, x.dtype.itemsize, size), **made}
    dataset = parent.create_dataset(name, shape=x.shape, dtype=x.dtype, **made)
    dataset.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    with chunk_pool(_threads()) as pool, closing(_blocks(x, 0)) as blocks:
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
    blocks: Iterable[SparseBlock],
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
    group = parent.create_group(name)
    group.attrs.update({"encoding-type": f"{kind}_matrix", "encoding-version": "0.1.0"})
    group.attrs["shape"] = np.asarray(shape, dtype=np.int64)
    line = shape[1] if kind == "csr" else shape[0]
    index_dtype = np.int32 if line <= np.iinfo(np.int32).max else np.int64
    most, counts = max(1, most), []
    with chunk_pool(_threads()) as pool:
        data, indices = (
            ChunkWriter(_growing(group, part, np.dtype(kept), most, options), pool)
            for part, kept in (("data", dtype), ("indices", index_dtype))
        )
        for block in blocks:
            counts.append(np.diff(block.indptr))
            data.append(block.data)
            indices.append(block.indices)
        data.close()
        indices.close()
    _write_pointers(group, counts, data.length, options)


def _growing(
    group: h5py.Group, name: str, dtype: np.dtype[Any], most: int, options: Mapping[str, Any]
) -> h5py.Dataset:
    """An empty one-dimensional dataset for up to about ``most`` values."""
    chunk = chunk_shape((most,), dtype.itemsize, chunk_bytes_of(options, CHUNK_BYTES))
    made = {"maxshape": (None,), "chunks": chunk, **kwargs_for(options, dtype)}
    return group.create_dataset(name, shape=(0,), dtype=dtype, **made)


def _write_pointers(
    group: h5py.Group, counts: list[Any], total: int, options: Mapping[str, Any]
) -> None:
    dtype = np.int32 if total <= np.iinfo(np.int32).max else np.int64
    ends = np.cumsum(np.concatenate(counts), dtype=np.int64) if counts else np.empty(0, np.int64)
    pointers = np.concatenate([[0], ends]).astype(dtype)
    chunk = chunk_shape(pointers.shape, pointers.itemsize, CHUNK_BYTES)
    made = {"maxshape": (None,), "chunks": chunk, **kwargs_for(options, dtype)}
    group.create_dataset("indptr", data=pointers, **made)


def _most_values(x: da.Array) -> int:
    """Upper bound of what will be stored, so that small matrices get small chunks."""
    recipe = recipe_of(x)
    stored = None if recipe is None else recipe.source.stored_per_line()
    if recipe is None or stored is None:
        return int(np.prod(x.shape))
    lines = recipe.cols if recipe.source.format == "csc" else recipe.rows
    return int(stored[lines].sum())
