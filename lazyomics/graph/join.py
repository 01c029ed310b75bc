"""Join matrices lazily: through their recipes where all have one, else as dask arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dask.array as da
import numpy as np

from lazyomics.graph.joined import JoinedPart, JoinedSource
from lazyomics.graph.kinds import is_in_memory, to_memory_format
from lazyomics.graph.matrix import from_source, recipe_of
from lazyomics.graph.memory_source import MemorySource
from lazyomics.graph.placing import as_rows, filled, local_positions, place
from lazyomics.graph.recipe import Recipe
from lazyomics.graph.rows import lazy
from lazyomics.graph.selection import Positions
from lazyomics.kernels.block import SparseBlock, as_block

__all__ = ["join_matrices"]


def join_matrices(
    matrices: Sequence[Any],
    *,
    axis: int,
    lengths: Sequence[int],
    places: Sequence[Positions | slice | None],
    width: int,
    fill: Any = None,
    sparse: bool | None = None,
) -> Any:
    """Join matrices along one axis. Reads no values of lazy ones.

    Parameters
    ----------
    matrices
        Lazy or in memory; None for one that is missing.
    axis
        0 puts rows under each other, 1 columns beside each other.
    lengths
        Their sizes along the axis.
    places
        For each matrix: the position in it of each position of the other axis of the result, −1
        for none; a slice of the result that it fills in order; or None if they are the same.
    width
        Size of the other axis.
    fill
        Value where a matrix has nothing; by default 0 if a matrix is sparse, else NaN.
    sparse
        Whether the result is sparse; by default if one of the matrices is.

    Returns
    -------
    A lazy matrix; in memory (csr_matrix or ndarray) if all matrices are. It is CSR as soon as one
    of them is sparse, in any storage.
    """
    dense_only = not any(_is_sparse(m) for m in matrices)
    if sparse is None:
        sparse = not dense_only
    if fill is None:
        fill = 0 if sparse else np.nan
    dtype = _common_dtype(matrices, lengths, places, width, fill, sparse)
    parts = []
    for matrix, length, where in zip(matrices, lengths, places, strict=True):
        recipe = _recipe(matrix)
        if recipe is None and matrix is not None:
            arrays = _Arrays(axis, width, fill, sparse, dtype)
            return arrays.join(matrices, lengths, places)
        parts.append(JoinedPart(recipe, length, where))
    source = JoinedSource(tuple(parts), axis, width, sparse, dtype.str, fill)
    if all(m is None or is_in_memory(m) for m in matrices):
        n_rows, n_cols = source.shape
        block = source.read(slice(0, n_rows, 1), slice(0, n_cols, 1))
        return to_memory_format(block.copy() if len(parts) == 1 else block)
    return from_source(source)


def _is_sparse(matrix: Any) -> bool:
    if isinstance(matrix, da.Array):
        return isinstance(matrix._meta, SparseBlock)
    return matrix is not None and not isinstance(matrix, np.ndarray)


def _recipe(matrix: Any) -> Recipe | None:
    if matrix is not None and is_in_memory(matrix):
        return Recipe.of(MemorySource.of(matrix))
    return recipe_of(matrix)


def _common_dtype(
    matrices: Sequence[Any],
    lengths: Sequence[int],
    places: Sequence[Positions | slice | None],
    width: int,
    fill: Any,
    sparse: bool,
) -> np.dtype[Any]:
    """Type that holds all values and, where something is filled, the fill value."""
    found: list[np.dtype[Any]] = []
    for matrix, where in zip(matrices, places, strict=True):
        if matrix is None:
            found.append(np.dtype(np.float64))
            continue
        dtype = np.dtype(matrix.dtype)
        gaps = where is not None and bool((local_positions(where, slice(0, width, 1)) < 0).any())
        if gaps and sparse and fill:
            dtype = np.result_type(dtype, np.asarray(fill).dtype)
        elif gaps and not sparse:
            dtype = np.result_type(dtype, fill)
        found.append(dtype)
    return np.result_type(*found)


class _Arrays:
    """Joins dask arrays that were changed by ordinary operations, block by block."""

    def __init__(
        self, axis: int, width: int, fill: Any, sparse: bool, dtype: np.dtype[Any]
    ) -> None:
        self.axis, self.width, self.fill = axis, width, fill
        self.sparse, self.dtype = sparse, dtype

    def join(
        self,
        matrices: Sequence[Any],
        lengths: Sequence[int],
        places: Sequence[Positions | slice | None],
    ) -> da.Array:
        """Join them; columns beside each other get the row blocks of the first."""
        aligned: list[da.Array] = []
        for matrix, length, where in zip(matrices, lengths, places, strict=True):
            shape = (length, self.width) if self.axis == 0 else (self.width, length)
            x = self._missing(shape) if matrix is None else self._aligned(lazy(matrix), where)
            aligned.append(x)
        if self.axis == 0:
            return da.concatenate(aligned, axis=0)
        rows = aligned[0].chunks[0]
        beside = [x.rechunk({0: rows}) for x in aligned]
        return da.concatenate(beside, axis=1).rechunk({1: -1})

    def _aligned(self, x: da.Array, places: Positions | slice | None) -> da.Array:
        """Bring a matrix to the type of the result and to its positions on the other axis."""
        here = None if places is None else local_positions(places, slice(0, self.width, 1))
        if self.axis == 0:
            return self._map(x, here)
        x = self._map(x, None)
        if here is None:
            return x
        below = self._missing((1, x.shape[1]))
        return da.concatenate([x, below])[np.where(here < 0, x.shape[0], here), :]

    def _map(self, x: da.Array, here: Positions | None) -> da.Array:
        options = {
            "here": here,
            "fill": self.fill,
            "values": self.dtype.str,
            "sparse": self.sparse,
        }
        meta = filled((0, 0), 0.0, self.dtype, sparse=self.sparse)
        width = x.shape[1] if here is None else len(here)
        return x.map_blocks(
            _convert, **options, dtype=self.dtype, meta=meta, chunks=(x.chunks[0], (width,))
        )

    def _missing(self, shape: tuple[int, int]) -> da.Array:
        part = JoinedPart(None, shape[0])
        source = JoinedSource((part,), 0, shape[1], self.sparse, self.dtype.str, self.fill)
        return from_source(source)


def _convert(block: Any, *, here: Positions | None, fill: Any, values: str, sparse: bool) -> Any:
    block = as_block(block)
    if sparse:
        block = as_rows(block)
    block = block.astype(np.dtype(values))
    if here is None:
        return block
    present = np.flatnonzero(here >= 0)
    block = block[:, here[present]]
    return place(block, present, len(here), axis=1, fill=fill)
