"""Where and how a dataset is stored: what HDF5's object header says, without its chunks."""

from __future__ import annotations

import io
import math
import zlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import h5py
import numpy as np

from lazyomics.io.addresses import address_of
from lazyomics.io.chunks.pipeline import FilterSpec, Pipeline

if TYPE_CHECKING:
    from lazyomics.io.chunks.files import RawFile

__all__ = [
    "PAGE_BYTES",
    "Fingerprint",
    "Grid",
    "fill_value",
    "fingerprint_of",
    "pipeline_of",
    "user_block_shift",
]

Kind = Literal["chunked", "contiguous", "other"]

#: Contiguous datasets are read and counted in pages of about this size.
PAGE_BYTES = 1 << 20

_HEAD_BYTES = 4096


class Fingerprint(NamedTuple):
    """What must still hold for the bytes of a dataset to be found where they were.

    It changes if the file is replaced by another, or the dataset by another in the same file; it
    stays if other elements are added, changed or removed.
    """

    inode: int
    address: int  # of the object header
    shape: tuple[int, ...]
    dtype: str  # as stored, with its byte order
    kind: Kind
    chunks: tuple[int, ...] | None
    filters: tuple[FilterSpec, ...]
    offset: int | None  # first byte, where contiguous and allocated
    head: int  # checksum of the first stored bytes: a number of an inode is given to others

    def is_same(self, other: Fingerprint) -> bool:
        """Tell whether both are of the same bytes; an unknown checksum (0) says nothing."""
        if self._replace(head=0) != other._replace(head=0):
            return False
        return self.head == other.head or 0 in (self.head, other.head)


@dataclass(frozen=True)
class Grid:
    """A dataset cut into boxes: its chunks, or pages of a contiguous one.

    Parameters
    ----------
    shape
        Elements along each axis; of a contiguous dataset, of its only axis.
    chunk
        Elements of a box along each axis, each at least 1.
    """

    shape: tuple[int, ...]
    chunk: tuple[int, ...]

    @classmethod
    def of(cls, fingerprint: Fingerprint) -> Grid:
        """The boxes in which a dataset is read."""
        if fingerprint.chunks is not None:
            return cls(fingerprint.shape, fingerprint.chunks)
        itemsize = max(np.dtype(fingerprint.dtype).itemsize, 1)
        if fingerprint.kind == "contiguous":  # one run of bytes, whatever its shape
            return cls((math.prod(fingerprint.shape),), (max(PAGE_BYTES // itemsize, 1),))
        return cls(fingerprint.shape, _page_shape(fingerprint.shape, itemsize))

    @property
    def counts(self) -> tuple[int, ...]:
        """Boxes along each axis."""
        return tuple(-(-n // c) for n, c in zip(self.shape, self.chunk, strict=True))

    @property
    def elements(self) -> int:
        """Elements of a whole box."""
        return math.prod(self.chunk)


def fingerprint_of(dataset: h5py.Dataset, inode: int, file: RawFile | None = None) -> Fingerprint:
    """Describe a dataset from its object header and its first stored bytes."""
    kind = _kind(dataset)
    offset = _first_byte(dataset) if kind == "contiguous" else None
    return Fingerprint(
        inode=inode,
        address=address_of(dataset)[1],
        shape=tuple(int(n) for n in dataset.shape),
        dtype=dataset.dtype.str,
        kind=kind,
        chunks=tuple(int(n) for n in dataset.chunks) if dataset.chunks is not None else None,
        filters=_filters(dataset),
        offset=offset,
        head=_head(dataset, kind, offset, file) if file is not None and file.is_local else 0,
    )


def _head(dataset: h5py.Dataset, kind: Kind, offset: int | None, file: RawFile) -> int:
    """Return a checksum of the first stored bytes, 0 where there are none, or not yet all."""
    if dataset.file.mode != "r":
        return 0
    size = min(_HEAD_BYTES, int(dataset.size or 0) * dataset.dtype.itemsize)
    if kind == "chunked" and size:
        stored = dataset.id.get_chunk_info_by_coord((0,) * dataset.ndim)
        offset, size = stored.byte_offset, min(_HEAD_BYTES, int(stored.size))
    if offset is None or not size:
        return 0
    data = memoryview(bytearray(size))
    return zlib.crc32(data) if file.read_into(data, int(offset)) == size else 0


def pipeline_of(fingerprint: Fingerprint) -> Pipeline:
    """The filters of a chunked dataset."""
    itemsize = np.dtype(fingerprint.dtype).itemsize
    return Pipeline(fingerprint.filters, math.prod(fingerprint.chunks or (0,)) * itemsize)


def _first_byte(dataset: h5py.Dataset) -> int | None:
    """Absolute file position of a contiguous dataset, None where nothing is allocated."""
    offset = dataset.id.get_offset()
    return None if offset is None else int(offset) + user_block_shift(dataset.file)


def fill_value(dataset: h5py.Dataset) -> Any:
    """The value of elements that were never written, as stored."""
    value = np.zeros((), dataset.dtype)
    properties = dataset.id.get_create_plist()
    if properties.fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED:
        value[...] = dataset.fillvalue
    return value


def user_block_shift(file: h5py.File) -> int:
    """What to add to the positions that HDF5 reports in this file.

    Some releases of HDF5 count from the end of the user block (512 bytes in .h5mu files), others
    from the start of the file.
    """
    size = int(file.userblock_size)
    return 0 if size == 0 or _positions_are_absolute() else size


@cache
def _positions_are_absolute() -> bool:
    content = bytes(range(64, 96))
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=512) as file:
        dataset = file.create_dataset("x", data=np.frombuffer(content, np.uint8))
        position = int(dataset.id.get_offset())
    return buffer.getvalue()[position : position + len(content)] == content


def _kind(dataset: h5py.Dataset) -> Kind:
    if not dataset.shape or not _is_plain_type(dataset):
        return "other"
    properties = dataset.id.get_create_plist()
    layout = properties.get_layout()
    if layout == h5py.h5d.CHUNKED and hasattr(dataset.id, "chunk_iter"):
        return "chunked"
    if layout == h5py.h5d.CONTIGUOUS and properties.get_external_count() == 0:
        return "contiguous"
    return "other"


def _is_plain_type(dataset: h5py.Dataset) -> bool:
    """Whether the stored bytes of an element are NumPy's bytes of it."""
    dtype = dataset.dtype
    if dtype.kind not in "biufcS" or dtype.subdtype is not None or dtype.itemsize == 0:
        return False
    return bool(h5py.h5t.py_create(dtype, logical=True) == dataset.id.get_type())


def _filters(dataset: h5py.Dataset) -> tuple[FilterSpec, ...]:
    properties = dataset.id.get_create_plist()
    found = (properties.get_filter(k) for k in range(properties.get_nfilters()))
    return tuple((int(code), tuple(int(v) for v in values)) for code, _, values, _ in found)


def _page_shape(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """A box of at most a page: whole trailing axes where they fit."""
    room = max(PAGE_BYTES // itemsize, 1)
    page = [1] * len(shape)
    for axis in reversed(range(len(shape))):
        page[axis] = max(min(shape[axis], room), 1)
        if page[axis] < shape[axis]:
            break
        room //= page[axis]
        if room <= 1:
            break
    return tuple(page)
