"""Rows and columns of a chunked array with two axes or more, each chunk touched once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazyomics.io.chunks.selection import Positions, Selector
from lazyomics.io.chunks.source import Source, Wanted

__all__ = ["Axis", "read_boxes"]


@dataclass(frozen=True)
class Axis:
    """A selection along one axis, cut at chunk borders.

    Parameters
    ----------
    length
        Positions selected.
    chunks
        Chunk coordinates that are hit, ascending.
    source, target
        For each of them, where the selected positions lie in the chunk and where they go.
    """

    length: int
    chunks: Positions
    source: tuple[Selector, ...]
    target: tuple[Selector, ...]

    @classmethod
    def of(cls, selected: Selector, chunk: int) -> Axis:
        """Cut a selection: a slice with step 1, or (n,) int64 positions in any order."""
        if isinstance(selected, slice):
            return cls._of_slice(selected.start, selected.stop, chunk)
        order = np.argsort(selected // chunk, kind="stable")
        ordered = selected[order]
        chunks, head = np.unique(ordered // chunk, return_index=True)
        source = tuple(p % chunk for p in np.split(ordered, head[1:])) if len(head) else ()
        target = tuple(np.split(order, head[1:])) if len(head) else ()
        return cls(len(selected), chunks, source, target)

    @classmethod
    def _of_slice(cls, start: int, stop: int, chunk: int) -> Axis:
        if stop <= start:
            return cls(0, np.zeros(0, np.int64), (), ())
        chunks = np.arange(start // chunk, (stop - 1) // chunk + 1)
        inner = [(max(start, c * chunk), min(stop, (c + 1) * chunk), c) for c in chunks.tolist()]
        source = tuple(slice(a - c * chunk, b - c * chunk) for a, b, c in inner)
        target = tuple(slice(a - start, b - start) for a, b, _ in inner)
        return cls(stop - start, chunks, source, target)


def read_boxes(source: Source, axes: tuple[Axis, ...], out: np.ndarray[Any, Any]) -> None:
    """Fill ``out`` with the selected positions of all axes.

    Parameters
    ----------
    source
        The dataset.
    axes
        A selection for each of its axes.
    out
        C-contiguous, shaped by the lengths of the selections, of the stored dtype.

    Notes
    -----
    Peak memory: the output, one run of stored chunks (about 1 MiB) and one decoded chunk.
    """
    hits = tuple(len(axis.chunks) for axis in axes)
    if math.prod(hits) == 0 or out.size == 0:
        return
    number = np.zeros(hits, np.int64)
    for k, (axis, count) in enumerate(zip(axes, source.grid.counts, strict=True)):
        number = number * count + axis.chunks.reshape(
            [-1 if j == k else 1 for j in range(len(axes))]
        )

    def place(k: int, values: np.ndarray[Any, Any]) -> None:
        where = np.unravel_index(k, hits)
        pairs = list(zip(axes, where, strict=True))
        goal = _mesh(tuple(axis.target[int(i)] for axis, i in pairs))
        out[goal] = values[_mesh(tuple(axis.source[int(i)] for axis, i in pairs))]

    numbers = number.reshape(-1)
    targets = _targets(source, axes, out, hits)
    source.fetch(Wanted(numbers, targets, np.zeros(len(numbers), bool)), out, place)


def _targets(
    source: Source, axes: tuple[Axis, ...], out: np.ndarray[Any, Any], hits: tuple[int, ...]
) -> Positions:
    """Chunks that fill whole rows of the output are decoded in place."""
    chunk = source.grid.chunk
    targets = np.full(math.prod(hits), -1, np.int64)
    spans = all(
        h == 1 and a.length == c and a.source == (slice(0, c),)
        for h, a, c in zip(hits[1:], axes[1:], chunk[1:], strict=True)
        if isinstance(a.source[0], slice)
    ) and all(isinstance(a.source[0], slice) for a in axes)
    if not spans:
        return targets
    row = math.prod(chunk[1:]) * out.itemsize
    for k, (inner, goal) in enumerate(zip(axes[0].source, axes[0].target, strict=True)):
        if inner == slice(0, chunk[0]) and isinstance(goal, slice):
            targets[k] = goal.start * row
    return targets


def _mesh(selectors: tuple[Selector, ...]) -> tuple[Any, ...]:
    """An index that combines selections along each axis."""
    if sum(isinstance(s, np.ndarray) for s in selectors) < 2:
        return selectors
    return np.ix_(*(np.arange(s.start, s.stop) if isinstance(s, slice) else s for s in selectors))
