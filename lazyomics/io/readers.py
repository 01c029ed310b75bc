"""Readers of stored matrices: small values that turn rows and columns into one block."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import h5py
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from lazyomics.errors import FileFormatError
from lazyomics.graph.plan import bounds_by_bytes
from lazyomics.graph.selection import Selector, compose, is_whole, length
from lazyomics.io.chunks import StoredArray
from lazyomics.io.encodings import element_kind, location, sparse_info
from lazyomics.kernels.block import CSCBlock, CSRBlock
from lazyomics.kernels.canonical import index_state, keep_columns

__all__ = ["CompressedReader", "DenseReader", "reader_of"]

POINTERS_KEPT = 16  # indptr arrays that a process keeps, 8 bytes a line
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

    def read(self, rows: Selector, cols: Selector) -> Any:
        whole = is_whole(cols, self.shape[1])
        return self.values.read_2d(rows, None if whole else cols)

    def read_columns(self, rows: Selector, cols: Selector) -> Any:
        raise TypeError("a dense matrix has no compressed columns")


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

    def read(self, rows: Selector, cols: Selector) -> Any:
        if self.format == "csr":
            return CSRBlock.from_arrays(*self._lines(rows, cols), (length(rows), length(cols)))
        return self._scan_for_rows(rows, cols)

    def read_columns(self, rows: Selector, cols: Selector) -> Any:
        return CSCBlock.from_arrays(*self._lines(cols, rows), (length(rows), length(cols)))

    def _lines(self, lines: Selector, inside: Selector) -> tuple[Any, Any, Any]:
        """Read some lines, and inside them some positions, as canonical compressed arrays."""
        pointers = _pointers(self)
        data, indices, indptr = self._stored_lines(pointers, lines)
        state = index_state(indices, indptr, self._line_length)
        if state == "outside":
            raise FileFormatError.at(
                self.indices.path,
                self.indices.name,
                expected=f"positions from 0 to {self._line_length - 1}",
                found=f"{indices.min()} to {indices.max()}",
                hint="The matrix is damaged; write it again from its source.",
            )
        if state == "unsorted":
            data, indices, indptr = _canonical(data, indices, indptr, self._line_length)
        if is_whole(inside, self._line_length):
            return data, indices, indptr
        return _select_inside(data, indices, indptr, inside, self._line_length)

    def _stored_lines(self, pointers: NDArray[np.int64], lines: Selector) -> tuple[Any, Any, Any]:
        if isinstance(lines, slice):
            bounds = pointers[lines.start : lines.stop + 1]
            first, last = int(bounds[0]), int(bounds[-1])
            data, indices = self.data.read(first, last), self.indices.read(first, last)
            return data, _signed(indices), _small(bounds - first)
        starts, stops = pointers[lines], pointers[lines + 1]
        indptr = np.concatenate([[0], np.cumsum(stops - starts)])
        data = self.data.read_ranges(starts, stops)
        return data, _signed(self.indices.read_ranges(starts, stops)), _small(indptr)

    def _scan_for_rows(self, rows: Selector, cols: Selector) -> CSRBlock:
        """Collect rows of a column-major matrix, a window of its columns at a time."""
        windows = _column_windows(_pointers(self), cols, self.dtype.itemsize)
        pieces = [self.read_columns(rows, window) for window in windows]
        joined: Any = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)
        made: CSRBlock = joined.tocsr()
        return made


def _column_windows(pointers: Any, cols: Selector, itemsize: int) -> list[Selector]:
    stored = np.diff(pointers)[cols]
    bounds = bounds_by_bytes(stored * (itemsize + 4) + 8, COLUMN_WINDOW_BYTES)
    cuts = [slice(a, b, 1) for a, b in zip(bounds, bounds[1:], strict=False)]
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


def _select_inside(
    data: Any, indices: Any, indptr: Any, inside: Selector, size: int
) -> tuple[Any, Any, Any]:
    wanted = np.arange(inside.start, inside.stop) if isinstance(inside, slice) else inside
    target = np.full(size, -1, dtype=np.int32)
    target[wanted] = np.arange(len(wanted), dtype=np.int32)
    if len(np.unique(wanted)) != len(wanted):  # a column asked for twice
        lines = CSRBlock.from_arrays(data, indices, indptr, (len(indptr) - 1, size))[:, wanted]
        return lines.data, lines.indices, lines.indptr
    data, indices, indptr = keep_columns(data, indices, indptr, target)
    if len(wanted) > 1 and bool((np.diff(wanted) < 0).any()):
        return _canonical(data, indices, indptr, len(wanted))
    return data, indices, indptr


@lru_cache(maxsize=POINTERS_KEPT)
def _pointers(reader: CompressedReader) -> NDArray[np.int64]:
    """Ends of the lines, shape (n_lines + 1,), checked once for each process."""
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
        return DenseReader(StoredArray.of(obj, path))
    kind = element_kind(obj)
    if kind not in ("csr_matrix", "csc_matrix"):
        raise FileFormatError.at(path, name, expected="a matrix", found=kind)
    layout, shape = sparse_info(obj)
    parts = {}
    for part in ("data", "indices", "indptr"):
        member = obj.get(part)
        if not isinstance(member, h5py.Dataset) or member.ndim != 1:
            raise FileFormatError.at(
                path,
                f"{name}/{part}",
                expected="a one-dimensional dataset",
                found="nothing" if member is None else str(member),
            )
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
