"""Read, decode and place many chunks in one call that holds no lock of Python.

Chunks are small: a pass over an atlas decodes tens of thousands of them, 0.1 ms each. Between two
calls of a C library a thread needs Python's lock for some 20 µs. That is little for one thread, but
four of them wait for each other longer than they decode. So all calls are written into a table
first, which a loop then works off: read a run, decode its chunks, copy what is wanted. It knows no
errors: a chunk that was not read or decoded is left, for the slower way to say what is wrong with
it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lazyomics.io.chunks.c_calls import DecoderCall, decoder_call, system_calls
from lazyomics.io.chunks.c_loops import WORDS, CLoops, c_loops
from lazyomics.io.chunks.codecs import DEFLATE, LZF
from lazyomics.io.chunks.memory import Memory
from lazyomics.io.chunks.pipeline import SHUFFLE, Pipeline
from lazyomics.io.chunks.selection import Positions

__all__ = ["Copies", "Extents", "decode_runs", "is_supported", "read_extents"]

_FEWEST_SHUFFLED = 16  # elements that the loop takes at once


class Extents(NamedTuple):
    """Stretches of bytes in the order of the file, int64, in runs that are read at once.

    Parameters
    ----------
    bounds
        (r + 1,): run k holds stretches ``bounds[k]`` to ``bounds[k + 1]``, at least one.
    offset, size
        (n,): where each lies in the file.
    """

    bounds: Positions
    offset: Positions
    size: Positions

    @property
    def runs(self) -> Positions:
        """(r,): bytes of each run."""
        if len(self.bounds) < 2:
            return np.zeros(0, np.int64)
        ends = np.maximum.reduceat(self.offset + self.size, self.bounds[:-1])
        return ends - self.begins

    @property
    def begins(self) -> Positions:
        """(r,): where each run begins."""
        return self.offset[self.bounds[:-1]]

    def of_each(self, values: Positions) -> Positions:
        """(n,): for each stretch the value of its run."""
        return np.repeat(values, np.diff(self.bounds))


class Copies(NamedTuple):
    """What of each decoded chunk goes where in the output, int64, in bytes.

    Parameters
    ----------
    direct
        (n,): where the whole chunk is decoded to, or -1.
    first, last
        (n,): pieces ``first[k]`` to ``last[k]`` are copied from chunk k.
    pieces
        (p, 3): where each goes, where it begins in its chunk, and its length.
    """

    direct: Positions
    first: Positions
    last: Positions
    pieces: NDArray[np.int64]


def is_supported(pipeline: Pipeline | None) -> bool:
    """Whether chunks with these filters (None: unfiltered bytes) can be read here."""
    loops = c_loops()
    if loops is None or system_calls() is None:
        return False
    return pipeline is None or _plan(pipeline, loops) is not None


def decode_runs(
    descriptor: int, pipeline: Pipeline, extents: Extents, copies: Copies, out: np.ndarray[Any, Any]
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Decode chunks into ``out``, as far as that goes without an error.

    Parameters
    ----------
    descriptor
        An open file.
    pipeline
        Filters, which `is_supported`.
    extents, copies
        What is read, and where it goes: places that lie inside ``out``.
    out
        C-contiguous.

    Returns
    -------
    For each chunk whether it was read, decoded and placed.

    Notes
    -----
    Memory: the longest run, one decoded chunk (two if they are shuffled), and up to 190 bytes for
    each chunk.
    """
    loops, (read, memcpy) = _loops()
    decoder, width = _plan(pipeline, loops) or _unsupported()
    if len(extents.offset) == 0:
        return np.zeros(0, bool)
    state, goal = decoder.make_state(), Memory(out)
    buffer, whole = Memory.empty(int(extents.runs.max())), Memory.empty(pipeline.chunk_bytes)
    planes = Memory.empty(pipeline.chunk_bytes if width > 1 else 0)
    pieces = np.ascontiguousarray(copies.pieces)

    copied = copies.last > copies.first
    reads, ends = _rows(extents.bounds, 1 + int(width > 1) + copied)
    decodes = ends - copied - (width > 1) - 1
    place = np.where(copies.direct >= 0, goal.address + copies.direct, whole.address)
    stored = buffer.address + extents.offset - extents.of_each(extents.begins)
    into = place if width == 1 else planes.address

    calls = np.zeros((int(ends[-1]), WORDS), np.int64)
    _write(calls, reads, read, descriptor, buffer.address, extents.runs, extents.begins)
    words = _decoder_words(decoder.filter_id, state, stored, extents.size, into, len(whole))
    _write(calls, decodes, decoder.function, *words)
    if width > 1:
        elements = len(whole) // width
        _write(calls, decodes + 1, loops.unshuffle[width], planes.address, elements, place)
    first, last = copies.first[copied], copies.last[copied]
    where = (memcpy, pieces.ctypes.data, first, last, place[copied], goal.address)
    _write(calls, ends[copied] - 1, loops.copy_pieces, *where)

    found = loops.run(calls)
    needed = extents.offset + extents.size - extents.of_each(extents.begins)
    is_read = extents.of_each(found[reads]) >= needed
    return is_read & _is_decoded(decoder.filter_id, found[decodes], len(whole))


def read_extents(
    descriptor: int, extents: Extents, target: Positions, out: np.ndarray[Any, Any]
) -> bool:
    """Read stretches of bytes to their places; False if the file ends before.

    Parameters
    ----------
    descriptor
        An open file.
    extents
        The stretches.
    target
        (n,), int64, in bytes: where each goes, inside of ``out``.
    out
        C-contiguous.
    """
    loops, (read, memcpy) = _loops()
    if len(extents.offset) == 0:
        return True
    goal, buffer = Memory(out), Memory.empty(int(extents.runs.max()))
    heads, copied = extents.bounds[:-1], np.diff(extents.bounds) > 1  # others go straight there
    pieces = np.stack(
        (target, extents.offset - extents.of_each(extents.begins), extents.size), axis=1
    )

    ends = np.cumsum(1 + copied)
    reads = ends - copied - 1
    into = np.where(copied, buffer.address, goal.address + target[heads])
    calls = np.zeros((int(ends[-1]), WORDS), np.int64)
    _write(calls, reads, read, descriptor, into, extents.runs, extents.begins)
    first, last = heads[copied], extents.bounds[1:][copied]
    where = (memcpy, pieces.ctypes.data, first, last, buffer.address, goal.address)
    _write(calls, ends[copied] - 1, loops.copy_pieces, *where)
    return bool((loops.run(calls)[reads] == extents.runs).all())


def _loops() -> tuple[CLoops, tuple[int, int]]:
    loops, system = c_loops(), system_calls()
    if loops is None or system is None:
        raise ValueError("a system without such loops")
    return loops, system


def _unsupported() -> tuple[DecoderCall, int]:
    raise ValueError("filters without a decoder for loops")


def _plan(pipeline: Pipeline, loops: CLoops) -> tuple[DecoderCall, int] | None:
    """Its decoder, and the bytes of a shuffled element (1 if there is no shuffle)."""
    filters, width = list(pipeline.filters), 1
    if filters and filters[0][0] == SHUFFLE:
        _, values = filters.pop(0)
        width = max(1, values[0]) if values else 1
    if len(filters) != 1 or pipeline.chunk_bytes % width or pipeline.chunk_bytes >= 1 << 31:
        return None
    few = pipeline.chunk_bytes < width * _FEWEST_SHUFFLED
    if width > 1 and (few or width not in loops.unshuffle):
        return None
    decoder = decoder_call(filters[0][0])
    return None if decoder is None else (decoder, width)


def _rows(bounds: Positions, steps: Positions) -> tuple[Positions, Positions]:
    """Rows of the table: of each run's reading, and behind the last of the steps of each chunk."""
    opening = np.zeros(len(steps), np.int64)
    opening[bounds[:-1]] = 1
    ends = np.cumsum(steps + opening)
    return (ends - steps)[bounds[:-1]] - 1, ends


def _write(calls: NDArray[np.int64], rows: Positions, *words: int | Positions) -> None:
    """Write calls into rows of the table; words are the same for all, or one for each."""
    for k, word in enumerate(words):
        calls[rows, k] = word


def _decoder_words(
    filter_id: int, state: Any, stored: Positions, size: Positions, into: Any, room: int
) -> tuple[Any, ...]:
    """What a decoder is called with, in its own order."""
    if filter_id == LZF:
        return stored, size, into, room
    if filter_id == DEFLATE:
        return state.address, stored, size, into, room
    return state.address, into, room, stored, size


def _is_decoded(filter_id: int, found: Positions, room: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if filter_id == DEFLATE:  # an int that is 0 if all is well
        return found.astype(np.int32) == 0
    if filter_id == LZF:  # an unsigned int
        return found.astype(np.uint32) == room
    return found == room
