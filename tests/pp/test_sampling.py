"""Random cells, genes and counts: those of scanpy from the same seed."""

from __future__ import annotations

import pickle

import dask.array as da
import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics import lazy
from lazyomics.kernels.sampling import DownsampleRows
from lazyomics.lazy import LazyMatrix

ad = pytest.importorskip("anndata", reason="compares with anndata")
sc = pytest.importorskip("scanpy", reason="compares with scanpy")

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore:.* names are not unique:UserWarning"
)
KINDS = ["csr", "csc", "dense"]
CHANCES = np.linspace(1, 2, 240) / np.linspace(1, 2, 240).sum()
SAMPLES = {
    "n": {"n": 20, "rng": 0},
    "fraction": {"fraction": 0.3, "rng": 4},
    "generator": {"n": 7, "rng": "generator"},
    "replace": {"fraction": 1.2, "rng": 1, "replace": True},
    "genes": {"n": 30, "rng": 0, "axis": "var"},
    "genes by number, mask": {"n": 30, "rng": 0, "axis": 1, "p": "few"},
    "chances": {"n": 30, "rng": 0, "p": CHANCES},
    "column": {"n": 30, "rng": 0, "p": "chance", "replace": True, "axis": 0},
}


@pytest.mark.parametrize("how", SAMPLES)
def test_samples_are_scanpys(pair, values, counts, how):
    for kind, where in (("csr", "file"), ("csc", "memory"), ("dense", "subset")):
        ours, theirs = pair(counts, kind, where, few=np.arange(300) < 100, chance=CHANCES)
        for module, adata in ((lo, ours), (sc, theirs)):
            given = dict(SAMPLES[how])
            if given["rng"] == "generator":
                given["rng"] = np.random.default_rng(9)
            module.pp.sample(adata, **given)
        assert list(ours.obs_names) == list(theirs.obs_names)
        assert list(ours.var_names) == list(theirs.var_names)
        np.testing.assert_array_equal(values(ours.X), values(theirs.X))


def test_subsamples_are_scanpys(pair, counts):
    for given in (
        {"fraction": 0.2},
        {"n_obs": 11, "random_state": 3},
        {"n_obs": 5, "random_state": None},
    ):
        ours, theirs = pair(counts)
        for module, adata in ((lo, ours), (sc, theirs)):
            np.random.seed(5)  # noqa: NPY002 (what scanpy draws from)
            module.pp.subsample(adata, **given)
        assert list(ours.obs_names) == list(theirs.obs_names)


def test_samples_read_nothing(pair, counts, count_passes):
    ours, _ = pair(counts)
    with count_passes(ours.filename) as passes:
        chosen = lo.pp.sample(ours, n=10, rng=0, copy=True)
        lo.pp.subsample(ours, 0.5)
    assert passes.values == 0
    assert isinstance(ours.X, LazyMatrix)
    assert (chosen.n_obs, ours.n_obs) == (10, 120)


def test_samples_of_matrices(counts):
    matrices = (counts, sp.csr_matrix(counts), da.from_array(counts, chunks=50))
    for x in matrices:
        for call in (
            lambda m, x: m.pp.sample(x, n=9, rng=2),
            lambda m, x: m.pp.sample(x, n=9, rng=2, axis="var", copy=True),
            lambda m, x: m.pp.subsample(x, 0.1),
        ):
            ours, theirs = call(lo, x), call(sc, x)
            np.testing.assert_array_equal(ours[1], theirs[1])
            assert type(ours[0]) is type(theirs[0])
            equal = ours[0] != theirs[0]
            assert not (equal.compute() if isinstance(equal, da.Array) else equal).sum()


def test_wrong_samples(pair, counts):
    ours, _ = pair(counts)
    for error, given in (
        (TypeError, {}),
        (TypeError, {"n": 1, "fraction": 0.5}),
        (ValueError, {"fraction": -1}),
        (ValueError, {"fraction": 2}),
        (ValueError, {"n": 1, "axis": 2}),
        (ValueError, {"n": 1, "p": "nothing"}),
        (ValueError, {"n": 1, "p": np.ones(3)}),
        (ValueError, {"n": 1, "p": np.ones(240, dtype=int)}),
    ):
        with pytest.raises(error):
            lo.pp.sample(ours, **given)
    with pytest.raises(ValueError, match="names a column"):
        lo.pp.sample(counts, n=1, p="few")


DRAWS = {
    "number": {"counts_per_cell": 60},
    "replace": {"counts_per_cell": 60, "replace": True, "random_state": 7},
    "each": {"counts_per_cell": np.arange(240)},
}


@pytest.mark.parametrize("how", DRAWS)
@pytest.mark.parametrize("kind", KINDS)
def test_counts_of_cells_are_scanpys(pair, values, counts, kind, how):
    for where, dtype in (("file", "f4"), ("memory", "i4"), ("subset", "f8")):
        ours, theirs = pair(counts.astype(dtype), kind, where)
        lo.pp.downsample_counts(ours, **DRAWS[how])
        sc.pp.downsample_counts(theirs, **DRAWS[how])
        assert values(ours.X).dtype == theirs.X.dtype
        np.testing.assert_array_equal(values(ours.X), values(theirs.X))
        expected = values(theirs.X)[[9, 2, 100]][:, 30:50]
        np.testing.assert_array_equal(values(ours[[9, 2, 100], 30:50].X), expected)
    assert kind == "dense" or sp.issparse(lazy.materialize(ours.X))


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("kind", ["csr", "dense"])
def test_counts_of_all(pair, values, counts, kind, replace, count_passes):
    ours, theirs = pair(counts, kind)
    element = "X"
    with count_passes(ours.filename, element) as passes:
        lo.pp.downsample_counts(ours, total_counts=5000, replace=replace)
    assert passes.values == pytest.approx(1)
    found = values(ours.X)
    assert found.sum() == 5000
    assert replace or (found <= counts).all()
    assert not found[counts == 0].any()
    # The same from memory, in blocks of other sizes, and of a selection.
    again = lo.AnnData(counts)
    again.X = da.from_array(counts, chunks=(17, -1))
    lo.pp.downsample_counts(again, total_counts=5000, replace=replace)
    np.testing.assert_array_equal(values(again.X), found)
    np.testing.assert_array_equal(values(ours[50:60, 7:9].X), found[50:60, 7:9])
    # As often from each cell as scanpy's, within what chance does.
    sc.pp.downsample_counts(theirs, total_counts=5000, replace=replace)
    share = counts.sum(axis=1) / counts.sum()
    allowed = 5 * np.sqrt(5000 * share) + 1e-9
    for drawn in (found, values(theirs.X)):
        assert (np.abs(drawn.sum(axis=1) - 5000 * share) <= allowed).all()


def test_fewer_than_asked_for_stay(values, counts):
    ours = lo.AnnData(counts.copy())
    lo.pp.downsample_counts(ours, total_counts=10**9)
    np.testing.assert_array_equal(values(ours.X), counts)
    lo.pp.downsample_counts(ours, 10**6)
    np.testing.assert_array_equal(values(ours.X), counts)
    assert lo.pp.downsample_counts(ours, 5, copy=True).X.sum(axis=1).max() == 5
    np.testing.assert_array_equal(values(ours.X), counts)


def test_steps_are_values(counts):
    step = DownsampleRows(np.full(240, 9), seed=3)
    again = pickle.loads(pickle.dumps(step))
    np.testing.assert_array_equal(again(counts), step(counts))
    part = step.take_rows(slice(5, 9))
    np.testing.assert_array_equal(part(counts[5:9]), step(counts)[5:9])


def test_wrong_counts(pair, counts):
    ours, _ = pair(counts)
    for given in ((), (5, 5), (-1,), (None, -1), ([1, 2],)):
        with pytest.raises(ValueError, match=r"counts"):
            lo.pp.downsample_counts(ours, *given)
