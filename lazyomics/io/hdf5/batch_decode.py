"""Read, decode and place many chunks in one call that holds no lock of Python."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lazyomics.c_loops import WORDS, CLoops, c_loops
from lazyomics.io.hdf5.codecs import DEFLATE, LZF, ZSTD, CState, find_function
from lazyomics.io.hdf5.pipeline import SHUFFLE, Pipeline
from lazyomics.io.hdf5.selection import Positions

__all__ = [
    "Copies",
    "DecoderCall",
    "Extents",
    "Plan",
    "decode_runs",
    "decoder_call",
    "is_possible",
    "plan_of",
    "read_extents",
    "system_calls",
]


_ADDRESS, _SIZE = ctypes.c_void_p, ctypes.c_size_t


@cache
def system_calls() -> tuple[int, int] | None:
    """Addresses of ``pread`` and ``memcpy``, or None where there are none."""
    library = ctypes.CDLL(None)
    names = "pread64" if hasattr(library, "pread64") else "pread", "memcpy"
    try:
        read, copy = (_function_address(getattr(library, name)) for name in names)
    except AttributeError:
        return None
    return read, copy


@dataclass(frozen=True)
class DecoderCall:
    """A decoder as a loop calls it.

    Parameters
    ----------
    filter_id
        Number of the filter in HDF5's registry.
    function
        Its address.
    make_state
        Makes what one thread needs for it.
    """

    filter_id: int
    function: int
    make_state: Callable[[], CState | None]


@cache
def decoder_call(filter_id: int) -> DecoderCall | None:
    """The decoder of a filter, or None where there is none for loops."""
    if filter_id == LZF:
        run = find_function("lzf", "lzf_decompress", ctypes.c_uint)
        return None if run is None else DecoderCall(LZF, _function_address(run), lambda: None)
    names = {
        DEFLATE: ("deflate", "libdeflate_", "zlib_decompress alloc_decompressor free_decompressor"),
        ZSTD: ("zstd", "ZSTD_", "decompressDCtx createDCtx freeDCtx"),
    }.get(filter_id)
    if names is None:
        return None
    library, prefix, symbols = names
    decode, create, free = (prefix + symbol for symbol in symbols.split())
    run = find_function(library, decode, _SIZE)
    make = find_function(library, create, _ADDRESS)
    end = find_function(library, free, None, _ADDRESS)
    if run is None or make is None or end is None:
        return None
    return DecoderCall(filter_id, _function_address(run), lambda: CState(make(), end))


def _function_address(function: Any) -> int:
    return int(ctypes.cast(function, _ADDRESS).value or 0)


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
        heads = self.bounds[:-1]
        return np.maximum.reduceat(self.offset + self.size, heads) - self.offset[heads]


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


class Plan(NamedTuple):
    """How chunks of a pipeline are decoded by a loop.

    Parameters
    ----------
    decoder
        Undoes the compression.
    unshuffle
        Address of the loop that undoes the byte shuffle; 0 if there is none.
    elements
        That it takes: of a chunk.
    chunk_bytes
        Of a whole decoded chunk.
    """

    decoder: DecoderCall
    unshuffle: int
    elements: int
    chunk_bytes: int


def is_possible() -> bool:
    """Whether this system has such loops."""
    return c_loops() is not None and system_calls() is not None


@lru_cache(maxsize=64)
def plan_of(pipeline: Pipeline) -> Plan | None:
    """How to decode chunks with these filters here; None if that is not possible."""
    loops, filters, width = c_loops(), list(pipeline.filters), 1
    if loops is None or system_calls() is None:
        return None
    if filters and filters[0][0] == SHUFFLE:
        _, values = filters.pop(0)
        width = max(1, values[0]) if values else 1
    size = pipeline.chunk_bytes
    decoder = decoder_call(filters[0][0]) if len(filters) == 1 else None
    if decoder is None or size >= 1 << 31:
        return None
    if width == 1:
        return Plan(decoder, 0, size, size)
    if width not in loops.unshuffle or size % width or size < width * _FEWEST_SHUFFLED:
        return None
    return Plan(decoder, loops.unshuffle[width], size // width, size)


def decode_runs(
    descriptor: int, plan: Plan, extents: Extents, copies: Copies, out: np.ndarray[Any, Any]
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Decode chunks into ``out``, as far as that goes without an error.

    Parameters
    ----------
    descriptor
        An open file.
    plan
        How they are decoded.
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
    each chunk. What is computed here is computed under Python's lock, for each block of a pass.
    """
    if len(extents.offset) == 0:
        return np.zeros(0, bool)
    loops, (read, memcpy) = _loops()
    decoder, is_shuffled = plan.decoder, int(plan.unshuffle != 0)
    state, goal, runs = decoder.make_state(), _address(out), extents.runs
    buffer, whole = np.empty(runs.max(), np.uint8), np.empty(plan.chunk_bytes, np.uint8)
    planes = np.empty(plan.chunk_bytes if is_shuffled else 0, np.uint8)
    pieces = np.ascontiguousarray(copies.pieces)

    heads, copied = extents.bounds[:-1], copies.last > copies.first
    opening = np.zeros(len(extents.offset), np.int64)
    opening[heads] = 1
    run = np.cumsum(opening) - 1  # that each chunk is in
    begins = extents.offset[heads]
    inside = extents.offset - begins[run]
    place = np.where(copies.direct >= 0, copies.direct + goal, _address(whole))
    into = _address(planes) if is_shuffled else place

    ends = np.cumsum(opening + copied + (1 + is_shuffled))
    decodes = ends - copied - (1 + is_shuffled)
    reads = decodes[heads] - 1
    calls = np.zeros((int(ends[-1]), WORDS), np.int64)
    _write(calls, reads, read, descriptor, _address(buffer), runs, begins)
    stored = inside + _address(buffer)
    words = _decoder_words(decoder.filter_id, state, stored, extents.size, into, len(whole))
    _write(calls, decodes, decoder.function, *words)
    if is_shuffled:
        _write(calls, decodes + 1, plan.unshuffle, _address(planes), plan.elements, place)
    if copied.any():
        first, last = copies.first[copied], copies.last[copied]
        where = (memcpy, _address(pieces), first, last, place[copied], goal)
        _write(calls, ends[copied] - 1, loops.copy_pieces, *where)

    found = loops.run(calls)
    is_read = found[reads][run] >= inside + extents.size
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
    if len(extents.offset) == 0:
        return True
    loops, (read, memcpy) = _loops()
    goal, runs, counts = _address(out), extents.runs, np.diff(extents.bounds)
    buffer = np.empty(runs.max(), np.uint8)
    heads, copied = extents.bounds[:-1], counts > 1  # others go straight there
    begins = extents.offset[heads]
    pieces = np.stack((target, extents.offset - np.repeat(begins, counts), extents.size), axis=1)

    ends = np.cumsum(1 + copied)
    reads = ends - copied - 1
    into = np.where(copied, _address(buffer), target[heads] + goal)
    calls = np.zeros((int(ends[-1]), WORDS), np.int64)
    _write(calls, reads, read, descriptor, into, runs, begins)
    first, last = heads[copied], extents.bounds[1:][copied]
    where = (memcpy, _address(pieces), first, last, _address(buffer), goal)
    _write(calls, ends[copied] - 1, loops.copy_pieces, *where)
    return bool((loops.run(calls)[reads] == runs).all())


def _loops() -> tuple[CLoops, tuple[int, int]]:
    loops, system = c_loops(), system_calls()
    if loops is None or system is None:
        raise ValueError("a system without such loops")
    return loops, system


def _address(array: np.ndarray[Any, Any]) -> int:
    return int(array.__array_interface__["data"][0])


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
