"""Look at the heaps that hold texts before HDF5 does.

Texts of variable length, in datasets and in attributes, lie in collections of up to a few
kilobytes ("global heap"). HDF5 walks from object to object by the sizes they state; at a free
object of size zero, which is what a page of zeros looks like, it never gets any further, and
nothing but killing the process ends that. It also believes the length of a text, up to 4 GiB, of
which the heap holds less. So the collections that an object refers to are looked at here first.
What is damaged in other ways is left to HDF5, which says so.

Looked at are attributes in object headers and datasets that are stored plainly, or in chunks that
were deflated. Not looked at are attributes in dense storage (more than eight of them, or larger
than 64 KiB, in files of newer format) and fields of compound types.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from lazyomics.io.addresses import address_of

__all__ = ["has_broken_attributes", "has_broken_texts", "is_of_variable_length"]

ATTRIBUTE, CONTINUATION = 0x0C, 0x10
VARIABLE_LENGTH = 9  # class of datatype
REFERENCE = 16  # bytes: length, address of the collection, number of the object
OBJECT = 16  # bytes in front of each object
COLLECTION = 4096  # bytes that most collections have
LARGEST_HEADER = 1 << 20
MOST_CONTINUATIONS = 64
FILES_KEPT = 8
SHUFFLE = 2


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
            if value and _is_broken(raw, value):
                return True
    raw.looked_at.add(address)
    return False


def has_broken_texts(dataset: h5py.Dataset) -> bool:
    """Whether a dataset of texts (or of anything of variable length) refers to a broken heap."""
    if not is_of_variable_length(dataset):
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
    """Whether the values of a dataset lie in heaps."""
    kind = dataset.id.get_type()
    is_text = isinstance(kind, h5py.h5t.TypeStringID) and bool(kind.is_variable_str())
    return is_text or kind.get_class() == VARIABLE_LENGTH


def _stored_references(raw: _Raw, dataset: h5py.Dataset) -> Iterator[bytes]:
    """Stored bytes of a dataset, piece by piece."""
    size = math.prod(dataset.shape or (0,)) * REFERENCE
    properties = dataset.id.get_create_plist()
    if properties.get_layout() == h5py.h5d.CONTIGUOUS:
        offset = dataset.id.get_offset()
        if offset is not None:
            yield raw.read(int(offset) - _counted_twice(raw, dataset), size)
    elif properties.get_layout() == h5py.h5d.CHUNKED:
        filters = [properties.get_filter(k)[0] for k in range(properties.get_nfilters())]
        if set(filters) <= {h5py.h5z.FILTER_DEFLATE, SHUFFLE}:
            yield from _chunks(dataset, filters)


def _counted_twice(raw: _Raw, dataset: h5py.Dataset) -> int:
    """What HDF5 has added to offsets for the user block already."""
    from lazyomics.io.chunks.layout import user_block_shift

    return raw.base - user_block_shift(dataset.file)


def _chunks(dataset: h5py.Dataset, filters: list[int]) -> Iterator[bytes]:
    """Decoded chunks; those that do not decode are left to HDF5."""
    found: list[tuple[int, ...]] = []
    dataset.id.chunk_iter(lambda chunk: found.append(tuple(chunk.chunk_offset)))
    expected = math.prod(dataset.chunks) * REFERENCE
    for offset in found:
        mask, stored = dataset.id.read_direct_chunk(offset)
        try:
            for k, code in reversed(list(enumerate(filters))):
                if mask >> k & 1:
                    continue
                if code == SHUFFLE:
                    planes = np.frombuffer(stored, "u1").reshape(REFERENCE, -1)
                    stored = planes.T.tobytes()
                else:
                    stored = zlib.decompressobj().decompress(stored, expected)
        except (zlib.error, ValueError):
            continue
        yield stored


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
    """Whether there is a word that looks like the front of a free object of no size."""
    words = np.frombuffer(content[: len(content) // 8 * 8], "<u8")
    return bool(((words[2:-1] & 0xFFFF == 0) & (words[3:] == 0)).any())


def _walk_stops(content: bytes) -> bool:
    position = OBJECT
    while position + OBJECT <= len(content):
        number, _, size = struct.unpack_from("<HHxxxxQ", content, position)
        step = OBJECT + -(-size // 8) * 8 if number else size
        if step == 0:
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


def _references(message: bytes) -> bytes:
    """The value of an attribute of variable length; nothing for other types."""
    if len(message) < 9:
        return b""
    version, flags, name, kind, space = struct.unpack_from("<BBHHH", message)
    if version not in (1, 2, 3) or (version > 1 and flags & 1):
        return b""
    sizes = [-(-n // 8) * 8 for n in (name, kind, space)] if version == 1 else [name, kind, space]
    front = 9 if version == 3 else 8
    if len(message) <= front + sum(sizes) or message[front + sizes[0]] & 15 != VARIABLE_LENGTH:
        return b""
    return message[front + sum(sizes) :]
