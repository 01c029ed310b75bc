"""Sources of lazy matrices: stored CSR, CSC and dense matrices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

import h5py
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from lazyomics import config
from lazyomics.blocks.canonical import index_state, positions_of
from lazyomics.errors import FileFormatError
from lazyomics.importing import import_whole
from lazyomics.io.encodings import (
    check_storage,
    element_kind,
    location,
    sparse_info,
)
from lazyomics.io.encodings.damage import as_format_errors
from lazyomics.io.encodings.sparse import sparse_parts
from lazyomics.io.hdf5 import StoredArray
from lazyomics.io.hdf5.array import NumberArray, read_together
from lazyomics.lazy.indexer import Selector, compose, is_whole, length
from lazyomics.lazy.load import Lines, joined_lines
from lazyomics.lazy.recipe import Source, bounds_by_bytes

__all__ = [
    "CompressedReader",
    "DenseReader",
    "LineRanges",
    "line_pointers",
    "reader_of",
    "stored_numbers",
]


POINTERS_KEPT = 16  # indptr arrays that a process keeps, 8 bytes a line


def line_pointers(reader: CompressedReader) -> NDArray[np.int64]:
    """Ends of the lines, shape (n_lines + 1,), checked once for each process.

    Readers of different states of a file look alike if only values were overwritten: each state
    is read, and pointers that stayed the same are held once.
    """
    kept, opened = _kept_pointers(reader), reader.indptr.opened_ns
    found = kept.get(opened)
    if found is None:
        found = _checked_pointers(reader)
        same = [p for p in tuple(kept.values()) if np.array_equal(p, found)]
        if not same:
            kept.clear()
        found = kept[opened] = same[0] if same else found
    return found


@lru_cache(maxsize=POINTERS_KEPT)
def _kept_pointers(reader: CompressedReader) -> dict[int, NDArray[np.int64]]:
    """Pointers by the time stamps of the file that a reader was opened at."""
    return {}


def _checked_pointers(reader: CompressedReader) -> NDArray[np.int64]:
    stored = int(reader.indptr.shape[0])
    if stored != reader.n_lines + 1:
        expected = f"{reader.n_lines + 1} row pointers for shape {reader.shape}"
        raise _damaged(reader, expected, found=str(stored))
    pointers = reader.indptr.read(0, stored).astype(np.int64)
    n_values = int(reader.data.shape[0])
    if len(pointers) and (pointers[0] != 0 or pointers[-1] > n_values):
        expected = f"pointers from 0 to {n_values}"
        raise _damaged(reader, expected, found=f"{pointers[0]} to {pointers[-1]}")
    if bool((np.diff(pointers) < 0).any()):
        raise _damaged(reader, "pointers that never decrease", found="decreasing ones")
    pointers.setflags(write=False)
    return pointers


def _damaged(reader: CompressedReader, expected: str, *, found: str) -> FileFormatError:
    return FileFormatError.at(
        reader.indptr.path,
        reader.indptr.name,
        expected=expected,
        found=found,
        hint="The matrix is damaged; write it again from its source.",
    )


HITS_IN_A_CHUNK = 4  # with more of them on average, hardly any chunk has none


@dataclass(frozen=True, eq=False)
class LineRanges:
    """Where the values of some lines are stored, and the pointers of these lines as a block."""

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    indptr: NDArray[Any]

    @classmethod
    def of(cls, pointers: NDArray[np.int64], lines: Selector) -> LineRanges:
        """Find some lines by the pointers to the ends of all of them."""
        if isinstance(lines, slice):
            bounds = pointers[lines.start : lines.stop + 1]
            return cls(bounds[:1], bounds[-1:], _small(bounds - bounds[0]))
        starts, stops = pointers[lines], pointers[lines + 1]
        return cls(starts, stops, _small(np.concatenate([[0], np.cumsum(stops - starts)])))

    def read(self, stored: NumberArray) -> NDArray[Any]:
        """All values, line behind line."""
        return stored.read_ranges(self.starts, self.stops)

    def read_some(self, stored: NumberArray, kept: NDArray[Any]) -> NDArray[Any]:
        """Values at ascending places among those that `read` gives.

        Chunks that hold none of them are not read, which is likely only where there are few.
        """
        total = int(self.indptr[-1])
        if len(kept) * stored.chunk_rows > HITS_IN_A_CHUNK * total:
            return self.read(stored)[kept]
        ends = np.cumsum(self.stops - self.starts)
        line = np.searchsorted(ends, kept, side="right")
        place = kept - ends[line] + self.stops[line]
        return stored.read_ranges(place, place + 1)


def _small(indptr: NDArray[np.int64]) -> NDArray[Any]:
    """Pointers of one block as int32, as its indices usually are."""
    return indptr.astype(np.int32) if indptr[-1] < 2**31 else indptr


SHARE_OF_MEMORY_PER_SCAN = 16  # which each worker may be doing
COLUMN_WINDOW_BYTES = 64 << 20  # of a column-major matrix that is scanned for rows


@dataclass(frozen=True)
class CompressedReader:
    """A CSR or CSC group: data, indices and indptr.

    Lines are its rows (CSR) or columns (CSC).
    """

    data: NumberArray
    indices: NumberArray
    indptr: NumberArray
    shape: tuple[int, int]
    format: Literal["csr", "csc"]

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.data.dtype)

    @property
    def element(self) -> tuple[str, str]:
        """File and name of the stored matrix."""
        return self.data.path, self.data.name.strip("/").removesuffix("/data")

    @property
    def n_lines(self) -> int:
        """Rows (CSR) or columns (CSC)."""
        return self.shape[0] if self.format == "csr" else self.shape[1]

    @property
    def _line_length(self) -> int:
        return self.shape[1] if self.format == "csr" else self.shape[0]

    def stored_per_line(self) -> NDArray[np.int64]:
        return np.diff(line_pointers(self))

    @property
    def grain_bytes(self) -> int:
        """Decoded bytes of what is decoded at least: a chunk of values and one of positions."""
        return self.data.grain_bytes + self.indices.grain_bytes

    def count_inside(self, first: int, last: int) -> NDArray[np.int64]:
        """Stored values at each position inside the lines, of the values ``first`` to ``last``.

        Reads indices only. Returns int64 of shape (n_cols,) for CSR, (n_rows,) for CSC.
        """
        indices = _signed(self.indices.read(first, last))
        if len(indices) and (indices.min() < 0 or indices.max() >= self._line_length):
            raise self._outside(indices)
        return np.bincount(indices, minlength=self._line_length).astype(np.int64, copy=False)

    def _outside(self, indices: NDArray[Any]) -> FileFormatError:
        return FileFormatError.at(
            self.indices.path,
            self.indices.name,
            expected=f"positions from 0 to {self._line_length - 1}",
            found=f"{indices.min()} to {indices.max()}",
            hint="The matrix is damaged; write it again from its source.",
        )

    def read(self, rows: Selector, cols: Selector) -> Any:
        from lazyomics.blocks.block import CSRBlock

        shape = (length(rows), length(cols))
        return CSRBlock.from_arrays(*self.read_rows(rows, cols), shape, "canonical")

    def read_values(self, rows: Selector) -> tuple[NDArray[Any], NDArray[Any]]:
        """Values of some rows of a row-major matrix in stored order, and pointers to their ends.

        Positions are not read.
        """
        ranges = LineRanges.of(line_pointers(self), rows)
        return ranges.read(self.data), ranges.indptr

    def read_columns(self, rows: Selector, cols: Selector) -> Any:
        from lazyomics.blocks.block import CSCBlock

        shape = (length(rows), length(cols))
        return CSCBlock.from_arrays(*self.read_lines(cols, rows), shape, "canonical")

    def read_rows(self, rows: Selector, cols: Selector) -> tuple[Any, Any, Any]:
        """Read rows and columns, however they are stored: data, indices and indptr of rows."""
        if self.format == "csr":
            return self.read_lines(rows, cols)
        return self._scan_for_rows(rows, cols)

    def read_lines(self, lines: Selector, inside: Selector) -> tuple[Any, Any, Any]:
        """Read some lines, and inside them some positions: data, indices and indptr.

        Indices ascend within each line, and none is there twice.
        """
        ranges = LineRanges.of(line_pointers(self), lines)
        whole = is_whole(inside, self._line_length)
        parts = (self.indices, self.data) if whole else (self.indices,)
        with read_together(parts, ranges.starts, ranges.stops):
            return self._read_lines(ranges, inside, whole=whole)

    def transposed(self) -> CompressedReader:
        """The same values with rows and columns interchanged: CSR is read as CSC."""
        return self._turned(_TransposedReader)

    def _turned(self, kind: type[CompressedReader]) -> CompressedReader:
        form: Literal["csr", "csc"] = "csc" if self.format == "csr" else "csr"
        return kind(self.data, self.indices, self.indptr, self.shape[::-1], form)

    def cost(self, lines: Selector, cols: Selector) -> tuple[int, int]:
        """Chunks and stored bytes of data and indices of these lines, at most."""
        ranges = LineRanges.of(line_pointers(self), lines)
        parts = [
            part.cost_of_ranges(ranges.starts, ranges.stops) for part in (self.data, self.indices)
        ]
        return sum(c for c, _ in parts), sum(b for _, b in parts)

    def cost_of_values(self, lines: Selector) -> int:
        """Stored bytes of the values of these lines, at most, without their positions."""
        ranges = LineRanges.of(line_pointers(self), lines)
        return self.data.cost_of_ranges(ranges.starts, ranges.stops)[1]

    def _read_lines(
        self, ranges: LineRanges, inside: Selector, *, whole: bool
    ) -> tuple[Any, Any, Any]:
        indices, indptr = _signed(ranges.read(self.indices)), ranges.indptr
        state = index_state(indices, indptr, self._line_length)
        if state == "outside":
            raise self._outside(indices)
        if not whole:
            return self._chosen(ranges, indices, inside, ordered=state == "canonical")
        data = ranges.read(self.data)
        if state == "unsorted":
            return _canonical(data, indices, indptr, self._line_length)
        return data, indices, indptr

    def _chosen(
        self, ranges: LineRanges, indices: NDArray[Any], inside: Selector, *, ordered: bool
    ) -> tuple[Any, Any, Any]:
        """Keep some positions of each line; values are read where there are some of these."""
        wanted = np.arange(inside.start, inside.stop) if isinstance(inside, slice) else inside
        columns, back = np.unique(wanted, return_inverse=True)
        kept = positions_of(indices, columns, self._line_length)
        data = ranges.read_some(self.data, kept)
        indptr = np.searchsorted(kept, ranges.indptr).astype(ranges.indptr.dtype)
        repeated = len(columns) < len(wanted)
        place = np.zeros(self._line_length, indices.dtype)
        place[columns if repeated else wanted] = np.arange(len(columns))
        found = place[indices[kept]]
        if repeated:
            return _spread(data, found, indptr, back)
        if ordered and np.array_equal(columns, wanted):
            return data, found, indptr
        return _canonical(data, found, indptr, len(columns))

    def _scan_for_rows(self, rows: Selector, cols: Selector) -> tuple[Any, Any, Any]:
        """Collect rows of a column-major matrix, a window of its columns at a time."""
        windows = _column_windows(line_pointers(self), cols, self.dtype.itemsize)
        pieces: list[Any] = [Lines(*self.read_lines(window, rows)) for window in windows]
        shape = (length(rows), length(cols))
        columns = pieces[0] if len(pieces) == 1 else joined_lines(pieces, shape)
        return _by_rows(columns, shape)


@dataclass(frozen=True)
class _TransposedReader(CompressedReader):
    """A stored matrix with rows and columns interchanged: no element of the file by itself."""

    @property
    def element(self) -> tuple[str, str]:
        """File and name of what is read; no save takes it for that element."""
        path, name = super().element
        return path, f"{name} (transposed)"

    def transposed(self) -> CompressedReader:
        """The matrix as it is stored."""
        return self._turned(CompressedReader)


def _column_windows(pointers: Any, cols: Selector, itemsize: int) -> list[Selector]:
    stored = np.diff(pointers)[cols]
    target = max(1, min(COLUMN_WINDOW_BYTES, config.memory() // SHARE_OF_MEMORY_PER_SCAN))
    bounds = bounds_by_bytes(stored * (itemsize + 4) + 8, target)
    cuts = [slice(a, b, 1) for a, b in pairwise(bounds)]
    return [compose(cols, cut) for cut in cuts]


def _signed(indices: NDArray[Any]) -> NDArray[Any]:
    """Index types that scipy takes: int32 where every value fits, else int64."""
    if indices.dtype in (np.int32, np.int64):
        return indices
    return indices.astype(np.int32 if indices.dtype.itemsize < 4 else np.int64)


def _by_rows(columns: Lines, shape: tuple[int, int]) -> tuple[Any, Any, Any]:
    """The rows of a matrix of which the columns are given."""
    dtype = columns.data.dtype
    data = _for_scipy(columns.data)
    rows = sp.csc_array((data, columns.indices, columns.indptr), shape=shape).tocsr()
    return rows.data.astype(dtype, copy=False), rows.indices, rows.indptr


def _spread(data: Any, indices: Any, indptr: Any, columns: NDArray[Any]) -> tuple[Any, Any, Any]:
    """Columns of a matrix in any order, some of them more than once."""
    shape = (len(indptr) - 1, int(columns.max()) + 1)
    blocks: Any = import_whole("lazyomics.blocks.block")
    lines = _canonical(data, indices, indptr, shape[1])
    block = blocks.CSRBlock.from_arrays(*lines, shape)[:, columns]
    return _canonical(block.data, block.indices, block.indptr, len(columns))


def _canonical(data: Any, indices: Any, indptr: Any, size: int) -> tuple[Any, Any, Any]:
    """Sort each line and add up what is stored twice, as reading with scipy would."""
    shape = (len(indptr) - 1, size)
    lines = sp.csr_array((_for_scipy(data), indices, indptr), shape=shape, copy=True)
    lines.sum_duplicates()
    return lines.data.astype(data.dtype, copy=False), lines.indices, lines.indptr


def _for_scipy(data: NDArray[Any]) -> NDArray[Any]:
    """Values in a type that scipy computes with: it does not with float16."""
    return data.astype(np.float32) if data.dtype == np.float16 else data


@dataclass(frozen=True)
class DenseReader:
    """A two-dimensional dataset."""

    values: NumberArray

    format: Literal["dense"] = "dense"

    @property
    def element(self) -> tuple[str, str]:
        """File and name of the stored matrix."""
        return self.values.path, self.values.name.strip("/")

    @property
    def shape(self) -> tuple[int, int]:
        return (int(self.values.shape[0]), int(self.values.shape[1]))

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.values.dtype)

    def stored_per_line(self) -> None:
        return None

    @property
    def grain_bytes(self) -> int:
        """Decoded bytes of what is decoded at least: the chunks that hold one row."""
        return self.values.grain_bytes

    def read(self, rows: Selector, cols: Selector) -> Any:
        whole = is_whole(cols, self.shape[1])
        return self.values.read_2d(rows, None if whole else cols)

    def read_columns(self, rows: Selector, cols: Selector) -> Any:
        raise TypeError("a dense matrix has no compressed columns")

    def transposed(self) -> Source:
        """The same values with rows and columns interchanged."""
        return import_whole("lazyomics.lazy.reorder").TransposedDense(self)

    def cost(self, lines: Selector, cols: Selector) -> tuple[int, int]:
        """Chunks and stored bytes that reading these rows and columns touches."""
        return self.values.cost_of_box(lines, None if is_whole(cols, self.shape[1]) else cols)


@as_format_errors
def reader_of(obj: h5py.Group | h5py.Dataset) -> DenseReader | CompressedReader:
    """Return the reader of an open matrix. Reads only metadata.

    Raises
    ------
    FileFormatError
        If the element is not a matrix, or its parts do not fit together.
    """
    return _dense(obj) if isinstance(obj, h5py.Dataset) else _compressed(obj)


def _dense(dataset: h5py.Dataset) -> DenseReader:
    path, name = location(dataset)
    if dataset.ndim != 2:
        raise FileFormatError.at(
            path, name, expected="a matrix of 2 dimensions", found=f"shape {dataset.shape}"
        )
    return DenseReader(stored_numbers(dataset, path, name))


def _compressed(group: h5py.Group) -> CompressedReader:
    path, name = location(group)
    kind = element_kind(group)
    if kind not in ("csr_matrix", "csc_matrix"):
        raise FileFormatError.at(path, name, expected="a matrix", found=kind)
    layout, shape = sparse_info(group)
    parts = {
        part: stored_numbers(dataset, path, f"{name}/{part}")
        for part, dataset in sparse_parts(group).items()
    }
    return CompressedReader(shape=shape, format=layout, **parts)


def stored_numbers(dataset: h5py.Dataset, path: str, name: str) -> StoredArray:
    """Refer to values that are numbers; nothing can be computed with whatever else HDF5 holds."""
    if dataset.dtype.kind not in "biufc":
        raise FileFormatError.at(path, name, expected="numbers", found=f"values of {dataset.dtype}")
    check_storage(dataset)
    return StoredArray.of(dataset, path)
