from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo

sc = pytest.importorskip("scanpy", reason="compares with scanpy")

COLUMNS = ["highly_variable", "means", "dispersions", "dispersions_norm"]
BATCH_COLUMNS = [*COLUMNS, "highly_variable_nbatches", "highly_variable_intersection"]


def logged(counts, dtype="float32"):
    """Counts as scanpy would prepare them, so that both start from the same numbers."""
    x = counts[counts.sum(1) > 0]
    x = x / x.sum(1, keepdims=True) * np.median(x.sum(1))
    return np.log1p(x).astype(dtype)


def assert_same(ours, theirs, columns):
    for name in columns:
        found, expected = ours[name], theirs[name]
        assert found.dtype == expected.dtype, name
        if found.dtype.kind in "bi":
            assert found.tolist() == expected.tolist(), name
        else:
            np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-6, err_msg=name)


def scanpy_hvg(theirs, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sc.pp.highly_variable_genes(theirs, **options)


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
@pytest.mark.parametrize("flavor", ["seurat", "cell_ranger"])
@pytest.mark.parametrize("n_top_genes", [None, 40])
@pytest.mark.parametrize("where", ["file", "memory", "subset"])
def test_equals_scanpy(pair, counts, kind, flavor, n_top_genes, where):
    ours, theirs = pair(logged(counts)[:, counts.sum(0) > 0], kind, where)
    for data, function in ((ours, lo.pp.highly_variable_genes), (theirs, scanpy_hvg)):
        function(data, flavor=flavor, n_top_genes=n_top_genes)
    assert_same(ours.var, theirs.var, COLUMNS)
    assert dict(ours.uns["hvg"]) == theirs.uns["hvg"]
    assert ours.var["highly_variable"].any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("flavor", ["seurat", "cell_ranger"])
@pytest.mark.parametrize("options", [{"n_top_genes": 40}, {}, {"min_disp": 0.1, "max_mean": 2}])
def test_batches_equal_scanpy(pair, counts, dtype, flavor, options):
    x = logged(counts, dtype)
    batch = pd.Categorical(np.array(["b", "a", "c"])[np.arange(len(x)) % 7 % 3])
    x[np.ix_(batch == "a", np.arange(20, 60))] = 0  # genes that one batch does not express
    if flavor == "cell_ranger":
        x = x[:, counts.sum(0) > 20]
    ours, theirs = pair(x, batch=batch)
    for data, function in ((ours, lo.pp.highly_variable_genes), (theirs, scanpy_hvg)):
        function(data, flavor=flavor, batch_key="batch", **options)
    assert_same(ours.var, theirs.var, BATCH_COLUMNS)


def test_base_of_the_logarithm(pair, counts):
    ours, theirs = pair(counts)
    for data, log1p, function in (
        (ours, lo.pp.log1p, lo.pp.highly_variable_genes),
        (theirs, sc.pp.log1p, scanpy_hvg),
    ):
        log1p(data, base=2)
        function(data, n_top_genes=20)
    assert_same(ours.var, theirs.var, COLUMNS)


@pytest.mark.parametrize("flavor", ["seurat", "cell_ranger"])
@pytest.mark.parametrize("batch_key", [None, "batch"])
def test_real_data(pair, data_file, flavor, batch_key):
    """The whole pipeline of both, from counts."""
    ours = lo.read_h5ad(data_file("rebuilt_pbmc3k_raw.h5ad"))
    theirs = sc.read_h5ad(data_file("rebuilt_pbmc3k_raw.h5ad"))
    for data in (ours, theirs):
        data.obs["batch"] = pd.Categorical(np.array(["x", "y"])[np.arange(2700) % 3 // 2])
    options = {"flavor": flavor, "n_top_genes": 2000, "batch_key": batch_key}
    for data, module, function in (
        (ours, lo, lo.pp.highly_variable_genes),
        (theirs, sc, scanpy_hvg),
    ):
        module.pp.filter_genes(data, min_cells=3)
        module.pp.normalize_total(data, target_sum=1e4)
        module.pp.log1p(data)
        function(data, **options)
    columns = BATCH_COLUMNS if batch_key else COLUMNS
    differ = ours.var["highly_variable"].to_numpy() != theirs.var["highly_variable"].to_numpy()
    assert not differ.any()
    assert_same(ours.var, theirs.var, columns)


@pytest.mark.parametrize("batch_key", [None, "batch"])
def test_one_pass(pair, counts, count_passes, batch_key):
    x = logged(counts)
    ours, _ = pair(x, batch=pd.Categorical(np.arange(len(x)) % 4))
    with count_passes(ours.filename) as passes:
        lo.pp.highly_variable_genes(ours, n_top_genes=10, batch_key=batch_key)
    assert passes.values == pytest.approx(1)


def test_returned_table_and_subset(pair, counts):
    ours, theirs = pair(logged(counts))
    frame = lo.pp.highly_variable_genes(ours, n_top_genes=30, inplace=False)
    expected = scanpy_hvg(theirs, n_top_genes=30, inplace=False)
    assert_same(frame, expected, COLUMNS)
    assert "highly_variable" not in ours.var
    only = lo.pp.highly_variable_genes(ours, n_top_genes=30, inplace=False, subset=True)
    assert only.index.tolist() == expected.index[expected["highly_variable"]].tolist()
    lo.pp.highly_variable_genes(ours, n_top_genes=30, subset=True)
    assert ours.shape == (len(logged(counts)), 30)
    assert ours.X.shape == ours.shape


def test_layer_and_unexpressed(pair, counts):
    ours, theirs = pair(logged(counts))
    for data, function in ((ours, lo.pp.highly_variable_genes), (theirs, scanpy_hvg)):
        data.layers["logged"] = data.X
        data.X = np.zeros(data.shape, dtype="float32")
        function(data, layer="logged", n_top_genes=30)
    assert_same(ours.var, theirs.var, COLUMNS)
    lo.pp.highly_variable_genes(ours, layer="logged", filter_unexpressed_genes=True)
    assert ours.var["means"].iloc[17] == 0


def test_more_genes_asked_than_known(pair, counts):
    ours, theirs = pair(logged(counts))
    with pytest.warns(UserWarning, match="n_top_genes"):
        lo.pp.highly_variable_genes(ours, n_top_genes=5000)
    scanpy_hvg(theirs, n_top_genes=5000)
    assert_same(ours.var, theirs.var, COLUMNS)


def test_errors_say_what_to_do(pair, counts):
    ours, _ = pair(counts * 1000)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="log1p first"):
        lo.pp.highly_variable_genes(ours)
    with pytest.raises(ValueError, match="flavor"):
        lo.pp.highly_variable_genes(ours, flavor="x")
    with pytest.raises(KeyError, match="nothing"):
        lo.pp.highly_variable_genes(ours, batch_key="nothing")
    with pytest.warns(UserWarning, match="cutoffs are ignored"):
        lo.pp.highly_variable_genes(lo.AnnData(logged(counts)), n_top_genes=3, min_disp=0.7)
    x = logged(counts)
    x[:, :150] = 0
    with pytest.raises(ValueError, match=r"unique.*filter_genes"):
        lo.pp.highly_variable_genes(lo.AnnData(x), flavor="cell_ranger")


def test_chunking_does_not_matter(pair, counts):
    import dask

    frames = []
    for size in ("1 kiB", "1 GiB"):
        ours, _ = pair(logged(counts))
        with dask.config.set({"lazyomics.chunk-bytes": size}):
            frames.append(lo.pp.highly_variable_genes(ours, n_top_genes=30, inplace=False))
    assert_same(*frames, COLUMNS)
