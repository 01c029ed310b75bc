"""Decoders and encoders of HDF5's filters, called by address outside all locks."""

from __future__ import annotations

import bz2
import ctypes
import importlib.util
import sys
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

__all__ = [
    "BLOSC",
    "BZIP2",
    "CODECS",
    "DEFLATE",
    "LZ4",
    "LZF",
    "ZSTD",
    "Buffer",
    "CState",
    "DamagedChunkError",
    "Decode",
    "Decoder",
    "NativeEncoder",
    "codec",
    "find_function",
    "fletcher32",
    "fletcher32_matches",
    "native_blosc",
    "native_decoder",
    "native_deflate",
    "native_lz4",
    "native_lzf",
    "native_shuffle",
    "native_unshuffle",
    "native_zstd",
    "unshuffle",
]


#: ``decode(source address, source bytes, target address, target bytes)`` -> bytes written, or a
#: negative number if the source is damaged. Never reads or writes outside of the two regions.
Decoder = Callable[[int, int, int, int], int]

_ADDRESS, _SIZE, _INT, _UINT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_uint

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


#: ``encode(source address, source bytes, target address, target bytes)`` -> bytes written, or 0
#: where the result does not fit.
NativeEncoder = Callable[[int, int, int, int], int]

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


class Buffer:
    """The bytes of a C-contiguous array, by address and by memoryview.

    Parameters
    ----------
    array
        A C-contiguous writable array; its memory is shared, and kept alive.
    """

    __slots__ = ("address", "bytes", "view")

    bytes: np.ndarray[Any, np.dtype[np.uint8]]
    view: memoryview
    address: int

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.bytes = array.reshape(-1).view(np.uint8)
        self.view = self.bytes.data
        self.address = self.bytes.ctypes.data

    @classmethod
    def empty(cls, size: int) -> Buffer:
        """Uninitialised memory of ``size`` bytes."""
        return cls(np.empty(size, np.uint8))

    def __len__(self) -> int:
        return len(self.bytes)


DEFLATE, LZF, BZIP2, LZ4, BLOSC, ZSTD = 1, 32000, 307, 32004, 32001, 32015

#: ``decode(source, start, size, target, position, expected)``: exactly ``expected`` bytes, or
#: `DamagedChunkError`.
Decode = Callable[[Buffer, int, int, Buffer, int, int], None]


class DamagedChunkError(ValueError):
    """Stored bytes that do not decode; the caller knows file and element and says so."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"expected {expected}, found {found}")
        self.expected, self.found = expected, found


def codec(filter_id: int) -> Decode | None:
    """A decoder for the compression filter, or None if only HDF5 itself may have it.

    Parameters
    ----------
    filter_id
        Number of the filter in HDF5's registry.
    """
    if filter_id == BZIP2:
        return _bzip2
    name = CODECS.get(filter_id)
    native = native_decoder(name) if name else None
    if filter_id == DEFLATE and native is None:
        return _deflate_package() or _zlib
    if native is None or name is None:
        return None
    return _lz4_blocks(native) if filter_id == LZ4 else _whole(native, name)


CODECS = {DEFLATE: "deflate", LZF: "lzf", LZ4: "lz4", BLOSC: "blosc", ZSTD: "zstd"}


def _whole(native: Decoder, name: str) -> Decode:
    def decode(
        source: Buffer, start: int, size: int, target: Buffer, position: int, expected: int
    ) -> None:
        written = native(source.address + start, size, target.address + position, expected)
        if written != expected:
            raise _damaged(name, size, expected, written)

    return decode


def _lz4_blocks(native: Decoder) -> Decode:
    """HDF5's own framing: total size, block size, then each block behind its stored size."""

    def decode(
        source: Buffer, start: int, size: int, target: Buffer, position: int, expected: int
    ) -> None:
        view = source.view
        total = int.from_bytes(view[start : start + 8], "big")
        block = int.from_bytes(view[start + 8 : start + 12], "big")
        if size < 12 or total != expected or (expected and not block):
            raise _damaged("lz4", size, expected, total)
        cursor, end, done = start + 12, start + size, 0
        while done < expected:
            stored = int.from_bytes(view[cursor : cursor + 4], "big")
            wanted = min(block, expected - done)
            cursor += 4
            if stored > end - cursor:
                raise _damaged("lz4", size, expected, done)
            if stored == wanted:  # a block that does not shrink is stored as it is
                place = position + done
                target.bytes[place : place + wanted] = source.bytes[cursor : cursor + wanted]
            elif wanted != native(
                source.address + cursor, stored, target.address + position + done, wanted
            ):
                raise _damaged("lz4", size, expected, done)
            cursor += stored
            done += wanted

    return decode


def _bzip2(
    source: Buffer, start: int, size: int, target: Buffer, position: int, expected: int
) -> None:
    try:
        # One byte more than expected tells a stream that is too long from one that fits.
        data = bz2.BZ2Decompressor().decompress(
            source.view[start : start + size], max_length=expected + 1
        )
    except (OSError, EOFError, ValueError) as error:
        raise _damaged("bzip2", size, expected, -1) from error
    _store("bzip2", data, size, target, position, expected)


def _zlib(
    source: Buffer, start: int, size: int, target: Buffer, position: int, expected: int
) -> None:
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(source.view[start : start + size], expected + 1)
    except zlib.error as error:
        raise _damaged("deflate", size, expected, -1) from error
    if not stream.eof:  # a cut stream, or one that holds more than a chunk
        raise _damaged("deflate", size, expected, len(data))
    _store("deflate", data, size, target, position, expected)


def _deflate_package() -> Decode | None:
    """The public function of the ``deflate`` package, where its C symbols are hidden."""
    try:
        import deflate
    except ImportError:
        return None
    package: ModuleType = deflate

    def decode(
        source: Buffer, start: int, size: int, target: Buffer, position: int, expected: int
    ) -> None:
        try:
            data = package.zlib_decompress(source.view[start : start + size], expected)
        except package.DeflateError as error:
            raise _damaged("deflate", size, expected, -1) from error
        _store("deflate", data, size, target, position, expected)

    return decode


def _store(name: str, data: bytes, size: int, target: Buffer, position: int, expected: int) -> None:
    if len(data) != expected:
        raise _damaged(name, size, expected, len(data))
    target.view[position : position + expected] = data


def _damaged(name: str, size: int, expected: int, written: int) -> DamagedChunkError:
    found = "damaged data" if written < 0 else f"data for {written:,} bytes"
    return DamagedChunkError(
        f"a {name} chunk of {size:,} stored bytes that decodes to {expected:,} bytes", found
    )


_MODULUS = 65535
# Words summed at once: the weighted sum of this many 16-bit words stays below 2**63.
_BATCH = 1 << 20


def fletcher32(data: np.ndarray[Any, np.dtype[np.uint8]]) -> tuple[int, int]:
    """Both sums of the checksum, modulo 65,535.

    Parameters
    ----------
    data
        Bytes (n,), uint8. They are read as big-endian 16-bit words; an odd last byte is the high
        byte of a last word.

    Returns
    -------
    The sum of the words, and the sum of all partial sums.

    Examples
    --------
    >>> import numpy as np
    >>> fletcher32(np.array([0, 1, 0, 2], np.uint8))
    (3, 4)
    """
    if len(data) % 2:
        data = np.append(data, np.uint8(0))
    words = data.view(">u2")
    first = second = 0
    for start in range(0, len(words), _BATCH):
        batch = words[start : start + _BATCH].astype(np.int64)
        weights = np.arange(len(batch), 0, -1, dtype=np.int64)
        second = (second + first * len(batch) + int(batch @ weights)) % _MODULUS
        first = (first + int(batch.sum())) % _MODULUS
    return first, second


def fletcher32_matches(data: np.ndarray[Any, np.dtype[np.uint8]], stored: bytes) -> bool:
    """Whether the four bytes that HDF5 stored behind ``data`` are its checksum."""
    first, second = fletcher32(data)
    low = int.from_bytes(stored[:2], "little") % _MODULUS
    high = int.from_bytes(stored[2:4], "little") % _MODULUS
    if (low, high) == (first, second):
        return True
    # Before HDF5 1.6.3 the bytes of each half were swapped on little-endian machines.
    swapped_low = int.from_bytes(stored[:2], "big") % _MODULUS
    swapped_high = int.from_bytes(stored[2:4], "big") % _MODULUS
    return (swapped_low, swapped_high) == (first, second)


def unshuffle(
    source: Buffer, start: int, size: int, target: Buffer, position: int, *, width: int
) -> None:
    """Write ``size`` bytes of ``source`` at ``start``, unshuffled, into ``target``.

    Parameters
    ----------
    source, start, size
        Shuffled bytes. A rest that does not fill an element is stored unshuffled at the end.
    target, position
        Where the elements go; must not overlap with the source.
    width
        Bytes of an element.

    Notes
    -----
    21 GB/s for float32 with the vectorised function that hdf5plugin carries, 4 GB/s with NumPy
    (a transposed copy: 1 GB/s).
    """
    if width < 2 or size < width:
        target.bytes[position : position + size] = source.bytes[start : start + size]
        return
    whole = size - size % width
    fast = native_unshuffle()
    if fast is not None and whole < 2**31:
        fast(width, whole, source.address + start, target.address + position)
    else:
        _with_numpy(
            source.bytes[start : start + whole].reshape(width, -1),
            target.bytes[position : position + whole],
        )
    if whole < size:
        rest = source.bytes[start + whole : start + size]
        target.bytes[position + whole : position + size] = rest


def _with_numpy(
    planes: np.ndarray[tuple[int, int], np.dtype[np.uint8]],
    target: np.ndarray[tuple[int], np.dtype[np.uint8]],
) -> None:
    width = len(planes)
    if width in (2, 4):
        # Widening by shifts is vectorised, strided byte writes are not.
        elements = target.view(f"<u{width}")
        elements[...] = planes[-1]
        for plane in planes[-2::-1]:
            np.left_shift(elements, 8, out=elements)
            np.bitwise_or(elements, plane, out=elements)
        return
    rows = target.reshape(-1, width)
    for k, plane in enumerate(planes):
        rows[:, k] = plane
