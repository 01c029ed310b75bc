"""C compressors called on raw addresses, from the libraries that `native` finds for decoding.

Each factory returns a function with a state of its own, for use by one thread at a time, or None
where the library or one of its symbols is missing.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from lazyomics.io.chunks.native import CState, find_function

__all__ = [
    "NativeEncoder",
    "native_blosc",
    "native_deflate",
    "native_lz4",
    "native_lzf",
    "native_shuffle",
    "native_zstd",
]

#: ``encode(source address, source bytes, target address, target bytes)`` -> bytes written, or 0
#: where the result does not fit.
NativeEncoder = Callable[[int, int, int, int], int]

_ADDRESS, _SIZE, _INT, _UINT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_uint
_BLOSC_COMPRESSORS = (b"blosclz", b"lz4", b"lz4hc", b"snappy", b"zlib", b"zstd")


def native_shuffle() -> Callable[[int, int, int, int], Any] | None:
    """``shuffle(element size, bytes, source address, target address)`` with SIMD, or None."""
    signature = (None, ctypes.c_int32, ctypes.c_int32, _ADDRESS, _ADDRESS)
    return find_function("shuffle", "blosc2_shuffle", *signature)


def native_deflate(level: int) -> NativeEncoder | None:
    """Zlib streams; levels mean what they mean in zlib."""
    create = find_function("deflate", "libdeflate_alloc_compressor", _ADDRESS, _INT)
    free = find_function("deflate", "libdeflate_free_compressor", None, _ADDRESS)
    signature = (_SIZE, _ADDRESS, _ADDRESS, _SIZE, _ADDRESS, _SIZE)
    run = find_function("deflate", "libdeflate_zlib_compress", *signature)
    if create is None or free is None or run is None:
        return None
    state = CState(create(level), free)
    return lambda source, size, target, room: int(run(state.address, source, size, target, room))


def native_zstd(level: int) -> NativeEncoder | None:
    """Zstandard frames."""
    create = find_function("zstd", "ZSTD_createCCtx", _ADDRESS)
    free = find_function("zstd", "ZSTD_freeCCtx", _SIZE, _ADDRESS)
    signature = (_SIZE, _ADDRESS, _ADDRESS, _SIZE, _ADDRESS, _SIZE, _INT)
    run = find_function("zstd", "ZSTD_compressCCtx", *signature)
    if create is None or free is None or run is None:
        return None
    state = CState(create(), free)

    def encode(source: int, size: int, target: int, room: int) -> int:
        written = int(run(state.address, target, room, source, size, level))
        return written if written <= room else 0  # error codes are huge numbers

    return encode


def native_lz4() -> NativeEncoder | None:
    """Bare LZ4 blocks, without any framing."""
    run = find_function("lz4", "LZ4_compress_default", _INT, _ADDRESS, _ADDRESS, _INT, _INT)
    if run is None:
        return None
    return lambda source, size, target, room: int(run(source, target, size, room))


def native_lzf() -> NativeEncoder | None:
    """LZF as h5py stores it."""
    run = find_function("lzf", "lzf_compress", _UINT, _ADDRESS, _UINT, _ADDRESS, _UINT)
    if run is None:
        return None
    return lambda source, size, target, room: int(run(source, size, target, room))


def native_blosc(level: int, shuffle: int, compressor: int, width: int) -> NativeEncoder | None:
    """Blosc buffers of elements of ``width`` bytes; ``compressor`` by its number in the filter."""
    signature = (_INT, _INT, _SIZE, _SIZE, _ADDRESS, _ADDRESS, _SIZE, ctypes.c_char_p, _SIZE, _INT)
    run = find_function("blosc", "blosc_compress_ctx", _INT, *signature)
    if run is None or not 0 <= compressor < len(_BLOSC_COMPRESSORS):
        return None
    name = _BLOSC_COMPRESSORS[compressor]
    return lambda source, size, target, room: max(
        0, int(run(level, shuffle, width, size, source, target, room, name, 0, 1))
    )
