"""Open the .h5 files of 10x Genomics in place: their matrix is cells × genes, stored by cells."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal, overload

import h5py
import numpy as np
import pandas as pd

from lazyomics.container.anndata import AnnData
from lazyomics.container.mudata import MuData
from lazyomics.errors import FileFormatError
from lazyomics.io.backing import backing_name
from lazyomics.io.encodings import open_member
from lazyomics.io.encodings.damage import as_format_errors, damaged
from lazyomics.io.encodings.dataset_values import read_values
from lazyomics.io.files import checked_path, fetched, named_file, open_for_reading
from lazyomics.io.readers import CompressedReader, stored_numbers
from lazyomics.kernels.steps import AsType
from lazyomics.lazy import LazyMatrix, from_source, map_rows
from lazyomics.names import choices

__all__ = ["advice_for_10x", "read_10x_h5"]

GENE_EXPRESSION = "Gene Expression"
# members of /matrix/features that do not become columns of var under their own names
NAMED_OTHERWISE = frozenset({"name", "feature_type", "id", "gene_id", "_all_tag_keys"})


@overload
def read_10x_h5(
    filename: str | os.PathLike[str],
    *,
    genome: str | None = None,
    gex_only: bool | None = None,
    backup_url: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    modalities: Literal[False] = False,
    backed: bool = True,
) -> AnnData: ...
@overload
def read_10x_h5(
    filename: str | os.PathLike[str],
    *,
    genome: str | None = None,
    gex_only: bool | None = None,
    backup_url: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    modalities: Literal[True],
    backed: bool = True,
) -> MuData: ...
def read_10x_h5(
    filename: str | os.PathLike[str],
    *,
    genome: str | None = None,
    gex_only: bool | None = None,
    backup_url: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    modalities: bool = False,
    backed: bool = True,
) -> AnnData | MuData:
    """Open a 10x Genomics .h5 file (Cell Ranger 2 and later, also probe matrices), lazily.

    Parameters
    ----------
    filename
        The file: ``filtered_feature_bc_matrix.h5``, ``raw_feature_bc_matrix.h5`` and the like;
        or a URL as in ``read_h5ad``.
    genome
        Keep only the genes of this genome. Files of Cell Ranger 2 hold a matrix for each genome:
        needed there if they hold several.
    gex_only
        Keep only features of the type ``"Gene Expression"``; False keeps antibodies, peaks and
        the like too (``var["feature_types"]`` tells them apart). By default only without
        ``modalities``.
    backup_url
        Download the file from here if there is none, with pooch (``lazyomics[datasets]``).
    storage_options
        For a URL: what fsspec needs to open it.
    modalities
        Return a MuData of one modality for each type of features: ``"rna"``, ``"atac"`` (peaks),
        ``"prot"`` (antibodies), other types under their own names.
    backed
        False loads the matrix.

    Returns
    -------
    AnnData, or MuData of such, with the barcodes as ``obs_names``, the genes (or probes) as
    ``var_names``, and ``var["gene_ids"]``, ``var["probe_ids"]`` (probe matrices),
    ``var["feature_types"]``, ``var["genome"]`` and whatever else the file says of its features;
    ``obs["filtered_barcodes"]`` where the file has it. X is a dask array of shape
    (n_obs, n_vars), float32 where int32 is stored. Names are not made unique. The object has no
    backing file to save into: write it to a
    new file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is not a 10x file, or damaged.
    ValueError
        If the genome is unknown, or not given where several matrices exist.

    Notes
    -----
    Passes over X: 0 (1 with ``backed=False``). Peak memory: names of barcodes and features.
    """
    filename, storage_options = named_file(filename, storage_options)
    fetched(filename, backup_url)
    found = checked_path(filename, storage_options)
    with open_for_reading(found) as file:
        if "matrix" in file:
            adata = _read_features(open_member(file, "matrix"), os.fspath(found))
        else:
            group = _genome_group(file, backing_name(filename, found), genome)
            return _finished(_read_genome(group, os.fspath(found)), modalities, backed)
    if genome:
        names = adata.var["genome"] if "genome" in adata.var else pd.Series([], dtype=object)
        if genome not in set(names):
            raise _unknown_genome(backing_name(filename, found), genome, list(names.unique()))
        adata = adata[:, (names == genome).to_numpy()]
    if gex_only or (gex_only is None and not modalities):
        adata = adata[:, (adata.var["feature_types"] == GENE_EXPRESSION).to_numpy()]
    return _finished(adata, modalities, backed)


def _finished(adata: AnnData, modalities: bool, backed: bool) -> AnnData | MuData:
    data = MuData(adata) if modalities else adata
    return data if backed else data.to_memory()


def _unknown_genome(path: Any, genome: str, known: list[str]) -> ValueError:
    return ValueError(f"{path} has no genome {genome!r}; {choices(genome, known)}")


@as_format_errors
def _read_features(group: h5py.Group, path: str) -> AnnData:
    """Cell Ranger 3 and later: one matrix, with a table of features."""
    features = open_member(group, "features")
    if not isinstance(features, h5py.Group):
        raise damaged(features, expected="a group of features", found="a dataset")
    is_probes = "gene_id" in features
    var = {"gene_ids": _texts(features, "gene_id" if is_probes else "id")}
    if is_probes:
        var["probe_ids"] = _texts(features, "id")
    var["feature_types"] = _texts(features, "feature_type")
    for key in features:
        column = open_member(features, key)
        if key not in NAMED_OTHERWISE and isinstance(column, h5py.Dataset):
            var[key] = _flags(features, key) if column.dtype.kind == "b" else _texts(features, key)
    obs = {}
    if "filtered_barcodes" in group:
        obs["filtered_barcodes"] = _flags(group, "filtered_barcodes")
    return _assembled(group, path, _texts(features, "name"), var, obs)


def _genome_group(file: h5py.File, path: str, genome: str | None) -> h5py.Group:
    """Cell Ranger 2: a group for each genome."""
    genomes = _genomes(file)
    if not genomes:
        known = "obs" in file and "var" in file
        raise FileFormatError.at(
            path,
            "/",
            expected="the group 'matrix', or a group for each genome",
            found=", ".join(sorted(file)[:10]) or "nothing",
            hint="It is an HDF5 file, but not one of 10x Genomics."
            + " Open it with read_h5ad or read_h5mu." * known,
        )
    if genome is None and len(genomes) > 1:
        raise ValueError(f"{path} holds several genomes: pass genome=, one of {genomes}")
    if genome is not None and genome not in genomes:
        raise _unknown_genome(path, genome, genomes)
    return open_member(file, genome or genomes[0])


@as_format_errors
def _genomes(file: h5py.File) -> list[str]:
    """Names of the groups that are the matrix of a genome."""
    return [key for key in file if _is_genome(file, key)]


@as_format_errors
def _read_genome(group: h5py.Group, path: str) -> AnnData:
    names = _texts(group, "gene_names")
    return _assembled(group, path, names, {"gene_ids": _texts(group, "genes")}, {})


def _is_genome(file: h5py.File, key: str) -> bool:
    group = open_member(file, key)
    return isinstance(group, h5py.Group) and "barcodes" in group and "gene_names" in group


def advice_for_10x(file: h5py.File) -> str | None:
    """What to do with a file of 10x Genomics or loom that is opened as another; else None."""
    if {"matrix", "row_attrs", "col_attrs"} <= set(file):
        return "It is a loom file: open it with lo.read_loom."
    try:
        matrix = open_member(file, "matrix") if "matrix" in file else None
        if isinstance(matrix, h5py.Group) and {"barcodes", "features"} <= set(matrix):
            return "It is a matrix of 10x Genomics: open it with lo.read_10x_h5."
        genomes = _genomes(file)
    except FileFormatError:
        return None
    if len(genomes) > 1:
        return (
            f"It has a matrix of 10x Genomics for each of the genomes {genomes}: open one with "
            "lo.read_10x_h5(path, genome=…)."
        )
    return "It is a matrix of 10x Genomics: open it with lo.read_10x_h5." if genomes else None


def _assembled(
    group: h5py.Group, path: str, names: Any, var: dict[str, Any], obs: dict[str, Any]
) -> AnnData:
    x = _matrix(group, path)
    barcodes = _texts(group, "barcodes")
    if x.shape != (len(barcodes), len(names)):
        raise damaged(
            group,
            expected=f"a matrix of {len(names)} features × {len(barcodes)} barcodes",
            found=f"{x.shape[1]} × {x.shape[0]}",
        )
    table = pd.DataFrame(obs, index=pd.Index(barcodes))
    return AnnData(x, obs=table, var=pd.DataFrame(var, index=pd.Index(names)))


def _matrix(group: h5py.Group, path: str) -> LazyMatrix:
    """The stored genes × cells by columns are cells × genes by rows."""
    shape = np.ravel(read_values(open_member(group, "shape")))
    if shape.shape != (2,) or shape.dtype.kind not in "iu" or (shape < 0).any():
        raise damaged(group, expected="a shape of two sizes", found=f"{shape.tolist()}")
    parts = {}
    for name in ("data", "indices", "indptr"):
        dataset = open_member(group, name)
        if not isinstance(dataset, h5py.Dataset) or dataset.ndim != 1:
            raise damaged(dataset, expected="a one-dimensional dataset", found=str(dataset))
        parts[name] = stored_numbers(dataset, path, str(dataset.name))
    if parts["data"].shape != parts["indices"].shape:
        raise damaged(
            group,
            expected=f"as many indices as values ({parts['data'].shape[0]})",
            found=f"{parts['indices'].shape[0]}",
        )
    source = CompressedReader(shape=(int(shape[1]), int(shape[0])), format="csr", **parts)
    x = from_source(source)
    if source.dtype == np.int32:
        return map_rows(x, AsType("float32"))
    return x


def _texts(group: h5py.Group, key: str) -> Any:
    values = np.ravel(read_values(open_member(group, key)))
    if values.dtype.kind in "SO":
        values = read_values(open_member(group, key), as_text=True)
    return np.asarray(values).astype(str).astype(object)


def _flags(group: h5py.Group, key: str) -> Any:
    return np.ravel(read_values(open_member(group, key))).astype(bool)
