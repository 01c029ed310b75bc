"""Readers of text, Excel sheets and other small tables, as anndata has them."""

from __future__ import annotations

import bz2
import gzip
import os
from collections.abc import Iterable, Iterator
from typing import Any

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import DTypeLike, NDArray

from lazyomics.container.anndata import AnnData
from lazyomics.errors import FileFormatError, require
from lazyomics.io.encodings import has_member, open_member
from lazyomics.io.encodings.dataset_values import read_values
from lazyomics.io.files import checked_path, open_for_reading
from lazyomics.io.mtx.entries import DAMAGED_STREAMS, as_text_errors
from lazyomics.io.mtx.reading import local_path

__all__ = ["read_csv", "read_excel", "read_hdf", "read_text", "read_umi_tools"]


def read_csv(
    filename: str | os.PathLike[str] | Iterator[str],
    delimiter: str | None = ",",
    *,
    first_column_names: bool | None = None,
    dtype: DTypeLike = "float32",
) -> AnnData:
    """Read a table of numbers, commas between them.

    Parameters
    ----------
    filename
        The file, also ``.gz`` or ``.bz2``, or an iterator over lines.
    delimiter
        What is between the columns; None for any white space.
    first_column_names
        Whether the first column holds names of cells. Texts there are names in any case.
    dtype
        Of the values.

    Returns
    -------
    AnnData in memory, X an array of shape (n_obs, n_vars).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If a line is none of numbers, or of another length: names it.
    ValueError
        If the first line does not contain the delimiter.

    Notes
    -----
    Passes over the file: 1. Peak memory: twice the matrix.

    Examples
    --------
    >>> read_csv(iter(["name,g1,g2", "a,1,2", "b,3,4"])).to_df()
        g1   g2
    a  1.0  2.0
    b  3.0  4.0
    """
    return read_text(filename, delimiter, first_column_names=first_column_names, dtype=dtype)


def read_text(
    filename: str | os.PathLike[str] | Iterator[str],
    delimiter: str | None = None,
    *,
    first_column_names: bool | None = None,
    dtype: DTypeLike = "float32",
) -> AnnData:
    """Read a table of numbers, white space between them: see :func:`read_csv`.

    Parameters
    ----------
    filename, first_column_names, dtype
        As for ``read_csv``.
    delimiter
        What is between the columns; None for any white space.

    Returns
    -------
    AnnData in memory, X an array of shape (n_obs, n_vars).

    Notes
    -----
    Passes over the file: 1. Peak memory: twice the matrix.

    Examples
    --------
    >>> read_text(iter(["# g1 g2", "1 2", "3 4"])).to_df()
        g1   g2
    0  1.0  2.0
    1  3.0  4.0
    """
    if not isinstance(filename, str | os.PathLike):
        return _Table("text", delimiter, np.dtype(dtype)).read(filename, first_column_names)
    path = local_path(filename)
    table = _Table(str(path), delimiter, np.dtype(dtype))
    opened: Any = {".gz": gzip.open, ".bz2": bz2.open}.get(path.suffix, open)
    try:
        with opened(path, "rt") as file:
            return table.read(file, first_column_names)
    except DAMAGED_STREAMS as error:
        raise as_text_errors(path, error, table.line) from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class _Table:
    """The state of reading one table; where names are is guessed as anndata guesses it."""

    def __init__(self, name: str, delimiter: str | None, dtype: np.dtype[Any]) -> None:
        self.name, self.delimiter, self.dtype = name, delimiter, dtype
        self.line = 0
        self.rows: list[NDArray[Any]] = []
        self.row_names: list[str] = []

    def read(self, file: Iterable[str], named: bool | None) -> AnnData:
        """Read all lines."""
        lines = self._lines(file)
        comment, header, first = self._start(lines)
        named = bool(named)
        columns = header
        if first is not None:
            named = named or not _is_number(first[0])
            self._add(first, named)
        second = next(lines, None)
        if second is not None:
            parts = second.split(self.delimiter)
            if named or not _is_number(parts[0]):
                named = True
            self._add(parts, named)
        if len(self.rows) > 1 and self.rows[0].size != self.rows[1].size:
            # The first line names columns by numbers, the first column rows.
            named, columns = True, [str(int(k)) for k in self.rows[0]]
            self.row_names.append(str(int(self.rows[1][0])))
            self.rows = [self.rows[1][1:]]
        for text in lines:
            self._add(text.split(self.delimiter), named)
        if not self.rows:
            raise self._damaged("lines of numbers", "none")
        width = self.rows[0].size
        if columns is None:
            columns = comment.split() if comment else [str(k) for k in range(width)]
        return self._made(columns, width)

    def _lines(self, file: Iterable[str]) -> Iterator[str]:
        for text in file:
            self.line += 1
            if stripped := text.rstrip("\r\n"):
                yield stripped

    def _start(self, lines: Iterator[str]) -> tuple[str, list[str] | None, list[str] | None]:
        """The last comment, and the first line as names of columns or as numbers."""
        comment = ""
        for text in lines:
            if text.startswith("#"):
                comment = text.lstrip("# ") or comment
                continue
            if self.delimiter is not None and self.delimiter not in text:
                raise ValueError(f"Did not find delimiter {self.delimiter!r} in first line.")
            parts = text.split(self.delimiter)
            # The first column may be names of rows, so the last one tells.
            return (comment, None, parts) if _is_number(parts[-1]) else (comment, parts, None)
        return comment, None, None

    def _add(self, parts: list[str], named: bool) -> None:
        if named:
            self.row_names.append(parts[0])
            parts = parts[1:]
        try:
            row = np.array(parts, dtype=self.dtype)
        except ValueError as error:
            raise self._damaged("numbers", str(error)) from error
        if len(self.rows) > 1 and row.size != self.rows[-1].size:
            raise self._damaged(f"{self.rows[-1].size} numbers", str(row.size))
        self.rows.append(row)

    def _damaged(self, expected: str, found: str) -> FileFormatError:
        return FileFormatError.at(self.name, f"line {self.line}", expected=expected, found=found)

    def _made(self, columns: list[str], width: int) -> AnnData:
        if len({row.size for row in self.rows}) > 1:
            raise self._damaged(f"{width} numbers", str(self.rows[-1].size))
        if len(columns) > width:
            columns = columns[1:]
        if len(columns) != width:
            raise self._damaged(f"{width} names of columns", str(len(columns)))
        values = np.array(self.rows, dtype=self.dtype)
        rows = [name.strip('"') for name in self.row_names] or [str(k) for k in range(len(values))]
        names = [name.strip('"') for name in columns]
        return AnnData(values, obs=pd.DataFrame(index=rows), var=pd.DataFrame(index=names))


def read_excel(
    filename: str | os.PathLike[str], sheet: str | int, dtype: DTypeLike = "float32"
) -> AnnData:
    """Read a sheet of an Excel file: cells in rows, names in the first row and column.

    Parameters
    ----------
    filename
        The file.
    sheet
        Name or number of the sheet.
    dtype
        Has no effect, as in anndata: values are as pandas reads them.

    Returns
    -------
    AnnData in memory, X an array of shape (n_obs, n_vars).

    Raises
    ------
    MissingDependencyError
        If openpyxl is not installed.

    Notes
    -----
    Passes over the file: 1. Peak memory: several times the sheet. anndata's X holds objects, which
    cannot be written.
    """
    require("openpyxl", extra="excel", purpose="read_excel")
    table = pd.read_excel(local_path(filename), sheet)
    rows, columns = (pd.Index(names).astype(str) for names in (table.iloc[:, 0], table.columns[1:]))
    obs, var = pd.DataFrame(index=pd.Index(rows.array)), pd.DataFrame(index=pd.Index(columns.array))
    return AnnData(table.iloc[:, 1:].to_numpy(), obs=obs, var=var)


def read_umi_tools(filename: str | os.PathLike[str], dtype: DTypeLike | None = None) -> AnnData:
    """Read counts of umi_tools: a table of gene, cell and count.

    Parameters
    ----------
    filename
        The file, also ``.gz``.
    dtype
        Of the values; that of the counts by default.

    Returns
    -------
    AnnData in memory, X a CSR matrix of shape (n_obs, n_vars); cells and genes in alphabetical
    order.

    Raises
    ------
    FileFormatError
        If one of the three columns is missing.

    Notes
    -----
    Passes over the file: 1. Peak memory: about 30 bytes for each count.
    """
    path = local_path(filename)
    try:
        table = pd.read_table(path, dtype={"gene": "category", "cell": "category"})
    except (pd.errors.ParserError, pd.errors.EmptyDataError, *DAMAGED_STREAMS) as error:
        raise FileFormatError.at(path, "line 1", expected="a table", found=str(error)) from error
    if not {"gene", "cell", "count"} <= set(table):
        raise FileFormatError.at(
            path, "line 1", expected="columns gene, cell and count", found=str(list(table))
        )
    places = (table["cell"].cat.codes, table["gene"].cat.codes)
    x = sp.csr_matrix((table["count"], places), dtype=dtype)
    names = {axis: pd.Index(table[axis].cat.categories, name=axis) for axis in ("cell", "gene")}
    obs, var = pd.DataFrame(index=names["cell"]), pd.DataFrame(index=names["gene"])
    return AnnData(x, obs=obs, var=var)


def read_hdf(filename: str | os.PathLike[str], key: str) -> AnnData:
    """Read a dataset of an HDF5 file, with names from ``row_names`` and ``col_names`` beside it.

    Parameters
    ----------
    filename
        The file.
    key
        Name of the dataset.

    Returns
    -------
    AnnData in memory, X an array of shape (n_obs, n_vars).

    Raises
    ------
    ValueError
        If the key is ``""`` or there is none such: lists those that are.

    Notes
    -----
    Passes over X: 1. Peak memory: the matrix.
    """
    with open_for_reading(checked_path(filename)) as file:
        if key == "" or not has_member(file, key):
            raise ValueError(f"{filename} has no dataset {key!r}; there are {sorted(file)}")
        found = open_member(file, key)
        if not isinstance(found, h5py.Dataset):
            raise ValueError(f"{key!r} in {filename} is a group, expected a dataset")
        values = read_values(found)
        tables = [
            pd.DataFrame(index=pd.Index(_names(file, name))) if has_member(file, name) else None
            for name in ("row_names", "col_names")
        ]
    return AnnData(values, obs=tables[0], var=tables[1])


def _names(file: h5py.File, key: str) -> Any:
    values = read_values(open_member(file, key))
    if values.dtype.kind in "SO":
        values = read_values(open_member(file, key), as_text=True)
    return np.asarray(values).astype(str).astype(object)
