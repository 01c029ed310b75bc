"""tl.draw_graph against scanpy, and its refusals."""

from __future__ import annotations

import importlib.util
import random
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo

N = 45
HAS_FA2 = importlib.util.find_spec("fa2_modified") is not None

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def graph(seed=0, *, apart=True):
    """Three groups, of which the last is apart."""
    rng = np.random.default_rng(seed)
    near = np.abs(np.subtract.outer(np.arange(N), np.arange(N))) < 5
    near[30:, :30] &= not apart
    near[:30, 30:] &= not apart
    weights = np.where(near, rng.random((N, N)), 0)
    np.fill_diagonal(weights, 0)
    return sp.csr_matrix((weights + weights.T).astype("f4"))


def cells(module=lo):
    rng = np.random.default_rng(1)
    obs = pd.DataFrame({"kind": pd.Categorical(np.repeat(list("abc"), 15))})
    obs.index = [f"c{k}" for k in range(N)]
    obsm = {"X_umap": rng.normal(size=(N, 2)), "X_pca": rng.normal(size=(N, 3))}
    adata = module.AnnData(np.zeros((N, 2), "f4"), obs=obs, obsm=obsm)
    adata.obsp["connectivities"], adata.obsp["other"] = graph(), graph(1)
    for key, name in (("neighbors", "connectivities"), ("mine", "other")):
        adata.uns[key] = {"connectivities_key": name, "distances_key": name, "params": {}}
    adata.uns["paga"] = {
        "groups": "kind",
        "pos": rng.normal(size=(3, 2)),
        "connectivities": sp.csr_matrix([[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0.0]]),
    }
    return adata


@pytest.mark.parametrize(
    ("layout", "options"),
    [
        ("fr", {}),
        ("fr", {"weights": "weight", "niter": 20, "random_state": 3, "obsp": "other"}),
        ("fr", {"init_pos": "X_umap", "key_added_ext": "mine"}),
        ("fr", {"init_pos": "paga", "neighbors_key": "mine"}),
        ("kk", {"init_pos": True}),
        ("drl", {"random_state": 5}),
        ("drl", {"adjacency": graph(2)}),
        ("lgl", {"init_pos": False, "adjacency": graph(apart=False)}),
        ("rt", {"root": 3}),
        ("rt_circular", {}),
        pytest.param("fa", {"maxiter": 30}, marks=pytest.mark.skipif(not HAS_FA2, reason="fa2")),
        pytest.param("fa", {"iterations": 9}, marks=pytest.mark.skipif(not HAS_FA2, reason="fa2")),
    ],
)
def test_equals_scanpy(tmp_path, layout, options):
    sc = pytest.importorskip("scanpy", reason="the reference")
    anndata = pytest.importorskip("anndata", reason="compares with scanpy's container")
    theirs, ours = cells(anndata), cells()
    ours.write_h5ad(tmp_path / "a.h5ad")
    opened = lo.read_h5ad(tmp_path / "a.h5ad")
    state = random.getstate()
    sc.tl.draw_graph(theirs, layout, **options)
    random.setstate(state)
    for adata in (ours, opened):
        assert lo.tl.draw_graph(adata, layout, **options) is None
        (key,) = set(theirs.obsm) - {"X_umap", "X_pca"}
        assert set(adata.obsm) == set(theirs.obsm)
        np.testing.assert_array_equal(adata.obsm[key], theirs.obsm[key])
        assert adata.obsm[key].dtype == theirs.obsm[key].dtype
        assert adata.uns["draw_graph"] == theirs.uns["draw_graph"]
    assert random.getstate() == state


def test_without_force_atlas(monkeypatch):
    module = sys.modules["lazyomics.tl.draw_graph"]  # the name in the package is the function
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    ours, expected = cells(), cells()
    with pytest.warns(UserWarning, match=r"'fr' is used instead of 'fa'.*lazyomics\[fa2\]"):
        lo.tl.draw_graph(ours)
    lo.tl.draw_graph(expected, "fr")
    np.testing.assert_array_equal(ours.obsm["X_draw_graph_fr"], expected.obsm["X_draw_graph_fr"])
    assert ours.uns["draw_graph"] == {"params": {"layout": "fr", "random_state": 0}}


def test_forces_of_the_cells_of_a_grid():
    """Which scanpy asks igraph for by a name that it has no longer."""
    igraph = pytest.importorskip("igraph", reason="the reference")
    ours = cells()
    lo.tl.draw_graph(ours, "grid_fr", init_pos="X_umap", niter=9)
    network = igraph.Graph(N, np.transpose(graph().nonzero()).tolist())
    start = ours.obsm["X_umap"].tolist()
    state = random.getstate()
    random.seed(0)
    expected = network.layout("fr", seed=start, niter=9, grid="grid")
    random.setstate(state)
    np.testing.assert_array_equal(ours.obsm["X_draw_graph_grid_fr"], expected.coords)


def test_selected_copy_and_plot():
    from matplotlib import pyplot

    ours = cells()
    half = ours[::2]
    found = lo.tl.draw_graph(half, "fr", copy=True)
    lo.tl.draw_graph(ours, "fr", adjacency=graph())
    assert found.obsm["X_draw_graph_fr"].shape == (23, 2)
    assert "X_draw_graph_fr" not in half.obsm
    lo.pl.draw_graph(ours, color="kind", show=False)
    pyplot.close("all")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"layout": "circle"}, ValueError, "layout must be one of"),
        ({"root": N}, ValueError, "root must be the position"),
        ({"init_pos": "X_nothing"}, ValueError, "neither 'paga' nor in adata.obsm"),
        ({"init_pos": "X_pca"}, lo.errors.ShapeError, "expected \\(45, 2\\)"),
        ({"obsp": "nothing"}, KeyError, "no 'nothing'"),
        ({"obsp": "other", "neighbors_key": "mine"}, ValueError, "both name a graph"),
        ({"neighbors_key": "nothing"}, ValueError, "no 'nothing'"),
        ({"adjacency": graph()[:9, :9]}, lo.errors.ShapeError, "expected \\(45, 45\\)"),
    ],
)
def test_bad_arguments(options, error, message):
    ours = cells()
    with pytest.raises(error, match=message):
        lo.tl.draw_graph(ours, **{"layout": "fr", **options})
    assert "draw_graph" not in ours.uns


def test_bad_places_and_missing_package(monkeypatch):
    ours = cells()
    ours.obsm["X_umap"][4, 1] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite for the cells 'c4'"):
        lo.tl.draw_graph(ours, "fr", init_pos="X_umap")
    del ours.uns["paga"]
    with pytest.raises(ValueError, match="draw them first"):
        lo.tl.draw_graph(ours, "fr", init_pos="paga")
    monkeypatch.setitem(sys.modules, "igraph", None)
    with pytest.raises(lo.errors.MissingDependencyError, match=r"lazyomics\[cluster\]"):
        lo.tl.draw_graph(ours, "fr")
