"""PCA by iteration: real and simulated data, in memory, partly in memory, and by passes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics import lazy as lazy_module
from lazyomics.pp import krylov
from lazyomics.pp.components import coordinates
from lazyomics.pp.krylov import GramOperator
from lazyomics.pp.pca import GENES_FOR_EXACT


def simulated(n: int = 400, p: int = 1500, groups: int = 6, dtype: Any = np.float32) -> Any:
    """Logged counts: a few groups of cells, and a flat tail of noise; CSR, shape (n, p)."""
    rng = np.random.default_rng(0)
    base = rng.lognormal(-1.5, 1.3, p)
    profiles = base * np.where(rng.random((groups, p)) < 0.1, 6, 1)
    return sp.csr_matrix(np.log1p(rng.poisson(profiles[rng.integers(0, groups, n)])).astype(dtype))


def exact(x: Any, center: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """All eigenvalues and vectors of the Gram matrix, descending."""
    dense = x.toarray().astype(np.float64) if sp.issparse(x) else x.astype(np.float64)
    dense = dense - dense.mean(0) if center else dense
    _, sizes, axes = np.linalg.svd(dense, full_matrices=False)
    return sizes**2, axes.T


def residuals(x: Any, axes: np.ndarray, center: bool = True) -> np.ndarray:
    """``|A v - lambda v| / lambda`` of each axis, for A the Gram matrix."""
    dense = x.toarray().astype(np.float64)
    dense = dense - dense.mean(0) if center else dense
    image = dense.T @ (dense @ axes)
    values = np.einsum("pk,pk->k", axes, image)
    return np.linalg.norm(image - axes * values, axis=0) / values


def angle(found: np.ndarray, expected: np.ndarray) -> float:
    """Sine of the largest angle between two spaces."""
    return float(np.linalg.norm(found - expected @ (expected.T @ found), 2))


@pytest.fixture
def stored(tmp_path: Path) -> Callable[..., Path]:
    def write(x: Any) -> Path:
        path = tmp_path / "x.h5ad"
        lo.AnnData(x).write_h5ad(path)
        return path

    return write


def iterate(data: Any, **options: Any) -> Any:
    return lo.pp.pca(data, svd_solver="randomized", **options)


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("where", ["file", "memory"])
def test_residuals_and_variance_in_memory(stored, kind, center, where):
    x = simulated()
    made = {"csr": x, "csc": x.tocsc(), "dense": x.toarray()}[kind]
    adata = lo.AnnData(made) if where == "memory" else lo.read_h5ad(stored(made))
    iterate(adata, n_comps=20, zero_center=center)
    axes = adata.varm["PCs"].astype(np.float64)
    values, vectors = exact(x, center)
    assert residuals(x, axes, center).max() < 2e-5
    assert angle(axes[:, :5], vectors[:, :5]) < 1e-5
    mean = np.asarray(x.mean(0)).ravel() if center else np.zeros(x.shape[1])
    np.testing.assert_allclose(adata.obsm["X_pca"], (x.toarray() - mean) @ axes, atol=1e-4)
    if center:
        np.testing.assert_allclose(
            adata.uns["pca"]["variance"], values[:20] / (x.shape[0] - 1), rtol=1e-6
        )


@pytest.mark.parametrize("center", [True, False])
def test_a_few_passes_capture_the_variance(stored, count_passes, center):
    """By passes the flat tail stays approximate, and a warning says so; the rest is exact."""
    x = simulated()
    path = stored(x)
    values, vectors = exact(x, center)
    adata = lo.read_h5ad(path)
    with (
        dask.config.set({"lazyomics.memory": "1 B"}),
        count_passes(path) as passes,
        pytest.warns(UserWarning, match="from . on"),
    ):
        iterate(adata, n_comps=20, zero_center=center, max_passes=6)
    assert passes.values == pytest.approx(6, abs=0.01)
    axes = adata.varm["PCs"].astype(np.float64)
    captured = np.square((x - x.mean(0) * center) @ axes).sum() / values[:20].sum()
    assert 0.995 < captured < 1 + 1e-6
    assert angle(axes[:, :5], vectors[:, :5]) < 1e-3
    np.testing.assert_allclose(axes.T @ axes, np.eye(20), atol=1e-5)


def test_more_passes_reach_the_tolerance(stored, count_passes):
    x = simulated()
    adata = lo.read_h5ad(stored(x))
    with dask.config.set({"lazyomics.memory": "1 B"}), count_passes(adata.filename) as passes:
        iterate(adata, n_comps=10, max_passes=60, tol=1e-4)
    assert 3 < passes.values < 60
    assert residuals(x, adata.varm["PCs"].astype(np.float64)).max() < 2e-4


def test_rows_that_fit_are_read_once(stored, count_passes):
    """With memory for about half of the rows, only the others are read again."""
    x = simulated(1200, 2000)
    adata = lo.read_h5ad(stored(x), chunks=50)
    operator = GramOperator(lazy_module.as_lazy(adata.X), 5, zero_center=True, max_passes=8)
    needed = operator.allowances.sum()
    other = lo.config.memory() - operator._left()
    budget = int(other + needed)
    while True:  # what is left beside basis and states depends on the budget itself
        with dask.config.set({"lazyomics.memory": budget}):
            operator = GramOperator(lazy_module.as_lazy(adata.X), 5, zero_center=True, max_passes=8)
        kept = operator.allowances > 0
        if kept.mean() < 0.6:
            break
        budget = int(0.95 * budget)
    assert kept.mean() > 0.2
    stored_values = np.diff(x.indptr)
    others = stored_values[~kept].sum() / stored_values.sum()
    with (
        dask.config.set({"lazyomics.memory": budget}),
        count_passes(adata.filename) as passes,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", UserWarning)
        iterate(adata, n_comps=5, max_passes=8, tol=1e-9)
    again = (passes.values - 1) / others  # at most 7; of all rows they would count twice
    assert 5 < again < 8
    _, vectors = exact(x)
    assert angle(adata.varm["PCs"].astype(np.float64), vectors[:, :5]) < 1e-4
    mean = np.asarray(x.mean(0)).ravel()
    expected = (x.toarray() - mean) @ adata.varm["PCs"]
    np.testing.assert_allclose(adata.obsm["X_pca"], expected, atol=1e-3)


def test_many_genes_equal_scikit_learn(data_file):
    """All genes of real data, more than the exact way takes, without a p × p matrix."""
    decomposition = pytest.importorskip("sklearn.decomposition", reason="compares with it")
    adata = lo.read_h5ad(data_file("rebuilt_pbmc3k_raw.h5ad"))
    assert adata.n_vars > GENES_FOR_EXACT
    lo.pp.normalize_total(adata, target_sum=1e4)
    lo.pp.log1p(adata)
    lo.pp.pca(adata, n_comps=10)
    x = lazy_module.materialize(adata.X).astype(np.float64)
    model = decomposition.PCA(10, svd_solver="arpack", random_state=0).fit(x)
    ours = adata.uns["pca"]
    np.testing.assert_allclose(ours["variance"], model.explained_variance_, rtol=1e-6)
    np.testing.assert_allclose(ours["variance_ratio"], model.explained_variance_ratio_, rtol=1e-6)
    np.testing.assert_allclose(adata.obsm["X_pca"], model.transform(x), atol=1e-3)
    with dask.config.set({"lazyomics.memory": "20 MiB"}), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        lo.pp.pca(adata, n_comps=10, key_added="passes")
    np.testing.assert_allclose(adata.uns["passes"]["variance"], ours["variance"], rtol=1e-4)


def test_truncated_svd_equals_scipy():
    from scipy.sparse.linalg import svds

    x = simulated(dtype=np.float64)
    found = iterate(x, n_comps=6, zero_center=False, return_info=True, tol=1e-9, dtype="float64")
    _, sizes, axes = svds(x, k=6)
    order = np.argsort(-sizes)
    np.testing.assert_allclose(np.abs(found[1] @ axes[order].T), np.eye(6), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found[0], axis=0), sizes[order], rtol=1e-9)


@pytest.mark.parametrize("tol", [1e-3, 1e-5, 1e-8, 1e-11])
def test_the_tolerance_holds(tol):
    x = simulated(dtype=np.float64)
    axes = iterate(x, n_comps=12, return_info=True, tol=tol)[1].T
    assert residuals(x, axes).max() < 1.1 * tol


def test_components_of_very_different_size():
    """Where single precision hides the small ones, double precision takes over."""
    rng = np.random.default_rng(0)
    q, r = (np.linalg.qr(rng.normal(size=(m, 12)))[0] for m in (300, 400))
    sizes = 10.0 ** -np.arange(12)
    x = (q * sizes) @ r.T
    values, _ = exact(x)
    found = iterate(x, n_comps=6, return_info=True)[3]
    # What is rounded off the largest one is what the smallest can be known to.
    rounding = 8 * np.finfo(np.float64).eps * values[0] / 299
    np.testing.assert_allclose(found, values[:6] / 299, rtol=1e-5, atol=rounding)


@pytest.mark.parametrize("scale", [1e-18, 1e18])
def test_values_that_single_precision_cannot_square(scale):
    x = simulated(dtype=np.float64)
    found = iterate(x * scale, n_comps=5, return_info=True)[3]
    np.testing.assert_allclose(found / scale**2, exact(x)[0][:5] / 399, rtol=1e-6)


def test_same_seed_same_result(stored):
    adata = lo.read_h5ad(stored(simulated()))
    for threads in (1, 3, 3):
        with dask.config.set(num_workers=threads):
            iterate(
                adata, n_comps=6, random_state=3, key_added=f"{threads}{'b' * ('3' in adata.obsm)}"
            )
    np.testing.assert_array_equal(adata.obsm["3"], adata.obsm["3b"])
    np.testing.assert_allclose(adata.obsm["1"], adata.obsm["3"], atol=1e-4)
    iterate(adata, n_comps=6, random_state=4, key_added="other")
    assert (np.abs(adata.varm["other"] - adata.varm["1"]).max(axis=0) < 1e-2).all()  # signs too
    largest = np.abs(adata.varm["1"]).argmax(axis=0)
    assert (adata.varm["1"][largest, np.arange(6)] > 0).all()


@pytest.mark.parametrize(("n", "p", "k"), [(40, 300, 39), (300, 40, 39), (3, 200, 2), (60, 60, 55)])
def test_nearly_all_components(n, p, k):
    x = np.random.default_rng(0).normal(size=(n, p))
    lazy = lazy_module.as_lazy(x)
    found = krylov.krylov_components(lazy, k, zero_center=True, seed=0)
    np.testing.assert_allclose(found.variance, exact(x)[0][:k] / (n - 1), rtol=1e-5)
    assert coordinates(lazy, found, "float32").shape == (n, k)


def test_degenerate_matrices():
    for x in (np.zeros((50, 200)), np.ones((50, 200)), sp.csr_matrix((50, 200))):
        scores, axes, _, variance = iterate(x, n_comps=5, return_info=True)
        np.testing.assert_allclose(variance, 0, atol=1e-9)
        np.testing.assert_allclose(scores, 0, atol=1e-5)
        np.testing.assert_allclose(axes @ axes.T, np.eye(5), atol=1e-9)
    empty = np.random.default_rng(0).poisson(2, (50, 200))
    empty[:, ::2] = 0
    axes = iterate(empty, n_comps=5, return_info=True)[1]
    assert np.abs(axes[:, ::2]).max() < 1e-6
    np.testing.assert_allclose(
        iterate(empty, n_comps=5, return_info=True)[3], exact(empty)[0][:5] / 49, rtol=1e-6
    )


def test_dask_arrays_and_columns_fit_their_share(stored):
    """Where the size of rows is not known, blocks that fit their share are kept."""
    import dask.array as da

    x = simulated()
    expected = exact(x)[0][:5] / 399
    plain = da.from_array(x.toarray(), chunks=(100, -1))
    np.testing.assert_allclose(iterate(plain, n_comps=5, return_info=True)[3], expected, rtol=1e-6)
    half = np.arange(x.shape[1]) % 2 == 0
    adata = lo.read_h5ad(stored(x))
    for memory in ("1 GiB", "2 MiB"):
        with dask.config.set({"lazyomics.memory": memory}), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            iterate(adata, n_comps=5, mask_var=half)
        variance = exact(x[:, half])[0][:5] / 399
        np.testing.assert_allclose(adata.uns["pca"]["variance"], variance, rtol=1e-4)


def test_warning_says_by_how_much(stored):
    adata = lo.read_h5ad(stored(simulated()))
    message = r"after 2 passes.*up to .*tol=0.001.*max_passes"
    with dask.config.set({"lazyomics.memory": "1 B"}), pytest.warns(UserWarning, match=message):
        iterate(adata, n_comps=5, max_passes=3)


def test_unusable_limits():
    x = np.random.default_rng(0).normal(size=(30, 40))
    with pytest.raises(ValueError, match="max_passes must be at least 3"):
        iterate(x, n_comps=3, max_passes=2)
    for tol in (0.0, -1.0, 2.0):
        with pytest.raises(ValueError, match="tol must be between"):
            iterate(x, n_comps=3, tol=tol)
