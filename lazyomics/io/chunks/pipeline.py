"""The filters of a dataset, undone in reverse order for one chunk at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from lazyomics.io.chunks.checksum import fletcher32_matches
from lazyomics.io.chunks.codecs import BZIP2, CODECS, DamagedChunkError, Decode, codec
from lazyomics.io.chunks.memory import Memory
from lazyomics.io.chunks.shuffle import unshuffle

__all__ = ["FILTER_NAMES", "SHUFFLE", "DecodeChunk", "FilterSpec", "Pipeline"]

SHUFFLE, FLETCHER32 = 2, 3

#: (number in HDF5's registry, its parameters), in the order in which a writer applies them
FilterSpec = tuple[int, tuple[int, ...]]

#: ``decode(source, start, size, target, position)`` of one stored chunk
DecodeChunk = Callable[[Memory, int, int, Memory, int], None]

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
    source: Memory, start: int, size: int, target: Memory, position: int, expected: int, width: int
) -> None:
    unshuffle(source, start, size, target, position, width=width)


def _bounded(filter_id: int, decode: Decode) -> Decode:
    most = _MOST_EXPANSION.get(filter_id)
    if most is None:
        return decode

    def checked(
        source: Memory, start: int, size: int, target: Memory, position: int, expected: int
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
    scratch: dict[int, Memory] = {}

    def decode(source: Memory, start: int, size: int, target: Memory, position: int) -> None:
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
                    room = scratch[k] = Memory.empty(expected)
                step.run(source, start, size, room, 0, expected)
                source, start, size = room, 0, expected
        if size != chunk_bytes:
            raise _wrong_size(chunk_bytes, size)
        if source is not target:
            target.bytes[position : position + size] = source.bytes[start : start + size]

    return decode


def _same_size(run: Decode, chunk_bytes: int) -> DecodeChunk:
    def decode(source: Memory, start: int, size: int, target: Memory, position: int) -> None:
        if size != chunk_bytes:
            raise _wrong_size(chunk_bytes, size)
        run(source, start, size, target, position, chunk_bytes)

    return decode


def _verified(source: Memory, start: int, size: int) -> int:
    end = start + size - 4
    if size < 4 or not fletcher32_matches(
        source.bytes[start:end], bytes(source.view[end : end + 4])
    ):
        raise DamagedChunkError("a chunk with its Fletcher-32 checksum", "another checksum")
    return size - 4


def _wrong_size(expected: int, found: int) -> DamagedChunkError:
    return DamagedChunkError(f"a chunk of {expected:,} bytes", f"{found:,} bytes")
