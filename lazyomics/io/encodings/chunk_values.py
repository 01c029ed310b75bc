"""Decode the chunks of a dataset here, where HDF5 would believe them.

HDF5 takes a chunk for whole, however few bytes it decodes to: what is missing it reads behind the
end of its own memory. Such values differ from one process to the next, hold whatever the process
had there, and may end it.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from lazyomics.io.encodings.damage import damaged
from lazyomics.io.hdf5.codecs import DEFLATE, Buffer, DamagedChunkError
from lazyomics.io.hdf5.layout import Fingerprint, fill_value, fingerprint_of
from lazyomics.io.hdf5.pipeline import DecodeChunk, Pipeline

__all__ = [
    "REFERENCE",
    "chunk_bytes",
    "decoded_chunks",
    "is_decodable",
    "plain_values",
    "reference_offsets",
    "stored_chunks",
    "stored_size",
]


REFERENCE = 16  # bytes in place of a value of variable length: length, collection, number in it
MOST_IN_ARRAY = 1024


def stored_size(kind: Any) -> int:
    """Bytes of a value of a type."""
    size = int(kind.get_size())
    if _is_of_variable_length(kind):
        return REFERENCE
    if isinstance(kind, h5py.h5t.TypeCompoundID):
        members = (kind.get_member_type(k) for k in range(kind.get_nmembers()))
        return size + sum(stored_size(m) - int(m.get_size()) for m in members)
    if isinstance(kind, h5py.h5t.TypeArrayID):
        return math.prod(kind.get_array_dims()) * stored_size(kind.get_super())
    return size


def reference_offsets(kind: Any) -> list[int]:
    """Where in a value there are references into heaps; of long arrays, only the first ones."""
    if _is_of_variable_length(kind):
        return [0]
    if isinstance(kind, h5py.h5t.TypeCompoundID):
        return [at + k for at, member in _members(kind) for k in reference_offsets(member)]
    if isinstance(kind, h5py.h5t.TypeArrayID):
        base = kind.get_super()
        within, step = reference_offsets(base), stored_size(base)
        count = min(math.prod(kind.get_array_dims()), MOST_IN_ARRAY)
        return [k * step + at for k in range(count) for at in within]
    return []


def _is_of_variable_length(kind: Any) -> bool:
    is_text = isinstance(kind, h5py.h5t.TypeStringID) and bool(kind.is_variable_str())
    return is_text or isinstance(kind, h5py.h5t.TypeVlenID)


def _members(kind: Any) -> Iterator[tuple[int, Any]]:
    """Stored position and type of each member of a compound type."""
    found = [(int(kind.get_member_offset(k)), k) for k in range(kind.get_nmembers())]
    more = 0
    for at, k in sorted(found):
        member = kind.get_member_type(k)
        yield at + more, member
        more += stored_size(member) - int(member.get_size())


# Beyond twice its size, by which a stored chunk may be longer than what it decodes to.
LARGEST_EXCESS = 2**16


def chunk_bytes(dataset: h5py.Dataset) -> int:
    """Bytes of a whole decoded chunk."""
    return math.prod(dataset.chunks) * stored_size(dataset.id.get_type())


def stored_chunks(dataset: h5py.Dataset) -> list[Any]:
    """Where the chunks are, how long, and without which filters; refuses those that cannot be."""
    found: list[Any] = []
    dataset.id.chunk_iter(found.append)
    expected = chunk_bytes(dataset)
    most = min(2 * expected + LARGEST_EXCESS, dataset.file.id.get_filesize())
    every_filter = (1 << dataset.id.get_create_plist().get_nfilters()) - 1
    for chunk in found:
        unfiltered = chunk.filter_mask & every_filter == every_filter
        if chunk.size > most or (unfiltered and chunk.size != expected):
            raise damaged(
                dataset,
                expected=f"chunks of {expected} bytes",
                found=f"one of {chunk.size} stored bytes",
            )
    return found


def is_decodable(dataset: h5py.Dataset) -> bool:
    """Whether all filters of a dataset in chunks can be undone here."""
    if dataset.chunks is None or not hasattr(dataset.id, "chunk_iter"):
        return False
    return _pipeline(dataset, fingerprint_of(dataset, 0)).is_native()


def plain_values(dataset: h5py.Dataset) -> NDArray[Any] | None:
    """All values of numbers in chunks; None for everything that has to be left to HDF5.

    Raises
    ------
    FileFormatError
        If a chunk does not decode to what the dataset declares.
    """
    if dataset.chunks is None or dataset.dtype.kind not in "biufc" or not is_decodable(dataset):
        return None
    if fingerprint_of(dataset, 0).kind != "chunked":
        return None
    values: NDArray[Any] = np.zeros(dataset.shape, dataset.dtype)
    fill = fill_value(dataset)
    if fill.tobytes().strip(b"\0"):
        values[...] = fill
    for corner, content in decoded_chunks(dataset):
        if content is None:
            return None
        chunk = content.view(dataset.dtype).reshape(dataset.chunks)
        box = tuple(
            slice(min(i, n), min(i + c, n))
            for i, c, n in zip(corner, dataset.chunks, dataset.shape, strict=True)
        )
        values[box] = chunk[tuple(slice(0, part.stop - part.start) for part in box)]
    return values


def decoded_chunks(
    dataset: h5py.Dataset,
) -> Iterator[tuple[tuple[int, ...], NDArray[np.uint8] | None]]:
    """Corner and decoded bytes of each stored chunk; valid until the next one.

    No bytes where a writer may have left a chunk at the edge unfiltered, which only HDF5 knows.

    Raises
    ------
    FileFormatError
        If a chunk does not decode to what the dataset declares.
    """
    pipeline = _pipeline(dataset, fingerprint_of(dataset, 0))
    decoders: dict[int, DecodeChunk] = {}
    room = Buffer.empty(pipeline.chunk_bytes)
    for chunk in stored_chunks(dataset):
        mask, stored = dataset.id.read_direct_chunk(chunk.chunk_offset)
        decode = decoders.get(mask) or decoders.setdefault(mask, pipeline.decoder(mask))
        corner = tuple(int(i) for i in chunk.chunk_offset)
        try:
            decode(Buffer(np.frombuffer(stored, np.uint8)), 0, len(stored), room, 0)
        except DamagedChunkError as error:
            if _may_be_unfiltered(dataset, corner, stored, pipeline):
                yield corner, None
                continue
            raise damaged(dataset, expected=error.expected, found=error.found) from error
        yield corner, room.bytes


def _pipeline(dataset: h5py.Dataset, fingerprint: Fingerprint) -> Pipeline:
    return Pipeline(fingerprint.filters, chunk_bytes(dataset))


def _may_be_unfiltered(
    dataset: h5py.Dataset, corner: tuple[int, ...], stored: bytes, pipeline: Pipeline
) -> bool:
    """Whether a chunk that does not decode may be stored as it is."""
    over_the_edge = any(
        i + c > n for i, c, n in zip(corner, dataset.chunks, dataset.shape, strict=True)
    )
    if not over_the_edge or len(stored) != pipeline.chunk_bytes:
        return False
    if pipeline.filters[-1][0] != DEFLATE:
        return True
    try:
        zlib.decompressobj().decompress(stored, pipeline.chunk_bytes)
    except zlib.error:
        return True
    return False  # it does decode, but to another size
