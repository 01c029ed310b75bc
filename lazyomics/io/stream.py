"""Write a lazy matrix block by block: memory stays at a window of blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dask.array as da
import h5py
import numpy as np

from lazyomics.graph import lazy, recipe_of, windows, workers
from lazyomics.kernels.block import SparseBlock

__all__ = ["stream_matrix"]

CHUNK_VALUES = 1 << 18  # 1 MB of float32: few chunks to look up, and still quick to decode one


def stream_matrix(
    parent: h5py.Group, name: str, x: da.Array, *, dataset_kwargs: Mapping[str, Any]
) -> None:
    """Write a dask matrix as an ordinary array, csr_matrix or csc_matrix element.

    Parameters
    ----------
    parent
        Open group, writable.
    name
        Of the new element.
    x
        Matrix of shape (n, m); its blocks decide whether it is stored dense, CSR or CSC.
    dataset_kwargs
        Compression of the datasets.

    Notes
    -----
    Passes over x: one. Peak memory: two windows of one block for each worker.
    """
    recipe = recipe_of(x)
    by_columns = recipe is not None and recipe.by_columns
    if not by_columns:
        x = lazy(x)
    if isinstance(x._meta, SparseBlock):
        _stream_compressed(parent, name, x, 1 if by_columns else 0, dict(dataset_kwargs))
    else:
        _stream_dense(parent, name, x, dict(dataset_kwargs))


def _blocks(x: da.Array, axis: int) -> Iterator[Any]:
    """Blocks in order; the next window is computed while this one is written."""
    made = windows(x, axis=axis, size=workers())
    with ThreadPoolExecutor(1) as ahead:
        pending = ahead.submit(next, made, None)
        while (window := pending.result()) is not None:
            pending = ahead.submit(next, made, None)
            while window:
                yield window.pop(0)


def _stream_dense(parent: h5py.Group, name: str, x: da.Array, options: dict[str, Any]) -> None:
    dataset = parent.create_dataset(name, shape=x.shape, dtype=x.dtype, **options)
    dataset.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    start = 0
    for block in _blocks(x, 0):
        if len(block):
            dataset[start : start + len(block)] = np.asarray(block)
        start += len(block)


def _stream_compressed(
    parent: h5py.Group, name: str, x: da.Array, axis: int, options: dict[str, Any]
) -> None:
    group = parent.create_group(name)
    kind = "csr_matrix" if axis == 0 else "csc_matrix"
    group.attrs.update({"encoding-type": kind, "encoding-version": "0.1.0"})
    group.attrs["shape"] = np.asarray(x.shape, dtype=np.int64)
    index_dtype = np.int32 if x.shape[1 - axis] <= np.iinfo(np.int32).max else np.int64
    chunk = (min(CHUNK_VALUES, max(1, _most_values(x))),)
    made = {"maxshape": (None,), "chunks": chunk, **options}
    data = group.create_dataset("data", shape=(0,), dtype=x.dtype, **made)
    indices = group.create_dataset("indices", shape=(0,), dtype=index_dtype, **made)
    written, counts = 0, []
    for block in _blocks(x, axis):
        stop = written + len(block.data)
        counts.append(np.diff(block.indptr))
        data.resize((stop,))
        indices.resize((stop,))
        if stop > written:
            data[written:stop] = block.data
            indices[written:stop] = block.indices
        written = stop
    _write_pointers(group, counts, written, options)


def _write_pointers(
    group: h5py.Group, counts: list[Any], total: int, options: dict[str, Any]
) -> None:
    dtype = np.int32 if total <= np.iinfo(np.int32).max else np.int64
    ends = np.cumsum(np.concatenate(counts), dtype=np.int64) if counts else np.empty(0, np.int64)
    pointers = np.concatenate([[0], ends]).astype(dtype)
    group.create_dataset("indptr", data=pointers, maxshape=(None,), **options)


def _most_values(x: da.Array) -> int:
    """Upper bound of what will be stored, so that small matrices get small chunks."""
    recipe = recipe_of(x)
    stored = None if recipe is None else recipe.source.stored_per_line()
    if recipe is None or stored is None:
        return int(np.prod(x.shape))
    lines = recipe.cols if recipe.source.format == "csc" else recipe.rows
    return int(stored[lines].sum())
