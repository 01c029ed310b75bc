"""read_starsolo and read_kb: folders of matrices that STARsolo and kb-python write."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from lazyomics.container.anndata import AnnData
from lazyomics.container.frames import make_index_unique
from lazyomics.io.mtx.tables_beside import matrix_of, names_of, present, table_of
from lazyomics.io.opening import read_h5ad
from lazyomics.io.writing import dataset_options, write_new

__all__ = ["read_kb", "read_starsolo", "with_layers"]

VELOCYTO = ("spliced", "unspliced", "ambiguous")


def read_starsolo(
    path: str | os.PathLike[str],
    feature: str = "Gene",
    *,
    filtered: bool = True,
    matrix: str = "matrix.mtx",
    var_names: Literal["gene_symbols", "gene_ids"] = "gene_symbols",
    make_unique: bool = True,
    filename: str | os.PathLike[str] | None = None,
) -> AnnData:
    """Read what STARsolo counted: ``Solo.out``, or a folder in it.

    Parameters
    ----------
    path
        ``Solo.out``, or a folder that holds ``barcodes.tsv`` itself.
    feature
        Folder of ``Solo.out``: ``"Gene"``, ``"GeneFull"``, ``"GeneFull_Ex50pAS"``, or
        ``"Velocyto"``, whose counts become the layers ``"spliced"``, ``"unspliced"`` and
        ``"ambiguous"``, and the spliced ones X.
    filtered
        Take the cells that STARsolo called; False takes all barcodes.
    matrix
        File of counts, such as ``"UniqueAndMult-EM.mtx"``, which only all barcodes have.
    var_names, make_unique
        As in ``read_10x_mtx``.
    filename
        Stream the result into this new .h5ad file instead of memory, and open that.

    Returns
    -------
    AnnData as of ``read_10x_mtx``, X a float32 CSR matrix of shape (n_obs, n_vars), or a dask array
    with ``filename``.

    Raises
    ------
    FileNotFoundError
        If a file is missing: names it.
    FileFormatError
        If a file is damaged, or they do not belong together.
    MemoryError
        If a matrix takes more than ``lazyomics.memory`` and is to be in memory.

    Notes
    -----
    Passes over each file: 1. Peak memory: the matrices; with ``filename`` 50 MB and the names.
    Layers go through a scratch file beside it.

    Examples
    --------
    >>> import lazyomics as lo  # doctest: +SKIP
    >>> lo.read_starsolo("Solo.out", "Velocyto").layers["unspliced"]  # doctest: +SKIP
    """
    if var_names not in ("gene_symbols", "gene_ids"):
        raise ValueError(f"var_names is 'gene_symbols' or 'gene_ids', found {var_names!r}")
    folder = _solo_folder(Path(path), feature, filtered)
    table = table_of(present(folder / "features.tsv", folder / "genes.tsv"), n_columns=1)
    var = _features(table, var_names, make_unique)
    obs = pd.DataFrame(index=names_of(present(folder / "barcodes.tsv")))
    tables = AnnData(obs=obs, var=var)
    if (folder / "spliced.mtx").exists() or (folder / "spliced.mtx.gz").exists():
        files = {name: present(folder / f"{name}.mtx") for name in VELOCYTO}
        return with_layers("spliced", files, tables, axis=1, target=filename)
    return matrix_of(
        present(folder / matrix),
        tables,
        axis=1,
        what="features × barcodes",
        target=None if filename is None else Path(filename),
        dtype=np.dtype("float32"),
    )


def _solo_folder(path: Path, feature: str, filtered: bool) -> Path:
    """The folder of one matrix in Solo.out."""
    cells = "filtered" if filtered else "raw"
    for folder in (path, path / cells, path / feature / cells, path / feature):
        if any((folder / f"barcodes.tsv{end}").is_file() for end in ("", ".gz")):
            return folder
    known = sorted(str(f.parent.relative_to(path)) for f in path.glob("**/barcodes.tsv*"))[:10]
    hint = f"; there are {known}" if known else ""
    raise FileNotFoundError(f"{path / feature / cells} has no barcodes.tsv{hint}")


def _features(table: pd.DataFrame, var_names: str, make_unique: bool) -> pd.DataFrame:
    ids = pd.Index(table[0].to_numpy(dtype=object)).astype(str)
    symbols = ids if table.shape[1] < 2 else pd.Index(table[1].to_numpy(dtype=object)).astype(str)
    names, others = (symbols, ids) if var_names == "gene_symbols" else (ids, symbols)
    if make_unique and var_names == "gene_symbols":
        names = make_index_unique(names)
    other = "gene_ids" if var_names == "gene_symbols" else "gene_symbols"
    columns = {other: others.to_numpy(dtype=object)}
    if table.shape[1] > 2:
        columns["feature_types"] = table[2].to_numpy(dtype=object)
    return pd.DataFrame(columns, index=names)


KB_LAYERS = {
    "spliced": ("spliced", "unspliced"),
    "cells_x_genes.mature": (
        "cells_x_genes.mature",
        "cells_x_genes.nascent",
        "cells_x_genes.ambiguous",
    ),
}


def read_kb(
    path: str | os.PathLike[str],
    *,
    prefix: str | None = None,
    filename: str | os.PathLike[str] | None = None,
) -> AnnData:
    """Read what ``kb count`` of kb-python wrote: ``counts_unfiltered``, ``counts_filtered``.

    Parameters
    ----------
    path
        The folder, or the one above it, of which ``counts_filtered`` is taken if it is there, else
        ``counts_unfiltered``.
    prefix
        What the names of the files begin with: ``"cells_x_genes"``, ``"cells_x_tcc"`` or
        ``"cells_x_features"``. By default that of the file that is there; of the workflows for RNA
        velocity, their matrices become the layers ``"spliced"`` and ``"unspliced"`` (lamanno), or
        ``"mature"``, ``"nascent"`` and ``"ambiguous"`` (nac), and the first of them X.
    filename
        Stream the result into this new .h5ad file instead of memory, and open that.

    Returns
    -------
    AnnData with the barcodes as ``obs_names`` and ids of genes as ``var_names``;
    ``var["gene_name"]`` where ``kb`` wrote names. X is a float32 CSR matrix of shape
    (n_obs, n_vars), or a dask array with ``filename``.

    Raises
    ------
    FileNotFoundError
        If a file is missing: names it.
    FileFormatError
        If a file is damaged, or they do not belong together.
    MemoryError
        If a matrix takes more than ``lazyomics.memory`` and is to be in memory.

    Notes
    -----
    Passes over each file: 1. Peak memory: the matrices; with ``filename`` 50 MB and the names.
    Layers go through a scratch file beside it. ``adata.h5ad`` of ``kb count --h5ad`` is opened with
    ``read_h5ad``.

    Examples
    --------
    >>> import lazyomics as lo  # doctest: +SKIP
    >>> lo.read_kb("kb_out/counts_unfiltered", filename="counts.h5ad")  # doctest: +SKIP
    """
    folder = _kb_folder(Path(path))
    found = prefix or _kb_prefix(folder)
    names = KB_LAYERS.get(found, (found,))
    stem = found.removesuffix(".mature")
    genes = present(*(folder / f"{stem}.{k}.txt" for k in ("genes", "features", "ec")))
    var = pd.DataFrame(index=names_of(genes).rename("gene_id"))
    beside = folder / f"{stem}.genes.names.txt"
    if beside.exists() or beside.with_name(f"{beside.name}.gz").exists():
        column = names_of(present(beside))
        if len(column) == len(var):
            var["gene_name"] = column.to_numpy(dtype=object)
    obs = pd.DataFrame(index=names_of(present(folder / f"{stem}.barcodes.txt")).rename("barcode"))
    tables = AnnData(obs=obs, var=var)
    if len(names) > 1:
        files = {name.rpartition(".")[2]: present(folder / f"{name}.mtx") for name in names}
        return with_layers(names[0].rpartition(".")[2], files, tables, axis=0, target=filename)
    return matrix_of(
        present(folder / f"{found}.mtx"),
        tables,
        axis=0,
        what="barcodes × genes",
        target=None if filename is None else Path(filename),
        dtype=np.dtype("float32"),
    )


def _kb_folder(path: Path) -> Path:
    for name in ("counts_filtered", "counts_unfiltered"):
        if (path / name).is_dir():
            return path / name
    if not path.is_dir():
        raise FileNotFoundError(f"{path} is no folder, expected one of kb-python")
    return path


def _kb_prefix(folder: Path) -> str:
    known = ("cells_x_genes", "cells_x_genes.mature", "spliced", "cells_x_features", "cells_x_tcc")
    for name in known:
        if any((folder / f"{name}.mtx{end}").is_file() for end in ("", ".gz")):
            return name
    there = sorted(p.name for p in folder.iterdir())[:10]
    raise FileNotFoundError(f"{folder} has none of {[f'{n}.mtx' for n in known]}; it has {there}")


def with_layers(
    main: str,
    files: Mapping[str, Path],
    tables: AnnData,
    *,
    axis: int,
    target: str | os.PathLike[str] | None,
) -> AnnData:
    """Read several matrices of the same cells and genes as layers, one of them as X, too.

    Parameters
    ----------
    main
        The layer that is X.
    files
        Matrix Market files by names of layers.
    tables
        An object without X.
    axis
        0 if rows of the files are cells, 1 if columns are.
    target
        A new .h5ad that the result is streamed into; None for memory.
    """
    what = "cells × genes" if axis == 0 else "genes × cells"
    options: dict[str, Any] = {"axis": axis, "what": what, "dtype": np.dtype("float32")}
    if target is None:
        read = {k: matrix_of(p, tables, target=None, **options).X for k, p in files.items()}
        return AnnData(read[main], obs=tables.obs, var=tables.var, layers=read)
    place = Path(target)
    with tempfile.TemporaryDirectory(dir=place.absolute().parent, prefix=".lazyomics-") as aside:
        bare = AnnData(obs=tables.obs[[]], var=tables.var[[]])
        layers = {
            key: matrix_of(path, bare, target=Path(aside) / f"{k}.h5ad", **options).X
            for k, (key, path) in enumerate(files.items())
        }
        made = AnnData(layers[main], obs=tables.obs, var=tables.var, layers=layers)
        write_new(made, place, options=dataset_options())
    return read_h5ad(place)
