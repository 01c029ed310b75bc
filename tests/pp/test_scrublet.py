"""Doublets: scanpy's from the same seed, and its scores."""

from __future__ import annotations

import os
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.lazy import LazyMatrix
from lazyomics.pp.score_threshold import threshold_between_modes

ad = pytest.importorskip("anndata", reason="compares with anndata")
sc = pytest.importorskip("scanpy", reason="compares with scanpy")

N, P = 260, 220
RNG = np.random.default_rng(0)
KIND = RNG.integers(0, 3, N)
MEAN = np.exp(RNG.normal(-0.7, 1.3, (3, P)))[KIND] * np.exp(RNG.normal(0, 0.3, (N, 1)))
X = RNG.poisson(RNG.gamma(3, MEAN / 3)).astype("f4")
X[:20] += X[100:120]
BATCH = np.where(np.arange(N) % 5 < 2, "x", "y")
FEW = {"n_prin_comps": 8, "threshold": 0.25}
HOW = {
    "defaults": {},
    "logarithms": {"log_transform": True},
    "svd": {"mean_center": False},
    "not scaled": {"normalize_variance": False},
    "neither": {"normalize_variance": False, "mean_center": False},
    "fewer": {"sim_doublet_ratio": 0.7, "n_neighbors": 9, "expected_doublet_rate": 0.1},
    "sampled": {"synthetic_doublet_umi_subsampling": 0.6},
    "parents": {"get_doublet_neighbor_parents": True, "random_state": 3},
    "distance": {"knn_dist_metric": "manhattan", "use_approx_neighbors": False},
}
PLACES = (("csr", "file", "f4"), ("csc", "memory", "f8"), ("dense", "subset", "i4"))


def run(call, theirs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(sc, theirs)


def doublets_among_neighbors(scores, entry) -> np.ndarray:
    """How many there are, from the scores."""
    params = entry["parameters"]
    rate, r = params["expected_doublet_rate"], params["sim_doublet_ratio"]
    r = int(N * r) / N if len(entry["doublet_parents"]) == int(N * r) else r
    width = round(params["n_neighbors"] * (1 + r))
    share = scores * (1 - rate) / (rate / r + scores * (1 - rate - rate / r))
    return share * (width + 2) - 1


def assert_same(ours, theirs) -> None:
    """Same entries; scores are equal but for one neighbour where two are equally near."""
    assert list(ours) == list(theirs)
    np.testing.assert_array_equal(ours["doublet_parents"], theirs["doublet_parents"])
    assert ours["doublet_parents"].dtype == theirs["doublet_parents"].dtype
    assert ours["parameters"] == theirs["parameters"]
    assert ours["threshold"] == theirs["threshold"]
    found, expected = (doublets_among_neighbors(e["doublet_scores_sim"], e) for e in (ours, theirs))
    assert found.dtype == expected.dtype
    # Whether a doublet is its own neighbour depends on others in the same place: see the notes.
    assert np.abs(found - expected).max() < 1.01
    parents = [e.get("doublet_neighbor_parents", []) for e in (ours, theirs)]
    differ = [not np.array_equal(*pair) for pair in zip(*parents, strict=True)]
    assert sum(differ) <= len(differ) / 50


def assert_same_scores(ours, theirs) -> None:
    for name in ("doublet_score", "predicted_doublet"):
        assert ours[name].dtype == theirs[name].dtype
    close = np.isclose(ours["doublet_score"], theirs["doublet_score"], rtol=1e-9, atol=0)
    assert close.mean() > 0.99
    np.testing.assert_allclose(ours["doublet_score"], theirs["doublet_score"], atol=0.03)
    same = ours["predicted_doublet"].to_numpy() == theirs["predicted_doublet"].to_numpy()
    assert same[close].all()


@pytest.mark.parametrize("how", HOW)
def test_scores_are_scanpys(pair, values, how):
    given = FEW | HOW[how]
    for kind, where, dtype in PLACES if how in ("defaults", "sampled") else PLACES[:1]:
        ours, theirs = pair(X.astype(dtype), kind, where)
        lo.pp.scrublet(ours, **given)
        run(lambda m, a: m.pp.scrublet(a, **given), theirs)
        assert_same_scores(ours.obs, theirs.obs)
        assert_same(ours.uns["scrublet"], theirs.uns["scrublet"])
        assert list(ours.obs) == list(theirs.obs)
        np.testing.assert_array_equal(values(ours.X), X)


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
@pytest.mark.parametrize("batch_key", [None, "batch"])
def test_of_recorded_steps_in_three_passes(pair, count_passes, kind, batch_key):
    ours, theirs = pair(X, kind, batch=BATCH)
    for module, adata in ((lo, ours), (sc, theirs)):
        module.pp.downsample_counts(adata, 150)
        module.pp.filter_genes(adata, min_cells=5)
    with count_passes(ours.filename) as passes:
        lo.pp.scrublet(ours, batch_key=batch_key, **FEW)
    assert passes.values == pytest.approx(3, abs=0.2)
    assert isinstance(ours.X, LazyMatrix)
    run(lambda m, a: m.pp.scrublet(a, batch_key=batch_key, **FEW), theirs)
    assert_same_scores(ours.obs, theirs.obs)


def test_batches(pair):
    for where in ("file", "memory"):
        ours, theirs = pair(X, "csr", where, batch=BATCH)
        lo.pp.scrublet(ours, batch_key="batch", **FEW)
        run(lambda m, a: m.pp.scrublet(a, batch_key="batch", **FEW), theirs)
        assert_same_scores(ours.obs, theirs.obs)
        mine, other = ours.uns["scrublet"], theirs.uns["scrublet"]
        assert list(mine) == list(other)
        assert mine["batched_by"] == other["batched_by"]
        assert list(mine["batches"]) == list(other["batches"]) == ["x", "y"]
        for name in "xy":
            assert_same(mine["batches"][name], other["batches"][name])
    alone = ours[BATCH == "y"].copy()
    lo.pp.scrublet(alone, **FEW)
    np.testing.assert_array_equal(
        alone.obs["doublet_score"], ours.obs["doublet_score"][BATCH == "y"]
    )


def test_cells_that_are_left_out(pair, tmp_path):
    x = X.copy()
    x[[3, 200]] = 0
    ours, theirs = pair(x, batch=BATCH)
    lo.pp.scrublet(ours, **FEW)
    run(lambda m, a: m.pp.scrublet(a, **FEW), theirs)
    scores = ours.obs["doublet_score"], theirs.obs["doublet_score"]
    np.testing.assert_allclose(*scores, atol=0.03)  # of a neighbour more or less
    assert np.isclose(*scores, rtol=1e-9, equal_nan=True).mean() > 0.98
    assert np.flatnonzero(ours.obs["doublet_score"].isna()).tolist() == [3, 200]
    assert ours.obs["predicted_doublet"].dtype == pd.BooleanDtype()
    np.testing.assert_array_equal(
        ours.obs["predicted_doublet"].isna(), theirs.obs["predicted_doublet"].isna()
    )
    known = ~ours.obs["predicted_doublet"].isna()
    predicted = (a.obs["predicted_doublet"][known].to_numpy(bool) for a in (ours, theirs))
    assert np.count_nonzero(np.not_equal(*predicted)) <= 2
    ours.obs["other"] = np.arange(N)
    lo.pp.scrublet(ours, batch_key="batch", **FEW)
    assert ours.obs["other"].tolist() == list(range(N))
    ours.write_h5ad(tmp_path / "scored.h5ad")
    again = lo.read_h5ad(tmp_path / "scored.h5ad")
    pd.testing.assert_frame_equal(again.obs, ours.obs)
    assert "threshold" in again.uns["scrublet"]["batches"]["x"]


def normalized(module, adata):
    module.pp.normalize_total(adata, target_sum=1e6)
    module.pp.log1p(adata)
    return adata


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
def test_with_doublets_of_its_own(pair, count_passes, tmp_path, kind):
    ours, theirs = pair(X, kind)
    both = []
    for module, adata in ((lo, ours), (sc, theirs)):
        doublets = module.pp.scrublet_simulate_doublets(adata, random_seed=4)
        both.append(normalized(module, doublets))
        normalized(module, adata)
    both[0].write_h5ad(tmp_path / "doublets.h5ad")
    doublets = lo.read_h5ad(tmp_path / "doublets.h5ad")
    with (
        count_passes(ours.filename) as passes,
        count_passes(tmp_path / "doublets.h5ad") as of_doublets,
    ):
        lo.pp.scrublet(ours, doublets, **FEW)
    assert passes.values == pytest.approx(2, abs=0.2)
    assert of_doublets.values == pytest.approx(1, abs=0.2)
    run(lambda m, a: m.pp.scrublet(a, both[1], **FEW), theirs)
    assert_same_scores(ours.obs, theirs.obs)
    assert_same(ours.uns["scrublet"], theirs.uns["scrublet"])


@pytest.mark.parametrize("share", [1.0, 0.4])
@pytest.mark.parametrize("place", PLACES, ids=lambda place: "-".join(place))
def test_simulated_doublets_are_scanpys(pair, values, count_passes, place, share):
    kind, where, dtype = place
    ours, theirs = pair(X.astype(dtype), kind, where)
    theirs.layers["double"] = theirs.X * 2
    ours.layers["double"] = lo.AnnData(theirs.layers["double"].copy()).X
    for given in ({}, {"layer": "double", "sim_doublet_ratio": 0.5, "random_seed": 9}):
        given = {**given, "synthetic_doublet_umi_subsampling": share}
        # n_counts of sampled doublets are drawn by the global generator, by scanpy, too
        np.random.seed(0)  # noqa: NPY002
        mine = lo.pp.scrublet_simulate_doublets(ours, **given)
        np.random.seed(0)  # noqa: NPY002
        other = run(lambda m, a, given=given: m.pp.scrublet_simulate_doublets(a, **given), theirs)
        np.testing.assert_array_equal(mine.X.toarray(), other.X.toarray())
        assert mine.X.dtype == other.X.dtype
        assert isinstance(mine.X, sp.csr_matrix)
        np.testing.assert_array_equal(mine.obs["n_counts"], other.obs["n_counts"])
        np.testing.assert_array_equal(mine.obsm["doublet_parents"], other.obsm["doublet_parents"])
        assert mine.uns == other.uns
        assert list(mine.obs_names) == list(other.obs_names)
        assert list(mine.var_names) == list(other.var_names)
    if where == "file":
        with count_passes(ours.filename) as passes:
            lo.pp.scrublet_simulate_doublets(ours)
        assert passes.values == pytest.approx(1, abs=0.1)


def test_sums_of_small_whole_numbers_fit():
    made = lo.pp.scrublet_simulate_doublets(lo.AnnData(np.full((4, 3), 200, "u1")))
    assert made.X.dtype == np.uint32
    assert (made.X.toarray() == 400).all()


def test_seeds(pair):
    ours, theirs = pair(X, "csr", "memory")
    kept = lo.pp.scrublet(ours, copy=True, random_state=np.random.RandomState(5), **FEW)
    assert list(ours.obs) == list(ours.uns) == []
    run(lambda m, a: m.pp.scrublet(a, random_state=np.random.RandomState(5), **FEW), theirs)
    assert_same_scores(kept.obs, theirs.obs)
    np.random.seed(1)  # noqa: NPY002
    found = lo.pp.scrublet(ours, copy=True, random_state=None, **FEW)
    np.random.seed(1)  # noqa: NPY002
    run(lambda m, a: m.pp.scrublet(a, random_state=None, **FEW), theirs)
    assert_same_scores(found.obs, theirs.obs)


def test_threshold_of_two_modes():
    filters = pytest.importorskip("skimage.filters", reason="compares with scikit-image")
    rng = np.random.default_rng(1)
    for k in range(30):
        values = np.concatenate([rng.beta(2, 20, 500), rng.normal(0.1 + k / 40, 0.05, 200)])
        try:
            expected = filters.threshold_minimum(values)
        except RuntimeError:
            expected = None
        assert threshold_between_modes(values) == expected


def test_threshold_that_is_found(pair):
    ours, theirs = pair(X)
    lo.pp.scrublet(ours, n_prin_comps=8)
    threshold = ours.uns["scrublet"]["threshold"]
    assert 0.02 < threshold < 0.6
    np.testing.assert_array_equal(
        ours.obs["predicted_doublet"], ours.obs["doublet_score"] > threshold
    )
    assert ours.obs["predicted_doublet"][:20].mean() > 0.5 > ours.obs["predicted_doublet"].mean()
    pytest.importorskip("skimage", reason="scanpy needs it to find a threshold")
    run(lambda m, a: m.pp.scrublet(a, n_prin_comps=8), theirs)
    assert_same_scores(ours.obs, theirs.obs)


def test_threshold_that_is_not_found(pair, monkeypatch):
    assert threshold_between_modes(np.ones(9)) is None
    ours, _ = pair(X)
    of_the_verb = lo.pp.scrublet.__globals__
    monkeypatch.setitem(of_the_verb, "threshold_between_modes", lambda scores: None)
    with pytest.warns(UserWarning, match=r"no two modes.*pass threshold="):
        lo.pp.scrublet(ours, n_prin_comps=8)
    assert ours.obs["predicted_doublet"].dtype == bool
    assert not ours.obs["predicted_doublet"].any()
    assert "threshold" not in ours.uns["scrublet"]
    lo.pp.scrublet(ours, n_prin_comps=8, verbose=False)


@pytest.mark.slow
@pytest.mark.skipif("LAZYOMICS_MOST_CASES" in os.environ, reason="compiles for two minutes")
@pytest.mark.parametrize("given", [{"use_approx_neighbors": True}, {"knn_dist_metric": "cosine"}])
def test_approximate_search(pair, monkeypatch, given):
    """Also where it is the default, of 4,160 cells and doublets."""
    package = pytest.importorskip("pynndescent", reason="searches approximately")
    search = package.PyNNDescentTransformer.fit_transform
    monkeypatch.setattr(  # scanpy does not take the arrays of newer releases
        package.PyNNDescentTransformer,
        "fit_transform",
        lambda self, x, *rest: sp.csr_matrix(search(self, x, *rest)),
    )
    ours, theirs = pair(X)
    given = FEW | {"sim_doublet_ratio": 15, "n_neighbors": 4} | given
    lo.pp.scrublet(ours, **given)
    run(lambda m, a: m.pp.scrublet(a, **given), theirs)
    close = np.isclose(ours.obs["doublet_score"], theirs.obs["doublet_score"])
    assert close.mean() > 0.8  # pynndescent misses some neighbours
    correlation = np.corrcoef(ours.obs["doublet_score"], theirs.obs["doublet_score"])[0, 1]
    assert correlation > 0.99


def test_wrong_arguments(pair):
    ours, _ = pair(X, batch=BATCH)
    ours.obs["gap"] = np.where(np.arange(N) < 3, None, "a")
    ours.obs["small"] = np.where(np.arange(N) < 3, "a", "b")
    for match, given in (
        ("`batch_key` must be a column of .obs.*'nothing'", {"batch_key": "nothing"}),
        ("missing values", {"batch_key": "gap"}),
        ("batch 'a'", {"batch_key": "small"}),
        ("n_prin_comps=300 must be at least 1 and below", {"n_prin_comps": 300}),
        ("n_prin_comps=0", {"n_prin_comps": 0}),
        ("no doublets", {"sim_doublet_ratio": 0}),
        ("more than all pairs", {"sim_doublet_ratio": 300}),
        ("expected a share", {"synthetic_doublet_umi_subsampling": 1.5}),
        ("n_neighbors=0", {"n_neighbors": 0}),
    ):
        with pytest.raises(ValueError, match=match):
            lo.pp.scrublet(ours, **(FEW | given))
    assert "doublet_score" not in ours.obs
    doublets = lo.pp.scrublet_simulate_doublets(ours)
    with pytest.raises(lo.errors.ShapeError, match="220 genes, but adata has 9"):
        lo.pp.scrublet(ours[:, :9].copy(), doublets)
    constant = ours.copy()
    constant.X = np.ones((N, P), "f4")
    with pytest.raises(ValueError, match="220 genes have the same value"):
        lo.pp.scrublet(constant, doublets)
    del doublets.obsm["doublet_parents"]
    with pytest.raises(KeyError, match="scrublet_simulate_doublets sets"):
        lo.pp.scrublet(ours, doublets)
    with pytest.raises(KeyError, match="nothing"):
        lo.pp.scrublet_simulate_doublets(ours, layer="nothing")
    with pytest.warns(UserWarning, match="are too many; using"):
        lo.pp.scrublet(ours, n_neighbors=900, **FEW)
