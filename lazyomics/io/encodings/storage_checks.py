"""Checks of how a dataset is stored, made before its values are believed."""

from __future__ import annotations

import math
import zlib
from typing import Any

import h5py

from lazyomics import config
from lazyomics.io.chunks.codecs import DEFLATE
from lazyomics.io.encodings.chunk_values import (
    chunk_bytes,
    decoded_chunks,
    is_decodable,
    stored_chunks,
)
from lazyomics.io.encodings.damage import OUTSIDE, damaged, guarded
from lazyomics.io.encodings.heaps import can_look_into
from lazyomics.io.encodings.virtual import bytes_behind, is_virtual, leads_outside

__all__ = ["check_chunks", "check_storage"]

# A dataset may claim any shape for a few bytes. No lossless codec packs real annotations by more
# than this factor; small arrays are exempt because nothing is lost by allocating them.
LARGEST_RATIO = 4096
ALWAYS_ALLOWED_BYTES = 256 * 2**20
# HDF5 inflates a chunk to its end, whatever size the dataset declares for it. Smaller ones cannot
# grow by more than 64 MiB (deflate: 1032 times).
SMALLEST_BOMB = 2**16
# Chunks that were never written: HDF5 takes 4 KiB of memory for each that it is asked for.
MOST_MISSING = 2**16


@guarded
def check_storage(dataset: h5py.Dataset) -> None:
    """Refuse values that live in other files, or nowhere, and sizes that no stored bytes can hold.

    Reads nothing but the header of the dataset, and those of the datasets that it is made of.

    Raises
    ------
    FileFormatError
        If the dataset must not be believed.
    """
    virtual = is_virtual(dataset)
    outside = dataset.id.get_create_plist().get_external_count() > 0 or (
        virtual and leads_outside(dataset)
    )
    if outside and not config.get("external-files"):
        raise damaged(
            dataset, expected="values in this file", found="values in other files", hint=OUTSIDE
        )
    stored = bytes_behind(dataset) if virtual else None
    size = math.prod(dataset.shape) * dataset.dtype.itemsize
    if size <= ALWAYS_ALLOWED_BYTES or outside:
        return
    if stored is None:  # walks the index of its chunks
        stored = dataset.id.get_storage_size()
    if size > LARGEST_RATIO * stored:
        raise damaged(
            dataset,
            expected=f"a shape that {stored} stored bytes can fill",
            found=f"shape {dataset.shape} of {dataset.dtype} ({size} bytes)",
        )


def check_chunks(dataset: h5py.Dataset) -> None:
    """Refuse chunks that HDF5 must not decode: bombs, those too short, and too many of none.

    To be called before HDF5 reads a dataset whose values are not decoded here.
    """
    if dataset.chunks is None or not hasattr(dataset.id, "chunk_iter"):
        return
    found = stored_chunks(dataset)
    declared = math.prod(-(-n // c) for n, c in zip(dataset.shape, dataset.chunks, strict=True))
    if declared - len(found) > MOST_MISSING:
        raise damaged(
            dataset,
            expected=f"{declared} chunks, as its shape declares",
            found=f"{len(found)} stored ones",
        )
    if is_decodable(dataset):
        if not can_look_into(dataset):  # then its chunks have been decoded
            for _ in decoded_chunks(dataset):
                pass
        return
    _check_undecodable(dataset, found)


def _check_undecodable(dataset: h5py.Dataset, found: list[Any]) -> None:
    """What can be said of chunks whose filters only HDF5 can undo."""
    properties = dataset.id.get_create_plist()
    n_filters = properties.get_nfilters()
    first_undone = properties.get_filter(n_filters - 1)[0]
    expected = chunk_bytes(dataset)
    for chunk in found:
        if chunk.size > SMALLEST_BOMB and first_undone == DEFLATE and not chunk.filter_mask:
            stream = zlib.decompressobj()
            stream.decompress(dataset.id.read_direct_chunk(chunk.chunk_offset)[1], expected + 64)
            if stream.unconsumed_tail and not stream.eof:
                raise damaged(
                    dataset,
                    expected=f"chunks of {expected} bytes",
                    found=f"one whose {chunk.size} stored bytes decode to more",
                )
