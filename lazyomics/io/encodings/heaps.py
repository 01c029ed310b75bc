"""Look at the heaps that hold texts before HDF5 does.

Texts of variable length, in datasets and in attributes, lie in collections of up to a few
kilobytes ("global heap"). HDF5 walks from object to object by the sizes they state; at a free
object of size zero, which is what a page of zeros looks like, it never gets any further, sizes
near 2**64 lead it back, and nothing but killing the process ends that. It also believes the length
of a text, up to 4 GiB, of which the heap holds less. So the collections that an object refers to
are looked at here first. What is damaged in other ways is left to HDF5, which says so.

Looked at are attributes in object headers and datasets that are stored plainly, or in chunks whose
filters can be undone here. Not looked at are attributes in dense storage (more than eight of them,
or larger than 64 KiB, in files of newer format), and compound types of attributes.
"""

from __future__ import annotations

import math
import os
import struct
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from lazyomics.io.addresses import address_of
from lazyomics.io.chunks.layout import user_block_shift
from lazyomics.io.encodings.chunk_values import decoded_chunks, is_decodable
from lazyomics.io.encodings.stored_types import REFERENCE, reference_offsets, stored_size

__all__ = ["can_look_into", "has_broken_attributes", "has_broken_texts", "is_of_variable_length"]

LAYOUT, ATTRIBUTE, CONTINUATION = 0x08, 0x0C, 0x10
COMPACT_VERSIONS = (b"\3", b"\4", b"\5")
VARIABLE_LENGTH = 9  # class of datatype
OBJECT = 16  # bytes in front of each object
COLLECTION = 4096  # bytes that most collections have
LARGEST_HEADER = 1 << 20
MOST_CONTINUATIONS = 64
BACKWARDS = 1 << 63
FILES_KEPT = 8


class _Raw:
    """Bytes of an open file, at the addresses that HDF5 uses, and the collections found good."""

    def __init__(self, file: Any) -> None:
        self.base = int(file.get_create_plist().get_userblock())
        self.descriptor = int(file.get_vfd_handle())
        self.good: set[int] = set()
        self.looked_at: set[int] = set()  # objects, by address

    def read(self, address: int, size: int) -> bytes:
        """Bytes at an address; fewer at the end of the file, none outside of it."""
        position = self.base + address
        if size > LARGEST_HEADER:
            size = min(size, os.fstat(self.descriptor).st_size - position)
        if not 0 <= position < 2**62 or size <= 0:
            return b""
        return os.pread(self.descriptor, size, position)


# The files that were looked at last, by the numbers that HDF5 gives them, each only once; None
# where HDF5 does not read from a file of the operating system itself.
_files: OrderedDict[int, _Raw | None] = OrderedDict()


def _raw_of(obj: Any, number: int) -> _Raw | None:
    if number not in _files:
        file = h5py.h5i.get_file_id(obj.id)
        plain = file.get_access_plist().get_driver() == h5py.h5fd.SEC2
        _files[number] = _Raw(file) if plain else None
        while len(_files) > FILES_KEPT:
            _files.pop(next(iter(_files)), None)
    return _files.get(number)


def has_broken_attributes(obj: Any) -> bool:
    """Whether attributes of an open group, dataset or type refer to a broken heap."""
    number, address = address_of(obj)
    raw = _raw_of(obj, number)
    if raw is None or address in raw.looked_at:
        return False
    for kind, flags, body in _messages(raw, address):
        if kind == ATTRIBUTE and not flags & 2:  # others share a message that is elsewhere
            value = _references(body)
            if value is None or (value and _is_broken(raw, value)):
                return True
    raw.looked_at.add(address)
    return False


def can_look_into(dataset: h5py.Dataset) -> bool:
    """Whether :func:`has_broken_texts` has a way to look at the values of a dataset."""
    return is_of_variable_length(dataset) and _raw_of(dataset, address_of(dataset)[0]) is not None


def has_broken_texts(dataset: h5py.Dataset) -> bool:
    """Whether a dataset of texts (or of anything of variable length) refers to a broken heap."""
    if not is_of_variable_length(dataset) or dataset.shape is None:
        return False
    raw = _raw_of(dataset, address_of(dataset)[0])
    if raw is None:
        return False
    return any(_is_broken(raw, stored) for stored in _stored_references(raw, dataset))


def _is_broken(raw: _Raw, stored: bytes) -> bool:
    """Whether one of these references leads to a collection that cannot be read."""
    if len(stored) == REFERENCE:  # as most attributes have it
        length, heap = struct.unpack_from("<IQ", stored)
        return bool(length) and (
            (length > COLLECTION and length > _size(raw, heap)) or _is_endless(raw, heap)
        )
    words = np.frombuffer(stored[: len(stored) // REFERENCE * REFERENCE], "<u4").reshape(-1, 4)
    words = words[words[:, 0] > 0]
    heaps = np.ascontiguousarray(words[:, 1:3]).view("<u8").ravel()
    long = words[:, 0] > COLLECTION
    for length, heap in zip(words[long, 0].tolist(), heaps[long].tolist(), strict=True):
        if length > _size(raw, heap):
            return True
    return any(_is_endless(raw, heap) for heap in np.unique(heaps).tolist())


def is_of_variable_length(dataset: h5py.Dataset) -> bool:
    """Whether values of a dataset, or fields of them, lie in heaps."""
    return bool(reference_offsets(dataset.id.get_type()))


def _stored_references(raw: _Raw, dataset: h5py.Dataset) -> Iterator[bytes]:
    """The references that a dataset stores, some at a time."""
    kind = dataset.id.get_type()
    size = stored_size(kind)
    for content in _stored_bytes(raw, dataset, size):
        if size == REFERENCE:
            yield content
            continue
        values = np.frombuffer(content[: len(content) // size * size], "u1").reshape(-1, size)
        for at in reference_offsets(kind):
            yield values[:, at : at + REFERENCE].tobytes()


def _stored_bytes(raw: _Raw, dataset: h5py.Dataset, size: int) -> Iterator[bytes]:
    """Stored bytes of a dataset, piece by piece."""
    layout = dataset.id.get_create_plist().get_layout()
    if layout == h5py.h5d.CONTIGUOUS:
        offset = dataset.id.get_offset()
        if offset is not None:
            start = int(offset) - _counted_twice(raw, dataset)
            yield raw.read(start, math.prod(dataset.shape) * size)
    elif layout == h5py.h5d.COMPACT:
        for kind, _, body in _messages(raw, address_of(dataset)[1]):
            if kind == LAYOUT and body[:1] in COMPACT_VERSIONS and body[1:2] == b"\0":
                yield body[4 : 4 + int.from_bytes(body[2:4], "little")]
    elif is_decodable(dataset):
        for _, decoded in decoded_chunks(dataset):
            if decoded is not None:
                yield decoded.tobytes()


def _counted_twice(raw: _Raw, dataset: h5py.Dataset) -> int:
    """What HDF5 has added to offsets for the user block already."""
    return raw.base - user_block_shift(dataset.file)


def _is_endless(raw: _Raw, address: int) -> bool:
    """Whether a collection has an object that leads nowhere."""
    if address in raw.good:
        return False
    content = raw.read(address, COLLECTION)
    if len(content) < OBJECT or content[:4] != b"GCOL":
        return False  # HDF5 refuses it
    (size,) = struct.unpack_from("<Q", content, 8)
    if size > len(content) == COLLECTION:
        content = raw.read(address, min(size, LARGEST_HEADER))
    if _may_be_endless(content) and _walk_stops(content):
        return True
    raw.good.add(address)
    return False


def _size(raw: _Raw, address: int) -> int:
    """Bytes of a collection, as far as they are in the file."""
    front = raw.read(address, OBJECT)
    if len(front) < OBJECT or front[:4] != b"GCOL":
        return 0
    (size,) = struct.unpack_from("<Q", front, 8)
    return min(int(size), os.fstat(raw.descriptor).st_size - raw.base - address)


def _may_be_endless(content: bytes) -> bool:
    """Whether there are words like a free object of no size, or one that goes backwards."""
    words = np.frombuffer(content[: len(content) // 8 * 8], "<u8")
    sizes = words[3:]
    return bool(((words[2:-1] & 0xFFFF == 0) & (sizes == 0)).any() or (sizes >= BACKWARDS).any())


def _walk_stops(content: bytes) -> bool:
    position = OBJECT
    while position + OBJECT <= len(content):
        number, _, size = struct.unpack_from("<HHxxxxQ", content, position)
        step = OBJECT + -(-size // 8) * 8 if number else size
        if step == 0 or size >= BACKWARDS:
            return True
        position += step
    return False


def _messages(raw: _Raw, address: int) -> Iterator[tuple[int, int, bytes]]:
    """Type, flags and content of the messages in an object header of either version."""
    start = raw.read(address, 64)
    if len(start) < OBJECT:
        return
    newer, skip, size = _first_block(start)
    blocks, read = [(address + skip, size)], 0
    ordered = newer and bool(start[5] & 4)
    while blocks and read < MOST_CONTINUATIONS:
        position, size = blocks.pop()
        read += 1
        block, at = raw.read(position, min(size, LARGEST_HEADER)), 0
        if newer and read > 1:
            block = block[4:-4]  # its signature and checksum
        front = (6 if ordered else 4) if newer else 8
        while at + front <= len(block):
            kind, length, flags = struct.unpack_from("<BHB" if newer else "<HHB", block, at)
            body = block[at + front : at + front + length]
            at += front + length
            if kind == CONTINUATION and len(body) >= 16:
                blocks.append(struct.unpack_from("<QQ", body))
            yield kind, flags, body


def _first_block(start: bytes) -> tuple[bool, int, int]:
    """Whether a header is of the newer version, where its messages begin, and their bytes."""
    if start[:4] != b"OHDR":
        return False, 16, struct.unpack_from("<I", start, 8)[0]
    flags = start[5]
    skip = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    return True, skip + width, int.from_bytes(start[skip : skip + width], "little")


def _references(message: bytes) -> bytes | None:
    """The value of an attribute of variable length; nothing for other types.

    None for one that is neither text nor a sequence, which HDF5 does not survive.
    """
    if len(message) < 9:
        return b""
    version, flags, name, kind, space = struct.unpack_from("<BBHHH", message)
    if version not in (1, 2, 3) or (version > 1 and flags & 1):
        return b""
    sizes = [-(-n // 8) * 8 for n in (name, kind, space)] if version == 1 else [name, kind, space]
    front = 9 if version == 3 else 8
    at = front + sizes[0]
    if len(message) <= front + sum(sizes) or message[at] & 15 != VARIABLE_LENGTH:
        return b""
    return message[front + sum(sizes) :] if message[at + 1] & 15 <= 1 else None
