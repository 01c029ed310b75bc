"""StoredArray: an array inside of a file, a picklable value that reads and counts what it reads."""

from __future__ import annotations

import math
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import h5py
import numpy as np
import numpy.typing as npt

from lazyomics.errors import FileFormatError, UnsupportedError
from lazyomics.io.hdf5.dataset import known
from lazyomics.io.hdf5.fetch import Source
from lazyomics.io.hdf5.layout import ChunkTable, Fingerprint, Grid, fingerprint_of
from lazyomics.io.hdf5.ranges import Axis, Pieces, read_boxes, read_pieces
from lazyomics.io.hdf5.raw_files import absolute_path, open_raw
from lazyomics.io.hdf5.row_ranges import RowRanges
from lazyomics.io.remote.address import RemotePath
from lazyomics.lazy.indexer import Positions, Selector, positions

__all__ = [
    "NumberArray",
    "ReadCount",
    "ReadCounter",
    "StoredArray",
    "cost_of_box",
    "cost_of_ranges",
    "count_reads",
    "extents_of_ranges",
    "read_together",
    "record",
]


_lock = threading.Lock()
_active: tuple[ReadCounter, ...] = ()


@dataclass
class ReadCount:
    """Costs of reading one dataset, or all.

    Attributes
    ----------
    chunks
        Chunks decoded; of a contiguous dataset, pages touched.
    bytes_read
        Bytes read from the file.
    bytes_decoded
        Bytes after undoing the filters.
    reads
        Calls of a reading method.
    """

    chunks: int = 0
    bytes_read: int = 0
    bytes_decoded: int = 0
    reads: int = 0

    def add(self, chunks: int, bytes_read: int, bytes_decoded: int) -> None:
        """Count one more read."""
        self.chunks += chunks
        self.bytes_read += bytes_read
        self.bytes_decoded += bytes_decoded
        self.reads += 1


@dataclass
class ReadCounter(ReadCount):
    """Costs of all reads, and ``by_dataset[path, name]`` of each dataset's."""

    by_dataset: dict[tuple[str, str], ReadCount] = field(
        default_factory=lambda: defaultdict(ReadCount)
    )


@contextmanager
def count_reads() -> Iterator[ReadCounter]:
    """Count the chunk reads of this process, in all its threads, inside a ``with`` block.

    Returns
    -------
    A counter with ``chunks``, ``bytes_read``, ``bytes_decoded``, ``reads`` and ``by_dataset``.
    Reads in other processes are not seen.

    Examples
    --------
    >>> with count_reads() as counter:
    ...     pass
    >>> counter.chunks
    0
    """
    global _active
    counter = ReadCounter()
    with _lock:
        _active = (*_active, counter)
    try:
        yield counter
    finally:
        with _lock:
            _active = tuple(c for c in _active if c is not counter)


def record(path: str, name: str, *, chunks: int, bytes_read: int, bytes_decoded: int) -> None:
    """Tell the active counters about one read; costs nothing without any."""
    if not _active:
        return
    with _lock:
        for counter in _active:
            counter.add(chunks, bytes_read, bytes_decoded)
            counter.by_dataset[path, name].add(chunks, bytes_read, bytes_decoded)


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


Array = np.ndarray[Any, Any]

# Columns picked from unchunked data are taken from windows of rows of about this size.
_WINDOW_BYTES = 8 << 20


class NumberArray(Protocol):
    """An array in a file or store, of any format: small, hashable and picklable."""

    @property
    def path(self) -> str:
        """File or store."""

    @property
    def name(self) -> str:
        """Place of the array in it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Elements along each axis."""

    @property
    def dtype(self) -> str:
        """NumPy's name of the type that reads return."""

    @property
    def opened_ns(self) -> int:
        """Time stamp of when it was opened, in nanoseconds."""

    @property
    def chunk_rows(self) -> int:
        """Rows of a chunk."""

    @property
    def grain_bytes(self) -> int:
        """Decoded bytes of a row of chunks; 0 where any part is read."""

    def read(self, start: int, stop: int) -> Array:
        """One range of a one-dimensional array."""

    def read_ranges(self, starts: npt.ArrayLike, stops: npt.ArrayLike) -> Array:
        """Many ranges of a one-dimensional array, one behind the other."""

    def read_2d(
        self, rows: npt.ArrayLike | slice, cols: npt.ArrayLike | slice | None = None
    ) -> Array:
        """Rows and columns of an array; the outer product of both selections."""

    def cost_of_ranges(self, starts: npt.ArrayLike, stops: npt.ArrayLike) -> tuple[int, int]:
        """Chunks that ``read_ranges`` would decode, and stored bytes."""

    def cost_of_box(
        self, rows: npt.ArrayLike | slice, cols: npt.ArrayLike | slice | None = None
    ) -> tuple[int, int]:
        """Chunks that ``read_2d`` would decode, and stored bytes."""


class NumberReads:
    """What arrays of HDF5 and of zarr have in common."""

    @property
    def ndim(self: NumberArray) -> int:
        """Number of axes."""
        return len(self.shape)

    def read(self: NumberArray, start: int, stop: int) -> Array:
        """One range of a one-dimensional array.

        Parameters
        ----------
        start, stop
            The range, ``0 <= start <= stop <= shape[0]``.

        Returns
        -------
        (stop - start,) values.
        """
        return self.read_ranges(np.array([start]), np.array([stop]))

    def read_rows(self: NumberArray, start: int, stop: int) -> Array:
        """Rows ``start`` to ``stop`` of an array with one axis or more."""
        return self.read_2d(slice(start, stop))

    def checked_ranges(
        self: NumberArray, starts: npt.ArrayLike, stops: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Ranges of a one-dimensional array as int64, shape (n,).

        Raises
        ------
        ValueError, IndexError
            If they are none, or not inside the array.
        """
        if len(self.shape) != 1:
            raise ValueError(f"{self.name}: ranges need one axis, found shape {self.shape}")
        low, high = np.asarray(starts, np.int64), np.asarray(stops, np.int64)
        if low.ndim != 1 or low.shape != high.shape:
            raise ValueError(f"{self.name}: starts {low.shape} and stops {high.shape} differ")
        if len(low) and (low.min() < 0 or high.max() > self.shape[0] or (high < low).any()):
            raise IndexError(
                f"{self.path}: {self.name}: ranges outside of 0 … {self.shape[0]}, or reversed"
            )
        return low, high


@dataclass(frozen=True)
class StoredArray(NumberReads):
    """A dataset of an HDF5 file, read without HDF5's lock.

    Calls read and decode in the calling thread; any number of threads may read at once. The
    object holds no open file: it pickles, hashes and compares by value.

    Parameters
    ----------
    path
        Absolute path of the file.
    name
        Path of the dataset inside it, such as ``"X/data"``.
    shape
        Elements along each axis.
    dtype
        NumPy's name of the type that reads return, in the machine's byte order.
    fingerprint
        What must still hold for the bytes to be the same.
    opened_ns
        Time stamp of the file when it was opened, in nanoseconds.

    Raises
    ------
    StaleFileError
        By every read, if the dataset was changed or replaced, or the file replaced. Changes to
        other elements of the file do no harm.
    FileNotFoundError
        By every read, if the file is gone.
    FileFormatError
        By every read, if stored bytes are damaged.
    MissingDependencyError
        By every read, if a filter's plugin is not installed.
    """

    path: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    fingerprint: Fingerprint
    opened_ns: int = field(default=0, compare=False)

    @classmethod
    def of(cls, dataset: h5py.Dataset, path: str | os.PathLike[str]) -> StoredArray:
        """Describe an opened dataset; costs the same for any number of chunks.

        Parameters
        ----------
        dataset
            The dataset, in a file that is open.
        path
            Where the file can be found.

        Raises
        ------
        UnsupportedError
            If its elements are records (a compound type).
        """
        where = _true_path(dataset, absolute_path(path))
        if dataset.name is None or dataset.shape is None:
            raise FileFormatError.at(
                where, str(dataset.name), expected="an array with a name", found="none"
            )
        if dataset.dtype.kind == "V":
            raise UnsupportedError(
                f"{where}: element {dataset.name!r} holds records of type {dataset.dtype}, "
                "which cannot be read lazily; read it with h5py"
            )
        with open_raw(where) as file:
            state = file.state()
            fingerprint = fingerprint_of(dataset, state.inode, file)
        return cls(
            path=where,
            name=dataset.name.lstrip("/"),
            shape=fingerprint.shape,
            dtype=dataset.dtype.newbyteorder("=").str,
            fingerprint=fingerprint,
            opened_ns=state.mtime_ns,
        )

    @property
    def chunk_rows(self) -> int:
        """Rows of a chunk; where data are not chunked, of a page of about 1 MiB."""
        grid = Grid.of(self.fingerprint)
        if self.fingerprint.kind != "contiguous":
            return grid.chunk[0]
        return max(grid.chunk[0] // max(math.prod(self.shape[1:]), 1), 1)

    @property
    def grain_bytes(self) -> int:
        """Decoded bytes of a row of chunks, which are decoded whole; 0 where any part is read."""
        if not self.fingerprint.filters:
            return 0
        return self.chunk_rows * math.prod(self.shape[1:]) * np.dtype(self.dtype).itemsize

    def read_ranges(self, starts: npt.ArrayLike, stops: npt.ArrayLike) -> Array:
        """Many ranges of a one-dimensional array, one behind the other in the given order.

        Parameters
        ----------
        starts, stops
            (n,), int64: ranges; they may be unsorted, overlap, repeat or be empty.

        Returns
        -------
        All values of all ranges.

        Notes
        -----
        Each chunk that is hit is read and decoded once; chunks that follow each other on disk are
        read together. Peak memory: the result, about 1 MiB of stored chunks, one decoded chunk.
        """
        low, high = self.checked_ranges(starts, stops)
        return self._read_flat(low, high)

    def read_2d(
        self, rows: npt.ArrayLike | slice, cols: npt.ArrayLike | slice | None = None
    ) -> Array:
        """Rows and columns of an array; the outer product of both selections.

        Parameters
        ----------
        rows
            A slice, integer positions or a mask along the first axis.
        cols
            The same along the second axis; None for all.

        Returns
        -------
        (selected rows, selected columns, …) values.

        Notes
        -----
        Only chunks that are hit are read. Peak memory: the result, about 1 MiB of stored chunks,
        one decoded chunk; of contiguous data with picked columns, windows of 8 MiB.
        """
        if not self.shape:
            raise ValueError(f"{self.name}: a scalar has no rows")
        if cols is not None and self.ndim < 2:
            raise ValueError(f"{self.name}: an array of shape {self.shape} has no columns")
        first = positions(rows, self.shape[0], "rows")
        second = None if cols is None else positions(cols, self.shape[1], "columns")
        if self.fingerprint.kind == "contiguous":
            return self._read_unchunked(RowRanges.of(self.shape, first, second))
        if self.ndim == 1 and isinstance(first, slice):
            return self.read(first.start, first.stop)
        picks: list[Selector] = [first, *(slice(0, n) for n in self.shape[1:])]
        if second is not None:
            picks[1] = second
        grid = Grid.of(self.fingerprint)
        axes = tuple(Axis.of(pick, c) for pick, c in zip(picks, grid.chunk, strict=True))
        out = np.empty(tuple(axis.length for axis in axes), self.fingerprint.dtype)
        chunks = math.prod(len(axis.chunks) for axis in axes)
        return self._filled(out, chunks, lambda source: read_boxes(source, axes, out))

    def _read_flat(self, starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]) -> Array:
        pieces = Pieces.of(starts, stops, Grid.of(self.fingerprint).chunk[0])
        out = np.empty(pieces.total, self.fingerprint.dtype)
        return self._filled(out, len(pieces.numbers), lambda s: read_pieces(s, pieces, out))

    def _filled(self, out: Array, chunks: int, fill: Callable[[Source], None]) -> Array:
        """Run ``fill`` on the opened file, and make sure that it did not change meanwhile."""
        with open_raw(self.path) as file:
            entry = known(file, self.name, self.fingerprint, self.opened_ns)
            if out.size == 0:
                return _native(out)
            before = file.total
            try:
                fill(Source(file, self.path, self.name, entry))
            except FileFormatError:
                # Damaged, or being rewritten?
                known(file, self.name, self.fingerprint, self.opened_ns)
                raise
            if file.state() != entry.state:
                known(file, self.name, self.fingerprint, self.opened_ns)
            size = file.total - before
        decoded = chunks * math.prod(self.fingerprint.chunks or (0,)) * out.itemsize
        if not self.fingerprint.filters:
            decoded = out.nbytes
        record(self.path, self.name, chunks=chunks, bytes_read=size, bytes_decoded=decoded)
        return _native(out)

    def _read_unchunked(self, plan: RowRanges) -> Array:
        if plan.picked is None:
            values = self._read_flat(plan.starts, plan.starts + plan.span)
            return values.reshape(len(plan.starts), *plan.item)
        out = np.empty((len(plan.starts), len(plan.picked), *plan.item[1:]), self.dtype)
        step = max(_WINDOW_BYTES // max(plan.span * out.itemsize, 1), 1)
        for a in range(0, len(plan.starts), step):
            part = plan.starts[a : a + step]
            window = self._read_flat(part, part + plan.span).reshape(len(part), *plan.item)
            out[a : a + step] = window[:, plan.picked]
        return out

    def cost_of_ranges(self, starts: npt.ArrayLike, stops: npt.ArrayLike) -> tuple[int, int]:
        """Chunks that ``read_ranges`` would decode, and stored bytes."""
        return cost_of_ranges(self, starts, stops)

    def cost_of_box(
        self, rows: npt.ArrayLike | slice, cols: npt.ArrayLike | slice | None = None
    ) -> tuple[int, int]:
        """Chunks that ``read_2d`` would decode, and stored bytes."""
        return cost_of_box(self, rows, cols)


def _true_path(dataset: h5py.Dataset, path: str) -> str:
    """The file that holds the dataset, which a link may have led to."""
    if isinstance(path, RemotePath):
        return path
    try:
        if os.path.samefile(dataset.file.filename, path):
            return path
        return absolute_path(dataset.file.filename)
    except (OSError, ValueError):  # opened from an object, not by a name
        return path


def _native(out: Array) -> Array:
    """Values in the machine's byte order; booleans as True and False."""
    if out.dtype.kind == "b":
        whole = out.view(np.uint8)
        return out if out.size == 0 or whole.max() <= 1 else whole != 0
    if out.dtype.isnative:
        return out
    return out.byteswap(inplace=True).view(out.dtype.newbyteorder("="))


def cost_of_ranges(
    array: StoredArray, starts: npt.ArrayLike, stops: npt.ArrayLike
) -> tuple[int, int]:
    """Chunks that ``array.read_ranges`` would decode, and stored bytes."""
    low, high = array.checked_ranges(starts, stops)
    numbers = Pieces.of(low, high, Grid.of(array.fingerprint).chunk[0]).numbers
    return _stored(array, numbers, int((high - low).sum()))


def cost_of_box(
    array: StoredArray, rows: npt.ArrayLike | slice, cols: npt.ArrayLike | slice | None = None
) -> tuple[int, int]:
    """Chunks that ``array.read_2d`` would decode, and stored bytes."""
    picks = [positions(rows, array.shape[0], "rows"), *(slice(0, n) for n in array.shape[1:])]
    if cols is not None:
        picks[1] = positions(cols, array.shape[1], "columns")
    grid = Grid.of(array.fingerprint)
    if array.fingerprint.kind == "contiguous":
        plan = RowRanges.of(array.shape, picks[0], None if cols is None else picks[1])
        hit = Pieces.of(plan.starts, plan.starts + plan.span, grid.chunk[0]).numbers
        return _stored(array, hit, len(plan.starts) * plan.span)
    axes = [Axis.of(pick, c) for pick, c in zip(picks, grid.chunk, strict=True)]
    coordinates = np.meshgrid(*(axis.chunks for axis in axes), indexing="ij")
    numbers = np.ravel_multi_index(tuple(coordinates), grid.counts).reshape(-1)
    return _stored(array, numbers, math.prod(axis.length for axis in axes))


def extents_of_ranges(
    array: StoredArray, starts: npt.ArrayLike, stops: npt.ArrayLike
) -> tuple[Positions, Positions]:
    """Positions and lengths in the file of what ``array.read_ranges`` would read there."""
    low, high = array.checked_ranges(starts, stops)
    if array.fingerprint.kind == "contiguous":
        itemsize = np.dtype(array.dtype).itemsize
        first = array.fingerprint.offset or 0
        return first + low * itemsize, (high - low) * itemsize
    if array.fingerprint.kind == "other":
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    pieces = Pieces.of(low, high, Grid.of(array.fingerprint).chunk[0])
    table = _table(array)
    rows = table.rows(pieces.numbers)
    rows = rows[rows >= 0]
    return table.offset[rows], table.size[rows]


def _stored(array: StoredArray, numbers: Positions, elements: int) -> tuple[int, int]:
    """How many chunks these are, and their stored bytes (unfiltered ones are read in part)."""
    if array.fingerprint.kind != "chunked" or not array.fingerprint.filters:
        return len(numbers), elements * np.dtype(array.dtype).itemsize
    table = _table(array)
    rows = table.rows(numbers)
    return len(numbers), int(table.size[rows[rows >= 0]].sum())


def _table(array: StoredArray) -> ChunkTable:
    with open_raw(array.path) as file:
        return known(file, array.name, array.fingerprint, array.opened_ns).table


def read_together(
    arrays: Sequence[NumberArray],
    starts: np.ndarray[tuple[int], np.dtype[np.int64]],
    stops: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> AbstractContextManager[None]:
    """Announce that ranges of several arrays are read inside a ``with`` block.

    Of files on servers, neighbouring parts of all of them are asked for in one request; writers
    store values and indices of the same rows side by side. Nothing happens for other files.
    """
    path = arrays[0].path
    stored = [array for array in arrays if isinstance(array, StoredArray) and array.path == path]
    if not isinstance(path, RemotePath) or len(stored) < len(arrays):
        return nullcontext()
    from lazyomics.io.remote.raw_file import fetched_together

    return fetched_together(path, [extents_of_ranges(array, starts, stops) for array in stored])
