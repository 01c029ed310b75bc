"""read_alevin: what salmon alevin and alevin-fry counted."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from dask.utils import format_bytes

from lazyomics import config
from lazyomics.container.anndata import AnnData
from lazyomics.errors import FileFormatError
from lazyomics.io.mtx.entries import DAMAGED_STREAMS
from lazyomics.io.mtx.tables_beside import matrix_of, names_of, present
from lazyomics.io.opening import read_h5ad
from lazyomics.io.save.verify import verify
from lazyomics.io.stream import write_compressed
from lazyomics.io.writing import dataset_options, new_file, write_anndata, write_new
from lazyomics.lazy.load import Lines

__all__ = ["read_alevin"]

FORMATS: dict[str, dict[str, tuple[str, ...]]] = {
    "scrna": {"X": ("S", "A"), "unspliced": ("U",)},
    "s+a": {"X": ("S", "A")},
    "snrna": {"X": ("U", "S", "A")},
    "all": {"X": ("U", "S", "A")},
    "u+s+a": {"X": ("U", "S", "A")},
    "velocity": {"X": ("S", "A"), "spliced": ("S", "A"), "unspliced": ("U",)},
    "raw": {"X": ("S",), "spliced": ("S",), "unspliced": ("U",), "ambiguous": ("A",)},
}
CELLS_AT_ONCE = 1 << 20  # stored values, of quants_mat.gz


def read_alevin(
    path: str | os.PathLike[str],
    *,
    output_format: str | Mapping[str, Sequence[str]] = "scRNA",
    filename: str | os.PathLike[str] | None = None,
) -> AnnData:
    """Read the folder that ``salmon alevin`` or ``alevin-fry quant`` wrote.

    Parameters
    ----------
    path
        The folder, which holds the folder ``alevin`` with ``quants_mat.mtx`` (or, of salmon,
        ``quants_mat.gz``), ``quants_mat_rows.txt`` and ``quants_mat_cols.txt``.
    output_format
        How unspliced (U), spliced (S) and ambiguous (A) counts of alevin-fry are added up, as of
        ``pyroe.load_fry``: ``"scRNA"`` (X is S + A, ``layers["unspliced"]`` is U), ``"snRNA"`` or
        ``"all"`` (X is U + S + A), ``"S+A"``, ``"velocity"``, ``"raw"``, or a mapping such as
        ``{"X": ["S", "A"], "unspliced": ["U"]}``. Has no effect on counts of one kind.
    filename
        Stream the result into this new .h5ad file instead of memory, and open that.

    Returns
    -------
    AnnData with the barcodes as ``obs_names`` and ids of genes as ``var_names``. X is a float32 CSR
    matrix of shape (n_obs, n_vars), or a dask array with ``filename``.

    Raises
    ------
    FileNotFoundError
        If a file is missing: names it.
    FileFormatError
        If a file is damaged, or they do not belong together.
    MemoryError
        If the matrix takes more than ``lazyomics.memory`` and is to be in memory.
    ValueError
        For an unknown ``output_format``.

    Notes
    -----
    Passes over the file: 1. Peak memory: the matrix; with ``filename`` 50 MB and the names. Counts
    that are added up go through a scratch file beside it.

    Examples
    --------
    >>> import lazyomics as lo  # doctest: +SKIP
    >>> lo.read_alevin("af_quant", output_format="velocity")  # doctest: +SKIP
    """
    sums = _checked_format(output_format)
    folder, above = _alevin_folder(Path(path))
    genes, cells = (
        names_of(folder / "quants_mat_cols.txt"),
        names_of(folder / "quants_mat_rows.txt"),
    )
    obs = pd.DataFrame(index=cells.rename("barcodes"))
    target = None if filename is None else Path(filename)
    in_parts = _is_in_parts(above)
    if not in_parts:
        tables = AnnData(obs=obs, var=pd.DataFrame(index=genes.rename("gene_ids")))
        return _matrix(folder, tables, target)
    kinds = _three_kinds(above, folder, genes)
    var = pd.DataFrame(index=kinds.rename("gene_ids"))
    columns = AnnData(
        obs=obs[[]], var=pd.DataFrame(index=pd.RangeIndex(3 * len(kinds)).astype(str))
    )
    if target is None:
        return _added(_matrix(folder, columns, None).X, sums, obs, var)
    with tempfile.TemporaryDirectory(dir=target.absolute().parent, prefix=".lazyomics-") as aside:
        stored = _matrix(folder, columns, Path(aside) / "counts.h5ad")
        write_new(_added(stored.X, sums, obs, var), target, options=dataset_options())
    return read_h5ad(target)


def _checked_format(given: Any) -> Mapping[str, Sequence[str]]:
    found: Any = FORMATS.get(given.lower()) if isinstance(given, str) else given
    valid = isinstance(found, Mapping) and "X" in found
    if not valid or not all(v and set(v) <= {"U", "S", "A"} for v in found.values()):
        raise ValueError(
            f"output_format is one of {sorted(FORMATS)}, or a mapping from 'X' and names of layers "
            f"to some of 'U', 'S' and 'A'; found {given!r}"
        )
    return found


def _alevin_folder(path: Path) -> tuple[Path, Path]:
    """The folder with the matrix, and the one with what is said of the run."""
    for folder, above in ((path / "alevin", path), (path, path.parent)):
        if (folder / "quants_mat_cols.txt").is_file():
            return folder, above
    raise FileNotFoundError(f"{path / 'alevin'} has no quants_mat_cols.txt: it is not of alevin")


def _is_in_parts(above: Path) -> bool:
    """Whether unspliced, spliced and ambiguous counts are told apart."""
    for name in ("quant.json", "meta_info.json"):
        file = above / name
        if file.is_file():
            try:
                return bool(json.loads(file.read_bytes()).get("usa_mode", False))
            except (ValueError, AttributeError) as error:
                raise FileFormatError.at(file, "/", expected="JSON", found=str(error)) from error
    return False


def _three_kinds(above: Path, folder: Path, genes: pd.Index[Any]) -> pd.Index[Any]:
    """Names of the genes, of which the matrix has three columns each."""
    from lazyomics.io.mtx.entries import read_header

    width = read_header(present(folder / "quants_mat.mtx")).shape[1]
    if width % 3 or len(genes) not in (width, width // 3):
        raise FileFormatError.at(
            folder / "quants_mat_cols.txt",
            "length",
            expected=f"a name for each of {width} columns, or for each three of them",
            found=f"{len(genes)} names",
        )
    return genes[: width // 3]


def _added(x: Any, sums: Mapping[str, Sequence[str]], obs: Any, var: Any) -> AnnData:
    n = len(var)
    place = {"S": slice(0, n), "U": slice(n, 2 * n), "A": slice(2 * n, 3 * n)}
    made = {}
    for key, kinds in sums.items():
        total = x[:, place[kinds[0]]]
        for kind in kinds[1:]:
            total = total + x[:, place[kind]]
        made[key] = total
    main = made.pop("X")
    return AnnData(main, obs=obs, var=var, layers=made)


def _matrix(folder: Path, tables: AnnData, target: Path | None) -> AnnData:
    packed = folder / "quants_mat.gz"
    if any((folder / f"quants_mat.mtx{end}").is_file() for end in ("", ".gz")):
        file = present(folder / "quants_mat.mtx")
        what, dtype = "cells × genes", np.dtype("float32")
        return matrix_of(file, tables, axis=0, what=what, target=target, dtype=dtype)
    if not packed.is_file():
        raise FileNotFoundError(f"{folder} has neither quants_mat.mtx nor quants_mat.gz")
    if target is None:
        return _packed_in_memory(packed, tables)
    options = dataset_options()
    with new_file(target) as file, closing(_packed_blocks(packed, tables.shape)) as blocks:
        write_anndata(file, tables, options)
        write_compressed(
            file,
            "X",
            blocks,
            kind="csr",
            shape=tables.shape,
            dtype=np.dtype("float32"),
            most=tables.n_obs * tables.n_vars,
            options=options,
        )
        verify(file)
    return read_h5ad(target)


def _packed_in_memory(path: Path, tables: AnnData) -> AnnData:
    parts, size = [], 0
    with closing(_packed_blocks(path, tables.shape)) as blocks:
        for block in blocks:
            parts.append(sp.csr_matrix(tuple(block), shape=(len(block.indptr) - 1, tables.n_vars)))
            size += 8 * len(block.data)
            if 2 * size > config.memory():
                raise MemoryError(
                    f"{path} takes more than half of lazyomics.memory "
                    f"({format_bytes(config.memory())}). Pass filename='new.h5ad', a file that it "
                    "is streamed into and opened from"
                )
    empty = sp.csr_matrix(tables.shape, dtype=np.float32)
    x = sp.vstack(parts, format="csr", dtype=np.float32) if parts else empty
    return AnnData(sp.csr_matrix(x), obs=tables.obs, var=tables.var)


def _packed_blocks(path: Path, shape: tuple[int, int]) -> Generator[Lines]:
    """Cells of ``quants_mat.gz``: a bit for each gene, then the values of those that are set."""
    n_obs, n_vars = shape
    width = -(-n_vars // 8)
    data, indices, counts = [], [], [0]
    try:
        with gzip.open(path) as file:
            for cell in range(n_obs):
                bits = np.frombuffer(_exactly(file, width, path, cell), np.uint8)
                genes = np.flatnonzero(np.unpackbits(bits, count=n_vars)).astype(np.int32)
                stored = _exactly(file, 4 * len(genes), path, cell)
                data.append(np.frombuffer(stored, "<f4"))
                indices.append(genes)
                counts.append(counts[-1] + len(genes))
                if counts[-1] >= CELLS_AT_ONCE:
                    yield _joined(data, indices, counts)
                    data, indices, counts = [], [], [0]
            if file.read(1):
                raise FileFormatError.at(
                    path, "end", expected=f"{n_obs} cells of {n_vars} genes", found="more bytes"
                )
    except DAMAGED_STREAMS as error:
        raise FileFormatError.at(path, "/", expected="gzip", found=f"an error: {error}") from error
    if len(counts) > 1:
        yield _joined(data, indices, counts)


def _joined(data: list[Any], indices: list[Any], counts: list[int]) -> Lines:
    return Lines(np.concatenate(data), np.concatenate(indices), np.array(counts, np.int64))


def _exactly(file: Any, size: int, path: Path, cell: int) -> bytes:
    found = file.read(size)
    if len(found) != size:
        raise FileFormatError.at(
            path, f"cell {cell}", expected=f"{size} bytes", found=f"the end after {len(found)}"
        )
    return bytes(found)
