"""tl.paga and measures of its graph against scanpy, from the same graph, and their refusals."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import lazyomics as lo
from lazyomics.graph.abstraction import neighbor_lists, shortest_path
from tests.tl.trajectories import branched, for_scanpy

pytestmark = pytest.mark.filterwarnings(
    "ignore:The 'future.infer_string' option:DeprecationWarning"
)


@pytest.fixture(scope="module")
def sc():
    scanpy = pytest.importorskip("scanpy", reason="the reference")
    scanpy.settings.verbosity = 0
    logging.getLogger("scanpy").setLevel(logging.CRITICAL)
    return scanpy


def grouped(n_groups=7, **options):
    """Cells in groups "0", "1", … along the arms, and a velocity graph."""
    adata = branched(**options)
    random = np.random.default_rng(1)
    labels = adata.obs["arm"].cat.codes.to_numpy() * 3 + (random.random(adata.n_obs) < 0.5)
    numbers = np.unique(labels, return_inverse=True)[1] % n_groups
    adata.obs["leiden"] = pd.Categorical(numbers.astype("U"))
    graph = adata.obsp["connectivities"].copy()
    graph.data = np.where(random.random(graph.nnz) < 0.6, graph.data, 0)
    adata.uns["velocity_graph"] = graph
    return adata


def same_matrix(found, expected):
    assert type(found) is type(expected)
    assert found.dtype == expected.dtype
    for part in ("indptr", "indices"):
        np.testing.assert_array_equal(getattr(found, part), getattr(expected, part))
    np.testing.assert_allclose(found.data, expected.data, rtol=1e-12)


def same_entry(ours, theirs):
    assert set(ours.uns["paga"]) == set(theirs.uns["paga"])
    for name, expected in theirs.uns["paga"].items():
        if name == "groups":
            assert ours.uns["paga"]["groups"] == expected
        else:
            same_matrix(ours.uns["paga"][name], expected)


@pytest.mark.parametrize("groups", [None, "arm", "text"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"model": "v1.0"},
        {"use_rna_velocity": True},
        {"model": "v1.0", "neighbors_key": "other", "copy": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["connected", "parts"])
def test_is_scanpys(sc, kind, options, groups):
    ours = grouped(apart=30) if kind == "parts" else grouped()
    if "neighbors_key" in options:
        ours.uns["other"] = {
            key: value for key, value in ours.uns["neighbors"].items() if key != "params"
        }
    theirs = for_scanpy(ours)
    expected = sc.tl.paga(theirs, groups, **options) or theirs
    found = lo.tl.paga(ours, groups, **options) or ours
    same_entry(found, expected)
    key = f"{found.uns['paga']['groups']}_sizes"
    assert (key in found.uns) == (key in expected.uns)
    if key in expected.uns:
        np.testing.assert_array_equal(found.uns[key], expected.uns[key])
        assert found.uns[key].dtype == expected.uns[key].dtype
    name = groups or "leiden"
    assert isinstance(found.obs[name].dtype, pd.CategoricalDtype)
    assert list(found.obs[name].cat.categories) == list(expected.obs[name].cat.categories)
    assert ("paga" in ours.uns) == (not options.get("copy"))


def test_both_kinds_of_edges_and_a_file(sc, tmp_path):
    ours = grouped()
    ours.uns["velocyto_transitions"] = ours.uns.pop("velocity_graph")
    ours.write_h5ad(tmp_path / "a.h5ad")
    opened = lo.read_h5ad(tmp_path / "a.h5ad")
    some = np.arange(ours.n_obs) % 5 > 0
    for adata in (opened, opened[some]):
        theirs = for_scanpy(adata)
        if adata is not opened:  # uns is not cut
            adata.uns["velocyto_transitions"] = ours.uns["velocyto_transitions"][some][:, some]
            theirs.uns["velocyto_transitions"] = adata.uns["velocyto_transitions"]
        for options in ({}, {"use_rna_velocity": True}):
            sc.tl.paga(theirs, "leiden", **options)
            lo.tl.paga(adata, "leiden", **options)
        same_entry(adata, theirs)
        assert "velocity_graph" in adata.uns
    opened.write()
    again = lo.read_h5ad(tmp_path / "a.h5ad")
    assert lo.tl.paga_degrees(again) == lo.tl.paga_degrees(opened)


def test_distances_of_zero_are_edges_and_unused_categories_have_rows(sc):
    ours = grouped()
    ours.obsp["distances"].data[::4] = 0
    theirs = for_scanpy(ours)
    sc.tl.paga(theirs, "leiden")
    lo.tl.paga(ours, "leiden")
    same_entry(ours, theirs)
    ours.obs["leiden"] = ours.obs["leiden"].cat.add_categories(["none"])
    more = lo.tl.paga(ours, "leiden", copy=True).uns["paga"]["connectivities"].toarray()
    np.testing.assert_array_equal(more[:-1, :-1], ours.uns["paga"]["connectivities"].toarray())
    assert not more[-1].any()


@pytest.mark.parametrize("key", ["connectivities", "connectivities_tree"])
def test_measures_are_scanpys(sc, key):
    one, two = grouped(seed=1), grouped(seed=1)
    moved = np.random.default_rng(2).random(two.n_obs) < 0.3
    numbers = np.where(moved, 2, two.obs["leiden"].cat.codes)
    two.obs["leiden"] = pd.Categorical(numbers.astype("U"))
    for adata in (one, two):
        lo.tl.paga(adata)
    theirs = [for_scanpy(adata) for adata in (one, two)]
    for ours, reference in ((one, theirs[0]), (two, theirs[1])):
        expected = sc.tl.paga_degrees(reference)
        np.testing.assert_allclose(lo.tl.paga_degrees(ours), expected, rtol=1e-12)
    for pair in ((0, 1), (1, 0), (0, 0)):
        expected = sc.tl.paga_compare_paths(*[theirs[k] for k in pair], key)
        found = lo.tl.paga_compare_paths(*[(one, two)[k] for k in pair], key)
        np.testing.assert_equal(tuple(found), tuple(expected))
        assert found._fields == expected._fields


def test_entropies_are_those_of_arrays(tmp_path, count_passes):
    """scanpy's needs numpy.matrix, whose medians fail, or are the matrix itself."""
    from scipy.stats import entropy

    ours = grouped()
    lo.tl.paga(ours)
    x, expected = for_scanpy(ours).X.toarray(), []
    for name in ours.obs["leiden"].cat.categories:
        cells = np.median(x[(ours.obs["leiden"] == name).to_numpy()], axis=1)
        expected.append(entropy((cells - cells.min()) / (cells.max() - cells.min())))
    ours.write_h5ad(tmp_path / "a.h5ad")
    opened = lo.read_h5ad(tmp_path / "a.h5ad")
    with count_passes(tmp_path / "a.h5ad") as passes:
        found = lo.tl.paga_expression_entropies(opened)
    assert passes.values <= 1.01
    assert all(type(value) is float for value in found)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_paths_are_those_of_networkx():
    nx = pytest.importorskip("networkx", reason="the reference")
    random = np.random.default_rng(0)
    for _ in range(20):
        graph = sparse.csr_matrix((random.random((9, 9)) < 0.15).astype(float))
        theirs, lists = nx.Graph(graph), neighbor_lists(graph)
        assert [list(theirs.adj[k]) for k in range(9)] == [list(near) for near in lists]
        for source in range(9):
            for target in range(9):
                try:
                    expected = nx.shortest_path(theirs, source, target)
                except nx.NetworkXNoPath:
                    expected = None
                assert shortest_path(lists, source, target) == expected


def drop(name):
    return lambda adata: adata.uns.pop(name)


def without_a_group(adata):
    adata.obs["leiden"] = adata.obs["leiden"].cat.remove_categories(["1"])


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        (drop("neighbors"), {}, ValueError, "has no 'neighbors'"),
        (lambda a: a.obs.pop("leiden"), {}, ValueError, "tl.leiden"),
        (None, {"groups": "nothing"}, KeyError, "no 'nothing'"),
        (None, {"groups": "score"}, ValueError, "must be categorical"),
        (None, {"model": "v2"}, ValueError, "model must be one of"),
        (drop("velocity_graph"), {"use_rna_velocity": True}, ValueError, "velocity_graph"),
        (
            lambda a: a.uns.update(velocity_graph=sparse.eye(3, format="csr")),
            {"use_rna_velocity": True},
            lo.errors.ShapeError,
            "has shape",
        ),
        (lambda a: a.obsp.pop("distances"), {}, ValueError, "no 'distances'"),
        (
            without_a_group,
            {},
            ValueError,
            "cells have no group",
        ),
    ],
)
def test_refusals_change_nothing(change, options, error, message):
    ours = grouped()
    if change is not None:
        change(ours)
    with pytest.raises(error, match=message):
        lo.tl.paga(ours, **options)
    assert "paga" not in ours.uns


def test_refusals_of_measures():
    ours = grouped()
    with pytest.raises(ValueError, match="has no 'paga'"):
        lo.tl.paga_degrees(ours)
    lo.tl.paga(ours)
    with pytest.raises(ValueError, match=r"no 'other'; there are \['connectivities'"):
        lo.tl.paga_compare_paths(ours, ours, "other")
    with pytest.raises(ValueError, match="found 180 and 90"):
        lo.tl.paga_compare_paths(ours, ours[::2])
    del ours.obs["leiden"]
    with pytest.raises(ValueError, match="no categorical column 'leiden'"):
        lo.tl.paga_expression_entropies(ours)
