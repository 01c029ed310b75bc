"""tl.diffmap and tl.dpt against scanpy, from the same graph, and their refusals."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo
from lazyomics.graph.diffusion import symmetric_walk
from tests.tl.trajectories import branched, for_scanpy

pytestmark = pytest.mark.filterwarnings(
    "ignore:The 'future.infer_string' option:DeprecationWarning"
)

PBMC = "rebuilt_pbmc3k_processed.h5ad"


@pytest.fixture(scope="module")
def sc():
    scanpy = pytest.importorskip("scanpy", reason="the reference")
    scanpy.settings.verbosity = 0
    logging.getLogger("scanpy").setLevel(logging.CRITICAL)
    return scanpy


def same_map(ours, theirs):
    for found, expected in (
        (ours.obsm["X_diffmap"], theirs.obsm["X_diffmap"]),
        (ours.uns["diffmap_evals"], theirs.uns["diffmap_evals"]),
    ):
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("how", "options", "seed"),
    [
        ("backed", {}, lambda: 0),
        ("memory", {"n_comps": 5}, lambda: 3),
        ("subset", {}, lambda: np.random.RandomState(4)),
    ],
)
def test_components_are_scanpys(sc, data_file, how, options, seed):
    anndata = pytest.importorskip("anndata", reason="compares with scanpy's container")
    path = data_file(PBMC)
    theirs, ours = anndata.read_h5ad(path), lo.read_h5ad(path, backed=how != "memory")
    if how == "subset":
        most = np.arange(ours.n_obs) % 10 > 0
        theirs, ours = theirs[most].copy(), ours[most]
    sc.tl.diffmap(theirs, random_state=seed(), **options)
    assert lo.tl.diffmap(ours, random_state=seed(), **options) is None
    same_map(ours, theirs)


@pytest.mark.parametrize("change", ["integers", "dense", "another key", "few cells"])
def test_other_graphs(sc, change):
    ours, options = branched(), {}
    if change == "few cells":
        ours = branched(4, arms=2, n_neighbors=4)
    weights = ours.obsp["connectivities"]
    if change == "integers":
        ours.obsp["connectivities"] = weights.ceil().astype(np.int64)
    if change == "dense":
        ours.obsp["connectivities"] = weights.toarray()
    if change == "another key":
        ours.obsp["w"], options = weights, {"neighbors_key": "other"}
        ours.uns["other"] = {**ours.uns["neighbors"], "connectivities_key": "w"}
        del ours.uns["neighbors"]
    theirs = for_scanpy(ours)
    sc.tl.diffmap(theirs, **options)
    found = lo.tl.diffmap(ours, copy=True, **options)
    assert "X_diffmap" not in ours.obsm
    same_map(found, theirs)


def test_parts_and_lonely_cells():
    ours = branched(apart=30)
    with pytest.warns(UserWarning, match="falls into 2 parts"):
        lo.tl.diffmap(ours, n_comps=3)
    np.testing.assert_allclose(ours.uns["diffmap_evals"][:2], 1, rtol=1e-6)
    graph = ours.obsp["connectivities"].tolil()
    graph[5] = 0
    graph[:, 5] = 0
    walk = symmetric_walk(graph.tocsr())
    assert np.isfinite(walk.data).all()
    assert walk[5].nnz == 0


def same_pseudotime(ours, theirs, keys=("iroot",)):
    assert set(ours.obs) == set(theirs.obs)
    for name in set(ours.obs) & {"dpt_pseudotime", "dpt_order", "dpt_order_indices"}:
        np.testing.assert_array_equal(ours.obs[name], theirs.obs[name], err_msg=name)
        assert ours.obs[name].dtype == theirs.obs[name].dtype
    if "dpt_groups" in theirs.obs:
        found, expected = ours.obs["dpt_groups"], theirs.obs["dpt_groups"]
        pd.testing.assert_index_equal(found.cat.categories, expected.cat.categories)
        np.testing.assert_array_equal(found.cat.codes, expected.cat.codes)
        for name in ("dpt_changepoints", "dpt_grouptips"):
            np.testing.assert_array_equal(ours.uns[name], theirs.uns[name], err_msg=name)
            assert ours.uns[name].dtype == theirs.uns[name].dtype
    assert all(ours.uns[key] == theirs.uns[key] for key in keys)


@pytest.mark.parametrize("n_branchings", [0, 1, 3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_dcs": 5, "min_group_size": 30},
        {"allow_kendall_tau_shift": False, "min_group_size": 0.1, "copy": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["one part", "two parts", "four arms"])
def test_pseudotime_and_groups_are_scanpys(sc, kind, options, n_branchings):
    sizes = {"one part": {}, "two parts": {"apart": 30}, "four arms": {"arms": 4, "seed": 3}}
    ours = branched(**sizes[kind])
    lo.tl.diffmap(ours)
    theirs = for_scanpy(ours)
    call = {"n_branchings": n_branchings, **options}
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = sc.tl.dpt(theirs, **call)
    except ValueError:  # it takes the maximum of no values
        with pytest.raises(ValueError, match="n_branchings"):
            lo.tl.dpt(ours, **call)
        return
    found = lo.tl.dpt(ours, **call)
    if options.get("copy"):
        assert "dpt_pseudotime" not in ours.obs
    same_pseudotime(found or ours, expected or theirs)


@pytest.mark.parametrize("backed", [True, False])
def test_without_a_map_and_from_a_file(sc, tmp_path, caplog, backed):
    branched().write_h5ad(tmp_path / "a.h5ad")
    ours = lo.read_h5ad(tmp_path / "a.h5ad", backed=backed)
    theirs = for_scanpy(ours)
    sc.tl.dpt(theirs, n_branchings=1)
    with caplog.at_level(logging.WARNING, logger="lazyomics"):
        lo.tl.dpt(ours, n_branchings=1)
    assert "computing 15 diffusion components" in caplog.text
    same_map(ours, theirs)
    np.testing.assert_allclose(ours.obs["dpt_pseudotime"], theirs.obs["dpt_pseudotime"], atol=1e-5)
    np.testing.assert_array_equal(ours.obs["dpt_groups"], theirs.obs["dpt_groups"])
    if backed:
        ours.write()
        again = lo.read_h5ad(tmp_path / "a.h5ad")
        np.testing.assert_array_equal(again.obs["dpt_pseudotime"], ours.obs["dpt_pseudotime"])


def test_root_by_its_profile(sc, tmp_path, count_passes, caplog):
    ours = branched(sparse_x=False)
    lo.tl.diffmap(ours)
    root = ours.uns.pop("iroot")
    ours.var["xroot"] = np.asarray(ours.X[root]) + np.float32(0.01)
    theirs = for_scanpy(ours)
    sc.tl.dpt(theirs)
    ours.write_h5ad(tmp_path / "a.h5ad")
    opened = lo.read_h5ad(tmp_path / "a.h5ad")
    with count_passes(tmp_path / "a.h5ad") as passes:
        lo.tl.dpt(opened)
    assert passes.values <= 1.01
    assert opened.uns["iroot"] == root == theirs.uns["iroot"]
    same_pseudotime(opened, theirs)
    del ours.var["xroot"]
    with caplog.at_level(logging.WARNING, logger="lazyomics"):
        lo.tl.dpt(ours, n_branchings=1)
    assert "no root cell" in caplog.text
    theirs = for_scanpy(ours)
    del theirs.obs["dpt_groups"]
    sc.tl.dpt(theirs, n_branchings=1)
    same_pseudotime(ours, theirs, keys=())


def test_a_root_that_nothing_reaches():
    ours = branched()
    graph = ours.obsp["connectivities"].tolil()
    graph[7] = 0
    graph[:, 7] = 0
    ours.obsp["connectivities"] = graph.tocsr()
    ours.uns["iroot"] = 7
    lo.tl.diffmap(ours)
    lo.tl.dpt(ours)
    times = ours.obs["dpt_pseudotime"].to_numpy()
    assert times[7] == 0
    assert np.isinf(np.delete(times, 7)).all()


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda a: a.uns.pop("neighbors"), {}, "has no 'neighbors'"),
        (lambda a: a.uns.update(iroot=999), {}, "is 999, expected the number of a cell"),
        (lambda a: a.uns.update(iroot="c3"), {}, "is 'c3', expected the number of a cell"),
        (lambda a: a.uns.pop("diffmap_evals"), {}, "no 'diffmap_evals'"),
        (lambda a: a.uns.update(diffmap_evals=np.ones(3)), {}, "run lo.tl.diffmap again"),
        (lambda a: a.obsm["X_diffmap"].fill(np.nan), {}, "NaN or infinite"),
        (lambda a: None, {"n_dcs": 16}, "there are 15 diffusion components"),
        (lambda a: None, {"n_dcs": 0}, "must be positive"),
        (lambda a: None, {"n_branchings": 20, "min_group_size": 1}, "n_branchings"),
    ],
)
def test_refusals_change_nothing(change, options, message):
    ours = branched()
    lo.tl.diffmap(ours)
    change(ours)
    with pytest.raises(ValueError, match=message):
        lo.tl.dpt(ours, **options)
    assert not {name for name in ours.obs if name.startswith("dpt")}


def test_refusals_of_diffmap():
    ours = branched()
    with pytest.raises(ValueError, match="at least 3, found 2"):
        lo.tl.diffmap(ours, n_comps=2)
    with pytest.raises(ValueError, match="has no 'other'"):
        lo.tl.diffmap(ours, neighbors_key="other")
    ours.obsp["connectivities"].data[3] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite"):
        lo.tl.diffmap(ours)
