"""metrics.confusion_matrix and metrics.modularity against scanpy and igraph, and their refusals."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo

pytestmark = pytest.mark.filterwarnings(
    "ignore:The 'future.infer_string' option:DeprecationWarning",
    "ignore:'where' used without 'out':UserWarning:scanpy",
)
RNG = np.random.default_rng(0)
OBS = pd.DataFrame(
    {
        "kind": pd.Categorical(RNG.choice(["b", "a10", "a9"], 80), categories=["b", "a9", "a10"]),
        "text": RNG.choice(["b", "a10", "a9"], 80),
        "number": RNG.integers(0, 12, 80),
        "other": RNG.integers(5, 15, 80),
        "fewer": pd.Categorical(RNG.choice(["b", "a9"], 80)),
    },
    index=[f"c{k}" for k in range(80)],
)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize(
    ("orig", "new"),
    [
        ("kind", "text"),
        ("text", "fewer"),
        ("number", "other"),
        (OBS["kind"], OBS["text"].to_numpy()),
        (OBS["text"].tolist(), "kind"),
    ],
)
def test_confusion_equals_scanpy(orig, new, normalize):
    sc = pytest.importorskip("scanpy", reason="the reference")
    expected = sc.metrics.confusion_matrix(orig, new, OBS, normalize=normalize)
    found = lo.metrics.confusion_matrix(orig, new, OBS, normalize=normalize)
    pd.testing.assert_frame_equal(found, expected)


def test_categories_without_cells_are_zero():
    part = OBS[OBS["kind"] != "a9"]
    found = lo.metrics.confusion_matrix("kind", "kind", part)
    np.testing.assert_array_equal(found, np.diag([1.0, 0, 1]))


def test_bad_labels():
    with pytest.raises(KeyError, match="no column 'nothing'"):
        lo.metrics.confusion_matrix("nothing", "kind", OBS)
    with pytest.raises(lo.errors.ShapeError, match="orig has 80 labels, new has 3"):
        lo.metrics.confusion_matrix("kind", ["a", "b", "c"], OBS)
    with pytest.raises(ValueError, match="new has 1 missing labels"):
        lo.metrics.confusion_matrix(["a", "b"], ["a", None])


def graph() -> sp.csr_matrix:
    weights = sp.random(80, 80, density=0.1, format="csr", random_state=np.random.default_rng(1))
    weights.setdiag(0.5)
    return weights.tocsr()


def with_graph() -> lo.AnnData:
    adata = lo.AnnData(np.zeros((80, 2), "f4"), obs=OBS)
    adata.obsp["connectivities"] = graph() + graph().T
    adata.uns["neighbors"] = {"connectivities_key": "connectivities", "params": {}}
    return adata


@pytest.mark.parametrize("directed", [True, False])
def test_modularity_equals_igraph_and_scanpy(directed):
    igraph = pytest.importorskip("igraph", reason="the reference")
    sc = pytest.importorskip("scanpy", reason="the reference")
    pairs = graph().tocoo()
    edges = list(zip(pairs.row.tolist(), pairs.col.tolist(), strict=True))
    network = igraph.Graph(80, edges, directed=directed)
    expected = network.modularity(OBS["number"].tolist(), pairs.data.tolist())
    for weights in (graph(), graph().toarray(), sp.coo_array(graph())):
        found = lo.metrics.modularity(weights, OBS["number"], is_directed=directed)
        assert type(found) is float
        assert found == pytest.approx(expected, rel=1e-12)
    if hasattr(sc.metrics, "modularity"):
        theirs = sc.metrics.modularity(graph(), OBS["number"], is_directed=directed)
        assert found == pytest.approx(theirs, rel=1e-12)


def test_modularity_of_annotated_cells(tmp_path):
    with_graph().write_h5ad(tmp_path / "a.h5ad")
    adata = lo.read_h5ad(tmp_path / "a.h5ad")
    weights = adata.obsp["connectivities"]
    expected = lo.metrics.modularity(weights, OBS["kind"], is_directed=False)
    assert lo.metrics.modularity(adata, "kind") == expected
    assert lo.metrics.modularity(adata, OBS["kind"].to_numpy(), is_directed=False) == expected
    adata.uns["kind"] = {"params": {}}
    assert lo.metrics.modularity(adata, "kind", mode="update") == expected
    assert adata.uns["kind"] == {"params": {}, "modularity": expected}
    adata.uns["kind"]["modularity"] = 0.25
    assert lo.metrics.modularity(adata, "kind", mode="retrieve") == 0.25
    half = adata[::2]
    weights = graph()[::2, ::2] + graph().T[::2, ::2]
    expected = lo.metrics.modularity(weights, OBS["kind"][::2], is_directed=False)
    assert lo.metrics.modularity(half, "kind") == pytest.approx(expected)


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        (with_graph(), {"labels": "kind", "mode": "guess"}, ValueError, "mode must be one of"),
        (with_graph(), {"labels": "kind", "is_directed": True}, ValueError, "are undirected"),
        (with_graph(), {"labels": "nothing"}, KeyError, "no 'nothing'"),
        (with_graph(), {"labels": "kind", "mode": "update"}, KeyError, "has no modularity"),
        (with_graph(), {"labels": "kind", "mode": "retrieve"}, KeyError, "has no modularity"),
        (with_graph(), {"labels": OBS["kind"], "mode": "update"}, ValueError, "name a column"),
        (with_graph(), {"labels": "kind", "neighbors_key": "a"}, ValueError, "no 'a'"),
        (with_graph(), {"labels": [1, 2]}, lo.errors.ShapeError, "of 2 cells"),
        (graph(), {"labels": OBS["kind"]}, TypeError, "is_directed must be"),
        (graph(), {"labels": "kind", "is_directed": False}, TypeError, "found text"),
        (graph(), {"labels": OBS["kind"], "mode": "update"}, ValueError, "belong to an AnnData"),
        (graph(), {"labels": [None] * 80, "is_directed": False}, ValueError, "80 labels are miss"),
        ("file.h5ad", {}, TypeError, "metrics.modularity takes an AnnData"),
    ],
)
def test_bad_arguments(data, options, error, message):
    with pytest.raises(error, match=message):
        lo.metrics.modularity(data, **options)


def test_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "igraph", None)
    with pytest.raises(lo.errors.MissingDependencyError, match=r"lazyomics\[cluster\]"):
        lo.metrics.modularity(graph(), OBS["kind"], is_directed=False)
