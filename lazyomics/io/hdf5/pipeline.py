"""Undo the filters of stored chunks, each chunk once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from lazyomics.io.hdf5.codecs import (
    BZIP2,
    CODECS,
    Buffer,
    DamagedChunkError,
    Decode,
    codec,
    fletcher32_matches,
    unshuffle,
)
from lazyomics.lazy.indexer import Positions

__all__ = [
    "FILTER_NAMES",
    "SHUFFLE",
    "DecodeChunk",
    "Decoding",
    "FilterSpec",
    "Pipeline",
    "Place",
    "StoredChunk",
    "longest",
    "runs",
]


SHUFFLE, FLETCHER32 = 2, 3

#: (number in HDF5's registry, its parameters), in the order in which a writer applies them
FilterSpec = tuple[int, tuple[int, ...]]

#: ``decode(source, start, size, target, position)`` of one stored chunk
DecodeChunk = Callable[[Buffer, int, int, Buffer, int], None]

FILTER_NAMES = {
    1: "deflate",
    2: "shuffle",
    3: "fletcher32",
    4: "szip",
    5: "nbit",
    6: "scaleoffset",
    307: "bzip2",
    32000: "lzf",
    32001: "blosc",
    32004: "lz4",
    32008: "bitshuffle",
    32013: "zfp",
    32015: "zstd",
    32026: "blosc2",
}

# The most that a stored byte can decode to: a larger chunk cannot be genuine.
_MOST_EXPANSION = {1: 1040, 32000: 264, 32004: 256}


@dataclass(frozen=True)
class Pipeline:
    """How the stored bytes of a dataset's chunks become elements.

    Parameters
    ----------
    filters
        Filters in the order in which a writer applies them.
    chunk_bytes
        Bytes of a whole decoded chunk.
    """

    filters: tuple[FilterSpec, ...]
    chunk_bytes: int

    def is_native(self) -> bool:
        """Whether every filter can be undone here, without HDF5."""
        compressors = [f for f, _ in self.filters if f not in (SHUFFLE, FLETCHER32)]
        if len(compressors) > 1:  # sizes between two compressors are not known
            return False
        return all(f == BZIP2 or (f in CODECS and codec(f) is not None) for f in compressors)

    def decoder(self, mask: int) -> DecodeChunk:
        """A function that decodes chunks with this filter mask, for use by one thread.

        Parameters
        ----------
        mask
            Bit k is set where a chunk was stored without filter k.
        """
        steps: list[_Step] = []
        size: int | None = self.chunk_bytes
        for k, (filter_id, values) in enumerate(self.filters):
            if mask >> k & 1:
                continue
            if filter_id == FLETCHER32:
                steps.append(_Step(None, None))
                size = None if size is None else size + 4
            elif filter_id == SHUFFLE:
                width = values[0] if values else 1
                steps.append(_Step(partial(_unshuffle, width=width), size))
            else:
                decode = codec(filter_id)
                if decode is None:
                    raise LookupError(f"no decoder for filter {filter_id}")
                steps.append(_Step(_bounded(filter_id, decode), size))
                size = None
        return _chain(steps[::-1], self.chunk_bytes)


@dataclass(frozen=True)
class _Step:
    """One filter to undo; without a function, a checksum to verify and strip."""

    run: Decode | None
    expected: int | None  # decoded bytes where they are known


def _unshuffle(
    source: Buffer, start: int, size: int, target: Buffer, position: int, expected: int, width: int
) -> None:
    unshuffle(source, start, size, target, position, width=width)


def _bounded(filter_id: int, decode: Decode) -> Decode:
    most = _MOST_EXPANSION.get(filter_id)
    if most is None:
        return decode

    def checked(
        source: Buffer, start: int, size: int, target: Buffer, position: int, expected: int
    ) -> None:
        if expected > size * most + 64:
            raise DamagedChunkError(
                f"a chunk of {expected:,} bytes", f"{size:,} stored bytes, too few for it"
            )
        decode(source, start, size, target, position, expected)

    return checked


def _chain(steps: list[_Step], chunk_bytes: int) -> DecodeChunk:
    if len(steps) == 1 and steps[0].run is not None and steps[0].expected == chunk_bytes:
        only = steps[0].run
        if isinstance(only, partial):
            return _same_size(only, chunk_bytes)
        return lambda source, start, size, target, position: only(
            source, start, size, target, position, chunk_bytes
        )
    moving = [k for k, step in enumerate(steps) if step.run is not None]
    last = moving[-1] if moving else -1
    scratch: dict[int, Buffer] = {}

    def decode(source: Buffer, start: int, size: int, target: Buffer, position: int) -> None:
        for k, step in enumerate(steps):
            if step.run is None:
                size = _verified(source, start, size)
                continue
            expected = size if step.expected is None else step.expected
            if isinstance(step.run, partial) and size != expected:
                raise _wrong_size(expected, size)
            if k == last:
                if expected != chunk_bytes:
                    break
                step.run(source, start, size, target, position, expected)
                source, start, size = target, position, expected
            else:
                room = scratch.get(k)
                if room is None or len(room) < expected:
                    room = scratch[k] = Buffer.empty(expected)
                step.run(source, start, size, room, 0, expected)
                source, start, size = room, 0, expected
        if size != chunk_bytes:
            raise _wrong_size(chunk_bytes, size)
        if source is not target:
            target.bytes[position : position + size] = source.bytes[start : start + size]

    return decode


def _same_size(run: Decode, chunk_bytes: int) -> DecodeChunk:
    def decode(source: Buffer, start: int, size: int, target: Buffer, position: int) -> None:
        if size != chunk_bytes:
            raise _wrong_size(chunk_bytes, size)
        run(source, start, size, target, position, chunk_bytes)

    return decode


def _verified(source: Buffer, start: int, size: int) -> int:
    end = start + size - 4
    if size < 4 or not fletcher32_matches(
        source.bytes[start:end], bytes(source.view[end : end + 4])
    ):
        raise DamagedChunkError("a chunk with its Fletcher-32 checksum", "another checksum")
    return size - 4


def _wrong_size(expected: int, found: int) -> DamagedChunkError:
    return DamagedChunkError(f"a chunk of {expected:,} bytes", f"{found:,} bytes")


#: ``place(k, values)``: copy what is needed of the k-th wanted chunk, then forget it
Place = Callable[[int, np.ndarray[Any, Any]], None]

#: (which of the wanted chunks, position in the file, stored bytes, filter mask, byte position in
#: the output or -1, whether it is needed elsewhere, too)
StoredChunk = tuple[int, int, int, int, int, bool]


class Decoding:
    """Buffers and decoders of one reading call, used by one thread.

    Parameters
    ----------
    pipeline
        The filters.
    shape
        Shape of a chunk.
    out
        C-contiguous output of the stored dtype.
    place
        Called with the values of each chunk without a place of its own in the output.
    room
        Bytes of the longest run of stored chunks.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        shape: tuple[int, ...],
        out: np.ndarray[Any, Any],
        place: Place,
        room: int,
    ) -> None:
        self.pipeline, self.shape, self.dtype, self.place = pipeline, shape, out.dtype, place
        self.out, self.buffer = Buffer(out), Buffer.empty(room)
        self._decoders: dict[int, DecodeChunk] = {}
        self._scratch: Buffer | None = None
        self._values: np.ndarray[Any, Any] = out

    def run(
        self,
        chunks: list[StoredChunk],
        read: Callable[[memoryview, int], None],
        damaged: Callable[[int, int, DamagedChunkError], None],
    ) -> None:
        """Read chunks that follow each other on disk, decode and place them.

        Parameters
        ----------
        chunks
            The chunks, in the order of the file.
        read
            Fills a view with the bytes at a position.
        damaged
            Called with a chunk that does not decode, its stored size, and why.
        """
        buffer, out, begin = self.buffer, self.out, chunks[0][1]
        read(buffer.view[: chunks[-1][1] + chunks[-1][2] - begin], begin)
        for k, offset, size, mask, target, shared in chunks:
            try:
                decode = self._decoders.get(mask) or self._decoder(mask)
                if target < 0:
                    decode(buffer, offset - begin, size, self._room(), 0)
                    self.place(k, self._values)
                    continue
                decode(buffer, offset - begin, size, out, target)
                if shared:
                    self.place(k, self._decoded(out, target))
            except DamagedChunkError as error:
                damaged(k, size, error)

    def _decoder(self, mask: int) -> DecodeChunk:
        decode = self._decoders[mask] = self.pipeline.decoder(mask)
        return decode

    def _room(self) -> Buffer:
        if self._scratch is None:
            self._scratch = Buffer.empty(self.pipeline.chunk_bytes)
            self._values = self._decoded(self._scratch, 0)
        return self._scratch

    def _decoded(self, memory: Buffer, start: int) -> np.ndarray[Any, Any]:
        stored = memory.bytes[start : start + self.pipeline.chunk_bytes]
        values: np.ndarray[Any, Any] = stored.view(self.dtype)
        return values.reshape(self.shape)


def runs(offset: Positions, size: Positions, most: int) -> list[int]:
    """Bounds of runs of stored chunks without gaps, of about ``most`` bytes each."""
    if len(offset) == 0:
        return [0]
    end = offset + size
    jump = offset[1:] != end[:-1]
    window = (offset - offset[0]) // most
    breaks = np.flatnonzero(jump | (window[1:] != window[:-1])) + 1
    return [0, *breaks.tolist(), len(offset)]


def longest(offset: Positions, size: Positions, bounds: list[int]) -> int:
    """Bytes of the longest of these runs."""
    if len(bounds) < 2:
        return 0
    first, last = np.array(bounds[:-1]), np.array(bounds[1:]) - 1
    return int((offset[last] + size[last] - offset[first]).max())
