"""Read, decode and place many chunks in one call that holds no lock of Python."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from lazyomics.importing import import_whole
from lazyomics.io.hdf5.codecs import DEFLATE, LZF, ZSTD, CState, find_function
from lazyomics.io.hdf5.pipeline import SHUFFLE, Pipeline
from lazyomics.lazy.indexer import Positions

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
]


_ADDRESS, _SIZE = ctypes.c_void_p, ctypes.c_size_t


@cache
def _pread() -> int:
    """Address of the system's ``pread``; 0 where functions are not called as the loops assume."""
    if os.name != "posix" or sys.maxsize < 1 << 32 or sys.byteorder != "little":
        return 0
    library = ctypes.CDLL(None)
    name = "pread64" if hasattr(library, "pread64") else "pread"
    return _function_address(getattr(library, name)) if hasattr(library, name) else 0


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
    """What of each decoded chunk goes where in the output, int64, in elements.

    Parameters
    ----------
    place
        (n,): where the whole chunk is decoded to, or -1.
    first, last
        (n,): pieces ``first[k]`` to ``last[k]`` are copied from chunk k.
    target, source, length
        (p,): where each piece goes, where it begins in its chunk, and how long it is.
    """

    place: Positions
    first: Positions
    last: Positions
    target: Positions
    source: Positions
    length: Positions


class Plan(NamedTuple):
    """How chunks of a pipeline are decoded by a loop.

    Parameters
    ----------
    decoder
        Undoes the compression.
    width
        Bytes of an element that were shuffled apart; 1 if they were not.
    chunk_bytes
        Of a whole decoded chunk.
    """

    decoder: DecoderCall
    width: int
    chunk_bytes: int


def is_possible() -> bool:
    """Whether this system has such loops."""
    return bool(_pread())


@lru_cache(maxsize=64)
def plan_of(pipeline: Pipeline) -> Plan | None:
    """How to decode chunks with these filters here; None if that is not possible."""
    filters, width = list(pipeline.filters), 1
    if filters and filters[0][0] == SHUFFLE:
        _, values = filters.pop(0)
        width = max(1, values[0]) if values else 1
    size = pipeline.chunk_bytes
    decoder = decoder_call(filters[0][0]) if len(filters) == 1 and is_possible() else None
    if decoder is None or size >= 1 << 31 or width not in _WIDTHS or size % width:
        return None
    return Plan(decoder, width, size)


_WIDTHS = (1, 2, 4, 8)


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
    Memory: the longest run, and one decoded chunk (two if they are shuffled).
    """
    done = np.zeros(len(extents.offset), bool)
    width = out.itemsize
    if len(done) == 0 or width not in _WIDTHS or plan.width not in (1, width):
        return done
    state = plan.decoder.make_state()
    decoder = plan.decoder.filter_id, plan.decoder.function, 0 if state is None else state.address
    values = out.reshape(-1).view(f"u{width}")
    buffer = np.empty(extents.runs.max(), np.uint8)
    planes = np.empty(plan.chunk_bytes if plan.width > 1 else 0, np.uint8)
    chunk = np.empty(plan.chunk_bytes // width, values.dtype)
    _loops().decode_chunks(
        _pread(), descriptor, decoder, extents, copies, values, buffer, planes, chunk, done
    )
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
    if len(extents.offset) == 0:
        return True
    buffer = np.empty(extents.runs.max(), np.uint8)
    place = out.reshape(-1).view(np.uint8)
    return bool(_loops().read_extents(_pread(), descriptor, extents, target, place, buffer))


def _loops() -> Any:
    return import_whole("lazyomics.io.hdf5.batch_loops")
