"""tl.umap, tl.leiden and tl.louvain of a MuData against leidenalg, and against muon."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo

leidenalg = pytest.importorskip("leidenalg", reason="clusters")


def cells_of(*, partly: bool = False, n_obs: int = 80):
    random = np.random.default_rng(0)
    groups = random.integers(0, 3, n_obs)
    names = np.array([f"c{i}" for i in range(n_obs)])
    mods = {}
    for mod, n_features in {"rna": 6, "adt": 3}.items():
        x = 2 * random.normal(size=(3, n_features))[groups] + random.normal(
            size=(n_obs, n_features)
        )
        chosen = np.arange(n_obs)
        if partly:
            chosen = chosen[12:] if mod == "rna" else random.permutation(chosen[:-8])
        var = {"var_names": [f"{mod}{i}" for i in range(n_features)]}
        obs = {"obs_names": names[chosen]}
        mods[mod] = lo.AnnData(x[chosen].astype("f4"), obs=obs, var=var)
        lo.pp.neighbors(mods[mod], n_neighbors=6, use_rep="X")
    mdata = lo.MuData(mods)
    lo.pp.neighbors(mdata, n_bandwidth_neighbors=5)
    return mdata


def by_leidenalg(mdata, *, seed=0, resolutions=(1, 1), weights=None, n_iterations=2):
    """Labels of the cells: graphs are made of the names of cells, edge by edge."""
    import igraph

    names = list(mdata.obs_names)
    parts = []
    for adata, resolution in zip(mdata.mod.values(), resolutions, strict=True):
        graph = adata.obsp["connectivities"].tocoo()
        ends = [[names.index(c) for c in adata.obs_names[k]] for k in (graph.row, graph.col)]
        edges = sorted(zip(*ends, strict=True))
        network = igraph.Graph(n=len(names), edges=edges, directed=True)
        kind = leidenalg.RBConfigurationVertexPartition
        parts.append(kind(network, resolution_parameter=resolution))
    optimiser = leidenalg.Optimiser()
    optimiser.set_rng_seed(seed)
    optimiser.optimise_partition_multiplex(parts, weights, n_iterations=n_iterations)
    return [str(label) for label in parts[0].membership]


OPTIONS = [
    ({}, {}),
    ({"resolution": 0.5, "random_state": 3}, {"resolutions": (0.5, 0.5), "seed": 3}),
    ({"resolution": [0.4, 2], "n_iterations": -1}, {"resolutions": (0.4, 2), "n_iterations": -1}),
    (
        {"resolution": {"adt": 2.0, "rna": 0.4}, "mod_weights": {"adt": 0.2}},
        {"resolutions": (0.4, 2), "weights": [1, 0.2]},
    ),
]


@pytest.mark.parametrize("partly", [False, True])
@pytest.mark.parametrize(("options", "theirs"), OPTIONS)
def test_labels_are_leidenalgs(options: dict, theirs: dict, partly: bool) -> None:
    mdata = cells_of(partly=partly)
    copied = lo.tl.leiden(mdata, key_added="group", copy=True, **options)
    assert "group" not in mdata.obs_keys()
    assert lo.tl.leiden(mdata, key_added="group", **options) is None
    assert mdata.obs["group"].tolist() == by_leidenalg(mdata, **theirs)
    assert mdata.obs["group"].cat.categories[0] == "0"
    pd.testing.assert_series_equal(copied.obs["group"], mdata.obs["group"])
    params = mdata.uns["leiden"]["params"]
    assert params["resolution"] == options.get("resolution")
    assert params["partition_improvement"] > 0


@pytest.mark.parametrize(
    "options",
    [
        {"random_state": 3},
        {"random_state": 1, "resolution": [0.4, 2.0], "mod_weights": [1, 0.2]},
        {"random_state": 1, "resolution": {"rna": 0.4, "adt": 2}, "n_iterations": 1},
        {"random_state": 2, "directed": False, "partition_kwargs": {"weights": "weight"}},
        {"random_state": 2, "partition_type": leidenalg.ModularityVertexPartition},
    ],
)
def test_leiden_equals_muon(options: dict) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        muon = pytest.importorskip("muon", reason="the reference")
        ours = cells_of()
        theirs = ours.to_mudata()
        muon.tl.leiden(theirs, key_added="group", **options)
    lo.tl.leiden(ours, key_added="group", **options)
    assert ours.obs["group"].tolist() == theirs.obs["group"].tolist()
    assert list(ours.obs["group"].cat.categories) == list(theirs.obs["group"].cat.categories)
    found, expected = ours.uns["leiden"]["params"], theirs.uns["leiden"]["params"]
    assert found == pytest.approx(expected) if "resolution" not in options else found.keys()


@pytest.mark.parametrize("verb", ["leiden", "louvain"])
@pytest.mark.parametrize("key", ["obsp", "neighbors_key", "adjacency"])
def test_the_joint_graph_is_clustered_as_that_of_an_anndata(verb: str, key: str) -> None:
    mdata = cells_of()
    lo.pp.neighbors(mdata, n_bandwidth_neighbors=5, key_added="wnn")
    graph = mdata.obsp["wnn_connectivities"]
    chosen = {"obsp": "wnn_connectivities", "neighbors_key": "wnn", "adjacency": graph}[key]
    getattr(lo.tl, verb)(mdata, **{key: chosen}, resolution=0.7)
    alone = lo.AnnData(np.zeros((80, 1)), obsp={"connectivities": graph})
    getattr(lo.tl, verb)(alone, obsp="connectivities", resolution=0.7)
    assert mdata.obs[verb].tolist() == alone.obs[verb].tolist()
    assert mdata.uns[verb]["params"] == alone.uns[verb]["params"]
    with pytest.raises(TypeError, match="of arrays of the whole takes no mod_weights"):
        lo.tl.leiden(mdata, **{key: chosen}, mod_weights=[1, 2])


def test_what_cannot_be_is_refused() -> None:
    mdata = cells_of()
    for options, message in (
        ({"resolution": [1, 2, 3]}, r"resolution has 3 values for 2 modalities"),
        ({"resolution": {"rna": 1}}, r"resolution is given for \['rna'\]"),
        ({"mod_weights": {"protein": 1}}, r"mod_weights is given for \['protein'\]"),
        ({"neighbors_key": "other"}, r"mod\['rna'\]\.uns has no 'other'"),
    ):
        with pytest.raises(ValueError, match=message):
            lo.tl.leiden(mdata, **options)
    with pytest.raises(TypeError, match="of a MuData takes no use_weights"):
        lo.tl.leiden(mdata, use_weights=False)
    with pytest.raises(TypeError, match="of an AnnData takes no mod_weights"):
        lo.tl.leiden(mdata.mod["rna"], mod_weights=[1])
    assert "leiden" not in mdata.uns


def test_umap_keeps_groups_apart_and_says_what_it_did() -> None:
    mdata = cells_of()
    copied = lo.tl.umap(mdata, copy=True)
    assert "X_umap" not in mdata.obsm
    lo.tl.umap(mdata, 0.5, 1.0, 2)
    assert mdata.uns["umap"]["params"]["random_state"] == 42
    np.testing.assert_array_equal(copied.obsm["X_umap"], mdata.obsm["X_umap"])
    alone = lo.AnnData(np.zeros((80, 1)), obsp=dict(mdata.obsp), uns=dict(mdata.uns))
    lo.tl.umap(alone, random_state=42)
    np.testing.assert_array_equal(alone.obsm["X_umap"], mdata.obsm["X_umap"])
    with pytest.raises(ValueError, match="has no 'wnn'"):
        lo.tl.umap(mdata, neighbors_key="wnn")


@pytest.mark.parametrize("partly", [False, True])
def test_a_start_by_the_representations_beside_each_other(partly: bool) -> None:
    mdata = cells_of(partly=partly)
    joint = np.full((80, 9), np.nan, "f4")
    for mod, columns in (("rna", slice(0, 6)), ("adt", slice(6, 9))):
        adata = mdata.mod[mod]
        joint[:, columns] = np.asarray(adata.X).mean(axis=0)
        joint[mdata.obs_names.get_indexer(adata.obs_names), columns] = adata.X
    alone = lo.AnnData(joint, obsp=dict(mdata.obsp), uns=dict(mdata.uns))
    alone.uns["neighbors"] = {**alone.uns["neighbors"], "params": {"use_rep": "X"}}
    for data in (mdata, alone):
        lo.tl.umap(data, init_pos="pca", random_state=1, maxiter=5)
    np.testing.assert_allclose(mdata.obsm["X_umap"], alone.obsm["X_umap"], atol=1e-3)


def test_umap_learns_coordinates_are_muons() -> None:
    pytest.importorskip("umap", reason="computes them")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        muon = pytest.importorskip("muon", reason="the reference")
        ours = cells_of()
        theirs = ours.to_mudata()
        muon.tl.umap(theirs, maxiter=20)
    lo.tl.umap(ours, maxiter=20, method="umap-learn")
    np.testing.assert_allclose(ours.obsm["X_umap"], theirs.obsm["X_umap"], atol=1e-3)
    assert ours.uns["umap"]["params"] == pytest.approx(dict(theirs.uns["umap"]["params"]))


def test_results_are_saved(tmp_path) -> None:
    mdata = cells_of()
    mdata.write(tmp_path / "x.h5mu")
    opened = lo.read_h5mu(tmp_path / "x.h5mu")
    lo.tl.umap(opened)
    lo.tl.leiden(opened, resolution={"rna": 0.4, "adt": 2})
    opened.write()
    again = lo.read_h5mu(tmp_path / "x.h5mu")
    np.testing.assert_array_equal(again.obsm["X_umap"], opened.obsm["X_umap"])
    assert again.obs["leiden"].tolist() == opened.obs["leiden"].tolist()
    assert again.uns["leiden"]["params"]["resolution"] == {"rna": 0.4, "adt": 2}
