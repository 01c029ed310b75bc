"""pp.neighbors against scanpy on real cells, and its refusals."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse

import lazyomics as lo

PBMC = "rebuilt_pbmc3k_processed.h5ad"
EVERY_THIRD = slice(None, None, 3)

pytestmark = [  # what anndata and scanpy cause while they compute the reference
    pytest.mark.filterwarnings("ignore:The 'future.infer_string' option:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Changing the sparsity structure"),
]


def open_both(path, how):
    """Return scanpy's and our object, the latter backed, in memory, or a lazy selection."""
    anndata = pytest.importorskip("anndata", reason="compares with scanpy's container")
    theirs, ours = anndata.read_h5ad(path), lo.read_h5ad(path, backed=how != "memory")
    if how == "subset":
        theirs, ours = theirs[EVERY_THIRD].copy(), ours[EVERY_THIRD]
    return theirs, ours


def assert_same_graph(ours, theirs, rtol):
    """The same neighbours, at distances that scanpy's products of matrices round otherwise."""
    assert isinstance(ours, sparse.csr_matrix)
    assert ours.dtype == theirs.dtype
    mine, reference = ours.sorted_indices(), theirs.sorted_indices()
    np.testing.assert_array_equal(mine.indptr, reference.indptr)
    np.testing.assert_array_equal(mine.indices, reference.indices)
    np.testing.assert_allclose(mine.data, reference.data, rtol=rtol, atol=rtol)


def assert_same_result(ours, theirs, prefix="", *, distances=1e-6):
    assert_same_graph(ours.obsp[f"{prefix}distances"], theirs.obsp[f"{prefix}distances"], distances)
    weights = f"{prefix}connectivities"
    assert_same_graph(ours.obsp[weights], theirs.obsp[weights], max(1e-6, 10 * distances))


def assert_same_entry(ours, theirs, key="neighbors"):
    mine, reference = dict(ours.uns[key]), dict(theirs.uns[key])
    assert dict(mine.pop("params")) == dict(reference.pop("params"))
    assert mine == reference


@pytest.mark.parametrize("how", ["backed", "memory", "subset"])
@pytest.mark.parametrize("options", [{}, {"n_neighbors": 10, "n_pcs": 40}])
def test_equals_scanpy(data_file, how, options):
    sc = pytest.importorskip("scanpy", reason="the reference")
    theirs, ours = open_both(data_file(PBMC), how)
    sc.pp.neighbors(theirs, **options)
    assert lo.pp.neighbors(ours, **options) is None
    assert_same_result(ours, theirs)
    assert_same_entry(ours, theirs)


@pytest.mark.parametrize(
    "options",
    [
        {"metric": "cosine", "key_added": "cos"},
        {"use_rep": "X_umap", "key_added": "flat"},
        {"transformer": "sklearn", "metric": "manhattan", "key_added": "m"},
        {"metric": "chebyshev", "metric_kwds": {}, "random_state": 3, "key_added": "c"},
        {"method": "gauss", "key_added": "gauss"},
        {"method": "gauss", "n_neighbors": 40, "metric": "cosine", "key_added": "wide"},
    ],
)
def test_options_equal_scanpy(data_file, options):
    sc = pytest.importorskip("scanpy", reason="the reference")
    theirs, ours = open_both(data_file(PBMC), "subset")
    sc.pp.neighbors(theirs, **options)
    lo.pp.neighbors(ours, **options)
    key = options["key_added"]
    assert_same_result(ours, theirs, f"{key}_")
    assert_same_entry(ours, theirs, key)


def test_all_pairs_equal_scanpy(data_file):
    sc = pytest.importorskip("scanpy", reason="the reference")
    theirs, ours = open_both(data_file(PBMC), "subset")
    for pp, adata in ((sc.pp, theirs), (lo.pp, ours)):
        pp.neighbors(adata, knn=False, method="gauss")
    for name in ("distances", "connectivities"):
        assert isinstance(ours.obsp[name], np.ndarray)
        np.testing.assert_array_equal(ours.obsp[name], theirs.obsp[name])


@pytest.mark.parametrize("how", ["backed", "memory", "subset"])
def test_few_genes_are_their_own_representation(data_file, how):
    sc = pytest.importorskip("scanpy", reason="the reference")
    theirs, ours = open_both(data_file(PBMC), how)
    genes = list(theirs.var_names[5:45])
    theirs, ours = theirs[:, genes].copy(), ours[:, genes]
    sc.pp.neighbors(theirs)
    lo.pp.neighbors(ours)
    assert_same_result(ours, theirs)


def test_sparse_x_as_representation(data_file):
    sc = pytest.importorskip("scanpy", reason="the reference")
    theirs, ours = open_both(data_file("rebuilt_pbmc3k_raw.h5ad"), "subset")
    sc.pp.neighbors(theirs, use_rep="X")
    lo.pp.neighbors(ours, use_rep="X")
    assert_same_result(ours, theirs)


def test_duplicated_cells_have_the_distances_of_scanpys():
    """Which of the cells that are as near as each other belong to a list is not said."""
    sc = pytest.importorskip("scanpy", reason="the reference")
    anndata = pytest.importorskip("anndata", reason="compares with scanpy's container")
    x = np.repeat(np.random.default_rng(0).normal(size=(40, 6)), [1, 2, 3, 9] * 10, axis=0)
    theirs, ours = anndata.AnnData(x), lo.AnnData(x)
    sc.pp.neighbors(theirs, n_neighbors=6)
    lo.pp.neighbors(ours, n_neighbors=6)
    mine, reference = (np.sort(a.obsp["distances"].data.reshape(-1, 5)) for a in (ours, theirs))
    np.testing.assert_allclose(mine, reference, atol=1e-6)
    assert (mine[:, 0] == 0).sum() == 10 * (2 + 3 + 9)  # without digits that products lose
    assert ours.obsp["distances"].diagonal().max() == 0


def test_does_not_change_x_or_the_representation(data_file):
    ours = lo.read_h5ad(data_file(PBMC), backed=False)
    before = ours.obsm["X_pca"].copy()
    lo.pp.neighbors(ours)
    np.testing.assert_array_equal(ours.obsm["X_pca"], before)


def many_cells(n=9000, seed=1):
    rng = np.random.default_rng(seed)
    centres = rng.normal(scale=3, size=(20, 30))
    return (centres[rng.integers(0, 20, n)] + rng.normal(size=(n, 30))).astype(np.float32)


@pytest.mark.slow
@pytest.mark.skipif("LAZYOMICS_MOST_CASES" in os.environ, reason="compiles for two minutes")
def test_many_cells_by_pynndescent_equal_scanpy():
    sc = pytest.importorskip("scanpy", reason="the reference")
    anndata = pytest.importorskip("anndata", reason="compares with scanpy's container")
    pynndescent = pytest.importorskip("pynndescent", reason="searches among many cells")

    class MatrixTransformer(pynndescent.PyNNDescentTransformer):
        """Return a matrix: scanpy 1.12 does not take pynndescent 0.7's sparse arrays."""

        def fit_transform(self, X, y=None, **fit_params):
            return sparse.csr_matrix(super().fit_transform(X, y, **fit_params))

    x = many_cells()
    theirs, ours = anndata.AnnData(x), lo.AnnData(x)
    effort = {"n_jobs": 1, "n_trees": 10, "n_iters": 13}  # umap-learn's choice for 9,000 rows
    options = {"n_neighbors": 15, "metric": "manhattan", "random_state": 0, **effort}
    sc.pp.neighbors(theirs, transformer=MatrixTransformer(**options), metric="manhattan")
    lo.pp.neighbors(ours, metric="manhattan")
    assert_same_result(ours, theirs)
    assert_same_entry(ours, theirs)


def test_many_cells_are_searched_by_cells_and_recall_is_told(monkeypatch):
    monkeypatch.setattr("lazyomics.graph.nearest.EXACT_BELOW", 2000)
    exact, ours = lo.AnnData(many_cells(6000)), lo.AnnData(many_cells(6000))
    lo.pp.neighbors(ours)
    lo.pp.neighbors(exact, recall=1)
    assert 0.99 <= ours.uns["neighbors"]["recall"] <= 1
    assert "recall" not in exact.uns["neighbors"]
    found, known = ours.obsp["distances"], exact.obsp["distances"]
    assert found.dtype == np.float32
    assert found.nnz == 6000 * 14
    shared = (found != 0).multiply(known != 0).nnz / known.nnz
    assert shared >= 0.985  # recall was measured on 1,000 of these


def test_own_transformer_sets_the_number_of_neighbors(data_file):
    sc = pytest.importorskip("scanpy", reason="the reference")
    from sklearn.neighbors import KNeighborsTransformer

    theirs, ours = open_both(data_file(PBMC), "subset")
    sc.pp.neighbors(theirs, transformer=KNeighborsTransformer(n_neighbors=8))
    lo.pp.neighbors(ours, transformer=KNeighborsTransformer(n_neighbors=8))
    assert_same_result(ours, theirs)
    assert ours.uns["neighbors"]["params"]["n_neighbors"] == 8


def test_fewer_cells_than_neighbors_is_said():
    ours = lo.AnnData(np.random.default_rng(0).normal(size=(6, 3)))
    with pytest.warns(UserWarning, match="n_neighbors=15 is more than the 6 cells; using 4"):
        lo.pp.neighbors(ours)
    assert ours.uns["neighbors"]["params"]["n_neighbors"] == 4


def test_missing_pca_is_computed_and_said(data_file):
    ours = lo.read_h5ad(data_file(PBMC))[:300]
    del ours.obsm["X_pca"]
    with pytest.warns(UserWarning, match="has no 'X_pca'"):
        lo.pp.neighbors(ours, n_pcs=7)
    assert ours.obsm["X_pca"].shape == (300, 7)
    assert ours.uns["neighbors"]["params"]["n_pcs"] == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "jaccard?"}, "method must be one of"),
        ({"n_neighbors": 1}, "must be ≥ 2"),
        ({"knn": False}, "needs method='gauss'"),
        ({"transformer": "rapids"}, "transformer must be None"),
        ({"use_rep": "X_nothing"}, "neither 'X' nor in adata.obsm"),
        ({"recall": 0}, "recall is a share"),
        ({"recall": 99}, "recall is a share"),
        ({"n_pcs": -1}, "must not be negative"),
        ({"use_rep": "X_small", "n_pcs": 9}, "has 3 columns, fewer than n_pcs=9"),
    ],
)
def test_bad_arguments(options, message):
    ours = lo.AnnData(np.eye(20), obsm={"X_small": np.eye(20)[:, :3]})
    with pytest.raises(ValueError, match=message):
        lo.pp.neighbors(ours, **options)


def test_x_that_does_not_fit_is_refused(data_file):
    import dask

    ours = lo.read_h5ad(data_file(PBMC))
    with (
        dask.config.set({"lazyomics.memory": "1 MiB"}),
        pytest.raises(MemoryError, match="select fewer variables"),
    ):
        lo.pp.neighbors(ours, use_rep="X")


def test_all_pairs_that_do_not_fit_are_refused(data_file):
    import dask

    ours = lo.read_h5ad(data_file(PBMC))
    with (
        dask.config.set({"lazyomics.memory": "1 MiB"}),
        pytest.raises(MemoryError, match="Use knn=True"),
    ):
        lo.pp.neighbors(ours, knn=False, method="gauss")


def test_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynndescent", None)
    ours = lo.AnnData(np.random.default_rng(0).normal(size=(30, 4)))
    with pytest.raises(lo.errors.MissingDependencyError, match=r"lazyomics\[umap\]"):
        lo.pp.neighbors(ours, n_neighbors=5, transformer="pynndescent")


def test_packages_of_others_are_not_imported():
    code = (
        "import sys, numpy as np, lazyomics as lo\n"
        "adata = lo.AnnData(np.random.default_rng(0).normal(size=(60, 4)))\n"
        "for metric in ('euclidean', 'cosine', 'correlation'):\n"
        "    lo.pp.neighbors(adata, metric=metric)\n"
        "assert not {'sklearn', 'umap', 'pynndescent'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
