"""read_10x_mtx: folders of Cell Ranger, STARsolo and the like."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from lazyomics import lazy
from lazyomics.container.anndata import AnnData
from lazyomics.container.frames import make_index_unique
from lazyomics.errors import FileFormatError
from lazyomics.io.cached import FROM_SETTINGS, cache_options, cache_path, is_fresh
from lazyomics.io.mtx.entries import DAMAGED_STREAMS, as_text_errors, read_header
from lazyomics.io.mtx.lines import MtxLines
from lazyomics.io.mtx.reading import checked_lines, in_memory, stream_into
from lazyomics.io.opening import read_h5ad

__all__ = ["read_10x_mtx"]

GENE_EXPRESSION = "Gene Expression"
_KINDS = {True: "genes", False: "features"}


def read_10x_mtx(
    path: str | os.PathLike[str],
    *,
    var_names: Literal["gene_symbols", "gene_ids"] = "gene_symbols",
    make_unique: bool = True,
    cache: bool = False,
    cache_compression: Any = FROM_SETTINGS,
    gex_only: bool = True,
    prefix: str | None = None,
    compressed: bool = True,
    filename: str | os.PathLike[str] | None = None,
) -> AnnData:
    r"""Read a folder of ``matrix.mtx``, ``barcodes.tsv`` and ``features.tsv`` or ``genes.tsv``.

    Parameters
    ----------
    path
        The folder.
    var_names
        Which names genes have; the others become a column of var.
    make_unique
        Append ``-1``, ``-2``, … to gene symbols that were there before.
    cache
        Keep the matrix as an .h5ad in ``lo.settings.cachedir``, under the name that scanpy gives
        it, and open it from there, also the next time.
    cache_compression
        Filter of that file: ``"lzf"``, ``"gzip"`` or None; ``lo.settings.cache_compression`` by
        default.
    gex_only
        Keep only features of the type ``"Gene Expression"``, where the folder says types.
    prefix
        What the names of the files begin with, ``"patientA_"`` for example.
    compressed
        Whether ``features.tsv`` and the files beside it end in ``.gz``. Where only the others are
        there, these are taken.
    filename
        Stream the result into this new .h5ad file instead of memory, and open that.

    Returns
    -------
    AnnData with the barcodes as ``obs_names``, ``var["gene_ids"]`` (or ``var["gene_symbols"]``)
    and, of Cell Ranger 3 and later, ``var["feature_types"]``. X is a float32 CSR matrix of shape
    (n_obs, n_vars); with ``cache`` or ``filename`` it is a dask array. With ``cache`` the object
    has no file to save into: write it to a new one.

    Raises
    ------
    FileNotFoundError
        If a file is missing: names it.
    FileFormatError
        If a file is damaged, or they do not belong together: names file and line.
    MemoryError
        If the matrix takes more than ``lazyomics.memory`` and is to be in memory.
    ValueError
        If ``var_names`` is another word, or both ``cache`` and ``filename`` are given.

    Notes
    -----
    Passes over the file: 1. Files list entries cell by cell; of one that does not, the part up to
    the first entry that is out of order is read once more, and entries go through a scratch file of
    12 bytes for each. Peak memory: the matrix; with ``cache`` or ``filename`` 50 MB and the names,
    and half of ``lazyomics.memory`` for entries out of order.

    X is stored by cells (CSR), for work on cells; scanpy's is CSC, the transpose of what it read. A
    cached file that is older than ``matrix.mtx`` is made anew, which scanpy does not do.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> text = "%%MatrixMarket matrix coordinate integer general\n2 3 2\n1 2 5\n2 3 7\n"
    >>> tables = {"genes.tsv": "g1\tA\ng2\tB\n", "barcodes.tsv": "a\nb\nc\n"}
    >>> for name, content in {"matrix.mtx": text, **tables}.items():
    ...     _ = (Path(folder.name) / name).write_text(content)
    >>> read_10x_mtx(folder.name).to_df()["B"].tolist()
    [0.0, 0.0, 7.0]
    >>> folder.cleanup()
    """
    if var_names not in ("gene_symbols", "gene_ids"):
        raise ValueError(f"var_names is 'gene_symbols' or 'gene_ids', found {var_names!r}")
    if cache and filename is not None:
        raise ValueError("cache and filename each name a file to open X from: give one of them")
    folder, prefix = Path(path), prefix or ""
    if not folder.is_dir():
        raise FileNotFoundError(f"{path} is no folder, expected one with {prefix}matrix.mtx.gz")
    is_legacy = _is_legacy(folder, prefix)
    suffix = "" if is_legacy or not compressed else ".gz"
    matrix = folder / f"{prefix}matrix.mtx{suffix}"
    place = cache_path(matrix) if cache else None
    if place is None or not is_fresh(place, matrix):
        matrix = _present(matrix)
    var = _features(_present(folder / f"{prefix}{_KINDS[is_legacy]}.tsv{suffix}"), is_legacy)
    names = _table(_present(folder / f"{prefix}barcodes.tsv{suffix}"), n_columns=1, sep=",")
    obs = pd.DataFrame(index=_index(names[0]))
    kept = None
    if gex_only and not is_legacy:
        kept = (var["feature_types"] == GENE_EXPRESSION).to_numpy()
    tables = AnnData(obs=obs, var=_named(var, var_names, make_unique))
    if place is not None:
        return _from_cache(place, matrix, tables, kept, cache_options(cache_compression))
    header = read_header(matrix)
    _check_sizes(matrix, header.shape, tables)
    lines = MtxLines(header, 1, np.dtype("float32"), kept)
    tables = tables if kept is None else tables[:, kept]
    if filename is not None:
        return stream_into(Path(filename), lines, tables)
    checked_lines(lines, "filename='new.h5ad' (or cache=True)")
    return AnnData(in_memory(lines), obs=tables.obs, var=tables.var)


def _is_legacy(folder: Path, prefix: str) -> bool:
    """Whether Cell Ranger 2 wrote a folder: it has genes, not features."""
    if (folder / f"{prefix}genes.tsv").is_file():
        return True
    modern = (folder / f"{prefix}features.tsv{end}" for end in ("", ".gz"))
    return (folder / f"{prefix}genes.tsv.gz").is_file() and not any(p.is_file() for p in modern)


def _present(path: Path) -> Path:
    """The file of a name, or where there is none the compressed or uncompressed one."""
    other = path.with_suffix("") if path.suffix == ".gz" else path.with_name(f"{path.name}.gz")
    for found in (path, other):
        if found.is_file():
            return found
    raise FileNotFoundError(f"{path} does not exist, nor does {other.name}")


def _table(path: Path, *, n_columns: int, sep: str = "\t") -> pd.DataFrame:
    """Read a table without names of columns, as scanpy does."""
    try:
        table = pd.read_csv(path, header=None, sep=sep)
    except pd.errors.EmptyDataError:
        table = pd.DataFrame({k: pd.Series([], dtype=str) for k in range(n_columns)})
    except pd.errors.ParserError as error:
        raise _damaged(path, 1, "a table of text", str(error)) from error
    except DAMAGED_STREAMS as error:
        raise as_text_errors(path, error, 1) from error
    if table.shape[1] < n_columns:
        raise _damaged(path, 1, f"{n_columns} columns, tabs between them", f"{table.shape[1]}")
    return table


def _damaged(path: Path, line: int, expected: str, found: str) -> FileFormatError:
    return FileFormatError.at(path, f"line {line}", expected=expected, found=found)


def _index(names: pd.Series) -> pd.Index:
    return pd.Index(names.array).astype(str)


def _features(path: Path, is_legacy: bool) -> pd.DataFrame:
    table = _table(path, n_columns=2 if is_legacy else 3)
    columns = {"gene_ids": table[0].array, "gene_symbols": table[1].array}
    if not is_legacy:
        columns["feature_types"] = table[2].array
    return pd.DataFrame(columns)


def _named(var: pd.DataFrame, var_names: str, make_unique: bool) -> pd.DataFrame:
    """Make names of genes of one of the columns."""
    names = _index(var.pop(var_names))
    if make_unique and var_names == "gene_symbols":
        names = make_index_unique(names)
    return var.set_axis(names)


def _check_sizes(path: Path, shape: tuple[int, int], tables: AnnData) -> None:
    if shape != (tables.n_vars, tables.n_obs):
        raise FileFormatError.at(
            path,
            "size",
            expected=f"{tables.n_vars} features × {tables.n_obs} barcodes, as the tables list",
            found=f"{shape[0]} × {shape[1]}",
        )


def _from_cache(
    place: Path,
    matrix: Path,
    tables: AnnData,
    kept: Any,
    options: Any,
) -> AnnData:
    """Open the cached form of a matrix, genes × cells as in the file, after making it."""
    if not is_fresh(place, matrix):
        header = read_header(matrix)
        _check_sizes(matrix, header.shape, tables)
        place.parent.mkdir(parents=True, exist_ok=True)
        genes, cells = (pd.DataFrame(index=pd.RangeIndex(n).astype(str)) for n in header.shape)
        lines = MtxLines(header, 1, np.dtype("float32"))
        stream_into(place, lines, AnnData(obs=genes, var=cells), kind="csc", options=options)
    stored = read_h5ad(place)
    _check_sizes(place, stored.shape, tables)
    adata = AnnData(lazy.transpose(stored.X), obs=tables.obs, var=tables.var)
    return adata if kept is None else adata[:, kept]
