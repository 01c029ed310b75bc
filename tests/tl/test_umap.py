"""tl.umap: its own layout beside umap-learn's, which is scanpy's to the bit, and its refusals."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo
from lazyomics.graph.nearest import nearest

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
    lo.tl.umap(ours, method="umap-learn", **options)


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


def kept(x, layout, k=15):
    """Share of the k nearest cells that are among the k nearest in the layout."""
    near = [nearest(np.asarray(points, "f8"), k).indices for points in (x, layout)]
    return np.mean([len(np.intersect1d(a, b)) for a, b in zip(*near, strict=True)]) / k


def test_layout_keeps_as_much_as_umap_learns(data_file):
    pytest.importorskip("umap", reason="the reference")
    manifold = pytest.importorskip("sklearn.manifold")
    ours = lo.read_h5ad(data_file(PBMC), backed=False)
    lo.pp.neighbors(ours)
    x = ours.obsm["X_pca"]
    lo.tl.umap(ours, method="umap-learn", key_added="theirs")
    for start in ("spectral", "pca"):
        lo.tl.umap(ours, init_pos=start)
        assert kept(x, ours.obsm["X_umap"]) >= kept(x, ours.obsm["theirs"]) - 0.01
        trusted = [
            manifold.trustworthiness(x[::2], ours.obsm[key][::2], n_neighbors=15)
            for key in ("X_umap", "theirs")
        ]
        assert trusted[0] >= trusted[1] - 0.005


@pytest.mark.parametrize("options", [{}, {"n_components": 3}, {"init_pos": "pca"}])
def test_same_bits_on_any_number_of_threads(options):
    import dask

    ours = lo.AnnData(np.random.default_rng(0).normal(size=(9000, 5)).astype("f4"))
    lo.pp.neighbors(ours, n_neighbors=5)
    found = []
    for number in (1, 2, 4):
        with dask.config.set(num_workers=number):
            lo.tl.umap(ours, maxiter=12, **options)
        found.append(ours.obsm["X_umap"])
    assert np.isfinite(found[0]).all()
    assert len(np.unique(found[0], axis=0)) == 9000
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_parameters_of_the_layout():
    """Each moves something; seeds give the same again."""
    ours = lo.AnnData(np.random.default_rng(0).normal(size=(200, 4)))
    lo.pp.neighbors(ours, n_neighbors=6)
    changes = [{}, {"min_dist": 0.1}, {"spread": 2.0}, {"maxiter": 21}, {"alpha": 0.5}]
    changes += [{"gamma": 3.0}, {"negative_sample_rate": 2}, {"a": 1.0, "b": 1.0}]
    changes += [{"random_state": 1}, {"init_pos": "random"}, {"init_pos": np.eye(200)[:, :2]}]
    found = []
    for change in changes:
        lo.tl.umap(ours, **{"maxiter": 20, **change})
        found.append(ours.obsm["X_umap"])
    for k, one in enumerate(found):
        assert one.dtype == np.float32
        assert all(not np.array_equal(one, other) for other in found[:k])
    states = [np.random.RandomState(4), np.random.RandomState(4), 4, 4]
    again = []
    for state in states:
        lo.tl.umap(ours, maxiter=5, random_state=state)
        again.append(ours.obsm["X_umap"])
    np.testing.assert_array_equal(again[0], again[1])
    np.testing.assert_array_equal(again[2], again[3])


@pytest.mark.parametrize("islands", [3, 9])
@pytest.mark.parametrize("n_components", [2, 3])
def test_parts_are_laid_out_apart(islands, n_components):
    x = np.random.default_rng(0).normal(scale=0.02, size=(40 * islands, 5))
    x += 0.5 * np.eye(islands, 5)[np.repeat(np.arange(islands), 40)]
    x[:, 0] += np.repeat(np.arange(islands), 40)
    ours = lo.AnnData(x)
    lo.pp.neighbors(ours, n_neighbors=6)
    lo.tl.umap(ours, n_components=n_components)
    labels = np.repeat(np.arange(islands), 40)
    near = nearest(ours.obsm["X_umap"].astype("f8"), 5).indices
    assert (labels[near] == labels[:, None]).mean() > 0.99


def test_begins_around_the_groups_of_paga():
    sc = pytest.importorskip("scanpy", reason="the reference")
    anndata = pytest.importorskip("anndata", reason="compares with scanpy's container")
    from scanpy.tools._utils import get_init_pos_from_paga

    x = np.random.default_rng(0).normal(size=(120, 4)) + np.repeat([0, 3, 9], 40)[:, None]
    groups = pd.Categorical(np.repeat(["a", "b", "c"], 40))
    obs = pd.DataFrame({"g": groups}, index=[f"c{k}" for k in range(120)])
    theirs, ours = anndata.AnnData(x, obs=obs.copy()), lo.AnnData(x, obs=obs.copy())
    sc.pp.neighbors(theirs, n_neighbors=30)
    sc.tl.paga(theirs, groups="g")
    lo.pp.neighbors(ours, n_neighbors=30)
    ours.uns["paga"] = dict(theirs.uns["paga"])
    with pytest.raises(ValueError, match=r"needs adata\.uns\['paga'\]\['pos'\]"):
        lo.tl.umap(ours, init_pos="paga")
    for adata in (theirs, ours):
        adata.uns["paga"]["pos"] = np.array([[0.0, 0], [1, 2], [5, 1]])
    lo.tl.umap(ours, init_pos="paga", maxiter=15)
    first = ours.obsm["X_umap"]
    lo.tl.umap(ours, init_pos=get_init_pos_from_paga(theirs, random_state=0), maxiter=15)
    np.testing.assert_array_equal(first, ours.obsm["X_umap"])


def test_umap_learn_is_imported_only_where_it_is_named():
    code = (
        "import sys, numpy as np, lazyomics as lo\n"
        "adata = lo.AnnData(np.random.default_rng(0).normal(size=(60, 4)))\n"
        "lo.pp.neighbors(adata)\n"
        "lo.tl.umap(adata, maxiter=5)\n"
        "assert not {'sklearn', 'umap', 'pynndescent'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


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
    with pytest.raises(ValueError, match=r"run lo\.pp\.neighbors\(adata\) first"):
        lo.tl.umap(lo.AnnData(np.eye(5)))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "rapids"}, ValueError, "method must be one of"),
        ({"init_pos": "X_nothing"}, ValueError, "neither one of"),
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
        lo.tl.umap(ours, method="umap-learn")
