"""Mapping new cells on a reference: projection, labels and UMAP beside scanpy's ingest."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import version

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.neighbors import NearestNeighbors

import lazyomics as lo

ad = pytest.importorskip("anndata", reason="compares with anndata")
sc = pytest.importorskip("scanpy", reason="compares with scanpy")

pytestmark = [  # what scanpy, umap-learn and scikit-learn cause between themselves
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:n_jobs value"),
    pytest.mark.filterwarnings("ignore:Tensorflow not installed"),
]

KINDS = {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "dense": np.asarray}
OLD = version("scanpy") < "1.12"
N, M, P = 240, 90, 70


@pytest.fixture(autouse=True)
def exact_search(monkeypatch):
    """Make scanpy's search exact, as ours is for so few cells: what follows must be the same.

    scanpy also passes a number of trees that pynndescent 0.7 leaves open, and fails: it gets one.
    """
    package = pytest.importorskip("pynndescent", reason="scanpy's ingest searches with it")
    trees, index = importlib.import_module("pynndescent.rp_trees"), package.NNDescent
    made_forest, made_index = trees.make_forest, index.__init__

    def make_forest(data, n_neighbors, n_trees, *rest, **options):
        return made_forest(data, n_neighbors, n_trees or 4, *rest, **options)

    def __init__(self, data, *rest, **options):
        self.searched = data
        made_index(self, data, *rest, **options)

    def query(self, queried, k=10, epsilon=0.1):
        search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(self.searched)
        lengths, indices = search.kneighbors(queried)
        return indices, lengths.astype(np.float32)

    monkeypatch.setattr(trees, "make_forest", make_forest)
    monkeypatch.setattr(index, "__init__", __init__)
    monkeypatch.setattr(index, "query", query)


def cells(n: int, seed: int, kind: str) -> ad.AnnData:
    """Cells of four types, in a mixed order."""
    means = np.exp(np.random.default_rng(0).normal(0, 1.3, (4, P)))
    rng = np.random.default_rng(seed)
    types = rng.integers(0, 4, n)
    x = np.log1p(rng.poisson(means[types])).astype("f4")
    obs = pd.DataFrame(
        {"type": pd.Categorical.from_codes(types, list("dbca")), "number": types * 10},
        index=[f"{seed}-{k}" for k in range(n)],
    )
    return ad.AnnData(KINDS[kind](x), obs=obs, var=pd.DataFrame(index=[f"g{k}" for k in range(P)]))


def reference(kind="csr", *, umap=True, **pca):
    made = cells(N, 1, kind)
    sc.pp.pca(made, n_comps=12, **pca)
    sc.pp.neighbors(made, n_neighbors=9)
    if umap:
        sc.tl.umap(made)
    return made


def opened(adata, path):
    adata.write_h5ad(path)
    return lo.read_h5ad(path)


def without_labels(kind="csr"):
    new = cells(M, 2, kind)
    del new.obs["type"], new.obs["number"]
    return new


def nearest_labels(known_places, places, labels, k=9):
    """The commonest label of the k nearest, the first category of equally many."""
    far = np.linalg.norm(np.asarray(places)[:, None] - np.asarray(known_places)[None], axis=2)
    nearest = labels.cat.codes.to_numpy()[np.argsort(far, axis=1)[:, :k]]
    return [labels.cat.categories[np.bincount(codes).argmax()] for codes in nearest]


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        *((kind, "file") for kind in KINDS),
        *(("csr", where) for where in ("memory", "subset", "steps")),
    ],
)
def test_equals_scanpy(tmp_path, kind, where, count_passes):
    """Uncentred, where scanpy 1.11 and 1.12 do the same."""
    theirs_ref, theirs = reference(kind, zero_center=False), without_labels(kind)
    ours_ref = opened(theirs_ref, tmp_path / "ref.h5ad")
    ours = opened(theirs, tmp_path / "new.h5ad")
    if where == "memory":
        ours = ours.to_memory()
        ours = lo.AnnData(ours.X, obs=ours.obs, var=ours.var)
    elif where == "subset":
        rows = np.random.default_rng(0).permutation(M)[:50]
        ours, theirs = ours[rows], theirs[rows].copy()
    elif where == "steps":
        for module, adata in ((lo, ours), (sc, theirs)):
            module.pp.scale(adata, zero_center=False, max_value=2)
    with count_passes(tmp_path / "new.h5ad") as passes:
        lo.tl.ingest(ours, ours_ref, obs=["type", "number"])
    assert passes.values <= 1 or where == "steps" or kind == "csc"
    sc.tl.ingest(theirs, theirs_ref, obs=["type", "number"])
    assert set(ours.obsm) == set(theirs.obsm) == {"rep", "X_pca", "X_umap"}
    for key in ("rep", "X_pca"):
        # scanpy's own scaling makes float64 of float32 by columns
        assert ours.obsm[key].dtype == theirs.obsm[key].dtype or (kind, where) == ("csc", "steps")
        np.testing.assert_allclose(ours.obsm[key], theirs.obsm[key], rtol=1e-4, atol=2e-5)
    for name in ("type", "number"):
        found, known = ours.obs[name], ours_ref.obs[name].astype("category")
        assert found.dtype == theirs.obs[name].dtype
        assert list(found) == nearest_labels(ours_ref.obsm["X_pca"], ours.obsm["rep"], known)
        pd.testing.assert_series_equal(found, theirs.obs[name])
    assert ours.obsm["X_umap"].dtype == theirs.obsm["X_umap"].dtype
    off = np.abs(ours.obsm["X_umap"] - theirs.obsm["X_umap"]).max(axis=1)
    # The last digits of distances decide when an edge pulls: some cells end elsewhere near by.
    assert (off < 1e-3).mean() > 0.2
    assert np.median(off) < 0.5


@pytest.mark.parametrize("kind", ["csr", "dense"])
def test_components_of_variable_genes_and_their_mean(tmp_path, kind):
    theirs_ref, theirs = cells(N, 1, kind), without_labels(kind)
    theirs_ref.var["highly_variable"] = np.arange(P) % 3 > 0
    sc.pp.pca(theirs_ref, n_comps=12)
    sc.pp.neighbors(theirs_ref, n_neighbors=9)
    ours = opened(theirs, tmp_path / "new.h5ad")
    lo.tl.ingest(ours, opened(theirs_ref, tmp_path / "r.h5ad"), obs="type", embedding_method="pca")
    sc.tl.ingest(theirs, theirs_ref, obs="type", embedding_method="pca")
    off = ours.obsm["X_pca"] - theirs.obsm["X_pca"]
    if OLD:  # it subtracts the mean of the new cells: as far from ours everywhere
        off = off - off.mean(axis=0)
    else:
        assert (ours.obs["type"].astype(str) == theirs.obs["type"].astype(str)).mean() > 0.9
    np.testing.assert_allclose(off, 0, atol=2e-5)
    assert np.mean(ours.obs["type"].astype(str) == cells(M, 2, kind).obs["type"].astype(str)) > 0.9


def test_one_pass_over_the_new_cells(tmp_path, count_passes):
    ours_ref = opened(reference(), tmp_path / "ref.h5ad")
    ours = opened(without_labels(), tmp_path / "new.h5ad")
    with (
        count_passes(tmp_path / "new.h5ad") as new,
        count_passes(tmp_path / "ref.h5ad") as ref,
    ):
        lo.tl.ingest(ours, ours_ref, obs="type")
    assert new.values == pytest.approx(1)
    assert ref.values == pytest.approx(1)


def test_the_object_ours_made(tmp_path):
    """Of the graph, components and UMAP of lazyomics, and of a copy."""
    pytest.importorskip("umap", reason="places cells with it")
    made = opened(cells(N, 1, "csr"), tmp_path / "ref.h5ad")
    lo.pp.pca(made, n_comps=12)
    lo.pp.neighbors(made, n_neighbors=9)
    lo.tl.umap(made)
    new = opened(without_labels(), tmp_path / "new.h5ad")
    copied = lo.tl.ingest(new, made, obs="type", inplace=False, k=5)
    assert "type" not in new.obs
    assert copied.obsm["X_umap"].shape == (M, 2)
    truth = cells(M, 2, "csr").obs["type"].astype(str)
    assert np.mean(copied.obs["type"].astype(str).to_numpy() == truth.to_numpy()) > 0.9


@pytest.mark.parametrize("rep", ["mine", "X"])
def test_other_representations(tmp_path, rep):
    theirs_ref, theirs = cells(N, 1, "dense"), without_labels("dense")
    theirs_ref.obsm["mine"] = theirs_ref.X[:, :20].copy()
    theirs.obsm["mine"] = theirs.X[:, :20].copy()
    sc.pp.neighbors(theirs_ref, n_neighbors=9, use_rep=rep)
    ours_ref, ours = opened(theirs_ref, tmp_path / "r.h5ad"), opened(theirs, tmp_path / "n.h5ad")
    lo.tl.ingest(ours, ours_ref, obs="type", embedding_method=[])
    sc.tl.ingest(theirs, theirs_ref, obs="type", embedding_method=[])
    assert (ours.obs["type"].astype(str) == theirs.obs["type"].astype(str)).mean() > 0.9
    places = (np.asarray(sp.csr_matrix(a.X).todense()) for a in (theirs_ref, theirs))
    if rep == "mine":
        places = (a.obsm["mine"] for a in (theirs_ref, theirs))
    assert list(ours.obs["type"]) == nearest_labels(*places, theirs_ref.obs["type"])
    np.testing.assert_array_equal(ours.obsm["rep"], theirs.obsm["rep"])


def test_the_class_and_both_together(tmp_path):
    mapping = lo.tl.Ingest(opened(reference(), tmp_path / "ref.h5ad"))
    with pytest.raises(ValueError, match="call fit first"):
        mapping.to_adata()
    new = opened(without_labels(), tmp_path / "new.h5ad")
    mapping.fit(new)
    mapping.map_embedding("pca")
    mapping.map_embedding("umap")
    mapping.map_labels("type", "knn")
    both = mapping.to_adata_joint()
    assert both.shape == (N + M, P)
    assert both.obsm["X_umap"].shape == (N + M, 2)
    assert both.obsm["X_pca"].shape == (N + M, 12)
    assert both.obs["type"].notna().all()
    assert both.obs["batch"].value_counts().to_dict() == {"0": N, "1": M}
    assert list(both.obs["type"].iloc[N:]) == list(mapping.to_adata().obs["type"])


def test_many_cells_are_searched_approximately(monkeypatch, tmp_path):
    pytest.importorskip("pynndescent", reason="the search")
    from lazyomics.tl import projection

    ours_ref = opened(reference(umap=False), tmp_path / "ref.h5ad")
    found = []
    for limit in (8192, 10):
        monkeypatch.setattr(projection, "EXACT_BELOW", limit)
        new = opened(without_labels(), tmp_path / "new.h5ad")
        lo.tl.ingest(new, ours_ref, obs="type", embedding_method="pca")
        found.append(new.obs["type"].astype(str))
    assert np.mean(found[0] == found[1]) > 0.97


def test_missing_labels_have_no_vote():
    from lazyomics.tl.projection import majority_labels

    labels = pd.Series(pd.Categorical(["b", None, None, "a"], categories=["c", "b", "a"]))
    found = majority_labels(labels, np.array([[0, 1, 2], [1, 2, 1], [0, 3, 1]]))
    assert found.codes.tolist() == [1, -1, 1]
    assert list(found.categories) == ["c", "b", "a"]


def test_wrong_arguments(tmp_path, monkeypatch):
    ref = opened(reference(), tmp_path / "ref.h5ad")
    new = opened(without_labels(), tmp_path / "new.h5ad")
    with pytest.raises(TypeError, match=r"tl\.ingest takes an AnnData"):
        lo.tl.ingest(np.ones((2, 2)), ref)
    with pytest.raises(KeyError, match="nothing"):
        lo.tl.ingest(new, ref, obs="nothing")
    with pytest.raises(NotImplementedError, match="umap and pca"):
        lo.tl.ingest(new, ref, embedding_method="tsne")
    with pytest.raises(NotImplementedError, match="knn labeling"):
        lo.tl.ingest(new, ref, obs="type", embedding_method="pca", labeling_method="svm")
    with pytest.raises(ValueError, match="Variables in the new adata are different"):
        lo.tl.ingest(new[:, ::-1], ref)
    with pytest.raises(ValueError, match=r"run lo\.pp\.neighbors"):
        lo.tl.ingest(new, new)
    with pytest.raises(ValueError, match="no neighbors data"):
        lo.tl.ingest(new, ref, neighbors_key="other")
    bare = opened(reference(umap=False), tmp_path / "bare.h5ad")
    with pytest.raises(ValueError, match=r"run lo\.tl\.umap"):
        lo.tl.ingest(new, bare)
    assert not new.obsm
    monkeypatch.setitem(sys.modules, "umap.umap_", None)
    with pytest.raises(lo.errors.MissingDependencyError, match="umap"):
        lo.tl.ingest(new, ref)
