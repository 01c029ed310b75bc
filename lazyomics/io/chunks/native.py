"""C decoders called on raw addresses, outside Python's and HDF5's locks.

The libraries are those that installed packages already carry: libdeflate inside ``deflate``,
LZF inside ``h5py``, Zstandard, LZ4, Blosc and a vectorised unshuffle inside ``hdf5plugin``. Called
through `ctypes` they write straight into the output array and run without the GIL, which is 1.6
times faster with four threads than the packages' own functions that return a new object for each
chunk. Where a library or a symbol is missing (another platform, another build) the lookup returns
None and the caller uses a slower way with the same result.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["CState", "Decoder", "find_function", "native_decoder", "native_unshuffle"]

#: ``decode(source address, source bytes, target address, target bytes)`` -> bytes written, or a
#: negative number if the source is damaged. Never reads or writes outside of the two regions.
Decoder = Callable[[int, int, int, int], int]

_ADDRESS, _SIZE, _INT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int

_PLUGIN_LIBRARIES = {"zstd": "zstd", "lz4": "lz4", "blosc": "blosc", "shuffle": "blosc2"}


def native_decoder(codec: str) -> Decoder | None:
    """A decoder of ``codec`` with a state of its own (one thread at a time), or None.

    Parameters
    ----------
    codec
        ``"deflate"``, ``"lzf"``, ``"zstd"``, ``"lz4"`` or ``"blosc"``.
    """
    factory = {
        "deflate": _deflate,
        "lzf": _lzf,
        "zstd": _zstd,
        "lz4": _lz4_block,
        "blosc": _blosc,
    }.get(codec)
    return factory() if factory else None


def native_unshuffle() -> Callable[[int, int, int, int], Any] | None:
    """``unshuffle(element size, bytes, source address, target address)`` with SIMD, or None."""
    signature = (None, ctypes.c_int32, ctypes.c_int32, _ADDRESS, _ADDRESS)
    return find_function("shuffle", "blosc2_unshuffle", *signature)


@cache
def find_function(library: str, symbol: str, result: Any, *arguments: Any) -> Any | None:
    """A typed C function of one of the known libraries, or None if it is not there."""
    path = _library_path(library)
    if path is None or sys.byteorder != "little":
        return None
    try:
        function = getattr(ctypes.CDLL(path), symbol)
    except (OSError, AttributeError):
        return None
    function.restype = result
    function.argtypes = arguments
    return function


def _library_path(library: str) -> str | None:
    if library == "deflate":
        return _extension_path("deflate", "_deflate")
    if library == "lzf":
        return _extension_path("h5py", "h5z")
    package = _package_folder("hdf5plugin")
    if package is None:
        return None
    # By path, not by importing hdf5plugin: that loads every plugin it has (190 MB).
    found = sorted((package / "plugins").glob(f"libh5{_PLUGIN_LIBRARIES[library]}.*"))
    return str(found[0]) if found else None


def _package_folder(package: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _extension_path(package: str, module: str) -> str | None:
    folder = _package_folder(package)
    if folder is None:
        return None
    found = [p for p in folder.glob(f"{module}.*") if p.suffix in (".so", ".pyd", ".dylib")]
    return str(found[0]) if found else None


class CState:
    """A C object that is freed together with the function that uses it."""

    __slots__ = ("_free", "address")

    def __init__(self, address: int | None, free: Callable[[int], Any]) -> None:
        if not address:
            raise MemoryError("no memory for a decoder")
        self.address, self._free = address, free

    def __del__(self) -> None:
        if getattr(self, "address", None):
            self._free(self.address)


def _deflate() -> Decoder | None:
    create = find_function("deflate", "libdeflate_alloc_decompressor", _ADDRESS)
    free = find_function("deflate", "libdeflate_free_decompressor", None, _ADDRESS)
    signature = (_INT, _ADDRESS, _ADDRESS, _SIZE, _ADDRESS, _SIZE, _ADDRESS)
    run = find_function("deflate", "libdeflate_zlib_decompress", *signature)
    if create is None or free is None or run is None:
        return None
    state = CState(create(), free)

    def decode(source: int, size: int, target: int, expected: int) -> int:
        # Without a place for the true size, any size but the expected one is an error.
        return -1 if run(state.address, source, size, target, expected, None) else expected

    return decode


def _lzf() -> Decoder | None:
    signature = (ctypes.c_uint, _ADDRESS, ctypes.c_uint, _ADDRESS, ctypes.c_uint)
    run = find_function("lzf", "lzf_decompress", *signature)
    if run is None:
        return None
    return lambda source, size, target, expected: int(run(source, size, target, expected)) or -1


def _zstd() -> Decoder | None:
    create = find_function("zstd", "ZSTD_createDCtx", _ADDRESS)
    free = find_function("zstd", "ZSTD_freeDCtx", _SIZE, _ADDRESS)
    signature = (_SIZE, _ADDRESS, _ADDRESS, _SIZE, _ADDRESS, _SIZE)
    run = find_function("zstd", "ZSTD_decompressDCtx", *signature)
    if create is None or free is None or run is None:
        return None
    state = CState(create(), free)

    def decode(source: int, size: int, target: int, expected: int) -> int:
        written = int(run(state.address, target, expected, source, size))
        return written if written <= expected else -1  # error codes are huge numbers

    return decode


def _lz4_block() -> Decoder | None:
    signature = (_INT, _ADDRESS, _ADDRESS, _INT, _INT)
    run = find_function("lz4", "LZ4_decompress_safe", *signature)
    if run is None:
        return None
    return lambda source, size, target, expected: int(run(source, target, size, expected))


def _blosc() -> Decoder | None:
    check = find_function("blosc", "blosc_cbuffer_validate", _INT, _ADDRESS, _SIZE, _ADDRESS)
    signature = (_INT, _ADDRESS, _ADDRESS, _SIZE, _INT)
    run = find_function("blosc", "blosc_decompress_ctx", *signature)
    if check is None or run is None:
        return None
    declared = ctypes.c_size_t()
    place = ctypes.addressof(declared)

    def decode(source: int, size: int, target: int, expected: int) -> int:
        # The decoder trusts the sizes in the header: compare them with the real ones first.
        if size < 16 or check(source, size, place) < 0 or declared.value != expected:
            return -1
        return int(run(source, target, expected, 1))

    return decode
