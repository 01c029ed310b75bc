"""C functions by address, to be called from compiled loops."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from lazyomics.io.chunks.codecs import DEFLATE, LZF, ZSTD
from lazyomics.io.chunks.native import CState, find_function

__all__ = ["DecoderCall", "call", "decoder_call", "system_calls"]

_ADDRESS, _SIZE = ctypes.c_void_p, ctypes.c_size_t


def _call(typing: Any, function: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> Any:
    """Call a C function with up to six words, only from a compiled loop.

    All are passed in registers, so a function that takes fewer does not see the others.
    """
    word = types.int64

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(64), [ir.IntType(64)] * 6)
        return builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])

    return word(word, word, word, word, word, word, word), generate


#: ``call(function, a, b, c, d, e, f)``: what the function returns, as a word.
call: Any = intrinsic(_call)


@cache
def system_calls() -> tuple[int, int] | None:
    """Addresses of ``pread`` and ``memcpy``, or None where they cannot be called like this."""
    if os.name != "posix" or sys.maxsize < 1 << 32 or sys.byteorder != "little":
        return None
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]  # the loops run as Python
        return None
    library = ctypes.CDLL(None)
    names = "pread64" if hasattr(library, "pread64") else "pread", "memcpy"
    try:
        read, copy = (_address(getattr(library, name)) for name in names)
    except AttributeError:
        return None
    return read, copy


@dataclass(frozen=True)
class DecoderCall:
    """A decoder as a compiled loop calls it.

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
    """The decoder of a filter, or None where there is none for compiled loops."""
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
