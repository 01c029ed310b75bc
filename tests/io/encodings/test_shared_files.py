"""Every element of real files of every generation, compared with what anndata reads."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from typing import Any

import h5py
import pandas as pd
import pytest

from lazyomics.container.anndata import AnnData
from lazyomics.io.encodings import (
    OpaqueElement,
    categories_from_uns,
    element_kind,
    frame_columns,
    frame_index,
    frame_length,
    read_compound_mapping,
    read_element,
    read_frame,
    write_element,
)

MODALITIES = (OpaqueElement, AnnData)
FILES = [
    "Rmudata_miniacc_1208d314.h5mu",
    "anndataR_example_1845424.h5ad",
    "anndata_v0.11.4_adata.h5ad",
    "anndata_v0.5.0_adata.h5ad",
    "anndata_v0.7.0_adata.h5ad",
    "anndata_v0.7.8_adata.h5ad",
    "bpcells_mini_mat.anndata-v0.6.22.h5ad",
    "cellrank_adata_200.h5ad",
    "duckdb_comprehensive.h5ad",
    "mudata_v0.1.2_mdata_axis0.h5mu",
    "mudata_v0.1.2_mudata.h5mu",
    "mudata_v0.3.10_mdata_axis0.h5mu",
    "mudata_v0.3.10_mdata_axis1.h5mu",
    "muon_test_rna_atac.h5mu",
    "rebuilt_eccite_rna_adt_hto.h5mu",
    "rebuilt_pbmc1k_citeseq.h5mu",
    "rebuilt_pbmc3k_processed.h5ad",
    "rebuilt_pbmc3k_raw.h5ad",
    "rust_snapatac2_pbmc3k_raw.h5ad",
    "soma_pbmc-small-x-csc.h5ad",
    "zellkonverter_example_anndata.h5ad",
]

WHOLE = {"anndata", "raw", "mudata"}


@pytest.fixture(params=FILES)
def file(request: pytest.FixtureRequest, data_file: Any) -> Iterator[h5py.File]:
    if request.param.startswith("rust"):
        pytest.importorskip("hdf5plugin", reason="the file is compressed with Blosc")
    with h5py.File(data_file(request.param), "r") as opened:
        yield opened


def elements(file: h5py.File) -> list[h5py.HLObject]:
    """All groups and datasets that are elements of their own."""
    found: list[h5py.HLObject] = []

    def visit(name: str, obj: h5py.HLObject) -> None:
        parent = element_kind(obj.parent) if "/" in name else "dict"
        # Tables on the axes need uns to be understood: they have a test of their own.
        table = isinstance(obj, h5py.Dataset) and obj.dtype.names and "/" not in name
        if element_kind(obj) in WHOLE or parent not in {"dict", "dataframe", *WHOLE}:
            return
        # Codes of 0.7 mean nothing without their frame.
        if "categories" not in obj.attrs and not (table and not name.startswith("obsm")):
            found.append(obj)

    file.visititems(visit)
    return found


def holds(value: Any, kind: type | tuple[type, ...]) -> bool:
    if isinstance(value, dict):
        return any(holds(item, kind) for item in value.values())
    return isinstance(value, kind)


def test_reads_what_anndata_reads(file: h5py.File, anndata_read: Any, same: Any) -> None:
    compared = 0
    for obj in elements(file):
        ours = read_element(obj)
        if holds(ours, MODALITIES):  # read by its parts
            continue
        same(ours, anndata_read(obj), f"{file.filename}:{obj.name}")
        compared += 1
    assert compared >= 5


def test_anndata_reads_what_is_written(file: h5py.File, anndata_read: Any, same: Any) -> None:
    for obj in elements(file):
        value = read_element(obj)
        if holds(value, MODALITIES):
            continue
        with h5py.File(io.BytesIO(), "w") as copy:
            write_element(copy, "x", value)
            same(read_element(copy["x"]), anndata_read(copy["x"]), obj.name)
            expect_same_after_writing(value, read_element(copy["x"]), same, obj.name)


def expect_same_after_writing(value: Any, again: Any, same: Any, where: str) -> None:
    """The same but for three things that the current format has no place for, as in anndata.

    Text of fixed length becomes text of any length, numpy's scalars become Python's, and members
    come back in the order of their names.
    """
    if isinstance(value, dict):
        assert set(value) == set(again)
        for key in value:
            expect_same_after_writing(value[key], again[key], same, f"{where}/{key}")
    elif getattr(value, "dtype", None) is not None and getattr(value, "shape", None) == ():
        assert again == value.item(), where
    elif hasattr(value, "dtype") and str(value.dtype).startswith("<U"):
        assert again.tolist() == value.tolist(), where
    elif getattr(getattr(value, "dtype", None), "names", None):
        for name in value.dtype.names:
            assert again[name].tolist() == value[name].tolist() or value[name].dtype.kind == "f"
    else:
        same(again, value, where)


def test_frames_by_columns(file: h5py.File) -> None:
    for obj in elements(file):
        if element_kind(obj) != "dataframe":
            continue
        whole = read_element(obj)
        assert frame_columns(obj) == list(whole.columns)
        assert frame_length(obj) == len(whole)
        pd.testing.assert_index_equal(frame_index(obj), whole.index)
        chosen = list(whole.columns[::-2])
        pd.testing.assert_frame_equal(read_frame(obj, chosen), whole[chosen])


@pytest.mark.parametrize(
    "name", ["anndata_v0.5.0_adata.h5ad", "bpcells_mini_mat.anndata-v0.6.22.h5ad"]
)
def test_tables_before_0_7(name: str, data_file: Any, same: Any) -> None:
    ad = pytest.importorskip("anndata", reason="compares with anndata")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = ad.read_h5ad(data_file(name))
    with h5py.File(data_file(name), "r") as file:
        uns = read_element(file["uns"]) if "uns" in file else {}
        obs, used_by_obs = categories_from_uns(read_frame(file["obs"]), uns)
        var, used_by_var = categories_from_uns(read_frame(file["var"]), uns)
        same(obs, theirs.obs)
        same(var, theirs.var)
        assert set(uns) - set(used_by_obs) - set(used_by_var) >= set(theirs.uns)
        if isinstance(file["obsm"], h5py.Dataset):
            obsm = read_compound_mapping(file["obsm"])
            same(obsm, {key: theirs.obsm[key] for key in obsm})
        assert list(obs.columns) == frame_columns(file["obs"])
        assert frame_length(file["obs"]) == theirs.n_obs
        pd.testing.assert_index_equal(frame_index(file["obs"]), theirs.obs_names)
