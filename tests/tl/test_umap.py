"""tl.umap against scanpy on real cells, and its refusals."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import lazyomics as lo

PBMC = "rebuilt_pbmc3k_processed.h5ad"
EVERY_THIRD = slice(None, None, 3)

# what anndata causes while it reads the reference
pytestmark = pytest.mark.filterwarnings(
    "ignore:The 'future.infer_string' option:DeprecationWarning"
)


def open_both(path, how):
    """Return scanpy's and our object, the latter backed, in memory, or a lazy selection."""
    anndata = pytest.importorskip("anndata", reason="compares with scanpy's container")
    theirs, ours = anndata.read_h5ad(path), lo.read_h5ad(path, backed=how != "memory")
    if how == "subset":
        theirs, ours = theirs[EVERY_THIRD].copy(), ours[EVERY_THIRD]
    return theirs, ours


def run_both(sc, theirs, ours, neighbors=None, **options):
    """Both from scanpy's graph: of ours, the last digits differ."""
    sc.pp.neighbors(theirs, **(neighbors or {}))
    for key, matrix in theirs.obsp.items():
        ours.obsp[key] = matrix.copy()
    key = (neighbors or {}).get("key_added", "neighbors")
    ours.uns[key] = dict(theirs.uns[key])
    sc.tl.umap(theirs, **options)
    lo.tl.umap(ours, **options)


@pytest.mark.parametrize("how", ["backed", "memory", "subset"])
def test_equals_scanpy(data_file, how):
    sc = pytest.importorskip("scanpy", reason="the reference")
    theirs, ours = open_both(data_file(PBMC), how)
    run_both(sc, theirs, ours)
    assert ours.obsm["X_umap"].dtype == np.float32
    np.testing.assert_array_equal(ours.obsm["X_umap"], theirs.obsm["X_umap"])
    assert dict(ours.uns["umap"]) == theirs.uns["umap"]


@pytest.mark.parametrize(
    "options",
    [
        {"n_components": 3, "init_pos": "random", "random_state": 7},
        {"min_dist": 0.1, "spread": 2.0, "alpha": 0.5, "gamma": 2.0, "negative_sample_rate": 3},
        {"a": 0.6, "b": 1.2, "init_pos": "X_tsne", "key_added": "X_again"},
    ],
)
def test_options_equal_scanpy(data_file, options):
    sc = pytest.importorskip("scanpy", reason="the reference")
    theirs, ours = open_both(data_file(PBMC), "subset")
    run_both(sc, theirs, ours, maxiter=30, **options)
    key_obsm, key_uns = options.get("key_added", "X_umap"), options.get("key_added", "umap")
    np.testing.assert_array_equal(ours.obsm[key_obsm], theirs.obsm[key_obsm])
    assert dict(ours.uns[key_uns]) == theirs.uns[key_uns]


def test_other_graph_and_given_positions_equal_scanpy(data_file):
    sc = pytest.importorskip("scanpy", reason="the reference")
    theirs, ours = open_both(data_file(PBMC), "backed")
    start = np.random.default_rng(2).normal(size=(theirs.n_obs, 2))
    run_both(
        sc,
        theirs,
        ours,
        neighbors={"metric": "cosine", "key_added": "cos"},
        neighbors_key="cos",
        init_pos=start,
        maxiter=20,
    )
    np.testing.assert_array_equal(ours.obsm["X_umap"], theirs.obsm["X_umap"])


@pytest.mark.parametrize("islands", [1, 3, 9])
def test_graph_in_parts_equals_scanpy(islands):
    sc = pytest.importorskip("scanpy", reason="the reference")
    anndata = pytest.importorskip("anndata", reason="compares with scanpy's container")
    x = np.random.default_rng(0).normal(scale=0.02, size=(40 * islands, 5))
    x += 0.5 * np.repeat(np.arange(islands), 40)[:, None]
    theirs, ours = anndata.AnnData(x), lo.AnnData(x)
    run_both(sc, theirs, ours, neighbors={"n_neighbors": 6}, maxiter=20)
    np.testing.assert_array_equal(ours.obsm["X_umap"], theirs.obsm["X_umap"])


def test_reads_no_x_for_a_connected_graph(data_file, count_passes):
    path = data_file(PBMC)
    ours = lo.read_h5ad(path)
    lo.pp.neighbors(ours)
    ours.uns["neighbors"]["params"]["use_rep"] = "X"
    with count_passes(path, "X") as passes:
        lo.tl.umap(ours, maxiter=5)
    assert passes.values == 0


def test_graph_stays_as_it_is(data_file):
    ours = lo.read_h5ad(data_file(PBMC), backed=False)[EVERY_THIRD]
    lo.pp.neighbors(ours)
    before = ours.obsp["connectivities"].copy()
    lo.tl.umap(ours, maxiter=15)
    after = ours.obsp["connectivities"]
    np.testing.assert_array_equal(after.data, before.data)


def test_graph_stored_in_the_file_is_used(data_file):
    ours = lo.read_h5ad(data_file(PBMC))
    lo.tl.umap(ours, maxiter=5)
    assert ours.obsm["X_umap"].shape == (2638, 2)
    assert np.isfinite(ours.obsm["X_umap"]).all()


def test_other_weights_are_said():
    ours = lo.AnnData(np.random.default_rng(0).normal(size=(60, 4)))
    lo.pp.neighbors(ours, method="gauss", n_neighbors=8)
    with pytest.warns(UserWarning, match="weighted by method 'gauss'"):
        lo.tl.umap(ours, maxiter=5)


def test_without_graph():
    with pytest.raises(ValueError, match=r"run pp\.neighbors first"):
        lo.tl.umap(lo.AnnData(np.eye(5)))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "rapids"}, ValueError, "method must be 'umap'"),
        ({"init_pos": "X_nothing"}, ValueError, "neither 'spectral' nor 'random'"),
        ({"init_pos": np.zeros((3, 2))}, lo.errors.ShapeError, "expected 30 rows"),
        ({"init_pos": np.zeros((30, 3))}, lo.errors.ShapeError, "expected 2 columns"),
        ({"neighbors_key": "other"}, ValueError, "no 'other'"),
    ],
)
def test_bad_arguments(options, error, message):
    ours = lo.AnnData(np.random.default_rng(0).normal(size=(30, 4)))
    lo.pp.neighbors(ours, n_neighbors=5)
    with pytest.raises(error, match=message):
        lo.tl.umap(ours, **options)


def test_missing_package(monkeypatch):
    ours = lo.AnnData(np.random.default_rng(0).normal(size=(30, 4)))
    lo.pp.neighbors(ours, n_neighbors=5)
    monkeypatch.setitem(sys.modules, "umap.umap_", None)
    with pytest.raises(lo.errors.MissingDependencyError, match=r"tl.umap.*lazyomics\[umap\]"):
        lo.tl.umap(ours)
