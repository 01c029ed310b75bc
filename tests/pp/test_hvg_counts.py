"""Flavours that take counts, beside scanpy's."""

from __future__ import annotations

import sys

import anndata
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.blocks.block import as_block
from lazyomics.errors import MissingDependencyError
from lazyomics.kernels.moments import clipped_moments
from lazyomics.pp.hvg import rank_genes
from lazyomics.pp.hvg_dispersion import mean_and_variance
from tests.pp.test_hvg import scanpy_hvg

FLAVORS = ["seurat_v3", "seurat_v3_paper"]
NUMBERS = ["means", "variances", "variances_norm"]
COLUMNS = ["highly_variable", "highly_variable_rank", "highly_variable_nbatches"]


def assert_same(ours, theirs, n_top_genes):
    """Equal, but for the order of genes with the same variance, which rounding may change."""
    for name in NUMBERS:
        assert ours[name].dtype == theirs[name].dtype == np.float64
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6, err_msg=name)
    for name in COLUMNS:
        assert (name in ours) == (name in theirs), name
        if name in ours:
            assert ours[name].dtype == theirs[name].dtype, name
            assert (ours[name].fillna(-1) != theirs[name].fillna(-1)).mean() < 0.03, name
    assert ours["highly_variable"].sum() == n_top_genes
    assert (ours["highly_variable"] != theirs["highly_variable"]).sum() <= 0.01 * n_top_genes
    if "highly_variable_nbatches" not in ours:
        alone = ~theirs["variances_norm"].round(9).duplicated(keep=False).to_numpy()
        assert theirs["highly_variable"][alone].sum() > 0.8 * n_top_genes
        for name in ("highly_variable", "highly_variable_rank"):
            np.testing.assert_array_equal(ours[name][alone], theirs[name][alone], err_msg=name)


def exact_aggregate(adata, by, func):
    """Moments of counts as scanpy 1.11 takes them.

    Those of 1.12 differ in the last digit, as its running mean rounds at each cell. That is much to
    the local regression where genes have the same mean: its result differs by 0.1 %.
    """
    assert func == ["mean", "var"]
    batches = adata.obs[by].astype("category").cat
    x = sp.csr_matrix(adata.X, dtype=np.float64)
    found = [
        scanpy_moments(x[batches.codes.to_numpy() == k]) for k in range(len(batches.categories))
    ]
    return anndata.AnnData(
        obs=pd.DataFrame({by: batches.categories}, index=map(str, batches.categories)),
        var=adata.var,
        layers={name: np.stack([f[k] for f in found]) for k, name in enumerate(func)},
    )


def scanpy_moments(x):
    # a sum divided by n: scipy's mean multiplies by 1 / n, which is another last digit
    mean, squares = (np.asarray(p.sum(axis=0)).ravel() / x.shape[0] for p in (x, x.multiply(x)))
    return mean, (squares - mean**2) * (x.shape[0] / (x.shape[0] - 1))


@pytest.fixture
def exact_moments(monkeypatch):
    name = "scanpy.preprocessing._highly_variable_genes.aggregate"
    monkeypatch.setattr(name, exact_aggregate, raising=False)  # 1.11 has none


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
@pytest.mark.parametrize("where", ["file", "memory", "subset"])
@pytest.mark.parametrize("flavor", FLAVORS)
def test_equals_scanpy(pair, counts, kind, where, flavor):
    ours, theirs = pair(counts, kind, where)
    for data, function in ((ours, lo.pp.highly_variable_genes), (theirs, scanpy_hvg)):
        function(data, flavor=flavor, n_top_genes=40)
    assert_same(ours.var, theirs.var, 40)
    assert list(ours.var) == list(theirs.var)
    assert dict(ours.uns["hvg"]) == theirs.uns["hvg"] == {"flavor": flavor}


@pytest.mark.parametrize("kind", ["csr", "dense"])
@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint16"])
def test_batches_equal_scanpy(pair, counts, exact_moments, kind, flavor, dtype):
    x = counts.astype(dtype)
    batch = pd.Categorical(np.array(["b", "a", "c"])[np.arange(len(x)) % 7 % 3])
    x[np.ix_(batch == "a", np.arange(20, 60))] = 0  # genes that one batch does not express
    ours, theirs = pair(x, kind, batch=batch)
    options = {"flavor": flavor, "n_top_genes": 40, "batch_key": "batch", "span": 0.5}
    lo.pp.highly_variable_genes(ours, **options)
    scanpy_hvg(theirs, **options)
    assert_same(ours.var, theirs.var, 40)
    assert 0 < ours.var["highly_variable_nbatches"].max() <= 3


def test_batches_are_nearly_those_of_scanpys_running_mean(pair, counts):
    batch = pd.Categorical(np.array(["b", "a", "c"])[np.arange(len(counts)) % 7 % 3])
    ours, theirs = pair(counts, batch=batch)
    for data, function in ((ours, lo.pp.highly_variable_genes), (theirs, scanpy_hvg)):
        function(data, flavor="seurat_v3", n_top_genes=40, batch_key="batch", span=0.5)
    np.testing.assert_allclose(ours.var["variances_norm"], theirs.var["variances_norm"], rtol=5e-3)
    assert (ours.var["highly_variable"] == theirs.var["highly_variable"]).mean() > 0.98


@pytest.mark.parametrize("batch_key", [None, "batch"])
@pytest.mark.parametrize("flavor", FLAVORS)
def test_real_data(data_file, exact_moments, flavor, batch_key):
    path = data_file("rebuilt_pbmc3k_raw.h5ad")
    ours, theirs = lo.read_h5ad(path), sc.read_h5ad(path)
    for data in (ours, theirs):
        data.obs["batch"] = pd.Categorical(np.array(["x", "y"])[np.arange(2700) % 3 // 2])
    for data, function in ((ours, lo.pp.highly_variable_genes), (theirs, scanpy_hvg)):
        function(data, flavor=flavor, batch_key=batch_key)
    assert_same(ours.var, theirs.var, 2000)


def test_table_layer_and_subset(pair, counts):
    ours, theirs = pair(counts)
    for data in (ours, theirs):
        data.layers["counts"] = data.X
        data.X = np.zeros(data.shape, dtype="float32")
    options = {"flavor": "seurat_v3", "n_top_genes": 30, "layer": "counts"}
    frame = lo.pp.highly_variable_genes(ours, **options, inplace=False)
    expected = scanpy_hvg(theirs, **options, inplace=False)
    assert list(frame) == list(expected)
    assert_same(frame, expected, 30)
    assert frame["gene_name"].tolist() == expected["gene_name"].tolist()
    assert len(ours.var.columns) == 0
    lo.pp.highly_variable_genes(ours, **options, subset=True)
    assert ours.var_names.tolist() == frame.index[frame["highly_variable"]].tolist()


@pytest.mark.parametrize("batch_key", [None, "batch"])
def test_two_passes(pair, counts, count_passes, batch_key):
    ours, _ = pair(counts, batch=pd.Categorical(np.arange(len(counts)) % 2))
    with count_passes(ours.filename) as passes:
        lo.pp.highly_variable_genes(
            ours, flavor="seurat_v3", n_top_genes=10, batch_key=batch_key, span=0.6
        )
    assert passes.values == pytest.approx(2)


def test_chunking_does_not_matter(pair, counts):
    import dask

    frames = []
    for size in ("1 kiB", "1 GiB"):
        ours, _ = pair(counts, batch=pd.Categorical(np.arange(len(counts)) // 100))
        with dask.config.set({"lazyomics.chunk-bytes": size}):
            lo.pp.highly_variable_genes(
                ours, flavor="seurat_v3", n_top_genes=30, batch_key="batch", span=0.6
            )
        frames.append(ours.var)
    pd.testing.assert_frame_equal(*frames, check_exact=True)


def test_cells_without_a_batch_are_in_none(counts):
    known = np.arange(len(counts)) % 5 != 0
    batch = pd.Series(np.where(np.arange(len(counts)) % 2, "a", "b"), dtype=object).where(known)
    adata = lo.AnnData(sp.csr_matrix(counts))
    adata.obs["batch"] = pd.Categorical(batch)
    options = {"flavor": "seurat_v3", "n_top_genes": 20, "batch_key": "batch", "span": 0.6}
    lo.pp.highly_variable_genes(adata, **options)
    only = lo.AnnData(sp.csr_matrix(counts[known]), obs=adata.obs[known])
    lo.pp.highly_variable_genes(only, **options)
    names = ["highly_variable", "highly_variable_nbatches", "variances_norm"]
    pd.testing.assert_frame_equal(adata.var[names], only.var[names], rtol=1e-9)
    exact = counts.astype(np.float64)
    np.testing.assert_allclose(adata.var["means"], exact.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(adata.var["variances"], exact.var(axis=0, ddof=1), rtol=1e-12)


@pytest.mark.parametrize("bad", [0.5, -1.0])
def test_values_that_are_no_counts(pair, counts, bad):
    x = counts.copy()
    x[5, 6] = bad
    ours, theirs = pair(x)
    options = {"flavor": "seurat_v3", "n_top_genes": 20}
    with pytest.warns(UserWarning, match="raw count data"):
        lo.pp.highly_variable_genes(ours, **options)
    scanpy_hvg(theirs, **options)
    assert_same(ours.var, theirs.var, 20)
    lo.pp.highly_variable_genes(ours, **options, check_values=False)  # silent


def test_errors_say_what_to_do(counts):
    adata = lo.AnnData(counts, obs=pd.DataFrame({"batch": ["a"] * 239 + ["b"]}, index=range(240)))
    with pytest.raises(ValueError, match=r"batch 'b' has 1 cells, expected 2"):
        lo.pp.highly_variable_genes(adata, flavor="seurat_v3", batch_key="batch")
    with pytest.raises(ValueError, match=r"no trend.*all cells.*240 cells.*expected counts"):
        lo.pp.highly_variable_genes(
            lo.AnnData(-counts), flavor="seurat_v3", check_values=False, n_top_genes=5
        )
    with pytest.raises(ValueError, match=r"no trend.*larger span"):
        lo.pp.highly_variable_genes(
            lo.AnnData(counts), flavor="seurat_v3", span=0.001, n_top_genes=5
        )
    for span in (0, 1.5, -1, np.nan):
        with pytest.raises(ValueError, match=r"span is .* up to 1"):
            lo.pp.highly_variable_genes(lo.AnnData(counts), flavor="seurat_v3", span=span)
    alike = np.tile(counts[:, :1], (1, 50))  # all genes have the same mean
    with pytest.raises(ValueError, match=r"no trend.*50 genes that vary.*filter_genes"):
        lo.pp.highly_variable_genes(lo.AnnData(alike), flavor="seurat_v3", n_top_genes=5)


def test_without_scikit_misc(counts, monkeypatch):
    monkeypatch.setitem(sys.modules, "skmisc.loess", None)
    with pytest.raises(MissingDependencyError, match=r"lazyomics\[skmisc\]"):
        lo.pp.highly_variable_genes(lo.AnnData(counts), flavor="seurat_v3")


def test_ranks_of_batches():
    variances = np.array([[1.0, 2.0, 3.0, 4.0], [4.0, 1.0, 2.0, 5.0]])
    frame = rank_genes(variances, 2, batches_first=False)
    assert frame["highly_variable_nbatches"].tolist() == [1, 0, 1, 2]
    np.testing.assert_array_equal(frame["highly_variable_rank"], [1, np.nan, 1, 0])
    assert frame["highly_variable"].tolist() == [True, False, False, True]
    other = rank_genes(variances[:, [1, 2, 0, 3]], 1, batches_first=True)
    assert other["highly_variable"].tolist() == [False, False, False, True]


@pytest.mark.parametrize("make", [np.asarray, lambda x: as_block(sp.csr_matrix(x))])
@pytest.mark.parametrize("bounded", [False, True])
def test_powers_of_batches(counts, make, bounded):
    codes = np.arange(len(counts)) % 3
    bounds = np.random.default_rng(0).uniform(0.5, 5, (3, counts.shape[1]))
    given = {"bounds": bounds} if bounded else {"check": True}
    parts = [slice(0, 2), slice(2, 100), slice(100, None)]  # the first has no cell of batch 2
    a, b, c = (clipped_moments(make(counts[part]), codes[part], **given) for part in parts)
    found = (a + (b + c)).of_all(4)
    for batch in range(3):
        values = counts[codes == batch].astype(float)
        above = values > bounds[batch] if bounded else np.zeros(values.shape, bool)
        values[above] = 0
        expected = values.sum(axis=0), (values**2).sum(axis=0), above.sum(axis=0)
        np.testing.assert_array_equal(found[batch], np.stack(expected, axis=1))
    assert not found[3].any()


@pytest.mark.parametrize("large", [0, 10**6])
def test_variance_of_large_counts(large):
    values = np.array([[7, 0, 3], [7, 1, 3], [7, 0, 4]]) + large
    powers = np.stack((values.sum(axis=0), (values**2).sum(axis=0)), axis=1).astype(float)
    mean, variance = mean_and_variance(powers, 3, are_counts=True)
    np.testing.assert_allclose(mean, values.mean(axis=0), rtol=1e-15)
    np.testing.assert_allclose(variance, [0, 1 / 3, 1 / 3], rtol=1e-14)


def test_constant_values_that_are_no_counts_do_not_vary():
    values = np.full((1000, 1), 0.1)
    powers = np.stack((values.sum(axis=0), (values**2).sum(axis=0)), axis=1)
    assert mean_and_variance(powers, 1000, are_counts=False)[1] == 0
