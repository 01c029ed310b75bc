"""Read, decode and place many chunks in one call that holds no lock of Python.

Chunks are small: a pass over an atlas decodes tens of thousands of them, 0.1 ms each. Between two
calls of a C library a thread needs Python's lock for some 20 µs. That is little for one thread, but
four of them wait for each other longer than they decode. Here a compiled loop calls the system's
``pread`` and the decoder by their addresses. It knows no errors: a chunk that it cannot read or
decode is left, for the slower way to say what is wrong with it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba.extending import register_jitable

from lazyomics.io.chunks.c_calls import DecoderCall, call, decoder_call, system_calls
from lazyomics.io.chunks.codecs import DEFLATE, LZF
from lazyomics.io.chunks.pipeline import SHUFFLE, Pipeline
from lazyomics.io.chunks.selection import Positions
from lazyomics.kernels.compiled import compiled

__all__ = ["Copies", "Extents", "decode_runs", "is_supported", "read_extents"]

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Word = Any  # an int64 of the compiled loops, for sizes, addresses and positions


class Extents(NamedTuple):
    """Stretches of bytes in the order of the file, int64, in runs that are read at once.

    Parameters
    ----------
    bounds
        (r + 1,): run k holds stretches ``bounds[k]`` to ``bounds[k + 1]``.
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
        return ends - self.offset[self.bounds[:-1]]


class Copies(NamedTuple):
    """What of each decoded chunk goes where in the output, int64, in bytes.

    Parameters
    ----------
    direct
        (n,): where the whole chunk is decoded to, or -1.
    first, last
        (n,): pieces ``first[k]`` to ``last[k]`` are copied from chunk k.
    source, length, target
        (p,): of each piece.
    """

    direct: Positions
    first: Positions
    last: Positions
    source: Positions
    length: Positions
    target: Positions


def is_supported(pipeline: Pipeline | None) -> bool:
    """Whether chunks with these filters (None: unfiltered bytes) can be read here."""
    if system_calls() is None:
        return False
    return pipeline is None or _plan(pipeline) is not None


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
    """
    system, plan = system_calls(), _plan(pipeline)
    if system is None or plan is None:
        raise ValueError("filters without a compiled loop")
    decoder, width = plan
    state = decoder.make_state()
    address = 0 if state is None else state.address
    calls = np.array([descriptor, *system, decoder.filter_id, decoder.function, address], np.int64)
    whole = np.empty(pipeline.chunk_bytes, np.uint8)
    shuffled = np.empty(pipeline.chunk_bytes if width > 1 else 0, np.uint8)
    done = np.zeros(len(extents.offset), np.bool_)
    buffer, flat = np.empty(extents.runs.max(initial=0), np.uint8), out.reshape(-1).view(np.uint8)
    _decode_runs(calls, *extents, *copies, width, buffer, shuffled, whole, flat, done)
    return done


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
    system = system_calls()
    if system is None:
        raise ValueError("a system without compiled loops")
    calls = np.array([descriptor, *system], np.int64)
    buffer, flat = np.empty(extents.runs.max(initial=0), np.uint8), out.reshape(-1).view(np.uint8)
    return bool(_read_extents(calls, *extents, target, buffer, flat))


def _plan(pipeline: Pipeline) -> tuple[DecoderCall, int] | None:
    """Its decoder, and the bytes of a shuffled element (1 if there is no shuffle)."""
    filters, width = list(pipeline.filters), 1
    if filters and filters[0][0] == SHUFFLE:
        _, values = filters.pop(0)
        width = max(1, values[0]) if values else 1
    if len(filters) != 1 or pipeline.chunk_bytes % width or pipeline.chunk_bytes >= 1 << 31:
        return None
    decoder = decoder_call(filters[0][0])
    return None if decoder is None else (decoder, width)


@register_jitable
def _read_fully(descriptor: Word, read: Word, position: Word, size: Word, place: Word) -> Word:
    """Read bytes to an address; return how many there were."""
    found = np.int64(0)
    while found < size:
        count = call(read, descriptor, place + found, size - found, position + found, 0, 0)
        if count <= 0:
            break
        found += count
    return found


@register_jitable
def _decodes(
    kind: Word, decode: Word, state: Word, at: Word, size: Word, place: Word, room: Word
) -> bool:
    """Decode to an address; return whether that gave what was expected."""
    if kind == DEFLATE:  # answers 0 if all is well
        return bool(np.int32(call(decode, state, at, size, place, room, 0)) == 0)
    if kind == LZF:
        return bool(np.int64(np.uint32(call(decode, at, size, place, room, 0, 0))) == room)
    return bool(call(decode, state, place, room, at, size, 0) == room)


@register_jitable
def _unshuffle(planes: Bytes, width: int, out: Bytes) -> None:
    n = len(out) // width
    if width == 4:  # written out, so that it becomes vector instructions
        a, b, c, d = planes[:n], planes[n : 2 * n], planes[2 * n : 3 * n], planes[3 * n :]
        for i in range(n):
            out[4 * i], out[4 * i + 1], out[4 * i + 2], out[4 * i + 3] = a[i], b[i], c[i], d[i]
        return
    for k in range(width):
        for i in range(n):
            out[i * width + k] = planes[k * n + i]


@compiled
def _decode_runs(
    calls: Positions,
    bounds: Positions,
    offset: Positions,
    size: Positions,
    direct: Positions,
    first: Positions,
    last: Positions,
    source: Positions,
    length: Positions,
    target: Positions,
    width: int,
    buffer: Bytes,
    shuffled: Bytes,
    whole: Bytes,
    out: Bytes,
    done: np.ndarray[Any, np.dtype[np.bool_]],
) -> None:
    descriptor, read, copy, kind, decode, state = calls
    stored, goal = np.int64(buffer.ctypes.data), np.int64(out.ctypes.data)
    for r in range(len(bounds) - 1):
        begin, wanted = offset[bounds[r]], np.int64(0)
        for k in range(bounds[r], bounds[r + 1]):
            wanted = max(wanted, offset[k] + size[k] - begin)
        found = _read_fully(descriptor, read, begin, wanted, stored)
        for k in range(bounds[r], bounds[r + 1]):
            start = offset[k] - begin
            chunk = out[direct[k] : direct[k] + len(whole)] if direct[k] >= 0 else whole
            into = np.int64(shuffled.ctypes.data if width > 1 else chunk.ctypes.data)
            if start + size[k] > found or not _decodes(
                kind, decode, state, stored + start, size[k], into, len(whole)
            ):
                continue
            if width > 1:
                _unshuffle(shuffled, width, chunk)
            place = np.int64(chunk.ctypes.data)
            for piece in range(first[k], last[k]):
                call(copy, goal + target[piece], place + source[piece], length[piece], 0, 0, 0)
            done[k] = True


@compiled
def _read_extents(
    calls: Positions,
    bounds: Positions,
    offset: Positions,
    size: Positions,
    target: Positions,
    buffer: Bytes,
    out: Bytes,
) -> bool:
    descriptor, read, copy = calls
    room, goal = np.int64(buffer.ctypes.data), np.int64(out.ctypes.data)
    for r in range(len(bounds) - 1):
        a, b = bounds[r], bounds[r + 1]
        if b - a == 1:
            if _read_fully(descriptor, read, offset[a], size[a], goal + target[a]) < size[a]:
                return False
            continue
        wanted = np.int64(0)
        for k in range(a, b):
            wanted = max(wanted, offset[k] + size[k] - offset[a])
        if _read_fully(descriptor, read, offset[a], wanted, room) < wanted:
            return False
        for k in range(a, b):
            call(copy, goal + target[k], room + offset[k] - offset[a], size[k], 0, 0, 0)
    return True
