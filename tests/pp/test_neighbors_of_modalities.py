"""pp.neighbors of a MuData against muon, and against the definition written out in NumPy."""

from __future__ import annotations

import importlib
import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist

import lazyomics as lo
from lazyomics.lazy import materialize

CITESEQ = "rebuilt_pbmc1k_citeseq.h5mu"
FEATURES = {"rna": 6, "adt": 3}


def cells_of(*, partly: bool, n_obs: int = 90):
    """Modalities with groups of cells; partly: of different cells, in different orders."""
    random = np.random.default_rng(0)
    groups = random.integers(0, 3, n_obs)
    mods = {}
    for mod, n_features in FEATURES.items():
        x = 3 * random.normal(size=(3, n_features))[groups] + random.normal(
            size=(n_obs, n_features)
        )
        names = np.array([f"c{i}" for i in range(n_obs)])
        chosen = np.arange(n_obs)
        if partly:
            chosen = chosen[12:] if mod == "rna" else random.permutation(chosen[:-8])
        features = [f"{mod}{i}" for i in range(n_features)]
        mods[mod] = lo.AnnData(
            x[chosen].astype("f4"),
            obs={"obs_names": names[chosen]},
            var={"var_names": features},
        )
        lo.pp.neighbors(mods[mod], n_neighbors=8 if mod == "rna" else 6, use_rep="X")
    return lo.MuData(mods)


def by_definition(mdata, k, *, n_edge=20, n_candidates=200, eps=1e-4, metric="euclidean"):
    """Weights and nearest k others of each cell, cell by cell."""
    names = list(mdata.obs_names)
    where, x, near, apart, width, first = {}, {}, {}, {}, {}, {}
    for m, adata in mdata.mod.items():
        where[m] = {c: i for i, c in enumerate(adata.obs_names)}
        x[m] = np.asarray(adata.X, dtype="f8")
        apart[m] = cdist(x[m], x[m])
        graph = adata.obsp["distances"].tocsr()
        near[m] = [set(graph[i].indices.tolist()) for i in range(len(x[m]))]
        first[m] = np.array([graph[i].data.min() for i in range(len(x[m]))])
        width[m] = np.empty(len(x[m]))
        for i, mine in enumerate(near[m]):
            shared = [
                (len(mine & others) / len(mine | others), -apart[m][i, j], j)
                for j, others in enumerate(near[m])
                if j != i and mine & others
            ]
            edge = [j for *_, j in sorted(shared)[:n_edge]] or sorted(mine)
            width[m][i] = apart[m][i, edge].mean()

    def theta(cell, m, other):
        if cell not in where[other]:
            return -np.inf
        names_there = mdata.mod[other].obs_names
        beside = [names_there[j] for j in near[other][where[other][cell]]]
        rows = [where[m][c] for c in beside if c in where[m]]
        if not rows:
            return -np.inf
        i = where[m][cell]
        beyond = max(np.linalg.norm(x[m][i] - x[m][rows].mean(axis=0)) - first[m][i], 0)
        return np.exp(-beyond / (width[m][i] - first[m][i]))

    mods = list(mdata.mod)
    weights = np.zeros((len(names), len(mods)))
    nearest, lengths = [], []
    for n, cell in enumerate(names):
        here = [m for m in mods if cell in where[m]]
        ratio = {
            m: theta(cell, m, m) / (max(theta(cell, m, o) for o in mods if o != m) + eps)
            for m in here
        }
        total = sum(np.exp(r) for r in ratio.values())
        likeness = {}
        for m in here:
            weights[n, mods.index(m)] = np.exp(ratio[m]) / total
            others = np.argsort(apart[m][where[m][cell]], kind="stable")[1 : n_candidates + 1]
            likeness.update(dict.fromkeys((mdata.mod[m].obs_names[j] for j in others), 0.0))
        for other in likeness:
            for m in here:
                if other in where[m]:
                    i, j = where[m][cell], where[m][other]
                    d = cdist(x[m][[i]], x[m][[j]], metric)[0, 0]
                    likeness[other] += weights[n, mods.index(m)] * np.exp(-d / width[m][i])
        best = sorted(likeness, key=lambda c: -likeness[c])[:k]
        nearest.append([names.index(c) for c in best])
        lengths.append([np.sqrt((1 - likeness[c]) / 2) for c in best])
    return weights, np.array(nearest), np.array(lengths)


@pytest.mark.parametrize("partly", [False, True])
@pytest.mark.parametrize(
    ("options", "ours"),
    [
        ({}, {}),
        ({"n_edge": 5, "n_candidates": 12}, {"n_bandwidth_neighbors": 5, "n_multineighbors": 12}),
        ({"eps": 0.5, "metric": "cityblock"}, {"eps": 0.5, "metric": "cityblock"}),
    ],
)
def test_is_the_definition(partly: bool, options: dict, ours: dict) -> None:
    mdata = cells_of(partly=partly)
    assert lo.pp.neighbors(mdata, **ours) is None
    k = mdata.uns["neighbors"]["params"]["n_neighbors"] + 1
    assert k == 8  # the mean of 8 and 6, and one more
    weights, nearest, lengths = by_definition(mdata, k, **options)
    for i, mod in enumerate(mdata.mod):
        np.testing.assert_allclose(mdata.obs[f"{mod}:mod_weight"], weights[:, i], atol=2e-6)
    found = mdata.obsp["distances"]
    np.testing.assert_array_equal(found.indices.reshape(-1, k), nearest)
    np.testing.assert_allclose(found.data.reshape(-1, k), lengths, atol=2e-6)
    graph = mdata.obsp["connectivities"]
    assert abs(graph - graph.T).max() == 0
    assert graph.dtype == found.dtype == np.float32


def exactly(x, n_neighbors, metric, metric_kwds, **options):
    """Stand in for umap-learn's approximate search, whose result is another on each machine."""
    if callable(metric):
        rest = tuple(metric_kwds.values())
        apart = np.array([[metric(a, b, *rest) for b in x] for a in x])
    else:
        apart = cdist(x, x)
        np.fill_diagonal(apart, -1)
    nearest = np.argsort(apart, axis=1, kind="stable")[:, :n_neighbors]
    return nearest, np.take_along_axis(apart, nearest, axis=1).astype("f4"), None


@pytest.fixture
def muon(monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pytest.importorskip("muon", reason="the reference")
    inside = importlib.import_module(found.pp.neighbors.__module__)
    monkeypatch.setattr(inside, "nearest_neighbors", exactly)
    return found


def compare(muon, mdata, **options):
    """Run both; indices are sorted because muon counts shared neighbours right only then."""
    for adata in mdata.mod.values():
        graph = sparse.csr_matrix(materialize(adata.obsp["distances"]), copy=True)
        graph.sort_indices()
        adata.obsp["distances"] = graph
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = mdata.to_mudata()
        expected = muon.pp.neighbors(theirs, **options)
    found = lo.pp.neighbors(mdata, **options)
    assert (found is None) == (expected is None)
    return (theirs if expected is None else expected), (mdata if found is None else found)


@pytest.mark.parametrize(
    ("key", "options"),
    [
        (None, {}),
        ("wnn", {"n_neighbors": 5, "metric": "cosine", "eps": 0.1, "weight_key": "w"}),
        (None, {"neighbor_keys": {"adt": "neighbors", "rna": None}, "random_state": 3}),
        (None, {"add_weights_to_modalities": True, "low_memory": True, "copy": True}),
        (None, {"weight_key": None, "n_multineighbors": 20}),
    ],
)
def test_equals_muon(muon, key: str | None, options: dict) -> None:
    mdata = cells_of(partly=False)
    if options.get("neighbor_keys"):  # muon takes None for a key
        options = {**options, "neighbor_keys": {"adt": "neighbors", "rna": "neighbors"}}
    options = {"n_multineighbors": 50, "n_bandwidth_neighbors": 4, "key_added": key, **options}
    theirs, ours = compare(muon, mdata, **options)
    assert ours.uns[key or "neighbors"] == theirs.uns[key or "neighbors"]
    prefix = f"{key}_" if key else ""
    for name, atol in (("distances", 1e-6), ("connectivities", 1e-4)):
        a, b = theirs.obsp[prefix + name], ours.obsp[prefix + name]
        np.testing.assert_allclose(b.toarray(), a.toarray(), atol=atol)
        assert a.dtype == b.dtype
    np.testing.assert_array_equal(
        ours.obsp[f"{prefix}distances"].indices, theirs.obsp[f"{prefix}distances"].indices
    )
    weight = options.get("weight_key", "mod_weight")
    whole = not options.get("add_weights_to_modalities")
    for mod in ours.mod:
        name = f"{mod}:{weight}"
        assert (name in ours.obs_keys()) == bool(weight and whole)
        if weight:
            a = theirs.obs[name] if whole else theirs.mod[mod].obs[weight]
            b = ours.obs[name] if whole else ours.mod[mod].obs[weight]
            np.testing.assert_allclose(b, a, atol=1e-6)


def dense(x):
    x = materialize(x)
    return np.asarray(x.todense() if hasattr(x, "todense") else x)


@pytest.fixture(scope="module")
def citeseq(data_file, tmp_path_factory):
    """Real cells after the usual steps, saved."""
    path = tmp_path_factory.mktemp("citeseq") / "real.h5mu"
    mdata = lo.read_h5mu(data_file(CITESEQ))[:300]
    rna = mdata.mod["rna"]
    rna.var_names_make_unique()
    lo.pp.normalize_total(rna)
    lo.pp.log1p(rna)
    lo.pp.pca(rna, n_comps=20)
    prot = mdata.mod["prot"]
    lo.pp.clr(prot)
    prot.obsm["X_clr"] = dense(prot.X)
    lo.pp.neighbors(rna)
    lo.pp.neighbors(prot, use_rep="X_clr")
    mdata.update()
    mdata.write(path)
    return path


@pytest.mark.parametrize("how", ["backed", "memory", "selection"])
def test_real_cells(citeseq, how: str, request) -> None:
    mdata = lo.read_h5mu(citeseq, backed=how != "memory")
    if how == "selection":
        mdata = mdata[::2]
        lo.pp.neighbors(mdata.mod["rna"])
        lo.pp.neighbors(mdata.mod["prot"], use_rep="X_clr")
    lo.pp.neighbors(mdata, n_multineighbors=60)
    if how == "backed":
        assert mdata.isbacked
        mdata.write()
        again = lo.read_h5mu(citeseq)
        assert again.uns["neighbors"]["params"] == mdata.uns["neighbors"]["params"]
        np.testing.assert_array_equal(
            dense(again.obsp["distances"]), mdata.obsp["distances"].toarray()
        )
    muon = request.getfixturevalue("muon")
    theirs, ours = compare(muon, mdata, n_multineighbors=60, n_bandwidth_neighbors=5)
    np.testing.assert_allclose(
        ours.obsp["distances"].toarray(), theirs.obsp["distances"].toarray(), atol=1e-6
    )


def test_the_order_of_the_stored_graph_does_not_matter() -> None:
    one, other = cells_of(partly=False), cells_of(partly=False)
    for adata in other.mod.values():
        adata.obsp["distances"] = adata.obsp["distances"].sorted_indices()
    before = one.mod["rna"].obsp["distances"].indices.copy()
    for mdata in (one, other):
        lo.pp.neighbors(mdata)
    np.testing.assert_array_equal(one.obs["rna:mod_weight"], other.obs["rna:mod_weight"])
    np.testing.assert_array_equal(one.mod["rna"].obsp["distances"].indices, before)


def test_cells_in_one_place() -> None:
    mdata = cells_of(partly=False)
    x = np.asarray(mdata.mod["adt"].X).copy()
    x[:30] = x[0]
    mdata.mod["adt"].X = x
    lo.pp.neighbors(mdata.mod["adt"], n_neighbors=6, use_rep="X")
    lo.pp.neighbors(mdata)
    for matrix in (mdata.obsp["distances"], mdata.obsp["connectivities"]):
        assert np.isfinite(matrix.data).all()
    assert np.isfinite(mdata.obs["adt:mod_weight"]).all()


def test_arrays_of_the_whole_are_searched_as_those_of_an_anndata() -> None:
    mdata = cells_of(partly=False)
    x = np.random.default_rng(1).normal(size=(90, 4))
    alone = lo.AnnData(x, obsm={"X_mofa": x})
    mdata.obsm["X_mofa"] = x
    for data in (mdata, alone):
        lo.pp.neighbors(data, 7, use_rep="X_mofa")
    assert mdata.uns["neighbors"]["params"] == alone.uns["neighbors"]["params"]
    assert abs(mdata.obsp["connectivities"] - alone.obsp["connectivities"]).max() == 0
    with pytest.raises(ValueError, match=r"'X_pca' is not in mdata\.obsm"):
        lo.pp.neighbors(mdata, use_rep="X_pca")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"neighbor_keys": {"rna": "other"}}, r"mod\['rna'\]\.uns has no 'other'"),
        ({"neighbor_keys": {"protein": None}}, r"\['protein'\]; modalities are"),
        ({"neighbor_keys": {"rna": None}}, "in none of the modalities"),
        ({"neighbor_keys": {}}, "at least one modality"),
        ({"n_multineighbors": 3}, "raise n_multineighbors"),
        ({"n_multineighbors": 0}, "n_multineighbors must be at least 1"),
        ({"n_bandwidth_neighbors": 0}, "n_bandwidth_neighbors must be at least 1"),
        ({"n_neighbors": 0}, "n_neighbors must be at least 1"),
        ({"n_neighbors": 89}, "not to be found among 90 cells"),
        ({"recall": 0}, "share of neighbours"),
    ],
)
def test_what_cannot_be_is_refused(options: dict, message: str) -> None:
    mdata = cells_of(partly=True)
    with pytest.raises(ValueError, match=message):
        lo.pp.neighbors(mdata, **options)
    assert not list(mdata.obsp)
    assert "neighbors" not in mdata.uns


def test_parameters_of_the_other_kind_are_refused() -> None:
    mdata = cells_of(partly=False)
    with pytest.raises(TypeError, match="of a MuData takes no n_pcs, which an AnnData has"):
        lo.pp.neighbors(mdata, n_pcs=3)
    with pytest.raises(TypeError, match="of an AnnData takes no eps, which a MuData has"):
        lo.pp.neighbors(mdata.mod["rna"], eps=1)
    with pytest.raises(TypeError, match="of arrays of the whole takes no eps"):
        lo.pp.neighbors(mdata, use_rep="X_mofa", eps=1)
    lo.pp.neighbors(mdata=mdata, n_neighbors=3)
    lo.pp.neighbors(adata=mdata.mod["rna"], n_neighbors=3)


def test_changed_modalities_are_refused() -> None:
    cut = cells_of(partly=False)[:60]
    with pytest.raises(ValueError, match="have no neighbours in the modality 'rna'"):
        lo.pp.neighbors(lo.MuData({"rna": cut.mod["rna"][lonely(cut.mod["rna"])]}))
    mdata = cells_of(partly=False)
    mdata.mod["rna"] = mdata.mod["rna"][::-1]
    with pytest.raises(lo.errors.ShapeError, match=r"call mdata\.update\(\)"):
        lo.pp.neighbors(mdata)
    features = lo.MuData({"a": mdata.mod["adt"], "b": mdata.mod["adt"].copy()}, axis=1)
    with pytest.raises(ValueError, match="axis=1"):
        lo.pp.neighbors(features)


def lonely(adata):
    """A cell, and others that are not its neighbours."""
    beside = adata.obsp["distances"].tocsr()[0].indices
    return [i for i in range(adata.n_obs) if i not in beside]
