"""Where each chunk of a dataset lies in the file."""

from __future__ import annotations

import math
import zlib
from array import array
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from lazyomics.errors import FileFormatError
from lazyomics.io.chunks.files import RawFile
from lazyomics.io.chunks.layout import Fingerprint, Grid, user_block_shift
from lazyomics.io.chunks.selection import Positions

__all__ = ["ChunkTable"]

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
