"""read_mtx: a Matrix Market file in memory, or streamed into an .h5ad."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp
from dask.utils import format_bytes
from numpy.typing import DTypeLike

from lazyomics import config
from lazyomics.container.anndata import AnnData
from lazyomics.container.annotated import is_url, local_name
from lazyomics.errors import UnsupportedError
from lazyomics.io.compress import dataset_options
from lazyomics.io.mtx.entries import MtxHeader, read_header
from lazyomics.io.mtx.lines import MtxLines, NotSortedError
from lazyomics.io.opening import read_h5ad
from lazyomics.io.save.verify import verify
from lazyomics.io.stream import write_compressed
from lazyomics.io.transaction import raise_failures
from lazyomics.io.writing import new_file, write_anndata, write_new
from lazyomics.lazy.load import Lines

__all__ = ["checked_lines", "in_memory", "local_path", "read_mtx", "stream_into", "stream_mtx"]


def read_mtx(
    filename: str | os.PathLike[str],
    dtype: DTypeLike = "float32",
    *,
    target: str | os.PathLike[str] | None = None,
) -> AnnData:
    r"""Read a Matrix Market file.

    Parameters
    ----------
    filename
        ``FILE.mtx``, or ``FILE.mtx.gz`` or ``FILE.mtx.bz2``.
    dtype
        Of the values.
    target
        Stream the matrix into this new .h5ad file instead of memory, and open that.

    Returns
    -------
    AnnData with the rows of the file as cells, and numbers as names. X is a CSR matrix of shape
    (n_obs, n_vars), or a dask array with ``target``. Values given several times for one position
    are added up.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is damaged: names the line.
    MemoryError
        If the matrix takes more than ``lazyomics.memory`` and there is no ``target``.
    UnsupportedError
        If values are complex.

    Notes
    -----
    Passes over the file: 1, and of a file whose entries do not come row by row the part up to the
    first that does not once more. Peak memory: the matrix, or with ``target`` 50 MB and a number
    for each row; besides, half of ``lazyomics.memory`` where entries do not come row by row. These
    go through a scratch file of 12 bytes for each, beside ``target`` or in the folder for
    temporary files.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "a.mtx"
    >>> text = "%%MatrixMarket matrix coordinate integer general\n2 3 2\n1 2 5\n2 3 7\n"
    >>> path.write_text(text)
    67
    >>> read_mtx(path).X.toarray().tolist()
    [[0.0, 5.0, 0.0], [0.0, 0.0, 7.0]]
    >>> folder.cleanup()
    """
    path = local_path(filename)
    if target is not None:
        return stream_mtx(path, Path(target), np.dtype(dtype))
    header = read_header(path)
    if header.layout == "array":
        return _dense(header, np.dtype(dtype))
    lines = MtxLines(header, 0, np.dtype(dtype))
    checked_lines(lines, "target='new.h5ad'")
    return AnnData(in_memory(lines))


def stream_mtx(
    path: Path,
    target: Path,
    dtype: np.dtype[Any] | None = None,
    *,
    options: Mapping[str, Any] | None = None,
) -> AnnData:
    """Stream a Matrix Market file into a new .h5ad, and open that.

    Parameters
    ----------
    path, target
        The file, and the new one.
    dtype
        Of the values, float32 by default.
    options
        Of the datasets: see ``dataset_options``.
    """
    dtype = np.dtype("float32") if dtype is None else dtype
    header = read_header(path)
    if header.layout == "array":
        write_new(_dense(header, dtype), target, options=options or dataset_options())
        return read_h5ad(target)
    lines = MtxLines(header, 0, dtype)
    n_obs, n_vars = lines.shape
    obs, var = (pd.DataFrame(index=pd.RangeIndex(n).astype(str)) for n in (n_obs, n_vars))
    return stream_into(target, lines, AnnData(obs=obs, var=var), options=options)


def local_path(filename: str | os.PathLike[str]) -> Path:
    """The path of a file of text, which is none on a server.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    UnsupportedError
        If it is a URL.
    """
    local = local_name(filename)
    if local is None and is_url(filename):
        raise UnsupportedError(f"{filename} is on a server: download it first")
    path = Path(filename if local is None else local)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, expected a file")
    return path


def checked_lines(lines: MtxLines, advice: str) -> None:
    """Refuse a matrix that takes too much memory.

    Raises
    ------
    MemoryError
        Says what to pass.
    """
    if lines.nbytes > config.memory():
        raise MemoryError(
            f"{lines.header.path} holds {lines.header.most:,} values, which take "
            f"{format_bytes(lines.nbytes)} of memory, more than lazyomics.memory "
            f"({format_bytes(config.memory())}). Pass {advice}, a file that the matrix is streamed "
            "into and opened from"
        )


def in_memory(lines: MtxLines) -> sp.csr_matrix:
    """Read a matrix into memory, shape (n_lines, n_across)."""
    return _in_either_order(lines, Path(tempfile.gettempdir()), lambda made: _filled(lines, made))


def stream_into(
    target: Path,
    lines: MtxLines,
    tables: AnnData,
    *,
    kind: Literal["csr", "csc"] = "csr",
    options: Mapping[str, Any] | None = None,
) -> AnnData:
    """Write a matrix as X of a new file, which appears when it is complete, and open that.

    Parameters
    ----------
    target
        The new file.
    lines
        The matrix.
    tables
        Everything but X.
    kind
        ``"csr"`` if lines are cells, ``"csc"`` if they are genes.
    options
        Of the datasets: see ``dataset_options``.
    """
    made_of = dataset_options() if options is None else options

    def write(blocks: Iterator[Lines]) -> None:
        with new_file(target) as file:
            write_anndata(file, tables, made_of)
            write_compressed(
                file,
                "X",
                blocks,
                kind=kind,
                shape=tables.shape,
                dtype=lines.dtype,
                most=lines.header.most,
                options=made_of,
            )
            verify(file)

    _in_either_order(lines, target.absolute().parent, write)
    return read_h5ad(target)


def _in_either_order(lines: MtxLines, folder: Path, use: Callable[[Iterator[Lines]], Any]) -> Any:
    """Use the lines as they come; if they turn out not to be sorted, start again with buckets."""
    try:
        with closing(_watched(lines.sorted_blocks())) as blocks:
            return use(blocks)
    except NotSortedError:
        pass
    with closing(_watched(lines.bucket_blocks(folder))) as blocks:
        return use(blocks)


def _watched(blocks: Iterator[Lines]) -> Generator[Lines]:
    for block in blocks:
        yield block
        raise_failures()  # so that nothing is parsed for a disk that is full


def _filled(lines: MtxLines, blocks: Iterator[Lines]) -> sp.csr_matrix:
    n_lines, n_across = lines.shape
    data = np.empty(lines.header.most, lines.dtype)
    indices = np.empty(lines.header.most, lines.index_dtype)
    indptr, line, end = np.zeros(n_lines + 1, np.int64), 0, 0
    for block in blocks:
        after, next_line = end + len(block.data), line + len(block.indptr) - 1
        data[end:after], indices[end:after] = block.data, block.indices
        indptr[line + 1 : next_line + 1] = block.indptr[1:] + end
        line, end = next_line, after
    for array in (data, indices):
        array.resize(end, refcheck=False)  # gives back what dropped entries would have taken
    if end <= np.iinfo(np.int32).max and indices.dtype == np.int32:
        indptr = indptr.astype(np.int32)
    return sp.csr_matrix((data, indices, indptr), shape=(n_lines, n_across))


def _dense(header: MtxHeader, dtype: np.dtype[Any]) -> AnnData:
    """Read a file that lists all values; such files are small."""
    from scipy.io import mmread

    size = header.stored * (dtype.itemsize + 8)
    if size > config.memory():
        raise UnsupportedError(
            f"{header.path} lists all values, also zeros, and takes {format_bytes(size)} of "
            "memory, more than lazyomics.memory: write it in the coordinate format"
        )
    try:
        values = np.asarray(mmread(os.fspath(header.path)))
    except (ValueError, OverflowError, EOFError, OSError) as error:
        raise header.damaged(
            header.lines + 1, f"{header.stored} values", f"what scipy refuses: {error}"
        ) from error
    return AnnData(sp.csr_matrix(values.astype(dtype)))
