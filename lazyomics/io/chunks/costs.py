"""What reading parts of an array would cost. Only positions of chunks are read for it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from lazyomics.io.chunks.boxes import Axis
from lazyomics.io.chunks.cache import known
from lazyomics.io.chunks.files import open_raw
from lazyomics.io.chunks.layout import Grid
from lazyomics.io.chunks.ranges import Pieces
from lazyomics.io.chunks.selection import Positions, RowRanges, Selection, selector
from lazyomics.io.chunks.stored import StoredArray
from lazyomics.io.chunks.table import ChunkTable

__all__ = ["cost_of_box", "cost_of_ranges", "extents_of_ranges"]


def cost_of_ranges(
    array: StoredArray, starts: npt.ArrayLike, stops: npt.ArrayLike
) -> tuple[int, int]:
    """Chunks that ``array.read_ranges`` would decode, and stored bytes."""
    low, high = array.checked_ranges(starts, stops)
    numbers = Pieces.of(low, high, Grid.of(array.fingerprint).chunk[0]).numbers
    return _stored(array, numbers, int((high - low).sum()))


def cost_of_box(
    array: StoredArray, rows: Selection, cols: Selection | None = None
) -> tuple[int, int]:
    """Chunks that ``array.read_2d`` would decode, and stored bytes."""
    picks = [selector(rows, array.shape[0]), *(slice(0, n) for n in array.shape[1:])]
    if cols is not None:
        picks[1] = selector(cols, array.shape[1])
    grid = Grid.of(array.fingerprint)
    if array.fingerprint.kind == "contiguous":
        plan = RowRanges.of(array.shape, picks[0], None if cols is None else picks[1])
        hit = Pieces.of(plan.starts, plan.starts + plan.span, grid.chunk[0]).numbers
        return _stored(array, hit, len(plan.starts) * plan.span)
    axes = [Axis.of(pick, c) for pick, c in zip(picks, grid.chunk, strict=True)]
    coordinates = np.meshgrid(*(axis.chunks for axis in axes), indexing="ij")
    numbers = np.ravel_multi_index(tuple(coordinates), grid.counts).reshape(-1)
    return _stored(array, numbers, math.prod(axis.length for axis in axes))


def extents_of_ranges(
    array: StoredArray, starts: npt.ArrayLike, stops: npt.ArrayLike
) -> tuple[Positions, Positions]:
    """Positions and lengths in the file of what ``array.read_ranges`` would read there."""
    low, high = array.checked_ranges(starts, stops)
    if array.fingerprint.kind == "contiguous":
        itemsize = np.dtype(array.dtype).itemsize
        first = array.fingerprint.offset or 0
        return first + low * itemsize, (high - low) * itemsize
    if array.fingerprint.kind == "other":
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    pieces = Pieces.of(low, high, Grid.of(array.fingerprint).chunk[0])
    table = _table(array)
    rows = table.rows(pieces.numbers)
    rows = rows[rows >= 0]
    return table.offset[rows], table.size[rows]


def _stored(array: StoredArray, numbers: Positions, elements: int) -> tuple[int, int]:
    """How many chunks these are, and their stored bytes (unfiltered ones are read in part)."""
    if array.fingerprint.kind != "chunked" or not array.fingerprint.filters:
        return len(numbers), elements * np.dtype(array.dtype).itemsize
    table = _table(array)
    rows = table.rows(numbers)
    return len(numbers), int(table.size[rows[rows >= 0]].sum())


def _table(array: StoredArray) -> ChunkTable:
    with open_raw(array.path) as file:
        return known(file, array.name, array.fingerprint, array.opened_ns).table
