"""Verbs that scanpy keeps for older scripts, and the recipes that are made of them."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo

ad = pytest.importorskip("anndata", reason="compares with anndata")
sc = pytest.importorskip("scanpy", reason="compares with scanpy")

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"
)
PLACES = (("csr", "file"), ("csc", "memory"), ("dense", "subset"))
FILTERS = {
    "defaults": {},
    "bounds": {"min_disp": 0.1, "max_mean": 2, "max_disp": 4, "min_mean": 0.1},
    "top": {"n_top_genes": 30},
    "cell_ranger": {"flavor": "cell_ranger", "n_top_genes": 20, "log": False},
    "annotated": {"subset": False, "n_top_genes": 30},
}
NORMALIZED = {
    "defaults": {},
    "few dropped": {"min_counts": 150, "key_n_counts": "mine"},
    "after": {"counts_per_cell_after": 10, "layers": "all", "use_rep": "after"},
    "layers as X": {"layers": ["twice"], "use_rep": "X", "min_counts": 0},
    "layers": {"layers": ["twice"]},
    "given": {"counts_per_cell": np.arange(240, dtype="f4")},
}


def frames_are_equal(ours, theirs, rtol=1e-5):
    assert list(ours) == list(theirs)
    for name in theirs:
        assert ours[name].dtype == theirs[name].dtype
        if theirs[name].dtype.kind in "iufb":
            np.testing.assert_allclose(ours[name], theirs[name], rtol=rtol, atol=1e-6)


@pytest.mark.parametrize("how", FILTERS)
def test_filtered_genes_are_scanpys(pair, values, counts, how):
    for kind, where in PLACES:
        ours, theirs = pair(np.delete(counts, 17, axis=1), kind, where)
        lo.pp.filter_genes_dispersion(ours, **FILTERS[how])
        sc.pp.filter_genes_dispersion(theirs, **FILTERS[how])
        assert list(ours.var_names) == list(theirs.var_names)
        frames_are_equal(ours.var, theirs.var)
        np.testing.assert_array_equal(values(ours.X), values(theirs.X))


@pytest.mark.parametrize("flavor", ["seurat", "cell_ranger"])
def test_filtered_genes_of_matrices(counts, flavor):
    # Dispersions of rare genes are the same but for rounding, which their spread would be made of.
    x = counts[:, counts.sum(axis=0) > 60]
    theirs = sc.pp.filter_genes_dispersion(x, flavor=flavor, n_top_genes=9, n_bins=10)
    # One block: means that are added up from several differ by rounding where genes have equal
    # ones, and percentiles lie between these.
    for matrix in (x, sp.csr_matrix(x), sp.csc_matrix(x), da.from_array(x, chunks=(240, -1))):
        ours = lo.pp.filter_genes_dispersion(matrix, flavor=flavor, n_top_genes=9, n_bins=10)
        assert ours.dtype == theirs.dtype
        for name in theirs.dtype.names:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-9)
    assert ours["gene_subset"].sum() >= 8


@pytest.mark.parametrize("how", NORMALIZED)
def test_normalized_cells_are_scanpys(pair, values, counts, how):
    for kind, where in PLACES:
        ours, theirs = pair(counts, kind, where)
        for module, adata in ((lo, ours), (sc, theirs)):
            adata.layers["twice"] = adata.X * 2
            given = dict(NORMALIZED[how])
            if "counts_per_cell" in given:
                given["counts_per_cell"] = given["counts_per_cell"].copy()
            module.pp.normalize_per_cell(adata, **given)
        assert list(ours.obs_names) == list(theirs.obs_names)
        frames_are_equal(ours.obs, theirs.obs)
        for a, b in ((ours.X, theirs.X), (ours.layers["twice"], theirs.layers["twice"])):
            assert values(a).dtype == b.dtype
            np.testing.assert_allclose(values(a), values(b), rtol=1e-5)


def test_normalized_matrices(counts):
    given = np.arange(1, 241, dtype="f4")
    for form in (np.array, sp.csr_matrix):
        ours, theirs = (
            m.pp.normalize_per_cell(form(counts), min_counts=150, copy=True) for m in (lo, sc)
        )
        assert type(ours) is type(theirs)
        np.testing.assert_allclose(np.asarray(ours.sum(1)), np.asarray(theirs.sum(1)), rtol=1e-5)
        ours, theirs = form(counts), form(counts)
        for m, x in ((lo, ours), (sc, theirs)):
            assert m.pp.normalize_per_cell(x, counts_per_cell=given.copy()) is None
        np.testing.assert_allclose(np.asarray(ours.sum(1)), np.asarray(theirs.sum(1)), rtol=1e-5)
    with pytest.raises(ValueError, match="copy=True"):
        lo.pp.normalize_per_cell(counts)
    with pytest.raises(lo.errors.ShapeError, match="240 cells"):
        lo.pp.normalize_per_cell(counts, counts_per_cell=np.ones(3))
    with pytest.raises(ValueError, match="use_rep"):
        lo.pp.normalize_per_cell(lo.AnnData(counts), use_rep="Y")
    with pytest.raises(ValueError, match="flavor"):
        lo.pp.filter_genes_dispersion(counts, flavor="other")


def many_genes():
    rng = np.random.default_rng(1)
    return rng.poisson(np.exp(rng.normal(-0.3, 1.2, 500)), (120, 500)).astype("f8")


RECIPES = {
    "zheng17": (5, lambda m, a, **o: m.pp.recipe_zheng17(a, n_top_genes=50, **o)),
    "zheng17, not logged": (
        5,
        lambda m, a, **o: m.pp.recipe_zheng17(a, log=False, n_top_genes=9, **o),
    ),
    "seurat": (4, lambda m, a, **o: m.pp.recipe_seurat(a, **o)),
    "weinreb17": (
        3,
        lambda m, a, **o: m.pp.recipe_weinreb17(a, n_pcs=4, cv_threshold=1, svd_solver="full", **o),
    ),
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_are_scanpys(pair, values, count_passes, recipe):
    passes, call = RECIPES[recipe]
    _, theirs = pair(many_genes(), "dense")
    call(sc, theirs)
    for kind, where in PLACES:
        ours, _ = pair(many_genes(), kind, where)
        if where == "file":
            with count_passes(ours.filename) as counted:
                copied = call(lo, ours, copy=True)
            assert counted.values <= passes + 0.1
            assert ours.n_vars == 500
            ours = copied
        else:
            call(lo, ours)
        assert list(ours.var_names) == list(theirs.var_names)
        frames_are_equal(ours.var, theirs.var)
        frames_are_equal(ours.obs, theirs.obs)
        np.testing.assert_allclose(values(ours.X), values(theirs.X), rtol=1e-5, atol=1e-6)
        assert list(ours.uns) == list(theirs.uns)
        if "X_pca" in theirs.obsm:
            np.testing.assert_allclose(ours.obsm["X_pca"], theirs.obsm["X_pca"], atol=1e-4)
            assert ours.obsm["X_pca"].dtype == theirs.obsm["X_pca"].dtype


def test_recipes_refuse_plots():
    for verb in (lo.pp.recipe_zheng17, lo.pp.recipe_seurat):
        with pytest.raises(lo.errors.UnsupportedError, match="plot=True"):
            verb(lo.AnnData(many_genes()), plot=True)
