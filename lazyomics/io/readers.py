"""Readers of stored matrices: small values that turn rows and columns into one block."""

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
from lazyomics.errors import FileFormatError
from lazyomics.graph.plan import bounds_by_bytes
from lazyomics.graph.selection import Selector, compose, is_whole, length
from lazyomics.io.chunks import StoredArray
from lazyomics.io.chunks.together import read_together
from lazyomics.io.encodings import (
    check_storage,
    child,
    element_kind,
    has_member,
    location,
    sparse_info,
)
from lazyomics.kernels.block import CSCBlock, CSRBlock
from lazyomics.kernels.canonical import index_state, positions_of

__all__ = ["CompressedReader", "DenseReader", "reader_of"]

POINTERS_KEPT = 16  # indptr arrays that a process keeps, 8 bytes a line
HITS_IN_A_CHUNK = 4  # with more of them on average, hardly any chunk has none
SHARE_OF_MEMORY_PER_SCAN = 16  # which each worker may be doing
COLUMN_WINDOW_BYTES = 64 << 20  # of a column-major matrix that is scanned for rows


@dataclass(frozen=True)
class DenseReader:
    """A two-dimensional dataset."""

    values: StoredArray

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

    def cost(self, lines: Selector, cols: Selector) -> tuple[int, int]:
        """Chunks and stored bytes that reading these rows and columns touches."""
        return self.values.cost_2d(lines, None if is_whole(cols, self.shape[1]) else cols)


@dataclass(frozen=True)
class CompressedReader:
    """A CSR or CSC group: data, indices and indptr.

    Lines are its rows (CSR) or columns (CSC).
    """

    data: StoredArray
    indices: StoredArray
    indptr: StoredArray
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
    def _n_lines(self) -> int:
        return self.shape[0] if self.format == "csr" else self.shape[1]

    @property
    def _line_length(self) -> int:
        return self.shape[1] if self.format == "csr" else self.shape[0]

    def stored_per_line(self) -> NDArray[np.int64]:
        return np.diff(_pointers(self))

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
        if self.format == "csr":
            return CSRBlock.from_arrays(*self._lines(rows, cols), (length(rows), length(cols)))
        return self._scan_for_rows(rows, cols)

    def read_values(self, rows: Selector) -> tuple[NDArray[Any], NDArray[Any]]:
        """Values of some rows of a row-major matrix in stored order, and pointers to their ends.

        Positions are not read.
        """
        ranges = _Ranges.of(_pointers(self), rows)
        return ranges.read(self.data), ranges.indptr

    def read_columns(self, rows: Selector, cols: Selector) -> Any:
        return CSCBlock.from_arrays(*self._lines(cols, rows), (length(rows), length(cols)))

    def cost(self, lines: Selector, cols: Selector) -> tuple[int, int]:
        """Chunks and stored bytes of data and indices of these lines, at most."""
        ranges = _Ranges.of(_pointers(self), lines)
        parts = [part.cost(ranges.starts, ranges.stops) for part in (self.data, self.indices)]
        return sum(c for c, _ in parts), sum(b for _, b in parts)

    def _lines(self, lines: Selector, inside: Selector) -> tuple[Any, Any, Any]:
        """Read some lines, and inside them some positions, as canonical compressed arrays."""
        ranges = _Ranges.of(_pointers(self), lines)
        whole = is_whole(inside, self._line_length)
        parts = (self.indices, self.data) if whole else (self.indices,)
        with read_together(parts, ranges.starts, ranges.stops):
            return self._read_lines(ranges, inside, whole=whole)

    def _read_lines(
        self, ranges: _Ranges, inside: Selector, *, whole: bool
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
        self, ranges: _Ranges, indices: NDArray[Any], inside: Selector, *, ordered: bool
    ) -> tuple[Any, Any, Any]:
        """Keep some positions of each line; values are read where there are some of these."""
        wanted = np.arange(inside.start, inside.stop) if isinstance(inside, slice) else inside
        columns, back = np.unique(wanted, return_inverse=True)
        kept = positions_of(indices, columns, self._line_length)
        data = ranges.read_some(self.data, kept)
        place = np.zeros(self._line_length, indices.dtype)
        place[columns] = np.arange(len(columns))
        found = place[indices[kept]]
        indptr = np.searchsorted(kept, ranges.indptr).astype(ranges.indptr.dtype)
        n_lines = len(indptr) - 1
        if not ordered:
            data, found, indptr = _canonical(data, found, indptr, len(columns))
        if np.array_equal(columns, wanted):
            return data, found, indptr
        block = CSRBlock.from_arrays(data, found, indptr, (n_lines, len(columns)))[:, back]
        return _canonical(block.data, block.indices, block.indptr, len(back))

    def _scan_for_rows(self, rows: Selector, cols: Selector) -> CSRBlock:
        """Collect rows of a column-major matrix, a window of its columns at a time."""
        windows = _column_windows(_pointers(self), cols, self.dtype.itemsize)
        pieces = [self.read_columns(rows, window) for window in windows]
        joined: Any = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)
        made: CSRBlock = joined.tocsr()
        return made


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


def _small(indptr: NDArray[np.int64]) -> NDArray[Any]:
    """Pointers of one block as int32, as its indices usually are."""
    return indptr.astype(np.int32) if indptr[-1] < 2**31 else indptr


def _canonical(data: Any, indices: Any, indptr: Any, size: int) -> tuple[Any, Any, Any]:
    """Sort each line and add up what is stored twice, as reading with scipy would."""
    lines = sp.csr_array((data, indices, indptr), shape=(len(indptr) - 1, size), copy=True)
    lines.sum_duplicates()
    return lines.data, lines.indices, lines.indptr


@dataclass(frozen=True, eq=False)
class _Ranges:
    """Where the values of some lines are stored, and the pointers of these lines as a block."""

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    indptr: NDArray[Any]

    @classmethod
    def of(cls, pointers: NDArray[np.int64], lines: Selector) -> _Ranges:
        if isinstance(lines, slice):
            bounds = pointers[lines.start : lines.stop + 1]
            return cls(bounds[:1], bounds[-1:], _small(bounds - bounds[0]))
        starts, stops = pointers[lines], pointers[lines + 1]
        return cls(starts, stops, _small(np.concatenate([[0], np.cumsum(stops - starts)])))

    def read(self, stored: StoredArray) -> NDArray[Any]:
        """All values, line behind line."""
        return stored.read_ranges(self.starts, self.stops)

    def read_some(self, stored: StoredArray, kept: NDArray[Any]) -> NDArray[Any]:
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


def _pointers(reader: CompressedReader) -> NDArray[np.int64]:
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
    n = reader._n_lines
    stored = int(reader.indptr.shape[0])
    where = (reader.indptr.path, reader.indptr.name)
    hint = "The matrix is damaged; write it again from its source."
    if stored != n + 1:
        raise FileFormatError.at(
            *where,
            expected=f"{n + 1} row pointers for shape {reader.shape}",
            found=str(stored),
            hint=hint,
        )
    pointers = reader.indptr.read(0, stored).astype(np.int64)
    n_values = int(reader.data.shape[0])
    if len(pointers) and (pointers[0] != 0 or pointers[-1] > n_values):
        raise FileFormatError.at(
            *where,
            expected=f"pointers from 0 to {n_values}",
            found=f"{pointers[0]} to {pointers[-1]}",
            hint=hint,
        )
    if bool((np.diff(pointers) < 0).any()):
        raise FileFormatError.at(
            *where, expected="pointers that never decrease", found="decreasing ones", hint=hint
        )
    pointers.setflags(write=False)
    return pointers


def _check_numbers(dataset: h5py.Dataset, path: str, name: str) -> None:
    """Refuse texts, references and whatever else HDF5 holds: nothing can be computed with them."""
    if dataset.dtype.kind not in "biufc":
        raise FileFormatError.at(path, name, expected="numbers", found=f"values of {dataset.dtype}")


def reader_of(obj: h5py.Group | h5py.Dataset) -> DenseReader | CompressedReader:
    """Return the reader of an open matrix. Reads only metadata.

    Raises
    ------
    FileFormatError
        If the element is not a matrix, or its parts do not fit together.
    """
    path, name = location(obj)
    if isinstance(obj, h5py.Dataset):
        if obj.ndim != 2:
            raise FileFormatError.at(
                path, name, expected="a matrix of 2 dimensions", found=f"shape {obj.shape}"
            )
        _check_numbers(obj, path, name)
        check_storage(obj)
        return DenseReader(StoredArray.of(obj, path))
    kind = element_kind(obj)
    if kind not in ("csr_matrix", "csc_matrix"):
        raise FileFormatError.at(path, name, expected="a matrix", found=kind)
    layout, shape = sparse_info(obj)
    parts = {}
    for part in ("data", "indices", "indptr"):
        member = child(obj, part) if has_member(obj, part) else None
        if not isinstance(member, h5py.Dataset) or member.ndim != 1:
            raise FileFormatError.at(
                path,
                f"{name}/{part}",
                expected="a one-dimensional dataset",
                found="nothing" if member is None else str(member),
            )
        _check_numbers(member, path, f"{name}/{part}")
        check_storage(member)
        parts[part] = StoredArray.of(member, path)
    sizes = [parts[p].shape[0] for p in ("data", "indices")]
    if sizes[0] != sizes[1]:
        raise FileFormatError.at(
            path,
            name,
            expected="as many indices as values",
            found=f"{sizes[1]} and {sizes[0]}",
            hint="The matrix is damaged; write it again from its source.",
        )
    return CompressedReader(shape=shape, format=layout, **parts)
