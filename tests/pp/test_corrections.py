"""regress_out and combat: scanpy's values, from one pass."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo
from lazyomics.kernels.regression import AdjustBatches, SubtractFit, SubtractGroups
from lazyomics.lazy import LazyMatrix

ad = pytest.importorskip("anndata", reason="compares with anndata")
sc = pytest.importorskip("scanpy", reason="compares with scanpy")

N, P = 90, 40
RNG = np.random.default_rng(0)
X = RNG.poisson(np.exp(RNG.normal(-0.3, 1, P)), (N, P)).astype("f4")
OBS = {
    "batch": pd.Categorical(RNG.choice(list("abc"), N), categories=list("cabd")),
    "total": RNG.normal(1e4, 1e3, N),
    "share": RNG.normal(size=N),
    "same": np.ones(N),
    "double": np.zeros(N),
    "sex": RNG.choice(["f", "m"], N),
    "whole": RNG.integers(0, 5, N),
    "gap": pd.Categorical(np.where(np.arange(N) < 9, None, RNG.choice(list("xy"), N))),
}
OBS["double"] = 2 * OBS["share"]
OBS["number of sex"] = (OBS["sex"] == "m") * 1.0
REGRESSIONS = {
    "category": "batch",
    "text": ["sex"],
    "numbers": ["total", "share", "whole"],
    "one number": "share",
    "missing categories": "gap",
    "constant": ["share", "same"],
    "dependent": ["share", "double"],
}
BATCHES = {
    "batches": {"key": "batch"},
    "numbers": {"key": "batch", "covariates": ["total", "whole"]},
}


def run(call, theirs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        call(sc, theirs)


def constant_genes(x):
    x = x.copy()
    x[:, 3], x[:, 4] = 0, 2
    return x


@pytest.mark.parametrize("keys", REGRESSIONS)
def test_residuals_are_scanpys(pair, values, keys):
    given = REGRESSIONS[keys]
    for kind, where, dtype in (
        ("csr", "file", "f4"),
        ("csc", "memory", "f8"),
        ("dense", "subset", "i4"),
        ("dense", "file", "i8"),
    ):
        ours, theirs = pair(constant_genes(X).astype(dtype), kind, where, **OBS)
        if keys == "missing categories" and dtype == "i8":
            continue
        lo.pp.regress_out(ours, given)
        run(lambda m, a: m.pp.regress_out(a, given), theirs)
        assert values(ours.X).dtype == theirs.X.dtype
        np.testing.assert_allclose(values(ours.X), theirs.X, rtol=1e-5, atol=2e-6)
        part = values(ours[[5, 80, 2], 2:9].X)
        np.testing.assert_allclose(part, theirs.X[[5, 80, 2], 2:9], rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("how", BATCHES)
def test_corrected_batches_are_scanpys(pair, values, how):
    for kind, where, dtype in (
        ("csr", "file", "f4"),
        ("csc", "memory", "f8"),
        ("dense", "subset", "f4"),
        ("dense", "file", "i4"),
    ):
        ours, theirs = pair(X.astype(dtype), kind, where, **OBS)
        lo.pp.combat(ours, **BATCHES[how])
        run(lambda m, a: m.pp.combat(a, **BATCHES[how]), theirs)
        assert values(ours.X).dtype == theirs.X.dtype
        np.testing.assert_allclose(values(ours.X), theirs.X, rtol=1e-6, atol=1e-8)
        part = values(ours[[5, 80, 2], 2:9].X)
        np.testing.assert_allclose(part, theirs.X[[5, 80, 2], 2:9], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
@pytest.mark.parametrize("verb", ["regress_out", "combat"])
def test_of_recorded_steps_in_one_pass(pair, values, count_passes, kind, verb):
    ours, theirs = pair(X, kind, **OBS)
    call = {
        "regress_out": lambda m, a: m.pp.regress_out(a, ["total", "share"]),
        "combat": lambda m, a: m.pp.combat(a, "batch"),
    }[verb]
    for module, adata in ((lo, ours), (sc, theirs)):
        module.pp.normalize_total(adata, target_sum=100)
        module.pp.log1p(adata)
    with count_passes(ours.filename) as passes:
        call(lo, ours)
    assert passes.values == pytest.approx(1)
    assert isinstance(ours.X, LazyMatrix)
    run(call, theirs)
    np.testing.assert_allclose(values(ours.X), theirs.X, rtol=1e-4, atol=1e-5)


def test_a_gene_that_is_zero_everywhere(pair, values):
    x = X.copy()
    x[:, 5] = 0
    ours, theirs = pair(x, **OBS)
    lo.pp.combat(ours, "batch")
    run(lambda m, a: m.pp.combat(a, "batch"), theirs)
    np.testing.assert_allclose(values(ours.X), theirs.X, rtol=1e-6, atol=1e-8)
    assert (values(ours.X)[:, 5] == 0).all()


def test_covariates_in_categories(pair, values):
    """As numbers that say the same; scanpy's own design is singular then, and it fails."""
    ours, theirs = pair(X, **OBS)
    lo.pp.combat(ours, "batch", covariates=["sex"])
    run(lambda m, a: m.pp.combat(a, "batch", covariates=["number of sex"]), theirs)
    np.testing.assert_allclose(values(ours.X), theirs.X, rtol=1e-6, atol=1e-8)


def test_layers_and_copies(pair, values):
    ours, theirs = pair(X, "csr", "memory", **OBS)
    for adata in (ours, theirs):
        adata.layers["half"] = X / 2
    copied = lo.pp.regress_out(ours, "share", layer="half", copy=True, n_jobs=2)
    run(lambda m, a: m.pp.regress_out(a, "share", layer="half"), theirs)
    np.testing.assert_allclose(copied.layers["half"], theirs.layers["half"], atol=1e-6)
    np.testing.assert_array_equal(ours.layers["half"], X / 2)
    assert isinstance(copied.layers["half"], np.ndarray)
    returned = lo.pp.combat(ours, "batch", inplace=False)
    lo.pp.combat(ours, "batch")
    np.testing.assert_array_equal(values(returned), values(ours.X))


STEPS = [
    SubtractFit(RNG.normal(size=(N, 2)), RNG.normal(size=(P, 2)), "<f4"),
    SubtractGroups(np.arange(N) % 3, RNG.normal(size=(P, 3))),
    AdjustBatches(
        np.arange(N) % 3,
        RNG.normal(size=(P, 3)),
        RNG.normal(size=(P, 3)),
        RNG.normal(size=P),
        RNG.normal(size=(N, 2)),
        RNG.normal(size=(P, 2)),
    ),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_steps_are_values_that_are_cut(step):
    again = pickle.loads(pickle.dumps(step))
    whole = step(X)
    np.testing.assert_array_equal(again(X), whole)
    part = step.take_rows(slice(7, 50)).take_cols(np.array([3, 1]))
    np.testing.assert_array_equal(part(X[7:50][:, [3, 1]]), whole[7:50][:, [3, 1]])


def test_wrong_arguments(pair):
    ours, _ = pair(X, **OBS)
    ours.obs["holes"] = np.where(np.arange(N) < 3, np.nan, 1.0)
    ours.obs["twin"] = ours.obs["batch"].astype(str) + "!"
    ours.obs["times two"] = ours.obs["share"] * 2
    ours.obs["alone"] = ["one"] + ["other"] * (N - 1)
    for error, match, keys in (
        (KeyError, "nothing", "nothing"),
        (ValueError, "empty", []),
        (ValueError, "only a single one", ["batch", "share"]),
        (ValueError, "must be the only key", ["share", "batch"]),
        (ValueError, "missing or infinite for 3", "holes"),
    ):
        with pytest.raises(error, match=match):
            lo.pp.regress_out(ours, keys)
    for match, given in (
        ("Could not find the key", {"key": "nothing"}),
        ("Could not find the covariate", {"key": "batch", "covariates": ["nothing"]}),
        ("cannot overlap", {"key": "batch", "covariates": ["batch"]}),
        ("must be unique", {"key": "batch", "covariates": ["sex", "sex"]}),
        ("missing values", {"key": "gap"}),
        ("fewer than 2 cells", {"key": "alone"}),
        ("cannot be told apart", {"key": "batch", "covariates": ["twin"]}),
        ("cannot be told apart", {"key": "batch", "covariates": ["share", "times two"]}),
    ):
        with pytest.raises(ValueError, match=match):
            lo.pp.combat(ours, **given)
