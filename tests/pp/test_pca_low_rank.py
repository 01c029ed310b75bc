"""PCA of what is dense only because something of low rank was added to it."""

from __future__ import annotations

import dask
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.lazy import low_rank

pytestmark = pytest.mark.filterwarnings("ignore:zero-centering a sparse:UserWarning")

N_OBS, N_VARS, K = 400, 40, 6


@pytest.fixture(scope="module", params=["float32", "int32", "csc of float64"])
def path(request, tmp_path_factory):
    rng = np.random.default_rng(1)
    groups = rng.integers(0, 3, N_OBS)
    rates = rng.gamma(0.3, 1.0, (3, N_VARS))[groups] * rng.uniform(0.5, 4, (N_OBS, 1))
    counts = sp.csr_matrix(rng.poisson(rates))
    counts = counts.astype(request.param.split()[-1])
    counts = counts.tocsc() if "csc" in request.param else counts
    obs = pd.DataFrame(
        {
            "total": np.asarray(counts.sum(axis=1)).ravel().astype(float),
            "age": rng.normal(40, 10, N_OBS),
            "batch": pd.Categorical(rng.choice(["a", "b", "c"], N_OBS)),
            "type": pd.Categorical(np.array(["x", "y", "z"])[groups]),
            "mask": rng.random(N_OBS) < 0.7,
        },
        index=[f"cell{k}" for k in range(N_OBS)],
    )
    obs.loc["cell7", "type"] = None
    path = tmp_path_factory.mktemp("low_rank") / "x.h5ad"
    lo.AnnData(counts, obs=obs).write_h5ad(path)
    return path


def logged(a):
    lo.pp.normalize_total(a, target_sum=100)
    lo.pp.log1p(a)


def scaled(a, **options):
    lo.pp.scale(a, **options)


def regressed(a):
    lo.pp.regress_out(a, ["total", "age"])


def regressed_and_scaled(a, **options):
    regressed(a)
    lo.pp.scale(a, **options)


def adjusted(a, **options):
    lo.pp.combat(a, "batch", **options)


def adjusted_and_scaled(a):
    adjusted(a)
    lo.pp.scale(a)


def twice_regressed(a):
    lo.pp.regress_out(a, "type")
    regressed(a)


STEPS = {
    "scale": scaled,
    "scale, clipped": lambda a: scaled(a, max_value=1.5),
    "scale, some rows": lambda a: scaled(a, mask_obs="mask", max_value=2),
    "regress_out": regressed,
    "regress_out, of groups": lambda a: lo.pp.regress_out(a, "type"),
    "regress_out, twice": twice_regressed,
    "regress_out, scale": regressed_and_scaled,
    "regress_out, scale, clipped": lambda a: regressed_and_scaled(a, max_value=1.2),
    "regress_out, scale, clipped above": lambda a: regressed_and_scaled(
        a, max_value=1.2, zero_center=False
    ),
    "combat": adjusted,
    "combat, covariates": lambda a: adjusted(a, covariates=["age"]),
    "combat, scale": adjusted_and_scaled,
}


@pytest.mark.parametrize(
    ("steps", "zero_center"),
    [
        *((steps, True) for steps in STEPS.values()),
        *((STEPS[name], False) for name in ("scale", "regress_out", "combat, scale")),
    ],
    ids=[*STEPS, *(f"{name}, SVD" for name in ("scale", "regress_out", "combat, scale"))],
)
def test_it_equals_that_of_the_dense_matrix(path, steps, zero_center) -> None:
    a = lo.read_h5ad(path)
    logged(a)
    a.var["highly_variable"] = np.arange(N_VARS) % 4 != 3
    steps(a)
    chosen = a.X[:, np.flatnonzero(a.var["highly_variable"])]
    parts = low_rank.apart(chosen)
    assert parts is not None
    dense = np.asarray(chosen.compute(), dtype=np.float64)
    whole = parts.matrix.compute().toarray().astype(np.float64)
    p = dense.shape[1]
    assert np.allclose(whole[:, :p] + whole[:, p:] @ parts.coefficients, dense, atol=2e-6)

    lo.pp.pca(a, K, zero_center=zero_center)
    middle = dense.mean(axis=0) if zero_center else np.zeros(p)
    _, _, axes = np.linalg.svd(dense - middle, full_matrices=False)
    scores = (dense - middle) @ axes[:K].T
    found = a.obsm["X_pca"]
    signs = np.sign((found * scores).sum(axis=0))
    assert np.allclose(found, scores * signs, atol=2e-4 * np.abs(scores).max())
    variance = scores.var(axis=0, ddof=1 if zero_center else 0)
    assert np.allclose(a.uns["pca"]["variance"], variance, rtol=1e-5)
    ratio = variance / dense.var(axis=0, ddof=1 if zero_center else 0).sum()
    assert np.allclose(a.uns["pca"]["variance_ratio"], ratio, rtol=1e-5)


def test_rows_that_are_not_kept_are_read_again(path) -> None:
    found = []
    for chunks, memory in ((6000, "1 GiB"), (30, "1 KiB")):
        a = lo.read_h5ad(path, chunks=chunks)
        logged(a)
        regressed_and_scaled(a, max_value=2)
        with dask.config.set({"lazyomics.memory": memory}):
            lo.pp.pca(a, K)
        found.append(a.obsm["X_pca"])
    assert np.allclose(*found, atol=1e-4)


def test_what_cancels_out_is_computed_from_the_dense_matrix(tmp_path) -> None:
    rng = np.random.default_rng(0)
    full = sp.csr_matrix((1e4 + rng.normal(size=(200, 4))).astype(np.float32))
    few = sp.random(200, 400, 0.02, random_state=0, dtype=np.float32)
    a = lo.AnnData(sp.hstack([full, few], "csr"))
    a.write_h5ad(tmp_path / "x.h5ad")
    a = lo.read_h5ad(tmp_path / "x.h5ad")
    lo.pp.scale(a)
    assert low_rank.apart(a.X) is not None
    dense = np.asarray(a.X.compute(), dtype=np.float64)
    lo.pp.pca(a, 3)
    variance = np.linalg.svd(dense - dense.mean(axis=0), compute_uv=False)[:3] ** 2 / 199
    assert np.allclose(a.uns["pca"]["variance"], variance, rtol=1e-4)


@pytest.mark.parametrize(
    "last", [lambda x: x + 1, lambda x: x.astype("int64"), lambda x: x.rechunk(50)]
)
def test_other_matrices_are_none(path, last) -> None:
    a = lo.read_h5ad(path)
    assert low_rank.apart(a.X) is None  # sparse anyway
    lo.pp.scale(a)
    assert low_rank.apart(last(a.X)) is None
