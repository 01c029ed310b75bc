"""Where a dataset and its chunks lie in a file, as HDF5's object header says."""

from __future__ import annotations

import io
import math
import zlib
from array import array
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

import h5py
import numpy as np

from lazyomics.errors import FileFormatError
from lazyomics.io.hdf5.pipeline import FilterSpec, Pipeline
from lazyomics.io.hdf5.raw_files import RawFile
from lazyomics.lazy.indexer import Positions

__all__ = [
    "PAGE_BYTES",
    "ChunkTable",
    "Fingerprint",
    "Grid",
    "address_of",
    "fill_value",
    "fingerprint_of",
    "pipeline_of",
    "user_block_shift",
]


def address_of(obj: Any) -> tuple[int, int]:
    """HDF5's number of the open file, and the address of the object's header.

    ``h5py.h5o.get_info`` says the same, but walks the index of all chunks of a dataset to also
    say how long it is: milliseconds for each dataset, and of a file on a server hundreds of
    requests.
    """
    info = h5py.h5g.get_objinfo(obj.id, b".")
    (file, more), (address, above) = info.fileno, info.objno
    return int(file) + (int(more) << 32), int(address) + (int(above) << 32)


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


_SAMPLES, _SAMPLE_BYTES = 32, 64


@dataclass(frozen=True, eq=False)
class ChunkTable:
    """File positions of the allocated chunks, ordered by their number in the grid.

    Parameters
    ----------
    number
        (n,), int64, ascending: row-major number of each allocated chunk.
    offset, size
        (n,), int64: first byte in the file, and stored bytes.
    mask
        (n,), int64: bit k is set where filter k was skipped.
    complete
        Whether every chunk of the grid is there, so that ``number`` is 0 … n-1.
    """

    number: Positions
    offset: Positions
    size: Positions
    mask: Positions
    complete: bool

    @property
    def nbytes(self) -> int:
        """Memory that the table holds."""
        return self.number.nbytes + self.offset.nbytes + self.size.nbytes + self.mask.nbytes

    def rows(self, numbers: Positions) -> Positions:
        """Row of each chunk number in the table, -1 where the chunk was never written."""
        if self.complete:
            return numbers
        if len(self.number) == 0:
            return np.full(len(numbers), -1, np.int64)
        at = np.minimum(np.searchsorted(self.number, numbers), len(self.number) - 1)
        return np.where(self.number[at] == numbers, at, -1)

    def same_as(self, other: ChunkTable) -> bool:
        """Whether all chunks lie where they lay."""
        return (
            np.array_equal(self.number, other.number)
            and np.array_equal(self.offset, other.offset)
            and np.array_equal(self.size, other.size)
            and np.array_equal(self.mask, other.mask)
        )

    def sample(self, file: RawFile) -> int:
        """A checksum over a few stored bytes of chunks spread over the table.

        Tells data that were overwritten in place, at the same positions, from data that stayed.
        """
        checksum, room = 0, memoryview(bytearray(_SAMPLE_BYTES))
        for row in spread(len(self.number)).tolist():
            wanted = min(_SAMPLE_BYTES, int(self.size[row]))
            count = file.read_into(room[:wanted], int(self.offset[row]))
            checksum = zlib.crc32(room[:count], checksum)
        return checksum

    @classmethod
    def of(cls, dataset: h5py.Dataset, fingerprint: Fingerprint, path: str) -> ChunkTable:
        """List the chunks (18 ms for 10,000), or some pages of a contiguous dataset.

        Raises
        ------
        FileFormatError
            If HDF5 lists chunks that cannot be.
        """
        if fingerprint.kind == "chunked":
            return cls._of_chunks(dataset, fingerprint, path)
        if fingerprint.kind == "contiguous":
            return cls.of_pages(fingerprint, spread(Grid.of(fingerprint).counts[0]))
        return cls._empty()

    @classmethod
    def of_pages(cls, fingerprint: Fingerprint, numbers: Positions) -> ChunkTable:
        """Positions of some pages of a contiguous dataset: arithmetic, nothing to list."""
        if fingerprint.offset is None:
            return cls._empty()
        grid = Grid.of(fingerprint)
        itemsize = np.dtype(fingerprint.dtype).itemsize
        start = numbers * (grid.elements * itemsize)
        size = np.minimum(grid.elements * itemsize, grid.shape[0] * itemsize - start)
        mask = np.zeros(len(numbers), np.int64)
        return cls(numbers, fingerprint.offset + start, size, mask, complete=False)

    @classmethod
    def _empty(cls) -> ChunkTable:
        none = np.zeros(0, np.int64)
        return cls(none, none, none, none, complete=False)

    @classmethod
    def _of_chunks(cls, dataset: h5py.Dataset, fingerprint: Fingerprint, path: str) -> ChunkTable:
        grid = Grid.of(fingerprint)
        counts = grid.counts
        if math.prod(counts) >= 2**62:
            raise FileFormatError.at(
                path,
                fingerprint_name(dataset),
                expected="fewer than 2**62 chunks",
                found=f"shape {fingerprint.shape} in chunks of {grid.chunk}",
            )
        columns = _listed(dataset, len(counts))
        where = columns[: len(counts)] // np.array(grid.chunk, np.int64)[:, None]
        limits = np.array(counts, np.int64)[:, None]
        aligned = columns[: len(counts)] == where * np.array(grid.chunk, np.int64)[:, None]
        inside = (where < limits).all(axis=0)
        number = (
            np.ravel_multi_index(tuple(where[:, inside]), counts)
            if inside.any()
            else (np.zeros(0, np.int64))
        )
        order = np.argsort(number, kind="stable")
        number = number[order].astype(np.int64)
        if not aligned.all() or (np.diff(number) == 0).any():
            raise FileFormatError.at(
                path,
                fingerprint_name(dataset),
                expected="each chunk once, at a place of the grid",
                found="chunks that overlap",
                hint="The file's chunk index is damaged.",
            )
        mask, offset, size = columns[len(counts) :, inside][:, order]
        offset = offset + user_block_shift(dataset.file)
        return cls(number, offset, size, mask, len(number) == math.prod(counts))


def fingerprint_name(dataset: h5py.Dataset) -> str:
    """The dataset's name without the leading slash."""
    return str(dataset.name or "").lstrip("/")


def spread(count: int) -> Positions:
    """A few of ``count`` positions, evenly spread, with the first and the last."""
    if count == 0:
        return np.zeros(0, np.int64)
    return np.unique(np.linspace(0, count - 1, _SAMPLES).astype(np.int64))


def _listed(dataset: h5py.Dataset, axes: int) -> Positions:
    """Chunk coordinates, filter mask, position and size as rows of one array.

    The numbers are kept outside of Python's objects: ten thousand tuples make its garbage collector
    look through all that was ever imported, which takes longer than the listing.
    """
    words = array("Q")

    def note(chunk: Any) -> None:
        words.extend((*chunk.chunk_offset, chunk.filter_mask, chunk.byte_offset, chunk.size))

    dataset.id.chunk_iter(note)
    most = np.iinfo(np.int64).max // 2  # a damaged position, beyond any file: it stays beyond
    table = np.minimum(np.array(words, np.uint64), most).astype(np.int64)
    return table.reshape(-1, axes + 3).T
