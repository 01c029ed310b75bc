"""Ranges of one-dimensional arrays and boxes of others, each chunk touched once."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from lazyomics.compiled import compiler_is_up
from lazyomics.io.hdf5 import batch_decode
from lazyomics.io.hdf5.codecs import Buffer
from lazyomics.io.hdf5.fetch import RUN_BYTES, ChunkRequest, Source
from lazyomics.io.hdf5.layout import ChunkTable, Grid, pipeline_of
from lazyomics.io.hdf5.pipeline import Place, runs
from lazyomics.lazy.indexer import Positions, Selector

__all__ = [
    "Axis",
    "ChunkSource",
    "Pieces",
    "fetch_pieces",
    "is_worth_a_loop",
    "read_boxes",
    "read_pieces",
    "scatter",
]


class ChunkSource(Protocol):
    """An array whose chunks are decoded as wholes."""

    @property
    def grid(self) -> Grid:
        """The chunks."""

    def fetch(self, wanted: ChunkRequest, out: np.ndarray[Any, Any], place: Place) -> None:
        """Decode the wanted chunks into ``out``, or hand them to ``place``."""


# A call saves some 40 µs for each part. The first one of a process imports numba, which takes
# 0.3 s: only for a dataset of which thousands of parts may be read.
WORTH_A_LOOP, LARGE_DATASET = 16, 64 << 20


def is_worth_a_loop(source: Source, parts: int) -> bool:
    """Choose for one read of ``parts``."""
    if not source.file.is_local or parts < WORTH_A_LOOP:
        return False
    known = source.known.fingerprint
    size = math.prod(known.shape) * np.dtype(known.dtype).itemsize
    return compiler_is_up() or size >= LARGE_DATASET


# Small pieces of unfiltered data closer than this are read together.
_GAP_BYTES, _SMALL_BYTES, _WINDOW_BYTES = 4096, 1 << 16, 1 << 20

# More pieces than this, shorter than that, are copied by an index instead of one by one.
_MANY, _SHORT = 8, 64


@dataclass(frozen=True, eq=False)
class Pieces:
    """Ranges cut at chunk borders, ordered by chunk.

    Parameters
    ----------
    numbers
        (c,), int64: the chunks that are hit, ascending, each once.
    first
        (c + 1,), int64: pieces ``first[k]`` to ``first[k + 1]`` lie in chunk k.
    source, length, target
        (p,), int64, in elements: where a piece starts in its chunk, how long it is, where it goes.
    total
        Elements of all ranges.
    """

    numbers: Positions
    first: Positions
    source: Positions
    length: Positions
    target: Positions
    total: int

    @classmethod
    def of(cls, starts: Positions, stops: Positions, chunk: int) -> Pieces:
        """Cut ranges; they may be unsorted, overlap, repeat or be empty.

        Examples
        --------
        >>> import numpy as np
        >>> pieces = Pieces.of(np.array([8, 0]), np.array([12, 2]), 10)
        >>> pieces.numbers, pieces.first, pieces.source, pieces.length, pieces.target
        (array([0, 1]), array([0, 2, 3]), array([8, 0, 0]), array([2, 2, 2]), array([0, 4, 2]))
        """
        if len(starts) == 1 and stops[0] > starts[0]:
            return cls._of_one(int(starts[0]), int(stops[0]), chunk)
        total = int((stops - starts).sum())
        starts, stops, target = _joined(starts, stops)
        low = starts // chunk
        count = (stops - 1) // chunk - low + 1
        pieces = int(count.sum())
        owner = np.repeat(np.arange(len(starts)), count)
        number = np.arange(pieces) + np.repeat(low - (np.cumsum(count) - count), count)
        begin = np.maximum(starts[owner], number * chunk)
        length = np.minimum(stops[owner] - number * chunk, chunk) + number * chunk - begin
        target = target[owner] + begin - starts[owner]
        source = begin - number * chunk
        if (number[1:] < number[:-1]).any():
            order = np.argsort(number, kind="stable")
            number, source = number[order], source[order]
            length, target = length[order], target[order]
        head = np.flatnonzero(np.diff(number, prepend=-1))
        return cls(number[head], np.append(head, pieces), source, length, target, total)

    @classmethod
    def _of_one(cls, start: int, stop: int, chunk: int) -> Pieces:
        """Cut one range, as a pass over the data asks for: the same with less to compute."""
        number = np.arange(start // chunk, (stop - 1) // chunk + 1)
        target = number * chunk - start
        length = np.full(len(number), chunk)
        length[-1] = stop - number[-1] * chunk
        source = np.zeros(len(number), np.int64)
        source[0] = -target[0]
        length[0] += target[0]
        target[0] = 0
        return cls(number, np.arange(len(number) + 1), source, length, target, stop - start)


def _joined(starts: Positions, stops: Positions) -> tuple[Positions, Positions, Positions]:
    """Ranges without the empty ones, those that continue each other joined; where each goes."""
    target = np.cumsum(stops - starts) - (stops - starts)
    keep = stops > starts
    starts, stops, target = starts[keep], stops[keep], target[keep]
    head = np.ones(len(starts), bool)
    head[1:] = starts[1:] != stops[:-1]
    tail = np.append(head[1:], True)[: len(starts)]
    return starts[head], stops[tail], target[head]


def read_pieces(source: Source, pieces: Pieces, out: np.ndarray[Any, Any]) -> None:
    """Fill ``out`` (pieces.total,), of the stored dtype, with all pieces.

    Notes
    -----
    Peak memory: the output, one run of stored chunks (about 1 MiB), one decoded chunk, and 48
    bytes for each piece.
    """
    if source.is_plain:
        _read_plain(source, pieces, out)
        return

    wanted = _wanted(source, pieces, out.itemsize)
    fetch_pieces(source, pieces, out, wanted, _left_by_one_call(source, pieces, wanted, out))


def fetch_pieces(
    source: ChunkSource,
    pieces: Pieces,
    out: np.ndarray[Any, Any],
    wanted: ChunkRequest | None = None,
    left: Positions | None = None,
) -> None:
    """Fill ``out`` with pieces of whole chunks that a source decodes.

    Parameters
    ----------
    source
        The array.
    pieces, out
        As `read_pieces` takes them.
    wanted, left
        What is asked for, and which of these chunks are not in ``out`` yet; by default all.
    """
    wanted = _wanted(source, pieces, out.itemsize) if wanted is None else wanted
    left = np.arange(len(wanted.numbers)) if left is None else left

    def place(k: int, values: np.ndarray[Any, Any]) -> None:
        part = slice(int(pieces.first[left[k]]), int(pieces.first[left[k] + 1]))
        scatter(out, pieces.target[part], values, pieces.source[part], pieces.length[part])

    if len(left):
        source.fetch(wanted.only(left), out, place)


def _left_by_one_call(
    source: Source, pieces: Pieces, wanted: ChunkRequest, out: np.ndarray[Any, Any]
) -> Positions:
    """Read chunks of a local file, which are many; return those that this way cannot read."""
    every = np.arange(len(wanted.numbers))
    fingerprint, table = source.known.fingerprint, source.known.table
    if fingerprint.kind != "chunked" or not is_worth_a_loop(source, len(every)):
        return every
    pipeline = pipeline_of(fingerprint)
    plan = batch_decode.plan_of(pipeline)
    if plan is None:
        return every
    rows = table.rows(wanted.numbers)
    here = np.flatnonzero(rows >= 0)
    here = here[table.mask[rows[here]] == 0]  # with all filters
    here = here[np.argsort(table.offset[rows[here]], kind="stable")]
    offset, size = table.offset[rows[here]], table.size[rows[here]]
    source.locate(offset, size)
    extents = batch_decode.Extents(np.array(runs(offset, size, RUN_BYTES)), offset, size)
    # What is decoded in place needs no copies, unless other ranges want it, too.
    place = np.where(wanted.shared[here], -1, wanted.targets[here] // out.itemsize)
    first, last = pieces.first[:-1][here], pieces.first[1:][here]
    copies = batch_decode.Copies(
        place,
        first,
        np.where(place < 0, last, first),
        pieces.target,
        pieces.source,
        pieces.length,
    )
    done = batch_decode.decode_runs(source.file.descriptor, plan, extents, copies, out)
    source.file.total += int(size[done].sum())
    every[here[done]] = -1
    return every[every >= 0]


def _wanted(source: ChunkSource, pieces: Pieces, itemsize: int) -> ChunkRequest:
    """Chunks needed whole are decoded into the place of their first whole piece."""
    if len(pieces.length) == len(pieces.numbers):  # one of each chunk
        whole = pieces.length == source.grid.elements
        alone = np.zeros(len(pieces.numbers), bool)
        return ChunkRequest(pieces.numbers, np.where(whole, pieces.target * itemsize, -1), alone)
    count = np.diff(pieces.first)
    targets = np.full(len(pieces.numbers), -1, np.int64)
    whole = np.flatnonzero(pieces.length == source.grid.elements)[::-1]
    chunk = np.searchsorted(pieces.first, whole, side="right") - 1
    targets[chunk] = pieces.target[whole] * itemsize
    return ChunkRequest(pieces.numbers, targets, count > 1)


def _read_plain(source: Source, pieces: Pieces, out: np.ndarray[Any, Any]) -> None:
    table = source.known.table
    if source.known.fingerprint.kind == "contiguous":
        table = ChunkTable.of_pages(source.known.fingerprint, pieces.numbers)
    rows = np.repeat(table.rows(pieces.numbers), np.diff(pieces.first))
    for k in np.flatnonzero(rows < 0).tolist():
        start = int(pieces.target[k])
        out[start : start + int(pieces.length[k])] = source.known.fill
    here = np.flatnonzero(rows >= 0)
    rows, itemsize = rows[here], out.itemsize
    length = pieces.length[here] * itemsize
    inner = pieces.source[here] * itemsize
    source.locate(table.offset[rows] + inner, np.maximum(length, table.size[rows] - inner))
    _read_extents(source, table.offset[rows] + inner, length, pieces.target[here] * itemsize, out)


def _read_extents(
    source: Source,
    position: Positions,
    length: Positions,
    target: Positions,
    out: np.ndarray[Any, Any],
) -> None:
    """Read byte extents: large ones straight into the output, small neighbours together."""
    order = np.argsort(position, kind="stable")
    position, length, target = position[order], length[order], target[order]
    follows = (position[1:] == position[:-1] + length[:-1]) & (
        target[1:] == target[:-1] + length[:-1]
    )
    head = np.flatnonzero(np.append(True, ~follows)[: len(position)])
    length = np.add.reduceat(length, head) if len(head) else length
    position, target = position[head], target[head]
    bounds = _windows(position, length, out.itemsize)
    if _read_in_one_call(source, bounds, position, length, target, out):
        return
    view = Buffer(out).view
    heads = np.array(bounds[:-1], np.int64)
    if len(heads):
        ends = np.maximum.reduceat(position + length, heads)
        source.file.expect(position[heads], ends - position[heads])
    for a, b in itertools.pairwise(bounds):
        start = int(position[a])
        if b - a == 1:
            goal = int(target[a])
            source.read(view[goal : goal + int(length[a])], start)
            continue
        window = np.empty(int((position[a:b] + length[a:b]).max()) - start, np.uint8)
        source.read(window.data, start)
        size = out.itemsize
        values = window[: len(window) // size * size].view(out.dtype)
        scatter(
            out, target[a:b] // size, values, (position[a:b] - start) // size, length[a:b] // size
        )


def _read_in_one_call(
    source: Source,
    bounds: list[int],
    position: Positions,
    length: Positions,
    target: Positions,
    out: np.ndarray[Any, Any],
) -> bool:
    """Read extents of a local file, which are many; whether that was possible."""
    if not is_worth_a_loop(source, len(position)):
        return False
    extents = batch_decode.Extents(np.array(bounds), position, length)
    if not batch_decode.is_possible() or not batch_decode.read_extents(
        source.file.descriptor, extents, target, out
    ):
        return False
    source.file.total += int(extents.runs.sum())
    return True


def _windows(position: Positions, length: Positions, itemsize: int) -> list[int]:
    """Bounds of groups of extents that one read of a bounded stretch serves."""
    if len(position) == 0:
        return [0]
    gap = position[1:] - (position[:-1] + length[:-1])
    far = (gap > _GAP_BYTES) | (length[1:] >= _SMALL_BYTES) | (length[:-1] >= _SMALL_BYTES)
    window = (position - position[0]) // _WINDOW_BYTES
    unaligned = (position[1:] - position[:-1]) % itemsize != 0
    breaks = np.flatnonzero(far | unaligned | (window[1:] != window[:-1])) + 1
    return [0, *breaks.tolist(), len(position)]


def scatter(
    out: np.ndarray[Any, Any],
    target: Positions,
    values: np.ndarray[Any, Any],
    source: Positions,
    length: Positions,
) -> None:
    """Copy pieces of ``values`` to their places."""
    count = len(target)
    total = int(length.sum()) if count > _MANY else 0
    if count <= _MANY or total > count * _SHORT:
        for t, s, n in zip(target.tolist(), source.tolist(), length.tolist(), strict=True):
            out[t : t + n] = values[s : s + n]
        return
    within = np.arange(total) - np.repeat(np.cumsum(length) - length, length)
    out[np.repeat(target, length) + within] = values[np.repeat(source, length) + within]


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


def read_boxes(source: ChunkSource, axes: tuple[Axis, ...], out: np.ndarray[Any, Any]) -> None:
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
    source.fetch(ChunkRequest(numbers, targets, np.zeros(len(numbers), bool)), out, place)


def _targets(
    source: ChunkSource, axes: tuple[Axis, ...], out: np.ndarray[Any, Any], hits: tuple[int, ...]
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
