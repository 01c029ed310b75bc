"""Integration of batches by other packages: beside them, and what is said without them."""

from __future__ import annotations

import inspect
import sys

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo

pytestmark = [  # of packages between themselves
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:n_jobs value"),
    pytest.mark.filterwarnings("ignore:Tensorflow not installed"),
    # scikit-learn's k-means, in harmonypy, where there are fewer clusters than asked for
    pytest.mark.filterwarnings("ignore:invalid escape sequence"),
]
N, D = 180, 8
BATCHES = np.repeat(["a", "b", "c"], N // 3)
VERBS = ("bbknn", "harmony_integrate", "mnn_correct", "scanorama_integrate")


def scores() -> np.ndarray:
    rng = np.random.default_rng(0)
    types = rng.normal(0, 6, (3, D))[np.arange(N) % 3]
    return (types + rng.normal(0, 1, (N, D)) + np.repeat([0, 3, -3], N // 3)[:, None]).astype("f4")


@pytest.fixture
def adata(tmp_path):
    obs = pd.DataFrame(
        {"batch": pd.Categorical(BATCHES), "other": np.arange(N) % 2},
        index=[f"c{k}" for k in range(N)],
    )
    lo.AnnData(np.ones((N, 3), "f4"), obs=obs, obsm={"X_pca": scores()}).write_h5ad(
        tmp_path / "x.h5ad"
    )
    return lo.read_h5ad(tmp_path / "x.h5ad")


def apart(x: np.ndarray) -> float:
    """Largest distance between the means of two batches, in units of the spread."""
    means = np.array([x[name == BATCHES].mean(axis=0) for name in "abc"])
    return float(np.ptp(means, axis=0).max() / x.std())


@pytest.mark.parametrize("key", ["batch", ["batch", "other"]])
def test_harmony(adata, key, count_passes):
    harmonypy = pytest.importorskip("harmonypy", reason="integrates")
    with count_passes(adata.filename) as passes:
        lo.external.pp.harmony_integrate(adata, key, adjusted_basis="mine", verbose=False)
    assert passes.values == 0
    expected = harmonypy.run_harmony(scores().astype("f8"), adata.obs, key, verbose=False).Z_corr
    expected = expected if expected.shape == (N, D) else expected.T
    np.testing.assert_allclose(adata.obsm["mine"], expected, rtol=1e-5, atol=1e-5)
    assert apart(adata.obsm["mine"]) < apart(scores()) / 2
    adata.write()
    assert lo.read_h5ad(adata.filename).obsm["mine"].shape == (N, D)


def test_scanorama(adata):
    scanorama = pytest.importorskip("scanorama", reason="integrates")
    options = {"knn": 10, "approx": False, "verbose": 0}
    lo.external.pp.scanorama_integrate(adata, "batch", **options)
    parts = np.split(scores(), 3)
    expected = np.concatenate(
        scanorama.assemble(parts, ds_names=list("abc"), batch_size=5000, **options)
    )
    np.testing.assert_allclose(adata.obsm["X_scanorama"], expected, rtol=1e-5, atol=1e-5)
    assert apart(adata.obsm["X_scanorama"]) < apart(scores())
    adata.obs["mixed"] = np.tile(["a", "b"], N // 2)
    with pytest.raises(ValueError, match="Detected non-contiguous batches"):
        lo.external.pp.scanorama_integrate(adata, "mixed")


@pytest.mark.parametrize(
    "options",
    [
        {"approx": False},
        {"approx": False, "metric": "manhattan", "neighbors_within_batch": 4},
        {"approx": False, "trim": 0},
        {"computation": "cKDTree", "key_added": "mine", "n_pcs": 5},
    ],
)
def test_bbknn_equals_scanpy(adata, options):
    pytest.importorskip("bbknn", reason="searches")
    external = pytest.importorskip("scanpy.external", reason="the reference")
    theirs = adata.to_anndata()
    copied = lo.external.pp.bbknn(adata, copy=True, **options)
    assert not adata.obsp
    assert lo.external.pp.bbknn(adata, **options) is None
    if "computation" in options:  # beside scanpy's older parameters it has no effect
        options = {**options, "approx": False}
    external.pp.bbknn(theirs, **options)
    key = options.get("key_added", "neighbors")
    assert set(adata.obsp) == set(theirs.obsp) == set(copied.obsp)
    for name, expected in theirs.obsp.items():
        np.testing.assert_allclose(adata.obsp[name].toarray(), expected.toarray(), rtol=1e-5)
    assert {k: v for k, v in adata.uns[key].items() if k != "params"} == {
        k: v for k, v in theirs.uns[key].items() if k != "params"
    }
    assert adata.uns[key]["params"] == theirs.uns[key]["params"]


def test_mutual_neighbours_are_refused_with_what_to_use(adata):
    assert lo.external.pp.mnn_correct(adata) == ((adata,), [], [])
    with pytest.raises(lo.errors.UnsupportedError, match=r"since 2019.*scanorama_integrate"):
        lo.external.pp.mnn_correct(adata, adata)


@pytest.mark.parametrize(
    ("verb", "module", "message"),
    [
        ("harmony_integrate", "harmonypy", r"pip install 'lazyomics\[integration\]'"),
        ("bbknn", "bbknn.matrix", "pip install bbknn.*annoy"),
        ("scanorama_integrate", "scanorama", "pip install scanorama.*annoy"),
    ],
)
def test_without_the_package(adata, monkeypatch, verb, module, message):
    monkeypatch.setitem(sys.modules, module.partition(".")[0], None)
    monkeypatch.setitem(sys.modules, module, None)
    call = getattr(lo.external.pp, verb)
    where = {"batch_key": "batch"} if verb == "bbknn" else {"key": "batch"}
    with pytest.raises(lo.errors.MissingDependencyError, match=message):
        call(adata, **where)
    assert set(adata.obsm) == {"X_pca"}
    with pytest.raises(KeyError, match="nothing"):
        call(adata, **dict.fromkeys(where, "nothing"))
    basis = {"use_rep": "none"} if verb == "bbknn" else {"basis": "none"}
    with pytest.raises(KeyError, match="none"):
        call(adata, **where, **basis)
    adata.obs["batch"] = pd.Categorical([None, *BATCHES[1:]])
    with pytest.raises(ValueError, match="missing values"):
        call(adata, **where)
    with pytest.raises(TypeError, match="takes an AnnData"):
        call(np.ones((2, 2)), **where)


@pytest.mark.parametrize("verb", VERBS)
def test_parameters_are_scanpys(verb):
    external = pytest.importorskip("scanpy.external", reason="compares with scanpy")
    theirs = inspect.signature(getattr(external.pp, verb)).parameters
    ours = inspect.signature(getattr(lo.external.pp, verb)).parameters
    assert list(ours) == list(theirs)
    for name, parameter in theirs.items():
        assert ours[name].kind is parameter.kind, name
        assert ours[name].default == parameter.default, name
