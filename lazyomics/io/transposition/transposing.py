"""Store a matrix by the other axis, out of core: columns of rows become rows of columns.

The lines of the result are cut into windows that fit in memory. The source is read in blocks; each
block is turned over in memory and cut at the windows' boundaries, and the pieces are put aside in a
scratch file. Then window by window is put together from its pieces. Where the scratch file may not
take all pieces, the source is read several times, for some of the windows each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal

import dask.array as da
import h5py
import numpy as np
from numpy.typing import NDArray

from lazyomics import config
from lazyomics.graph import LazyMatrix, recipe_of, threads, windows, workers
from lazyomics.graph.plan import SMALLEST_BLOCK
from lazyomics.io.readers import CompressedReader
from lazyomics.io.stream import write_compressed
from lazyomics.io.transposition.scratch import ScratchFile, ScratchPlan
from lazyomics.kernels.block import CSCBlock, CSRBlock, SparseBlock

__all__ = ["Turned", "transpose_matrix"]

# of the memory budget: what one window of the result takes, and one of the blocks in flight
WINDOW_SHARE = 6
BLOCK_SHARE = 12


def transpose_matrix(
    parent: h5py.Group,
    name: str,
    x: da.Array,
    *,
    to: Literal["csr", "csc"],
    scratch: ScratchPlan,
    memory: int | None = None,
    dataset_kwargs: Mapping[str, Any],
) -> None:
    """Write a matrix whose blocks are of the other storage order as csr_matrix or csc_matrix.

    Parameters
    ----------
    parent, name
        Open group, writable, and the name of the new element.
    x
        Lazy matrix of row blocks for ``to="csc"``, of column blocks for ``to="csr"``.
    to
        How it is stored in the end.
    scratch
        Folder and most bytes of scratch.
    memory
        Bytes to hold; by default ``lazyomics.memory``.
    dataset_kwargs
        Compression of the datasets.

    Notes
    -----
    Passes over x: one over its indices (over x, if it is not as stored in a file), and one over x
    if the scratch budget holds its values with two indices each, else one for each part of it that
    fits. Peak memory: the budget.
    """
    turned = Turned.plan(x, to=to, memory=memory)
    write_compressed(
        parent,
        name,
        turned.blocks(scratch),
        kind=to,
        shape=(int(x.shape[0]), int(x.shape[1])),
        dtype=x.dtype,
        most=turned.most_values,
        options=dataset_kwargs,
    )


def _in_small_blocks(x: da.Array, target: int) -> da.Array:
    recipe = recipe_of(x)
    if recipe is None:
        return x
    target = max(SMALLEST_BLOCK, min(target, config.chunk_bytes()))
    return LazyMatrix.cook(replace(recipe, target_bytes=target, lines_per_block=None))


@dataclass
class _Piece:
    """Values of one block that belong to one window, ordered by line."""

    lines: NDArray[Any]
    indices: NDArray[Any]
    data: NDArray[Any]


class _Aside:
    """The pieces of one window, in the scratch file; read from there whenever asked for."""

    def __init__(self, file: ScratchFile) -> None:
        self._file = file
        self._parts: list[tuple[tuple[int, int, Any], ...]] = []

    def put(self, piece: _Piece) -> None:
        """Put one more piece aside."""
        arrays = (piece.lines, piece.indices, piece.data)
        self._parts.append(tuple((self._file.put(a), len(a), a.dtype) for a in arrays))

    def __iter__(self) -> Iterator[_Piece]:
        for part in self._parts:
            yield _Piece(*(self._file.get(*where) for where in part))


@dataclass
class Turned:
    """A matrix turned over: ``bounds`` cut the lines of the result into windows."""

    x: da.Array
    axis: int
    counts: NDArray[np.int64]  # stored values of each line of the result, or more
    bounds: tuple[int, ...]
    index_dtype: np.dtype[Any] = field(init=False)

    def __post_init__(self) -> None:
        long = self.x.shape[self.axis] > np.iinfo(np.int32).max
        self.index_dtype = np.dtype(np.int64 if long else np.int32)

    @classmethod
    def plan(cls, x: da.Array, *, to: Literal["csr", "csc"], memory: int | None = None) -> Turned:
        """Count what each line will hold, and cut the lines into windows that fit in memory."""
        axis = 0 if to == "csc" else 1
        budget = memory or config.memory()
        x = _in_small_blocks(x, budget // BLOCK_SHARE // threads())
        return cls._cut_by_bytes(x, axis, budget // WINDOW_SHARE)

    @classmethod
    def _cut_by_bytes(cls, x: da.Array, axis: int, window_bytes: int) -> Turned:
        counts = _line_counts(x, axis)
        ends = np.cumsum(counts * (x.dtype.itemsize + 8) + 16)
        bounds = [0]
        while bounds[-1] < len(counts):
            used = int(ends[bounds[-1] - 1]) if bounds[-1] else 0
            stop = int(np.searchsorted(ends, used + max(1, window_bytes), side="right"))
            bounds.append(max(stop, bounds[-1] + 1))
        return cls(x, axis, counts, tuple(bounds))

    @property
    def most_values(self) -> int:
        """Stored values of the result; more than these only where indices repeat."""
        return int(self.counts.sum())

    @property
    def piece_bytes(self) -> int:
        """Bytes of scratch for each value."""
        return 4 + self.index_dtype.itemsize + self.x.dtype.itemsize

    def blocks(self, scratch: ScratchPlan) -> Iterator[SparseBlock]:
        """Windows of the result, in order."""
        for low, high in self._groups(scratch.budget):
            if high == low + 1:  # a single window stays in memory
                yield self._window(low, [piece for _, piece in self._pieces(low, high)])
                continue
            with ScratchFile(scratch.folder) as file:
                aside = [_Aside(file) for _ in range(low, high)]
                for k, piece in self._pieces(low, high):
                    aside[k - low].put(piece)
                for k in range(low, high):
                    yield self._window(k, aside[k - low])

    def _groups(self, budget: int) -> Iterator[tuple[int, int]]:
        """Windows that one reading of the source serves."""
        ends = np.append(0, np.cumsum(self.counts))
        sizes = np.diff(ends[list(self.bounds)])
        low = 0
        while low < len(self.bounds) - 1:
            high, used = low + 1, int(sizes[low]) * self.piece_bytes
            while high < len(self.bounds) - 1:
                used += int(sizes[high]) * self.piece_bytes
                if used > budget:
                    break
                high += 1
            yield low, high
            low = high

    def _pieces(self, low: int, high: int) -> Iterator[tuple[int, _Piece]]:
        """Read the source once; give its values by window and, inside, by line."""
        start = 0
        for window in windows(self.x, axis=self.axis, size=workers()):
            while window:
                block = window.pop(0)
                size = block.shape[self.axis]
                yield from self._cut(block, start, low, high)
                start += size

    def _cut(self, block: Any, start: int, low: int, high: int) -> Iterator[tuple[int, _Piece]]:
        turned = block.tocsc() if self.axis == 0 else block.tocsr()
        for k in range(low, high):
            first, last = self.bounds[k], self.bounds[k + 1]
            pointers = turned.indptr[first : last + 1]
            a, b = int(pointers[0]), int(pointers[-1])
            if a == b:
                continue
            lines = np.repeat(np.arange(last - first, dtype=np.int32), np.diff(pointers))
            indices = turned.indices[a:b].astype(self.index_dtype) + self.index_dtype.type(start)
            yield k, _Piece(lines, indices, turned.data[a:b].copy())

    def _window(self, k: int, pieces: Iterable[_Piece]) -> SparseBlock:
        """Put the pieces of a window together: each line gets its values in their order."""
        n = self.bounds[k + 1] - self.bounds[k]
        counts = np.zeros(n, dtype=np.int64)
        for piece in pieces:
            counts += np.bincount(piece.lines, minlength=n)
        indptr = np.concatenate([[0], np.cumsum(counts)])
        data = np.empty(int(indptr[-1]), dtype=self.x.dtype)
        indices = np.empty(int(indptr[-1]), dtype=self.index_dtype)
        free = indptr[:-1].copy()
        for piece in pieces:
            mine = np.bincount(piece.lines, minlength=n)
            shift = free - (np.cumsum(mine) - mine)
            places = shift[piece.lines] + np.arange(len(piece.lines))
            data[places], indices[places] = piece.data, piece.indices
            free += mine
        minor = self.x.shape[self.axis]
        if self.axis == 0:
            return CSCBlock.from_arrays(data, indices, indptr, (minor, n))
        return CSRBlock.from_arrays(data, indices, indptr, (n, minor))


def _line_counts(x: da.Array, axis: int) -> NDArray[np.int64]:
    """Stored values of each line of the result; at least, where indices repeat."""
    n = x.shape[1 - axis]
    counts = np.zeros(n, dtype=np.int64)
    recipe = recipe_of(x)
    source = None if recipe is None or not recipe.is_plain else recipe.source
    if isinstance(source, CompressedReader):
        step = max(1, config.chunk_bytes() // 8)
        for a, b in pairwise((*range(0, source.indices.shape[0], step), source.indices.shape[0])):
            counts += source.count_inside(a, b)
        return counts
    for window in windows(x, axis=axis, size=workers()):
        while window:
            counts += np.bincount(window.pop(0).indices, minlength=n)
    return counts
