"""Decode stored chunks that were read together, each once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lazyomics.io.chunks.codecs import DamagedChunkError
from lazyomics.io.chunks.memory import Memory
from lazyomics.io.chunks.pipeline import DecodeChunk, Pipeline
from lazyomics.io.chunks.selection import Positions

__all__ = ["Decoding", "Place", "StoredChunk", "longest", "runs"]

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
        self.out, self.buffer = Memory(out), Memory.empty(room)
        self._decoders: dict[int, DecodeChunk] = {}
        self._scratch: Memory | None = None
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

    def _room(self) -> Memory:
        if self._scratch is None:
            self._scratch = Memory.empty(self.pipeline.chunk_bytes)
            self._values = self._decoded(self._scratch, 0)
        return self._scratch

    def _decoded(self, memory: Memory, start: int) -> np.ndarray[Any, Any]:
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
