"""C functions by address, to be called from loops that are machine code."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from lazyomics.io.chunks.codecs import DEFLATE, LZF, ZSTD
from lazyomics.io.chunks.native import CState, find_function

__all__ = ["DecoderCall", "decoder_call", "system_calls"]

_ADDRESS, _SIZE = ctypes.c_void_p, ctypes.c_size_t


@cache
def system_calls() -> tuple[int, int] | None:
    """Addresses of ``pread`` and ``memcpy``, or None where there are none."""
    library = ctypes.CDLL(None)
    names = "pread64" if hasattr(library, "pread64") else "pread", "memcpy"
    try:
        read, copy = (_address(getattr(library, name)) for name in names)
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
        return None if run is None else DecoderCall(LZF, _address(run), lambda: None)
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
    return DecoderCall(filter_id, _address(run), lambda: CState(make(), end))


def _address(function: Any) -> int:
    return int(ctypes.cast(function, _ADDRESS).value or 0)
