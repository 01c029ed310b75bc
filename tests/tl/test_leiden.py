"""tl.leiden against scanpy on real cells, and its refusals."""

from __future__ import annotations

import random
import sys

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import lazyomics as lo
from lazyomics.graph.communities import as_network, joined_network

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
def test_equals_scanpy(data_file, how):
    sc = pytest.importorskip("scanpy", reason="the reference")
    theirs, ours = with_neighbors(sc, data_file(PBMC), how)
    sc.tl.leiden(theirs)
    assert lo.tl.leiden(ours) is None
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


def modularity(adjacency, labels, resolution=1.0):
    """Of an undirected graph, by its definition."""
    both = np.asarray((adjacency + adjacency.T).todense(), dtype="f8")
    degrees = both.sum(axis=1)
    together = np.equal.outer(labels.to_numpy(), labels.to_numpy())
    expected = resolution * np.outer(degrees, degrees) / both.sum()
    return ((both - expected) * together).sum() / both.sum()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"resolution": 2.5, "n_iterations": -1},
        {"use_weights": False, "random_state": 3},
        {"obsp": "distances", "random_state": 2},
        {"restrict_to": ("louvain", ["CD4 T cells", "B cells"])},
    ],
)
def test_igraph_finds_communities_as_good_as_scanpys(data_file, options):
    sc = pytest.importorskip("scanpy", reason="the reference")
    theirs, ours = with_neighbors(sc, data_file(PBMC), "subset")
    options = {"flavor": "igraph", "n_iterations": 2, "key_added": "found", **options}
    sc.tl.leiden(theirs, **options)
    lo.tl.leiden(ours, **options)
    assert ours.uns["found"]["params"] == theirs.uns["found"]["params"]
    graph = theirs.obsp[options.get("obsp", "connectivities")].copy()
    if options.get("use_weights") is False:
        graph.data[:] = 1
    rows = np.ones(theirs.n_obs, dtype=bool)
    if "restrict_to" in options:
        rows = theirs.obs["louvain"].isin(options["restrict_to"][1]).to_numpy()
        assert (
            ours.obs["found"][~rows].astype(str) == theirs.obs["found"][~rows].astype(str)
        ).all()
    graph = graph[rows][:, rows]
    at = options.get("resolution", 1.0)
    reached = [modularity(graph, a.obs["found"][rows], at) for a in (ours, theirs)]
    assert ours.uns["found"]["modularity"] == pytest.approx(reached[0], abs=1e-6)
    assert reached[0] >= reached[1] - 0.005 * abs(reached[1])


def test_other_objective_means_what_it_means_in_scanpy(data_file):
    """Each edge once, of the weight of both: CPM weighs them against the number of cells."""
    sc = pytest.importorskip("scanpy", reason="the reference")
    theirs, ours = with_neighbors(sc, data_file(PBMC), "subset")
    options = {"flavor": "igraph", "objective_function": "CPM", "resolution": 0.03}
    sc.tl.leiden(theirs, **options)
    lo.tl.leiden(ours, **options)
    numbers = [len(a.obs["leiden"].cat.categories) for a in (ours, theirs)]
    assert numbers[0] == pytest.approx(numbers[1], rel=0.1)


def test_one_edge_for_two_is_worth_the_same():
    igraph = pytest.importorskip("igraph", reason="the reference")
    graph = sparse.random(40, 40, 0.2, format="csr", random_state=0)
    labels = np.random.default_rng(0).integers(0, 5, 40)
    for use_weights in (True, False):
        twice, weights = as_network(graph, directed=False)
        once, joined = joined_network(graph, use_weights=use_weights)
        weights = weights if use_weights else np.ones(len(weights))
        assert once.ecount() < twice.ecount()
        assert not any(once.is_multiple())
        values = [
            igraph.VertexClustering(
                network, labels, modularity_params={"weights": w.tolist()}
            ).modularity
            for network, w in ((twice, weights), (once, joined))
        ]
        assert values[0] == pytest.approx(values[1], abs=1e-12)


@pytest.mark.parametrize("verb", [lo.tl.leiden, lo.tl.louvain])
def test_seeds_of_igraph(data_file, verb):
    ours = lo.read_h5ad(data_file(PBMC))[EVERY_THIRD]
    lo.pp.neighbors(ours)
    found = []
    for state in (1, 1, np.random.RandomState(1), np.random.RandomState(1)):
        verb(ours, random_state=state, key_added="k", flavor="igraph")
        found.append(ours.obs["k"].tolist())
    assert found[0] == found[1]
    assert found[2] == found[3]
    with pytest.raises(TypeError, match="random_state must be a whole number"):
        verb(ours, random_state="1", flavor="igraph")


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
