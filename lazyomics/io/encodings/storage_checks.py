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
from lazyomics.io.encodings.damage import OUTSIDE, damaged
from lazyomics.io.encodings.heaps import can_look_into
from lazyomics.io.encodings.members import child

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


def check_storage(dataset: h5py.Dataset) -> None:
    """Refuse values that live in other files, and sizes that the stored bytes cannot hold.

    Reads nothing but the header of the dataset.

    Raises
    ------
    FileFormatError
        If the dataset must not be believed.
    """
    plist = dataset.id.get_create_plist()
    layout = plist.get_layout()
    outside = plist.get_external_count() > 0 or (
        layout == h5py.h5d.VIRTUAL
        and any(source.file_name != "." for source in dataset.virtual_sources())
    )
    if outside and not config.get("external-files"):
        raise damaged(
            dataset, expected="values in this file", found="values in other files", hint=OUTSIDE
        )
    size = math.prod(dataset.shape) * dataset.dtype.itemsize
    if size <= ALWAYS_ALLOWED_BYTES or outside:
        return
    stored = dataset.id.get_storage_size()
    if layout == h5py.h5d.VIRTUAL:
        stored = sum(_stored_in(dataset.file, s.dset_name) for s in dataset.virtual_sources())
    if size > LARGEST_RATIO * stored:
        raise damaged(
            dataset,
            expected=f"a shape that {stored} stored bytes can fill",
            found=f"shape {dataset.shape} of {dataset.dtype} ({size} bytes)",
        )


def _stored_in(file: h5py.File, name: str) -> int:
    """Stored bytes of a dataset that another one is made of."""
    source = child(file, name.lstrip("/"))
    return int(source.id.get_storage_size()) if isinstance(source, h5py.Dataset) else 0


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
