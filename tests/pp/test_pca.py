from __future__ import annotations

import warnings

import dask
import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo

sc = pytest.importorskip("scanpy", reason="compares with scanpy")


@pytest.fixture(scope="session")
def logged(counts) -> np.ndarray:
    return np.log1p(counts)


def scanpy_pca(theirs, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sc.pp.pca(theirs, **options)


def assert_same(ours, theirs, key="X_pca", loadings="PCs", info="pca", rtol=2e-4):
    found, expected = ours.obsm[key], theirs.obsm[key]
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    size = np.abs(expected).max(axis=0)
    assert (np.abs(found - expected).max(axis=0) <= rtol * size).all()
    np.testing.assert_allclose(ours.varm[loadings], theirs.varm[loadings], atol=rtol)
    for name in ("variance", "variance_ratio"):
        np.testing.assert_allclose(ours.uns[info][name], theirs.uns[info][name], rtol=1e-4)


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
@pytest.mark.parametrize("where", ["file", "memory", "subset"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equals_scanpy(pair, logged, kind, where, dtype):
    ours, theirs = pair(logged.astype(dtype), kind, where)
    lo.pp.pca(ours, n_comps=8)
    scanpy_pca(theirs, n_comps=8)
    assert_same(ours, theirs)
    assert dict(ours.uns["pca"]["params"]) == theirs.uns["pca"]["params"]
    assert ours.varm["PCs"].dtype == theirs.varm["PCs"].dtype


def test_integers(pair, counts):
    ours, theirs = pair(counts.astype("int64"))
    lo.pp.pca(ours, n_comps=5)
    scanpy_pca(theirs, n_comps=5)
    assert_same(ours, theirs)


@pytest.mark.parametrize("kind", ["csr", "dense"])
def test_truncated_svd_equals_scanpy(pair, logged, kind):
    ours, theirs = pair(logged.astype("float64"), kind)
    lo.pp.pca(ours, n_comps=6, zero_center=False)
    scanpy_pca(theirs, n_comps=6, zero_center=False, svd_solver="arpack")
    assert_same(ours, theirs)


def test_real_data(data_file):
    ours = lo.read_h5ad(data_file("rebuilt_pbmc3k_raw.h5ad"))
    theirs = sc.read_h5ad(data_file("rebuilt_pbmc3k_raw.h5ad"))
    for data, module in ((ours, lo), (theirs, sc)):
        module.pp.filter_genes(data, min_cells=3)
        module.pp.normalize_total(data, target_sum=1e4)
        module.pp.log1p(data)
        module.pp.highly_variable_genes(data, n_top_genes=2000)
        module.pp.pca(data)
    assert_same(ours, theirs, rtol=2e-3)  # scanpy's own float32 rounding in the last components
    for k in range(50):
        pair_ = np.corrcoef(ours.obsm["X_pca"][:, k], theirs.obsm["X_pca"][:, k])
        assert pair_[0, 1] > 1 - 1e-6


def test_scaled_dense_data(data_file):
    ours = lo.read_h5ad(data_file("rebuilt_pbmc3k_processed.h5ad"))
    theirs = sc.read_h5ad(data_file("rebuilt_pbmc3k_processed.h5ad"))
    lo.pp.pca(ours, n_comps=30)
    scanpy_pca(theirs, n_comps=30)
    assert_same(ours, theirs, rtol=1e-3)  # scanpy works in float32 here
    wide = theirs.copy()
    wide.X = np.asarray(theirs.X, dtype=np.float64)
    scanpy_pca(wide, n_comps=30, svd_solver="full")
    size = np.abs(wide.obsm["X_pca"]).max(axis=0)
    assert (np.abs(ours.obsm["X_pca"] - wide.obsm["X_pca"]).max(axis=0) <= 1e-5 * size).all()


def test_masks_names_and_layers(pair, logged):
    mask = np.arange(300) % 2 == 0
    ours, theirs = pair(logged, highly_variable=mask, other=~mask)
    for data, pca in ((ours, lo.pp.pca), (theirs, scanpy_pca)):
        data.layers["logged"] = data.X.copy()
        pca(data, n_comps=4)
        pca(data, n_comps=4, mask_var="other", key_added="by_name", layer="logged")
        pca(data, n_comps=4, mask_var=~mask, key_added="by_array")
        pca(data, n_comps=4, mask_var=None, key_added="all")
    assert_same(ours, theirs)
    assert not ours.varm["PCs"][~mask].any()
    for key in ("by_name", "by_array", "all"):
        assert_same(ours, theirs, key, key, key)
    assert dict(ours.uns["pca"]["params"]) == theirs.uns["pca"]["params"]
    assert dict(ours.uns["by_name"]["params"]) == theirs.uns["by_name"]["params"]


def test_deprecated_use_highly_variable(pair, logged):
    ours, theirs = pair(logged, highly_variable=np.arange(300) % 2 == 0)
    for flag in (True, False):
        with pytest.warns(FutureWarning, match="use_highly_variable"):
            lo.pp.pca(ours, n_comps=3, use_highly_variable=flag)
        scanpy_pca(theirs, n_comps=3, use_highly_variable=flag)
        assert_same(ours, theirs)


def test_matrices(logged):
    expected = sc.pp.pca(logged.astype(float), n_comps=5, return_info=True)
    for x in (logged.astype(float), sp.csr_matrix(logged.astype(float))):
        found = lo.pp.pca(x, n_comps=5, return_info=True)
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(lo.pp.pca(x, n_comps=5), found[0])


def test_obsm_and_copy(logged):
    ours = lo.AnnData(logged, obsm={"few": logged[:, 40:60]})
    copied = lo.pp.pca(ours, n_comps=3, obsm="few", copy=True)
    assert "X_pca" not in ours.obsm
    assert copied.uns["pca"]["components"].shape == (20, 3)
    np.testing.assert_allclose(
        copied.obsm["X_pca"], lo.pp.pca(logged[:, 40:60], n_comps=3), rtol=1e-5
    )


def test_default_number_of_components(pair, logged):
    for n, expected in ((240, 50), (20, 19)):
        ours, _ = pair(logged[:n])
        lo.pp.pca(ours)
        assert ours.obsm["X_pca"].shape == (n, expected)


@pytest.mark.parametrize("solver", [None, "randomized", "covariance_eigh"])
def test_passes(pair, logged, count_passes, solver):
    ours, _ = pair(logged)
    for memory, most in (("1 GiB", 1), ("1 B", 2 if solver != "randomized" else 10)):
        with (
            dask.config.set({"lazyomics.memory": memory}),
            count_passes(ours.filename) as passes,
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", UserWarning)
            lo.pp.pca(ours, n_comps=5, svd_solver=solver)
        assert passes.values <= most + 1e-6
        assert passes.values >= min(most, 2) - 1e-6


@pytest.mark.parametrize("memory", ["1 GiB", "1 B"])
@pytest.mark.parametrize("chunk", ["2 kiB", "1 GiB"])
def test_memory_and_chunks_do_not_matter(pair, logged, memory, chunk):
    ours, theirs = pair(logged)
    with dask.config.set({"lazyomics.memory": memory, "lazyomics.chunk-bytes": chunk}):
        lo.pp.pca(ours, n_comps=8)
    scanpy_pca(theirs, n_comps=8)
    assert_same(ours, theirs)


def test_more_components_than_rank():
    x = np.outer(np.arange(30.0), np.ones(20)) + np.random.default_rng(0).normal(size=(1, 20))
    for solver in ("covariance_eigh", "randomized"):
        found = lo.pp.pca(x, n_comps=5, svd_solver=solver, return_info=True)
        assert np.isfinite(found[0]).all()
        np.testing.assert_allclose(found[3][1:], 0, atol=1e-9)


def test_errors_say_what_to_do(pair, logged):
    ours, _ = pair(logged[:20], none=np.zeros(300, dtype=bool))
    for n_comps in (0, 20, 400):
        with pytest.raises(ValueError, match=f"n_comps={n_comps}"):
            lo.pp.pca(ours, n_comps=n_comps)
    with pytest.raises(ValueError, match="no gene"):
        lo.pp.pca(ours, mask_var="none")
    with pytest.raises(ValueError, match="Did not find"):
        lo.pp.pca(ours, mask_var="nothing")
    with pytest.warns(UserWarning, match="Ignoring svd_solver"):
        lo.pp.pca(ours, n_comps=3, svd_solver="unknown")
    x = logged[:20].copy()
    x[3, 3] = np.nan
    for solver in (None, "randomized"):
        with pytest.raises(ValueError, match="NaN"), np.errstate(invalid="ignore"):
            lo.pp.pca(x, n_comps=3, svd_solver=solver)
