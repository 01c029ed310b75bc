"""Write a matrix block by block: memory stays at a window of blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import h5py
import numpy as np
from dask.system import CPU_COUNT

from lazyomics.graph.scheduler import threads
from lazyomics.io.chunk_writer import CHUNK_BYTES, ChunkWriter, chunk_pool
from lazyomics.io.dataset_options import chunk_bytes_of, kwargs_for
from lazyomics.io.matrix_blocks import MatrixBlocks

if TYPE_CHECKING:
    from lazyomics.graph.filling import Lines
    from lazyomics.kernels.block import SparseBlock

__all__ = ["stream_matrix", "write_compressed"]


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
