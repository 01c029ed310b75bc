"""tl.leiden against scanpy on real cells, and its refusals."""

from __future__ import annotations

import random
import sys

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo

PBMC = "rebuilt_pbmc3k_processed.h5ad"
EVERY_THIRD = slice(None, None, 3)

pytestmark = [  # what anndata and scanpy say while they compute the reference
    pytest.mark.filterwarnings("ignore:The 'future.infer_string' option:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:In the future, the default backend:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The `igraph` implementation of leiden"),
]


def open_both(path, how):
    """Return scanpy's and our object, the latter backed, in memory, or a lazy selection."""
    anndata = pytest.importorskip("anndata", reason="compares with scanpy's container")
    theirs, ours = anndata.read_h5ad(path), lo.read_h5ad(path, backed=how != "memory")
    if how == "subset":
        theirs, ours = theirs[EVERY_THIRD].copy(), ours[EVERY_THIRD]
    return theirs, ours


def with_neighbors(sc, path, how, **options):
    theirs, ours = open_both(path, how)
    sc.pp.neighbors(theirs, **options)
    for key, matrix in theirs.obsp.items():  # of our graph, the last digits differ
        ours.obsp[key] = matrix.copy()
    ours.uns["neighbors"] = dict(theirs.uns["neighbors"])
    return theirs, ours


@pytest.mark.parametrize("how", ["backed", "memory", "subset"])
@pytest.mark.parametrize("options", [{}, {"flavor": "igraph", "n_iterations": 2}])
def test_equals_scanpy(data_file, how, options):
    sc = pytest.importorskip("scanpy", reason="the reference")
    theirs, ours = with_neighbors(sc, data_file(PBMC), how)
    sc.tl.leiden(theirs, **options)
    assert lo.tl.leiden(ours, **options) is None
    pd.testing.assert_series_equal(ours.obs["leiden"], theirs.obs["leiden"])
    assert ours.uns["leiden"]["params"] == theirs.uns["leiden"]["params"]
    if "modularity" in theirs.uns["leiden"]:  # since scanpy 1.12
        assert ours.uns["leiden"]["modularity"] == theirs.uns["leiden"]["modularity"]


@pytest.mark.parametrize(
    "options",
    [
        {"resolution": 0.4, "random_state": 5},
        {"resolution": 3, "n_iterations": 1},
        {"use_weights": False, "directed": False},
        {"restrict_to": ("louvain", ["NK cells", "B cells"])},
        {"restrict_to": ("louvain", ["CD8 T cells"]), "key_added": "fine"},
        {"obsp": "distances", "flavor": "igraph", "n_iterations": 1, "random_state": 2},
        {"flavor": "igraph", "objective_function": "CPM", "resolution": 0.01},
    ],
)
def test_options_equal_scanpy(data_file, options):
    sc = pytest.importorskip("scanpy", reason="the reference")
    theirs, ours = with_neighbors(sc, data_file(PBMC), "subset")
    sc.tl.leiden(theirs, **options)
    lo.tl.leiden(ours, **options)
    (key,) = set(theirs.uns) & {"leiden", "leiden_R", "fine"}
    assert ours.uns[key]["params"] == theirs.uns[key]["params"]
    pd.testing.assert_series_equal(ours.obs[key], theirs.obs[key])


def test_partition_type_equals_scanpy(data_file):
    sc = pytest.importorskip("scanpy", reason="the reference")
    leidenalg = pytest.importorskip("leidenalg", reason="holds the partition types")
    theirs, ours = with_neighbors(sc, data_file(PBMC), "subset")
    options = {"partition_type": leidenalg.ModularityVertexPartition, "resolution": None}
    sc.tl.leiden(theirs, **options)
    lo.tl.leiden(ours, **options)
    pd.testing.assert_series_equal(ours.obs["leiden"], theirs.obs["leiden"])


def test_named_graph_and_given_graph_agree(data_file):
    ours = lo.read_h5ad(data_file(PBMC))[EVERY_THIRD]
    lo.pp.neighbors(ours, n_neighbors=8, key_added="narrow")
    weights = ours.obsp["narrow_connectivities"]
    quick = {"flavor": "igraph", "n_iterations": 2}
    lo.tl.leiden(ours, neighbors_key="narrow", key_added="a", **quick)
    lo.tl.leiden(ours, obsp="narrow_connectivities", key_added="b", **quick)
    lo.tl.leiden(ours, adjacency=weights, key_added="c", **quick)
    assert (ours.obs["a"] == ours.obs["b"]).all()
    assert (ours.obs["a"] == ours.obs["c"]).all()


def test_graph_stored_in_the_file_is_used(data_file):
    ours = lo.read_h5ad(data_file(PBMC))
    lo.tl.leiden(ours, flavor="igraph", n_iterations=2)
    assert len(ours.obs["leiden"].cat.categories) > 4


def test_categories_are_in_natural_order(data_file):
    ours = lo.read_h5ad(data_file(PBMC))
    lo.tl.leiden(ours, flavor="igraph", n_iterations=2, resolution=6)
    categories = ours.obs["leiden"].cat.categories.tolist()
    assert len(categories) > 11
    assert categories == [str(i) for i in range(len(categories))]


def test_random_state_of_others_stays(data_file):
    ours = lo.read_h5ad(data_file(PBMC))[EVERY_THIRD]
    lo.pp.neighbors(ours)
    random.seed(4)
    np.random.seed(4)  # noqa: NPY002 - the global state is what is tested
    expected = random.Random(4).random(), np.random.RandomState(4).random()
    lo.tl.leiden(ours, flavor="igraph", n_iterations=2)
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"flavor": "louvain"}, ValueError, "flavor must be one of"),
        ({"flavor": "igraph", "directed": True}, ValueError, "undirected graphs only"),
        ({"flavor": "igraph", "partition_type": object}, ValueError, "belongs to"),
        ({"obsp": "connectivities", "neighbors_key": "neighbors"}, ValueError, "give one"),
        ({"obsp": "nothing"}, KeyError, "no 'nothing'"),
        ({"neighbors_key": "nothing"}, ValueError, "no 'nothing'"),
        ({"restrict_to": ("kind", ["z"])}, ValueError, "are no categories"),
        ({"restrict_to": ("kind", "a")}, ValueError, "list of labels"),
        ({"restrict_to": ("sort", ["a"])}, KeyError, "no 'sort'"),
        ({"restrict_to": ("number", ["1"])}, ValueError, "must be categorical"),
    ],
)
def test_bad_arguments(options, error, message):
    obs = {"kind": pd.Categorical(["a", "b"] * 15), "number": range(30)}
    ours = lo.AnnData(np.random.default_rng(0).normal(size=(30, 4)), obs=obs)
    lo.pp.neighbors(ours, n_neighbors=5)
    with pytest.raises(error, match=message):
        lo.tl.leiden(ours, **options)


def test_graph_of_another_size():
    ours = lo.AnnData(np.eye(4))
    with pytest.raises(lo.errors.ShapeError, match=r"shape \(3, 3\), expected \(4, 4\)"):
        lo.tl.leiden(ours, adjacency=np.eye(3))


@pytest.mark.parametrize(("module", "flavor"), [("igraph", "igraph"), ("leidenalg", "leidenalg")])
def test_missing_package(monkeypatch, module, flavor):
    ours = lo.AnnData(np.random.default_rng(0).normal(size=(30, 4)))
    lo.pp.neighbors(ours, n_neighbors=5)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(lo.errors.MissingDependencyError, match=r"lazyomics\[cluster\]"):
        lo.tl.leiden(ours, flavor=flavor)
