"""Checks of groups and datasets before HDF5 is let near their content."""

from __future__ import annotations

import math
import os
import struct
import time
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np

from lazyomics import config
from lazyomics.errors import FileFormatError
from lazyomics.io.encodings.chunk_values import (
    REFERENCE,
    chunk_bytes,
    decoded_chunks,
    is_decodable,
    reference_offsets,
    stored_chunks,
    stored_size,
)
from lazyomics.io.encodings.damage import (
    BROKEN_HEAP,
    HDF5_ERRORS,
    OUTSIDE,
    as_format_errors,
    damaged,
    missing_member,
)
from lazyomics.io.hdf5.codecs import DEFLATE
from lazyomics.io.hdf5.layout import address_of, user_block_shift

__all__ = [
    "bytes_behind",
    "can_look_into",
    "check_chunks",
    "check_storage",
    "has_broken_attributes",
    "has_broken_texts",
    "has_member",
    "is_of_variable_length",
    "is_text",
    "is_virtual",
    "leads_outside",
    "member_names",
    "open_member",
]


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


_SECONDS_TO_WAIT_FOR_OTHER_FILES, _PAUSE = 2.0, 0.002


def open_member(group: h5py.Group, key: str) -> Any:
    """Open a member of a group; never follows a link out of the file unless that is allowed.

    Parameters
    ----------
    group
        An open group.
    key
        Name of the member, possibly a path.

    Returns
    -------
    An open :class:`h5py.Group`, :class:`h5py.Dataset` or :class:`h5py.Datatype`.

    Raises
    ------
    FileFormatError
        If there is no such member, its link dangles, or it points out of the file.
    """
    until = time.monotonic() + _SECONDS_TO_WAIT_FOR_OTHER_FILES
    while True:
        try:
            return _opened_member(group, key)
        except FileFormatError:
            if not _leads_to_a_file(group, key) or time.monotonic() > until:
                raise
            time.sleep(_PAUSE)


def _leads_to_a_file(group: h5py.Group, key: str) -> bool:
    """Tell whether a path leads into another file that is there.

    HDF5 opens that file with the locking of this one, and finds no member while another thread has
    it open with another locking.
    """
    if not config.get("external-files") or not isinstance(group, h5py.Group):
        return False
    try:
        parts = key.strip("/").split("/")
        links = [group.get("/".join(parts[:k]), getlink=True) for k in range(1, len(parts) + 1)]
        folder = os.path.dirname(os.path.abspath(str(group.file.filename)))
        names = [link.filename for link in links if isinstance(link, h5py.ExternalLink)]
        return any(os.path.isfile(os.path.join(folder, name)) for name in names)
    except HDF5_ERRORS:
        return False


def _opened_member(group: h5py.Group, key: str) -> Any:
    if not isinstance(group, h5py.Group):
        raise damaged(group, expected=f"a group with a member {key!r}", found="a dataset")
    try:
        if not is_text(key):
            raise missing_member(group, key, found="a name that is no UTF-8")
        link = group.get(key, getlink=True)
        if link is None:
            raise missing_member(group, key, found=f"only the members {list(group)[:20]}")
        if isinstance(link, h5py.ExternalLink) and not config.get("external-files"):
            raise missing_member(group, key, found=f"a link to {link.filename!r}", hint=OUTSIDE)
        member = group[key]
        if not config.get("external-files") and _file_number(member) != _file_number(group):
            raise missing_member(
                group, key, found=f"a way into {member.file.filename!r}", hint=OUTSIDE
            )
        if has_broken_attributes(member):
            raise missing_member(group, key, found=BROKEN_HEAP)
        return member
    except FileFormatError:
        raise
    except HDF5_ERRORS as error:
        raise missing_member(group, key, found=f"no readable object ({error})") from error


def has_member(group: h5py.Group, key: str) -> bool:
    """Whether a group has a member of that name, wherever its link leads; follows none."""
    try:
        return group.get(key, getlink=True) is not None
    except HDF5_ERRORS as error:
        raise missing_member(group, key, found=f"no readable object ({error})") from error


def member_names(group: h5py.Group) -> list[str]:
    """Names in a group; bytes that are no UTF-8 are shown as lone surrogates.

    Members with such names cannot be opened, but others beside them can.
    """
    stored: list[Any] = list(group)
    return [n if isinstance(n, str) else n.decode("utf-8", "surrogateescape") for n in stored]


def is_text(name: str | bytes) -> bool:
    """Whether a name is made of characters; h5py gives bytes where it is not."""
    if isinstance(name, bytes):
        return False
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _file_number(obj: Any) -> int:
    """Number that HDF5 gives to the file that holds an object."""
    return address_of(obj)[0]


DEEPEST = 16  # virtual datasets made of virtual ones: HDF5 needs memory of its stack for each
MOST_PARTS = 2**16  # that are read for one dataset, also those of parts


def is_virtual(dataset: h5py.Dataset) -> bool:
    """Whether the values are those of other datasets."""
    return bool(dataset.id.get_create_plist().get_layout() == h5py.h5d.VIRTUAL)


def leads_outside(dataset: h5py.Dataset) -> bool:
    """Whether parts of a virtual dataset are in another file, by name."""
    return any(source.file_name != "." for source in dataset.virtual_sources())


def bytes_behind(dataset: h5py.Dataset) -> int:
    """Count the stored bytes that a virtual dataset is made of.

    Raises
    ------
    FileFormatError
        If it is made of itself, directly or through others, which HDF5 follows until the process
        ends; of parts that do not exist; or of too many.
    """
    with ExitStack() as files:
        return _Walk(files).count(dataset)[1]


@dataclass
class _Walk:
    """Virtual datasets above the present one, and parts and bytes of those that are known."""

    files: ExitStack
    above: list[tuple[int, int]] = field(default_factory=list)
    known: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)

    def count(self, dataset: h5py.Dataset) -> tuple[int, int]:
        """Parts that are read for a dataset, and their bytes."""
        if not is_virtual(dataset):
            return 1, int(dataset.id.get_storage_size())
        address = address_of(dataset)
        if address in self.known:
            return self.known[address]
        if address in self.above:
            raise damaged(dataset, expected="values of other datasets", found="values of itself")
        if len(self.above) == DEEPEST:
            raise damaged(
                dataset, expected=f"at most {DEEPEST} virtual datasets in another", found="more"
            )
        self.above.append(address)
        counts = [self.count(source) for source in self._sources(dataset)]
        self.above.pop()
        parts, stored = sum(n for n, _ in counts), sum(n for _, n in counts)
        if parts > MOST_PARTS:
            raise damaged(dataset, expected=f"at most {MOST_PARTS} parts", found="more")
        self.known[address] = parts, stored
        return parts, stored

    def _sources(self, dataset: h5py.Dataset) -> Iterator[h5py.Dataset]:
        for source in dataset.virtual_sources():
            name = source.dset_name.replace("%%", "%")
            if "%b" in source.dset_name.replace("%%", ""):
                raise damaged(dataset, expected="names of its parts", found=f"a pattern {name!r}")
            file = self._opened(dataset.file, source.file_name)
            if file is None:  # HDF5 shows fill values for files that do not exist
                continue
            part = open_member(file, name.strip("/"))
            if not isinstance(part, h5py.Dataset):
                raise damaged(part, expected="a dataset, as part of another", found="a group")
            yield part

    def _opened(self, file: h5py.File, name: str) -> h5py.File | None:
        """The file that holds a part; others are looked into only where they may be read."""
        if name == ".":
            return file
        own = os.fsdecode(file.filename)
        path = os.path.join(os.path.dirname(own), name)
        if not os.path.exists(path):
            return None
        if os.path.exists(own) and os.path.samefile(path, own):
            return file
        try:
            return self.files.enter_context(h5py.File(path, "r"))
        except OSError:
            return None


# A dataset may claim any shape for a few bytes. No lossless codec packs real annotations by more
# than this factor; small arrays are exempt because nothing is lost by allocating them.
LARGEST_RATIO = 4096
ALWAYS_ALLOWED_BYTES = 256 * 2**20
# HDF5 inflates a chunk to its end, whatever size the dataset declares for it. Smaller ones cannot
# grow by more than 64 MiB (deflate: 1032 times).
SMALLEST_BOMB = 2**16
# Chunks that were never written: HDF5 takes 4 KiB of memory for each that it is asked for.
MOST_MISSING = 2**16


@as_format_errors
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
