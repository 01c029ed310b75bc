"""Tables of names beside a matrix: one name for each line, or columns with tabs between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from lazyomics.container.anndata import AnnData
from lazyomics.errors import FileFormatError
from lazyomics.io.mtx.entries import DAMAGED_STREAMS, MtxHeader, as_text_errors, read_header
from lazyomics.io.mtx.lines import MtxLines
from lazyomics.io.mtx.reading import checked_lines, in_memory, stream_into

__all__ = ["check_sizes", "matrix_of", "names_of", "present", "table_of"]


def present(*paths: Path) -> Path:
    """Return the first of some names under which there is a file, also with ``.gz`` or without it.

    Raises
    ------
    FileNotFoundError
        If there is none: names the first.
    """
    for path in paths:
        other = path.with_suffix("") if path.suffix == ".gz" else path.with_name(f"{path.name}.gz")
        for found in (path, other):
            if found.is_file():
                return found
    names = [path.name for path in paths]
    raise FileNotFoundError(f"{paths[0].parent} has none of the files {names}, also with .gz")


def table_of(path: Path, *, n_columns: int = 1, sep: str = "\t") -> pd.DataFrame:
    """Read a table without names of columns, all of it text.

    Raises
    ------
    FileFormatError
        If it has fewer columns, or is damaged.
    """
    try:
        table = pd.read_csv(path, header=None, sep=sep, dtype=str, keep_default_na=False, quoting=3)
    except pd.errors.EmptyDataError:
        return pd.DataFrame({k: pd.Series([], dtype=str) for k in range(n_columns)})
    except pd.errors.ParserError as error:
        raise FileFormatError.at(
            path, "line 1", expected="a table of text", found=str(error)
        ) from error
    except DAMAGED_STREAMS as error:
        raise as_text_errors(path, error, 1) from error
    if table.shape[1] < n_columns:
        raise FileFormatError.at(
            path, "line 1", expected=f"{n_columns} columns", found=str(table.shape[1])
        )
    return table


def names_of(path: Path) -> pd.Index[Any]:
    """Return the first column of a table."""
    return pd.Index(table_of(path)[0].to_numpy(dtype=object)).astype(str)


def check_sizes(header: MtxHeader, shape: tuple[int, int], what: str) -> None:
    """Refuse a matrix whose size is not that of the tables.

    Raises
    ------
    FileFormatError
        Names the matrix and both sizes.
    """
    if header.shape != shape:
        raise FileFormatError.at(
            header.path,
            "size",
            expected=f"{shape[0]} × {shape[1]} ({what}), as the tables list",
            found=f"{header.shape[0]} × {header.shape[1]}",
        )


def matrix_of(
    path: Path, tables: AnnData, *, axis: int, what: str, target: Path | None, dtype: Any
) -> AnnData:
    """Read a Matrix Market file as X of an object, in memory or streamed into a new .h5ad.

    Parameters
    ----------
    path
        The file.
    tables
        An object without X, which gets it.
    axis
        0 if its rows are cells, 1 if its columns are.
    what
        What its rows and columns are, for messages.
    target
        The new .h5ad; None for memory.
    dtype
        Of the values.
    """
    header = read_header(path)
    check_sizes(header, tables.shape if axis == 0 else tables.shape[::-1], what)
    lines = MtxLines(header, axis, dtype)
    if target is not None:
        return stream_into(target, lines, tables)
    checked_lines(lines, "filename='new.h5ad'")
    return AnnData(in_memory(lines), obs=tables.obs, var=tables.var)
