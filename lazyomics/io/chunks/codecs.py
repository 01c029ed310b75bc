"""Decompressors of HDF5 filters: one call decodes one chunk into its place."""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Callable
from types import ModuleType

from lazyomics.io.chunks.memory import Memory
from lazyomics.io.chunks.native import Decoder, native_decoder

__all__ = [
    "BLOSC",
    "BZIP2",
    "CODECS",
    "DEFLATE",
    "LZ4",
    "LZF",
    "ZSTD",
    "DamagedChunkError",
    "Decode",
    "codec",
]

DEFLATE, LZF, BZIP2, LZ4, BLOSC, ZSTD = 1, 32000, 307, 32004, 32001, 32015

#: ``decode(source, start, size, target, position, expected)``: exactly ``expected`` bytes, or
#: `DamagedChunkError`.
Decode = Callable[[Memory, int, int, Memory, int, int], None]


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
        source: Memory, start: int, size: int, target: Memory, position: int, expected: int
    ) -> None:
        written = native(source.address + start, size, target.address + position, expected)
        if written != expected:
            raise _damaged(name, size, expected, written)

    return decode


def _lz4_blocks(native: Decoder) -> Decode:
    """HDF5's own framing: total size, block size, then each block behind its stored size."""

    def decode(
        source: Memory, start: int, size: int, target: Memory, position: int, expected: int
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
    source: Memory, start: int, size: int, target: Memory, position: int, expected: int
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
    source: Memory, start: int, size: int, target: Memory, position: int, expected: int
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
        source: Memory, start: int, size: int, target: Memory, position: int, expected: int
    ) -> None:
        try:
            data = package.zlib_decompress(source.view[start : start + size], expected)
        except package.DeflateError as error:
            raise _damaged("deflate", size, expected, -1) from error
        _store("deflate", data, size, target, position, expected)

    return decode


def _store(name: str, data: bytes, size: int, target: Memory, position: int, expected: int) -> None:
    if len(data) != expected:
        raise _damaged(name, size, expected, len(data))
    target.view[position : position + expected] = data


def _damaged(name: str, size: int, expected: int, written: int) -> DamagedChunkError:
    found = "damaged data" if written < 0 else f"data for {written:,} bytes"
    return DamagedChunkError(
        f"a {name} chunk of {size:,} stored bytes that decodes to {expected:,} bytes", found
    )
