"""Write simulated counts into an HDF5 file, a window of cells at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lazyomics.datasets.expression_model import ExpressionModel

__all__ = ["write_counts"]

CHUNK_ENTRIES = 32_768
# A column-major file needs the values of a gene from all cells: the cells are drawn again for each
# group of genes with this many values (128 MiB with float32 values), instead of held in memory.
CSC_ENTRIES = 2**24


def write_counts(
    parent: h5py.Group,
    model: ExpressionModel,
    n_obs: int,
    *,
    layout: str,
    dtype: np.dtype[Any],
    window: int,
    dataset_kwargs: dict[str, Any],
) -> None:
    """Write the counts of ``n_obs`` cells as the element ``X``.

    Parameters
    ----------
    parent
        Group that gets the element.
    model
        Where the cells come from.
    n_obs
        Number of cells.
    layout
        ``"csr"``, ``"csc"`` or ``"dense"``.
    dtype
        Of the stored values.
    window
        Cells drawn at a time.
    dataset_kwargs
        Passed to :meth:`h5py.Group.create_dataset`, e.g. the compression.
    """
    windows = _Windows(model, n_obs, dtype, window)
    if layout == "dense":
        _write_dense(parent, windows, dataset_kwargs)
        return
    group = parent.create_group("X")
    group.attrs["encoding-type"] = f"{layout}_matrix"
    group.attrs["encoding-version"] = "0.1.0"
    group.attrs["shape"] = np.array([n_obs, model.n_vars])
    kwargs = {"shape": (0,), "maxshape": (None,), "chunks": (CHUNK_ENTRIES,), **dataset_kwargs}
    group.create_dataset("data", dtype=dtype, **kwargs)
    group.create_dataset("indices", dtype=np.int32, **kwargs)
    indptr = _fill_csr(group, windows) if layout == "csr" else _fill_csc(group, windows)
    # Readers expect indptr as narrow as indices wherever the number of values allows it.
    narrow = np.int32 if indptr[-1] <= np.iinfo(np.int32).max else np.int64
    group.create_dataset("indptr", data=indptr.astype(narrow))


class _Windows:
    """The counts as windows of cells that can be gone through again and again."""

    def __init__(
        self, model: ExpressionModel, n_obs: int, dtype: np.dtype[Any], window: int
    ) -> None:
        self.shape = (n_obs, model.n_vars)
        self.dtype = dtype
        self._model = model
        self._window = window

    def __iter__(self) -> Iterator[tuple[int, csr_array]]:
        n_obs = self.shape[0]
        for start in range(0, n_obs, self._window):
            yield start, self._model.counts(start, min(start + self._window, n_obs))

    def cast(self, counts: NDArray[np.int32]) -> NDArray[Any]:
        values = counts.astype(self.dtype)
        if not np.array_equal(values, counts):
            raise ValueError(f"a count of {counts.max()} does not fit into dtype {self.dtype}")
        return values


def _append(group: h5py.Group, data: NDArray[Any], indices: NDArray[np.int32]) -> None:
    for name, values in (("data", data), ("indices", indices)):
        dataset = group[name]
        start = len(dataset)
        dataset.resize((start + len(values),))
        dataset[start:] = values


def _fill_csr(group: h5py.Group, windows: _Windows) -> NDArray[np.int64]:
    indptr = np.zeros(windows.shape[0] + 1, np.int64)
    for start, counts in windows:
        _append(group, windows.cast(counts.data), counts.indices)
        rows = slice(start + 1, start + 1 + counts.shape[0])
        indptr[rows] = indptr[start] + counts.indptr[1:]
    return indptr


def _fill_csc(group: h5py.Group, windows: _Windows) -> NDArray[np.int64]:
    n_vars = windows.shape[1]
    stored = np.zeros(n_vars, np.int64)
    for _, counts in windows:
        stored += np.bincount(counts.indices, minlength=n_vars)
    indptr = np.append(0, np.cumsum(stored))
    first = 0
    while first < n_vars:
        last = int(np.searchsorted(indptr, indptr[first] + CSC_ENTRIES, "right")) - 1
        last = min(max(last, first + 1), n_vars)
        _append(group, *_gather_columns(windows, indptr, first, last))
        first = last
    return indptr


def _gather_columns(
    windows: _Windows, indptr: NDArray[np.int64], first: int, last: int
) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Values and rows of the genes ``first`` to ``last``, from one more pass over all cells."""
    size = int(indptr[last] - indptr[first])
    data, rows = np.empty(size, windows.dtype), np.empty(size, np.int32)
    filled = indptr[first:last] - indptr[first]
    for start, counts in windows:
        part = counts[:, first:last].tocsc()
        lengths = np.diff(part.indptr)
        target = np.arange(part.nnz) + np.repeat(filled - part.indptr[:-1], lengths)
        data[target] = windows.cast(part.data)
        rows[target] = part.indices + start
        filled += lengths
    return data, rows


def _write_dense(parent: h5py.Group, windows: _Windows, dataset_kwargs: dict[str, Any]) -> None:
    dataset = parent.create_dataset("X", windows.shape, windows.dtype, **dataset_kwargs)
    dataset.attrs["encoding-type"] = "array"
    dataset.attrs["encoding-version"] = "0.2.0"
    for start, counts in windows:
        dataset[start : start + counts.shape[0]] = windows.cast(counts.toarray())
