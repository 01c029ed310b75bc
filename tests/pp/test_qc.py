from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo

sc = pytest.importorskip("scanpy", reason="compares with scanpy")

DTYPES = ["float32", "float64", "int32", "int64", "uint16"]
# scanpy compiles its loops for each type of a sparse matrix, which takes ten seconds each.
COMPILED = ["float32", "int64"]


def scanpy_qc(theirs, **options):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return sc.pp.calculate_qc_metrics(theirs, **options)


def assert_frames(found, expected, *, dtypes=True, rtol=1e-5):
    assert list(found) == list(expected)
    assert found.index.tolist() == expected.index.tolist()
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=rtol, err_msg=name)
        # versions of scanpy take means in different precision
        if dtypes and "mean" not in name:
            assert found[name].dtype == expected[name].dtype, name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
def test_equals_scanpy(pair, counts, dtype, kind):
    ours, theirs = pair(
        counts.astype(dtype), kind, mt=np.arange(300) % 10 == 0, ribo=np.arange(300) % 7 == 1
    )
    same_kind = kind == "dense" or dtype in COMPILED
    if not same_kind:
        theirs.X = theirs.X.toarray()
    options = {"qc_vars": ["mt", "ribo"], "percent_top": (50, 5, 200)}
    found = lo.pp.calculate_qc_metrics(ours, **options)
    for mine, theirs_ in zip(found, scanpy_qc(theirs, **options), strict=True):
        assert_frames(mine, theirs_, dtypes=kind != "csc" and same_kind)


@pytest.mark.parametrize("where", ["memory", "subset"])
def test_in_place_equals_scanpy(pair, counts, where):
    ours, theirs = pair(counts, "csr", where, mt=np.arange(300) % 10 == 0)
    options = {
        "qc_vars": "mt",
        "percent_top": None,
        "log1p": False,
        "inplace": True,
        "expr_type": "reads",
        "var_type": "peaks",
    }
    assert lo.pp.calculate_qc_metrics(ours, **options) is None
    scanpy_qc(theirs, **options)
    assert_frames(ours.obs, theirs.obs)
    assert_frames(ours.var.drop(columns="mt"), theirs.var.drop(columns="mt"))


def test_real_data(data_file):
    ours = lo.read_h5ad(data_file("rebuilt_pbmc3k_raw.h5ad"))
    theirs = sc.read_h5ad(data_file("rebuilt_pbmc3k_raw.h5ad"))
    for data in (ours, theirs):
        data.var["mt"] = np.asarray(data.var_names.str.startswith("MT-"))
    options = {"qc_vars": ["mt"]}
    found = lo.pp.calculate_qc_metrics(ours, **options)
    for mine, theirs_ in zip(found, scanpy_qc(theirs, **options), strict=True):
        assert_frames(mine, theirs_)


def test_raw_and_layers(data_file):
    ours = lo.read_h5ad(data_file("rebuilt_pbmc3k_processed.h5ad"))
    theirs = sc.read_h5ad(data_file("rebuilt_pbmc3k_processed.h5ad"))
    found, genes = lo.pp.calculate_qc_metrics(ours, use_raw=True)
    expected, _ = scanpy_qc(theirs.raw.to_adata())
    assert_frames(found, expected, rtol=1e-4)  # scanpy sums floats in float32
    assert len(genes) == 13714
    with pytest.raises(ValueError, match="use_raw"):
        lo.pp.calculate_qc_metrics(ours, use_raw=True, layer="x")


def test_one_pass(pair, counts, count_passes):
    ours, _ = pair(counts, mt=np.arange(300) % 10 == 0)
    with count_passes(ours.filename) as passes:
        lo.pp.calculate_qc_metrics(ours, qc_vars=["mt"], percent_top=(5,), inplace=True)
    assert passes.values == pytest.approx(1)
    assert passes.indices == pytest.approx(1)


def test_wrong_arguments(pair, counts):
    ours, _ = pair(counts, number=np.arange(300))
    with pytest.raises(IndexError, match="percent_top"):
        lo.pp.calculate_qc_metrics(ours, percent_top=(301,))
    with pytest.raises(KeyError, match="nothing"):
        lo.pp.calculate_qc_metrics(ours, qc_vars=["nothing"], percent_top=None)
    with pytest.raises(ValueError, match="boolean"):
        lo.pp.calculate_qc_metrics(ours, qc_vars="number", percent_top=None)
    with pytest.warns(FutureWarning, match="parallel"):
        lo.pp.calculate_qc_metrics(ours, parallel=True, percent_top=None)


def test_no_cells():
    empty = lo.AnnData(np.zeros((0, 3), dtype=np.float32))
    cells, genes = lo.pp.calculate_qc_metrics(empty, percent_top=(2,))
    assert cells.shape[0] == 0
    assert isinstance(genes, pd.DataFrame)
    assert genes["n_cells_by_counts"].tolist() == [0, 0, 0]
